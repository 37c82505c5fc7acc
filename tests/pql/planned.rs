//! Queries that nobody wrote: as SQL and as interpreted they must have the same members, whatever the data.
//!
//! `PQL_SEED` is the first query, `PQL_RANDOM` how many. A query that fails is made small; put it into `corpus.txt`.

use std::sync::Arc;

use arrow::array::AsArray;
use coterie::planner::members;
use coterie::pql;
use coterie::profile::Bound;
use coterie::resolve::resolve;
use coterie::segment::Language;
use coterie::session::Registered;
use coterie::statement::Dialect;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParserBuilder;

use crate::cases::path;
use crate::fixture::{NoSegments, context, now, store, table_of};
use crate::generator::{SIMPLEST, query};
use crate::interpreter::value::Value;
use crate::interpreter::{members as members_as_interpreted, profiles};
use crate::random_data::Data;
use crate::shrink::{plain, shrink};

/// Data by two roads: tables, and values of the interpreter.
struct World {
    ctx: SessionContext,
    state: SessionState,
    store: Arc<Bound>,
    profiles: Vec<(String, Value)>,
}

impl World {
    fn new(data: &Data) -> Self {
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        coterie_udfs::register_all(&ctx).unwrap();
        for (name, rows) in [("profiles", &data.profiles), ("events", &data.events)] {
            let batch = table_of(name, rows);
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            ctx.register_table(name, Arc::new(table)).unwrap();
        }
        Self { state: ctx.state(), ctx, store: store(), profiles: profiles(data) }
    }

    fn sql(&self, pql: &str) -> Result<String, String> {
        let context = context(&self.store);
        let query = pql::compile(pql, Language::Pql, &context).map_err(|faults| format!("{faults:?}"))?;
        let rule = pql::lower(&query, &context).map_err(|fault| fault.to_string())?;
        let context = coterie::resolve::Context {
            store: &self.store,
            functions: &Registered(&self.state),
            segments: &NoSegments,
            now: now(),
            as_of: false,
        };
        let program = resolve("random", &rule, context).map_err(|fault| fault.to_string())?;
        Ok(members(&program))
    }

    async fn run(&self, sql: &str) -> Result<Vec<String>, DataFusionError> {
        let dialect = Dialect::default();
        let statement = DFParserBuilder::new(sql)
            .with_dialect(&dialect)
            .with_recursion_limit(400)
            .build()?
            .parse_statement()?;
        let plan = self.state.statement_to_plan(statement).await?;
        let batches = self.ctx.execute_logical_plan(plan).await?.collect().await?;
        let mut ids: Vec<String> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned))
            .collect();
        ids.sort();
        Ok(ids)
    }

    async fn planned(&self, pql: &str) -> Result<Vec<String>, String> {
        let sql = self.sql(pql)?;
        self.run(&sql).await.map_err(|error| format!("{error}\n{sql}"))
    }

    /// What differs about a query: nothing, an error of the plan, or other members.
    async fn differs(&self, pql: &str) -> Option<String> {
        let expected = members_as_interpreted(&pql::parse(pql).unwrap(), &self.profiles);
        match self.planned(pql).await {
            Ok(found) if found == expected => None,
            Ok(found) => Some(format!("members differ: found {found:?}, expected {expected:?}")),
            Err(error) => Some(error),
        }
    }

    /// Whether a smaller text fails in the same way: it is a query, and other members or the same kind of error.
    async fn fails_alike(&self, pql: &str, fault: &str) -> bool {
        let context = context(&self.store);
        let is_query = pql::compile(pql, Language::Pql, &context)
            .is_ok_and(|query| pql::lower(&query, &context).is_ok());
        let head = |fault: &str| fault.chars().take(14).collect::<String>();
        is_query && self.differs(pql).await.is_some_and(|other| head(&other) == head(fault))
    }
}

/// The seed of the data for a query: some have the fixture itself.
fn data(seed: u64) -> Data {
    if seed.is_multiple_of(4) { Data::fixture() } else { Data::random(seed) }
}

/// How many queries have the same data.
const TOGETHER: u64 = 25;

async fn check(first: u64, count: u64) -> Vec<String> {
    let mut wrong = vec![];
    let mut world = World::new(&data(first / TOGETHER));
    for seed in first..first + count {
        if seed.is_multiple_of(TOGETHER) {
            world = World::new(&data(seed / TOGETHER));
        }
        let marked = query(seed);
        if let Some(fault) = world.differs(&plain(&marked)).await {
            let world = &world;
            let smallest = shrink(&marked, SIMPLEST, 300, |text| {
                let fault = fault.clone();
                async move { world.fails_alike(&text, &fault).await }
            });
            let smallest = smallest.await;
            wrong.push(format!("{}\n  smallest: {} {smallest}\n  {fault}", plain(&marked), seed / TOGETHER));
        }
    }
    wrong
}

/// One of the halves of what there is to do, for two processors.
async fn half(second: u64) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (first, count) = (number("PQL_SEED", 1), number("PQL_RANDOM", 2000) / 2);
    let wrong = check(first + second * count, count).await;
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn random_queries_agree() {
    half(0).await;
}

#[tokio::test]
async fn more_random_queries_agree() {
    half(1).await;
}

/// Queries that failed once: a line each, the seed of the data first.
#[tokio::test]
async fn queries_that_failed_once_agree() {
    let text = std::fs::read_to_string(path("corpus.txt")).unwrap();
    let mut wrong = vec![];
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (seed, query) = line.split_once(' ').unwrap();
        let world = World::new(&data(seed.parse().unwrap()));
        wrong.extend(world.differs(query).await.map(|fault| format!("{line}\n  {fault}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Chains, and what is expected in their SQL: nothing but what is about two steps needs no lists.
const CHAINS: &[(&str, &str)] = &[
    ("a: what(channel = \"web\"), b: what(eventType = \"commerce.purchases\")", "did_then("),
    ("a: what(true), b: what(true) when(<= 9 days after a)", "INTERVAL '9 days'"),
    ("a: what(true), b: what(true) when(<= 36 hours from a.timestamp)", "INTERVAL '1 days 12 hours'"),
    ("a: what(channel = \"web\"), b: what(timestamp occurs <= 1 month after a)", "INTERVAL '1 months'"),
    ("a: what(true), b: what(true) when(<= 0 days after a)", "INTERVAL '0 days'"),
    ("a: what(true), b: what(true) when(<= 90000000 milliseconds after a)", "INTERVAL '1 days 1 hours'"),
    ("a: what(true), b: what(true) when(<= 9000 years after a)", "did_then("),
    ("a: what(true), b: what(true) when(<= 9000000 hours after a)", "did_then("),
    (
        "a: what(true), b: what(true) when(< 9 days after a)",
        "'2.timestamp >= 1.timestamp AND 2.timestamp < 1.value'",
    ),
    ("a: what(true), b: what(true) when(<= 9 days before a)", "sequence_linked("),
    (
        "a: what(true), b: what(channel = a.channel) when(<= 9 days after a)",
        "GROUP BY events.profile_id, events.channel",
    ),
    ("a: what(channel = \"web\"), b: what(a._acme.sessionId = _acme.sessionId and true)", "did_then("),
    ("a: what(true), b: what(channel = a.eventType)", "'2.channel = 1.eventType'"),
    ("a: what(true), b: what(channel = a.channel and eventType = a.eventType)", "sequence_linked("),
    ("a: what(true), b: what(channel != a.channel)", "'2.channel <> 1.channel'"),
    ("a: what(true), b: what(not (channel = a.channel))", "'NOT (2.channel = 1.channel)'"),
    ("a: what(true), b: what(channel = a.channel or eventType = a.eventType)", " OR "),
    ("a: what(true), b: what(channel = \"web\" or eventType = a.eventType)", "'(2.value OR 2.eventType = "),
    ("a: what(true), b: what(a.channel = \"web\")", "sequence_steps("),
    ("a: what(true), b: what(a.channel.isNull() and eventType = a.channel)", "sequence_linked("),
    ("a: what(true), b: what(timestamp = a.timestamp)", "sequence_linked("),
    (
        "a: what(true), b: what(channel = a.channel) when(<= 9 days after a), c: what(eventType = b.eventType)",
        "AND 3.eventType = 2.eventType'",
    ),
    ("a: what(true), b: what(true) count(2), c: what(channel = a.channel) count(2)", "sequence_linked("),
    ("a: what(true), b: what(a.channel.equals(channel, false))", "sequence_linked("),
    ("a: what(true) count(2), b: what(true)", "sequence_steps("),
    ("a: what(true), b: what(true), c: what(true)", "sequence_steps("),
    // What one side takes from both events is asked event by event.
    ("a: what(true), b: what((a.timestamp).getYear() + timestamp.getYear() > 4000)", "array_any_match("),
];

#[tokio::test]
async fn chains_become_what_says_them() {
    let worlds: Vec<World> = [0, 1, 2, 3].map(|seed| World::new(&data(seed))).into();
    for (steps, expected) in CHAINS {
        let chain = format!("chain(xEvent, timestamp, [{steps}])");
        for world in &worlds {
            assert_eq!(world.differs(&chain).await, None, "{chain}");
            let sql = world.sql(&chain).unwrap();
            assert!(sql.contains(expected), "{chain}\n{sql}");
        }
    }
}
