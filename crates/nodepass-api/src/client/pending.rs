//! Calls that have no answer yet.

use super::{Call, Ignored};
use crate::fleet::InstanceRecord;
use crate::wire::{Instance, PatchInstance, Status};

/// A call that has no answer yet.
pub(super) struct Pending {
    pub(super) task: Task,
    /// The status of the instance that it is about, as it was known when the call was made.
    pub(super) before: Option<Status>,
}

/// What a command comes to.
pub(super) enum Task {
    /// One request.
    One(Call),
    /// One to make an instance, and one for what the first has not set.
    Recreate { record: InstanceRecord, made: Option<(Box<Instance>, Vec<Ignored>)> },
}

impl Pending {
    /// Returns what is to be asked next.
    pub(super) fn next(&self) -> Call {
        match &self.task {
            Task::One(call) => call.clone(),
            Task::Recreate { record, made: None } => Call::Create(record.create()),
            Task::Recreate { record, made: Some((made, _)) } => {
                Call::Patch(made.id.clone(), missing(record, made).unwrap_or_default())
            }
        }
    }
}

/// Returns the patch for what an instance does not have of what it should have.
pub(super) fn missing(record: &InstanceRecord, made: &Instance) -> Option<PatchInstance> {
    let mut patch = record.patch()?;
    patch.alias.take_if(|alias| made.alias.as_ref() == Some(alias));
    patch.restart.take_if(|restart| made.restart == Some(*restart));
    (patch != PatchInstance::default()).then_some(patch)
}
