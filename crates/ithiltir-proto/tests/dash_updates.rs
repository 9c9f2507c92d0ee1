//! Updates that a Dash hands out, one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dash_fixture;

use dash_fixture::{Fixture, OK, json_report, manifest, release, report, static_of};
use ithiltir_proto::dash::{BuildMetadata, Platform, UpdateRefused};
use ithiltir_proto::wire::Manifest;
use serde_json::{Value, json};

#[test]
fn an_update_is_offered_with_every_report_until_the_node_has_it() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    let body = serde_json::to_string(&json!({"ok": true, "update": null})).unwrap();
    assert_eq!(
        fixture.metrics_of("key-2", "0.2.3"),
        ["report two vm".into(), "online two".into(), format!("200 {body}")]
    );
    for version in ["0.2.3", "0.2.3", " 0.2.3 ", "0.2.4-rc.1"] {
        let outputs = fixture.metrics_of("key-1", version);
        assert_eq!(outputs[..2], ["report one vm", "offered one 0.2.4"], "{version}");
        let answer: Value = serde_json::from_str(outputs[2].strip_prefix("200 ").unwrap()).unwrap();
        let sha256 = "ab".repeat(32);
        let update = json!({"id": "0.2.4", "version": "0.2.4", "url": "https://dash.example/node", "sha256": sha256, "size": 9});
        assert_eq!(answer, json!({"ok": true, "update": update}));
    }
    assert_eq!(fixture.metrics_of("key-1", "0.2.4"), ["report one vm", "cleared one", OK]);
    assert_eq!(fixture.metrics_of("key-1", "0.2.3"), ["report one vm", OK], "a task that is done stays done");
}

#[test]
fn a_node_that_is_past_the_update_ends_the_task() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.3.0-alpha"), ["report one vm", "cleared one", OK]);
    assert_eq!(fixture.dash.0.update(fixture.nodes[0]), None);
}

#[test]
fn other_build_metadata_is_still_delivered_unless_the_older_rule_is_set() {
    for (rule, second) in
        [(BuildMetadata::Deliver, "offered one 0.2.4"), (BuildMetadata::Clear, "cleared one")]
    {
        let mut fixture = Fixture::with(|config| config.build_metadata = rule);
        fixture.metrics(&report());
        fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
        assert_eq!(fixture.metrics_of("key-1", "0.2.4+abc")[1], second);
    }
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4+abc"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.2.4+abc")[1], "cleared one");
}

#[test]
fn a_rejected_report_neither_delivers_nor_ends_the_task() {
    let mut fixture = Fixture::confirming();
    let id = fixture.post_report();
    fixture.dash.0.confirm(id, fixture.now).unwrap();
    fixture.drain();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    let mut newer = json_report();
    newer["version"] = json!("0.2.4");
    let mut invalid = newer.clone();
    invalid["hostname"] = json!("");
    assert_eq!(fixture.metrics(&invalid.to_string())[1], "422 invalid_metrics");
    let id = fixture.post(&newer.to_string());
    fixture.dash.0.refuse_storage(id, fixture.now).unwrap();
    assert_eq!(fixture.drain(), ["report one vm", "rejected: not stored", "503 service_unavailable"]);
    assert!(fixture.dash.0.update(fixture.nodes[0]).is_some());
}

#[test]
fn a_node_below_the_least_version_gets_nothing_and_keeps_its_task() {
    let mut fixture = Fixture::reporting();
    fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.4"), fixture.now).unwrap();
    assert_eq!(fixture.metrics_of("key-1", "0.2.1-rc.1"), ["report one vm", OK]);
    assert!(fixture.dash.0.update(fixture.nodes[0]).is_some());
    assert_eq!(
        fixture.dash.0.assign_update(fixture.nodes[0], manifest("0.2.5"), fixture.now),
        Err(UpdateRefused::Unsupported)
    );
    assert_eq!(fixture.metrics_of("key-1", "0.2.1")[1], "offered one 0.2.4");
    let mut any = Fixture::with(|config| config.min_update_version = None);
    any.metrics_of("key-1", "0.1.0");
    any.dash.0.assign_update(any.nodes[0], manifest("0.2.4"), any.now).unwrap();
    assert_eq!(any.metrics_of("key-1", "0.1.0")[1], "offered one 0.2.4", "as Dash 0.2.0 does");
}

#[test]
fn a_manifest_that_no_node_could_use_is_refused() {
    let mut fixture = Fixture::reporting();
    let node = fixture.nodes[0];
    let of = |change: fn(&mut Manifest)| {
        let mut manifest = manifest("0.2.4");
        change(&mut manifest);
        manifest
    };
    for (manifest, code) in [
        (of(|manifest| manifest.version = "v1".into()), "invalid_node_version"),
        (of(|manifest| manifest.url = "ftp://h/x".into()), "node_asset_error"),
        (of(|manifest| manifest.url = "/x".into()), "node_asset_error"),
        (of(|manifest| manifest.url = "http://:80/x".into()), "node_asset_error"),
        (of(|manifest| manifest.sha256 = "xy".repeat(32)), "node_asset_error"),
        (of(|manifest| manifest.sha256 = "ab".repeat(31)), "node_asset_error"),
        (of(|manifest| manifest.size = 0), "node_asset_error"),
    ] {
        let refused = fixture.dash.0.assign_update(node, manifest.clone(), fixture.now).unwrap_err();
        assert_eq!(refused.code(), code, "{manifest:?}");
    }
    assert_eq!(fixture.dash.0.update(node), None);
}

#[test]
fn a_release_is_assigned_by_the_platform_of_the_last_static() {
    let mut fixture = Fixture::new();
    let node = fixture.nodes[0];
    let release = release("0.2.4", &[Platform::LinuxAmd64, Platform::MacosArm64]);
    let refused = |fixture: &mut Fixture| {
        let refused = fixture.dash.0.assign_release(node, &release, fixture.now).unwrap_err();
        (refused.status().as_u16(), refused.code())
    };
    // As recorded: `admin/upgrade_before_static`.
    assert_eq!(refused(&mut fixture), (409, "node_platform_unknown"));
    for (os, arch, code) in [
        ("freebsd", "amd64", "node_platform_unsupported"),
        ("linux", "riscv64", "node_platform_unsupported"),
        ("windows", "amd64", "node_asset_missing"),
        ("linux", "amd64", "node_version_unavailable"),
    ] {
        fixture.statics(&static_of(os, arch));
        assert_eq!(refused(&mut fixture), (409, code), "{os} {arch}");
    }
    fixture.metrics(&report());
    for (os, arch) in [("Linux", "X86_64"), ("darwin", "aarch64"), ("macOS", "ARM64")] {
        fixture.statics(&static_of(os, arch));
        assert_eq!(fixture.dash.0.assign_release(node, &release, fixture.now), Ok(()), "{os} {arch}");
    }
    assert_eq!(
        fixture.dash.0.update(node).unwrap().url,
        "https://dash.example/deploy/macos/node_macos_arm64"
    );
    fixture.dash.0.remove_node(node, fixture.now).unwrap();
    assert_eq!(refused(&mut fixture), (404, "not_found"));
}

#[test]
fn an_update_can_be_taken_back() {
    let mut fixture = Fixture::reporting();
    let node = fixture.nodes[0];
    fixture.dash.0.assign_update(node, manifest("0.2.4"), fixture.now).unwrap();
    fixture.dash.0.clear_update(node, fixture.now).unwrap();
    assert_eq!(fixture.metrics(&report()), ["report one vm", OK]);
}
