//! Columns that folders named `k=v` hold.

use arrow_schema::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::ListingTableUrl;
use object_store::ObjectMeta;
use percent_encoding::percent_decode_str;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::files::name;

/// The types that values may have, from the narrowest. Only values that are written as the type would print them
/// count (`7`, not `07`): scans look up a folder by the printed value.
const NARROW: [DataType; 2] = [DataType::Int64, DataType::Date32];

/// The name and value of each folder named `k=v` between the table's folder and a file.
fn pairs(url: &ListingTableUrl, file: &ObjectMeta) -> Vec<(String, String)> {
    let segments: Vec<&str> = url.strip_prefix(&file.location).map(Iterator::collect).unwrap_or_default();
    let folders = segments.split_last().map_or(&[][..], |(_, folders)| folders);
    let pairs = folders.iter().filter_map(|folder| folder.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

/// Hive encodes what a folder's name cannot hold.
fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), std::borrow::Cow::into_owned)
}

/// The partition columns of the files, outermost first, with the narrowest type that fits all values.
pub(super) fn infer(url: &ListingTableUrl, files: &[ObjectMeta]) -> Result<Vec<Field>> {
    let Some((first, rest)) = files.split_first() else { return Ok(vec![]) };
    let first_pairs = pairs(url, first);
    let names: Vec<&String> = first_pairs.iter().map(|(name, _)| name).collect();
    let mut values: Vec<Vec<String>> = first_pairs.iter().map(|(_, value)| vec![value.clone()]).collect();
    for file in rest {
        let others = pairs(url, file);
        if !others.iter().map(|(name, _)| name).eq(names.iter().copied()) {
            let message =
                format!("`{}` and `{}` are in differently named folders", name(url, first), name(url, file));
            return Err(Error::new(Kind::Storage, message)
                .help("all files of a table lie below the same k=v folders; name one sort of them"));
        }
        for (column, (_, value)) in values.iter_mut().zip(others) {
            column.push(value);
        }
    }
    let typed = names.iter().zip(&values);
    Ok(typed.map(|(name, values)| Field::new(name.as_str(), narrowest(values), true)).collect())
}

/// Checks that the folders hold the columns that the user declared, and that scans will find their values.
pub(super) fn check(declared: &[Field], url: &ListingTableUrl, files: &[ObjectMeta]) -> Result<()> {
    for file in files {
        let found = pairs(url, file);
        for (at, column) in declared.iter().enumerate() {
            let value = match found.get(at) {
                Some((key, value)) if key == column.name() => value,
                _ => {
                    let message = format!("`{}` is not in a folder `{}=…`", name(url, file), column.name());
                    return Err(Error::new(Kind::Storage, message)
                        .help("PARTITIONED BY lists the k=v folders from the outermost"));
                }
            };
            if !prints_as(value, column.data_type()) {
                let message = format!(
                    "the folder `{}={value}` does not hold a value written as {}",
                    column.name(),
                    column.data_type()
                );
                return Err(Error::new(Kind::Storage, message)
                    .help(format!("declare the column as text: `{}` VARCHAR", column.name())));
            }
        }
    }
    Ok(())
}

fn narrowest(values: &[String]) -> DataType {
    let fits = |data_type: &&DataType| values.iter().all(|value| prints_as(value, data_type));
    NARROW.iter().find(fits).cloned().unwrap_or_else(text)
}

/// One value a folder: text is kept as a dictionary.
pub(super) fn text() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8))
}

fn prints_as(value: &str, data_type: &DataType) -> bool {
    ScalarValue::try_from_string(value.to_owned(), data_type).is_ok_and(|parsed| parsed.to_string() == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_as_narrow_as_all_values() {
        let check = |values: &[&str]| narrowest(&values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(&["1", "20", "-3"]), DataType::Int64);
        assert_eq!(check(&["01", "02"]), text());
        assert_eq!(check(&["2024-01-31"]), DataType::Date32);
        assert_eq!(check(&["2024-01-31", "x"]), text());
        assert_eq!(check(&["1", "__HIVE_DEFAULT_PARTITION__"]), text());
        assert_eq!(check(&[""]), text());
    }
}
