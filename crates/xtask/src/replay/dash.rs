//! Our Dash in the place of the original, asked what the prober asked, in order.

use super::capture::{Capture, Exchange};
use crate::Tally;
use crate::names::{self, NAME_CASE};
use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{BuildMetadata, Config, Dash, Identity, NodeId, Output, StorageLimits};
use ithiltir_proto::wire::{
    IdentityResponse, Manifest, MetricsResponse, NodeReport, RESPONSE_LIMIT, Static, Timestamp, decode,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

pub(super) fn check(name: &str, capture: &Capture, tally: &mut Tally) {
    let mut replay = match Replay::new(name, capture) {
        Ok(replay) => replay,
        Err(problem) => return tally.fail(name, "a Dash with the recorded secrets", problem),
    };
    for (place, exchange) in capture.exchanges.iter().enumerate() {
        let group = exchange.scenario.split('/').next().unwrap_or_default();
        match group {
            "admin" if exchange.status == 204 => replay.assign(&capture.exchanges[place..], tally),
            "admin" => tally.skip("admin", "the crate has no administration"),
            "deploy" => tally.skip("deploy", "the crate serves no files"),
            "ratelimit" => {
                tally.skip("ratelimit", "most of the requests that used the limit up are not recorded")
            }
            _ => replay.exchange(exchange, tally),
        }
    }
}

struct Replay<'a> {
    name: &'a str,
    dash: Dash,
    nodes: BTreeMap<&'a str, NodeId>,
    start: Instant,
}

impl<'a> Replay<'a> {
    fn new(name: &'a str, capture: &'a Capture) -> Result<Self, String> {
        let mut config = Config::new(identity(capture));
        config.rate_limit = None;
        config.min_update_version = None;
        config.build_metadata = BuildMetadata::Clear;
        if name.starts_with("dash_pg") {
            config.storage_limits = Some(StorageLimits::postgresql());
        }
        let start = Instant::now();
        let wall_clock = Timestamp::from_unix(1_795_228_340, 0).unwrap_or_default();
        let mut dash = Dash::new(config, wall_clock, start).map_err(|error| error.to_string())?;
        let mut nodes = BTreeMap::new();
        for secret in capture.exchanges.iter().filter(|exchange| exchange.status == 200).filter_map(secret) {
            if !nodes.contains_key(secret) {
                let node =
                    dash.add_node(secret, Secret::new(secret), start).map_err(|error| error.to_string())?;
                nodes.insert(secret, node);
            }
        }
        Ok(Self { name, dash, nodes, start })
    }

    fn at(&self, exchange: &Exchange) -> Instant {
        self.start + Duration::from_millis(u64::try_from(exchange.milliseconds).unwrap_or(0))
    }

    /// An administrator asked for an update: the next answer that carries a manifest says which.
    fn assign(&mut self, from_here: &[Exchange], tally: &mut Tally) {
        let now = self.at(&from_here[0]);
        let offered = from_here.iter().find_map(|exchange| Some((secret(exchange)?, offer(exchange)?)));
        let assigned = offered.and_then(|(secret, manifest)| Some((*self.nodes.get(secret)?, manifest)));
        match assigned.map(|(node, manifest)| self.dash.assign_update(node, manifest, now)) {
            Some(Ok(_)) => tally.skip("admin-upgrade", "given to the Dash as a command"),
            Some(Err(error)) => tally.fail(self.name, "an update task", error),
            None => tally.skip("admin", "the crate has no administration"),
        }
    }

    fn exchange(&mut self, exchange: &Exchange, tally: &mut Tally) {
        let Some(body) = exchange.request_body.whole() else {
            return tally
                .skip("role-without-body", "a request whose body was not recorded cannot be made again");
        };
        let key = format!("{} {}", self.name, exchange.scenario);
        let now = self.at(exchange);
        self.dash.handle_timeout(now);
        let id = self.dash.handle_request(request(exchange, body), IpAddr::V4(Ipv4Addr::LOCALHOST), now);
        let mut answers = Vec::new();
        while let Some(output) = self.dash.poll_output() {
            match output {
                Output::Respond { id: answered, response } if answered == id => answers.push(response),
                Output::Respond { .. } => tally.fail(&key, "an answer to this request", "one to another"),
                Output::Event(_) => {}
            }
        }
        let case_matters = match exchange.route() {
            "metrics" => names::matter_in_case(body, |body| decode::<NodeReport>(body).ok()),
            "static" => names::matter_in_case(body, |body| decode::<Static>(body).ok()),
            _ => false,
        };
        if case_matters {
            return tally.deviate(NAME_CASE);
        }
        match &answers[..] {
            [answer] => compare(&key, exchange, answer, tally),
            _ => tally.fail(key, "one answer", answers.len()),
        }
    }
}

/// The Dash had its identity already, unless the recording shows its making.
fn identity(capture: &Capture) -> Identity {
    let answers = capture.exchanges.iter().filter(|exchange| exchange.route() == "identity");
    let answer =
        answers.filter_map(|exchange| IdentityResponse::decode(exchange.response_body.whole()?).ok()).next();
    match answer.filter(|answer| !answer.created).and_then(|answer| answer.install_id.parse().ok()) {
        Some(known) => Identity::Known(known),
        None => Identity::Absent { entropy: [7; 16] },
    }
}

fn secret(exchange: &Exchange) -> Option<&str> {
    exchange.request_header("x-node-secret").map(str::trim).filter(|secret| !secret.is_empty())
}

fn offer(exchange: &Exchange) -> Option<Manifest> {
    let content_type = exchange.response_header("content-type");
    MetricsResponse::decode(content_type, exchange.response_body.whole()?, RESPONSE_LIMIT).ok()?.update
}

/// White space around a header's value is no part of it for any HTTP server.
fn request(exchange: &Exchange, body: &Bytes) -> Request<Bytes> {
    let mut request = Request::builder().method(exchange.method.as_str()).uri(&exchange.path);
    for (name, value) in &exchange.request_headers {
        request = request.header(name, value.trim_matches([' ', '\t']));
    }
    request.body(body.clone()).expect("recorded requests are requests")
}

fn compare(key: &str, exchange: &Exchange, answer: &Response<Bytes>, tally: &mut Tally) {
    let theirs = exchange.response_body.whole().map(|body| seen(exchange.status, body));
    let ours = Some(seen(answer.status().as_u16(), answer.body()));
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    for name in ["content-type", "allow"] {
        if exchange.response_header(name) != header(name) {
            let expected = format!("{name} {:?}", exchange.response_header(name));
            return tally.fail(key, expected, format_args!("{:?}", header(name)));
        }
    }
    tally.check(key, &theirs, &ours);
}

/// Returns what of an answer is compared: all of it, but for an id that is random.
fn seen(status: u16, body: &[u8]) -> (u16, Value) {
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    let mut document = serde_json::from_slice(body).unwrap_or_else(|_| text());
    if let Some(id) = document.get_mut("install_id") {
        let shape = id.as_str().and_then(|id| id.strip_prefix("server_")).is_some_and(|hex| {
            hex.len() == 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        *id = shape.into();
    }
    (status, document)
}
