//! Between messages of the schema and what they mean. Messages and fields are reached by their names alone, whatever
//! their numbers and types, so that this file also compiles against the code made from another schema.
#![allow(clippy::needless_update, reason = "another schema may have more fields")]

use super::fields::{Flag, LastSeen, Number, Text, finite, optional_whole, whole};
use crate::call::{Call, ConfigReply, Failure, FailureKind, Reply};
use crate::config::{ConfigTexts, NodeConfig};
use crate::message::{
    Acknowledgement, ConfigApplied, FieldError, Heartbeat, HeartbeatReply, MtProtoStatuses, NodeStats,
    OnlineIp, OnlineUser, OnlineUsers, OutboundItem, OutboundUsage, SystemStats, Usage, UsageEntry,
    XrayStats,
};
use crate::value::{ByteCount, NodeProtocolId, Revision, SubscriptionId, Timestamp, UserId, ValueError};
use crate::{Method, Secret, pb};
use prost::Message;
use std::sync::Arc;

/// Returns the bytes of a request, with the key in its field if there is one; `None` if the call has no gRPC method.
pub(super) fn write_call(call: &Call, key: Option<&Secret>) -> Option<Vec<u8>> {
    let key = key.map(|key| key.expose().to_owned());
    Some(match call {
        Call::Heartbeat(heartbeat) => from_heartbeat(heartbeat, key).encode_to_vec(),
        Call::ReportUsage(usage) => from_usage(usage, key).encode_to_vec(),
        Call::ReportOutboundUsage(usage) => from_outbound_usage(usage, key).encode_to_vec(),
        Call::GetLatestConfig => from_get_config(key).encode_to_vec(),
        Call::ConfirmConfigApplied(applied) => from_applied(*applied, key).encode_to_vec(),
        Call::ReportNodeStats(stats) => from_stats(stats, key).encode_to_vec(),
        Call::ReportOnlineUsers(users) => from_online(users, key).encode_to_vec(),
        Call::Register(_) | Call::ReportSessionEvents(_) | Call::ReportError(_) => return None,
    })
}

/// Reads a request, and the key in its field if it is not empty.
pub(super) fn read_call(method: Method, bytes: &[u8]) -> Result<(Call, Option<Secret>), FieldError> {
    let (key, call) = match method {
        Method::Heartbeat => {
            let message: pb::HeartbeatRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::Heartbeat(heartbeat(&message)?))
        }
        Method::ReportUsage => {
            let message: pb::ReportUsageRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::ReportUsage(usage(&message)?))
        }
        Method::ReportOutboundUsage => {
            let message: pb::ReportOutboundUsageRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::ReportOutboundUsage(outbound_usage(message)?))
        }
        Method::GetLatestConfig => {
            let message: pb::GetLatestConfigRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::GetLatestConfig)
        }
        Method::ConfirmConfigApplied => {
            let message: pb::ConfirmConfigAppliedRequest = decode(bytes)?;
            let revision = whole("revision", &message.revision, Revision::new)?;
            (secret(&message.auth_key), Call::ConfirmConfigApplied(ConfigApplied { revision }))
        }
        Method::ReportNodeStats => {
            let message: pb::ReportNodeStatsRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::ReportNodeStats(stats(&message)?))
        }
        Method::ReportOnlineUsers => {
            let message: pb::ReportOnlineUsersRequest = decode(bytes)?;
            (secret(&message.auth_key), Call::ReportOnlineUsers(online(&message)?))
        }
        _ => return Err(FieldError::of_message(ValueError::OtherTransport)),
    };
    Ok((call, key))
}

/// Returns the bytes of a reply to a method.
pub(super) fn write_reply(method: Method, reply: &Reply) -> Vec<u8> {
    let acknowledged = Flag::from_flag(reply.is_ok());
    match reply {
        Reply::Heartbeat(reply) => from_heartbeat_reply(*reply).encode_to_vec(),
        Reply::Config(reply) => from_config(&reply.config).encode_to_vec(),
        Reply::Registered(_) | Reply::Acknowledged(_) => match method {
            Method::ReportOutboundUsage => {
                pb::ReportOutboundUsageResponse { ok: acknowledged, ..Default::default() }.encode_to_vec()
            }
            Method::ConfirmConfigApplied => {
                pb::ConfirmConfigAppliedResponse { ok: acknowledged, ..Default::default() }.encode_to_vec()
            }
            Method::ReportNodeStats => {
                pb::ReportNodeStatsResponse { ok: acknowledged, ..Default::default() }.encode_to_vec()
            }
            Method::ReportOnlineUsers => {
                pb::ReportOnlineUsersResponse { ok: acknowledged, ..Default::default() }.encode_to_vec()
            }
            _ => pb::ReportUsageResponse { ok: acknowledged, ..Default::default() }.encode_to_vec(),
        },
    }
}

/// Reads a reply to a method.
pub(super) fn read_reply(method: Method, bytes: &[u8]) -> Result<Reply, Failure> {
    let unreadable = |error| Failure::answered(FailureKind::Unreadable(error));
    match method {
        Method::Heartbeat => {
            let message: pb::HeartbeatResponse = decode(bytes).map_err(unreadable)?;
            let reply = HeartbeatReply { ok: message.ok.flag(), need_sync: message.need_sync.flag() };
            Ok(Reply::Heartbeat(reply))
        }
        Method::GetLatestConfig => config(decode(bytes).map_err(unreadable)?),
        _ => read_acknowledgement(method, bytes).map(Reply::Acknowledged).map_err(unreadable),
    }
}

fn read_acknowledgement(method: Method, bytes: &[u8]) -> Result<Acknowledgement, FieldError> {
    let ok = match method {
        Method::ReportUsage => decode::<pb::ReportUsageResponse>(bytes)?.ok.flag(),
        Method::ReportOutboundUsage => decode::<pb::ReportOutboundUsageResponse>(bytes)?.ok.flag(),
        Method::ConfirmConfigApplied => decode::<pb::ConfirmConfigAppliedResponse>(bytes)?.ok.flag(),
        Method::ReportNodeStats => decode::<pb::ReportNodeStatsResponse>(bytes)?.ok.flag(),
        Method::ReportOnlineUsers => decode::<pb::ReportOnlineUsersResponse>(bytes)?.ok.flag(),
        _ => return Err(FieldError::of_message(ValueError::OtherTransport)),
    };
    Ok(Acknowledgement { ok })
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, FieldError> {
    M::decode(bytes).map_err(|_| FieldError::of_message(ValueError::NotProtobuf))
}

fn secret(key: &impl Text) -> Option<Secret> {
    Some(key.text()).filter(|key| !key.is_empty()).map(Secret::new)
}

fn key_field<T: Text>(key: Option<String>) -> T {
    key.map_or_else(T::default, T::from_text)
}

fn optional_number<T: Number>(number: Option<i64>) -> T {
    number.map_or_else(T::default, T::from_whole)
}

/// Returns a number of seconds or cores, which are not checked before they are written.
fn number<T: Number>(number: u64) -> T {
    T::from_whole(i64::try_from(number).unwrap_or(i64::MAX))
}

fn from_heartbeat(heartbeat: &Heartbeat, key: Option<String>) -> pb::HeartbeatRequest {
    pb::HeartbeatRequest {
        auth_key: key_field(key),
        revision: optional_number(heartbeat.revision.map(|revision| revision.get().into())),
        ip: key_field(heartbeat.ip.map(|ip| ip.to_string())),
        ..Default::default()
    }
}

fn heartbeat(message: &pb::HeartbeatRequest) -> Result<Heartbeat, FieldError> {
    let ip = Some(message.ip.text()).filter(|ip| !ip.is_empty()).map(str::parse).transpose();
    Ok(Heartbeat {
        ip: ip.map_err(|error| FieldError::new("ip", error))?,
        revision: optional_whole("revision", &message.revision, Revision::new)?,
    })
}

fn from_heartbeat_reply(reply: HeartbeatReply) -> pb::HeartbeatResponse {
    pb::HeartbeatResponse {
        ok: Flag::from_flag(reply.ok),
        need_sync: Flag::from_flag(reply.need_sync),
        ..Default::default()
    }
}

fn from_usage(usage: &Usage, key: Option<String>) -> pb::ReportUsageRequest {
    let entries = usage.entries.iter().map(|entry| pb::UsageEntry {
        user_id: Number::from_whole(entry.user_id.get().into()),
        subscription_id: optional_number(entry.subscription_id.map(|id| id.get().into())),
        node_protocol_id: Number::from_whole(entry.node_protocol_id.get().into()),
        bytes_up: Number::from_whole(entry.bytes_up.as_i64()),
        bytes_down: Number::from_whole(entry.bytes_down.as_i64()),
        recorded_at: Text::from_text(entry.recorded_at.to_string()),
        ..Default::default()
    });
    pb::ReportUsageRequest { auth_key: key_field(key), entries: entries.collect(), ..Default::default() }
}

fn usage(message: &pb::ReportUsageRequest) -> Result<Usage, FieldError> {
    let (mut entries, mut instants) = (Vec::with_capacity(message.entries.len()), Instants::default());
    for (index, entry) in message.entries.iter().enumerate() {
        let entry = usage_entry(entry, &mut instants);
        entries.push(entry.map_err(|error| error.in_item("entries", index))?);
    }
    Ok(Usage { entries })
}

fn usage_entry<'a>(entry: &'a pb::UsageEntry, instants: &mut Instants<'a>) -> Result<UsageEntry, FieldError> {
    let recorded_at = instants.read(entry.recorded_at.text());
    Ok(UsageEntry {
        user_id: whole("userId", &entry.user_id, UserId::new)?,
        subscription_id: optional_whole("subscriptionId", &entry.subscription_id, SubscriptionId::new)?,
        node_protocol_id: whole("nodeProtocolId", &entry.node_protocol_id, NodeProtocolId::new)?,
        bytes_up: whole("bytesUp", &entry.bytes_up, ByteCount::from_i64)?,
        bytes_down: whole("bytesDown", &entry.bytes_down, ByteCount::from_i64)?,
        recorded_at: recorded_at.map_err(|error| FieldError::new("recordedAt", error))?,
    })
}

/// Reads instants, of equal texts in a row the first only: all entries of a batch have the same.
#[derive(Default)]
struct Instants<'a>(Option<(&'a str, Timestamp)>);

impl<'a> Instants<'a> {
    fn read(&mut self, text: &'a str) -> Result<Timestamp, ValueError> {
        match self.0 {
            Some((before, at)) if before == text => Ok(at),
            _ => {
                let at = text.parse()?;
                self.0 = Some((text, at));
                Ok(at)
            }
        }
    }
}

fn from_outbound_usage(usage: &OutboundUsage, key: Option<String>) -> pb::ReportOutboundUsageRequest {
    let items = usage.items.iter().map(|item| pb::OutboundUsageItem {
        tag: Text::from_text(item.tag.clone()),
        bytes_up: Number::from_whole(item.bytes_up.as_i64()),
        bytes_down: Number::from_whole(item.bytes_down.as_i64()),
        ..Default::default()
    });
    pb::ReportOutboundUsageRequest { auth_key: key_field(key), items: items.collect(), ..Default::default() }
}

fn outbound_usage(message: pb::ReportOutboundUsageRequest) -> Result<OutboundUsage, FieldError> {
    let item = |(index, item): (usize, pb::OutboundUsageItem)| {
        outbound_item(item).map_err(|error| error.in_item("items", index))
    };
    let items = message.items.into_iter().enumerate().map(item);
    let usage = OutboundUsage { items: items.collect::<Result<_, _>>()? };
    usage.check()?;
    Ok(usage)
}

fn outbound_item(item: pb::OutboundUsageItem) -> Result<OutboundItem, FieldError> {
    Ok(OutboundItem {
        bytes_up: whole("bytesUp", &item.bytes_up, ByteCount::from_i64)?,
        bytes_down: whole("bytesDown", &item.bytes_down, ByteCount::from_i64)?,
        tag: item.tag.into_text(),
    })
}

fn from_get_config(key: Option<String>) -> pb::GetLatestConfigRequest {
    pb::GetLatestConfigRequest { auth_key: key_field(key), ..Default::default() }
}

fn from_config(config: &NodeConfig) -> pb::GetLatestConfigResponse {
    let texts = config.to_texts();
    pb::GetLatestConfigResponse {
        revision: Number::from_whole(texts.revision),
        client_map_json: Text::from_text(texts.client_map_json.into_owned()),
        mtproto_client_map_json: Text::from_text(texts.mtproto_client_map_json.into_owned()),
        services_json: Text::from_text(texts.services_json.into_owned()),
        ..Default::default()
    }
}

fn config(message: pb::GetLatestConfigResponse) -> Result<Reply, Failure> {
    let revision = whole("revision", &message.revision, Ok);
    let read = NodeConfig::from_texts(&ConfigTexts {
        revision: revision.map_err(|error| Failure::answered(FailureKind::Unreadable(error)))?,
        client_map_json: message.client_map_json.text().into(),
        mtproto_client_map_json: message.mtproto_client_map_json.text().into(),
        services_json: message.services_json.text().into(),
    });
    let read = read.map_err(|error| Failure::answered(FailureKind::Config(error)))?;
    Ok(Reply::Config(ConfigReply { config: Arc::new(read.config), warnings: read.warnings }))
}

fn from_applied(applied: ConfigApplied, key: Option<String>) -> pb::ConfirmConfigAppliedRequest {
    pb::ConfirmConfigAppliedRequest {
        auth_key: key_field(key),
        revision: Number::from_whole(applied.revision.get().into()),
        ..Default::default()
    }
}

fn from_stats(stats: &NodeStats, key: Option<String>) -> pb::ReportNodeStatsRequest {
    let mtproto = stats.mtproto.as_ref().map(MtProtoStatuses::to_json);
    pb::ReportNodeStatsRequest {
        auth_key: key_field(key),
        system: stats.system.as_ref().map(from_system),
        xray: stats.xray.map(from_xray),
        mtproto_json: Text::from_text(mtproto.unwrap_or_default()),
        ..Default::default()
    }
}

fn from_system(system: &SystemStats) -> pb::SystemStats {
    pb::SystemStats {
        uptime_seconds: number(system.uptime_seconds),
        cpu_percent: Number::from_float(system.cpu_percent),
        cpu_cores: number(system.cpu_cores.into()),
        ram_used: Number::from_whole(system.ram_used.as_i64()),
        ram_total: Number::from_whole(system.ram_total.as_i64()),
        disk_used: Number::from_whole(system.disk_used.as_i64()),
        disk_total: Number::from_whole(system.disk_total.as_i64()),
        net_rx_per_sec: Number::from_float(system.net_rx_per_sec),
        net_tx_per_sec: Number::from_float(system.net_tx_per_sec),
        net_rx_total: Number::from_whole(system.net_rx_total.as_i64()),
        net_tx_total: Number::from_whole(system.net_tx_total.as_i64()),
        ..Default::default()
    }
}

fn from_xray(xray: XrayStats) -> pb::XrayStats {
    pb::XrayStats {
        running: Flag::from_flag(xray.running),
        uptime_seconds: xray.uptime_seconds.map_or_else(Default::default, number),
        ..Default::default()
    }
}

fn stats(message: &pb::ReportNodeStatsRequest) -> Result<NodeStats, FieldError> {
    let within = |part| move |error: FieldError| error.within(part);
    Ok(NodeStats {
        system: message.system.as_ref().map(system).transpose().map_err(within("system"))?,
        xray: message.xray.as_ref().map(xray).transpose().map_err(within("xray"))?,
        // A part that is unreadable costs only itself.
        mtproto: MtProtoStatuses::from_json(message.mtproto_json.text()).ok(),
    })
}

fn system(system: &pb::SystemStats) -> Result<SystemStats, FieldError> {
    Ok(SystemStats {
        uptime_seconds: whole("uptimeSeconds", &system.uptime_seconds, seconds)?,
        cpu_percent: finite("cpuPercent", &system.cpu_percent)?,
        cpu_cores: whole("cpuCores", &system.cpu_cores, cores)?,
        ram_used: whole("ramUsed", &system.ram_used, ByteCount::from_i64)?,
        ram_total: whole("ramTotal", &system.ram_total, ByteCount::from_i64)?,
        disk_used: whole("diskUsed", &system.disk_used, ByteCount::from_i64)?,
        disk_total: whole("diskTotal", &system.disk_total, ByteCount::from_i64)?,
        net_rx_per_sec: finite("netRxPerSec", &system.net_rx_per_sec)?,
        net_tx_per_sec: finite("netTxPerSec", &system.net_tx_per_sec)?,
        net_rx_total: whole("netRxTotal", &system.net_rx_total, ByteCount::from_i64)?,
        net_tx_total: whole("netTxTotal", &system.net_tx_total, ByteCount::from_i64)?,
    })
}

fn xray(xray: &pb::XrayStats) -> Result<XrayStats, FieldError> {
    Ok(XrayStats {
        running: xray.running.flag(),
        uptime_seconds: optional_whole("uptimeSeconds", &xray.uptime_seconds, seconds)?,
    })
}

fn seconds(number: i64) -> Result<u64, ValueError> {
    ByteCount::from_i64(number).map(ByteCount::get)
}

fn cores(number: i64) -> Result<u32, ValueError> {
    const MOST: u32 = i32::MAX as u32;
    let cores = u32::try_from(number).ok().filter(|cores| *cores <= MOST);
    cores.ok_or(ValueError::OutOfRange { least: 0, most: MOST.into() })
}

fn from_online(online: &OnlineUsers, key: Option<String>) -> pb::ReportOnlineUsersRequest {
    let users = online.users.iter().map(|user| pb::OnlineUser {
        user_id: Number::from_whole(user.user_id.get().into()),
        node_protocol_id: Number::from_whole(user.node_protocol_id.get().into()),
        ips: user.ips.iter().map(from_online_ip).collect(),
        ..Default::default()
    });
    pb::ReportOnlineUsersRequest { auth_key: key_field(key), users: users.collect(), ..Default::default() }
}

fn from_online_ip(ip: &OnlineIp) -> pb::OnlineIp {
    pb::OnlineIp {
        ip: Text::from_text(ip.ip.to_string()),
        last_seen: ip.last_seen.map_or_else(Default::default, LastSeen::from_instant),
        ..Default::default()
    }
}

fn online(message: &pb::ReportOnlineUsersRequest) -> Result<OnlineUsers, FieldError> {
    let mut unreadable = 0;
    let user = |(index, user): (usize, &pb::OnlineUser)| {
        online_user(user, &mut unreadable).map_err(|error| error.in_item("users", index))
    };
    let users = message.users.iter().enumerate().map(user).collect::<Result<_, _>>()?;
    Ok(OnlineUsers { users, unreadable })
}

fn online_user(user: &pb::OnlineUser, unreadable: &mut usize) -> Result<OnlineUser, FieldError> {
    let ips: Vec<_> = user.ips.iter().filter_map(online_ip).collect();
    *unreadable += user.ips.len() - ips.len();
    Ok(OnlineUser {
        user_id: whole("userId", &user.user_id, UserId::new)?,
        node_protocol_id: whole("nodeProtocolId", &user.node_protocol_id, NodeProtocolId::new)?,
        ips,
    })
}

/// Reads an address; `None` if it is none, which costs this address only. An instant that is not readable is absent.
fn online_ip(ip: &pb::OnlineIp) -> Option<OnlineIp> {
    Some(OnlineIp { ip: ip.ip.text().parse().ok()?, last_seen: ip.last_seen.instant() })
}
