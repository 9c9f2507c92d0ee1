//! What the rules of the Dash are checked with: its settings, and bodies that a node of the original sent.
#![allow(unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::Secret;
use ithiltir_proto::dash::{Config, Dash, Identity, Output};
use ithiltir_proto::wire::{Manifest, Timestamp};
use serde_json::{Value, json};
use std::net::IpAddr;
use testkit::secrets;

/// 2026-11-21T12:00:00Z, at the start of a minute.
pub const NOON: i64 = 1_795_262_400;
pub const METRICS: &str = "/api/node/metrics";
pub const STATIC: &str = "/api/node/static";

pub struct Under(pub Dash);

testkit::forward_machine!(Under, Output);

pub fn config() -> Config {
    Config::new(Identity::Absent { entropy: [7; 16] })
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn noon() -> Timestamp {
    Timestamp::from_unix(NOON, 0).unwrap()
}

pub fn key(number: u64) -> Secret {
    Secret::new(secrets::marked(number))
}

/// The first body that a node of the original sent to a path.
fn recorded(path: &str) -> Value {
    include_str!("../captures/baseline_interval3.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|exchange| exchange["path"] == path)
        .map(|exchange| serde_json::from_str(exchange["req_body"].as_str().unwrap()).unwrap())
        .unwrap()
}

/// A real report.
pub fn report() -> Value {
    recorded(METRICS)
}

/// A real Static.
pub fn statics() -> Value {
    recorded(STATIC)
}

/// A real report with one item more in each list that it left empty.
pub fn rich() -> Value {
    let mut report = report();
    report["metrics"]["disk"]["smart"]["devices"] =
        json!([{"name": "vda", "source": "smartctl", "status": "ok"}]);
    report["metrics"]["thermal"]["sensors"] =
        json!([{"kind": "cpu", "name": "core", "sensor_key": "core0", "source": "hwmon", "status": "ok"}]);
    let array = json!({"name": "md0", "status": "active", "health": "healthy",
        "members": [{"name": "sda", "state": "up"}]});
    report["metrics"]["raid"]["arrays"] = json!([array]);
    report
}

/// Sets what a JSON pointer names; in an object it need not be there yet. `None` removes a member.
pub fn changed(mut body: Value, pointer: &str, to: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (body.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")), to) {
        (Value::Object(members), Some(to)) => drop(members.insert(name.to_owned(), to)),
        (Value::Object(members), None) => assert!(members.remove(name).is_some(), "{pointer}"),
        (Value::Array(items), Some(to)) => items[name.parse::<usize>().unwrap()] = to,
        _ => panic!("{pointer}"),
    }
    body
}

/// Its URL carries a token.
pub fn manifest(version: &str) -> Manifest {
    Manifest {
        id: version.to_owned(),
        version: version.to_owned(),
        url: format!(
            "https://dash.example/deploy/linux/node_linux_amd64?upgrade_token={}",
            secrets::marked(99)
        ),
        sha256: "ab".repeat(32),
        size: 3,
    }
}
