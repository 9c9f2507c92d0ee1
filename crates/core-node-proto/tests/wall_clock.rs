//! Drivers set the wall clock before every input, also before a time-out: what is due by it stays due.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod agent_support;

use agent_support::{Node, at, epoch, seconds};
use core_node_proto::agent::{Output, Sampling};
use core_node_proto::core::enrichment::{self, Provider};
use core_node_proto::core::{Config, Core, Entropy, Output as CoreOutput, Stored};

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
