//! Expressions about one event, inside an aggregate: columns are the event's first, the profile's second.

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::profile::{Referrer, alias};
use crate::segment::{Call, Expr, Name, Node, Relation, children, map_children};

use super::column::path_span;
use super::{Feature, Resolver, Sort};

impl Resolver<'_> {
    /// Resolves an aggregate over a profile's events, or over a group of them, to a feature.
    pub(super) fn aggregate(&mut self, mut call: Call, per: Option<usize>, span: Span) -> Result<Expr> {
        let parts: Vec<&Expr> = call
            .args
            .iter()
            .chain(call.order_by.iter().chain(&call.within_group).map(|order| &order.expr))
            .chain(call.filter.as_deref())
            .collect();
        let events = self.events_of(&parts, per, span)?;
        for part in call
            .args
            .iter_mut()
            .chain(call.order_by.iter_mut().chain(&mut call.within_group).map(|order| &mut order.expr))
            .chain(call.filter.as_deref_mut())
        {
            *part = self.event_expr(part.clone(), events)?;
        }
        Ok(self.feature(Feature::Aggregate { events, per, call }, span))
    }

    /// Resolves an expression about one event of a table.
    pub(super) fn event_expr(&mut self, expr: Expr, events: usize) -> Result<Expr> {
        let span = expr.span;
        match expr.node {
            Node::Column(path) => self.event_column(&path, events),
            Node::Form { form, .. } => Err(nested(form.name(), span)),
            Node::Call(call) => {
                if let Some(clock) = self.clock(&call, span) {
                    return Ok(clock);
                }
                match (self.sort(&call)?, &call.over) {
                    (Sort::Window, _) | (_, Some(_)) => {
                        let message = format!("window function `{}` inside an aggregate", call.name);
                        let help = "window functions range over all profiles, an aggregate over one profile's events";
                        Err(Diagnostic::new(Kind::Type, message).at(span).help(help))
                    }
                    (Sort::Aggregate, None) => Err(nested(&call.name, span)),
                    (Sort::Scalar, None) => {
                        let call = Expr::new(Node::Call(call), span);
                        map_children(call, &mut |part| self.event_expr(part, events))
                    }
                }
            }
            Node::Lambda { params, body } => {
                let body = self.within_lambda(&params, |resolver| resolver.event_expr(*body, events))?;
                Ok(Expr::new(Node::Lambda { params, body: Box::new(body) }, span))
            }
            node => map_children(Expr::new(node, span), &mut |part| self.event_expr(part, events)),
        }
    }

    fn event_column(&self, path: &[Name], events: usize) -> Result<Expr> {
        if let Some(param) = self.param(path) {
            return Ok(param);
        }
        let named = self.named_in(events);
        let open = [Relation::Events(events), Relation::Profiles];
        self.find(path, &open, &named).unwrap_or_else(|| {
            let all: Vec<Relation> = open.iter().chain(&named).copied().collect();
            Err(self.unknown_column(path, &all))
        })
    }

    /// The tables whose columns must be qualified inside an aggregate over `events`.
    fn named_in(&self, events: usize) -> Vec<Relation> {
        let mut named = self.lookups_of(Referrer::Events(events));
        named.extend(self.lookups_of(Referrer::Profiles));
        named
    }

    /// The event table that some expressions are about: the one that has most of their columns.
    pub(super) fn events_of(&self, parts: &[&Expr], per: Option<usize>, span: Span) -> Result<usize> {
        let tables: Vec<String> =
            self.store().store.events.iter().map(|events| alias(&events.table)).collect();
        if tables.is_empty() {
            let store = &self.store().store.name;
            let fault = Diagnostic::new(Kind::Type, format!("the store `{store}` has no event table"));
            return Err(fault.at(span).help("declare one: `CREATE OR REPLACE PROFILE STORE … EVENTS …`"));
        }
        let fixed = per.and_then(|key| self.program.keys.get(key)).map(|(events, _)| *events);
        if let (Some(only), _) | (None, Some(only)) = (fixed, (tables.len() == 1).then_some(0)) {
            return Ok(only);
        }
        let mut columns = vec![];
        for part in parts {
            free_columns(part, &mut vec![], &mut columns);
        }
        let of_table = |column: &[Name], events: usize| {
            let mut own = vec![Relation::Events(events)];
            own.extend(self.lookups_of(Referrer::Events(events)));
            self.find(column, &own[..1], &own[1..]).is_some_and(|found| found.is_ok())
        };
        let of_profile = |column: &[Name]| {
            self.find(column, &[Relation::Profiles], &self.lookups_of(Referrer::Profiles))
                .is_some_and(|c| c.is_ok())
        };
        // How many columns each table would answer, if it and the profile answer all.
        let answers: Vec<(usize, usize)> = (0..tables.len())
            .filter(|&events| columns.iter().all(|column| of_table(column, events) || of_profile(column)))
            .map(|events| (columns.iter().filter(|column| of_table(column, events)).count(), events))
            .filter(|&(count, _)| count > 0)
            .collect();
        let most = answers.iter().map(|&(count, _)| count).max();
        let best: Vec<usize> =
            answers.iter().filter(|&&(count, _)| Some(count) == most).map(|&(_, events)| events).collect();
        match best[..] {
            [events] => Ok(events),
            [] => Err(self.no_table(&columns, &tables, of_table, of_profile, span)),
            _ => {
                let names: Vec<String> = best.iter().map(|&at| format!("`{}`", tables[at])).collect();
                let message = format!("the events of which table? {} fit", names.join(" and "));
                Err(Diagnostic::new(Kind::Name, message)
                    .at(span)
                    .help(format!("qualify a column with its table, such as `{}.…`", tables[best[0]])))
            }
        }
    }

    /// Why no event table answers all the columns.
    fn no_table(
        &self,
        columns: &[Vec<Name>],
        tables: &[String],
        of_table: impl Fn(&[Name], usize) -> bool,
        of_profile: impl Fn(&[Name]) -> bool,
        span: Span,
    ) -> Diagnostic {
        let mut homes = vec![];
        for column in columns {
            match (0..tables.len()).find(|&events| of_table(column, events)) {
                Some(events) => homes.push((column, events)),
                None if of_profile(column) => {}
                None => {
                    let mut all: Vec<Relation> = (0..tables.len()).map(Relation::Events).collect();
                    all.push(Relation::Profiles);
                    return self.unknown_column(column, &all);
                }
            }
        }
        let names: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
        let [(first, home), .., (last, other)] = homes[..] else {
            return Diagnostic::new(
                Kind::Name,
                format!("the events of which table? There are {}", names.join(", ")),
            )
            .at(span)
            .help(format!("name a column of it, such as `count({}.…)`", tables[0]));
        };
        let written =
            |path: &[Name]| path.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
        let message = format!(
            "an aggregate ranges over one event table: `{}` is of `{}`, `{}` of `{}`",
            written(first),
            tables[home],
            written(last),
            tables[other]
        );
        Diagnostic::new(Kind::Type, message)
            .at(path_span(last))
            .help("use an aggregate for each table and combine their results")
    }
}

/// The columns of an expression, without the parameters of lambdas in it.
fn free_columns(expr: &Expr, params: &mut Vec<String>, columns: &mut Vec<Vec<Name>>) {
    match &expr.node {
        Node::Column(path) => {
            if path.first().is_some_and(|first| !params.contains(&first.value)) {
                columns.push(path.clone());
            }
        }
        Node::Lambda { params: own, body } => {
            let outer = params.len();
            params.extend_from_slice(own);
            free_columns(body, params, columns);
            params.truncate(outer);
        }
        _ => {
            for child in children(expr) {
                free_columns(child, params, columns);
            }
        }
    }
}

fn nested(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Kind::Type, format!("`{name}` inside an aggregate")).at(span).help(
        "inside an aggregate an expression is about one event; combine aggregates outside of each other",
    )
}
