//! Makes the next state of each audience of a run: counts always, a data file where rows change.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use chrono::{DateTime, SecondsFormat, Utc};
use deltalake_core::kernel::{Action, Add, Remove};
use futures::stream::TryStreamExt;
use object_store::ObjectStore;
use roaring::RoaringBitmap;

use super::diff::{Diff, Nowhere, Stored, Walked};
use super::layout::Layout;
use super::log::{Mark, Segment};
use super::population::Population;
use super::read;
use super::report::Change;
use super::write::{Rows, Writer};
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// What all audiences of a run share.
#[derive(Clone)]
pub(super) struct Evaluator {
    pub(super) layout: Arc<Layout>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) population: Arc<Population>,
    pub(super) as_of: DateTime<Utc>,
    /// The evaluation's name.
    pub(super) id: Arc<str>,
}

/// Why the next state of an audience could not be made.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// What is stored of this one stands against it; the others go on.
    Alone(Error),
    /// It could not be written: the disk is full, or the bucket not ours. The run ends and leaves all as it was.
    Run(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Alone(error)
    }
}

/// A segment of a run.
pub(super) struct Asked {
    pub(super) segment: String,
    /// Its stored audience.
    pub(super) before: Option<Arc<Segment>>,
    /// Positions in the run's keys.
    pub(super) members: RoaringBitmap,
}

/// The next state of one audience.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) change: Change,
    /// What the log is to say; nothing where the audience is stored like this already.
    pub(super) actions: Vec<Action>,
    /// The data file that was written for it.
    pub(super) file: Option<String>,
}

/// An audience that is being brought to its next state.
enum Begun {
    Done(Next),
    Changing(Box<Changing>),
}

/// A data file that has all rows but those of who enters after the last stored one.
struct Changing {
    writer: Writer,
    walked: Walked,
    /// How many of these have entered.
    entered: usize,
    /// The files that it replaces.
    removals: Vec<Action>,
}

/// Keys that all audiences take theirs of before the next ones.
const BLOCK: usize = 1 << 12;

impl Changing {
    /// Adds those who enter and whose place among the keys is below `end`; they are no more than a block.
    async fn enter(&mut self, keys: &ArrayRef, end: usize, as_of: DateTime<Utc>) -> Result<()> {
        let left = &self.walked.entering[self.entered..];
        let near = &left[..left.len().min(BLOCK)];
        let places = &near[..near.partition_point(|place| (*place as usize) < end)];
        if places.is_empty() {
            return Ok(());
        }
        self.entered += places.len();
        self.writer.enter(keys, places, as_of).await
    }
}

impl Evaluator {
    /// Counts what the evaluation changes.
    pub(super) async fn compare(
        &self,
        segment: &str,
        before: Option<&Segment>,
        members: &RoaringBitmap,
    ) -> Result<Change> {
        if let Some(before) = before {
            self.refuse_older(segment, &self.mark(before).await?)?;
        }
        self.count(before, members).await
    }

    /// Writes what the evaluation changes of some audiences. The outer error is the run's, the others are those of one
    /// audience each.
    pub(super) async fn prepare(&self, all: &[Asked]) -> Result<Vec<Result<Next>>> {
        let mut begun = vec![];
        for asked in all {
            begun.push(match self.begin(asked).await {
                Ok(begun) => Ok(begun),
                Err(Fault::Alone(error)) => Err(error),
                Err(Fault::Run(error)) => return Err(error),
            });
        }
        // Each audience has its own of more keys than the processor's cache holds. While some are there, all take theirs.
        let n_keys = self.population.keys.len();
        for start in (0..n_keys).step_by(BLOCK) {
            let end = n_keys.min(start + BLOCK);
            self.population.touch(start..end);
            for begun in &mut begun {
                if let Ok(Begun::Changing(changing)) = begun {
                    changing.enter(&self.population.keys, end, self.as_of).await?;
                }
            }
            tokio::task::yield_now().await;
        }
        let mut prepared = vec![];
        for begun in begun {
            prepared.push(match begun {
                Ok(Begun::Changing(changing)) => Ok(self.complete(*changing).await?),
                Ok(Begun::Done(next)) => Ok(next),
                Err(error) => Err(error),
            });
        }
        Ok(prepared)
    }

    /// Does all but writing those who enter after the last stored row.
    async fn begin(&self, asked: &Asked) -> Result<Begun, Fault> {
        let Asked { segment, before, members } = asked;
        if let Some(before) = before {
            let mark = self.mark(before).await?;
            self.refuse_older(segment, &mark)?;
            if mark.as_of == self.as_of {
                let change = self.count(Some(before), members).await?;
                if change.entered == 0 && change.exited == 0 {
                    return Ok(Begun::Done(Next { change, actions: vec![], file: None }));
                }
            }
            if let ([file], true) = (before.files.as_slice(), members.is_empty() && mark.members == 0) {
                return Ok(Begun::Done(self.evaluated_again(file, mark)));
            }
        }
        let (mut diff, mut rows) = (self.diff(members), Rows::new(&self.layout));
        let mut writer =
            Writer::new(Arc::clone(&self.layout), Arc::clone(&self.store), segment).map_err(Fault::Run)?;
        if let Some(before) = before {
            let mut batches = read::rows(&self.layout, &self.store, before).await?;
            while let Some(batch) = batches.try_next().await? {
                let stored = Stored::new(&batch)?;
                diff.stored(&stored, &mut rows)?;
                let rows = rows.take(&stored.keys, &self.population.keys)?;
                writer.write(&rows).await.map_err(Fault::Run)?;
            }
        }
        let removals = before.as_deref().map_or(vec![], removals);
        Ok(Begun::Changing(Box::new(Changing { writer, walked: diff.finish(), entered: 0, removals })))
    }

    async fn complete(&self, changing: Changing) -> Result<Next> {
        let Changing { writer, walked: Walked { change, exited_rows, .. }, removals: mut actions, .. } =
            changing;
        let mark = Mark {
            as_of: self.as_of,
            evaluation: Some(self.id.to_string()),
            members: change.members,
            exited: exited_rows,
        };
        let add = writer.finish(&mark).await?;
        let file = Some(add.path.clone());
        actions.push(Action::Add(add));
        Ok(Next { change, actions, file })
    }

    /// No one is a member and no one was: the rows stay, and the log says that they are newer than they were.
    /// Naming a file again replaces what the log says about it.
    fn evaluated_again(&self, file: &Add, mark: Mark) -> Next {
        let mark = Mark { as_of: self.as_of, evaluation: Some(self.id.to_string()), ..mark };
        let add = Add { data_change: false, tags: Some(mark.tags()), ..file.clone() };
        Next { change: Change::default(), actions: vec![Action::Add(add)], file: None }
    }

    async fn mark(&self, segment: &Segment) -> Result<Mark> {
        match &segment.mark {
            Some(mark) => Ok(mark.clone()),
            None => read::mark(&self.layout, &self.store, segment).await,
        }
    }

    fn refuse_older(&self, segment: &str, mark: &Mark) -> Result<()> {
        if mark.as_of <= self.as_of {
            return Ok(());
        }
        let [stored, asked] =
            [mark.as_of, self.as_of].map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let message = format!("the audience `{segment}` is stored as of {stored}, later than {asked}");
        Err(Error::new(Kind::Conflict, message)
            .help("evaluate as of a later instant, or ask `segment` for the members of an earlier one"))
    }

    async fn count(&self, before: Option<&Segment>, members: &RoaringBitmap) -> Result<Change> {
        let mut diff = self.diff(members);
        if let Some(before) = before {
            let mut batches = read::rows(&self.layout, &self.store, before).await?;
            while let Some(batch) = batches.try_next().await? {
                diff.stored(&Stored::new(&batch)?, &mut Nowhere)?;
            }
        }
        Ok(diff.finish().change)
    }

    fn diff(&self, members: &RoaringBitmap) -> Diff<'_> {
        Diff::new(&self.population, self.population.places(members), self.as_of.timestamp_micros())
    }
}

/// Takes the files of a segment out of the table.
pub(super) fn removals(segment: &Segment) -> Vec<Action> {
    let now = Utc::now().timestamp_millis();
    let removal = |file: &Add| {
        Action::Remove(Remove {
            path: file.path.clone(),
            data_change: true,
            deletion_timestamp: Some(now),
            extended_file_metadata: Some(true),
            partition_values: Some(file.partition_values.clone()),
            size: Some(file.size),
            ..Remove::default()
        })
    };
    segment.files.iter().map(removal).collect()
}
