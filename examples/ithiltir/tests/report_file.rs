//! The configuration file by the original's rules for loading and saving.

#![cfg(unix)]

use ithiltir_example::report_file::{load, save};
use ithiltir_proto::{ReportConfig, ReportTarget, Secret};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const TARGET: &str = "  - id: 1\n    url: https://dash.example/api/node/metrics\n    key: k\n";

fn written(folder: &Path, text: &str, mode: u32) -> Result<ReportConfig, String> {
    let path = folder.join("report.yaml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    load(&path).map_err(|error| error.to_string())
}

#[test]
fn what_the_original_loads_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let target = TARGET;
    for (text, targets) in [
        (format!("version: 1\ntargets:\n{target}"), 1),
        (format!("version: 1.0\ntargets:\n{target}"), 1),
        (format!("\u{feff}version: 1\r\ntargets:\r\n{}", target.replace('\n', "\r\n")), 1),
        ("version: 1\n".to_owned(), 0),
        ("version: 1\ntargets: null\n".to_owned(), 0),
        ("version: 1\ntargets: []\n---\nversion: 2\n".to_owned(), 0),
        ("{\"version\":1,\"targets\":[{\"id\":1,\"url\":\"http://h/metrics\",\"key\":12345}]}".to_owned(), 1),
        (format!("version: 1\ntargets:\n{target}    server_install_id: \"\"\n"), 1),
        (
            "version: 1\ntargets:\n  - &a {id: 1, url: http://h/metrics, key: k}\n  - {<<: *a, id: 2}\n"
                .to_owned(),
            2,
        ),
    ] {
        let config = written(folder.path(), &text, 0o600).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(config.targets.len(), targets, "{text}");
    }
    assert_eq!(load(&folder.path().join("nothing")).ok(), Some(ReportConfig::default()));
}

#[test]
fn a_key_that_looks_like_a_number_is_taken_as_it_is_spelled() {
    let folder = tempfile::tempdir().unwrap();
    for key in ["12345", "1.10", "1e3", "0x1F", "007", "123456789012345678901234567890123456789012345"] {
        let text = format!("version: 1\ntargets:\n{}", TARGET.replace("key: k", &format!("key: {key}")));
        let config = written(folder.path(), &text, 0o600).unwrap();
        assert_eq!(config.targets[0].key.expose(), key);
    }
}

#[test]
fn what_the_original_refuses_is_refused_without_a_key_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let target = TARGET.replace("key: k", "key: hunter2");
    for text in [
        String::new(),
        "# nothing\n".to_owned(),
        format!("targets:\n{target}"),
        format!("version: \"1\"\ntargets:\n{target}"),
        format!("version: 2\ntargets:\n{target}"),
        format!("version: 1\nextra: 1\ntargets:\n{target}"),
        format!("version: 1\nversion: 1\ntargets:\n{target}"),
        format!("version: 1\nTargets:\n{target}"),
        format!("version: 1\ntargets:\n{target}    extra: 1\n"),
        format!("version: 1\ntargets:\n{target}    server_install_id: \"  \"\n"),
        format!("version: 1\ntargets:\n{target}{target}"),
        format!("version: 1\ntargets:\n{}", target.replace("id: 1", "id: 0")),
        format!("version: 1\ntargets:\n{}", target.replace("https://", "ftp://")),
        format!("version: 1\ntargets:\n{}", target.replace("hunter2", "\"  \"")),
        "version: 1\ntargets:\n  - {id: 1, url: http://h/metrics, key: [hunter2]}\n".to_owned(),
    ] {
        let error = written(folder.path(), &text, 0o600).expect_err(&text);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_permissions_must_be_0600_exactly() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o400, 0o640, 0o644, 0o700] {
        let error = written(folder.path(), "version: 1\n", mode).unwrap_err();
        assert!(error.contains("must be 0600"), "{error}");
    }
}

#[test]
fn what_is_saved_is_private_and_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeper/report.yaml");
    let target = ReportTarget {
        id: 3,
        url: "http://h/metrics".into(),
        key: Secret::new("12345"),
        server_install_id: "server_x".into(),
    };
    let config = ReportConfig { targets: vec![target], ..ReportConfig::default() };
    save(&path, &config).map_err(|error| error.to_string()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(load(&path).ok(), Some(config));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    save(&path, &ReportConfig::default()).map_err(|error| error.to_string()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "version: 1\ntargets: []\n");
}
