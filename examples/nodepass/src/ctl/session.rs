//! Calls, one after the other.

use super::mask::Secrets;
use crate::client_driver::{self, Handle};
use crate::connector::Connector;
use nodepass_api::client::{
    CallId, Client, CommandError, Event, Failure, FailureKind, KeyProblem, Reply, RequestError,
};
use nodepass_api::wire::{Instance, InstanceId};
use std::process::ExitCode;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A client that makes calls. Dropping it closes everything at once.
pub struct Session {
    handle: Handle,
    news: mpsc::Receiver<Event>,
    run: JoinHandle<()>,
    /// What errors must not repeat.
    pub secrets: Secrets,
    /// Whether another key was asked for and nobody knows whether it was made.
    pub is_key_unknown: bool,
}

/// Why a command has failed.
#[derive(Debug)]
pub enum Problem {
    /// The arguments are no good.
    Arguments(String),
    /// The master or the network refused: what, and what to try.
    Refused(String, &'static str),
}

impl Problem {
    /// Says it, and returns the exit status.
    #[must_use]
    pub fn say(&self) -> ExitCode {
        match self {
            Self::Arguments(problem) => program::bad_arguments(problem),
            Self::Refused(problem, hint) => program::fail(problem, hint),
        }
    }
}

impl Session {
    /// Starts a client.
    #[must_use]
    pub fn start(client: Client, connector: Connector) -> Self {
        let mut secrets = Secrets::default();
        secrets.add(client.key().expose());
        let (handle, news, run) = client_driver::driver(client, connector, |_, events| events);
        Self { handle, news, run: tokio::spawn(run), secrets, is_key_unknown: false }
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Errors
    /// Why there is none, or not a good one.
    pub async fn call(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError> + Send + 'static,
    ) -> Result<Reply, Problem> {
        let ended = || Problem::Refused("the client has ended".to_owned(), "try again");
        let call =
            self.handle.order(command).await.ok_or_else(ended)?.map_err(|error| self.refused(error))?;
        while let Some(event) = self.news.recv().await {
            match event {
                Event::Answered { id, outcome } if id == call => {
                    return outcome.map_err(|error| self.problem(&error));
                }
                Event::RotationUnknown => self.is_key_unknown = true,
                _ => {}
            }
        }
        Err(ended())
    }

    /// Finds an instance by its ID, or by an alias that no other has.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub async fn find(&mut self, name: &str) -> Result<Instance, Problem> {
        let Reply::List(list) = self.call(|client, now| client.list(now)).await? else {
            return Err(Problem::Refused("the master sent no list".to_owned(), "try again"));
        };
        let id = InstanceId::new(name);
        let all = list.instances.into_iter().chain(list.key_record.map(|record| *record));
        let mut named = Vec::new();
        for instance in all {
            if instance.id == id {
                return Ok(instance);
            }
            if !instance.id.is_key_record() && instance.alias() == Some(name) {
                named.push(instance);
            }
        }
        let name = name.escape_debug();
        match (named.pop(), named.len()) {
            (Some(instance), 0) => Ok(instance),
            (Some(_), more) => Err(Problem::Refused(
                format!("{} instances have the alias {name}", more + 1),
                "give the ID of one; `list` shows them",
            )),
            (None, _) => Err(Problem::Refused(format!("there is no instance {name}"), hint_nothing())),
        }
    }

    fn refused(&self, error: CommandError) -> Problem {
        match error {
            CommandError::TooManyCalls | CommandError::Closed => {
                Problem::Refused(error.to_string(), "try again")
            }
            error => Problem::Arguments(self.secrets.hide(&error.to_string())),
        }
    }

    fn problem(&self, error: &RequestError) -> Problem {
        let text = self.secrets.hide(&error.to_string());
        match error {
            // Nothing was sent.
            RequestError::Url(_) => Problem::Arguments(format!("{text} (--unchecked sends it)")),
            error => Problem::Refused(text, hint(error)),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.run.abort();
    }
}

fn hint_nothing() -> &'static str {
    "`list` shows what there is"
}

/// Returns what to try.
#[must_use]
pub fn hint(error: &RequestError) -> &'static str {
    match error {
        RequestError::Unauthorized(problem) => key_hint(*problem),
        RequestError::Forbidden(_) => "the key record is no instance; `rotate-key` changes it",
        RequestError::NotFound => hint_nothing(),
        RequestError::NotThere => "check the path in --url: it is /api unless the master was told another",
        RequestError::Conflict(_) => "the instance has this URL already",
        RequestError::MethodNotAllowed => "update the master",
        RequestError::WantsTls => "write https:// in --url",
        RequestError::TooLarge { .. } => "try a larger --max-response",
        RequestError::NotRotated => "this master cannot make another key",
        RequestError::Undecodable(_) => "check --url: this may be no master",
        RequestError::Status { .. } => "look at the master's log",
        RequestError::Incomplete { .. } => "set the rest with `alias` and `policy`",
        RequestError::Failure(Failure { kind, .. }) => failure_hint(*kind),
        _ => "check what was asked for",
    }
}

/// Returns what to try when a key is refused.
#[must_use]
pub fn key_hint(problem: KeyProblem) -> &'static str {
    match problem {
        KeyProblem::Missing => "give it with --key-file or NODEPASS_API_KEY",
        KeyProblem::Invalid => "take the key of the master's key file, or of its log",
    }
}

fn failure_hint(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Refused => "check --url, and that the master runs",
        FailureKind::NameResolution => "check the host in --url",
        FailureKind::TimedOut => "check --url, or try a longer --request-timeout",
        FailureKind::PlainHttp => "write http:// in --url",
        FailureKind::Certificate => {
            "give --ca, or --insecure-tls for a master that makes its own certificate"
        }
        _ => "try again, and look at the master's log",
    }
}
