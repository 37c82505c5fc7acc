//! `map_filter`

use std::sync::Arc;

use arrow::array::{Array, MapArray, StructArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
    HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use datafusion_macros::user_doc;

use super::elements::{Elements, coerce_collection, collection_parameters, map_type, offsets};
use crate::args::wrong_type;

const NAME: &str = "map_filter";
const SYNTAX: &str = "(map, (key, value) -> condition)";

/// `map_filter(map, (key, value) -> condition)`
pub fn map_filter_hof() -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(MapFilter {
        signature: HigherOrderSignature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "The entries of the map that satisfy the condition, in their order. An entry for which the condition is NULL is left out; a NULL map gives NULL.",
    syntax_example = "map_filter(map, (key, value) -> condition)",
    sql_example = "```sql
> SELECT map_filter(MAP {'web': 2, 'app': 0}, (channel, visits) -> visits > 0) AS used;
+----------+
| used     |
+----------+
| {web: 2} |
+----------+
```",
    argument(name = "map", description = "A map of anything."),
    argument(name = "condition", description = "Lambda from a key and its value to true or false."),
    related_udf(name = "map_any_match")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct MapFilter {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for MapFilter {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_collection(NAME, SYNTAX, arg_types, map_type)
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        collection_parameters(NAME, SYNTAX, fields)
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [ValueOrLambda::Value(map), ValueOrLambda::Lambda(condition)] = args.arg_fields else {
            return internal_err!("{NAME} planned with other arguments than it takes");
        };
        if !matches!(condition.data_type(), DataType::Boolean | DataType::Null) {
            return Err(wrong_type(NAME, "condition", "true or false", condition.data_type()));
        }
        Ok(Arc::clone(map))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(map), ValueOrLambda::Lambda(condition)] = args.args.as_slice() else {
            return internal_err!("{NAME} planned with other arguments than it takes");
        };
        let map = map.to_array(args.number_rows)?;
        let DataType::Map(entries, sorted) = map.data_type() else {
            return internal_err!("{NAME} planned with {}", map.data_type());
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return internal_err!("{NAME} planned with {}", map.data_type());
        };
        let elements = Elements::of(&map)?;
        let matches = elements.condition(condition)?;
        let mut kept = vec![];
        let mut lengths = Vec::with_capacity(elements.n_rows());
        for row in 0..elements.n_rows() {
            let before = kept.len();
            let matching =
                elements.places(row).filter(|place| matches.is_valid(*place) && matches.value(*place));
            kept.extend(matching.map(|place| place as u64));
            lengths.push(kept.len() - before);
        }
        let kept = StructArray::try_new(fields.clone(), elements.take(kept)?, None)?;
        let nulls = elements.nulls().cloned();
        let filtered = MapArray::try_new(Arc::clone(entries), offsets(&lengths)?, kept, nulls, *sorted)?;
        Ok(ColumnarValue::Array(Arc::new(filtered)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
