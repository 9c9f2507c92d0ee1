//! Where the crate is stricter than the original program on purpose. `docs/ithiltir.md` lists each with its reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use ithiltir_proto::wire::{DecodeError, MetricsResponse, NodeReport, Problem, decode};

fn refused(text: &[u8]) -> DecodeError {
    decode::<NodeReport>(text).unwrap_err()
}

#[test]
fn member_names_are_exact() {
    let report: NodeReport = decode(br#"{"VERSION":"1.0.0"}"#).unwrap();
    assert_eq!(report.version, "");
    let answer = br#"{"Update":{"version":"9"}}"#;
    assert_eq!(MetricsResponse::decode(Some("application/json"), answer, 1024).unwrap().update, None);
}

#[test]
fn a_repeated_member_of_a_report_is_an_error() {
    let error = refused(br#"{"version":"1.0.0","version":"1.0.1"}"#);
    assert!(matches!(error, DecodeError::Value { problem: Problem::Repeated, .. }), "{error}");
}

#[test]
fn invalid_utf8_is_an_error() {
    assert_eq!(refused(b"{\"hostname\":\"a\xff\"}"), DecodeError::Utf8 { offset: 14 });
}

#[test]
fn lone_surrogates_are_an_error() {
    assert!(matches!(refused(br#"{"hostname":"\ud800"}"#), DecodeError::Syntax { .. }));
}

#[test]
fn pressure_of_another_form_is_an_error() {
    let error = refused(br#"{"metrics":{"pressure":{"cpu":{"some":"x"}}}}"#);
    let DecodeError::Value { path, line: 1, problem: Problem::WrongForm, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(&*path, "metrics.pressure.cpu.some");
}

#[test]
fn members_that_only_the_original_dash_reads_are_unknown_here() {
    assert!(decode::<NodeReport>(br#"{"sent_at":1,"server_id":"x","display_order":[]}"#).is_ok());
}

#[test]
fn errors_say_which_member_is_wrong_and_where() {
    let error = refused(b"{\"metrics\":{\"disk\":{\"physical\":[{},{\n\"read_bytes\":1.0}]}}}");
    let DecodeError::Value { path, line: 2, .. } = error else { panic!("{error}") };
    assert_eq!(&*path, "metrics.disk.physical[1].read_bytes");
    assert_eq!(refused(b"{\"metrics\":{"), DecodeError::Incomplete);
    assert!(matches!(refused(b"{\"metrics\":{}}x"), DecodeError::Syntax { line: 1, .. }));
    let error = refused(br#"{"metrics":{"cpu":{"load1":1e400}}}"#);
    assert!(matches!(error, DecodeError::Value { problem: Problem::OutOfRange, .. }), "{error}");
}

/// No deviation: the original wants objects too, which derived code would not.
#[test]
fn arrays_are_no_objects() {
    for text in [
        &b" \n[]"[..],
        br#"{"metrics":[]}"#,
        br#"{"metrics":{"cpu":[0,0,0,0,[]]}}"#,
        br#"{"metrics":{"disk":{"physical":[[]]}}}"#,
        br#"{"metrics":{"thermal":[]}}"#,
    ] {
        let error = refused(text);
        assert!(matches!(error, DecodeError::Value { problem: Problem::WrongForm, .. }), "{error}");
    }
}
