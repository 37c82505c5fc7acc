//! The fixture's schema and tables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use chrono::{DateTime, Utc};
use coterie::diagnostic;
use coterie::pql::Context;
use coterie::profile::{Bound, Events, ProfileStore, Profiles};
use coterie::resolve::{Member, Segments};
use serde_json::Value;

use crate::cases::path;

/// The instant that every expectation assumes.
pub(crate) fn now() -> DateTime<Utc> {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// A table of the fixture.
pub(crate) fn table(name: &str) -> RecordBatch {
    let text = std::fs::read(path(&format!("fixture/{name}.ndjson"))).unwrap();
    batch(name, &text)
}

/// A table of rows of some other data.
pub(crate) fn table_of(name: &str, rows: &[Value]) -> RecordBatch {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    batch(name, lines.join("\n").as_bytes())
}

fn batch(name: &str, text: &[u8]) -> RecordBatch {
    let schema = schema(name);
    let mut reader = ReaderBuilder::new(schema).with_batch_size(10_000).build(text).unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert!(reader.next().is_none());
    batch
}

/// The schema of a table of the fixture.
pub(crate) fn schema(name: &str) -> SchemaRef {
    let text = std::fs::read_to_string(path("fixture/schema.json")).unwrap();
    let types: Value = serde_json::from_str(&text).unwrap();
    let mut fields = vec![Field::new("profile_id", DataType::Utf8, false)];
    for (field, of) in types[name].as_object().unwrap() {
        let required = name == "events" && ["_id", "timestamp"].contains(&field.as_str());
        fields.push(Field::new(field, data_type(of), !required));
    }
    Arc::new(Schema::new(fields))
}

fn data_type(of: &Value) -> DataType {
    if let Some(name) = of.as_str() {
        return match name {
            "string" => DataType::Utf8,
            "boolean" => DataType::Boolean,
            "integer" => DataType::Int64,
            "double" => DataType::Float64,
            "date" => DataType::Date32,
            "timestamp" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            other => panic!("{other}"),
        };
    }
    if let Some(item) = of.get("array") {
        return DataType::List(Arc::new(Field::new("item", data_type(item), true)));
    }
    if let Some(value) = of.get("map") {
        let key = Field::new("keys", DataType::Utf8, false);
        let entries = Fields::from(vec![key, Field::new("values", data_type(value), true)]);
        return DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false);
    }
    let fields = of["struct"].as_object().unwrap();
    DataType::Struct(fields.iter().map(|(name, of)| Field::new(name, data_type(of), true)).collect())
}

/// The fixture as a profile store.
pub(crate) fn store() -> Arc<Bound> {
    let store = ProfileStore {
        name: "fixture".into(),
        profiles: Profiles { table: "profiles".into(), key: "profile_id".into() },
        events: vec![Events {
            table: "events".into(),
            key: "profile_id".into(),
            timestamp: "timestamp".into(),
            id: Some("_id".into()),
        }],
        lookups: vec![],
    };
    Arc::new(Bound { store, profiles: schema("profiles"), events: vec![schema("events")], lookups: vec![] })
}

/// The context of the fixture's queries.
pub(crate) fn context(store: &Bound) -> Context<'_> {
    Context { store, now: now(), segment: &|_| None }
}

/// A store without segments.
pub(crate) struct NoSegments;

impl Segments for NoSegments {
    fn rule(&self, _: &str) -> Option<diagnostic::Result<Member>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec![]
    }
}
