//! Where the audiences of a store lie, what their columns are, and how names become paths.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use object_store::path::Path;
use url::Url;
use uuid::Uuid;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};
use crate::storage::{escape, folder};

/// The partition column of the Delta table.
pub(super) const SEGMENT: &str = "segment";
pub(super) const STATUS: &str = "status";
pub(super) const ENTERED_AT: &str = "entered_at";
pub(super) const LAST_QUALIFIED_AT: &str = "last_qualified_at";
pub(super) const EXITED_AT: &str = "exited_at";

/// The status of a member.
pub(super) const REALIZED: &str = "realized";
/// The status of a profile that was a member once.
pub(super) const EXITED: &str = "exited";

/// Positions of the columns in a data file.
pub(super) mod column {
    pub(crate) const KEY: usize = 0;
    pub(crate) const STATUS: usize = 1;
    pub(crate) const ENTERED_AT: usize = 2;
    pub(crate) const LAST_QUALIFIED_AT: usize = 3;
    pub(crate) const EXITED_AT: usize = 4;
}

/// Longer directory names are cut, since file systems refuse them. The log holds the segment's name; only readers that
/// go by the directory are misled.
const LONGEST_DIRECTORY: usize = 240;

/// One store's table: its place and its columns.
#[derive(Debug)]
pub(super) struct Layout {
    /// The profile store.
    pub(super) store: String,
    /// The table's folder, with a slash at the end.
    pub(super) url: Url,
    /// The same folder as a path in the object store.
    pub(super) prefix: Path,
    /// The profile key as queries see it.
    pub(super) key: Field,
    /// The columns of a data file as Delta Lake names their types, the key first.
    file_schema: SchemaRef,
    /// The same columns as they are worked with: text and bytes as views, which sort and copy without moving text.
    pub(super) row_schema: SchemaRef,
}

impl Layout {
    pub(super) fn new(root: &Url, store: &str, key: &Field) -> Result<Self> {
        let mut url = root.clone();
        let no_folder =
            || Error::new(Kind::Storage, format!("`{root}` cannot hold audiences: it is no folder"));
        url.path_segments_mut().map_err(|()| no_folder())?.pop_if_empty().extend([
            "audiences",
            &folder(store),
            "",
        ]);
        let prefix = Path::from_url_path(url.path())
            .map_err(|e| Error::caused(Kind::Storage, format!("`{root}` cannot hold audiences: {e}"), e))?;

        let taken = [SEGMENT, STATUS, ENTERED_AT, LAST_QUALIFIED_AT, EXITED_AT];
        if taken.iter().any(|name| name.eq_ignore_ascii_case(key.name())) {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "a profile key cannot be called `{}`: every audience has a column of that name",
                    key.name()
                ),
            )
            .help("rename the column in the profile table"));
        }
        let stored = stored_type(key.data_type()).ok_or_else(|| {
            Error::new(
                Kind::Type,
                format!("the profile key `{}` of type {} cannot be kept", key.name(), key.data_type()),
            )
            .help("use a key of text, whole numbers, dates or bytes")
        })?;
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let file_schema = Arc::new(Schema::new(vec![
            Field::new(key.name(), stored, false),
            Field::new(STATUS, DataType::Utf8, false),
            Field::new(ENTERED_AT, instant.clone(), false),
            Field::new(LAST_QUALIFIED_AT, instant.clone(), false),
            Field::new(EXITED_AT, instant, true),
        ]));
        let key = Field::new(key.name(), key.data_type().clone(), false);
        let row_schema = Arc::new(Schema::new(file_schema.fields().iter().map(viewed).collect::<Vec<_>>()));
        Ok(Self { store: store.to_owned(), url, prefix, key, file_schema, row_schema })
    }

    /// The type of the key while it is worked with.
    pub(super) fn key_type(&self) -> &DataType {
        self.row_schema.field(column::KEY).data_type()
    }

    /// The columns of a data file as queries see them: the key has the type of the profile table.
    pub(super) fn query_schema(&self) -> Schema {
        let mut fields = vec![Arc::new(self.key.clone())];
        fields.extend(self.row_schema.fields().iter().skip(1).cloned());
        Schema::new(fields)
    }

    /// The columns of the Delta table: those of the files and the segment.
    pub(super) fn table_schema(&self) -> Schema {
        let mut fields = vec![Arc::new(Field::new(SEGMENT, DataType::Utf8, false))];
        fields.extend(self.file_schema.fields().iter().cloned());
        Schema::new(fields)
    }

    /// A data file as a path in the object store.
    pub(super) fn full_path(&self, relative: &str) -> Result<Path> {
        Path::parse(format!("{}/{relative}", self.prefix))
            .map_err(|e| self.failed(&format!("find the file `{relative}` of"), e))
    }

    /// A failure to do something to this table.
    pub(super) fn failed(&self, doing: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        let message =
            format!("cannot {doing} the audiences of store `{}` at {}: {cause}", self.store, self.url);
        Error::caused(Kind::Storage, message, cause)
    }
}

/// The path of a new data file, relative to the table. The directory is named as Hive would: the Delta log says which
/// segment a file holds, but some readers (Polars) read it off the path.
pub(super) fn new_file(segment: &str) -> String {
    let mut folder = format!("{SEGMENT}={}", escape(segment, '%', "_-"));
    if folder.len() > LONGEST_DIRECTORY {
        folder.truncate(LONGEST_DIRECTORY);
        // An escape stays whole.
        if let Some(cut) = folder.rfind('%').filter(|at| at + 3 > folder.len()) {
            folder.truncate(cut);
        }
    }
    format!("{folder}/{}.zstd.parquet", Uuid::new_v4())
}

/// The field with text and bytes as views.
fn viewed(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The type of Delta Lake that holds every value of the type, in the same order.
fn stored_type(key: &DataType) -> Option<DataType> {
    Some(match key {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => key.clone(),
        // Delta Lake has no unsigned numbers.
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal128(_, _) | DataType::Boolean | DataType::Date32 => key.clone(),
        DataType::Dictionary(_, values) => stored_type(values)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(root: &str, store: &str, key: Field) -> Result<Layout> {
        Layout::new(&Url::parse(root).unwrap(), store, &key)
    }

    #[test]
    fn a_store_has_a_folder_of_its_own() {
        let key = Field::new("id", DataType::Utf8View, true);
        let at = |root, store| {
            let layout = layout(root, store, key.clone()).unwrap();
            (layout.url.to_string(), layout.prefix.to_string())
        };
        assert_eq!(
            at("s3://lake/warehouse/", "shop"),
            ("s3://lake/warehouse/audiences/shop/".to_owned(), "warehouse/audiences/shop".to_owned())
        );
        assert_eq!(
            at("file:///my%20lake", "a/b ü"),
            (
                "file:///my%20lake/audiences/a-2Fb-20-C3-BC/".to_owned(),
                "my lake/audiences/a-2Fb-20-C3-BC".to_owned()
            )
        );
        assert_eq!(at("memory:///", "shop").1, "audiences/shop");
    }

    #[test]
    fn a_directory_name_is_never_cut_inside_an_escape() {
        for n in 220..240 {
            let file = new_file(&format!("{}ü", "x".repeat(n)));
            let folder = file.split('/').next().unwrap().to_owned();
            assert!(folder.len() <= LONGEST_DIRECTORY);
            for (at, _) in folder.match_indices('%') {
                assert!(folder[at + 1..].len() >= 2, "{folder}");
            }
        }
    }

    #[test]
    fn keys_that_cannot_be_kept_are_refused() {
        let kind = |name: &str, data_type| {
            layout("memory:///", "shop", Field::new(name, data_type, false)).unwrap_err().kind()
        };
        assert_eq!(kind("Status", DataType::Utf8), Kind::Unsupported);
        assert_eq!(kind("id", DataType::Float64), Kind::Type);
    }
}
