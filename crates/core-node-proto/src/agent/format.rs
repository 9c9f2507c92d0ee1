//! How a snapshot is written.
//!
//! | member | what it holds |
//! | --- | --- |
//! | `version` | 1 |
//! | `authKey`, `nodeId` | texts |
//! | `config`, `previous` | configurations as over HTTP |
//! | `confirmPending` | whether Core may not know `config` |
//! | `proxies` | by name: start instant, last values of users and outbounds as `[up, down]` |
//! | `users`, `outbounds` | accumulated: `[userId, subscriptionId, nodeProtocolId, up, down]`, `[tag, up, down]` |
//! | `unattributed`, `unattributedOutbound` | `[up, down]` |
//! | `usage`, `outbound` | waiting batches: attempts, first attempt, entries with the instant in front of those of users |
//! | `returned`, `nextReturned` | what is being handed over |
//! | `lastRecordedAt` | of the newest freeze |
//! | `error` | the latest that Core has not got: message, code, details |
//!
//! Instants are milliseconds since 1970.

use super::batch::{Batch, UsageKey};
use super::counters::{Proxy, Traffic};
use super::ledger::{Last, Table};
use super::output::{ReturnReason, Returned, ReturnedContent};
use super::snapshot::Snapshot;
use crate::Secret;
use crate::config::NodeConfig;
use crate::message::{JsonObject, NodeError, OutboundItem, UsageEntry};
use crate::value::{ByteCount, NodeId, NodeProtocolId, SubscriptionId, Timestamp, UserId, check_auth_key};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

const VERSION: u32 = 1;

type Pair = (u64, u64);
type User = (i64, Option<i64>, i64, u64, u64);
type Outbound = (String, u64, u64);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Format {
    version: u32,
    #[serde(default)]
    auth_key: Option<String>,
    #[serde(default)]
    node_id: Option<String>,
    #[serde(default)]
    config: Option<Box<RawValue>>,
    #[serde(default)]
    confirm_pending: bool,
    #[serde(default)]
    previous: Option<Box<RawValue>>,
    #[serde(default)]
    proxies: BTreeMap<String, LastFormat>,
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    outbounds: Vec<Outbound>,
    #[serde(default)]
    unattributed: Pair,
    #[serde(default)]
    unattributed_outbound: Pair,
    #[serde(default)]
    usage: Vec<BatchFormat<UsageFormat>>,
    #[serde(default)]
    outbound: Vec<BatchFormat<Vec<Outbound>>>,
    #[serde(default)]
    returned: Vec<ReturnedFormat>,
    #[serde(default)]
    next_returned: u64,
    #[serde(default)]
    last_recorded_at: Option<i64>,
    #[serde(default)]
    error: Option<ErrorFormat>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastFormat {
    started_at: i64,
    users: BTreeMap<Box<str>, Pair>,
    outbounds: BTreeMap<Box<str>, Pair>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchFormat<E> {
    attempts: u32,
    first_attempt: Option<i64>,
    entries: E,
}

/// Entries of one instant.
type UsageFormat = (i64, Vec<User>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReturnedFormat {
    number: u64,
    reason: ReasonFormat,
    #[serde(default)]
    usage: Option<UsageFormat>,
    #[serde(default)]
    outbound: Option<Vec<Outbound>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ReasonFormat {
    Refused,
    Quarantined,
    Discarded,
}

#[derive(Serialize, Deserialize)]
struct ErrorFormat {
    message: String,
    code: Option<String>,
    details: Option<String>,
}

impl Format {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let config = |config: &Arc<NodeConfig>| {
            RawValue::from_string(config.to_json()).expect("a configuration is written as JSON")
        };
        Self {
            version: VERSION,
            auth_key: snapshot.key.as_ref().map(|key| key.expose().to_owned()),
            node_id: snapshot.node_id.as_ref().map(ToString::to_string),
            config: snapshot.config.as_ref().map(config),
            confirm_pending: snapshot.is_confirm_pending,
            previous: snapshot.previous.as_ref().map(config),
            proxies: snapshot
                .proxies
                .iter()
                .map(|(&proxy, last)| (name(proxy), LastFormat::of(last)))
                .collect(),
            users: snapshot.users.iter().map(|(&key, &traffic)| user(key, traffic)).collect(),
            outbounds: snapshot.outbounds.iter().map(|(tag, at)| (tag.to_string(), at.up, at.down)).collect(),
            unattributed: pair(snapshot.unattributed),
            unattributed_outbound: pair(snapshot.unattributed_outbound),
            usage: snapshot.usage.iter().map(|batch| BatchFormat::of(batch, usage(&batch.entries))).collect(),
            outbound: snapshot
                .outbound
                .iter()
                .map(|batch| BatchFormat::of(batch, items(&batch.entries)))
                .collect(),
            returned: snapshot.returned.iter().map(ReturnedFormat::of).collect(),
            next_returned: snapshot.next_returned,
            last_recorded_at: snapshot.last_recorded_at.map(Timestamp::unix_milliseconds),
            error: snapshot.error.as_deref().map(ErrorFormat::of),
        }
    }

    pub(super) fn read(self) -> Option<Snapshot> {
        if self.version != VERSION {
            return None;
        }
        let key = self.auth_key.map(Secret::new);
        key.as_ref().map_or(Ok(()), check_auth_key).ok()?;
        Some(Snapshot {
            key,
            node_id: self.node_id.map(|id| NodeId::from_text(&id)).transpose().ok()?,
            config: given(self.config.as_deref(), read_config)?,
            is_confirm_pending: self.confirm_pending,
            previous: given(self.previous.as_deref(), read_config)?,
            proxies: self
                .proxies
                .into_iter()
                .map(|(name, last)| Some((proxy(&name)?, last.read()?)))
                .collect::<Option<_>>()?,
            users: Arc::new(self.users.into_iter().map(read_user).collect::<Option<_>>()?),
            outbounds: Arc::new(
                self.outbounds
                    .into_iter()
                    .map(|(tag, up, down)| (tag.into(), Traffic { up, down }))
                    .collect(),
            ),
            unattributed: traffic(self.unattributed),
            unattributed_outbound: traffic(self.unattributed_outbound),
            usage: self.usage.into_iter().map(|batch| batch.read(read_usage)).collect::<Option<_>>()?,
            outbound: self.outbound.into_iter().map(|batch| batch.read(read_items)).collect::<Option<_>>()?,
            returned: self.returned.into_iter().map(ReturnedFormat::read).collect::<Option<_>>()?,
            next_returned: self.next_returned,
            last_recorded_at: given(self.last_recorded_at, timestamp)?,
            error: given(self.error, ErrorFormat::read)?.map(Arc::new),
        })
    }
}

/// Reads what may be absent: the outer `None` is that it is there and cannot be read.
fn given<T, U>(value: Option<T>, read: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    value.map_or(Some(None), |value| read(value).map(Some))
}

fn read_config(json: &RawValue) -> Option<Arc<NodeConfig>> {
    let read = NodeConfig::from_json(json.get().as_bytes()).ok()?;
    Some(Arc::new(read.config))
}

impl LastFormat {
    fn of(last: &Last) -> Self {
        let table = |table: &Table| table.iter().map(|(name, at)| (name.clone(), (at.up, at.down))).collect();
        Self {
            started_at: last.started_at.unix_milliseconds(),
            users: table(&last.users),
            outbounds: table(&last.outbounds),
        }
    }

    fn read(self) -> Option<Last> {
        let table = |table: BTreeMap<Box<str>, Pair>| {
            Arc::new(table.into_iter().map(|(name, (up, down))| (name, Traffic { up, down })).collect())
        };
        Some(Last {
            started_at: timestamp(self.started_at)?,
            users: table(self.users),
            outbounds: table(self.outbounds),
        })
    }
}

impl<F> BatchFormat<F> {
    fn of<E>(batch: &Batch<E>, entries: F) -> Self {
        let first_attempt = batch.first_attempt.map(Timestamp::unix_milliseconds);
        Self { attempts: batch.attempts, first_attempt, entries }
    }

    fn read<E>(self, entries: impl FnOnce(F) -> Option<Arc<[E]>>) -> Option<Batch<E>> {
        Some(Batch {
            entries: entries(self.entries)?,
            attempts: self.attempts,
            first_attempt: given(self.first_attempt, timestamp)?,
        })
    }
}

impl ReturnedFormat {
    fn of(returned: &Returned) -> Self {
        let (usage, outbound) = match &returned.content {
            ReturnedContent::Usage(entries) => (Some(usage(entries)), None),
            ReturnedContent::Outbound(entries) => (None, Some(items(entries))),
        };
        let reason = match returned.reason {
            ReturnReason::Refused => ReasonFormat::Refused,
            ReturnReason::Quarantined => ReasonFormat::Quarantined,
            ReturnReason::Discarded => ReasonFormat::Discarded,
        };
        Self { number: returned.number, reason, usage, outbound }
    }

    fn read(self) -> Option<Returned> {
        let reason = match self.reason {
            ReasonFormat::Refused => ReturnReason::Refused,
            ReasonFormat::Quarantined => ReturnReason::Quarantined,
            ReasonFormat::Discarded => ReturnReason::Discarded,
        };
        let content = match (self.usage, self.outbound) {
            (Some(entries), None) => ReturnedContent::Usage(read_usage(entries)?),
            (None, Some(entries)) => ReturnedContent::Outbound(read_items(entries)?),
            _ => return None,
        };
        Some(Returned { number: self.number, reason, content })
    }
}

impl ErrorFormat {
    fn of(error: &NodeError) -> Self {
        Self {
            message: error.message.clone(),
            code: error.code.clone(),
            details: error.details.as_ref().map(|details| details.text().to_owned()),
        }
    }

    fn read(self) -> Option<NodeError> {
        let details = self.details.map(|text| JsonObject::parse(&text)).transpose().ok()?;
        let error = NodeError { message: self.message, code: self.code, details };
        error.check().is_ok().then_some(error)
    }
}

fn pair(traffic: Traffic) -> Pair {
    (traffic.up, traffic.down)
}

fn traffic((up, down): Pair) -> Traffic {
    Traffic { up, down }
}

fn name(proxy: Proxy) -> String {
    match proxy {
        Proxy::Xray => "xray".to_owned(),
        Proxy::Mtproto => "mtproto".to_owned(),
    }
}

fn proxy(name: &str) -> Option<Proxy> {
    [Proxy::Xray, Proxy::Mtproto].into_iter().find(|&proxy| self::name(proxy) == name)
}

fn timestamp(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_unix_milliseconds(milliseconds).ok()
}

fn user((user, subscription, protocol): UsageKey, traffic: Traffic) -> User {
    let subscription = subscription.map(|id| id.get().into());
    (user.get().into(), subscription, protocol.get().into(), traffic.up, traffic.down)
}

fn read_user((user, subscription, protocol, up, down): User) -> Option<(UsageKey, Traffic)> {
    let subscription = subscription.map(SubscriptionId::new).transpose().ok()?;
    let key = (UserId::new(user).ok()?, subscription, NodeProtocolId::new(protocol).ok()?);
    Some((key, Traffic { up, down }))
}

fn usage(entries: &[UsageEntry]) -> UsageFormat {
    let at = entries.first().map_or(0, |entry| entry.recorded_at.unix_milliseconds());
    let entries = entries.iter().map(|entry| {
        let key = (entry.user_id, entry.subscription_id, entry.node_protocol_id);
        user(key, Traffic { up: entry.bytes_up.get(), down: entry.bytes_down.get() })
    });
    (at, entries.collect())
}

fn read_usage((at, users): UsageFormat) -> Option<Arc<[UsageEntry]>> {
    let recorded_at = timestamp(at)?;
    let entries = users.into_iter().map(|user| {
        let ((user_id, subscription_id, node_protocol_id), traffic) = read_user(user)?;
        Some(UsageEntry {
            user_id,
            subscription_id,
            node_protocol_id,
            bytes_up: ByteCount::new(traffic.up).ok()?,
            bytes_down: ByteCount::new(traffic.down).ok()?,
            recorded_at,
        })
    });
    entries.collect()
}

fn items(entries: &[OutboundItem]) -> Vec<Outbound> {
    entries.iter().map(|item| (item.tag.clone(), item.bytes_up.get(), item.bytes_down.get())).collect()
}

fn read_items(items: Vec<Outbound>) -> Option<Arc<[OutboundItem]>> {
    let items = items.into_iter().map(|(tag, up, down)| {
        Some(OutboundItem { tag, bytes_up: ByteCount::new(up).ok()?, bytes_down: ByteCount::new(down).ok()? })
    });
    items.collect()
}
