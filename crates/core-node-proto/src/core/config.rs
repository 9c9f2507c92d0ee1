//! Settings of Core.

use super::{Entropy, enrichment};
use http::uri::PathAndQuery;
use std::time::Duration;

/// Settings of a [`Core`](super::Core). Every duration and limit of the protocol is here, with its value as the default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where keys come from.
    pub entropy: Entropy,
    /// When a node is to fetch its configuration. [`NeedSync::Behind`].
    pub need_sync: NeedSync,
    /// Which confirmations count. [`Confirmation::Strict`].
    pub confirmation: Confirmation,
    /// Which session events are taken. [`SessionTexts::Any`].
    pub session_texts: SessionTexts,
    /// Whether a batch of usage that was seen before is acknowledged and not counted again. Yes.
    pub replay_recognition: bool,
    /// How long a batch is recognised, counted on the wall clock from its first receipt. 24 h.
    pub replay_window: Duration,
    /// How many batches of a node are recognised: the latest ones; above 0. 4096.
    pub max_batches: usize,
    /// How long a node that is online may go without a heartbeat before it is offline, at least 1 ms; other calls do
    /// not count. `None` is for ever. 60 s.
    pub offline_after: Option<Duration>,
    /// How far in the past usage may have been recorded; what is older counts as recorded on receipt. 7 days.
    pub recorded_before: Duration,
    /// How far in the future usage may have been recorded; what is later counts as recorded on receipt. 5 min.
    pub recorded_ahead: Duration,
    /// How long a user is online after a report, at least 1 ms. 20 s.
    pub online_lifetime: Duration,
    /// A user that no node reported for longer comes online anew. 10 s.
    pub online_gap: Duration,
    /// How long after a failure storing that a node is offline is tried again, at least 1 ms. 5 s.
    pub store_retry: Duration,
    /// Where nodes tell their statistics, at their own port. `/runtime-status`.
    pub fetch_path: PathAndQuery,
    /// How long a node may take to tell them, at least 1 ms. 5 s.
    pub fetch_timeout: Duration,
    /// How many nodes may be asked at a time, above 0. 64; a further fetch is refused.
    pub max_fetches: usize,
    /// The longest response to a request of Core, in bytes, above 0. 4 MiB; a longer one counts as none.
    pub max_response: usize,
    /// What to find out about addresses of users, if anything. None.
    pub enrichment: Option<enrichment::Config>,
    /// The longest body over HTTP, in bytes, above 0. 100 KiB; a longer one is refused as too large.
    pub max_http_body: usize,
    /// The longest message over gRPC, in bytes, above 0. 4 MiB; a longer one is refused as too large.
    pub max_grpc_message: usize,
    /// The longest report of statistics, in bytes, above 0: the latest of each node is kept. 256 KiB; a longer one is
    /// refused as too large.
    pub max_stats_message: usize,
    /// How many entries, items or events a report may have, or users and addresses together: one with 100 000 users at
    /// one address each has 200 000. Above 0. 262 144; one with more is refused as too large.
    pub max_items: usize,
    /// How many calls may wait to be stored, above 0. 16 384; a further one is refused as unavailable.
    pub max_pending: usize,
    /// How many nodes there may be, above 0. 1 048 576; a further registration is refused as unavailable.
    pub max_nodes: usize,
    /// How many users and pairs of a user and an inbound are remembered as online, above 0. 1 048 576; further ones are
    /// skipped.
    pub max_online: usize,
    /// How many samples of statistics are kept of each node, without the part about MTProto. 60; 0 keeps none.
    pub stats_history: usize,
}

/// When a heartbeat is answered with `needSync`. §11.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeedSync {
    /// The node has no revision or one below Core's. One that is ahead is left alone, and
    /// [`Event::Ahead`](super::Event::Ahead) tells of it.
    #[default]
    Behind,
    /// The node has another revision than Core, or none.
    Differs,
}

/// What a confirmation of a revision does. §11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Confirmation {
    /// That of the current revision makes the node synced; an older one is only noted; one that was never published for
    /// the node is refused.
    #[default]
    Strict,
    /// Every one makes the node synced, as the description has it.
    Document,
}

/// Which texts session events may have for their protocol and kind. §10.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionTexts {
    /// Any; unknown ones are stored as they are.
    #[default]
    Any,
    /// Known ones; a report with another one is refused.
    Known,
}

/// Which setting, or which part of what was stored, cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit of 0, by its name in [`Config`]: nothing could go on.
    #[error("{0} must be above 0")]
    Limit(&'static str),
    /// A wait below 1 ms, by its name in [`Config`]: Core would never rest.
    #[error("{0} must be above 0")]
    Wait(&'static str),
    /// A path that does not begin with a slash.
    #[error("fetch_path must begin with a slash")]
    FetchPath,
    /// A setting of enrichment.
    #[error(transparent)]
    Enrichment(#[from] enrichment::ConfigError),
    /// Two stored nodes have the same id.
    #[error("two stored nodes have the same id")]
    SameId,
    /// Two stored nodes have the same key.
    #[error("two stored nodes have the same key")]
    SameKey,
}

impl Config {
    /// Returns the protocol's settings.
    #[must_use]
    pub fn new(entropy: Entropy) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            entropy,
            need_sync: NeedSync::Behind,
            confirmation: Confirmation::Strict,
            session_texts: SessionTexts::Any,
            replay_recognition: true,
            replay_window: day,
            max_batches: 4096,
            offline_after: Some(Duration::from_secs(60)),
            recorded_before: day.saturating_mul(7),
            recorded_ahead: Duration::from_secs(5 * 60),
            online_lifetime: Duration::from_secs(20),
            online_gap: Duration::from_secs(10),
            store_retry: Duration::from_secs(5),
            fetch_path: PathAndQuery::from_static("/runtime-status"),
            fetch_timeout: Duration::from_secs(5),
            max_fetches: 64,
            max_response: 4 << 20,
            enrichment: None,
            max_http_body: 100 << 10,
            max_grpc_message: 4 << 20,
            max_stats_message: 256 << 10,
            max_items: 1 << 18,
            max_pending: 1 << 14,
            max_nodes: 1 << 20,
            max_online: 1 << 20,
            stats_history: 60,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("max_batches", self.max_batches),
            ("max_http_body", self.max_http_body),
            ("max_grpc_message", self.max_grpc_message),
            ("max_stats_message", self.max_stats_message),
            ("max_items", self.max_items),
            ("max_pending", self.max_pending),
            ("max_nodes", self.max_nodes),
            ("max_online", self.max_online),
            ("max_fetches", self.max_fetches),
            ("max_response", self.max_response),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::Limit(name));
        }
        if !self.fetch_path.as_str().starts_with('/') {
            return Err(ConfigError::FetchPath);
        }
        let waits = [
            ("online_lifetime", self.online_lifetime),
            ("store_retry", self.store_retry),
            ("fetch_timeout", self.fetch_timeout),
        ];
        let mut waits = waits.into_iter().chain(self.offline_after.map(|wait| ("offline_after", wait)));
        match waits.find(|(_, wait)| wait.as_millis() == 0) {
            Some((name, _)) => Err(ConfigError::Wait(name)),
            None => Ok(()),
        }
    }
}
