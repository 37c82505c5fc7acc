//! Every format over the same rows.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stream(batches: Vec<RecordBatch>, schema: &SchemaRef) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(
        Arc::clone(schema),
        futures::stream::iter(batches.into_iter().map(Ok)),
    ))
}

fn sample() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("name", Arc::new(StringArray::from(vec![Some("Zoë"), None, Some("a,\"b\"")]))),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(20), None]))),
        ("x", Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.25]))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn check(
    format: Format,
    limit: Option<usize>,
    batches: Vec<RecordBatch>,
    schema: &SchemaRef,
) -> String {
    let buffer = Buffer::default();
    let mut output = Output::new(Sink::new(Box::new(buffer.clone())), format);
    output.limit = limit;
    output.show("OK", schema, stream(batches, schema)).await.unwrap();
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn every_format() {
    let rows = sample();
    let show = |format| check(format, None, vec![rows.slice(0, 2), rows.slice(2, 1)], rows.schema_ref());
    assert_eq!(
        show(Format::Csv).await,
        "name,n,x,list\nZoë,1,1.5,\"[1,null]\"\n,20,NaN,\n\"a,\"\"b\"\"\",,-0.25,[]\n"
    );
    assert_eq!(
        show(Format::Tsv).await,
        "name\tn\tx\tlist\nZoë\t1\t1.5\t[1,null]\n\\N\t20\tNaN\t\\N\na,\"b\"\t\\N\t-0.25\t[]\n"
    );
    let objects = [
        r#"{"name":"Zoë","n":1,"x":1.5,"list":[1,null]}"#,
        r#"{"name":null,"n":20,"x":null,"list":null}"#,
        r#"{"name":"a,\"b\"","n":null,"x":-0.25,"list":[]}"#,
    ];
    assert_eq!(show(Format::Ndjson).await, objects.join("\n") + "\n");
    assert_eq!(show(Format::Json).await, format!("[\n{}\n]\n", objects.join(",\n")));
    insta::assert_snapshot!(show(Format::Table).await, @r#"
    ┌───────┬──────┬───────┬──────────┐
    │ name  │ n    │ x     │ list     │
    ├───────┼──────┼───────┼──────────┤
    │ Zoë   │    1 │   1.5 │ [1,null] │
    │ NULL  │   20 │   NaN │ NULL     │
    │ a,"b" │ NULL │ -0.25 │ []       │
    └───────┴──────┴───────┴──────────┘
    3 rows
    "#);
}

#[tokio::test]
async fn no_rows() {
    let rows = sample();
    let show = |format| check(format, None, vec![], rows.schema_ref());
    assert_eq!(show(Format::Csv).await, "name,n,x,list\n");
    assert_eq!(show(Format::Json).await, "[]\n");
    assert_eq!(show(Format::Ndjson).await, "");
    assert!(show(Format::Table).await.ends_with("0 rows\n"));
}

#[tokio::test]
async fn a_statement_without_columns_says_something_to_people_only() {
    let schema = Arc::new(Schema::empty());
    assert_eq!(check(Format::Table, None, vec![], &schema).await, "OK\n");
    for format in [Format::Csv, Format::Tsv, Format::Json, Format::Ndjson] {
        assert_eq!(check(format, None, vec![], &schema).await, "");
    }
}

#[tokio::test]
async fn a_table_is_limited_and_says_so() {
    let rows = sample();
    let text = check(Format::Table, Some(2), vec![rows.clone()], rows.schema_ref()).await;
    assert!(
        text.ends_with("first 2 rows; there are more, which another format or a LIMIT shows\n"),
        "{text}"
    );
    let text = check(Format::Table, Some(3), vec![rows.clone()], rows.schema_ref()).await;
    assert!(text.ends_with("\n3 rows\n"), "{text}");
}

#[tokio::test]
async fn a_closed_pipe_is_the_end_and_no_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rows = sample();
    for format in Format::value_variants() {
        let mut output = Output::new(Sink::new(Box::new(Closed)), *format);
        let shown = output.show("OK", rows.schema_ref(), stream(vec![rows.clone()], rows.schema_ref())).await;
        assert!(matches!(shown, Err(Stop::Closed)));
    }
}
