//! Rules that hold for the client whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod client_support;

use bytes::Bytes;
use client_support::{INFO, TestClient, config, epoch, frame, instance, millis, record, response, seconds};
use http::{Request, Response, StatusCode};
use nodepass_api::Secret;
use nodepass_api::client::{
    Client, Config, Delivery, Event, Failure, FailureKind, Layout, Monitoring, Output, RequestId, StreamId,
};
use nodepass_api::fleet::InstanceRecord;
use nodepass_api::wire::{InstanceId, PatchInstance};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use testkit::rules::{
    check_after_step, check_closed, check_command, check_cut_invariance_by, check_no_busy_loop,
};
use testkit::secrets::{assert_debug_hides, assert_error_hides, marked};
use testkit::{Instant, Machine, drain};

const STREAMS: [&str; 5] = [
    include_str!("captures/sse_v1.6.0_lifecycle.body.txt"),
    include_str!("captures/sse_v1.6.0_traffic.body.txt"),
    include_str!("captures/sse_v1.6.0_key_rotation.body.txt"),
    include_str!("captures/sse_v1.14.0_key_rotation.body.txt"),
    include_str!("captures/sse_v1.14.0_lifecycle.body.txt"),
];

const MOST_CALLS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    Answer(usize, u16, usize),
    Fail(usize, bool),
    Open(u16),
    Bytes(usize, usize),
    End(bool),
    Call(usize),
    SetKey(bool),
    Resync,
    Retry,
    Wait(u64),
    Back(u64),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status =
        prop::sample::select(vec![200_u16, 200, 200, 200, 201, 204, 307, 400, 401, 404, 409, 500, 503]);
    let step = prop_oneof![
        14 => (0..4_usize, status, 0..BODIES).prop_map(|(at, status, body)| Step::Answer(at, status, body)),
        3 => (0..4_usize, any::<bool>()).prop_map(|(at, seen)| Step::Fail(at, seen)),
        4 => prop::sample::select(vec![200_u16, 200, 200, 401, 404, 502]).prop_map(Step::Open),
        8 => (0..FRAMES, 0..200_usize).prop_map(|(frame, cut)| Step::Bytes(frame, cut)),
        2 => any::<bool>().prop_map(Step::End),
        6 => (0..CALLS).prop_map(Step::Call),
        1 => any::<bool>().prop_map(Step::SetKey),
        1 => Just(Step::Resync),
        1 => Just(Step::Retry),
        6 => (0..70_000_u64).prop_map(Step::Wait),
        1 => (0..20_000_u64).prop_map(Step::Back),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..80)
}

const BODIES: usize = 8;

/// One of them repeats the key that it was asked with.
fn body(number: usize, key: &str) -> String {
    match number {
        0 => INFO.to_owned(),
        1 => "[]".to_owned(),
        2 => format!("[{},{}]", record(&marked(1)), running()),
        3 => running(),
        4 => record(&marked(2)),
        5 => format!("{{\"error\":\"no such key: {key}\"}}"),
        6 => "404 page not found\n".to_owned(),
        _ => r#"{"success":true,"data":{"ver":"v1.6.0","uptime":5}}"#.to_owned(),
    }
}

const FRAMES: usize = 9;

fn frames(number: usize) -> String {
    match number {
        0 => "retry: 50\n\n".to_owned(),
        1 => ": lost 2\n\n:\n\n".to_owned(),
        2 => frame("initial", &record(&marked(1))),
        3 => frame("update", &record(&marked(3))),
        4 => frame("create", &running()),
        5 => frame("update", &running()),
        6 => frame("delete", &running()),
        7 => frame("shutdown", "null"),
        _ => format!("event: instance\ndata: {}\n\n", marked(4)),
    }
}

fn running() -> String {
    instance("a1b2c3d4", "running", &format!(r#""url":"server://{}@:1/t:2?log=info","mode":1"#, marked(5)))
}

const CALLS: usize = 9;

fn call(client: &mut TestClient, number: usize, now: Instant) {
    let id = InstanceId::new("a1b2c3d4");
    let url = format!("server://{}@:1/t:2", marked(6));
    let record =
        InstanceRecord { id: id.clone(), url: url.as_str().into(), alias: "x".into(), restart: Some(true) };
    let _ = check_command(client, |TestClient(client)| match number {
        0 => client.list(now),
        1 => client.create(&url, None, now),
        2 => client.patch(&id, PatchInstance { restart: Some(true), ..PatchInstance::default() }, now),
        3 => client.put(&id, &url, now),
        4 => client.delete(&id, now),
        5 => client.rotate_key(now),
        6 => client.recreate(&record, now),
        7 => client.create("nonsense", None, now),
        _ => client.restart(&InstanceId::key_record(), now),
    });
}

fn limited(monitoring: Monitoring, layout: Option<Layout>) -> Config {
    let mut config = config();
    config.key = Secret::new(marked(0));
    config.monitoring = monitoring;
    config.layout = layout;
    config.resync_interval = Some(seconds(60));
    config.info_interval = Some(seconds(30));
    config.tells_events = true;
    (config.max_calls, config.max_held, config.max_frame) = (MOST_CALLS, 2, 600);
    config
}

/// What is under way, and how often each call was answered.
#[derive(Default)]
struct Books {
    requests: BTreeMap<RequestId, Request<Bytes>>,
    stream: Option<StreamId>,
    ids: BTreeSet<String>,
    answered: BTreeSet<String>,
}

impl Books {
    fn enter(&mut self, outputs: Vec<Output>) {
        assert_debug_hides(&outputs);
        for output in outputs {
            match output {
                Output::Request { id, request } => {
                    assert!(self.ids.insert(format!("{id:?}")), "ids are never used twice");
                    let key = request.headers().get("x-api-key");
                    assert!(key.is_none_or(http::HeaderValue::is_sensitive));
                    self.requests.insert(id, request);
                }
                Output::Cancel(id) => {
                    assert!(self.requests.remove(&id).is_some(), "only what is under way is cancelled")
                }
                Output::OpenStream { stream, .. } => {
                    assert!(self.ids.insert(format!("{stream:?}")), "ids are never used twice");
                    assert!(self.stream.replace(stream).is_none(), "there is one stream at a time");
                }
                Output::CloseStream { stream } => assert_eq!(self.stream.take(), Some(stream)),
                Output::Event(Event::Answered { id, outcome }) => {
                    assert!(self.answered.insert(format!("{id:?}")), "a call is answered once");
                    if let Err(error) = outcome {
                        assert_error_hides(&error);
                    }
                }
                Output::Event(_) => {}
            }
        }
        assert!(self.requests.len() <= MOST_CALLS + 3);
    }
}

proptest! {
    #[test]
    fn every_rule_holds_after_every_step(
        steps in steps(),
        monitoring in prop::sample::select(vec![Monitoring::Stream, Monitoring::Stream, Monitoring::Poll, Monitoring::Off]),
        layout in prop::sample::select(vec![None, Some(Layout::Versioned)]),
    ) {
        let mut client = TestClient(Client::new(limited(monitoring, layout), epoch()).unwrap());
        let (mut now, mut books) = (epoch(), Books::default());
        books.enter(drain(&mut client));
        for step in steps {
            match step {
                Step::Answer(at, status, number) => if let Some(&id) = books.requests.keys().nth(at) {
                    let request = books.requests.remove(&id).unwrap();
                    let key = request.headers().get("x-api-key").map_or("", |key| key.to_str().unwrap());
                    client.0.handle_response(id, response(status, &body(number, key)), now);
                }
                Step::Fail(at, seen) => if let Some(&id) = books.requests.keys().nth(at) {
                    books.requests.remove(&id);
                    let delivered = if seen { Delivery::Perhaps } else { Delivery::No };
                    client.0.handle_failure(id, Failure::new(delivered, FailureKind::Refused), now);
                }
                Step::Open(status) => if let Some(stream) = books.stream {
                    let mut head = Response::new(());
                    *head.status_mut() = StatusCode::from_u16(status).unwrap();
                    client.0.handle_stream_opened(stream, &head, now);
                }
                Step::Bytes(number, cut) => if let Some(stream) = books.stream {
                    let bytes = frames(number).into_bytes();
                    client.0.handle_stream_bytes(stream, &bytes[..bytes.len().min(cut.max(1) * 7)], now);
                }
                Step::End(failed) => if let Some(stream) = books.stream.take() {
                    let failure = failed.then(|| Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost));
                    client.0.handle_stream_end(stream, failure, now);
                }
                Step::Call(number) => call(&mut client, number, now),
                Step::SetKey(other) => {
                    let key = Secret::new(marked(if other { 7 } else { 0 }));
                    let _ = check_command(&mut client, |TestClient(client)| client.set_key(key, now));
                }
                Step::Resync => client.0.resync(now),
                Step::Retry => client.0.retry(now),
                Step::Wait(wait) => now += millis(wait),
                Step::Back(back) => client.0.handle_timeout(now.checked_sub(millis(back)).unwrap_or(now)),
                Step::Close => client.0.close(now),
            }
            books.enter(check_after_step(&mut client, now));
            assert_debug_hides(&client.0);
            prop_assert!(client.0.open_calls() <= MOST_CALLS);
            if client.0.is_closed() {
                prop_assert!(books.requests.is_empty() && books.stream.is_none() && client.0.open_calls() == 0);
                check_closed(&mut client, now);
            }
        }
    }

    #[test]
    fn the_cut_of_a_stream_does_not_matter(cuts in prop::collection::vec(0..20_000_usize, 0..20), which in 0..STREAMS.len()) {
        check_cut(STREAMS[which].as_bytes(), &cuts);
    }
}

#[test]
fn a_recorded_stream_may_come_byte_by_byte() {
    for stream in [STREAMS[2], STREAMS[3]] {
        let cuts: Vec<usize> = (0..stream.len()).collect();
        check_cut(stream.as_bytes(), &cuts);
    }
}

fn check_cut(input: &[u8], cuts: &[usize]) {
    check_cut_invariance_by(
        || streaming().0,
        |client, bytes| {
            let stream = streaming().1;
            client.0.handle_stream_bytes(stream, bytes, epoch());
        },
        |output| match output {
            Output::Event(event) => client_support::event_line(&event),
            other => format!("{other:?}"),
        },
        input,
        cuts,
    );
}

/// A client with a stream, and its id, which is the same each time.
fn streaming() -> (TestClient, StreamId) {
    let mut client =
        TestClient(Client::new(limited(Monitoring::Stream, Some(Layout::Versioned)), epoch()).unwrap());
    let mut stream = None;
    for output in drain(&mut client) {
        if let Output::OpenStream { stream: id, .. } = output {
            stream = Some(id);
        }
    }
    let stream = stream.unwrap();
    client.0.handle_stream_opened(stream, &Response::new(()), epoch());
    (client, stream)
}

#[test]
fn a_client_without_a_master_rests_between_its_attempts() {
    for monitoring in [Monitoring::Stream, Monitoring::Poll, Monitoring::Off] {
        let mut client = Refused(TestClient(Client::new(limited(monitoring, None), epoch()).unwrap()));
        drain(&mut client);
        check_no_busy_loop(&mut client, epoch(), seconds(3_600), 200);
    }
}

#[test]
fn a_master_that_ends_every_stream_at_once_is_not_asked_without_end() {
    let mut client = Ending(TestClient(Client::new(limited(Monitoring::Stream, None), epoch()).unwrap()));
    drain(&mut client);
    check_no_busy_loop(&mut client, epoch(), seconds(600), 300);
}

/// Every request fails at once.
struct Refused(TestClient);
/// Every request has an answer, and every stream ends after its first frame.
struct Ending(TestClient);

impl Machine for Refused {
    type Output = Output;
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
        let failure = Failure::new(Delivery::No, FailureKind::Refused);
        let mut outputs = drain(&mut self.0);
        while let Some(output) = outputs.pop() {
            match output {
                Output::Request { id, .. } => self.0.0.handle_failure(id, failure, now),
                Output::OpenStream { stream, .. } => self.0.0.handle_stream_end(stream, Some(failure), now),
                _ => {}
            }
            outputs.extend(drain(&mut self.0));
        }
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
}

impl Machine for Ending {
    type Output = Output;
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
        let mut outputs = drain(&mut self.0);
        while let Some(output) = outputs.pop() {
            match output {
                Output::Request { id, request } if request.uri().path().ends_with("info") => {
                    self.0.0.handle_response(id, response(200, INFO), now);
                }
                Output::Request { id, .. } => self.0.0.handle_response(id, response(200, "[]"), now),
                Output::OpenStream { stream, .. } => {
                    self.0.0.handle_stream_opened(stream, &Response::new(()), now);
                    self.0.0.handle_stream_bytes(stream, frame("initial", &running()).as_bytes(), now);
                    self.0.0.handle_stream_end(stream, None, now);
                }
                _ => {}
            }
            outputs.extend(drain(&mut self.0));
        }
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
}
