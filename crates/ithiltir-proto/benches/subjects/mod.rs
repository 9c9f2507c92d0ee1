//! What is measured. The last subject of each group is the limit that the others are held against.

use crate::plain;
use bytes::Bytes;
use http::Request;
use ithiltir_proto::Secret;
use ithiltir_proto::dash::{Config, Dash, Identity, validate_report};
use ithiltir_proto::wire::{self, NodeReport, encode_into};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use testkit::epoch;
use testkit::measure::Subject;

/// Returns a report of the recording `baseline_interval3`: 2.5 KB, as a small host sends it.
pub(crate) fn recorded_report() -> Vec<u8> {
    let recording = include_str!("../../tests/captures/baseline_interval3.jsonl");
    recording
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|exchange| exchange["path"] == "/api/node/metrics")
        .filter_map(|exchange| exchange["req_body"].as_str().map(|body| body.as_bytes().to_vec()))
        .next_back()
        .expect("the recording holds reports")
}

pub(crate) fn decode_plain(report: &[u8]) -> plain::NodeReport {
    let text = std::str::from_utf8(report).expect("the recording is UTF-8");
    serde_json::from_str(text).expect("the recording is a report")
}

pub(crate) fn decode_ours(report: &[u8]) -> NodeReport {
    wire::decode(report).expect("the recording is a report")
}

pub(crate) fn decode(report: &[u8]) -> Vec<Subject<'_>> {
    vec![
        Subject::new("decode and validate", || {
            let report = decode_ours(black_box(report));
            validate_report(&report).expect("the recording is valid");
            black_box(report);
        }),
        Subject::new("serde_json Value", || {
            black_box(serde_json::from_slice::<serde_json::Value>(black_box(report)).is_ok());
        }),
        Subject::new("plain derive (limit)", || drop(black_box(decode_plain(black_box(report))))),
    ]
}

pub(crate) fn encode(report: &[u8]) -> Vec<Subject<'static>> {
    let ours = decode_ours(report);
    let theirs = ours.clone();
    let (mut our_buffer, mut their_buffer) = (Vec::new(), Vec::new());
    vec![
        Subject::new("encode into a reused buffer", move || {
            our_buffer.clear();
            encode_into(black_box(&ours), &mut our_buffer);
            black_box(&our_buffer);
        }),
        Subject::new("serde_json into a reused buffer (limit)", move || {
            their_buffer.clear();
            serde_json::to_writer(&mut their_buffer, black_box(&theirs)).expect("a Vec takes every write");
            black_box(&their_buffer);
        }),
    ]
}

pub(crate) fn exchange(report: &[u8]) -> Vec<Subject<'_>> {
    let mut dash = dash();
    let request = request(&Bytes::copy_from_slice(report));
    vec![
        Subject::new("handle_request of a valid report", move || handle(&mut dash, request.clone())),
        Subject::new("its decode alone (limit)", || drop(black_box(decode_ours(black_box(report))))),
    ]
}

/// Returns a Dash that knows the node `key` and counts no requests, since nobody sends as many.
pub(crate) fn dash() -> Dash {
    let mut config = Config::new(Identity::Unusable);
    if let Some(limit) = &mut config.rate_limit {
        limit.requests = u32::MAX;
    }
    let wall_clock = "2026-11-21T12:00:00Z".parse().expect("a constant time");
    let mut dash = Dash::new(config, wall_clock, epoch()).expect("the settings are fine");
    dash.add_node("node", Secret::new("key"), epoch()).expect("the first node");
    dash
}

/// Returns a report as a transport hands it over.
pub(crate) fn request(body: &Bytes) -> Request<Bytes> {
    Request::post("/api/node/metrics")
        .header("content-type", "application/json")
        .header("x-node-secret", "key")
        .body(body.clone())
        .expect("a constant request")
}

pub(crate) fn handle(dash: &mut Dash, request: Request<Bytes>) {
    dash.handle_request(request, IpAddr::V4(Ipv4Addr::LOCALHOST), epoch());
    while let Some(output) = dash.poll_output() {
        black_box(&output);
    }
}
