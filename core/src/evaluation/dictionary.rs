//! What was found for the values of a dictionary: the batches of a row group share one, so it is found once.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef};

use crate::error::Result;

/// The dictionary that was met last.
#[derive(Debug, Default)]
pub(super) struct Dictionary(Option<(ArrayData, Arc<[u32]>)>);

impl Dictionary {
    /// A number for each value, as `find` finds them.
    pub(super) fn of(
        &mut self,
        values: &ArrayRef,
        find: impl FnOnce() -> Result<Vec<u32>>,
    ) -> Result<Arc<[u32]>> {
        let data = values.to_data();
        if let Some((known, found)) = &self.0
            && known.ptr_eq(&data)
        {
            return Ok(Arc::clone(found));
        }
        let found: Arc<[u32]> = find()?.into();
        self.0 = Some((data, Arc::clone(&found)));
        Ok(found)
    }
}
