//! From an instance URL to what its process does.

use crate::forward::Forward;
use crate::process::{Kind, Mode, Plan};
use crate::report::Level;
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
    Ok(plan)
}
