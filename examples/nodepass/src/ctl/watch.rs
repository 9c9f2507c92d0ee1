//! Follows a master: as a table on a terminal, as lines elsewhere.

use super::arguments::{Arguments, WatchArguments};
use super::prepare;
use super::screen::{Screen, View, log_line};
use super::session::{Problem, key_hint};
use super::teller::{News, Teller};
use crate::client_driver::{self, Handle};
use crate::state_file;
use nodepass_api::Secret;
use nodepass_api::client::KeyProblem;
use nodepass_api::fleet::{LogEntry, LogQuery};
use nodepass_api::wire::InstanceId;
use program::Printer;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// How often a table is drawn.
const FRAME: Duration = Duration::from_millis(250);

/// Follows a master until `end`.
///
/// # Errors
/// The arguments are no good, or the master refuses the key and there is no other.
pub async fn run(
    arguments: &Arguments,
    watch: &WatchArguments,
    end: impl Future<Output = ()>,
) -> Result<ExitCode, Problem> {
    let is_live = !arguments.json && !watch.lines && std::io::stdout().is_terminal();
    let mut config = prepare::config(arguments).map_err(Problem::Arguments)?;
    prepare::watch(&mut config, watch);
    config.tells_events = !is_live;
    let log_file = watch.log_file.as_ref().map(|path| {
        let file = File::options().create(true).append(true).open(path);
        file.map_err(|error| Problem::Arguments(format!("--log-file: {}: {error}", path.display())))
    });
    let log_file = log_file.transpose()?;
    let key = config.key.clone();
    let (client, connector) = prepare::client(arguments, config).map_err(Problem::Arguments)?;
    let teller = Teller { logs: query(watch), tells_instances: !is_live, is_full: arguments.json };
    let (client, news, driver) =
        client_driver::driver(client, connector, move |client, events| teller.tell(client, events));
    let driver = tokio::spawn(driver);
    let output = Output {
        printer: Printer::new(arguments.json),
        screen: is_live.then(Screen::new),
        log_file,
        is_json: arguments.json,
    };
    let keys = Keys { file: arguments.key_file.clone(), key, was_good: false, refused: None };
    let mut follower = Follower { client, output, keys };
    let outcome = follower.follow(news, watch.key_retry, end).await;
    driver.abort();
    outcome
}

fn query(watch: &WatchArguments) -> Option<LogQuery> {
    watch.logs.then(|| LogQuery {
        at_least: watch.level.map(Into::into),
        contains: watch.grep.as_deref().map(Into::into),
        ..LogQuery::default()
    })
}

struct Follower {
    client: Handle,
    output: Output,
    keys: Keys,
}

impl Follower {
    async fn follow(
        &mut self,
        mut news: mpsc::Receiver<News>,
        key_retry: Duration,
        end: impl Future<Output = ()>,
    ) -> Result<ExitCode, Problem> {
        let mut end = std::pin::pin!(end);
        let mut is_ending = false;
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retries = interval(key_retry.max(Duration::from_millis(1)));
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                oldest = news.recv() => match oldest {
                    Some(news) => self.take(news).await?,
                    None => break, // the client has ended
                },
                _ = retries.tick(), if self.keys.refused.is_some() => self.try_key().await,
                _ = frames.tick(), if self.output.screen.is_some() => self.draw().await,
                () = &mut end, if !is_ending => {
                    is_ending = true;
                    self.draw().await;
                    self.client.order(|client, now| client.close(now)).await;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn take(&mut self, news: News) -> Result<(), Problem> {
        match news {
            News::Event(name, members) => {
                if matches!(name, "synced" | "info") {
                    self.keys.was_good = true;
                    self.keys.refused = None;
                }
                self.output.event(name, members);
            }
            News::Log(id, entry) => self.output.log(&id, &entry),
            News::KeyRefused(problem) => {
                self.keys.refused = Some(problem);
                self.try_key().await;
                if self.keys.refused.is_some() && !self.keys.may_change() {
                    let text = format!("{}: {problem}", self.endpoint().await);
                    return Err(Problem::Refused(text, key_hint(problem)));
                }
            }
            News::KeyRotated(key) => {
                self.keys.key = key;
                let written = self.keys.write();
                if let Some((name, members)) = written {
                    self.output.event(name, members);
                }
            }
        }
        Ok(())
    }

    /// Looks for another key in the file, and uses it.
    async fn try_key(&mut self) {
        let Some(key) = self.keys.other() else { return };
        self.keys.key = key.clone();
        let set = self.client.order(move |client, now| client.set_key(key, now)).await;
        match set {
            Some(Err(error)) => self.output.event("key_refused", json!({"error": error.to_string()})),
            _ => {
                self.keys.refused = None;
                self.output.event("key_read", json!({"file": self.keys.name()}));
            }
        }
    }

    async fn draw(&mut self) {
        let Some(screen) = &mut self.output.screen else { return };
        let room = screen.room();
        if let Some(view) = self.client.order(move |client, _| View::of(client, room)).await {
            screen.draw(&view);
        }
    }

    async fn endpoint(&self) -> String {
        let endpoint = self.client.order(|client, _| client.config().endpoint.to_string()).await;
        endpoint.unwrap_or_default()
    }
}

/// The key, and where another one may come from.
struct Keys {
    file: Option<PathBuf>,
    key: Secret,
    /// Whether the master has taken one: then somebody has made another, and the file will have it soon.
    was_good: bool,
    refused: Option<KeyProblem>,
}

impl Keys {
    fn may_change(&self) -> bool {
        self.file.is_some() && self.was_good
    }

    fn name(&self) -> String {
        self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    }

    /// Returns the key of the file, if it is another one than that which is in use.
    fn other(&self) -> Option<Secret> {
        let key = prepare::read_key(self.file.as_ref()?).ok()?;
        (key != self.key).then_some(key)
    }

    /// Keeps a key that the master itself has told.
    fn write(&self) -> Option<(&'static str, Value)> {
        let file = self.file.as_ref()?;
        let mut members = json!({"file": self.name()});
        if let Err(error) = state_file::write(file, format!("{}\n", self.key.expose()).as_bytes()) {
            members["error"] = error.to_string().into();
        }
        Some(("key_written", members))
    }
}

/// Where news are shown.
struct Output {
    printer: Printer,
    screen: Option<Screen>,
    log_file: Option<File>,
    is_json: bool,
}

impl Output {
    fn event(&mut self, name: &str, members: Value) {
        match &mut self.screen {
            Some(_) if name == "info" => {}
            Some(screen) => screen.note(&note(name, &members)),
            None => self.printer.event(name, members),
        }
    }

    fn log(&mut self, id: &InstanceId, entry: &LogEntry) {
        if let Some(file) = &mut self.log_file
            && let Err(error) = writeln!(file, "{}", log_line(id, entry))
        {
            tracing::error!(%error, "a line was not written to the log file");
        }
        match &mut self.screen {
            Some(screen) => screen.note(&log_line(id, entry)),
            None if self.is_json => {
                let mut members = serde_json::to_value(entry).unwrap_or_default();
                members["id"] = id.as_str().into();
                self.printer.event("log", members);
            }
            None => {
                let mut stdout = std::io::stdout().lock();
                let written = writeln!(stdout, "{}", log_line(id, entry));
                let _ = written.and_then(|()| stdout.flush()); // an error: the reader has gone away
            }
        }
    }
}

/// An event as a line below the table.
fn note(name: &str, members: &Value) -> String {
    let mut line = name.to_owned();
    for (member, value) in members.as_object().into_iter().flatten() {
        line.push_str(&match value {
            Value::String(text) => format!(" {member}={text}"),
            value => format!(" {member}={value}"),
        });
    }
    line
}
