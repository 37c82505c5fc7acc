//! `array_all_match`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::quantifier::{Over, Quantified, Quantifier, Seen};

/// `array_all_match(array, element -> condition)`
pub fn array_all_match_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Quantified::<ArrayAllMatch>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Whether every element satisfies the condition; true for an empty array. As with AND, the answer is NULL if none fails but the condition is NULL for some; a NULL array gives NULL. See `array_forall` for an answer that is never NULL.",
    syntax_example = "array_all_match(array, element -> condition)",
    sql_example = "```sql
> SELECT array_all_match([2, 4], x -> x % 2 = 0) AS even, array_all_match([2, NULL], x -> x % 2 = 0) AS unsure;
+------+--------+
| even | unsure |
+------+--------+
| true |        |
+------+--------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(name = "condition", description = "Lambda from an element to true or false."),
    related_udf(name = "array_forall"),
    related_udf(name = "array_none_match")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayAllMatch;

impl Quantifier for ArrayAllMatch {
    const NAME: &'static str = "array_all_match";
    const OVER: Over = Over::Array;
    const OF_NULL: Option<bool> = None;

    fn answer(seen: Seen) -> Option<bool> {
        seen.every()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
