//! How a task is.

use super::{ImageId, ParamsError, SendError, TaskId};
use crate::wire::{JsonRef, Object, ObjectWriter, slots};
use std::fmt;

/// Parameters of `task_status`. `Debug` shows of the text its length.
///
/// `running` carries `eta` and `percent`, `error` carries `msg`; once `error` or `complete` was sent, nothing follows
/// for that task. What a peer left out is `None`: a server reports that as a violation and follows the task all the
/// same.
#[derive(Clone, PartialEq)]
pub struct TaskStatus {
    /// The task, as the server named it.
    pub task_id: TaskId,
    /// Its state, at most 64 bytes.
    pub state: TaskState,
    /// How much is done, from 0 to 100.
    pub percent: Option<f64>,
    /// How much work remains, in seconds, at least 0.
    pub eta: Option<f64>,
    /// What went wrong, for humans.
    pub msg: Option<String>,
    /// The images that are on local storage, at the end of `cache_images`. Ours.
    pub image_ids: Option<Vec<ImageId>>,
}

/// State of a task, as it is said to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// `running`
    Running,
    /// `error`: it has failed.
    Error,
    /// `complete`: it has succeeded.
    Complete,
    /// Any other; made by `TaskState::from`. Does not end a task.
    #[non_exhaustive]
    Other(Box<str>),
}

slots! {
    struct Slots {
        task_id: "task_id",
        state: "state",
        percent: "percent",
        eta: "eta",
        msg: "msg",
        image_ids: "image_ids" | "images" | "image_uuids",
    }
}

impl TaskStatus {
    /// Makes a status with nothing but its state.
    #[must_use]
    pub fn new(task_id: TaskId, state: TaskState) -> Self {
        Self { task_id, state, percent: None, eta: None, msg: None, image_ids: None }
    }

    pub(super) fn decode(params: JsonRef<'_>) -> Result<Self, ParamsError> {
        let slots: Slots<'_> = params.decode().map_err(|_| ParamsError::wrong("params", "an object"))?;
        let task_id = slots.task_id.ok_or_else(|| ParamsError::missing("task_id", "task_status"))?;
        let state = slots.state.ok_or_else(|| ParamsError::missing("state", "task_status"))?;
        let state = state.as_str().ok_or(ParamsError::wrong("state", "a string"))?;
        if state.len() > STATE_LIMIT {
            return Err(ParamsError::wrong("state", "of at most 64 bytes"));
        }
        Ok(Self {
            task_id: TaskId::from_json(task_id),
            state: TaskState::from(&*state),
            percent: slots.percent.and_then(JsonRef::as_f64),
            eta: slots.eta.and_then(JsonRef::as_f64),
            msg: slots.msg.and_then(JsonRef::as_str).map(Into::into),
            image_ids: slots.image_ids.and_then(image_ids),
        })
    }

    pub(super) fn params(&self) -> Result<Object, SendError> {
        self.check()?;
        let mut params = ObjectWriter::new();
        params.json("task_id", self.task_id.json().as_ref()).text("state", self.state.name());
        if let Some(percent) = self.percent {
            params.number("percent", percent);
        }
        if let Some(eta) = self.eta {
            params.number("eta", eta);
        }
        if let Some(msg) = &self.msg {
            params.text("msg", msg);
        }
        if let Some(images) = &self.image_ids {
            params.list("image_ids", images.iter().map(|image| image.json().as_ref()));
        }
        params.finish().map_err(|_| SendError::wrong("task_id", "less deep"))
    }

    fn check(&self) -> Result<(), SendError> {
        if self.state.name().len() > STATE_LIMIT {
            return Err(SendError::wrong("state", "of at most 64 bytes"));
        }
        let is_running = self.state == TaskState::Running;
        if self.percent.map_or(is_running, |percent| !(0.0..=100.0).contains(&percent)) {
            return Err(SendError::wrong("percent", "a number from 0 to 100"));
        }
        if self.eta.map_or(is_running, |eta| !(eta >= 0.0 && eta.is_finite())) {
            return Err(SendError::wrong("eta", "a finite number of at least 0"));
        }
        if self.state == TaskState::Error && self.msg.is_none() {
            return Err(SendError::wrong("msg", "there"));
        }
        Ok(())
    }
}

impl fmt::Debug for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStatus")
            .field("task_id", &self.task_id)
            .field("state", &self.state)
            .field("percent", &self.percent)
            .field("eta", &self.eta)
            .field("msg_bytes", &self.msg.as_ref().map(String::len))
            .field("image_ids", &self.image_ids.as_ref().map(Vec::len))
            .finish()
    }
}

impl TaskState {
    /// Returns the word that is sent.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Error => "error",
            Self::Complete => "complete",
            Self::Other(name) => name,
        }
    }

    /// Whether nothing may follow it.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Error | Self::Complete)
    }
}

impl From<&str> for TaskState {
    fn from(name: &str) -> Self {
        match name {
            "running" => Self::Running,
            "error" => Self::Error,
            "complete" => Self::Complete,
            other => Self::Other(other.into()),
        }
    }
}

const STATE_LIMIT: usize = 64;

/// Reads an array of images; `None` if it is no array.
pub(super) fn image_ids(value: JsonRef<'_>) -> Option<Vec<ImageId>> {
    let images: Vec<JsonRef<'_>> = value.decode().ok()?;
    Some(images.into_iter().map(ImageId::from_json).collect())
}
