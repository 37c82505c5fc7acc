//! Schema `coterie`: what coterie knows about itself, as tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::FunctionRegistry;

use crate::bug;
use crate::error::Result;
use crate::segment::{Form, Segment};
use crate::session::instant_field;
use crate::warehouse::Kind;

use super::entry::parse;
use super::evaluate::Figures;
use super::execute::{events_text, lookups_text};
use super::queries::Query;
use super::scope::Scope;

/// The tables.
pub(super) const NAMES: &[&str] = &[
    "segments",
    "segment_versions",
    "evaluations",
    "memberships",
    "profile_stores",
    "functions",
    "layouts",
    "queries",
];

/// A table by name.
pub(super) async fn table(scope: &Arc<Scope>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let columns = match name {
        "segments" => segments(scope).await?,
        "segment_versions" => segment_versions(scope).await?,
        "evaluations" => evaluations(scope).await?,
        "memberships" => return Ok(Some(memberships(scope).await?)),
        "profile_stores" => profile_stores(scope)?,
        "functions" => functions(scope),
        "layouts" => layouts(scope).await?,
        "queries" => queries(scope),
        _ => return Ok(None),
    };
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| bug!("the rows of coterie.{name} do not fit its columns: {error}"))?;
    Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
}

type Column = (Field, ArrayRef);

fn text<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
    (Field::new(name, DataType::Utf8, true), Arc::new(values.collect::<StringArray>()))
}

fn count(name: &str, values: impl Iterator<Item = Option<u64>>) -> Column {
    let values = values.map(|value| value.and_then(|value| i64::try_from(value).ok()));
    (Field::new(name, DataType::Int64, true), Arc::new(values.collect::<Int64Array>()))
}

fn instant(name: &str, values: impl Iterator<Item = Option<DateTime<Utc>>>) -> Column {
    let values = values.map(|value| value.map(|value| value.timestamp_micros()));
    (instant_field(name), Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
}

async fn segments(scope: &Arc<Scope>) -> Result<Vec<Column>> {
    let stored = scope.stored_audiences().await?;
    let mut rows = vec![];
    for name in scope.names(Kind::Segment) {
        if let (Some(segment), Some(entry)) = (scope.segment(name)?, scope.snapshot.get(Kind::Segment, name))
        {
            rows.push((segment, entry.version, entry.created_at, stored.get(name)));
        }
    }
    Ok(vec![
        text("segment", rows.iter().map(|(segment, ..)| Some(segment.name.as_str()))),
        text("store", rows.iter().map(|(segment, ..)| Some(segment.store.as_str()))),
        text("language", rows.iter().map(|(segment, ..)| Some(segment.language.as_str()))),
        text("rule", rows.iter().map(|(segment, ..)| Some(segment.rule.as_str()))),
        text("comment", rows.iter().map(|(segment, ..)| segment.comment.as_deref())),
        count("version", rows.iter().map(|(_, version, ..)| Some(*version))),
        instant("created_at", rows.iter().map(|(_, _, created_at, _)| Some(*created_at))),
        count("members", rows.iter().map(|(.., stored)| stored.map(|stored| stored.members))),
        instant("evaluated_as_of", rows.iter().map(|(.., stored)| stored.map(|stored| stored.as_of))),
        text("id", rows.iter().map(|(segment, ..)| segment.id.as_deref())),
    ])
}

async fn segment_versions(scope: &Arc<Scope>) -> Result<Vec<Column>> {
    let mut rows = vec![];
    for name in scope.snapshot.names(Kind::Segment) {
        for entry in scope.engine.warehouse.history(Kind::Segment, name).await? {
            let segment = if entry.deleted { None } else { Some(parse::<Segment>(&entry)?) };
            rows.push((entry, segment));
        }
    }
    let deleted: BooleanArray = rows.iter().map(|(entry, _)| Some(entry.deleted)).collect();
    Ok(vec![
        text("segment", rows.iter().map(|(entry, _)| Some(entry.name.as_str()))),
        count("version", rows.iter().map(|(entry, _)| Some(entry.version))),
        instant("created_at", rows.iter().map(|(entry, _)| Some(entry.created_at))),
        (Field::new("dropped", DataType::Boolean, true), Arc::new(deleted)),
        text("store", rows.iter().map(|(_, segment)| segment.as_ref().map(|s| s.store.as_str()))),
        text("language", rows.iter().map(|(_, segment)| segment.as_ref().map(|s| s.language.as_str()))),
        text("rule", rows.iter().map(|(_, segment)| segment.as_ref().map(|s| s.rule.as_str()))),
        text("comment", rows.iter().map(|(_, segment)| segment.as_ref().and_then(|s| s.comment.as_deref()))),
    ])
}

/// A row an evaluation and segment.
async fn evaluations(scope: &Arc<Scope>) -> Result<Vec<Column>> {
    let mut rows = vec![];
    for store in scope.names(Kind::ProfileStore) {
        let Ok(bound) = scope.bound(store).await else { continue };
        for evaluation in scope.engine.audiences(&bound).await?.evaluations().await? {
            let figures: Figures =
                serde_json::from_value(evaluation.report.figures.clone()).unwrap_or_default();
            for (segment, change) in &evaluation.report.segments {
                rows.push((store, Arc::clone(&evaluation), figures.clone(), segment.clone(), *change));
            }
        }
    }
    let seconds: Float64Array = rows.iter().map(|(_, _, figures, ..)| Some(figures.seconds)).collect();
    Ok(vec![
        text(
            "evaluation_id",
            rows.iter().map(|(_, evaluation, ..)| Some(evaluation.report.evaluation.as_str())),
        ),
        text("store", rows.iter().map(|(store, ..)| Some(*store))),
        instant("as_of", rows.iter().map(|(_, evaluation, ..)| Some(evaluation.report.as_of))),
        instant("committed_at", rows.iter().map(|(_, evaluation, ..)| Some(evaluation.committed_at))),
        text("segment", rows.iter().map(|(.., segment, _)| Some(segment.as_str()))),
        count("members", rows.iter().map(|(.., change)| Some(change.members))),
        count("entered", rows.iter().map(|(.., change)| Some(change.entered))),
        count("exited", rows.iter().map(|(.., change)| Some(change.exited))),
        count("profiles", rows.iter().map(|(_, _, figures, ..)| Some(figures.profiles))),
        count("null_keys", rows.iter().map(|(_, _, figures, ..)| Some(figures.null_keys))),
        count("events", rows.iter().map(|(_, _, figures, ..)| Some(figures.events))),
        count("orphan_events", rows.iter().map(|(_, _, figures, ..)| figures.orphan_events)),
        count("bytes_scanned", rows.iter().map(|(_, _, figures, ..)| Some(figures.bytes_scanned))),
        (Field::new("seconds", DataType::Float64, true), Arc::new(seconds)),
    ])
}

/// The memberships of all stores: a union of the stores' tables, with keys as text.
async fn memberships(scope: &Arc<Scope>) -> Result<Arc<dyn TableProvider>> {
    use datafusion::datasource::provider_as_source;
    use datafusion::logical_expr::{LogicalPlanBuilder, cast, col, ident, lit};
    let mut union: Option<LogicalPlanBuilder> = None;
    for store in scope.names(Kind::ProfileStore) {
        let Ok(bound) = scope.bound(store).await else { continue };
        let table = scope.engine.audiences(&bound).await?.memberships().await?;
        let key = ident(&bound.store.profiles.key);
        let part =
            LogicalPlanBuilder::scan("memberships", provider_as_source(table), None)?.project(vec![
                lit(store).alias("store"),
                col("segment"),
                cast(key, DataType::Utf8).alias("profile_key"),
                col("status"),
                col("entered_at"),
                col("last_qualified_at"),
                col("exited_at"),
            ])?;
        union = Some(match union {
            None => part,
            Some(whole) => whole.union(part.build()?)?,
        });
    }
    match union {
        Some(union) => Ok(Arc::new(datafusion::catalog::view::ViewTable::new(union.build()?, None))),
        None => {
            let texts = ["store", "segment", "profile_key", "status"];
            let instants = ["entered_at", "last_qualified_at", "exited_at"];
            let fields = texts.iter().map(|name| Field::new(*name, DataType::Utf8, true));
            let fields: Vec<Field> = fields.chain(instants.iter().map(|name| instant_field(name))).collect();
            Ok(Arc::new(EmptyTable::new(Arc::new(Schema::new(fields)))))
        }
    }
}

fn profile_stores(scope: &Scope) -> Result<Vec<Column>> {
    let mut stores = vec![];
    for name in scope.names(Kind::ProfileStore) {
        stores.extend(scope.store(name)?);
    }
    let events: Vec<String> = stores.iter().map(|store| events_text(store)).collect();
    let lookups: Vec<String> = stores.iter().map(|store| lookups_text(store)).collect();
    Ok(vec![
        text("store", stores.iter().map(|store| Some(store.name.as_str()))),
        text("profiles", stores.iter().map(|store| Some(store.profiles.table.as_str()))),
        text("profile_key", stores.iter().map(|store| Some(store.profiles.key.as_str()))),
        text("events", events.iter().map(|events| Some(events.as_str()))),
        text("lookups", lookups.iter().map(|lookups| Some(lookups.as_str()))),
    ])
}

/// A row a laid-out event table.
async fn layouts(scope: &Arc<Scope>) -> Result<Vec<Column>> {
    let mut rows = vec![];
    for store in scope.names(Kind::ProfileStore) {
        let Ok(bound) = scope.bound(store).await else { continue };
        for (at, events) in bound.store.events.iter().enumerate() {
            let Some(table) = scope.event_table(at, &bound.store)? else { continue };
            let stored = scope.engine.layouts().stored(&table.source(&bound), &scope.state()).await?;
            rows.extend(stored.map(|stored| (store, events.table.clone(), stored)));
        }
    }
    let current: BooleanArray = rows.iter().map(|(.., stored)| Some(stored.is_current)).collect();
    let registered: BooleanArray =
        rows.iter().map(|(.., stored)| Some(stored.layout.registered.is_some())).collect();
    let number = |n: usize| u64::try_from(n).ok();
    Ok(vec![
        text("store", rows.iter().map(|(store, ..)| Some(*store))),
        text("events", rows.iter().map(|(_, events, _)| Some(events.as_str()))),
        (Field::new("is_current", DataType::Boolean, true), Arc::new(current)),
        (Field::new("is_registered", DataType::Boolean, true), Arc::new(registered)),
        count("buckets", rows.iter().map(|(.., stored)| Some(u64::from(stored.layout.buckets)))),
        count("files", rows.iter().map(|(.., stored)| number(stored.layout.files.len()))),
        count("rows", rows.iter().map(|(.., stored)| Some(stored.layout.rows()))),
        count("bytes", rows.iter().map(|(.., stored)| Some(stored.layout.bytes()))),
        count("source_files", rows.iter().map(|(.., stored)| number(stored.source_files))),
        text("location", rows.iter().map(|(.., stored)| Some(stored.layout.url.as_str()))),
    ])
}

/// The statements that run now: everyone's for an admin, for others their own.
fn queries(scope: &Arc<Scope>) -> Vec<Column> {
    let mut running = scope.engine.queries().running();
    running.retain(|query| scope.principal.may_see(query));
    let state = |query: &Query| if query.is_running() { "running" } else { "planning" };
    let seconds: Float64Array = running.iter().map(|query| Some(query.running_for().as_secs_f64())).collect();
    let ids: Vec<String> = running.iter().map(|query| query.id.to_string()).collect();
    let addresses: Vec<Option<String>> =
        running.iter().map(|query| query.client.address.map(|address| address.to_string())).collect();
    vec![
        text("query_id", ids.iter().map(|id| Some(id.as_str()))),
        text("user", running.iter().map(|query| Some(query.client.principal.name.as_str()))),
        text("protocol", running.iter().map(|query| Some(query.client.protocol))),
        text("client", addresses.iter().map(Option::as_deref)),
        text("state", running.iter().map(|query| Some(state(query)))),
        instant("started_at", running.iter().map(|query| Some(query.started_at))),
        (Field::new("seconds", DataType::Float64, true), Arc::new(seconds)),
        count("rows", running.iter().map(|query| Some(query.rows()))),
        text("statement", running.iter().map(|query| Some(query.text.as_str()))),
    ]
}

/// Every function, and the short forms of rules.
fn functions(scope: &Arc<Scope>) -> Vec<Column> {
    let state = scope.state();
    let mut rows: Vec<[String; 4]> = Form::ALL
        .iter()
        .map(|form| [form.name(), "rule", form.signature(), form.doc()].map(|text| text.trim().to_owned()))
        .collect();
    let mut add = |name: &str, sort: &str, doc: Option<&datafusion::logical_expr::Documentation>| {
        let (syntax, description) = doc.map_or((String::new(), String::new()), |doc| {
            (doc.syntax_example.clone(), doc.description.clone())
        });
        rows.push([name.to_owned(), sort.to_owned(), syntax, description]);
    };
    for (name, function) in state.scalar_functions() {
        add(name, "scalar", function.documentation());
    }
    for (name, function) in state.higher_order_functions() {
        add(name, "higher-order", function.documentation());
    }
    for (name, function) in state.aggregate_functions() {
        add(name, "aggregate", function.documentation());
    }
    for name in state.udwfs() {
        if let Some(function) = state.window_functions().get(&name) {
            add(&name, "window", function.documentation());
        }
    }
    rows.sort();
    let column = |at: usize, name: &str| text(name, rows.iter().map(|row| Some(row[at].as_str())));
    vec![column(0, "function"), column(1, "kind"), column(2, "syntax"), column(3, "description")]
}
