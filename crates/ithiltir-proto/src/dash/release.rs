//! Releases, and the manifest that a node gets of one. §1.

use crate::wire::Manifest;
use crate::{Url, UrlError, VersionError};
use http::StatusCode;
use std::collections::BTreeMap;
use std::fmt;

/// A version of the node with its files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a release is a version and its files")]
pub struct Release {
    /// The version, which is the manifest's id too.
    pub version: String,
    /// The files by platform.
    pub assets: BTreeMap<Platform, Asset>,
}

/// A file of a release.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a file has these three properties")]
pub struct Asset {
    /// Where to download it; may carry a token in its query.
    pub url: String,
    /// SHA-256, 64 hex digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: i64,
}

/// A platform that nodes are built for, in the spelling of file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the platform that its name says")]
#[non_exhaustive]
pub enum Platform {
    LinuxAmd64,
    LinuxArm64,
    MacosAmd64,
    MacosArm64,
    WindowsAmd64,
    WindowsArm64,
}

/// Why a node gets no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateRefused {
    /// There is no such node.
    #[error("there is no such node")]
    UnknownNode,
    /// The node has not reported yet, so that its version is not known.
    #[error("the node's version is not known")]
    VersionUnavailable,
    /// The version of the node or of the release is not SemVer.
    #[error("a version is not SemVer")]
    InvalidVersion,
    /// The node's version is below [`Config::min_update_version`](super::Config::min_update_version).
    #[error("the node is too old for automatic updates")]
    Unsupported,
    /// The node has not sent a Static yet, so that its platform is not known.
    #[error("the node's platform is not known")]
    PlatformUnknown,
    /// Nodes are not built for this platform.
    #[error("the node's platform is not supported")]
    PlatformUnsupported,
    /// The release has no file for the node's platform.
    #[error("the release has no file for the node's platform")]
    AssetMissing,
    /// The manifest's URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The manifest's digest is not 64 hex digits, or its size is not above 0.
    #[error("the manifest's digest or size is wrong")]
    Asset,
}

impl UpdateRefused {
    /// Returns the code that the original's administration answers with.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownNode => "not_found",
            Self::VersionUnavailable => "node_version_unavailable",
            Self::InvalidVersion => "invalid_node_version",
            Self::Unsupported => "node_upgrade_unsupported",
            Self::PlatformUnknown => "node_platform_unknown",
            Self::PlatformUnsupported => "node_platform_unsupported",
            Self::AssetMissing => "node_asset_missing",
            Self::Url(_) | Self::Asset => "node_asset_error",
        }
    }

    /// Returns the status that goes with the code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::UnknownNode => StatusCode::NOT_FOUND,
            Self::Url(_) | Self::Asset => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        }
    }
}

impl From<VersionError> for UpdateRefused {
    fn from(_: VersionError) -> Self {
        Self::InvalidVersion
    }
}

impl Platform {
    /// Returns the platform of a Static's `os` and `arch`, in any case.
    #[must_use]
    pub fn of(os: &str, arch: &str) -> Option<Self> {
        let (os, arch) = (os.trim().to_ascii_lowercase(), arch.trim().to_ascii_lowercase());
        let arm = match &*arch {
            "amd64" | "x86_64" => false,
            "arm64" | "aarch64" => true,
            _ => return None,
        };
        match (&*os, arm) {
            ("linux", false) => Some(Self::LinuxAmd64),
            ("linux", true) => Some(Self::LinuxArm64),
            ("darwin" | "macos", false) => Some(Self::MacosAmd64),
            ("darwin" | "macos", true) => Some(Self::MacosArm64),
            ("windows", false) => Some(Self::WindowsAmd64),
            ("windows", true) => Some(Self::WindowsArm64),
            _ => None,
        }
    }

    /// Returns the path under which the original offers the file, as in `/deploy/linux/node_linux_amd64`.
    #[must_use]
    pub fn deploy_path(self) -> &'static str {
        match self {
            Self::LinuxAmd64 => "/deploy/linux/node_linux_amd64",
            Self::LinuxArm64 => "/deploy/linux/node_linux_arm64",
            Self::MacosAmd64 => "/deploy/macos/node_macos_amd64",
            Self::MacosArm64 => "/deploy/macos/node_macos_arm64",
            Self::WindowsAmd64 => "/deploy/windows/node_windows_amd64.exe",
            Self::WindowsArm64 => "/deploy/windows/node_windows_arm64.exe",
        }
    }
}

impl Release {
    /// Returns the manifest for a node on this system.
    ///
    /// # Errors
    /// [`UpdateRefused::PlatformUnknown`] for blank names, [`UpdateRefused::PlatformUnsupported`],
    /// [`UpdateRefused::AssetMissing`].
    pub fn manifest_for(&self, os: &str, arch: &str) -> Result<Manifest, UpdateRefused> {
        if os.trim().is_empty() || arch.trim().is_empty() {
            return Err(UpdateRefused::PlatformUnknown);
        }
        let platform = Platform::of(os, arch).ok_or(UpdateRefused::PlatformUnsupported)?;
        let asset = self.assets.get(&platform).ok_or(UpdateRefused::AssetMissing)?;
        Ok(Manifest {
            id: self.version.clone(),
            version: self.version.clone(),
            url: asset.url.clone(),
            sha256: asset.sha256.to_ascii_lowercase(),
            size: asset.size,
        })
    }
}

/// Whether a node could carry the manifest out.
pub(super) fn check_manifest(manifest: &Manifest) -> Result<(), UpdateRefused> {
    let url = Url::parse(&manifest.url)?;
    url.check_configured()?;
    url.to_request_parts()?;
    let is_digest =
        manifest.sha256.len() == 64 && manifest.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest && (1..i64::MAX).contains(&manifest.size) { Ok(()) } else { Err(UpdateRefused::Asset) }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asset")
            .field("url", &crate::wire::redact_url(&self.url))
            .field("sha256", &self.sha256)
            .field("size", &self.size)
            .finish()
    }
}
