//! The agent's settings as arguments. Each is one of [`Config`].

use clap::{Args, ValueEnum};
use core_node_proto::agent::{Config, Policy};
use program::duration;
use std::time::Duration;

/// Durations, limits and policies of an agent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings of the protocol")]
pub struct AgentSettings {
    /// How often statistics are reported.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub stats_period: Duration,
    /// How often it is reported who is connected.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub online_period: Duration,
    /// How often there is a heartbeat.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub heartbeat_period: Duration,
    /// How often there is one while Core does not know the key.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub unauthorized_period: Duration,
    /// How often traffic is frozen into batches, on multiples of this.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub usage_period: Duration,
    /// Within which time after that the batches are sent.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub usage_spread: Duration,
    /// How long reading the counters may take.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub sample_timeout: Duration,
    /// How long session events wait for more of them.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub session_period: Duration,
    /// How often gRPC is tried while HTTP stands in for it.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub probe_period: Duration,
    /// After how many failures in a row HTTP stands in for gRPC.
    #[arg(long, default_value_t = 3)]
    pub fallback_after: u32,
    /// How long a call may take.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub call_timeout: Duration,
    /// How long fetching the configuration may take.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub config_timeout: Duration,
    /// The wait after the first failure; it doubles.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub min_backoff: Duration,
    /// The longest such wait.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub max_backoff: Duration,
    /// The wait after a configuration that cannot be taken; it doubles.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub min_cooling: Duration,
    /// The longest such wait.
    #[arg(long, default_value = "5min", value_parser = duration)]
    pub max_cooling: Duration,
    /// How long a call that Core does not have goes another way.
    #[arg(long, default_value = "5min", value_parser = duration)]
    pub missing_wait: Duration,
    /// How many entries a batch of traffic has at most.
    #[arg(long, default_value_t = 500)]
    pub batch_entries: usize,
    /// What becomes of users' traffic of which nobody can tell whether Core took it.
    #[arg(long, value_enum, default_value_t = OnAmbiguous::Resend)]
    pub usage_policy: OnAmbiguous,
    /// The same of outbounds' traffic, which Core cannot recognise.
    #[arg(long, value_enum, default_value_t = OnAmbiguous::Discard)]
    pub outbound_policy: OnAmbiguous,
    /// How long a batch that Core may have taken is sent again.
    #[arg(long, default_value = "23h", value_parser = duration)]
    pub resend_window: Duration,
    /// How long stopping may take.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub stop_timeout: Duration,
}

/// What becomes of traffic of which nobody can tell.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnAmbiguous {
    /// It is sent again.
    Resend,
    /// It is printed, and not sent again.
    Quarantine,
    /// It is dropped.
    Discard,
}

impl From<OnAmbiguous> for Policy {
    fn from(choice: OnAmbiguous) -> Self {
        match choice {
            OnAmbiguous::Resend => Self::Resend,
            OnAmbiguous::Quarantine => Self::Quarantine,
            OnAmbiguous::Discard => Self::Discard,
        }
    }
}

impl AgentSettings {
    /// Puts them into a configuration.
    pub fn apply(&self, config: &mut Config) {
        config.stats_interval = self.stats_period;
        config.online_interval = self.online_period;
        config.heartbeat_interval = self.heartbeat_period;
        config.unauthorized_interval = self.unauthorized_period;
        config.usage_interval = self.usage_period;
        config.usage_spread = self.usage_spread;
        config.sample_timeout = self.sample_timeout;
        config.session_interval = self.session_period;
        config.probe_interval = self.probe_period;
        config.fallback_after = self.fallback_after;
        config.call_timeout = self.call_timeout;
        config.config_timeout = self.config_timeout;
        config.min_backoff = self.min_backoff;
        config.max_backoff = self.max_backoff;
        config.min_cooling = self.min_cooling;
        config.max_cooling = self.max_cooling;
        config.missing_wait = self.missing_wait;
        config.batch_entries = self.batch_entries;
        config.usage_policy = self.usage_policy.into();
        config.outbound_policy = self.outbound_policy.into();
        config.resend_window = self.resend_window;
        config.close_timeout = self.stop_timeout;
    }
}
