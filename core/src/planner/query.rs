//! Whole statements: one `GROUP BY` an event table, joined to the profiles.

use std::collections::BTreeSet;

use crate::profile::{Referrer, alias};
use crate::resolve::{Feature, Program, bounds};
use crate::segment::{BinaryOp, Call, Expr, Node, Relation, walk};
use crate::statement::quote;

use super::expr::{Printer, literal};

/// The profile key in an evaluation's statement.
pub const KEY_COLUMN: &str = "profile_key";
/// The number of events that a profile, or an orphaned key, has in an evaluation's statement; one column an event
/// table, numbered.
pub const EVENTS_COLUMN: &str = "n_events_";

/// The column of a rule in an evaluation's statement.
pub fn rule_column(at: usize) -> String {
    format!("rule_{at}")
}

/// The statement for one rule: the keys of the profiles that it holds for.
pub fn members(program: &Program) -> String {
    let query = Query::new(program, false);
    let key = query.profile_key();
    let mut out = query.with();
    for rule in &program.rules {
        let printer = query.printer();
        let mut conditions = vec![format!("{key} IS NOT NULL")];
        if has_window(&rule.expr) {
            // Windows range over all profiles, so that they come before the condition.
            let column = quote(&program.store.store.profiles.key);
            out.push_str(&format!("SELECT {column}\nFROM (\n  SELECT\n    {key},\n"));
            out.push_str(&format!("    {} AS is_member\n", printer.print(&rule.expr)));
            out.push_str(&indent(&query.from(), 2));
            out.push_str(&format!("\n  WHERE {key} IS NOT NULL\n) AS population\nWHERE is_member"));
            continue;
        }
        conditions.extend(printer.conjuncts(&rule.expr));
        out.push_str(&format!("SELECT {key}\n{}\n", query.from()));
        out.push_str(&format!("WHERE {}", conditions.join("\n  AND ")));
    }
    out
}

/// The statement for all rules at once: a row a profile with its key, a boolean column a rule, and how many events
/// of each event table were read. Keys of events without a profile have rows too, with a NULL key, so that orphans
/// can be counted. Each event table is read once.
pub fn evaluation(program: &Program) -> String {
    let query = Query::new(program, true);
    let mut out = query.with();
    out.push_str(&format!("SELECT\n  {} AS {KEY_COLUMN}", query.profile_key()));
    for cte in query.ctes() {
        if let Some(events) = cte.features_of {
            out.push_str(&format!(",\n  {}.n_events AS {EVENTS_COLUMN}{events}", cte.name));
        }
    }
    let printer = query.printer();
    for (at, rule) in program.rules.iter().enumerate() {
        out.push_str(&format!(",\n  {} AS {}", printer.print(&rule.expr), rule_column(at)));
    }
    out.push('\n');
    out.push_str(&query.from());
    out
}

/// The statement whose columns are the rules' conditions, to learn their types.
pub fn condition_types(program: &Program) -> String {
    let query = Query::new(program, false);
    let printer = query.printer();
    let rules: Vec<String> = program
        .rules
        .iter()
        .enumerate()
        .map(|(at, rule)| format!("{} AS {}", printer.print(&rule.expr), rule_column(at)))
        .collect();
    format!("{}SELECT\n  {}\n{}", query.with(), rules.join(",\n  "), query.from())
}

struct Query<'a> {
    program: &'a Program,
    /// One scan an event table for everything, and orphans kept; else the text that reads best.
    shared: bool,
}

/// A common table expression.
struct Cte {
    name: String,
    text: String,
    /// The event table whose features it holds, a row a profile; `None` for a step on the way.
    features_of: Option<usize>,
}

impl<'a> Query<'a> {
    fn new(program: &'a Program, shared: bool) -> Self {
        Self { program, shared }
    }

    /// Prints expressions over the profiles joined to their features.
    fn printer(&self) -> Printer<'a> {
        let features = self.program.features.iter().enumerate().map(|(at, feature)| {
            let Some(events) = self.program.events_of(feature) else { return String::new() };
            let per_group = matches!(feature, Feature::Aggregate { per: Some(_), .. });
            let column = match feature {
                Feature::Groups { per, .. } if !self.shared => {
                    format!("{}.{}", self.groups_name(*per), name(at))
                }
                _ if per_group => return String::new(),
                _ => format!("{}.{}", self.features_name(events), name(at)),
            };
            or_empty(column, feature)
        });
        let key = self.profile_key();
        Printer {
            program: self.program,
            qualified: true,
            features: features.collect(),
            groups: vec![],
            // Orphans are rows of the shared statement and must not count among the profiles.
            partition: self.shared.then(|| format!("{key} IS NULL")),
        }
    }

    fn profile_key(&self) -> String {
        let profiles = &self.program.store.store.profiles;
        format!("{}.{}", quote(&alias(&profiles.table)), quote(&profiles.key))
    }

    fn events_alias(&self, events: usize) -> String {
        self.program.store.store.events.get(events).map_or(String::new(), |events| alias(&events.table))
    }

    fn features_name(&self, events: usize) -> String {
        quote(&format!("{}_features", self.events_alias(events)))
    }

    /// The name of the expression with a row a profile and group.
    fn by_name(&self, key: usize) -> String {
        quote(&format!("{}_by_{}", self.events_alias(self.program.keys[key].0), self.key_label(key)))
    }

    /// The name of the expression with a row a profile, from its groups.
    fn groups_name(&self, key: usize) -> String {
        quote(&format!("{}_groups_by_{}", self.events_alias(self.program.keys[key].0), self.key_label(key)))
    }

    /// A column's name for a key that is one, unless another key has that name; else a number.
    fn key_label(&self, key: usize) -> String {
        let label = |key: usize| match &self.program.keys[key].1.node {
            Node::Attribute { path, .. } => path.last().cloned(),
            _ => None,
        };
        let own = label(key);
        let unique = (0..self.program.keys.len()).filter(|&other| label(other) == own).count() == 1;
        own.filter(|_| unique).unwrap_or_else(|| (key + 1).to_string())
    }

    /// The aggregates of an event table, with their positions: one value a profile, or one a group.
    fn aggregates(&self, table: usize, wanted: Option<Option<usize>>) -> Vec<(usize, &'a Call)> {
        let features = self.program.features.iter().enumerate();
        features
            .filter_map(|(at, feature)| match feature {
                Feature::Aggregate { events, per, call }
                    if *events == table && wanted.is_none_or(|wanted| wanted == *per) =>
                {
                    Some((at, call))
                }
                _ => None,
            })
            .collect()
    }

    /// The counts of groups by a key, with their positions.
    fn group_rules(&self, key: usize) -> Vec<(usize, &'a Expr)> {
        let features = self.program.features.iter().enumerate();
        features
            .filter_map(|(at, feature)| match feature {
                Feature::Groups { per, rule } if *per == key => Some((at, rule)),
                _ => None,
            })
            .collect()
    }

    /// The keys that group an event table's events.
    fn keys_of(&self, events: usize) -> Vec<usize> {
        let keys = self.program.keys.iter().enumerate();
        keys.filter(|(_, (table, _))| *table == events).map(|(at, _)| at).collect()
    }

    fn ctes(&self) -> Vec<Cte> {
        let mut ctes = vec![];
        for events in 0..self.program.store.events.len() {
            let keys = self.keys_of(events);
            if self.shared && !keys.is_empty() {
                ctes.extend(self.grouping_sets(events, &keys));
                continue;
            }
            let aggregates = self.aggregates(events, Some(None));
            if !aggregates.is_empty() {
                ctes.push(self.features(events, &aggregates));
            }
            for key in keys {
                ctes.extend(self.groups(events, key));
            }
        }
        ctes
    }

    /// `WITH …`, empty where there is nothing to say.
    fn with(&self) -> String {
        let ctes = self.ctes();
        if ctes.is_empty() {
            return String::new();
        }
        let texts: Vec<String> =
            ctes.iter().map(|cte| format!("{} AS (\n{}\n)", cte.name, indent(&cte.text, 2))).collect();
        format!("WITH {}\n", texts.join(",\n"))
    }

    /// The aggregates of an event table, a row a profile.
    fn features(&self, events: usize, aggregates: &[(usize, &Call)]) -> Cte {
        let printer = self.event_printer();
        let mut select = vec![format!("{} AS profile_key", self.event_key(events))];
        let mut conditions = self.event_conditions(events, aggregates);
        match aggregates {
            // The one filter there is reads best, and prunes best, as the condition of the whole.
            [(at, Call { filter: Some(filter), .. })] if !self.shared => {
                let (moved, kept): (Vec<&Expr>, Vec<&Expr>) =
                    conjuncts(filter).into_iter().partition(|part| !captures(part));
                conditions = self.hidden(events);
                conditions.extend(moved.into_iter().flat_map(|part| printer.conjuncts(part)));
                let kept = Expr::all(kept.into_iter().cloned()).map(Box::new);
                select.push(column(&printer, *at, &Call { filter: kept, ..aggregates[0].1.clone() }));
            }
            _ => {
                if self.shared {
                    select.push("count(*) AS n_events".into());
                }
                select.extend(aggregates.iter().map(|(at, call)| column(&printer, *at, call)));
            }
        }
        let text = format!(
            "SELECT\n  {}\n{}{}\nGROUP BY {}",
            select.join(",\n  "),
            self.event_from(events, aggregates, &[]),
            where_clause(&conditions),
            self.event_key(events)
        );
        Cte { name: self.features_name(events), text, features_of: Some(events) }
    }

    /// A rule about groups: a row a profile and group, then a row a profile.
    fn groups(&self, events: usize, key: usize) -> [Cte; 2] {
        let printer = self.event_printer();
        let aggregates = self.aggregates(events, Some(Some(key)));
        let group = printer.print(&self.program.keys[key].1);
        let mut select =
            vec![format!("{} AS profile_key", self.event_key(events)), format!("{group} AS group_key")];
        select.extend(aggregates.iter().map(|(at, call)| column(&printer, *at, call)));
        let mut conditions = vec![format!("{group} IS NOT NULL")];
        // Not pruned by time: a group of old events alone is a group, of which its rule may hold.
        conditions.extend(self.hidden(events));
        let by = format!(
            "SELECT\n  {}\n{}{}\nGROUP BY {}, {group}",
            select.join(",\n  "),
            self.event_from(events, &aggregates, &[key]),
            where_clause(&conditions),
            self.event_key(events)
        );
        let by_name = self.by_name(key);
        let rules = self.group_rules(key);
        let printer = self.group_printer(&by_name, key, "group_key");
        let mut select = vec![format!("{by_name}.profile_key")];
        for (at, rule) in &rules {
            select.push(format!("count(*) FILTER (WHERE {}) AS {}", printer.print(rule), name(*at)));
        }
        let text = format!(
            "SELECT\n  {}\nFROM {by_name}{}\nGROUP BY {by_name}.profile_key",
            select.join(",\n  "),
            self.join_profiles(&rules, &format!("{by_name}.profile_key")),
        );
        [
            Cte { name: by_name, text: by, features_of: None },
            Cte { name: self.groups_name(key), text, features_of: Some(events) },
        ]
    }

    /// Aggregates by profile, and by profile and each key, from one scan: grouping sets, then a row a profile.
    fn grouping_sets(&self, events: usize, keys: &[usize]) -> [Cte; 2] {
        let printer = self.event_printer();
        let all = self.aggregates(events, None);
        let own_key = self.event_key(events);
        let mut select = vec![format!("{own_key} AS profile_key")];
        let mut sets = vec![format!("({own_key})")];
        for &key in keys {
            let group = printer.print(&self.program.keys[key].1);
            select.push(format!("{group} AS group_{key}"));
            select.push(format!("grouping({group}) AS without_{key}"));
            sets.push(format!("({own_key}, {group})"));
        }
        select.push("count(*) AS n_events".into());
        select.extend(all.iter().map(|(at, call)| column(&printer, *at, call)));
        let text = format!(
            "SELECT\n  {}\n{}{}\nGROUP BY GROUPING SETS ({})",
            select.join(",\n  "),
            self.event_from(events, &all, keys),
            where_clause(&self.hidden(events)),
            sets.join(", ")
        );
        let sets_name = quote(&format!("{}_sets", self.events_alias(events)));
        let whole: Vec<String> = keys.iter().map(|key| format!("{sets_name}.without_{key} = 1")).collect();
        let whole = whole.join(" AND ");
        let mut select = vec![
            format!("{sets_name}.profile_key"),
            format!("max({sets_name}.n_events) FILTER (WHERE {whole}) AS n_events"),
        ];
        for (at, _) in self.aggregates(events, Some(None)) {
            let column = name(at);
            select.push(format!("first_value({sets_name}.{column}) FILTER (WHERE {whole}) AS {column}"));
        }
        let mut rules = vec![];
        for &key in keys {
            let group = format!("group_{key}");
            let printer = self.group_printer(&sets_name, key, &group);
            for (at, rule) in self.group_rules(key) {
                select.push(format!(
                    "count(*) FILTER (WHERE {sets_name}.without_{key} = 0 AND {sets_name}.{group} IS NOT NULL AND ({})) AS {}",
                    printer.print(rule),
                    name(at)
                ));
                rules.push((at, rule));
            }
        }
        let by_profile = format!(
            "SELECT\n  {}\nFROM {sets_name}{}\nGROUP BY {sets_name}.profile_key",
            select.join(",\n  "),
            self.join_profiles(&rules, &format!("{sets_name}.profile_key")),
        );
        [
            Cte { name: sets_name, text, features_of: None },
            Cte { name: self.features_name(events), text: by_profile, features_of: Some(events) },
        ]
    }

    fn event_key(&self, events: usize) -> String {
        let key = self.program.store.store.events.get(events).map(|events| quote(&events.key));
        format!("{}.{}", quote(&self.events_alias(events)), key.unwrap_or_default())
    }

    /// Prints expressions about one event.
    fn event_printer(&self) -> Printer<'a> {
        Printer { program: self.program, qualified: true, features: vec![], groups: vec![], partition: None }
    }

    /// Prints expressions about one group.
    fn group_printer(&self, table: &str, key: usize, group_column: &str) -> Printer<'a> {
        let features = self.program.features.iter().enumerate();
        let features =
            features.map(|(at, feature)| or_empty(format!("{table}.{}", name(at)), feature)).collect();
        let mut groups = vec![String::new(); key];
        groups.push(format!("{table}.{group_column}"));
        Printer { program: self.program, qualified: true, features, groups, partition: None }
    }

    /// The event table with what its aggregates refer to.
    fn event_from(&self, events: usize, aggregates: &[(usize, &Call)], keys: &[usize]) -> String {
        let store = &self.program.store.store;
        let mut used = BTreeSet::new();
        for (_, call) in aggregates {
            relations(&Expr::synthetic(Node::Call(Box::new((*call).clone()))), &mut used);
        }
        for &key in keys {
            relations(&self.program.keys[key].1, &mut used);
        }
        let of_profiles: Vec<_> = self
            .program
            .store
            .lookups_of(Referrer::Profiles)
            .filter(|(at, _)| used.contains(&Relation::Lookup(*at)))
            .collect();
        let mut out = format!("FROM {}", store.events.get(events).map_or("", |events| &events.table));
        if used.contains(&Relation::Profiles) || !of_profiles.is_empty() {
            // Orphans stay where they are counted; elsewhere they would be thrown away later.
            let join = if self.shared { "LEFT JOIN" } else { "JOIN" };
            let (table, key) = (&store.profiles.table, self.profile_key());
            out.push_str(&format!("\n{join} {table} ON {key} = {}", self.event_key(events)));
        }
        let own = self.program.store.lookups_of(Referrer::Events(events));
        let own = own.filter(|(at, _)| used.contains(&Relation::Lookup(*at)));
        let own_alias = quote(&self.events_alias(events));
        for (_, lookup) in own {
            out.push_str(&join_lookup(lookup, &own_alias));
        }
        for (_, lookup) in of_profiles {
            out.push_str(&join_lookup(lookup, &quote(&alias(&store.profiles.table))));
        }
        out
    }

    /// The profiles, for group rules that refer to them.
    fn join_profiles(&self, rules: &[(usize, &Expr)], key: &str) -> String {
        let mut used = BTreeSet::new();
        for (_, rule) in rules {
            relations(rule, &mut used);
        }
        let store = &self.program.store.store;
        let lookups: Vec<_> = self
            .program
            .store
            .lookups_of(Referrer::Profiles)
            .filter(|(at, _)| used.contains(&Relation::Lookup(*at)))
            .collect();
        if !used.contains(&Relation::Profiles) && lookups.is_empty() {
            return String::new();
        }
        let join = if self.shared { "LEFT JOIN" } else { "JOIN" };
        let mut out = format!("\n{join} {} ON {} = {key}", store.profiles.table, self.profile_key());
        for (_, lookup) in lookups {
            out.push_str(&join_lookup(lookup, &quote(&alias(&store.profiles.table))));
        }
        out
    }

    /// What holds for every event that matters: hidden after the instant, or before the widest window.
    fn event_conditions(&self, events: usize, aggregates: &[(usize, &Call)]) -> Vec<String> {
        let mut conditions = self.hidden(events);
        let Some(declared) = self.program.store.store.events.get(events) else { return conditions };
        let bound_of = |call: &Call| {
            // An event before every `a` of a sequence is part of no sequence.
            let first =
                matches!(call.name.as_str(), "did_then" | "did_without").then(|| call.args.get(1)).flatten();
            let filter =
                call.filter.as_deref().and_then(|filter| bounds(filter, events, &declared.timestamp));
            filter.or_else(|| bounds(first?, events, &declared.timestamp))
        };
        let all: Option<Vec<_>> = aggregates.iter().map(|(_, call)| bound_of(call)).collect();
        if let Some(widest) = all.into_iter().flatten().min_by_key(|bound| bound.instant) {
            let printer = self.event_printer();
            let condition = self.program.timestamp(events).binary(BinaryOp::GtEq, widest.expr);
            conditions.push(printer.print(&condition));
        }
        conditions
    }

    /// The condition that hides events after the instant asked about.
    fn hidden(&self, events: usize) -> Vec<String> {
        if !self.program.as_of {
            return vec![];
        }
        let condition = self.program.timestamp(events).binary(BinaryOp::LtEq, self.program.now_for(events));
        vec![self.event_printer().print(&condition)]
    }

    /// The profiles joined to all their features.
    fn from(&self) -> String {
        let store = &self.program.store.store;
        let key = self.profile_key();
        let mut out = format!("FROM {}", store.profiles.table);
        let join = if self.shared { "FULL JOIN" } else { "LEFT JOIN" };
        for cte in self.ctes().iter().filter(|cte| cte.features_of.is_some()) {
            out.push_str(&format!("\n{join} {} ON {}.profile_key = {key}", cte.name, cte.name));
        }
        let mut used = BTreeSet::new();
        for rule in &self.program.rules {
            relations(&rule.expr, &mut used);
        }
        for (at, lookup) in self.program.store.lookups_of(Referrer::Profiles) {
            if used.contains(&Relation::Lookup(at)) {
                out.push_str(&join_lookup(lookup, &quote(&alias(&store.profiles.table))));
            }
        }
        out
    }
}

/// The name of a feature's column.
fn name(feature: usize) -> String {
    format!("f{}", feature + 1)
}

fn column(printer: &Printer<'_>, feature: usize, call: &Call) -> String {
    let mut out = String::new();
    printer.call(call, &mut out);
    format!("{out} AS {}", name(feature))
}

/// A feature's column, with what it is for a profile without events.
fn or_empty(column: String, feature: &Feature) -> String {
    match feature.empty() {
        None => column,
        Some(value) => {
            let mut empty = String::new();
            literal(&value, &mut empty);
            format!("coalesce({column}, {empty})")
        }
    }
}

fn join_lookup(lookup: &crate::profile::Lookup, referrer: &str) -> String {
    let (table, own, key) = (&lookup.table, quote(&alias(&lookup.table)), quote(&lookup.key));
    format!("\nLEFT JOIN {table} ON {own}.{key} = {referrer}.{}", quote(&lookup.column))
}

fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!("\nWHERE {}", conditions.join("\n  AND ")) }
}

/// The tables whose columns an expression holds.
fn relations(expr: &Expr, used: &mut BTreeSet<Relation>) {
    walk(expr, &mut |part| {
        if let Node::Attribute { relation, .. } = &part.node {
            used.insert(*relation);
        }
        true
    });
}

/// The conditions that must hold together.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match &expr.node {
        Node::Binary { op: BinaryOp::And, left, right } => [conjuncts(left), conjuncts(right)].concat(),
        _ => vec![expr],
    }
}

/// Whether a lambda of the expression looks at columns. DataFusion 55 may move a condition to where its columns have
/// other positions, and forgets about the parameters of such a lambda, which come after them. Coterie's own sessions do not
/// (`session::physical`), but what is shown may run in others.
fn captures(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |part| {
        if let Node::Lambda { body, .. } = &part.node {
            walk(body, &mut |inner| {
                found |= matches!(inner.node, Node::Attribute { .. });
                !found
            });
        }
        !found
    });
    found
}

fn has_window(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |part| {
        found |= matches!(&part.node, Node::Call(call) if call.over.is_some());
        !found
    });
    found
}

fn indent(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    let lines: Vec<String> = text
        .lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("{margin}{line}") })
        .collect();
    lines.join("\n")
}
