//! A Core in memory: HTTP and gRPC for nodes, the runtime status of nodes for administrators.

use clap::Parser;
use core_example::clock::Clock;
use core_example::core_driver::{self, Handle, Role};
use core_example::fixture::Fixture;
use core_example::serve::control::{self, Control};
use core_example::serve::{self, Acceptors, Admin, Calls};
use core_example::settings::CoreSettings;
use core_node_proto::core::{Config, Entropy, Event};
use core_node_proto::{GrpcTarget, Secret};
use program::client::Client;
use program::tls::{self, Identity, Trust};
use program::{Printer, bad_arguments, duration, fail, file};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A Core in memory. Without --fixture it has the built-in users and configuration, no node, and one registration code: that of
/// CORE_CODE, or a fresh one, which is written to --code-file.
///
/// Try it with core-agent:
///   cargo run --bin core-server -- --http 127.0.0.1:3000 --grpc 127.0.0.1:3002 --code-file code.txt
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen for HTTP; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:3000")]
    http: SocketAddr,
    /// Where to listen for gRPC; port 0 takes any. Else the host of --http with the port GRPC_PORT, else 3002.
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// A certificate, with the chain behind it, as PEM: both listeners speak TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What to start from, as the `fixture` object of the conformance vectors.
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// Where the fresh registration code is written (0600).
    #[arg(long, value_name = "FILE", default_value = "core-code.txt")]
    code_file: PathBuf,
    /// A file with the bearer token for /admin; without it /admin answers this machine only.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Serve state, reset, clock, publishing and faults there for test runners; loopback only. The clock stands still then.
    #[arg(long, value_name = "ADDR")]
    test_control: Option<SocketAddr>,
    #[command(flatten)]
    settings: CoreSettings,
    /// End after this time.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

/// What stands before the start.
struct Ready {
    fixture: Fixture,
    role: Role,
    tls: Option<Acceptors>,
    admin: Admin,
    code: Option<Secret>,
}

// One thread: connections and the machine take turns without waking each other up.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let ready = match prepare(&arguments) {
        Ok(ready) => ready,
        Err(problem) => return bad_arguments(problem),
    };
    match run(&arguments, printer, ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(problem, "try another address, or another file"),
    }
}

async fn run(arguments: &Arguments, printer: Printer, ready: Ready) -> Result<(), String> {
    let http = bind(arguments.http).await?;
    let grpc = bind(grpc_address(arguments)?).await?;
    let control = match arguments.test_control {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let mut listening = json!({"addr": address(&http), "grpc": address(&grpc)});
    if let Some(control) = &control {
        listening["control"] = address(control).into();
    }
    printer.event("listening", listening);
    let news = move |_: &mut Role, event: &Event| show(printer, event);
    let client = Client::new(Trust::System);
    let (handle, driver) = core_driver::driver(ready.role, client, news, program::end(arguments.limit));
    let calls = Calls::new(handle.clone(), arguments.settings.limits(), ready.admin);
    let (http_tls, grpc_tls) = ready.tls.map(|tls| (tls.http, tls.grpc)).unzip();
    let serving = async {
        tokio::join!(serve::http(http, http_tls, calls.clone()), serve::grpc(grpc, grpc_tls, calls.clone()));
    };
    let controlled = calls.clone();
    let controlling = async {
        match control {
            Some(listener) => {
                control::serve(listener, Control { calls: controlled, fixture: ready.fixture }).await
            }
            None => std::future::pending().await,
        }
    };
    let admitting = async {
        match ready.code {
            Some(code) => admit(arguments, printer, &handle, code).await,
            None => Ok(()),
        }
    };
    tokio::select! {
        _ = driver => Ok(()),
        () = serving => Err("nothing is served any more".to_owned()),
        () = controlling => Err("the control surface is gone".to_owned()),
        Err(problem) = admitting => Err(problem),
    }
}

/// Adds the registration code and tells where it is.
async fn admit(arguments: &Arguments, printer: Printer, handle: &Handle, code: Secret) -> Result<(), String> {
    let is_given = std::env::var_os("CORE_CODE").is_some();
    if !is_given {
        let written = file::write(&arguments.code_file, format!("{}\n", code.expose()).as_bytes());
        written.map_err(|error| format!("{}: {error}", arguments.code_file.display()))?;
    }
    let added = handle.order(move |role, now| role.core.add_code(&code, None, now)).await;
    match added {
        Some(Ok(_)) if is_given => printer.event("code", json!({"from": "CORE_CODE"})),
        Some(Ok(_)) => printer.event("code", json!({"file": arguments.code_file.display().to_string()})),
        Some(Err(error)) => return Err(format!("the registration code: {error}")),
        None => {}
    }
    Ok(())
}

fn prepare(arguments: &Arguments) -> Result<Ready, String> {
    if arguments.test_control.is_some_and(|address| !address.ip().to_canonical().is_loopback()) {
        return Err("--test-control must be an address of this machine only".to_owned());
    }
    let config = config(arguments)?;
    let fixture = match &arguments.fixture {
        Some(path) => Fixture::read(&read(path)?, config),
        None => Fixture::demo(config),
    };
    let fixture = fixture.map_err(|error| error.to_string())?;
    let is_fresh = arguments.fixture.is_none() && arguments.test_control.is_none();
    let started = if is_fresh { fixture.clone().without_nodes() } else { fixture.clone() };
    let now = Instant::now();
    let role = if arguments.test_control.is_some() {
        started.build(now).map(|(core, tables, clock)| Role::new(core, tables, clock))
    } else {
        let built = started.build_at(Clock::System.read(), now);
        built.map(|(core, tables)| Role::new(core, tables, Clock::System))
    };
    Ok(Ready {
        role: role.map_err(|error| error.to_string())?,
        fixture,
        tls: acceptors(arguments)?,
        admin: Admin { token: arguments.admin_token_file.as_deref().map(secret).transpose()? },
        code: if is_fresh { Some(code()?) } else { None },
    })
}

fn config(arguments: &Arguments) -> Result<Config, String> {
    let mut config = Config::new(Entropy::new(random()?));
    let token = arguments.settings.enrich_token_file.as_deref().map(secret).transpose()?;
    arguments.settings.apply(&mut config, token)?;
    if arguments.test_control.is_some() {
        config.offline_after = None; // a runner sets the clock as it likes; nobody is silent by that
    }
    Ok(config)
}

fn acceptors(arguments: &Arguments) -> Result<Option<Acceptors>, String> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else { return Ok(None) };
    let acceptors = serve::acceptors(&|| Identity::from_files(certificate, key));
    acceptors.map(Some).map_err(|error| error.to_string())
}

fn grpc_address(arguments: &Arguments) -> Result<SocketAddr, String> {
    let port = match (arguments.grpc, std::env::var("GRPC_PORT")) {
        (Some(address), _) => return Ok(address),
        (None, Ok(port)) => port.parse().map_err(|_| "GRPC_PORT is no port".to_owned())?,
        (None, Err(_)) => GrpcTarget::DEFAULT_PORT,
    };
    Ok(SocketAddr::new(arguments.http.ip(), port))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn secret(path: &Path) -> Result<Secret, String> {
    let text = String::from_utf8(read(path)?).map_err(|_| format!("{}: no text", path.display()))?;
    match text.trim() {
        "" => Err(format!("{}: empty", path.display())),
        text => Ok(Secret::new(text)),
    }
}

/// Returns the code of CORE_CODE, or a fresh one.
fn code() -> Result<Secret, String> {
    if let Ok(code) = std::env::var("CORE_CODE") {
        return Ok(Secret::new(code));
    }
    let digits: String = random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret::new(digits))
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], String> {
    let mut bytes = [0; LENGTH];
    let filled = tls::provider().secure_random.fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| "the system gave no random bytes".to_owned())
}

fn show(printer: Printer, event: &Event) {
    match event {
        Event::NodeRegistered { node } => printer.event("registered", json!({"node": node.to_string()})),
        Event::RegistrationRefused { .. } => {
            printer.event("registration_refused", json!({"error": "unknown, used or expired code"}));
        }
        Event::Unauthorized { method, .. } => {
            printer.event("unauthorized", json!({"call": format!("{method:?}"), "error": "unknown key"}));
        }
        Event::NodeStatusChanged { node, status } => {
            printer.event("node_status", json!({"node": node.to_string(), "status": status.as_str()}));
        }
        Event::SyncStatusChanged { node, status } => {
            printer.event("sync_status", json!({"node": node.to_string(), "status": status.as_str()}));
        }
        Event::NodeError { node, error } => {
            printer.event("node_error", json!({"node": node.to_string(), "code": error.code, "error": error.message}));
        }
        Event::Ahead { node, revision, current } => printer.event(
            "ahead",
            json!({"node": node.to_string(), "revision": revision.get(), "current": current.get()}),
        ),
        Event::UserOnline { user, at } => {
            printer.event("user.online", json!({"user": user.get(), "at": at.to_string()}));
        }
        Event::Stats { node, stats, .. } => printer.event(
            "stats",
            json!({"node": node.to_string(), "cpu_percent": stats.system.map(|system| system.cpu_percent)}),
        ),
        Event::Skipped { node, method, count } => printer.event(
            "skipped",
            json!({"node": node.to_string(), "call": format!("{method:?}"), "count": count}),
        ),
        Event::Replayed { node } => printer.event("replayed", json!({"node": node.to_string()})),
        Event::Enriched(report) => printer.event(
            "enriched",
            json!({
                "job": format!("{:?}", report.job).to_lowercase(), "requests": report.requests, "stored": report.stored,
                "failed": report.failed, "complete": report.is_complete,
            }),
        ),
        Event::Published { revision } => printer.event("published", json!({"revision": revision.get()})),
        other => tracing::info!(?other, "news"),
    }
}
