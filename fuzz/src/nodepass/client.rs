//! The client under arbitrary steps: answers of all kinds, streams cut anywhere, commands, failures, waits, a clock that goes
//! backwards, the end.

use crate::input::Input;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use nodepass_api::Secret;
use nodepass_api::client::{
    CallId, Client, CommandError, Config, Delivery, Event, Failure, FailureKind, Layout, Monitoring, Output,
    RequestId, State, StreamId,
};
use nodepass_api::fleet::InstanceRecord;
use nodepass_api::wire::{InstanceId, PatchInstance};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed, check_closed_ignores, check_command};
use testkit::secrets::{MARK, assert_debug_hides, assert_no_secret, marked};
use testkit::{Machine as _, drain, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 300;
const MOST_FRAME: usize = 600;

/// What a master may answer. `KEY` stands for a key, `ASKED` for the one that it was asked with.
const BODIES: [&str; 16] = [
    r#"{"ver":"v1.14.0","uptime":7,"mem_used":1}"#,
    r#"{"ver":"v1.6.0","uptime":3,"cpu":-1}"#,
    r#"{"success":true,"data":{"ver":"0.1.0","uptime":9}}"#,
    "[]",
    r#"[{"id":"********","type":"","status":"","url":"KEY","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}]"#,
    r#"[{"id":"a","type":"server","status":"running","url":"server://KEY@:1/t:2","mode":1,"tcprx":5,"tcptx":0,"udprx":0,"udptx":0},{"id":"b","type":"client","status":"stopped","url":"","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}]"#,
    r#"{"id":"a","type":"server","status":"stopped","url":"server://KEY@:1/t:2","alias":"x","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#,
    r#"{"id":"********","type":"","status":"","url":"KEY","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#,
    r#"{"id":"********","type":"","status":"","url":"ASKED","tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#,
    r#"{"error":"no such key: ASKED"}"#,
    r#"{"target":"h:1","connected":true,"latency":3,"error":null}"#,
    r#"{"success":false,"message":"ASKED"}"#,
    "404 page not found\n",
    "",
    "null",
    "{\"id\":",
];

const STATUSES: [u16; 20] =
    [200, 200, 200, 200, 200, 200, 200, 201, 204, 307, 400, 401, 401, 403, 404, 405, 409, 500, 503, 502];

/// What a stream may say.
const FRAMES: [&str; 16] = [
    "retry: 3000\n\n",
    "retry: 99999999999999999999\n\n",
    ": lost 3\n\n",
    ":\n\n",
    "event: instance\ndata: {\"type\":\"initial\",\"time\":\"2026-11-21T10:17:18Z\",\"instance\":{\"id\":\"********\",\"type\":\"\",\"status\":\"\",\"url\":\"KEY\",\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0},\"logs\":\"\"}\n\n",
    "event: instance\ndata: {\"type\":\"update\",\"time\":\"2026-11-21T10:17:18Z\",\"instance\":{\"id\":\"********\",\"type\":\"\",\"status\":\"\",\"url\":\"OTHER\",\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0},\"logs\":\"\"}\n\n",
    "event: instance\ndata: {\"type\":\"create\",\"time\":\"\",\"instance\":{\"id\":\"a\",\"type\":\"server\",\"status\":\"running\",\"url\":\"server://KEY@:1/t:2\",\"mode\":2,\"tcprx\":9,\"tcptx\":0,\"udprx\":0,\"udptx\":0},\"logs\":\"\"}\n\n",
    "event: instance\ndata: {\"type\":\"update\",\"time\":\"x\",\"instance\":{\"id\":\"a\",\"type\":\"server\",\"status\":\"running\",\"url\":\"server://KEY@:1/t:2\",\"mode\":2,\"tcprx\":18446744073709551615,\"tcptx\":0,\"udprx\":0,\"udptx\":0}}\n\n",
    "event: instance\ndata: {\"type\":\"update\",\"time\":\"x\",\"instance\":{\"id\":\"b\",\"type\":\"client\",\"status\":\"error\",\"url\":\"\",\"alias\":\"x\",\"tcprx\":1,\"tcptx\":0,\"udprx\":0,\"udptx\":0}}\n\n",
    "event: instance\ndata: {\"type\":\"log\",\"time\":\"2026-11-21T10:17:18.5+08:00\",\"instance\":{\"id\":\"a\",\"type\":\"server\",\"status\":\"running\",\"url\":\"\",\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0},\"logs\":\"\\u001b[32mINFO\\u001b[0m  KEY\"}\n\n",
    "event: instance\ndata: {\"type\":\"delete\",\"time\":\"\",\"instance\":{\"id\":\"a\",\"type\":\"server\",\"status\":\"stopped\",\"url\":\"\",\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0},\"logs\":\"\"}\n\n",
    "event: instance\ndata: {\"type\":\"shutdown\",\"time\":\"\",\"instance\":null,\"logs\":\"\"}\n\n",
    "event: instance\ndata: {\"type\":\"KEY\"}\n\n",
    "data: KEY\n\n",
    "event: other\ndata: {}\n\n",
    "\r\n\r\n\u{feff}id: 7\r",
];

const IDS: [&str; 6] = ["a", "b", "********", "", "a/../b", "a1b2c3d4"];

/// An arbitrary list of steps, after each of which the rules hold.
pub fn nodepass_client(data: &[u8]) {
    if data.windows(MARK.len()).any(|window| window.eq_ignore_ascii_case(MARK.as_bytes())) {
        return;
    }
    let mut input = Input::new(data);
    let Ok(client) = Client::new(config(&mut input), epoch()) else { return };
    let mut run = Run::new(Fuzzed(client));
    run.settle();
    for _ in 0..MOST_STEPS {
        if input.is_empty() || run.is_closed {
            break;
        }
        run.step(&mut input);
        run.settle();
    }
    run.end();
}

fn config(input: &mut Input<'_>) -> Config {
    let endpoint = input.pick(&["http://h:9090/api", "https://[::1]", "http://h:1/api/v1/"]);
    let mut config =
        Config::new(endpoint.parse().expect("it is one"), Secret::new(input.pick(&[&*marked(0), ""])));
    let seconds = Duration::from_secs;
    config.layout = input.pick(&[None, Some(Layout::Versioned), Some(Layout::Plain)]);
    config.monitoring =
        input.pick(&[Monitoring::Stream, Monitoring::Stream, Monitoring::Poll, Monitoring::Off]);
    config.adopts_keys = input.below(4) != 3;
    config.tells_events = input.flag();
    config.checks_urls = input.flag();
    config.request_timeout = input.pick(&[seconds(15), Duration::from_nanos(1), Duration::MAX]);
    config.head_timeout = input.pick(&[seconds(10), Duration::from_nanos(1), Duration::MAX]);
    config.first_event_timeout = input.pick(&[Some(seconds(10)), None, Some(Duration::MAX)]);
    config.idle_timeout = input.pick(&[Some(seconds(300)), None, Some(seconds(1))]);
    config.resync_interval = input.pick(&[Some(seconds(60)), None, Some(Duration::MAX)]);
    config.info_interval = input.pick(&[Some(seconds(30)), None, Some(Duration::MAX)]);
    config.retry = input.pick(&[seconds(3), Duration::ZERO, Duration::MAX]);
    config.max_wait = input.pick(&[seconds(60), Duration::MAX, config.min_wait]);
    config.poll_after = input.pick(&[3, 0, 1, u32::MAX]);
    config.max_response = input.pick(&[64 << 20, 40, 0]);
    config.max_frame = MOST_FRAME;
    (config.max_calls, config.max_held) = input.pick(&[(1_024, 256), (4, 2), (1, 0)]);
    (config.fleet.max_instances, config.fleet.max_bytes) =
        input.pick(&[(65_536, 1 << 30), (1, 1 << 20), (65_536, 1_500)]);
    config.unix_milliseconds = input.pick(&[0, i64::MAX, i64::MIN]);
    config.seed = input.number();
    config
}

struct Fuzzed(Client);

testkit::forward_machine!(Fuzzed, Output);

/// What became of the stream that is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Wanted,
    Open,
}

struct Run {
    client: Fuzzed,
    now: Instant,
    requests: BTreeMap<RequestId, Request<Bytes>>,
    stream: Option<(StreamId, Stage)>,
    last_request: Option<RequestId>,
    last_stream: Option<StreamId>,
    calls: BTreeSet<CallId>,
    last_call: Option<CallId>,
    is_closed: bool,
    /// What `Debug` has shown; it is searched for secrets at the end, since that takes long.
    shown: String,
}

impl Run {
    fn new(client: Fuzzed) -> Self {
        Self {
            client,
            now: epoch(),
            requests: BTreeMap::new(),
            stream: None,
            last_request: None,
            last_stream: None,
            calls: BTreeSet::new(),
            last_call: None,
            is_closed: false,
            shown: String::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(32) {
            0..=7 => self.answer(input),
            8 => self.fail(input),
            9..=10 => self.open(input),
            11..=16 => self.bytes(input),
            17 => self.end_stream(input),
            18..=23 => self.call(input),
            24 => {
                let key = Secret::new(input.pick(&[&*marked(0), &*marked(1), "", "not\nfit"]));
                let _ = check_command(&mut self.client, |client| client.0.set_key(key, now));
            }
            25 => self.client.0.resync(now),
            26 => self.client.0.retry(now),
            27 => self.wait(),
            28 => self.now += Duration::from_millis(input.number() % 400_000),
            29 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.client.handle_timeout(before.unwrap_or(now));
            }
            30 => self.stale(input),
            _ => {
                if input.below(8) == 0 {
                    self.client.0.close(now);
                }
            }
        }
    }

    fn wait(&mut self) {
        if let Some(due) = self.client.poll_timeout() {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
        }
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let ids: Vec<_> = self.requests.keys().copied().collect();
        if ids.is_empty() {
            return self.open(input);
        }
        let id = input.pick(&ids);
        let request = self.requests.remove(&id).expect("it is under way");
        let asked = request.headers().get("x-api-key").map_or("", |key| key.to_str().expect("it is text"));
        let body = match input.below(BODIES.len() + 4) {
            known if known < BODIES.len() => {
                BODIES[known].replace("KEY", &marked(2)).replace("ASKED", asked).into_bytes()
            }
            // What fits the question.
            fitting if fitting < BODIES.len() + 3 => fit(&request).replace("KEY", &marked(2)).into_bytes(),
            _ => input.bytes().to_vec(),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(input.pick(&STATUSES)).expect("it is a status");
        self.client.0.handle_response(id, response, self.now);
    }

    fn fail(&mut self, input: &mut Input<'_>) {
        let Some((id, _)) = self.requests.pop_first() else { return };
        self.client.0.handle_failure(id, failure(input), self.now);
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let Some((stream, Stage::Wanted)) = self.stream else { return self.wait() };
        let mut head = Response::new(());
        *head.status_mut() =
            StatusCode::from_u16(input.pick(&[200, 200, 200, 200, 401, 404, 503])).expect("it is a status");
        if input.below(4) == 3 {
            let kind = input.pick(&["text/event-stream; charset=utf-8", "TEXT/EVENT-STREAM", "text/html"]);
            head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        self.stream = Some((stream, Stage::Open));
        self.client.0.handle_stream_opened(stream, &head, self.now);
    }

    fn bytes(&mut self, input: &mut Input<'_>) {
        let Some((stream, Stage::Open)) = self.stream else { return self.open(input) };
        let bytes = match input.below(FRAMES.len() + 2) {
            known if known < FRAMES.len() => {
                FRAMES[known].replace("KEY", &marked(2)).replace("OTHER", &marked(3)).into_bytes()
            }
            _ => input.bytes().to_vec(),
        };
        // All of it, or it is cut: the rest follows, or does not.
        let cut = match input.byte() {
            0..=127 => bytes.len(),
            cut => usize::from(cut - 128) * 4 % (bytes.len() + 1),
        };
        let (first, second) = bytes.split_at(cut);
        self.client.0.handle_stream_bytes(stream, first, self.now);
        self.settle();
        if cut % 2 == 0 && matches!(self.stream, Some((open, Stage::Open)) if open == stream) {
            self.client.0.handle_stream_bytes(stream, second, self.now);
        }
    }

    fn end_stream(&mut self, input: &mut Input<'_>) {
        let Some((stream, _)) = self.stream.take() else { return };
        let failure = input.flag().then(|| failure(input));
        self.client.0.handle_stream_end(stream, failure, self.now);
    }

    fn call(&mut self, input: &mut Input<'_>) {
        let id = InstanceId::new(input.pick(&IDS));
        let url =
            input.pick(&["server://KEY@:1/t:2", "client://KEY@h:99999/", "nonsense", "server://:1/:2?min=1"]);
        let url = url.replace("KEY", &marked(4));
        let patch = PatchInstance {
            alias: input.flag().then(|| "x".into()),
            restart: input.flag().then_some(true),
            action: input.flag().then(|| input.pick(&["start", "stop", "restart", "reset", "?"]).into()),
            ..PatchInstance::default()
        };
        let record = InstanceRecord {
            id: id.clone(),
            url: url.as_str().into(),
            alias: "x".into(),
            restart: Some(input.flag()),
        };
        let (kind, now) = (input.below(14), self.now);
        let done = check_command(&mut self.client, |Fuzzed(client)| match kind {
            0 => client.list(now),
            1 => client.create(&url, Some("x"), now),
            2 => client.get(&id, now),
            3 | 4 => client.patch(&id, patch, now),
            5 => client.put(&id, &url, now),
            6 => client.delete(&id, now),
            7 => client.ask(now),
            8 => client.set_master_alias("x", now),
            9 => client.tcping("h:1", now),
            10 => client.openapi(now),
            11 => client.docs(now),
            12 => client.rotate_key(now),
            _ => client.recreate(&record, now),
        });
        if let Ok(call) = done {
            assert!(self.last_call < Some(call), "rule: an id is never used twice");
            self.last_call = Some(call);
            self.calls.insert(call);
        }
    }

    /// Inputs for what is over do nothing.
    fn stale(&mut self, input: &mut Input<'_>) {
        let (now, deadline) = (self.now, self.client.poll_timeout());
        if let Some(id) = self.last_request.filter(|id| !self.requests.contains_key(id)) {
            match input.flag() {
                true => self.client.0.handle_response(id, Response::new(Bytes::new()), now),
                false => self.client.0.handle_failure(id, failure(input), now),
            }
        }
        if let Some(stream) = self.last_stream.filter(|_| self.stream.is_none()) {
            match input.below(3) {
                0 => self.client.0.handle_stream_opened(stream, &Response::new(()), now),
                1 => self.client.0.handle_stream_bytes(stream, b": lost 3\n\n", now),
                _ => self.client.0.handle_stream_end(stream, None, now),
            }
        }
        let outputs = drain(&mut self.client);
        assert!(outputs.is_empty(), "rule: input for what is over is ignored; {outputs:?}");
        assert!(self.client.poll_timeout() == deadline, "rule: input for what is over is ignored");
    }

    /// Checks what holds at any time.
    fn settle(&mut self) {
        drain(&mut self.client).into_iter().for_each(|output| self.carry_out(output));
        for output in check_after_step(&mut self.client, self.now) {
            self.carry_out(output);
        }
        let client = &self.client.0;
        write!(self.shown, "{client:?}{:?}", client.info()).expect("a string takes all");
        assert_eq!(self.is_closed, client.is_closed(), "rule: the end is told");
        assert_eq!(self.calls.len(), client.open_calls(), "rule: every call is answered once");
        assert!(self.calls.len() <= client.config().max_calls, "rule: calls have a limit");
        // The list, the master about itself or the search, and a request for each call.
        assert!(self.requests.len() <= self.calls.len() + 2, "rule: requests have a limit");
        let fleet = client.fleet();
        assert!(fleet.len() <= client.config().fleet.max_instances, "rule: instances have a limit");
        assert!(fleet.bytes() <= client.config().fleet.max_bytes, "rule: bytes have a limit");
        let rates = fleet.iter().map(|member| member.rates());
        let mut rates = rates.flat_map(|rates| [rates.tcprx, rates.tcptx, rates.udprx, rates.udptx]);
        assert!(rates.all(|rate| rate.is_finite() && rate >= 0.0), "rule: rates are never negative");
        self.whereabouts();
    }

    fn whereabouts(&self) {
        let client = &self.client.0;
        let is_open = matches!(self.stream, Some((_, Stage::Open)));
        match client.state() {
            State::Closed => {
                assert!(
                    self.requests.is_empty() && self.stream.is_none(),
                    "rule: nothing goes on after the end"
                );
            }
            State::Probing => assert!(!self.requests.is_empty(), "rule: a search asks"),
            State::Streaming => assert!(is_open, "rule: the state is what was told"),
            State::Connecting => {
                assert!(matches!(self.stream, Some((_, Stage::Wanted))), "rule: the state is what was told");
            }
            State::Waiting | State::Reconnecting => {
                let wakes = self.client.poll_timeout().is_some() || client.config().max_wait == Duration::MAX;
                let rotates = !self.requests.is_empty();
                assert!(wakes || rotates, "rule: a client that waits wakes up");
            }
            State::Polling => {
                let asks = self.client.poll_timeout().is_some() || !self.requests.is_empty();
                assert!(asks, "rule: a client that polls asks");
            }
            _ => {}
        }
        if self.stream.is_some() {
            assert_eq!(
                client.config().monitoring,
                Monitoring::Stream,
                "rule: a stream is opened where one is wanted"
            );
        }
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        write!(self.shown, "{output:?}").expect("a string takes all");
        match output {
            Output::Request { id, request } => {
                assert!(self.last_request < Some(id), "rule: an id is never used twice");
                check_request(&request);
                self.last_request = Some(id);
                self.requests.insert(id, request);
            }
            Output::Cancel(id) => {
                assert!(self.requests.remove(&id).is_some(), "rule: only what is under way is given up");
            }
            Output::OpenStream { stream, request } => {
                assert!(self.stream.is_none(), "rule: one stream at a time");
                assert!(self.last_stream < Some(stream), "rule: an id is never used twice");
                check_request(&request);
                (self.stream, self.last_stream) = (Some((stream, Stage::Wanted)), Some(stream));
            }
            Output::CloseStream { stream } => {
                let current = self.stream.take().map(|(stream, _)| stream);
                assert_eq!(current, Some(stream), "rule: only what was wanted ends");
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Answered { id, outcome } => {
                assert!(self.calls.remove(&id), "rule: every call is answered once");
                if let Err(error) = outcome {
                    write!(self.shown, "{error}").expect("a string takes all");
                }
            }
            Event::NotFound { reason, wait } => {
                write!(self.shown, "{reason}").expect("a string takes all");
                assert!(!wait.is_zero(), "rule: a client rests between attempts");
            }
            Event::KeyRotated { key, .. } => {
                assert!(!key.is_empty(), "rule: a new key is one");
            }
            Event::Closed => self.is_closed = true,
            _ => {}
        }
    }

    fn end(mut self) {
        self.client.0.close(self.now);
        self.settle();
        assert!(self.is_closed && self.calls.is_empty(), "rule: the end is told, and answers all calls");
        check_closed(&mut self.client, self.now);
        let now = self.now;
        if let Some(stream) = self.last_stream {
            check_closed_ignores(&mut self.client, |client| {
                client.0.handle_stream_bytes(stream, b": lost 3\n\n", now);
            });
            check_closed_ignores(&mut self.client, |client| client.0.handle_stream_end(stream, None, now));
        }
        check_closed_ignores(&mut self.client, |client| client.0.retry(now));
        check_closed_ignores(&mut self.client, |client| client.0.resync(now));
        assert_eq!(
            self.client.0.list(now),
            Err(CommandError::Closed),
            "rule: a closed client takes no command"
        );
        check_closed(&mut self.client, now);
        assert_debug_hides(&self.client.0);
        assert!(!self.shown.contains(MARK), "rule: no secret shows");
        // The search for other forms takes long; one run in eight is enough for it.
        if self.shown.len().is_multiple_of(8) {
            assert_no_secret(&self.shown, "what is shown");
        }
    }
}

/// A request is whole, and its key is hidden.
fn check_request(request: &Request<Bytes>) {
    assert!(
        request.uri().host().is_some() && request.uri().scheme().is_some(),
        "rule: a request is complete"
    );
    let key = request.headers().get("x-api-key");
    assert!(key.is_none_or(HeaderValue::is_sensitive), "rule: the key is marked");
    let uri = request.uri().to_string();
    assert!(!uri.contains(MARK), "rule: no key is in a URI");
}

fn fit(request: &Request<Bytes>) -> &'static str {
    let path = request.uri().path();
    match request.method().as_str() {
        "GET" if path.ends_with("/info") => BODIES[0],
        "GET" if path.ends_with("/instances") => BODIES[5],
        "GET" if path.ends_with("/tcping") => BODIES[10],
        _ if path.ends_with("********") => BODIES[7],
        _ => BODIES[6],
    }
}

fn failure(input: &mut Input<'_>) -> Failure {
    let kind = input.pick(&[
        FailureKind::Refused,
        FailureKind::ConnectionLost,
        FailureKind::TimedOut,
        FailureKind::Certificate,
    ]);
    Failure::new(if input.flag() { Delivery::Perhaps } else { Delivery::No }, kind)
}
