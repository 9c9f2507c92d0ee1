//! Arbitrary calls and replies, within what every schema and both transports carry exactly: counters up to 2⁵³-1, rates
//! that are whole, nothing optional that is zero, instants from 1973.

use core_node_proto::call::{Call, ConfigReply, Reply};
use core_node_proto::config::{Client, ClientMap, MtprotoClientMap, NodeConfig, Services};
use core_node_proto::message::*;
use core_node_proto::value::*;
use core_node_proto::{Method, Secret};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

const MOST: i64 = i32::MAX as i64;

fn id<T: std::fmt::Debug>(new: impl Fn(i64) -> Result<T, ValueError>) -> impl Strategy<Value = T> {
    prop_oneof![1..200_i64, 1..=MOST].prop_map(move |number| new(number).expect("an id in range"))
}

fn bytes() -> impl Strategy<Value = ByteCount> {
    let bytes = prop_oneof![Just(0), 0..1000_u64, 0..=ByteCount::MAX_HTTP.get()];
    bytes.prop_map(|bytes| ByteCount::new(bytes).expect("a counter in range"))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    let milliseconds = 100_000_000_000..=Timestamp::MAX.unix_milliseconds();
    milliseconds.prop_map(|at| Timestamp::from_unix_milliseconds(at).expect("an instant in range"))
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits))),
    ]
    .prop_map(Address::from)
}

fn rate() -> impl Strategy<Value = f64> {
    (0..1_u32 << 24).prop_map(f64::from)
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{1,9}"
}

pub(crate) fn secret() -> impl Strategy<Value = Secret> {
    "[!-~]{1,20}".prop_map(Secret::new)
}

fn register() -> impl Strategy<Value = Register> {
    (text(), text(), address(), 1..=u16::MAX, text(), option::of(text())).prop_map(
        |(code, name, ip, port, region, domain)| Register {
            code: Secret::new(code),
            name,
            ip,
            port: NonZeroU16::new(port).expect("a port"),
            region,
            domain,
        },
    )
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    (option::of(address()), option::of(id(Revision::new)))
        .prop_map(|(ip, revision)| Heartbeat { ip, revision })
}

fn usage() -> impl Strategy<Value = Usage> {
    let ids = (id(UserId::new), option::of(id(SubscriptionId::new)), id(NodeProtocolId::new));
    let entry = (ids, bytes(), bytes(), instant()).prop_map(|(ids, bytes_up, bytes_down, recorded_at)| {
        let (user_id, subscription_id, node_protocol_id) = ids;
        UsageEntry { user_id, subscription_id, node_protocol_id, bytes_up, bytes_down, recorded_at }
    });
    vec(entry, 0..5).prop_map(|entries| Usage { entries })
}

fn outbound_usage() -> impl Strategy<Value = OutboundUsage> {
    let item = (text(), bytes(), bytes());
    let item = item.prop_map(|(tag, bytes_up, bytes_down)| OutboundItem { tag, bytes_up, bytes_down });
    vec(item, 0..5).prop_map(|items| OutboundUsage { items })
}

fn session_events() -> impl Strategy<Value = SessionEvents> {
    let event =
        (id(UserId::new), "[vV]less|\\PC{1,9}", "online|OFFLINE|\\PC{1,9}", instant(), option::of(address()));
    let event = event.prop_map(|(user_id, protocol, event_type, occurred_at, ip_address)| SessionEvent {
        user_id,
        protocol: VpnProtocol::new(&protocol).expect("a protocol"),
        event_type: SessionEventType::new(&event_type).expect("a type"),
        occurred_at,
        ip_address,
    });
    vec(event, 0..5).prop_map(|events| SessionEvents { events })
}

fn node_error() -> impl Strategy<Value = NodeError> {
    let details = btree_map(text(), any::<i64>(), 0..3).prop_map(|members| {
        let text = serde_json::to_string(&members).expect("texts and numbers are JSON");
        JsonObject::parse(&text).expect("an object")
    });
    (text(), option::of(text()), option::of(details)).prop_map(|(message, code, details)| NodeError {
        message,
        code,
        details,
    })
}

fn node_stats() -> impl Strategy<Value = NodeStats> {
    let times = (0..=MOST as u64, 0..=MOST as u32);
    let rates = (rate(), rate(), rate());
    let system = (times, rates, [bytes(), bytes(), bytes()], [bytes(), bytes(), bytes()]);
    let system = system.prop_map(|(times, rates, memory, network)| SystemStats {
        uptime_seconds: times.0,
        cpu_percent: rates.0,
        cpu_cores: times.1,
        ram_used: memory[0],
        ram_total: memory[1],
        disk_used: memory[2],
        disk_total: network[0],
        net_rx_per_sec: rates.1,
        net_tx_per_sec: rates.2,
        net_rx_total: network[1],
        net_tx_total: network[2],
    });
    let xray = (any::<bool>(), option::of(1..=MOST as u64));
    let xray = xray.prop_map(|(running, uptime_seconds)| XrayStats { running, uptime_seconds });
    let status = "\\{(\"running\":true|\"error\":\"x\"|\"other\":\\[1\\]|\"uptimeSeconds\":7)?\\}";
    let mtproto = btree_map("[a-z]{1,3}", status, 0..3).prop_map(|statuses| {
        let members: Vec<_> = statuses.iter().map(|(tag, status)| format!("\"{tag}\":{status}")).collect();
        MtProtoStatuses::from_json(&format!("{{{}}}", members.join(","))).expect("statuses")
    });
    (option::of(system), option::of(xray), mtproto).prop_map(|(system, xray, mtproto)| NodeStats {
        system,
        xray,
        mtproto: Some(mtproto),
    })
}

fn online_users() -> impl Strategy<Value = OnlineUsers> {
    let ip = (address(), option::of(instant())).prop_map(|(ip, last_seen)| OnlineIp { ip, last_seen });
    let user = (id(UserId::new), id(NodeProtocolId::new), vec(ip, 0..3))
        .prop_map(|(user_id, node_protocol_id, ips)| OnlineUser { user_id, node_protocol_id, ips });
    vec(user, 0..4).prop_map(|users| OnlineUsers { users, unreadable: 0 })
}

/// Any call.
pub(crate) fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        register().prop_map(Call::Register),
        heartbeat().prop_map(Call::Heartbeat),
        usage().prop_map(Call::ReportUsage),
        outbound_usage().prop_map(Call::ReportOutboundUsage),
        session_events().prop_map(Call::ReportSessionEvents),
        Just(Call::GetLatestConfig),
        id(Revision::new).prop_map(|revision| Call::ConfirmConfigApplied(ConfigApplied { revision })),
        node_error().prop_map(Call::ReportError),
        node_stats().prop_map(Call::ReportNodeStats),
        online_users().prop_map(Call::ReportOnlineUsers),
    ]
}

fn config() -> impl Strategy<Value = NodeConfig> {
    let client = || {
        (id(UserId::new), option::of(id(SubscriptionId::new)))
            .prop_map(|(user_id, subscription_id)| Client { user_id, subscription_id })
    };
    let services = "\\{(\"xray\":\\{\"inbounds\":\\[\\]\\})?\\}";
    (id(Revision::new), vec((id(LsId::new), client()), 0..5), btree_map(text(), client(), 0..3), services)
        .prop_map(|(revision, clients, old_clients, services)| {
            let client_map: ClientMap = clients.into_iter().collect();
            let mut old_map = MtprotoClientMap::default();
            for (key, client) in old_clients {
                old_map.insert(key, client);
            }
            NodeConfig::new(revision, client_map, old_map, Services::from_json(&services).expect("services"))
        })
}

fn registered() -> impl Strategy<Value = Registered> {
    let node_id =
        prop_oneof![id(NodeId::new), text().prop_map(|text| NodeId::from_text(&text).expect("an id"))];
    (secret(), node_id).prop_map(|(auth_key, node_id)| Registered { auth_key, node_id })
}

/// Any method with a reply that it may have.
pub(crate) fn reply() -> impl Strategy<Value = (Method, Reply)> {
    let acknowledged = (proptest::sample::select(&Method::ALL[..]), any::<bool>());
    prop_oneof![
        registered().prop_map(|reply| (Method::Register, Reply::Registered(reply))),
        (any::<bool>(), any::<bool>()).prop_map(|(ok, need_sync)| {
            (Method::Heartbeat, Reply::Heartbeat(HeartbeatReply { ok, need_sync }))
        }),
        config().prop_map(|config| {
            let reply = ConfigReply { config: Arc::new(config), warnings: Vec::new() };
            (Method::GetLatestConfig, Reply::Config(reply))
        }),
        acknowledged.prop_filter_map("a method with a reply of its own", |(method, ok)| {
            let own = [Method::Register, Method::Heartbeat, Method::GetLatestConfig];
            (!own.contains(&method)).then_some((method, Reply::Acknowledged(Acknowledgement { ok })))
        }),
    ]
}
