//! Logging in: by password, by token, by SCRAM; the same answer whatever is wrong, and not too often.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use tokio::sync::Semaphore;

use crate::diagnostic::Kind;
use crate::engine::Principal;
use crate::error::{Error, Result};

use super::scram::{Verifier, hash};
use super::users::{self, User, Users};

/// How many failed logins an address or a name may have within [`WINDOW`].
const FAILURES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses and names are remembered: an attacker shall not fill memory.
const REMEMBERED: usize = 10_000;
/// Hashing takes 19 MiB and a processor each.
const HASHING: usize = 2;
/// How long a password that was right needs no hashing again.
const FRESH: Duration = Duration::from_secs(300);
/// How many tokens there may be.
const TOKENS: usize = 100_000;

type Digest = [u8; 32];

/// Who may log in, and who has.
pub struct Logins {
    /// None: everyone is the owner.
    file: Option<PathBuf>,
    users: Mutex<Read>,
    failures: Mutex<HashMap<Key, Vec<Instant>>>,
    tokens: Mutex<HashMap<Digest, Token>>,
    /// Passwords that were right a moment ago, hashed with a secret of this process.
    fresh: Mutex<HashMap<Digest, (Instant, User)>>,
    hashing: Semaphore,
    secret: Digest,
    lifetime: Duration,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The users file as it was read last.
#[derive(Default)]
struct Read {
    users: Arc<Users>,
    seen: Option<(SystemTime, u64)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(IpAddr, String),
}

struct Token {
    name: String,
    /// The user as it was: a changed role or password ends the token.
    user: User,
    expires: Instant,
}

/// A login that succeeded.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who it is.
    pub principal: Arc<Principal>,
}

impl Logins {
    /// With the users of a file; without one, everyone who connects is the owner.
    pub fn open(file: Option<PathBuf>, lifetime: Duration) -> Result<Self> {
        let logins = Self {
            file,
            users: Mutex::default(),
            failures: Mutex::default(),
            tokens: Mutex::default(),
            fresh: Mutex::default(),
            hashing: Semaphore::new(HASHING),
            secret: rand::rng().random(),
            lifetime,
        };
        if logins.file.is_some() {
            logins.read()?;
        }
        Ok(logins)
    }

    /// Whether nobody has to log in.
    pub fn are_open(&self) -> bool {
        self.file.is_none()
    }

    /// How long a token lives.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Logs in by name and password.
    pub async fn by_password(&self, name: &str, password: &str, from: IpAddr) -> Result<Login> {
        if self.are_open() {
            return Ok(Login { principal: Arc::new(Principal::owner()) });
        }
        self.check_failures(name, from)?;
        let user = self.users()?.get(name).cloned();
        let digest = self.digest(&[name.as_bytes(), password.as_bytes()]);
        let is_fresh = user.as_ref().is_some_and(|user| {
            let fresh = lock(&self.fresh);
            fresh.get(&digest).is_some_and(|(since, known)| since.elapsed() < FRESH && known == user)
        });
        let right = if is_fresh {
            true
        } else {
            let permit = self.hashing.acquire().await;
            let (user, password) = (user.clone(), password.to_owned());
            let hashing = tokio::task::spawn_blocking(move || match user {
                _ if password.len() > users::LONGEST => false,
                Some(user) => user.has_password(&password),
                None => {
                    users::waste_time(&password);
                    false
                }
            });
            let right = hashing.await.unwrap_or(false);
            drop(permit);
            right
        };
        match user.filter(|_| right) {
            Some(user) => {
                let principal = Arc::new(user.principal(name));
                let mut fresh = lock(&self.fresh);
                fresh.retain(|_, (since, _)| since.elapsed() < FRESH);
                fresh.insert(digest, (Instant::now(), user));
                Ok(Login { principal })
            }
            None => Err(self.fail(name, from)),
        }
    }

    /// The verifier to run a SCRAM exchange with: a made-up one if nobody has this name.
    pub fn verifier(&self, name: &str, from: IpAddr) -> Result<Verifier> {
        self.check_failures(name, from)?;
        match self.users()?.get(name) {
            Some(user) => user.verifier(),
            None => Ok(Verifier::of_nobody(&self.secret, name)),
        }
    }

    /// Ends a SCRAM exchange: who it is, or the error of a wrong password.
    pub fn by_scram(&self, name: &str, right: bool, from: IpAddr) -> Result<Login> {
        if self.are_open() {
            return Ok(Login { principal: Arc::new(Principal::owner()) });
        }
        match self.users()?.get(name).filter(|_| right) {
            Some(user) => Ok(Login { principal: Arc::new(user.principal(name)) }),
            None => Err(self.fail(name, from)),
        }
    }

    /// A new token for who has logged in.
    pub fn issue(&self, login: &Login) -> Result<String> {
        let token = URL_SAFE_NO_PAD.encode(rand::rng().random::<Digest>());
        let name = login.principal.name.clone();
        let users = self.users()?;
        let Some(user) = users.get(&name).cloned() else { return Ok(token) };
        let expires = Instant::now() + self.lifetime;
        let mut tokens = lock(&self.tokens);
        tokens.retain(|_, token| token.expires > Instant::now());
        if tokens.len() >= TOKENS {
            return Err(Error::new(Kind::Resource, "too many tokens are in use"));
        }
        tokens.insert(hash(token.as_bytes()), Token { name, user, expires });
        Ok(token)
    }

    /// Logs in by a token.
    pub fn by_token(&self, token: &str, from: IpAddr) -> Result<Login> {
        if self.are_open() {
            return Ok(Login { principal: Arc::new(Principal::owner()) });
        }
        let users = self.users()?;
        let digest = hash(token.as_bytes());
        let mut tokens = lock(&self.tokens);
        let known = tokens
            .get(&digest)
            .filter(|token| token.expires > Instant::now() && users.get(&token.name) == Some(&token.user));
        match known {
            Some(token) => Ok(Login { principal: Arc::new(token.user.principal(&token.name)) }),
            None => {
                tokens.remove(&digest);
                drop(tokens);
                tracing::info!(%from, "a token is unknown or has expired");
                Err(Error::new(Kind::Permission, "the token is unknown or has expired").help("log in again"))
            }
        }
    }

    /// Ends a token.
    pub fn revoke(&self, token: &str) {
        lock(&self.tokens).remove(&hash(token.as_bytes()));
    }

    /// The users as the file has them now.
    fn users(&self) -> Result<Arc<Users>> {
        // A file that was damaged or removed shall not let in whoever was let in before.
        self.read().inspect_err(|error| tracing::error!(%error, "the users file cannot be read"))
    }

    fn read(&self) -> Result<Arc<Users>> {
        let Some(file) = &self.file else { return Ok(Arc::default()) };
        let seen = std::fs::metadata(file)
            .and_then(|found| Ok((found.modified()?, found.len())))
            .map_err(|cause| crate::error::from_io(&file.display().to_string(), cause))?;
        let mut read = lock(&self.users);
        if read.seen != Some(seen) {
            read.users = Arc::new(Users::read(file)?);
            read.seen = Some(seen);
        }
        Ok(Arc::clone(&read.users))
    }

    fn check_failures(&self, name: &str, from: IpAddr) -> Result<()> {
        let failures = lock(&self.failures);
        let recent = |key: &Key| {
            failures.get(key).map_or(0, |times| times.iter().filter(|time| time.elapsed() < WINDOW).count())
        };
        let by_name = recent(&Key::Name(from, name.to_owned())) >= FAILURES;
        // Many people may share an address.
        if by_name || recent(&Key::Address(from)) >= 5 * FAILURES {
            let error = Error::new(Kind::Permission, "too many failed logins");
            return Err(error.help(format!("try again in {} seconds", WINDOW.as_secs())));
        }
        Ok(())
    }

    /// Remembers a failure, and says what is said to every one.
    fn fail(&self, name: &str, from: IpAddr) -> Error {
        tracing::warn!(%from, "a login failed");
        let mut failures = lock(&self.failures);
        if failures.len() >= REMEMBERED {
            failures.retain(|_, times| times.last().is_some_and(|time| time.elapsed() < WINDOW));
        }
        for key in [Key::Address(from), Key::Name(from, name.chars().take(128).collect())] {
            let times = failures.entry(key).or_default();
            times.retain(|time| time.elapsed() < WINDOW);
            times.push(Instant::now());
        }
        Error::new(Kind::Permission, "the user name or the password is wrong")
    }

    /// A digest that is of no use outside of this process.
    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut text = self.secret.to_vec();
        for part in parts {
            text.extend_from_slice(&part.len().to_le_bytes());
            text.extend_from_slice(part);
        }
        hash(&text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::engine::Role;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn logins(lifetime: Duration) -> (tempfile::TempDir, PathBuf, Logins) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        let mut users = Users::default();
        users.add("ana", "correct horse", Role::Author, None).unwrap();
        users.write(&file).unwrap();
        let logins = Logins::open(Some(file.clone()), lifetime).unwrap();
        (folder, file, logins)
    }

    #[tokio::test]
    async fn unknown_users_and_wrong_passwords_are_told_the_same() {
        let (_folder, _, logins) = logins(WINDOW);
        let ana = logins.by_password("ana", "correct horse", HERE).await.unwrap();
        assert_eq!((ana.principal.name.as_str(), ana.principal.role), ("ana", Role::Author));
        let wrong = logins.by_password("ana", "correct house", HERE).await.unwrap_err();
        let unknown = logins.by_password("bo", "correct horse", HERE).await.unwrap_err();
        assert_eq!(wrong.to_string(), unknown.to_string());
        assert_eq!(logins.by_scram("bo", true, HERE).unwrap_err().to_string(), wrong.to_string());
    }

    #[tokio::test]
    async fn too_many_failures_close_the_door_for_that_name_and_address() {
        let (_folder, _, logins) = logins(WINDOW);
        for _ in 0..FAILURES {
            assert!(logins.by_scram("ana", false, HERE).is_err());
        }
        let refused = logins.by_password("ana", "correct horse", HERE).await.unwrap_err();
        assert!(refused.message().contains("too many"), "{refused}");
        assert!(logins.by_password("ana", "correct horse", ELSEWHERE).await.is_ok());
    }

    #[tokio::test]
    async fn tokens_end_with_their_time_and_with_their_user() {
        let (_folder, file, logins_now) = logins(WINDOW);
        let ana = logins_now.by_password("ana", "correct horse", HERE).await.unwrap();
        let token = logins_now.issue(&ana).unwrap();
        assert_eq!(logins_now.by_token(&token, HERE).unwrap().principal.name, "ana");
        assert!(logins_now.by_token("made up", HERE).is_err());

        let mut users = Users::read(&file).unwrap();
        users.set_password("ana", "another password").unwrap();
        users.add("a_longer_file", "another password", Role::Reader, None).unwrap();
        users.write(&file).unwrap();
        assert!(logins_now.by_token(&token, HERE).is_err());
        assert!(logins_now.by_password("ana", "correct horse", HERE).await.is_err());

        let (_folder, _, expired) = logins(Duration::ZERO);
        let ana = expired.by_password("ana", "correct horse", HERE).await.unwrap();
        let token = expired.issue(&ana).unwrap();
        assert!(expired.by_token(&token, HERE).is_err());
    }
}
