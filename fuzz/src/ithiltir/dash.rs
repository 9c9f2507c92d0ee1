//! The Dash under arbitrary requests and commands.

use crate::input::Input;
use bytes::Bytes;
use http::{Request, StatusCode};
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{Config, Dash, ExchangeId, Identity, NodeId, Output, Storage};
use ithiltir_proto::wire::{ErrorBody, Manifest, Timestamp, decode};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use testkit::rules::{check_after_step, check_command};
use testkit::secrets::{MARK, assert_debug_hides, marked};
use testkit::{Machine, epoch};
use web_time::Instant;

const MOST_STEPS: usize = 200;
const PATHS: [&str; 8] = [
    "/api/node/metrics",
    "/api/node/static",
    "/api/node/identity",
    "/api/node/metrics?x=1",
    "/api/node/metrics/",
    "/api/node//static",
    "/API/node/identity",
    "/",
];
const METHODS: [&str; 6] = ["POST", "POST", "POST", "GET", "OPTIONS", "PUT"];
const MEDIA_TYPES: [Option<&str>; 6] = [
    Some("application/json"),
    Some("application/json"),
    Some("Application/JSON; charset=utf-8"),
    Some("application/json ; x"),
    Some("text/plain"),
    None,
];
const REPORT: &str = r#"{"version":"0.2.3","hostname":"vm","timestamp":"2026-11-21T02:11:46.7913837Z","metrics":{"disk":{
"physical":[{"name":"vda"}],"logical":[{"kind":"disk","name":"vda"}],"filesystems":[{"path":"/"}],"base_io":[{"kind":
"physical","name":"vda"}],"smart":{"status":"ok","devices":[{"name":"a","source":"b","status":"ok","temp_c":0}]}},"network":[
{"name":"eth0"}],"system":{"uptime":"0d"},"raid":{"arrays":[{"name":"md0","status":"active","health":"healthy","members":[
{"name":"a","state":"up"}]}]},"thermal":{"status":"ok","sensors":[{"kind":"cpu","name":"a","sensor_key":"a","source":"g",
"status":"ok"}]}}}"#;
const STATIC: &str = r#"{"version":"0.2.3","timestamp":"2026-11-21T02:10:39.829106467Z","report_interval_seconds":3,"system":{
"hostname":"vm","os":"linux","platform":"debian","platform_version":"12.11","kernel_version":"6.18","arch":"amd64"}}"#;

/// An arbitrary list of requests, commands and waits; after each of them the rules hold.
pub fn ithiltir_dash(data: &[u8]) {
    let mut input = Input::new(data);
    let start = epoch();
    let wall_clock = Timestamp::from_unix(1_795_227_106, 0).unwrap_or_default();
    let Ok(dash) = Dash::new(config(&mut input), wall_clock, start) else {
        return;
    };
    let mut run = Run {
        dash: Fuzzed(dash),
        now: start,
        nodes: Vec::new(),
        issued: BTreeSet::new(),
        waiting: BTreeSet::new(),
        last: None,
    };
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
    }
    assert_debug_hides(&run.dash.0);
}

fn config(input: &mut Input<'_>) -> Config {
    let mut config = Config::new(Identity::Unusable);
    config.authenticate_first = input.flag();
    config.max_body = input.pick(&[1_048_576, 64, 1]);
    match input.below(3) {
        0 => config.rate_limit = None,
        1 => {}
        _ => config.rate_limit.iter_mut().for_each(|limit| limit.requests = 3),
    }
    config.identity = match input.below(3) {
        0 => Identity::Unusable,
        _ => Identity::Absent { entropy: [7; 16] },
    };
    if input.flag() {
        config.min_update_version = None;
    }
    if input.below(3) == 1 {
        config.storage = Storage::Confirmed { timeout: Duration::from_secs(5), max_pending: 2 };
    }
    config
}

struct Fuzzed(Dash);

testkit::forward_machine!(Fuzzed, Output);

struct Run {
    dash: Fuzzed,
    now: Instant,
    nodes: Vec<NodeId>,
    /// The numbers of the keys that any node ever had.
    issued: BTreeSet<usize>,
    /// The exchanges that have not been answered.
    waiting: BTreeSet<ExchangeId>,
    last: Option<ExchangeId>,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=8 => return self.request(input),
            9 => self.add_node(input),
            10 => self.assign(input),
            11 => self.now += Duration::from_millis(input.number() % 100_000),
            12 => self.now += Duration::from_secs(input.pick(&[60, 120, 86_400])),
            13 => {
                let before = self.now.checked_sub(Duration::from_millis(input.number() % 100_000));
                self.dash.handle_timeout(before.unwrap_or(self.now));
            }
            14 => self.manage(input),
            _ => {
                self.now = self.dash.poll_timeout().map_or(self.now, |due| due.max(self.now));
                self.dash.handle_timeout(self.now);
            }
        }
        self.settle();
    }

    /// Returns the answers that were given, after checking what holds at any time.
    fn settle(&mut self) -> Vec<http::Response<Bytes>> {
        let mut answers = Vec::new();
        for output in check_after_step(&mut self.dash, self.now) {
            assert!(!format!("{output:?}").contains(MARK), "rule: no secret shows");
            if let Output::Respond { id, response } = output {
                assert!(self.waiting.remove(&id), "rule: an exchange is answered once, if at all");
                answers.push(response);
            }
        }
        assert_eq!(self.waiting.len(), self.dash.0.pending(), "rule: what is not answered waits for storage");
        answers
    }

    fn request(&mut self, input: &mut Input<'_>) {
        let client = input.pick(&[
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
        let secret = input.below(5);
        let request = make(input, secret);
        self.settle(); // what time has brought is not the answer to this request
        let id = self.dash.0.handle_request(request, client, self.now);
        assert!(self.last.is_none_or(|last| last < id), "rule: an id is never used twice");
        self.last = Some(id);
        self.waiting.insert(id);
        for response in self.settle() {
            let refused = response.status() != StatusCode::OK;
            assert!(refused || self.issued.contains(&secret), "rule: nobody without a key is served");
            if refused {
                let body = decode::<ErrorBody>(response.body());
                assert!(body.is_ok_and(|body| !body.code.is_empty()), "rule: a refusal says why");
            }
        }
    }

    fn add_node(&mut self, input: &mut Input<'_>) {
        let number = input.below(5);
        let key = key(input, number);
        let (name, now) = (input.text(), self.now);
        let added = check_command(&mut self.dash, |dash| dash.0.add_node(&name, key, now));
        if let Ok(node) = added {
            self.issued.insert(number);
            self.nodes.push(node);
        }
    }

    /// Does one of the rarer things to a node or an exchange.
    fn manage(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        let exchange = self.waiting.iter().nth(input.below(self.waiting.len())).copied().or(self.last);
        match (input.below(5), exchange) {
            (0, Some(id)) => _ = check_confirmation(&mut self.dash, |dash| dash.confirm(id, now)),
            (1, Some(id)) => _ = check_confirmation(&mut self.dash, |dash| dash.refuse_storage(id, now)),
            (2, Some(id)) => {
                self.dash.0.handle_cancel(id, now);
                self.waiting.remove(&id);
            }
            (choice, _) if !self.nodes.is_empty() => {
                let node = input.pick(&self.nodes);
                let number = input.below(5);
                let key = key(input, number);
                let grace = Duration::from_secs(input.pick(&[0, 10]));
                if choice == 3 {
                    let rotated =
                        check_command(&mut self.dash, |dash| dash.0.rotate_secret(node, key, grace, now));
                    self.issued.extend(rotated.map(|()| number));
                } else {
                    let _ = check_command(&mut self.dash, |dash| dash.0.remove_node(node, now));
                }
            }
            _ => {}
        }
    }

    fn assign(&mut self, input: &mut Input<'_>) {
        if self.nodes.is_empty() {
            return;
        }
        let node = input.pick(&self.nodes);
        let manifest = Manifest {
            version: input.pick(&["0.2.4", "0.2.3", "0.2.3+b", "9", ""]).to_owned(),
            url: input.pick(&["http://h/x", "https:///x", ""]).to_owned(),
            sha256: input
                .pick(&["a1bdbe1603e82a05b58c6bcfe82a8fd4e8fb973cf17ee277b21fa04aabaec18c", "x"])
                .to_owned(),
            size: input.signed(),
            ..Manifest::default()
        };
        let now = self.now;
        let _ = check_command(&mut self.dash, |dash| dash.0.assign_update(node, manifest, now));
    }
}

fn key(input: &mut Input<'_>, number: usize) -> Secret {
    if input.below(8) == 7 { Secret::new(" ") } else { Secret::new(marked(number as u64)) }
}

fn check_confirmation<E>(
    dash: &mut Fuzzed,
    command: impl FnOnce(&mut Dash) -> Result<(), E>,
) -> Result<(), E> {
    check_command(dash, |dash| command(&mut dash.0))
}

fn make(input: &mut Input<'_>, secret: usize) -> Request<Bytes> {
    let mut request = Request::builder().method(input.pick(&METHODS)).uri(input.pick(&PATHS));
    if let Some(media_type) = input.pick(&MEDIA_TYPES) {
        request = request.header("content-type", media_type);
    }
    if secret < 4 {
        request = request.header("x-node-secret", marked(secret as u64));
    }
    match input.below(6) {
        0 => request = request.header("x-forwarded-for", "10.1.2.3, zzz"),
        1 => request = request.header("forwarded", "for=\"[2001:db8::1]:1\";proto=http"),
        _ => {}
    }
    request.body(body(input)).expect("method, path and headers are valid")
}

fn body(input: &mut Input<'_>) -> Bytes {
    let template = match input.below(8) {
        0 => return Bytes::copy_from_slice(input.bytes()),
        1 => return Bytes::new(),
        2 => "{}",
        3..=5 => REPORT,
        _ => STATIC,
    };
    let mut body = template.as_bytes().to_vec();
    for _ in 0..input.below(3) {
        let place = usize::from(input.byte()) * body.len() / 256;
        match input.byte() {
            0 => body.truncate(place),
            byte => body.get_mut(place).into_iter().for_each(|old| *old = byte),
        }
    }
    body.into()
}
