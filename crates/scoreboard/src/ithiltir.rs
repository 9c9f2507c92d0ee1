//! The rows of `ithiltir-proto`.

use crate::memory::kept;
use crate::row::Row;
use crate::subjects;
use bytes::Bytes;
use ithiltir_proto::node::{Config, Event, Node, Output};
use ithiltir_proto::{Secret, Target};
use std::time::Duration;
use testkit::epoch;
use testkit::measure::{Subject, compare};
use web_time::Instant;

pub(crate) fn rows() -> Vec<Row> {
    let report = subjects::recorded_report();
    let size = report.len();
    let mut rows = vec![
        Row::of(format!("decode + validate, {size} bytes"), &compare(subjects::decode(&report)), 1.15),
        Row::of("encode into a reused buffer", &compare(subjects::encode(&report)), 1.1),
        Row::of("handle_request, valid report", &compare(subjects::exchange(&report)), 1.3),
        requests_per_second(&report),
    ];
    rows.extend([1, 10, 100].map(|targets| rounds_per_second(&report, targets)));
    rows.push(heap_of_a_target());
    rows.push(heap_of_a_node(&report));
    rows
}

fn requests_per_second(report: &[u8]) -> Row {
    let (mut dash, request) = (subjects::dash(), subjects::request(&Bytes::copy_from_slice(report)));
    let figures = compare(vec![Subject::new("request", || subjects::handle(&mut dash, request.clone()))]);
    Row::bare("Dash requests/s on one core", per_second(figures[0].nanoseconds))
}

/// A round: the tick, one request a target, one answer a target.
fn rounds_per_second(report: &[u8], targets: usize) -> Row {
    let sample = subjects::decode_ours(report);
    let (mut node, mut now) = node(targets);
    let mut round = || {
        node.record(&sample, now);
        loop {
            now = node.poll_timeout().expect("a running node has a next tick");
            node.handle_timeout(now);
            if answer_all(&mut node, now) {
                return;
            }
        }
    };
    let figures = compare(vec![Subject::new("round", &mut round)]);
    Row::bare(format!("node rounds/s with {targets} targets"), per_second(figures[0].nanoseconds))
}

/// Returns whether a round has ended.
fn answer_all(node: &mut Node, now: Instant) -> bool {
    let mut ended = false;
    while let Some(output) = node.poll_output() {
        match output {
            Output::Request { id, .. } => {
                let mut answer = http::Response::new(Bytes::from_static(br#"{"ok":true,"update":null}"#));
                let json = http::HeaderValue::from_static("application/json; charset=utf-8");
                answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
                node.handle_response(id, answer, now);
            }
            Output::Event(Event::Round { .. }) => ended = true,
            _ => {}
        }
    }
    ended
}

fn node(targets: usize) -> (Node, Instant) {
    let target = |number: usize| {
        let url = format!("http://10.0.0.{number}:8080/api/node/metrics");
        Target::new(&url, &Secret::new("a-key-of-usual-length")).expect("a usable URL")
    };
    let mut config = Config::new("0.2.3", (0..targets).map(target).collect());
    config.interval = Duration::from_secs(1);
    (Node::new(config, epoch()).expect("the settings are fine"), epoch())
}

fn heap_of_a_target() -> Row {
    let (_few, few) = kept(|| node(1));
    let (_many, many) = kept(|| node(101));
    Row::bare("heap bytes per idle target", format!("{} bytes", (many - few) / 100))
}

fn heap_of_a_node(report: &[u8]) -> Row {
    const NODES: usize = 1_000;
    let mut dash = subjects::dash();
    let body = Bytes::copy_from_slice(report);
    let ((), bytes) = kept(|| {
        for number in 0..NODES {
            let key = format!("a-key-of-usual-length-{number}");
            dash.add_node(&format!("node-{number}"), Secret::new(&*key), epoch()).expect("a new node");
            let request = http::Request::post("/api/node/metrics")
                .header("content-type", "application/json")
                .header("x-node-secret", key)
                .body(body.clone())
                .expect("a request");
            dash.handle_request(request, [10, 0, (number / 250) as u8, 1].into(), epoch());
            while dash.poll_output().is_some() {}
        }
    });
    Row::bare("heap bytes per known node that reports", format!("{} bytes", bytes / NODES as isize))
}

fn per_second(nanoseconds: f64) -> String {
    format!("{:.0} /s", 1e9 / nanoseconds)
}
