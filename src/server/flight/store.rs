//! Things that clients refer to by a name nobody can guess, for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// Things by name; each goes when it was not used for the lifetime.
pub(super) struct Store<T> {
    lifetime: Duration,
    limit: usize,
    things: Mutex<HashMap<String, (Instant, T)>>,
}

impl<T: Clone> Store<T> {
    pub(super) fn new(lifetime: Duration, limit: usize) -> Self {
        Self { lifetime, limit, things: Mutex::default() }
    }

    /// Keeps something under a new name.
    pub(super) fn add(&self, thing: T) -> Result<String> {
        let name = URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 24]>());
        self.put(name.clone(), thing)?;
        Ok(name)
    }

    /// Keeps something under a name.
    pub(super) fn put(&self, name: String, thing: T) -> Result<()> {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked through when it has grown to twice what is alive at most: adding stays cheap.
        if things.len() == things.capacity() || things.len() >= self.limit {
            things.retain(|_, (used, _)| used.elapsed() < self.lifetime);
        }
        if things.len() >= self.limit {
            return Err(Error::new(Kind::Resource, "the server remembers too much already")
                .help("close statements that are not needed any more"));
        }
        things.insert(name, (Instant::now(), thing));
        Ok(())
    }

    /// What is kept under a name.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, thing) = things.get_mut(name)?;
        if used.elapsed() >= self.lifetime {
            things.remove(name);
            return None;
        }
        *used = Instant::now();
        Some(thing.clone())
    }

    /// Forgets what is kept under a name.
    pub(super) fn remove(&self, name: &str) -> Option<T> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner).remove(name).map(|(_, thing)| thing)
    }
}

/// The names of what was used lately, so many of them.
pub(super) struct Fetched {
    limit: usize,
    names: Mutex<VecDeque<String>>,
}

impl Fetched {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, names: Mutex::default() }
    }

    /// Adds a name; returns the one that is too old now.
    pub(super) fn add(&self, name: String) -> Option<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // What is used again is new again.
        names.retain(|known| *known != name);
        names.push_back(name);
        if names.len() > self.limit { names.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_name_goes() {
        let fetched = Fetched::new(2);
        let add = |name: &str| fetched.add(name.to_owned());
        assert_eq!((add("a"), add("b"), add("a")), (None, None, None));
        assert_eq!(add("c").as_deref(), Some("b"));
        assert_eq!(add("b").as_deref(), Some("a"));
    }

    #[test]
    fn things_go_with_their_time() {
        let kept = Store::new(Duration::from_secs(3600), 2);
        let name = kept.add(1).unwrap();
        assert_eq!((kept.get(&name), kept.get("other")), (Some(1), None));
        kept.add(2).unwrap();
        assert_eq!(kept.add(3).unwrap_err().kind(), Kind::Resource);
        assert_eq!(kept.remove(&name), Some(1));
        assert_eq!(kept.get(&name), None);
        kept.add(3).unwrap();

        let gone = Store::new(Duration::ZERO, 2);
        let name = gone.add(1).unwrap();
        assert_eq!(gone.get(&name), None);
        for thing in 0..10 {
            gone.add(thing).unwrap();
        }
    }
}
