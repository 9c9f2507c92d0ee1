//! Any calls and replies are written and come back, over both ways.

use super::{calls_come_back, over_grpc, over_http, replies_come_back, travelling};
use crate::input::Input;
use core_node_proto::call::{Call, ConfigReply, KeyPlacement, Reply};
use core_node_proto::config::{Client, ClientMap, MtprotoClientMap, NodeConfig, Services};
use core_node_proto::message::*;
use core_node_proto::value::*;
use core_node_proto::{Method, Secret, grpc};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

const TEXTS: [&str; 10] = [
    "vless",
    "ONLINE",
    "direct",
    "c0de",
    "eu",
    " ",
    "<&>\u{2028}",
    "\u{0}\u{1f}\"\\",
    "\u{e9}\u{1f600}",
    "12",
];

/// Arbitrary value → encode → decode, equal.
pub fn core_value(data: &[u8]) {
    let mut input = Input::new(data);
    let input = &mut input;
    let key = Secret::new(text(input));
    for call in calls(input) {
        calls_come_back(&call, Some(&key));
        without_loss(&call);
    }
    for (method, reply) in replies(input) {
        replies_come_back(method, &reply);
    }
}

/// A valid call is carried by each way that has it; only HTTP has a limit for counters.
fn without_loss(call: &Call) {
    assert_eq!(over_grpc(call, None).is_some(), call.method().grpc_path().is_some());
    let is_valid = match call {
        Call::Register(register) => register.check().is_ok(),
        Call::ReportError(error) => error.check().is_ok(),
        Call::ReportUsage(usage) => {
            usage.entries.iter().all(|entry| entry.bytes_up.fits_http() && entry.bytes_down.fits_http())
        }
        Call::ReportOutboundUsage(usage) => {
            usage.items.iter().all(|item| item.bytes_up.fits_http() && item.bytes_down.fits_http())
        }
        Call::ReportNodeStats(_) | Call::ReportOnlineUsers(_) => false,
        _ => true,
    };
    match over_http(call, None) {
        Ok(read) => assert_eq!(read, travelling(call)),
        Err(error) => assert!(!is_valid, "rule: a valid call is written, but {error}"),
    }
    let shown =
        format!("{call:?} {:?}", grpc::request(call, Some(&Secret::new("5ec2e7")), KeyPlacement::Both));
    assert!(!shown.contains("5ec2e7"), "rule: keys are never shown");
}

fn text(input: &mut Input<'_>) -> String {
    input.text_among(&TEXTS)
}

/// Returns a text of the length that most fields need.
fn name(input: &mut Input<'_>) -> String {
    let text = text(input);
    if text.is_empty() { "n".to_owned() } else { text.chars().take(64).collect() }
}

fn optional<T>(input: &mut Input<'_>, read: impl FnOnce(&mut Input<'_>) -> T) -> Option<T> {
    input.flag().then(|| read(input))
}

fn list<T>(input: &mut Input<'_>, read: impl Fn(&mut Input<'_>) -> T) -> Vec<T> {
    (0..input.below(4)).map(|_| read(input)).collect()
}

fn in_range(input: &mut Input<'_>, least: i64) -> i64 {
    // Not by a comparison followed by `max`: rustc 1.95 at `opt-level` 1 and above drops the upper bound of that.
    input.signed().clamp(least, i32::MAX.into())
}

fn user(input: &mut Input<'_>) -> UserId {
    UserId::new(in_range(input, 1)).expect("it is in range")
}

fn inbound(input: &mut Input<'_>) -> NodeProtocolId {
    NodeProtocolId::new(in_range(input, 1)).expect("it is in range")
}

fn subscription(input: &mut Input<'_>) -> SubscriptionId {
    SubscriptionId::new(in_range(input, 1)).expect("it is in range")
}

fn revision(input: &mut Input<'_>) -> Revision {
    Revision::new(in_range(input, 0)).expect("it is in range")
}

fn bytes(input: &mut Input<'_>) -> ByteCount {
    ByteCount::new(input.number()).unwrap_or(ByteCount::MAX)
}

fn instant(input: &mut Input<'_>) -> Timestamp {
    Timestamp::from_unix_milliseconds(input.signed()).unwrap_or(Timestamp::MAX)
}

fn address(input: &mut Input<'_>) -> Address {
    let number = input.number();
    Address::from(match input.byte() % 3 {
        0 => IpAddr::from(Ipv4Addr::from(number as u32)),
        1 => IpAddr::from(Ipv6Addr::from(u128::from(number) << 64)),
        _ => IpAddr::from(Ipv4Addr::from(number as u32).to_ipv6_mapped()),
    })
}

fn calls(input: &mut Input<'_>) -> Vec<Call> {
    vec![
        Call::Register(register(input)),
        Call::Heartbeat(Heartbeat { ip: optional(input, address), revision: optional(input, revision) }),
        Call::ReportUsage(Usage { entries: list(input, entry) }),
        Call::ReportOutboundUsage(OutboundUsage { items: list(input, item) }),
        Call::ReportSessionEvents(SessionEvents { events: list(input, event) }),
        Call::GetLatestConfig,
        Call::ConfirmConfigApplied(ConfigApplied { revision: revision(input) }),
        Call::ReportError(error(input)),
        Call::ReportNodeStats(stats(input)),
        Call::ReportOnlineUsers(OnlineUsers { users: list(input, online), unreadable: input.below(3) }),
    ]
}

fn register(input: &mut Input<'_>) -> Register {
    Register {
        code: Secret::new(text(input)),
        name: text(input),
        ip: address(input),
        port: NonZeroU16::new(input.number() as u16).unwrap_or(NonZeroU16::MAX),
        region: text(input),
        domain: optional(input, text),
    }
}

fn entry(input: &mut Input<'_>) -> UsageEntry {
    UsageEntry {
        user_id: user(input),
        subscription_id: optional(input, subscription),
        node_protocol_id: inbound(input),
        bytes_up: bytes(input),
        bytes_down: bytes(input),
        recorded_at: instant(input),
    }
}

fn item(input: &mut Input<'_>) -> OutboundItem {
    OutboundItem { tag: name(input), bytes_up: bytes(input), bytes_down: bytes(input) }
}

fn event(input: &mut Input<'_>) -> SessionEvent {
    SessionEvent {
        user_id: user(input),
        protocol: VpnProtocol::new(&name(input)).expect("it is short"),
        event_type: SessionEventType::new(&name(input)).expect("it is short"),
        occurred_at: instant(input),
        ip_address: optional(input, address),
    }
}

fn error(input: &mut Input<'_>) -> NodeError {
    let details = |input: &mut Input<'_>| {
        let details = serde_json::json!({ text(input): [input.signed()], text(input): text(input) });
        JsonObject::parse(&details.to_string()).expect("it is an object")
    };
    NodeError { message: text(input), code: optional(input, text), details: optional(input, details) }
}

fn stats(input: &mut Input<'_>) -> NodeStats {
    let stats = NodeStats {
        system: optional(input, |input| SystemStats {
            uptime_seconds: bytes(input).get(),
            cpu_percent: input.float(),
            cpu_cores: in_range(input, 0).unsigned_abs() as u32,
            ram_used: bytes(input),
            ram_total: bytes(input),
            disk_used: bytes(input),
            disk_total: bytes(input),
            net_rx_per_sec: input.float(),
            net_tx_per_sec: input.float(),
            net_rx_total: bytes(input),
            net_tx_total: bytes(input),
        }),
        xray: optional(input, |input| XrayStats {
            running: input.flag(),
            uptime_seconds: optional(input, |input| bytes(input).get()),
        }),
        mtproto: optional(input, mtproto),
    };
    // Without numbers that are not finite, as an agent sends it.
    stats.cleaned()
}

fn mtproto(input: &mut Input<'_>) -> MtProtoStatuses {
    let mut statuses = MtProtoStatuses::new();
    for _ in 0..input.below(3) {
        let mut status = MtProtoStatus::default();
        status.running = optional(input, |input| input.flag());
        status.uptime_seconds = optional(input, |input| bytes(input).get());
        status.current_connections = optional(input, |input| bytes(input).get());
        status.error = optional(input, text);
        statuses.insert(text(input), status);
    }
    statuses
}

fn online(input: &mut Input<'_>) -> OnlineUser {
    let ip = |input: &mut Input<'_>| OnlineIp { ip: address(input), last_seen: optional(input, instant) };
    OnlineUser { user_id: user(input), node_protocol_id: inbound(input), ips: list(input, ip) }
}

fn replies(input: &mut Input<'_>) -> Vec<(Method, Reply)> {
    let node_id = NodeId::from_text(&name(input)).expect("it is short");
    let registered = Registered { auth_key: Secret::new(text(input)), node_id };
    let acknowledged = Reply::Acknowledged(Acknowledgement { ok: input.flag() });
    vec![
        (Method::Register, Reply::Registered(registered)),
        (Method::Heartbeat, Reply::Heartbeat(HeartbeatReply { ok: input.flag(), need_sync: input.flag() })),
        (Method::GetLatestConfig, config(input)),
        (Method::ReportUsage, acknowledged.clone()),
        (Method::ReportOutboundUsage, acknowledged.clone()),
        (Method::ReportSessionEvents, acknowledged.clone()),
        (Method::ConfirmConfigApplied, acknowledged.clone()),
        (Method::ReportError, acknowledged.clone()),
        (Method::ReportNodeStats, acknowledged.clone()),
        (Method::ReportOnlineUsers, acknowledged),
    ]
}

fn config(input: &mut Input<'_>) -> Reply {
    let client = |input: &mut Input<'_>| Client {
        user_id: user(input),
        subscription_id: optional(input, subscription),
    };
    let ls = |input: &mut Input<'_>| LsId::new(in_range(input, 1)).expect("it is in range");
    let client_map: ClientMap = list(input, |input| (ls(input), client(input))).into_iter().collect();
    let mut old_map = MtprotoClientMap::default();
    for _ in 0..input.below(3) {
        old_map.insert(text(input), client(input));
    }
    let services = serde_json::json!({ text(input): text(input), "xray": { "inbounds": [text(input)] } });
    let services = Services::from_json(&services.to_string()).unwrap_or_default();
    let config = NodeConfig::new(revision(input), client_map, old_map, services);
    Reply::Config(ConfigReply { config: Arc::new(config), warnings: Vec::new() })
}
