//! A Core and a node agent, over TLS both: registration, sync, traffic, an outage of Core and one of gRPC, a configuration that
//! cannot be applied. In the end Core has counted what the proxies have counted.

use crate::board::Row;
use core_example::agent_driver::{self, Host, News};
use core_example::clock::{self, Clock};
use core_example::core_driver::{self, Role};
use core_example::fixture::{self, Fixture, PublishedParts};
use core_example::links::Links;
use core_example::node::Node;
use core_example::report::report;
use core_example::serve::{self, Acceptors, Admin, Calls, Limits};
use core_example::status_page;
use core_example::this_machine::{REFUSED, ThisMachine};
use core_node_proto::agent::{self, Agent, ApplyFailed, Counters, Restored, Seen};
use core_node_proto::config::NodeConfig;
use core_node_proto::core::{self, Core, Entropy, Event, Tables};
use core_node_proto::http::Base;
use core_node_proto::message::NodeStats;
use core_node_proto::{GrpcTarget, Instant, Secret};
use program::client::Client;
use program::tls::{self, Identity, Trust};
use serde_json::Value;
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What has to happen, in this order.
pub(crate) const STEPS: [&str; 15] = [
    "registered",
    "config applied",
    "statistics seen",
    "user online",
    "usage counted",
    "core killed",
    "core restarted",
    "usage goes on",
    "grpc blocked",
    "http stands in",
    "grpc back",
    "bad config reported",
    "config repaired",
    "status from the node",
    "totals agree",
];

/// The durations, shortened from seconds.
pub(crate) const PROFILE: &str = "statistics 200ms (2s), online users 300ms (5s), heartbeat 200ms (10s), usage 250ms (60s), probe 300ms (30s), back-off 50ms to 200ms (1s to 60s), cooling 200ms (5s)";

const CODE: &str = "TOUR-CODE";

/// Shows everything, or says what did not happen.
pub(crate) async fn tour(row: &Row) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let identity = Identity::self_signed(&["127.0.0.1".to_owned()]).map_err(text)?;
    let trust = Trust::Authorities(identity.authorities().map_err(text)?);
    let tls = serve::acceptors(&|| Ok(identity.clone())).map_err(text)?;
    let core = RunningCore::start(["127.0.0.1:0"; 2], tls.clone(), None).await?;
    let agent = RunningAgent::start(&core, trust.clone(), &folder.path().join("state")).await?;
    Story { row, tls, trust, core, agent, step: 0 }.tell().await
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// A Core with its listeners.
struct RunningCore {
    addresses: [SocketAddr; 2],
    handle: core_driver::Handle,
    calls: Calls,
    events: mpsc::UnboundedReceiver<Event>,
    stop: oneshot::Sender<()>,
    driver: JoinHandle<Role>,
    http: JoinHandle<()>,
    grpc: JoinHandle<()>,
}

impl RunningCore {
    /// Starts a Core on what another one has stored, or anew.
    async fn start(addresses: [&str; 2], tls: Acceptors, tables: Option<Tables>) -> Result<Self, String> {
        let mut seed = [0; 32];
        tls::provider().secure_random.fill(&mut seed).map_err(|_| "the system gave no random bytes")?;
        let config = core::Config::new(Entropy::new(seed));
        let (at, now, is_new) = (clock::now(), Instant::now(), tables.is_none());
        let tables = match tables {
            Some(tables) => tables,
            None => {
                Fixture::demo(config.clone())
                    .map_err(text)?
                    .without_nodes()
                    .build_at(at, now)
                    .map_err(text)?
                    .1
            }
        };
        let mut core = Core::new(config, tables.stored(), at, now).map_err(text)?;
        if is_new {
            core.add_code(&Secret::new(CODE), None, now).map_err(text)?;
        }
        let (tell, events) = mpsc::unbounded_channel();
        let news = move |_: &mut Role, event: &Event| drop(tell.send(event.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let end = async move { drop(stopped.await) };
        let role = Role::new(core, tables, Clock::System);
        let (handle, driver) = core_driver::driver(role, Client::new(Trust::Anybody), news, end);
        let calls = Calls::new(handle.clone(), Limits::default(), Admin::default());
        let (http, grpc) = (listen(addresses[0]).await?, listen(addresses[1]).await?);
        Ok(Self {
            addresses: [http.local_addr().map_err(text)?, grpc.local_addr().map_err(text)?],
            handle,
            events,
            stop,
            driver: tokio::spawn(driver),
            http: tokio::spawn(serve::http(http, Some(tls.http), calls.clone())),
            grpc: tokio::spawn(serve::grpc(grpc, Some(tls.grpc), calls.clone())),
            calls,
        })
    }

    /// Closes its sockets in the middle of everything; returns what it had stored.
    async fn kill(self) -> Result<Tables, String> {
        let _ = self.stop.send(()); // an error: it has ended
        let role = self.driver.await.map_err(text)?;
        for listener in [self.http, self.grpc] {
            listener.abort();
            let _ = listener.await; // it was aborted
        }
        Ok(role.tables)
    }

    async fn event(&mut self) -> Result<Event, String> {
        self.events.recv().await.ok_or_else(|| "Core ended early".to_owned())
    }

    async fn tables(&self) -> Result<Tables, String> {
        self.handle.order(|role, _| role.tables.clone()).await.ok_or_else(|| "Core ended early".to_owned())
    }

    async fn publish(&self, services: &str) -> Result<u32, String> {
        let parts =
            format!(r#"{{"clientMap":{{"45":{{"userId":12,"subscriptionId":300}}}},"services":{services}}}"#);
        let parts: PublishedParts = serde_json::from_str(&parts).map_err(text)?;
        let order = |role: &mut Role, now| fixture::publish(role, Some(parts), now);
        self.handle.order(order).await.ok_or("Core ended early")?.map_err(text)
    }
}

/// Binds a listener, also a moment after another one was closed there.
async fn listen(address: &str) -> Result<TcpListener, String> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if tries == 50 => return Err(text(error)),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// This machine, and what its proxies have counted in all.
struct Watched {
    machine: ThisMachine,
    total: Arc<Mutex<u64>>,
}

impl Node for Watched {
    fn counters(&mut self) -> Vec<Counters> {
        let samples = self.machine.counters();
        let users = samples.iter().flat_map(|sample| &sample.proxies).flat_map(|proxy| proxy.users.values());
        let total = users.map(|traffic| traffic.up + traffic.down).sum();
        *self.total.lock().unwrap_or_else(PoisonError::into_inner) = total;
        samples
    }

    fn stats(&mut self) -> Option<NodeStats> {
        self.machine.stats()
    }

    fn online(&mut self) -> Option<Vec<Seen>> {
        self.machine.online()
    }

    fn apply(&mut self, config: &NodeConfig) -> Result<(), ApplyFailed> {
        self.machine.apply(config)
    }
}

/// An agent with its own HTTP server.
struct RunningAgent {
    events: mpsc::UnboundedReceiver<(&'static str, Value)>,
    links: Links,
    total: Arc<Mutex<u64>>,
    stop: Option<oneshot::Sender<()>>,
    _page: tokio::task::JoinSet<()>,
}

impl RunningAgent {
    async fn start(core: &RunningCore, trust: Trust, state: &Path) -> Result<Self, String> {
        let [http, grpc] = core.addresses;
        let base = Base::parse(&format!("https://{http}")).map_err(text)?;
        let links = Links::new(base, GrpcTarget::parse(&grpc.to_string(), None).map_err(text)?, trust);
        let listener = listen("127.0.0.1:0").await?;
        let config = config(listener.local_addr().map_err(text)?)?;
        let agent = Agent::new(config, Restored::Nothing, clock::now(), Instant::now()).map_err(text)?;
        let total = Arc::<Mutex<u64>>::default();
        let node = Watched { machine: ThisMachine::new(1, None), total: total.clone() };
        let (tell, events) = mpsc::unbounded_channel();
        let news = move |_: &mut Agent, news: News<'_>| {
            if let Some(event) = report(&news) {
                let _ = tell.send(event); // an error: the tour is over
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let end = async move { drop(stopped.await) };
        let host = Host { links: links.clone(), state: Some(state.into()), node };
        let (handle, driver) = agent_driver::driver(agent, host, news, end);
        let mut page = tokio::task::JoinSet::new();
        page.spawn(driver);
        page.spawn(status_page::serve(listener, handle));
        Ok(Self { events, links, total, stop: Some(stop), _page: page })
    }

    fn total(&self) -> u64 {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn config(page: SocketAddr) -> Result<agent::Config, String> {
    let port = NonZeroU16::new(page.port()).ok_or("there is no port")?;
    let mut config = agent::Config::new("this-machine", page.ip().into(), port, "here");
    config.code = Some(Secret::new(CODE));
    config.stats_interval = Duration::from_millis(200);
    config.online_interval = Duration::from_millis(300);
    config.heartbeat_interval = Duration::from_millis(200);
    config.usage_interval = Duration::from_millis(250);
    config.usage_spread = Duration::ZERO;
    config.probe_interval = Duration::from_millis(300);
    config.min_backoff = Duration::from_millis(50);
    config.max_backoff = Duration::from_millis(200);
    config.min_cooling = Duration::from_millis(200);
    Ok(config)
}

struct Story<'a> {
    row: &'a Row,
    tls: Acceptors,
    trust: Trust,
    core: RunningCore,
    agent: RunningAgent,
    step: usize,
}

impl Story<'_> {
    async fn tell(mut self) -> Result<(), String> {
        self.begin().await?;
        self = self.restart_core().await?;
        self.block_grpc().await?;
        self.break_config().await?;
        self.ask_node().await?;
        self.end().await
    }

    async fn begin(&mut self) -> Result<(), String> {
        self.until("registered", |_| true).await?;
        self.row.link("grpc");
        self.done("by HTTPS, with a code that is used up now");
        let applied = self.until("confirmed", |_| true).await?;
        self.done(&format!("revision {}, fetched by gRPC, stored and confirmed", applied["revision"]));
        let (mut stats, mut online) = (None, None);
        while stats.is_none() || online.is_none() {
            match self.core.event().await? {
                Event::Stats { stats: seen, .. } => stats = seen.system,
                Event::UserOnline { user, .. } => online = Some(user),
                _ => {}
            }
        }
        let cpu = stats.map(|system| system.cpu_percent).unwrap_or_default();
        self.done(&format!("this machine's: {cpu:.0} % of its processors"));
        self.done(&format!("user.online of user {}", online.map(|user| user.get()).unwrap_or_default()));
        self.until("usage", acked).await?;
        self.done("increments of the proxies' counters, by gRPC");
        Ok(())
    }

    async fn restart_core(mut self) -> Result<Self, String> {
        let addresses = self.core.addresses.map(|address| address.to_string());
        let tables = self.core.kill().await?;
        self.row.link("down");
        self.row.step(STEPS[self.step], "its sockets closed in the middle of everything");
        let addresses = [addresses[0].as_str(), addresses[1].as_str()];
        self.core = RunningCore::start(addresses, self.tls.clone(), Some(tables)).await?;
        self.step += 1;
        self.done("on the same ports, with what it had stored");
        self.until("usage", acked).await?;
        self.row.link("grpc");
        self.done("the increments of the outage, too");
        Ok(self)
    }

    async fn block_grpc(&mut self) -> Result<(), String> {
        self.core.grpc.abort();
        self.done("its port is closed");
        self.until("link", |event| event["link"] == "fallback").await?;
        self.until("usage", acked).await?;
        self.row.link("http");
        self.done("for usage, too");
        let listener = listen(&self.core.addresses[1].to_string()).await?;
        self.core.grpc =
            tokio::spawn(serve::grpc(listener, Some(self.tls.grpc.clone()), self.core.calls.clone()));
        self.until("link", |event| event["link"] == "grpc").await?;
        self.row.link("grpc");
        self.done("a heartbeat has found it");
        Ok(())
    }

    async fn break_config(&mut self) -> Result<(), String> {
        let bad = self.core.publish(r#"{"xray":{"outbounds":[]}}"#).await?;
        self.until("error_reported", |event| event["code"] == REFUSED && event["error"].is_null()).await?;
        let status = self.core.tables().await?.nodes.values().map(|node| node.sync_status.clone()).next();
        if status.as_ref().is_none_or(|status| status.as_str() != "failed") {
            return Err(format!("Core does not know that revision {bad} failed"));
        }
        self.done(&format!("revision {bad} has no inbounds; the one before stays"));
        let clients = r#"[{"email":"u12.l3.s45.i6"}]"#;
        let inbound = format!(r#"{{"tag":"vless-443","settings":{{"clients":{clients}}}}}"#);
        let mtproto = r#"{"inbounds":[{"tag":"mt-8443","users":[{"username":"u12.l3.s45.i7"}]}]}"#;
        let services = format!(
            r#"{{"xray":{{"inbounds":[{inbound}],"outbounds":[{{"tag":"direct"}}]}},"mtproto":{mtproto}}}"#
        );
        let good = self.core.publish(&services).await?;
        self.until("confirmed", |event| event["revision"] == good).await?;
        self.done(&format!("revision {good} is in use"));
        Ok(())
    }

    async fn ask_node(&mut self) -> Result<(), String> {
        let uri = format!("https://{}/admin/nodes/1/runtime-status?fromNode=true", self.core.addresses[0]);
        let request = http::Request::get(uri).body(bytes::Bytes::new()).map_err(text)?;
        let answer = Client::new(self.trust.clone()).exchange(request, 1 << 20).await;
        let answer = answer.map_err(|failed| format!("{:?}", failed.problem))?;
        let status: Value = serde_json::from_slice(answer.body()).map_err(text)?;
        if !status["at"].is_string() {
            return Err(format!("{}: {status}", answer.status()));
        }
        self.done("Core asked the node itself, for an administrator");
        Ok(())
    }

    async fn end(&mut self) -> Result<(), String> {
        drop(self.agent.stop.take());
        self.until("closed", |event| event["stored"] == true).await?;
        let tables = self.core.tables().await?;
        let counted: u64 =
            tables.usage.values().map(|traffic| traffic.bytes_up.get() + traffic.bytes_down.get()).sum();
        let total = self.agent.total();
        if counted != total {
            return Err(format!("Core has counted {counted} bytes, the proxies {total}"));
        }
        self.done(&format!("{total} bytes, at Core and at the proxies"));
        Ok(())
    }

    /// Passes over the agent's events until one of this name is `wanted`.
    async fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
        loop {
            let (event, members) = self.agent.events.recv().await.ok_or("the agent ended early")?;
            let (http, grpc) = self.agent.links.traffic();
            let ((sent, received, _), (more_sent, more_received, latency)) = (http.figures(), grpc.figures());
            self.row.traffic(sent + more_sent, received + more_received, latency);
            if event == name && wanted(&members) {
                return Ok(members);
            }
        }
    }

    fn done(&mut self, detail: &str) {
        self.row.step(STEPS[self.step], detail);
        self.step += 1;
    }
}

fn acked(event: &Value) -> bool {
    event["outcome"] == "acked"
}
