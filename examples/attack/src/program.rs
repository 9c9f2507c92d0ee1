//! A program under attack, or its good peer: a child process that prints one JSON event a line.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long a program may take to start.
const START: Duration = Duration::from_secs(20);

/// What a program logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// As it does by itself.
    Warnings,
    /// All that is there for who looks for a fault; what it prints is kept in a file, too.
    Everything,
}

/// A running program; it is killed when dropped. Its diagnostics go to a file.
pub(crate) struct Program {
    name: String,
    child: Child,
    _stdin: Option<ChildStdin>,
    events: Option<Receiver<Value>>,
    diagnostics: PathBuf,
}

impl Program {
    /// Starts a program with these lines on its stdin, which stays open.
    pub(crate) fn start(
        path: &Path,
        arguments: &[String],
        input: &str,
        folder: &Path,
        log: Log,
    ) -> anyhow::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let diagnostics = folder.join(format!("{name}.stderr"));
        let mut command = Command::new(path);
        command.args(arguments).current_dir(folder).env("RUST_BACKTRACE", "0").env_remove("RUST_LOG");
        if log == Log::Everything {
            command.env("RUST_LOG", "debug");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&diagnostics)?);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", path.display()))?;
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            stdin.write_all(input.as_bytes())?;
        }
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (sender, events) = mpsc::channel();
        let mut printed = (log == Log::Everything)
            .then(|| File::create(folder.join(format!("{name}.stdout"))))
            .transpose()?;
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if printed.as_mut().is_some_and(|printed| printed.write_all(&line).is_err()) {
                    break;
                }
                // What is no event is no use.
                if serde_json::from_slice(&line).is_ok_and(|event| sender.send(event).is_err()) {
                    break;
                }
                line.clear();
            }
            let _ = io::copy(&mut lines, &mut io::sink()); // the program must never wait for us
        });
        Ok(Self { name, child, _stdin: stdin, events: Some(events), diagnostics })
    }

    /// Waits for an event of this name, as a program prints when it has started.
    pub(crate) fn wait(&mut self, name: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.as_ref().and_then(|events| events.recv_timeout(left).ok());
            match event {
                Some(event) if event["event"] == name => return Ok(event),
                Some(_) => {}
                None => bail!("{} says no {name}: {}", self.name, self.diagnostics()),
            }
        }
    }

    /// Returns an event that has not been taken yet.
    pub(crate) fn event(&mut self) -> Option<Value> {
        self.events.as_ref()?.try_recv().ok()
    }

    /// Takes no more events, of which there may be very many.
    pub(crate) fn ignore_events(&mut self) {
        self.events = None;
    }

    /// Says what is wrong if the program has ended or panicked.
    pub(crate) fn is_well(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        let said = self.diagnostics();
        ensure!(!said.contains("panicked"), "{} panicked: {said}", self.name);
        match ended {
            Some(status) => bail!("{} has ended, {status}: {said}", self.name),
            None => Ok(()),
        }
    }

    /// Returns the most memory that was resident so far, in bytes; `None` where the system does not tell.
    pub(crate) fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    }

    /// Returns the end of what it wrote to stderr.
    fn diagnostics(&self) -> String {
        let said = std::fs::read(&self.diagnostics).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        said.char_indices().rev().nth(500).map_or(said.clone(), |(at, _)| said[at..].to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error: it has ended
        let _ = self.child.wait();
    }
}
