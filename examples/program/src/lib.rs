//! What the example programs share: printing events, diagnostics, waiting, and ending in order.

#[cfg(feature = "http")]
pub mod body;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "files")]
pub mod file;
#[cfg(feature = "http")]
pub mod server;
#[cfg(feature = "tls")]
pub mod tls;

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints events on stdout: one JSON object a line, or short lines for people.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    json: bool,
    color: bool,
}

impl Printer {
    /// Returns a printer; lines for people are coloured on a terminal only.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json, color: !json && std::io::stdout().is_terminal() }
    }

    /// Prints an event, flushed at once. A reader that has gone away is no reason to fail.
    pub fn event(self, name: &str, members: Value) {
        let line = if self.json { json_line(name, members) } else { self.text_line(name, &members) };
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }

    fn text_line(self, name: &str, members: &Value) -> String {
        let failed = members.get("error").is_some() || members.get("ok") == Some(&Value::Bool(false));
        let mut line = match (self.color, failed) {
            (true, true) => format!("\x1b[31m{name:<12}\x1b[0m"),
            (true, false) => format!("\x1b[32m{name:<12}\x1b[0m"),
            (false, _) => format!("{name:<12}"),
        };
        for (member, value) in members.as_object().into_iter().flatten() {
            let _ = match value {
                Value::String(text) => write!(line, " {}={}", member.escape_debug(), text.escape_debug()),
                value => write!(line, " {}={}", member.escape_debug(), visible(&value.to_string())),
            };
        }
        line
    }
}

/// Returns an event as one JSON object. The name comes first, whatever the members are called.
#[must_use]
pub fn json_line(name: &str, members: Value) -> String {
    let name = Value::from(name);
    match members {
        Value::Object(members) if !members.is_empty() => {
            let members = Value::Object(members).to_string();
            format!("{{\"event\":{name},{}", &members[1..])
        }
        _ => format!("{{\"event\":{name}}}"),
    }
}

/// Returns JSON as it may go to a terminal. What JSON itself does not escape, as U+009B, which begins a command, is escaped.
fn visible(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '"' | '\'' | '\\' => line.push(character),
            other => line.extend(other.escape_debug()),
        }
    }
    line
}

/// Sends diagnostics to stderr, as `RUST_LOG` asks (`warn` unless set).
pub fn init_diagnostics() {
    let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

/// Reads a duration as in `3s`, `250ms`, `1h`; a bare number is seconds.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// A duration, or none.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub Option<Duration>);

/// Reads a duration, or `never`.
///
/// # Errors
/// As [`duration`].
pub fn limit(text: &str) -> Result<Limit, String> {
    if text == "never" { Ok(Limit(None)) } else { duration(text).map(|duration| Limit(Some(duration))) }
}

/// Sleeps until the deadline of a machine, or for ever if it has none.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C, SIGTERM, or the end of the time that the program may run.
pub async fn end(limit: Option<Duration>) {
    let limit = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
        () = limit => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Says on stderr what went wrong and what to try, and returns exit status 1.
#[must_use]
pub fn fail(problem: impl std::fmt::Display, hint: &str) -> ExitCode {
    eprintln!("error: {problem}; {hint}");
    ExitCode::from(1)
}

/// Says on stderr what is wrong with the arguments or the settings, and returns exit status 2.
#[must_use]
pub fn bad_arguments(problem: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {problem}; see --help");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_lines_start_with_the_name_of_the_event() {
        let line = json_line("report", json!({"addr": "http://h/", "status": 200}));
        assert_eq!(line, r#"{"event":"report","addr":"http://h/","status":200}"#);
    }

    #[test]
    fn text_of_a_peer_cannot_move_the_cursor() {
        let printer = Printer { json: false, color: false };
        assert_eq!(printer.text_line("x", &json!({"a": "\u{1b}[2J"})), "x            a=\\u{1b}[2J");
        let nested = json!({"a": ["\u{9b}2J", {"b\u{7f}": "\u{1b}\u{202e}'é\"\\"}], "\u{9b}c": 1});
        let line = printer.text_line("x", &nested);
        let expected = r#"x            a=["\u{9b}2J",{"b\u{7f}":"\u001b\u{202e}'é\"\\"}] \u{9b}c=1"#;
        assert_eq!(line, expected);
    }
}
