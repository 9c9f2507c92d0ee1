//! Programs as they are run: child processes that take lines on stdin and print one JSON event a line on stdout.
//!
//! ```no_run
//! use serde_json::json;
//! use testkit::program::{Program, any};
//!
//! let mut command = std::process::Command::new("teeth-server");
//! command.args(["--listen", "127.0.0.1:0", "--json"]);
//! let mut server = Program::start(command);
//! let address = server.listening();
//! server.write(&json!({"method": "status"}));
//! assert_eq!(server.until("error", any)["error"], "no agent is connected");
//! # let _ = address;
//! ```

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a program may take for anything: far more than it needs on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running program; it is killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    events: mpsc::Receiver<Value>,
    seen: Vec<String>,
}

impl Program {
    /// Starts a program, with its stdin, stdout and stderr held by the test.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.expect("every line is UTF-8");
                let event = serde_json::from_str(&line).expect("every line is JSON");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, events, seen: Vec::new() }
    }

    /// Returns the address of a listener, which is its first event.
    ///
    /// # Panics
    /// The first event is another one, or does not come within [`LIMIT`].
    #[must_use]
    pub fn listening(&mut self) -> String {
        let listening = self.events.recv_timeout(LIMIT).expect("a listener says where");
        assert_eq!(listening["event"], "listening");
        self.seen.push(listening.to_string());
        listening["addr"].as_str().expect("the address is a text").to_owned()
    }

    /// Writes a line of JSON to stdin.
    ///
    /// # Panics
    /// It does not take it.
    pub fn write(&mut self, line: &Value) {
        self.write_text(&line.to_string());
    }

    /// Writes any line to stdin.
    ///
    /// # Panics
    /// It does not take it.
    pub fn write_text(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    /// Ends stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Returns the first event of that name that `wanted` accepts, passing over all before it.
    ///
    /// # Panics
    /// There is none within [`LIMIT`]; the text has what was printed instead.
    pub fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let event =
                self.events.recv_timeout(wait).unwrap_or_else(|_| panic!("no {name}: {:#?}", self.seen));
            self.seen.push(event.to_string());
            if event["event"] == name && wanted(&event) {
                return event;
            }
        }
    }

    /// Waits for its end; returns the exit status and what it wrote to stderr.
    ///
    /// # Panics
    /// It does not end within [`LIMIT`], or has been waited for before.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("it ends once");
        pipe.read_to_string(&mut stderr).expect("diagnostics are UTF-8");
        (status, stderr)
    }

    /// Sends it SIGTERM.
    ///
    /// # Panics
    /// It cannot be sent.
    #[cfg(unix)]
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a `kill`").success());
    }

    /// Returns all events that were taken so far, as texts.
    #[must_use]
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error: it has ended
        let _ = self.child.wait();
    }
}

/// Accepts any event, for [`Program::until`].
#[must_use]
pub fn any(_: &Value) -> bool {
    true
}
