//! Audiences: who is a member of which segment since when, one Delta table a profile store.
//!
//! In comes a [`Run`]: an instant, profile keys, and for each evaluated segment its members as positions in those
//! keys. Out goes one new version of the table at `<warehouse>/audiences/<store>`, which any Delta reader reads:
//!
//! ```text
//! segment      partition   the segment's name
//! <key>                    the profile key, under its own name
//! status                   realized: a member; exited: one before
//! entered_at               when the profile last became a member
//! last_qualified_at        the last evaluation that found it a member
//! exited_at                the evaluation that no longer did; null for a member
//! ```
//!
//! ```text
//! Run ──population──► keys in order ──diff──► rows to come ──write──► data files ──log──► one commit
//!                                      ▲                                                    │
//!                                      └──────── read ◄──────── newest version ◄────────────┘
//! ```
//!
//! Each segment is one data file, sorted by key, and is rewritten as a whole: stored rows and members are two
//! ordered lists, walked together. Data files are complete before the commit names them, and the commit holds the
//! evaluation's report, so that after a crash either all of a run is there or nothing, and a leftover file is
//! never looked at. Of two writers one comes first; the other diffs anew what the first has changed.
//!
//! This module does not know what a rule is, nor who evaluated it.

mod columns;
mod diff;
mod evaluate;
mod file;
mod history;
mod layout;
mod log;
mod maintain;
mod population;
mod read;
mod report;
mod table;
mod write;

pub use report::{Change, Evaluation, Outcome, Report, Run, Stored};

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Field;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use deltalake_core::kernel::Action;
use futures::stream::{StreamExt, TryStreamExt, iter};
use object_store::{ObjectStore, ObjectStoreExt};
use roaring::RoaringBitmap;
use serde_json::json;
use url::Url;

use crate::bug;
use crate::delta::Appended;
use crate::diagnostic::{Kind, nearest};
use crate::error::{Error, Result};
use crate::provider;
use evaluate::{Asked, Evaluator, Next};
use history::History;
use layout::Layout;
use log::{Log, Operation, Segment, State};
use population::Population;
use table::Memberships;

/// How often a commit starts over because other writers came first. Each time another commit has landed.
const ATTEMPTS: usize = 100;

/// Files that a disk is asked to keep at a time: it orders what it writes by itself.
const SYNCED_AT_ONCE: usize = 64;

/// The audiences of one profile store.
pub struct Audiences {
    store: Arc<dyn ObjectStore>,
    layout: Arc<Layout>,
    log: Log,
    history: History,
}

impl Audiences {
    /// The audiences of `profile_store` in the warehouse at `root`, kept by the profile key `key`. `store` is the
    /// object store of `root`'s scheme and host, paths in it are those of the URL. Nothing is read or made yet.
    pub fn open(store: Arc<dyn ObjectStore>, root: &Url, profile_store: &str, key: &Field) -> Result<Self> {
        let layout = Arc::new(Layout::new(root, profile_store, key)?);
        let log = Log::new(Arc::clone(&store), Arc::clone(&layout));
        Ok(Self { store, layout, log, history: History::default() })
    }

    /// Stores what the run found, all of it in one version of the table. A segment whose stored audience is of a
    /// later instant is refused, and so is one whose stored rows cannot be read; the others go on. If something
    /// cannot be written, nothing is stored. Where nothing changes nothing is written.
    pub async fn commit(&self, run: &Run) -> Result<Vec<Outcome>> {
        let evaluator = self.evaluator(run)?;
        let mut prepared: Vec<Prepared> = run.members.iter().map(|_| Prepared::default()).collect();
        for _ in 0..ATTEMPTS {
            let state = self.log.load().await?;
            if let Err(e) = self.prepare(&evaluator, run, &state, &mut prepared).await {
                for file in prepared.iter().filter_map(Prepared::file) {
                    self.discard(file).await;
                }
                return Err(e);
            }
            let actions: Vec<Action> = prepared.iter().flat_map(Prepared::actions).cloned().collect();
            if actions.is_empty()
                || self.log.append(&state, Operation::Evaluate, actions, &report(run, &prepared)?).await?
                    != Appended::Beaten
            {
                return Ok(run.members.iter().zip(prepared).map(Prepared::outcome).collect());
            }
        }
        Err(self.outpaced())
    }

    /// The segments that have an audience.
    pub async fn stored(&self) -> Result<HashSet<String>> {
        Ok(self.log.load().await?.segments.keys().cloned().collect())
    }

    /// What [`commit`](Self::commit) would do, without doing it.
    pub async fn compare(&self, run: &Run) -> Result<Vec<Outcome>> {
        once_each(run)?;
        let state = self.log.load().await?;
        let is_stored = |(segment, _): &(String, RoaringBitmap)| state.segments.contains_key(segment);
        // Bringing the keys in order pays for those alone that are compared with something.
        let evaluator = run.members.iter().any(is_stored).then(|| self.evaluator(run)).transpose()?;
        let members = run.members.iter();
        let each: Vec<_> = members
            .map(|(segment, members)| {
                let stored = evaluator.clone().zip(state.segments.get(segment).cloned());
                (segment.clone(), members.len(), stored.map(|stored| (stored, members.clone())))
            })
            .collect();
        let compared = iter(each)
            .map(|(segment, n_members, stored)| async move {
                let Some(((evaluator, before), members)) = stored else {
                    let change = Change { members: n_members, entered: n_members, exited: 0 };
                    return Outcome { segment, change: Ok(change) };
                };
                let name = segment.clone();
                let change =
                    on_its_own(async move { evaluator.compare(&segment, Some(&before), &members).await });
                Outcome { segment: name, change: change.await }
            })
            .buffered(at_once());
        Ok(compared.collect().await)
    }

    /// Takes a segment's rows out of the table, if it has any.
    pub async fn remove(&self, segment: &str) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let state = self.log.load().await?;
            let Some(stored) = state.segments.get(segment) else { return Ok(()) };
            let removals = evaluate::removals(stored);
            let removed = json!({"removed": segment});
            if self.log.append(&state, Operation::Remove, removals, &removed).await? != Appended::Beaten {
                return Ok(());
            }
        }
        Err(self.outpaced())
    }

    /// The segments that have been evaluated, by name.
    pub async fn segments(&self) -> Result<Vec<Stored>> {
        let state = self.log.load().await?;
        let mut segments = vec![];
        for (name, segment) in &state.segments {
            let mark = match &segment.mark {
                Some(mark) => mark.clone(),
                None => read::mark(&self.layout, &self.store, segment).await?,
            };
            segments.push(Stored {
                segment: name.clone(),
                members: mark.members,
                exited: mark.exited,
                as_of: mark.as_of,
                evaluation: mark.evaluation,
            });
        }
        Ok(segments)
    }

    /// The evaluations of this store, newest first.
    pub async fn evaluations(&self) -> Result<Vec<Arc<Evaluation>>> {
        self.history.evaluations(&self.layout, &self.store).await
    }

    /// The audience of one segment as it is now; later evaluations do not change the table returned.
    pub async fn table(&self, segment: &str) -> Result<Arc<dyn TableProvider>> {
        let state = self.log.load().await?;
        if !state.segments.contains_key(segment) {
            let names = state.segments.keys().map(String::as_str);
            let help = match nearest(segment, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("evaluate it: EVALUATE SEGMENT {segment}"),
            };
            let message = format!("the segment `{segment}` has no stored audience");
            return Err(Error::new(Kind::NotFound, message).help(help));
        }
        self.memberships_of(&state, Some(segment))
    }

    /// All audiences of the store as they are now, with the segment as first column.
    pub async fn memberships(&self) -> Result<Arc<dyn TableProvider>> {
        let state = self.log.load().await?;
        self.memberships_of(&state, None)
    }

    /// Deletes data files that no version of the last `kept` needs, those of evaluations that broke off among them,
    /// and says how many. Commits do this from time to time on their own, for what is older than a week. A query
    /// that is older than `kept` may lose the files it reads, and an evaluation the ones it is about to commit.
    pub async fn vacuum(&self, kept: TimeDelta) -> Result<usize> {
        self.log.vacuum(kept).await
    }

    fn memberships_of(&self, state: &State, segment: Option<&str>) -> Result<Arc<dyn TableProvider>> {
        Ok(provider::table(Memberships::new(&self.layout, Arc::clone(&self.store), state, segment)?))
    }

    fn evaluator(&self, run: &Run) -> Result<Evaluator> {
        once_each(run)?;
        let members = run.members.iter().map(|(_, members)| members);
        Ok(Evaluator {
            layout: Arc::clone(&self.layout),
            store: Arc::clone(&self.store),
            population: Arc::new(Population::new(&run.keys, self.layout.key_type(), members)?),
            as_of: kept_instant(run.as_of)?,
            id: run.id.as_str().into(),
        })
    }

    /// Brings what is prepared up to `state`: all of it the first time, then what other writers have changed. The disk
    /// has all files in the end, and keeps them while others are being written.
    async fn prepare(
        &self,
        evaluator: &Evaluator,
        run: &Run,
        state: &State,
        prepared: &mut [Prepared],
    ) -> Result<()> {
        let mut stale = vec![];
        for (at, (segment, members)) in run.members.iter().enumerate() {
            let before = state.segments.get(segment).cloned();
            if !prepared[at].stands(before.as_deref()) {
                if let Some(file) = prepared[at].file() {
                    self.discard(file).await;
                }
                stale.push((at, Asked { segment: segment.clone(), before, members: members.clone() }));
            }
        }
        let written = iter(groups(stale))
            .map(|group| {
                let evaluator = evaluator.clone();
                on_its_own(async move {
                    let (places, asked): (Vec<usize>, Vec<Asked>) = group.into_iter().unzip();
                    let next = evaluator.prepare(&asked).await?;
                    let bases = asked.into_iter().map(|asked| asked.before);
                    let prepared = next.into_iter().zip(bases);
                    let prepared = prepared.map(|(next, basis)| Prepared { next: Some(next), basis });
                    Ok(iter(places.into_iter().zip(prepared).map(Ok::<_, Error>).collect::<Vec<_>>()))
                })
            })
            .buffer_unordered(at_once())
            .try_flatten();
        let mut kept = written
            .map_ok(|(at, next)| async move {
                let synced = match next.file() {
                    Some(file) => write::sync(&self.layout, file).await,
                    None => Ok(()),
                };
                Ok((at, next, synced))
            })
            .try_buffer_unordered(SYNCED_AT_ONCE);
        while let Some((at, next, synced)) = kept.try_next().await? {
            prepared[at] = next;
            synced?;
        }
        Ok(())
    }

    /// Deletes a file that no commit will name. If it stays, it is an orphan like those of a crash.
    async fn discard(&self, file: &str) {
        if let Ok(path) = self.layout.full_path(file) {
            drop(self.store.delete(&path).await);
        }
    }

    fn outpaced(&self) -> Error {
        let message = format!("other writers keep changing the audiences of store `{}`", self.layout.store);
        Error::new(Kind::Conflict, message).help("try again when fewer evaluations run at once")
    }
}

impl fmt::Debug for Audiences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audiences").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The next state of one segment, and the stored one that it follows.
#[derive(Default)]
struct Prepared {
    next: Option<Result<Next>>,
    basis: Option<Arc<Segment>>,
}

impl Prepared {
    fn stands(&self, stored: Option<&Segment>) -> bool {
        self.next.is_some()
            && match (self.basis.as_deref(), stored) {
                (None, None) => true,
                (Some(basis), Some(stored)) => basis.is(stored),
                _ => false,
            }
    }

    fn done(&self) -> Option<&Next> {
        self.next.as_ref()?.as_ref().ok()
    }

    fn actions(&self) -> &[Action] {
        self.done().map_or(&[], |next| &next.actions)
    }

    fn file(&self) -> Option<&str> {
        self.done()?.file.as_deref()
    }

    fn outcome(((segment, _), prepared): (&(String, RoaringBitmap), Self)) -> Outcome {
        let change = match prepared.next {
            Some(next) => next.map(|next| next.change),
            None => Err(bug!("the segment `{segment}` was left out")),
        };
        Outcome { segment: segment.clone(), change }
    }
}

fn report(run: &Run, prepared: &[Prepared]) -> Result<serde_json::Value> {
    let changes = run.members.iter().zip(prepared);
    let report = Report {
        evaluation: run.id.clone(),
        as_of: kept_instant(run.as_of)?,
        segments: changes
            .filter_map(|((segment, _), prepared)| Some((segment.clone(), prepared.done()?.change)))
            .collect(),
        figures: run.figures.clone(),
    };
    serde_json::to_value(report).map_err(|e| bug!("the report of an evaluation is no JSON: {e}"))
}

/// Refuses a run with two results for one segment.
fn once_each(run: &Run) -> Result<()> {
    let mut names = HashSet::new();
    match run.members.iter().find(|(segment, _)| !names.insert(segment)) {
        None => Ok(()),
        Some((twice, _)) => Err(bug!("the segment `{twice}` was evaluated twice in one run")),
    }
}

/// The instant as the table keeps it.
fn kept_instant(as_of: DateTime<Utc>) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(as_of.timestamp_micros())
        .ok_or_else(|| Error::new(Kind::Unsupported, format!("the instant {as_of} is too far away")))
}

/// So many segments at most are written together: each holds a row group of its file.
const TOGETHER: usize = 16;

/// So many members at most have segments that are written together: the places of all of them are kept.
const MANY: u64 = 1 << 22;

/// Segments, with what the caller knows them by, in groups that are written together.
fn groups(all: Vec<(usize, Asked)>) -> Vec<Vec<(usize, Asked)>> {
    let most = all.len().div_ceil(at_once()).min(TOGETHER);
    let (mut groups, mut n_members) = (Vec::<Vec<_>>::new(), 0);
    for one in all {
        n_members += one.1.members.len();
        match groups.last_mut().filter(|group| group.len() < most && n_members <= MANY) {
            Some(group) => group.push(one),
            None => {
                n_members = one.1.members.len();
                groups.push(vec![one]);
            }
        }
    }
    groups
}

/// Groups of segments that are worked on at a time.
fn at_once() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs on another thread of the runtime, so that segments keep all cores busy.
async fn on_its_own<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    SpawnedTask::spawn(work).join().await.unwrap_or_else(|e| Err(bug!("an evaluation broke off: {e}")))
}
