//! Whether a download is what its manifest promised. §1.

use super::ValidManifest;
use crate::FailureKind;
use http::StatusCode;
use sha2::{Digest, Sha256};
use std::fmt;

/// Checks a download while it streams by, in constant memory.
///
/// Call [`handle_head`](Self::handle_head) once, [`handle_chunk`](Self::handle_chunk) for every piece before it is
/// stored, and [`finish`](Self::finish) at the end. After an error the download is over and the file is worthless.
///
/// ```
/// # use ithiltir_proto::update::*;
/// # use ithiltir_proto::wire::Manifest;
/// let manifest = Manifest {
///     version: "1.2.3".into(),
///     url: "https://dash.example.com/deploy/node".into(),
///     sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".into(),
///     size: 5,
///     ..Manifest::default()
/// };
/// let manifest = ValidManifest::new(&manifest, "1.2.2", ManifestRules::default())?;
/// let mut download = Download::new(&manifest);
/// download.handle_head(http::StatusCode::OK)?;
/// download.handle_chunk(b"hel")?;
/// download.handle_chunk(b"lo")?;
/// download.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Download {
    size: u64,
    sha256: [u8; 32],
    received: u64,
    digest: Sha256,
}

/// Why a download is not the promised file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The answer's status is not 200; redirects are not followed.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// More bytes came than promised.
    #[error("the file is longer than the {promised} bytes that were promised")]
    TooLong {
        /// Bytes promised.
        promised: u64,
    },
    /// Fewer bytes came than promised.
    #[error("the file has {received} of the {promised} bytes that were promised")]
    TooShort {
        /// Bytes received.
        received: u64,
        /// Bytes promised.
        promised: u64,
    },
    /// The bytes are not the promised ones.
    #[error("the file's SHA-256 digest is not the promised one")]
    Digest,
    /// The transport failed.
    #[error(transparent)]
    Transport(FailureKind),
}

impl Download {
    /// Returns a check for a manifest's file.
    #[must_use]
    pub fn new(manifest: &ValidManifest) -> Self {
        Self { size: manifest.size, sha256: manifest.sha256, received: 0, digest: Sha256::new() }
    }

    /// Takes the answer's status.
    ///
    /// # Errors
    /// [`DownloadError::Status`] for anything but 200.
    pub fn handle_head(&mut self, status: StatusCode) -> Result<(), DownloadError> {
        if status == StatusCode::OK { Ok(()) } else { Err(DownloadError::Status(status)) }
    }

    /// Takes the next piece of the (decoded) body. `Content-Length` does not count.
    ///
    /// # Errors
    /// [`DownloadError::TooLong`] as soon as one byte too many came; nothing more needs to be read.
    pub fn handle_chunk(&mut self, chunk: &[u8]) -> Result<(), DownloadError> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        if self.received > self.size {
            return Err(DownloadError::TooLong { promised: self.size });
        }
        self.digest.update(chunk);
        Ok(())
    }

    /// Ends the download.
    ///
    /// # Errors
    /// [`DownloadError::TooShort`], [`DownloadError::TooLong`] or [`DownloadError::Digest`].
    pub fn finish(self) -> Result<(), DownloadError> {
        if self.received > self.size {
            Err(DownloadError::TooLong { promised: self.size })
        } else if self.received < self.size {
            Err(DownloadError::TooShort { received: self.received, promised: self.size })
        } else if <[u8; 32]>::from(self.digest.finalize()) == self.sha256 {
            Ok(())
        } else {
            Err(DownloadError::Digest)
        }
    }

    /// Returns the bytes received so far and the bytes promised.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.received, self.size)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({} of {} bytes)", self.received, self.size)
    }
}
