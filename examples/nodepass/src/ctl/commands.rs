//! Every command but `watch`.

use super::arguments::{Arguments, Command, RulesArgument, Switch};
use super::mask;
use super::prepare;
use super::session::{Problem, Session};
use crate::state_file;
use nodepass_api::client::{List, Reply};
use nodepass_api::fleet::InstanceRecord;
use nodepass_api::url::InstanceUrl;
use nodepass_api::wire::{Action, Instance, PatchInstance, TcpingResult};
use program::{Printer, fail};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Carries out a command.
///
/// # Errors
/// Why it failed.
pub async fn run(arguments: &Arguments, printer: Printer) -> Result<ExitCode, Problem> {
    if let Command::Url { url, rules } = &arguments.command {
        return explain(url, *rules, printer);
    }
    let mut config = prepare::config(arguments).map_err(Problem::Arguments)?;
    if let Command::Create { url, .. } | Command::Put { url, .. } = &arguments.command {
        config.checks_urls = !url.unchecked;
    }
    if let (Command::RotateKey, None) = (&arguments.command, &arguments.key_file) {
        return Err(Problem::Arguments("rotate-key needs --key-file, where the new key is put".to_owned()));
    }
    let (client, connector) = prepare::client(arguments, config).map_err(Problem::Arguments)?;
    let mut commands =
        Commands { session: Session::start(client, connector), printer, is_json: arguments.json };
    commands.run(arguments).await
}

struct Commands {
    session: Session,
    printer: Printer,
    is_json: bool,
}

impl Commands {
    async fn run(&mut self, arguments: &Arguments) -> Result<ExitCode, Problem> {
        match &arguments.command {
            Command::List => self.list().await,
            Command::Get { id } => self.get(id).await,
            Command::Create { url, alias } => self.create(&url.url, alias.clone()).await,
            Command::Start { id } => self.act(id, Action::Start).await,
            Command::Stop { id } => self.act(id, Action::Stop).await,
            Command::Restart { id } => self.act(id, Action::Restart).await,
            Command::Reset { id } => self.act(id, Action::Reset).await,
            Command::Alias { id, name } => {
                let alias = Some(name.as_str().into());
                self.patch(id, PatchInstance { alias, ..PatchInstance::default() }).await
            }
            Command::Policy { id, policy } => {
                let restart = Some(*policy == Switch::On);
                self.patch(id, PatchInstance { restart, ..PatchInstance::default() }).await
            }
            Command::Put { id, url } => self.put(id, &url.url).await,
            Command::Delete { id } => self.delete(id).await,
            Command::RotateKey => self.rotate(arguments.key_file.as_deref()).await,
            Command::Info => self.info().await,
            Command::Tcping { target, count, interval } => self.tcping(target, *count, *interval).await,
            Command::Export { file } => self.export(file).await,
            Command::Recreate { file } => self.recreate(file).await,
            Command::Url { .. } | Command::Watch(_) => Ok(ExitCode::SUCCESS),
        }
    }

    async fn all(&mut self) -> Result<List, Problem> {
        match self.session.call(|client, now| client.list(now)).await? {
            Reply::List(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    async fn list(&mut self) -> Result<ExitCode, Problem> {
        let mut list = self.all().await?;
        list.instances.sort_by(|one, other| one.id.cmp(&other.id));
        for instance in &list.instances {
            self.print(instance);
        }
        if let Some(record) = &list.key_record {
            self.print(record);
        }
        self.printer.event("listed", json!({"instances": list.instances.len()}));
        Ok(ExitCode::SUCCESS)
    }

    async fn get(&mut self, name: &str) -> Result<ExitCode, Problem> {
        let id = self.session.find(name).await?.id;
        let reply = self.session.call(move |client, now| client.get(&id, now)).await?;
        self.show(reply)
    }

    async fn create(&mut self, url: &str, alias: Option<String>) -> Result<ExitCode, Problem> {
        let url = self.instance_url(url)?;
        let create = self.session.call(move |client, now| client.create(&url, alias.as_deref(), now));
        let reply = create.await?;
        self.show(reply)
    }

    async fn act(&mut self, name: &str, action: Action) -> Result<ExitCode, Problem> {
        self.patch(name, PatchInstance::action(action)).await
    }

    async fn patch(&mut self, name: &str, patch: PatchInstance) -> Result<ExitCode, Problem> {
        let id = self.session.find(name).await?.id;
        let reply = self.session.call(move |client, now| client.patch(&id, patch, now)).await?;
        self.show(reply)
    }

    async fn put(&mut self, name: &str, url: &str) -> Result<ExitCode, Problem> {
        let url = self.instance_url(url)?;
        let id = self.session.find(name).await?.id;
        let reply = self.session.call(move |client, now| client.put(&id, &url, now)).await?;
        self.show(reply)
    }

    async fn delete(&mut self, name: &str) -> Result<ExitCode, Problem> {
        let id = self.session.find(name).await?.id;
        let gone = id.clone();
        self.session.call(move |client, now| client.delete(&id, now)).await?;
        self.printer.event("deleted", json!({"id": gone.as_str()}));
        Ok(ExitCode::SUCCESS)
    }

    async fn rotate(&mut self, file: Option<&Path>) -> Result<ExitCode, Problem> {
        let file = file.unwrap_or(Path::new(""));
        // A new key that cannot be kept would be lost: better to know before there is one.
        let old = prepare::read_key(file).map_err(Problem::Arguments)?;
        write_key(file, &old)?;
        match self.session.call(|client, now| client.rotate_key(now)).await {
            Ok(Reply::Key(new)) => {
                write_key(file, &new)?;
                self.printer.event("key_rotated", json!({"file": file.display().to_string()}));
                Ok(ExitCode::SUCCESS)
            }
            Ok(other) => Err(unexpected(&other)),
            Err(Problem::Refused(problem, _)) if self.session.is_key_unknown => Err(Problem::Refused(
                format!("{problem}, and nobody knows whether the key is another one now"),
                "look into the master's key file or log",
            )),
            Err(problem) => Err(problem),
        }
    }

    async fn info(&mut self) -> Result<ExitCode, Problem> {
        match self.session.call(|client, now| client.ask(now)).await? {
            Reply::Info(info) => {
                self.printer.event("info", serde_json::to_value(&info).unwrap_or_default());
                Ok(ExitCode::SUCCESS)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn tcping(&mut self, target: &str, count: u32, interval: Duration) -> Result<ExitCode, Problem> {
        let mut series = Series::default();
        for number in 0..count {
            if number > 0 {
                tokio::time::sleep(interval).await;
            }
            let to = target.to_owned();
            match self.session.call(move |client, now| client.tcping(&to, now)).await? {
                Reply::Tcping(result) => {
                    self.printer.event("tcping", tcping(&result));
                    series.add(&result);
                }
                other => return Err(unexpected(&other)),
            }
        }
        if count > 1 {
            self.printer.event("summary", series.members());
        }
        match series.good {
            0 => Ok(fail(
                format!("the master cannot connect to {}", target.escape_debug()),
                "check the target; the master's error is above",
            )),
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    async fn export(&mut self, file: &Path) -> Result<ExitCode, Problem> {
        let list = self.all().await?;
        let records: Vec<InstanceRecord> = list.instances.iter().map(Into::into).collect();
        let text = serde_json::to_string_pretty(&records).unwrap_or_default();
        state_file::write(file, text.as_bytes()).map_err(|error| {
            Problem::Refused(format!("{}: {error}", file.display()), "choose another file")
        })?;
        let members = json!({"file": file.display().to_string(), "instances": records.len()});
        self.printer.event("exported", members);
        Ok(ExitCode::SUCCESS)
    }

    /// Goes on after a failure, and says at the end how many there were.
    async fn recreate(&mut self, file: &Path) -> Result<ExitCode, Problem> {
        let named =
            |error: &dyn std::fmt::Display| Problem::Arguments(format!("{}: {error}", file.display()));
        let text = std::fs::read(file).map_err(|error| named(&error))?;
        let records: Vec<InstanceRecord> = serde_json::from_slice(&text).map_err(|_| named(&"no export"))?;
        let (all, mut failures) = (records.len(), 0);
        for record in records {
            let from = record.id.clone();
            self.session.secrets.add_url(&record.url);
            match self.session.call(move |client, now| client.recreate(&record, now)).await {
                Ok(Reply::Instance { instance, ignored }) => {
                    let mut members = json!({"from": from.as_str(), "id": instance.id.as_str()});
                    if !ignored.is_empty() {
                        failures += 1;
                        members["ignored"] = ignored.iter().map(ToString::to_string).collect();
                    }
                    self.printer.event("recreated", members);
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(Problem::Refused(problem, _) | Problem::Arguments(problem)) => {
                    failures += 1;
                    self.printer.event("failed", json!({"from": from.as_str(), "error": problem}));
                }
            }
        }
        match failures {
            0 => Ok(ExitCode::SUCCESS),
            _ => Err(Problem::Refused(
                format!("{failures} of {all} instances were not made as they were"),
                "the reasons are above",
            )),
        }
    }

    /// Shows an instance, and what was asked for and did not happen.
    fn show(&self, reply: Reply) -> Result<ExitCode, Problem> {
        let Reply::Instance { instance, ignored } = reply else { return Err(unexpected(&reply)) };
        self.print(&instance);
        if ignored.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let texts: Vec<String> = ignored.iter().map(ToString::to_string).collect();
        self.printer.event("ignored", json!({"id": instance.id.as_str(), "what": texts}));
        Err(Problem::Refused(texts.join("; "), "`get` shows how it is"))
    }

    fn print(&self, instance: &Instance) {
        let name = if instance.id.is_key_record() { "key_record" } else { "instance" };
        let members = if self.is_json { mask::instance(instance) } else { mask::brief(instance) };
        self.printer.event(name, members);
    }

    /// Takes an instance URL of the command line, and takes note of what must not be shown of it.
    fn instance_url(&mut self, given: &str) -> Result<String, Problem> {
        let url = read_url(given)?;
        self.session.secrets.add_url(&url);
        Ok(url)
    }
}

fn unexpected(reply: &Reply) -> Problem {
    Problem::Refused(format!("the answer is of another kind: {reply:?}"), "check --url")
}

fn write_key(file: &Path, key: &nodepass_api::Secret) -> Result<(), Problem> {
    state_file::write(file, format!("{}\n", key.expose()).as_bytes()).map_err(|error| {
        Problem::Refused(
            format!("the key was not written to {}: {error}", file.display()),
            "make its folder writable; the master's own key file has the key of the moment",
        )
    })
}

/// `-` is stdin.
fn read_url(given: &str) -> Result<String, Problem> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(1 << 20).read_to_string(&mut text);
    read.map_err(|error| Problem::Arguments(format!("stdin: {error}")))?;
    Ok(text.trim().to_owned())
}

fn tcping(result: &TcpingResult) -> Value {
    let mut members = json!({"target": result.target, "connected": result.connected});
    if result.connected {
        members["latency_ms"] = result.latency.into();
    }
    if let Some(error) = &result.error {
        members["error"] = (**error).into();
    }
    members
}

/// What panels show of several dials.
#[derive(Default)]
struct Series {
    sent: u32,
    good: u32,
    sum: u64,
    least: Option<u64>,
    most: Option<u64>,
}

impl Series {
    fn add(&mut self, result: &TcpingResult) {
        self.sent += 1;
        if result.connected {
            self.good += 1;
            self.sum = self.sum.saturating_add(result.latency);
            self.least = Some(self.least.map_or(result.latency, |least| least.min(result.latency)));
            self.most = Some(self.most.map_or(result.latency, |most| most.max(result.latency)));
        }
    }

    fn members(&self) -> Value {
        let lost = f64::from(self.sent - self.good) * 100.0 / f64::from(self.sent.max(1));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
        let mean = (self.good > 0).then(|| self.sum as f64 / f64::from(self.good));
        json!({
            "sent": self.sent, "connected": self.good, "loss_percent": lost,
            "min_ms": self.least, "avg_ms": mean, "max_ms": self.most,
        })
    }
}

fn explain(given: &str, rules: RulesArgument, printer: Printer) -> Result<ExitCode, Problem> {
    let rules = rules.into();
    let url = InstanceUrl::parse(&read_url(given)?)
        .map_err(|error| Problem::Arguments(format!("the instance URL: {error}")))?;
    for line in url.explain(rules) {
        let mut members = json!({"name": line.name, "value": line.value, "meaning": line.meaning});
        members["origin"] = line.origin.to_string().into();
        printer.event("part", members);
    }
    let problems = url.check(rules).err().unwrap_or_default();
    for problem in &problems {
        printer.event("problem", json!({"error": problem.to_string()}));
    }
    match problems.len() {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(Problem::Refused(problems[0].to_string(), "correct it, or try other --rules")),
        more => Err(Problem::Refused(
            format!("there are {more} problems with the URL"),
            "correct them, or try other --rules",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_its_least_mean_greatest_and_loss() {
        let mut series = Series::default();
        for (connected, latency) in [(true, 3), (false, 0), (true, 9), (true, 0)] {
            series.add(&TcpingResult { connected, latency, ..TcpingResult::default() });
        }
        let expected = json!({
            "sent": 4, "connected": 3, "loss_percent": 25.0, "min_ms": 0, "avg_ms": 4.0, "max_ms": 9,
        });
        assert_eq!(series.members(), expected);
        assert_eq!(Series::default().members()["avg_ms"], Value::Null);
    }
}
