//! The Windows runner: what it does with a staged update between two starts of the node.

use super::installation::{STAGED_EXECUTABLE, STAGED_MANIFEST};
use super::{Installation, Step};
use crate::wire::{self, Manifest};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A staged update, as its manifest describes it. The runner looks at version and digest only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StagedUpdate {
    /// Version of the staged executable.
    pub version: String,
    sha256: [u8; 32],
}

/// Why staged files are worthless; the runner removes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StagedUpdateError {
    /// The manifest is not JSON, or its digest is not 64 hex digits.
    #[error("the staged manifest is unreadable")]
    Manifest,
    /// The staged executable is not the one that the manifest describes.
    #[error("the staged executable is not the promised one")]
    Digest,
}

impl StagedUpdate {
    /// Reads the staged manifest.
    ///
    /// # Errors
    /// [`StagedUpdateError::Manifest`].
    pub fn from_manifest(contents: &[u8]) -> Result<Self, StagedUpdateError> {
        let manifest: Manifest = wire::decode(contents).map_err(|_| StagedUpdateError::Manifest)?;
        let mut sha256 = [0; 32];
        hex::decode_to_slice(manifest.sha256.trim(), &mut sha256).map_err(|_| StagedUpdateError::Manifest)?;
        Ok(Self { version: manifest.version, sha256 })
    }

    /// Returns the path of the staged manifest; without it nothing is staged.
    #[must_use]
    pub fn manifest_path(data_directory: &str) -> String {
        format!(r"{data_directory}\staging\{STAGED_MANIFEST}")
    }

    /// Returns the path of the staged executable.
    #[must_use]
    pub fn executable_path(data_directory: &str) -> String {
        format!(r"{data_directory}\staging\{STAGED_EXECUTABLE}")
    }

    /// Returns how the staged executable takes the place of the installed one, and how to undo that.
    ///
    /// # Errors
    /// [`StagedUpdateError::Digest`] if `executable` is not what the manifest describes.
    pub fn apply(&self, executable: &[u8], data_directory: &str) -> Result<Installation, StagedUpdateError> {
        if <[u8; 32]>::from(Sha256::digest(executable)) != self.sha256 {
            return Err(StagedUpdateError::Digest);
        }
        let installed = format!(r"{data_directory}\bin\ithiltir-node.exe");
        let old = format!("{installed}.old");
        let staged = Self::executable_path(data_directory);
        let steps = vec![
            Step::Rename { from: installed.clone(), to: old.clone() },
            Step::Rename { from: staged, to: installed.clone() },
        ];
        let on_failure = vec![Step::Rename { from: old.clone(), to: installed }];
        let afterwards = [old, Self::manifest_path(data_directory)].map(|path| Step::RemoveFile { path });
        Ok(Installation { steps, on_failure, afterwards: afterwards.to_vec() })
    }

    /// Returns the steps that remove worthless staged files.
    #[must_use]
    pub fn discard(data_directory: &str) -> [Step; 2] {
        [Self::manifest_path(data_directory), Self::executable_path(data_directory)]
            .map(|path| Step::RemoveFile { path })
    }
}

/// Returns how long the runner waits after the node's `exits`th exit, counted from 1: 1 s, doubling up to 32 s.
#[must_use]
pub fn runner_delay(exits: u32) -> Duration {
    Duration::from_secs(1 << exits.saturating_sub(1).min(5))
}
