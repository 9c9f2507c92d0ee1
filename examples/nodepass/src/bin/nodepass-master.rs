//! A NodePass master: serves the API, and really forwards TCP for its instances.

use clap::{Parser, ValueEnum};
use nodepass_api::Secret;
use nodepass_api::master::{Compat, Config, Entropy, Event, Master, Paths, Silence, Snapshot};
use nodepass_api::url::{MasterUrl, Rules, TlsMode, parse_duration};
use nodepass_example::address::Address;
use nodepass_example::forward::listen;
use nodepass_example::master_driver::{self, Host};
use nodepass_example::{state_file, system, tls};
use program::server::Limits;
use program::{Printer, bad_arguments, fail};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;

/// A NodePass master. Instances forward TCP where their mode is single-ended (client mode=1, server mode=2).
///
/// Try it with nodepass-ctl:
///   cargo run --bin nodepass-master -- --url "master://127.0.0.1:9090/api?log=info" --key-file key.txt
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// master://HOST:PORT/PREFIX?log=…&tls=0|1|2&crt=…&key=…; port 0 takes any.
    #[arg(long, default_value = "master://127.0.0.1:9090/api?log=info")]
    url: String,
    /// Keeps instances and the key from one start to the next; FILE.backup is its backup.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where the API key is written (0600) when it is made or replaced.
    #[arg(long, value_name = "FILE", default_value = "nodepass.key")]
    key_file: PathBuf,
    /// Whose objects, statuses and defaults it has.
    #[arg(long, value_enum, default_value_t = Level::V1_14)]
    compat: Level,
    /// Refuse what the original takes without a word: bodies of PATCH that cannot be read, changes of the key record.
    #[arg(long)]
    refuse: bool,
    /// Serve below /v1 only.
    #[arg(long)]
    versioned_paths: bool,
    /// How often instances report. Else NP_REPORT_INTERVAL, else 5s.
    #[arg(long, value_parser = program::duration)]
    report_interval: Option<Duration>,
    /// How often the backup is written and instances in error are restarted. Else NP_RELOAD_INTERVAL, else 1h.
    #[arg(long, value_parser = program::duration)]
    reload_interval: Option<Duration>,
    /// How long ending the master may take, and the wait for the last store as long again. Else NP_SHUTDOWN_TIMEOUT, else 5s.
    #[arg(long, value_parser = program::duration)]
    shutdown_timeout: Option<Duration>,
    /// How long an instance may take to stop before it is made to.
    #[arg(long, default_value = "5s", value_parser = program::duration)]
    stop_timeout: Duration,
    /// The wait between the stop and the start of a restart.
    #[arg(long, default_value = "100ms", value_parser = program::duration)]
    restart_pause: Duration,
    /// The wait between two starts when the master starts.
    #[arg(long, default_value = "100ms", value_parser = program::duration)]
    start_spacing: Duration,
    /// How long after a change the state is stored.
    #[arg(long, default_value = "100ms", value_parser = program::duration)]
    store_delay: Duration,
    /// How long after a failure storing is tried again.
    #[arg(long, default_value = "5s", value_parser = program::duration)]
    store_retry: Duration,
    /// How long reading this machine's figures may take.
    #[arg(long, default_value = "2s", value_parser = program::duration)]
    system_timeout: Duration,
    /// How long a tcping waits for its turn.
    #[arg(long, default_value = "1s", value_parser = program::duration)]
    dial_wait: Duration,
    /// How many events may wait for a reader.
    #[arg(long, default_value_t = 1024)]
    stream_queue: usize,
    /// Tell readers that have lost events, by a comment in their stream.
    #[arg(long)]
    announce_loss: bool,
    #[command(flatten)]
    limits: Limits,
    /// End after this time.
    #[arg(long = "for", value_parser = program::duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Document,
    #[value(name = "1.6")]
    V1_6,
    #[value(name = "1.14")]
    V1_14,
}

impl From<Level> for Compat {
    fn from(level: Level) -> Self {
        match level {
            Level::Document => Self::Document,
            Level::V1_6 => Self::V1_6,
            Level::V1_14 => Self::V1_14,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let url = match MasterUrl::parse(&arguments.url) {
        Ok(url) => url,
        Err(error) => return bad_arguments(format!("--url: {error}")),
    };
    if let Err(error) = url.check_address() {
        return bad_arguments(format!("--url: {error}"));
    }
    let (config, acceptor) = match configure(&arguments, &url) {
        Ok(ready) => ready,
        Err(problem) => return bad_arguments(problem),
    };
    let snapshot = match arguments.state.as_deref().map(restore).transpose() {
        Ok(snapshot) => snapshot.flatten(),
        Err(problem) => return fail(problem, "nothing was changed"),
    };
    let rules = match arguments.compat {
        Level::Document => Rules::Document,
        Level::V1_6 | Level::V1_14 => Rules::Release(config.release),
    };
    let (max_body, report_interval) = (config.max_body, config.report_interval);
    let master = match Master::new(config, snapshot, Instant::now()) {
        Ok(master) => master,
        Err(error) => return bad_arguments(error),
    };
    let address = url.address_text();
    let bound = match address.parse::<Address>() {
        Ok(address) => listen(&address).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => return fail(format!("{address}: {error}"), "try another address in --url"),
    };
    if let Ok(address) = listener.local_addr() {
        printer.event("listening", json!({"addr": address.to_string()}));
    }
    let mut host = Host::new(listener, rules);
    host.acceptor = acceptor;
    host.state.clone_from(&arguments.state);
    host.report_interval = report_interval;
    host.max_body = max_body;
    host.limits = arguments.limits;
    let news = |_: &Master, event| show(printer, &arguments.key_file, &event);
    master_driver::run(master, host, news, program::end(arguments.limit)).await;
    ExitCode::SUCCESS
}

fn configure(arguments: &Arguments, url: &MasterUrl) -> Result<(Config, Option<TlsAcceptor>), String> {
    let mut seed = [0; 32];
    let filled = tls::provider().secure_random.fill(&mut seed);
    filled.map_err(|_| "the system gave no random bytes".to_owned())?;
    let mut config = Config::new(arguments.compat.into(), Entropy::new(seed));
    config.take_url(url);
    config.os = system::os().into();
    config.arch = system::arch().into();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    config.unix_milliseconds = i64::try_from(since.as_millis()).unwrap_or_default();
    if arguments.refuse {
        config.silence = Silence::Refuse;
    }
    if arguments.versioned_paths {
        config.paths = Paths::Versioned;
    }
    set(&mut config.report_interval, arguments.report_interval, "NP_REPORT_INTERVAL");
    set(&mut config.reload_interval, arguments.reload_interval, "NP_RELOAD_INTERVAL");
    set(&mut config.shutdown_timeout, arguments.shutdown_timeout, "NP_SHUTDOWN_TIMEOUT");
    config.store_retry = arguments.store_retry;
    config.system_timeout = arguments.system_timeout;
    config.stop_timeout = arguments.stop_timeout;
    config.restart_pause = arguments.restart_pause;
    config.start_spacing = arguments.start_spacing;
    config.store_delay = arguments.store_delay;
    config.dial_wait = arguments.dial_wait;
    config.stream_queue = arguments.stream_queue;
    config.announces_loss = arguments.announce_loss;
    let names = || vec![url.host().trim_matches(['[', ']']).to_owned(), "localhost".to_owned()];
    let tls = match url.tls() {
        TlsMode::Off => None,
        TlsMode::SelfSigned => Some(tls::self_signed(&names())),
        // As the original: a certificate that cannot be used is replaced by one of its own making.
        TlsMode::Files => match tls::from_files(Path::new(&*url.crt()), Path::new(&*url.key())) {
            Ok(tls) => Some(Ok(tls)),
            Err(error) => {
                tracing::error!(%error, "the certificate cannot be used; one is made");
                config.inherited.tls = TlsMode::SelfSigned;
                Some(tls::self_signed(&names()))
            }
        },
    };
    let tls = tls.transpose().map_err(|error| error.to_string())?;
    Ok((config, tls.map(|tls: Arc<_>| TlsAcceptor::from(tls))))
}

/// An argument counts, else the variable as the original reads it: one that is no duration above 0 means the default.
fn set(setting: &mut Duration, argument: Option<Duration>, variable: &str) {
    let set = || parse_duration(&std::env::var(variable).ok()?).filter(|duration| !duration.is_zero());
    if let Some(duration) = argument.or_else(set) {
        *setting = duration;
    }
}

/// Reads the state. A damaged one stops the start: it would be written over.
fn restore(path: &Path) -> Result<Option<Snapshot>, String> {
    let bytes = state_file::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let snapshot = bytes.map(|bytes| Snapshot::decode(&bytes)).transpose();
    snapshot.map_err(|problem| state_file::corrupt(path, problem))
}

fn show(printer: Printer, key_file: &Path, event: &Event) {
    let write = |name: &str, key: &Secret| {
        let written = state_file::write(key_file, format!("{}\n", key.expose()).as_bytes());
        let error = written.err().map(|error| error.to_string());
        match error {
            None => printer.event(name, json!({"file": key_file.display().to_string()})),
            Some(error) => {
                printer.event(name, json!({"file": key_file.display().to_string(), "error": error}))
            }
        }
    };
    match event {
        Event::KeyCreated { key } => write("key_created", key),
        Event::KeyRotated { key } => write("key_rotated", key),
        Event::KeyLoaded { key } => write("key_loaded", key),
        Event::Created { instance } => printer.event("created", json!({"id": instance.as_str()})),
        Event::Deleted { instance } => printer.event("deleted", json!({"id": instance.as_str()})),
        Event::StatusChanged { instance, status } => {
            printer.event("status", json!({"id": instance.as_str(), "status": status.as_str()}));
        }
        Event::StreamOpened { .. } => printer.event("stream_opened", json!({})),
        Event::StreamEnded { .. } => printer.event("stream_ended", json!({})),
        Event::EventsLost { lost, .. } => printer.event("events_lost", json!({"lost": lost})),
        Event::StoreFailed { target } => {
            printer.event(
                "store_failed",
                json!({"error": format!("the {target:?} was not saved").to_lowercase()}),
            );
        }
        Event::ProcessStuck { instance, .. } => {
            printer.event("stuck", json!({"id": instance.as_str(), "error": "it does not stop"}));
        }
        Event::Closed => printer.event("closed", json!({})),
        other => tracing::info!(?other, "news"),
    }
}
