//! Both machines with marked secrets: API keys, keys of tunnels in URLs and in lines of processes. What the machines give out
//! and what is refused shows none of them, neither as `Debug` nor as `Display`. The rules of the machines look at `Debug`
//! after random steps, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod url_support;

use bytes::Bytes;
use http::{Request, Response};
use nodepass_api::client::{self, Call, Client, Endpoint, Layout, Monitoring, RequestError, reply};
use nodepass_api::fleet::{self, Fleet, InstanceRecord, Moment};
use nodepass_api::master::{self, Compat, Entropy, Master, Snapshot, StoreFailed, SystemFigures};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::url::{InstanceUrl, MasterUrl, Role};
use nodepass_api::wire::{
    self, Action, CreateInstance, EventKind, Info, Instance, InstanceEvent, InstanceId, PatchInstance,
    PutInstance, TcpingResult,
};
use nodepass_api::{Instant, Secret};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::time::Duration;
use testkit::epoch;
use testkit::secrets::{
    MARK, assert_debug_hides, assert_error_hides, assert_no_secret, find, find_secret, marked,
};
use url_support::{RULES, url};

/// A state with this key.
fn snapshot(compat: Compat, key: &str) -> Snapshot {
    let master = Master::new(settings(compat), None, epoch()).unwrap();
    let mut state: serde_json::Value = serde_json::from_slice(&master.snapshot().encode()).unwrap();
    state["key"] = key.into();
    Snapshot::decode(state.to_string().as_bytes()).unwrap()
}

/// Settings whose entropy is a secret of its own.
fn settings(compat: Compat) -> master::Config {
    let mut seed = [b'0'; 32];
    seed[..26].copy_from_slice(marked(8).as_bytes());
    master::Config::new(compat, Entropy::new(seed))
}

fn tunnel(number: u64) -> String {
    format!("server://{}@127.0.0.1:10101/127.0.0.1:8080", marked(number))
}

/// A client and a master, without a network between them.
struct World {
    client: Client,
    master: Master,
    now: Instant,
    exchanges: BTreeMap<master::ExchangeId, client::RequestId>,
    streams: BTreeMap<master::ExchangeId, client::StreamId>,
    /// Keys that the master has made.
    made: Vec<String>,
    /// What the application was told.
    seen: Vec<String>,
    /// Whether a secret went to where it belongs: into a request, an answer, a process and a file.
    sent: [bool; 4],
}

impl World {
    fn new(compat: Compat, key: u64) -> Self {
        let state = snapshot(compat, &marked(1));
        assert_debug_hides(&state);
        let config = settings(compat);
        assert_debug_hides(&config);
        let master = Master::new(config, Some(state), epoch()).unwrap();
        let mut config = client::Config::new("http://h:9090".parse().unwrap(), Secret::new(marked(key)));
        config.tells_events = true;
        config.adopts_keys = true;
        assert_debug_hides(&config);
        let client = Client::new(config, epoch()).unwrap();
        let mut world = Self {
            client,
            master,
            now: epoch(),
            exchanges: BTreeMap::new(),
            streams: BTreeMap::new(),
            made: Vec::new(),
            seen: Vec::new(),
            sent: [false; 4],
        };
        world.settle();
        world
    }

    fn live(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.settle();
        while let Some(due) = self.client.poll_timeout().into_iter().chain(self.master.poll_timeout()).min()
            && due <= end
        {
            self.now = due.max(self.now);
            self.client.handle_timeout(self.now);
            self.master.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        loop {
            if let Some(output) = self.client.poll_output() {
                self.assert_hides(&output);
                self.of_client(output);
            } else if let Some(output) = self.master.poll_output() {
                self.assert_hides(&output);
                self.of_master(output);
            } else {
                break;
            }
        }
        self.assert_hides(&self.client);
        self.assert_hides(&self.master);
        self.assert_hides(self.client.fleet());
        for member in self.client.fleet().iter() {
            self.assert_hides(member);
        }
    }

    /// As [`assert_debug_hides`], also for the keys that the master has made.
    fn assert_hides(&self, value: &impl Debug) {
        assert_debug_hides(value);
        let shown = format!("{value:?}");
        for key in &self.made {
            assert_eq!(find(&shown, key), None, "{shown}");
        }
    }

    fn of_client(&mut self, output: client::Output) {
        match output {
            client::Output::Request { id, request } => {
                self.sent[0] |= holds_secret(request.body());
                let exchange = self.ask(request);
                self.exchanges.insert(exchange, id);
            }
            client::Output::OpenStream { stream, request } => {
                let exchange = self.ask(request);
                self.streams.insert(exchange, stream);
            }
            client::Output::CloseStream { stream } => {
                self.streams.retain(|exchange, open| {
                    if *open == stream {
                        self.master.handle_cancel(*exchange, self.now);
                    }
                    *open != stream
                });
            }
            client::Output::Event(event) => {
                assert_errors_hide(&event);
                self.seen.push(format!("{event:?}"));
            }
            client::Output::Cancel(_) => {}
        }
    }

    fn ask(&mut self, request: Request<Bytes>) -> master::ExchangeId {
        self.assert_hides(request.headers());
        assert_no_secret(&request.uri().to_string(), "the address of a request");
        self.master.handle_request(request, self.now)
    }

    fn of_master(&mut self, output: master::Output) {
        let now = self.now;
        match output {
            master::Output::Respond { id, response } => {
                self.assert_hides(response.headers());
                self.sent[1] |= holds_secret(response.body());
                if let Some(id) = self.exchanges.remove(&id) {
                    self.client.handle_response(id, response, now);
                } else if let Some(stream) = self.streams.remove(&id) {
                    self.client.handle_stream_opened(stream, &response.map(drop), now);
                }
            }
            master::Output::OpenBody { id, head } => {
                if let Some(stream) = self.streams.get(&id) {
                    self.client.handle_stream_opened(*stream, &head, now);
                }
            }
            master::Output::PushBody { id, chunk } => {
                if let Some(stream) = self.streams.get(&id) {
                    self.client.handle_stream_bytes(*stream, &chunk, now);
                }
                self.master.handle_written(id, now);
            }
            master::Output::CloseBody { id } => {
                if let Some(stream) = self.streams.remove(&id) {
                    self.client.handle_stream_end(stream, None, now);
                }
            }
            master::Output::Start { run, url, .. } => {
                self.sent[2] |= url.contains(MARK);
                self.master.handle_started(run, Ok(()), now);
                self.master.handle_line(run, &format!("Server started: {url}"), now);
                self.master.handle_line(run, &format!("Server error: {}", marked(5)), now);
            }
            master::Output::Stop { run, .. } => self.master.handle_exited(run, true, now),
            master::Output::Dial { id, .. } => self.master.handle_dialed(id, Err(&marked(6)), now),
            master::Output::ReadSystem { id } => self.master.handle_system(id, SystemFigures::default(), now),
            master::Output::Store { id, snapshot, .. } => {
                self.sent[3] |= holds_secret(&snapshot);
                assert_debug_hides(&Snapshot::decode(&snapshot).unwrap());
                self.master.handle_stored(id, Err(StoreFailed), now);
            }
            master::Output::Event(event) => {
                if let master::Event::KeyRotated { key } = &event {
                    self.made.push(key.expose().to_owned());
                }
                self.assert_hides(&event);
                self.seen.push(format!("{event:?}"));
            }
        }
    }

    fn only(&self) -> InstanceId {
        self.client.fleet().iter().next().unwrap_or_else(|| panic!("{:#?}", self.seen)).id().clone()
    }

    fn saw(&self, event: &str) -> bool {
        self.seen.iter().any(|seen| seen.starts_with(event))
    }
}

fn holds_secret(bytes: &[u8]) -> bool {
    find_secret(&String::from_utf8_lossy(bytes)).is_some()
}

fn assert_errors_hide(event: &client::Event) {
    match event {
        client::Event::Answered { outcome: Err(error), .. } => assert_error_hides(error),
        client::Event::NotFound { reason, .. }
        | client::Event::ListFailed { reason, .. }
        | client::Event::InfoFailed { reason } => assert_error_hides(reason),
        client::Event::Reconnecting { reason, .. } | client::Event::StreamEnded(reason) => {
            assert_error_hides(reason);
        }
        client::Event::KeyRefused(problem) => assert_error_hides(problem),
        _ => {}
    }
}

#[test]
fn no_secret_shows_in_the_life_of_an_instance() {
    for compat in [Compat::Document, Compat::V1_6, Compat::V1_14] {
        let mut world = World::new(compat, 1);
        world.client.create(&tunnel(2), Some("web"), world.now).unwrap();
        world.live(5);
        let id = world.only();
        for record in world.client.fleet().records() {
            assert_debug_hides(&record);
        }
        world.client.put(&id, &tunnel(3), world.now).unwrap();
        world.live(5);
        world.client.put(&id, &tunnel(3), world.now).unwrap();
        world.client.act(&id, Action::Restart, world.now).unwrap();
        world.client.tcping("127.0.0.1:1", world.now).unwrap();
        world.client.openapi(world.now).unwrap();
        world.live(5);
        world.client.rotate_key(world.now).unwrap();
        world.live(5);
        assert_eq!(world.made.len(), 1, "{compat:?}");
        world.client.delete(&id, world.now).unwrap();
        world.live(60);
        world.master.close(world.now);
        world.live(60);
        for event in
            ["Found", "Streaming", "Change(Logged", "Answered", "KeyRotated", "StoreFailed", "Closed"]
        {
            assert!(world.saw(event), "{compat:?}: no {event} in {:#?}", world.seen);
        }
        assert_eq!(world.sent, [true; 4], "{compat:?}");
    }
}

#[test]
fn no_key_shows_where_it_is_refused() {
    let mut world = World::new(Compat::V1_14, 9);
    world.live(30);
    assert!(world.saw("KeyRefused"), "{:#?}", world.seen);
    for key in [format!("{}\n", marked(1)), format!("ä{}", marked(1))] {
        assert_error_hides(&world.client.set_key(Secret::new(key), world.now).unwrap_err());
    }
    world.client.set_key(Secret::new(marked(1)), world.now).unwrap();
    world.live(30);
    assert!(world.saw("Streaming"), "{:#?}", world.seen);
}

#[test]
fn urls_that_are_refused_are_not_repeated() {
    let mut world = World::new(Compat::V1_14, 1);
    let secret = marked(2);
    for text in [
        secret.clone(),
        format!("ftp://{secret}@h:1/h:2"),
        format!("server://{secret}@h:1/h:2%zz"),
        format!("server://{secret}\n@h:1/h:2"),
        format!("server://{secret}@h:{secret}/h:2"),
        format!("server://{secret}@[h:1/h:2"),
    ] {
        for error in InstanceUrl::parse(&text).err().into_iter().chain(MasterUrl::parse(&text).err()) {
            assert_error_hides(&error);
        }
        match world.client.create(&text, None, world.now) {
            Ok(_) => world.live(1),
            Err(error) => assert_error_hides(&error),
        }
        let built = InstanceUrl::builder(Role::Server).tunnel_key(&secret).tunnel("h", 1).target("h h", 2);
        assert_debug_hides(&built);
        assert_debug_hides(&built.build().map_err(|error| assert_error_hides(&error)));
        for address in
            [text.clone(), format!("http://u:{secret}@h/api"), format!("http://h/api?key={secret}")]
        {
            match address.parse::<Endpoint>() {
                Ok(endpoint) => assert_debug_hides(&endpoint),
                Err(error) => assert_error_hides(&error),
            }
        }
    }
}

#[test]
fn a_key_that_a_master_repeats_does_not_show() {
    let key = Secret::new(marked(4));
    let secret = key.expose();
    let bodies = [
        secret.to_owned(),
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"error\":\"no such key: {secret}\"}}"),
        format!("{{\"message\":\"{secret}\"}}"),
        format!("{{\"success\":false,\"error\":\"{secret}{secret}\"}}"),
        format!("{{\"id\":[\"{secret}\"],\"url\":\"{secret}\"}}"),
        format!("{{\"error\":\"{}{secret}\"}}", "x".repeat(500)),
    ];
    let id = InstanceId::from("a1b2c3d4");
    let calls = [
        Call::List,
        Call::Create(CreateInstance { url: tunnel(2).into(), ..CreateInstance::default() }),
        Call::Patch(id.clone(), PatchInstance::action(Action::Stop)),
        Call::Put(id.clone(), PutInstance { url: tunnel(3).into(), ..PutInstance::default() }),
        Call::Delete(id),
        Call::Info,
        Call::Tcping("h:1".into()),
        Call::RotateKey,
    ];
    let mut refused = 0;
    for (call, body) in calls.iter().flat_map(|call| bodies.iter().map(move |body| (call, body))) {
        for status in [200, 400, 401, 403, 404, 409, 500] {
            refused += usize::from(answered(&key, call, status, body));
        }
    }
    assert!(refused > 400, "only {refused} were refused");
}

/// Whether a call fails that is answered like this.
fn answered(key: &Secret, call: &Call, status: u16, body: &str) -> bool {
    assert_debug_hides(call);
    let response = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
    assert_debug_hides(&reply(call, &response));
    let mut config = client::Config::new("http://h".parse().unwrap(), key.clone());
    (config.layout, config.monitoring) = (Some(Layout::Versioned), Monitoring::Off);
    let mut client = Client::new(config, epoch()).unwrap();
    client.call(call.clone(), epoch()).unwrap();
    let mut fails = false;
    while let Some(output) = client.poll_output() {
        assert_debug_hides(&output);
        assert_debug_hides(&client);
        match output {
            client::Output::Request { id, .. } => client.handle_response(id, response.clone(), epoch()),
            client::Output::Event(event) => {
                assert_errors_hide(&event);
                fails |= matches!(event, client::Event::Answered { outcome: Err(_), .. });
            }
            _ => {}
        }
    }
    fails
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let secret = marked(3);
    let bodies = [
        secret.clone(),
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"{secret}\":1"),
        format!(
            "{{\"id\":[\"{secret}\"],\"tcprx\":\"{secret}\",\"uptime\":\"{secret}\",\"latency\":\"{secret}\"}}"
        ),
        format!("{{\"format\":1,\"key\":\"{secret}\",\"instances\":\"{secret}\"}}"),
        format!("{{\"format\":\"{secret}\"}}"),
    ];
    let mut refused = 0;
    for body in &bodies {
        let bytes = body.as_bytes();
        let errors = [
            wire::decode::<Instance>(bytes).err(),
            wire::decode::<Vec<Instance>>(bytes).err(),
            wire::decode::<Info>(bytes).err(),
            wire::decode::<TcpingResult>(bytes).err(),
            wire::decode::<InstanceEvent>(bytes).err(),
        ];
        for error in errors.into_iter().flatten() {
            assert_error_hides(&error);
            assert_error_hides(&RequestError::Undecodable(error));
            refused += 1;
        }
        assert_error_hides(&Snapshot::decode(bytes).unwrap_err());
        let frame = format!("event: instance\ndata: {body}\n\n");
        EventReader::new(1 << 20).read(frame.as_bytes(), |item: Item| assert_debug_hides(&item));
        EventReader::new(16).read(frame.as_bytes(), |item| assert_debug_hides(&item));
    }
    assert!(refused > 20, "only {refused} were refused");
}

#[test]
fn no_secret_shows_of_a_view() {
    let mut fleet = Fleet::new(fleet::Config::default());
    let mut changes = VecDeque::new();
    let at = Moment { now: epoch(), unix_milliseconds: 0 };
    let instance = Instance { id: "a".into(), url: tunnel(2).into(), ..Instance::default() };
    let record = Instance { id: InstanceId::key_record(), url: marked(1).into(), ..Instance::default() };
    let line = format!("Server started: {}", tunnel(2));
    let event = |kind, instance: &Instance| InstanceEvent {
        kind,
        instance: Some(instance.clone()),
        ..InstanceEvent::default()
    };
    let events = [
        event(EventKind::Create, &instance),
        event(EventKind::Initial, &record),
        InstanceEvent { logs: Some(line.into()), ..event(EventKind::Log, &instance) },
    ];
    for event in events {
        assert_debug_hides(&event);
        fleet.apply_event(event, at, &mut changes);
    }
    let member = fleet.get("a").unwrap();
    assert_debug_hides(&(&fleet, member, member.log(), InstanceRecord::from(member.instance())));
    assert_debug_hides(&changes);
    assert!(changes.iter().any(|change| matches!(change, fleet::Change::Logged { .. })));
}

#[test]
fn no_key_of_a_tunnel_shows_but_where_it_is_asked_for() {
    let secret = marked(7);
    for text in [
        format!("server://{secret}@h:1/h:2"),
        format!("server://{secret}:{secret}@h:1/h:2?{secret}={secret}#{secret}"),
        format!("client:{secret}@h:1/h:2"),
        format!("client:///{secret}@h:1/h:2"),
        format!("client:?://{secret}@h:1/h:2&crt=?://{secret}@h&read=?://{secret}@h"),
        format!("server://h:1/[fe80::1%25?://{secret}@h]:1"),
        format!("client:///{secret}%40h:1/h:2"),
        format!("server://{secret}@::1:99999/a:b:c/"),
    ] {
        let url = url(&text);
        let mut shown = format!("{url:?} {} {:?} {:?}", url.redacted(), url.tunnel_key(), url.to_builder());
        // A parameter shows, unless it may be a URL with a key.
        let is_in_parameters = text.contains('?') && !text.contains("?://");
        for rules in RULES {
            shown += &format!("{:?}", url.effective(rules));
            if !is_in_parameters {
                shown += &format!("{:?} {:?}", url.check(rules), url.explain(rules));
            }
        }
        assert_eq!(find_secret(&shown), None, "{shown}");
        assert!(url.as_str().contains(&secret));
    }
    let master = MasterUrl::parse(&format!("master://{secret}@h:1/api?key={secret}")).unwrap();
    assert_eq!(find_secret(&format!("{master:?}")), None);
}
