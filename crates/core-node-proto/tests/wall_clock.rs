//! Drivers set the wall clock before every input, also before a time-out: what is due by it stays due.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod agent_support;

use agent_support::{Node, at, epoch, seconds};
use core_node_proto::agent::{Output, Sampling};
use core_node_proto::core::enrichment::{self, Provider};
use core_node_proto::core::{Config, Core, Entropy, Output as CoreOutput, Stored};
use std::time::Duration;

#[test]
fn an_agent_samples_its_counters_on_the_minute() {
    let mut node = Node::active();
    let agent = &mut node.agent.0;
    let minute = node.now + seconds(58);
    agent.set_wall_clock(at("2030-01-02T03:05:00.000Z"), minute);
    agent.handle_timeout(minute);
    let sampled = std::iter::from_fn(|| agent.poll_output())
        .filter(|output| matches!(output, Output::Sample(Sampling::Counters)))
        .count();
    assert_eq!(sampled, 1);
}

/// A wall clock in whole milliseconds that is 0.3 ms behind: between the minute on it and the deadline there is some time.
#[test]
fn a_minute_is_not_skipped_by_a_look_at_the_clock_just_before_the_deadline() {
    let mut node = Node::active();
    let start = node.now;
    let agent = &mut node.agent.0;
    let mut samples = 0;
    for (clock, microseconds) in [
        ("2030-01-02T03:04:59.999Z", 57_999_200),
        ("2030-01-02T03:05:00.000Z", 57_999_800),
        ("2030-01-02T03:05:00.000Z", 58_000_500),
        ("2030-01-02T03:05:00.001Z", 58_001_000),
        ("2030-01-02T03:05:30.001Z", 88_001_000),
    ] {
        let now = start + Duration::from_micros(microseconds);
        agent.set_wall_clock(at(clock), now);
        agent.handle_timeout(now);
        samples += std::iter::from_fn(|| agent.poll_output())
            .filter(|output| matches!(output, Output::Sample(Sampling::Counters)))
            .count();
    }
    assert_eq!(samples, 1);
}

#[test]
fn core_does_not_skip_its_enrichment_when_the_clock_is_looked_at_just_before_the_deadline() {
    let mut config = Config::new(Entropy::new([7; 32]));
    config.enrichment = Some(enrichment::Config::new(Provider::IpApi, None));
    let mut core = Core::new(config, Stored::default(), at("2030-01-02T03:09:00Z"), epoch()).unwrap();
    let mut queries = 0;
    for (clock, microseconds) in [
        ("2030-01-02T03:09:59.999Z", 59_999_200),
        ("2030-01-02T03:10:00.000Z", 59_999_800),
        ("2030-01-02T03:10:00.000Z", 60_000_500),
        ("2030-01-02T03:10:00.001Z", 60_001_000),
        ("2030-01-02T03:10:30.001Z", 70_001_000),
    ] {
        let now = epoch() + Duration::from_micros(microseconds);
        core.set_wall_clock(at(clock), now);
        core.handle_timeout(now);
        queries += std::iter::from_fn(|| core.poll_output())
            .filter(|output| matches!(output, CoreOutput::Query { .. }))
            .count();
    }
    assert_eq!(queries, 1);
}

#[test]
fn core_begins_its_enrichment_on_time() {
    let mut config = Config::new(Entropy::new([7; 32]));
    config.enrichment = Some(enrichment::Config::new(Provider::IpApi, None));
    let mut core = Core::new(config, Stored::default(), at("2030-01-02T03:09:00Z"), epoch()).unwrap();
    let due = epoch() + seconds(60);
    assert_eq!(core.poll_timeout(), Some(due));
    core.set_wall_clock(at("2030-01-02T03:10:00Z"), due);
    core.handle_timeout(due);
    assert!(
        std::iter::from_fn(|| core.poll_output()).any(|output| matches!(output, CoreOutput::Query { .. }))
    );
}
