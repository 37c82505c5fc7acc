//! `regexp_group`: what a group of a regular expression matched.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;
use regex::Regex;

use crate::args::wrong_arity;

/// `regexp_group(text, regex, group)`
pub fn regexp_group_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(RegexpGroup {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Text"),
    description = "What a group of a regular expression matched in the first match; group 0 is the whole match. NULL if nothing matched, if the group took no part in the match, or if an argument is NULL. Other than `regexp_match` it keeps the numbers of groups that took no part.",
    syntax_example = "regexp_group(text, regex, group)",
    sql_example = r#"```sql
> SELECT regexp_group('ada@example.com', '@(\w+)', 1) AS host;
+---------+
| host    |
+---------+
| example |
+---------+
```"#,
    argument(name = "text", description = "The text searched."),
    argument(name = "regex", description = "A regular expression."),
    argument(name = "group", description = "The number of the group, from 1; 0 for the whole match.")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpGroup {
    signature: Signature,
}

impl ScalarUDFImpl for RegexpGroup {
    fn name(&self) -> &str {
        "regexp_group"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types.len() {
            3 => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64]),
            found => wrong_arity(self.name(), "(text, regex, group)", found),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [text, regex, group] = &arrays[..] else {
            return internal_err!("regexp_group planned with {} arguments", arrays.len());
        };
        let (text, regex) = (text.as_string::<i32>(), regex.as_string::<i32>());
        let group = group.as_primitive::<Int64Type>();
        // The expression is mostly a constant: the one of the row before is kept.
        let mut compiled: Option<(&str, Regex)> = None;
        let mut found = Vec::with_capacity(text.len());
        for row in 0..text.len() {
            if text.is_null(row) || regex.is_null(row) || group.is_null(row) {
                found.push(None);
                continue;
            }
            let pattern = regex.value(row);
            let known = compiled.take().filter(|(known, _)| *known == pattern);
            let (_, regex) = match known {
                Some(known) => compiled.insert(known),
                None => {
                    let regex =
                        Regex::new(pattern).map_err(|error| exec_datafusion_err!("regexp_group: {error}"))?;
                    compiled.insert((pattern, regex))
                }
            };
            let captures = regex.captures(text.value(row));
            let group = usize::try_from(group.value(row)).ok();
            found.push(
                captures.zip(group).and_then(|(captures, group)| captures.get(group)).map(|m| m.as_str()),
            );
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(found))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
