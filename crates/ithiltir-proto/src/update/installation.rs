//! The steps of an installation, for a program to carry out.

use super::layout::EXECUTABLE;
use super::{Layout, ValidManifest};
use bytes::Bytes;
use std::fmt;

/// What to do with a download, in order, and what to do instead once a step has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installation {
    /// The steps. After one that fails no other is carried out.
    pub steps: Vec<Step>,
    /// What to do once a step has failed, unless it was the first, after which nothing has happened yet; a file or
    /// directory that is not there is fine. Also for an update that is cancelled.
    pub on_failure: Vec<Step>,
    /// What to do after all steps; that it fails is no failure of the installation.
    pub afterwards: Vec<Step>,
}

/// One step. Paths are text in the system's own spelling; modes are Unix permissions, to be ignored elsewhere.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new step must not compile away in a program")]
pub enum Step {
    /// Create a directory and its parents; one that exists is fine.
    CreateDirectory {
        /// The directory.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// Remove a file; one that is not there is fine.
    RemoveFile {
        /// The file.
        path: String,
    },
    /// Remove a directory if it is empty.
    RemoveEmptyDirectory {
        /// The directory.
        path: String,
    },
    /// Download into a new file, checked by [`Download`](super::Download) and written through to the disk.
    Download {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// Write a new file through to the disk.
    WriteFile {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
        /// Its contents.
        contents: Bytes,
    },
    /// Rename, replacing what is there.
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Create a symbolic link.
    Link {
        /// What it points to.
        target: String,
        /// The link.
        link: String,
    },
    /// Start the new release.
    Restart(Restart),
}

/// How the new release is started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new way must not compile away in a program")]
pub enum Restart {
    /// Exit with status 0; the supervisor starts the new release.
    Exit,
    /// Replace the process by this executable, with the same arguments and environment.
    Reexecute {
        /// The executable.
        executable: String,
    },
}

/// How an update ends on Linux and macOS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the document has one way and the original the other")]
pub enum RestartPolicy {
    /// By exit, for systemd or launchd to start the new release (document).
    #[default]
    Exit,
    /// By replacing the process (node 0.2.3).
    Reexecute,
}

impl Layout {
    /// Returns how to install a release; `None` if its directory is the active one already, which keeps a release
    /// that names itself wrongly from being installed over and over.
    ///
    /// `unique` tells temporary names apart, the process id for instance.
    #[must_use]
    pub fn installation(
        &self,
        manifest: &ValidManifest,
        restart: RestartPolicy,
        unique: u32,
    ) -> Option<Installation> {
        match self {
            Self::Releases { active, .. } if *active == manifest.version => None,
            Self::Releases { data_directory, .. } => Some(release(data_directory, manifest, restart, unique)),
            Self::Runner { data_directory } => Some(staging(data_directory, manifest, unique)),
        }
    }
}

fn release(data: &str, manifest: &ValidManifest, restart: RestartPolicy, unique: u32) -> Installation {
    let directory = format!("{data}/releases/{}", manifest.version);
    let download = format!("{directory}/.{EXECUTABLE}-{unique}.new");
    let (current, link) = (format!("{data}/current"), format!("{data}/.current-{unique}.tmp"));
    let restart = match restart {
        RestartPolicy::Exit => Restart::Exit,
        RestartPolicy::Reexecute => Restart::Reexecute { executable: format!("{current}/{EXECUTABLE}") },
    };
    let on_failure = vec![
        Step::RemoveFile { path: download.clone() },
        Step::RemoveFile { path: link.clone() },
        Step::RemoveEmptyDirectory { path: directory.clone() },
    ];
    let steps = vec![
        Step::CreateDirectory { path: directory.clone(), mode: 0o755 },
        Step::Download { path: download.clone(), mode: 0o755 },
        Step::Rename { from: download, to: format!("{directory}/{EXECUTABLE}") },
        Step::RemoveFile { path: link.clone() },
        Step::Link { target: directory, link: link.clone() },
        Step::Rename { from: link, to: current },
        Step::Restart(restart),
    ];
    Installation { steps, on_failure, afterwards: Vec::new() }
}

fn staging(data: &str, manifest: &ValidManifest, unique: u32) -> Installation {
    let directory = format!(r"{data}\staging");
    let in_staging = |name: &str| format!(r"{directory}\{name}");
    let (staged, manifest_path) = (in_staging(STAGED_EXECUTABLE), in_staging(STAGED_MANIFEST));
    let (download, written) = (in_staging(&format!("{unique}.new")), in_staging(&format!("{unique}.json")));
    let on_failure = [&download, &written, &staged, &manifest_path];
    let on_failure = on_failure.map(|path| Step::RemoveFile { path: path.clone() }).to_vec();
    let steps = vec![
        Step::CreateDirectory { path: directory.clone(), mode: 0o700 },
        Step::RemoveFile { path: manifest_path.clone() },
        Step::RemoveFile { path: staged.clone() },
        Step::Download { path: download.clone(), mode: 0o755 },
        Step::Rename { from: download, to: staged },
        Step::WriteFile { path: written.clone(), mode: 0o600, contents: staged_manifest(manifest) },
        Step::Rename { from: written, to: manifest_path },
        Step::Restart(Restart::Exit),
    ];
    Installation { steps, on_failure, afterwards: Vec::new() }
}

pub(super) const STAGED_EXECUTABLE: &str = "ithiltir-node.exe.new";
pub(super) const STAGED_MANIFEST: &str = "manifest.json";

/// The manifest as the runner reads it: indented by two spaces, never with the key.
fn staged_manifest(manifest: &ValidManifest) -> Bytes {
    let manifest = crate::wire::Manifest {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        url: manifest.url.to_text(),
        sha256: hex::encode(manifest.sha256),
        size: manifest.size.try_into().expect("a valid size fits"),
    };
    serde_json::to_vec_pretty(&manifest).expect("a manifest has string keys").into()
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateDirectory { path, mode } => write!(f, "CreateDirectory({}, {mode:o})", plain(path)),
            Self::RemoveFile { path } => write!(f, "RemoveFile({})", plain(path)),
            Self::RemoveEmptyDirectory { path } => write!(f, "RemoveEmptyDirectory({})", plain(path)),
            Self::Download { path, mode } => write!(f, "Download({}, {mode:o})", plain(path)),
            // The contents may name a URL with a token.
            Self::WriteFile { path, mode, contents } => {
                write!(f, "WriteFile({}, {mode:o}, {} bytes)", plain(path), contents.len())
            }
            Self::Rename { from, to } => write!(f, "Rename({}, {})", plain(from), plain(to)),
            Self::Link { target, link } => write!(f, "Link({}, {})", plain(target), plain(link)),
            Self::Restart(restart) => write!(f, "Restart({restart:?})"),
        }
    }
}

/// A version may hold control characters, and paths are made of it.
fn plain(path: &str) -> String {
    path.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
