//! How fast rules become SQL: parsed, checked, resolved and printed, without planning or data.
//!
//! `cargo bench --bench compile`; one core, thousands of rules a second is what is wanted.

#![expect(clippy::panic, reason = "a benchmark that cannot go on fails")]

mod fixture;

use std::hint::black_box;
use std::sync::Arc;

use coterie::pql;
use coterie::profile::{Bound, Events, ProfileStore, Profiles};
use coterie::resolve::{self, Member, Segments};
use coterie::segment::{Expr, Language};
use coterie::session::Registered;
use coterie::{diagnostic, planner, statement};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::prelude::{SessionConfig, SessionContext};

use fixture::{read, schema};

struct NoSegments;

impl Segments for NoSegments {
    fn rule(&self, _: &str) -> Option<diagnostic::Result<Member>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec![]
    }
}

/// The store of the PQL cases.
fn store() -> Arc<Bound> {
    let events = Events {
        table: "events".into(),
        key: "profile_id".into(),
        timestamp: "timestamp".into(),
        id: Some("_id".into()),
    };
    let profiles = Profiles { table: "profiles".into(), key: "profile_id".into() };
    let store = ProfileStore { name: "fixture".into(), profiles, events: vec![events], lookups: vec![] };
    Arc::new(Bound { store, profiles: schema("profiles"), events: vec![schema("events")], lookups: vec![] })
}

/// The cases of the specification that compile, `pql/text` only.
fn queries() -> Vec<String> {
    let text = read("conformance.yaml");
    let cases =
        text.split("\n- id: ").filter(|case| !case.contains("\n  error: ") && !case.contains("pql/json"));
    let query = |case: &str| {
        let line = case.lines().find_map(|line| line.trim_start().strip_prefix("pql: "))?;
        serde_json::from_str(line).ok()
    };
    cases.filter_map(query).collect()
}

const RULES: &[&str] = &[
    "did(\"eventType\" = 'commerce.purchases', INTERVAL '30 days') AND NOT did(\"eventType\" = 'web.visits', INTERVAL '7 days')",
    "times(channel = 'web', INTERVAL '14 days') >= 5",
    "count(*) FILTER (WHERE channel IN ('web', 'mobile')) BETWEEN 2 AND 9",
    "did_then(\"eventType\" = 'web.visits', \"eventType\" = 'commerce.purchases', INTERVAL '7 days')",
    "any_per(channel, times(\"eventType\" = 'web.visits') >= 3 AND NOT did(\"eventType\" = 'commerce.purchases'))",
    "loyalty.tier = 'gold' AND loyalty.points > 1000 OR \"homeAddress\".city ILIKE 'lon%'",
];

fn compile(rule: &Expr, store: &Arc<Bound>, functions: &Registered<'_>) -> String {
    let now = chrono::DateTime::UNIX_EPOCH;
    let context = resolve::Context { store, functions, segments: &NoSegments, now, as_of: false };
    match resolve::resolve("rule", rule, context) {
        Ok(program) => planner::to_sql(&program),
        Err(fault) => panic!("{fault}"),
    }
}

fn rules(bench: &mut Criterion) {
    let ctx = SessionContext::new_with_config(SessionConfig::new());
    coterie_udfs::register_all(&ctx).unwrap_or_else(|error| panic!("{error}"));
    let state = ctx.state();
    let functions = Registered(&state);
    let store = store();
    let context = pql::Context { store: &store, now: chrono::DateTime::UNIX_EPOCH, segment: &|_| None };
    let queries = queries();
    let mut group = bench.benchmark_group("compile");
    group.throughput(Throughput::Elements(queries.len() as u64));
    let from_pql = |text: &str| {
        let query =
            pql::compile(text, Language::Pql, &context).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        let rule = pql::lower(&query, &context).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        compile(&rule, &store, &functions)
    };
    group.bench_function("pql", |b| {
        b.iter(|| queries.iter().map(|text| from_pql(black_box(text)).len()).sum::<usize>())
    });
    group.throughput(Throughput::Elements(RULES.len() as u64));
    let from_sql = |text: &str| {
        compile(
            &statement::parse_rule(text).unwrap_or_else(|fault| panic!("{text}: {fault}")),
            &store,
            &functions,
        )
    };
    group.bench_function("sql", |b| {
        b.iter(|| RULES.iter().map(|text| from_sql(black_box(text)).len()).sum::<usize>())
    });
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
