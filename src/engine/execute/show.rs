//! `SHOW SEGMENTS`, `SHOW PROFILE STORES`, `SHOW CREATE SEGMENT`, `DESCRIBE SEGMENT`.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::engine::Session;
use crate::engine::scope::Scope;
use crate::error::Result;
use crate::profile::{ProfileStore, Referrer};
use crate::segment::{Name, Segment};
use crate::session::instant_field;
use crate::statement::create_statement;
use crate::warehouse;

use super::{batch, text_columns};

pub(super) fn segments_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("segment", DataType::Utf8, false),
        Field::new("store", DataType::Utf8, false),
        Field::new("language", DataType::Utf8, false),
        Field::new("members", DataType::Int64, true),
        instant_field("evaluated_as_of"),
        Field::new("comment", DataType::Utf8, true),
    ]))
}

pub(super) async fn segments(session: &Session) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let stored = scope.stored_audiences().await?;
    let mut segments: Vec<Arc<Segment>> = vec![];
    for name in scope.names(warehouse::Kind::Segment) {
        if !scope.principal.may_read_segment(name) {
            continue;
        }
        segments.extend(scope.segment(name)?);
    }
    let of = |segment: &Segment| stored.get(&segment.name);
    let members: Int64Array = segments
        .iter()
        .map(|segment| of(segment).and_then(|stored| i64::try_from(stored.members).ok()))
        .collect();
    let evaluated: TimestampMicrosecondArray =
        segments.iter().map(|segment| of(segment).map(|stored| stored.as_of.timestamp_micros())).collect();
    let text =
        |f: &dyn Fn(&Segment) -> Option<String>| -> StringArray { segments.iter().map(|s| f(s)).collect() };
    batch(
        segments_schema(),
        vec![
            Arc::new(text(&|segment| Some(segment.name.clone()))),
            Arc::new(text(&|segment| Some(segment.store.clone()))),
            Arc::new(text(&|segment| Some(segment.language.as_str().to_owned()))),
            Arc::new(members),
            Arc::new(evaluated.with_timezone("UTC")),
            Arc::new(text(&|segment| segment.comment.clone())),
        ],
    )
}

pub(super) fn stores_schema() -> SchemaRef {
    text_columns(&["store", "profiles", "events", "lookups"])
}

pub(super) async fn stores(session: &Session) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let mut stores: Vec<Arc<ProfileStore>> = vec![];
    for name in scope.names(warehouse::Kind::ProfileStore) {
        stores.extend(scope.store(name)?);
    }
    let text =
        |f: &dyn Fn(&ProfileStore) -> String| -> StringArray { stores.iter().map(|s| Some(f(s))).collect() };
    batch(
        stores_schema(),
        vec![
            Arc::new(text(&|store| store.name.clone())),
            Arc::new(text(&|store| format!("{} ({})", store.profiles.table, store.profiles.key))),
            Arc::new(text(&events_text)),
            Arc::new(text(&lookups_text)),
        ],
    )
}

/// The event tables of a store, in words.
pub(crate) fn events_text(store: &ProfileStore) -> String {
    let events =
        store.events.iter().map(|events| format!("{} ({}, {})", events.table, events.key, events.timestamp));
    events.collect::<Vec<_>>().join("; ")
}

/// The lookups of a store, in words.
pub(crate) fn lookups_text(store: &ProfileStore) -> String {
    let lookups = store.lookups.iter().map(|lookup| {
        let on = match lookup.on {
            Referrer::Profiles => store.profiles.table.as_str(),
            Referrer::Events(at) => store.events.get(at).map_or("", |events| events.table.as_str()),
        };
        format!("{} ({}) on {on} ({})", lookup.table, lookup.key, lookup.column)
    });
    lookups.collect::<Vec<_>>().join("; ")
}

pub(super) async fn create_segment(session: &Session, name: &Name) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let segment = find(&scope, name)?;
    let names = StringArray::from(vec![segment.name.as_str()]);
    let statements = StringArray::from(vec![create_statement(&segment)]);
    batch(text_columns(&["segment", "statement"]), vec![Arc::new(names), Arc::new(statements)])
}

pub(super) async fn describe_segment(session: &Session, name: &Name) -> Result<RecordBatch> {
    let scope = session.scope().await?;
    let segment = find(&scope, name)?;
    let stored = scope.stored_audiences().await?.remove(&segment.name);
    let entry = scope.snapshot.get(warehouse::Kind::Segment, &segment.name);
    let rows = [
        ("name", Some(segment.name.clone())),
        ("store", Some(segment.store.clone())),
        ("language", Some(segment.language.as_str().to_owned())),
        ("id", segment.id.clone()),
        ("comment", segment.comment.clone()),
        ("rule", Some(segment.rule.clone())),
        ("version", entry.map(|entry| entry.version.to_string())),
        ("created_at", entry.map(|entry| entry.created_at.to_rfc3339())),
        ("members", stored.as_ref().map(|stored| stored.members.to_string())),
        ("evaluated_as_of", stored.as_ref().map(|stored| stored.as_of.to_rfc3339())),
    ];
    let properties: StringArray = rows.iter().map(|(property, _)| Some(*property)).collect();
    let values: StringArray = rows.iter().map(|(_, value)| value.clone()).collect();
    batch(text_columns(&["property", "value"]), vec![Arc::new(properties), Arc::new(values)])
}

fn find(scope: &Scope, name: &Name) -> Result<Arc<Segment>> {
    Ok(scope.segment(&name.value)?.ok_or_else(|| scope.unknown_segment(&name.value).at(name.span))?)
}
