//! Who calls, and the session that a call belongs to.

use std::sync::PoisonError;

use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::engine::Session;
use crate::server::access::Credentials;
use crate::server::login::Login;

use super::service::Service;
use super::{Peer, plain, unauthenticated};

/// Who calls, and the session that the call belongs to.
pub(super) struct Caller {
    pub(super) session: Session,
    pub(super) token: Option<String>,
}

impl Service {
    pub(super) async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let peer = peer(request)?;
        let credentials = credentials(request.metadata())?;
        let login = self.log_in(&credentials, &peer).await?;
        let begin = || self.shared.session(&login, "flight", peer.address);
        let Credentials::Bearer(token) = credentials else {
            let mut sessions = peer.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let session = sessions.entry(login.principal.name.clone()).or_insert_with(begin);
            // A user who got another role meanwhile gets another session.
            if session.client().principal != login.principal {
                *session = begin();
            }
            return Ok(Caller { session: session.clone(), token: None });
        };
        let known = self.sessions.get(&token).filter(|session| session.client().principal == login.principal);
        let session = match known {
            Some(session) => session,
            None => {
                let session = begin();
                self.sessions.put(token.clone(), session.clone()).map_err(plain)?;
                session
            }
        };
        Ok(Caller { session, token: Some(token) })
    }

    pub(super) async fn session<T>(&self, request: &Request<T>) -> Result<Session, Status> {
        Ok(self.caller(request).await?.session)
    }

    pub(super) async fn log_in(&self, credentials: &Credentials, peer: &Peer) -> Result<Login, Status> {
        self.shared.log_in(credentials, peer.address.ip()).await.map_err(|error| unauthenticated(&error))
    }
}

pub(super) fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let peer = request.extensions().get::<Peer>().cloned();
    peer.ok_or_else(|| plain(crate::bug!("a call without a connection")))
}

pub(super) fn credentials(metadata: &MetadataMap) -> Result<Credentials, Status> {
    let header = metadata.get("authorization").map(|value| value.to_str().unwrap_or_default());
    Credentials::parse(header).map_err(|error| unauthenticated(&error))
}
