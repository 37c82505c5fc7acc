//! Segments from another system's documents: all that can be made, and why the others cannot.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Kind, Source, Span};
use crate::error::{Error, Result};
use crate::pql::{self, adobe};
use crate::segment::{Name, Segment};
use crate::warehouse;

use super::Session;
use super::execute::{check_id, check_segment, store_of};
use super::scope::{Scope, source_of};

/// How segments are imported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Import<'a> {
    /// The profile store that they are about; the only one there is, if none is named.
    pub store: Option<&'a str>,
    /// Make new versions of segments that are there already.
    pub replace: bool,
    /// Check all, and store nothing.
    pub dry_run: bool,
}

/// What became of a definition.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The segment's name, or the definition's place in its document.
    pub segment: String,
    /// What was done, or would be.
    pub status: Status,
    /// Why it was refused.
    pub faults: Vec<Diagnostic>,
}

/// What importing a definition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A new segment.
    Created,
    /// A new version of a segment.
    Replaced,
    /// The segment is there already as it is defined.
    Unchanged,
    /// No segment.
    Refused,
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

impl Session {
    /// Creates the segments that documents of Adobe's segment API define. Fails, and creates nothing, only where a
    /// document cannot be read; a definition that is wrong is refused alone.
    pub async fn import_adobe(&self, documents: &[Source], import: Import<'_>) -> Result<Vec<Imported>> {
        let scope = self.scope().await?;
        let store = store_of(&scope, import.store.map(Name::new).as_ref(), Span::default())?;
        let bound = scope.bound(&store).await?;
        let known = |id: &str| scope.segment_known_as(&store, id);
        let context = pql::Context { store: &bound, now: scope.now, segment: &known };
        let read = adobe::import(documents, &context)?;
        let refused = |segment, faults| Imported { segment, status: Status::Refused, faults };
        let mut imported = vec![];
        for segment in read.segments {
            let name = segment.name.clone();
            imported.push(match self.take(&scope, segment, import).await {
                Ok(status) => Imported { segment: name, status, faults: vec![] },
                Err(Error::Wrong(faults)) => refused(name, faults),
                Err(failed) => return Err(failed),
            });
        }
        imported.extend(read.refused.into_iter().map(|refusal| refused(refusal.name, refusal.faults)));
        Ok(imported)
    }

    async fn take(&self, scope: &Arc<Scope>, segment: Segment, import: Import<'_>) -> Result<Status> {
        let entry = scope.snapshot.get(warehouse::Kind::Segment, &segment.name);
        let status = match scope.segment(&segment.name)? {
            None => Status::Created,
            Some(known) if *known == segment => Status::Unchanged,
            Some(_) if import.replace => Status::Replaced,
            Some(_) => {
                let message = format!("another segment is called `{}`", segment.name);
                let fault = Diagnostic::new(Kind::Conflict, message);
                return Err(fault.help("`--replace` makes a new version of it").into());
            }
        };
        let source = source_of(&segment);
        check_id(scope, &segment)?;
        check_segment(scope, &segment, None).await.map_err(|error| error.in_source(&source))?;
        let version = entry.map(|entry| entry.version);
        if status != Status::Unchanged && !import.dry_run {
            self.engine.put(warehouse::Kind::Segment, &segment.name, version, &segment).await?;
        }
        // Those that ask for it come later.
        scope.add(segment);
        Ok(status)
    }
}
