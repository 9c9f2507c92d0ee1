//! Instances. §4.

use super::InstanceId;
use super::object::{object, open_enumeration};
use crate::Secret;
use crate::url::Role;
use std::collections::BTreeMap;
use std::fmt;

open_enumeration! {
    /// What an instance is.
    pub enum InstanceKind {
        /// The end of a tunnel that is connected to.
        Server = "server",
        /// The end of a tunnel that connects, or a forwarder on its own.
        Client = "client",
        /// The record that holds the API key: no instance.
        #[default]
        KeyRecord = "",
    }
}

open_enumeration! {
    /// How an instance is.
    pub enum Status {
        /// Its process runs.
        Running = "running",
        /// It has none.
        Stopped = "stopped",
        /// Its process has failed, reports nothing any more, or says that it fails.
        Error = "error",
        /// The record that holds the API key has no status.
        #[default]
        KeyRecord = "",
    }
}

object! {
    quick
    /// An instance, or the record that holds the API key.
    ///
    /// Which members there are depends on the master's release (§4). `Debug` shows id, kind and status: the URL of an instance
    /// holds its tunnel key, that of the key record is the API key.
    pub struct Instance {
        /// 8 hexadecimal digits, or `********`.
        required "id" id: InstanceId,
        /// A name for people; empty when unset. Since 1.5.
        optional "alias" alias: Box<str>,
        /// What it is.
        required "type" kind: InstanceKind,
        /// How it is.
        required "status" status: Status,
        /// The URL in its canonical form (§6); of the key record the API key.
        required "url" url: Box<str>,
        /// The URL with every default of its role spelled out (§6); of the key record the master's id. Since 1.7.
        optional "config" config: Box<str>,
        /// Whether it is started when the master starts. Since 1.5.
        optional "restart" restart: bool,
        /// Labels of 1.7.0 to 1.8.1.
        optional "tags" tags: Vec<Tag>,
        /// Labels, and the peer it belongs with. Since 1.8.2.
        optional "meta" meta: Meta,
        /// The run mode that the process reports: 0 until it does, then 1 or 2. Kept after a stop. Since 1.6.
        optional "mode" mode: i64,
        /// Milliseconds over the control connection, or of a TCP connect to the target. Since 1.5.
        optional "ping" ping: i64,
        /// Idle pooled connections. Since 1.5.
        optional "pool" pool: i64,
        /// TCP connections in use now. Since 1.6.
        optional "tcps" tcps: i64,
        /// UDP associations in use now. Since 1.6.
        optional "udps" udps: i64,
        /// Bytes of TCP read from the side that is not the tunnel, over all runs.
        required "tcprx" tcprx: u64,
        /// Bytes of TCP written to that side, over all runs.
        required "tcptx" tcptx: u64,
        /// Bytes of UDP read from that side, over all runs.
        required "udprx" udprx: u64,
        /// Bytes of UDP written to that side, over all runs.
        required "udptx" udptx: u64,
    }
}

object! {
    quick
    /// A label of 1.7.0 to 1.8.1.
    #[derive(Debug)]
    pub struct Tag {
        /// Its name.
        required "key" key: Box<str>,
        /// Its value.
        required "value" value: Box<str>,
    }
}

object! {
    quick
    /// Labels of an instance, and what it belongs with. Since 1.8.2.
    #[derive(Debug)]
    pub struct Meta {
        /// What it belongs with.
        optional "peer" peer: Peer,
        /// Labels by name; each name and value has at most 256 bytes.
        optional "tags" tags: Tags,
    }
}

object! {
    quick
    /// What an instance belongs with: panels group by it.
    #[derive(Debug)]
    pub struct Peer {
        /// The id of a service, at most 256 bytes.
        optional "sid" sid: Box<str>,
        /// The type of a service, at most 256 bytes.
        optional "type" kind: Box<str>,
        /// The name of a service, at most 256 bytes.
        optional "alias" alias: Box<str>,
    }
}

/// Labels by name.
pub type Tags = BTreeMap<Box<str>, Box<str>>;

/// The four counters of an instance, in bytes, cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "TCP and UDP, both ways")]
pub struct Traffic {
    /// TCP, read.
    pub tcprx: u64,
    /// TCP, written.
    pub tcptx: u64,
    /// UDP, read.
    pub udprx: u64,
    /// UDP, written.
    pub udptx: u64,
}

impl Instance {
    /// Returns the counters.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic { tcprx: self.tcprx, tcptx: self.tcptx, udprx: self.udprx, udptx: self.udptx }
    }

    /// Returns the alias, unless there is none.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref().filter(|alias| !alias.is_empty())
    }

    /// Returns the API key, if this is the record that holds it.
    #[must_use]
    pub fn api_key(&self) -> Option<Secret> {
        self.id.is_key_record().then(|| Secret::new(&*self.url))
    }
}

impl From<Role> for InstanceKind {
    fn from(role: Role) -> Self {
        match role {
            Role::Server => Self::Server,
            Role::Client => Self::Client,
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({} {} {})", self.id, self.kind, self.status)
    }
}
