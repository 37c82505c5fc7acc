//! The evaluation program at work: many rules about one store in one pass over its tables.
//!
//! ```text
//! profiles ──keys──► ordinals, classes ─────────────────────────────────┐
//! events ──match──► signature ──scatter──► partitions ──walk──► leaves ──┴─trees──► members
//! ```
//!
//! 1. [`prepare`] compiles the rules and binds what DataFusion has to compute. What cannot be bound is refused, rule
//!    by rule, and left to the general plan.
//! 2. Profiles are read once: a key becomes a dense ordinal, a row's values become classes. All of them are one
//!    [`shard`], or those of each bucket where event tables are laid out.
//! 3. Events are read once. Each row's values are looked up by class in an automaton that ends in the row's
//!    signature, the set of atoms it satisfies; rows that match nothing, or are too old for all they match, end
//!    there. What is left of an event, a few bytes, goes to the partition of its profile.
//! 4. Partition by partition, in the processor's cache, events are sorted by profile and time, counted newest first,
//!    and what was counted becomes a bit for each leaf, then for each rule. [`run`] has threads do this for all profiles
//!    at once or, shard by shard, right after the events of the shard are read.

mod aggregate;
mod asked;
mod attributes;
mod bind;
mod bits;
mod channel;
mod classes;
mod counting;
mod dictionary;
mod exec;
mod families;
mod finish;
mod keys;
mod layers;
mod leaves;
mod matcher;
mod parquet;
mod partition;
mod pending;
mod prepare;
mod profiles;
mod rank;
mod reading;
mod register;
mod run;
mod scan;
mod scatter;
mod sequels;
mod shard;
mod sieve;
mod signature;
mod sums;
mod table;
mod tally;
mod uses;
mod words;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::BoxFuture;
use roaring::RoaringBitmap;

use crate::bug;
use crate::error::Result;
use crate::profile::Bound;
use crate::source;

use keys::Kept;
use shard::Profiles;

pub use exec::MembersExec;
pub use keys::{joinable, repeated};
pub use prepare::{Prepared, prepare};
pub use run::Asked;

/// Where names in an evaluation lead.
pub trait Tables: Send + Sync {
    /// The session in which everything is planned.
    fn state(&self) -> &SessionState;
    /// Plans SQL.
    fn plan<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan>>;
    /// The table of a name.
    fn provider<'a>(&'a self, table: &'a str) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>>;
    /// The laid-out copy of one of a store's event tables, if there is one and it is current.
    fn laid_out<'a>(&'a self, store: &'a Bound, events: usize) -> BoxFuture<'a, Result<Option<LaidOut>>>;
}

/// A scan of some columns of the files that may hold events since an instant, in microseconds since 1970, of some buckets of
/// keys or of all. Each of its partitions yields the events of one bucket, or none if that is not wanted.
pub type ScanOfCopy =
    dyn Fn(&[usize], Option<i64>, Option<&[usize]>) -> Result<Arc<dyn ExecutionPlan>> + Send + Sync;

/// An event table that is cut by key.
pub struct LaidOut {
    /// The columns of the event table, and perhaps others.
    pub schema: SchemaRef,
    /// Reads it.
    pub scan: Box<ScanOfCopy>,
    /// Which key is in which bucket.
    pub buckets: Buckets,
    /// The profiles, by the numbers that its events have instead of their keys.
    pub register: Option<Register>,
}

/// Which profile each number in a laid-out copy stands for. Every profile is registered once, and has a key.
pub struct Register {
    /// The column of events that holds the number of the key among those of the bucket.
    pub number: String,
    /// Yields, by bucket and number, each profile's `key`, its `number`, null if it has no events, and the `row` of the
    /// profile table, counted over its files in the order of their paths.
    pub scan: Arc<dyn ExecutionPlan>,
    /// Where the profiles of each bucket begin, and where the last one's end.
    pub starts: Vec<usize>,
    /// The files of the profile table for which all this is so.
    pub files: Vec<source::File>,
}

/// How keys are dealt to buckets.
#[derive(Clone, Copy, Debug)]
pub struct Buckets {
    /// How many there are.
    pub n: usize,
    /// The bucket of each key, given how many there are.
    pub of: fn(&ArrayRef, u32) -> Result<Vec<u32>>,
}

impl Buckets {
    /// Those that hold any of some keys, in order.
    fn of_any(self, keys: &ArrayRef) -> Result<Vec<usize>> {
        let n = u32::try_from(self.n).map_err(|error| bug!("buckets: {error}"))?;
        let mut all: Vec<usize> = (self.of)(keys, n)?.into_iter().map(|bucket| bucket as usize).collect();
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

/// What an evaluation found.
#[derive(Debug)]
pub struct Outcome {
    profiles: Arc<Profiles>,
    /// The keys, by the positions that members have.
    keys: MemberKeys,
    /// For each rule that took part its position in the resolved program, and its members.
    pub members: Vec<(usize, Members)>,
    /// Rows of the profile table without a key.
    pub null_keys: u64,
    /// Events read, within the widest window.
    pub events: u64,
    /// Of these, those whose key belongs to no profile; `None` where not all keys were looked at.
    pub orphans: Option<u64>,
    /// Bytes fetched from files.
    pub bytes: u64,
    /// What the members take.
    _memory: Vec<MemoryReservation>,
}

/// The keys of members.
#[derive(Debug)]
enum MemberKeys {
    /// As profiles were found by them.
    Kept(Kept),
    /// Read for members alone, as the profile table has them.
    Read(ArrayRef),
}

/// The members of a rule.
#[derive(Clone, Debug)]
pub enum Members {
    /// The positions of their keys among those of the outcome.
    Positions(RoaringBitmap),
    /// How many they are, where nobody asks who.
    Count(u64),
}

impl Members {
    /// How many they are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Positions(members) => members.len(),
            Self::Count(n) => *n,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds members found elsewhere, all of them others.
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Positions(all), Self::Positions(other)) => *all |= other,
            (all, other) => *all = Self::Count(all.len() + other.len()),
        }
    }
}

impl Outcome {
    /// How many profiles there are.
    pub fn n_profiles(&self) -> usize {
        self.profiles.len()
    }

    /// The keys by the positions that members have.
    pub fn keys(&self) -> Result<ArrayRef> {
        match &self.keys {
            MemberKeys::Kept(keys) => keys.array(&self.profiles.key_type),
            MemberKeys::Read(keys) => Ok(Arc::clone(keys)),
        }
    }

    /// The keys of some, by their positions.
    pub fn keys_of(&self, positions: &UInt32Array) -> Result<ArrayRef> {
        match &self.keys {
            MemberKeys::Kept(keys) => keys.of(positions, &self.profiles.key_type),
            MemberKeys::Read(keys) => take(keys, positions, None).map_err(|error| bug!("keys: {error}")),
        }
    }
}

/// How far a run has come, for whoever watches.
#[derive(Debug, Default)]
pub struct Watch {
    /// Event rows read.
    pub rows: AtomicU64,
    /// Event rows there are, once known.
    pub total: AtomicU64,
}
