//! Carries out the tasks of an agent. Images and config drives are real; whatever would change this machine is
//! simulated and says so.

use crate::agent_driver::Handle;
use crate::config_drive;
use crate::host::{self, Host};
use crate::images::{Cache, Caching, ImageError, Progress};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use teeth_proto::agent::{Event, RunStep, TaskNumber};
use teeth_proto::command::{ConfigDrive, ImageId, LogEntry, TaskCommand, TaskId, Work};
use teeth_proto::wire::Json;

/// How tasks are carried out.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long a simulated task takes. 3 s.
    pub simulation: Duration,
    /// Whether a kexec target may be found. It may.
    pub kexec: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { simulation: Duration::from_secs(3), kexec: true }
    }
}

/// Something that a task has done or pretended to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// The task.
    pub task_id: Option<TaskId>,
    /// What.
    pub step: &'static str,
    /// More about it, for humans.
    pub detail: String,
    /// Whether it was only pretended.
    pub simulated: bool,
}

/// Does the work of an agent's tasks, each in a task of the runtime.
pub struct Workshop {
    cache: Cache,
    /// One config drive at a time.
    drive: Mutex<()>,
    host: Host,
    settings: Settings,
    agent: Handle,
    note: Box<dyn Fn(&Note) + Send + Sync>,
    names: Mutex<BTreeMap<TaskNumber, TaskId>>,
}

impl Workshop {
    /// Makes a workshop for the agent behind a handle; `note` gets what is done. The server gets it as log entries.
    pub fn new(
        cache: Cache,
        settings: Settings,
        agent: Handle,
        note: impl Fn(&Note) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            cache,
            drive: Mutex::default(),
            host: Host::read(),
            settings,
            agent,
            note: Box::new(note),
            names: Mutex::default(),
        })
    }

    /// Begins whatever the event asks for. Does not wait.
    pub fn take(self: &Arc<Self>, event: &Event) {
        match event {
            Event::TaskBegun { task, command: TaskCommand { task_id, work } } => {
                self.remember(*task, task_id);
                tokio::spawn(self.clone().work(*task, work.clone()));
            }
            Event::Step { task, step, .. } => drop(tokio::spawn(self.clone().run(*task, step.clone()))),
            _ => {}
        }
    }

    /// Returns the server's name for a task.
    #[must_use]
    pub fn name(&self, task: TaskNumber) -> Option<TaskId> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&task).cloned()
    }

    fn remember(&self, task: TaskNumber, name: &TaskId) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(task, name.clone());
        if names.len() > MAX_NAMES {
            names.pop_first();
        }
    }

    async fn work(self: Arc<Self>, task: TaskNumber, work: Work) {
        match work {
            Work::DiskErase => {
                let devices = host::block_devices();
                let steps = if devices.is_empty() { vec!["no device".to_owned()] } else { devices };
                self.simulate(task, "erase", &steps).await;
            }
            Work::FirmwareSecure => {
                self.simulate(task, "firmware", &["BIOS", "firmware", "settings"].map(str::to_owned)).await;
            }
            Work::QualityControl { chassis } => self.check(task, &chassis).await,
            Work::CacheImages { images } => self.blocking(move |shop| shop.cache_images(task, &images)).await,
            Work::PrepareImage { image } => self.blocking(move |shop| shop.prepare(task, &image)).await,
            Work::RunImage { .. } => {} // comes step by step
            other => self.fail(task, &format!("{} is not supported", other.method())).await,
        }
    }

    async fn run(self: Arc<Self>, task: TaskNumber, step: RunStep) {
        match step {
            RunStep::WriteConfigDrive { settings, .. } => {
                self.blocking(move |shop| shop.write_config_drive(task, &settings)).await;
            }
            RunStep::SetUpBootLoader { image } => {
                let state = if self.cache.has(&image) { "which is cached" } else { "which is not cached" };
                self.tell(task, "boot_loader", format!("for image {image}, {state}"), true).await;
                self.order_step_done(task).await;
            }
            RunStep::FindKexecTarget { .. } => {
                let viable = self.settings.kexec && host::can_kexec();
                let detail = if viable { "there is one" } else { "there is none" };
                self.tell(task, "kexec_target", detail.to_owned(), false).await;
                report(self.agent.order(move |agent, now| agent.kexec_target(task, viable, now)).await);
            }
            RunStep::Kexec { image } => self.tell(task, "kexec", format!("into image {image}"), true).await,
            RunStep::Reboot { image } => self.tell(task, "reboot", format!("into image {image}"), true).await,
            other => self.fail(task, &format!("the step {other:?} is not supported")).await,
        }
    }

    // Real work, on blocking threads

    async fn blocking(self: Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let shop = self.clone();
        let _ = tokio::task::spawn_blocking(move || work(&shop)).await; // an error: the runtime is ending
    }

    fn cache_images(&self, task: TaskNumber, images: &[ImageId]) {
        let mut caching = Caching::default();
        let outcome = self.cache.cache(images, &mut caching, &mut self.meter(task));
        if matches!(outcome, Err(ImageError::GivenUp)) {
            return;
        }
        let Caching { held, missing } = caching;
        self.note(task, "cached", format!("{} of {} images", held.len(), images.len()), false);
        let problem = match (outcome, missing.is_empty()) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(()), false) => {
                let missing: Vec<String> =
                    missing.into_iter().map(|image| ImageError::Missing(image).to_string()).collect();
                Some(missing.join(", "))
            }
            (Ok(()), true) => None,
        };
        report(self.agent.order_blocking(move |agent, now| {
            agent.held(task, held, now)?;
            match problem {
                Some(problem) => agent.fail(task, &problem, now),
                None => agent.complete(task, now),
            }
        }));
    }

    fn prepare(&self, task: TaskNumber, image: &ImageId) {
        let outcome = self.cache.prepare(image, &mut self.meter(task));
        if outcome.is_ok() {
            self.note(task, "prepared", format!("image {image}, its digest is right"), false);
        }
        report(self.agent.order_blocking(move |agent, now| match outcome {
            Ok(()) => agent.complete(task, now),
            Err(error) => agent.fail(task, &error.to_string(), now),
        }));
    }

    fn write_config_drive(&self, task: TaskNumber, settings: &ConfigDrive) {
        let written = {
            let _drive = self.drive.lock().unwrap_or_else(PoisonError::into_inner);
            config_drive::write(self.cache.folder(), settings)
        };
        match written {
            Ok(folder) => {
                let files = settings.files().map_or(0, |files| files.len());
                self.note(task, "config_drive", format!("{files} files in {}", folder.display()), false);
                report(self.agent.order_blocking(move |agent, now| agent.step_done(task, now)));
            }
            Err(error) => {
                report(self.agent.order_blocking(move |agent, now| {
                    agent.fail(task, &format!("the config drive cannot be written: {error}"), now)
                }));
            }
        }
    }

    /// Hands progress on, not more often than anybody looks, and gives up once the agent has ended.
    fn meter(&self, task: TaskNumber) -> impl FnMut(Progress) -> ControlFlow<()> {
        let mut last = None;
        move |Progress { done, total }| {
            if last.is_some_and(|last: Instant| last.elapsed() < Duration::from_millis(20)) {
                return ControlFlow::Continue(());
            }
            last = Some(Instant::now());
            let percent = if total == 0 { 0.0 } else { (done as f64 / total as f64 * 1000.0).floor() / 10.0 };
            match self.agent.order_blocking(move |agent, now| agent.progress(task, percent, None, now)) {
                Some(Ok(())) => ControlFlow::Continue(()),
                Some(Err(_)) | None => ControlFlow::Break(()),
            }
        }
    }

    // Pretended work

    async fn simulate(&self, task: TaskNumber, step: &'static str, parts: &[String]) {
        for (place, part) in parts.iter().enumerate() {
            self.tell(task, step, part.clone(), true).await;
            for tenth in 0..10 {
                let done = (place * 10 + tenth) as f64 / (parts.len() * 10) as f64;
                let rest = self.settings.simulation.mul_f64(1.0 - done);
                let told =
                    self.agent.order(move |agent, now| agent.progress(task, done * 100.0, Some(rest), now));
                if !matches!(told.await, Some(Ok(()))) {
                    return; // nobody wants it any more
                }
                tokio::time::sleep(self.settings.simulation / (parts.len() as u32 * 10)).await;
            }
        }
        report(self.agent.order(move |agent, now| agent.complete(task, now)).await);
    }

    /// Compares what the specification says about processors and memory with this machine; the rest is pretended.
    async fn check(&self, task: TaskNumber, chassis: &Json) {
        let findings = compare(chassis, &self.host);
        for finding in &findings {
            let detail = format!("{}: {} wanted, {} there", finding.what, finding.wanted, finding.there);
            self.tell(task, "check", detail, false).await;
        }
        let problems: Vec<String> = findings
            .iter()
            .filter(|finding| !finding.is_good())
            .map(|finding| format!("{}: {} wanted, {} there", finding.what, finding.wanted, finding.there))
            .collect();
        if problems.is_empty() {
            self.simulate(task, "check", &["everything else".to_owned()]).await;
        } else {
            self.fail(task, &problems.join(", ")).await;
        }
    }

    // What is said

    async fn tell(&self, task: TaskNumber, step: &'static str, detail: String, simulated: bool) {
        let entry = self.print(task, step, detail, simulated);
        let _ = self.agent.order(move |agent, now| agent.log(&entry, now)).await; // no connection, no log
    }

    fn note(&self, task: TaskNumber, step: &'static str, detail: String, simulated: bool) {
        let entry = self.print(task, step, detail, simulated);
        let _ = self.agent.order_blocking(move |agent, now| agent.log(&entry, now));
    }

    fn print(&self, task: TaskNumber, step: &'static str, detail: String, simulated: bool) -> LogEntry {
        let note = Note { task_id: self.name(task), step, detail, simulated };
        (self.note)(&note);
        note.log_entry()
    }

    async fn order_step_done(&self, task: TaskNumber) {
        report(self.agent.order(move |agent, now| agent.step_done(task, now)).await);
    }

    async fn fail(&self, task: TaskNumber, problem: &str) {
        let problem = problem.to_owned();
        report(self.agent.order(move |agent, now| agent.fail(task, &problem, now)).await);
    }
}

impl Note {
    fn log_entry(&self) -> LogEntry {
        let simulated = if self.simulated { " (simulated)" } else { "" };
        let mut entry = log_entry(format!("{}: {}{simulated}", self.step, self.detail));
        let task_id = self.task_id.as_ref().map(|task_id| ("task_id".to_owned(), task_id.json().clone()));
        entry.fields.extend(task_id);
        entry
    }
}

/// Makes a log entry of this moment.
#[must_use]
pub fn log_entry(message: impl Into<String>) -> LogEntry {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LogEntry::new(message, time.as_secs_f64())
}

/// A task that is over, or an agent that is, needs no further word.
fn report<E: std::fmt::Display>(outcome: Option<Result<(), E>>) {
    if let Some(Err(error)) = outcome {
        tracing::debug!(%error, "an order was refused");
    }
}

struct Finding {
    what: &'static str,
    wanted: u64,
    there: u64,
    /// How much of what is wanted is enough.
    enough: f64,
}

impl Finding {
    fn is_good(&self) -> bool {
        self.there as f64 >= self.wanted as f64 * self.enough
    }
}

/// Specifications are open JSON; what is not understood is not compared.
fn compare(chassis: &Json, host: &Host) -> Vec<Finding> {
    let chassis: Value = chassis.decode().unwrap_or_default();
    let amount = |names: &[&str]| names.iter().find_map(|name| amount(chassis.get(name)?));
    let memory = amount(&["memory", "memory_bytes"]);
    let memory =
        memory.or_else(|| amount(&["memory_mb"]).and_then(|mebibytes| mebibytes.checked_mul(1 << 20)));
    let cpus = amount(&["cpus", "cpu_count"]);
    let finding = |what, wanted: Option<u64>, there: Option<u64>, enough| {
        Some(Finding { what, wanted: wanted?, there: there?, enough })
    };
    // Firmware and kernel keep some of the memory for themselves.
    let findings = [finding("cpus", cpus, host.cpus, 1.0), finding("memory", memory, host.memory, 0.9)];
    findings.into_iter().flatten().collect()
}

/// A number, a list of that many things, or an object that says how many.
fn amount(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::Array(things) => Some(things.len() as u64),
        Value::Object(members) => {
            ["count", "total", "bytes"].iter().find_map(|name| members.get(*name)?.as_u64())
        }
        _ => None,
    }
}

const MAX_NAMES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(chassis: &str) -> Vec<&'static str> {
        let mut host = Host::default();
        (host.cpus, host.memory) = (Some(4), Some(8_000_000_000));
        let findings = compare(&Json::parse(chassis).unwrap_or(Json::null()), &host);
        findings.iter().filter(|finding| !finding.is_good()).map(|finding| finding.what).collect()
    }

    #[test]
    fn a_specification_is_compared_as_far_as_it_is_understood() {
        assert_eq!(problems(r#"{"cpus": 4, "memory": 8500000000, "disks": ["a"]}"#), [""; 0]);
        assert_eq!(problems(r#"{"cpus": [{}, {}, {}, {}, {}], "memory": {"total": 1}}"#), ["cpus"]);
        assert_eq!(problems(r#"{"cpus": {"count": 8}, "memory_mb": 16384}"#), ["cpus", "memory"]);
        assert_eq!(problems(r#"{"cpus": "many", "memory": -1}"#), [""; 0]);
        assert_eq!(problems(r#""a chassis""#), [""; 0]);
    }
}
