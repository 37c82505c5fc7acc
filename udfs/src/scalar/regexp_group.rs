//! `regexp_group`: what a group of a regular expression matched.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarUDF};
use datafusion_macros::user_doc;
use regex::Regex;

use super::function::{Function, scalar_udf};
use crate::args::{coerce_integer, is_text, plain, wrong_arity, wrong_type};

/// `regexp_group(text, regex, group)`
pub fn regexp_group_udf() -> Arc<ScalarUDF> {
    scalar_udf::<RegexpGroup>()
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
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct RegexpGroup;

impl Function for RegexpGroup {
    const NAME: &'static str = "regexp_group";

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, regex, group] = types else {
            return wrong_arity(Self::NAME, "(text, regex, group)", types.len());
        };
        for (argument, found) in [("text", text), ("regex", regex)] {
            if !is_text(found) && !plain(found).is_null() {
                return Err(wrong_type(Self::NAME, argument, "a text", found));
            }
        }
        Ok(vec![DataType::Utf8, DataType::Utf8, coerce_integer(Self::NAME, "group", group)?])
    }

    fn return_type(_: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn check(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        let group = match constants.get(2) {
            Some(Some(ScalarValue::Int64(Some(group)))) => Some(*group),
            _ => None,
        };
        if let Some(group) = group.filter(|group| *group < 0) {
            return plan_err!("regexp_group: `group` must be 0 or more, found {group}");
        }
        let Some(pattern) =
            constants.get(1).copied().flatten().and_then(|regex| regex.try_as_str().flatten())
        else {
            return Ok(());
        };
        let regex = Regex::new(pattern)
            .map_err(|error| plan_datafusion_err!("regexp_group: `regex` '{pattern}': {error}"))?;
        match group.filter(|group| *group >= i64::try_from(regex.captures_len()).unwrap_or(i64::MAX)) {
            Some(group) => {
                let n = regex.captures_len() - 1;
                plan_err!(
                    "regexp_group: `group` must be at most {n}, the number of groups of '{pattern}', found {group}"
                )
            }
            None => Ok(()),
        }
    }

    fn invoke(args: &[ColumnarValue], n_rows: usize) -> Result<ArrayRef> {
        let arrays = args.iter().map(|arg| arg.to_array(n_rows)).collect::<Result<Vec<_>>>()?;
        let (text, regex) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
        let group = arrays[2].as_primitive::<Int64Type>();
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
                    let regex = Regex::new(pattern).map_err(|error| {
                        exec_datafusion_err!("regexp_group: `regex` '{pattern}': {error}")
                    })?;
                    compiled.insert((pattern, regex))
                }
            };
            let captures = regex.captures(text.value(row));
            let group = usize::try_from(group.value(row)).ok();
            found.push(
                captures.zip(group).and_then(|(captures, group)| captures.get(group)).map(|m| m.as_str()),
            );
        }
        Ok(Arc::new(StringArray::from(found)))
    }
}
