//! Rules that hold for the Dash whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dash_support;

use dash_support::{Under, changed, config, ip, key, manifest, noon, report, rich, statics};
use http::{HeaderName, HeaderValue, Method, Request};
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{
    Asset, BuildMetadata, Config, Dash, Event, ExchangeId, Identity, NodeAddress, NodeId, Output, Platform,
    RateLimit, Release, Storage, StorageLimits,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::rules::{check_after_step, check_command};
use testkit::{advance, epoch, secrets};
use web_time::Instant;

const BODY_LIMIT: usize = 8_192;
const MAX_PENDING: usize = 3;
const STORAGE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static [u8])>,
    /// Whose key; from 8 on there is none, and 7 is nobody's.
    key: u64,
    body: Vec<u8>,
    peer: &'static str,
    /// How much earlier than the latest instant.
    earlier: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Request(Call),
    Add(u64),
    Remove(Index),
    Rotate(Index, u64, u64),
    Assign(Index, &'static str, &'static str),
    AssignRelease(Index, &'static str),
    Clear(Index),
    Confirm(Index),
    Refuse(Index),
    Cancel(Index),
    WallClock(i64),
    Wait(u64),
    Back(u64),
}

/// Real bodies, some with members of other values, and what is no body at all.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let pointers = vec![
        "/version",
        "/timestamp",
        "/hostname",
        "/report_interval_seconds",
        "/metrics",
        "/metrics/network/0/name",
        "/metrics/disk/filesystems",
        "/metrics/disk/smart/devices/0",
        "/metrics/raid/arrays/0/members",
        "/metrics/cpu/load1",
        "/metrics/memory/used",
        "/metrics/thermal",
        "/system/os",
        "/system/arch",
        "/unknown",
    ];
    let values = vec![
        Value::Null,
        json!(""),
        json!(" "),
        json!("\0"),
        json!("0.2.0"),
        json!("0.3.0"),
        json!("0.3.0+b"),
        json!("0.4.0-rc.1"),
        json!("x".repeat(300)),
        json!("linux"),
        json!("arm64"),
        json!("0001-01-01T00:00:00Z"),
        json!(1.5),
        json!(-1),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!([{"name": "a"}, {"name": "a"}]),
    ];
    let changes = prop::collection::vec((select(pointers), select(values)), 0..3);
    let real = (0..3_u8, changes).prop_map(|(which, changes)| {
        let body = match which {
            0 => report(),
            1 => rich(),
            _ => statics(),
        };
        let change = |body: Value, (pointer, to): (&str, Value)| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let is_item = |items: &[Value]| name.parse().is_ok_and(|place: usize| place < items.len());
            // An earlier change may have taken the place away.
            match body.pointer(parent) {
                Some(Value::Object(_)) => changed(body, pointer, Some(to)),
                Some(Value::Array(items)) if is_item(items) => changed(body, pointer, Some(to)),
                _ => body,
            }
        };
        changes.into_iter().fold(body, change).to_string().into_bytes()
    });
    // A key in a place where it is wrong: neither an error nor an answer repeats it.
    let marked = ["/metrics/cpu", "/metrics/network", "/metrics/memory/used", "/timestamp"];
    let marked = select(marked.to_vec())
        .prop_map(|pointer| changed(report(), pointer, Some(secrets::marked(50).into())).to_string().into());
    let cut = any::<Index>().prop_map(|at| {
        let mut body = report().to_string().into_bytes();
        body.truncate(at.index(body.len()));
        body
    });
    let long = (0..4_u8, 0..3_usize).prop_map(|(kind, over)| {
        let mut body = match kind {
            0 => report().to_string(),
            1 => "{\"hostname\":\"".to_owned(),
            2 => "[".to_owned(),
            _ => "x".to_owned(),
        };
        let filler = [" ", "x", "[", "1"][usize::from(kind)];
        body.push_str(&filler.repeat(BODY_LIMIT - 1 + over - body.len()));
        body.into_bytes()
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..30);
    let empty = Just(Vec::new());
    prop_oneof![8 => real, 1 => marked, 1 => cut, 1 => long, 1 => bytes, 1 => empty]
}

fn calls() -> impl Strategy<Value = Call> {
    let methods =
        vec!["POST", "POST", "POST", "POST", "POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "BREW"];
    let paths = vec![
        "/api/node/metrics",
        "/api/node/metrics",
        "/api/node/metrics",
        "/api/node/metrics?x",
        "/api/node/static",
        "/api/node/static",
        "/api/node/identity",
        "/api/node/identity",
        "/api/node/metrics/",
        "/api//node/metrics",
        "/",
        "http://dash/api/node/metrics",
    ];
    let json: &[u8] = b"application/json";
    let headers: Vec<(&str, &[u8])> = vec![
        ("content-type", json),
        ("content-type", b" Application/JSON;"),
        ("content-type", b"application/json ; x"),
        ("content-type", b"text/plain"),
        ("content-type", b"\xff"),
        ("content-length", b"0"),
        ("content-length", b"99999999999999999999"),
        ("transfer-encoding", b"chunked"),
        ("content-encoding", b"gzip"),
        ("x-forwarded-for", b"203.0.113.5, 10.0.0.9"),
        ("x-forwarded-for", b"unknown"),
        ("x-forwarded-for", b"\xff,,\xff"),
        ("forwarded", b"for=\"[2001:db8::1]:80\";by=x, for"),
        ("forwarded", b";=;,=\"\""),
        ("x-node-secret", b""),
        ("x-node-secret", b"\xff"),
    ];
    let odd = prop::collection::vec(select(headers), 0..3);
    let headers =
        (any::<bool>(), prop_oneof![3 => Just(Vec::new()), 1 => odd]).prop_map(move |(plain, odd)| {
            let first = (plain || odd.is_empty()).then_some(("content-type", json));
            first.into_iter().chain(odd).collect()
        });
    let peers = vec!["192.0.2.7", "192.0.2.9", "198.51.100.1", "10.0.0.1", "::ffff:10.0.0.2", "2001:db8::7"];
    let earlier = prop_oneof![5 => Just(0), 1 => 0..20_000_u64];
    (select(methods), select(paths), headers, 0..10_u64, bodies(), select(peers), earlier).prop_map(
        |(method, path, headers, key, body, peer, earlier)| {
            let key = if key < 7 { key % 3 } else { key };
            Call { method, path, headers, key, body, peer, earlier }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = any::<Index>;
    let versions = || select(vec!["0.2.3", "0.3.0", "0.3.0+b", "0.4.0", "", "v1"]);
    let urls = vec!["https://dash/x", "http:///x", "x", "http://h:99999/"];
    let step = prop_oneof![
        20 => calls().prop_map(Step::Request),
        2 => (0..7_u64).prop_map(Step::Add),
        1 => node().prop_map(Step::Remove),
        2 => (node(), 0..7_u64, 0..20_u64).prop_map(|(node, key, grace)| Step::Rotate(node, key, grace / 2)),
        3 => (node(), versions(), select(urls)).prop_map(|(node, to, url)| Step::Assign(node, to, url)),
        2 => (node(), versions()).prop_map(|(node, version)| Step::AssignRelease(node, version)),
        1 => node().prop_map(Step::Clear),
        4 => any::<Index>().prop_map(Step::Confirm),
        2 => any::<Index>().prop_map(Step::Refuse),
        2 => any::<Index>().prop_map(Step::Cancel),
        1 => (-100_000..100_000_i64).prop_map(Step::WallClock),
        6 => (0..8_000_u64).prop_map(Step::Wait),
        1 => (0..8_000_u64).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 0..60)
}

fn configs() -> impl Strategy<Value = Config> {
    let identity = prop_oneof![
        Just(None),
        Just(Some(Identity::Unusable)),
        Just(Some(Identity::Known("server_0123456789abcdef0123456789abcdef".parse().unwrap()))),
    ];
    (identity, any::<[bool; 7]>()).prop_map(|(identity, flags)| {
        let [confirmed, first, forwarded, limits, proxies, clear, limited] = flags;
        let mut config = config();
        config.max_body = BODY_LIMIT;
        config.max_nodes = 5;
        config.authenticate_first = first;
        config.identity = identity.unwrap_or(config.identity);
        config.storage_limits = limits.then(StorageLimits::postgresql);
        config.rate_limit = limited.then(|| {
            let mut limit = RateLimit::default();
            (limit.requests, limit.window_seconds, limit.max_networks) = (8, 10, 2);
            limit
        });
        if confirmed {
            config.storage = Storage::Confirmed { timeout: STORAGE_TIMEOUT, max_pending: MAX_PENDING };
        }
        if forwarded {
            config.node_address = NodeAddress::ForwardedFor;
        }
        if proxies {
            config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        }
        if clear {
            config.build_metadata = BuildMetadata::Clear;
        }
        config
    })
}

fn request(call: &Call) -> Request<bytes::Bytes> {
    let mut request = Request::new(call.body.clone().into());
    *request.method_mut() = Method::from_bytes(call.method.as_bytes()).unwrap();
    *request.uri_mut() = call.path.parse().unwrap();
    for (name, value) in &call.headers {
        let value = HeaderValue::from_bytes(value.trim_ascii()).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    if call.key < 8 {
        let key = HeaderValue::from_str(&secrets::marked(call.key)).unwrap();
        request.headers_mut().append("x-node-secret", key);
    }
    request
}

/// What the checks remember.
struct Watch {
    dash: Under,
    confirmed: bool,
    limited: bool,
    /// Every exchange, in order.
    all: Vec<ExchangeId>,
    /// Reports and Statics whose storage nobody has spoken about.
    waiting: BTreeSet<ExchangeId>,
    unanswered: BTreeSet<ExchangeId>,
    cancelled: BTreeSet<ExchangeId>,
}

impl Watch {
    fn check(&mut self, outputs: Vec<Output>) {
        secrets::assert_debug_hides(&self.dash.0);
        secrets::assert_debug_hides(&outputs);
        let mut outputs = outputs.into_iter();
        while let Some(output) = outputs.next() {
            match output {
                Output::Respond { id, response } => self.check_answer(id, &response),
                Output::Event(Event::Rejected { id: exchange, status, code, path, reason, .. }) => {
                    secrets::assert_error_hides(&reason);
                    assert!(path.chars().count() <= 256);
                    let Some(Output::Respond { id, response }) = outputs.next() else {
                        panic!("rule: a rejection is followed by its answer");
                    };
                    assert_eq!((exchange, status, code.status()), (id, response.status(), status));
                    let body =
                        format!("{{\"code\":\"{}\",\"message\":\"{}\"}}\n", code.as_str(), code.message());
                    assert_eq!(*response.body(), body);
                    self.check_answer(id, &response);
                }
                Output::Event(
                    Event::Report { id: exchange, node, .. } | Event::Static { id: exchange, node, .. },
                ) => {
                    assert!(self.unanswered.contains(&exchange), "rule: the event precedes the answer");
                    assert!(self.dash.0.node(node).is_some());
                    if self.confirmed {
                        assert!(self.waiting.insert(exchange), "rule: a report is told once");
                    }
                }
                Output::Event(_) => {}
            }
        }
        assert_eq!(self.dash.0.pending(), self.waiting.len());
        assert_eq!(self.unanswered, self.waiting, "rule: what does not wait is answered at once");
        assert!(self.waiting.len() <= MAX_PENDING);
    }

    fn check_answer(&mut self, id: ExchangeId, response: &http::Response<bytes::Bytes>) {
        assert!(self.unanswered.remove(&id), "rule: every exchange is answered at most once");
        assert!(!self.cancelled.contains(&id), "rule: a cancelled exchange is not answered");
        self.waiting.remove(&id);
        let status = response.status().as_u16();
        assert!([200, 400, 401, 404, 405, 413, 415, 422, 429, 503].contains(&status), "{status}");
        let body = std::str::from_utf8(response.body()).unwrap();
        // Only a manifest's URL may hold what looks like a token.
        if !body.contains("\"update\":{") {
            secrets::assert_no_secret(body, "the answer");
        }
        secrets::assert_debug_hides(response.headers());
        let headers = response.headers();
        let counted = self.limited && ![404, 405, 415].contains(&status);
        assert_eq!(headers.contains_key("x-ratelimit-remaining"), counted);
        assert_eq!(headers.contains_key("retry-after"), status == 429);
        assert_eq!(headers.contains_key("connection"), status == 413);
        assert_eq!(headers.contains_key("allow"), status == 405);
        assert!(headers.contains_key("content-type"));
    }

    /// A refused command leaves no output and no other deadline.
    fn command<T, E: std::error::Error>(
        &mut self,
        command: impl FnOnce(&mut Dash) -> Result<T, E>,
    ) -> Option<T> {
        match check_command(&mut self.dash, |under| command(&mut under.0)) {
            Ok(done) => Some(done),
            Err(error) => {
                secrets::assert_error_hides(&error);
                None
            }
        }
    }

    fn step(&mut self, step: &Step, nodes: &mut Vec<NodeId>, now: &mut Instant) {
        let at = *now;
        let node = |index: &Index| (!nodes.is_empty()).then(|| nodes[index.index(nodes.len())]);
        // Mostly one that waits; else any, which is refused.
        let exchange = |watch: &Self, index: &Index| {
            let waiting: Vec<_> = watch.waiting.iter().chain(watch.all.last()).copied().collect();
            (!waiting.is_empty()).then(|| waiting[index.index(waiting.len())])
        };
        match step {
            Step::Request(call) => {
                let earlier = at.checked_sub(Duration::from_millis(call.earlier)).unwrap_or(at);
                let id = self.dash.0.handle_request(request(call), ip(call.peer), earlier);
                assert!(self.all.last().is_none_or(|last| *last < id), "rule: ids are never used twice");
                self.all.push(id);
                self.unanswered.insert(id);
            }
            Step::Add(number) => {
                nodes.extend(self.command(|dash| dash.add_node("n", key(*number), at)));
            }
            Step::Remove(index) => {
                if let Some(node) = node(index) {
                    self.command(|dash| dash.remove_node(node, at));
                }
            }
            Step::Rotate(index, number, grace) => {
                if let Some(node) = node(index) {
                    let key = if *number == 6 { Secret::new(" ") } else { key(*number) };
                    let grace = Duration::from_secs(*grace);
                    self.command(|dash| dash.rotate_secret(node, key, grace, at));
                }
            }
            Step::Assign(index, version, url) => {
                if let Some(node) = node(index) {
                    let mut manifest = manifest(version);
                    manifest.url = format!("{url}?upgrade_token={}", secrets::marked(60));
                    self.command(|dash| dash.assign_update(node, manifest, at));
                }
            }
            Step::AssignRelease(index, version) => {
                if let Some(node) = node(index) {
                    let manifest = manifest(version);
                    let asset = Asset { url: manifest.url, sha256: manifest.sha256, size: manifest.size };
                    let assets = [(Platform::LinuxAmd64, asset)].into();
                    let release = Release { version: manifest.version, assets };
                    self.command(|dash| dash.assign_release(node, &release, at));
                }
            }
            Step::Clear(index) => {
                if let Some(node) = node(index) {
                    self.command(|dash| dash.clear_update(node, at));
                }
            }
            Step::Confirm(index) => {
                if let Some(id) = exchange(self, index) {
                    let waits = self.waiting.contains(&id);
                    assert_eq!(self.command(|dash| dash.confirm(id, at)).is_some(), waits);
                }
            }
            Step::Refuse(index) => {
                if let Some(id) = exchange(self, index) {
                    let waits = self.waiting.contains(&id);
                    assert_eq!(self.command(|dash| dash.refuse_storage(id, at)).is_some(), waits);
                }
            }
            Step::Cancel(index) => {
                if let Some(id) = exchange(self, index) {
                    self.dash.0.handle_cancel(id, at);
                    self.waiting.remove(&id);
                    self.unanswered.remove(&id);
                    self.cancelled.insert(id);
                }
            }
            Step::WallClock(seconds) => {
                let wall_clock = noon().checked_add_seconds(*seconds).unwrap();
                self.dash.0.set_wall_clock(wall_clock, at);
            }
            Step::Wait(milliseconds) => {
                *now += Duration::from_millis(*milliseconds);
                self.dash.0.handle_timeout(*now);
                let next = self.dash.0.poll_timeout();
                assert!(next.is_none_or(|next| next > *now), "rule: what was due is over");
            }
            Step::Back(milliseconds) => {
                let earlier = at.checked_sub(Duration::from_millis(*milliseconds)).unwrap_or(at);
                self.dash.0.handle_timeout(earlier);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_rule_holds_after_every_step(config in configs(), steps in steps()) {
        let mut now = epoch();
        let confirmed = config.storage != Storage::Immediate;
        let limited = config.rate_limit.is_some();
        let mut dash = Dash::new(config, noon(), now).unwrap();
        let mut nodes: Vec<_> = (0..2).map(|number| dash.add_node("n", key(number), now).unwrap()).collect();
        let mut watch = Watch {
            dash: Under(dash),
            confirmed,
            limited,
            all: Vec::new(),
            waiting: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            cancelled: BTreeSet::new(),
        };
        for step in &steps {
            watch.step(step, &mut nodes, &mut now);
            let outputs = check_after_step(&mut watch.dash, now);
            watch.check(outputs);
        }
        let last = advance(&mut watch.dash, now + STORAGE_TIMEOUT);
        watch.check(last.into_iter().map(|(_, output)| output).collect());
        prop_assert!(watch.unanswered.is_empty(), "at the latest the timeout answers");
        prop_assert_eq!(watch.dash.0.nodes().filter(|(id, _)| !nodes.contains(id)).count(), 0);
        prop_assert!(watch.dash.0.nodes().count() <= 5);
    }
}
