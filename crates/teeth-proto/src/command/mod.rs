//! The commands as types: parameters and results, checked. §1.
//!
//! | command | direction | parameters | result |
//! | --- | --- | --- | --- |
//! | [`handshake`](Command::Handshake) | agent → server | `id`, `version` | `id` of the connection, if the server likes |
//! | [`ping`](Command::Ping) | both | anything | the parameters |
//! | [`log`](Command::Log) | agent → server | `message`, `time`, further fields | nothing |
//! | [`task_status`](Command::TaskStatus) | agent → server | `task_id`, `state`, by state `percent` and `eta`, `msg` | nothing |
//! | [`status`](Command::Status) | server → agent | none | `uptime`, `version`, `mode`, further fields |
//! | `decom.disk_erase` | server → agent | `task_id` | nothing; a task begins |
//! | `decom.firmware_secure` | server → agent | `task_id` | nothing; a task begins |
//! | `decom.qc` | server → agent | `task_id`, `chassis` | nothing; a task begins |
//! | `standbye.cache_images` | server → agent | `task_id`, `image_ids` | nothing; a task begins |
//! | `standbye.prepare_image` | server → agent | `task_id`, `image_id` | nothing; a task begins |
//! | `standbye.run_image` | server → agent | `task_id`, `image_id`, `config_drive` | nothing; a task begins |
//!
//! # Names that are ours
//!
//! The document leaves some names open. These are written, and the others are read too:
//!
//! | what | written | also read |
//! | --- | --- | --- |
//! | chassis specification of `decom.qc` | `chassis` | `chassis_specification`, `specification`, `specifications`, `spec`, `specs` |
//! | images of `cache_images`, images held | `image_ids` (the original's) | `images`, `image_uuids` |
//! | image of `prepare_image`, `run_image` | `image_id` (the original's) | `image`, `image_uuid` |
//! | config drive settings of `run_image` | `config_drive` | `config_drive_settings`, `configdrive`, `configDrive` |
//!
//! Parameters that are not named here are ignored. Source: teeth-agent document, "Commands"; teeth-agent b3ee1d8 as
//! observed.
#![expect(
    clippy::exhaustive_structs,
    reason = "message types are written as struct literals; a new member is a minor version"
)]

mod config_drive;
mod error;
mod log;
mod method;
mod name;
mod status;
mod task;
mod task_status;

pub use config_drive::{ConfigDrive, ConfigDriveError, ConfigDriveFile};
pub use error::{ErrorValue, ParamsError, SendError};
pub use log::LogEntry;
pub use method::Method;
pub use name::{ImageId, TaskId};
pub use status::{Handshake, Status};
pub use task::{TaskCommand, TaskKind, Work};
pub use task_status::{TaskState, TaskStatus};

use crate::Dialect;
use crate::wire::{JsonRef, Object};

/// A command with its parameters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Says who the agent is; the first message of every connection.
    Handshake(Handshake),
    /// Asks for an echo.
    Ping(Object),
    /// Hands over a log entry.
    Log(LogEntry),
    /// Asks how the agent is. Parameters are ignored.
    Status,
    /// Tells how a task is.
    TaskStatus(TaskStatus),
    /// Begins a task.
    Task(TaskCommand),
    /// A method that the application defines.
    Other {
        /// Its name, none of the protocol's own.
        method: Method,
        /// Its parameters.
        params: Object,
    },
}

impl Command {
    /// Reads the parameters of a command. `name` is its method as it came, in either spelling.
    ///
    /// # Errors
    /// [`ParamsError`], whose text is the error that the peer is to get: the original's where it has one.
    pub fn decode(name: &str, params: JsonRef<'_>, dialect: Dialect) -> Result<Self, ParamsError> {
        let method = Method::from(name);
        Ok(match &method {
            Method::Handshake => Self::Handshake(Handshake::decode(params)?),
            Method::Ping => Self::Ping(object(params)?),
            Method::Log => Self::Log(LogEntry::decode(params)?),
            Method::Status => Self::Status,
            Method::TaskStatus => Self::TaskStatus(TaskStatus::decode(params)?),
            Method::Other(_) => Self::Other { method, params: object(params)? },
            Method::DiskErase
            | Method::FirmwareSecure
            | Method::QualityControl
            | Method::CacheImages
            | Method::PrepareImage
            | Method::RunImage => Self::Task(TaskCommand::decode(&method, name, params, dialect)?),
        })
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Handshake(_) => Method::Handshake,
            Self::Ping(_) => Method::Ping,
            Self::Log(_) => Method::Log,
            Self::Status => Method::Status,
            Self::TaskStatus(_) => Method::TaskStatus,
            Self::Task(task) => task.work.method(),
            Self::Other { method, .. } => method.clone(),
        }
    }

    /// Returns the parameters as they are sent.
    ///
    /// # Errors
    /// [`SendError::Parameter`]: texts above their limits; a time, `percent` or `eta` out of its range; `running`
    /// without these two or `error` without `msg`; a method of the protocol in `Other`; what nests too deep; under the
    /// document's dialect a task id that is no string (under the original's of `prepare_image` only), an image that is
    /// no UUID, `run_image` without settings.
    pub fn params(&self, dialect: Dialect) -> Result<Object, SendError> {
        match self {
            Self::Handshake(handshake) => handshake.params(),
            Self::Ping(params) | Self::Other { method: Method::Other(_), params } => Ok(params.clone()),
            Self::Other { .. } => Err(SendError::wrong("method", "none of the protocol's own")),
            Self::Log(entry) => entry.params(),
            Self::Status => Ok(Object::new()),
            Self::TaskStatus(status) => status.params(),
            Self::Task(task) => task.params(dialect),
        }
    }
}

fn object(params: JsonRef<'_>) -> Result<Object, ParamsError> {
    Object::try_from(params.to_json()).map_err(|_| ParamsError::wrong("params", "an object"))
}
