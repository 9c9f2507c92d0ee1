//! An agent that really caches images and writes config drives on this machine.

use clap::{Parser, ValueEnum};
use program::{Printer, bad_arguments, fail};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use teeth_example::agent_driver::{self, Handle, News};
use teeth_example::arguments::{ConnectionArguments, Limit, duration, limit};
use teeth_example::host::Host;
use teeth_example::images::Cache;
use teeth_example::value;
use teeth_example::work::{self, Note, Workshop};
use teeth_proto::agent::{Agent, BackoffReset, CloseReason, Config, Event};
use teeth_proto::command::{TaskCommand, Work};
use teeth_proto::session::Reply;
use teeth_proto::wire::Json;
use web_time::Instant;

/// What the original calls itself at the level of the protocol that this program speaks.
const VERSION: &str = "0.1-dev";

/// A teeth agent: connects to a server, serves its commands and carries out its tasks.
///
/// Images are really copied, digested and verified, config drives really written, below --cache. Erasing, firmware,
/// boot loader, kexec and reboot are simulated and say so.
///
/// Try it with teeth-server:
///   cargo run --bin teeth-agent -- --connect 127.0.0.1:8081 --images ./images --cache ./cache
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:8081")]
    connect: String,
    /// The folder of all images, each a file named by its UUID.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The folder for cached images and the config drive; made if it is not there.
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
    /// The most bytes of images that the cache holds; no limit unless given.
    #[arg(long, value_name = "BYTES")]
    cache_limit: Option<u64>,
    /// The most bytes a second that are copied or checked; no limit unless given.
    #[arg(long, value_name = "BYTES")]
    cache_rate: Option<u64>,
    /// How long a simulated task takes.
    #[arg(long, default_value = "3s", value_parser = duration)]
    simulation: Duration,
    /// Never find a kexec target: a run image is rebooted into.
    #[arg(long)]
    no_kexec: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Names the machine in the handshake; a hardware address of this machine unless given.
    #[arg(long)]
    id: Option<String>,
    /// The agent's version.
    #[arg(long, default_value = VERSION)]
    agent_version: String,
    /// What the agent is there for.
    #[arg(long, default_value = "STANDBY")]
    mode: String,
    /// Begin a connection with a ping in the place of the handshake.
    #[arg(long)]
    no_handshake: bool,
    /// How long an attempt to connect may take.
    #[arg(long, default_value = "30s", value_parser = duration)]
    connect_timeout: Duration,
    /// What the waits between attempts grow from.
    #[arg(long, default_value = "1s", value_parser = duration)]
    backoff_base: Duration,
    /// How they grow.
    #[arg(long, default_value_t = std::f64::consts::E)]
    backoff_factor: f64,
    /// The most a wait is before it is spread.
    #[arg(long, default_value = "120s", value_parser = duration)]
    backoff_maximum: Duration,
    /// Standard deviation of a wait, as a part of it.
    #[arg(long, default_value_t = 0.119_626_564_72)]
    backoff_spread: f64,
    /// What starts the waits anew.
    #[arg(long, value_enum, default_value = "handshake")]
    backoff_reset: Reset,
    /// Give up, with status 1, after so many attempts in a row; never unless given.
    #[arg(long)]
    attempts: Option<u32>,
    /// How long the answer to a log entry or a report is waited for.
    #[arg(long, value_name = "DURATION|never", default_value = "60s", value_parser = limit)]
    call_timeout: Limit,
    /// Time between two reports of a running task.
    #[arg(long, default_value = "10s", value_parser = duration)]
    report_period: Duration,
    /// Whether tasks are reported; by the dialect unless given.
    #[arg(long, value_name = "BOOL")]
    reports: Option<bool>,
    /// What a report says remains to be done while nothing is known.
    #[arg(long, default_value = "60s", value_parser = duration)]
    initial_eta: Duration,
    /// Send the end of a task once at most, even if its connection was lost before the answer.
    #[arg(long)]
    end_once: bool,
    /// How long the answer to the end of a run image is waited for before leaving for it.
    #[arg(long, default_value = "10s", value_parser = duration)]
    leave_timeout: Duration,
    /// How many tasks may be unfinished.
    #[arg(long, default_value_t = 64)]
    max_tasks: usize,
    /// How many ids of tasks that have ended are remembered.
    #[arg(long, default_value_t = 1024)]
    max_ended_tasks: usize,
    /// End after this time.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reset {
    /// The server has answered the handshake
    Handshake,
    /// A connection was opened, as in the original
    Connect,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let host = Host::read();
    let mut agent = match Agent::new(config(&arguments, &host), Instant::now()) {
        Ok(agent) => agent,
        Err(problem) => return bad_arguments(problem),
    };
    agent.set_status_fields(status_fields(&host), Instant::now());
    if !arguments.images.is_dir() {
        return bad_arguments(format!("{} is not a folder", arguments.images.display()));
    }
    let cache = match Cache::open(&arguments.images, &arguments.cache, arguments.cache_limit) {
        Ok(cache) => cache.with_rate(arguments.cache_rate),
        Err(error) => return fail(format!("{}: {error}", arguments.cache.display()), "try another --cache"),
    };
    let transport = arguments.connection.transport();
    let (agent, mut news, driver) = agent_driver::driver(agent, arguments.connect.clone(), transport);
    let driver = tokio::spawn(driver);
    let mut settings = work::Settings::default();
    settings.simulation = arguments.simulation;
    settings.kexec = !arguments.no_kexec;
    let workshop = Workshop::new(cache, settings, agent.clone(), move |note| show_note(printer, note));

    let mut end = std::pin::pin!(program::end(arguments.limit));
    let mut ending = false;
    let mut problem = None;
    loop {
        tokio::select! {
            oldest = news.recv() => match oldest {
                Some(news) => {
                    show(printer, &arguments.connect, &news);
                    if let News::Event(event) = &news {
                        workshop.take(event);
                    }
                    if let Some(reason) = is_hopeless(&arguments, &news) {
                        problem = Some(reason);
                        close(&agent).await;
                    }
                }
                None => break, // the agent has ended
            },
            () = &mut end, if !ending => {
                ending = true;
                close(&agent).await;
            }
        }
    }
    let _ = driver.await;
    match problem {
        Some(reason) => {
            fail(format!("{}: {reason}", arguments.connect), "check the address, and that teeth-server is up")
        }
        None => ExitCode::SUCCESS,
    }
}

async fn close(agent: &Handle) {
    agent.order(|agent, now| agent.close(now)).await;
}

fn is_hopeless(arguments: &Arguments, news: &News) -> Option<String> {
    match news {
        News::ConnectFailed { attempt, error } if arguments.attempts.is_some_and(|most| *attempt >= most) => {
            Some(error.as_ref().map_or_else(|| "it took too long".to_owned(), ToString::to_string))
        }
        _ => None,
    }
}

fn config(arguments: &Arguments, host: &Host) -> Config {
    // The original, which knows no address of its machine, always sends this one.
    let id = arguments.id.clone().or_else(|| host.hardware_address.clone()).unwrap_or("a:b:c:d".into());
    let mut config = Config::new(id, arguments.agent_version.clone(), teeth_example::seed());
    arguments.connection.apply(&mut config.session);
    config.handshake = !arguments.no_handshake;
    config.mode.clone_from(&arguments.mode);
    config.connect_timeout = arguments.connect_timeout;
    config.backoff.base = arguments.backoff_base;
    config.backoff.factor = arguments.backoff_factor;
    config.backoff.max_wait = arguments.backoff_maximum;
    config.backoff.spread = arguments.backoff_spread;
    config.backoff.reset = match arguments.backoff_reset {
        Reset::Handshake => BackoffReset::Handshake,
        Reset::Connect => BackoffReset::Connect,
    };
    config.call_timeout = arguments.call_timeout.0;
    config.report_interval = arguments.report_period;
    config.reports = arguments.reports;
    config.initial_eta = arguments.initial_eta;
    config.repeat_unanswered_end = !arguments.end_once;
    config.leave_timeout = arguments.leave_timeout;
    config.max_tasks = arguments.max_tasks;
    config.max_ended_tasks = arguments.max_ended_tasks;
    config
}

fn status_fields(host: &Host) -> Vec<(String, Json)> {
    let number = |number: Option<u64>| number.and_then(|number| Json::encode(&number).ok());
    let fields = [
        ("hostname", host.name.as_deref().map(Json::from)),
        ("cpus", number(host.cpus)),
        ("memory", number(host.memory)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn show(printer: Printer, server: &str, news: &News) {
    match news {
        News::Connecting { attempt } => {
            printer.event("connecting", json!({"server": server, "attempt": attempt}));
        }
        News::ConnectFailed { attempt, error } => {
            let error = error.as_ref().map_or_else(|| "it took too long".to_owned(), ToString::to_string);
            printer.event("connect_failed", json!({"attempt": attempt, "error": error}));
        }
        News::Event(event) => show_event(printer, event),
        other => tracing::info!(?other, "news"),
    }
}

fn show_event(printer: Printer, event: &Event) {
    match event {
        Event::Connected { connection } => {
            printer.event("connected", json!({"connection": connection.number()}));
        }
        Event::Ready { connection, name } => {
            printer.event("ready", json!({"connection": connection.number(), "name": name}));
        }
        Event::HandshakeRefused { connection, error } => {
            printer.event("refused", json!({"connection": connection.number(), "error": error.msg()}));
        }
        Event::ConnectionEnded { connection, reason } => {
            let mut members = json!({"connection": connection.number(), "reason": reason.to_string()});
            if let CloseReason::FatalError(text) = reason {
                members["fatal_error"] = value(text);
            }
            printer.event("closed", members);
        }
        Event::Waiting { wait } => printer.event("waiting", json!({"in_ms": wait.as_millis() as u64})),
        Event::TaskBegun { command, .. } => printer.event("task", task(command)),
        Event::TaskReported { task_id, answered, .. } => {
            printer.event("report", json!({"task_id": value(task_id.json()), "answered": answered}));
        }
        Event::ReportRefused { task_id, error, .. } => {
            printer.event("report", json!({"task_id": value(task_id.json()), "error": error.msg()}));
        }
        Event::Pinged => printer.event("command", json!({"method": "ping"})),
        Event::StatusAsked => printer.event("command", json!({"method": "status"})),
        Event::CommandRefused { method, error } => {
            printer.event("command", json!({"method": method, "error": error.msg()}));
        }
        Event::PingAnswered { round_trip } => {
            printer.event("ping", json!({"round_trip_us": round_trip.as_micros() as u64}));
        }
        Event::Replied { method, reply: Reply::Error(error), .. } => {
            printer.event("reply", json!({"method": method.to_string(), "error": error.msg()}));
        }
        Event::Lost { method, reason, .. } => {
            printer.event("reply", json!({"method": method.to_string(), "error": reason.to_string()}));
        }
        Event::Step { .. } | Event::Replied { .. } => {} // what comes of a step is shown as a note
        Event::Closed => printer.event("ended", json!({})),
        other => tracing::info!(?other, "news"),
    }
}

/// What is in a config drive is nobody's business.
fn task(command: &TaskCommand) -> serde_json::Value {
    let mut members =
        json!({"task_id": value(command.task_id.json()), "method": command.work.method().to_string()});
    match &command.work {
        Work::CacheImages { images } => {
            members["image_ids"] = images.iter().map(|image| value(image.json())).collect();
        }
        Work::PrepareImage { image } | Work::RunImage { image, .. } => {
            members["image_id"] = value(image.json())
        }
        _ => {}
    }
    members
}

fn show_note(printer: Printer, note: &Note) {
    printer.event(
        "step",
        json!({
            "task_id": note.task_id.as_ref().map(|name| value(name.json())),
            "step": note.step, "detail": note.detail, "simulated": note.simulated,
        }),
    );
}
