//! What Parquet files say about themselves, read by all threads before one asks.
//!
//! DataFusion asks one file after the other for its columns, in one thread. What was read is remembered, so that it finds
//! everything there.

use std::sync::Arc;

use datafusion::common::runtime::JoinSet;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::SessionState;
use futures::{StreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

/// So many files at most: of more not all might be remembered.
const MOST: usize = 1 << 10;

/// Reads the metadata of Parquet files. What cannot be read is left for whoever asks, who says why.
pub(super) async fn read_ahead(files: &[ObjectMeta], store: &Arc<dyn ObjectStore>, state: &SessionState) {
    let n_threads = state.config().target_partitions().max(1);
    if files.len() < 2 || files.len() > MOST {
        return;
    }
    let execution = &state.config_options().execution;
    let (hint, at_once) = (execution.parquet.metadata_size_hint, execution.meta_fetch_concurrency.get());
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let mut set = JoinSet::new();
    for part in files.chunks(files.len().div_ceil(n_threads)) {
        let (store, cache) = (Arc::clone(store), Arc::clone(&cache));
        let read = move |file: ObjectMeta| {
            let (store, cache) = (Arc::clone(&store), Arc::clone(&cache));
            async move {
                let metadata = DFParquetMetadata::new(store.as_ref(), &file)
                    .with_metadata_size_hint(hint)
                    .with_file_metadata_cache(Some(cache));
                drop(metadata.fetch_metadata().await);
            }
        };
        set.spawn(stream::iter(part.to_vec()).map(read).buffer_unordered(at_once).collect::<()>());
    }
    while set.join_next().await.is_some() {}
}
