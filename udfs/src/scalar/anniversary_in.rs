//! `anniversary_in`: birthdays and other days that come back every year.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Date32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::args::{plain, wrong_arity, wrong_type};
use crate::kernel::calendar::{self, Celebrated};

/// For more dates than this the days of a year are looked at first.
const MANY: usize = 1 << 10;

const ARGUMENTS: [&str; 3] = ["date", "from", "to"];

/// `anniversary_in(date, from, to)`
pub fn anniversary_in_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(AnniversaryIn::new()))
}

#[user_doc(
    doc_section(label = "Calendar"),
    description = "Whether some anniversary of `date`, the same month and day of any year, is one of the days from `from` to `to`, both included. 29 February is celebrated on 28 February in years without it. NULL if an argument is NULL; false if `from` is after `to`. Of a timestamp its day counts, in its own time zone.",
    syntax_example = "anniversary_in(date, from, to)",
    sql_example = r#"```sql
> SELECT anniversary_in(DATE '1990-01-02', DATE '2025-12-30', DATE '2025-12-30' + INTERVAL '7 days') AS birthday;
+----------+
| birthday |
+----------+
| true     |
+----------+
```"#,
    argument(name = "date", description = "The day celebrated: a date or a timestamp."),
    argument(name = "from", description = "First day looked at: a date or a timestamp."),
    argument(name = "to", description = "Last day looked at: a date or a timestamp.")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct AnniversaryIn {
    signature: Signature,
}

impl AnniversaryIn {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AnniversaryIn {
    fn name(&self) -> &str {
        "anniversary_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() != ARGUMENTS.len() {
            return wrong_arity(self.name(), "(date, from, to)", arg_types.len());
        }
        for (argument, found) in ARGUMENTS.iter().zip(arg_types) {
            match plain(found) {
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) | DataType::Null => {}
                _ => {
                    let expected = "a date or a timestamp (write DATE '2026-01-31' or CAST(... AS DATE))";
                    return Err(wrong_type(self.name(), argument, expected, found));
                }
            }
        }
        Ok(vec![DataType::Date32; ARGUMENTS.len()])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let n_rows = if constant { 1 } else { args.number_rows };
        let [date, from, to] = args.args.as_slice() else {
            return internal_err!("anniversary_in planned with {} arguments", args.args.len());
        };
        let (date, from, to) = (Days::new(date)?, Days::new(from)?, Days::new(to)?);
        let answer: BooleanArray = match (&date, &from, &to) {
            (Days::Each(dates), Days::Same(Some(from)), Days::Same(Some(to))) if n_rows > MANY => {
                let celebrated = Celebrated::new(*from, *to);
                let answers =
                    BooleanBuffer::collect_bool(n_rows, |row| celebrated.includes(dates.value(row)));
                BooleanArray::new(answers, dates.nulls().cloned())
            }
            _ => (0..n_rows)
                .map(|row| Some(calendar::anniversary_in(date.get(row)?, from.get(row)?, to.get(row)?)))
                .collect(),
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(answer)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

/// Days of an argument; the range is mostly the same for all rows and not worth a column.
enum Days<'a> {
    Same(Option<i32>),
    Each(&'a Date32Array),
}

impl<'a> Days<'a> {
    fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Date32(days)) => Ok(Self::Same(*days)),
            ColumnarValue::Array(values) => match values.as_primitive_opt::<Date32Type>() {
                Some(days) => Ok(Self::Each(days)),
                None => internal_err!("anniversary_in planned with {}", values.data_type()),
            },
            ColumnarValue::Scalar(other) => {
                internal_err!("anniversary_in planned with {}", other.data_type())
            }
        }
    }

    fn get(&self, row: usize) -> Option<i32> {
        match self {
            Self::Same(days) => *days,
            Self::Each(days) => days.is_valid(row).then(|| days.value(row)),
        }
    }
}
