//! Rows as Arrow batches. Words are written as dictionaries: they are known, and so need no copying.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int32Builder,
    ListBuilder, PrimitiveArray, RecordBatch, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, UInt8Type, UInt16Type};
use arrow::error::ArrowError;

use super::catalog::Catalog;
use super::person::Person;
use super::visit::{Event, Kind, NONE, campaigns};
use super::words::{CATEGORIES, COUNTRIES, DEVICES, FIRST_NAMES, GENDERS, INTERESTS, LAST_NAMES, TIERS};

type Columns<const N: usize> = [(&'static str, ArrayRef); N];

/// The key of the customer with this number.
pub(super) fn profile_id(number: u32) -> String {
    format!("p{number:07}")
}

/// One row of `profiles`.
pub(super) struct Profile {
    pub(super) number: u32,
    pub(super) person: Person,
    /// Tier and points.
    pub(super) loyalty: Option<(usize, i32)>,
    /// What was spent in the year.
    pub(super) cents: u64,
}

/// Rows of `profiles`.
pub(super) fn profiles(rows: &[Profile]) -> Result<RecordBatch, ArrowError> {
    let text = |f: &dyn Fn(&Profile) -> Option<&'static str>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<StringArray>())
    };
    let owned = |f: &dyn Fn(&Profile) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(f)))
    };
    let flag = |f: &dyn Fn(&Profile) -> bool| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(f(row))).collect::<BooleanArray>())
    };
    let number = |f: &dyn Fn(&Profile) -> Option<i32>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<Int32Array>())
    };
    let country = text(&|row| Some(COUNTRIES[row.person.country].0));
    let city = text(&|row| Some(COUNTRIES[row.person.country].3[row.person.city]));
    let joined = rows.iter().map(|row| row.person.joined);
    let name = structure([
        ("first", text(&|row| Some(FIRST_NAMES[row.person.first]))),
        ("last", text(&|row| Some(LAST_NAMES[row.person.last]))),
    ])?;
    let address = structure([
        ("city", Arc::clone(&city)),
        ("postal_code", owned(&|row| row.person.postal_code.to_string())),
        ("country", Arc::clone(&country)),
    ])?;
    let language = text(&|row| Some(COUNTRIES[row.person.country].2));
    let person = structure([("name", name), ("address", address), ("language", language)])?;
    let columns: Columns<15> = [
        ("profile_id", owned(&|row| profile_id(row.number))),
        ("email", owned(&|row| row.person.email(row.number))),
        ("gender", text(&|row| row.person.gender.map(|at| GENDERS[at]))),
        ("birth_date", Arc::new(rows.iter().map(|row| row.person.birth).collect::<Date32Array>())),
        ("country", country),
        ("city", city),
        ("loyalty_tier", text(&|row| row.loyalty.map(|(tier, _)| TIERS[tier]))),
        ("points", number(&|row| row.loyalty.map(|(_, points)| points))),
        ("email_opt_in", flag(&|row| row.person.email_opt_in)),
        ("sms_opt_in", flag(&|row| row.person.sms_opt_in)),
        ("signup_ts", Arc::new(TimestampMicrosecondArray::from_iter_values(joined).with_timezone("UTC"))),
        ("ltv", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.cents as f64 / 100.0)))),
        ("store_visits", number(&|row| Some(row.person.store_visits))),
        ("interests", interests(rows)),
        ("person", person),
    ];
    RecordBatch::try_from_iter(columns)
}

fn structure<const N: usize>(fields: Columns<N>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(StructArray::try_from(fields.to_vec())?))
}

fn interests(rows: &[Profile]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for at in &row.person.interests {
            lists.values().append_value(INTERESTS[*at]);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

/// The rows of `products`.
pub(super) fn products(catalog: &Catalog) -> Result<RecordBatch, ArrowError> {
    let rows = &catalog.products;
    let columns: Columns<5> = [
        ("sku", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.sku)))),
        ("name", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name)))),
        ("brand", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.brand)))),
        (
            "category",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| CATEGORIES[row.category].name))),
        ),
        (
            "price",
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| f64::from(row.cents) / 100.0))),
        ),
    ];
    RecordBatch::try_from_iter(columns)
}

/// Turns events into batches; holds the words they point at.
pub(super) struct Events {
    kinds: ArrayRef,
    devices: ArrayRef,
    terms: ArrayRef,
    skus: ArrayRef,
    categories: ArrayRef,
    campaigns: ArrayRef,
    urls: ArrayRef,
    category_of: Vec<u8>,
}

impl Events {
    pub(super) fn new(catalog: &Catalog) -> Self {
        fn words<'a>(list: impl Iterator<Item = &'a str>) -> ArrayRef {
            Arc::new(StringArray::from_iter_values(list))
        }
        let category_of = catalog.products.iter().map(|product| u8::try_from(product.category).unwrap_or(0));
        Self {
            kinds: words(Kind::NAMES.iter().copied()),
            devices: words(DEVICES.iter().copied()),
            terms: words(catalog.terms.iter().map(|(_, text)| *text)),
            skus: words(catalog.products.iter().map(|product| product.sku.as_str())),
            categories: words(CATEGORIES.iter().map(|category| category.name)),
            campaigns: words(campaigns()),
            urls: words(catalog.urls.iter().map(String::as_str)),
            category_of: category_of.collect(),
        }
    }

    /// Rows of `events`; the first one is the `offset`-th of the table.
    pub(super) fn batch(&self, rows: &[Event], offset: u64) -> Result<RecordBatch, ArrowError> {
        let ids = (offset..).zip(rows).map(|(number, _)| format!("e{number:09}"));
        let keys = rows.iter().map(|row| profile_id(row.profile));
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.at));
        let sessions: StringArray = rows
            .iter()
            .map(|row| (row.session > 0).then(|| format!("{}-{}", profile_id(row.profile), row.session)))
            .collect();
        let prices: Float64Array =
            rows.iter().map(|row| (row.product != NONE).then(|| f64::from(row.cents) / 100.0)).collect();
        let mut quantities = Int32Builder::with_capacity(rows.len());
        rows.iter().for_each(|row| {
            quantities.append_option((row.quantity > 0).then(|| i32::from(row.quantity)));
        });
        let category = |row: &Event| self.category_of.get(usize::from(row.product)).copied();
        let columns: Columns<13> = [
            ("_id", Arc::new(StringArray::from_iter_values(ids))),
            ("profile_id", Arc::new(StringArray::from_iter_values(keys))),
            ("timestamp", Arc::new(times.with_timezone("UTC"))),
            ("event_type", coded::<UInt8Type>(rows.iter().map(|row| Some(row.kind as u8)), &self.kinds)?),
            ("session_id", Arc::new(sessions)),
            ("search_term", coded::<UInt16Type>(rows.iter().map(|row| known(row.term)), &self.terms)?),
            ("sku", coded::<UInt16Type>(rows.iter().map(|row| known(row.product)), &self.skus)?),
            ("category", coded::<UInt8Type>(rows.iter().map(category), &self.categories)?),
            ("price", Arc::new(prices)),
            ("quantity", Arc::new(quantities.finish())),
            ("campaign", coded::<UInt16Type>(rows.iter().map(|row| known(row.campaign)), &self.campaigns)?),
            ("device", coded::<UInt8Type>(rows.iter().map(|row| Some(row.device)), &self.devices)?),
            ("url", coded::<UInt16Type>(rows.iter().map(|row| known(row.url)), &self.urls)?),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, name_may_be_null(name))),
        )
    }
}

/// What every event has.
fn name_may_be_null(name: &str) -> bool {
    !matches!(name, "_id" | "profile_id" | "timestamp" | "event_type")
}

fn known(code: u16) -> Option<u16> {
    (code != NONE).then_some(code)
}

fn coded<K: ArrowDictionaryKeyType>(
    codes: impl Iterator<Item = Option<K::Native>>,
    words: &ArrayRef,
) -> Result<ArrayRef, ArrowError>
where
    K::Native: ArrowNativeType,
    PrimitiveArray<K>: FromIterator<Option<K::Native>>,
{
    let keys: PrimitiveArray<K> = codes.collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(words))?))
}
