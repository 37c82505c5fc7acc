//! What object stores and file systems report, told in the words of who gave the path.

use std::error::Error as Cause;
use std::io;

use crate::diagnostic::Kind;

use super::Error;

/// A failure of an object store: the path or bucket named, with what usually mends it.
pub fn from_object_store(error: object_store::Error) -> Error {
    describe(&error).caused_by(error)
}

/// A failure of the local file system while coterie did `what`, such as ``cannot read `a.csv` ``.
pub fn from_io(what: &str, error: io::Error) -> Error {
    let described = Described::of_io(&error, Kind::Storage);
    let message = format!("{what}: {}", described.message);
    Described { message, ..described }.caused_by(error)
}

/// What to tell about a foreign error, before its cause is attached.
pub(super) struct Described {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) help: Vec<String>,
}

impl Described {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: vec![] }
    }

    pub(super) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    pub(super) fn caused_by(self, cause: impl Into<Box<dyn Cause + Send + Sync>>) -> Error {
        self.help.into_iter().fold(Error::caused(self.kind, self.message, cause), Error::help)
    }

    pub(super) fn into_error(self) -> Error {
        self.help.into_iter().fold(Error::new(self.kind, self.message), Error::help)
    }

    /// An input or output error; `otherwise` is its kind when it is none of the usual ones.
    pub(super) fn of_io(error: &io::Error, otherwise: Kind) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(Kind::Storage, "the disk is full").help("free some space, or choose another folder")
            }
            io::ErrorKind::NotFound => Self::new(Kind::Storage, "no such file or folder"),
            io::ErrorKind::PermissionDenied => Self::new(Kind::Storage, "permission denied")
                .help("check the permissions of the file and of its folders"),
            io::ErrorKind::ReadOnlyFilesystem => Self::new(Kind::Storage, "the file system is read-only"),
            _ => Self::new(otherwise, error.to_string()),
        }
    }
}

/// What an object store's error means to the user.
pub(super) fn describe(error: &object_store::Error) -> Described {
    use object_store::Error as E;
    let text = error.to_string();
    match error {
        E::NotFound { path, .. } if is_missing_bucket(&text) => missing_bucket(path),
        E::NotFound { path, .. } => Described::new(Kind::Storage, format!("`{path}` does not exist")),
        E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => denied(path, &text),
        E::AlreadyExists { path, .. } => Described::new(Kind::Conflict, format!("`{path}` exists already")),
        E::Precondition { path, .. } => {
            Described::new(Kind::Conflict, format!("`{path}` was changed by another writer"))
        }
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            Described::new(Kind::Unsupported, lower_first(&text))
        }
        E::InvalidPath { source } => Described::new(Kind::Storage, lower_first(&source.to_string())),
        _ => describe_generic(error, &text),
    }
}

/// An error that the store could not classify: the causes below it often can.
fn describe_generic(error: &object_store::Error, text: &str) -> Described {
    let shown = lower_first(without_prefix(text));
    // A remote store says which it is; see `storage::named`.
    let Some(root) = shown.strip_prefix("cannot use `").and_then(|rest| rest.split('`').next()) else {
        return describe_local(error, shown);
    };
    // The sentences below the first one are not always part of it.
    let told: String = causes(error).map(|cause| format!("{cause}\n")).collect();
    if is_missing_bucket(&told) {
        missing_bucket(root)
    } else if told.contains("status code: 403") || told.contains("status code: 401") {
        denied(root, &told)
    } else if told.contains("169.254.169.254") || told.contains("metadata.google.internal") {
        let missing = Described::new(Kind::Storage, format!("no credentials are set for `{root}`"));
        with_credentials(missing, root)
    } else if told.contains("URL scheme is not allowed") {
        Described::new(Kind::Storage, format!("the endpoint of `{root}` does not use TLS"))
            .help("set AWS_ALLOW_HTTP=true to allow that")
    } else if told.contains("incorrectly configured region") {
        Described::new(Kind::Storage, format!("`{root}` is in another region"))
            .help("set AWS_REGION to the region of the bucket")
    } else if told.contains("error sending request") {
        let server = told.split_whitespace().find(|word| word.starts_with("http"));
        let server = server.map_or(String::new(), |url| format!(" at {}", bucket_of(url)));
        let why = lower_first(told.lines().last().unwrap_or_default());
        Described::new(Kind::Storage, format!("cannot reach `{root}`{server}: {why}"))
            .help("check the address, the endpoint variables and the network")
    } else {
        Described::new(Kind::Storage, shown)
    }
}

/// The store's own sentence names the file; its cause may tell what helps.
fn describe_local(error: &object_store::Error, shown: String) -> Described {
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    match io {
        Some(io) if !matches!(io.kind(), io::ErrorKind::Other | io::ErrorKind::NotFound) => {
            Described { message: shown, ..Described::of_io(io, Kind::Storage) }
        }
        _ => Described::new(Kind::Storage, shown),
    }
}

fn is_missing_bucket(text: &str) -> bool {
    matches!(code_of(text), Some("NoSuchBucket" | "ContainerNotFound"))
        || text.contains("bucket does not exist")
}

fn missing_bucket(url: &str) -> Described {
    Described::new(Kind::Storage, format!("the bucket `{}` does not exist", bucket_of(url)))
        .help("check the name, the region and the endpoint")
}

fn denied(url: &str, text: &str) -> Described {
    let why = code_of(text).map_or(String::new(), |code| format!(" ({code})"));
    with_credentials(Described::new(Kind::Storage, format!("access to `{url}` is denied{why}")), url)
}

fn with_credentials(described: Described, url: &str) -> Described {
    match credentials_of(url) {
        Some(help) => described.help(help),
        None => described,
    }
}

/// Scheme and authority of a URL.
fn bucket_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Which variables hold the credentials for a URL.
fn credentials_of(url: &str) -> Option<&'static str> {
    match url.split_once("://")?.0 {
        "s3" | "s3a" => Some(
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION; for a public bucket set AWS_SKIP_SIGNATURE=true",
        ),
        "gs" => Some(
            "check GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT; for a public bucket set GOOGLE_SKIP_SIGNATURE=true",
        ),
        "az" | "abfs" | "abfss" | "azure" | "adl" => {
            Some("check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_TOKEN")
        }
        _ => None,
    }
}

/// The error code in the XML that S3, Google and Azure answer.
fn code_of(text: &str) -> Option<&str> {
    Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0)
}

/// The error and the errors that caused it.
pub(super) fn causes<'a>(
    error: &'a (dyn Cause + 'static),
) -> impl Iterator<Item = &'a (dyn Cause + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Cause + 'static)| (*error).source())
}

/// `Generic S3 error: …` says nothing by its first words.
fn without_prefix(text: &str) -> &str {
    match text.split_once(" error: ") {
        Some((store, rest)) if store.starts_with("Generic ") => rest,
        _ => text,
    }
}

/// Messages begin in lower case, unless the first word is a name (`CSV`, `S3`).
pub(super) fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(path: &str, body: &str) -> object_store::Error {
        object_store::Error::PermissionDenied { path: path.into(), source: body.into() }
    }

    #[test]
    fn names_the_bucket_and_the_variables() {
        let error = from_object_store(denied(
            "s3://lake/events/a.parquet",
            "403: <Error><Code>InvalidAccessKeyId</Code></Error>",
        ));
        let shown = error.to_string();
        assert!(shown.starts_with(
            "error[storage]: access to `s3://lake/events/a.parquet` is denied (InvalidAccessKeyId)"
        ));
        assert!(shown.contains("AWS_ACCESS_KEY_ID"));
    }

    #[test]
    fn a_full_disk_says_so() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = from_object_store(object_store::Error::Generic { store: "X", source: full.into() });
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.to_string().contains("free some space"));
        assert!(
            from_io("cannot write `a`", io::ErrorKind::StorageFull.into())
                .to_string()
                .contains("cannot write `a`: the disk is full")
        );
    }
}
