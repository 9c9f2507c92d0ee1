//! A Dash in memory: takes reports, tells what came, offers updates.

use clap::Parser;
use ithiltir_example::client;
use ithiltir_example::dash_driver;
use ithiltir_proto::dash::{Config, Dash, Event, Identity, InstallId, Network, NodeAddress, RateLimit};
use ithiltir_proto::wire::{self, Manifest, Timestamp};
use ithiltir_proto::{Secret, Version};
use program::server::Limits;
use program::{Printer, bad_arguments, fail};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use web_time::Instant;

/// An Ithiltir Dash in memory.
///
/// Try it with ithiltir-node:
///   cargo run --bin ithiltir-dash -- --listen 127.0.0.1:8080 --secret-file node=key.txt
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A node and its key; visible to other users of this machine, see --secret-file.
    #[arg(long, value_name = "NAME=KEY", value_parser = name_and_value)]
    secret: Vec<(String, String)>,
    /// A node and a file that holds its key.
    #[arg(long, value_name = "NAME=FILE", value_parser = name_and_value)]
    secret_file: Vec<(String, String)>,
    /// Keeps the installation's id from one start to the next.
    #[arg(long)]
    install_id_file: Option<PathBuf>,
    /// A manifest, as JSON, to offer to nodes that report an older version.
    #[arg(long)]
    update: Option<PathBuf>,
    /// The least version that an update is offered to; empty for any.
    #[arg(long, default_value = "0.2.1")]
    minimum_update_version: String,
    /// Requests per minute and network; 0 for no limit.
    #[arg(long, default_value_t = 600)]
    rate_limit: u32,
    /// The largest body taken, in bytes.
    #[arg(long, default_value_t = 1_048_576)]
    body_limit: usize,
    /// Look at the key before the body is validated.
    #[arg(long)]
    authenticate_first: bool,
    /// Time without a report after which a node counts as offline.
    #[arg(long, default_value = "14s", value_parser = program::duration)]
    offline_after: Duration,
    /// A network of proxies whose forwarding headers are believed, as in 10.0.0.0/8.
    #[arg(long)]
    trusted_proxy: Vec<Network>,
    /// Believe the first X-Forwarded-For of anybody for a node's address, as the original does.
    #[arg(long)]
    forwarded_address: bool,
    #[command(flatten)]
    limits: Limits,
    /// End after this time.
    #[arg(long = "for", value_parser = program::duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let (dash, update) = match prepare(&arguments) {
        Ok(ready) => ready,
        Err(problem) => return bad_arguments(problem),
    };
    let listener = match TcpListener::bind(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(format!("{}: {error}", arguments.listen), "try another --listen"),
    };
    if let Ok(address) = listener.local_addr() {
        printer.event("listening", json!({"addr": address.to_string()}));
    }
    let install_id_file = arguments.install_id_file.clone();
    let news = |dash: &mut Dash, event| {
        show(printer, dash, &event);
        match event {
            Event::IdentityCreated { install_id } => {
                if let Some(path) = &install_id_file
                    && let Err(error) = std::fs::write(path, install_id.as_str())
                {
                    tracing::error!(%error, "the installation's id could not be kept");
                }
            }
            Event::Report { node, report, .. } => {
                if let Some(manifest) =
                    update.as_ref().filter(|update| is_older(&report.version, &update.version))
                    && let Err(refusal) = dash.assign_update(node, manifest.clone(), Instant::now())
                {
                    tracing::info!(%refusal, "no update for this node");
                }
            }
            _ => {}
        }
    };
    dash_driver::run(dash, listener, arguments.limits, news, program::end(arguments.limit)).await;
    ExitCode::SUCCESS
}

fn is_older(reported: &str, offered: &str) -> bool {
    match (Version::parse(reported), Version::parse(offered)) {
        (Ok(reported), Ok(offered)) => reported.precedence(&offered).is_lt(),
        _ => false,
    }
}

fn prepare(arguments: &Arguments) -> Result<(Dash, Option<Manifest>), String> {
    let update = match &arguments.update {
        Some(path) => Some(read_manifest(path)?),
        None => None,
    };
    let config = dash_config(arguments)?;
    let wall_clock = Timestamp::from_system_time(SystemTime::now());
    let mut dash = Dash::new(config, wall_clock, Instant::now()).map_err(|error| error.to_string())?;
    let mut nodes = arguments.secret.clone();
    for (name, path) in &arguments.secret_file {
        let key = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        nodes.push((name.clone(), key.trim().to_owned()));
    }
    for (name, key) in nodes {
        dash.add_node(&name, Secret::new(key), Instant::now())
            .map_err(|error| format!("node {name}: {error}"))?;
    }
    Ok((dash, update))
}

fn dash_config(arguments: &Arguments) -> Result<Config, String> {
    let mut config = Config::new(identity(arguments.install_id_file.as_deref())?);
    config.max_body = arguments.body_limit;
    config.rate_limit = (arguments.rate_limit > 0).then(|| {
        let mut limit = RateLimit::default();
        limit.requests = arguments.rate_limit;
        limit
    });
    config.authenticate_first = arguments.authenticate_first;
    config.offline_after = arguments.offline_after;
    config.trusted_proxies.clone_from(&arguments.trusted_proxy);
    if arguments.forwarded_address {
        config.node_address = NodeAddress::ForwardedFor;
    }
    let minimum = arguments.minimum_update_version.trim();
    config.min_update_version = (!minimum.is_empty()).then(|| minimum.into());
    Ok(config)
}

/// A file with something else in it is never overwritten: the Dash answers 503 instead.
fn identity(path: Option<&Path>) -> Result<Identity, String> {
    match path.map(std::fs::read_to_string) {
        Some(Ok(text)) => Ok(text.trim().parse::<InstallId>().map_or(Identity::Unusable, Identity::Known)),
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        Some(Err(_)) | None => Ok(Identity::Absent { entropy: client::entropy()? }),
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    wire::decode(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn show(printer: Printer, dash: &Dash, event: &Event) {
    let name = |node| dash.node_name(node).map(str::to_owned);
    match event {
        Event::Report { node, report, reported_at, bytes, .. } => printer.event(
            "report",
            json!({
                "node": name(*node), "hostname": report.hostname, "version": report.version,
                "reported_at": reported_at.to_string(), "bytes": bytes,
            }),
        ),
        Event::Static { node, statics, .. } => printer.event(
            "static",
            json!({
                "node": name(*node), "hostname": statics.system.hostname, "os": statics.system.os,
                "arch": statics.system.arch, "cores": statics.cpu.info.cores_logical,
                "memory": statics.memory.total,
            }),
        ),
        Event::Rejected { status, code, path, reason, .. } => printer.event(
            "rejected",
            json!({"status": status.as_u16(), "code": code.as_str(), "path": path, "error": reason.to_string()}),
        ),
        Event::IdentityCreated { install_id } => {
            printer.event("identity", json!({"created": true, "install_id": install_id.as_str()}));
        }
        Event::UpdateOffered { node, version } => {
            printer.event("update", json!({"node": name(*node), "decision": "offered", "version": version}));
        }
        Event::UpdateCleared { node } => {
            printer.event("update", json!({"node": name(*node), "decision": "cleared"}));
        }
        Event::Online { node } => printer.event("online", json!({"node": name(*node)})),
        Event::Offline { node } => printer.event("offline", json!({"node": name(*node)})),
        other => tracing::info!(?other, "news"),
    }
}
