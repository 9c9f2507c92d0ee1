//! The replay over the recordings that stand in the crates.

use std::path::PathBuf;
use xtask::replay::{Protocol, run};
use xtask::{Tally, root};

fn files(protocol: Protocol, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folder = if protocol == Protocol::Teeth { "crates/teeth-proto" } else { "crates/ithiltir-proto" };
    let folder = root().join(folder).join("tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
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
