//! What a Core in memory starts from: the `fixture` object of the conformance vectors, from a file or built in.

use crate::clock::Clock;
use crate::core_driver::Role;
use core_node_proto::config::NodeConfig;
use core_node_proto::core::{
    Audience, CodeDigest, Config, ConfigParts, Core, Directory, KeyDigest, NodeRecord, Published, Stored,
    Tables,
};
use core_node_proto::message::Register;
use core_node_proto::value::{
    Address, NodeId, NodeProtocolId, NodeStatus, Revision, SubscriptionId, SyncStatus, Timestamp, UserId,
};
use core_node_proto::{Instant, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

/// A configuration without its revision: `clientMap`, `mtprotoClientMap`, `services`.
pub type PublishedParts = Map<String, Value>;

/// What a Core starts from. It holds keys and codes, so `Debug` shows its members' names only.
#[derive(Clone)]
pub struct Fixture {
    members: Map<String, Value>,
    config: Config,
}

/// Why a fixture cannot be used. Nothing of its contents is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fixture cannot be used: {0}")]
pub struct FixtureError(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    clock: Option<Box<str>>,
    #[serde(default)]
    revision: i64,
    #[serde(default)]
    codes: Vec<Box<str>>,
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default)]
    users: Vec<i64>,
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    #[serde(default)]
    node_protocols: Vec<Inbound>,
    #[serde(default)]
    outbounds: Vec<Outbound>,
    #[serde(default)]
    config: PublishedParts,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    node_id: i64,
    auth_key: Box<str>,
    revision: Option<i64>,
    node_status: Option<Box<str>>,
    sync_status: Option<Box<str>>,
    name: Option<String>,
    ip: Option<String>,
    port: Option<NonZeroU16>,
    region: Option<String>,
    domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    id: i64,
    user_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inbound {
    id: i64,
    node_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outbound {
    node_id: i64,
    tag: Box<str>,
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.keys()).finish()
    }
}

impl Fixture {
    /// Returns the one that is built in: users, subscriptions, inbounds, outbounds and a configuration.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn demo(config: Config) -> Result<Self, FixtureError> {
        Self::read(include_bytes!("demo.json"), config)
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(json: &[u8], config: Config) -> Result<Self, FixtureError> {
        let members = serde_json::from_slice(json).map_err(|error| FixtureError(place(&error)))?;
        Ok(Self { members, config })
    }

    /// Takes its nodes and registration codes away, which are known to everybody where it is built in.
    #[must_use]
    pub fn without_nodes(mut self) -> Self {
        self.members.retain(|name, _| name != "nodes" && name != "codes");
        self
    }

    /// Returns it with some members replaced.
    ///
    /// # Errors
    /// None of its own; see [`build`](Self::build).
    pub fn with(&self, members: Map<String, Value>) -> Result<Self, FixtureError> {
        let mut changed = self.clone();
        changed.members.extend(members);
        changed.read_members().map(|_| changed)
    }

    /// Makes a Core, and its clock, which stands still at the fixture's time of day.
    ///
    /// # Errors
    /// A member cannot be what it is.
    pub fn build(&self, now: Instant) -> Result<(Core, Tables, Clock), FixtureError> {
        let at = match self.read_members()?.clock {
            Some(at) => at.parse().map_err(wrong("clock"))?,
            None => Clock::System.read(),
        };
        let clock = Clock::Standing { at, now };
        let (core, tables) = self.build_at(clock.read(), now)?;
        Ok((core, tables, clock))
    }

    /// Makes a Core at this time of day.
    ///
    /// # Errors
    /// A member cannot be what it is.
    pub fn build_at(&self, wall_clock: Timestamp, now: Instant) -> Result<(Core, Tables), FixtureError> {
        let tables = Tables::new(self.read_members()?.stored()?);
        let core = Core::new(self.config.clone(), tables.stored(), wall_clock, now);
        Ok((core.map_err(wrong("settings"))?, tables))
    }

    fn read_members(&self) -> Result<Members, FixtureError> {
        let members = Members::deserialize(&self.members);
        // The message could repeat what stands there.
        members.map_err(|_| FixtureError("a member is of another kind than it should be".to_owned()))
    }
}

impl Members {
    fn stored(&self) -> Result<Stored, FixtureError> {
        let mut stored = Stored::default();
        stored.directory = self.directory()?;
        stored.codes =
            self.codes.iter().map(|code| (CodeDigest::of(&Secret::new(code.clone())), None)).collect();
        for node in &self.nodes {
            stored.nodes.push(Arc::new(node.record()?));
            stored.last_node = stored.last_node.max(u32::try_from(node.node_id).unwrap_or(0));
        }
        let config = node_config(self.config.clone(), self.revision)?;
        stored.published = Published::new(Arc::new(config));
        Ok(stored)
    }

    fn directory(&self) -> Result<Directory, FixtureError> {
        let mut directory = Directory::default();
        for &user in &self.users {
            directory.add_user(UserId::new(user).map_err(wrong("users"))?);
        }
        for subscription in &self.subscriptions {
            let id = SubscriptionId::new(subscription.id).map_err(wrong("subscriptions"))?;
            let user = UserId::new(subscription.user_id).map_err(wrong("subscriptions"))?;
            directory.add_subscription(id, user);
        }
        for inbound in &self.node_protocols {
            let id = NodeProtocolId::new(inbound.id).map_err(wrong("nodeProtocols"))?;
            directory.add_inbound(id, NodeId::new(inbound.node_id).map_err(wrong("nodeProtocols"))?);
        }
        for outbound in &self.outbounds {
            let node = NodeId::new(outbound.node_id).map_err(wrong("outbounds"))?;
            directory.add_outbound(node, outbound.tag.clone());
        }
        Ok(directory)
    }
}

impl Node {
    fn record(&self) -> Result<NodeRecord, FixtureError> {
        let text = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
        let ip = match &self.ip {
            Some(ip) => ip.parse().map_err(wrong("nodes"))?,
            None => Address::from(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        let registration = Register {
            code: Secret::default(),
            name: text(&self.name, "node"),
            ip,
            port: self.port.unwrap_or(NonZeroU16::MIN),
            region: text(&self.region, "here"),
            domain: self.domain.clone(),
        };
        let id = NodeId::new(self.node_id).map_err(wrong("nodes"))?;
        let key = KeyDigest::of(&Secret::new(self.auth_key.clone()));
        let mut record = NodeRecord::new(id, key, &registration);
        record.revision = self.revision.map(Revision::new).transpose().map_err(wrong("nodes"))?;
        if let Some(status) = &self.node_status {
            record.node_status = NodeStatus::new(status).map_err(wrong("nodes"))?;
        }
        if let Some(status) = &self.sync_status {
            record.sync_status = SyncStatus::new(status).map_err(wrong("nodes"))?;
        }
        Ok(record)
    }
}

/// Publishes a configuration for all nodes, or the one there is once more; returns its revision.
///
/// # Errors
/// It cannot be read, or Core does not take it.
pub fn publish(role: &mut Role, parts: Option<PublishedParts>, now: Instant) -> Result<u32, FixtureError> {
    let parts = match parts {
        Some(parts) => ConfigParts::from(&node_config(parts, 0)?),
        None => ConfigParts::from(&**role.core.published().common()),
    };
    let revision = role.core.publish(parts, Audience::All, now).map_err(wrong("publish"))?;
    Ok(revision.get())
}

fn node_config(mut parts: PublishedParts, revision: i64) -> Result<NodeConfig, FixtureError> {
    parts.insert("revision".to_owned(), revision.into());
    let json = Value::Object(parts).to_string();
    Ok(NodeConfig::from_json(json.as_bytes()).map_err(wrong("config"))?.config)
}

fn wrong<E: fmt::Display>(member: &'static str) -> impl Fn(E) -> FixtureError {
    move |error| FixtureError(format!("{member}: {error}"))
}

fn place(error: &serde_json::Error) -> String {
    format!("no JSON object, line {} column {}", error.line(), error.column())
}
