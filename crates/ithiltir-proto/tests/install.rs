//! Installing a target: one behaviour a test.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::install::{
    Choice, CommandError, Config, Event, Install, InstallError, Installed, Output, RequestId,
};
use ithiltir_proto::{
    Delivery, Failure, FailureKind, ProbeOutcome, ReportConfig, ReportTarget, Secret, TargetError, UrlError,
};
use std::time::Duration;
use testkit::epoch;

const URL: &str = "https://dash.example/api/node/metrics";

fn known(id: i64, url: &str, key: &str, install_id: &str) -> ReportTarget {
    ReportTarget { id, url: url.into(), key: Secret::new(key), server_install_id: install_id.into() }
}

fn existing(targets: Vec<ReportTarget>) -> ReportConfig {
    ReportConfig { targets, ..ReportConfig::default() }
}

fn install(targets: Vec<ReportTarget>) -> Install {
    Install::new(Config::default(), URL, &Secret::new(" key "), existing(targets), epoch())
}

fn asked(install: &mut Install) -> RequestId {
    match install.poll_output() {
        Some(Output::Request { id, .. }) => id,
        other => panic!("{other:?}"),
    }
}

fn answered(install: &mut Install, id: RequestId, status: u16, body: &'static str) {
    let response = http::Response::builder().status(status).body(body.into()).unwrap();
    install.handle_response(id, response, epoch());
}

fn finished(install: &mut Install) -> Result<Installed, InstallError> {
    let outputs: Vec<_> = std::iter::from_fn(|| install.poll_output()).collect();
    assert!(install.is_closed());
    assert_eq!(install.poll_timeout(), None);
    match outputs.into_iter().next_back() {
        Some(Output::Event(Event::Finished(outcome))) => outcome,
        other => panic!("{other:?}"),
    }
}

fn changed(install: &mut Install) -> Vec<ReportTarget> {
    match finished(install) {
        Ok(Installed::Changed(config)) => {
            config.validate().unwrap();
            config.targets
        }
        other => panic!("{other:?}"),
    }
}

const IDENTITY: &str = r#"{"install_id":"  any-id ","extra":1} trailing"#;

#[test]
fn the_request_is_an_empty_object_to_the_identity_sibling() {
    let mut install = install(vec![]);
    let Some(Output::Request { request, .. }) = install.poll_output() else { panic!() };
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://dash.example/api/node/identity");
    assert_eq!(request.headers()["x-node-secret"], "key");
    assert_eq!(request.body(), "{}");
}

#[test]
fn step_1_a_target_that_is_installed_needs_no_request() {
    let mut install = install(vec![known(1, URL, "key", "any-id")]);
    assert_eq!(finished(&mut install), Ok(Installed::Unchanged));
}

#[test]
fn step_2_a_url_without_the_suffix_fails_before_any_request() {
    let refused = |url| {
        let config = ReportConfig::default();
        finished(&mut Install::new(Config::default(), url, &Secret::new("key"), config, epoch())).unwrap_err()
    };
    assert_eq!(refused("http://h/ingest"), InstallError::NoIdentityUrl);
    assert_eq!(refused("ftp://h/metrics"), InstallError::Target(TargetError::Url(UrlError::Scheme)));
}

#[test]
fn step_3_a_known_installation_under_the_same_url_and_key_changes_nothing() {
    // The id in the file is untrimmed, so that step 1 does not apply to a blank one before.
    let mut install = install(vec![known(1, "http://other/metrics", "key", ""), known(2, URL, "key", "")]);
    let id = asked(&mut install);
    answered(&mut install, id, 200, IDENTITY);
    assert_eq!(changed(&mut install)[1], known(2, URL, "key", "any-id"));
}

#[test]
fn step_3_a_known_installation_under_another_url_or_key_is_a_conflict_to_decide() {
    for choice in [Choice::Keep, Choice::Replace] {
        let mut install = install(vec![known(7, "http://old/metrics", "old", "any-id")]);
        let id = asked(&mut install);
        answered(&mut install, id, 200, IDENTITY);
        assert!(matches!(install.poll_output(), Some(Output::Event(Event::Conflict { existing: 7 }))));
        assert_eq!(install.poll_timeout(), None, "people take their time");
        install.choose(choice, epoch()).unwrap();
        match choice {
            Choice::Keep => assert_eq!(finished(&mut install), Ok(Installed::Unchanged)),
            Choice::Replace => assert_eq!(changed(&mut install), [known(7, URL, "key", "any-id")]),
        }
        assert_eq!(install.choose(choice, epoch()), Err(CommandError::NothingToChoose));
    }
}

#[test]
fn step_4_the_same_target_without_an_installation_gets_it() {
    let mut install = install(vec![known(3, URL, "key", "")]);
    let id = asked(&mut install);
    answered(&mut install, id, 200, IDENTITY);
    assert_eq!(changed(&mut install), [known(3, URL, "key", "any-id")]);
}

#[test]
fn step_5_a_new_target_gets_the_next_number() {
    let mut first = install(vec![]);
    let id = asked(&mut first);
    answered(&mut first, id, 200, IDENTITY);
    assert_eq!(changed(&mut first), [known(1, URL, "key", "any-id")]);
    let mut second = install(vec![known(41, "http://other/metrics", "k", "other-id")]);
    let id = asked(&mut second);
    answered(&mut second, id, 200, IDENTITY);
    assert_eq!(changed(&mut second)[1], known(42, URL, "key", "any-id"));
}

#[test]
fn answers_that_are_no_identity_change_nothing() {
    for body in
        ["", "x", "{}", r#"{"install_id":"  "}"#, r#"{"install_id":1}"#, r#"{"install_id":"a","created":1}"#]
    {
        let mut install = install(vec![]);
        let id = asked(&mut install);
        answered(&mut install, id, 200, body);
        assert!(matches!(finished(&mut install), Err(InstallError::Answer(_))), "{body}");
    }
    for status in [201, 302, 401, 503] {
        let mut install = install(vec![]);
        let id = asked(&mut install);
        answered(&mut install, id, status, IDENTITY);
        assert!(matches!(finished(&mut install), Err(InstallError::Status(_))), "{status}");
    }
}

#[test]
fn one_fallback_is_tried_and_the_saved_url_stays_https() {
    let mut install = install(vec![]);
    let id = asked(&mut install);
    install.handle_failure(id, Failure::new(Delivery::No, FailureKind::PlainHttp), epoch());
    assert!(matches!(install.poll_output(), Some(Output::Event(Event::FellBack { .. }))));
    let Some(Output::Request { id, request }) = install.poll_output() else { panic!() };
    assert_eq!(request.uri(), "http://dash.example/api/node/identity");
    answered(&mut install, id, 200, IDENTITY);
    assert_eq!(changed(&mut install)[0].url, URL);
}

#[test]
fn a_probe_decides_about_an_expired_certificate() {
    use ithiltir_proto::CertificateProblem::Expired;
    for (outcome, falls_back) in [(ProbeOutcome::FormerlyGood, true), (ProbeOutcome::NotExpired, false)] {
        let mut install = install(vec![]);
        let id = asked(&mut install);
        let failure = Failure::new(Delivery::No, FailureKind::Certificate(Expired));
        install.handle_failure(id, failure, epoch());
        let Some(Output::Probe { id, probe }) = install.poll_output() else { panic!() };
        assert_eq!((&*probe.host, probe.port), ("dash.example", 443));
        install.handle_probe(id, outcome, epoch());
        assert_eq!(install.is_closed(), !falls_back);
    }
}

#[test]
fn nothing_falls_back_where_https_is_required() {
    let mut config = Config::default();
    config.require_https = true;
    let mut install = Install::new(config.clone(), URL, &Secret::new("k"), ReportConfig::default(), epoch());
    let id = asked(&mut install);
    install.handle_failure(id, Failure::new(Delivery::No, FailureKind::PlainHttp), epoch());
    assert_eq!(finished(&mut install), Err(InstallError::Transport(FailureKind::PlainHttp)));
    let plain = "http://h/metrics";
    let mut refused = Install::new(config, plain, &Secret::new("k"), ReportConfig::default(), epoch());
    assert_eq!(finished(&mut refused), Err(InstallError::Target(TargetError::NotHttps)));
}

#[test]
fn an_exchange_ends_after_ten_seconds_and_everything_after_fifteen() {
    let mut once = install(vec![]);
    asked(&mut once);
    assert_eq!(once.poll_timeout(), Some(epoch() + Duration::from_secs(10)));
    once.handle_timeout(epoch() + Duration::from_secs(10));
    assert!(matches!(once.poll_output(), Some(Output::Cancel(_))));
    assert_eq!(finished(&mut once), Err(InstallError::Transport(FailureKind::TimedOut)));

    let mut twice = install(vec![]);
    let id = asked(&mut twice);
    let late = epoch() + Duration::from_secs(9);
    twice.handle_failure(id, Failure::new(Delivery::No, FailureKind::PlainHttp), late);
    assert_eq!(twice.poll_timeout(), Some(epoch() + Duration::from_secs(15)));
}

#[test]
fn giving_up_cancels_the_request() {
    let mut install = install(vec![]);
    let id = asked(&mut install);
    install.close(epoch());
    assert!(matches!(install.poll_output(), Some(Output::Cancel(cancelled)) if cancelled == id));
    assert_eq!(finished(&mut install), Err(InstallError::Closed));
    answered(&mut install, id, 200, IDENTITY);
    assert!(install.poll_output().is_none());
}
