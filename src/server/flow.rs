//! Rows on their way to a client: produced by a task of their own, a few batches ahead and no more.
//!
//! A client that does not read holds these batches and nothing else: the task waits, and ends when the client goes, when
//! the statement is cancelled or when its time is over, whether or not anyone looks.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use tokio::sync::mpsc;

use crate::diagnostic::Kind;
use crate::engine::Answer;
use crate::error::{Error, Result};

/// How many batches are made before the client asks for them.
const AHEAD: usize = 2;

/// The rows of an answer, and how many bytes of them at most.
pub fn rows(answer: Answer, limit: Option<u64>) -> (SchemaRef, BoxStream<'static, Result<RecordBatch>>) {
    let Answer { schema, mut stream, query } = answer;
    let (batches, receiver) = mpsc::channel::<Result<RecordBatch>>(AHEAD);
    tokio::spawn(async move {
        let mut bytes: u64 = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = batches.closed() => return,
                next = stream.next() => next,
            };
            let next = match next {
                None => return,
                Some(Ok(batch)) => {
                    bytes = bytes.saturating_add(limit.map_or(0, |_| size(&batch)));
                    match limit {
                        Some(limit) if bytes > limit => Err(too_large(limit)),
                        _ => Ok(batch),
                    }
                }
                Some(Err(error)) => Err(error.into()),
            };
            let failed = next.is_err();
            let sent = tokio::select! {
                biased;
                permit = batches.reserve() => permit.map(|permit| permit.send(next)).is_ok(),
                error = query.stopped() => {
                    // The work ends now; the client learns of it when it reads on.
                    drop(stream);
                    let _ = batches.send(Err(error)).await;
                    return;
                }
            };
            if failed || !sent {
                return;
            }
        }
    });
    let rows = unfold(receiver, |mut receiver| async { receiver.recv().await.map(|next| (next, receiver)) });
    (schema, rows.boxed())
}

/// The bytes of a batch's values. A batch may be a small part of large buffers: these do not count.
fn size(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().map(|column| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    });
    u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
}

fn too_large(limit: u64) -> Error {
    let message = format!("the result has more than {limit} bytes");
    Error::new(Kind::Resource, message).help("ask for less, or raise --max-result-size")
}
