//! The messages: their members, how they are written and how they are read. Pure functions, no state.
//!
//! | message | direction | type | encode | decode |
//! | --- | --- | --- | --- | --- |
//! | runtime metrics | node → Dash | [`NodeReport`] | [`encode`] | [`decode`] |
//! | static information | node → Dash | [`Static`] | [`encode`] | [`decode`] |
//! | answer to metrics | Dash → node | [`MetricsResponse`], [`Manifest`] | [`encode`] | [`MetricsResponse::decode`] |
//! | answer to identity | Dash → node | [`IdentityResponse`] | [`encode`] | [`IdentityResponse::decode`] |
//! | refusal | Dash → node | [`ErrorBody`] | [`encode`] | [`decode`] |
//!
//! # Writing
//!
//! Compact UTF-8 JSON, members in the order of the structs, no trailing newline, byte for byte what node 0.2.3
//! writes: `<`, `>`, `&`, U+2028 and U+2029 are escaped, whole floats have no point, exponents appear below 1e-6
//! and from 1e21 on. A float that JSON cannot say (NaN, an infinity) becomes `null`, or is left out where the
//! member is optional; the original program ends itself there.
//!
//! # Reading
//!
//! Unknown members are ignored, a missing member and `null` mean the default, a wrong type is a [`DecodeError`]
//! that names the member. Integers take neither fractions nor exponents. Stricter than the original (each is
//! tested in `tests/deviations.rs`): member names are matched exactly, a repeated member of a [`NodeReport`] or
//! [`Static`] is an error, and so are invalid UTF-8 and lone surrogates.
//!
//! Source: documents "Node Report Protocol" and its runtime metrics schema; node 0.2.3 and Dash 0.2.0 as observed.
#![expect(
    clippy::exhaustive_structs,
    reason = "message types are written as struct literals; a new member is a minor version"
)]

mod enumeration;
mod json;
mod list;
mod nullable;
mod report;
mod response;
mod statics;
mod timestamp;

pub use enumeration::{
    BaseIoKind, BaseIoRole, Health, LogicalKind, MemberState, SensorKind, SmartHealth, Status,
};
pub use json::{DecodeError, Problem, decode, encode, encode_into};
pub use list::List;
pub use report::{
    BaseIo, Connections, Cpu, CpuTimes, Disk, FailingAttribute, Filesystem, LogicalDisk, Memory,
    NetworkInterface, NodeReport, PhysicalDisk, Pressure, PressureGroup, PressureResource, Processes, Raid,
    RaidArray, RaidMember, Sensor, Smart, SmartDevice, Snapshot, System, Thermal,
};
pub(crate) use response::redact_url;
pub use response::{
    ErrorBody, IdentityResponse, IgnoredResponse, Manifest, MetricsResponse, RESPONSE_LIMIT,
    is_json_media_type,
};
pub use statics::{
    Fingerprint, Missing, Static, StaticBaseIo, StaticCpu, StaticCpuInfo, StaticDisk, StaticFilesystem,
    StaticLogicalDisk, StaticMemory, StaticPhysicalDisk, StaticRaid, StaticRaidArray, StaticRaidMember,
    StaticSystem,
};
pub use timestamp::{Timestamp, TimestampError};

/// Declares a message: every member may be missing or `null` and then has its default.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$member_meta:meta])* pub $member:ident: $type:ty,)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $(
                $(#[$member_meta])*
                #[serde(default, deserialize_with = "crate::wire::nullable::null_is_default")]
                pub $member: $type,
            )*
        }

        impl<'de> crate::wire::nullable::Nullable<'de> for $name {
            fn read<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::wire::nullable::read_object(deserializer)
            }
        }
    )*};
}
use message;
