//! The folder outside of the workspace: templates, packages, and a lock file to begin with.

use crate::ci::manifest;
use crate::interop::target_folder;
use crate::process;
use crate::root;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder with a workspace of its own, in which nothing of this one is but the unpacked packages.
pub(super) struct Folder {
    path: PathBuf,
    target: PathBuf,
}

impl Folder {
    /// Packages the crates, and brings the folder up to date.
    pub(super) fn prepare(limit: Duration) -> anyhow::Result<Self> {
        let target = target_folder()?;
        let folder = Self { path: target.join("users"), target };
        let templates = templates();
        for file in files(&templates)? {
            let to = folder.path.join(file.strip_prefix(&templates)?);
            write(&to, &fs::read(&file)?)?;
        }
        for (package, _) in super::USERS {
            folder.package(package, limit)?;
        }
        folder.lock()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns where programs for this machine are.
    pub(super) fn built(&self, folder: &str) -> PathBuf {
        self.target.join("debug").join(folder)
    }

    /// Builds something in the folder. What it shares with this workspace is compiled once.
    pub(super) fn build(&self, arguments: &[&str], limit: Duration) -> anyhow::Result<()> {
        let mut command = process::cargo(&[&["build", "--quiet"], arguments].concat());
        command.current_dir(&self.path).env("CARGO_TARGET_DIR", &self.target);
        super::finish(command, limit).map(drop)
    }

    /// Packages a crate as `cargo publish` does, and unpacks what came of it if that is news.
    fn package(&self, name: &str, limit: Duration) -> anyhow::Result<()> {
        // What verifies it is its users.
        let arguments = ["package", "--quiet", "--no-verify", "--allow-dirty", "--package", name];
        super::finish(process::cargo(&arguments), limit)
            .with_context(|| format!("{name} cannot be packaged"))?;
        let version = manifest(name)?["version"].as_str().context("a package without a version")?.to_owned();
        let full = format!("{name}-{version}");
        let archive = self.target.join("package").join(format!("{full}.crate"));
        let packages = self.path.join("packages");
        let (unpacked, seen) = (packages.join(name), packages.join(format!("{name}.crate")));
        let bytes = fs::read(&archive).with_context(|| format!("no {}", archive.display()))?;
        if unpacked.exists() && fs::read(&seen).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        for old in [&unpacked, &packages.join(&full)] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        fs::create_dir_all(&packages)?;
        // Not the times of the archive, which are all the same: cargo would not see that there is something new.
        let mut tar = Command::new("tar");
        tar.arg("-xzmf").arg(&archive).arg("-C").arg(&packages).stdin(Stdio::null());
        super::finish(tar, limit)?;
        fs::rename(packages.join(full), unpacked)?;
        Ok(fs::write(seen, bytes)?)
    }

    /// Begins with the versions that this workspace is tested with; what it lacks cargo adds.
    fn lock(&self) -> anyhow::Result<()> {
        let ours = fs::read(root().join("Cargo.lock")).context("no Cargo.lock")?;
        let begun = self.path.join("begun.lock");
        if fs::read(&begun).is_ok_and(|before| before == ours) && self.path.join("Cargo.lock").exists() {
            return Ok(());
        }
        fs::write(self.path.join("Cargo.lock"), &ours)?;
        Ok(fs::write(begun, ours)?)
    }
}

/// Returns where the templates are.
pub(super) fn templates() -> PathBuf {
    root().join("examples/users")
}

/// Returns all files below a folder.
pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Writes a file unless that is what it says, so that cargo has nothing to do anew.
fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(fs::write(path, content)?)
}
