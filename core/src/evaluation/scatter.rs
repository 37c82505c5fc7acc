//! Events that matter, by the partition of their profile: what is left of each is a few bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::SpillFile;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::bug;
use crate::error::Result;

/// Profiles of a partition, as bits of an ordinal.
pub(super) const SHIFT: u32 = 12;
/// Profiles of a partition.
pub(super) const PROFILES: usize = 1 << SHIFT;
/// Events of a chunk: as large as a bitmap of 65,536 members, since what partitions give back when they have been walked
/// over is what members need then, and allocators keep sizes apart.
const CHUNK: usize = 8192 / BYTES / NEAR * NEAR;
/// So many events of a partition are gathered before they go to its chunk. The ends of all chunks do not stay in the
/// processor's cache, and copying some lines of one at once waits for memory once.
const NEAR: usize = 16;

/// An event that matters, without the gap that alignment would leave.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub(super) struct Event {
    /// When, in the unit of its column.
    pub(super) time: i64,
    /// Its signature.
    pub(super) signature: u32,
    /// The profile, within its partition.
    pub(super) profile: u16,
}

const BYTES: usize = size_of::<Event>();

/// The events of one partition that one thread found, in the order in which it did.
#[derive(Debug, Default)]
struct Part {
    /// The last ones.
    near: [Event; NEAR],
    n_near: usize,
    /// The chunk that is being filled.
    open: Vec<Event>,
    full: Vec<Vec<Event>>,
    /// Values kept of events, in the order of the events.
    values: Vec<u64>,
    /// What was written to disk before.
    sections: Vec<Section>,
}

/// One thread's events by partition.
pub(super) struct Scatter {
    /// Each is read once, and what it held is given back then.
    parts: Vec<Mutex<Part>>,
    files: Vec<Arc<dyn SpillFile>>,
    reservation: MemoryReservation,
    held: usize,
}

impl Scatter {
    pub(super) fn new(reservation: MemoryReservation) -> Self {
        Self { parts: vec![], files: vec![], reservation, held: 0 }
    }

    /// Forgets what is there and makes room for so many partitions.
    pub(super) fn begin(&mut self, n_partitions: usize) {
        self.parts.clear();
        self.parts.resize_with(n_partitions, Mutex::default);
        self.files.clear();
        self.held = 0;
        self.reservation.free();
    }

    /// Adds an event of a profile with the values kept of it.
    #[inline]
    pub(super) fn push(
        &mut self,
        ordinal: u32,
        time: i64,
        signature: u32,
        values: impl Iterator<Item = u64>,
    ) {
        let part = self.parts[(ordinal >> SHIFT) as usize].get_mut().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
        let profile = (ordinal & (PROFILES as u32 - 1)) as u16;
        part.near[part.n_near % NEAR] = Event { time, signature, profile };
        part.n_near += 1;
        if part.n_near == NEAR {
            self.held += part.gather();
        }
        let before = part.values.len();
        part.values.extend(values);
        self.held += (part.values.len() - before) * 8;
    }

    /// Accounts for what was added; writes everything to disk where memory is short.
    pub(super) fn settle(&mut self, runtime: &RuntimeEnv) -> Result<()> {
        if self.reservation.try_resize(self.held).is_ok() {
            return Ok(());
        }
        let file = runtime.disk_manager.create_tmp_file("events of an evaluation")?;
        let mut out = file.open_writer()?;
        let mut offset = 0;
        for part in &mut self.parts {
            let part = part.get_mut().unwrap_or_else(PoisonError::into_inner);
            part.spill(&mut out, self.files.len(), &mut offset)?;
        }
        out.finish()?;
        self.files.push(file);
        self.held = 0;
        self.reservation.free();
        Ok(())
    }

    /// Takes the events of a partition. Their values are appended to `values`, behind each other.
    pub(super) fn take(&self, partition: usize, values: &mut Vec<u64>) -> Result<Vec<Vec<Event>>> {
        let part = std::mem::take(&mut *self.parts[partition].lock().unwrap_or_else(PoisonError::into_inner));
        let mut events = vec![];
        for section in &part.sections {
            let path = self.files[section.file].path();
            events.push(section.read(path.ok_or_else(|| bug!("a temporary file without a path"))?, values)?);
        }
        events.extend(part.full);
        events.push(part.open);
        events.push(part.near[..part.n_near].to_vec());
        values.extend_from_slice(&part.values);
        Ok(events)
    }
}

/// Where a part of a partition lies in a file.
#[derive(Clone, Copy, Debug)]
struct Section {
    /// The file, of the thread's.
    file: usize,
    offset: u64,
    n: usize,
    n_values: usize,
}

impl Part {
    /// Moves the last events to the chunk; says how many bytes were taken for another one.
    fn gather(&mut self) -> usize {
        let is_full = self.open.capacity() - self.open.len() < NEAR;
        if is_full {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(CHUNK));
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.open.extend_from_slice(&self.near);
        self.n_near = 0;
        if is_full { CHUNK * BYTES } else { 0 }
    }

    /// Writes what is held and forgets it.
    fn spill(&mut self, out: &mut dyn Write, file: usize, offset: &mut u64) -> Result<()> {
        let near = &self.near[..self.n_near];
        let n = self.full.iter().map(Vec::len).sum::<usize>() + self.open.len() + near.len();
        if n == 0 {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(n * BYTES + self.values.len() * 8);
        for &Event { time, signature, profile } in self.full.iter().flatten().chain(&self.open).chain(near) {
            bytes.extend_from_slice(&profile.to_le_bytes());
            bytes.extend_from_slice(&time.to_le_bytes());
            bytes.extend_from_slice(&signature.to_le_bytes());
        }
        for value in &self.values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        out.write_all(&bytes).map_err(spill_error)?;
        self.sections.push(Section { file, offset: *offset, n, n_values: self.values.len() });
        *offset += bytes.len() as u64;
        *self = Self { sections: std::mem::take(&mut self.sections), ..Self::default() };
        Ok(())
    }
}

impl Section {
    fn read(&self, path: &Path, values: &mut Vec<u64>) -> Result<Vec<Event>> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(spill_error)?);
        file.seek(SeekFrom::Start(self.offset)).map_err(spill_error)?;
        let mut events = Vec::with_capacity(self.n);
        for _ in 0..self.n {
            let mut bytes = [0; BYTES];
            file.read_exact(&mut bytes).map_err(spill_error)?;
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = bytes;
            events.push(Event {
                profile: u16::from_le_bytes([a, b]),
                time: i64::from_le_bytes([c, d, e, f, g, h, i, j]),
                signature: u32::from_le_bytes([k, l, m, o]),
            });
        }
        for _ in 0..self.n_values {
            values.push(read_u64(&mut file)?);
        }
        Ok(events)
    }
}

fn read_u64(file: &mut BufReader<File>) -> Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes).map_err(spill_error)?;
    Ok(u64::from_le_bytes(bytes))
}

fn spill_error(error: std::io::Error) -> crate::error::Error {
    crate::error::from_io("a temporary file of an evaluation", error)
}
