//! Requests under way, and what their outcomes lead to.

use super::info::{Known, News};
use super::machine::{Path, Timer};
use super::pending::{Task, missing};
use super::reply::reply_without;
use super::{
    Call, CallId, Client, Delivery, Event, Failure, FailureKind, Ignored, KeyProblem, KeySource, Layout,
    Monitoring, Output, Reply, RequestError, RequestId, StreamEnd, is_fit, request,
};
use crate::fleet::Ticket;
use crate::url::{InstanceUrl, Problem, Role, Rules};
use crate::wire::{DecodeError, Info};
use crate::{Release, Secret};
use bytes::Bytes;
use http::Response;

/// A request under way.
pub(super) struct Exchange {
    pub(super) purpose: Purpose,
    call: Call,
    /// The key that it was sent with.
    key: Secret,
    key_generation: u64,
    /// The signs of life that there were before.
    heard: u64,
    ticket: Option<Ticket>,
}

/// Whom the outcome of a request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The search for the routes.
    Probe(Layout),
    /// The view.
    List,
    /// What the client wants to know of the master.
    Info,
    /// The application.
    Call(CallId),
}

impl Client {
    /// Sends a request; the caller has made sure that the path is known, or gives another one.
    pub(super) fn send(&mut self, purpose: Purpose, call: Call) {
        let base = match (&self.path, purpose) {
            (_, Purpose::Probe(layout)) => self.config.endpoint.base(layout),
            (Path::Known(base), _) => base.clone(),
            (Path::Probing | Path::Waiting | Path::Closed, _) => return,
        };
        let id = RequestId(self.next_id());
        let request = request(&base, &self.key, &call);
        let exchange = Exchange {
            purpose,
            call,
            key: self.key.clone(),
            key_generation: self.key_generation,
            heard: self.heard,
            ticket: (self.config.monitoring != Monitoring::Off).then(|| self.fleet.begin_request()),
        };
        self.exchanges.insert(id, exchange);
        self.is_listing |= purpose == Purpose::List;
        self.is_asking |= purpose == Purpose::Info;
        self.arm(Timer::Request(id), Some(self.config.request_timeout));
        self.outputs.push_back(Output::Request { id, request });
    }

    /// Sends what a call has to ask next.
    pub(super) fn send_call(&mut self, id: CallId) {
        let Some(pending) = self.calls.get(&id) else { return };
        let call = pending.next();
        let problems = match &pending.task {
            Task::One(Call::Create(create)) => self.problems(&create.url),
            Task::One(Call::Put(_, put)) => self.problems(&put.url),
            Task::One(_) | Task::Recreate { .. } => Vec::new(),
        };
        match problems.is_empty() {
            true => self.send(Purpose::Call(id), call),
            false => self.fail(id, RequestError::Url(problems)),
        }
    }

    /// Returns what is wrong with a URL, by the rules of the master's release. As long as it is not known, what either the
    /// document or the newest release takes will do.
    ///
    /// A master with `tls=2` gives its files to servers that name none (§6): then they are not missed. So it is as long as
    /// nothing is known of the master.
    fn problems(&self, url: &str) -> Vec<Problem> {
        let Some(url) = InstanceUrl::parse(url).ok().filter(|_| self.config.checks_urls) else {
            return Vec::new();
        };
        let gives_files = url.role() == Role::Server
            && self.about.as_ref().is_none_or(|about| about.info.tls.as_deref() == Some("2"));
        let is_of_files =
            |problem: &Problem| matches!(problem, Problem::NoFile { .. } | Problem::WithoutFiles { .. });
        let problems = |rules| {
            let mut problems = url.check(rules).err().unwrap_or_default();
            problems.retain(|problem| !(gives_files && is_of_files(problem)));
            problems
        };
        match self.release {
            Some(release) => problems(Rules::Release(release)),
            None if problems(Rules::Release(Release::V2_0_0_B10)).is_empty() => Vec::new(),
            None => problems(Rules::Document),
        }
    }

    /// Takes an exchange whose outcome is there.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Exchange> {
        let exchange = self.exchanges.remove(&id)?;
        self.timers.set(Timer::Request(id), None);
        match exchange.purpose {
            Purpose::List => self.is_listing = false,
            Purpose::Info => self.is_asking = false,
            Purpose::Probe(_) | Purpose::Call(_) => {}
        }
        Some(exchange)
    }

    /// There is an answer.
    pub(super) fn answered(&mut self, exchange: Exchange, response: &Response<Bytes>) {
        let keys = [exchange.key.clone(), self.key.clone()];
        let secrets = [keys[0].expose(), keys[1].expose()];
        let outcome = match response.body().len() {
            length if length > self.config.max_response => Err(RequestError::TooLarge { length }),
            _ if exchange.purpose == Purpose::List && response.status().is_success() => {
                return self.listed(exchange.ticket, response, &secrets);
            }
            _ => reply_without(&secrets, &exchange.call, response),
        };
        if let (Purpose::Probe(layout), Err(reason @ RequestError::Undecodable(DecodeError::Form { .. }))) =
            (exchange.purpose, &outcome)
            && response.body().trim_ascii_start().starts_with(b"{")
        {
            return self.probed_in_part(layout, reason.clone());
        }
        if let Err(RequestError::Unauthorized(problem)) = &outcome {
            if self.is_unauthorized(&exchange, *problem) {
                self.done(exchange, outcome);
            }
            return;
        }
        // What works with the key of now shows that it is good again.
        let is_welcome = outcome.is_ok() && exchange.call.needs_key();
        if self.is_key_refused && is_welcome && exchange.key_generation == self.key_generation {
            self.is_key_refused = false;
            self.done(exchange, outcome);
            return self.resume();
        }
        self.done(exchange, outcome);
    }

    /// There is no answer.
    pub(super) fn unanswered(&mut self, exchange: Exchange, failure: Failure) {
        // A call that takes long says nothing of the master.
        let is_slow = failure.kind == FailureKind::TimedOut && matches!(exchange.purpose, Purpose::Call(_));
        if failure.kind == FailureKind::TooLarge {
            self.hear();
        } else if !is_slow && exchange.heard == self.heard {
            self.set_reachable(false);
            // It may be half open: whoever does not answer has no news either.
            if self.monitor.open().is_some() {
                self.give_up(StreamEnd::Unreachable);
            }
        }
        self.done(exchange, Err(RequestError::Failure(failure)));
    }

    fn done(&mut self, exchange: Exchange, outcome: Result<Reply, RequestError>) {
        match exchange.purpose {
            Purpose::Probe(layout) => self.probed(layout, outcome),
            Purpose::Info => match outcome {
                Ok(Reply::Info(info)) => {
                    self.informed(info);
                    self.ask_info_later();
                }
                // That nothing answers is told already.
                Ok(_) | Err(RequestError::Failure(_)) => self.ask_info_later(),
                Err(reason) => self.info_failed(reason),
            },
            Purpose::List => {
                if let Err(reason) = outcome {
                    self.not_listed(reason);
                }
            }
            Purpose::Call(id) if exchange.call == Call::RotateKey => self.rotated(id, &exchange.key, outcome),
            Purpose::Call(id) => self.call_done(id, &exchange, outcome),
        }
    }

    /// A key was refused. Returns whether that is the outcome; otherwise there will be another one.
    fn is_unauthorized(&mut self, exchange: &Exchange, problem: KeyProblem) -> bool {
        let is_outdated = exchange.key_generation < self.key_generation;
        let is_rotation = exchange.call == Call::RotateKey;
        match exchange.purpose {
            Purpose::Probe(_) => {
                if !is_outdated {
                    self.refuse_key(problem);
                }
                return true;
            }
            Purpose::Call(_) | Purpose::List | Purpose::Info if is_outdated => {
                self.send(exchange.purpose, exchange.call.clone());
            }
            Purpose::Call(id) if self.rotating.is_some() && !is_rotation => self.parked.push(id),
            Purpose::Call(_) => return true,
            // What was given up is taken up again when it is known which key is good.
            Purpose::List | Purpose::Info if self.rotating.is_some() => {}
            Purpose::List | Purpose::Info => self.refuse_key(problem),
        }
        false
    }

    /// Nothing of our own goes out until there is another key.
    pub(super) fn refuse_key(&mut self, problem: KeyProblem) {
        for timer in [Timer::Info, Timer::List, Timer::Reconnect] {
            self.timers.set(timer, None);
        }
        if !std::mem::replace(&mut self.is_key_refused, true) {
            self.event(Event::KeyRefused(problem));
        }
    }

    // Calls

    /// Answers a call that was never sent.
    pub(super) fn fail(&mut self, id: CallId, reason: RequestError) {
        self.rotating.take_if(|rotating| *rotating == id);
        self.answer(id, Err(reason));
    }

    fn answer(&mut self, id: CallId, outcome: Result<Reply, RequestError>) {
        if self.calls.remove(&id).is_some() {
            self.event(Event::Answered { id, outcome });
        }
    }

    fn call_done(&mut self, id: CallId, exchange: &Exchange, outcome: Result<Reply, RequestError>) {
        let Some(pending) = self.calls.get(&id) else { return };
        let before = pending.before.clone();
        let mut outcome = outcome;
        match &mut outcome {
            Ok(Reply::Instance { instance, ignored }) => {
                *ignored = Ignored::find(&exchange.call, instance, before.as_ref(), self.release);
                if let Some(ticket) = exchange.ticket {
                    let (instance, at) = ((**instance).clone(), self.moment());
                    let merge = self.fleet.apply_instance(ticket, instance, at, &mut self.monitor.changes);
                    self.tell_changes();
                    if !merge.settled {
                        self.want_list();
                    }
                }
            }
            Ok(Reply::Deleted) | Err(RequestError::NotFound) if exchange.ticket.is_some() => {
                if let Some(instance) = exchange.call.instance() {
                    self.fleet.apply_deleted(instance, &mut self.monitor.changes);
                    self.tell_changes();
                }
            }
            Ok(Reply::Info(info)) => self.informed(info.clone()),
            _ => {}
        }
        match (self.calls.get_mut(&id).map(|pending| &mut pending.task), outcome) {
            (
                Some(Task::Recreate { record, made: made @ None }),
                Ok(Reply::Instance { instance, ignored }),
            ) if missing(record, &instance).is_some() => {
                *made = Some((instance, ignored));
                self.send_call(id);
            }
            (
                Some(Task::Recreate { made: Some((_, before)), .. }),
                Ok(Reply::Instance { instance, mut ignored }),
            ) => {
                // Aliases that were ignored at first were set now, or are ignored again.
                ignored.extend(before.iter().filter(|ignored| **ignored == Ignored::Url));
                self.answer(id, Ok(Reply::Instance { instance, ignored }));
            }
            (Some(Task::Recreate { made: Some((made, _)), .. }), Err(reason)) => {
                let error = RequestError::Incomplete { instance: made.id.clone(), reason: Box::new(reason) };
                self.answer(id, Err(error));
            }
            (_, outcome) => self.answer(id, outcome),
        }
    }

    // Keys

    fn rotated(&mut self, id: CallId, key: &Secret, outcome: Result<Reply, RequestError>) {
        self.rotating = None;
        let outcome = match outcome {
            Ok(Reply::Key(new)) if !is_fit(&new) || new == *key => Err(RequestError::NotRotated),
            outcome => outcome,
        };
        let is_unknown = match &outcome {
            Err(RequestError::Failure(Failure { delivered: Delivery::Perhaps, .. })) => true,
            Err(RequestError::Undecodable(_) | RequestError::TooLarge { .. }) => true,
            Err(RequestError::Status { status, .. }) => status.is_server_error(),
            _ => false,
        };
        match &outcome {
            Ok(Reply::Key(new)) if *new != self.key => self.adopt_key(new.clone(), KeySource::Answer),
            _ => {
                if is_unknown {
                    self.event(Event::RotationUnknown);
                }
                self.resume();
            }
        }
        self.answer(id, outcome);
        for call in std::mem::take(&mut self.parked) {
            self.send_call(call);
        }
    }

    // What the master says about itself

    pub(super) fn ask_info(&mut self) {
        self.timers.set(Timer::Info, None);
        if !self.is_key_refused && !self.is_asking {
            self.send(Purpose::Info, Call::Info);
        }
    }

    fn ask_info_later(&mut self) {
        let interval = self.config.info_interval;
        self.arm(Timer::Info, interval.or(self.about.is_none().then_some(self.config.max_wait)));
    }

    pub(super) fn info_failed(&mut self, reason: RequestError) {
        self.event(Event::InfoFailed { reason });
        self.ask_info_later();
    }

    pub(super) fn informed(&mut self, info: Box<Info>) {
        let news = News::of(self.about.as_ref(), &info, self.now);
        self.release = info.ver.as_deref().and_then(|version| version.parse().ok());
        self.fleet.set_release(self.release);
        self.about = Some(Known { info: info.clone(), at: self.now });
        self.event(Event::Info { info, rates: news.rates });
        if let Some((from, to)) = news.version {
            self.event(Event::VersionChanged { from, to });
        }
        if news.has_restarted {
            self.event(Event::MasterRestarted);
            self.want_list();
        }
    }
}
