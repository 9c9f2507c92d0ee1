//! Open enumerations: the known spellings, and everything else as it came.

use super::nullable::Nullable;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

macro_rules! open_enumeration {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }
    )*) => {$(
        $(#[$meta])*
        ///
        /// Open: other spellings are kept as `Other`, which is made only by `From<&str>`, so that a known
        /// spelling never ends up there. The default is the empty text.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other text, as it came.
            #[non_exhaustive]
            Other(Box<str>),
        }

        impl $name {
            /// Returns the text that stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text.into()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(Box::default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        super::nullable::scalar!($name, "a string", visit_str(&str) text => Ok(text.into()),);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(text.into())
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}

open_enumeration! {
    /// How a collector fared.
    pub enum Status {
        /// The values are there:
        Ok = "ok",
        /// Some of the values are there:
        Partial = "partial",
        /// This system has no such source:
        Unsupported = "unsupported",
        /// The source is there and holds nothing:
        NotFound = "not_found",
        /// The node may not read the source:
        NoPermission = "no_permission",
        /// The source did not answer in time:
        Timeout = "timeout",
        /// Reading failed:
        Error = "error",
        /// No cache file has been written yet:
        NoCache = "no_cache",
        /// The cache is older than its time to live:
        Stale = "stale",
        /// The tool that reads the source is not installed:
        NoTool = "no_tool",
        /// The device sleeps and was not woken:
        Standby = "standby",
    }

    /// What a logical disk is made of.
    pub enum LogicalKind {
        /// A plain disk:
        Disk = "disk",
        /// A Linux software RAID array:
        RaidMd = "raid_md",
        /// Any RAID array (documented, not emitted by node 0.2.3):
        Raid = "raid",
        /// An LVM volume group:
        LvmVolumeGroup = "lvm_vg",
        /// An LVM thin pool:
        LvmThinPool = "lvm_thinpool",
        /// An LVM logical volume (documented, not emitted by node 0.2.3):
        LvmLogicalVolume = "lvm_lv",
        /// A ZFS pool:
        ZfsPool = "zfs_pool",
        /// A Ceph pool (documented, not emitted by node 0.2.3):
        CephPool = "ceph_pool",
    }

    /// The layer at which base input and output is counted.
    pub enum BaseIoKind {
        /// A RAID array:
        Raid = "raid",
        /// A logical unit:
        Logical = "logical",
        /// A physical disk, where there is no logical unit:
        Physical = "physical",
    }

    /// Which of several base units carries the system.
    pub enum BaseIoRole {
        /// The first:
        Primary = "primary",
        /// Any other:
        Secondary = "secondary",
    }

    /// The health of an array or a logical disk.
    pub enum Health {
        /// All members work:
        Healthy = "healthy",
        /// A member is missing:
        Degraded = "degraded",
        /// Not known:
        Unknown = "unknown",
    }

    /// The state of an array's member.
    pub enum MemberState {
        /// In use:
        Up = "up",
        /// Failed or missing:
        Down = "down",
        /// Not known:
        Unknown = "unknown",
    }

    /// A disk's own verdict about itself.
    pub enum SmartHealth {
        /// All is well:
        Passed = "passed",
        /// The disk expects to fail:
        Failed = "failed",
    }

    /// What a temperature sensor sits on.
    pub enum SensorKind {
        /// The processor:
        Cpu = "cpu",
        /// The graphics processor:
        Gpu = "gpu",
        /// The chip set:
        Chipset = "chipset",
        /// An ACPI thermal zone:
        Acpi = "acpi",
        /// The board:
        Board = "board",
        /// Not known:
        Unknown = "unknown",
    }
}
