//! What Core asks others: nodes for their statistics, providers about addresses. §10.6.

use super::enrichment::{Job, Task};
use super::machine::Timer;
use super::settle::{Effect, Pending};
use super::{Change, CommandError, Core, Event, FetchId, Output, QueryFailed, QueryId, RequestId};
use crate::call::{Delivery, Failure, FailureKind};
use crate::message::{HttpBody as _, RuntimeStatus};
use crate::value::{Address, NodeId};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use web_time::Instant;

/// What is open outside.
#[derive(Default)]
pub(super) struct Outside {
    fetches: BTreeMap<RequestId, (FetchId, NodeId)>,
    /// The open request of enrichment.
    request: Option<RequestId>,
    /// The open query of enrichment.
    query: Option<QueryId>,
    next_request: u64,
    next_fetch: u64,
    next_query: u64,
}

impl Core {
    /// Asks a node for its statistics now, at the address and port that it registered, without any key.
    /// [`Event::RuntimeStatus`] has what came of it, with the same id, within [`Config::fetch_timeout`](super::Config::fetch_timeout).
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`], [`CommandError::TooManyFetches`].
    pub fn fetch_runtime_status(&mut self, node: &NodeId, now: Instant) -> Result<FetchId, CommandError> {
        self.advance(now);
        let record = self.present(node)?;
        if self.outside.fetches.len() >= self.config.max_fetches {
            return Err(CommandError::TooManyFetches);
        }
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.status_uri(record.ip, record.port.get());
        request
            .headers_mut()
            .insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
        let fetch = FetchId(self.outside.next_fetch);
        self.outside.next_fetch += 1;
        let id = self.outside.request_id();
        self.outside.fetches.insert(id, (fetch, node.clone()));
        self.timers.set(Timer::Fetch(id), self.now.checked_add(self.config.fetch_timeout));
        self.outputs.push_back(Output::Request { id, request });
        Ok(fetch)
    }

    fn status_uri(&self, ip: Address, port: u16) -> Uri {
        let authority = SocketAddr::new(ip.get(), port).to_string();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority =
            Some(Authority::try_from(authority).expect("an address with a port is an authority"));
        parts.path_and_query = Some(self.config.fetch_path.clone());
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }

    /// Starts a run of enrichment before its time. [`Event::Enriched`] tells of its end.
    ///
    /// # Errors
    /// [`CommandError::NoEnrichment`], [`CommandError::Running`].
    pub fn start_enrichment(&mut self, job: Job, now: Instant) -> Result<(), CommandError> {
        self.advance(now);
        let (wall_clock, now) = (self.time_of_day(), self.now);
        let enrichment = self.enrichment.as_mut().ok_or(CommandError::NoEnrichment)?;
        if !enrichment.start(job, wall_clock, now) {
            return Err(CommandError::Running);
        }
        self.take_tasks();
        Ok(())
    }

    /// A request has a response, of whatever status.
    pub fn handle_response(&mut self, id: RequestId, response: Response<Bytes>, now: Instant) {
        self.advance(now);
        if let Some((fetch, node)) = self.outside.fetches.remove(&id) {
            let outcome = self.read_status(&response);
            self.end_fetch(id, fetch, node, outcome);
        } else if self.outside.request == Some(id) {
            self.outside.request = None;
            let now = self.now;
            self.enrichment.iter_mut().for_each(|enrichment| enrichment.handle_response(&response, now));
            self.take_tasks();
        }
    }

    /// A request has no response.
    pub fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Instant) {
        self.advance(now);
        if let Some((fetch, node)) = self.outside.fetches.remove(&id) {
            self.end_fetch(id, fetch, node, Err(failure));
        } else if self.outside.request == Some(id) {
            self.outside.request = None;
            let now = self.now;
            self.enrichment.iter_mut().for_each(|enrichment| enrichment.handle_failure(failure.clone(), now));
            self.take_tasks();
        }
    }

    /// A query has these addresses for an answer, or none: then the run that it was for ends.
    pub fn handle_addresses(
        &mut self,
        id: QueryId,
        outcome: Result<Vec<Address>, QueryFailed>,
        now: Instant,
    ) {
        self.advance(now);
        if self.outside.query == Some(id) {
            self.outside.query = None;
            let now = self.now;
            if let Some(enrichment) = &mut self.enrichment {
                match outcome {
                    Ok(addresses) => enrichment.handle_addresses(addresses, now),
                    Err(QueryFailed) => enrichment.handle_query_failure(now),
                }
            }
            self.take_tasks();
        }
    }

    /// A node did not answer in time.
    pub(super) fn give_up(&mut self, id: RequestId) {
        if let Some((fetch, node)) = self.outside.fetches.remove(&id) {
            self.outputs.push_back(Output::Cancel(id));
            let failure = Failure::new(Delivery::Perhaps, FailureKind::TimedOut);
            self.end_fetch(id, fetch, node, Err(failure));
        }
    }

    pub(super) fn wake_enrichment(&mut self) {
        let (wall_clock, now) = (self.time_of_day(), self.now);
        if let Some(enrichment) = &mut self.enrichment
            && enrichment.next_deadline().is_some_and(|at| at <= now)
        {
            enrichment.handle_timeout(wall_clock, now);
            self.take_tasks();
        }
    }

    /// Passes on what enrichment asks for.
    fn take_tasks(&mut self) {
        while let Some(task) = self.enrichment.as_mut().and_then(super::enrichment::Enrichment::poll) {
            match task {
                Task::Query(query) => {
                    let id = self.outside.query_id();
                    self.outside.query = Some(id);
                    self.outputs.push_back(Output::Query { id, query });
                }
                Task::Request(request) => {
                    let id = self.outside.request_id();
                    self.outside.request = Some(id);
                    self.outputs.push_back(Output::Request { id, request });
                }
                Task::CancelRequest => {
                    self.outputs.extend(self.outside.request.take().map(Output::Cancel));
                }
                Task::Store(found) => {
                    let at = self.time_of_day();
                    let changes = found.into_iter().map(|(ip, info)| Change::AddressInfo { ip, info, at });
                    self.store(changes.collect(), Pending::new(Effect::Nothing, self.now));
                }
                Task::Finished(report) => self.push(Event::Enriched(report)),
            }
        }
    }

    fn read_status(&self, response: &Response<Bytes>) -> Result<RuntimeStatus, Failure> {
        let kind = if !response.status().is_success() {
            FailureKind::Http(response.status().as_u16())
        } else if response.body().len() > self.config.max_response {
            FailureKind::TooLarge
        } else {
            match RuntimeStatus::from_json(response.body()) {
                Ok(status) => return Ok(status),
                Err(error) => FailureKind::Unreadable(error),
            }
        };
        Err(Failure::answered(kind))
    }

    fn end_fetch(
        &mut self,
        request: RequestId,
        id: FetchId,
        node: NodeId,
        outcome: Result<RuntimeStatus, Failure>,
    ) {
        self.timers.set(Timer::Fetch(request), None);
        self.push(Event::RuntimeStatus { id, node, outcome: outcome.map(Box::new) });
    }
}

impl Outside {
    fn request_id(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    fn query_id(&mut self) -> QueryId {
        self.next_query += 1;
        QueryId(self.next_query)
    }
}
