//! The node's report configuration: what may stand in it, and how it is changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::{ReportConfig, ReportConfigError, ReportTarget, Secret};
use serde_json::{Value, json};

const URL: &str = "https://dash.example/api/node/metrics";

fn target(id: i64) -> ReportTarget {
    ReportTarget { id, url: URL.into(), key: Secret::new("k"), server_install_id: String::new() }
}

fn config(targets: &[ReportTarget]) -> ReportConfig {
    ReportConfig { targets: targets.to_vec(), ..ReportConfig::default() }
}

fn read(value: Value) -> Result<ReportConfig, serde_json::Error> {
    serde_json::from_value(value)
}

#[test]
fn a_file_is_read_and_written_as_it_stands() {
    let file = json!({"version": 1, "targets": [
        {"id": 3, "url": format!(" {URL} "), "key": " k ", "server_install_id": "i"},
        {"id": 4, "url": URL, "key": "k"},
    ]});
    let config = read(file.clone()).unwrap();
    assert_eq!(config.targets[0].key.expose(), " k ");
    assert_eq!(config.targets[1].server_install_id, "");
    assert_eq!(serde_json::to_value(&config).unwrap(), file);
}

#[test]
fn what_is_missing_or_null_is_empty() {
    for file in [json!({"version": 1}), json!({"version": 1, "targets": null}), json!({"version": 1.0})] {
        assert_eq!(read(file).unwrap(), ReportConfig::default());
    }
    let target = json!({"id": 1, "url": URL, "key": "k", "server_install_id": null});
    assert_eq!(read(json!({"version": 1, "targets": [target]})).unwrap().targets[0].server_install_id, "");
}

#[test]
fn another_version_and_unknown_members_are_refused() {
    for version in [json!(2), json!(-1), json!(1.5), json!("1"), Value::Null] {
        assert!(read(json!({"version": version})).is_err(), "{version}");
    }
    assert!(read(json!({})).is_err());
    assert!(read(json!({"version": 1, "target": []})).is_err());
    let unknown = json!({"id": 1, "url": URL, "key": "k", "name": "n"});
    assert!(read(json!({"version": 1, "targets": [unknown]})).is_err());
}

#[test]
fn the_first_target_that_breaks_a_rule_is_named() {
    let with = |change: fn(&mut ReportTarget)| {
        let mut target = target(2);
        change(&mut target);
        config(&[self::target(1), target]).validate()
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|target| target.id = 0), Err(ReportConfigError::Id { id: 0 }));
    assert_eq!(with(|target| target.id = 1), Err(ReportConfigError::RepeatedId { id: 1 }));
    assert_eq!(with(|target| target.key = Secret::new(" ")), Err(ReportConfigError::BlankKey { id: 2 }));
    let blank = with(|target| target.server_install_id = "\t".into());
    assert_eq!(blank, Err(ReportConfigError::BlankInstallId { id: 2 }));
    let url = with(|target| target.url = "ftp://h/".into()).unwrap_err();
    assert!(matches!(url, ReportConfigError::Url { id: 2, .. }), "{url}");
}

#[test]
fn two_targets_of_one_installation_are_refused_white_space_apart() {
    let of = |id, installation: &str| ReportTarget { server_install_id: installation.into(), ..target(id) };
    assert_eq!(config(&[of(1, "a"), of(2, "b"), of(3, ""), of(4, "")]).validate(), Ok(()));
    let repeated = config(&[of(1, "a"), of(2, " a ")]).validate();
    assert_eq!(repeated, Err(ReportConfigError::RepeatedInstallId { id: 2 }));
}

#[test]
fn a_target_that_cannot_be_used_is_told_by_its_place() {
    assert_eq!(config(&[target(7), target(8)]).to_targets().unwrap().len(), 2);
    let broken = ReportTarget { url: "nonsense".into(), ..target(8) };
    assert_eq!(config(&[target(7), broken]).to_targets().unwrap_err().0, 1);
}

#[test]
fn a_key_is_replaced_trimmed_and_never_by_a_blank_one() {
    let mut config = config(&[target(1), target(2)]);
    config.set_key(2, &Secret::new(" new ")).unwrap();
    let keys: Vec<_> = config.targets.iter().map(|target| target.key.expose()).collect();
    assert_eq!(keys, ["k", "new"]);
    let before = config.clone();
    assert_eq!(config.set_key(1, &Secret::new(" ")), Err(ReportConfigError::BlankKey { id: 1 }));
    assert_eq!(config.set_key(3, &Secret::new("x")), Err(ReportConfigError::UnknownTarget { id: 3 }));
    assert_eq!(config, before);
}

#[test]
fn a_removed_target_leaves_the_others_and_numbers_go_on_from_the_highest() {
    let mut config = config(&[target(1), target(5), target(3)]);
    assert_eq!(config.next_id(), Some(6));
    config.remove(5).unwrap();
    assert_eq!(config.targets, [target(1), target(3)]);
    assert_eq!(config.remove(5), Err(ReportConfigError::UnknownTarget { id: 5 }));
    assert_eq!(config.next_id(), Some(4));
    assert_eq!(ReportConfig::default().next_id(), Some(1));
    config.targets.push(target(i64::MAX));
    assert_eq!(config.next_id(), None);
}

#[test]
fn the_file_lies_beside_the_nodes_data() {
    assert_eq!(ReportConfig::default_path("linux", "/var/lib/node"), "/var/lib/node/report.yaml");
    assert_eq!(ReportConfig::default_path("windows", r"C:\node"), r"C:\node\report.yaml");
    assert_eq!((ReportConfig::MODE, ReportConfig::VARIABLE), (0o600, "ITHILTIR_NODE_REPORT_CONFIG"));
}
