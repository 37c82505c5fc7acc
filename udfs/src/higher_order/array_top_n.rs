//! `array_top_n`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::ranked::{Ranked, Ranking};

/// `array_top_n(array, n [, element -> key])`
pub fn array_top_n_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Ranked::<ArrayTopN>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "The `n` elements with the greatest key, greatest first. Elements of equal keys keep their order; elements without a key (NULL) come last. Fewer if the array has fewer; NULL if the array or `n` is NULL. Among floating-point keys NaN is the greatest.",
    syntax_example = "array_top_n(array, n [, element -> key])",
    sql_example = "```sql
> SELECT array_top_n([3, NULL, 7, 5], 2) AS best, array_top_n(['pear', 'fig', 'plum'], 2, w -> length(w)) AS longest;
+--------+--------------+
| best   | longest      |
+--------+--------------+
| [7, 5] | [pear, plum] |
+--------+--------------+
```",
    argument(
        name = "array",
        description = "An array of anything; without a key, of something that has an order."
    ),
    argument(name = "n", description = "How many: 0 or more."),
    argument(
        name = "key",
        description = "Lambda from an element to what it is sorted by; the element itself if left out."
    ),
    related_udf(name = "array_bottom_n")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayTopN;

impl Ranking for ArrayTopN {
    const NAME: &'static str = "array_top_n";
    const GREATEST: bool = true;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
