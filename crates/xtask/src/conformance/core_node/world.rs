//! A Core with its tables, as the vectors see it.

use anyhow::{Context as _, anyhow};
use core_node_proto::Instant;
use core_node_proto::Secret;
use core_node_proto::call::{Incoming, Refusal, Reply};
use core_node_proto::config::NodeConfig;
use core_node_proto::core::{
    Audience, CodeDigest, Config, ConfigParts, Core, Entropy, Event, KeyDigest, NodeRecord, Output,
    Published, Stored, Tables, Traffic,
};
use core_node_proto::message::{HttpBody as _, NodeStats, Register};
use core_node_proto::value::{NodeId, NodeStatus, Revision, SyncStatus, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Core, what it has stored, and what it has told.
pub(super) struct World {
    core: Core,
    tables: Tables,
    user_online: Vec<Value>,
    now: Instant,
    begin: Instant,
    clock: Timestamp,
}

impl World {
    /// Returns a Core that knows what a fixture has.
    pub(super) fn new(fixture: &Value) -> anyhow::Result<Self> {
        let mut config = Config::new(Entropy::new([7; 32]));
        config.offline_after = None;
        let clock = fixture["clock"].as_str().context("a fixture without a clock")?.parse()?;
        let begin = Instant::now();
        let tables = Tables::new(stored(fixture)?);
        let core = Core::new(config, tables.stored(), clock, begin)?;
        Ok(Self { core, tables, user_online: Vec::new(), now: begin, begin, clock })
    }

    /// Returns what Core says to a call.
    pub(super) fn call(&mut self, incoming: Incoming) -> anyhow::Result<Result<Reply, Refusal>> {
        let exchange = self.core.handle_call(incoming, self.now);
        let mut outcomes = self.drain().into_iter().filter(|(id, _)| *id == exchange);
        outcomes.next().map(|(_, outcome)| outcome).ok_or_else(|| anyhow!("a call without an answer"))
    }

    pub(super) fn advance(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.core.handle_timeout(self.now);
        self.drain();
    }

    /// Publishes what is published again.
    pub(super) fn publish(&mut self) -> anyhow::Result<()> {
        let parts = ConfigParts::from(&**self.core.published().common());
        self.core.publish(parts, Audience::All, self.now)?;
        self.drain();
        Ok(())
    }

    fn drain(&mut self) -> Vec<(core_node_proto::core::ExchangeId, Result<Reply, Refusal>)> {
        let mut outcomes = Vec::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Store { id, changes } => {
                    self.tables.apply(&changes);
                    self.core.handle_stored(id, Ok(()), self.now);
                }
                Output::Reply { id, outcome } => outcomes.push((id, outcome)),
                Output::Event(Event::UserOnline { user, at }) => {
                    self.user_online.push(json!({ "type": "user.online", "userId": user, "at": at }));
                }
                _ => {}
            }
        }
        outcomes
    }

    fn time_of_day(&self) -> Timestamp {
        let passed = (self.now - self.begin).as_millis();
        self.clock.saturating_add_milliseconds(passed as u64)
    }

    /// Returns all of its state, named as the vectors name it.
    pub(super) fn state(&self) -> anyhow::Result<Value> {
        let tables = &self.tables;
        let nodes = tables.nodes.values().map(|record| Ok((record.id.to_string(), node(record)?)));
        let usage = tables.usage.iter().map(|(key, traffic)| merged(json!(key), counters(traffic)));
        let usage: Vec<_> = usage.map(with_number).collect();
        let subscriptions = tables.directory.subscriptions().map(|(id, user)| {
            let traffic = tables.subscriptions.get(&id).copied().unwrap_or_default();
            (id.to_string(), merged(json!({ "userId": user }), counters(&traffic)))
        });
        let outbounds = tables.directory.outbounds().map(|(node, tag)| {
            let traffic = tables.outbounds.get(&(node.clone(), tag.into())).copied().unwrap_or_default();
            (format!("{node}/{tag}"), counters(&traffic))
        });
        let user_ips = tables
            .addresses
            .iter()
            .map(|((user, ip), row)| merged(json!({ "userId": user, "ip": ip }), json!(row)));
        let clock = self.time_of_day();
        let online = self.core.online(self.now).into_iter().map(|(key, left)| {
            (key.to_string(), json!(clock.saturating_add_milliseconds(left.as_millis() as u64)))
        });
        let stats = tables.nodes.keys().filter_map(|id| {
            let latest = self.core.stats(id)?;
            Some((id.to_string(), merged(json!({ "at": latest.received_at }), stats(&latest.stats))))
        });
        Ok(json!({
            "now": clock,
            "revision": self.core.published().common().revision(),
            "nodes": nodes.collect::<anyhow::Result<Map<_, _>>>()?,
            "usageRows": usage,
            "subscriptions": subscriptions.collect::<Map<_, _>>(),
            "outbounds": outbounds.collect::<Map<_, _>>(),
            "sessionEvents": tables.sessions,
            "userIps": user_ips.collect::<Vec<_>>(),
            "onlineKeys": online.collect::<Map<_, _>>(),
            "events": self.user_online,
            "stats": stats.collect::<Map<_, _>>(),
            "skipped": self.core.skipped(),
            "replays": self.core.replays(),
        }))
    }
}

/// Returns what a fixture has as something that was stored. Names and addresses of its nodes are made up.
fn stored(fixture: &Value) -> anyhow::Result<Stored> {
    let mut stored = Stored::default();
    let codes = serde_json::from_value::<Vec<String>>(fixture["codes"].clone())?;
    stored.codes = codes.into_iter().map(|code| (CodeDigest::of(&Secret::new(code)), None)).collect();
    for node in list(fixture, "nodes")? {
        stored.nodes.push(Arc::new(record(node)?));
    }
    let directory = &mut stored.directory;
    for user in list(fixture, "users")? {
        directory.add_user(serde_json::from_value(user.clone())?);
    }
    for subscription in list(fixture, "subscriptions")? {
        let part = |name: &str| subscription[name].clone();
        directory
            .add_subscription(serde_json::from_value(part("id"))?, serde_json::from_value(part("userId"))?);
    }
    for inbound in list(fixture, "nodeProtocols")? {
        directory.add_inbound(serde_json::from_value(inbound["id"].clone())?, node_id(inbound)?);
    }
    for outbound in list(fixture, "outbounds")? {
        directory.add_outbound(node_id(outbound)?, super::text(outbound, "tag")?);
    }
    let mut config = fixture["config"].clone();
    config["revision"] = fixture["revision"].clone();
    let config = NodeConfig::from_json(config.to_string().as_bytes())?.config;
    stored.published = Published::new(Arc::new(config));
    Ok(stored)
}

fn list<'a>(fixture: &'a Value, name: &str) -> anyhow::Result<&'a Vec<Value>> {
    fixture[name].as_array().ok_or_else(|| anyhow!("a fixture without {name}"))
}

fn node_id(row: &Value) -> anyhow::Result<NodeId> {
    Ok(NodeId::new(row["nodeId"].as_i64().context("a row without a node")?)?)
}

fn record(node: &Value) -> anyhow::Result<NodeRecord> {
    let id = node_id(node)?;
    let registration = Register {
        code: Secret::default(),
        name: format!("node-{id}"),
        ip: "192.0.2.1".parse()?,
        port: 3100.try_into()?,
        region: "eu".to_owned(),
        domain: None,
    };
    let key = KeyDigest::of(&Secret::new(super::text(node, "authKey")?));
    let mut record = NodeRecord::new(id, key, &registration);
    record.revision = serde_json::from_value::<Option<Revision>>(node["revision"].clone())?;
    record.node_status = NodeStatus::new(super::text(node, "nodeStatus")?)?;
    record.sync_status = SyncStatus::new(super::text(node, "syncStatus")?)?;
    Ok(record)
}

fn node(record: &NodeRecord) -> anyhow::Result<Value> {
    let error = record.last_error.as_ref().map(|error| error.to_json()).transpose()?;
    let error = error.map(|json| serde_json::from_slice::<Value>(&json)).transpose()?;
    Ok(json!({
        "name": record.name,
        "ip": record.ip,
        "port": record.port,
        "region": record.region,
        "domain": record.domain,
        "revision": record.revision,
        "nodeStatus": record.node_status,
        "syncStatus": record.sync_status,
        "lastSeenAt": record.last_seen_at,
        "lastError": error,
    }))
}

fn counters(traffic: &Traffic) -> Value {
    json!({ "bytesUp": traffic.bytes_up.to_string(), "bytesDown": traffic.bytes_down.to_string() })
}

fn stats(stats: &NodeStats) -> Value {
    let system = stats.system.map(|system| {
        json!({
            "uptimeSeconds": system.uptime_seconds,
            "cpuPercent": system.cpu_percent,
            "cpuCores": system.cpu_cores,
            "ramUsed": system.ram_used,
            "ramTotal": system.ram_total,
            "diskUsed": system.disk_used,
            "diskTotal": system.disk_total,
            "netRxPerSec": system.net_rx_per_sec,
            "netTxPerSec": system.net_tx_per_sec,
            "netRxTotal": system.net_rx_total,
            "netTxTotal": system.net_tx_total,
        })
    });
    let xray =
        stats.xray.map(|xray| json!({ "running": xray.running, "uptimeSeconds": xray.uptime_seconds }));
    let mtproto =
        stats.mtproto.as_ref().and_then(|statuses| serde_json::from_str::<Value>(&statuses.to_json()).ok());
    json!({ "system": system, "xray": xray, "mtproto": mtproto })
}

/// Returns the row with its node as a number.
fn with_number(mut row: Value) -> Value {
    let number = row["nodeId"].as_str().and_then(|id| id.parse::<u32>().ok());
    row["nodeId"] = json!(number);
    row
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(others)) = (&mut one, other) {
        members.extend(others);
    }
    one
}
