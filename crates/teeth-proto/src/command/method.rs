//! Names of methods.

use crate::Dialect;
use std::fmt;

/// A method. Names are compared exactly; both spellings of `standbye` are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `handshake`
    Handshake,
    /// `ping`
    Ping,
    /// `log`
    Log,
    /// `status`
    Status,
    /// `task_status`
    TaskStatus,
    /// `decom.disk_erase`
    DiskErase,
    /// `decom.firmware_secure`
    FirmwareSecure,
    /// `decom.qc`
    QualityControl,
    /// `standbye.cache_images`, `standby.cache_images`
    CacheImages,
    /// `standbye.prepare_image`, `standby.prepare_image`
    PrepareImage,
    /// `standbye.run_image`, `standby.run_image`
    RunImage,
    /// Any other; made by `Method::from`.
    #[non_exhaustive]
    Other(Box<str>),
}

impl Method {
    /// Returns the name in the spelling of a dialect.
    #[must_use]
    pub fn name(&self, dialect: Dialect) -> &str {
        match (self, dialect) {
            (Self::Handshake, _) => "handshake",
            (Self::Ping, _) => "ping",
            (Self::Log, _) => "log",
            (Self::Status, _) => "status",
            (Self::TaskStatus, _) => "task_status",
            (Self::DiskErase, _) => "decom.disk_erase",
            (Self::FirmwareSecure, _) => "decom.firmware_secure",
            (Self::QualityControl, _) => "decom.qc",
            (Self::CacheImages, Dialect::Document) => "standbye.cache_images",
            (Self::CacheImages, Dialect::Original) => "standby.cache_images",
            (Self::PrepareImage, Dialect::Document) => "standbye.prepare_image",
            (Self::PrepareImage, Dialect::Original) => "standby.prepare_image",
            (Self::RunImage, Dialect::Document) => "standbye.run_image",
            (Self::RunImage, Dialect::Original) => "standby.run_image",
            (Self::Other(name), _) => name,
        }
    }

    /// Whether an agent of this dialect serves it.
    #[must_use]
    pub fn is_served_by_agent(&self, dialect: Dialect) -> bool {
        match self {
            Self::Status | Self::CacheImages | Self::PrepareImage | Self::RunImage => true,
            Self::Ping | Self::DiskErase | Self::FirmwareSecure | Self::QualityControl => {
                dialect == Dialect::Document
            }
            Self::Handshake | Self::Log | Self::TaskStatus | Self::Other(_) => false,
        }
    }

    /// Whether a server serves it.
    #[must_use]
    pub fn is_served_by_server(&self) -> bool {
        matches!(self, Self::Handshake | Self::Ping | Self::Log | Self::TaskStatus)
    }
}

impl From<&str> for Method {
    fn from(name: &str) -> Self {
        match name {
            "handshake" => Self::Handshake,
            "ping" => Self::Ping,
            "log" => Self::Log,
            "status" => Self::Status,
            "task_status" => Self::TaskStatus,
            "decom.disk_erase" => Self::DiskErase,
            "decom.firmware_secure" => Self::FirmwareSecure,
            "decom.qc" => Self::QualityControl,
            "standbye.cache_images" | "standby.cache_images" => Self::CacheImages,
            "standbye.prepare_image" | "standby.prepare_image" => Self::PrepareImage,
            "standbye.run_image" | "standby.run_image" => Self::RunImage,
            other => Self::Other(other.into()),
        }
    }
}

/// In the document's spelling.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name(Dialect::Document))
    }
}
