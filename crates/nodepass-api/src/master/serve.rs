//! What becomes of a request. §2, §3.

use super::answer::{self, Refusal, refusal};
use super::docs::DOCS_PAGE;
use super::machine::{Master, Timer};
use super::openapi::{Objects, openapi};
use super::process::{Process, Replacement, Then};
use super::record::{Record, full_peer};
use super::route::{Elsewhere, Route, parameter};
use super::tcping::Dial;
use super::{Compat, Event, ExchangeId, Output, Silence, SystemFigures, SystemId};
use crate::url::{InstanceUrl, ParseError};
use crate::wire::{
    Action, CreateInstance, EventKind, Info, Instance, InstanceId, MasterAlias, Meta, PatchInstance,
    PutInstance, Status,
};
use crate::{Capability, Secret};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

/// What a handler has for its exchange.
type Answer = Result<Response<Bytes>, Refusal>;

impl Master {
    pub(super) fn serve(&mut self, id: ExchangeId, request: &Request<Bytes>) {
        let route = match self.admit(request) {
            Ok(route) => route,
            Err(response) => return self.respond(id, *response),
        };
        if request.body().len() > self.config.max_body {
            return self.respond(id, refusal(Refusal::BodyTooLong));
        }
        let method = request.method();
        let outcome = match route {
            Route::OpenApi => Ok(Some(answer::typed("application/json", self.description()))),
            Route::Docs => Ok(Some(answer::typed("text/html", Bytes::from_static(DOCS_PAGE.as_bytes())))),
            Route::Instances if method == Method::GET => Ok(Some(self.list())),
            Route::Instances if method == Method::POST => return self.create(id, request.body()),
            Route::Instance(None) => Err(Refusal::IdMissing),
            Route::Instance(Some(instance)) => self.serve_instance(id, &instance, request),
            Route::Info if method == Method::GET => self.begin_info(id).map(|()| None),
            Route::Info if method == Method::POST && self.config.compat.has_meta() => {
                self.set_alias(id, request.body())
            }
            Route::Tcping if method == Method::GET => self.begin_dial(id, request).map(|()| None),
            Route::Events if method == Method::GET => self.open_stream(id).map(|()| None),
            Route::Instances | Route::Info | Route::Tcping | Route::Events => Err(Refusal::Method),
        };
        match outcome {
            Ok(Some(response)) => self.respond(id, response),
            Ok(None) => {}
            Err(refused) => self.respond(id, refusal(refused)),
        }
    }

    /// Returns the answer that a request gets whatever its body is: an unknown path, `OPTIONS`, a wrong key; `None` if
    /// the body counts. A driver that asks need not read the body of a stranger; one that does not ask gets the same
    /// answer from [`handle_request`](Self::handle_request).
    #[must_use]
    pub fn judge<T>(&self, request: &Request<T>) -> Option<Response<Bytes>> {
        self.admit(request).err().map(|response| *response)
    }

    /// Returns where a request goes, or the answer that it gets whatever its body is.
    fn admit<T>(&self, request: &Request<T>) -> Result<Route, Box<Response<Bytes>>> {
        let route = Route::of(request.uri().path(), &self.config).map_err(|elsewhere| match elsewhere {
            Elsewhere::Unknown => answer::no_such_path(),
            Elsewhere::Redirect(path) => {
                let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
                answer::redirect(&(path + &query))
            }
        })?;
        if request.method() == Method::OPTIONS {
            return Err(answer::handled(StatusCode::OK, Bytes::new()).into());
        }
        match (&route, self.unauthorized(request)) {
            (Route::OpenApi | Route::Docs, _) | (_, None) => Ok(route),
            (_, Some(refused)) => Err(refusal(refused).into()),
        }
    }

    /// Returns the document that describes the API; it is made when it is first asked for.
    fn description(&mut self) -> Bytes {
        let objects = match self.config.compat {
            Compat::Document => Objects::Document,
            Compat::V1_6 => Objects::V1_6,
            Compat::V1_14 => Objects::V1_14,
        };
        let (base, refuses) = (format!("{}/v1", self.config.prefix), self.refuses());
        self.description.get_or_insert_with(|| openapi(&base, objects, refuses).into()).clone()
    }

    fn unauthorized<T>(&self, request: &Request<T>) -> Option<Refusal> {
        if self.key.is_empty() {
            return None;
        }
        let given = request.headers().get("x-api-key").map_or(&[][..], |value| value.as_bytes());
        match given {
            [] => Some(Refusal::KeyMissing),
            given if self.key.matches(given) => None,
            _ => Some(Refusal::KeyWrong),
        }
    }

    fn list(&self) -> Response<Bytes> {
        let all: Vec<&Instance> = std::iter::once(&self.key_record).chain(self.instances()).collect();
        answer::json(StatusCode::OK, &all)
    }

    fn serve_instance(
        &mut self,
        exchange: ExchangeId,
        id: &InstanceId,
        request: &Request<Bytes>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let Some(object) = self.object(id.as_str()) else { return Err(Refusal::NotFound) };
        match (request.method(), id.is_key_record()) {
            (&Method::GET, _) => Ok(Some(answer::json(StatusCode::OK, object))),
            (&Method::PUT | &Method::DELETE, true) => Err(Refusal::KeyRecord),
            (&Method::PATCH, true) => self.patch_key_record(request.body()).map(Some),
            (&Method::PATCH, false) => self.patch(id, request.body()).map(Some),
            (&Method::PUT, false) => self.put(exchange, id, request.body()).map(|()| None),
            (&Method::DELETE, false) => {
                self.leave_waiting(exchange)?;
                self.stop(id, Then::Remove { exchanges: vec![exchange], in_vain: Vec::new() });
                Ok(None)
            }
            _ => Err(Refusal::Method),
        }
    }

    // Instances

    fn create(&mut self, exchange: ExchangeId, body: &[u8]) {
        let made = self.make(body);
        let response = match &made {
            Ok(instance) => answer::json(StatusCode::CREATED, instance),
            Err(Refused::Known(refused)) => refusal(*refused),
            Err(Refused::AliasTooLong) => self.alias_too_long("Instance"),
        };
        self.respond(exchange, response);
        let Ok(instance) = made else { return };
        let id = instance.id.clone();
        self.records.insert(id.clone(), Record::new(instance));
        self.event(Event::Created { instance: id.clone() });
        self.publish(EventKind::Create, &id);
        self.changed();
        self.start(&id);
    }

    fn make(&mut self, body: &[u8]) -> Result<Instance, Refused> {
        let CreateInstance { url, alias, .. } =
            CreateInstance::read(body, self.config.release).map_err(|_| Refusal::Body)?;
        let url = self.read_url(&url)?;
        if self.records.len() >= self.config.max_instances {
            return Err(Refusal::TooMany.into());
        }
        let mut instance = self.blank_instance();
        if self.config.compat.has_meta() {
            instance.restart = Some(true);
            let takes_alias = self.config.release.can(Capability::AliasOnCreate);
            let alias = alias.filter(|_| takes_alias).unwrap_or_default();
            if self.refuses() && alias.len() > self.config.compat.longest_alias() {
                return Err(Refused::AliasTooLong);
            }
            if alias.len() > self.config.max_labels {
                return Err(Refusal::BodyTooLong.into());
            }
            instance.alias = Some(alias);
        }
        instance.id = InstanceId::from_entropy(self.config.entropy.draw());
        if self.object(instance.id.as_str()).is_some() {
            return Err(Refusal::IdTaken.into());
        }
        instance.kind = url.role().into();
        instance.status = Status::Stopped;
        (instance.url, instance.config) = self.stored(&url);
        Ok(instance)
    }

    fn put(&mut self, exchange: ExchangeId, id: &InstanceId, body: &[u8]) -> Result<(), Refusal> {
        let PutInstance { url, .. } = PutInstance::read(body).map_err(|_| Refusal::Body)?;
        let url = self.read_url(&url)?;
        let (text, config) = self.stored(&url);
        if self.records.get(id).is_some_and(|record| *record.next_url() == *text) {
            return Err(Refusal::UrlConflict);
        }
        self.leave_waiting(exchange)?;
        let replacement = Replacement { kind: url.role().into(), url: text, config, starts: true };
        self.stop(id, Then::Replace(Box::new(replacement), vec![exchange]));
        Ok(())
    }

    fn read_url(&self, text: &str) -> Result<InstanceUrl, Refusal> {
        if text.len() > self.config.max_url {
            return Err(Refusal::UrlFormat);
        }
        InstanceUrl::parse(text).map_err(|error| match error {
            ParseError::Scheme => Refusal::UrlScheme,
            ParseError::Format => Refusal::UrlFormat,
        })
    }

    /// Returns what is kept of a URL: the canonical form, and with all defaults where the level has that.
    fn stored(&self, url: &InstanceUrl) -> (Box<str>, Option<Box<str>>) {
        (url.canonical(&self.config.inherited).into(), self.config_text(url))
    }

    /// Returns the `config` of an instance with this URL, where the level has one.
    pub(super) fn config_text(&self, url: &InstanceUrl) -> Option<Box<str>> {
        url.config(&self.config.inherited, self.config.release).map(Into::into)
    }

    fn patch(&mut self, id: &InstanceId, body: &[u8]) -> Answer {
        let patch = match PatchInstance::read(body, self.config.release) {
            Ok(patch) => patch,
            Err(_) if self.refuses() => return Err(Refusal::Body),
            Err(_) => PatchInstance::default(),
        };
        let tags = patch.meta.iter().flat_map(|meta| meta.tags.iter().flatten());
        let labels: usize = tags.map(|(name, value)| name.len() + value.len()).sum();
        if labels.max(patch.alias.as_deref().map_or(0, str::len)) > self.config.max_labels {
            return Err(Refusal::BodyTooLong);
        }
        let action = match patch.action.as_deref() {
            None | Some("") => Ok(None),
            Some(word) => word.parse().map(Some).map_err(|_| word.to_owned()),
        };
        if self.config.compat == Compat::V1_6 {
            return self.patch_as_of_old(id, &patch, action);
        }
        if let Some(alias) = patch.alias.filter(|alias| !alias.is_empty())
            && !self.set_instance_alias(id, &alias)
        {
            return Ok(self.alias_too_long("Instance"));
        }
        match action {
            Ok(action) => action.into_iter().for_each(|action| self.act(id, action)),
            Err(word) => return Ok(invalid_action(&word)),
        }
        if let Some(restart) = patch.restart {
            self.set_policy(id, restart);
        }
        if let Some(meta) = patch.meta.filter(|_| self.config.compat.has_meta())
            && let Err(member) = self.set_meta(id, meta)
        {
            let most = self.config.compat.longest_alias();
            let text = format!("Meta {member} exceeds maximum length {most}");
            return Ok(answer::error(StatusCode::BAD_REQUEST, &text));
        }
        self.answer_object(id)
    }

    /// The order of 1.6, in which everything but a start and a stop comes first.
    fn patch_as_of_old(
        &mut self,
        id: &InstanceId,
        patch: &PatchInstance,
        action: Result<Option<Action>, String>,
    ) -> Answer {
        let action = match action {
            Ok(action) => action,
            Err(word) if self.refuses() => return Ok(invalid_action(&word)),
            Err(_) => None,
        };
        if action == Some(Action::Reset) {
            self.act(id, Action::Reset);
        }
        if let Some(restart) = patch.restart {
            self.set_policy(id, restart);
        }
        if let Some(alias) = patch.alias.as_ref().filter(|alias| !alias.is_empty()) {
            self.set_instance_alias(id, alias);
        }
        if let Some(action) = action.filter(|action| *action != Action::Reset) {
            self.act(id, action);
        }
        self.answer_object(id)
    }

    fn answer_object(&self, id: &InstanceId) -> Answer {
        self.object(id.as_str()).map(|object| answer::json(StatusCode::OK, object)).ok_or(Refusal::NotFound)
    }

    /// Returns whether the alias is short enough.
    fn set_instance_alias(&mut self, id: &InstanceId, alias: &str) -> bool {
        if alias.len() > self.config.compat.longest_alias() {
            return false;
        }
        self.change(id, |instance| {
            let is_other = instance.alias.as_deref() != Some(alias);
            instance.alias = Some(alias.into());
            is_other
        });
        true
    }

    fn set_policy(&mut self, id: &InstanceId, restart: bool) {
        self.change(id, |instance| instance.restart.replace(restart) != Some(restart));
    }

    /// Returns the member that is too long, if there is one; then nothing is changed.
    fn set_meta(&mut self, id: &InstanceId, meta: Meta) -> Result<(), &'static str> {
        check_meta(&meta, self.config.compat.longest_alias())?;
        self.change(id, |instance| {
            let kept = instance.meta.get_or_insert_default();
            if let Some(peer) = meta.peer {
                kept.peer = Some(full_peer(peer));
            }
            if let Some(tags) = meta.tags {
                kept.tags = Some(tags);
            }
            true
        });
        Ok(())
    }

    /// Changes an object; an event and a store follow if anything is other than before.
    fn change(&mut self, id: &InstanceId, change: impl FnOnce(&mut Instance) -> bool) {
        let Some(record) = self.records.get_mut(id) else { return };
        if change(&mut record.instance) {
            self.publish(EventKind::Update, id);
            self.changed();
        }
    }

    fn act(&mut self, id: &InstanceId, action: Action) {
        let Some(record) = self.records.get_mut(id) else { return };
        let is_old = self.config.compat == Compat::V1_6;
        let (is_running, is_stopped) = (record.is(&Status::Running), record.is(&Status::Stopped));
        let is_alive = matches!(record.process, Process::Alive(_));
        if action != Action::Reset {
            // Whoever says what is to be does not want what was to be at the start of the master.
            self.to_start.remove(id);
        }
        match action {
            Action::Reset => {
                record.reset();
                self.publish(EventKind::Update, id);
                self.changed();
            }
            // The original takes it for running still, and does nothing.
            Action::Start if matches!(record.process, Process::Stopping { .. }) => self.stop(id, Then::Start),
            // A second process beside one that lives, as the original's 1.6 starts it, would fight for its port.
            Action::Start if is_running || (is_stopped && is_alive) => {}
            Action::Start if is_stopped => match record.process {
                Process::None => self.start(id),
                Process::Alive(_) | Process::Stopping { .. } | Process::Pausing => self.stop(id, Then::Start),
            },
            Action::Start if self.config.compat.has_meta() => {}
            Action::Start => self.stop(id, Then::Start),
            Action::Stop if is_old && !is_running => {}
            Action::Stop if is_stopped && matches!(record.process, Process::None) => {}
            Action::Stop => self.stop(id, Then::Stay),
            Action::Restart => self.stop(id, Then::Start),
        }
    }

    // The key record and the master itself

    fn patch_key_record(&mut self, body: &[u8]) -> Answer {
        let patch = match PatchInstance::read(body, self.config.release) {
            Ok(patch) => patch,
            Err(_) if self.refuses() => return Err(Refusal::Body),
            Err(_) => PatchInstance::default(),
        };
        let asks_more = patch.alias.is_some() || patch.restart.is_some() || patch.meta.is_some();
        match patch.action.as_deref() {
            Some("restart") => self.rotate_key(),
            None | Some("") if !asks_more => {}
            _ if self.refuses() => return Err(Refusal::KeyRecord),
            _ => {}
        }
        Ok(answer::json(StatusCode::OK, &self.key_record))
    }

    fn rotate_key(&mut self) {
        let key = Secret::new(hex::encode(self.config.entropy.draw::<16>()));
        self.key_record.url = key.expose().into();
        self.key = key.clone();
        self.event(Event::KeyRotated { key });
        if self.config.compat == Compat::V1_6 {
            let id = self.key_record.id.clone();
            self.publish(EventKind::Update, &id);
        } else {
            self.announce_shutdown();
            self.end_streams();
        }
        self.changed();
    }

    fn set_alias(&mut self, exchange: ExchangeId, body: &[u8]) -> Result<Option<Response<Bytes>>, Refusal> {
        let alias = MasterAlias::read(body).map_err(|_| Refusal::Body)?.alias.unwrap_or_default();
        if alias.len() > self.config.compat.longest_alias() {
            return Ok(Some(self.alias_too_long("Master")));
        }
        self.begin_info(exchange)?;
        self.key_record.alias = Some(alias);
        self.changed();
        Ok(None)
    }

    fn begin_info(&mut self, exchange: ExchangeId) -> Result<(), Refusal> {
        self.leave_waiting(exchange)?;
        let id = SystemId(self.draw_id());
        self.systems.insert(id, exchange);
        self.outputs.push_back(Output::ReadSystem { id });
        self.arm(Timer::System(id), self.config.system_timeout);
        Ok(())
    }

    pub(super) fn info(&self, figures: SystemFigures) -> Info {
        let SystemFigures { cpu, mem_total, mem_free, mem_used, swap_total, swap_free, .. } = figures;
        let figure = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
        let config = &self.config;
        let has_meta = config.compat.has_meta();
        Info {
            alias: self.key_record.alias.clone().filter(|_| has_meta),
            arch: Some(config.arch.as_str().into()),
            cpu: Some(cpu),
            crt: Some(config.inherited.crt.as_str().into()),
            diskr: Some(figure(figures.diskr)),
            diskw: Some(figure(figures.diskw)),
            key: Some(config.inherited.key.as_str().into()),
            log: Some(config.inherited.log.as_str().into()),
            mem_free: (!has_meta).then_some(figure(mem_free)),
            mem_total: Some(figure(mem_total)),
            mem_used: has_meta.then_some(figure(mem_used)),
            mid: has_meta.then(|| self.told_id.clone()),
            name: Some(config.name.as_str().into()),
            netrx: Some(figure(figures.netrx)),
            nettx: Some(figure(figures.nettx)),
            os: Some(config.os.as_str().into()),
            swap_free: (!has_meta).then_some(figure(swap_free)),
            swap_total: Some(figure(swap_total)),
            swap_used: has_meta.then_some(figure(swap_total.saturating_sub(swap_free))),
            sysup: Some(figure(figures.sysup)),
            tls: Some(config.inherited.tls.code().into()),
            uptime: Some(figure(self.uptime())),
            ver: Some(config.version.as_str().into()),
            ..Info::default()
        }
    }

    // Others

    fn begin_dial(&mut self, exchange: ExchangeId, request: &Request<Bytes>) -> Result<(), Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let target = parameter(query, "target").filter(|target| !target.is_empty()).ok_or(Refusal::Target)?;
        self.leave_waiting(exchange)?;
        self.dial(Dial { exchange, target: target.into() });
        Ok(())
    }

    fn open_stream(&mut self, id: ExchangeId) -> Result<(), Refusal> {
        if self.streams.len() >= self.config.max_streams {
            return Err(Refusal::TooMany);
        }
        self.streams.open(id);
        self.outputs.push_back(Output::OpenBody { id, head: answer::stream() });
        self.event(Event::StreamOpened { id });
        self.pump(id);
        Ok(())
    }

    /// The exchange is answered later.
    fn leave_waiting(&mut self, exchange: ExchangeId) -> Result<(), Refusal> {
        if self.waiting.len() >= self.config.max_waiting {
            return Err(Refusal::TooMany);
        }
        self.waiting.insert(exchange, true);
        Ok(())
    }

    fn refuses(&self) -> bool {
        self.config.silence == Silence::Refuse
    }

    fn alias_too_long(&self, whose: &str) -> Response<Bytes> {
        let most = self.config.compat.longest_alias();
        answer::error(StatusCode::BAD_REQUEST, &format!("{whose} alias exceeds maximum length {most}"))
    }
}

/// Why an instance is not made.
enum Refused {
    Known(Refusal),
    AliasTooLong,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Known(refusal)
    }
}

fn invalid_action(word: &str) -> Response<Bytes> {
    answer::error(StatusCode::BAD_REQUEST, &format!("Invalid action: {word}"))
}

fn check_meta(meta: &Meta, most: usize) -> Result<(), &'static str> {
    let peer = meta
        .peer
        .iter()
        .flat_map(|peer| [("peer.sid", &peer.sid), ("peer.type", &peer.kind), ("peer.alias", &peer.alias)]);
    let peer = peer.filter_map(|(name, text)| Some((name, text.as_deref()?)));
    let tags = meta.tags.iter().flatten();
    let tags = tags.flat_map(|(name, value)| [("tag key", &**name), ("tag value", &**value)]);
    peer.chain(tags).find(|(_, text)| text.len() > most).map_or(Ok(()), |(member, _)| Err(member))
}
