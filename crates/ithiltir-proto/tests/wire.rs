//! Every recorded body: what node 0.2.3 sent, and what probes sent to Dash 0.2.0. See `captures/README.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::wire::{NodeReport, Static, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

struct Body {
    scenario: String,
    text: String,
    /// A node made it; else a probe did.
    of_node: bool,
    /// The original could not read it.
    refused: bool,
}

/// The bodies, of requests and of answers, that have this member on their first level.
fn bodies(member: &str) -> Vec<Body> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut bodies = Vec::new();
    for file in files.iter().filter(|path| path.to_string_lossy().ends_with(".jsonl")) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| exchange[name].as_str().unwrap_or_default().to_owned();
            let of_node = text("peer").starts_with("node 0.2.3");
            for (side, of_node) in [("req_body", of_node), ("resp_body", true)] {
                let refused = !of_node && exchange["status"] == 400;
                let body = Body { scenario: text("scenario"), text: text(side), of_node, refused };
                if serde_json::from_str::<Value>(&body.text).is_ok_and(|value| value.get(member).is_some()) {
                    bodies.push(body);
                }
            }
        }
    }
    bodies
}

/// Checks the bodies with a member; returns how many were taken, and how many of a node came out the same.
fn check<T: DeserializeOwned + Serialize + PartialEq>(member: &str) -> (usize, usize) {
    let (mut taken, mut same) = (0, 0);
    for Body { scenario, text, of_node, refused } in bodies(member) {
        let decoded = decode::<T>(text.as_bytes());
        if refused {
            assert!(decoded.is_err(), "{scenario}");
            continue;
        }
        let decoded = decoded.unwrap_or_else(|error| panic!("{scenario}: {error}"));
        let encoded = encode(&decoded);
        assert!(decode::<T>(&encoded).is_ok_and(|again| again == decoded), "{scenario}");
        taken += 1;
        if of_node {
            assert_eq!(String::from_utf8(encoded).unwrap(), text.trim_end(), "{scenario}");
            same += 1;
        }
    }
    (taken, same)
}

#[test]
fn reports_of_a_node_come_out_byte_for_byte() {
    let (taken, same) = check::<NodeReport>("metrics");
    println!("{taken} reports taken, {same} of them of a node");
    assert!(taken >= 601 && same >= 500, "{taken} {same}");
}

#[test]
fn statics_of_a_node_come_out_byte_for_byte() {
    let (taken, same) = check::<Static>("report_interval_seconds");
    println!("{taken} Statics taken, {same} of them of a node");
    assert!(taken >= 93 && same >= 66, "{taken} {same}");
}
