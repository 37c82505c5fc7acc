//! `array_bottom_n`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::ranked::{Ranked, Ranking};

/// `array_bottom_n(array, n [, element -> key])`
pub fn array_bottom_n_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Ranked::<ArrayBottomN>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "The `n` elements with the smallest key, smallest first. Elements of equal keys keep their order; elements without a key (NULL) come last. Fewer if the array has fewer; NULL if the array or `n` is NULL. Among floating-point keys NaN is the greatest.",
    syntax_example = "array_bottom_n(array, n [, element -> key])",
    sql_example = "```sql
> SELECT array_bottom_n([3, NULL, 7, 5], 2) AS least, array_bottom_n(['pear', 'fig', 'plum'], 2, w -> length(w)) AS shortest;
+--------+-------------+
| least  | shortest    |
+--------+-------------+
| [3, 5] | [fig, pear] |
+--------+-------------+
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
    related_udf(name = "array_top_n")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct ArrayBottomN;

impl Ranking for ArrayBottomN {
    const NAME: &'static str = "array_bottom_n";
    const GREATEST: bool = false;

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
