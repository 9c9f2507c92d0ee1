//! A node agent with this machine's statistics and proxies that are not there.

use clap::Parser;
use core_example::agent_driver::{self, Host, News};
use core_example::clock;
use core_example::links::{Links, RECEIVE_LIMIT};
use core_example::node::Node as _;
use core_example::report::report;
use core_example::settings::AgentSettings;
use core_example::this_machine::{SharedLines, ThisMachine};
use core_example::{state_file, status_page};
use core_node_proto::agent::{Agent, Config, Event, Restored};
use core_node_proto::call::KeyPlacement;
use core_node_proto::http::Base;
use core_node_proto::value::Address;
use core_node_proto::{GrpcTarget, Secret};
use program::tls::{self, Trust};
use program::{Printer, bad_arguments, duration, fail};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Registers a node with Core and lives its life. A configuration whose services.xray has no list `inbounds` is refused, to
/// show how that is reported.
///
/// Try it with core-server:
///   cargo run --bin core-agent -- --http http://127.0.0.1:3000 --grpc http://127.0.0.1:3002 --insecure --code-file code.txt --name n1 --region here --ip 127.0.0.1 --port 3100
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// The address below which Core's HTTP routes are.
    #[arg(long, value_name = "URL")]
    http: String,
    /// Where Core's gRPC service is: a host, perhaps with scheme and port (3002).
    #[arg(long, value_name = "URL", env = "CORE_GRPC_URL")]
    grpc: String,
    /// gRPC without TLS; else as CORE_INSECURE=true says.
    #[arg(long)]
    insecure: bool,
    /// A PEM file of the certificate authorities to trust in the place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file that holds the registration code. Else CORE_CODE has it.
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    code_file: Option<PathBuf>,
    /// The registration code; visible to other users of this machine, see --code-file.
    #[arg(long)]
    code: Option<String>,
    /// Keeps key, configuration and traffic from one start to the next; without it they are lost.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The node's name.
    #[arg(long)]
    name: String,
    /// Where the node is.
    #[arg(long)]
    region: String,
    /// The node's address, as Core reaches it.
    #[arg(long)]
    ip: IpAddr,
    /// The port where the node answers GET /runtime-status, on --ip if that is loopback and on every address else; 0 takes any.
    #[arg(long, env = "PORT")]
    port: u16,
    /// The node's domain.
    #[arg(long)]
    domain: Option<String>,
    /// Where a gRPC request carries the key.
    #[arg(long, value_enum, default_value_t = Placement::Metadata)]
    key_placement: Placement,
    /// The largest answer of Core that is taken, in bytes.
    #[arg(long, default_value_t = RECEIVE_LIMIT)]
    receive_limit: usize,
    /// Take cumulative counters as JSON lines from a file, or from the standard input with `-`; else they are made up.
    #[arg(long, value_name = "FILE")]
    counters: Option<PathBuf>,
    #[command(flatten)]
    settings: AgentSettings,
    /// End after this time.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Placement {
    Metadata,
    Field,
    Both,
}

impl From<Placement> for KeyPlacement {
    fn from(placement: Placement) -> Self {
        match placement {
            Placement::Metadata => Self::Metadata,
            Placement::Field => Self::Field,
            Placement::Both => Self::Both,
        }
    }
}

/// Why the program ends before it is told to, with a hint.
type Problem = Arc<Mutex<Option<(String, &'static str)>>>;

#[tokio::main]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let links = match links(&arguments) {
        Ok(links) => links,
        Err(problem) => return bad_arguments(problem),
    };
    let restored = match arguments.state.as_deref().map(state_file::restore).transpose() {
        Ok(restored) => restored.unwrap_or(Restored::Nothing),
        Err(error) => return fail(error, "the file of --state must be readable"),
    };
    let listener = match listen(&arguments).await {
        Ok(listener) => listener,
        Err(problem) => return fail(problem, "try another --port"),
    };
    let port = listener.local_addr().ok().and_then(|address| NonZeroU16::new(address.port()));
    let agent = config(&arguments, port.unwrap_or(NonZeroU16::MIN), &links.1).and_then(|config| {
        let agent = Agent::new(config, restored, clock::now(), Instant::now());
        agent.map_err(|error| error.to_string())
    });
    let agent = match agent {
        Ok(agent) => agent,
        Err(problem) => return bad_arguments(problem),
    };
    let counters = match arguments.counters.as_deref().map(open).transpose() {
        Ok(counters) => counters,
        Err(problem) => return bad_arguments(problem),
    };
    if let Ok(address) = listener.local_addr() {
        printer.event("listening", json!({"addr": address.to_string()}));
    }
    let node = node(&agent, counters, printer);
    live(&arguments, printer, agent, Host { links: links.0, state: arguments.state.clone(), node }, listener)
        .await
}

async fn live(
    arguments: &Arguments,
    printer: Printer,
    agent: Agent,
    host: Host<ThisMachine>,
    listener: TcpListener,
) -> ExitCode {
    let (problem, failed) = (Problem::default(), Arc::new(Notify::new()));
    let (told, notify) = (problem.clone(), failed.clone());
    let news = move |_: &mut Agent, news: News<'_>| {
        if let Some((name, members)) = report(&news) {
            printer.event(name, members);
        }
        if let News::Event(event) = news
            && let Some(why) = fatal(event)
        {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            notify.notify_one();
        }
    };
    let limit = arguments.limit;
    let end = async move {
        tokio::select! {
            () = program::end(limit) => {}
            () = failed.notified() => {}
        }
    };
    let (handle, driver) = agent_driver::driver(agent, host, news, end);
    tokio::select! {
        () = driver => {}
        () = status_page::serve(listener, handle) => {}
    }
    match problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some((problem, hint)) => fail(problem, hint),
        None => ExitCode::SUCCESS,
    }
}

fn fatal(event: &Event) -> Option<(String, &'static str)> {
    match event {
        Event::NeedsCode => Some((
            "there is neither a key nor a registration code".to_owned(),
            "give a code by --code-file, or a --state that holds a key",
        )),
        Event::RegistrationRefused { reason, .. } => {
            Some((format!("Core refuses the registration: {reason}"), "ask for a new code"))
        }
        Event::Closed { is_stored: false } => {
            Some(("the state could not be saved".to_owned(), "look at the file of --state and its disk"))
        }
        _ => None,
    }
}

fn links(arguments: &Arguments) -> Result<(Links, GrpcTarget), String> {
    let base = Base::parse(&arguments.http).map_err(|error| format!("--http: {error}"))?;
    let insecure =
        if arguments.insecure { Some("true".to_owned()) } else { std::env::var("CORE_INSECURE").ok() };
    let target =
        GrpcTarget::parse(&arguments.grpc, insecure.as_deref()).map_err(|error| error.to_string())?;
    if !base.is_tls() && !base.is_loopback() {
        tracing::warn!("HTTP goes to another machine without TLS");
    }
    let trust = match &arguments.ca {
        Some(file) => Trust::Authorities(tls::authorities(file).map_err(|error| format!("--ca: {error}"))?),
        None => Trust::System,
    };
    let mut links = Links::new(base, target.clone(), trust);
    links.receive_limit = arguments.receive_limit;
    links.key_placement = arguments.key_placement.into();
    Ok((links, target))
}

async fn listen(arguments: &Arguments) -> Result<TcpListener, String> {
    let ip = match arguments.ip {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    TcpListener::bind((ip, arguments.port))
        .await
        .map_err(|error| format!("{ip} port {}: {error}", arguments.port))
}

fn config(arguments: &Arguments, port: NonZeroU16, target: &GrpcTarget) -> Result<Config, String> {
    let mut config = Config::new(&arguments.name, Address::from(arguments.ip), port, &arguments.region);
    config.domain.clone_from(&arguments.domain);
    config.code = code(arguments)?;
    config.cleartext = !target.tls() && !target.is_loopback();
    config.seed = fastrand::u64(..);
    arguments.settings.apply(&mut config);
    Ok(config)
}

fn code(arguments: &Arguments) -> Result<Option<Secret>, String> {
    let text = match (&arguments.code_file, &arguments.code) {
        (Some(file), _) => {
            Some(std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
        }
        (None, Some(code)) => Some(code.clone()),
        (None, None) => std::env::var("CORE_CODE").ok(),
    };
    Ok(text.map(|text| Secret::new(text.trim())))
}

/// Where counters come from.
enum Source {
    Input,
    File(File),
}

fn open(path: &Path) -> Result<Source, String> {
    if path == Path::new("-") {
        return Ok(Source::Input);
    }
    File::open(path).map(Source::File).map_err(|error| format!("--counters: {}: {error}", path.display()))
}

fn node(agent: &Agent, counters: Option<Source>, printer: Printer) -> ThisMachine {
    let lines = counters.map(|source| read_counters(source, agent, printer));
    let mut node = ThisMachine::new(fastrand::u64(..), lines);
    // The proxies start with what was applied last, also while Core is away.
    if let Some(config) = agent.node_config() {
        let _ = node.apply(config); // refused: as if they did not start, which the next configuration may mend
    }
    node
}

fn read_counters(source: Source, agent: &Agent, printer: Printer) -> SharedLines {
    let tell = move |number, error: core_example::counters::LineError| {
        printer.event("counters", json!({"line": number, "error": error.to_string()}));
    };
    match source {
        Source::Input => {
            let lines = SharedLines::default();
            lines.read(BufReader::new(std::io::stdin()), tell);
            lines
        }
        Source::File(file) => {
            let lines = SharedLines::after(|proxy| agent.snapshot().process_start(proxy));
            lines.read(BufReader::new(file), tell);
            lines
        }
    }
}
