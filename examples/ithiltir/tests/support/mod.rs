//! A Dash, and a server with any answer, on loopback sockets.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ithiltir_example::dash_driver;
use ithiltir_example::node_driver::Sample;
use ithiltir_proto::dash::{Config, Dash, Event, Identity};
use ithiltir_proto::wire::{
    Disk, NodeReport, Raid, Snapshot, Static, StaticCpu, StaticCpuInfo, StaticMemory, StaticSystem, System,
    Timestamp,
};
use ithiltir_proto::{Secret, Target, node};
use program::server::Limits;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use web_time::Instant;

pub const KEY: &str = "loopback-key";

/// Starts a Dash; its events come out of the channel.
pub async fn dash(
    address: &str,
    adjust: impl FnOnce(&mut Config),
) -> (SocketAddr, mpsc::UnboundedReceiver<Event>, JoinHandle<()>) {
    let mut config = Config::new(Identity::Absent { entropy: [7; 16] });
    adjust(&mut config);
    let wall_clock = Timestamp::from_system_time(SystemTime::now());
    let mut dash = Dash::new(config, wall_clock, Instant::now()).unwrap();
    dash.add_node("node", Secret::new(KEY), Instant::now()).unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (news, events) = mpsc::unbounded_channel();
    let tell = move |_: &mut Dash, event| drop(news.send(event));
    let run = dash_driver::run(dash, listener, Limits::default(), tell, std::future::pending());
    (address, events, tokio::spawn(run))
}

/// Starts a server that gives every request the same answer.
pub async fn answering(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Bytes>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = body.into();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let body = body.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let body = body.clone();
                async move {
                    let _ = http_body_util::BodyExt::collect(request).await;
                    let mut response = hyper::Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(*name, *value);
                    }
                    Ok::<_, Infallible>(response.body(Full::new(body)).unwrap())
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    address
}

pub fn target(url: &str) -> Target {
    Target::new(url, &Secret::new(KEY)).unwrap()
}

/// Settings with durations for tests.
pub fn quick(targets: Vec<Target>) -> node::Config {
    let mut config = node::Config::new("0.2.3", targets);
    config.interval = Duration::from_millis(50);
    config.start_delay = Duration::from_millis(20);
    config.static_retry = Duration::from_millis(100);
    config.request_timeout = Duration::from_secs(5);
    config
}

/// A valid sample, handed over once.
pub fn samples() -> (mpsc::Sender<Sample>, mpsc::Receiver<Sample>) {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(sample()).unwrap();
    (sender, receiver)
}

pub fn sample() -> Sample {
    let now = Timestamp::from_system_time(SystemTime::now());
    let disk = Disk {
        physical: vec![].into(),
        logical: vec![].into(),
        filesystems: vec![].into(),
        base_io: vec![].into(),
        smart: None,
    };
    let metrics = Snapshot {
        disk,
        network: vec![].into(),
        raid: Raid { arrays: vec![].into(), ..Raid::default() },
        system: System::with_uptime(60),
        ..Snapshot::default()
    };
    let text = |text: &str| text.to_owned();
    let system = StaticSystem {
        hostname: text("host"),
        os: text("linux"),
        platform: text("debian"),
        platform_version: text("12"),
        kernel_version: text("6"),
        arch: text("amd64"),
    };
    let info = StaticCpuInfo { sockets: 1, cores_physical: 1, cores_logical: 1, ..StaticCpuInfo::default() };
    Sample {
        report: NodeReport { version: text("0.2.3"), hostname: text("host"), timestamp: now, metrics },
        statics: Static {
            version: text("0.2.3"),
            timestamp: now,
            report_interval_seconds: 1,
            cpu: StaticCpu { info },
            memory: StaticMemory { total: 1, swap_total: 0 },
            system,
            ..Static::default()
        },
    }
}
