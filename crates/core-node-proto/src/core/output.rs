//! What Core asks of its driver, and the news it has.

use super::Change;
use super::enrichment::{AddressQuery, Report};
use crate::Method;
use crate::call::{Failure, Refusal, Reply};
use crate::message::{NodeError, NodeStats, RuntimeStatus};
use crate::value::{NodeId, NodeProtocolId, NodeStatus, Revision, SyncStatus, Timestamp, UserId};
use bytes::Bytes;
use http::Request;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Names a call of a node; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// Names a transaction; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub(super) u64);

/// Names a request of Core; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// Names a query for addresses; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub(super) u64);

/// Names a fetch of a node's statistics; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub(super) u64);

/// A query for addresses has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("not answered")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct QueryFailed;

/// Work for the driver, in order. `Debug` shows neither keys nor what stands in requests and transactions.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Answer this exchange.
    Reply {
        /// The exchange.
        id: ExchangeId,
        /// What Core says.
        outcome: Result<Reply, Refusal>,
    },
    /// Make these changes, all of them or none, after those of earlier transactions; then report `handle_stored` once.
    Store {
        /// Names the transaction.
        id: StoreId,
        /// The changes, in order.
        changes: Vec<Change>,
    },
    /// Set a key that is gone after its lifetime. No outcome is reported.
    SetOnline {
        /// The key.
        key: OnlineKey,
        /// How long it lives from now, above 0.
        lifetime: Duration,
    },
    /// Answer this query from the stored addresses, then report `handle_addresses` once.
    Query {
        /// Names the query.
        id: QueryId,
        /// Which addresses.
        query: AddressQuery,
    },
    /// Send this, then report `handle_response` or `handle_failure` once. Redirects are not followed. Its URI and headers may
    /// hold the key of a provider.
    Request {
        /// Names the request.
        id: RequestId,
        /// The request, with an absolute URI.
        request: Request<Bytes>,
    },
    /// The outcome of this request is no longer wanted; abort it if you can.
    Cancel(RequestId),
    /// Tell the application.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { id, outcome } => write!(f, "Reply({}, {outcome:?})", id.0),
            Self::Store { id, changes } => write!(f, "Store({}, {} changes)", id.0, changes.len()),
            Self::SetOnline { key, lifetime } => write!(f, "SetOnline({key}, {lifetime:?})"),
            Self::Query { id, query } => write!(f, "Query({}, {query:?})", id.0),
            Self::Request { id, request } => {
                let host = request.uri().host().unwrap_or_default();
                write!(f, "Request({}, {} {host}, {} bytes)", id.0, request.method(), request.body().len())
            }
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// That a user is online. Its text is the key's name: `online:user:12`, `online:inbound:6:user:12`. §10.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these keys")]
pub enum OnlineKey {
    /// Somewhere.
    User(UserId),
    /// Through an inbound.
    Inbound {
        /// The inbound.
        inbound: NodeProtocolId,
        /// The user.
        user: UserId,
    },
}

impl fmt::Display for OnlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "online:user:{user}"),
            Self::Inbound { inbound, user } => write!(f, "online:inbound:{inbound}:user:{user}"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A node has registered.
    NodeRegistered {
        /// The node.
        node: NodeId,
    },
    /// A registration had a code that is unknown, used or too old. The host may limit the source of such exchanges (§15).
    RegistrationRefused {
        /// The exchange.
        id: ExchangeId,
    },
    /// A call had no key, or one that is unknown.
    Unauthorized {
        /// The exchange.
        id: ExchangeId,
        /// Which call.
        method: Method,
    },
    /// A node is removed.
    NodeRemoved {
        /// The node.
        node: NodeId,
    },
    /// A node has another status.
    NodeStatusChanged {
        /// The node.
        node: NodeId,
        /// Its status now.
        status: NodeStatus,
    },
    /// The configuration of a node has another status.
    SyncStatusChanged {
        /// The node.
        node: NodeId,
        /// Its status now.
        status: SyncStatus,
    },
    /// A node reported an error.
    NodeError {
        /// The node.
        node: NodeId,
        /// What it said.
        error: Arc<NodeError>,
    },
    /// A node says that it runs on a revision above that of Core, which may have been restored from a backup. It is told
    /// once for each such revision.
    Ahead {
        /// The node.
        node: NodeId,
        /// What it runs on.
        revision: Revision,
        /// What it should run on.
        current: Revision,
    },
    /// A user is online that was not reported by any node for some time: the `user.online` of §10.3.
    UserOnline {
        /// The user.
        user: UserId,
        /// When the report was received.
        at: Timestamp,
    },
    /// A node reported statistics. Who wants a long history keeps these.
    Stats {
        /// The node.
        node: NodeId,
        /// When they were received.
        at: Timestamp,
        /// The statistics.
        stats: Arc<NodeStats>,
    },
    /// Parts of a report were skipped: their user, inbound, outbound or address is unknown or of somebody else.
    Skipped {
        /// The node.
        node: NodeId,
        /// Which call.
        method: Method,
        /// How many parts.
        count: u64,
    },
    /// A batch of usage was acknowledged that has been counted before.
    Replayed {
        /// The node.
        node: NodeId,
    },
    /// A configuration is stored and handed out from now on.
    Published {
        /// Its revision.
        revision: Revision,
    },
    /// A configuration could not be stored. Its revision will not be used again.
    NotPublished {
        /// Its revision.
        revision: Revision,
    },
    /// What came of a fetch of a node's statistics.
    RuntimeStatus {
        /// What the command returned.
        id: FetchId,
        /// The node.
        node: NodeId,
        /// What the node said, or why there is nothing.
        outcome: Result<Box<RuntimeStatus>, Failure>,
    },
    /// A run over the addresses of users has ended.
    Enriched(Report),
    /// What a command asked for is stored.
    Stored {
        /// What the command returned.
        id: StoreId,
    },
    /// A transaction failed. What it was for is as before: an exchange was answered as unavailable; what a command asked for
    /// is not done.
    NotStored {
        /// The transaction; that of a command is what the command returned.
        id: StoreId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_show_ids_kinds_and_lengths() {
        let request = Request::get("https://ipinfo.io/8.8.8.8?token=secret").body(Bytes::from("[]"));
        let outputs = [
            Output::Reply { id: ExchangeId(1), outcome: Err(Refusal::Unauthorized) },
            Output::Store { id: StoreId(2), changes: Vec::new() },
            Output::Request { id: RequestId(3), request: request.expect("it is a request") },
            Output::Cancel(RequestId(3)),
            Output::Event(Event::Stored { id: StoreId(2) }),
        ];
        let shown: Vec<String> = outputs.iter().map(|output| format!("{output:?}")).collect();
        assert_eq!(
            shown,
            [
                "Reply(1, Err(Unauthorized))",
                "Store(2, 0 changes)",
                "Request(3, GET ipinfo.io, 2 bytes)",
                "Cancel(3)",
                "Event(Stored { id: StoreId(2) })",
            ]
        );
    }
}
