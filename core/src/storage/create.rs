//! URL → object store, set up from the environment.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::{Position, Url};

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Result, from_object_store};

use super::disk::Disk;
use super::named::Named;

/// The schemes that [`create`] knows.
const SCHEMES: &[&str] =
    &["file", "memory", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "http", "https"];

/// Makes the store that holds `url`.
pub(super) fn create(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    // The builders take the bucket, account and region from the URL, the rest from the environment.
    let place = &url[..Position::BeforePath];
    let made: Result<Arc<dyn ObjectStore>, object_store::Error> = match url.scheme() {
        "file" => return Ok(Arc::new(Disk::new())),
        // One a process: what is kept at `memory:///` lives as long as it.
        "memory" => return Ok(Arc::new(InMemory::new())),
        "s3" | "s3a" => AmazonS3Builder::from_env()
            .with_url(place)
            .with_retry(retries())
            .build()
            .map(|store| Arc::new(store) as _),
        "gs" => GoogleCloudStorageBuilder::from_env()
            .with_url(place)
            .with_retry(retries())
            .build()
            .map(|store| Arc::new(store) as _),
        "az" | "azure" | "abfs" | "abfss" | "adl" => MicrosoftAzureBuilder::from_env()
            .with_url(place)
            .with_retry(retries())
            .build()
            .map(|store| Arc::new(store) as _),
        // A bucket's own https address is read as any web server is, without credentials.
        "http" | "https" => HttpBuilder::new()
            .with_url(place)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retries())
            .build()
            .map(|store| Arc::new(store) as _),
        scheme => return Err(unknown(scheme).into()),
    };
    let store = made.map_err(from_object_store)?;
    Ok(Arc::new(Named::new(place, store)))
}

fn unknown(scheme: &str) -> Diagnostic {
    Diagnostic::new(Kind::Unsupported, format!("unknown scheme `{scheme}://`"))
        .suggest(scheme, SCHEMES.iter().copied())
        .help("write a path, or a URL with s3://, gs://, az://, abfss:// or https://")
}

/// Enough to outlast a hiccup; a wrong endpoint or missing credentials show within seconds. Wrong credentials and
/// missing buckets are answered at once, and not tried again.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 5, retry_timeout: Duration::from_secs(10) }
}
