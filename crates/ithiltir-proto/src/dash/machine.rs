//! The machine itself: its commands, inputs and outputs. What becomes of a request is in `serve`.

use super::answer;
use super::keys::{KeyDigest, Keys};
use super::network::client_address;
use super::rate::{Budget, RateLimiter};
use super::release::check_manifest;
use super::serve::{Content, Exchange, Pending, Refusal};
use super::{
    Config, ConfigError, ErrorCode, Event, ExchangeId, KnownNode, NodeId, Output, Rejection, Release,
    UpdateRefused,
};
use crate::timer::Timers;
use crate::wire::{Manifest, Timestamp};
use crate::{Secret, Version};
use bytes::Bytes;
use http::Request;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use web_time::Instant;

/// The Dash's state machine.
///
/// Every request is answered, most of them at once: what passes the checks of §3 becomes an event with the report
/// in it and a 200. Nodes are known by their keys only; no report is kept.
///
/// # States
/// | of each node | states |
/// | --- | --- |
/// | presence | never seen, online, offline ([`Config::offline_after`] without a report) |
/// | update | none, assigned (delivered with each answer until the node reports that version or a higher one) |
/// | key | one; during a grace period the one before as well |
///
/// # Methods
/// - constructor: [`new`](Self::new)
/// - commands: [`add_node`](Self::add_node), [`remove_node`](Self::remove_node),
///   [`rotate_secret`](Self::rotate_secret), [`assign_update`](Self::assign_update),
///   [`assign_release`](Self::assign_release), [`clear_update`](Self::clear_update), [`confirm`](Self::confirm),
///   [`refuse_storage`](Self::refuse_storage), [`set_wall_clock`](Self::set_wall_clock)
/// - inputs: [`handle_request`](Self::handle_request), [`handle_cancel`](Self::handle_cancel),
///   [`handle_timeout`](Self::handle_timeout)
/// - outputs: [`poll_output`](Self::poll_output), [`poll_timeout`](Self::poll_timeout)
/// - getters: the rest
///
/// After any input or command drain [`poll_output`](Self::poll_output), then wait for the next input, command or the
/// deadline. There is nothing to close: a Dash that is no longer driven answers nobody. An `Instant` earlier than one
/// seen before counts as the latest seen.
///
/// # Example
/// ```
/// use ithiltir_proto::dash::{Config, Dash, Event, Identity, Output};
/// use ithiltir_proto::{Instant, Secret};
///
/// let now = Instant::now();
/// let config = Config::new(Identity::Known("server_0123456789abcdef0123456789abcdef".parse()?));
/// let mut dash = Dash::new(config, "2026-11-21T12:00:00Z".parse()?, now)?;
/// let node = dash.add_node("web-1", Secret::new("key"), now)?;
///
/// let report = r#"{"version":"0.2.3","hostname":"web-1","timestamp":"2026-11-21T12:00:00Z","metrics":{
///     "disk":{"physical":[],"logical":[],"filesystems":[],"base_io":[]},"network":[],
///     "system":{"uptime":"0d 1h 0m"},"raid":{"arrays":[]}}}"#;
/// let request = http::Request::post("/api/node/metrics")
///     .header("content-type", "application/json")
///     .header("x-node-secret", "key")
///     .body(report.into())?;
/// let exchange = dash.handle_request(request, [192, 0, 2, 1].into(), now);
///
/// let Some(Output::Event(Event::Report { node: reporting, report, .. })) = dash.poll_output() else { panic!() };
/// assert_eq!((reporting, &*report.hostname), (node, "web-1"));
/// assert!(matches!(dash.poll_output(), Some(Output::Event(Event::Online { .. }))));
/// let Some(Output::Respond { id, response }) = dash.poll_output() else { panic!() };
/// assert_eq!((id, response.status().as_u16()), (exchange, 200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dash {
    pub(super) config: Config,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) keys: Keys,
    pub(super) limiter: Option<RateLimiter>,
    pub(super) pending: BTreeMap<ExchangeId, Pending>,
    pub(super) timers: Timers<Timer>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) next_node: u64,
    pub(super) next_exchange: u64,
    pub(super) now: Instant,
    /// Wall-clock time at an instant.
    pub(super) clock: (Timestamp, Instant),
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The key is blank.
    #[error("the key is blank")]
    BlankKey,
    /// A node has this key already.
    #[error("a node has this key already")]
    RepeatedKey,
    /// There are [`Config::max_nodes`] already.
    #[error("there are too many nodes")]
    TooManyNodes,
    /// There is no such node.
    #[error("there is no such node")]
    UnknownNode,
    /// The exchange does not wait: it was answered, cancelled, or never waited.
    #[error("the exchange does not wait for a word")]
    UnknownExchange,
}

pub(super) struct Node {
    pub(super) known: KnownNode,
    pub(super) key: KeyDigest,
    /// When the newest report that was stored was received.
    pub(super) last_report: Option<Instant>,
    /// The same of Statics.
    pub(super) last_static: Option<Instant>,
    pub(super) update: Option<Box<Manifest>>,
}

/// Reasons to wake up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Offline(NodeId),
    KeyGrace(KeyDigest),
    Storage(ExchangeId),
}

impl Dash {
    /// Starts a Dash. `wall_clock` is the time of day at `now`.
    ///
    /// # Errors
    /// [`ConfigError`] if a setting cannot be.
    pub fn new(config: Config, wall_clock: Timestamp, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            limiter: config.rate_limit.map(RateLimiter::new),
            config,
            nodes: BTreeMap::new(),
            keys: Keys::default(),
            pending: BTreeMap::new(),
            timers: Timers::new(),
            outputs: VecDeque::new(),
            next_node: 1,
            next_exchange: 1,
            now,
            clock: (wall_clock, now),
        })
    }

    // Commands

    /// Sets the time of day, after the system's clock was set.
    pub fn set_wall_clock(&mut self, wall_clock: Timestamp, now: Instant) {
        self.see(now);
        self.clock = (wall_clock, self.now);
    }

    /// Adds a node with its key; white space around the key does not count.
    ///
    /// # Errors
    /// [`CommandError::BlankKey`], [`CommandError::RepeatedKey`], [`CommandError::TooManyNodes`].
    pub fn add_node(&mut self, name: &str, key: Secret, now: Instant) -> Result<NodeId, CommandError> {
        self.see(now);
        self.check_new_key(&key)?;
        if self.nodes.len() >= self.config.max_nodes {
            return Err(CommandError::TooManyNodes);
        }
        let id = NodeId(self.next_node);
        self.next_node += 1;
        let known = KnownNode {
            name: name.into(),
            version: None,
            os: Box::default(),
            arch: Box::default(),
            collected_at: None,
            reported_at: None,
            address: None,
            online: false,
        };
        let key = self.keys.insert(id, &key);
        self.nodes.insert(id, Node { known, key, last_report: None, last_static: None, update: None });
        Ok(id)
    }

    /// Removes a node. Its keys are unknown from now on; what waits for storage is answered all the same.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`].
    pub fn remove_node(&mut self, node: NodeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        self.nodes.remove(&node).ok_or(CommandError::UnknownNode)?;
        self.forget_keys(node);
        self.timers.set(Timer::Offline(node), None);
        Ok(())
    }

    /// Gives a node another key. The one before stays valid for `grace`; without any, it and all earlier ones are
    /// unknown at once, as in the original.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`], [`CommandError::BlankKey`], [`CommandError::RepeatedKey`].
    pub fn rotate_secret(
        &mut self,
        node: NodeId,
        key: Secret,
        grace: Duration,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.see(now);
        self.check_new_key(&key)?;
        let before = self.nodes.get(&node).ok_or(CommandError::UnknownNode)?.key;
        if grace.is_zero() {
            self.forget_keys(node);
        } else {
            self.timers.set(Timer::KeyGrace(before), self.now.checked_add(grace));
        }
        let key = self.keys.insert(node, &key);
        if let Some(state) = self.nodes.get_mut(&node) {
            state.key = key;
        }
        Ok(())
    }

    /// Assigns an update to a node, in the place of an earlier one. It is delivered with the answer to each of the
    /// node's reports until it reports the version or a higher one.
    ///
    /// # Errors
    /// See [`UpdateRefused`].
    pub fn assign_update(
        &mut self,
        node: NodeId,
        manifest: Manifest,
        now: Instant,
    ) -> Result<(), UpdateRefused> {
        self.see(now);
        let state = self.nodes.get(&node).ok_or(UpdateRefused::UnknownNode)?;
        let current = state.known.version.as_deref().ok_or(UpdateRefused::VersionUnavailable)?;
        let current = Version::parse(current)?;
        Version::parse(&manifest.version)?;
        if self.is_too_old(&current) {
            return Err(UpdateRefused::Unsupported);
        }
        check_manifest(&manifest)?;
        if let Some(state) = self.nodes.get_mut(&node) {
            state.update = Some(Box::new(manifest));
        }
        Ok(())
    }

    /// Assigns the file of a release that fits the node's platform, as its last Static says it.
    ///
    /// # Errors
    /// See [`UpdateRefused`].
    pub fn assign_release(
        &mut self,
        node: NodeId,
        release: &Release,
        now: Instant,
    ) -> Result<(), UpdateRefused> {
        let known = &self.nodes.get(&node).ok_or(UpdateRefused::UnknownNode)?.known;
        let manifest = release.manifest_for(&known.os, &known.arch)?;
        self.assign_update(node, manifest, now)
    }

    /// Takes an update back. Nodes that are installing it are not told.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`].
    pub fn clear_update(&mut self, node: NodeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        self.nodes.get_mut(&node).ok_or(CommandError::UnknownNode)?.update = None;
        Ok(())
    }

    /// Says that a report or Static was stored, under [`Storage::Confirmed`](super::Storage::Confirmed): it is answered
    /// with 200. A word that comes before [`handle_timeout`](Self::handle_timeout) has seen the deadline counts.
    ///
    /// # Errors
    /// [`CommandError::UnknownExchange`] if the exchange does not wait.
    pub fn confirm(&mut self, exchange: ExchangeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let pending = self.take_pending(exchange).ok_or(CommandError::UnknownExchange)?;
        self.commit(exchange, pending);
        Ok(())
    }

    /// Says that a report or Static cannot be stored, under [`Storage::Confirmed`](super::Storage::Confirmed): it is answered with 503.
    ///
    /// # Errors
    /// [`CommandError::UnknownExchange`] if the exchange does not wait.
    pub fn refuse_storage(&mut self, exchange: ExchangeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let pending = self.take_pending(exchange).ok_or(CommandError::UnknownExchange)?;
        let route = match pending.arrival.content {
            Content::Report { .. } => "metrics",
            Content::Static { .. } => "static",
        };
        let path = format!("{}/{route}", self.config.base_path);
        let refusal = (ErrorCode::ServiceUnavailable, Rejection::NotStored);
        self.reject(exchange, refusal, path, pending.client, pending.budget);
        Ok(())
    }

    // Inputs

    /// Takes a request and names the exchange; its answer is an output.
    ///
    /// `peer` is the address at the other end of the connection. The driver reads at most
    /// [`max_body`](Self::max_body)` + 1` bytes of the body and leaves the rest unread. Any path is fine: the
    /// query does not count, nor does a scheme or host. What was due by `now` happens first, so that a driver that is
    /// late with [`handle_timeout`](Self::handle_timeout) serves no key beyond its grace.
    pub fn handle_request(&mut self, request: Request<Bytes>, peer: IpAddr, now: Instant) -> ExchangeId {
        self.handle_timeout(now);
        let id = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let (head, body) = request.into_parts();
        let client = client_address(peer, &head.headers, &self.config.trusted_proxies);
        let mut exchange = Exchange { id, head: &head, body: &body, peer, client, budget: None };
        if let Err(refusal) = self.serve(&mut exchange) {
            let path = head.uri.path().chars().take(256).collect();
            self.reject(id, refusal, path, client, exchange.budget);
        }
        id
    }

    /// The client of an exchange went away. What waits for storage is forgotten; a word about it is then refused.
    pub fn handle_cancel(&mut self, id: ExchangeId, now: Instant) {
        self.see(now);
        self.take_pending(id);
    }

    /// Lets time pass: whatever was due by `now` happens. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see(now);
        while let Some((_, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Offline(node) => {
                    if let Some(state) = self.nodes.get_mut(&node) {
                        state.known.online = false;
                        self.event(Event::Offline { node });
                    }
                }
                Timer::KeyGrace(key) => self.keys.remove(key),
                // An error would mean that it was answered meanwhile; its timer is gone then.
                Timer::Storage(exchange) => drop(self.refuse_storage(exchange, self.now)),
            }
        }
    }

    // Outputs

    /// Returns the next piece of work; `None` means that the Dash waits for a request or its deadline.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due; `None` if nothing is. Ask again after every
    /// drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    // Getters

    /// Returns how many bytes a body may have; drivers read one byte more to see whether there is one.
    #[must_use]
    pub fn max_body(&self) -> usize {
        self.config.max_body
    }

    /// Returns the nodes in the order in which they were added.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &KnownNode)> {
        self.nodes.iter().map(|(&id, node)| (id, &node.known))
    }

    /// Returns what is known about a node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&KnownNode> {
        self.nodes.get(&node).map(|node| &node.known)
    }

    /// Returns the name that a node was added with.
    #[must_use]
    pub fn node_name(&self, node: NodeId) -> Option<&str> {
        self.node(node).map(|known| &*known.name)
    }

    /// Returns the update that is assigned to a node.
    #[must_use]
    pub fn update(&self, node: NodeId) -> Option<&Manifest> {
        self.nodes.get(&node)?.update.as_deref()
    }

    /// Returns how many exchanges wait for a word about their storage.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    // Parts

    fn check_new_key(&self, key: &Secret) -> Result<(), CommandError> {
        if key.is_blank() {
            Err(CommandError::BlankKey)
        } else if self.keys.node_of(key.expose()).is_some() {
            Err(CommandError::RepeatedKey)
        } else {
            Ok(())
        }
    }

    /// Ends all keys of a node, those with a grace period too.
    fn forget_keys(&mut self, node: NodeId) {
        for key in self.keys.remove_all(node) {
            self.timers.set(Timer::KeyGrace(key), None);
        }
    }

    pub(super) fn take_pending(&mut self, id: ExchangeId) -> Option<Pending> {
        self.timers.set(Timer::Storage(id), None);
        self.pending.remove(&id)
    }

    pub(super) fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn wall_clock(&self) -> Timestamp {
        let (wall_clock, since) = self.clock;
        wall_clock.checked_add(self.now.duration_since(since)).unwrap_or(wall_clock)
    }

    fn reject(
        &mut self,
        exchange: ExchangeId,
        (code, reason): Refusal,
        path: String,
        client: IpAddr,
        budget: Option<Budget>,
    ) {
        self.event(Event::Rejected { id: exchange, status: code.status(), code, path, client, reason });
        let response = answer::refusal(code, budget);
        self.outputs.push_back(Output::Respond { id: exchange, response });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl fmt::Debug for Dash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dash")
            .field("nodes", &self.nodes.len())
            .field("pending", &self.pending.len())
            .field("networks", &self.limiter.as_ref().map_or(0, RateLimiter::networks))
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}
