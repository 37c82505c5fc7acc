//! What one statement sees: the catalog as it was when it began, the session's settings, one instant.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{DFParserBuilder, Statement as DFStatement};
use tokio::sync::{Mutex, OnceCell};

use crate::audience::Stored;
use crate::bug;
use crate::diagnostic::{Diagnostic, Kind, Source};
use crate::error::{Error, Result};
use crate::evaluation;
use crate::planner;
use crate::pql;
use crate::profile::{Bound, ProfileStore, Referrer, column_names};
use crate::provider;
use crate::resolve::{self, Context, Member, Program, Resolver};
use crate::segment::{Expr, Language, Segment};
use crate::session::{CATALOG, PUBLIC, Registered};
use crate::statement::{self, Dialect, RECURSION_LIMIT, quote};
use crate::warehouse::{self, Snapshot};

use super::Engine;
use super::catalog::Catalogs;
use super::entry::{Relation, Typed};
use super::own_table::OwnTable;
use super::postgres::Objects;
use super::principal::Principal;
use super::tables::ScopeTables;

/// How deep views and live segments may stand on each other.
const DEPTH_LIMIT: usize = 16;

/// What one statement sees.
pub(super) struct Scope {
    pub(super) engine: Arc<Engine>,
    pub(super) snapshot: Arc<Snapshot>,
    /// The session's settings.
    config: SessionConfig,
    /// The engine's state with these settings where they are not the engine's own, made when something is planned.
    base: OnceLock<SessionState>,
    pub(super) now: DateTime<Utc>,
    pub(super) principal: Arc<Principal>,
    depth: usize,
    /// Segments that are about to be created.
    added: RwLock<BTreeMap<String, Arc<Segment>>>,
    /// The stores opened so far.
    bound: Mutex<HashMap<String, Arc<Bound>>>,
    /// The segments that have an audience, once a statement asks for the list of tables.
    audiences: OnceCell<Vec<String>>,
    /// All objects, once a statement asks for PostgreSQL's catalog.
    objects: OnceCell<Arc<Objects>>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("now", &self.now).field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Scope {
    pub(super) fn new(
        engine: Arc<Engine>,
        snapshot: Arc<Snapshot>,
        config: SessionConfig,
        now: DateTime<Utc>,
        principal: Arc<Principal>,
    ) -> Self {
        let (added, bound, audiences) = (RwLock::default(), Mutex::default(), OnceCell::new());
        Self {
            engine,
            snapshot,
            config,
            base: OnceLock::new(),
            now,
            principal,
            depth: 0,
            added,
            bound,
            audiences,
            objects: OnceCell::new(),
        }
    }

    /// The scope of what a view or live segment of this scope is made of.
    fn deeper(&self) -> Result<Arc<Self>> {
        if self.depth >= DEPTH_LIMIT {
            let message = format!("views and segments stand on each other more than {DEPTH_LIMIT} deep");
            return Err(Diagnostic::new(Kind::Unsupported, message)
                .help("is a view made of a segment that is about the view itself?")
                .into());
        }
        let (engine, snapshot, config) =
            (Arc::clone(&self.engine), Arc::clone(&self.snapshot), self.config.clone());
        let inner = Self::new(engine, snapshot, config, self.now, Arc::clone(&self.principal));
        Ok(Arc::new(Self { depth: self.depth + 1, ..inner }))
    }

    /// The engine's state with the session's settings.
    fn base(&self) -> &SessionState {
        let own = self.engine.base_of(&self.config);
        if Arc::ptr_eq(own.config_options(), self.config.options()) {
            return own;
        }
        // Functions such as now() take the session's time zone when they are registered.
        let anew =
            || SessionStateBuilder::new_from_existing(own.clone()).with_config(self.config.clone()).build();
        self.base.get_or_init(anew)
    }

    /// The session's settings.
    pub(super) fn options(&self) -> &ConfigOptions {
        self.config.options()
    }

    /// The objects as PostgreSQL numbers them.
    pub(super) async fn objects(self: &Arc<Self>) -> Result<Arc<Objects>> {
        let make = async || Ok::<_, Error>(Arc::new(Box::pin(Objects::of(self)).await?));
        let objects = self.objects.get_or_try_init(make).await?;
        if let Some(facts) = super::postgres::facts(self.options()) {
            facts.see(objects);
        }
        Ok(Arc::clone(objects))
    }

    /// The names of a kind of thing, in order.
    pub(super) fn names(&self, kind: warehouse::Kind) -> Vec<&str> {
        self.snapshot.all(kind).into_iter().map(|entry| entry.name.as_str()).collect()
    }

    /// A session state in which names mean what they mean in this scope.
    pub(super) fn state(self: &Arc<Self>) -> SessionState {
        let mut state = self.base().clone();
        state.register_catalog_list(Arc::new(Catalogs::new(Arc::clone(self))));
        state.mark_start_execution();
        let props = std::mem::take(state.execution_props_mut());
        *state.execution_props_mut() = props.with_query_execution_start_time(self.now);
        state
    }

    /// Plans a statement of DataFusion's.
    pub(super) async fn plan(self: &Arc<Self>, statement: DFStatement) -> Result<LogicalPlan> {
        Ok(self.state().statement_to_plan(statement).await?)
    }

    /// Plans SQL that coterie wrote.
    pub(super) async fn plan_sql(self: &Arc<Self>, sql: &str) -> Result<LogicalPlan> {
        self.plan(parse(sql)?).await
    }

    /// Why a statement cannot be planned, if so. Functions read their constants when a plan is optimised.
    pub(super) async fn fault_in(self: &Arc<Self>, sql: &str) -> Option<Error> {
        match self.plan_sql(sql).await {
            Ok(plan) => self.state().optimize(&plan).err().map(Into::into),
            Err(error) => Some(error),
        }
    }

    /// A table or view of schema `public`.
    pub(super) async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(entry) = self.snapshot.get(warehouse::Kind::Table, name) else { return Ok(None) };
        match &*self.engine.typed::<Relation>(entry)? {
            Relation::Table(table) => {
                let files = self.engine.open_table(table, entry.version, || self.base()).await?;
                if !self.engine.keeps(table) {
                    return Ok(Some(files));
                }
                let (engine, state) = (Arc::clone(&self.engine), self.base().clone());
                Ok(Some(provider::table(OwnTable { files, engine, state, name: name.to_owned() })))
            }
            Relation::View { sql } => {
                let plan = Box::pin(self.deeper()?.plan_sql(sql)).await?;
                let view = datafusion::catalog::view::ViewTable::new(plan, Some(sql.clone()));
                Ok(Some(Arc::new(view)))
            }
        }
    }

    /// Whether coterie keeps the rows of a table itself.
    pub(super) fn keeps(&self, reference: &TableReference) -> Result<bool> {
        let entry = public_name(reference).and_then(|name| self.snapshot.get(warehouse::Kind::Table, name));
        let Some(entry) = entry else { return Ok(false) };
        let relation = self.engine.typed::<Relation>(entry)?;
        Ok(matches!(&*relation, Relation::Table(table) if self.engine.keeps(table)))
    }

    /// A segment's definition.
    pub(super) fn segment(&self, name: &str) -> Result<Option<Arc<Segment>>> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if added.is_some() {
            return Ok(added);
        }
        self.typed(warehouse::Kind::Segment, name)
    }

    /// Adds a segment that rules may ask for before it is in the catalog.
    pub(super) fn add(&self, segment: Segment) {
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        added.insert(segment.name.clone(), Arc::new(segment));
    }

    /// The segment of a store that has this name, or else this id. Another store's are about other profiles.
    pub(super) fn segment_known_as(&self, store: &str, id: &str) -> Option<String> {
        let of_store = |segment: &Arc<Segment>| segment.store == store;
        if let Some(named) = self.segment(id).ok().flatten().filter(of_store) {
            return Some(named.name.clone());
        }
        let known_as = |segment: &Arc<Segment>| of_store(segment) && segment.id.as_deref() == Some(id);
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        let added = added.values().find(|segment| known_as(segment)).map(|segment| segment.name.clone());
        added.or_else(|| {
            let mut kept = self.names(warehouse::Kind::Segment).into_iter();
            kept.find(|name| self.segment(name).ok().flatten().is_some_and(|s| known_as(&s)))
                .map(str::to_owned)
        })
    }

    /// A profile store's declaration.
    pub(super) fn store(&self, name: &str) -> Result<Option<Arc<ProfileStore>>> {
        self.typed(warehouse::Kind::ProfileStore, name)
    }

    fn typed<T: Typed>(&self, kind: warehouse::Kind, name: &str) -> Result<Option<Arc<T>>> {
        self.snapshot.get(kind, name).map(|entry| self.engine.typed(entry)).transpose()
    }

    /// A profile store with the schemas of its tables.
    pub(super) async fn bound(self: &Arc<Self>, name: &str) -> Result<Arc<Bound>> {
        let mut opened = self.bound.lock().await;
        if let Some(bound) = opened.get(name) {
            return Ok(Arc::clone(bound));
        }
        let store = self.store(name)?.ok_or_else(|| self.unknown_store(name))?;
        let bound = Arc::new(self.bind(&store).await?);
        opened.insert(name.to_owned(), Arc::clone(&bound));
        Ok(bound)
    }

    /// Finds the tables that a store names.
    pub(super) async fn bind(self: &Arc<Self>, store: &ProfileStore) -> Result<Bound> {
        let profiles = self.columns(&store.profiles.table, &[&store.profiles.key]).await?;
        let (mut events, mut lookups) = (vec![], vec![]);
        for table in &store.events {
            let wanted: Vec<&str> =
                [&table.key, &table.timestamp].into_iter().chain(&table.id).map(String::as_str).collect();
            events.push(self.columns(&table.table, &wanted).await?);
        }
        for lookup in &store.lookups {
            lookups.push(self.columns(&lookup.table, &[&lookup.key]).await?);
            let referrer = match lookup.on {
                Referrer::Profiles => Some(&profiles),
                Referrer::Events(at) => events.get(at),
            };
            if let Some(schema) = referrer {
                has_columns(schema, "the table that refers to it", &[&lookup.column])?;
            }
        }
        Ok(Bound { store: store.clone(), profiles, events, lookups })
    }

    /// The schema of a table that must have some columns.
    async fn columns(self: &Arc<Self>, table: &str, wanted: &[&str]) -> Result<SchemaRef> {
        let schema = self.schema(table).await?;
        has_columns(&schema, table, wanted)?;
        Ok(schema)
    }

    /// The schema of a table or view, by its name in SQL.
    pub(super) async fn schema(self: &Arc<Self>, table: &str) -> Result<SchemaRef> {
        let reference = TableReference::parse_str(table);
        let provider = match public_name(&reference) {
            Some(name) => self.table(name).await?,
            None => match self.state().schema_for_ref(reference.clone()) {
                Ok(schema) => schema.table(reference.table()).await?,
                Err(_) => None,
            },
        };
        let provider = provider.ok_or_else(|| self.unknown_table(table))?;
        Ok(provider.schema())
    }

    fn unknown_table(&self, table: &str) -> Diagnostic {
        let names = self.names(warehouse::Kind::Table);
        let names: Vec<String> = names.into_iter().map(quote).collect();
        Diagnostic::new(Kind::NotFound, format!("no table is called `{table}`"))
            .suggest(table, names.iter().map(String::as_str))
    }

    /// Adds "did you mean" to what DataFusion says about a name.
    pub(super) fn suggest(&self, fault: Diagnostic) -> Diagnostic {
        let named = fault.message.split('`').nth(1).unwrap_or_default().to_owned();
        let mut names: Vec<String> = match fault.kind {
            Kind::NotFound if fault.message.starts_with("table ") => {
                let mut names: Vec<String> = vec![];
                for (schema, kind) in [
                    ("", warehouse::Kind::Table),
                    ("segment.", warehouse::Kind::Segment),
                    ("audience.", warehouse::Kind::Segment),
                ] {
                    names.extend(self.names(kind).into_iter().map(|name| format!("{schema}{}", quote(name))));
                }
                names
            }
            Kind::Name if fault.message.starts_with("unknown function ") && fault.help.is_empty() => {
                resolve::Functions::names(&Registered(&self.engine.base))
            }
            _ => return fault,
        };
        names.sort();
        let fault = fault.suggest(&named, names.iter().map(String::as_str));
        if fault.kind == Kind::NotFound && named.contains('/') {
            let declare = format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{named}'");
            return fault.help(format!("files are declared as tables first: `{declare}`"));
        }
        fault
    }

    pub(super) fn unknown_store(&self, name: &str) -> Diagnostic {
        let names = self.names(warehouse::Kind::ProfileStore);
        Diagnostic::new(Kind::NotFound, format!("no profile store is called `{name}`"))
            .suggest(name, names.iter().copied())
            .help("`SHOW PROFILE STORES` lists them")
    }

    pub(super) fn unknown_segment(&self, name: &str) -> Diagnostic {
        let names = self.names(warehouse::Kind::Segment);
        Diagnostic::new(Kind::NotFound, format!("no segment is called `{name}`"))
            .suggest(name, names.iter().copied())
            .help("`SHOW SEGMENTS` lists them")
    }

    /// What rules about a store are resolved against; `as_of` hides events after this scope's instant.
    pub(super) fn with_resolver<T>(
        &self,
        bound: &Arc<Bound>,
        as_of: bool,
        resolve: impl FnOnce(Resolver<'_>) -> T,
    ) -> T {
        let functions = Registered(&self.engine.base);
        let segments = Rules { scope: self, bound };
        let context =
            Context { store: bound, functions: &functions, segments: &segments, now: self.now, as_of };
        resolve(Resolver::new(context))
    }

    /// Resolves one rule alone.
    pub(super) fn resolve(&self, name: &str, rule: &Expr, bound: &Arc<Bound>) -> Result<Program> {
        self.with_resolver(bound, false, |mut resolver| {
            resolver.add(name, rule)?;
            Ok(resolver.finish())
        })
    }

    /// The SQL of a segment, as of this scope's instant.
    pub(super) async fn segment_sql(self: &Arc<Self>, name: &str) -> Result<String> {
        let segment = self.segment(name)?.ok_or_else(|| self.unknown_segment(name))?;
        let bound = self.bound(&segment.store).await?;
        let source = source_of(&segment);
        let rule = parse_rule(self, &segment, &bound).map_err(|error| error.in_source(&source))?;
        let program = self.resolve(name, &rule, &bound).map_err(|error| error.in_source(&source))?;
        Ok(planner::to_sql(&program))
    }

    /// A segment as an evaluation program; `None` where a program cannot say it.
    pub(super) async fn segment_program(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Option<(Arc<ScopeTables>, evaluation::Prepared)>> {
        let segment = self.segment(name)?.ok_or_else(|| self.unknown_segment(name))?;
        let bound = self.bound(&segment.store).await?;
        let source = source_of(&segment);
        let rule = parse_rule(self, &segment, &bound).map_err(|error| error.in_source(&source))?;
        let program = self.resolve(name, &rule, &bound).map_err(|error| error.in_source(&source))?;
        let tables = Arc::new(ScopeTables::new(&self.deeper()?));
        let prepared = evaluation::prepare(&*tables, &Arc::new(program)).await?;
        let takes_part = prepared.rules().next().is_some();
        Ok(takes_part.then_some((tables, prepared)))
    }

    /// The plan of a live segment.
    pub(super) async fn segment_plan(self: &Arc<Self>, name: &str) -> Result<LogicalPlan> {
        let sql = self.segment_sql(name).await?;
        self.deeper()?.plan_sql(&sql).await
    }

    /// What is stored of each evaluated segment that still exists, by name.
    pub(super) async fn stored_audiences(self: &Arc<Self>) -> Result<HashMap<String, Stored>> {
        let mut stored = HashMap::new();
        for store in self.names(warehouse::Kind::ProfileStore) {
            // A store whose tables are gone keeps its audiences, but nobody can say of which type their keys are.
            let Ok(bound) = self.bound(store).await else { continue };
            for segment in self.engine.audiences(&bound).await?.segments().await? {
                if self.segment(&segment.segment)?.is_some_and(|known| known.store == store) {
                    stored.insert(segment.segment.clone(), segment);
                }
            }
        }
        Ok(stored)
    }

    /// Finds out which segments have an audience: lists of tables are made without waiting.
    pub(super) async fn list_audiences(self: &Arc<Self>) -> Result<()> {
        let list = || async {
            let mut names: Vec<String> = self.stored_audiences().await?.into_keys().collect();
            names.sort();
            Ok::<_, Error>(names)
        };
        self.audiences.get_or_try_init(list).await?;
        Ok(())
    }

    /// The segments that have an audience; see [`Self::list_audiences`].
    pub(super) fn audience_names(&self) -> Vec<String> {
        self.audiences.get().cloned().unwrap_or_default()
    }

    /// `audience.<name>`: the stored members of a segment that was evaluated.
    pub(super) async fn audience_table(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(segment) = self.segment(name)? else { return Ok(None) };
        if !self.stored_audiences().await?.contains_key(name) {
            return Err(Diagnostic::new(
                Kind::NotFound,
                format!("segment `{name}` has not been evaluated yet"),
            )
            .help(format!(
                "`EVALUATE SEGMENT {}` stores its members; `segment.{}` shows them live",
                quote(name),
                quote(name)
            ))
            .into());
        }
        let bound = self.bound(&segment.store).await?;
        Ok(Some(self.engine.audiences(&bound).await?.table(name).await?))
    }

    /// Checks what the resolver cannot: that DataFusion plans the rule, and that it is boolean. Says where not.
    pub(super) async fn check(self: &Arc<Self>, program: &Program) -> Result<()> {
        let Some(rule) = program.rules.first() else { return Ok(()) };
        let plan = match self.plan_sql(&planner::condition_types(program)).await {
            Ok(plan) => plan,
            Err(error) => return Err(super::blame::blame(self, program, error).await),
        };
        let Some(field) = plan.schema().fields().first() else {
            return Err(bug!("the plan of a rule has no columns"));
        };
        if let Some(fault) = super::blame::impossible(self, rule, program, &plan)? {
            return Err(fault.into());
        }
        if let Err(error) = self.state().optimize(&plan) {
            return Err(super::blame::blame(self, program, error.into()).await);
        }
        match field.data_type() {
            DataType::Boolean | DataType::Null => Ok(()),
            other => {
                let message = format!("a rule is true or false, this is of type {other}");
                let fault = Diagnostic::new(Kind::Type, message).at(rule.expr.span);
                Err(fault.help("compare it with something, such as `… > 0`").into())
            }
        }
    }
}

/// The other segments' rules, for `in_segment`.
struct Rules<'a> {
    scope: &'a Scope,
    bound: &'a Arc<Bound>,
}

impl resolve::Segments for Rules<'_> {
    fn rule(&self, name: &str) -> Option<crate::diagnostic::Result<Member>> {
        let segment = match self.scope.segment(name) {
            Ok(segment) => segment?,
            Err(error) => return Some(Err(Diagnostic::new(error.kind(), error.message()))),
        };
        let source = source_of(&segment);
        let (store, rule) = (segment.store.clone(), parse_rule(self.scope, &segment, self.bound));
        Some(match rule {
            Ok(rule) => Ok(Member { store, rule, source }),
            Err(Error::Wrong(faults)) if !faults.is_empty() => Err(faults[0].clone().in_source(&source)),
            Err(error) => Err(Diagnostic::new(error.kind(), error.message())),
        })
    }

    fn names(&self) -> Vec<String> {
        self.scope.names(warehouse::Kind::Segment).into_iter().map(str::to_owned).collect()
    }
}

/// A segment's rule as an expression.
pub(super) fn parse_rule(scope: &Scope, segment: &Segment, bound: &Bound) -> Result<Expr> {
    match segment.language {
        Language::Sql => Ok(statement::parse_rule(&segment.rule)?),
        Language::Pql | Language::PqlJson => {
            let known = |id: &str| scope.segment_known_as(&segment.store, id);
            let context = pql::Context { store: bound, now: scope.now, segment: &known };
            let query = pql::compile(&segment.rule, segment.language, &context)?;
            Ok(pql::lower(&query, &context)?)
        }
    }
}

/// The text that a kept rule's places point into.
pub(super) fn source_of(segment: &Segment) -> Source {
    Source::named(format!("segment {}", segment.name), segment.rule.as_str())
}

fn has_columns(schema: &SchemaRef, table: &str, wanted: &[&str]) -> Result<()> {
    for name in wanted {
        if schema.column_with_name(name).is_none() {
            let quoted: Vec<String> = column_names(schema).map(quote).collect();
            return Err(Diagnostic::new(Kind::Name, format!("`{table}` has no column `{name}`"))
                .suggest(name, quoted.iter().map(String::as_str))
                .into());
        }
    }
    Ok(())
}

/// Parses one statement of SQL that coterie wrote or kept.
fn parse(sql: &str) -> Result<DFStatement> {
    let dialect = Dialect::default();
    let mut parser =
        DFParserBuilder::new(sql).with_dialect(&dialect).with_recursion_limit(8 * RECURSION_LIMIT).build()?;
    Ok(parser.parse_statement()?)
}

/// The full name of a table of schema `public`, or `None` for a name elsewhere.
pub(super) fn public_name(reference: &TableReference) -> Option<&str> {
    let catalog = reference.catalog().is_none_or(|catalog| catalog == CATALOG);
    let schema = reference.schema().is_none_or(|schema| schema == PUBLIC);
    (catalog && schema).then(|| reference.table())
}
