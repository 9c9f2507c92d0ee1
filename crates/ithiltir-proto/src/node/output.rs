//! What a node asks of its driver, and the news it has.

use crate::update::{Download, DownloadError, Installation, ManifestError, ValidManifest};
use crate::wire::{IgnoredResponse, Manifest, Missing};
use crate::{ExpiryProbe, FailureKind, ProbeOutcome};
use bytes::Bytes;
use http::{Request, StatusCode};
use std::fmt;

/// Names a request, a probe or an update; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A target, by its place in [`Config::targets`](super::Config::targets), counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(super) usize);

impl TargetId {
    /// Returns the place in [`Config::targets`](super::Config::targets).
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// Work for the driver, in order.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Send this, follow no redirect, then report `handle_response` or `handle_failure` once.
    Request {
        /// Names the exchange.
        id: RequestId,
        /// The whole request; the transport adds `Host` and `Content-Length`.
        request: Request<Bytes>,
    },
    /// Look at a certificate, then report `handle_probe` once.
    Probe {
        /// Names the probe.
        id: RequestId,
        /// Where to look and how.
        probe: ExpiryProbe,
    },
    /// Download and install a release, then report `handle_update` once. The last step ends the process.
    Update {
        /// Names the update.
        id: RequestId,
        /// What to do.
        update: Box<Update>,
    },
    /// The outcome of this request, probe or update is no longer wanted; abort it if you can. An update that is
    /// aborted after its first step is cleaned up as after a failure.
    Cancel(RequestId),
    /// Tell the application.
    Event(Event),
}

/// An update to carry out: send the request, follow no redirect, feed the answer to `download` while storing it, and
/// carry out the steps of `installation` around that.
#[non_exhaustive]
pub struct Update {
    /// What is installed.
    pub manifest: ValidManifest,
    /// How to get it; carries the key where the settings allow it.
    pub request: Request<Bytes>,
    /// Checks the answer.
    pub download: Download,
    /// The steps.
    pub installation: Installation,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A report to a target has ended.
    Report {
        /// The target.
        target: TargetId,
        /// The round it belongs to.
        round: u64,
        /// Accepted, or why not.
        outcome: Result<(), DeliveryError>,
    },
    /// A Static to a target has ended.
    Static {
        /// The target.
        target: TargetId,
        /// Why it was sent.
        reason: StaticReason,
        /// What it lacked; it is sent again until this is empty and it was accepted.
        missing: Vec<Missing>,
        /// Accepted, or why not.
        outcome: Result<(), DeliveryError>,
    },
    /// There was no Static to send, or it lacks what is needed to send it; it is tried again.
    StaticWithheld {
        /// The target.
        target: TargetId,
        /// Why it would have been sent.
        reason: StaticReason,
        /// What it lacks; empty if there is none at all.
        missing: Vec<Missing>,
    },
    /// The target's URL does not end with `/metrics`: it will never get a Static.
    NoStaticUrl {
        /// The target.
        target: TargetId,
    },
    /// The target is spoken to without TLS from now on: its key goes out in the clear.
    FellBack {
        /// The target.
        target: TargetId,
        /// The failure that led to it.
        cause: FailureKind,
    },
    /// The target's certificate has expired and was not good before, so that `https` stays.
    FallbackRefused {
        /// The target.
        target: TargetId,
        /// Why.
        outcome: ProbeOutcome,
    },
    /// The target refused connections so often that it counts as down. Reports go on; only their failures are no
    /// longer news worth repeating.
    Suppressed {
        /// The target.
        target: TargetId,
    },
    /// A suppressed target has accepted a report; it will get the Static again.
    Recovered {
        /// The target.
        target: TargetId,
    },
    /// An accepted report's answer held nothing usable. Empty answers and other media types are not mentioned.
    ResponseIgnored {
        /// The target.
        target: TargetId,
        /// Why.
        error: IgnoredResponse,
    },
    /// A round offered updates, and this was decided.
    Update {
        /// The round.
        round: u64,
        /// The decision.
        decision: UpdateDecision,
    },
    /// An update has ended without a restart.
    UpdateFailed {
        /// The version that was to be installed.
        version: String,
        /// Why.
        error: UpdateError,
    },
    /// An update was carried out up to its last step.
    Updated {
        /// The version that was installed.
        version: String,
    },
    /// All requests of a round have ended.
    Round {
        /// Counted from 1.
        number: u64,
        /// How many targets accepted the report. The round succeeded if any did.
        succeeded: usize,
        /// How many did not.
        failed: usize,
        /// How many were still busy with an earlier one and were left out.
        skipped: usize,
    },
    /// The node is closed; nothing follows.
    Closed,
}

/// Why a target did not accept something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// An answer other than 200.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// An answer that points elsewhere. It is not followed: a key is for its target alone, and a page that answers
    /// 200 has not taken the report.
    #[error("the answer is a redirect ({0}), which is not followed")]
    Redirect(StatusCode),
    /// No answer.
    #[error(transparent)]
    Transport(FailureKind),
}

/// Why a Static is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaticReason {
    /// The node has started.
    Startup,
    /// The last one failed or was incomplete.
    Retry,
    /// The target was suppressed and has recovered.
    Recovery,
    /// It differs from the one that the target accepted last.
    Changed,
}

impl StaticReason {
    /// Returns the original's name: `startup`, `fallback` (for a retry), `recovery` or `static_changed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Retry => "fallback",
            Self::Recovery => "recovery",
            Self::Changed => "static_changed",
        }
    }
}

/// What was decided over one round's manifests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum UpdateDecision {
    /// Only the current version was offered. Said once in the node's life.
    SkipCurrent,
    /// The manifests differ; nothing is done.
    SkipConflict,
    /// The node is not in a managed layout; nothing is done.
    IgnoredUnmanaged(Manifest),
    /// The manifest is not valid.
    Invalid(Manifest, ManifestError),
    /// The release that the manifest names is installed and active already.
    AlreadyActive(Manifest),
    /// An update is under way, or this manifest's last one failed a moment ago.
    NotNow(Manifest),
    /// The update starts: an [`Output::Update`] follows.
    Apply(Manifest),
}

impl UpdateDecision {
    /// Returns a short name, as in `skip_conflict`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SkipCurrent => "skip_current",
            Self::SkipConflict => "skip_conflict",
            Self::IgnoredUnmanaged(_) => "ignored_unmanaged",
            Self::Invalid(..) => "invalid",
            Self::AlreadyActive(_) => "already_active",
            Self::NotNow(_) => "not_now",
            Self::Apply(_) => "apply",
        }
    }

    /// Returns the manifest that the decision is about.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::SkipCurrent | Self::SkipConflict => None,
            Self::IgnoredUnmanaged(manifest)
            | Self::Invalid(manifest, _)
            | Self::AlreadyActive(manifest)
            | Self::NotNow(manifest)
            | Self::Apply(manifest) => Some(manifest),
        }
    }
}

/// Why an update has ended without a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The download is not what was promised.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// It took longer than [`UpdateConfig::timeout`](super::UpdateConfig::timeout).
    #[error("the update timed out")]
    TimedOut,
    /// A step could not be carried out.
    #[error("step {step} failed: {problem}")]
    Step {
        /// Place of the step, counted from 0.
        step: usize,
        /// What the system said.
        problem: Box<str>,
    },
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { id, request } => {
                write!(f, "Request({}, {}, {} bytes)", id.0, shown(request), request.body().len())
            }
            Self::Probe { id, probe } => write!(f, "Probe({}, {}:{})", id.0, probe.host, probe.port),
            Self::Update { id, update } => write!(f, "Update({}, {update:?})", id.0),
            Self::Cancel(id) => write!(f, "Cancel({})", id.0),
            Self::Event(event) => write!(f, "Event({event:?})"),
        }
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("manifest", &self.manifest)
            .field("request", &shown(&self.request))
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

fn shown(request: &Request<Bytes>) -> String {
    format!("{} {}", request.method(), crate::wire::redact_url(&request.uri().to_string()))
}
