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
        E::NotFound { path, .. } => match code_of(&text) {
            Some("NoSuchBucket" | "ContainerNotFound") => {
                Described::new(Kind::Storage, format!("the bucket of `{path}` does not exist"))
                    .help("check the name, the region and the endpoint")
            }
            _ if text.contains("bucket does not exist") => {
                Described::new(Kind::Storage, format!("the bucket of `{path}` does not exist"))
            }
            _ => Described::new(Kind::Storage, format!("`{path}` does not exist")),
        },
        E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => {
            let why = code_of(&text).map_or(String::new(), |code| format!(" ({code})"));
            let denied = Described::new(Kind::Storage, format!("access to `{path}` is denied{why}"));
            match credentials_of(path) {
                Some(help) => denied.help(help),
                None => denied,
            }
        }
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
    if let Some(io) = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())
        && !matches!(io.kind(), io::ErrorKind::Other | io::ErrorKind::NotFound)
    {
        let described = Described::of_io(io, Kind::Storage);
        // The store's own sentence names the file.
        return Described { message: shown, ..described };
    }
    let described = Described::new(Kind::Storage, shown);
    if text.contains("169.254.169.254") || text.contains("metadata.google.internal") {
        let help = if text.contains("google") { credentials_of("gs://") } else { credentials_of("s3://") };
        return Described { message: "no credentials are set for the bucket".into(), ..described }
            .help(help.unwrap_or_default());
    }
    if text.contains("URL scheme is not allowed") {
        return described.help("set AWS_ALLOW_HTTP=true to use an endpoint without TLS");
    }
    if text.contains("incorrectly configured region") {
        return described.help("set AWS_REGION to the region of the bucket");
    }
    if text.contains("error sending request") || text.contains("HTTP error") {
        return described.help("check the address, the endpoint variables and the network");
    }
    described
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
