//! What becomes of instances, one behaviour a test: the status machine and the counters (§7). Times in lines are
//! milliseconds since the start.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod master_support;

use master_support::{Fixture, LATER, LEVELS, NEVER, OTHER_URL, config};
use nodepass_api::master::Compat;
use nodepass_api::wire::{CheckPoint, Traffic};

const NOTHING: [&str; 0] = [];

// §7: start and stop

#[test]
fn a_running_instance_stops_when_its_process_has_ended() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.act("a", "stop"), ["stop a", "200 a running"]);
        assert_eq!(fixture.act("a", "stop"), ["200 a running"], "it stops already");
        assert_eq!(fixture.exited("a", false), ["a is stopped"]);
        assert_eq!(fixture.act("a", "stop"), ["200 a stopped"]);
        assert_eq!(fixture.until(60_000), NOTHING);
    }
}

#[test]
fn a_stopped_instance_starts_and_one_that_runs_or_is_being_started_does_not() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.stopped();
        assert_eq!(fixture.act("a", "start"), ["start a", "200 a stopped"]);
        assert_eq!(fixture.act("a", "start"), ["200 a stopped"]);
        assert_eq!(fixture.started("a"), ["a is running"]);
        assert_eq!(fixture.act("a", "start"), ["200 a running"]);
    }
}

#[test]
fn a_process_that_ends_by_itself_leaves_stopped_or_error() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
        fixture.running();
        assert_eq!(fixture.exited("b", false), ["b is error"]);
        fixture.made();
        assert_eq!(fixture.start_failed("c"), ["c is error"]);
        fixture.made();
        assert_eq!(fixture.exited("d", true), NOTHING, "it was stopped before it ran");
        assert_eq!(fixture.until(60_000), NOTHING, "nobody starts it again");
    }
}

#[test]
fn an_instance_in_error_starts_up_to_1_10_and_not_later() {
    for compat in [Compat::Document, Compat::V1_6] {
        let mut fixture = Fixture::new(compat);
        fixture.failed();
        assert_eq!(fixture.act("a", "start"), ["a is stopped", "start a", "200 a stopped"]);
        assert_eq!(fixture.started("a"), ["a is running"]);
    }
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.failed();
    assert_eq!(fixture.act("a", "start"), ["200 a error"]);
}

#[test]
fn an_instance_in_error_can_be_stopped_since_1_7() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.failed();
        assert_eq!(fixture.act("a", "stop"), ["a is stopped", "200 a stopped"]);
    }
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.failed();
    assert_eq!(fixture.act("a", "stop"), ["200 a error"]);
}

#[test]
fn a_restart_stops_waits_a_moment_and_starts() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.act("a", "restart"), ["stop a", "200 a running"]);
        assert_eq!(fixture.until(1000), NOTHING);
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
        assert_eq!(fixture.until(1099), NOTHING);
        assert_eq!(fixture.until(1100), ["1100 start a"]);
        assert_eq!(fixture.started("a"), ["a is running"]);
    }
}

#[test]
fn a_restart_of_what_does_not_run_starts_it() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.stopped();
        fixture.failed();
        assert_eq!(fixture.act("a", "restart"), ["start a", "200 a stopped"]);
        assert_eq!(fixture.act("b", "restart"), ["b is stopped", "start b", "200 b stopped"]);
    }
}

#[test]
fn what_is_being_started_can_be_stopped_restarted_and_removed() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        for _ in 0..3 {
            fixture.made();
        }
        assert_eq!(fixture.act("a", "stop"), ["stop a", "200 a stopped"]);
        assert_eq!(fixture.started("a"), NOTHING, "it stops already");
        assert_eq!(fixture.exited("a", true), NOTHING);
        assert_eq!(fixture.act("b", "restart"), ["stop b", "200 b stopped"]);
        assert_eq!(fixture.start_failed("b"), NOTHING);
        assert_eq!(fixture.until(100), ["100 start b"]);
        assert_eq!(fixture.delete("c"), ["stop c"]);
        assert_eq!(fixture.exited("c", true), ["204", "deleted c"]);
    }
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.made();
    assert_eq!(fixture.act("a", "stop"), ["200 a stopped"], "acts on what runs only");
}

#[test]
fn a_start_that_is_asked_for_while_a_process_stops_follows_its_end() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.act("a", "stop");
        assert_eq!(fixture.act("a", "start"), ["200 a running"]);
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
        assert_eq!(fixture.until(100), ["100 start a"]);
    }
}

#[test]
fn a_stop_that_is_asked_for_while_a_restart_stops_or_pauses_ends_it() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.act("a", "restart");
        fixture.act("a", "stop");
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
        assert_eq!(fixture.until(1000), NOTHING);
        fixture.running();
        fixture.act("b", "restart");
        fixture.exited("b", true);
        assert_eq!(fixture.act("b", "stop"), ["200 b stopped"]);
        assert_eq!(fixture.until(5000), NOTHING);
    }
}

#[test]
fn a_start_during_the_pause_of_a_restart_happens_at_once_and_only_once() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.act("a", "restart");
        fixture.exited("a", true);
        assert_eq!(fixture.act("a", "start"), ["start a", "200 a stopped"]);
        assert_eq!(fixture.until(5000), NOTHING);
    }
}

#[test]
fn a_process_that_does_not_stop_is_killed_and_then_taken_for_gone() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.act("a", "restart");
        let run = fixture.runs["a"];
        assert_eq!(fixture.until(4999), NOTHING);
        assert_eq!(fixture.until(5000), ["5000 kill a"]);
        assert_eq!(fixture.until(9999), NOTHING);
        assert_eq!(fixture.until(10_100), ["10000 a is stuck", "10000 a is stopped", "10100 start a"]);
        fixture.started("a");
        fixture.master.0.handle_exited(run, false, fixture.now);
        fixture.master.0.handle_line(run, "late", fixture.now);
        assert_eq!((fixture.drain(), fixture.status("a")), (Vec::new(), "running"));
    }
}

#[test]
fn news_of_a_run_that_is_over_is_ignored() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    fixture.exited("a", false);
    let point = CheckPoint::new(1, 2, 3, 4, 5, Traffic::default()).to_string();
    assert_eq!(fixture.started("a"), NOTHING);
    assert_eq!(fixture.start_failed("a"), NOTHING);
    assert_eq!(fixture.exited("a", true), NOTHING);
    assert_eq!(fixture.says("a", &point), NOTHING);
    assert_eq!((fixture.status("a"), fixture.object("a").mode), ("error", Some(0)));
}

// §7: PUT and DELETE

#[test]
fn another_url_stops_the_process_is_answered_then_and_starts_again() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.put("a", OTHER_URL), ["stop a"]);
        assert_eq!(fixture.exited("a", true), ["a is stopped", "200 a stopped", "start a"]);
        assert_eq!((&fixture.json()["url"], &fixture.json()["type"]), (&OTHER_URL.into(), &"server".into()));
        fixture.stopped();
        assert_eq!(fixture.put("b", OTHER_URL), ["200 b stopped", "start b"], "also what was stopped");
        fixture.failed();
        assert_eq!(fixture.put("c", OTHER_URL), ["c is stopped", "200 c stopped", "start c"]);
    }
}

#[test]
fn the_same_url_is_a_conflict_and_a_bad_one_is_refused() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let url = fixture.object("a").url.to_string();
        assert_eq!(fixture.put("a", &url), ["409 Instance URL conflict"]);
        assert_eq!(fixture.put("a", &url.replace("client", "CLIENT")), ["409 Instance URL conflict"]);
        assert_eq!(fixture.put("a", ""), ["400 Invalid request body"]);
        assert_eq!(fixture.put("a", "client://h:99x"), ["400 Invalid URL format"]);
        assert_eq!(fixture.put("a", "http://h:1"), ["400 Invalid URL scheme"]);
        assert_eq!(fixture.told("PUT", "/instances/a", "{"), ["400 Invalid request body"]);
    }
}

#[test]
fn parameters_in_another_order_and_an_inherited_level_are_no_other_url() {
    let mut settings = config(Compat::V1_14);
    settings.inherited.log = "info".to_owned();
    let mut fixture = Fixture::with(settings);
    fixture.ask("POST", "/instances", r#"{"url":"client://:1/:2?b=1&a=2"}"#);
    assert_eq!(fixture.put("a", "client://:1/:2?a=2&b=1&log=info"), ["409 Instance URL conflict"]);
    assert_eq!(fixture.put("a", "client://:1/:2?a=2&b=1&tls=0"), ["stop a"]);
}

#[test]
fn a_removed_instance_is_gone_when_its_process_has_ended() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.delete("a"), ["stop a"]);
        assert_eq!(fixture.told("GET", "/instances/a", ""), ["200 a running"]);
        assert_eq!(fixture.exited("a", true), ["a is stopped", "204", "deleted a"]);
        assert!(fixture.headers().get("content-type").is_none() && fixture.body().is_empty());
        assert_eq!(fixture.delete("a"), ["404 Instance not found"]);
        fixture.stopped();
        assert_eq!(fixture.delete("b"), ["204", "deleted b"]);
        fixture.failed();
        assert_eq!(fixture.delete("c"), ["c is stopped", "204", "deleted c"]);
        assert_eq!(fixture.master.0.instances().count(), 0);
    }
}

#[test]
fn a_removal_wins_over_all_that_is_asked_for_beside_it() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.put("a", OTHER_URL), ["stop a"]);
        assert_eq!(fixture.delete("a"), NOTHING);
        assert_eq!(fixture.delete("a"), NOTHING);
        assert_eq!(fixture.put("a", "client://:5/:6"), NOTHING);
        fixture.act("a", "start");
        fixture.act("a", "restart");
        let expected =
            ["a is stopped", "204", "204", "404 Instance not found", "404 Instance not found", "deleted a"];
        assert_eq!(fixture.exited("a", true), expected);
        assert_eq!(fixture.until(60_000), NOTHING);
    }
}

#[test]
fn of_two_new_urls_the_later_counts_and_both_are_answered() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.act("a", "stop");
        assert_eq!(fixture.put("a", OTHER_URL), NOTHING);
        assert_eq!(fixture.put("a", "client://:5/:6"), NOTHING);
        assert_eq!(fixture.exited("a", true), ["a is stopped", "200 a stopped", "200 a stopped", "start a"]);
        assert_eq!(&*fixture.object("a").url, "client://:5/:6");
    }
}

#[test]
fn a_new_url_or_a_removal_ends_the_pause_of_a_restart() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        for _ in 0..2 {
            let name = fixture.running();
            fixture.act(&name, "restart");
            fixture.exited(&name, true);
        }
        assert_eq!(fixture.put("a", OTHER_URL), ["200 a stopped", "start a"]);
        assert_eq!(fixture.delete("b"), ["204", "deleted b"]);
        assert_eq!(fixture.until(60_000), NOTHING);
    }
}

#[test]
fn a_client_that_goes_away_takes_nothing_back() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    let request = fixture.request("DELETE", "/instances/a", "");
    let exchange = fixture.master.0.handle_request(request, fixture.now);
    fixture.drain();
    fixture.master.0.handle_cancel(exchange, fixture.now);
    assert_eq!(fixture.exited("a", true), ["a is stopped", "deleted a"]);
}

// §7: reports

#[test]
fn a_process_that_reports_no_more_is_in_error_after_3_intervals_until_it_reports() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(fixture.until(60_000), NOTHING, "what never reported is not overdue");
        fixture.reports("a", 1);
        assert_eq!(fixture.until(74_999), NOTHING);
        assert_eq!(fixture.until(120_000), ["75000 a is error"]);
        assert_eq!(fixture.reports("a", 2), ["a is running"]);
        assert_eq!(fixture.until(200_000), ["135000 a is error"]);
        assert_eq!(fixture.act("a", "stop"), ["stop a", "200 a error"], "its process lives");
        assert_eq!(fixture.exited("a", true), ["a is stopped"]);
    }
}

#[test]
fn in_1_6_it_takes_5_intervals_and_is_for_good() {
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.running();
    fixture.stream();
    fixture.reports("a", 1);
    fixture.written("s1", 4);
    let expected = ["25000 a is error", "25000 s1: update a error", "30000 s1: update a error"];
    assert_eq!(fixture.until(30_000), expected);
    assert_eq!(fixture.reports("a", 2), ["s1: update a error"]);
    assert_eq!(fixture.act("a", "stop"), ["200 a error"]);
    assert_eq!(fixture.act("a", "start"), ["stop a", "200 a error"], "there is never a second process");
    assert_eq!(fixture.exited("a", true), ["a is stopped", "s1: update a stopped"]);
    assert_eq!(fixture.until(30_100), ["30100 start a"]);
}

#[test]
fn a_log_that_says_that_it_fails_is_an_error_in_1_14_alone() {
    for compat in LEVELS {
        for line in ["x Server error: no", "Client error: no"] {
            let mut fixture = Fixture::new(compat);
            fixture.running();
            let lines = fixture.says("a", line);
            if compat == Compat::V1_14 {
                assert_eq!(lines, ["a is error"]);
                assert_eq!(fixture.says("a", line), NOTHING);
                assert_eq!(fixture.reports("a", 1), ["a is running"]);
            } else {
                assert_eq!(lines, NOTHING);
            }
        }
    }
}

#[test]
fn every_hour_instances_in_error_are_restarted_in_1_14_alone() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.failed();
        fixture.running();
        fixture.reports("b", 1);
        fixture.stopped();
        let all = fixture.until(3_600_100);
        let mut lines: Vec<_> = all.iter().filter_map(|line| line.strip_prefix("3600000 ")).collect();
        lines.sort_unstable(); // instances come in the order of their ids
        if compat == Compat::V1_14 {
            assert_eq!(lines, ["a is stopped", "start a", "stop b", "store Backup"]);
            fixture.exited("b", false);
            assert_eq!(fixture.until(3_600_200), ["3600200 start b"]);
        } else {
            assert_eq!(lines, ["store Backup"]);
        }
    }
}

#[test]
fn the_hourly_repair_leaves_alone_what_somebody_stops() {
    let mut settings = config(Compat::V1_14);
    settings.stop_timeout = NEVER;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    fixture.says("a", "Server error: no");
    fixture.act("a", "stop");
    assert_eq!(fixture.until(3_600_000), ["3600000 store Backup"]);
    assert_eq!(fixture.exited("a", true), ["a is stopped"]);
    assert_eq!(fixture.until(3_700_000), NOTHING);
}

// §5, §7: figures

#[test]
fn a_report_sets_the_figures_wherever_it_stands_in_a_line() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let point = "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=6|TCPTX=7|UDPRX=8|UDPTX=9";
        assert_eq!(fixture.says("a", &format!("2026 \u{1b}[36mEVENT\u{1b}[0m {point} x")), NOTHING);
        let object = fixture.object("a");
        let gauges = [object.mode, object.ping, object.pool, object.tcps, object.udps];
        assert_eq!(gauges, [1, 2, 3, 4, 5].map(Some));
        assert_eq!(object.traffic(), Traffic { tcprx: 6, tcptx: 7, udprx: 8, udptx: 9 });
    }
}

#[test]
fn a_number_that_does_not_fit_leaves_what_there_was() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    fixture.reports("a", 10);
    let point = "CHECK_POINT|MODE=2|PING=99999999999ms|POOL=1|TCPS=0|UDPS=0|TCPRX=99999999999999999999|TCPTX=1|\
                 UDPRX=0|UDPTX=0";
    fixture.says("a", point);
    let object = fixture.object("a");
    assert_eq!((object.mode, object.ping, object.tcprx, object.tcptx), (Some(2), Some(2), 10, 1));
}

#[test]
fn what_is_in_use_is_0_after_a_stop_and_after_a_failure_in_1_14_and_the_mode_is_kept() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        for success in [true, false] {
            let name = fixture.running();
            fixture.reports(&name, 1);
            fixture.exited(&name, success);
            let object = fixture.object(&name);
            let kept = if compat == Compat::V1_14 { [0; 4] } else { [2, 3, 4, 5] };
            assert_eq!([object.ping, object.pool, object.tcps, object.udps], kept.map(Some), "{compat:?}");
            assert_eq!((object.mode, object.tcprx), (Some(1), 1));
        }
    }
}

#[test]
fn totals_go_on_over_runs_and_new_urls() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.reports("a", 1000);
        fixture.act("a", "restart");
        fixture.reports("a", 1500);
        fixture.exited("a", true);
        fixture.until(100);
        fixture.started("a");
        assert_eq!(fixture.object("a").tcprx, 1500);
        fixture.reports("a", 10);
        assert_eq!(fixture.object("a").tcprx, 1510);
        fixture.put("a", OTHER_URL);
        fixture.exited("a", true);
        fixture.reports("a", 5);
        assert_eq!(fixture.object("a").tcprx, 1515);
    }
}

#[test]
fn a_reset_holds_at_every_level() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.reports("a", 1000);
        assert_eq!(fixture.act("a", "reset"), ["200 a running"]);
        assert_eq!(fixture.json()["tcprx"], 0);
        fixture.reports("a", 1000);
        assert_eq!(fixture.object("a").tcprx, 0);
        fixture.reports("a", 1001);
        assert_eq!(fixture.object("a").tcprx, 1);
        fixture.act("a", "restart");
        fixture.exited("a", true);
        fixture.until(100);
        fixture.reports("a", 2);
        assert_eq!(fixture.object("a").tcprx, 3);
        fixture.exited("a", true);
        fixture.act("a", "reset");
        assert_eq!(fixture.object("a").tcprx, 0, "also of what does not run");
    }
}

#[test]
fn figures_without_end_stay_at_their_end() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    fixture.reports("a", u64::MAX);
    fixture.act("a", "restart");
    fixture.exited("a", true);
    fixture.until(100);
    fixture.reports("a", 10);
    assert_eq!(fixture.object("a").tcprx, u64::MAX);
    fixture.act("a", "reset");
    fixture.reports("a", 11);
    fixture.reports("a", u64::MAX);
}

// What is asked for while another URL waits

#[test]
fn a_stop_that_is_asked_for_while_another_url_waits_holds() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.put("a", OTHER_URL);
        assert_eq!(fixture.act("a", "stop"), ["200 a running"]);
        assert_eq!(fixture.exited("a", true), ["a is stopped", "200 a stopped"], "nothing is started");
        assert_eq!(&*fixture.object("a").url, OTHER_URL);

        fixture.running();
        fixture.put("b", OTHER_URL);
        fixture.act("b", "stop");
        fixture.act("b", "restart");
        assert_eq!(fixture.exited("b", true), ["b is stopped", "200 b stopped", "start b"]);
    }
}

#[test]
fn the_url_that_waits_is_the_one_that_conflicts() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let url = fixture.object("a").url.to_string();
        assert_eq!(fixture.put("a", OTHER_URL), ["stop a"]);
        assert_eq!(fixture.put("a", OTHER_URL), ["409 Instance URL conflict"]);
        assert_eq!(fixture.put("a", &url), NOTHING, "back to what it was");
        fixture.exited("a", true);
        assert_eq!(*fixture.object("a").url, *url);
    }
}

// What error means

#[test]
fn one_that_says_that_it_fails_stays_in_error_whatever_its_exit_says() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    assert_eq!(fixture.says("a", "Client error: no address"), ["a is error"]);
    assert_eq!(fixture.exited("a", true), NOTHING);
    assert_eq!(fixture.status("a"), "error");
}

#[test]
fn nothing_is_in_use_in_an_instance_in_error() {
    for (compat, left) in [(Compat::V1_14, 0), (Compat::V1_6, 4)] {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        fixture.reports("a", 1);
        assert_eq!(fixture.object("a").tcps, Some(4));
        fixture.until(60_000);
        assert_eq!((fixture.status("a"), fixture.object("a").tcps), ("error", Some(left)), "{compat:?}");
    }
}
