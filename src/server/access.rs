//! The `authorization` header of gRPC and HTTP.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::Shared;
use super::login::Login;

/// What a client shows of itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Basic { name: String, password: String },
    Bearer(String),
}

impl Credentials {
    /// Of a header's text.
    pub(super) fn parse(header: Option<&str>) -> Result<Self> {
        let Some(header) = header else { return Ok(Self::None) };
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Ok(Self::Bearer(rest.to_owned()));
        }
        let decoded = if scheme.eq_ignore_ascii_case("basic") {
            STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest)).ok()
        } else {
            None
        };
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        match text.as_deref().and_then(|text| text.split_once(':')) {
            Some((name, password)) => {
                Ok(Self::Basic { name: name.to_owned(), password: password.to_owned() })
            }
            None => Err(Error::new(Kind::Permission, "the authorization header is malformed")),
        }
    }
}

impl Shared {
    /// Logs in by what a client shows.
    pub(super) async fn log_in(&self, credentials: &Credentials, from: IpAddr) -> Result<Login> {
        let login = match credentials {
            Credentials::Basic { name, password } => self.logins.by_password(name, password, from).await,
            Credentials::Bearer(token) => self.logins.by_token(token, from),
            // Where nobody has to log in, any name and password do.
            Credentials::None if self.logins.are_open() => self.logins.by_password("", "", from).await,
            Credentials::None => return Err(Error::new(Kind::Permission, "log in first")),
        };
        login.inspect_err(|_| self.metrics.count_failed_login())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_or_refused() {
        let parsed = |header| Credentials::parse(Some(header));
        assert!(Credentials::parse(None).unwrap() == Credentials::None);
        assert!(parsed("Bearer abc").unwrap() == Credentials::Bearer("abc".to_owned()));
        let ana = Credentials::Basic { name: "ana".to_owned(), password: "a:b".to_owned() };
        assert!(parsed("basic YW5hOmE6Yg==").unwrap() == ana);
        assert!(parsed("Basic YW5hOmE6Yg").unwrap() == ana);
        for wrong in ["", "Basic", "Basic !!!", "Basic YQ==", "Digest x", "Bearer "] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
