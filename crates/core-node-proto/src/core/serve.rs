//! What becomes of a call. §2, §11.

use super::settle::{Effect, Pending};
use super::step::Step;
use super::{
    Change, CodeDigest, Config, Confirmation, Core, Event, ExchangeId, KeyDigest, NodeRecord, Output, StoreId,
};
use crate::call::{Body, Call, ConfigReply, Credential, Incoming, Refusal, Reply};
use crate::message::{
    Acknowledgement, ConfigApplied, FieldError, Heartbeat, HeartbeatReply, NodeError, Register, Registered,
};
use crate::value::{NodeId, Revision, ValueError};
use crate::{Method, Secret, grpc, http};
use std::sync::Arc;
use web_time::Instant;

/// What to say to a call that is taken: at once, or once it is stored.
pub(super) enum Answer {
    Now(Reply),
    Stored,
}

/// What a record is stored for.
pub(super) enum For {
    /// A call, with its reply and its news once it is stored.
    Exchange(ExchangeId, Reply, Option<Event>),
    /// A command.
    Command,
    /// Core itself.
    Core,
}

pub(super) const ACKNOWLEDGED: Reply = Reply::Acknowledged(Acknowledgement { ok: true });

/// A call that is read, and the node that makes it.
struct Request {
    exchange: ExchangeId,
    node: NodeId,
    call: Call,
}

impl Core {
    /// Takes a call and names the exchange. Its reply is an output, at once or when what it changes is stored.
    ///
    /// Of a call that is refused nothing is kept: without a known key it is [`Refusal::Unauthorized`], with a field that breaks a
    /// rule [`Refusal::Invalid`], above a limit of [`Config`] [`Refusal::TooLarge`] or [`Refusal::Unavailable`].
    pub fn handle_call(&mut self, incoming: Incoming, now: Instant) -> ExchangeId {
        self.advance(now);
        let id = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let method = incoming.method;
        match self.serve(id, incoming) {
            Ok(Answer::Stored) => drop(self.waiting.insert(id)),
            Ok(Answer::Now(reply)) => self.reply(id, Ok(reply)),
            Err(refusal) => {
                match (&refusal, method) {
                    (Refusal::Unauthorized, Method::Register) => self.push(Event::RegistrationRefused { id }),
                    (Refusal::Unauthorized, _) => self.push(Event::Unauthorized { id, method }),
                    _ => {}
                }
                self.reply(id, Err(refusal));
            }
        }
        id
    }

    pub(super) fn reply(&mut self, id: ExchangeId, outcome: Result<Reply, Refusal>) {
        self.outputs.push_back(Output::Reply { id, outcome });
    }

    fn serve(&mut self, exchange: ExchangeId, incoming: Incoming) -> Result<Answer, Refusal> {
        if incoming.method == Method::Register {
            let call = read_body(&self.config, Method::Register, incoming.body)?.0;
            let Call::Register(register) = call else { return Err(Refusal::Unknown) };
            return self.register(exchange, &register);
        }
        let request = self.authenticate(exchange, incoming)?;
        check_items(&request.call, self.config.max_items)?;
        self.act(request)
    }

    /// Finds the node of a call by its key, then reads the call; in the other order if the key is in a field of it.
    fn authenticate(&self, exchange: ExchangeId, incoming: Incoming) -> Result<Request, Refusal> {
        let Incoming { method, credential, body } = incoming;
        let key = match credential {
            Credential::Key(key) if !key.is_empty() => Some(key),
            Credential::Unusable => return Err(Refusal::Unauthorized),
            Credential::Key(_) | Credential::Absent => None,
        };
        let node = key.as_ref().map(|key| self.node_of_key(key)).transpose()?;
        if node.is_none() && !matches!(body, Body::Protobuf(_)) {
            return Err(Refusal::Unauthorized);
        }
        let (call, field) = read_body(&self.config, method, body)?;
        let node = match (node, field) {
            (Some(node), _) => node,
            (None, Some(key)) => self.node_of_key(&key)?,
            (None, None) => return Err(Refusal::Unauthorized),
        };
        Ok(Request { exchange, node, call })
    }

    fn node_of_key(&self, key: &Secret) -> Result<NodeId, Refusal> {
        let digest = KeyDigest::of(key);
        let id = self.keys.get(&digest).ok_or(Refusal::Unauthorized)?;
        let node = self.nodes.get(id).filter(|node| node.record.key.matches(&digest));
        let node = node.ok_or(Refusal::Unauthorized)?;
        if node.is_leaving { Err(Refusal::Unavailable) } else { Ok(id.clone()) }
    }

    fn act(&mut self, request: Request) -> Result<Answer, Refusal> {
        let Request { exchange, node, call } = request;
        match call {
            Call::Register(_) => Err(Refusal::Unknown), // only as the method of its own
            Call::Heartbeat(heartbeat) => self.heartbeat(exchange, &node, &heartbeat),
            Call::GetLatestConfig => Ok(Answer::Now(self.latest_config(&node))),
            Call::ConfirmConfigApplied(applied) => self.applied(exchange, &node, applied),
            Call::ReportError(error) => self.error(exchange, &node, error),
            Call::ReportUsage(usage) => self.usage(exchange, &node, &usage.entries),
            Call::ReportOutboundUsage(usage) => self.outbound_usage(exchange, &node, usage),
            Call::ReportSessionEvents(sessions) => self.sessions(exchange, &node, sessions),
            Call::ReportOnlineUsers(online) => self.online_users(exchange, &node, &online),
            Call::ReportNodeStats(stats) => Ok(Answer::Now(self.node_stats(&node, stats))),
        }
    }

    fn register(&mut self, exchange: ExchangeId, register: &Register) -> Result<Answer, Refusal> {
        let code = CodeDigest::of(&register.code);
        let expires = self.codes.get(&code).ok_or(Refusal::Unauthorized)?;
        let is_over = expires.is_some_and(|expires| expires <= self.time_of_day());
        if is_over || self.reserved.contains(&code) {
            return Err(Refusal::Unauthorized);
        }
        let id = NodeId::new(i64::from(self.last_node) + 1).map_err(|_| Refusal::Unavailable)?;
        if !self.has_room() || self.nodes.len() + self.registering >= self.config.max_nodes {
            return Err(Refusal::Unavailable);
        }
        self.last_node += 1;
        self.registering += 1;
        self.reserved.insert(code);
        let key = self.config.entropy.auth_key();
        let record = Arc::new(NodeRecord::new(id.clone(), KeyDigest::of(&key), register));
        let changes = vec![Change::CodeUsed(code), Change::Node(record.clone())];
        let reply = Reply::Registered(Registered { auth_key: key, node_id: id });
        let pending = Pending::new(Effect::Registered { record, code }, self.now);
        self.store(changes, pending.answering(exchange, reply));
        Ok(Answer::Stored)
    }

    fn heartbeat(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        heartbeat: &Heartbeat,
    ) -> Result<Answer, Refusal> {
        let current = self.published.of(id).revision();
        let wall_clock = self.time_of_day();
        let before = self.nodes.get(id).ok_or(Refusal::Unauthorized)?.latest();
        let ahead = heartbeat.revision.filter(|revision| *revision > current);
        let ahead = ahead.filter(|revision| before.revision != Some(*revision));
        let need_sync = self.config.need_sync.asks(heartbeat.revision, current);
        let step = Step::Seen(heartbeat.clone(), wall_clock);
        let reply = Reply::Heartbeat(HeartbeatReply { ok: true, need_sync });
        let news = ahead.map(|revision| Event::Ahead { node: id.clone(), revision, current });
        self.answer_when_changed(exchange, id, step, reply, news)
    }

    fn latest_config(&self, id: &NodeId) -> Reply {
        Reply::Config(ConfigReply { config: self.published.of(id).clone(), warnings: Vec::new() })
    }

    fn applied(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        applied: ConfigApplied,
    ) -> Result<Answer, Refusal> {
        let current = self.published.of(id).revision();
        let (revision, rule) = (applied.revision, self.config.confirmation);
        if rule == Confirmation::Strict && revision > current {
            let error = ValueError::OutOfRange { least: 0, most: current.get().into() };
            return Err(Refusal::Invalid(FieldError::new("revision", error)));
        }
        let step = Step::Applied { revision, current, rule };
        self.answer_when_changed(exchange, id, step, ACKNOWLEDGED, None)
    }

    fn error(&mut self, exchange: ExchangeId, id: &NodeId, error: NodeError) -> Result<Answer, Refusal> {
        let error = Arc::new(error);
        let news = Event::NodeError { node: id.clone(), error: error.clone() };
        self.answer_when_changed(exchange, id, Step::Failed(error), ACKNOWLEDGED, Some(news))
    }

    fn answer_when_changed(
        &mut self,
        exchange: ExchangeId,
        id: &NodeId,
        step: Step,
        reply: Reply,
        news: Option<Event>,
    ) -> Result<Answer, Refusal> {
        if !self.has_room() {
            return Err(Refusal::Unavailable);
        }
        self.store_step(id, step, For::Exchange(exchange, reply, news));
        Ok(Answer::Stored)
    }

    /// Begins to store a change of a node that there is.
    pub(super) fn store_step(&mut self, id: &NodeId, step: Step, reason: For) -> StoreId {
        let store = StoreId(self.next_store);
        let record = self.nodes.get_mut(id).map(|node| node.begin(store, step));
        let changes = record.map(Change::Node).into_iter().collect();
        let is_command = matches!(reason, For::Command);
        let changed = |news| Effect::Changed { node: id.clone(), news, is_command };
        let pending = match reason {
            For::Exchange(exchange, reply, news) => {
                Pending::new(changed(news), self.now).answering(exchange, reply)
            }
            For::Command | For::Core => Pending::new(changed(None), self.now),
        };
        self.store(changes, pending)
    }
}

impl super::NeedSync {
    /// Whether a node with this revision is to fetch the current one.
    fn asks(self, revision: Option<Revision>, current: Revision) -> bool {
        match self {
            Self::Behind => revision.is_none_or(|revision| revision < current),
            Self::Differs => revision != Some(current),
        }
    }
}

/// Reads a body within the limits. Over gRPC the field with the key comes with it.
fn read_body(config: &Config, method: Method, body: Body) -> Result<(Call, Option<Secret>), Refusal> {
    match body {
        Body::Call(call) if call.method() == method => {
            check(&call).map_err(Refusal::Invalid)?;
            Ok((call, None))
        }
        Body::Call(_) => Err(Refusal::Unknown),
        Body::Json(_) if method.http_route().is_none() => Err(Refusal::Unknown),
        Body::Json(body) => {
            check_size(body.len(), config.max_http_body)?;
            Ok((http::decode(method, &body).map_err(Refusal::Invalid)?, None))
        }
        Body::Protobuf(_) if method.grpc_path().is_none() => Err(Refusal::Unknown),
        Body::Protobuf(message) => {
            check_size(message.len(), config.max_grpc_message)?;
            if method == Method::ReportNodeStats {
                check_size(message.len(), config.max_stats_message)?;
            }
            grpc::decode(method, &message).map_err(Refusal::Invalid)
        }
    }
}

fn check_size(size: usize, most: usize) -> Result<(), Refusal> {
    if size <= most { Ok(()) } else { Err(Refusal::TooLarge) }
}

/// Checks a call that no binding has read.
fn check(call: &Call) -> Result<(), FieldError> {
    match call {
        Call::Register(register) => register.check(),
        Call::ReportOutboundUsage(usage) => usage.check(),
        Call::ReportError(error) => error.check(),
        Call::ReportNodeStats(stats) => stats.check(),
        Call::Heartbeat(_)
        | Call::ReportUsage(_)
        | Call::ReportSessionEvents(_)
        | Call::GetLatestConfig
        | Call::ConfirmConfigApplied(_)
        | Call::ReportOnlineUsers(_) => Ok(()),
    }
}

/// Checks how many parts a report has.
fn check_items(call: &Call, most: usize) -> Result<(), Refusal> {
    let items = match call {
        Call::ReportUsage(usage) => usage.entries.len(),
        Call::ReportOutboundUsage(usage) => usage.items.len(),
        Call::ReportSessionEvents(sessions) => sessions.events.len(),
        Call::ReportOnlineUsers(online) => online.users.iter().map(|user| 1 + user.ips.len()).sum::<usize>(),
        _ => 0,
    };
    check_size(items, most)
}
