//! Writes config drives: the files from which an image configures itself. Everything here blocks.

use crate::images::sync_folder;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use teeth_proto::command::{ConfigDrive, ConfigDriveFile};

/// Writes the files of `drive` into the folder `config-drive` below `folder`, in the place of an earlier one, and
/// returns where it is. A reader sees the old drive or the new one, never a mixture. Only this user may read it: it
/// holds keys and passwords.
///
/// # Errors
/// Settings that cannot be written, as [`io::ErrorKind::InvalidInput`]; what the file system says.
pub fn write(folder: &Path, drive: &ConfigDrive) -> io::Result<PathBuf> {
    let files = drive.files().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (drive, fresh) = (folder.join("config-drive"), folder.join(".config-drive.part"));
    remove(&fresh)?;
    let written = make_folder(&fresh).and_then(|()| {
        files.iter().try_for_each(|file| write_file(&fresh, file))?;
        replace(&fresh, &drive)?;
        sync_folder(folder)
    });
    // After the exchange this is the old drive.
    remove(&fresh)?;
    written.map(|()| drive)
}

/// Paths are relative and stay in the drive; the protocol crate has seen to that.
fn write_file(drive: &Path, file: &ConfigDriveFile) -> io::Result<()> {
    let path = drive.join(&file.path);
    let folder = path.parent().unwrap_or(drive);
    make_folder(folder)?;
    let mut target = create(&path)?;
    target.write_all(file.contents.as_bytes())?;
    target.sync_all()?;
    sync_folder(folder)
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts `fresh` in the place of `drive`; what was there before is at `fresh` afterwards, or gone.
fn replace(fresh: &Path, drive: &Path) -> io::Result<()> {
    if !drive.exists() {
        return fs::rename(fresh, drive);
    }
    if exchange(fresh, drive).is_ok() {
        return Ok(());
    }
    // A file system without exchange: for a moment there is no drive, but never half of one.
    remove(drive)?;
    fs::rename(fresh, drive)
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
