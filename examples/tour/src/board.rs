//! What the tour shows: a live table on a terminal, lines elsewhere, or JSON.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How to show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Json,
    Live,
    Lines,
}

/// All rows.
pub(crate) struct Board {
    look: Look,
    progress: MultiProgress,
    rows: Mutex<Vec<Arc<Row>>>,
}

/// One protocol.
pub(crate) struct Row {
    look: Look,
    protocol: &'static str,
    expected: Vec<&'static str>,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: Vec<&'static str>,
    link: &'static str,
    sent: u64,
    received: u64,
    latency: Duration,
    failure: Option<String>,
}

impl Board {
    pub(crate) fn new(look: Look) -> Self {
        Self { look, progress: MultiProgress::new(), rows: Mutex::default() }
    }

    /// Adds a row whose steps have to happen in this order.
    pub(crate) fn row(&self, protocol: &'static str, steps: &[&'static str], profile: &str) -> Arc<Row> {
        let bar = (self.look == Look::Live).then(|| {
            let bar = self.progress.add(ProgressBar::new_spinner());
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is constant"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let row = Arc::new(Row {
            look: self.look,
            protocol,
            expected: steps.to_vec(),
            bar,
            state: Mutex::default(),
        });
        row.say(
            "profile",
            json!({"protocol": protocol, "profile": profile}),
            &format!("{protocol}: {profile}"),
        );
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row.clone());
        row
    }

    /// Prints a line a protocol and returns whether every row did all its steps.
    pub(crate) fn summary(&self) -> bool {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = true;
        let mut protocols = Vec::new();
        for row in rows.iter() {
            let (ok, line, object) = row.summary();
            all &= ok;
            protocols.push(object);
            if let Some(bar) = &row.bar {
                bar.finish_and_clear();
            }
            if self.look != Look::Json {
                print_line(&line);
            }
        }
        if self.look == Look::Json {
            print_line(&program::json_line("summary", json!({"ok": all, "protocols": protocols})));
        }
        all
    }
}

impl Row {
    /// A step happened.
    pub(crate) fn step(&self, step: &'static str, detail: &str) {
        self.with(|state| state.done.push(step));
        self.say(
            "step",
            json!({"protocol": self.protocol, "step": step, "ok": true, "detail": detail}),
            &format!("{:<10} ok    {step:<22} {detail}", self.protocol),
        );
    }

    /// The link changed.
    pub(crate) fn link(&self, link: &'static str) {
        self.with(|state| state.link = link);
    }

    /// Messages went over it.
    pub(crate) fn traffic(&self, sent: u64, received: u64, latency: Duration) {
        self.with(|state| (state.sent, state.received, state.latency) = (sent, received, latency));
    }

    /// The row is over. Every step that did not happen is said.
    pub(crate) fn end(&self, outcome: Result<(), String>) {
        let problem = outcome.err();
        let missing: Vec<_> = self
            .with(|state| self.expected.iter().filter(|step| !state.done.contains(step)).copied().collect());
        for step in missing {
            let detail = problem.as_deref().unwrap_or("it did not happen");
            self.say(
                "step",
                json!({"protocol": self.protocol, "step": step, "ok": false, "detail": detail}),
                &format!("{:<10} FAIL  {step:<22} {detail}", self.protocol),
            );
        }
        self.with(|state| state.failure = problem);
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        if let Some(bar) = &self.bar {
            let State { done, link, sent, received, latency, .. } = &*state;
            let last = done.last().unwrap_or(&"starting");
            bar.set_message(format!(
                "{:<10} {link:<10} {sent:>5} sent {received:>5} received {latency:>9.1?}  {}/{} {last}",
                self.protocol,
                done.len(),
                self.expected.len()
            ));
        }
        result
    }

    fn say(&self, event: &str, members: Value, line: &str) {
        match (self.look, &self.bar) {
            (Look::Json, _) => print_line(&program::json_line(event, members)),
            (Look::Lines, _) | (Look::Live, None) => print_line(line),
            (Look::Live, Some(bar)) => bar.println(line),
        }
    }

    fn summary(&self) -> (bool, String, Value) {
        self.with(|state| {
            let ok = state.failure.is_none() && self.expected.iter().all(|step| state.done.contains(step));
            let line = format!(
                "{:<10} {}  {}/{} steps, {} messages sent, {} received, last answer after {:.1?}{}",
                self.protocol,
                if ok { "done  " } else { "FAILED" },
                state.done.len(),
                self.expected.len(),
                state.sent,
                state.received,
                state.latency,
                state.failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default()
            );
            let object = json!({
                "protocol": self.protocol, "ok": ok, "steps": state.done.len(), "of": self.expected.len(),
                "sent": state.sent, "received": state.received, "error": state.failure,
            });
            (ok, line, object)
        })
    }
}

/// A reader that has gone away is no reason to fail.
fn print_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
