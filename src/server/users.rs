//! The users file: who may log in, with what is kept of their passwords.
//!
//! TOML, a table a user, readable by its owner only, replaced as a whole. The plain password is nowhere in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::diagnostic::Kind;
use crate::engine::{Grant, Principal, Role};
use crate::error::{Error, Result, from_io};

use super::scram::Verifier;

/// The shortest password that is taken.
const SHORTEST: usize = 8;
/// The longest: hashing longer ones would only cost time.
pub(super) const LONGEST: usize = 1024;

/// All users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    #[serde(default, rename = "user")]
    users: BTreeMap<String, User>,
}

/// One user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// What they may read; everything if there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// The password's argon2id hash, for Flight SQL and HTTP.
    password: String,
    /// The password's SCRAM-SHA-256 verifier, for PostgreSQL's clients.
    scram: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("role", &self.role).field("grants", &self.grants).finish_non_exhaustive()
    }
}

impl Users {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |cause| from_io(&path.display().to_string(), cause);
        private(path)?;
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let users: Self = toml::from_str(&text).map_err(|error| {
            // The error's own text shows the line, and the line may hold a hash.
            let message = format!("`{}` is no users file: {}", path.display(), error.message());
            Error::new(Kind::Usage, message)
        })?;
        for user in users.users.values() {
            user.verifier()?;
            PasswordHash::new(&user.password)
                .map_err(|_| Error::new(Kind::Usage, "a password hash in the users file is damaged"))?;
        }
        Ok(users)
    }

    /// Reads the file, or no users where there is none yet.
    pub fn read_or_empty(path: &Path) -> Result<Self> {
        if path.exists() { Self::read(path) } else { Ok(Self::default()) }
    }

    /// Replaces the file: whoever reads it meanwhile sees the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| crate::bug!("users are no TOML: {error}"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
        let written = write_private(&new, text.as_bytes()).and_then(|()| std::fs::rename(&new, path));
        written.map_err(|cause| {
            // What is half written is of no use to anyone.
            let _ = std::fs::remove_file(&new);
            from_io(&path.display().to_string(), cause)
        })
    }

    /// The users, by name.
    pub fn all(&self) -> &BTreeMap<String, User> {
        &self.users
    }

    /// A user.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// Adds a user; the name must be new.
    pub fn add(&mut self, name: &str, password: &str, role: Role, grants: Option<Vec<Grant>>) -> Result<()> {
        self.check_new(name)?;
        let (password, scram) = kept(password)?;
        self.users.insert(name.to_owned(), User { role, grants, password, scram });
        Ok(())
    }

    /// Refuses a name that cannot be a new user's.
    pub fn check_new(&self, name: &str) -> Result<()> {
        let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'));
        if name.is_empty() || name.len() > 128 || !plain {
            let error = Error::new(Kind::Usage, format!("`{name}` is no name for a user"));
            return Err(error.help("letters, digits, `_`, `-`, `.` and `@`, at most 128"));
        }
        if self.users.contains_key(name) {
            return Err(Error::new(Kind::Conflict, format!("a user is called `{name}` already"))
                .help("`coterie user passwd` changes the password"));
        }
        Ok(())
    }

    /// Refuses a name that is no user's.
    pub fn check_known(&self, name: &str) -> Result<()> {
        if self.users.contains_key(name) { Ok(()) } else { Err(unknown(name)) }
    }

    /// Removes a user.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.users.remove(name).map(|_| ()).ok_or_else(|| unknown(name))
    }

    /// Gives a user another password.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<()> {
        let kept = kept(password)?;
        let user = self.users.get_mut(name).ok_or_else(|| unknown(name))?;
        (user.password, user.scram) = kept;
        Ok(())
    }
}

impl User {
    /// What a session of this user may do.
    pub fn principal(&self, name: &str) -> Principal {
        Principal { name: name.to_owned(), role: self.role, grants: self.grants.clone() }
    }

    /// Whether that is the password. Takes its time, by intent.
    pub fn has_password(&self, password: &str) -> bool {
        matches(&self.password, password)
    }

    /// The verifier for PostgreSQL's clients.
    pub fn verifier(&self) -> Result<Verifier> {
        self.scram.parse()
    }
}

/// Takes as long as a wrong password of a user does.
pub(super) fn waste_time(password: &str) {
    static NOBODY: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| hashed("nobody has this password").unwrap_or_default());
    matches(&NOBODY, password);
}

fn matches(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

fn kept(password: &str) -> Result<(String, String)> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        let message = format!("a password has {SHORTEST} to {LONGEST} characters");
        return Err(Error::new(Kind::Usage, message));
    }
    Ok((hashed(password)?, Verifier::new(password).to_string()))
}

fn hashed(password: &str) -> Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| crate::bug!("a password cannot be hashed: {error}"))?.to_string())
}

/// argon2id as OWASP asks for it: 19 MiB, two passes, one lane. The hash says so, so that this may change.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::NotFound, format!("no user is called `{name}`")).help("`coterie user list` lists them")
}

#[cfg(unix)]
fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Refuses a file of secrets that others can read.
#[cfg(unix)]
pub(super) fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display().to_string();
    let mode = std::fs::metadata(path).map_err(|cause| from_io(&shown, cause))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`{shown}` can be read by others than its owner"))
        .help(format!("`chmod 600 {shown}`")))
}

#[cfg(not(unix))]
pub(super) fn private(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_survive_their_file_and_passwords_are_not_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let mut users = Users::read_or_empty(&path).unwrap();
        let grants = Some(vec![Grant::Segment("win_back".to_owned())]);
        users.add("ana@example.org", "correct horse", Role::Reader, grants).unwrap();
        assert_eq!(
            users.add("ana@example.org", "x".repeat(9).as_str(), Role::Admin, None).unwrap_err().kind(),
            Kind::Conflict
        );
        for (name, password) in
            [("", "long enough"), ("a b", "long enough"), ("bo", "short"), ("bo", &"x".repeat(2000))]
        {
            assert_eq!(users.add(name, password, Role::Admin, None).unwrap_err().kind(), Kind::Usage);
        }
        users.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("correct horse"), "{text}");
        let read = Users::read(&path).unwrap();
        assert_eq!(read, users);
        let ana = read.get("ana@example.org").unwrap();
        assert!(ana.has_password("correct horse") && !ana.has_password("correct house"));
        assert!(!format!("{ana:?}").contains("argon2"));
        users.remove("ana@example.org").unwrap();
        assert_eq!(users.remove("ana@example.org").unwrap_err().kind(), Kind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        Users::default().write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Users::read(&path).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_damaged_file_is_an_error_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        for text in [
            "[user.a]\nrole = \"king\"\npassword = \"SECRET\"\nscram = \"SECRET\"",
            "SECRET",
            "[user.a]\nrole = \"admin\"\npassword = \"SECRET\"\nscram = \"SECRET\"",
        ] {
            write_private(&path, text.as_bytes()).unwrap();
            let error = Users::read(&path).unwrap_err().to_string();
            assert!(!error.contains("SECRET"), "{error}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
