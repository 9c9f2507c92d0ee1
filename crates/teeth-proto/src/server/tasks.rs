//! What a server knows of the tasks of its agents: state, no policy.

use super::TaskViolation;
use crate::ConnectionId;
use crate::command::{ImageId, TaskCommand, TaskId, TaskKind, TaskState, TaskStatus, Work};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A task as its agent has told of it. `Debug` shows of the text its length.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// The agent's connection: the one it was designated over, or the last one that told of it.
    pub connection: ConnectionId,
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: TaskKind,
    /// The latest state; `None` until the agent tells one.
    pub state: Option<TaskState>,
    /// How much is done, from 0 to 100, as last told.
    pub percent: Option<f64>,
    /// How much work remains, in seconds, as last told.
    pub eta: Option<f64>,
    /// What went wrong, for humans; at most 4096 bytes of it.
    pub msg: Option<String>,
    /// The images that are on local storage, at the end of `cache_images`; at most as many as were asked for.
    pub image_ids: Option<Vec<ImageId>>,
    /// How often a rule was broken.
    pub violations: u64,
    /// Who the agent says it is; empty without a handshake.
    agent: Arc<str>,
    /// How many images were asked for.
    images: usize,
    /// When it ended, among all that have ended.
    ended: Option<u64>,
}

impl Task {
    /// Whether the agent has yet to tell its end.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.state.as_ref().is_some_and(TaskState::is_end)
    }

    fn follow(&mut self, status: &TaskStatus) {
        self.state = Some(status.state.clone());
        self.percent = status.percent.filter(is_percent).or(self.percent);
        self.eta = status.eta.filter(is_eta).or(self.eta);
        self.msg = status.msg.as_deref().map(|msg| beginning(msg).to_owned());
        if status.state.is_end() {
            let images = status.image_ids.as_ref();
            self.image_ids = images.map(|images| images.iter().take(self.images).cloned().collect());
        }
    }
}

/// What is kept of a text.
fn beginning(msg: &str) -> &str {
    let fits =
        msg.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|&end| end <= MESSAGE_LIMIT);
    &msg[..fits.last().unwrap_or(0)]
}

const MESSAGE_LIMIT: usize = 4096;

/// Names a designation; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Designation(u64);

/// All tasks that were designated and not forgotten, in the order of their designation.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: BTreeMap<Designation, Task>,
    by_connection: BTreeMap<ConnectionId, BTreeMap<TaskId, Designation>>,
    by_agent: BTreeMap<Arc<str>, BTreeMap<TaskId, Designation>>,
    /// Tasks that have ended, the oldest first.
    ended: BTreeMap<u64, Designation>,
    next: u64,
    next_end: u64,
}

impl Tasks {
    pub(super) fn unfinished(&self) -> usize {
        self.tasks.len() - self.ended.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// The task of that id that the connection was given or has told of.
    pub(super) fn of_connection(&self, connection: ConnectionId, id: &TaskId) -> Option<&Task> {
        self.tasks.get(self.by_connection.get(&connection)?.get(id)?)
    }

    /// The task of that id that the agent has, over whatever connection. One that does not say who it is has none.
    pub(super) fn of_agent(&self, agent: &str, id: &TaskId) -> Option<&Task> {
        self.tasks.get(self.by_agent.get(agent).filter(|_| !agent.is_empty())?.get(id)?)
    }

    pub(super) fn designate(
        &mut self,
        connection: ConnectionId,
        agent: &Arc<str>,
        command: &TaskCommand,
    ) -> Designation {
        let (id, kind) = (command.task_id.clone(), command.work.kind());
        let images = match &command.work {
            Work::CacheImages { images } => images.len(),
            _ => 0,
        };
        self.forget(connection, agent, &id);
        self.next += 1;
        let designation = Designation(self.next);
        let task = Task {
            connection,
            id,
            kind,
            state: None,
            percent: None,
            eta: None,
            msg: None,
            image_ids: None,
            violations: 0,
            agent: Arc::clone(agent),
            images,
            ended: None,
        };
        self.insert(designation, task);
        designation
    }

    /// An agent has said who it is: so it is for the tasks that it already has.
    pub(super) fn identify(&mut self, connection: ConnectionId, agent: &Arc<str>) {
        let own = self.by_connection.get(&connection);
        let own: Vec<Designation> = own.into_iter().flat_map(|ids| ids.values().copied()).collect();
        for designation in own {
            if let Some(task) = self.remove(designation) {
                self.insert(designation, Task { agent: Arc::clone(agent), ..task });
            }
        }
    }

    /// Takes an update; returns whether the view has followed, and which rule was broken.
    pub(super) fn update(
        &mut self,
        connection: ConnectionId,
        agent: &str,
        status: &TaskStatus,
    ) -> (bool, Option<TaskViolation>) {
        let designation = self.designation(connection, agent, &status.task_id);
        let found = designation.and_then(|designation| Some((designation, self.remove(designation)?)));
        let Some((designation, mut task)) = found else {
            return (false, Some(TaskViolation::NeverDesignated));
        };
        let is_over = !task.is_unfinished();
        let violation = if is_over {
            let is_repeated = task.connection != connection && task.state.as_ref() == Some(&status.state);
            (!is_repeated).then_some(TaskViolation::AfterEnd)
        } else {
            task.follow(status);
            broken_rule(status)
        };
        task.connection = connection;
        task.violations += u64::from(violation.is_some());
        if !is_over && !task.is_unfinished() {
            self.next_end += 1;
            task.ended = Some(self.next_end);
        }
        self.insert(designation, task);
        (!is_over, violation)
    }

    /// Forgets the oldest tasks that have ended.
    pub(super) fn trim(&mut self, most_ended: usize) {
        while self.ended.len() > most_ended {
            let oldest = self.ended.first_key_value().map(|(_, &designation)| designation);
            oldest.and_then(|designation| self.remove(designation));
        }
    }

    /// Forgets the task of that id that the connection or its agent has.
    pub(super) fn forget(&mut self, connection: ConnectionId, agent: &str, id: &TaskId) {
        if let Some(designation) = self.designation(connection, agent, id) {
            self.remove(designation);
        }
    }

    /// Takes a designation back.
    pub(super) fn revoke(&mut self, designation: Designation) {
        self.remove(designation);
    }

    fn designation(&self, connection: ConnectionId, agent: &str, id: &TaskId) -> Option<Designation> {
        let own = self.by_connection.get(&connection).and_then(|ids| ids.get(id));
        let of_agent = || self.by_agent.get(agent).filter(|_| !agent.is_empty())?.get(id);
        own.or_else(of_agent).copied()
    }

    fn insert(&mut self, designation: Designation, task: Task) {
        self.by_connection.entry(task.connection).or_default().insert(task.id.clone(), designation);
        self.by_agent.entry(Arc::clone(&task.agent)).or_default().insert(task.id.clone(), designation);
        self.ended.extend(task.ended.map(|end| (end, designation)));
        self.tasks.insert(designation, task);
    }

    fn remove(&mut self, designation: Designation) -> Option<Task> {
        let task = self.tasks.remove(&designation)?;
        unlist(&mut self.by_connection, &task.connection, &task.id, designation);
        unlist(&mut self.by_agent, &task.agent, &task.id, designation);
        task.ended.and_then(|end| self.ended.remove(&end));
        Some(task)
    }
}

fn unlist<K: Ord>(
    index: &mut BTreeMap<K, BTreeMap<TaskId, Designation>>,
    key: &K,
    id: &TaskId,
    designation: Designation,
) {
    let Some(ids) = index.get_mut(key) else { return };
    // Agents that say they are the same may have tasks of the same id.
    if ids.get(id) == Some(&designation) {
        ids.remove(id);
    }
    if ids.is_empty() {
        index.remove(key);
    }
}

fn is_percent(percent: &f64) -> bool {
    (0.0..=100.0).contains(percent)
}

fn is_eta(eta: &f64) -> bool {
    *eta >= 0.0
}

fn broken_rule(status: &TaskStatus) -> Option<TaskViolation> {
    match (&status.state, status.percent, status.eta) {
        (TaskState::Running, Some(percent), Some(eta)) => {
            let is_good = is_percent(&percent) && is_eta(&eta);
            (!is_good).then_some(TaskViolation::OutOfRange)
        }
        (TaskState::Running, _, _) => Some(TaskViolation::MissingProgress),
        (TaskState::Error, _, _) if status.msg.is_none() => Some(TaskViolation::MissingMessage),
        (TaskState::Error | TaskState::Complete, _, _) => None,
        (TaskState::Other(_), _, _) => Some(TaskViolation::UnknownState),
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("connection", &self.connection)
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("percent", &self.percent)
            .field("eta", &self.eta)
            .field("msg_bytes", &self.msg.as_ref().map(String::len))
            .field("image_ids", &self.image_ids.as_ref().map(Vec::len))
            .field("violations", &self.violations)
            .finish_non_exhaustive()
    }
}
