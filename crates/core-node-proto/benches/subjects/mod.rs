//! What is measured: a large client map, and a report of usage.

use core_node_proto::call::{Call, KeyPlacement};
use core_node_proto::config::{ConfigTexts, NodeConfig};
use core_node_proto::message::{Usage, UsageEntry};
use core_node_proto::value::{ByteCount, NodeProtocolId, SubscriptionId, UserId};
use core_node_proto::{Method, grpc, pb};
use prost::Message;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use testkit::measure::Subject;

/// How many entries the client map has.
pub(crate) const CLIENTS: usize = 100_000;
/// How many entries the report has, as many as an agent puts into one.
pub(crate) const ENTRIES: usize = 500;

/// Returns a client map as a Core in JavaScript writes it: keys rise, every tenth client has no subscription.
pub(crate) fn client_map() -> ConfigTexts<'static> {
    let mut json = String::from("{");
    for number in 0..CLIENTS {
        let (comma, ls_id) = (if number == 0 { "" } else { "," }, 1_000 + 3 * number);
        write!(json, "{comma}\"{ls_id}\":{{\"userId\":{},\"subscriptionId\":", 500 + number / 2)
            .expect("text grows without failing");
        match number % 10 {
            0 => json.push_str("null}"),
            _ => write!(json, "{}}}", 2_000 + number).expect("text grows without failing"),
        }
    }
    json.push('}');
    ConfigTexts { revision: 6, client_map_json: json.into(), ..ConfigTexts::default() }
}

/// An entry without rules.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it is only read into")]
pub(crate) struct PlainClient {
    user_id: u32,
    subscription_id: Option<u32>,
}

/// Reads the client map, checked and ready for lookups.
pub(crate) fn read_ours(texts: &ConfigTexts<'_>) -> NodeConfig {
    let read = NodeConfig::from_texts(texts).expect("the configuration is fine");
    assert!(read.warnings.is_empty() && read.config.client_map().len() == CLIENTS);
    read.config
}

/// Ours, a generic tree, and the limit: the same struct in a hash map, not checked.
pub(crate) fn clients<'a>(texts: &'a ConfigTexts<'_>) -> Vec<Subject<'a>> {
    let json = &*texts.client_map_json;
    let plain = || serde_json::from_str::<HashMap<u32, PlainClient>>(black_box(json)).map(|map| map.len());
    let tree = || serde_json::from_str::<serde_json::Value>(black_box(json)).map(|tree| tree.is_object());
    assert_eq!(plain().ok(), Some(CLIENTS));
    vec![
        Subject::new("client map: ours, checked", || drop(black_box(read_ours(black_box(texts))))),
        Subject::new("client map: serde_json::Value", move || drop(black_box(tree()))),
        Subject::new("client map: serde_json into a HashMap", move || drop(black_box(plain()))),
    ]
}

/// Returns a report as an agent sends it: one instant, one inbound, counters of all sizes.
pub(crate) fn report() -> Vec<u8> {
    let entry = |number: usize| {
        let number = number as i64;
        let bytes = |bytes: i64| ByteCount::from_i64(bytes).expect("a counter in range");
        UsageEntry {
            user_id: UserId::new(1_000 + number).expect("an id in range"),
            subscription_id: (number % 10 != 0)
                .then(|| SubscriptionId::new(5_000 + number).expect("an id in range")),
            node_protocol_id: NodeProtocolId::new(6 + number % 3).expect("an id in range"),
            bytes_up: bytes(number * 997),
            bytes_down: bytes(number * number * 7_919),
            recorded_at: "2030-01-02T03:04:59.999Z".parse().expect("an instant"),
        }
    };
    let call = Call::ReportUsage(Usage { entries: (0..ENTRIES).map(entry).collect() });
    let request = grpc::request(&call, None, KeyPlacement::Metadata).expect("a gRPC method");
    request.message.to_vec()
}

/// Ours, checked; the limit is `prost` alone.
pub(crate) fn reports(report: &[u8]) -> Vec<Subject<'_>> {
    let ours = || grpc::decode(Method::ReportUsage, black_box(report)).is_ok();
    assert!(ours());
    vec![
        Subject::new("usage of 500 entries: ours, checked", move || _ = black_box(ours())),
        Subject::new("usage of 500 entries: prost alone", move || {
            drop(black_box(pb::ReportUsageRequest::decode(black_box(report))));
        }),
    ]
}
