//! A prepared evaluation run over the tables as they are now.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use datafusion::common::runtime::JoinSet;
use roaring::RoaringBitmap;

use crate::bug;
use crate::error::Result;

use super::counting::Counting;
use super::finish::{Finish, Scratch};
use super::prepare::Prepared;
use super::table::Read;
use super::{Outcome, Tables, Watch};

impl Prepared {
    /// Runs the program. With `orphans` every event's key is looked at, so that those of no profile are counted.
    pub async fn run(&self, tables: &dyn Tables, orphans: bool, watch: &Arc<Watch>) -> Result<Outcome> {
        let task = tables.state().task_ctx();
        let n_threads = tables.state().config().target_partitions().max(1);
        let (profiles, attributes, null_keys) = self.read_profiles(tables, &task).await?;
        let profiles = Arc::new(profiles);
        let (mut counted, mut read, mut bytes) = (vec![], Read::default(), 0);
        let runs: Vec<_> = self.tables.iter().enumerate().collect();
        for (at, bound) in runs {
            let table = Arc::new(self.event_table(tables, at, bound).await?);
            let scan = self.open_scan(tables, at, &table).await?;
            watch.total.fetch_add(scan.rows(), Relaxed);
            let (scatters, of_table, fetched) =
                scan.run(&table, &profiles, orphans, n_threads, &task, watch).await?;
            read.events += of_table.events;
            read.orphans += of_table.orphans;
            bytes += fetched;
            counted.push(Counting::new(&self.evaluation, at, table, scatters, bound.aggregates.clone()));
        }
        let value_columns = profiles.columns.clone();
        let finish = Arc::new(Finish {
            evaluation: Arc::clone(&self.evaluation),
            profiles: Arc::clone(&profiles),
            tables: counted,
            attributes,
            values: self.values.clone(),
            value_columns,
        });
        let members = finish_all(&finish, n_threads).await?;
        let rules = self.evaluation.rules.iter().map(|(at, _)| *at);
        Ok(Outcome {
            keys: profiles.keys.array()?,
            members: rules.zip(members).collect(),
            null_keys,
            events: read.events,
            orphans: orphans.then_some(read.orphans),
            bytes,
        })
    }

    pub(super) fn events(&self, at: usize) -> &crate::profile::Events {
        &self.program.store.store.events[self.evaluation.tables[at].events]
    }
}

/// Finishes all partitions and joins what was found.
async fn finish_all(finish: &Arc<Finish>, n_threads: usize) -> Result<Vec<RoaringBitmap>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for _ in 0..n_threads.min(finish.n_partitions().max(1)) {
        let (finish, next) = (Arc::clone(finish), Arc::clone(&next));
        set.spawn(async move {
            let mut scratch = Scratch::default();
            loop {
                let partition = next.fetch_add(1, Relaxed);
                if partition >= finish.n_partitions() {
                    break;
                }
                finish.partition(partition, &mut scratch)?;
                tokio::task::yield_now().await;
            }
            Ok::<_, crate::error::Error>(scratch.members)
        });
    }
    let mut all = vec![RoaringBitmap::new(); finish.evaluation.rules.len()];
    while let Some(done) = set.join_next().await {
        let members = done.map_err(|error| bug!("finishing an evaluation: {error}"))??;
        for (all, found) in all.iter_mut().zip(members) {
            *all |= found;
        }
    }
    Ok(all)
}
