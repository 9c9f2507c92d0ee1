//! From an instance URL to what its process does.

use crate::forward::Forward;
use crate::process::{Kind, Mode, Plan};
use crate::report::Level;
use nodepass_api::Release;
use nodepass_api::url::{InstanceUrl, ParseError, Refused, Role, Rules, RunMode};
use std::time::Duration;

/// 1 Mbps in bytes a second.
const MEGABIT: u64 = 125_000;

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "either it is no URL or a process refuses it")]
pub enum PlanError {
    /// The text is no instance URL.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A process would end by itself.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Reads a URL as a process of a version does. The banner shows the URL without its key.
///
/// # Errors
/// [`PlanError`]: such a process ends at once.
pub fn plan(url: &str, rules: Rules, report_interval: Duration) -> Result<Plan, PlanError> {
    let url = InstanceUrl::parse(url)?;
    let effective = url.effective(rules)?;
    let targets = effective.targets();
    let mut forward = Forward::new(url.tunnel_text(), "");
    forward.targets =
        targets.map(|targets| targets.iter().map(|target| target.to_string()).collect()).unwrap_or_default();
    forward.slot = effective.slot.and_then(|slot| usize::try_from(slot).ok()).unwrap_or(0);
    forward.rate = effective.rate.filter(|&rate| rate > 0).map(|rate| rate.saturating_mul(MEGABIT));
    forward.read = effective.read.filter(|read| !read.is_zero());
    forward.proxy = effective.proxy == Some(true);
    forward.notcp = effective.notcp == Some(true);
    let kind = match url.role() {
        Role::Client => Kind::Client,
        Role::Server => Kind::Server,
    };
    let mode = match effective.mode.unwrap_or_default() {
        RunMode::Auto => Mode::Auto,
        RunMode::First => Mode::One,
        RunMode::Second => Mode::Two,
    };
    let mut plan = Plan::new(kind, mode, forward);
    plan.level = Level::from_parameter(effective.log.as_str());
    plan.banner = url.redacted().to_string();
    plan.report_interval = report_interval;
    plan.keeps_running = matches!(rules, Rules::Release(release) if release < Release::new(1, 7, 0));
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_bears_an_unusable_target_keeps_running() {
        let plan = |rules| plan("client://127.0.0.1:0/127.0.0.1:99999?mode=1", rules, Duration::from_secs(5));
        assert!(plan(Rules::Release(Release::V1_6_0)).is_ok_and(|plan| plan.keeps_running));
        assert!(matches!(plan(Rules::Release(Release::V1_14_0)), Err(PlanError::Refused(_))));
    }

    #[test]
    fn values_are_those_of_a_process() {
        let url = "server://secret@:1/h:2,h:3?mode=2&slot=7&rate=8&read=30s&proxy=1&log=warn";
        let plan = plan(url, Rules::Release(Release::V1_14_0), Duration::from_secs(5)).unwrap();
        let forward = &plan.forward;
        assert_eq!((forward.listen.as_str(), forward.targets.len(), forward.slot), (":1", 2, 7));
        assert_eq!((forward.rate, forward.read), (Some(1_000_000), Some(Duration::from_secs(30))));
        assert!(forward.proxy && plan.mode == Mode::Two && plan.kind == Kind::Server);
        assert!(!plan.banner.contains("secret"), "{}", plan.banner);
    }
}
