//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL's clients speak it: the server's side, by a verifier that cannot be
//! used to log in anywhere.
//!
//! What pgwire has wants the salted password, with which a thief of the users file could log in.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::gen_salted_password;
use rand::Rng;
use ring::{digest, hmac};

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// What PostgreSQL itself takes.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
const KEY: usize = digest::SHA256_OUTPUT_LEN;

/// What is kept of a password, in PostgreSQL's own form: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Of a password, with a new salt.
    pub fn new(password: &str) -> Self {
        Self::salted(password, rand::rng().random::<[u8; 16]>().to_vec())
    }

    fn salted(password: &str, salt: Vec<u8>) -> Self {
        let iterations = usize::try_from(ITERATIONS.get()).unwrap_or(usize::MAX);
        let salted = gen_salted_password(password, &salt, iterations);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = hash(&client_key);
        Self { iterations: ITERATIONS, salt, stored_key, server_key: sign(&salted, b"Server Key") }
    }

    /// One that no password fits, for a name that is no user's: the same each time, so that it looks like a user.
    pub fn of_nobody(secret: &[u8; KEY], name: &str) -> Self {
        let salt = sign(secret, name.as_bytes())[..16].to_vec();
        let keys = sign(secret, &salt);
        Self { iterations: ITERATIONS, salt, stored_key: keys, server_key: keys }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|bytes| STANDARD.encode(bytes));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::new(Kind::Usage, "a SCRAM verifier in the users file is damaged"))
    }
}

fn parse(text: &str) -> Option<Verifier> {
    let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let key = |text: &str| <[u8; KEY]>::try_from(STANDARD.decode(text).ok()?).ok();
    Some(Verifier {
        iterations: iterations.parse().ok()?,
        salt: STANDARD.decode(salt).ok()?,
        stored_key: key(stored)?,
        server_key: key(server)?,
    })
}

/// One login, between the server's first message and the client's last.
pub struct Exchange {
    verifier: Verifier,
    nonce: String,
    /// The beginning of what both sides sign.
    signed: String,
    /// What the client must repeat, so that nobody in between took channel binding away.
    binding: String,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl Exchange {
    /// Takes the client's first message; returns the server's.
    pub fn begin(verifier: Verifier, client_first: &[u8]) -> Result<(Self, String)> {
        let nonce = STANDARD.encode(rand::rng().random::<[u8; 18]>());
        Self::begin_with(verifier, client_first, &nonce)
    }

    fn begin_with(verifier: Verifier, client_first: &[u8], nonce: &str) -> Result<(Self, String)> {
        let text = std::str::from_utf8(client_first).map_err(|_| malformed())?;
        // `n,,n=user,r=nonce`: the first two parts say whether the channel is bound, and to whom.
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authority), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        if !matches!(flag, "n" | "y") {
            return Err(Error::new(Kind::Unsupported, "channel binding is not supported"));
        }
        let client_nonce = attribute(bare.split(','), "r=").filter(|nonce| !nonce.is_empty());
        let nonce = format!("{}{nonce}", client_nonce.ok_or_else(malformed)?);
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let binding = STANDARD.encode(format!("{flag},{authority},"));
        let signed = format!("{bare},{server_first}");
        Ok((Self { verifier, nonce, signed, binding }, server_first))
    }

    /// Takes the client's last message; returns the server's, or `None` when the password is wrong.
    pub fn finish(&self, client_final: &[u8]) -> Result<Option<String>> {
        let text = std::str::from_utf8(client_final).map_err(|_| malformed())?;
        let (unsigned, proof) = text.rsplit_once(",p=").ok_or_else(malformed)?;
        let attributes = || unsigned.split(',');
        if attribute(attributes(), "c=") != Some(self.binding.as_str())
            || attribute(attributes(), "r=") != Some(self.nonce.as_str())
        {
            return Err(malformed());
        }
        let proof: [u8; KEY] =
            STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or_else(malformed)?;
        let message = format!("{},{unsigned}", self.signed);
        let signature = sign(&self.verifier.stored_key, message.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, signed)| *byte ^= signed);
        // Both are hashes: how long a comparison takes tells nothing of the key.
        if hash(&client_key) != self.verifier.stored_key {
            return Ok(None);
        }
        let signature = sign(&self.verifier.server_key, message.as_bytes());
        Ok(Some(format!("v={}", STANDARD.encode(signature))))
    }
}

fn attribute<'a>(mut attributes: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    attributes.find_map(|attribute| attribute.strip_prefix(name))
}

fn malformed() -> Error {
    Error::new(Kind::Syntax, "a SCRAM message is malformed")
}

fn sign(key: &[u8], message: &[u8]) -> [u8; KEY] {
    let mut signed = [0; KEY];
    signed.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref());
    signed
}

/// SHA-256.
pub(super) fn hash(message: &[u8]) -> [u8; KEY] {
    let mut hashed = [0; KEY];
    hashed.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    hashed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn agrees_with_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::salted("pencil", salt);
        let client_first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (exchange, server_first) = Exchange::begin_with(verifier, client_first, nonce).unwrap();
        assert_eq!(
            server_first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let client_final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let server_final = exchange.finish(client_final.as_bytes()).unwrap();
        assert_eq!(server_final.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        let wrong = client_final.replace("p=dHzb", "p=aHzb");
        assert_eq!(exchange.finish(wrong.as_bytes()).unwrap(), None);
    }

    #[test]
    fn a_verifier_survives_its_text() {
        let verifier = Verifier::new("pencil");
        assert_eq!(verifier.to_string().parse::<Verifier>().unwrap(), verifier);
        for damaged in ["", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:x$y:z", "SCRAM-SHA-256$0:eA==$eA==:eA=="] {
            assert!(damaged.parse::<Verifier>().is_err(), "{damaged}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let nobody = || Verifier::of_nobody(&[7; KEY], "nobody");
        assert_eq!(nobody(), nobody());
        for garbage in [&b""[..], b"\xff\xfe", b"n,,", b"n", b"p=tls-unique,,n=a,r=b", b"n,,n=a,r="] {
            assert!(Exchange::begin(nobody(), garbage).is_err(), "{garbage:?}");
        }
        let (exchange, _) = Exchange::begin(nobody(), b"n,,n=a,r=b").unwrap();
        for garbage in [&b""[..], b"\xff", b"c=biws,r=x,p=eA==", b",p=", b"c=biws"] {
            assert!(exchange.finish(garbage).is_err(), "{garbage:?}");
        }
    }
}
