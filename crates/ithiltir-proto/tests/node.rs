//! The node: one behaviour a test, read as a transcript. Times are seconds after the start; the interval is 1 s.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use ithiltir_proto::node::{Config, ConfigError, Node};
use ithiltir_proto::wire::Missing;
use ithiltir_proto::{CertificateProblem, FailureKind, ProbeOutcome, TargetError};
use std::time::Duration;
use support::{Fixture, report, statics, targets};
use testkit::epoch;

const A: &str = "http://a/metrics";
const B: &str = "http://b/metrics";

/// A node with one target whose Static has been accepted, one tick before its first round.
fn started(url: &str) -> Fixture {
    let mut node = Fixture::new(&[url]);
    node.until(5.0);
    node.answer(1, 200);
    node
}

/// Lets one round pass in which every request is refused, and forgets the lines.
fn refused_round(node: &mut Fixture, second: f64, request: usize) -> Vec<String> {
    node.until(second);
    node.fail(request, FailureKind::Refused)
}

mod rounds {
    use super::*;

    #[test]
    fn the_static_goes_out_after_the_start_delay_and_the_first_report_one_interval_later() {
        let mut node = Fixture::new(&[A]);
        assert_eq!(node.until(4.9), [""; 0]);
        assert_eq!(node.until(5.0), ["5.0 #1 POST http://a/static"]);
        assert_eq!(node.answer(1, 200), ["static 0 startup: ok"]);
        assert_eq!(node.until(6.0), ["6.0 #2 POST http://a/metrics"]);
        assert_eq!(node.answer(2, 200), ["report 0 round 1: ok", "round 1: 1 ok, 0 failed, 0 skipped"]);
        assert_eq!(node.until(7.0), ["7.0 #3 POST http://a/metrics"]);
    }

    #[test]
    fn without_a_sample_ticks_pass_in_silence() {
        let mut node = Fixture::empty(&[A], |_| {});
        node.node.0.record_static(&statics(), node.now);
        node.until(5.0);
        node.answer(1, 200);
        assert_eq!(node.until(9.5), [""; 0]);
        node.node.0.record(&report(), node.now);
        assert_eq!(node.until(10.0), ["10.0 #2 POST http://a/metrics"]);
    }

    #[test]
    fn a_node_without_targets_is_idle() {
        let node = Fixture::new(&[]);
        assert_eq!(node.node.0.poll_timeout(), None);
    }

    #[test]
    fn all_targets_share_one_body() {
        let mut node = Fixture::new(&[A, B]);
        node.until(6.0);
        assert_eq!(node.bodies[2], node.bodies[3]);
        assert!(node.bodies[2].starts_with(r#"{"version":"0.2.3","hostname":"host""#));
    }

    #[test]
    fn a_busy_target_is_left_out_and_delays_nobody() {
        let mut node = Fixture::new(&[A, B]);
        node.until(5.0);
        node.answer(1, 200);
        node.answer(2, 200);
        assert_eq!(node.until(6.0), ["6.0 #3 POST http://a/metrics", "6.0 #4 POST http://b/metrics"]);
        assert_eq!(node.answer(4, 200), ["report 1 round 1: ok"]);
        assert_eq!(node.until(7.0), ["7.0 #5 POST http://b/metrics"]);
        assert_eq!(node.answer(5, 200), ["report 1 round 2: ok", "round 2: 1 ok, 0 failed, 1 skipped"]);
        // The late answer counts for its own round only.
        assert_eq!(node.answer(3, 200), ["report 0 round 1: ok", "round 1: 2 ok, 0 failed, 0 skipped"]);
        assert_eq!(node.until(8.0), ["8.0 #6 POST http://a/metrics", "8.0 #7 POST http://b/metrics"]);
    }

    #[test]
    fn a_round_in_which_all_are_busy_sends_nothing() {
        let mut node = started(A);
        node.until(6.0);
        assert_eq!(node.until(7.0), ["7.0 round 2: 0 ok, 0 failed, 1 skipped"]);
    }

    #[test]
    fn ticks_never_pile_up() {
        let mut node = started(A);
        node.now += Duration::from_millis(7_300); // 12.3: a suspended host
        node.node.0.handle_timeout(node.now);
        assert_eq!(node.drain(), ["#2 POST http://a/metrics"]);
        node.answer(2, 200);
        assert_eq!(node.until(13.0), ["13.0 #3 POST http://a/metrics"]);
    }

    #[test]
    fn an_unanswered_request_ends_after_ten_seconds() {
        let mut node = started(A);
        node.until(15.9);
        let lines = node.until(16.0);
        assert_eq!(
            lines[..3],
            ["16.0 cancel #2", "16.0 report 0 round 1: timed out", "16.0 round 1: 0 ok, 1 failed, 0 skipped"]
        );
        assert_eq!(lines[3], "16.0 #3 POST http://a/metrics");
        assert_eq!(node.answer(2, 200), [""; 0], "a late answer is a race and no mistake");
    }

    #[test]
    fn only_200_is_success_and_redirects_are_not_followed() {
        for (status, outcome) in [
            (204, "the answer's status is 204 No Content"),
            (401, "the answer's status is 401 Unauthorized"),
            (429, "the answer's status is 429 Too Many Requests"),
            (503, "the answer's status is 503 Service Unavailable"),
            (304, "the answer's status is 304 Not Modified"),
            (301, "the answer is a redirect (301 Moved Permanently), which is not followed"),
            (307, "the answer is a redirect (307 Temporary Redirect), which is not followed"),
        ] {
            let mut node = started(A);
            node.until(6.0);
            let lines = node.answer_with(2, status, r#"{"update":{"version":"9"}}"#);
            assert_eq!(lines[0], format!("report 0 round 1: {outcome}"));
            assert_eq!(lines[1..], ["round 1: 0 ok, 1 failed, 0 skipped"]);
            assert_eq!(node.until(7.0), ["7.0 #3 POST http://a/metrics"], "the pace stays");
        }
    }

    #[test]
    fn an_earlier_instant_counts_as_the_latest_seen() {
        let mut node = started(A);
        node.until(6.0);
        node.node.0.handle_timeout(epoch());
        assert_eq!(node.drain(), [""; 0]);
        assert_eq!(node.until(7.0), ["7.0 round 2: 0 ok, 0 failed, 1 skipped"]);
    }

    #[test]
    fn closing_cancels_what_is_in_flight_and_ends_everything() {
        let mut node = Fixture::new(&[A, B]);
        node.until(6.0);
        assert!(!node.node.0.is_closed());
        let shown = format!("{:?}", node.node.0);
        assert_eq!(shown, "Node { targets: 2, rounds: 1, exchanges: 4, outputs: 0, closed: false, .. }");
        node.node.0.close(node.now);
        assert!(node.node.0.is_closed());
        assert_eq!(node.drain(), ["cancel #1", "cancel #2", "cancel #3", "cancel #4", "closed"]);
        assert!(node.node.0.is_closed());
        assert_eq!(node.answer(1, 200), [""; 0]);
        node.node.0.record_static(&statics(), node.now);
        node.node.0.close(node.now);
        testkit::rules::check_closed(&mut node.node, node.now + Duration::from_secs(100));
    }
}

/// The delivery state, row by row.
mod delivery_state {
    use super::*;

    #[test]
    fn row_200_clears_the_count_and_recovers() {
        let mut node = started(A);
        for (second, request) in [(6.0, 2), (7.0, 3)] {
            refused_round(&mut node, second, request);
        }
        assert_eq!(
            refused_round(&mut node, 8.0, 4),
            ["report 0 round 3: connection refused", "suppressed 0", "round 3: 0 ok, 1 failed, 0 skipped"]
        );
        assert!(node.node.0.is_suppressed(node_target()));
        assert!(node.node.0.target(node_target()).is_some());
        node.until(9.0);
        assert_eq!(
            node.answer(5, 200),
            [
                "report 0 round 4: ok",
                "recovered 0",
                "#6 POST http://a/static",
                "round 4: 1 ok, 0 failed, 0 skipped"
            ]
        );
        assert_eq!(node.answer(6, 200), ["static 0 recovery: ok"]);
        refused_round(&mut node, 10.0, 7);
        refused_round(&mut node, 11.0, 8);
        assert!(!node.node.0.is_suppressed(node_target()), "the count started anew");
    }

    fn node_target() -> ithiltir_proto::node::TargetId {
        // The only way to a TargetId is an event; the first target's is as good as any.
        let mut probe = Node::new(Config::new("1.0.0", targets(&["http://x/"])), epoch()).unwrap();
        probe.handle_timeout(epoch() + Duration::from_secs(5));
        match probe.poll_output() {
            Some(ithiltir_proto::node::Output::Event(ithiltir_proto::node::Event::NoStaticUrl {
                target,
            })) => target,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn row_any_other_status_leaves_the_count() {
        let mut node = started(A);
        refused_round(&mut node, 6.0, 2);
        refused_round(&mut node, 7.0, 3);
        node.until(8.0);
        node.answer(4, 500);
        assert!(
            refused_round(&mut node, 9.0, 5).contains(&"suppressed 0".to_owned()),
            "not necessarily in a row"
        );
    }

    #[test]
    fn row_fallback_switches_and_fails_this_round_without_an_immediate_resend() {
        let mut node = started("https://a/metrics");
        node.until(6.0);
        assert_eq!(
            node.fail(2, FailureKind::PlainHttp),
            [
                "report 0 round 1: the peer does not speak TLS",
                "fell back 0: the peer does not speak TLS",
                "round 1: 0 ok, 1 failed, 0 skipped"
            ]
        );
        assert_eq!(node.until(7.0), ["7.0 #3 POST http://a/metrics"]);
    }

    #[test]
    fn row_three_refusals_suppress_once_and_reports_go_on() {
        let mut node = started(A);
        refused_round(&mut node, 6.0, 2);
        refused_round(&mut node, 7.0, 3);
        assert!(refused_round(&mut node, 8.0, 4).contains(&"suppressed 0".to_owned()));
        assert_eq!(node.until(9.0), ["9.0 #5 POST http://a/metrics"]);
        let lines = node.fail(5, FailureKind::Refused);
        assert_eq!(lines, ["report 0 round 4: connection refused", "round 4: 0 ok, 1 failed, 0 skipped"]);
    }

    #[test]
    fn row_other_transport_errors_leave_the_count() {
        let others = [
            FailureKind::TimedOut,
            FailureKind::ConnectionLost,
            FailureKind::Tls,
            FailureKind::NameResolution,
            FailureKind::Other,
        ];
        let mut node = started(A);
        for (round, kind) in others.into_iter().enumerate() {
            node.until(6.0 + round as f64);
            assert_eq!(node.fail(2 + round, kind).len(), 2, "{kind:?}");
        }
    }

    #[test]
    fn fewer_than_three_refusals_do_not_send_the_static_again() {
        let mut node = started(A);
        refused_round(&mut node, 6.0, 2);
        refused_round(&mut node, 7.0, 3);
        node.until(8.0);
        assert_eq!(node.answer(4, 200), ["report 0 round 3: ok", "round 3: 1 ok, 0 failed, 0 skipped"]);
    }

    #[test]
    fn a_refused_static_does_not_touch_the_count() {
        let mut node = Fixture::new(&[A]);
        node.until(5.0);
        assert_eq!(node.fail(1, FailureKind::Refused), ["static 0 startup: connection refused"]);
        refused_round(&mut node, 6.0, 2);
        assert!(!refused_round(&mut node, 7.0, 3).contains(&"suppressed 0".to_owned()));
    }
}

/// The Static.
mod static_task {
    use super::*;

    #[test]
    fn a_failed_static_is_sent_again_ten_seconds_after_its_end() {
        let mut node = Fixture::new(&[A]);
        node.node.0.record_static(&statics(), node.now);
        node.until(5.5);
        assert_eq!(
            node.answer(1, 500),
            ["static 0 startup: the answer's status is 500 Internal Server Error"]
        );
        let lines = node.until(15.5);
        assert_eq!(lines.last().unwrap(), "15.5 #3 POST http://a/static");
        assert_eq!(node.answer(3, 200), ["static 0 fallback: ok"]);
    }

    #[test]
    fn an_incomplete_static_is_sent_again_until_a_complete_one_was_accepted() {
        let mut node = Fixture::empty(&[A], |_| {});
        let mut partial = statics();
        partial.system.platform_version.clear();
        node.node.0.record_static(&partial, node.now);
        node.until(5.0);
        assert_eq!(node.answer(1, 200), ["static 0 startup: ok"]);
        assert_eq!(node.until(15.0), ["15.0 #2 POST http://a/static"]);
        node.node.0.record_static(&statics(), node.now);
        node.answer(2, 200);
        assert_eq!(
            node.until(25.0),
            ["25.0 #3 POST http://a/static"],
            "what was accepted was the partial one"
        );
        node.answer(3, 200);
        assert_eq!(node.until(100.0), [""; 0]);
    }

    #[test]
    fn without_a_static_the_first_one_goes_out_at_once() {
        let mut node = Fixture::empty(&[A], |_| {});
        assert_eq!(node.until(5.0), ["5.0 static 0 startup withheld: []"]);
        assert_eq!(node.until(16.0), ["15.0 static 0 fallback withheld: []"]);
        node.node.0.record_static(&statics(), node.now);
        assert_eq!(node.drain(), ["#1 POST http://a/static"]);
    }

    #[test]
    fn an_unpublishable_static_is_withheld_and_says_what_is_missing() {
        let mut node = Fixture::empty(&[A], |_| {});
        let mut unpublishable = statics();
        (unpublishable.version, unpublishable.report_interval_seconds) = (" ".into(), 0);
        node.node.0.record_static(&unpublishable, node.now);
        let missing = [Missing::Version, Missing::ReportIntervalSeconds];
        assert_eq!(node.until(5.0), [format!("5.0 static 0 startup withheld: {missing:?}")]);
    }

    #[test]
    fn a_target_without_the_suffix_gets_reports_and_never_a_static() {
        let mut node = Fixture::new(&["http://a/ingest"]);
        assert_eq!(node.until(5.0), ["5.0 no static url 0"]);
        assert_eq!(node.until(6.0), ["6.0 #1 POST http://a/ingest"]);
        for request in 1..=3 {
            node.fail(request, FailureKind::Refused);
            node.until(6.0 + request as f64);
        }
        assert_eq!(node.answer(4, 200)[..2], ["report 0 round 4: ok", "recovered 0"]);
        assert_eq!(node.until(60.0).iter().filter(|line| line.contains("static")).count(), 0);
    }

    #[test]
    fn a_changed_static_goes_to_every_target_that_has_another() {
        let mut node = Fixture::empty(&[A, B], |_| {});
        node.node.0.record_static(&statics(), node.now);
        node.until(5.0);
        node.answer(1, 200);
        node.answer(2, 500);
        let mut changed = statics();
        changed.timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        node.node.0.record_static(&changed, node.now);
        assert_eq!(node.until(14.9), [""; 0]);
        changed.memory.total *= 2;
        node.node.0.record_static(&changed, node.now);
        // B is served by its retry before the look at 25 s; with one fingerprint for all, A would miss the change.
        assert_eq!(node.until(15.0), ["15.0 #3 POST http://b/static"]);
        node.answer(3, 200);
        assert_eq!(node.until(25.0), ["25.0 #4 POST http://a/static"]);
        assert_eq!(node.answer(4, 200), ["static 0 static_changed: ok"]);
        assert_eq!(node.until(100.0), [""; 0]);
    }

    #[test]
    fn the_time_between_two_looks_is_twenty_intervals_between_ten_and_sixty_seconds() {
        for (interval, first_look) in [(0.1, 15.0), (1.0, 25.0), (3.0, 65.0), (60.0, 65.0)] {
            let mut node = Fixture::empty(&[A], |config| config.interval = Duration::from_secs_f64(interval));
            node.node.0.record_static(&statics(), node.now);
            node.until(5.0);
            node.answer(1, 200);
            let mut changed = statics();
            changed.memory.total *= 2;
            node.node.0.record_static(&changed, node.now);
            assert_eq!(node.until(first_look - 0.1), [""; 0]);
            assert_eq!(node.until(first_look), [format!("{first_look:.1} #2 POST http://a/static")]);
        }
    }

    #[test]
    fn one_wish_waits_while_a_static_is_under_way() {
        let mut node = Fixture::new(&[A]);
        node.until(5.0);
        for (second, request) in [(6.0, 2), (7.0, 3), (8.0, 4)] {
            refused_round(&mut node, second, request);
        }
        node.until(9.0);
        assert_eq!(node.answer(5, 200)[..2], ["report 0 round 4: ok", "recovered 0"]);
        assert_eq!(node.answer(1, 200), ["static 0 startup: ok", "#6 POST http://a/static"]);
        assert_eq!(node.answer(6, 200), ["static 0 recovery: ok"]);
    }

    #[test]
    fn the_fingerprint_of_the_original_is_reproduced() {
        // The digest that node 0.2.3 computed for this document, see tests/vectors/ithiltir-statics.json.
        let vectors = include_str!("vectors/ithiltir-statics.json");
        let rows: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let mut compared = 0;
        for row in rows.as_array().unwrap().iter().filter(|row| !row["static"].is_null()) {
            let text = serde_json::to_vec(&row["static"]).unwrap();
            let statics: ithiltir_proto::wire::Static = ithiltir_proto::wire::decode(&text).unwrap();
            let encoded: serde_json::Value =
                serde_json::from_slice(&ithiltir_proto::wire::encode(&statics)).unwrap();
            if encoded != row["static"] {
                continue; // a document that no node writes: members or lists are missing
            }
            compared += 1;
            let digest = hex::encode(statics.fingerprint().as_bytes());
            assert_eq!(digest, row["fingerprint_sha256"].as_str().unwrap(), "{}", row["name"]);
        }
        assert!(compared > 15, "{compared}");
    }
}

/// §2.1. The decision table itself is tested beside `Fallback::decide`.
mod fallback {
    use super::*;
    const EXPIRED: FailureKind = FailureKind::Certificate(CertificateProblem::Expired);

    #[test]
    fn a_static_that_a_fallback_may_mend_is_sent_again_at_once() {
        let mut node = Fixture::new(&["https://10.0.0.1:8443/metrics"]);
        node.until(5.0);
        let untrusted = FailureKind::Certificate(CertificateProblem::UnknownAuthority);
        assert_eq!(
            node.fail(1, untrusted),
            ["fell back 0: certificate refused: unknown authority", "#2 POST http://10.0.0.1:8443/static"]
        );
        assert_eq!(node.answer(2, 200), ["static 0 startup: ok"]);
        assert_eq!(node.until(6.0), ["6.0 #3 POST http://10.0.0.1:8443/metrics"], "an explicit port stays");
    }

    #[test]
    fn an_expired_certificate_of_a_name_is_looked_at_first() {
        let mut node = Fixture::new(&["https://dash.example/metrics"]);
        node.until(5.0);
        assert_eq!(node.fail(1, EXPIRED), ["#2 probe dash.example:443"]);
        assert_eq!(
            node.probed(2, ProbeOutcome::FormerlyGood),
            ["fell back 0: certificate refused: expired", "#3 POST http://dash.example/static"]
        );
    }

    #[test]
    fn a_certificate_that_was_never_good_keeps_https() {
        let mut node = Fixture::new(&["https://dash.example/metrics"]);
        node.until(5.0);
        node.fail(1, EXPIRED);
        assert_eq!(
            node.probed(2, ProbeOutcome::NeverGood),
            [
                "fallback refused 0: the certificate was not good before it expired",
                "static 0 startup: certificate refused: expired"
            ]
        );
        assert_eq!(node.until(6.0), ["6.0 #3 POST https://dash.example/metrics"]);
    }

    #[test]
    fn one_probe_at_a_time_serves_report_and_static() {
        let mut node = Fixture::new(&["https://dash.example/metrics"]);
        node.until(6.0);
        assert_eq!(node.fail(1, EXPIRED), ["#3 probe dash.example:443"]);
        assert_eq!(
            node.fail(2, EXPIRED),
            ["report 0 round 1: certificate refused: expired", "round 1: 0 ok, 1 failed, 0 skipped"]
        );
        let lines = node.until(10.9);
        assert_eq!(lines.iter().filter(|line| line.contains("probe")).count(), 0);
        let lines = node.until(11.0);
        assert_eq!(
            lines[..3],
            [
                "11.0 cancel #3",
                "11.0 fallback refused 0: the certificate could not be looked at",
                "11.0 static 0 startup: certificate refused: expired"
            ]
        );
    }

    #[test]
    fn a_switch_ends_the_probe_that_is_under_way() {
        let mut node = Fixture::new(&["https://dash.example/metrics"]);
        node.until(6.0);
        assert_eq!(node.fail(1, EXPIRED), ["#3 probe dash.example:443"]);
        let lines = node.fail(2, FailureKind::PlainHttp);
        assert_eq!(
            lines[1..4],
            ["fell back 0: the peer does not speak TLS", "cancel #3", "#4 POST http://dash.example/static"]
        );
        assert_eq!(node.probed(3, ProbeOutcome::NeverGood), [""; 0]);
        assert_eq!(node.answer(4, 200), ["static 0 startup: ok"]);
    }

    #[test]
    fn nothing_falls_back_where_https_is_required() {
        let mut node = Fixture::with(&["https://10.0.0.1/metrics"], |config| config.require_https = true);
        node.until(5.0);
        assert_eq!(node.fail(1, EXPIRED), ["static 0 startup: certificate refused: expired"]);
        node.until(6.0);
        assert_eq!(node.fail(2, FailureKind::PlainHttp).len(), 2);
        assert_eq!(node.until(7.0), ["7.0 #3 POST https://10.0.0.1/metrics"]);
        let mut config = Config::new("0.2.3", targets(&["https://a/metrics", "http://b/metrics"]));
        config.require_https = true;
        let refused = Node::new(config, epoch()).unwrap_err();
        assert_eq!(refused, ConfigError::Target { index: 1, error: TargetError::NotHttps });
    }

    #[test]
    fn a_request_that_was_under_way_at_the_switch_is_no_second_switch() {
        let mut node = Fixture::new(&["https://10.0.0.1/metrics"]);
        node.until(6.0);
        assert!(node.fail(2, FailureKind::PlainHttp).iter().any(|line| line.starts_with("fell back")));
        assert_eq!(node.fail(1, FailureKind::PlainHttp), ["#3 POST http://10.0.0.1/static"]);
    }
}

/// Updates: the machine's part. Plan, validation, layout and download have tests of their own.
mod updates {
    use super::*;
    use ithiltir_proto::node::{KeyScope, UpdateError};
    use ithiltir_proto::update::{DownloadError, Layout};

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn offer(version: &str, url: &str) -> String {
        format!(
            r#"{{"ok":true,"update":{{"id":"x","version":"{version}","url":"{url}","sha256":"{DIGEST}","size":5}}}}"#
        )
    }

    fn managed(urls: &[&str]) -> Fixture {
        let mut node = Fixture::with(urls, |config| {
            config.update.layout =
                Some(Layout::Releases { data_directory: "/data".into(), active: "0.2.3".into() });
        });
        node.until(5.0);
        for request in 1..=urls.len() {
            node.answer(request, 200);
        }
        node.until(6.0);
        node
    }

    #[test]
    fn outside_a_managed_layout_a_manifest_is_ignored_and_said_so() {
        let mut node = started(A);
        node.until(6.0);
        let lines = node.answer_with(2, 200, &offer("9.9.9", "http://a/x"));
        assert_eq!(lines[1..], ["update round 1 ignored_unmanaged", "round 1: 1 ok, 0 failed, 0 skipped"]);
    }

    #[test]
    fn the_plan_is_made_when_every_request_of_the_round_has_ended() {
        let mut node = managed(&[A, B]);
        assert_eq!(node.answer_with(4, 200, &offer("9.9.9", "http://a/x")), ["report 1 round 1: ok"]);
        let lines = node.answer_with(3, 200, &offer("9.9.9", "http://a/x"));
        assert_eq!(
            lines,
            [
                "report 0 round 1: ok",
                "update round 1 apply",
                "#5 update 9.9.9",
                "round 1: 2 ok, 0 failed, 0 skipped"
            ]
        );
        // The first target's key, though the second answered first: the choice is no matter of chance.
        assert_eq!(node.updates[0].request.headers()["x-node-secret"], "key-0");
    }

    #[test]
    fn different_manifests_are_a_conflict() {
        let mut node = managed(&[A, B]);
        node.answer_with(3, 200, &offer("9.9.9", "http://a/x"));
        let lines = node.answer_with(4, 200, &offer("9.9.8", "http://a/x"));
        assert_eq!(lines[1], "update round 1 skip_conflict");
    }

    #[test]
    fn a_failed_target_contributes_nothing() {
        let mut node = managed(&[A, B]);
        node.answer_with(3, 500, &offer("9.9.8", "http://a/x"));
        let lines = node.answer_with(4, 200, &offer("9.9.9", "http://b/x"));
        assert_eq!(lines[1..3], ["update round 1 apply", "#5 update 9.9.9"]);
    }

    #[test]
    fn the_current_version_is_mentioned_once() {
        let mut node = managed(&[A]);
        assert_eq!(
            node.answer_with(2, 200, &offer(" 0.2.3 ", "http://a/x"))[1],
            "update round 1 skip_current"
        );
        node.until(7.0);
        assert_eq!(node.answer_with(3, 200, &offer("0.2.3", "http://a/x")).len(), 2);
    }

    #[test]
    fn the_key_goes_to_the_targets_origin_only_unless_the_setting_says_otherwise() {
        for (url, scope, key) in [
            ("http://a/deploy", KeyScope::Origin, true),
            ("http://a:80/deploy", KeyScope::Origin, true),
            ("http://a:81/deploy", KeyScope::Origin, false),
            ("https://a/deploy", KeyScope::Origin, false),
            ("http://elsewhere/deploy", KeyScope::Origin, false),
            ("http://elsewhere/deploy", KeyScope::Anywhere, true),
        ] {
            let mut node = Fixture::with(&[A], |config| {
                config.update.layout =
                    Some(Layout::Releases { data_directory: "/data".into(), active: String::new() });
                config.update.key_scope = scope;
            });
            node.until(6.0);
            node.answer_with(2, 200, &offer("9.9.9", url));
            assert_eq!(node.updates[0].request.headers().contains_key("x-node-secret"), key, "{url}");
        }
    }

    #[test]
    fn a_failed_update_leaves_reporting_running_and_is_tried_again_after_a_while() {
        let mut node = managed(&[A]);
        node.answer_with(2, 200, &offer("9.9.9", "http://a/x"));
        assert_eq!(node.until(7.0), ["7.0 #4 POST http://a/metrics"], "reports go on during a download");
        assert_eq!(node.answer_with(4, 200, &offer("9.9.9", "http://a/x"))[1], "update round 2 not_now");
        let failed = Err(UpdateError::Download(DownloadError::Digest));
        node.node.0.handle_update(node.id(3), failed, node.now);
        assert_eq!(
            node.drain(),
            ["update to 9.9.9 failed: the file's SHA-256 digest is not the promised one"]
        );
        node.until(8.0);
        assert_eq!(node.answer_with(5, 200, &offer("9.9.9", "http://a/x"))[1], "update round 3 not_now");
        node.until(9.0);
        assert_eq!(node.answer_with(6, 200, &offer("9.9.8", "http://a/x"))[1], "update round 4 apply");
    }

    #[test]
    fn an_invalid_manifest_says_why() {
        let mut node = managed(&[A]);
        let lines = node.answer_with(2, 200, &offer("..", "http://a/x"));
        assert_eq!(lines[1], "update round 1 invalid: the version names no single directory");
    }

    #[test]
    fn the_active_release_is_not_installed_again() {
        let mut node = Fixture::with(&[A], |config| {
            config.update.layout =
                Some(Layout::Releases { data_directory: "/data".into(), active: "9.9.9".into() });
        });
        node.until(6.0);
        assert_eq!(
            node.answer_with(2, 200, &offer("9.9.9", "http://a/x"))[1],
            "update round 1 already_active"
        );
    }

    #[test]
    fn https_is_required_of_downloads_too() {
        let mut node = Fixture::with(&["https://a/metrics"], |config| {
            config.require_https = true;
            config.update.layout =
                Some(Layout::Releases { data_directory: "/data".into(), active: String::new() });
        });
        node.until(6.0);
        let lines = node.answer_with(2, 200, &offer("9.9.9", "http://a/x"));
        assert_eq!(lines[1], "update round 1 invalid: the URL's scheme is not https, which is required");
    }

    #[test]
    fn a_download_that_takes_too_long_is_cancelled() {
        let mut node = managed(&[A]);
        node.answer_with(2, 200, &offer("9.9.9", "http://a/x"));
        node.node.0.handle_timeout(node.now + Duration::from_secs(600));
        let lines = node.drain();
        assert!(lines.contains(&"cancel #3".to_owned()));
        assert!(lines.contains(&"update to 9.9.9 failed: the update timed out".to_owned()));
    }

    #[test]
    fn an_undecodable_answer_costs_the_update_and_not_the_report() {
        let mut node = managed(&[A]);
        let lines = node.answer_with(2, 200, r#"{"ok":true,"update":"9.9.9"}"#);
        assert_eq!(lines[0], "report 0 round 1: ok");
        assert!(lines[1].starts_with("ignored 0: wrong value for update"), "{}", lines[1]);
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |adjust: fn(&mut Config)| {
        let mut config = Config::new("0.2.3", Vec::new());
        adjust(&mut config);
        Node::new(config, epoch()).unwrap_err()
    };
    assert_eq!(refused(|config| config.interval = Duration::ZERO), ConfigError::Interval);
    assert_eq!(refused(|config| config.static_retry = Duration::ZERO), ConfigError::StaticRetry);
    assert_eq!(refused(|config| config.refusals_before_suppression = 0), ConfigError::Refusals);
    assert_eq!(refused(|config| config.min_static_check = Duration::from_secs(61)), ConfigError::StaticCheck);
}

#[test]
fn absurd_durations_mean_never() {
    let mut node = Fixture::with(&[A], |config| {
        config.interval = Duration::MAX;
        config.request_timeout = Duration::MAX;
    });
    assert_eq!(node.until(5.0), ["5.0 #1 POST http://a/static"]);
    node.answer(1, 500);
    assert_eq!(node.until(14.9), [""; 0]);
}
