//! `CREATE SEGMENT`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::compile::{Refusals, compile};
use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::engine::Session;
use crate::engine::expand::{in_statement, written};
use crate::engine::scope::{Scope, parse_rule};
use crate::error::{Error, Result};
use crate::segment::{Expr, Name, Segment};
use crate::statement::{CreateSegment, Statement};
use crate::warehouse;

pub(super) async fn run(session: &Session, create: &CreateSegment, statement: &Statement) -> Result<()> {
    let scope = session.scope().await?;
    let known = scope.snapshot.get(warehouse::Kind::Segment, &create.name.value);
    if known.is_some() && create.if_not_exists {
        return Ok(());
    }
    if known.is_some() && !create.or_replace {
        let message = format!("a segment is called `{}` already", create.name.value);
        let fault = Diagnostic::new(Kind::Conflict, message).at(create.name.span);
        return Err(fault.help("`CREATE OR REPLACE SEGMENT` makes a new version of it").into());
    }
    let segment = Segment {
        name: create.name.value.clone(),
        store: store_of(&scope, create.store.as_ref(), create.name.span)?,
        id: create.id.clone(),
        comment: create.comment.clone(),
        language: create.language,
        rule: create.rule.clone(),
    };
    check_id(&scope, &segment)?;
    check(&scope, &segment, create.parsed.as_ref()).await.map_err(|error| {
        let written = written(&segment, create.rule_span, &statement.source);
        match error {
            Error::Wrong(faults) => {
                Error::Wrong(faults.into_iter().map(|fault| in_statement(fault, &written)).collect())
            }
            failed => failed,
        }
    })?;
    let version = known.map(|entry| entry.version);
    session.engine.put(warehouse::Kind::Segment, &segment.name, version, &segment).await
}

/// An id says one thing.
pub(in crate::engine) fn check_id(scope: &Scope, segment: &Segment) -> Result<()> {
    let Some(id) = &segment.id else { return Ok(()) };
    match scope.segment_known_as(&segment.store, id) {
        Some(other) if other != segment.name => {
            let message = format!("segment `{other}` of the store `{}` is known as `{id}`", segment.store);
            Err(Diagnostic::new(Kind::Conflict, message).into())
        }
        _ => Ok(()),
    }
}

/// A rule that is kept is known to resolve and to plan. It may have been parsed already.
pub(in crate::engine) async fn check(
    scope: &Arc<Scope>,
    segment: &Segment,
    parsed: Option<&Expr>,
) -> Result<()> {
    let bound = scope.bound(&segment.store).await?;
    let rule = match parsed {
        Some(rule) => Cow::Borrowed(rule),
        None => Cow::Owned(parse_rule(scope, segment, &bound)?),
    };
    let program = scope.resolve(&segment.name, &rule, &bound)?;
    // Planning takes longer than all else about a segment; most rules need none to be known as good.
    if compile(&program, &Refusals::default()).is_certain() {
        return Ok(());
    }
    scope.check(&program).await
}

/// The store that is named, or the only one there is.
pub(in crate::engine) fn store_of(scope: &Scope, store: Option<&Name>, place: Span) -> Result<String> {
    if let Some(name) = store {
        return match scope.store(&name.value)? {
            Some(_) => Ok(name.value.clone()),
            None => Err(scope.unknown_store(&name.value).at(name.span).into()),
        };
    }
    let names = scope.names(warehouse::Kind::ProfileStore);
    match names[..] {
        [only] => Ok(only.to_owned()),
        [] => {
            let fault = Diagnostic::new(Kind::NotFound, "there is no profile store yet").at(place);
            Err(fault.help("declare one: `CREATE PROFILE STORE shop PROFILES … EVENTS …`").into())
        }
        _ => {
            let fault = Diagnostic::new(Kind::Name, "which profile store is the segment about?").at(place);
            let names: Vec<String> = names.iter().map(|name| format!("`IN {name}`")).collect();
            Err(fault.help(format!("say {}", names.join(" or "))).into())
        }
    }
}
