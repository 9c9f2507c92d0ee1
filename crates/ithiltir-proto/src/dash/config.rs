//! Settings of the Dash.

use super::{Network, StorageLimits};
use crate::Version;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Settings of a [`Dash`](super::Dash), with the original's values where it has them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The path before `/metrics`, `/static` and `/identity`; starts with `/`, does not end so. `/api/node`.
    pub base_path: Box<str>,
    /// The largest body taken, in bytes, above 0. 1 048 576.
    pub max_body: usize,
    /// How many requests a network may make; `None` for no limit. [`RateLimit::default`]: 600 a minute.
    pub rate_limit: Option<RateLimit>,
    /// Whether the key is looked up before the body is read. Off, as in the original, where a bad body with an
    /// unknown key gets 400 or 422.
    pub authenticate_first: bool,
    /// The least version that an update is assigned and delivered to; `None` for any. 0.2.1 (document).
    pub min_update_version: Option<Box<str>>,
    /// Whether a node with the same precedence and other build metadata gets the update. It does (document).
    pub build_metadata: BuildMetadata,
    /// Time after which a node is offline, counted from the receipt of its last stored report; a Static does not count.
    /// Above 0. 14 s.
    pub offline_after: Duration,
    /// Networks whose `Forwarded` and `X-Forwarded-For` headers are believed. None.
    ///
    /// `Forwarded` goes first where both are there, so a proxy that sets one of them has to drop the other: what a
    /// client wrote would pass through.
    pub trusted_proxies: Vec<Network>,
    /// Where a node's address comes from. [`NodeAddress::TrustedProxies`].
    pub node_address: NodeAddress,
    /// When a report counts as stored. [`Storage::Immediate`].
    pub storage: Storage,
    /// What the application's storage cannot take; such reports get 503. None.
    pub storage_limits: Option<StorageLimits>,
    /// The installation's id.
    pub identity: Identity,
    /// How many nodes may be added. 100 000.
    pub max_nodes: usize,
}

/// How many requests a network may make. All three routes share one count; requests without a known key count too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests in a window, those of the window before counted by the share of it that lies within the last
    /// [`window_seconds`](Self::window_seconds). 0 refuses all. 600.
    pub requests: u32,
    /// The window in seconds, above 0; windows start at multiples of it since 1970. 60.
    pub window_seconds: u32,
    /// Bits of an IPv4 address that name its network, up to 32. 24.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that name its network, up to 128. 40.
    pub ipv6_prefix: u8,
    /// Networks counted apart; further ones share one count. 65 536.
    pub max_networks: usize,
}

/// What becomes of an update task when the node reports the same precedence with other build metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the document's way and the original's")]
pub enum BuildMetadata {
    /// The manifest is still delivered (document).
    #[default]
    Deliver,
    /// The task is done (Dash 0.2.0).
    Clear,
}

/// Where a node's address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the safe way and the original's")]
pub enum NodeAddress {
    /// From the headers of [`Config::trusted_proxies`], else the peer's address.
    #[default]
    TrustedProxies,
    /// From the first element of `X-Forwarded-For`, whoever wrote it (Dash 0.2.0).
    ForwardedFor,
}

/// When a report or Static counts as stored, and is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "either the application is asked or it is not")]
pub enum Storage {
    /// At once; what the application does with its event is its own business.
    #[default]
    Immediate,
    /// When the application says so, by [`Dash::confirm`](super::Dash::confirm).
    Confirmed {
        /// How long the application may take, counted from the request; then the answer is 503. The original gives its
        /// database 5 s.
        timeout: Duration,
        /// How many may wait at once; further ones get 503, with 0 all of them.
        max_pending: usize,
    },
}

/// What the Dash knows of its installation's id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is there, or not, or broken")]
pub enum Identity {
    /// It is known.
    Known(InstallId),
    /// There is none: the first identity request makes one of these random bytes.
    Absent {
        /// Bytes that nobody can guess.
        entropy: [u8; 16],
    },
    /// What is kept is no id: identity requests get 503, and nothing is made anew.
    Unusable,
}

/// An installation's id: `server_` and 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallId(Box<str>);

/// The text is no installation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an installation's id")]
#[non_exhaustive]
pub struct InstallIdError;

/// Which setting cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The base path does not start with `/`, or ends so.
    #[error("the base path must start with / and not end so")]
    BasePath,
    /// No body fits.
    #[error("the body limit must be above 0")]
    MaxBody,
    /// A window of no time, or a prefix longer than an address.
    #[error("the rate limit needs a window above 0 and prefixes that fit an address")]
    RateLimit,
    /// The least version is not SemVer.
    #[error("the least version for updates is not SemVer")]
    MinUpdateVersion,
    /// Every node would be offline.
    #[error("the offline threshold must be above 0")]
    OfflineAfter,
}

impl Config {
    /// Returns the original's settings for a Dash with this identity.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            base_path: "/api/node".into(),
            max_body: 1_048_576,
            rate_limit: Some(RateLimit::default()),
            authenticate_first: false,
            min_update_version: Some("0.2.1".into()),
            build_metadata: BuildMetadata::default(),
            offline_after: Duration::from_secs(14),
            trusted_proxies: Vec::new(),
            node_address: NodeAddress::default(),
            storage: Storage::default(),
            storage_limits: None,
            identity,
            max_nodes: 100_000,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.base_path.starts_with('/') || self.base_path.ends_with('/') {
            return Err(ConfigError::BasePath);
        }
        if self.max_body == 0 {
            return Err(ConfigError::MaxBody);
        }
        let fits = |limit: &RateLimit| {
            limit.window_seconds > 0 && limit.ipv4_prefix <= 32 && limit.ipv6_prefix <= 128
        };
        if !self.rate_limit.as_ref().is_none_or(fits) {
            return Err(ConfigError::RateLimit);
        }
        if self.min_update_version.as_deref().is_some_and(|version| Version::parse(version).is_err()) {
            return Err(ConfigError::MinUpdateVersion);
        }
        if self.offline_after.is_zero() {
            return Err(ConfigError::OfflineAfter);
        }
        Ok(())
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests: 600, window_seconds: 60, ipv4_prefix: 24, ipv6_prefix: 40, max_networks: 65_536 }
    }
}

impl InstallId {
    /// Makes an id of random bytes.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self(format!("server_{}", hex::encode(entropy)).into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstallId {
    type Err = InstallIdError;

    fn from_str(text: &str) -> Result<Self, InstallIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix("server_") {
            Some(digits) if digits.len() == 32 && digits.bytes().all(is_digit) => Ok(Self(text.into())),
            _ => Err(InstallIdError),
        }
    }
}

impl fmt::Display for InstallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
