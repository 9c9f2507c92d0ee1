//! The machine itself: the order of the checks, and what a valid report leads to.

use super::answer;
use super::keys::{KeyDigest, Keys};
use super::network::{client_address, first_forwarded_for};
use super::rate::{Budget, RateLimiter};
use super::release::check_manifest;
use super::{
    BuildMetadata, Config, ConfigError, ErrorCode, Event, ExchangeId, Identity, InstallId, Invalid,
    KnownNode, NodeAddress, NodeId, Output, Rejection, Release, Storage, UpdateRefused, validate_report,
    validate_static,
};
use crate::timer::Timers;
use crate::wire::{self, IdentityResponse, Manifest, NodeReport, Static, Timestamp};
use crate::{SECRET_HEADER, Secret, Version};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request};
use serde::de::{Deserialize as _, DeserializeOwned, IgnoredAny};
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use web_time::Instant;

/// The Dash's state machine.
///
/// Every request is answered, most of them at once: what passes the checks of §14.1 becomes an event with the report
/// in it and a 200. Nodes are known by their keys only; no report is kept.
///
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
/// use ithiltir_proto::Secret;
/// use ithiltir_proto::dash::{Config, Dash, Event, Identity, Output};
/// use web_time::Instant;
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
    config: Config,
    nodes: BTreeMap<NodeId, Node>,
    keys: Keys,
    limiter: Option<RateLimiter>,
    pending: BTreeMap<ExchangeId, Pending>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    next_node: u64,
    next_exchange: u64,
    now: Instant,
    /// Wall-clock time at an instant.
    clock: (Timestamp, Instant),
}

/// Why a command was refused; nothing changed.
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

struct Node {
    known: KnownNode,
    key: KeyDigest,
    update: Option<Box<Manifest>>,
}

/// Reasons to wake up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Offline(NodeId),
    KeyGrace(KeyDigest),
    Storage(ExchangeId),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Metrics,
    Static,
    Identity,
}

/// A request on its way through the checks.
struct Exchange<'a> {
    id: ExchangeId,
    head: &'a Parts,
    body: &'a [u8],
    peer: IpAddr,
    client: IpAddr,
    /// Known past the rate limit; every later answer carries it.
    budget: Option<Budget>,
}

/// A valid report or Static whose storage is awaited.
struct Pending {
    node: NodeId,
    arrival: Arrival,
    budget: Option<Budget>,
}

/// What is kept of a report or Static.
struct Arrival {
    collected_at: Timestamp,
    address: Option<IpAddr>,
    content: Content,
}

enum Content {
    Report { version: Box<str>, reported_at: Timestamp },
    Static { os: Box<str>, arch: Box<str> },
}

type Refusal = (ErrorCode, Rejection);

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
        self.nodes.insert(id, Node { known, key, update: None });
        Ok(id)
    }

    /// Removes a node. Its keys are unknown from now on; what waits for storage is answered all the same.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`].
    pub fn remove_node(&mut self, node: NodeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        self.nodes.remove(&node).ok_or(CommandError::UnknownNode)?;
        for key in self.keys.remove_all(node) {
            self.timers.set(Timer::KeyGrace(key), None);
        }
        self.timers.set(Timer::Offline(node), None);
        Ok(())
    }

    /// Gives a node another key. The one before stays valid for `grace`; without any, it is unknown at once, as in
    /// the original.
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
        let state = self.nodes.get_mut(&node).ok_or(CommandError::UnknownNode)?;
        let before = std::mem::replace(&mut state.key, self.keys.insert(node, &key));
        if grace.is_zero() {
            self.keys.remove(before);
        } else {
            self.timers.set(Timer::KeyGrace(before), self.now.checked_add(grace));
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
        if known.version.is_none() {
            return Err(UpdateRefused::VersionUnavailable);
        }
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

    /// Says that a report or Static was stored, under [`Storage::Confirmed`]: it is answered with 200.
    ///
    /// # Errors
    /// [`CommandError::UnknownExchange`] if the exchange does not wait.
    pub fn confirm(&mut self, exchange: ExchangeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let pending = self.take_pending(exchange).ok_or(CommandError::UnknownExchange)?;
        self.commit(exchange, pending);
        Ok(())
    }

    /// Says that a report or Static cannot be stored, under [`Storage::Confirmed`]: it is answered with 503.
    ///
    /// # Errors
    /// [`CommandError::UnknownExchange`] if the exchange does not wait.
    pub fn refuse_storage(&mut self, exchange: ExchangeId, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        let pending = self.take_pending(exchange).ok_or(CommandError::UnknownExchange)?;
        let response = answer::refusal(ErrorCode::ServiceUnavailable, pending.budget);
        self.outputs.push_back(Output::Respond { id: exchange, response });
        Ok(())
    }

    // Inputs

    /// Takes a request and names the exchange; its answer is an output.
    ///
    /// `peer` is the address at the other end of the connection. The driver reads at most
    /// [`body_limit`](Self::body_limit)` + 1` bytes of the body and leaves the rest unread. Any path is fine: the
    /// query does not count, nor does a scheme or host.
    pub fn handle_request(&mut self, request: Request<Bytes>, peer: IpAddr, now: Instant) -> ExchangeId {
        self.see(now);
        let id = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let (head, body) = request.into_parts();
        let client = client_address(peer, &head.headers, &self.config.trusted_proxies);
        let mut exchange = Exchange { id, head: &head, body: &body, peer, client, budget: None };
        if let Err((code, reason)) = self.serve(&mut exchange) {
            let path = head.uri.path().chars().take(256).collect();
            let status = code.status();
            self.event(Event::Rejected { exchange: id, status, code, path, client, reason });
            let response = answer::refusal(code, exchange.budget);
            self.outputs.push_back(Output::Respond { id, response });
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

    /// Returns when [`handle_timeout`](Self::handle_timeout) is next due. Ask again after every drain.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    // Getters

    /// Returns how long a body may be; drivers read one byte more to see whether there is one.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.config.body_limit
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

    // Checks (§14.1). The number of each step is the document's.

    fn serve(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        let route = self.check_route(exchange)?; // 1
        check_media_type(exchange)?; // 2
        self.check_rate(exchange)?; // 3
        if route == Route::Identity {
            let key = check_has_key(exchange)?; // 5
            self.check_key(key)?; // 8
            return self.answer_identity(exchange); // 9, 10
        }
        if self.config.authenticate_first {
            self.check_key(check_has_key(exchange)?)?;
        }
        self.check_length(exchange)?; // 4
        let key = check_has_key(exchange)?; // 5
        match route {
            Route::Metrics => {
                let report: NodeReport = self.decode(exchange)?; // 6
                let invalid = |invalid: Invalid| (ErrorCode::InvalidMetrics, Rejection::Invalid(invalid));
                validate_report(&report).map_err(invalid)?; // 7
                let node = self.check_key(key)?; // 8
                self.take_report(exchange, node, report) // 9, 10
            }
            Route::Static | Route::Identity => {
                let statics: Static = self.decode(exchange)?; // 6
                let invalid =
                    |invalid: Invalid| (ErrorCode::InvalidStaticPayload, Rejection::Invalid(invalid));
                validate_static(&statics).map_err(invalid)?; // 7
                let node = self.check_key(key)?; // 8
                self.take_static(exchange, node, statics) // 9, 10
            }
        }
    }

    fn check_route(&self, exchange: &Exchange<'_>) -> Result<Route, Refusal> {
        let route = match exchange.head.uri.path().strip_prefix(&*self.config.base_path) {
            Some("/metrics") => Route::Metrics,
            Some("/static") => Route::Static,
            Some("/identity") => Route::Identity,
            _ => return Err((ErrorCode::NotFound, Rejection::Route)),
        };
        if exchange.head.method == Method::POST {
            Ok(route)
        } else {
            Err((ErrorCode::MethodNotAllowed, Rejection::Method))
        }
    }

    fn check_rate(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        let wall_clock = self.wall_clock();
        exchange.budget = self.limiter.as_mut().map(|limiter| limiter.request(exchange.client, wall_clock));
        match exchange.budget {
            Some(Budget { retry_after: Some(_), .. }) => Err((ErrorCode::RateLimited, Rejection::RateLimit)),
            Some(_) | None => Ok(()),
        }
    }

    /// Too long while the JSON value is still being read; one that is over by then is step 6's.
    fn check_length(&self, exchange: &Exchange<'_>) -> Result<(), Refusal> {
        let Some((start, _)) = exchange.body.split_at_checked(self.config.body_limit + 1) else {
            return Ok(());
        };
        let start = &start[..self.config.body_limit];
        match IgnoredAny::deserialize(&mut serde_json::Deserializer::from_slice(start)) {
            Err(error) if error.is_eof() => Err((ErrorCode::BodyTooLarge, Rejection::BodyTooLarge)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn decode<T: DeserializeOwned>(&self, exchange: &Exchange<'_>) -> Result<T, Refusal> {
        if exchange.body.len() > self.config.body_limit {
            return Err((ErrorCode::InvalidRequest, Rejection::BodyTooLarge));
        }
        wire::decode(exchange.body)
            .map_err(|error| (ErrorCode::InvalidRequest, Rejection::Undecodable(error)))
    }

    fn check_key(&self, key: &str) -> Result<NodeId, Refusal> {
        self.keys.node_of(key).ok_or((ErrorCode::Unauthorized, Rejection::UnknownKey))
    }

    // What passed (§14.3, §14.5 to §14.7)

    fn answer_identity(&mut self, exchange: &Exchange<'_>) -> Result<(), Refusal> {
        let (install_id, created) = match &self.config.identity {
            Identity::Known(install_id) => (install_id.clone(), false),
            Identity::Absent { entropy } => (InstallId::from_entropy(*entropy), true),
            Identity::Unusable => return Err((ErrorCode::ServiceUnavailable, Rejection::Identity)),
        };
        if created {
            self.config.identity = Identity::Known(install_id.clone());
            self.event(Event::IdentityCreated { install_id: install_id.clone() });
        }
        let identity = IdentityResponse { install_id: install_id.as_str().to_owned(), created };
        let response = answer::json(&identity, exchange.budget);
        self.outputs.push_back(Output::Respond { id: exchange.id, response });
        Ok(())
    }

    fn take_report(
        &mut self,
        exchange: &Exchange<'_>,
        node: NodeId,
        report: NodeReport,
    ) -> Result<(), Refusal> {
        if let Some(limits) = &self.config.storage_limits {
            limits
                .check_report(&report)
                .map_err(|error| (ErrorCode::ServiceUnavailable, Rejection::Unstorable(error)))?;
        }
        self.check_pending()?;
        let reported_at = report.timestamp.truncated_to_seconds();
        let content = Content::Report { version: report.version.trim().into(), reported_at };
        let arrival = self.arrival(exchange, content);
        self.event(Event::Report {
            exchange: exchange.id,
            node,
            report: Box::new(report),
            collected_at: arrival.collected_at,
            reported_at,
            address: arrival.address,
            bytes: exchange.body.len(),
        });
        self.store(exchange.id, Pending { node, arrival, budget: exchange.budget });
        Ok(())
    }

    fn take_static(&mut self, exchange: &Exchange<'_>, node: NodeId, statics: Static) -> Result<(), Refusal> {
        if let Some(limits) = &self.config.storage_limits {
            limits
                .check_static(&statics)
                .map_err(|error| (ErrorCode::ServiceUnavailable, Rejection::Unstorable(error)))?;
        }
        self.check_pending()?;
        let content = Content::Static {
            os: statics.system.os.as_str().into(),
            arch: statics.system.arch.as_str().into(),
        };
        let arrival = self.arrival(exchange, content);
        self.event(Event::Static {
            exchange: exchange.id,
            node,
            statics: Box::new(statics),
            collected_at: arrival.collected_at,
            address: arrival.address,
            bytes: exchange.body.len(),
        });
        self.store(exchange.id, Pending { node, arrival, budget: exchange.budget });
        Ok(())
    }

    fn arrival(&self, exchange: &Exchange<'_>, content: Content) -> Arrival {
        let address = match self.config.node_address {
            NodeAddress::TrustedProxies => Some(exchange.client),
            NodeAddress::ForwardedFor => {
                first_forwarded_for(&exchange.head.headers).unwrap_or(Some(exchange.peer))
            }
        };
        Arrival { collected_at: self.wall_clock(), address, content }
    }

    fn check_pending(&self) -> Result<(), Refusal> {
        match self.config.storage {
            Storage::Confirmed { max_pending, .. } if self.pending.len() >= max_pending => {
                Err((ErrorCode::ServiceUnavailable, Rejection::NotStored))
            }
            Storage::Confirmed { .. } | Storage::Immediate => Ok(()),
        }
    }

    fn store(&mut self, id: ExchangeId, pending: Pending) {
        match self.config.storage {
            Storage::Immediate => self.commit(id, pending),
            Storage::Confirmed { timeout, .. } => {
                self.timers.set(Timer::Storage(id), self.now.checked_add(timeout));
                self.pending.insert(id, pending);
            }
        }
    }

    /// It is stored: the node has reported, and gets its answer.
    fn commit(&mut self, id: ExchangeId, pending: Pending) {
        let Pending { node, arrival, budget } = pending;
        let response = match arrival.content {
            Content::Report { .. } => {
                self.reported(node, arrival);
                let update = self.delivery(node);
                answer::metrics(update, budget)
            }
            Content::Static { os, arch } => {
                if let Some(state) = self.nodes.get_mut(&node) {
                    (state.known.os, state.known.arch, state.known.address) = (os, arch, arrival.address);
                }
                answer::ok(budget)
            }
        };
        self.outputs.push_back(Output::Respond { id, response });
    }

    fn reported(&mut self, node: NodeId, arrival: Arrival) {
        let Some(state) = self.nodes.get_mut(&node) else {
            return; // removed while its report waited
        };
        let known = &mut state.known;
        known.address = arrival.address;
        known.collected_at = Some(arrival.collected_at);
        if let Content::Report { version, reported_at } = arrival.content {
            known.reported_at = Some(reported_at);
            if known.version.as_deref() != Some(&*version) {
                known.version = Some(version);
            }
        }
        let was_online = std::mem::replace(&mut known.online, true);
        self.timers.set(Timer::Offline(node), self.now.checked_add(self.config.offline_after));
        if !was_online {
            self.event(Event::Online { node });
        }
    }

    /// Returns the manifest that goes with the answer to a node's report, or ends the task.
    fn delivery(&mut self, node: NodeId) -> Option<Manifest> {
        let state = self.nodes.get(&node)?;
        let manifest = state.update.as_deref()?;
        let current = Version::parse(state.known.version.as_deref()?).ok()?;
        let offered = Version::parse(&manifest.version).ok()?;
        let wanted = match current.precedence(&offered) {
            Ordering::Less => true,
            Ordering::Equal => {
                self.config.build_metadata == BuildMetadata::Deliver && !current.same_build(&offered)
            }
            Ordering::Greater => false,
        };
        if !wanted {
            self.nodes.get_mut(&node)?.update = None;
            self.event(Event::UpdateCleared { node });
            return None;
        }
        if self.is_too_old(&current) {
            return None;
        }
        let manifest = manifest.clone();
        self.event(Event::UpdateOffered { node, version: manifest.version.clone() });
        Some(manifest)
    }

    fn is_too_old(&self, current: &Version<'_>) -> bool {
        let minimum = self.config.minimum_update_version.as_deref();
        let minimum = minimum.and_then(|version| Version::parse(version).ok());
        minimum.is_some_and(|minimum| current.precedence(&minimum) == Ordering::Less)
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

    fn take_pending(&mut self, id: ExchangeId) -> Option<Pending> {
        self.timers.set(Timer::Storage(id), None);
        self.pending.remove(&id)
    }

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn wall_clock(&self) -> Timestamp {
        let (wall_clock, since) = self.clock;
        wall_clock.checked_add(self.now.duration_since(since)).unwrap_or(wall_clock)
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// A request that announces no body needs no media type. Nothing is trimmed behind the cut at the first `;`, so that
/// `application/json ; x` is another type, as in the original.
fn check_media_type(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    let headers = &exchange.head.headers;
    let length = headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if !length && !headers.contains_key(TRANSFER_ENCODING) && exchange.body.is_empty() {
        return Ok(());
    }
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.trim().split(';').next().unwrap_or_default();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err((ErrorCode::UnsupportedMediaType, Rejection::MediaType))
    }
}

/// Of several keys the first counts.
fn check_has_key<'a>(exchange: &Exchange<'a>) -> Result<&'a str, Refusal> {
    let key = exchange.head.headers.get(SECRET_HEADER).filter(|key| !key.is_empty());
    let key = key.ok_or((ErrorCode::Unauthorized, Rejection::NoKey))?;
    // A key that is no text is nobody's.
    std::str::from_utf8(key.as_bytes()).map_err(|_| (ErrorCode::Unauthorized, Rejection::UnknownKey))
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
