//! The report configuration file: YAML, permissions exactly 0600, written to a temporary file and renamed.

use ithiltir_proto::{ReportConfig, ReportConfigError};
use serde::Deserialize as _;
use serde_norway::Deserializer;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Why the file cannot be used.
#[derive(Debug)]
pub enum FileError {
    /// Reading or writing failed.
    Io(io::Error),
    /// On Unix: the permissions are not exactly 0600.
    Permissions(u32),
    /// The contents are no configuration. Holds where, not what: a key may stand there.
    Contents(Option<(usize, usize)>),
    /// The configuration cannot be used.
    Invalid(ReportConfigError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Permissions(mode) => write!(f, "the permissions are {mode:04o} and must be 0600"),
            Self::Contents(Some((line, column))) => {
                write!(f, "line {line} column {column} is not what the configuration has there")
            }
            Self::Contents(None) => f.write_str("the contents are no configuration"),
            Self::Invalid(error) => write!(f, "{error}"),
        }
    }
}

/// Loads and checks the configuration. A file that is not there is an empty configuration.
///
/// # Errors
/// See [`FileError`].
pub fn load(path: &Path) -> Result<ReportConfig, FileError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReportConfig::default()),
        outcome => outcome.map_err(FileError::Io)?,
    };
    check_permissions(path)?;
    parse(&text)
}

fn parse(text: &str) -> Result<ReportConfig, FileError> {
    let contents = |error: serde_norway::Error| {
        FileError::Contents(error.location().map(|location| (location.line(), location.column())))
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Only the first document counts.
    let document = || Deserializer::from_str(text).next().ok_or(FileError::Contents(None));
    let config = match ReportConfig::deserialize(document()?) {
        Ok(config) => config,
        // Merge keys need another way, on which numbers lose their spelling: there a key has to be in quotes.
        Err(error) if text.contains("<<") => {
            let mut value = serde_norway::Value::deserialize(document()?).map_err(|_| contents(error))?;
            value.apply_merge().map_err(contents)?;
            serde_norway::from_value(value).map_err(contents)?
        }
        Err(error) => return Err(contents(error)),
    };
    config.validate().map_err(FileError::Invalid)?;
    Ok(config)
}

/// Writes the configuration, all or nothing. The directory is made if it is not there; run as root, the file keeps
/// its owner.
///
/// # Errors
/// [`FileError::Io`].
pub fn save(path: &Path, config: &ReportConfig) -> Result<(), FileError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        make_directory(directory)?;
        let text = serde_norway::to_string(config).map_err(io::Error::other)?;
        let temporary = directory.join(format!(".report-{}.tmp", std::process::id()));
        let written = create(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            keep_owner(path, directory, &temporary)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    };
    write().map_err(FileError::Io)
}

#[cfg(unix)]
fn check_permissions(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(FileError::Io)?.permissions().mode() & 0o7777;
    if mode == ReportConfig::MODE { Ok(()) } else { Err(FileError::Permissions(mode)) }
}

#[cfg(not(unix))]
fn check_permissions(_: &Path) -> Result<(), FileError> {
    Ok(())
}

#[cfg(unix)]
fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, ReportConfig::MODE);
    options.open(path)
}

/// Run as root, the new file belongs to whom the old one or the directory belongs to.
#[cfg(unix)]
fn keep_owner(path: &Path, directory: &Path, temporary: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let own = fs::metadata(temporary)?;
    let wanted = fs::metadata(path).or_else(|_| fs::metadata(directory))?;
    if own.uid() == 0 && (wanted.uid(), wanted.gid()) != (own.uid(), own.gid()) {
        chown(temporary, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
