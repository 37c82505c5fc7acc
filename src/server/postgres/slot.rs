//! Who may stop what a connection does: whoever has its number and key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rand::Rng;
use tokio_util::sync::CancellationToken;

use super::startup::Key;

/// The connections that converse, by number.
#[derive(Default)]
pub(super) struct Slots(Mutex<HashMap<i32, Arc<Slot>>>);

/// What one connection does now.
pub(super) struct Slot {
    number: i32,
    key: Bytes,
    now: Mutex<Option<CancellationToken>>,
    slots: Arc<Slots>,
}

impl Slots {
    /// A number and a key for a new connection; older protocols have room for a short key only.
    pub(super) fn enter(self: &Arc<Self>, minor: u16) -> Arc<Slot> {
        let mut random = rand::rng();
        let key = if minor >= 2 {
            Bytes::copy_from_slice(&random.random::<[u8; 32]>())
        } else {
            Bytes::copy_from_slice(&random.random::<[u8; 4]>())
        };
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = loop {
            let number = random.random_range(1..i32::MAX);
            if !slots.contains_key(&number) {
                break number;
            }
        };
        let slot = Arc::new(Slot { number, key, now: Mutex::default(), slots: Arc::clone(self) });
        slots.insert(number, Arc::clone(&slot));
        slot
    }

    /// Stops what a connection does now, if the key is its.
    pub(super) fn cancel(&self, (number, key): &Key) {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned();
        let Some(slot) = slot else { return };
        // In constant time: guessing must not get warmer.
        let differs = slot.key.iter().zip(key.iter()).fold(0, |all, (left, right)| all | (left ^ right));
        if slot.key.len() != key.len() || differs != 0 {
            tracing::info!("a cancel request had the wrong key");
            return;
        }
        if let Some(stop) = &*slot.now.lock().unwrap_or_else(PoisonError::into_inner) {
            stop.cancel();
        }
    }
}

impl Slot {
    pub(super) fn number(&self) -> i32 {
        self.number
    }

    pub(super) fn key(&self) -> &Bytes {
        &self.key
    }

    /// Something begins that can be stopped.
    pub(super) fn begin(&self) -> CancellationToken {
        let stop = CancellationToken::new();
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
        stop
    }

    /// It has ended: what comes too late stops nothing else.
    pub(super) fn end(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The connection is gone.
    pub(super) fn leave(&self) {
        self.slots.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_stops_and_only_what_runs() {
        let slots = Arc::new(Slots::default());
        let slot = slots.enter(0);
        let stop = slot.begin();
        slots.cancel(&(slot.number(), Bytes::from_static(b"wrong")));
        slots.cancel(&(slot.number(), Bytes::new()));
        slots.cancel(&(slot.number().wrapping_add(1), slot.key().clone()));
        assert!(!stop.is_cancelled());
        slots.cancel(&(slot.number(), slot.key().clone()));
        assert!(stop.is_cancelled());
        slot.end();
        slots.cancel(&(slot.number(), slot.key().clone()));
        assert!(!slot.begin().is_cancelled());
        slot.leave();
        assert!(slots.0.lock().unwrap().is_empty());
        assert_eq!(slots.enter(2).key().len(), 32);
    }
}
