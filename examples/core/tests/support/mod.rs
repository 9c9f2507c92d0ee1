//! What the tests over loopback share: a Core and an agent with short durations.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use core_example::agent_driver::{self, Host, News};
use core_example::clock::{self, Clock};
use core_example::core_driver::{self, Handle, Role};
use core_example::fixture::Fixture;
use core_example::links::Links;
use core_example::report::report;
use core_example::serve::{self, Acceptors, Admin, Calls, Limits};
use core_example::this_machine::ThisMachine;
use core_node_proto::agent::{self, Agent, Restored};
use core_node_proto::core::{Config, Core, Entropy, Event, Tables};
use core_node_proto::http::Base;
use core_node_proto::{GrpcTarget, Instant, Secret};
use program::client::Client;
use program::tls::Trust;
use serde_json::Value;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long anything may take: far more than it needs on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The code that a Core of these tests takes.
pub const CODE: &str = "CODE-ONE";

/// Waits for it, but not for ever.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it takes far too long")
}

/// A Core; it is killed when dropped.
pub struct RunningCore {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub handle: Handle,
    pub calls: Calls,
    pub events: mpsc::UnboundedReceiver<Event>,
    run: Vec<JoinHandle<()>>,
}

impl Drop for RunningCore {
    fn drop(&mut self) {
        self.run.iter().for_each(JoinHandle::abort);
    }
}

/// How a Core of a test is started.
pub struct CoreSettings {
    pub http: String,
    pub grpc: String,
    pub tls: Option<Acceptors>,
    pub limits: Limits,
    pub tables: Option<Tables>,
    pub client: Client,
}

impl Default for CoreSettings {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:0".into(),
            grpc: "127.0.0.1:0".into(),
            tls: None,
            limits: Limits::default(),
            tables: None,
            client: Client::new(Trust::Anybody),
        }
    }
}

impl RunningCore {
    pub async fn start() -> Self {
        Self::start_with(CoreSettings::default(), |_| {}).await
    }

    pub async fn start_with(settings: CoreSettings, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(Entropy::new([7; 32]));
        change(&mut config);
        let tables = match settings.tables {
            Some(tables) => tables,
            None => Fixture::demo(config.clone()).unwrap().build_at(clock::now(), Instant::now()).unwrap().1,
        };
        let core = Core::new(config, tables.stored(), clock::now(), Instant::now()).unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        let news = move |_: &mut Role, event: &Event| drop(tell.send(event.clone()));
        let role = Role::new(core, tables, Clock::System);
        let (handle, driver) = core_driver::driver(role, settings.client, news, std::future::pending());
        let calls = Calls::new(handle.clone(), settings.limits, Admin::default());
        let http = bind(&settings.http).await;
        let grpc = bind(&settings.grpc).await;
        let addresses = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        let (http_tls, grpc_tls) = settings.tls.map(|tls| (tls.http, tls.grpc)).unzip();
        let run = vec![
            tokio::spawn(async move { drop(driver.await) }),
            tokio::spawn(serve::http(http, http_tls, calls.clone())),
            tokio::spawn(serve::grpc(grpc, grpc_tls, calls.clone())),
        ];
        Self { http: addresses.0, grpc: addresses.1, handle, calls, events, run }
    }

    /// Returns what Core stores.
    pub async fn tables(&self) -> Tables {
        self.handle.order(|role, _| role.tables.clone()).await.unwrap()
    }

    /// Kills it: its sockets are closed when this returns.
    pub async fn kill(mut self) {
        for run in std::mem::take(&mut self.run) {
            run.abort();
            let _ = run.await; // it was aborted
        }
    }

    /// Returns the sums of all rows of usage.
    pub async fn total(&self) -> (u64, u64) {
        let tables = self.tables().await;
        let sum = |count: fn(&core_node_proto::core::Traffic) -> u64| tables.usage.values().map(count).sum();
        (sum(|traffic| traffic.bytes_up.get()), sum(|traffic| traffic.bytes_down.get()))
    }
}

/// Binds a listener, also a moment after another one was closed there.
async fn bind(address: &str) -> TcpListener {
    within(async {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
}

/// An agent with short durations.
pub struct RunningAgent {
    pub handle: agent_driver::Handle,
    events: mpsc::UnboundedReceiver<(&'static str, Value)>,
    seen: Vec<String>,
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<()>,
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// Returns the settings of an agent with short durations.
pub fn quick() -> agent::Config {
    let port = NonZeroU16::new(3100).unwrap();
    let mut config = agent::Config::new("n1", "127.0.0.1".parse().unwrap(), port, "here");
    config.code = Some(Secret::new(CODE));
    config.heartbeat_interval = Duration::from_millis(100);
    config.stats_interval = Duration::from_millis(100);
    config.online_interval = Duration::from_millis(100);
    config.usage_interval = Duration::from_millis(100);
    config.usage_spread = Duration::ZERO;
    config.probe_interval = Duration::from_millis(200);
    config.min_backoff = Duration::from_millis(20);
    config.max_backoff = Duration::from_millis(100);
    config.min_cooling = Duration::from_millis(50);
    config.call_timeout = Duration::from_secs(5);
    config
}

/// Returns the ways to addresses, without TLS.
pub fn links(http: SocketAddr, grpc: SocketAddr) -> Links {
    links_to(&format!("http://{http}"), &grpc.to_string(), Some("true"), Trust::Anybody)
}

pub fn links_to(http: &str, grpc: &str, insecure: Option<&str>, trust: Trust) -> Links {
    Links::new(Base::parse(http).unwrap(), GrpcTarget::parse(grpc, insecure).unwrap(), trust)
}

impl RunningAgent {
    pub fn start(config: agent::Config, links: Links) -> Self {
        Self::start_from(config, links, None, Restored::Nothing)
    }

    pub fn start_from(config: agent::Config, links: Links, state: Option<&Path>, restored: Restored) -> Self {
        let agent = Agent::new(config, restored, clock::now(), Instant::now()).unwrap();
        let host = Host { links, state: state.map(Into::into), node: ThisMachine::new(1, None) };
        let (tell, events) = mpsc::unbounded_channel();
        let news = move |_: &mut Agent, news: News<'_>| {
            if let Some(event) = report(&news) {
                let _ = tell.send(event); // an error: the test is over
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let end = async move { drop(stopped.await) };
        let (handle, driver) = agent_driver::driver(agent, host, news, end);
        Self { handle, events, seen: Vec::new(), stop: Some(stop), run: tokio::spawn(driver) }
    }

    /// Returns the first event of that name that `wanted` accepts, passing over all before it.
    pub async fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let next = tokio::time::timeout(LIMIT, self.events.recv()).await.ok().flatten();
            let (event, members) = next.unwrap_or_else(|| panic!("no {name}: {:#?}", self.seen));
            self.seen.push(format!("{event} {members}"));
            if event == name && wanted(&members) {
                return members;
            }
        }
    }

    /// Stops it in order.
    pub async fn stop(mut self) -> Vec<String> {
        drop(self.stop.take());
        self.until("closed", |_| true).await;
        std::mem::take(&mut self.seen)
    }
}
