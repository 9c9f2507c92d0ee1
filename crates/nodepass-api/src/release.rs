//! Versions of the program, and what each of them can do. §3.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version of the program as `/info` reports it: `v1.6.0`, `v2.0.0-b10`, `0.1.0`.
///
/// Releases are ordered as they came out: a pre-release before its release, and pre-releases by their number.
///
/// ```
/// use nodepass_api::Release;
///
/// let beta: Release = "v2.0.0-b10".parse()?;
/// assert!(Release::V1_14_0 < beta && beta < Release::new(2, 0, 0));
/// assert!("v2.0.0-b3".parse::<Release>()? < beta);
/// assert_eq!(beta.to_string(), "v2.0.0-b10");
/// # Ok::<(), nodepass_api::ReleaseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    major: u16,
    minor: u16,
    patch: u16,
    /// `None` is the release itself.
    beta: Option<u16>,
}

/// A text is no version of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version of the program")]
#[non_exhaustive]
pub struct ReleaseError;

/// Something that not all releases can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// `alias` and `restart` in PATCH. 1.5.0.
    Patch,
    /// `GET /tcping`. 1.6.0.
    Tcping,
    /// The action `reset`. 1.6.0.
    Reset,
    /// `POST /info`, the master's alias. 1.7.0.
    MasterAlias,
    /// `mem_used` in the place of `mem_free`. 1.7.0.
    MemoryUsed,
    /// `restart` is true for a new instance. 1.7.0.
    RestartByDefault,
    /// `stop` works on an instance in error. 1.7.0.
    StopFromError,
    /// A new key ends event streams. 1.7.0.
    RotationEndsStreams,
    /// `meta`. 1.8.2.
    Meta,
    /// An unknown action is refused. 1.8.2.
    ActionErrors,
    /// `reset` holds on a running instance. 1.8.2.
    ResetHolds,
    /// Several targets in an instance URL. 1.8.2.
    SeveralTargets,
    /// `start` acts on `stopped` only. 1.11.0.
    StartFromStoppedOnly,
    /// `alias` in the POST of a new instance. 1.13.0.
    AliasOnCreate,
}

impl Release {
    /// v1.6.0
    pub const V1_6_0: Self = Self::new(1, 6, 0);
    /// v1.10.0
    pub const V1_10_0: Self = Self::new(1, 10, 0);
    /// v1.14.0
    pub const V1_14_0: Self = Self::new(1, 14, 0);
    /// v2.0.0-b10
    pub const V2_0_0_B10: Self = Self::beta(2, 0, 0, 10);

    /// Returns a release.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch, beta: None }
    }

    /// Returns a pre-release.
    #[must_use]
    pub const fn beta(major: u16, minor: u16, patch: u16, beta: u16) -> Self {
        Self { major, minor, patch, beta: Some(beta) }
    }

    /// Whether it can do this. The Rust port 0.1 counts as 1.14, whose objects it has; a key it never replaces.
    #[must_use]
    pub fn can(self, capability: Capability) -> bool {
        self.of_go_line() >= capability.since()
    }

    /// Returns a number that grows from release to release, as long as the first part is below 2^15.
    pub(crate) const fn rank(self) -> u64 {
        const BEYOND: u64 = 1 << 15;
        let major = if self.major as u64 >= BEYOND { BEYOND - 1 } else { self.major as u64 };
        let beta = match self.beta {
            Some(beta) => beta as u64,
            None => 1 << 16,
        };
        (major << 49) | ((self.minor as u64) << 33) | ((self.patch as u64) << 17) | beta
    }

    /// Returns the release of the Go line whose objects this one has: itself, but 1.14.0 for the Rust port 0.x.
    #[must_use]
    pub fn of_go_line(self) -> Self {
        if self.major == 0 { Self::V1_14_0 } else { self }
    }
}

impl Capability {
    /// Returns the first release that has it.
    #[must_use]
    pub fn since(self) -> Release {
        match self {
            Self::Patch => Release::new(1, 5, 0),
            Self::Tcping | Self::Reset => Release::new(1, 6, 0),
            Self::MasterAlias
            | Self::MemoryUsed
            | Self::RestartByDefault
            | Self::StopFromError
            | Self::RotationEndsStreams => Release::new(1, 7, 0),
            Self::Meta | Self::ActionErrors | Self::ResetHolds | Self::SeveralTargets => {
                Release::new(1, 8, 2)
            }
            Self::StartFromStoppedOnly => Release::new(1, 11, 0),
            Self::AliasOnCreate => Release::new(1, 13, 0),
        }
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    /// Takes three numbers with an optional `v` before and an optional `-b` and number behind; any other suffix counts as
    /// the first pre-release.
    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, suffix) = match text.split_once('-') {
            Some((numbers, suffix)) => (numbers, Some(suffix)),
            None => (text, None),
        };
        let mut parts = numbers.splitn(3, '.').map(|part| match part.as_bytes() {
            [b'0'..=b'9', ..] => part.parse().map_err(|_| ReleaseError),
            _ => Err(ReleaseError),
        });
        let mut next = || parts.next().unwrap_or(Err(ReleaseError));
        let (major, minor, patch) = (next()?, next()?, next()?);
        let number =
            |suffix: &str| suffix.strip_prefix('b').and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(Self { major, minor, patch, beta: suffix.map(number) })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)?;
        self.beta.map_or(Ok(()), |beta| write!(f, "-b{beta}"))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |release: &Self| {
            (release.major, release.minor, release.patch, release.beta.is_none(), release.beta)
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_versions_are_refused() {
        for text in ["", "dev", "1", "1.2", "1.2.x", "v1.+2.3", "1.2.70000", "v1.2.3.4"] {
            assert_eq!(text.parse::<Release>(), Err(ReleaseError), "{text}");
        }
    }

    #[test]
    fn the_port_counts_as_the_release_whose_objects_it_has() {
        let port: Release = "0.1.0".parse().unwrap();
        assert!(port.can(Capability::AliasOnCreate) && port < Release::V1_6_0);
        assert!(!Release::V1_6_0.can(Capability::Meta) && Release::V1_6_0.can(Capability::Reset));
    }
}
