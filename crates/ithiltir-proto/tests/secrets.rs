//! Installing a target and updating with marked keys and tokens: what comes out and what is refused shows none of them, neither
//! as `Debug` nor as `Display`. The rules of node and Dash look at theirs after random steps.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::install::{Choice, Config, Event, Install, Output};
use ithiltir_proto::update::{
    Download, Layout, ManifestRules, Plan, RestartPolicy, StagedUpdate, ValidManifest,
};
use ithiltir_proto::wire::Manifest;
use ithiltir_proto::{Delivery, Failure, FailureKind, ReportConfig, ReportTarget, Secret};
use testkit::epoch;
use testkit::secrets::{assert_debug_hides, assert_error_hides, assert_no_secret, marked};

const URL: &str = "https://dash.example/api/node/metrics";
/// SHA-256 of `hello`.
const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// An installation where another key is known for the same Dash.
fn install(url: &str) -> Install {
    let (url, other) = (url.to_owned(), "https://old.example/metrics".to_owned());
    let key = Secret::new(marked(1));
    let known =
        ReportTarget { id: 1, url: other, key: Secret::new(marked(2)), server_install_id: "any-id".into() };
    let existing = ReportConfig { targets: vec![known], ..ReportConfig::default() };
    assert_debug_hides(&existing);
    Install::new(Config::default(), &url, &key, existing, epoch())
}

/// Carries an installation out, every request answered like this; returns how often a secret had its place in a request.
fn carried_out(mut install: Install, answer: impl Fn() -> Result<(u16, String), Failure>) -> usize {
    let mut sent = 0;
    loop {
        assert_debug_hides(&install);
        let Some(output) = install.poll_output() else { break };
        assert_debug_hides(&output);
        match output {
            Output::Request { id, request } => {
                assert_debug_hides(request.headers());
                sent += 1;
                match answer() {
                    Ok((status, body)) => {
                        let response = http::Response::builder().status(status).body(body.into()).unwrap();
                        install.handle_response(id, response, epoch());
                    }
                    Err(failure) => install.handle_failure(id, failure, epoch()),
                }
            }
            Output::Event(Event::Conflict { .. }) => install.choose(Choice::Replace, epoch()).unwrap(),
            Output::Event(Event::Finished(Err(error))) => assert_error_hides(&error),
            _ => {}
        }
    }
    sent
}

#[test]
fn no_key_shows_while_a_target_is_installed() {
    let secret = marked(3);
    let bodies = [
        r#"{"install_id":"any-id"}"#.to_owned(),
        r#"{"install_id":"other"}"#.to_owned(),
        secret.clone(),
        format!("\"{secret}\""),
        format!(r#"{{"{secret}":1}}"#),
        format!(r#"{{"install_id":["{secret}"]}}"#),
    ];
    for (body, status) in bodies.iter().flat_map(|body| [200, 401, 302].map(|status| (body, status))) {
        assert_eq!(carried_out(install(URL), || Ok((status, body.clone()))), 1, "{status} {body}");
    }
    for kind in [FailureKind::Refused, FailureKind::TimedOut, FailureKind::ConnectionLost] {
        assert!(carried_out(install(URL), || Err(Failure::new(Delivery::No, kind))) > 0);
    }
}

#[test]
fn no_password_shows_of_a_url_that_cannot_be_used() {
    let secret = marked(4);
    for url in [
        format!("https://u:{secret}@dash.example/ingest"),
        format!("ftp://u:{secret}@dash.example/metrics"),
        format!("https://u:{secret}@:99999/metrics"),
        format!("https://u:{secret}@dash.example/api/node/metrics"),
        secret.clone(),
    ] {
        carried_out(install(&url), || Ok((500, String::new())));
    }
}

#[test]
fn no_token_shows_while_a_release_is_installed() {
    let manifest = Manifest {
        id: "release".into(),
        version: "1.2.3".into(),
        url: format!("https://dash.example/deploy/node?upgrade_token={}", marked(5)),
        sha256: DIGEST.into(),
        size: 5,
    };
    assert_debug_hides(&manifest);
    assert_debug_hides(&Plan::decide("1.2.2", [&manifest]));
    let valid = ValidManifest::new(&manifest, "1.2.2", ManifestRules::default()).unwrap();
    assert_debug_hides(&valid);
    let mut download = Download::new(&valid);
    download.handle_head(http::StatusCode::OK).unwrap();
    assert_debug_hides(&download);
    assert_error_hides(&download.handle_chunk(b"hello, and more").unwrap_err());
    let runner = Layout::Runner { data_directory: "/data".into() };
    let staged = runner.installation(&valid, RestartPolicy::Exit, 7).unwrap();
    assert_debug_hides(&staged);
    for url in ["ftp://h/", "http://:1/", "http://h:99999/"] {
        let manifest = Manifest { url: format!("{url}?upgrade_token={}", marked(6)), ..manifest.clone() };
        let error = ValidManifest::new(&manifest, "1.2.2", ManifestRules::default()).unwrap_err();
        assert_error_hides(&error);
    }
    for contents in [marked(7), format!("{{\"{}\":1}}", marked(7)), format!(r#"{{"url":["{}"]}}"#, marked(7))]
    {
        let error = StagedUpdate::from_manifest(contents.as_bytes()).unwrap_err();
        assert_error_hides(&error);
        assert_no_secret(&error.to_string(), "why there is nothing to install");
    }
}
