//! Every recorded body: what node 0.2.3 sent, and what probes sent to Dash 0.2.0. See `captures/README.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::wire::{NodeReport, Static, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Exchanges of the recordings whose bodies are recorded whole.
fn exchanges() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let recordings = files.iter().filter(|path| path.to_string_lossy().ends_with(".jsonl"));
    let texts = recordings.map(|path| std::fs::read_to_string(path).unwrap());
    let lines: Vec<Value> = texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect();
    let is_whole = |exchange: &Value| exchange["req_body"].as_str().is_some_and(|body| body.starts_with('{'));
    lines.into_iter().filter(is_whole).collect()
}

/// Checks the bodies sent to one route; returns how many the original took and how many of a node came out the same.
fn check<T: DeserializeOwned + Serialize + PartialEq>(route: &str) -> (usize, usize) {
    let (mut taken, mut same) = (0, 0);
    for exchange in exchanges() {
        let (body, status) = (exchange["req_body"].as_str().unwrap(), exchange["status"].as_u64().unwrap());
        if !exchange["path"].as_str().unwrap().split('?').next().unwrap().ends_with(route) {
            continue;
        }
        let is_node = exchange["peer"].as_str().unwrap().starts_with("node 0.2.3");
        let decoded = decode::<T>(body.as_bytes());
        // A node's report is one whatever a recorder answers; a probe's is none if the Dash said 400.
        if !is_node && status == 400 {
            let two_values_or_odd_types = decoded.is_err();
            assert!(two_values_or_odd_types, "{}", exchange["scenario"]);
            continue;
        }
        let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", exchange["scenario"]));
        let encoded = encode(&decoded);
        assert!(decode::<T>(&encoded).is_ok_and(|again| again == decoded), "{}", exchange["scenario"]);
        taken += 1;
        if is_node {
            assert_eq!(String::from_utf8(encoded).unwrap(), body, "{}", exchange["scenario"]);
            same += 1;
        }
    }
    (taken, same)
}

#[test]
fn reports_of_a_node_come_out_byte_for_byte() {
    let (taken, same) = check::<NodeReport>("metrics");
    println!("{taken} reports taken, {same} of them of a node");
    assert!(taken >= 580 && same >= 480, "{taken} {same}");
}

#[test]
fn statics_of_a_node_come_out_byte_for_byte() {
    let (taken, same) = check::<Static>("static");
    println!("{taken} Statics taken, {same} of them of a node");
    assert!(taken >= 90 && same >= 60, "{taken} {same}");
}
