//! What ClickHouse, DuckDB and DataSketches answered to the same calls over the same random events; see
//! `tests/peers/functions.py`. `PEERS` names another file of answers than the one kept.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampSecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::Value;

/// An answer as the peers' answers are written: booleans are numbers, times are seconds, a struct is
/// the list of its fields.
fn plain(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::from(i64::from(column.as_boolean().value(row))),
        text if text.is_string() => {
            let text = arrow::compute::cast(&column.slice(row, 1), &DataType::Utf8).unwrap();
            Value::from(text.as_string::<i32>().value(0))
        }
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Value::from((0..items.len()).map(|i| plain(&items, i)).collect::<Vec<_>>())
        }
        DataType::Struct(_) => Value::from(
            column.as_struct().columns().iter().map(|field| plain(field, row)).collect::<Vec<_>>(),
        ),
        _ => {
            let number = arrow::compute::cast(&column.slice(row, 1), &DataType::Int64).unwrap();
            Value::from(number.as_primitive::<Int64Type>().value(0))
        }
    }
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        _ => ours == theirs,
    }
}

fn batch(rows: &Value) -> RecordBatch {
    let rows = rows.as_array().unwrap();
    let integers = |i: usize| rows.iter().map(move |row| row[i].as_i64().unwrap());
    let times = |i| Arc::new(TimestampSecondArray::from_iter_values(integers(i))) as ArrayRef;
    let value = rows.iter().map(|row| row[4].as_str());
    let mut columns = vec![
        ("g".to_string(), Arc::new(Int64Array::from_iter_values(integers(0))) as ArrayRef),
        ("ts".to_string(), times(1)),
        ("day_ts".to_string(), times(2)),
        ("value".to_string(), Arc::new(value.collect::<StringArray>())),
        ("id".to_string(), Arc::new(Int64Array::from_iter_values(integers(6)))),
        ("ts_number".to_string(), Arc::new(Int64Array::from_iter_values(integers(1)))),
        ("x".to_string(), Arc::new(rows.iter().map(|row| row[5].as_f64()).collect::<Float64Array>())),
    ];
    for bit in 0..4 {
        let condition = integers(3).map(|mask| Some(mask >> bit & 1 == 1)).collect::<BooleanArray>();
        columns.push((format!("c{}", bit + 1), Arc::new(condition)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test]
async fn peers() {
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peers.json");
    let path = std::env::var_os("PEERS").map_or(kept, PathBuf::from);
    let peers = serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
    let config = SessionConfig::new().with_target_partitions(2).with_batch_size(50);
    let ctx = SessionContext::new_with_config(config);
    coterie_udfs::register_all(&ctx).unwrap();
    for name in ["events", "ties", "many"] {
        ctx.register_batch(name, batch(&peers["tables"][name])).unwrap();
    }
    let mut different = String::new();
    for table in ["events", "ties", "many"] {
        let answers = peers["answers"].as_array().unwrap();
        let of_table = answers.iter().filter(|answer| answer["table"] == table).collect::<Vec<_>>();
        // Many calls in one query: planning is most of the time.
        for some in of_table.chunks(40) {
            let calls = some.iter().map(|answer| answer["call"].as_str().unwrap());
            let calls = calls.enumerate().map(|(i, call)| format!("{call} AS a{i}")).collect::<Vec<_>>();
            let query = format!("SELECT g, {} FROM {table} GROUP BY g ORDER BY g", calls.join(", "));
            let ours = ctx.sql(&query).await.unwrap().collect().await.unwrap();
            let ours = concat_batches(&ours[0].schema(), &ours).unwrap();
            for (i, answer) in some.iter().enumerate() {
                let theirs = answer["answers"].as_array().unwrap();
                assert_eq!(ours.num_rows(), theirs.len(), "{}", answer["call"]);
                let ours = (0..ours.num_rows())
                    .map(|row| Value::from(vec![plain(ours.column(0), row), plain(ours.column(i + 1), row)]));
                for (ours, theirs) in ours.zip(theirs).filter(|(ours, theirs)| !same(ours, theirs)).take(1) {
                    writeln!(
                        different,
                        "{table}: {}\n  group, answer {ours}, {} {theirs}",
                        answer["call"], answer["peer"]
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(different.is_empty(), "{different}");
}
