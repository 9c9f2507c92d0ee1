//! Settings for the config drive.

use crate::wire::{JsonKind, JsonRef, Object, ObjectWriter, members};
use std::fmt;

/// Settings of `run_image` for the config drive: a small file system from which the image configures itself.
///
/// The document demands settings and does not say what is in them, so that any object is kept as it is, and the files
/// are those of the config drives of OpenStack. `Debug` shows the length only: settings hold keys and passwords.
///
/// | member | file | value |
/// | --- | --- | --- |
/// | `metadata`, `meta_data` | `openstack/latest/meta_data.json` | any JSON |
/// | `network`, `network_data` | `openstack/latest/network_data.json` | any JSON |
/// | `vendor_data` | `openstack/latest/vendor_data.json` | any JSON |
/// | `user_data` | `openstack/latest/user_data` | a string, written as it is; other JSON as its text |
/// | `files` | each name is a path on the drive | a string each; other JSON as its text |
///
/// Without `metadata` the members that are not in this table are the metadata. Two members that make the same file are in
/// each other's way, but for the two names of the metadata, of which the last counts.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigDrive(Object);

/// A file of a config drive.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigDriveFile {
    /// Where: segments joined by `/`, relative, none of them empty, `.` or `..`, without backslash, colon and control
    /// characters, at most 1024 bytes in all.
    pub path: String,
    /// What.
    pub contents: String,
}

/// Settings that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigDriveError {
    /// A path that leaves the drive or that some system cannot have.
    #[error("a path of the config drive is not allowed")]
    Path,
    /// `files` is no object.
    #[error("the files of the config drive are not an object")]
    Files,
    /// Two files of one path, or a file where another one needs a folder.
    #[error("two files of the config drive are in each other's way")]
    Conflict,
}

impl ConfigDrive {
    /// Takes settings.
    #[must_use]
    pub fn new(settings: Object) -> Self {
        Self(settings)
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Object {
        &self.0
    }

    /// Returns the files that make up the drive, in a settled order. There is always one of metadata.
    ///
    /// # Errors
    /// [`ConfigDriveError`]; nothing should be written then.
    pub fn files(&self) -> Result<Vec<ConfigDriveFile>, ConfigDriveError> {
        let (mut metadata, mut others, mut files) = (None, Vec::new(), Vec::new());
        for (name, value) in self.0.members() {
            match name.as_str() {
                "metadata" | "meta_data" => metadata = Some(value.text().to_owned()),
                "network" | "network_data" => files.push(file("openstack/latest/network_data.json", value)),
                "vendor_data" => files.push(file("openstack/latest/vendor_data.json", value)),
                "user_data" => files.push(text_file("openstack/latest/user_data", value)),
                "files" if value.kind() == JsonKind::Object => {
                    files.extend(members(value).into_iter().map(|(path, value)| text_file(&path, value)));
                }
                "files" => return Err(ConfigDriveError::Files),
                _ => others.push((name, value)),
            }
        }
        let others = others.iter().map(|(name, value)| (name.as_str(), *value));
        let others = || ObjectWriter::new().fields(others).finish().unwrap_or_default().text().to_owned();
        let contents = metadata.unwrap_or_else(others);
        files.push(ConfigDriveFile { path: "openstack/latest/meta_data.json".into(), contents });
        files.sort_by(|a, b| a.path.cmp(&b.path));
        check(&files)?;
        Ok(files)
    }
}

fn file(path: &str, value: JsonRef<'_>) -> ConfigDriveFile {
    ConfigDriveFile { path: path.into(), contents: value.text().into() }
}

fn text_file(path: &str, value: JsonRef<'_>) -> ConfigDriveFile {
    let contents = value.as_str().unwrap_or(value.text().into()).into_owned();
    ConfigDriveFile { path: path.into(), contents }
}

fn check(files: &[ConfigDriveFile]) -> Result<(), ConfigDriveError> {
    let is_bad = |segment: &str| {
        matches!(segment, "" | "." | "..")
            || segment.contains(['\\', ':'])
            || segment.contains(char::is_control)
    };
    if files.iter().any(|file| file.path.len() > PATH_LIMIT || file.path.split('/').any(is_bad)) {
        return Err(ConfigDriveError::Path);
    }
    let mut paths = std::collections::BTreeSet::new();
    if !files.iter().all(|file| paths.insert(file.path.as_str())) {
        return Err(ConfigDriveError::Conflict);
    }
    let mut folders =
        files.iter().flat_map(|file| file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
    if folders.any(|folder| paths.contains(folder)) {
        return Err(ConfigDriveError::Conflict);
    }
    Ok(())
}

const PATH_LIMIT: usize = 1024;

impl fmt::Debug for ConfigDrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigDrive({} bytes)", self.0.text().len())
    }
}

impl fmt::Debug for ConfigDriveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigDriveFile({:?}, {} bytes)", self.path, self.contents.len())
    }
}
