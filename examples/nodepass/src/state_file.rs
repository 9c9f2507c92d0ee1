//! The state and its backup. Files are written as a whole or not at all.

pub use program::file::{read, write};
use std::fmt;
use std::path::{Path, PathBuf};

/// Returns the place of the backup: the file's own with `.backup` behind.
#[must_use]
pub fn backup_path(path: &Path) -> PathBuf {
    let mut backup = path.as_os_str().to_owned();
    backup.push(".backup");
    backup.into()
}

/// Returns what to tell somebody whose file cannot be used: what is wrong, and what the backup is good for.
#[must_use]
pub fn corrupt(path: &Path, problem: impl fmt::Display) -> String {
    let backup = backup_path(path);
    let (file, copy) = (path.display(), backup.display());
    if backup.is_file() {
        format!(
            "{file} cannot be used: {problem}; copy its backup {copy} over it, or move it away to begin anew"
        )
    } else {
        format!("{file} cannot be used: {problem}; there is no backup {copy}, move it away to begin anew")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let text = corrupt(&path, "line 1");
        assert!(text.contains("line 1; there is no backup") && text.contains("state.backup"), "{text}");
        write(&backup_path(&path), b"{}").unwrap();
        let text = corrupt(&path, "line 1");
        assert!(text.contains("copy its backup") && text.contains("state.backup"), "{text}");
    }
}
