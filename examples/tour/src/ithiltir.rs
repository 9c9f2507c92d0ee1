//! A node with this machine's metrics and a Dash: reports, an outage, an update that is wrong and one that is right.

use crate::board::Row;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ithiltir_example::client::{self, Client};
use ithiltir_example::dash_driver;
use ithiltir_example::host::Host;
use ithiltir_example::node_driver::{self, Sample};
use ithiltir_proto::dash::{self, Dash, Identity};
use ithiltir_proto::node::{self, Node, StaticReason, UpdateError};
use ithiltir_proto::update::{DownloadError, Layout, Restart};
use ithiltir_proto::wire::{Manifest, Timestamp};
use ithiltir_proto::{Secret, Target};
use program::server::Limits;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use web_time::Instant;

/// What has to happen, in this order.
pub(crate) const STEPS: [&str; 10] = [
    "static accepted",
    "report accepted",
    "dash killed",
    "target suppressed",
    "dash restarted",
    "target recovered",
    "static again",
    "wrong file refused",
    "update installed",
    "new release reports",
];

/// The durations, shortened from seconds.
pub(crate) const PROFILE: &str =
    "interval 200ms (3s), start delay 200ms (5s), update retry 500ms (60s), 3 refusals suppress";

const OLD: &str = "0.2.7";
const NEW: &str = "0.2.8";
const KEY: &str = "tour-key-0001";

/// Shows everything, or says what did not happen.
pub(crate) async fn tour(row: &Row) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let folder = tempfile::tempdir().map_err(|error| text(&error))?;
    let good_file = Arc::new(AtomicBool::new(false));
    let (manifest, _deploy) = deploy(good_file.clone()).await.map_err(|error| text(&error))?;

    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| text(&error))?;
    let address = listener.local_addr().map_err(|error| text(&error))?;
    let (kill, mut killed) = mpsc::channel(1);
    let (clear, mut cleared) = mpsc::unbounded_channel();
    let server = serve(listener, None, clear.clone())?;
    let outage = tokio::spawn({
        let manifest = manifest.clone();
        async move { outage(server, address, manifest, &mut killed, clear).await }
    });

    let mut story = Story { row, kill, good_file, step: 0 };
    story.run(address, folder.path()).await?;
    check_layout(folder.path(), &manifest)?;
    story.done(&format!("current -> releases/{NEW}, exit for the supervisor"));
    story.run_release(address).await?;
    cleared.try_recv().map_err(|_| "the Dash still has the update task".to_owned())?;
    story.done(&format!("as {NEW}, and the Dash's task is done"));
    outage.abort();
    Ok(())
}

/// Kills the Dash when told to, and starts another one on the same port a while later.
async fn outage(
    server: JoinHandle<()>,
    address: SocketAddr,
    manifest: Manifest,
    killed: &mut mpsc::Receiver<()>,
    clear: mpsc::UnboundedSender<()>,
) -> Result<(), String> {
    killed.recv().await;
    server.abort();
    let _ = server.await; // its sockets are closed now
    killed.recv().await;
    let listener = TcpListener::bind(address).await.map_err(|error| error.to_string())?;
    serve(listener, Some(manifest), clear)?.await.map_err(|error| error.to_string())
}

fn serve(
    listener: TcpListener,
    update: Option<Manifest>,
    clear: mpsc::UnboundedSender<()>,
) -> Result<JoinHandle<()>, String> {
    let config = dash::Config::new(Identity::Absent { entropy: client::entropy()? });
    let wall_clock = Timestamp::from_system_time(SystemTime::now());
    let now = Instant::now();
    let mut dash = Dash::new(config, wall_clock, now).map_err(|error| error.to_string())?;
    dash.add_node("this-machine", Secret::new(KEY), now).map_err(|error| error.to_string())?;
    let news = move |dash: &mut Dash, event| match (event, &update) {
        (dash::Event::Report { node, report, .. }, Some(update)) if report.version == OLD => {
            let _ = dash.assign_update(node, update.clone(), Instant::now()); // refused: steps will be missing
        }
        (dash::Event::UpdateCleared { .. }, _) => drop(clear.send(())),
        _ => {}
    };
    Ok(tokio::spawn(dash_driver::run(dash, listener, Limits::default(), news, std::future::pending())))
}

/// Serves the release: a file with one wrong byte until `good`.
async fn deploy(good: Arc<AtomicBool>) -> std::io::Result<(Manifest, tokio::task::AbortHandle)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/deploy/linux/node_linux_amd64", listener.local_addr()?);
    let file: Vec<u8> = (0..300_000_u32).map(|place| (place % 251) as u8).collect();
    let manifest = Manifest {
        id: NEW.into(),
        version: NEW.into(),
        url,
        sha256: hex::encode(Sha256::digest(&file)),
        size: file.len() as i64,
    };
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mut body = file.clone();
            body[150_000] ^= u8::from(!good.load(Ordering::Relaxed));
            let service = service_fn(move |_| {
                let body = Full::new(Bytes::from(body.clone()));
                async move { Ok::<_, Infallible>(http_response(body)) }
            });
            let io = TokioIo::new(socket);
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(io, service),
            );
        }
    });
    Ok((manifest, server.abort_handle()))
}

fn http_response(body: Full<Bytes>) -> hyper::Response<Full<Bytes>> {
    hyper::Response::new(body)
}

/// The node's side, told by its events.
struct Story<'a> {
    row: &'a Row,
    kill: mpsc::Sender<()>,
    good_file: Arc<AtomicBool>,
    step: usize,
}

impl Story<'_> {
    async fn run(&mut self, dash: SocketAddr, folder: &Path) -> Result<(), String> {
        let mut config = config(dash, OLD)?;
        config.update.layout = Some(Layout::Releases {
            data_directory: folder.to_string_lossy().into_owned(),
            active: OLD.to_owned(),
        });
        let client = Client::trusting_nobody();
        let mut problem = None;
        let restart = start(config, OLD, &client, |event| {
            let (sent, received, latency) = client.traffic().figures();
            self.row.traffic(sent, received, latency);
            problem = self.tell(event).err();
            problem.is_none()
        })?
        .await;
        match restart {
            Some(Restart::Exit) => Ok(()),
            Some(other) => Err(format!("an unexpected restart: {other:?}")),
            None => Err(problem.unwrap_or_else(|| "the node ended early".to_owned())),
        }
    }

    /// What the supervisor would start: the same node in its next version, until a report of it was accepted.
    async fn run_release(&mut self, dash: SocketAddr) -> Result<(), String> {
        let client = Client::trusting_nobody();
        let accepted = |event: &node::Event| matches!(event, node::Event::Report { outcome: Ok(()), .. });
        let mut done = false;
        start(config(dash, NEW)?, NEW, &client, |event| {
            done |= accepted(event);
            !done
        })?
        .await;
        if done { Ok(()) } else { Err("no report of the new release was accepted".to_owned()) }
    }

    /// Takes the story one event further. Each step waits for its event; others are passed over.
    fn tell(&mut self, event: &node::Event) -> Result<(), String> {
        use node::Event;
        match (STEPS[self.step], event) {
            (
                "static accepted",
                Event::Static { reason: StaticReason::Startup, outcome: Ok(()), missing, .. },
            ) => {
                if !missing.is_empty() {
                    return Err(format!("the Static lacks {missing:?}"));
                }
                self.row.link("up");
                self.done("this machine's static information, complete");
            }
            ("report accepted", Event::Round { number, succeeded: 1, .. }) if *number >= 3 => {
                self.done(&format!("{number} rounds of real metrics"));
                self.row.link("down");
                self.tell_outage();
                self.done("its sockets closed in the middle of everything");
            }
            ("target suppressed", Event::Suppressed { .. }) => {
                self.done("three refused connections");
                self.tell_outage();
                self.done("on the same port, its memory empty");
            }
            ("target recovered", Event::Recovered { .. }) => {
                self.row.link("up");
                self.done("the first accepted report");
            }
            ("static again", Event::Static { reason: StaticReason::Recovery, outcome: Ok(()), .. }) => {
                self.done("because of the recovery");
            }
            ("wrong file refused", Event::UpdateFailed { error, .. }) => {
                if *error != UpdateError::Download(DownloadError::Digest) {
                    return Err(error.to_string());
                }
                self.done("one byte of 300000 differed");
                self.good_file.store(true, Ordering::Relaxed);
            }
            (_, Event::UpdateFailed { error, .. }) => return Err(error.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn tell_outage(&self) {
        let _ = self.kill.try_send(()); // full: the step after this one will be missing
    }

    fn done(&mut self, detail: &str) {
        self.row.step(STEPS[self.step], detail);
        self.step += 1;
    }
}

fn config(dash: SocketAddr, version: &str) -> Result<node::Config, String> {
    let url = format!("http://{dash}/api/node/metrics");
    let target = Target::new(&url, &Secret::new(KEY)).map_err(|error| error.to_string())?;
    let mut config = node::Config::new(version, vec![target]);
    config.interval = Duration::from_millis(200);
    config.start_delay = Duration::from_millis(200);
    config.update.retry_delay = Duration::from_millis(500);
    Ok(config)
}

/// Starts a node with this machine's metrics.
fn start(
    config: node::Config,
    version: &'static str,
    client: &Client,
    mut news: impl FnMut(&node::Event) -> bool,
) -> Result<impl Future<Output = Option<Restart>>, String> {
    let node = Node::new(config, Instant::now()).map_err(|error| error.to_string())?;
    let (sampler, samples) = mpsc::channel(1);
    std::thread::spawn(move || sample(version, &sampler));
    Ok(node_driver::run(node, client.clone(), samples, move |_, event| news(event)))
}

/// Reading the host may block, so it has a thread of its own; it ends with its reader.
fn sample(version: &str, samples: &mpsc::Sender<Sample>) {
    let mut host = Host::new(version);
    loop {
        let sample = Sample { report: host.sample(), statics: host.statics(Duration::from_secs(1)) };
        if samples.blocking_send(sample).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn check_layout(folder: &Path, manifest: &Manifest) -> Result<(), String> {
    let installed = std::fs::read(folder.join("current/ithiltir-node")).map_err(|error| error.to_string())?;
    if hex::encode(Sha256::digest(&installed)) == manifest.sha256 {
        Ok(())
    } else {
        Err("the installed file is not the promised one".to_owned())
    }
}
