//! Paths and URLs as users write them.

use std::path::{MAIN_SEPARATOR, Path, is_separator};

use url::Url;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};

/// What the signs of a pattern are.
const PATTERN_SIGNS: [char; 3] = ['*', '?', '['];

/// One or many files: a file, a folder (the URL ends in `/`), or the files below a folder that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The file or folder.
    pub url: Url,
    /// The pattern that paths below the folder must match.
    pub pattern: Option<String>,
}

/// The URL of a path or URL as users write it.
///
/// A path is relative to the working folder; its characters mean themselves (`100%`, `a b`, `ü`). In a URL `%xx`
/// is an encoded byte, and all other characters may be written as they are. `..` goes up in the text, not through
/// symbolic links: the same text means the same URL for local and remote places.
pub fn locate(text: &str) -> Result<Url> {
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("the location is empty").help("write a path or a URL").into());
    }
    match scheme(text) {
        Some(scheme) => parse_url(text, scheme),
        None => parse_path(text),
    }
}

/// As [`locate`], with a pattern of `*`, `?` and `[…]` in the path; a local file of exactly that name comes first.
pub fn locate_files(text: &str) -> Result<Files> {
    let text = text.trim();
    let scheme = scheme(text);
    let exact = match scheme {
        // There `?` begins a query, and a server does not list its files.
        Some(scheme) => scheme.starts_with("http"),
        None => Path::new(text).exists(),
    };
    let split = if exact { None } else { split_pattern(text) };
    let Some((folder, pattern)) = split else {
        return Ok(Files { url: locate(text)?, pattern: None });
    };
    let url = match (folder, scheme) {
        ("", _) => locate(&format!(".{MAIN_SEPARATOR}"))?,
        (folder, Some("file" | "memory")) => locate(folder)?,
        // `s3://lake-*/…`
        (folder, Some(_)) if folder.ends_with("//") => {
            return Err(wrong(format!("a pattern cannot choose buckets: `{text}`")).into());
        }
        (folder, _) => locate(folder)?,
    };
    Ok(Files { url, pattern: Some(pattern.to_owned()) })
}

/// A URL as users read it: a local one as a path.
pub fn shown(url: &Url) -> String {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => path.display().to_string(),
        _ => percent_decoded(url.as_str()),
    }
}

/// The scheme of a URL; `None` for a path, also for one that holds a colon (`2024-01-01T10:00.csv`, `C:\data`).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let url = letters && scheme.len() > 1 && (rest.starts_with("//") || matches!(scheme, "file" | "memory"));
    url.then_some(scheme)
}

fn parse_url(text: &str, scheme: &str) -> Result<Url> {
    let web = scheme.starts_with("http");
    // Objects may have any name: no fragment or query is meant outside the web.
    let text = if web { text.to_owned() } else { text.replace('#', "%23").replace('?', "%3F") };
    let url = Url::parse(&text).map_err(|error| bad_url(&text, error))?;
    if url.cannot_be_a_base() {
        return Err(wrong(format!("`{text}` is not a URL of a file")).into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Diagnostic::new(
            Kind::Unsupported,
            format!("`{text}` has a query, which is not supported"),
        )
        .help("download the file, or use the bucket's own URL (s3://…)")
        .into());
    }
    match url.scheme() {
        "file" if url.host_str().is_some() => Err(wrong(format!("`{text}` names a host"))
            .help("a local file is written file:///path, or as a path")
            .into()),
        "file" => Ok(as_folder(url)),
        "memory" => Ok(url),
        _ if url.host_str().unwrap_or_default().is_empty() => Err(wrong(format!("`{text}` names no bucket"))
            .help(format!("write {scheme}://bucket/path"))
            .into()),
        _ => Ok(url),
    }
}

fn parse_path(text: &str) -> Result<Url> {
    let path = std::path::absolute(text)
        .map_err(|error| crate::error::from_io(&format!("cannot find `{text}`"), error))?;
    let url = if text.ends_with(is_separator) {
        Url::from_directory_path(&path)
    } else {
        Url::from_file_path(&path)
    };
    let url = url.map_err(|()| wrong(format!("`{text}` is not a path")))?;
    // Parsing resolves `..`, which building from a path does not.
    let url = Url::parse(url.as_str()).map_err(|error| bad_url(text, error))?;
    Ok(as_folder(url))
}

/// A local folder gets its `/`, so that a URL says by itself what it is.
fn as_folder(mut url: Url) -> Url {
    let folder = url.to_file_path().is_ok_and(|path| path.is_dir());
    if folder && !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

/// The folder before, and the pattern from, the first segment that holds a sign of a pattern.
fn split_pattern(text: &str) -> Option<(&str, &str)> {
    let sign = text.find(PATTERN_SIGNS)?;
    let start = text[..sign].rfind(is_separator).map_or(0, |at| at + 1);
    Some(text.split_at(start))
}

fn percent_decoded(text: &str) -> String {
    match percent_encoding::percent_decode_str(text).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.to_owned(),
    }
}

fn bad_url(text: &str, error: url::ParseError) -> Error {
    wrong(format!("`{text}` is not a URL: {error}")).into()
}

fn wrong(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Storage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        locate(text).unwrap().to_string()
    }

    #[test]
    fn paths_mean_their_characters() {
        let here = std::env::current_dir().unwrap();
        let here = Url::from_directory_path(here).unwrap();
        assert_eq!(url("no such/100%.csv"), format!("{here}no%20such/100%25.csv"));
        assert_eq!(url("no such/ü#1?.csv"), format!("{here}no%20such/%C3%BC%231%3F.csv"));
        assert_eq!(url("a/../b.csv"), format!("{here}b.csv"));
        assert_eq!(url("2024-01-01T10:00.csv"), format!("{here}2024-01-01T10:00.csv"));
        assert_eq!(url("/tmp"), "file:///tmp/");
        assert_eq!(url("/no/such/folder/"), "file:///no/such/folder/");
    }

    #[test]
    fn urls_keep_what_is_encoded() {
        assert_eq!(url("s3://lake/a b/c%20d#1.parquet"), "s3://lake/a%20b/c%20d%231.parquet");
        assert_eq!(url("file:///tmp"), "file:///tmp/");
        assert_eq!(url("memory:///x/y"), "memory:///x/y");
        assert_eq!(
            url("abfss://events@lake.dfs.core.windows.net/2024"),
            "abfss://events@lake.dfs.core.windows.net/2024"
        );
        assert_eq!(shown(&locate("s3://lake/a b").unwrap()), "s3://lake/a b");
        assert_eq!(shown(&locate("/a b/ü").unwrap()), "/a b/ü");
    }

    #[test]
    fn splits_patterns_from_folders() {
        let check = |text: &str| {
            let files = locate_files(text).unwrap();
            (files.url.to_string(), files.pattern)
        };
        assert_eq!(check("/tmp/a*/b.csv"), ("file:///tmp/".into(), Some("a*/b.csv".into())));
        assert_eq!(check("s3://lake/x/*.csv"), ("s3://lake/x/".into(), Some("*.csv".into())));
        assert_eq!(check("s3://lake/x/?.csv"), ("s3://lake/x/".into(), Some("?.csv".into())));
        assert_eq!(check("/tmp/a.csv"), ("file:///tmp/a.csv".into(), None));
        let here = Url::from_directory_path(std::env::current_dir().unwrap()).unwrap().to_string();
        assert_eq!(check("*.csv"), (here, Some("*.csv".into())));
        assert!(locate_files("s3://la*/x.csv").is_err());
    }

    #[test]
    fn a_file_of_that_name_comes_before_a_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a[1].csv");
        std::fs::write(&file, "x").unwrap();
        let files = locate_files(file.to_str().unwrap()).unwrap();
        assert_eq!(files.pattern, None);
        assert_eq!(files.url.to_file_path().unwrap(), file);
    }

    #[test]
    fn refuses_what_is_no_location() {
        for text in ["", "  ", "s3://", "file://host/x", "https://example.com/a.csv?sig=1", "s3:///x"] {
            let error = locate(text).unwrap_err();
            assert_eq!(error.kind().exit_status(), 2, "{text}: {error}");
        }
    }
}
