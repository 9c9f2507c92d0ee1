//! Rules that hold for the node whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use ithiltir_proto::node::{Config, Node, Output, RequestId, UpdateError};
use ithiltir_proto::update::Layout;
use ithiltir_proto::{CertificateProblem, Delivery, Failure, FailureKind, ProbeOutcome, Secret, Target};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use support::{Under, report, statics};
use testkit::rules::{check_after_step, check_closed};
use testkit::{epoch, secrets};

#[derive(Clone, Debug)]
enum Step {
    Record,
    RecordStatic(bool, u64),
    Respond(usize, u16, String),
    Fail(usize, FailureKind),
    Probe(usize, ProbeOutcome),
    Update(usize, bool),
    Wait(u64),
    Back(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use FailureKind as F;
    let kinds = prop::sample::select(vec![
        F::Refused,
        F::TimedOut,
        F::ConnectionLost,
        F::PlainHttp,
        F::Certificate(CertificateProblem::Expired),
        F::Certificate(CertificateProblem::UnknownAuthority),
    ]);
    let outcomes = prop::sample::select(vec![
        ProbeOutcome::FormerlyGood,
        ProbeOutcome::NeverGood,
        ProbeOutcome::NoAnswer,
    ]);
    let manifest = |version: &str, url: &str| {
        let digest = "ab".repeat(32);
        format!(r#"{{"update":{{"version":"{version}","url":"{url}","sha256":"{digest}","size":3}}}}"#)
    };
    let bodies = prop::sample::select(vec![
        String::new(),
        "ok".to_owned(),
        r#"{"ok":true,"update":null}"#.to_owned(),
        manifest("9.9.9", "http://h:99999/x"),
        manifest("9.9.9", "http://\u{fc}/x"),
        manifest("9.9.9", "http://h/x y?\u{e9}\"<>#z"),
        manifest("9.9.8", "https://10.0.0.1/x"),
        "{".to_owned(),
    ]);
    let statuses = prop::sample::select(vec![200_u16, 200, 200, 204, 302, 401, 500]);
    let step = prop_oneof![
        1 => Just(Step::Record),
        1 => (any::<bool>(), 0..3_u64).prop_map(|(complete, memory)| Step::RecordStatic(complete, memory)),
        6 => (0..8_usize, statuses, bodies).prop_map(|(at, status, body)| Step::Respond(at, status, body)),
        3 => (0..8_usize, kinds).prop_map(|(at, kind)| Step::Fail(at, kind)),
        2 => (0..8_usize, outcomes).prop_map(|(at, outcome)| Step::Probe(at, outcome)),
        1 => (0..8_usize, any::<bool>()).prop_map(|(at, success)| Step::Update(at, success)),
        5 => (0..12_000_u64).prop_map(Step::Wait),
        1 => (0..12_000_u64).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 0..60)
}

fn node(key: &str) -> Node {
    let urls = ["https://10.0.0.1/metrics", "https://dash.example/metrics", "http://c/ingest"];
    let targets = urls.iter().map(|url| Target::new(url, &Secret::new(key)).unwrap()).collect();
    let mut config = Config::new("0.2.3", targets);
    config.interval = Duration::from_secs(1);
    config.update.layout = Some(Layout::Releases { data_directory: "/data".into(), active: String::new() });
    Node::new(config, epoch()).unwrap()
}

proptest! {
    #[test]
    fn every_rule_holds_after_every_step(steps in steps()) {
        let key = secrets::marked(1);
        let mut under = Under(node(&key));
        let mut now = epoch();
        let mut in_flight: BTreeMap<RequestId, ()> = BTreeMap::new();
        for step in steps {
            let pick = |at: usize| in_flight.keys().nth(at).copied();
            match step {
                Step::Record => under.0.record(&report(), now),
                Step::RecordStatic(complete, memory) => {
                    let mut statics = statics();
                    statics.memory.total += memory;
                    if !complete {
                        statics.system.arch.clear();
                    }
                    under.0.record_static(&statics, now);
                }
                Step::Respond(at, status, body) => if let Some(id) = pick(at) {
                    let response = http::Response::builder().status(status)
                        .header("content-type", "application/json").body(body.into()).unwrap();
                    under.0.handle_response(id, response, now);
                },
                Step::Fail(at, kind) => if let Some(id) = pick(at) {
                    under.0.handle_failure(id, Failure::new(Delivery::Perhaps, kind), now);
                },
                Step::Probe(at, outcome) => if let Some(id) = pick(at) {
                    under.0.handle_probe(id, outcome, now);
                },
                Step::Update(at, success) => if let Some(id) = pick(at) {
                    let outcome = if success { Ok(()) } else { Err(UpdateError::TimedOut) };
                    under.0.handle_update(id, outcome, now);
                },
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    under.0.handle_timeout(now);
                }
                Step::Back(milliseconds) => {
                    let earlier = now.checked_sub(Duration::from_millis(milliseconds)).unwrap_or(now);
                    under.0.handle_timeout(earlier);
                }
            }
            secrets::assert_debug_hides(&under.0);
            for output in check_after_step(&mut under, now) {
                secrets::assert_debug_hides(&output);
                match output {
                    Output::Request { id, .. } | Output::Probe { id, .. } | Output::Update { id, .. } => {
                        prop_assert!(in_flight.insert(id, ()).is_none(), "ids are never used twice");
                        // One report and one Static a target, a probe a target, one update.
                        prop_assert!(in_flight.len() <= 64);
                    }
                    Output::Cancel(id) => drop(in_flight.remove(&id)),
                    Output::Event(_) => {}
                }
            }
        }
        under.0.close(now);
        let last = check_after_step(&mut under, now);
        prop_assert!(matches!(last.last(), Some(Output::Event(ithiltir_proto::node::Event::Closed))));
        check_closed(&mut under, now);
    }
}
