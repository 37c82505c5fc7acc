//! What was typed before, kept in the user's folder. Whatever goes wrong with it, the shell goes on.

use std::path::{Path, PathBuf};

use super::LineEditor;
use crate::cli::stop::note;

/// Loads the history, and returns where it is kept, if anywhere.
pub(super) fn load(editor: &mut LineEditor) -> Option<PathBuf> {
    let path = path(|name| std::env::var_os(name).map(PathBuf::from))?;
    let ready = path.parent().is_none_or(|folder| std::fs::create_dir_all(folder).is_ok());
    if !ready || (path.exists() && editor.load_history(&path).is_err()) {
        note(&format!("the history in `{}` is not used: it cannot be read", path.display()));
        return None;
    }
    Some(path)
}

/// Keeps what was typed last: a shell that is killed loses nothing.
pub(super) fn append(editor: &mut LineEditor, path: Option<&Path>) {
    if let Some(path) = path {
        // A full disk is no reason to refuse a query.
        let _ = editor.append_history(path);
    }
}

/// `COTERIE_HISTORY` (empty: no history), the XDG folder, or the home folder.
fn path(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if let Some(path) = variable("COTERIE_HISTORY") {
        return Some(path).filter(|path| !path.as_os_str().is_empty());
    }
    let is_absolute = |path: &PathBuf| path.is_absolute();
    let state = variable("XDG_STATE_HOME")
        .filter(is_absolute)
        .or_else(|| Some(variable("HOME").or_else(|| variable("USERPROFILE"))?.join(".local/state")))?;
    Some(state.join("coterie/history")).filter(is_absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)]) -> Option<String> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        path(find).map(|path| path.display().to_string())
    }

    #[test]
    fn history_is_below_the_home_folder() {
        assert_eq!(check(&[("HOME", "/home/a")]).as_deref(), Some("/home/a/.local/state/coterie/history"));
        assert_eq!(check(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/coterie/history"));
        assert_eq!(check(&[("HOME", "/h"), ("COTERIE_HISTORY", "")]), None);
        assert_eq!(check(&[]), None);
    }
}
