//! `array_forall`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::quantifier::{Over, Quantified, Quantifier, Seen};

/// `array_forall(array, element -> condition)`
pub fn array_forall_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Quantified::<ArrayForall>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Whether every element satisfies the condition. Two-valued, unlike `array_all_match`: where the condition is NULL it is not satisfied, and a NULL array has no elements that could fail, so the answer is never NULL.",
    syntax_example = "array_forall(array, element -> condition)",
    sql_example = "```sql
> SELECT array_forall([2, NULL], x -> x > 1) AS greater, array_forall([2, NULL], x -> x IS NULL OR x > 1) AS or_null;
+---------+---------+
| greater | or_null |
+---------+---------+
| false   | true    |
+---------+---------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(name = "condition", description = "Lambda from an element to true or false."),
    related_udf(name = "array_all_match"),
    related_udf(name = "array_exists")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayForall;

impl Quantifier for ArrayForall {
    const NAME: &'static str = "array_forall";
    const OVER: Over = Over::Array;
    const OF_NULL: Option<bool> = Some(true);

    fn answer(seen: Seen) -> Option<bool> {
        seen.every().or(Some(false))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
