//! `array_group_by`

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
    HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use datafusion_macros::user_doc;

use super::elements::{
    Elements, coerce_collection, collection_parameters, list_of, list_type, offsets, take_places,
};
use crate::args::{plain, wrong_type};

const NAME: &str = "array_group_by";
const SYNTAX: &str = "(array, element -> key)";

/// `array_group_by(array, element -> key)`
pub fn array_group_by_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(ArrayGroupBy {
        signature: HigherOrderSignature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "A map from each key to the array of the elements that have it. Keys come in the order in which they are first met, elements keep their order. Elements whose key is NULL are left out; a NULL array gives NULL.",
    syntax_example = "array_group_by(array, element -> key)",
    sql_example = "```sql
> SELECT array_group_by(['plum', 'fig', 'pear'], w -> left(w, 1)) AS by_letter;
+-----------------------------+
| by_letter                   |
+-----------------------------+
| {p: [plum, pear], f: [fig]} |
+-----------------------------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(
        name = "key",
        description = "Lambda from an element to a string, number, boolean, date or timestamp."
    )
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayGroupBy {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for ArrayGroupBy {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_collection(NAME, SYNTAX, arg_types, list_type)
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        collection_parameters(NAME, SYNTAX, fields)
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [ValueOrLambda::Value(array), ValueOrLambda::Lambda(key)] = args.arg_fields else {
            return internal_err!("{NAME} planned with other arguments than it takes");
        };
        if plain(key.data_type()).is_nested() {
            let expected = "a string, number, boolean, date or timestamp";
            return Err(wrong_type(NAME, "key", expected, key.data_type()));
        }
        let entry = vec![
            Field::new("key", key.data_type().clone(), false),
            Field::new("value", array.data_type().clone(), true),
        ];
        let entries = Field::new("entries", DataType::Struct(entry.into()), false);
        let map = DataType::Map(Arc::new(entries), false);
        Ok(Arc::new(Field::new(NAME, map, array.is_nullable())))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(array), ValueOrLambda::Lambda(key)] = args.args.as_slice() else {
            return internal_err!("{NAME} planned with other arguments than it takes");
        };
        let DataType::Map(entries, sorted) = args.return_type() else {
            return internal_err!("{NAME} planned to return {}", args.return_type());
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return internal_err!("{NAME} planned to return {}", args.return_type());
        };
        let array = array.to_array(args.number_rows)?;
        let elements = Elements::of(&array)?;
        let keys = elements.evaluate(key)?;
        let groups = group(&elements, &keys)?;
        let values = take_places(elements.values(), groups.members.concat())?;
        let lengths = groups.members.iter().map(Vec::len).collect::<Vec<_>>();
        let lists = list_of(array.data_type(), values, &lengths, None)?;
        let entry =
            StructArray::try_new(fields.clone(), vec![take_places(&keys, groups.first)?, lists], None)?;
        let nulls = elements.nulls().cloned();
        let map = MapArray::try_new(Arc::clone(entries), offsets(&groups.per_row)?, entry, nulls, *sorted)?;
        Ok(ColumnarValue::Array(Arc::new(map)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

struct Groups {
    /// Of each group, the place of its first member.
    first: Vec<u64>,
    /// Of each group, the places of its members.
    members: Vec<Vec<u64>>,
    /// The number of groups of each row.
    per_row: Vec<usize>,
}

fn group(elements: &Elements, keys: &ArrayRef) -> Result<Groups> {
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    let comparable = converter.convert_columns(&[Arc::clone(keys)])?;
    let missing = keys.logical_nulls();
    let mut groups = Groups { first: vec![], members: vec![], per_row: vec![] };
    let mut of_key = HashMap::new();
    for row in 0..elements.n_rows() {
        of_key.clear();
        for place in elements.places(row) {
            if missing.as_ref().is_some_and(|nulls| nulls.is_null(place)) {
                continue;
            }
            let group = *of_key.entry(comparable.row(place)).or_insert_with(|| {
                groups.first.push(place as u64);
                groups.members.push(vec![]);
                groups.first.len() - 1
            });
            groups.members[group].push(place as u64);
        }
        groups.per_row.push(of_key.len());
    }
    Ok(groups)
}
