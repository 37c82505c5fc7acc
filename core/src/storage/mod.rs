//! Object stores by URL, made on demand, with credentials from the environment.
//!
//! In: a path or URL as users write it ([`locate`], [`locate_files`]). Out: the store that holds it
//! ([`Stores::store`]). [`Stores`] is also DataFusion's registry of stores, so that every scan, write and Delta
//! commit of a process uses the same ones. This module knows nothing of tables or formats.

mod create;
mod disk;
mod location;
mod name;
mod named;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::{Position, Url};

use crate::error::Result;

pub use location::{Files, locate, locate_files, shown};
pub use name::{escape, folder};

/// The object stores in use, one a scheme and bucket, made when first asked for.
///
/// Cloning shares them.
#[derive(Clone, Default)]
pub struct Stores {
    by_authority: Arc<Mutex<HashMap<String, Arc<dyn ObjectStore>>>>,
}

impl Stores {
    /// No store yet; each is made when a URL needs it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store that holds `url`, with the root of its file system or bucket as root.
    pub fn store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.lock();
        if let Some(store) = stores.get(authority(url)) {
            return Ok(Arc::clone(store));
        }
        let store = create::create(url)?;
        stores.insert(authority(url).to_owned(), Arc::clone(&store));
        Ok(store)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn ObjectStore>>> {
        // The map is whole after every step, so a panic elsewhere leaves it usable.
        self.by_authority.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.lock().insert(authority(url).to_owned(), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        self.lock()
            .remove(authority(url))
            .ok_or_else(|| DataFusionError::Configuration(format!("no object store is registered for {url}")))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        Ok(self.store(url)?)
    }
}

/// Scheme, user, host and port. The user counts: `abfss://container@account.dfs.core.windows.net` names the
/// container there.
fn authority(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::diagnostic::Kind;

    #[test]
    fn makes_each_store_once() {
        let stores = Stores::new();
        let url = locate("memory:///a").unwrap();
        let first = stores.store(&url).unwrap();
        let second = stores.clone().get_store(&locate("memory:///b").unwrap()).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(stores.store(&locate("/tmp").unwrap()).is_ok());
    }

    #[test]
    fn refuses_unknown_schemes_with_a_suggestion() {
        let error = Stores::new().store(&Url::parse("s4://lake/x").unwrap()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        insta::assert_snapshot!(error, @r#"
        error[unsupported]: unknown scheme `s4://`
          = help: did you mean `s3`?
          = help: write a path, or a URL with s3://, gs://, az://, abfss:// or https://
        "#);
    }

    #[test]
    fn keeps_stores_that_others_register() {
        let stores = Stores::new();
        let url = Url::parse("delta-rs://log/").unwrap();
        assert!(stores.get_store(&url).is_err());
        assert!(stores.register_store(&url, Arc::new(InMemory::new())).is_none());
        assert!(stores.get_store(&url).is_ok());
        assert!(stores.deregister_store(&url).is_ok());
        assert!(stores.get_store(&url).is_err());
    }
}
