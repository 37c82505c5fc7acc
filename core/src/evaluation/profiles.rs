//! The profile table of an evaluation, read once: ordinals by key, classes of attributes, columns that are needed.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat, filter_record_batch, is_not_null};
use arrow::datatypes::DataType;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execute_stream_partitioned;
use futures::StreamExt;
use hashbrown::HashMap;

use crate::bug;
use crate::compile::Of;
use crate::error::Result;
use crate::statement::quote;

use super::bind::{Input, RowExpr};
use super::bits::small;
use super::classes::Classes;
use super::finish::Attributes;
use super::keys::Kept;
use super::prepare::Prepared;
use super::shard::{Profiles, by_bucket, ordered};
use super::table::column;
use super::{Buckets, Tables};

impl Prepared {
    /// The columns of profiles that expressions about events or features need.
    fn kept_columns(&self) -> Vec<String> {
        let of_tables =
            self.tables.iter().flat_map(|table| table.channels.iter().chain(table.questions.rows.values()));
        let mut columns: Vec<String> = vec![];
        for input in of_tables.chain(&self.values).flat_map(|expr| &expr.inputs) {
            if let Input::Profile(name) = input
                && !columns.contains(name)
            {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// Reads all profiles: in the order of the table as one shard, or a shard a bucket.
    pub(super) async fn read_profiles(
        &self,
        tables: &dyn Tables,
        task: &Arc<TaskContext>,
        buckets: Option<Buckets>,
    ) -> Result<(Profiles, Attributes, u64)> {
        let declared = &self.program.store.store.profiles;
        let kept = self.kept_columns();
        let questions = &self.evaluation.profiles;
        let mut columns = vec![declared.key.clone()];
        let mut want = |name: &String| {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        };
        kept.iter().for_each(&mut want);
        for (at, subject) in questions.subjects.iter().enumerate() {
            match &subject.of {
                Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path) => {
                    path.first().into_iter().for_each(&mut want);
                }
                Of::Row(_) => {
                    for input in self.profiles.rows.get(&at).into_iter().flat_map(|row| &row.inputs) {
                        if let Input::Profile(name) = input {
                            want(name);
                        }
                    }
                }
                Of::Lookup(_) => return Err(bug!("a lookup of profiles in a program")),
            }
        }
        let list: Vec<String> = columns.iter().map(|column| quote(column)).collect();
        let plan = tables.plan(&format!("SELECT {} FROM {}", list.join(", "), declared.table)).await?;
        let physical = tables.state().create_physical_plan(&plan).await?;
        let mut classes = vec![];
        for at in 0..questions.subjects.len() {
            classes.push(Classes::new(questions, at, &self.profiles.tests[at], None)?);
        }
        let reader = Arc::new(ProfileReader {
            key: declared.key.clone(),
            subjects: (0..questions.subjects.len())
                .map(|at| (questions.subjects[at].of.clone(), self.profiles.rows.get(&at).cloned()))
                .collect(),
            classes: Mutex::new(classes),
            kept: kept.clone(),
            buckets,
        });
        let streams = execute_stream_partitioned(physical, Arc::clone(task))?;
        let mut set = JoinSet::new();
        for (partition, mut stream) in streams.into_iter().enumerate() {
            let reader = Arc::clone(&reader);
            set.spawn(async move {
                let mut parts = vec![];
                while let Some(batch) = stream.next().await {
                    parts.push(reader.read(&batch?)?);
                }
                Ok::<_, crate::error::Error>((partition, parts))
            });
        }
        let mut partitions = vec![];
        while let Some(done) = set.join_next().await {
            partitions.push(done.map_err(|error| bug!("reading profiles: {error}"))??);
        }
        partitions.sort_by_key(|(partition, _)| *partition);
        let parts: Vec<ProfilePart> = partitions.into_iter().flat_map(|(_, parts)| parts).collect();
        let keys: Vec<ArrayRef> = parts.iter().map(|part| Arc::clone(&part.keys)).collect();
        let key_type = self.program.store.key_type();
        let mut keys = Kept::new(&keys, &key_type)?;
        let mut of_subject = vec![Vec::with_capacity(keys.len()); questions.subjects.len()];
        for part in &parts {
            for (all, classes) in of_subject.iter_mut().zip(&part.classes) {
                all.extend_from_slice(classes);
            }
        }
        let mut columns = HashMap::new();
        for (at, name) in kept.into_iter().enumerate() {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| &*part.kept[at]).collect();
            let array = if arrays.is_empty() {
                let field = self.program.store.profiles.field_with_name(&name);
                let field = field.map_err(|error| bug!("profile columns: {error}"))?;
                arrow::array::new_empty_array(field.data_type())
            } else {
                concat(&arrays).map_err(|error| bug!("profile columns: {error}"))?
            };
            columns.insert(name, array);
        }
        let null_keys = parts.iter().map(|part| part.null_keys).sum();
        let starts = match buckets {
            None => vec![0, keys.len()],
            Some(buckets) => {
                let of_all: Vec<u32> = parts.iter().flat_map(|part| part.buckets.iter().copied()).collect();
                let (order, starts) = by_bucket(&of_all, buckets.n)?;
                keys = keys.ordered(&order)?;
                for classes in &mut of_subject {
                    *classes = order.values().iter().map(|at| classes[*at as usize]).collect();
                }
                for column in columns.values_mut() {
                    *column = ordered(column, &order)?;
                }
                starts
            }
        };
        let reader = Arc::into_inner(reader).ok_or_else(|| bug!("profiles are still read"))?;
        let of = reader.classes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let attributes = Attributes::new(&self.evaluation, of_subject, &of);
        let (table, key) = (declared.table.clone(), declared.key.clone());
        Ok((Profiles { keys, starts, columns, table, key, key_type }, attributes, null_keys))
    }
}

/// How batches of profiles are read.
struct ProfileReader {
    key: String,
    subjects: Vec<(Of, Option<RowExpr>)>,
    classes: Mutex<Vec<Classes>>,
    kept: Vec<String>,
    buckets: Option<Buckets>,
}

/// What is kept of a batch of profiles.
struct ProfilePart {
    keys: ArrayRef,
    /// The bucket of each, where that matters.
    buckets: Vec<u32>,
    classes: Vec<Vec<u32>>,
    kept: Vec<ArrayRef>,
    null_keys: u64,
}

impl ProfileReader {
    fn read(&self, batch: &RecordBatch) -> Result<ProfilePart> {
        let keys = column(batch, std::slice::from_ref(&self.key))?;
        let null_keys = keys.null_count() as u64;
        let filtered;
        let batch = if null_keys > 0 {
            let known = is_not_null(&keys).map_err(|error| bug!("keys: {error}"))?;
            filtered = filter_record_batch(batch, &known).map_err(|error| bug!("keys: {error}"))?;
            &filtered
        } else {
            batch
        };
        let n = batch.num_rows();
        let mut columns = vec![];
        for (of, row) in &self.subjects {
            columns.push(match (of, row) {
                (Of::Text(path) | Of::Ordered(path) | Of::Boolean(path) | Of::Elements(path), _) => {
                    column(batch, path)?
                }
                (_, Some(row)) => {
                    let mut inputs = vec![];
                    for (input, field) in row.inputs.iter().zip(row.parts().1.fields()) {
                        let Input::Profile(name) = input else {
                            return Err(bug!("an event in an attribute"));
                        };
                        let input = column(batch, std::slice::from_ref(name))?;
                        inputs.push(
                            arrow::compute::cast(&input, field.data_type())
                                .map_err(|error| bug!("column `{name}`: {error}"))?,
                        );
                    }
                    let answers = row.evaluate(inputs, n)?;
                    arrow::compute::cast(&answers, &DataType::Boolean)
                        .map_err(|error| bug!("a condition: {error}"))?
                }
                (_, None) => return Err(bug!("an expression is not bound")),
            });
        }
        let mut classes = vec![];
        {
            let mut all = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
            for (column, of) in columns.iter().zip(all.iter_mut()) {
                let values = of.of(column)?;
                classes.push((0..n).map(|row| values.class(row)).collect());
            }
        }
        let mut kept = vec![];
        for name in &self.kept {
            kept.push(column(batch, std::slice::from_ref(name))?);
        }
        let keys = column(batch, std::slice::from_ref(&self.key))?;
        let buckets = self.buckets.map(|buckets| (buckets.of)(&keys, small(buckets.n))).transpose()?;
        Ok(ProfilePart { keys, buckets: buckets.unwrap_or_default(), classes, kept, null_keys })
    }
}
