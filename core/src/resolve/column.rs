//! Which table a column belongs to.

use arrow::datatypes::{DataType, Fields, Schema};

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::profile::{Referrer, alias, column_names};
use crate::segment::{Expr, Name, Node, Relation};
use crate::statement::{quote, quote_string};

use super::Resolver;

impl Resolver<'_> {
    /// The schema and qualifier of a table of the store.
    pub(super) fn relation(&self, relation: Relation) -> Option<(&Schema, String)> {
        let bound = self.store();
        match relation {
            Relation::Profiles => Some((&bound.profiles, alias(&bound.store.profiles.table))),
            Relation::Events(at) => Some((bound.events.get(at)?, alias(&bound.store.events.get(at)?.table))),
            Relation::Lookup(at) => {
                Some((bound.lookups.get(at)?, alias(&bound.store.lookups.get(at)?.table)))
            }
            Relation::Group(_) => None,
        }
    }

    /// The lookups that the table refers to.
    pub(super) fn lookups_of(&self, referrer: Referrer) -> Vec<Relation> {
        self.store().lookups_of(referrer).map(|(at, _)| Relation::Lookup(at)).collect()
    }

    /// Finds a column among `open`, whose columns may stand unqualified (the first that has it wins), and `named`,
    /// whose columns must be qualified.
    pub(super) fn find(&self, path: &[Name], open: &[Relation], named: &[Relation]) -> Option<Result<Expr>> {
        let (first, span) = (path.first()?, path_span(path));
        if path.len() > 1 {
            for &relation in open.iter().chain(named) {
                let (schema, qualifier) = self.relation(relation)?;
                if qualifier != first.value {
                    continue;
                }
                if has(schema, &path[1].value) {
                    return Some(attribute(relation, schema, &path[1..], span));
                }
                // `person.name` where both a table and a column are called `person`.
                let also_a_column = open
                    .iter()
                    .any(|&open| self.relation(open).is_some_and(|(schema, _)| has(schema, &first.value)));
                if !also_a_column {
                    return Some(Err(unknown(&path[1..], &[(schema, qualifier)], span)));
                }
            }
        }
        open.iter().find_map(|&relation| {
            let (schema, _) = self.relation(relation)?;
            has(schema, &first.value).then(|| attribute(relation, schema, path, span))
        })
    }

    /// A parameter of a lambda around the expression: it stays a column by name.
    pub(super) fn param(&self, path: &[Name]) -> Option<Expr> {
        let first = path.first()?;
        let known = self.params.contains(&first.value);
        known.then(|| Expr::new(Node::Column(path.to_vec()), path_span(path)))
    }

    /// The fault that a column is unknown among some tables.
    pub(super) fn unknown_column(&self, path: &[Name], relations: &[Relation]) -> Diagnostic {
        let tables: Vec<_> = relations.iter().filter_map(|&relation| self.relation(relation)).collect();
        unknown(path, &tables, path_span(path))
    }
}

/// Whether a schema has a column of that name.
pub(super) fn has(schema: &Schema, name: &str) -> bool {
    schema.column_with_name(name).is_some()
}

pub(super) fn path_span(path: &[Name]) -> Span {
    path.iter().map(|name| name.span).reduce(Span::to).unwrap_or_default()
}

/// A column and the fields below it, checked against the column's type.
fn attribute(relation: Relation, schema: &Schema, path: &[Name], span: Span) -> Result<Expr> {
    let mut names = path.iter();
    let column = names.next().and_then(|name| schema.column_with_name(&name.value));
    let mut data_type = column.map(|(_, field)| field.data_type());
    for name in names {
        data_type = match data_type {
            Some(DataType::Struct(fields)) => match fields.iter().find(|field| *field.name() == name.value) {
                Some(field) => Some(field.data_type()),
                None => return Err(unknown_field(name, fields)),
            },
            Some(DataType::Map(..)) => {
                let fault = Diagnostic::new(Kind::Name, format!("a map has no field `{}`", name.value));
                return Err(fault
                    .at(name.span)
                    .help(format!("write `…['{}']` for the value of a key", name.value)));
            }
            Some(other) => {
                let message = format!("`{}` has no fields, it is of type {other}", path[0].value);
                return Err(Diagnostic::new(Kind::Name, message).at(name.span));
            }
            None => break,
        };
    }
    let path = path.iter().map(|name| name.value.clone()).collect();
    Ok(Expr::new(Node::Attribute { relation, path }, span))
}

fn unknown_field(name: &Name, fields: &Fields) -> Diagnostic {
    let quoted: Vec<String> = fields.iter().map(|field| quote(field.name())).collect();
    Diagnostic::new(Kind::Name, format!("unknown field `{}`", name.value))
        .at(name.span)
        .suggest(&name.value, quoted.iter().map(String::as_str))
        .help(format!("the fields are {}", quoted.join(", ")))
}

fn unknown(path: &[Name], tables: &[(&Schema, String)], span: Span) -> Diagnostic {
    let Some(name) = path.first() else { return Diagnostic::new(Kind::Name, "unknown column") };
    let names: Vec<String> = tables.iter().flat_map(|(schema, _)| column_names(schema)).map(quote).collect();
    let qualifiers: Vec<&str> = tables.iter().map(|(_, qualifier)| qualifier.as_str()).collect();
    let fault = Diagnostic::new(Kind::Name, format!("unknown column `{}`", name.value)).at(span);
    // A name that differs in case alone has to be quoted.
    let exact = names.iter().find(|known| known.trim_matches('"').eq_ignore_ascii_case(&name.value));
    match exact {
        Some(known) => fault.help(format!("did you mean `{known}`?")),
        None if path.len() > 1 && !qualifiers.contains(&name.value.as_str()) => {
            let candidates = names.iter().map(String::as_str).chain(qualifiers.iter().copied());
            fault.suggest(&name.value, candidates)
        }
        None => {
            let fault = fault.suggest(&name.value, names.iter().map(String::as_str));
            if !fault.help.is_empty() {
                return fault;
            }
            // The commonest slip of those who know other languages.
            fault.help(format!("a text stands in single quotes: `{}`", quote_string(&name.value)))
        }
    }
}
