//! Core's settings as arguments. Each is one of [`Config`].

use crate::serve::{GrpcLimits, Limits};
use clap::{Args, ValueEnum};
use core_node_proto::Secret;
use core_node_proto::core::enrichment::{self, Provider, RateLimit};
use core_node_proto::core::{Config, Confirmation, NeedSync, SessionTexts};
use http::Uri;
use program::{Limit, duration, server};
use std::path::PathBuf;
use std::time::Duration;

/// Durations, limits and policies of Core.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings of the protocol")]
pub struct CoreSettings {
    /// When a node is told to fetch its configuration.
    #[arg(long, value_enum, default_value_t = NeedsSync::Behind)]
    pub need_sync: NeedsSync,
    /// Which confirmations of a revision count.
    #[arg(long, value_enum, default_value_t = Confirm::Strict)]
    pub confirmation: Confirm,
    /// Count a batch of usage again that comes again.
    #[arg(long)]
    pub count_replays: bool,
    /// Refuse session events with unknown protocols or types.
    #[arg(long)]
    pub known_sessions: bool,
    /// How long a batch of usage is recognised.
    #[arg(long, default_value = "24h", value_parser = duration)]
    pub replay_window: Duration,
    /// How long a node may be silent before it is offline, or `never`.
    #[arg(long, default_value = "60s", value_parser = program::limit)]
    pub offline_after: Limit,
    /// How long ago usage may have been recorded.
    #[arg(long, default_value = "7d", value_parser = duration)]
    pub recorded_before: Duration,
    /// How far ahead usage may have been recorded.
    #[arg(long, default_value = "5min", value_parser = duration)]
    pub recorded_ahead: Duration,
    /// How long a user is online after a report.
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub online_lifetime: Duration,
    /// After which silence a user comes online anew.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub online_gap: Duration,
    /// After which time storing that a node is offline is tried again.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub store_retry: Duration,
    /// How long a node may take to say its status itself.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub fetch_timeout: Duration,
    /// The longest body over HTTP, in bytes.
    #[arg(long, default_value_t = 100 << 10)]
    pub http_limit: usize,
    /// The longest message over gRPC, in bytes.
    #[arg(long, default_value_t = 4 << 20)]
    pub grpc_limit: usize,
    /// What strangers are allowed on either listener.
    #[command(flatten)]
    pub server: server::Limits,
    /// What strangers are allowed on the one for gRPC.
    #[command(flatten)]
    pub grpc: GrpcLimits,
    /// Ask about the addresses of users at this URL: that of ipinfo.io or ip-api.com, or of what stands in for one of them.
    #[arg(long, value_name = "URL")]
    pub enrich: Option<Uri>,
    /// Whom --enrich stands in for; else its host tells.
    #[arg(long, value_enum, requires = "enrich")]
    pub enrich_provider: Option<Source>,
    /// A file with the token or key that the provider gave out.
    #[arg(long, value_name = "FILE", requires = "enrich")]
    pub enrich_token_file: Option<PathBuf>,
    /// How often all addresses are asked about.
    #[arg(long, default_value = "24h", value_parser = duration)]
    pub enrich_daily: Duration,
    /// How often recent addresses are asked about.
    #[arg(long, default_value = "10min", value_parser = duration)]
    pub enrich_recent: Duration,
    /// How long ago a recent address was seen first.
    #[arg(long, default_value = "10min", value_parser = duration)]
    pub enrich_window: Duration,
    /// How many requests a minute the provider gets; else as many as it allows.
    #[arg(long, value_name = "N", requires = "enrich")]
    pub enrich_rate: Option<usize>,
    /// How long the provider may take for a request.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub enrich_request_timeout: Duration,
    /// How long the store may take to list addresses.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub enrich_query_timeout: Duration,
    /// After which time a failed request to the provider is repeated; doubled each time.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub enrich_retry_delay: Duration,
    /// The longest wait before such a repetition.
    #[arg(long, default_value = "5min", value_parser = duration)]
    pub enrich_retry_delay_maximum: Duration,
}

/// When a node is told to fetch its configuration.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NeedsSync {
    /// It has no revision, or one below the current one.
    Behind,
    /// It has no revision, or another one.
    Differs,
}

/// Which confirmations of a revision count.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Confirm {
    /// That of the current revision.
    Strict,
    /// Every one.
    Document,
}

/// Who knows about addresses.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Source {
    /// IPinfo.io
    Ipinfo,
    /// ip-api.com
    IpApi,
}

impl CoreSettings {
    /// Returns what strangers are allowed.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let (http_body, grpc_message) = (self.http_limit, self.grpc_limit);
        Limits { http_body, grpc_message, server: self.server, grpc: self.grpc }
    }

    /// Puts them into a configuration. `token` is what the provider of addresses gave out.
    ///
    /// # Errors
    /// It is not told which provider there is.
    pub fn apply(&self, config: &mut Config, token: Option<Secret>) -> Result<(), String> {
        config.need_sync = match self.need_sync {
            NeedsSync::Behind => NeedSync::Behind,
            NeedsSync::Differs => NeedSync::Differs,
        };
        config.confirmation = match self.confirmation {
            Confirm::Strict => Confirmation::Strict,
            Confirm::Document => Confirmation::Document,
        };
        if self.known_sessions {
            config.session_texts = SessionTexts::Known;
        }
        config.replay_recognition = !self.count_replays;
        config.replay_window = self.replay_window;
        config.offline_after = self.offline_after.0;
        config.recorded_before = self.recorded_before;
        config.recorded_ahead = self.recorded_ahead;
        config.online_lifetime = self.online_lifetime;
        config.online_gap = self.online_gap;
        config.store_retry = self.store_retry;
        config.fetch_timeout = self.fetch_timeout;
        config.max_http_body = self.http_limit;
        config.max_grpc_message = self.grpc_limit;
        config.enrichment = self.enrich.as_ref().map(|base| self.enrichment(base, token)).transpose()?;
        Ok(())
    }

    fn enrichment(&self, base: &Uri, token: Option<Secret>) -> Result<enrichment::Config, String> {
        let provider = match (self.enrich_provider, base.host()) {
            (Some(Source::Ipinfo), _) | (None, Some("ipinfo.io")) => Provider::IpInfo,
            (Some(Source::IpApi), _) | (None, Some("ip-api.com" | "pro.ip-api.com")) => Provider::IpApi,
            (None, _) => return Err("--enrich: say by --enrich-provider whom it stands in for".to_owned()),
        };
        let mut config = enrichment::Config::new(provider, token);
        config.base = Some(base.clone());
        config.daily_interval = self.enrich_daily;
        config.recent_interval = self.enrich_recent;
        config.recent_window = self.enrich_window;
        config.rate =
            self.enrich_rate.map(|requests| RateLimit { requests, period: Duration::from_secs(60) });
        config.request_timeout = self.enrich_request_timeout;
        config.query_timeout = self.enrich_query_timeout;
        config.retry_delay = self.enrich_retry_delay;
        config.max_retry_delay = self.enrich_retry_delay_maximum;
        Ok(config)
    }
}
