//! The tasks of an agent: state, no policy.

use super::{RunStep, TaskNumber};
use crate::Dialect;
use crate::command::{
    ConfigDrive, ErrorValue, ImageId, TaskCommand, TaskId, TaskKind, TaskState, TaskStatus, Work,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// A task that is not over. Its states: *running*, then *failed* or *complete* until the server has learned of it.
/// `Debug` hides what went wrong, which may hold anything.
pub struct Task {
    id: TaskId,
    kind: TaskKind,
    pub(super) begun: Instant,
    pub(super) percent: f64,
    pub(super) eta: Duration,
    pub(super) held: Option<Vec<ImageId>>,
    pub(super) run: Option<Run>,
    pub(super) end: Option<End>,
}

/// How a task has ended.
pub(super) enum End {
    Complete,
    Failed(String),
}

/// Running an image.
#[derive(Debug)]
pub(super) struct Run {
    image: ImageId,
    settings: Option<ConfigDrive>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ConfigDrive,
    BootLoader,
    KexecTarget,
    Leaving { kexec: bool },
}

impl Task {
    /// Returns the server's name for it.
    #[must_use]
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        self.kind
    }

    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> TaskState {
        match self.end {
            None => TaskState::Running,
            Some(End::Complete) => TaskState::Complete,
            Some(End::Failed(_)) => TaskState::Error,
        }
    }

    /// Returns how much is done, from 0 to 100.
    #[must_use]
    pub fn percent(&self) -> f64 {
        self.percent
    }

    /// Returns how much remains, as it is reported.
    #[must_use]
    pub fn eta(&self) -> Duration {
        self.eta
    }

    pub(super) fn status(&self) -> TaskStatus {
        let mut status = TaskStatus::new(self.id.clone(), self.state());
        match &self.end {
            None => {
                status.percent = Some(self.percent);
                status.eta = Some(self.eta.as_secs_f64());
            }
            Some(End::Complete) => status.image_ids.clone_from(&self.held),
            Some(End::Failed(msg)) => {
                status.msg = Some(msg.clone());
                status.image_ids.clone_from(&self.held);
            }
        }
        status
    }
}

impl Run {
    /// Returns the step that the run is at.
    pub(super) fn step(&self) -> RunStep {
        let image = self.image.clone();
        match (self.stage, &self.settings) {
            (Stage::ConfigDrive, Some(settings)) => {
                RunStep::WriteConfigDrive { image, settings: settings.clone() }
            }
            (Stage::ConfigDrive, None) | (Stage::BootLoader, _) => RunStep::SetUpBootLoader { image },
            (Stage::KexecTarget, _) => RunStep::FindKexecTarget { image },
            (Stage::Leaving { kexec: true }, _) => RunStep::Kexec { image },
            (Stage::Leaving { kexec: false }, _) => RunStep::Reboot { image },
        }
    }

    /// Goes on after a step that was only to be done; returns how much is done then, in percent.
    pub(super) fn advance(&mut self) -> Option<f64> {
        let (next, percent) = match self.stage {
            Stage::ConfigDrive => (Stage::BootLoader, 25.0),
            Stage::BootLoader => (Stage::KexecTarget, 50.0),
            Stage::KexecTarget | Stage::Leaving { .. } => return None,
        };
        self.stage = next;
        Some(percent)
    }

    /// Goes on after the look for a kexec target; returns whether that was the step.
    pub(super) fn leave(&mut self, kexec: bool) -> bool {
        let was_asked = self.stage == Stage::KexecTarget;
        if was_asked {
            self.stage = Stage::Leaving { kexec };
        }
        was_asked
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("state", &self.state())
            .field("percent", &self.percent)
            .field("eta", &self.eta)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// All tasks that are not over, and the ids of those that are.
pub(super) struct Tasks {
    tasks: BTreeMap<TaskNumber, Task>,
    used: BTreeSet<(Scope, TaskId)>,
    ended: VecDeque<(Scope, TaskId)>,
    next: u64,
}

/// Within what ids must differ: all tasks under the document, those that prepare an image under the original.
type Scope = Option<TaskKind>;

fn scope(kind: TaskKind, dialect: Dialect) -> Option<Scope> {
    match (dialect, kind) {
        (Dialect::Document, _) => Some(None),
        (Dialect::Original, TaskKind::PrepareImage) => Some(Some(kind)),
        (Dialect::Original, _) => None,
    }
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self { tasks: BTreeMap::new(), used: BTreeSet::new(), ended: VecDeque::new(), next: 1 }
    }

    /// Begins a task, or says what the server is to be told instead.
    pub(super) fn begin(
        &mut self,
        command: &TaskCommand,
        dialect: Dialect,
        most: usize,
        eta: Duration,
        now: Instant,
    ) -> Result<TaskNumber, ErrorValue> {
        let (id, kind) = (&command.task_id, command.work.kind());
        let scope = scope(kind, dialect);
        if scope.is_some_and(|scope| self.used.contains(&(scope, id.clone()))) {
            return Err(ErrorValue::new(&match dialect {
                Dialect::Document => format!("the task id \"{id}\" is in use or was used before"),
                Dialect::Original => format!("cannot have two services with same name 'prepare_image.{id}'"),
            }));
        }
        if self.tasks.len() >= most {
            return Err(ErrorValue::new("too many tasks"));
        }
        let run = match &command.work {
            Work::RunImage { image, config_drive } => {
                let stage = if config_drive.is_some() { Stage::ConfigDrive } else { Stage::BootLoader };
                Some(Run { image: image.clone(), settings: config_drive.clone(), stage })
            }
            _ => None,
        };
        let number = TaskNumber(self.next);
        self.next += 1;
        self.used.extend(scope.map(|scope| (scope, id.clone())));
        self.tasks.insert(
            number,
            Task { id: id.clone(), kind, begun: now, percent: 0.0, eta, held: None, run, end: None },
        );
        Ok(number)
    }

    pub(super) fn get(&self, number: TaskNumber) -> Option<&Task> {
        self.tasks.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: TaskNumber) -> Option<&mut Task> {
        self.tasks.get_mut(&number)
    }

    /// Returns a task that has not ended.
    pub(super) fn running(&mut self, number: TaskNumber) -> Option<&mut Task> {
        self.tasks.get_mut(&number).filter(|task| task.end.is_none())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskNumber, &Task)> {
        self.tasks.iter().map(|(&number, task)| (number, task))
    }

    /// Takes a task that is over and remembers its id.
    pub(super) fn take(&mut self, number: TaskNumber, dialect: Dialect, most_ended: usize) -> Option<Task> {
        let task = self.tasks.remove(&number)?;
        if let Some(scope) = scope(task.kind, dialect) {
            self.ended.push_back((scope, task.id.clone()));
            while self.ended.len() > most_ended {
                if let Some(oldest) = self.ended.pop_front() {
                    self.used.remove(&oldest);
                }
            }
        }
        Some(task)
    }
}
