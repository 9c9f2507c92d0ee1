//! The objects of the API and of the event stream, both ways. §3, §4, §5.
//!
//! | object | where |
//! | --- | --- |
//! | [`Instance`] | answers about instances, lists, events |
//! | [`Info`] | `/info` |
//! | [`TcpingResult`] | `/tcping` |
//! | [`InstanceEvent`] | the data of an event |
//! | [`ErrorBody`] | refusals |
//! | [`CreateInstance`], [`PatchInstance`], [`PutInstance`], [`MasterAlias`] | bodies of requests |
//! | [`CheckPoint`] | what an instance's process reports about itself |
//! | [`LogLine`] | what it says to people |
//!
//! Every object keeps the members that it does not know, and those that it knows but that are `null` where a value is
//! expected: what was read is written again as an equal JSON value. Members that not all releases have are optional.
//! Numbers of another kind, or beyond 64 bits, are errors.

mod answer;
mod check_point;
mod event;
mod id;
mod info;
mod instance;
mod json;
mod log_line;
mod object;
#[cfg(feature = "client")]
pub(crate) mod quick;
mod request;
mod time;

pub use answer::{DecodeError, ErrorBody, decode};
pub use check_point::CheckPoint;
pub use event::{EventKind, InstanceEvent};
pub use id::InstanceId;
pub use info::{Info, TcpingResult};
pub use instance::{Instance, InstanceKind, Meta, Peer, Status, Tag, Tags, Traffic};
pub use json::{encode, encode_into};
pub use log_line::{Level, LogLine, plain_text};
pub use object::Extra;
pub use request::{Action, BodyError, CreateInstance, MasterAlias, PatchInstance, PutInstance};
pub use time::EventTime;
