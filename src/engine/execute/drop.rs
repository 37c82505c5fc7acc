//! `DROP SEGMENT`, `DROP PROFILE STORE`.

use crate::diagnostic::{Diagnostic, Kind};
use crate::engine::Session;
use crate::engine::scope::{Scope, parse_rule};
use crate::error::Result;
use crate::segment::{Form, Name, Node, Value, walk};
use crate::warehouse;

pub(super) async fn segment(session: &Session, name: &Name, if_exists: bool) -> Result<()> {
    let scope = session.scope().await?;
    let Some(entry) = scope.snapshot.get(warehouse::Kind::Segment, &name.value) else {
        return if if_exists { Ok(()) } else { Err(scope.unknown_segment(&name.value).at(name.span).into()) };
    };
    let mut users = vec![];
    for other in scope.names(warehouse::Kind::Segment) {
        if other != name.value && uses(&scope, other, &name.value).await? {
            users.push(other);
        }
    }
    refuse(&users, "segment", "segments", name)?;
    let store = scope.segment(&name.value)?.map(|segment| segment.store.clone());
    session.engine.delete(warehouse::Kind::Segment, &name.value, entry.version).await?;
    // The definition is gone with its tombstone; the stored rows follow.
    if let Some(store) = store
        && scope.store(&store)?.is_some()
    {
        let bound = scope.bound(&store).await?;
        session.engine.audiences(&bound).await?.remove(&name.value).await?;
    }
    Ok(())
}

pub(super) async fn store(session: &Session, name: &Name, if_exists: bool) -> Result<()> {
    let scope = session.scope().await?;
    let Some(entry) = scope.snapshot.get(warehouse::Kind::ProfileStore, &name.value) else {
        return if if_exists { Ok(()) } else { Err(scope.unknown_store(&name.value).at(name.span).into()) };
    };
    let mut users = vec![];
    for segment in scope.names(warehouse::Kind::Segment) {
        if scope.segment(segment)?.is_some_and(|segment| segment.store == name.value) {
            users.push(segment);
        }
    }
    refuse(&users, "profile store", "segments", name)?;
    session.engine.delete(warehouse::Kind::ProfileStore, &name.value, entry.version).await?;
    // Copies can be made again from the tables; nobody would look for these.
    session.engine.layouts().remove(&name.value).await
}

/// Whether a segment's rule asks for another segment.
async fn uses(scope: &std::sync::Arc<Scope>, segment: &str, other: &str) -> Result<bool> {
    let Some(segment) = scope.segment(segment)? else { return Ok(false) };
    // Most rules do not name it at all, by neither name.
    let id = scope.segment(other)?.and_then(|other| other.id.clone());
    if !segment.rule.contains(other) && !id.is_some_and(|id| segment.rule.contains(&id)) {
        return Ok(false);
    }
    let Ok(bound) = scope.bound(&segment.store).await else { return Ok(false) };
    let Ok(rule) = parse_rule(scope, &segment, &bound) else { return Ok(false) };
    let mut found = false;
    walk(&rule, &mut |part| {
        if let Node::Form { form: Form::InSegment, args } = &part.node {
            found |= args
                .iter()
                .any(|arg| matches!(&arg.node, Node::Literal(Value::String(name)) if name == other));
        }
        !found
    });
    Ok(found)
}

/// Refuses to drop what others use.
pub(super) fn refuse(users: &[&str], what: &str, who: &str, name: &Name) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = users.iter().take(5).map(|user| format!("`{user}`")).collect();
    let more = users.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("{what} `{}` is used by the {who} {}{more}", name.value, shown.join(", "));
    Err(Diagnostic::new(Kind::Conflict, message).at(name.span).help("drop or change those first").into())
}
