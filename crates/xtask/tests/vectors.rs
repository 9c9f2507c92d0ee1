//! Every suite over the vectors that stand in the crates.

use std::path::PathBuf;
use xtask::conformance::{Suite, run};
use xtask::{Tally, root};

#[track_caller]
fn check(suite: Suite, file: &str, passed: usize, deviations: &[(&str, usize)]) {
    let folder = match suite {
        Suite::TeethLines => "crates/teeth-proto",
        Suite::NoderedTopics => "crates/nodered-comms",
        Suite::NodepassUrls => "crates/nodepass-api",
        Suite::CoreNode => "crates/core-node-proto",
        _ => "crates/ithiltir-proto",
    };
    let file: PathBuf = root().join(folder).join("tests/vectors").join(file);
    let mut tally = Tally::default();
    run(suite, &file, &mut tally).unwrap();
    assert!(tally.failures().is_empty(), "{tally}");
    assert_eq!((tally.passed(), &tally.deviations()[..]), (passed, deviations), "{tally}");
}

#[test]
fn ithiltir_urls() {
    check(Suite::IthiltirUrls, "ithiltir-urls.json", 32, &[("escaped-slash", 1)]);
}

#[test]
fn ithiltir_manifests() {
    check(Suite::IthiltirManifests, "ithiltir-manifests.json", 43, &[("sha-not-hex", 1)]);
}

#[test]
fn ithiltir_rounds() {
    check(Suite::IthiltirRounds, "ithiltir-rounds.json", 26, &[("member-name-case", 1)]);
}

#[test]
fn ithiltir_statics() {
    check(Suite::IthiltirStatics, "ithiltir-statics.json", 23, &[]);
}

#[test]
fn teeth_lines() {
    let deviations = [
        ("line-too-long", 1),
        ("nan-literal", 2),
        ("structured-method", 1),
        ("structured-response-id", 2),
        ("structured-version", 1),
        ("top-level-not-object", 6),
        ("utf8-surrogate", 1),
    ];
    check(Suite::TeethLines, "teeth-lines.json", 85, &deviations);
}

#[test]
fn a_line_of_teeth_that_was_changed_fails() {
    let file = root().join("crates/teeth-proto/tests/vectors/teeth-lines.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for (name, pointer, value) in [
        ("params empty object", "/rpc/id", "2"),
        ("params empty object", "/agent/written/0/result/uptime", "10"),
        ("id huge integer", "/rpc/id/$int", "123456789012345678901234567891"),
        ("id lone surrogate escape", "/agent/written/0/id/$utf16/0", "d801"),
        ("nesting of 100", "/rpc/params/$nesting_depth", "100"),
        ("response: result object", "/rpc/id", "req-2"),
        ("response: error object", "/rpc/kind", "result"),
        ("fatal_error", "/agent/connection", "flush_then_close"),
        ("top-level array", "/line", "[1"),
    ] {
        let mut row =
            vectors["cases"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
        *row.pointer_mut(pointer).unwrap() = value.into();
        let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed.json");
        std::fs::write(&changed, serde_json::json!({ "cases": [row] }).to_string()).unwrap();
        let mut tally = Tally::default();
        run(Suite::TeethLines, &changed, &mut tally).unwrap();
        assert_eq!(tally.failures().len(), 1, "{name} {pointer}: {tally}");
    }
}

#[test]
fn nodered_topics() {
    check(Suite::NoderedTopics, "nodered-topics.json", 114, &[("brace-quantifier", 5)]);
}

#[test]
fn a_topic_that_was_changed_fails() {
    for (pattern, topic, matches) in [
        ("status/#", "status", "false"),
        ("a+b", "ab", "true"),
        ("a{", "a{", "\"error\""),
        ("#", "a", "true"),
    ] {
        let row = format!("[{{\"pattern\":{pattern:?},\"topic\":{topic:?},\"matches\":{matches}}}]");
        let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed-topic.json");
        std::fs::write(&changed, row).unwrap();
        let mut tally = Tally::default();
        run(Suite::NoderedTopics, &changed, &mut tally).unwrap();
        assert_eq!(tally.failures().len(), 1, "{pattern} {topic}: {tally}");
    }
}

#[test]
fn nodepass_urls() {
    check(Suite::NodepassUrls, "nodepass-urls.json", 400, &[("needs-a-resolver", 3)]);
}

#[test]
fn an_instance_url_that_was_changed_fails() {
    let file = root().join("crates/nodepass-api/tests/vectors/nodepass-urls.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (old, new) = ("/peers/nodepass v1.6.0", "/peers/nodepass v1.14.0");
    let with_tls = "/master_post_when_master_has_log_info_tls_1";
    for (id, pointer, value) in [
        ("s-01", format!("{old}/process/effective/tunnel_key"), "f410e068"),
        ("s-01", format!("{new}/process/effective/slot"), "1024"),
        ("s-09", format!("{new}/process/effective/sni"), "none"),
        ("s-12", format!("{old}/process/exited_by_itself"), ""),
        ("s-40", format!("{new}/process/exited_by_itself"), ""),
        ("s-57", format!("{old}/process/effective/tunnel_addr"), "127.0.0.1:99999"),
        ("s-03", format!("{old}{with_tls}/url"), "server://secret@127.0.0.1:21003/127.0.0.1:21103?max=16"),
        ("s-03", format!("{new}/master_post/config"), ""),
        ("s-02", format!("{new}/master_post/type"), "server"),
        ("s-53", format!("{new}/master_post/error"), "Invalid URL format"),
    ] {
        let mut row =
            vectors["cases"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
        let place = row.pointer_mut(&pointer).unwrap();
        *place = place.as_bool().map_or_else(|| value.into(), |flag| (!flag).into());
        let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed-url.json");
        std::fs::write(&changed, serde_json::json!({ "cases": [row] }).to_string()).unwrap();
        let mut tally = Tally::default();
        run(Suite::NodepassUrls, &changed, &mut tally).unwrap();
        assert_eq!(tally.failures().len(), 1, "{id} {pointer}: {tally}");
    }
}

#[test]
fn core_node() {
    check(Suite::CoreNode, "core-node.json", 158, &[]);
}

#[test]
fn a_row_of_core_node_that_was_changed_fails() {
    let file = root().join("crates/core-node-proto/tests/vectors/core-node.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let config = |id: &str| {
        let place = vectors["config"].as_array().unwrap().iter().position(|row| row["id"] == id).unwrap();
        format!("/config/{place}/result")
    };
    let core = |id: &str| {
        let place = vectors["core"].as_array().unwrap().iter().position(|row| row["id"] == id).unwrap();
        format!("/core/{place}")
    };
    for (pointer, value) in [
        (core("reg-ok") + "/state/nodes/3/name", "fra-2".into()),
        (core("reg-code-twice") + "/steps/1/expect/status", "2xx".into()),
        (core("hb-behind") + "/steps/0/expect/body/needSync", false.into()),
        (core("auth-grpc-repeated") + "/steps/0/expect/code", "OK".into()),
        (core("us-one") + "/state/usageRows/0/bytesUp", "101".into()),
        (core("on-keys") + "/state/onlineKeys/online:user:12", "2030-01-02T03:04:26.000Z".into()),
        ("/email/0/ids/lsId".into(), 46.into()),
        ("/email/0/ids".into(), serde_json::Value::Null),
        ("/stat_names/0/counter/direction".into(), "down".into()),
        ("/stat_names/4/counter/key".into(), "b".into()),
        (config("plain") + "/clients", 2.into()),
        (config("plain") + "/xray", false.into()),
        (config("plain") + "/ok", false.into()),
        (config("broken-services") + "/field", "clientMapJson".into()),
        (config("broken-mtproto-map") + "/warnings", 0.into()),
        (config("repeated-key") + "/lookup/47", 14.into()),
    ] {
        let mut changed_vectors = vectors.clone();
        *changed_vectors.pointer_mut(&pointer).unwrap() = value;
        let changed = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("changed-core-node.json");
        std::fs::write(&changed, changed_vectors.to_string()).unwrap();
        let mut tally = Tally::default();
        run(Suite::CoreNode, &changed, &mut tally).unwrap();
        assert_eq!(tally.failures().len(), 1, "{pointer}: {tally}");
    }
}

#[test]
fn a_file_of_another_suite_is_refused() {
    let file = root().join("crates/ithiltir-proto/tests/vectors/ithiltir-urls.json");
    let others = [
        Suite::IthiltirManifests,
        Suite::IthiltirRounds,
        Suite::IthiltirStatics,
        Suite::TeethLines,
        Suite::NoderedTopics,
        Suite::NodepassUrls,
        Suite::CoreNode,
    ];
    for suite in others {
        assert!(run(suite, &file, &mut Tally::default()).is_err());
    }
}
