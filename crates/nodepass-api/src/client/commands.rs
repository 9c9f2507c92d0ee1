//! What an application can ask of a client.

use super::machine::Path;
use super::pending::{Pending, Task};
use super::{Call, CallId, Client, CommandError, Event, is_fit};
use crate::Secret;
use crate::fleet::InstanceRecord;
use crate::url::InstanceUrl;
use crate::wire::{Action, CreateInstance, InstanceId, PatchInstance, PutInstance};
use web_time::Instant;

/// Longer than any id, target or alias that a master takes, in bytes.
const MOST_TEXT: usize = 4_096;

impl Client {
    /// Makes a call; its outcome comes as [`Event::Answered`]. Before it is known where the routes are, the call is held.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::TooManyCalls`], [`CommandError::Length`],
    /// [`CommandError::Url`], [`CommandError::KeyRecord`] for a change of the key record, [`CommandError::Rotating`].
    pub fn call(&mut self, call: Call, now: Instant) -> Result<CallId, CommandError> {
        self.see(now);
        self.check_call(&call)?;
        let is_rotation = matches!(call, Call::RotateKey);
        if is_rotation && self.rotating.is_some() {
            return Err(CommandError::Rotating);
        }
        let id = self.begin(Task::One(call))?;
        if is_rotation {
            self.rotating = Some(id);
        }
        Ok(id)
    }

    /// Asks for all instances.
    ///
    /// # Errors
    /// See [`call`](Self::call); so it is with the commands below.
    pub fn list(&mut self, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::List, now)
    }

    /// Makes an instance, which starts by itself.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn create(&mut self, url: &str, alias: Option<&str>, now: Instant) -> Result<CallId, CommandError> {
        let body =
            CreateInstance { url: url.into(), alias: alias.map(Into::into), ..CreateInstance::default() };
        self.call(Call::Create(body), now)
    }

    /// Asks for one instance.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn get(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Get(id.clone()), now)
    }

    /// Changes an instance's alias, policy and labels and gives it an action, all of them or some.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn patch(
        &mut self,
        id: &InstanceId,
        patch: PatchInstance,
        now: Instant,
    ) -> Result<CallId, CommandError> {
        self.call(Call::Patch(id.clone(), patch), now)
    }

    /// Gives an instance an action.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn act(&mut self, id: &InstanceId, action: Action, now: Instant) -> Result<CallId, CommandError> {
        self.patch(id, PatchInstance::action(action), now)
    }

    /// Starts an instance.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn start(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.act(id, Action::Start, now)
    }

    /// Stops an instance.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn stop(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.act(id, Action::Stop, now)
    }

    /// Stops an instance and starts it.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn restart(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.act(id, Action::Restart, now)
    }

    /// Sets the counters of an instance to 0.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn reset(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.act(id, Action::Reset, now)
    }

    /// Gives an instance another URL, with which it starts, also if it was stopped.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn put(&mut self, id: &InstanceId, url: &str, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Put(id.clone(), PutInstance { url: url.into(), ..PutInstance::default() }), now)
    }

    /// Ends and forgets an instance.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn delete(&mut self, id: &InstanceId, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Delete(id.clone()), now)
    }

    /// Asks the master about itself; what it says comes as [`Event::Info`] too.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn ask(&mut self, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Info, now)
    }

    /// Names the master; an empty name is none.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn set_master_alias(&mut self, alias: &str, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::SetMasterAlias(alias.into()), now)
    }

    /// Lets the master connect to this host and port.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn tcping(&mut self, target: &str, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Tcping(target.into()), now)
    }

    /// Asks for the description of the API.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn openapi(&mut self, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::OpenApi, now)
    }

    /// Asks for the page about the API.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub fn docs(&mut self, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::Docs, now)
    }

    /// Makes another key. When the answer holds one, the client uses it at once and [`Event::KeyRotated`] comes before the
    /// answer; calls that are refused meanwhile are made again with it. When there is no answer nobody knows which key is
    /// good: [`Event::RotationUnknown`].
    ///
    /// # Errors
    /// See [`call`](Self::call); [`CommandError::Rotating`] if another key is being made already.
    pub fn rotate_key(&mut self, now: Instant) -> Result<CallId, CommandError> {
        self.call(Call::RotateKey, now)
    }

    /// Makes an instance again: its URL, then its alias and its policy, as far as the master has not set them. One answer:
    /// the new instance, or [`RequestError::Incomplete`](super::RequestError::Incomplete) with its id.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::TooManyCalls`]. The URL is not checked: a master has taken it before.
    pub fn recreate(&mut self, record: &InstanceRecord, now: Instant) -> Result<CallId, CommandError> {
        self.see(now);
        self.begin(Task::Recreate { record: record.clone(), made: None })
    }

    /// Uses another key from now on; a client that waits for one goes on at once.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::Key`] if it cannot be sent.
    pub fn set_key(&mut self, key: Secret, now: Instant) -> Result<(), CommandError> {
        self.see(now);
        if self.is_closed() {
            return Err(CommandError::Closed);
        }
        if !key.is_empty() && !is_fit(&key) {
            return Err(CommandError::Key);
        }
        self.use_key(key);
        Ok(())
    }

    /// Asks for the list now, if the client keeps a view and knows where the routes are.
    pub fn resync(&mut self, now: Instant) {
        self.see(now);
        self.want_list();
    }

    /// Ends the wait between two attempts.
    pub fn retry(&mut self, now: Instant) {
        self.see(now);
        match self.path {
            Path::Waiting => self.find(),
            Path::Known(_) => self.retry_stream(),
            Path::Probing | Path::Closed => {}
        }
    }

    fn check_call(&self, call: &Call) -> Result<(), CommandError> {
        let text = match call {
            Call::Tcping(text) => Some(&**text),
            Call::SetMasterAlias(text) if !text.is_empty() => Some(&**text),
            call => call.instance().map(InstanceId::as_str),
        };
        if text.is_some_and(|text| text.is_empty() || text.len() > MOST_TEXT) {
            return Err(CommandError::Length);
        }
        let url = match call {
            Call::Create(create) => Some(&create.url),
            Call::Put(_, put) => Some(&put.url),
            _ => None,
        };
        if let Some(url) = url.filter(|_| self.config.checks_urls) {
            InstanceUrl::parse(url).map_err(CommandError::Url)?;
        }
        let changes = !call.is_safe();
        if changes && call.instance().is_some_and(InstanceId::is_key_record) {
            return Err(CommandError::KeyRecord);
        }
        Ok(())
    }

    fn begin(&mut self, task: Task) -> Result<CallId, CommandError> {
        if self.is_closed() {
            return Err(CommandError::Closed);
        }
        let is_known = matches!(self.path, Path::Known(_));
        if self.calls.len() >= self.config.max_calls || !is_known && self.held.len() >= self.config.max_held {
            return Err(CommandError::TooManyCalls);
        }
        let about = match &task {
            Task::One(call) => call.instance(),
            Task::Recreate { .. } => None,
        };
        let member = about.and_then(|id| self.fleet.get(id.as_str()));
        let before = member.map(|member| member.instance().status.clone());
        let id = CallId(self.next_id());
        self.calls.insert(id, Pending { task, before });
        if is_known {
            self.send_call(id);
        } else {
            self.held.push_back(id);
            if matches!(self.path, Path::Waiting) {
                self.find();
            }
        }
        Ok(id)
    }

    /// Takes another key and does what waits for one.
    pub(super) fn use_key(&mut self, key: Secret) {
        self.key = key;
        self.key_generation += 1;
        self.is_key_refused = false;
        self.resume();
    }

    pub(super) fn adopt_key(&mut self, key: Secret, source: super::KeySource) {
        self.event(Event::KeyRotated { key: key.clone(), source });
        self.use_key(key);
    }
}
