//! The folder of the demo: what is in it, and whether it is ours.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::about;
use super::shop::Size;
use crate::bug;
use crate::diagnostic::Kind;
use crate::error::{Error, Result};

/// The folder of a demo.
pub(super) struct Folder {
    /// Absolute: what is declared in a warehouse must not depend on where a program was started.
    pub(super) path: PathBuf,
    /// As the user wrote it.
    written: PathBuf,
}

/// What the folder says about itself. It is there before the data and complete after it.
#[derive(Serialize, Deserialize)]
struct Marker {
    made_by: String,
    /// Another generator makes other data.
    version: u32,
    size: Option<Size>,
}

const MARKER: &str = "demo.json";
const MADE_BY: &str = "coterie demo";
const VERSION: u32 = 1;

impl Folder {
    /// Opens the folder, or makes it. One with something else in it is refused.
    pub(super) fn open(written: &Path) -> Result<Self> {
        fs::create_dir_all(written).map_err(|cause| about(written, "make the folder", cause))?;
        let path = written.canonicalize().map_err(|cause| about(written, "open the folder", cause))?;
        let folder = Self { path, written: written.to_owned() };
        let mut entries =
            fs::read_dir(&folder.path).map_err(|cause| about(written, "read the folder", cause))?;
        if entries.next().is_some() && folder.marker().is_none() {
            let message = format!("`{}` is not empty, and no demo was made in it before", written.display());
            return Err(
                Error::new(Kind::Usage, message).help("name a folder that is empty or does not exist")
            );
        }
        Ok(folder)
    }

    fn marker(&self) -> Option<Marker> {
        let text = fs::read_to_string(self.path.join(MARKER)).ok()?;
        serde_json::from_str(&text).ok().filter(|marker: &Marker| marker.made_by == MADE_BY)
    }

    /// What is there, if it is complete and what is asked for.
    pub(super) fn finished(&self, profiles: u32) -> Option<Size> {
        let marker = self.marker().filter(|marker| marker.version == VERSION)?;
        marker.size.filter(|size| size.profiles == profiles)
    }

    /// Makes room for new data. The warehouse goes too: audiences are about the customers that were.
    pub(super) fn begin(&self) -> Result<()> {
        self.mark(None)?;
        for part in ["profiles", "events", "products", "warehouse"] {
            let path = self.path.join(part);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(|cause| about(&path, "remove", cause))?;
            }
        }
        Ok(())
    }

    /// Says that the data is complete.
    pub(super) fn finish(&self, size: Size) -> Result<()> {
        self.mark(Some(size))
    }

    fn mark(&self, size: Option<Size>) -> Result<()> {
        let marker = Marker { made_by: MADE_BY.to_owned(), version: VERSION, size };
        let text =
            serde_json::to_string_pretty(&marker).map_err(|cause| bug!("a marker is not JSON: {cause}"))?;
        let path = self.path.join(MARKER);
        fs::write(&path, text + "\n").map_err(|cause| about(&path, "write", cause))
    }

    /// Where the warehouse is.
    pub(super) fn warehouse(&self) -> String {
        self.path.join("warehouse").display().to_string()
    }

    /// The same, as the user would write it.
    pub(super) fn warehouse_text(&self) -> String {
        self.written.join("warehouse").display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_folder_or_its_own_is_used() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/demo");
        let folder = Folder::open(&path).unwrap();
        let size = Size { profiles: 7, events: 9, products: 2 };
        assert_eq!(folder.finished(7), None);
        folder.begin().unwrap();
        assert_eq!(folder.finished(7), None);
        folder.finish(size).unwrap();
        let again = Folder::open(&path).unwrap();
        assert_eq!((again.finished(7), again.finished(8)), (Some(size), None));

        fs::remove_file(path.join(MARKER)).unwrap();
        fs::write(path.join("mine.txt"), "x").unwrap();
        assert_eq!(Folder::open(&path).err().map(|error| error.kind()), Some(Kind::Usage));
    }
}
