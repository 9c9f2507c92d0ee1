//! A request on its way: the checks in their order, and what a valid report or Static leads to.

use super::answer;
use super::machine::{Dash, Timer};
use super::network::first_forwarded_for;
use super::rate::Budget;
use super::{
    BuildMetadata, ErrorCode, Event, ExchangeId, Identity, InstallId, Invalid, NodeAddress, NodeId, Output,
    Rejection, Storage, validate_report, validate_static,
};
use crate::wire::{self, IdentityResponse, Manifest, NodeReport, Static, Timestamp};
use crate::{SECRET_HEADER, Version};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method};
use serde::de::{Deserialize as _, DeserializeOwned, IgnoredAny};
use std::cmp::Ordering;
use std::net::IpAddr;
use web_time::Instant;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Metrics,
    Static,
    Identity,
}

/// A request on its way through the checks.
pub(super) struct Exchange<'a> {
    pub(super) id: ExchangeId,
    pub(super) head: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
    pub(super) client: IpAddr,
    /// Known past the rate limit; every later answer carries it.
    pub(super) budget: Option<Budget>,
}

/// A valid report or Static whose storage is awaited.
pub(super) struct Pending {
    pub(super) node: NodeId,
    pub(super) arrival: Arrival,
    pub(super) client: IpAddr,
    pub(super) budget: Option<Budget>,
}

/// What is kept of a report or Static.
pub(super) struct Arrival {
    pub(super) received: Instant,
    pub(super) collected_at: Timestamp,
    pub(super) address: Option<IpAddr>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Report { version: Box<str>, reported_at: Timestamp },
    Static { os: Box<str>, arch: Box<str> },
}

pub(super) type Refusal = (ErrorCode, Rejection);

impl Dash {
    // Checks, numbered as in the table of §3.

    pub(super) fn serve(&mut self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        let route = self.check_route(exchange)?; // 1
        check_media_type(exchange)?; // 2
        self.check_rate(exchange)?; // 3
        if route == Route::Identity {
            let key = check_has_key(exchange)?; // 5
            self.check_key(key)?; // 8
            return self.answer_identity(exchange); // 9
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
                self.take_report(exchange, node, report) // 9
            }
            Route::Static | Route::Identity => {
                let statics: Static = self.decode(exchange)?; // 6
                let invalid =
                    |invalid: Invalid| (ErrorCode::InvalidStaticPayload, Rejection::Invalid(invalid));
                validate_static(&statics).map_err(invalid)?; // 7
                let node = self.check_key(key)?; // 8
                self.take_static(exchange, node, statics) // 9
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
        let limit = self.config.max_body;
        let Some(start) = exchange.body.get(..limit).filter(|start| start.len() < exchange.body.len()) else {
            return Ok(());
        };
        match IgnoredAny::deserialize(&mut serde_json::Deserializer::from_slice(start)) {
            Err(error) if error.is_eof() => Err((ErrorCode::BodyTooLarge, Rejection::BodyTooLarge)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A body that is `null` has every member missing, and is refused for that.
    fn decode<T: DeserializeOwned + Default>(&self, exchange: &Exchange<'_>) -> Result<T, Refusal> {
        if exchange.body.len() > self.config.max_body {
            return Err((ErrorCode::InvalidRequest, Rejection::BodyTooLarge));
        }
        if exchange.body.trim_ascii() == b"null" {
            return Ok(T::default());
        }
        wire::decode(exchange.body)
            .map_err(|error| (ErrorCode::InvalidRequest, Rejection::Undecodable(error)))
    }

    fn check_key(&self, key: &str) -> Result<NodeId, Refusal> {
        self.keys.node_of(key).ok_or((ErrorCode::Unauthorized, Rejection::UnknownKey))
    }

    // What passed

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
        let content = Content::Report { version: retained(report.version.trim()), reported_at };
        let arrival = self.arrival(exchange, content);
        self.event(Event::Report {
            id: exchange.id,
            node,
            report: Box::new(report),
            collected_at: arrival.collected_at,
            reported_at,
            address: arrival.address,
            bytes: exchange.body.len(),
        });
        let pending = Pending { node, arrival, client: exchange.client, budget: exchange.budget };
        self.store(exchange.id, pending);
        Ok(())
    }

    fn take_static(&mut self, exchange: &Exchange<'_>, node: NodeId, statics: Static) -> Result<(), Refusal> {
        if let Some(limits) = &self.config.storage_limits {
            limits
                .check_static(&statics)
                .map_err(|error| (ErrorCode::ServiceUnavailable, Rejection::Unstorable(error)))?;
        }
        self.check_pending()?;
        let content =
            Content::Static { os: retained(&statics.system.os), arch: retained(&statics.system.arch) };
        let arrival = self.arrival(exchange, content);
        self.event(Event::Static {
            id: exchange.id,
            node,
            statics: Box::new(statics),
            collected_at: arrival.collected_at,
            address: arrival.address,
            bytes: exchange.body.len(),
        });
        let pending = Pending { node, arrival, client: exchange.client, budget: exchange.budget };
        self.store(exchange.id, pending);
        Ok(())
    }

    fn arrival(&self, exchange: &Exchange<'_>, content: Content) -> Arrival {
        let address = match self.config.node_address {
            NodeAddress::TrustedProxies => Some(exchange.client),
            NodeAddress::ForwardedFor => {
                first_forwarded_for(&exchange.head.headers).unwrap_or(Some(exchange.peer))
            }
        };
        Arrival { received: self.now, collected_at: self.wall_clock(), address, content }
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
    pub(super) fn commit(&mut self, id: ExchangeId, pending: Pending) {
        let Pending { node, arrival, client: _, budget } = pending;
        let response = match arrival.content {
            Content::Report { .. } => {
                let is_newest = self.reported(node, arrival);
                let update = if is_newest { self.delivery(node) } else { None };
                answer::metrics(update, budget)
            }
            Content::Static { os, arch } => {
                if let Some(state) = self.nodes.get_mut(&node)
                    && state.last_static.is_none_or(|last| arrival.received >= last)
                {
                    state.last_static = Some(arrival.received);
                    (state.known.os, state.known.arch, state.known.address) = (os, arch, arrival.address);
                }
                answer::ok(budget)
            }
        };
        self.outputs.push_back(Output::Respond { id, response });
    }

    /// Takes over what a report says; returns whether it is the newest one by the time of its receipt. The node may
    /// be gone, and under [`Storage::Confirmed`] a later report may have been stored before this one.
    fn reported(&mut self, node: NodeId, arrival: Arrival) -> bool {
        let Some(state) = self.nodes.get_mut(&node) else {
            return false;
        };
        if state.last_report.is_some_and(|last| arrival.received < last) {
            return false;
        }
        state.last_report = Some(arrival.received);
        let known = &mut state.known;
        known.address = arrival.address;
        known.collected_at = Some(arrival.collected_at);
        if let Content::Report { version, reported_at } = arrival.content {
            known.reported_at = Some(reported_at);
            if known.version.as_deref() != Some(&*version) {
                known.version = Some(version);
            }
        }
        let offline_at = arrival.received.checked_add(self.config.offline_after);
        if offline_at.is_none_or(|at| at > self.now) {
            let was_online = std::mem::replace(&mut known.online, true);
            self.timers.set(Timer::Offline(node), offline_at);
            if !was_online {
                self.event(Event::Online { node });
            }
        }
        true
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

    pub(super) fn is_too_old(&self, current: &Version<'_>) -> bool {
        let minimum = self.config.min_update_version.as_deref();
        let minimum = minimum.and_then(|version| Version::parse(version).ok());
        minimum.is_some_and(|minimum| current.precedence(&minimum) == Ordering::Less)
    }
}

/// Returns what is kept of a text that a node sent: its first 256 characters.
fn retained(text: &str) -> Box<str> {
    let end = text.char_indices().nth(256).map_or(text.len(), |(end, _)| end);
    text[..end].into()
}

/// A request that announces no body needs no media type. Nothing is trimmed behind the cut at the first `;`, so that
/// `application/json ; x` is another type, as in the original.
fn check_media_type(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    let headers = &exchange.head.headers;
    let length = headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if !length && !headers.contains_key(TRANSFER_ENCODING) && exchange.body.is_empty() {
        return Ok(());
    }
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = media_type.trim_ascii().split(|&byte| byte == b';').next().unwrap_or_default();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        Ok(())
    } else {
        Err((ErrorCode::UnsupportedMediaType, Rejection::MediaType))
    }
}

/// Of several keys the first counts.
fn check_has_key<'a>(exchange: &Exchange<'a>) -> Result<&'a str, Refusal> {
    let key = exchange.head.headers.get(SECRET_HEADER).filter(|key| !key.is_empty());
    let key = key.ok_or((ErrorCode::Unauthorized, Rejection::NoKey))?;
    // A key that is no text is nobody's, as a blank one is; step 8 says so.
    Ok(std::str::from_utf8(key.as_bytes()).unwrap_or_default())
}
