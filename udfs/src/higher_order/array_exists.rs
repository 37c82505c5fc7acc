//! `array_exists`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::quantifier::{Over, Quantified, Quantifier, Seen};

/// `array_exists(array, element -> condition)`
pub fn array_exists_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Quantified::<ArrayExists>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Whether some element satisfies the condition. Two-valued, unlike DataFusion's `array_any_match`: where the condition is NULL it is not satisfied, and a NULL array has no elements, so the answer is never NULL.",
    syntax_example = "array_exists(array, element -> condition)",
    sql_example = "```sql
> SELECT array_exists([1, NULL], x -> x > 1) AS greater, array_exists([1, NULL], x -> x = 1) AS one;
+---------+------+
| greater | one  |
+---------+------+
| false   | true |
+---------+------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(name = "condition", description = "Lambda from an element to true or false."),
    related_udf(name = "array_forall")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayExists;

impl Quantifier for ArrayExists {
    const NAME: &'static str = "array_exists";
    const OVER: Over = Over::Array;
    const OF_NULL: Option<bool> = Some(false);

    fn answer(seen: Seen) -> Option<bool> {
        seen.some().or(Some(false))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
