//! Settings of the node.

use crate::endpoint::DEFAULT_USER_AGENT;
use crate::update::{Downgrade, Layout, RestartPolicy};
use crate::wire::RESPONSE_LIMIT;
use crate::{Target, TargetError};
use http::HeaderValue;
use std::time::Duration;

/// Settings of a [`Node`](super::Node). Every duration and limit of the protocol is here, with the original's value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to report. May be empty: such a node is idle.
    pub targets: Vec<Target>,
    /// The node's version, as it stands in its reports. Manifests of this version are ignored.
    pub version: String,
    /// Time between two rounds, above 0. 3 s.
    pub interval: Duration,
    /// Time from the start to the first Static; the first round follows one interval later. 5 s.
    pub start_delay: Duration,
    /// Time from the end of an unfinished Static exchange to the next one, above 0. 10 s.
    pub static_retry: Duration,
    /// A changed Static is looked for every so many intervals, but within the next two settings. 20.
    pub static_check_intervals: u32,
    /// The least time between two looks, above 0 and not above the most. 10 s.
    pub min_static_check: Duration,
    /// The most time between two looks, not below the least. 60 s.
    pub max_static_check: Duration,
    /// The most time an exchange may take, body included, counted from its [`Output::Request`](super::Output::Request).
    /// 10 s.
    pub request_timeout: Duration,
    /// The most time that looking at an expired certificate may take, counted from its
    /// [`Output::Probe`](super::Output::Probe). 5 s.
    pub probe_timeout: Duration,
    /// How many refused connections without a 200 in between suppress a target, above 0. 3.
    pub refusals_before_suppression: u32,
    /// How many bytes of an answer are looked at. 1 048 576.
    pub max_response: usize,
    /// Whether targets and downloads must use `https` and never fall back. Off.
    pub require_https: bool,
    /// What requests call themselves. `ithiltir-proto/<version>`.
    pub user_agent: HeaderValue,
    /// Updates.
    pub update: UpdateConfig,
}

/// Settings of updates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpdateConfig {
    /// Where the node is installed; `None` ignores manifests. None.
    pub layout: Option<Layout>,
    /// Whether an older version may replace a newer one. It may.
    pub downgrade: Downgrade,
    /// Where a download may carry the target's key. To the target's origin.
    pub key_scope: KeyScope,
    /// How an update ends on Linux and macOS. By exit.
    pub restart: RestartPolicy,
    /// The most time an update may take, download and steps, counted from [`Output::Update`](super::Output::Update).
    /// 10 min.
    pub timeout: Duration,
    /// How long a manifest whose update failed is left alone, counted from the failure. 60 s; the original tries again
    /// every round.
    pub retry_delay: Duration,
    /// Tells temporary files of this process apart. 0.
    pub unique: u32,
}

/// Where a download may carry the key of the target that offered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the safe way and the original's")]
pub enum KeyScope {
    /// To URLs with the target's scheme, host and port.
    #[default]
    Origin,
    /// To any URL, as the original does.
    Anywhere,
}

/// Which setting cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The interval is zero.
    #[error("the interval must be above 0")]
    Interval,
    /// The least time between two looks for a changed Static is above the most, or zero.
    #[error("the static check times must be above 0 and in order")]
    StaticCheck,
    /// `static_retry` is 0: a Static that cannot be sent would be tried again without end.
    #[error("the static retry time must be above 0")]
    StaticRetry,
    /// `refusals_before_suppression` is 0.
    #[error("the number of refusals before suppression must be above 0")]
    Refusals,
    /// The scheme of a target is not `https`, and `require_https` is set.
    #[error("target {index}: {error}")]
    Target {
        /// Place of the target, counted from 0.
        index: usize,
        /// Why.
        error: TargetError,
    },
}

impl Config {
    /// Returns the original's settings for a node of this version.
    #[must_use]
    pub fn new(version: impl Into<String>, targets: Vec<Target>) -> Self {
        Self {
            targets,
            version: version.into(),
            interval: Duration::from_secs(3),
            start_delay: Duration::from_secs(5),
            static_retry: Duration::from_secs(10),
            static_check_intervals: 20,
            min_static_check: Duration::from_secs(10),
            max_static_check: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
            refusals_before_suppression: 3,
            max_response: RESPONSE_LIMIT,
            require_https: false,
            user_agent: DEFAULT_USER_AGENT,
            update: UpdateConfig::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.interval.is_zero() {
            return Err(ConfigError::Interval);
        }
        if self.min_static_check.is_zero() || self.min_static_check > self.max_static_check {
            return Err(ConfigError::StaticCheck);
        }
        if self.static_retry.is_zero() {
            return Err(ConfigError::StaticRetry);
        }
        if self.refusals_before_suppression == 0 {
            return Err(ConfigError::Refusals);
        }
        for (index, target) in self.targets.iter().enumerate() {
            if self.require_https {
                target.require_https().map_err(|error| ConfigError::Target { index, error })?;
            }
        }
        Ok(())
    }

    /// Returns the time between two looks for a changed Static.
    pub(super) fn static_check(&self) -> Duration {
        let wanted = self.interval.saturating_mul(self.static_check_intervals);
        wanted.clamp(self.min_static_check, self.max_static_check)
    }
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            layout: None,
            downgrade: Downgrade::default(),
            key_scope: KeyScope::default(),
            restart: RestartPolicy::default(),
            timeout: Duration::from_secs(600),
            retry_delay: Duration::from_secs(60),
            unique: 0,
        }
    }
}
