//! The whole state as JSON, for foreign test runners. Byte counters are decimal texts, as JavaScript rounds numbers.

use crate::core_driver::Role;
use core_node_proto::Instant;
use core_node_proto::core::{NodeRecord, Tables, Traffic};
use core_node_proto::message::{HttpBody as _, NodeStats, SystemStats};
use core_node_proto::value::Timestamp;
use serde_json::{Map, Value, json};

/// Returns the state.
pub(super) fn dump(role: &Role, now: Instant) -> Value {
    let (core, tables) = (&role.core, &role.tables);
    let at = role.clock.read();
    json!({
        "now": at.to_string(),
        "revision": core.published().common().revision().get(),
        "nodes": map(tables.nodes.iter().map(|(id, record)| (id.to_string(), node(record)))),
        "usageRows": usage(tables),
        "subscriptions": subscriptions(role),
        "outbounds": outbounds(role),
        "sessionEvents": tables.sessions,
        "userIps": addresses(tables),
        "onlineKeys": map(core.online_keys(now).map(|(key, until)| (key.to_string(), text(until)))),
        "events": role.journal.iter().map(|(user, at)| {
            json!({"type": "user.online", "userId": user.get(), "at": at.to_string()})
        }).collect::<Vec<_>>(),
        "stats": map(tables.nodes.keys().filter_map(|id| {
            let status = core.runtime_status(id, now)?;
            Some((id.to_string(), stats(&status.stats, status.received_at)))
        })),
        "skipped": core.skipped(),
        "replays": core.replays(),
    })
}

fn map(members: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(members.collect::<Map<_, _>>())
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn node(record: &NodeRecord) -> Value {
    let error = record.last_error.as_ref().and_then(|error| {
        let mut members: Map<String, Value> = serde_json::from_slice(&error.to_json().ok()?).ok()?;
        for name in ["code", "details"] {
            members.entry(name).or_insert(Value::Null);
        }
        Some(members)
    });
    json!({
        "nodeId": record.id.number(),
        "name": record.name,
        "ip": record.ip.to_string(),
        "port": record.port,
        "region": record.region,
        "domain": record.domain,
        "revision": record.revision.map(|revision| revision.get()),
        "nodeStatus": record.node_status.as_str(),
        "syncStatus": record.sync_status.as_str(),
        "lastSeenAt": record.last_seen_at.map(|at| at.to_string()),
        "lastError": error,
    })
}

fn usage(tables: &Tables) -> Vec<Value> {
    let row = |(key, traffic): (&_, &Traffic)| {
        let mut row = serde_json::to_value(key).unwrap_or_default();
        count(&mut row, *traffic);
        row
    };
    tables.usage.iter().map(row).collect()
}

fn subscriptions(role: &Role) -> Value {
    map(role.core.directory().subscriptions().map(|(id, user)| {
        let mut row = json!({"userId": user.get()});
        count(&mut row, role.tables.subscriptions.get(&id).copied().unwrap_or_default());
        (id.to_string(), row)
    }))
}

fn outbounds(role: &Role) -> Value {
    map(role.core.directory().outbounds().map(|(node, tag)| {
        let mut row = json!({"nodeId": node.number(), "tag": tag});
        let traffic = role.tables.outbounds.get(&(node.clone(), tag.into())).copied();
        count(&mut row, traffic.unwrap_or_default());
        (format!("{node}/{tag}"), row)
    }))
}

fn count(row: &mut Value, traffic: Traffic) {
    row["bytesUp"] = text(traffic.bytes_up.get());
    row["bytesDown"] = text(traffic.bytes_down.get());
}

fn addresses(tables: &Tables) -> Vec<Value> {
    let row = |((user, ip), row): (&(_, _), &core_node_proto::core::AddressRow)| {
        let (user, ip): (&core_node_proto::value::UserId, &core_node_proto::value::Address) = (user, ip);
        json!({
            "userId": user.get(), "ip": ip.to_string(),
            "firstSeenAt": row.first_seen_at.to_string(), "lastSeenAt": row.last_seen_at.to_string(),
        })
    };
    tables.addresses.iter().map(row).collect()
}

fn stats(stats: &NodeStats, at: Timestamp) -> Value {
    let mtproto = stats.mtproto.as_ref().map(|statuses| statuses.to_json());
    json!({
        "at": at.to_string(),
        "system": stats.system.as_ref().map(system),
        "xray": stats.xray.map(|xray| {
            let mut members = json!({"running": xray.running});
            if let Some(uptime) = xray.uptime_seconds {
                members["uptimeSeconds"] = uptime.into();
            }
            members
        }),
        "mtproto": mtproto.and_then(|json| serde_json::from_str::<Value>(&json).ok()),
    })
}

fn system(system: &SystemStats) -> Value {
    json!({
        "uptimeSeconds": system.uptime_seconds,
        "cpuPercent": system.cpu_percent,
        "cpuCores": system.cpu_cores,
        "ramUsed": system.ram_used.get(),
        "ramTotal": system.ram_total.get(),
        "diskUsed": system.disk_used.get(),
        "diskTotal": system.disk_total.get(),
        "netRxPerSec": system.net_rx_per_sec,
        "netTxPerSec": system.net_tx_per_sec,
        "netRxTotal": system.net_rx_total.get(),
        "netTxTotal": system.net_tx_total.get(),
    })
}
