//! What happens between the machines: the private half of [`Exchanges`].

use super::super::{
    AgentWork, Attempt, Condition, ExchangeNews, FaultKind, HttpAgent, HttpServer, ServerWork,
};
use super::{Exchanges, Host, Open, Parcel};
use crate::exchange::authority_of;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use std::time::Duration;
use web_time::Instant;

impl<A: HttpAgent, S: HttpServer> Exchanges<A, S> {
    #[track_caller]
    pub(super) fn host_mut(&mut self, authority: &str) -> &mut Host<S, A::Id> {
        match self.hosts.get_mut(authority) {
            Some(host) => host,
            None => panic!("there is no server {authority}"),
        }
    }

    pub(super) fn next_server_output(&mut self) -> Option<(String, S::Output)> {
        let mut hosts = self.hosts.iter_mut();
        hosts.find_map(|(authority, host)| {
            host.machine.poll_output().map(|output| (authority.clone(), output))
        })
    }

    pub(super) fn carry_out_for_agent(
        &mut self,
        work: AgentWork<A::Id, A::Event, A::Other>,
        news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>),
    ) {
        match work {
            AgentWork::Request { id, request } => self.send(id, request),
            AgentWork::Cancel(id) => self.cancel(id),
            AgentWork::Event(event) => {
                news(self, ExchangeNews::AgentEvent(&event));
                self.agent_events.push((self.now, event));
            }
            AgentWork::Other(other) => {
                news(self, ExchangeNews::AgentOther(&other));
                self.agent_others.push((self.now, other));
            }
        }
    }

    pub(super) fn carry_out_for_server(
        &mut self,
        authority: String,
        work: ServerWork<S::Id, S::Event, S::Other>,
        news: &mut impl FnMut(&mut Self, ExchangeNews<'_, A, S>),
    ) {
        match work {
            ServerWork::Respond { id, response } => self.respond(&authority, id, response),
            ServerWork::Event(event) => {
                news(self, ExchangeNews::ServerEvent { authority: &authority, event: &event });
                self.server_events.push((self.now, authority, event));
            }
            ServerWork::Other(other) => {
                news(self, ExchangeNews::ServerOther { authority: &authority, other: &other });
                self.server_others.push((self.now, authority, other));
            }
        }
    }

    fn send(&mut self, id: A::Id, request: Request<Bytes>) {
        assert!(self.used.insert(id), "rule: ids are never reused; the agent sent two requests as {id:?}");
        let authority = authority_of(request.uri());
        let attempt = self.attempts.len();
        self.attempts.push(Attempt {
            at: self.now,
            authority: authority.clone(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            delivered: None,
        });
        let condition = self.hosts.get(&authority).map(|host| host.condition);
        self.open.insert(id, Open { authority, attempt, server_id: None, lost: false });
        match condition {
            None => self.fail(id, FaultKind::UnknownHost, self.now),
            Some(Condition::Refusing) => self.fail(id, FaultKind::Refused, self.now),
            Some(_) => {
                let at = self.now + self.random.travel(&self.conditions);
                self.in_flight.push(at, (id, Parcel::Request(request)));
            }
        }
    }

    pub(super) fn cancel(&mut self, id: A::Id) {
        self.in_flight.retain(|(other, _)| *other != id);
        if let Some(open) = self.open.remove(&id) {
            self.tell_server(open);
        }
    }

    /// Tells the server of an exchange without an answer that its client went away.
    fn tell_server(&mut self, open: Open<S::Id>) {
        if let (Some(server_id), Some(host)) = (open.server_id, self.hosts.get_mut(&open.authority)) {
            host.open.remove(&server_id);
            host.machine.handle_cancel(server_id, self.now);
        }
    }

    /// The outcome of the exchange will be a fault, whatever the server says.
    pub(super) fn fail(&mut self, id: A::Id, kind: FaultKind, at: Instant) {
        if let Some(open) = self.open.get_mut(&id) {
            open.lost = true;
            self.in_flight.push(at, (id, Parcel::Fault(kind)));
        }
    }

    fn respond(&mut self, authority: &str, server_id: S::Id, response: Response<Bytes>) {
        // An answer that crosses with a cancellation has no exchange any more.
        let host = self.host_mut(authority);
        let Some(id) = host.open.remove(&server_id) else { return };
        let slow = match host.condition {
            Condition::Slow(by) => by,
            _ => Duration::ZERO,
        };
        if let Some(open) = self.open.get_mut(&id) {
            open.server_id = None;
            if !open.lost {
                let at = self.now + slow + self.random.travel(&self.conditions);
                self.in_flight.push(at, (id, Parcel::Response(response)));
            }
        }
    }

    pub(super) fn deliver(&mut self, id: A::Id, parcel: Parcel) {
        match parcel {
            Parcel::Request(request) => self.deliver_request(id, request),
            Parcel::Response(response) => {
                if self.open.remove(&id).is_some() {
                    self.agent.handle_response(id, response, self.now);
                }
            }
            Parcel::Fault(kind) => {
                if let Some(open) = self.open.remove(&id) {
                    self.tell_server(open);
                    self.agent.handle_failure(id, (self.failure)(kind), self.now);
                }
            }
        }
    }

    fn deliver_request(&mut self, id: A::Id, request: Request<Bytes>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let Some(host) = self.hosts.get_mut(&open.authority) else { return };
        let back = self.now + self.random.travel(&self.conditions);
        let mut loss = self.conditions.loss_per_mille;
        match host.condition {
            Condition::Up | Condition::Slow(_) => {}
            Condition::Lossy(per_mille) => loss = loss.max(per_mille),
            Condition::Silent => return,
            Condition::Refusing => return self.fail(id, FaultKind::Refused, back),
            Condition::Status(code) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::from_u16(code).expect("the test chose a valid status");
                return self.in_flight.push(back, (id, Parcel::Response(response)));
            }
        }
        let lost = self.random.chance(loss);
        if !(lost && self.random.chance(500)) {
            let server_id = host.machine.handle_request(request, self.client, self.now);
            let before = host.open.insert(server_id, id);
            assert!(
                before.is_none(),
                "rule: ids are never reused; the server has two exchanges {server_id:?}"
            );
            open.server_id = Some(server_id);
            self.attempts[open.attempt].delivered = Some(self.now);
        }
        if lost {
            self.fail(id, FaultKind::Interrupted, back);
        }
    }
}
