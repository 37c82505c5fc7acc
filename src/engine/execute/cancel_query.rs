//! `CANCEL QUERY 'id'`.

use uuid::Uuid;

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::engine::Session;
use crate::error::Result;

/// Stops a statement that runs. One that may not be stopped is as unknown as one that does not run.
pub(super) fn run(session: &Session, id: &str, span: Span) -> Result<()> {
    let principal = &session.client().principal;
    let running = session.engine().queries().running();
    let id: Option<Uuid> = id.trim().parse().ok();
    let found = running.iter().find(|query| Some(query.id) == id && principal.may_see(query));
    let Some(query) = found else {
        let fault = Diagnostic::new(Kind::NotFound, "no query of this id runs").at(span);
        return Err(fault.help("`SELECT * FROM coterie.queries` lists them").into());
    };
    query.cancel(&principal.name);
    Ok(())
}
