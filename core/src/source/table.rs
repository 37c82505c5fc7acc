//! A declared table, as the catalog keeps it.

use std::collections::BTreeMap;
use std::fmt;

use arrow_schema::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::diagnostic::{Diagnostic, Kind};
use crate::error::{Error, Result};

/// What a table is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, without catalog and schema.
    pub name: String,
    /// The format of its files.
    pub format: Format,
    /// Where they are; one store holds all.
    pub locations: Vec<Location>,
    /// The columns of the files, as they were when the table was declared; none for Delta.
    pub columns: Schema,
    /// The user listed the columns; then the folder may be empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub columns_declared: bool,
    /// The columns that folders named `k=v` hold, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_columns: Vec<Field>,
    /// The options of the format, as DataFusion names them (`format.delimiter`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// The orders that each file has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Vec<Order>>,
}

/// A file, a folder (the URL ends in `/`), or the files below a folder that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file or folder.
    pub url: String,
    /// The pattern of the files below the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Subfolders are searched too. Folders named `k=v` always are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deep: bool,
}

impl Table {
    /// The Parquet files that coterie itself wrote into the folder at `url`, with the columns that it gave them.
    pub fn parquet(name: &str, url: &str, columns: SchemaRef) -> Self {
        let url = format!("{}/", url.trim_end_matches('/'));
        Self {
            name: name.to_owned(),
            format: Format::Parquet,
            locations: vec![Location { url, pattern: Some("[!._]*.parquet".to_owned()), deep: false }],
            columns: Schema::new(columns.fields().clone()),
            columns_declared: true,
            partition_columns: vec![],
            options: BTreeMap::new(),
            order: vec![],
        }
    }

    /// May a provider serve several statements? One of a Delta table shows the version that was newest when it was
    /// opened; the others look at their files at every scan.
    pub fn stays_open(&self) -> bool {
        self.format != Format::Delta
    }
}

impl Location {
    /// The URL, which was one when the table was declared.
    pub(super) fn url(&self) -> Result<Url> {
        Url::parse(&self.url)
            .map_err(|error| Error::new(Kind::Storage, format!("`{}` is not a URL: {error}", self.url)))
    }
}

/// One column of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The column.
    pub column: String,
    /// From the largest to the smallest.
    #[serde(default)]
    pub descending: bool,
    /// NULL before all values.
    #[serde(default)]
    pub nulls_first: bool,
}

macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $shown:literal, [$($alias:literal),*], [$($extension:literal),*];)+) => {
        /// The format of a table's files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Format {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Format {
            /// What may follow `STORED AS`, the main names only.
            pub const NAMES: &[&str] = &[$($name,)+];

            /// The format of that name, in any case.
            pub fn parse(name: &str) -> Result<Self> {
                match name.to_ascii_lowercase().as_str() {
                    $($name $(| $alias)* => Ok(Self::$variant),)+
                    written => Err(unknown(name, written).into()),
                }
            }

            /// DataFusion's name of it.
            pub(super) fn factory(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The usual endings of its files, without compression.
            pub(super) fn extensions(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($extension),*],)+ }
            }
        }

        impl fmt::Display for Format {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $shown,)+ })
            }
        }
    };
}

formats! {
    /// Apache Parquet.
    Parquet = "parquet", "Parquet", [], [".parquet", ".parq", ".pq"];
    /// Text with separators.
    Csv = "csv", "CSV", ["tsv"], [".csv", ".tsv"];
    /// A JSON object a line.
    Json = "json", "JSON", ["ndjson", "jsonl"], [".json", ".ndjson", ".jsonl"];
    /// Arrow IPC, file or stream.
    Arrow = "arrow", "Arrow", ["ipc", "feather"], [".arrow", ".arrows", ".feather", ".ipc"];
    /// Apache Avro.
    Avro = "avro", "Avro", [], [".avro"];
    /// A Delta Lake table.
    Delta = "delta", "Delta", ["deltatable", "deltalake"], [];
}

impl Format {
    /// Files of text may be compressed as a whole; the others compress inside.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}

fn unknown(shown: &str, written: &str) -> Diagnostic {
    Diagnostic::new(Kind::Unsupported, format!("unknown format `{shown}`"))
        .suggest(written, Format::NAMES.iter().copied())
        .help(format!("the formats are {}", Format::NAMES.join(", ")))
}
