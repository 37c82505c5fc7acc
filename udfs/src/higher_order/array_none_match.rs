//! `array_none_match`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::quantifier::{Over, Quantified, Quantifier, Seen};

/// `array_none_match(array, element -> condition)`
pub fn array_none_match_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Quantified::<ArrayNoneMatch>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Whether no element satisfies the condition: the opposite of DataFusion's `array_any_match`. True for an empty array. NULL if none satisfies it but it is NULL for some, and for a NULL array.",
    syntax_example = "array_none_match(array, element -> condition)",
    sql_example = "```sql
> SELECT array_none_match([1, 3], x -> x % 2 = 0) AS odd, array_none_match([1, NULL], x -> x % 2 = 0) AS unsure;
+------+--------+
| odd  | unsure |
+------+--------+
| true |        |
+------+--------+
```",
    argument(name = "array", description = "An array of anything."),
    argument(name = "condition", description = "Lambda from an element to true or false."),
    related_udf(name = "array_all_match"),
    related_udf(name = "array_exists")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayNoneMatch;

impl Quantifier for ArrayNoneMatch {
    const NAME: &'static str = "array_none_match";
    const OVER: Over = Over::Array;
    const OF_NULL: Option<bool> = None;

    fn answer(seen: Seen) -> Option<bool> {
        seen.some().map(|some| !some)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
