//! TLS from one pair of files, for all protocols; read again when the process is told to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::users::private;

/// A certificate chain and its key.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Acceptors>,
}

#[derive(Clone)]
struct Acceptors {
    /// Offers HTTP/2.
    grpc: TlsAcceptor,
    /// Offers HTTP/2 and HTTP/1.1.
    http: TlsAcceptor,
    /// Offers `postgresql`, and takes clients that name nothing.
    postgres: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// HTTP.
    Http,
    /// PostgreSQL's.
    Postgres,
}

impl Tls {
    /// Reads the files, in PEM.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self> {
        let current = RwLock::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    /// Reads the files anew: connections from now on get what is in them. If they are wrong, nothing changes.
    pub fn reload(&self) -> Result<()> {
        let new = read(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// What a connection begins with.
    pub fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        match protocol {
            Protocol::Grpc => current.grpc.clone(),
            Protocol::Http => current.http.clone(),
            Protocol::Postgres => current.postgres.clone(),
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Acceptors> {
    private(key)?;
    let wrong = |path: &Path, why: &dyn std::fmt::Display| {
        Error::new(Kind::Usage, format!("`{}` cannot be used for TLS: {why}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| wrong(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| wrong(key, &error))?;
    let offering = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    };
    Ok(Acceptors {
        grpc: offering(&[b"h2"]),
        http: offering(&[b"h2", b"http/1.1"]),
        postgres: offering(&[b"postgresql"]),
    })
}
