//! From "Core has another configuration" to "Core knows that it is in use": all transitions of §12.

use super::calls::Purpose;
use super::machine::{Agent, Timer};
use super::output::{ApplyFailed, ApplyId, Event, Output};
use crate::call::{Call, ConfigReply, FailureKind, GrpcCode, Outcome};
use crate::config::{ClientMap, MtprotoClientMap, NodeConfig, Services};
use crate::message::{ConfigApplied, NodeError};
use std::mem;
use std::sync::Arc;

/// Where the sync stands.
pub(super) enum Sync {
    Idle,
    Fetching,
    /// Before a configuration is applied the counters are sampled, since applying it may end the processes that hold them.
    Sampling(Arc<NodeConfig>),
    /// What was sampled is being stored: the change that it needs.
    Storing(Arc<NodeConfig>, u64),
    Applying(Arc<NodeConfig>, ApplyId),
    /// The change that says what was applied; the confirmation waits until it is stored.
    Confirming(u64),
    Cooling,
}

/// What moves it.
pub(super) enum SyncInput {
    NeedSync,
    /// Core does not ask to sync.
    InStep,
    Fetched(ConfigReply),
    NotFetched(Fetch),
    Sampled,
    /// Something was stored.
    Stored,
    Applied(ApplyId, Result<(), ApplyFailed>),
    Confirmed(Outcome),
    CoolingOver,
}

/// Why there is no configuration.
pub(super) enum Fetch {
    Failed,
    Invalid(String),
    TooLarge,
}

impl Fetch {
    pub(super) fn of(kind: &FailureKind) -> Self {
        match kind {
            FailureKind::Config(error) => Self::Invalid(error.to_string()),
            FailureKind::TooLarge | FailureKind::Grpc(GrpcCode::ResourceExhausted) => Self::TooLarge,
            _ => Self::Failed,
        }
    }
}

impl Agent {
    pub(super) fn sync(&mut self, input: SyncInput) {
        self.sync = match (mem::replace(&mut self.sync, Sync::Idle), input) {
            (Sync::Idle, SyncInput::NeedSync) => self.fetch(),
            // Core asks for nothing and may not know yet what it has: another configuration could not be had meanwhile.
            (Sync::Idle, SyncInput::InStep) if self.state.is_confirm_pending => {
                Sync::Confirming(self.storing.change)
            }
            // A confirmation that is under way answers the question by itself.
            (Sync::Confirming(change), SyncInput::NeedSync) => {
                if self.timers.is_set(&Timer::Confirm) {
                    self.timers.set(Timer::Confirm, None);
                    self.fetch()
                } else {
                    Sync::Confirming(change)
                }
            }
            (Sync::Fetching, SyncInput::Fetched(reply)) => self.fetched(reply),
            (Sync::Fetching, SyncInput::NotFetched(Fetch::Failed)) => Sync::Idle,
            (Sync::Fetching, SyncInput::NotFetched(Fetch::Invalid(message))) => {
                self.refuse_config("CONFIG_INVALID", message)
            }
            (Sync::Fetching, SyncInput::NotFetched(Fetch::TooLarge)) => self
                .refuse_config("CONFIG_TOO_LARGE", "the configuration is above the receive limit".to_owned()),
            (Sync::Sampling(config), SyncInput::Sampled) => Sync::Storing(config, self.storing.change),
            (Sync::Storing(config, change), SyncInput::Stored) if self.storing.has(change) => {
                self.apply(config)
            }
            (Sync::Applying(config, id), SyncInput::Applied(applied, outcome)) if applied == id => {
                match outcome {
                    Ok(()) => self.applied(config),
                    Err(failed) => self.apply_failed(&config, failed),
                }
            }
            (Sync::Confirming(change), SyncInput::Confirmed(outcome)) => self.confirmed(change, outcome),
            (Sync::Cooling, SyncInput::CoolingOver) => Sync::Idle,
            // Asked to sync while at it, or too late an answer: nothing to do.
            (same @ (Sync::Fetching | Sync::Sampling(_) | Sync::Storing(..)), SyncInput::NeedSync)
            | (same @ (Sync::Applying(..) | Sync::Cooling), SyncInput::NeedSync)
            | (
                same,
                SyncInput::InStep
                | SyncInput::Fetched(_)
                | SyncInput::NotFetched(_)
                | SyncInput::Sampled
                | SyncInput::Stored,
            )
            | (same, SyncInput::Applied(..) | SyncInput::Confirmed(_) | SyncInput::CoolingOver) => same,
        };
        self.confirm();
    }

    fn fetch(&mut self) -> Sync {
        let is_sent = self.may_call() && self.send(Purpose::Fetch, Call::GetLatestConfig);
        if is_sent { Sync::Fetching } else { Sync::Idle }
    }

    fn fetched(&mut self, reply: ConfigReply) -> Sync {
        let ConfigReply { config, warnings } = reply;
        for warning in warnings {
            self.event(Event::ConfigWarning(warning));
        }
        match self.state.revision() {
            Some(revision) if revision == config.revision() => {
                if !self.state.is_confirm_pending {
                    self.note_repeated_sync();
                }
                self.state.is_confirm_pending = true;
                return Sync::Confirming(self.storing.change);
            }
            Some(revision) if revision > config.revision() => {
                self.event(Event::WentBack { from: revision, to: config.revision() });
            }
            Some(_) | None => {}
        }
        self.sample_before_apply();
        Sync::Sampling(config)
    }

    /// Core asks for what it was told already.
    fn note_repeated_sync(&mut self) {
        self.repeated_syncs = self.repeated_syncs.saturating_add(1);
        if let Some(revision) = self.state.revision()
            && self.repeated_syncs == self.config.mismatch_after
        {
            self.event(Event::SchemaMismatch { revision });
        }
    }

    fn refuse_config(&mut self, code: &'static str, message: String) -> Sync {
        self.event(Event::ConfigRefused { code });
        self.keep_error(NodeError { message, code: Some(code.to_owned()), details: None });
        self.cool()
    }

    fn apply(&mut self, config: Arc<NodeConfig>) -> Sync {
        let id = ApplyId(self.next_id());
        self.outputs.push_back(Output::Apply { id, config: Arc::clone(&config) });
        Sync::Applying(config, id)
    }

    fn applied(&mut self, config: Arc<NodeConfig>) -> Sync {
        let revision = config.revision();
        if let Some(before) = self.state.config.replace(config) {
            let (map, none) = (before.client_map().clone(), MtprotoClientMap::default());
            self.state.previous =
                Some(Arc::new(NodeConfig::new(before.revision(), map, none, Services::default())));
            self.previous_since = self.now;
        }
        self.state.is_confirm_pending = true;
        self.state.error = None;
        (self.coolings, self.repeated_syncs, self.confirm_failures) = (0, 0, 0);
        self.touch();
        self.event(Event::Applied { revision });
        Sync::Confirming(self.storing.change)
    }

    fn apply_failed(&mut self, config: &NodeConfig, failed: ApplyFailed) -> Sync {
        self.event(Event::ApplyFailed { revision: config.revision() });
        let ApplyFailed { message, code, details } = failed;
        let mut error = NodeError { message, code, details };
        if error.message.is_empty() {
            error.message = "the configuration could not be applied".to_owned();
        }
        // What cannot be sent is left out.
        match error.check() {
            Err(wrong) if wrong.path() == "code" => error.code = None,
            Err(_) | Ok(()) => {}
        }
        if error.check().is_err() {
            error.details = None;
        }
        self.keep_error(error);
        self.cool()
    }

    fn cool(&mut self) -> Sync {
        let (shortest, longest) = (self.config.min_cooling, self.config.max_cooling);
        let wait = shortest.saturating_mul(1 << self.coolings.min(31)).min(longest);
        self.coolings = self.coolings.saturating_add(1);
        self.arm(Timer::Cooling, wait);
        Sync::Cooling
    }

    fn confirmed(&mut self, change: u64, outcome: Outcome) -> Sync {
        let Some(revision) = self.state.revision() else { return Sync::Idle };
        let event = match outcome {
            Outcome::Acked => Event::Confirmed { revision },
            Outcome::Rejected | Outcome::Missing => Event::ConfirmationDropped { revision },
            Outcome::NotApplied | Outcome::Auth | Outcome::TooLarge | Outcome::Ambiguous => {
                let wait = self.backoff(self.confirm_failures);
                self.confirm_failures = self.confirm_failures.saturating_add(1);
                self.arm(Timer::Confirm, wait);
                return Sync::Confirming(change);
            }
        };
        self.state.is_confirm_pending = false;
        self.confirm_failures = 0;
        self.touch();
        self.event(event);
        Sync::Idle
    }

    /// Confirms what is applied, if that is due and the application of it is stored. Not before an error that is being
    /// reported: Core would take that for the later news, and the node for broken.
    fn confirm(&mut self) {
        let Sync::Confirming(change) = self.sync else { return };
        let is_flying = self.is_flying(Purpose::Confirm) || self.is_flying(Purpose::Error);
        let is_due = !self.timers.is_set(&Timer::Confirm) && !is_flying;
        let Some(revision) = self.state.revision() else { return };
        if is_due && self.storing.has(change) && self.may_call() {
            let call = Call::ConfirmConfigApplied(ConfigApplied { revision });
            if !self.send(Purpose::Confirm, call) {
                self.arm(Timer::Confirm, self.config.missing_wait);
            }
        }
    }

    /// Takes up at a start what a restart has interrupted.
    pub(super) fn resume_sync(&mut self) {
        if self.state.is_confirm_pending && matches!(self.sync, Sync::Idle) {
            self.sync = Sync::Confirming(self.storing.change);
        }
        self.timers.set(Timer::Confirm, None);
    }

    /// Leaves what needs more calls; an application that was asked for is still waited for.
    pub(super) fn end_sync(&mut self) {
        if !matches!(self.sync, Sync::Applying(..)) {
            self.sync = Sync::Idle;
        }
    }

    /// Returns the map in force, and the one before while it counts.
    pub(super) fn client_maps(&self) -> (Option<Arc<NodeConfig>>, Option<Arc<NodeConfig>>) {
        (self.state.config.clone(), self.state.previous.clone())
    }
}

/// Returns a map of a configuration, or an empty one.
pub(super) fn map_of<'a>(config: Option<&'a Arc<NodeConfig>>, empty: &'a ClientMap) -> &'a ClientMap {
    config.map_or(empty, |config| config.client_map())
}
