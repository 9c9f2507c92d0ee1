//! Validation of a manifest, before anything is downloaded. §1.

use crate::wire::Manifest;
use crate::{Scheme, Url, UrlError, Version};
use std::cmp::Ordering;
use std::fmt;

/// Settings of the validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestRules {
    /// Whether an older version may replace a newer one.
    pub downgrade: Downgrade,
    /// Whether the download must use `https`.
    pub require_https: bool,
}

/// Whether an older version may replace a newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a guard is on or off")]
pub enum Downgrade {
    /// As the original: any other version is taken.
    #[default]
    Allow,
    /// Both versions must be SemVer, and the new one must not have the lower precedence.
    Refuse,
}

/// A manifest that may be downloaded.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidManifest {
    /// Name of the release, as it came.
    pub id: String,
    /// Version as it came; names a directory.
    pub version: String,
    /// Where to download it.
    pub url: Url,
    /// The digest of the file.
    pub sha256: [u8; 32],
    /// Size of the file in bytes, 1 to `i64::MAX - 1`.
    pub size: u64,
}

/// Why a manifest may not be downloaded, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The version is blank.
    #[error("the version is blank")]
    VersionBlank,
    /// The version is `.` or `..` or holds a path separator.
    #[error("the version names no single directory")]
    VersionPath,
    /// The version is older than the current one, or one of them is not SemVer, and the guard is on.
    #[error("the version is older than the current one")]
    Downgrade,
    /// The digest is not 64 hex digits. The original checks the length only.
    #[error("the SHA-256 digest is not 64 hex digits")]
    Digest,
    /// The size is not between 1 and `i64::MAX - 1`.
    #[error("the size is out of range")]
    Size,
    /// The URL cannot be used. The original takes an empty host with a port.
    #[error(transparent)]
    Url(UrlError),
    /// The URL's scheme is not `https` where that is required.
    #[error("the URL's scheme is not https, which is required")]
    NotHttps,
}

impl ValidManifest {
    /// Validates a manifest.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`ManifestError`].
    pub fn new(
        manifest: &Manifest,
        current_version: &str,
        rules: ManifestRules,
    ) -> Result<Self, ManifestError> {
        check_version(&manifest.version)?;
        if rules.downgrade == Downgrade::Refuse && !is_upgrade(current_version, &manifest.version) {
            return Err(ManifestError::Downgrade);
        }
        let mut sha256 = [0; 32];
        hex::decode_to_slice(manifest.sha256.trim(), &mut sha256).map_err(|_| ManifestError::Digest)?;
        let size = match u64::try_from(manifest.size) {
            Ok(1..) if manifest.size < i64::MAX => manifest.size.unsigned_abs(),
            _ => return Err(ManifestError::Size),
        };
        let url = Url::parse(&manifest.url).map_err(ManifestError::Url)?;
        let scheme = url.check_configured().map_err(ManifestError::Url)?;
        url.to_request_parts().map_err(ManifestError::Url)?;
        if rules.require_https && scheme != Scheme::Https {
            return Err(ManifestError::NotHttps);
        }
        Ok(Self { id: manifest.id.clone(), version: manifest.version.clone(), url, sha256, size })
    }
}

impl fmt::Debug for ValidManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidManifest")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("url", &self.url)
            .field("sha256", &hex::encode(self.sha256))
            .field("size", &self.size)
            .finish()
    }
}

fn check_version(version: &str) -> Result<(), ManifestError> {
    if version.trim().is_empty() {
        Err(ManifestError::VersionBlank)
    } else if matches!(version, "." | "..") || version.contains(['/', '\\']) {
        Err(ManifestError::VersionPath)
    } else {
        Ok(())
    }
}

fn is_upgrade(current: &str, offered: &str) -> bool {
    match (Version::parse(current), Version::parse(offered)) {
        (Ok(current), Ok(offered)) => current.precedence(&offered) != Ordering::Greater,
        _ => false,
    }
}
