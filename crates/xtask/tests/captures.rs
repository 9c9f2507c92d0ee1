//! The replay over the recordings that stand in the crates.

use std::path::PathBuf;
use xtask::replay::{Protocol, run};
use xtask::{Tally, root};

fn folder(protocol: Protocol) -> PathBuf {
    let folder = match protocol {
        Protocol::Teeth => "crates/teeth-proto",
        Protocol::NodeRed => "crates/nodered-comms",
        Protocol::Nodepass => "crates/nodepass-api",
        _ => "crates/ithiltir-proto",
    };
    root().join(folder).join("tests/captures")
}

fn files(protocol: Protocol, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folder = folder(protocol);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl" || extension == "txt"))
        .filter(|path| wanted(&path.file_name().unwrap().to_string_lossy()))
        .collect();
    files.sort();
    files
}

#[track_caller]
fn check(protocol: Protocol, files: &[PathBuf], passed: usize, deviations: &[(&str, usize)]) {
    let mut tally = Tally::default();
    for file in files {
        run(protocol, file, &mut tally).unwrap();
    }
    assert!(tally.failures().is_empty(), "{tally}");
    assert_eq!((tally.passed(), &tally.deviations()[..]), (passed, deviations), "{tally}");
}

#[test]
fn the_node_and_its_messages() {
    let files = files(Protocol::Ithiltir, |name| !name.starts_with("dash_"));
    assert_eq!(files.len(), 64);
    check(Protocol::Ithiltir, &files, 1667, &[("redirect-followed", 11), ("static-per-target", 1)]);
}

#[test]
fn the_dash_and_its_messages() {
    let files = files(Protocol::Ithiltir, |name| name.starts_with("dash_"));
    assert_eq!(files.len(), 2);
    check(Protocol::Ithiltir, &files, 460, &[("member-name-case", 2)]);
}

#[test]
fn the_agent_of_teeth_and_its_messages() {
    let files = files(Protocol::Teeth, |name| name.starts_with("agent_"));
    assert_eq!(files.len(), 42);
    let deviations = [
        ("line-too-long", 4),
        ("nan-literal", 6),
        ("stopped-agent-stays", 1),
        ("structured-method", 1),
        ("structured-response-id", 1),
        ("structured-version", 1),
        ("top-level-not-object", 6),
    ];
    check(Protocol::Teeth, &files, 453, &deviations);
}

#[test]
fn the_server_of_teeth_and_its_messages() {
    let files = files(Protocol::Teeth, |name| name.starts_with("server_"));
    assert_eq!(files.len(), 10);
    check(Protocol::Teeth, &files, 89, &[]);
}

#[test]
fn a_recording_of_teeth_that_was_changed_fails() {
    let changes = [
        ("agent_status", "STANDBY", "WAITING"),
        ("agent_unanswered_pings_real", "rst", "fin"),
        ("agent_unanswered_pings_real", "\"t_ms\": 60019", "\"t_ms\": 55000"),
        ("agent_backoff_refused", "\"t_ms\": 12840", "\"t_ms\": 13840"),
        ("agent_ping_cadence_real", "\"t_ms\": 20024", "\"t_ms\": 21024"),
        ("agent_bad_id_zero", "missing message id", "missing message version"),
        ("server_handshake_ping", "2.5", "2.25"),
        ("server_out_of_order", "plain text\", \"ev\"", "text\", \"ev\""),
    ];
    for (name, from, to) in changes {
        let file = root().join(format!("crates/teeth-proto/tests/captures/{name}.jsonl"));
        let recording = std::fs::read_to_string(file).unwrap();
        assert!(recording.contains(from), "{name}: {from}");
        let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed.jsonl");
        std::fs::write(&changed, recording.replacen(from, to, 1)).unwrap();
        let mut tally = Tally::default();
        run(Protocol::Teeth, &changed, &mut tally).unwrap();
        assert!(!tally.failures().is_empty(), "{name}: {from}");
    }
}

#[test]
fn both_sides_of_node_red_and_their_messages() {
    let files = files(Protocol::NodeRed, |_| true);
    assert_eq!(files.len(), 67);
    let deviations = [("brace-quantifier", 1), ("close-code", 17), ("second-token", 4), ("token-race", 2)];
    check(Protocol::NodeRed, &files, 4962, &deviations);
}

#[test]
fn a_recording_of_node_red_that_was_changed_fails() {
    let changes = [
        // A message: data that its topic does not have, an answer that is none.
        ("nr0.18.4-heartbeat", "1795227785912", "\\\"soon\\\""),
        ("nr4.1.15-auth-ok", "{\\\"auth\\\":\\\"ok\\\"}", "{\\\"auth\\\":\\\"okay\\\"}"),
        // What a frame holds, and which one holds it.
        ("nr4.1.15-batching-order", "{\\\"topic\\\":\\\"r/49\\\",\\\"data\\\":50}]", "]"),
        ("nr0.18.4-batching", "[{\\\"topic\\\":\\\"burst\\\",\\\"data\\\":1}]", "[]"),
        ("nr4.1.15-retained-order", "\\\"data\\\":4},{", "\\\"data\\\":5},{"),
        ("nr0.18.4-falsy-data", "[{\\\"topic\\\":\\\"truthy\\\",\\\"data\\\":1}]", "[]"),
        // When a frame comes, and how a connection ends.
        ("nr4.1.15-auth-session-expiry", "\"t_ms\":7037.9", "\"t_ms\":6037.9"),
        ("nr4.1.15-auth-fail", "\"code\":1005", "\"code\":1000"),
        // Who is let in, and what a client makes of it.
        ("nr4.1.15-static-tokens", "\\\"static-narrow\\\"", "\\\"static-good\\\""),
        ("nr4.1.15-default-user", "\"settings\":\"auth-default\"", "\"settings\":\"auth\""),
        ("nr4.1.15-binary-frame", "\\\"probe/alive\\\"}\",\"binary\"", "\\\"probe/dead\\\"}\",\"binary\""),
    ];
    for (name, from, to) in changes {
        let recording = std::fs::read_to_string(folder(Protocol::NodeRed).join(format!("{name}.jsonl")));
        let recording = recording.unwrap();
        assert!(recording.contains(from), "{name}: {from}");
        let tally = replayed("changed-frames.jsonl", &recording.replacen(from, to, 1));
        assert!(!tally.failures().is_empty(), "{name}: {from}");
    }
}

#[test]
fn recordings_of_other_versions_of_node_red_pass() {
    for file in files(Protocol::NodeRed, |name| name.starts_with("nr4.")) {
        let recording = std::fs::read_to_string(&file).unwrap();
        let tally = replayed(
            "nr5.jsonl",
            &recording.replacen("\"node_red\":\"4.1.15\"", "\"node_red\":\"5.0.7\"", 1),
        );
        assert!(tally.failures().is_empty(), "{}: {tally}", file.display());
    }
    for name in [
        "auth-ok",
        "auth-fail",
        "auth-twice",
        "connect-editor",
        "subscribe-no-filter",
        "falsy-data",
        "status-bus",
    ] {
        let file = folder(Protocol::NodeRed).join(format!("nr0.18.4-{name}.jsonl"));
        let recording = std::fs::read_to_string(file).unwrap();
        let tally = replayed("nr0.17.jsonl", &bare(&recording));
        assert!(tally.failures().is_empty(), "{name}: {tally}");
        assert!(tally.passed() > 5, "{name}: {tally}");
    }
}

/// What 0.17 would have sent: every message by itself, as soon as the first of those that 0.18 sent with it.
fn bare(recording: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in recording.lines() {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        if row["node_red"].is_string() {
            row["node_red"] = "0.17.5".into();
        }
        let frame = row["text"]
            .as_str()
            .filter(|_| row["dir"] == "rx")
            .and_then(|text| serde_json::from_str(text).ok());
        let Some(serde_json::Value::Array(messages)) = frame else {
            lines.push(row.to_string());
            continue;
        };
        for message in messages {
            row["text"] = message.to_string().into();
            lines.push(row.to_string());
        }
    }
    lines.join("\n")
}

fn replayed(name: &str, recording: &str) -> Tally {
    let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&changed, recording).unwrap();
    let mut tally = Tally::default();
    run(Protocol::NodeRed, &changed, &mut tally).unwrap();
    tally
}

#[test]
fn masters_of_nodepass_and_their_answers() {
    let files = files(Protocol::Nodepass, |name| name == "http.jsonl");
    assert_eq!(files.len(), 1);
    check(Protocol::Nodepass, &files, 1500, &[]);
}

#[test]
fn event_streams_of_nodepass() {
    let files = files(Protocol::Nodepass, |name| name.starts_with("sse_"));
    assert_eq!(files.len(), 12);
    check(Protocol::Nodepass, &files, 530, &[]);
}
