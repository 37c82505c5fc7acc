//! `map_to_entries`: a map as an array of its entries.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_macros::user_doc;

use crate::args::{wrong_arity, wrong_type};

/// `map_to_entries(map)`
pub fn map_to_entries_udf() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(MapToEntries {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[user_doc(
    doc_section(label = "Lists and maps"),
    description = "The entries of a map as an array of structs with the fields `key` and `value`, in the order of the map. NULL for a NULL map. Other than `map_entries` it takes maps whose entries have any field names, as those read from files do.",
    syntax_example = "map_to_entries(map)",
    sql_example = r#"```sql
> SELECT map_to_entries(MAP {'a': 1, 'b': 2}) AS entries;
+------------------------------------------+
| entries                                  |
+------------------------------------------+
| [{key: a, value: 1}, {key: b, value: 2}] |
+------------------------------------------+
```"#,
    argument(name = "map", description = "A map.")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
struct MapToEntries {
    signature: Signature,
}

/// The fields of an entry, named alike for every map.
fn entry_fields(map: &DataType) -> Option<Fields> {
    let DataType::Map(entries, _) = map else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key, value] = &fields[..] else { return None };
    let rename = |field: &FieldRef, name: &str| Arc::new(Field::new(name, field.data_type().clone(), true));
    Some(Fields::from(vec![rename(key, "key"), rename(value, "value")]))
}

impl ScalarUDFImpl for MapToEntries {
    fn name(&self) -> &str {
        "map_to_entries"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [found] = arg_types else { return wrong_arity(self.name(), "(map)", arg_types.len()) };
        match entry_fields(found) {
            Some(_) => Ok(arg_types.to_vec()),
            None => Err(wrong_type(self.name(), "map", "a map", found)),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first().and_then(entry_fields) {
            Some(fields) => {
                Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields), true))))
            }
            None => internal_err!("map_to_entries planned without a map"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(map) = arrays.first().and_then(|array| array.as_map_opt()) else {
            return internal_err!("map_to_entries planned without a map");
        };
        let Some(fields) = entry_fields(map.data_type()) else {
            return internal_err!("map_to_entries planned without a map");
        };
        let columns: Vec<ArrayRef> = vec![Arc::clone(map.keys()), Arc::clone(map.values())];
        let item = Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true));
        let entries = StructArray::try_new(fields, columns, None)?;
        let list = ListArray::try_new(item, map.offsets().clone(), Arc::new(entries), map.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}
