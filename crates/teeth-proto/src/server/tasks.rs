//! What a server knows of the tasks of its agents: state, no policy.

use super::TaskViolation;
use crate::ConnectionId;
use crate::command::{ImageId, TaskId, TaskKind, TaskState, TaskStatus};
use std::collections::{BTreeMap, VecDeque};

/// A task as its agent has told of it.
#[derive(Clone, Debug, PartialEq)]
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
    /// What went wrong, for humans.
    pub msg: Option<String>,
    /// The images that are on local storage, at the end of `cache_images`.
    pub image_ids: Option<Vec<ImageId>>,
    /// How often a rule was broken.
    pub violations: u64,
    /// Who the agent says it is; empty without a handshake.
    agent: String,
}

impl Task {
    /// Whether the agent has yet to tell its end.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.state.as_ref().is_some_and(TaskState::is_end)
    }
}

/// All tasks that were designated and not forgotten, in the order of their designation.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: BTreeMap<u64, Task>,
    by_connection: BTreeMap<ConnectionId, BTreeMap<TaskId, u64>>,
    by_agent: BTreeMap<String, BTreeMap<TaskId, u64>>,
    /// Tasks that have ended, the oldest first.
    ended: VecDeque<u64>,
    unfinished: usize,
    next: u64,
}

impl Tasks {
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    pub(super) fn get(&self, connection: ConnectionId, agent: &str, id: &TaskId) -> Option<&Task> {
        self.tasks.get(&self.number(connection, agent, id)?)
    }

    pub(super) fn designate(&mut self, connection: ConnectionId, agent: &str, id: TaskId, kind: TaskKind) {
        self.forget(connection, agent, &id);
        self.unfinished += 1;
        self.next += 1;
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
            agent: agent.to_owned(),
        };
        self.insert(self.next, task);
    }

    /// An agent has said who it is: so it is for the tasks that it already has.
    pub(super) fn identify(&mut self, connection: ConnectionId, agent: &str) {
        let numbers: Vec<u64> =
            self.by_connection.get(&connection).into_iter().flat_map(|ids| ids.values().copied()).collect();
        for number in numbers {
            if let Some(task) = self.remove(number) {
                self.insert(number, Task { agent: agent.to_owned(), ..task });
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
        let number = self.number(connection, agent, &status.task_id);
        let Some((number, mut task)) = number.and_then(|number| Some((number, self.remove(number)?))) else {
            return (false, Some(TaskViolation::NeverDesignated));
        };
        let is_over = !task.is_unfinished();
        let violation = if is_over {
            let is_repeated = task.connection != connection && task.state.as_ref() == Some(&status.state);
            (!is_repeated).then_some(TaskViolation::AfterEnd)
        } else {
            follow(&mut task, status);
            broken_rule(status)
        };
        task.connection = connection;
        task.violations += u64::from(violation.is_some());
        if !is_over && !task.is_unfinished() {
            self.unfinished -= 1;
            self.ended.push_back(number);
        }
        self.insert(number, task);
        (!is_over, violation)
    }

    /// Forgets the oldest tasks that have ended.
    pub(super) fn trim(&mut self, most_ended: usize) {
        while self.ended.len() > most_ended {
            let oldest = self.ended.pop_front();
            oldest.and_then(|number| self.remove(number));
        }
    }

    /// Forgets a task.
    pub(super) fn forget(&mut self, connection: ConnectionId, agent: &str, id: &TaskId) {
        let Some(number) = self.number(connection, agent, id) else { return };
        let Some(task) = self.remove(number) else { return };
        if task.is_unfinished() {
            self.unfinished -= 1;
        } else {
            self.ended.retain(|&ended| ended != number);
        }
    }

    /// The task of that id that the connection has told of, or else the agent over an earlier one.
    fn number(&self, connection: ConnectionId, agent: &str, id: &TaskId) -> Option<u64> {
        let own = self.by_connection.get(&connection).and_then(|ids| ids.get(id));
        own.or_else(|| self.by_agent.get(agent)?.get(id)).copied()
    }

    fn insert(&mut self, number: u64, task: Task) {
        self.by_connection.entry(task.connection).or_default().insert(task.id.clone(), number);
        self.by_agent.entry(task.agent.clone()).or_default().insert(task.id.clone(), number);
        self.tasks.insert(number, task);
    }

    fn remove(&mut self, number: u64) -> Option<Task> {
        let task = self.tasks.remove(&number)?;
        unlist(&mut self.by_connection, &task.connection, &task.id, number);
        unlist(&mut self.by_agent, &task.agent, &task.id, number);
        Some(task)
    }
}

fn unlist<K: Ord>(index: &mut BTreeMap<K, BTreeMap<TaskId, u64>>, key: &K, id: &TaskId, number: u64) {
    let Some(ids) = index.get_mut(key) else { return };
    // Agents that do not say who they are may have tasks of the same id.
    if ids.get(id) == Some(&number) {
        ids.remove(id);
    }
    if ids.is_empty() {
        index.remove(key);
    }
}

fn follow(task: &mut Task, status: &TaskStatus) {
    task.state = Some(status.state.clone());
    task.percent = status.percent.or(task.percent);
    task.eta = status.eta.or(task.eta);
    task.msg.clone_from(&status.msg);
    task.image_ids.clone_from(&status.image_ids);
}

fn broken_rule(status: &TaskStatus) -> Option<TaskViolation> {
    match (&status.state, status.percent, status.eta) {
        (TaskState::Running, Some(percent), Some(eta)) => {
            let is_good = (0.0..=100.0).contains(&percent) && eta >= 0.0;
            (!is_good).then_some(TaskViolation::OutOfRange)
        }
        (TaskState::Running, _, _) => Some(TaskViolation::MissingProgress),
        (TaskState::Error, _, _) if status.msg.is_none() => Some(TaskViolation::MissingMessage),
        (TaskState::Error | TaskState::Complete, _, _) => None,
        (TaskState::Other(_), _, _) => Some(TaskViolation::UnknownState),
    }
}
