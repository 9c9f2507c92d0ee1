//! A node with real metrics of this host.

use clap::{Args, Parser, Subcommand};
use ithiltir_example::client::Client;
use ithiltir_example::host::Host;
use ithiltir_example::node_driver::{self, Sample};
use ithiltir_example::{install_driver, report_file};
use ithiltir_proto::install::{self, Choice, Install, Installed};
use ithiltir_proto::node::{Config, DeliveryError, Event, Node};
use ithiltir_proto::update::{
    Download, Environment, Layout, ManifestRules, Restart, RestartPolicy, ValidManifest,
};
use ithiltir_proto::wire::{self, Manifest};
use ithiltir_proto::{ReportConfig, Secret, Target, Url};
use program::{Printer, bad_arguments, duration, fail};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use web_time::Instant;

/// The level of the protocol that this program speaks, and its version unless told otherwise.
const VERSION: &str = "0.2.7";

/// Reports this host to Ithiltir Dashes.
///
/// Try it against ithiltir-dash:
///   cargo run --bin ithiltir-node -- push --target http://127.0.0.1:8080/api/node/metrics --key-file key.txt
#[derive(Parser)]
#[command(version = VERSION, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print events as JSON lines.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Report until told to stop.
    Push(Box<Push>),
    /// Ask a Dash who it is and write it into the configuration.
    Install(InstallArguments),
    /// Check a downloaded file against its manifest.
    Verify {
        /// The file.
        file: PathBuf,
        /// The manifest, as JSON.
        #[arg(long)]
        manifest: PathBuf,
    },
}

#[derive(Args)]
struct Push {
    /// The configuration file; ITHILTIR_NODE_REPORT_CONFIG or its usual place unless given.
    #[arg(long, conflicts_with = "target")]
    config: Option<PathBuf>,
    /// A single metrics URL in the place of a configuration file.
    #[arg(long, requires = "key_file")]
    target: Option<String>,
    /// A file that holds the key for --target.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// Time between two rounds.
    #[arg(long, default_value = "3s", value_parser = duration)]
    interval: Duration,
    /// Time from the start to the first Static.
    #[arg(long, default_value = "5s", value_parser = duration)]
    start_delay: Duration,
    /// Time after which an unfinished Static is sent again.
    #[arg(long, default_value = "10s", value_parser = duration)]
    static_retry: Duration,
    /// A changed Static is looked for every so many intervals.
    #[arg(long, default_value_t = 20)]
    static_check_intervals: u32,
    /// The least time between two looks for a changed Static.
    #[arg(long, default_value = "10s", value_parser = duration)]
    static_check_minimum: Duration,
    /// The most time between two looks for a changed Static.
    #[arg(long, default_value = "60s", value_parser = duration)]
    static_check_maximum: Duration,
    /// The most time that an exchange may take.
    #[arg(long, default_value = "10s", value_parser = duration)]
    request_timeout: Duration,
    /// The most time that looking at an expired certificate may take.
    #[arg(long, default_value = "5s", value_parser = duration)]
    probe_timeout: Duration,
    /// The most time that a download may take.
    #[arg(long, default_value = "10min", value_parser = duration)]
    update_timeout: Duration,
    /// How long a manifest whose update failed is left alone.
    #[arg(long, default_value = "60s", value_parser = duration)]
    update_retry: Duration,
    /// How many refused connections suppress a target.
    #[arg(long, default_value_t = 3)]
    refusals: u32,
    /// Refuse targets and downloads that are not https, and never fall back.
    #[arg(long)]
    require_https: bool,
    /// End after so many rounds.
    #[arg(long)]
    rounds: Option<u64>,
    /// End after this time.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Play a managed layout in this directory: updates are carried out there, then the program exits.
    #[arg(long)]
    managed_dir: Option<PathBuf>,
    /// After an update become the new release in the place of exiting.
    #[arg(long)]
    re_exec: bool,
    /// Refuse updates to an older version.
    #[arg(long)]
    refuse_downgrade: bool,
    /// The version that the reports carry.
    #[arg(long, default_value = VERSION)]
    node_version: String,
}

#[derive(Args)]
struct InstallArguments {
    /// The metrics URL.
    url: String,
    /// The node's key there; visible to other users of this machine, see --key-file.
    #[arg(required_unless_present = "key_file")]
    key: Option<String>,
    /// A file that holds the key.
    #[arg(long, conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// The configuration file; ITHILTIR_NODE_REPORT_CONFIG or its usual place unless given.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Refuse a URL that is not https, and never fall back.
    #[arg(long)]
    require_https: bool,
    /// The most time that an exchange may take.
    #[arg(long, default_value = "10s", value_parser = duration)]
    request_timeout: Duration,
    /// The most time that everything may take.
    #[arg(long, default_value = "15s", value_parser = duration)]
    timeout: Duration,
    /// The most time that looking at an expired certificate may take.
    #[arg(long, default_value = "5s", value_parser = duration)]
    probe_timeout: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    match arguments.command {
        Command::Push(push) => self::push(*push, printer).await,
        Command::Install(install) => self::install(install, printer).await,
        Command::Verify { file, manifest } => verify(&file, &manifest, printer),
    }
}

fn config_path(given: Option<PathBuf>) -> PathBuf {
    let set = || std::env::var(ReportConfig::VARIABLE).ok().filter(|path| !path.trim().is_empty());
    given
        .or_else(|| set().map(|path| path.trim().into()))
        .unwrap_or_else(|| ReportConfig::default_path(std::env::consts::OS, &data_directory()).into())
}

fn read_key(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Secret::new(text.trim()))
}

// push

async fn push(arguments: Push, printer: Printer) -> ExitCode {
    let node = match targets(&arguments).and_then(|targets| {
        Node::new(node_config(&arguments, targets), Instant::now()).map_err(|error| error.to_string())
    }) {
        Ok(node) => node,
        Err(problem) => return bad_arguments(problem),
    };
    if node.config().targets.is_empty() {
        printer.event("idle", json!({"reason": "the configuration has no targets"}));
    }
    let (sampler, samples) = mpsc::channel(1);
    let (version, interval) = (arguments.node_version.clone(), arguments.interval);
    std::thread::spawn(move || sample(&version, interval, &sampler));

    let mut any_success = false;
    let run = node_driver::run(node, Client::new(), samples, |node, event| {
        show(printer, node, event);
        match event {
            Event::Round { number, succeeded, .. } => {
                any_success |= *succeeded > 0;
                arguments.rounds.is_none_or(|rounds| *number < rounds)
            }
            _ => true,
        }
    });
    let restart = tokio::select! {
        restart = run => restart,
        () = program::end(arguments.limit) => return ExitCode::SUCCESS,
    };
    match restart {
        Some(Restart::Reexecute { executable }) => re_execute(&executable),
        Some(Restart::Exit) => ExitCode::SUCCESS,
        None if any_success => ExitCode::SUCCESS,
        None => fail("no target accepted a report", "check the URLs and keys, and that the Dash is up"),
    }
}

fn targets(arguments: &Push) -> Result<Vec<Target>, String> {
    let ascii = |url: &str| Url::parse(url).and_then(Url::into_ascii).map_err(|error| error.to_string());
    if let (Some(url), Some(key_file)) = (&arguments.target, &arguments.key_file) {
        let target = Target::from_url(ascii(url)?, &read_key(key_file)?);
        return Ok(vec![target.map_err(|error| error.to_string())?]);
    }
    let path = config_path(arguments.config.clone());
    let config = report_file::load(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let targets = config.targets.iter().map(|target| {
        ascii(&target.url)
            .and_then(|url| Target::from_url(url, &target.key).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: target {}: {error}", path.display(), target.id))
    });
    targets.collect()
}

fn node_config(arguments: &Push, targets: Vec<Target>) -> Config {
    let mut config = Config::new(&arguments.node_version, targets);
    config.interval = arguments.interval;
    config.start_delay = arguments.start_delay;
    config.static_retry = arguments.static_retry;
    config.static_check_intervals = arguments.static_check_intervals;
    config.min_static_check = arguments.static_check_minimum;
    config.max_static_check = arguments.static_check_maximum;
    config.request_timeout = arguments.request_timeout;
    config.probe_timeout = arguments.probe_timeout;
    config.refusals_before_suppression = arguments.refusals;
    config.require_https = arguments.require_https;
    config.update.timeout = arguments.update_timeout;
    config.update.retry_delay = arguments.update_retry;
    config.update.layout = match &arguments.managed_dir {
        Some(directory) => Some(managed_layout(directory)),
        None => detected_layout(),
    };
    config.update.unique = std::process::id();
    if arguments.re_exec {
        config.update.restart = RestartPolicy::Reexecute;
    }
    if arguments.refuse_downgrade {
        config.update.downgrade = ithiltir_proto::update::Downgrade::Refuse;
    }
    config
}

/// The layout that a directory plays; without a `current` link no release is active yet.
fn managed_layout(directory: &Path) -> Layout {
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let current = std::fs::read_link(directory.join("current")).ok();
    let active = current.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Layout::Releases {
        data_directory: directory.to_string_lossy().into_owned(),
        active: active.unwrap_or_default(),
    }
}

/// The layout that this process was really started in, if any.
fn detected_layout() -> Option<Layout> {
    let data_directory = data_directory();
    let executable = std::env::current_exe().ok()?;
    let link = std::fs::read_link(Path::new(&data_directory).join("current")).ok();
    Layout::detect(&Environment {
        os: std::env::consts::OS,
        runner: std::env::var("ITHILTIR_NODE_RUNNER").ok().as_deref(),
        executable: &executable.to_string_lossy(),
        data_directory: &data_directory,
        current_link: link.as_deref().map(Path::to_string_lossy).as_deref(),
    })
}

fn data_directory() -> String {
    let program_data = std::env::var("ProgramData").ok();
    Layout::default_data_directory(std::env::consts::OS, program_data.as_deref())
}

/// Reading the host may block, so it has a thread of its own.
fn sample(version: &str, interval: Duration, samples: &mpsc::Sender<Sample>) {
    let mut host = Host::new(version);
    loop {
        let sample = Sample { report: host.sample(), statics: host.statics(interval) };
        if samples.blocking_send(sample).is_err() {
            return;
        }
        std::thread::sleep(interval);
    }
}

fn show(printer: Printer, node: &Node, event: &Event) {
    let url = |target| node.target(target).map(|target| target.url().to_string());
    match event {
        Event::Report { target, outcome, .. } => {
            printer.event("report", with_outcome(json!({"target": url(*target)}), outcome));
        }
        Event::Static { target, reason, outcome, missing } => {
            let mut members = json!({"target": url(*target), "reason": reason.as_str()});
            if !missing.is_empty() {
                members["missing"] = missing.iter().map(|missing| missing.as_str()).collect();
            }
            printer.event("static", with_outcome(members, outcome));
        }
        Event::FellBack { target, cause } => {
            printer.event("fallback", json!({"target": url(*target), "cause": cause.to_string()}));
        }
        Event::FallbackRefused { target, outcome } => {
            printer.event("fallback", json!({"target": url(*target), "error": outcome.to_string()}));
        }
        Event::Suppressed { target } => printer.event("suppressed", json!({"target": url(*target)})),
        Event::Recovered { target } => printer.event("recovered", json!({"target": url(*target)})),
        Event::Update { decision, .. } => {
            let mut members = json!({"decision": decision.as_str()});
            if let Some(manifest) = decision.manifest() {
                members["manifest"] =
                    json!({"id": manifest.id, "version": manifest.version, "size": manifest.size});
            }
            printer.event("update", members);
        }
        Event::UpdateFailed { version, error } => {
            let members = json!({"decision": "failed", "version": version, "error": error.to_string()});
            printer.event("update", members);
        }
        Event::Updated { version } => {
            printer.event("update", json!({"decision": "installed", "version": version}));
        }
        Event::Round { number, succeeded, failed, skipped } => {
            let members = json!({"n": number, "ok": succeeded, "failed": failed, "skipped": skipped});
            printer.event("round", members);
        }
        other => tracing::info!(?other, "news"),
    }
}

fn with_outcome(mut members: Value, outcome: &Result<(), DeliveryError>) -> Value {
    match outcome {
        Ok(()) => members["status"] = 200.into(),
        Err(DeliveryError::Status(status)) => members["status"] = status.as_u16().into(),
        Err(error @ DeliveryError::Redirect(status)) => {
            members["status"] = status.as_u16().into();
            members["error"] = error.to_string().into();
        }
        Err(error) => members["error"] = error.to_string().into(),
    }
    members
}

#[cfg(unix)]
fn re_execute(executable: &str) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    let error = std::process::Command::new(executable).args(std::env::args_os().skip(1)).exec();
    fail(error, "the new release could not be started")
}

#[cfg(not(unix))]
fn re_execute(_: &str) -> ExitCode {
    ExitCode::SUCCESS
}

// install

async fn install(arguments: InstallArguments, printer: Printer) -> ExitCode {
    let key = match (&arguments.key, &arguments.key_file) {
        (Some(key), _) => Ok(Secret::new(key.trim())),
        (None, Some(path)) => read_key(path),
        (None, None) => Err("a key is needed".to_owned()),
    };
    let path = config_path(arguments.config);
    let existing = report_file::load(&path).map_err(|error| format!("{}: {error}", path.display()));
    let (key, existing) = match (key, existing) {
        (Ok(key), Ok(existing)) => (key, existing),
        (Err(problem), _) | (_, Err(problem)) => return bad_arguments(problem),
    };
    let mut config = install::Config::default();
    config.require_https = arguments.require_https;
    config.request_timeout = arguments.request_timeout;
    config.timeout = arguments.timeout;
    config.probe_timeout = arguments.probe_timeout;
    let limit = config.max_response;
    let install = Install::new(config, &arguments.url, &key, existing, Instant::now());
    let client = Client::new();
    let outcome = install_driver::run(install, &client, limit, choose, |event| {
        if let install::Event::FellBack { cause } = event {
            printer.event("fallback", json!({"cause": cause.to_string()}));
        }
    });
    match outcome.await {
        Ok(Installed::Unchanged) => printer.event("installed", json!({"changed": false})),
        Ok(Installed::Changed(config)) => {
            if let Err(error) = report_file::save(&path, &config) {
                return fail(format!("{}: {error}", path.display()), "the configuration is as it was");
            }
            printer.event("installed", json!({"changed": true, "config": path.to_string_lossy()}));
        }
        Err(error) => return fail(error, "check the URL and the key; nothing was written"),
    }
    ExitCode::SUCCESS
}

/// Without a terminal there is nobody to ask.
fn choose(existing: i64) -> Option<Choice> {
    if !std::io::stdin().is_terminal() {
        eprintln!("this Dash is target {existing} already, under another URL or key");
        return None;
    }
    eprintln!("this Dash is target {existing} already: keep it (1) or replace its URL and key (2)?");
    match std::io::stdin().lock().lines().next()?.ok()?.trim() {
        "1" => Some(Choice::Keep),
        "2" => Some(Choice::Replace),
        _ => None,
    }
}

// verify

fn verify(file: &Path, manifest: &Path, printer: Printer) -> ExitCode {
    let manifest = std::fs::read(manifest)
        .map_err(|error| error.to_string())
        .and_then(|text| wire::decode::<Manifest>(&text).map_err(|error| error.to_string()))
        .and_then(|manifest| {
            ValidManifest::new(&manifest, "", ManifestRules::default()).map_err(|error| error.to_string())
        });
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(problem) => return bad_arguments(format!("the manifest cannot be used: {problem}")),
    };
    match check(file, &manifest) {
        Ok(()) => {
            printer.event("verified", json!({"version": manifest.version, "size": manifest.size}));
            ExitCode::SUCCESS
        }
        Err(problem) => fail(problem, "download the file again"),
    }
}

fn check(file: &Path, manifest: &ValidManifest) -> Result<(), String> {
    let mut file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let mut download = Download::new(manifest);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return download.finish().map_err(|error| error.to_string()),
            length => download.handle_chunk(&buffer[..length]).map_err(|error| error.to_string())?,
        }
    }
}
