//! `map_any_match`

use std::sync::Arc;

use datafusion::logical_expr::{Documentation, HigherOrderUDF};
use datafusion_macros::user_doc;

use super::quantifier::{Over, Quantified, Quantifier, Seen};

/// `map_any_match(map, (key, value) -> condition)`
pub fn map_any_match_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Quantified::<MapAnyMatch>::default()))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "Whether some entry of the map satisfies the condition; false for an empty map. As with OR, the answer is NULL if none does but the condition is NULL for some; a NULL map gives NULL. `coalesce(..., false)` makes it two-valued.",
    syntax_example = "map_any_match(map, (key, value) -> condition)",
    sql_example = "```sql
> SELECT map_any_match(MAP {'web': 2, 'app': 0}, (channel, visits) -> visits > 1) AS often;
+-------+
| often |
+-------+
| true  |
+-------+
```",
    argument(name = "map", description = "A map of anything."),
    argument(name = "condition", description = "Lambda from a key and its value to true or false."),
    related_udf(name = "map_filter")
)]
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct MapAnyMatch;

impl Quantifier for MapAnyMatch {
    const NAME: &'static str = "map_any_match";
    const OVER: Over = Over::Map;
    const OF_NULL: Option<bool> = None;

    fn answer(seen: Seen) -> Option<bool> {
        seen.some()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
