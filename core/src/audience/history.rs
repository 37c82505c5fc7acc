//! The evaluations of the past, as the log's commits report them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use futures::stream::{StreamExt, TryStreamExt, iter};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::layout::Layout;
use super::report::{Evaluation, Report};
use crate::error::Result;

/// Commits read at a time.
const AT_ONCE: usize = 16;

/// What was read before. Commits never change, so none is read twice.
#[derive(Debug, Default)]
pub(super) struct History {
    known: Mutex<BTreeMap<u64, Option<Arc<Evaluation>>>>,
}

/// The first line of a commit of ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FirstLine {
    commit_info: Info,
}

#[derive(Deserialize)]
struct Info {
    timestamp: i64,
    coterie: Report,
}

impl History {
    /// All evaluations, newest first.
    pub(super) async fn evaluations(
        &self,
        layout: &Layout,
        store: &dyn ObjectStore,
    ) -> Result<Vec<Arc<Evaluation>>> {
        let failed = |e| layout.failed("list the evaluations of", e);
        let folder = layout.prefix.clone().join("_delta_log");
        let mut versions: Vec<(u64, Path)> = store
            .list(Some(&folder))
            .try_filter_map(|file| async move {
                Ok(version(&file.location).map(|version| (version, file.location)))
            })
            .try_collect()
            .await
            .map_err(failed)?;
        versions.sort_unstable_by(|a, b| b.cmp(a));

        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unread: Vec<(u64, Path)> =
            versions.iter().filter(|(version, _)| !known.contains_key(version)).cloned().collect();
        let read: Vec<_> = iter(unread)
            .map(|(version, path)| async move {
                Ok((version, evaluation(version, &first_line(store, &path).await?)))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(failed)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(read);
        Ok(versions.iter().filter_map(|(version, _)| known.get(version).cloned().flatten()).collect())
    }
}

/// The version that a file of the log holds, if it is a commit.
fn version(path: &Path) -> Option<u64> {
    let digits = path.filename()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// A commit of a thousand segments is long, and the report its first line: the rest is not read.
async fn first_line(store: &dyn ObjectStore, path: &Path) -> object_store::Result<Vec<u8>> {
    let mut chunks = store.get(path).await?.into_stream();
    let mut line = vec![];
    while let Some(chunk) = chunks.try_next().await? {
        if let Some(end) = chunk.iter().position(|&byte| byte == b'\n') {
            line.extend_from_slice(&chunk[..end]);
            break;
        }
        line.extend_from_slice(&chunk);
    }
    Ok(line)
}

/// The evaluation a commit reports. Commits of other kinds and of other programs report none.
fn evaluation(version: u64, line: &[u8]) -> Option<Arc<Evaluation>> {
    let Info { timestamp, coterie: report } = serde_json::from_slice::<FirstLine>(line).ok()?.commit_info;
    let committed_at = DateTime::from_timestamp_millis(timestamp)?;
    Some(Arc::new(Evaluation { version, committed_at, report }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_of_ours_report_an_evaluation() {
        let ours = br#"{"commitInfo":{"timestamp":1700000000000,"operation":"EVALUATE","coterie":
            {"evaluation":"e1","as_of":"2026-01-01T00:00:00Z","segments":{"a":{"members":2,"entered":1,"exited":0}}}}}"#;
        let evaluation = evaluation(7, ours).unwrap();
        assert_eq!((evaluation.version, evaluation.report.evaluation.as_str()), (7, "e1"));
        assert_eq!(evaluation.report.segments["a"].members, 2);
        for other in
            [&b"{\"commitInfo\":{\"timestamp\":1,\"operation\":\"VACUUM END\"}}"[..], b"{}", b"", b"\xff"]
        {
            assert!(super::evaluation(1, other).is_none());
        }
        assert_eq!(version(&Path::from("a/_delta_log/00000000000000000012.json")), Some(12));
        assert_eq!(version(&Path::from("a/_delta_log/00000000000000000012.checkpoint.parquet")), None);
        assert_eq!(version(&Path::from("a/_delta_log/_commit_3.json.tmp")), None);
    }
}
