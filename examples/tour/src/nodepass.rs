//! A NodePass master and a panel: an instance that carries traffic, its rates and log, another key, an outage, the end of
//! the instance.

use crate::board::Row;
use nodepass_api::client::{self, CallId, Client, CommandError, Event, Reply, State};
use nodepass_api::fleet::Member;
use nodepass_api::master::{self, Compat, Entropy, Master, Snapshot};
use nodepass_api::url::Rules;
use nodepass_api::wire::{InstanceId, PatchInstance, Status};
use nodepass_api::{Instant, Release, Secret};
use nodepass_example::client_driver::{self, Handle};
use nodepass_example::connector::Connector;
use nodepass_example::master_driver::{self, Host};
use nodepass_example::tls::{self, Trust};
use nodepass_example::{state_file, system};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What has to happen, in this order.
pub(crate) const STEPS: [&str; 14] = [
    "stream synced",
    "instance running",
    "log line seen",
    "traffic counted",
    "rates seen",
    "alias and policy set",
    "key rotated",
    "stream back",
    "master killed",
    "master restarted",
    "view right again",
    "instance started",
    "instance stopped",
    "instance deleted",
];

/// The durations, shortened from seconds.
pub(crate) const PROFILE: &str = "reports 200ms (5s), state saved after 10ms (100ms), reconnect 50ms to 200ms (100ms to 60s), lists 50ms apart (500ms), rates 100ms (1s)";

/// How much is carried.
const LENGTH: u64 = 1 << 20;
const ALIAS: &str = "tour";

/// Shows everything, or says what did not happen.
pub(crate) async fn tour(row: &Row) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let master = RunningMaster::start("127.0.0.1:0", folder.path().join("state")).await?;
    let panel = Panel::start(master.address, master.key.clone())?;
    let (target, _echo) = echo().await?;
    let mut story = Story { row, master, panel, step: 0 };
    story.tell(target).await
}

/// A master on a port, with its state in a file; aborting `run` kills it.
struct RunningMaster {
    address: SocketAddr,
    key: Secret,
    state: PathBuf,
    run: JoinHandle<()>,
}

impl RunningMaster {
    async fn start(address: &str, state: PathBuf) -> Result<Self, String> {
        let saved = state_file::read(&state).map_err(text)?;
        let snapshot = saved.map(|bytes| Snapshot::decode(&bytes)).transpose().map_err(text)?;
        let mut seed = [0; 32];
        tls::provider().secure_random.fill(&mut seed).map_err(|_| "the system gave no random bytes")?;
        let mut config = master::Config::new(Compat::V1_14, Entropy::new(seed));
        config.report_interval = Duration::from_millis(200);
        config.store_delay = Duration::from_millis(10);
        (config.os, config.arch) = (system::os().into(), system::arch().into());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(text)?;
        config.unix_milliseconds = i64::try_from(since.as_millis()).map_err(text)?;
        let report_interval = config.report_interval;
        let master = Master::new(config, snapshot, Instant::now()).map_err(text)?;
        let key = master.key().clone();
        let listener = TcpListener::bind(address).await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let mut host = Host::new(listener, Rules::Release(Release::V1_14_0));
        host.state = Some(state.clone());
        host.report_interval = report_interval;
        let run = tokio::spawn(master_driver::run(master, host, |_, _| {}, std::future::pending()));
        Ok(Self { address, key, state, run })
    }
}

impl Drop for RunningMaster {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// The client's side; dropping it closes everything at once.
struct Panel {
    handle: Handle,
    news: mpsc::Receiver<Event>,
    run: JoinHandle<()>,
}

impl Panel {
    fn start(master: SocketAddr, key: Secret) -> Result<Self, String> {
        let endpoint = format!("http://{master}/api").parse().map_err(text)?;
        let mut config = client::Config::new(endpoint, key);
        config.min_wait = Duration::from_millis(50);
        config.max_wait = Duration::from_millis(200);
        config.settle_delay = Duration::from_millis(50);
        config.fleet.rate_interval = Duration::from_millis(100);
        // The forwarder chooses its port itself.
        config.checks_urls = false;
        let client = Client::new(config, Instant::now()).map_err(text)?;
        let connector = Connector::new(Trust::Anybody);
        let (handle, news, run) = client_driver::driver(client, connector, |_, events| events);
        Ok(Self { handle, news, run: tokio::spawn(run) })
    }

    async fn event(&mut self) -> Result<Event, String> {
        self.news.recv().await.ok_or_else(|| "the client ended early".to_owned())
    }

    /// Makes a call and waits for its answer.
    async fn call(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError> + Send + 'static,
    ) -> Result<Reply, String> {
        let call = self.handle.order(command).await.ok_or("the client ended early")?.map_err(text)?;
        loop {
            match self.event().await? {
                Event::Answered { id, outcome } if id == call => return outcome.map_err(text),
                _ => {}
            }
        }
    }

    /// Looks at the client again and again, whenever there is news, until `look` finds something.
    async fn find<T: Send + 'static>(
        &mut self,
        look: impl Fn(&Client) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T, String> {
        loop {
            let look = look.clone();
            let found = self.handle.order(move |client, _| look(client)).await;
            if let Some(found) = found.ok_or("the client ended early")? {
                return Ok(found);
            }
            self.event().await?;
        }
    }

    async fn find_status(&mut self, id: &InstanceId, status: Status) -> Result<(), String> {
        let id = id.clone();
        let is_so = move |client: &Client| {
            let member = client.fleet().get(id.as_str())?;
            (member.instance().status == status).then_some(())
        };
        self.find(is_so).await
    }

    async fn until_synced(&mut self) -> Result<usize, String> {
        let is_so = |client: &Client| client.is_synced() && client.state() == State::Streaming;
        self.find(move |client| is_so(client).then(|| client.fleet().len())).await
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.run.abort();
    }
}

struct Story<'a> {
    row: &'a Row,
    master: RunningMaster,
    panel: Panel,
    step: usize,
}

impl Story<'_> {
    async fn tell(&mut self, target: SocketAddr) -> Result<(), String> {
        let instances = self.panel.until_synced().await?;
        let release = self.panel.find(Client::release).await?;
        self.row.link("up");
        self.done(&format!("{release}, {instances} instances"));
        let id = self.create(target).await?;
        self.traffic(&id).await?;
        self.labels(&id).await?;
        self.key().await?;
        self.outage(&id).await?;
        self.end(&id).await
    }

    async fn create(&mut self, target: SocketAddr) -> Result<InstanceId, String> {
        let url = format!("client://tour-tunnel-key@127.0.0.1:0/{target}?mode=1");
        let made = self.panel.call(move |client, now| client.create(&url, None, now)).await?;
        let Reply::Instance { instance, .. } = made else { return Err("no instance was made".to_owned()) };
        self.panel.find_status(&instance.id, Status::Running).await?;
        self.done(&format!("{} to {target}", instance.id));
        Ok(instance.id)
    }

    /// This program's own bytes go through the instance and come back.
    async fn traffic(&mut self, id: &InstanceId) -> Result<(), String> {
        let line = self.panel.find(of(id, listening)).await?;
        self.done(&line);
        let address = line.rsplit(' ').next().unwrap_or_default().to_owned();
        let program = std::env::current_exe().and_then(std::fs::File::open).map_err(text)?;
        let mut sent = Vec::new();
        program.take(LENGTH).read_to_end(&mut sent).map_err(text)?;
        if carry(&address, &sent).await? != sent {
            return Err("other bytes came back".to_owned());
        }
        let counters = self.panel.find(of(id, counters_of(sent.len() as u64))).await?;
        self.done(&format!("{} bytes in, {} out", counters.0, counters.1));
        let rate = self.panel.find(of(id, best_rate)).await?;
        self.done(&format!("{:.1} MB/s at best", rate / 1e6));
        Ok(())
    }

    async fn labels(&mut self, id: &InstanceId) -> Result<(), String> {
        let of = id.clone();
        let patch =
            PatchInstance { alias: Some(ALIAS.into()), restart: Some(false), ..PatchInstance::default() };
        match self.panel.call(move |client, now| client.patch(&of, patch, now)).await? {
            Reply::Instance { ignored, .. } if ignored.is_empty() => {}
            other => return Err(format!("they were not set: {other:?}")),
        }
        // The master tells of one after the other.
        let found = self.panel.find(|client| {
            let member = client.fleet().find_by_alias(ALIAS).next()?;
            (member.instance().restart == Some(false)).then(|| member.id().clone())
        });
        if found.await? != *id {
            return Err("another instance has the alias".to_owned());
        }
        self.done(&format!("{ALIAS}, not started with the master"));
        Ok(())
    }

    async fn key(&mut self) -> Result<(), String> {
        let Reply::Key(new) = self.panel.call(|client, now| client.rotate_key(now)).await? else {
            return Err("there is no new key".to_owned());
        };
        if new == self.master.key {
            return Err("the key is the old one".to_owned());
        }
        self.done("the old one is refused from now on");
        let expected = new.clone();
        self.panel.find(move |client| (*client.key() == expected).then_some(())).await?;
        self.panel.until_synced().await?;
        self.done("with the new key");
        // What the master does next is to save it.
        while !holds(&self.master.state, new.expose())? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.master.key = new;
        Ok(())
    }

    async fn outage(&mut self, id: &InstanceId) -> Result<(), String> {
        let before = self.panel.find(of(id, |member| Some(member.instance().traffic()))).await?;
        self.master.run.abort();
        let _ = (&mut self.master.run).await; // its sockets are closed now
        self.panel.find(|client| (client.is_reachable() == Some(false)).then_some(())).await?;
        self.row.link("down");
        self.done("nothing answers");

        let (address, state) = (self.master.address.to_string(), self.master.state.clone());
        let key = self.master.key.clone();
        self.master = RunningMaster::start(&address, state).await?;
        if self.master.key != key {
            return Err("the master has another key".to_owned());
        }
        self.done("on the same port, from its state file");
        let instances = self.panel.until_synced().await?;
        self.row.link("up");
        let now = |member: &Member| {
            let instance = member.instance();
            Some((instance.traffic(), instance.alias().map(str::to_owned), instance.status.clone()))
        };
        if self.panel.find(of(id, now)).await? != (before, Some(ALIAS.to_owned()), Status::Stopped) {
            return Err("the instance is not what it was".to_owned());
        }
        self.done(&format!("{instances} instance, {} bytes in, stopped as its policy is", before.tcprx));
        Ok(())
    }

    async fn end(&mut self, id: &InstanceId) -> Result<(), String> {
        for (is_start, status) in [(true, Status::Running), (false, Status::Stopped)] {
            let of = id.clone();
            self.panel
                .call(
                    move |client, now| if is_start { client.start(&of, now) } else { client.stop(&of, now) },
                )
                .await?;
            self.panel.find_status(id, status.clone()).await?;
            self.done(&format!("{id} is {status}"));
        }
        let gone = id.clone();
        self.panel.call(move |client, now| client.delete(&gone, now)).await?;
        self.panel.find(|client| client.fleet().is_empty().then_some(())).await?;
        self.done("no instance is left");
        Ok(())
    }

    fn done(&mut self, detail: &str) {
        let (sent, received, latency) = self.panel.handle.traffic().figures();
        self.row.traffic(sent, received, latency);
        self.row.step(STEPS[self.step], detail);
        self.step += 1;
    }
}

/// Looks at one instance.
fn of<T>(
    id: &InstanceId,
    look: impl Fn(&Member) -> Option<T> + Clone + Send + 'static,
) -> impl Fn(&Client) -> Option<T> + Clone + Send + 'static {
    let id = id.clone();
    move |client| look(client.fleet().get(id.as_str())?)
}

/// The line that says where the instance listens.
fn listening(member: &Member) -> Option<String> {
    let line = member.log().iter().rev().find(|entry| entry.text.starts_with("Tunnel listener"))?;
    Some(line.text.to_string())
}

fn counters_of(length: u64) -> impl Fn(&Member) -> Option<(u64, u64)> + Clone {
    move |member| {
        let traffic = member.instance().traffic();
        Some((traffic.tcprx, traffic.tcptx)).filter(|counters| *counters == (length, length))
    }
}

fn best_rate(member: &Member) -> Option<f64> {
    let rates = member.history().iter().map(|sample| sample.tcprx);
    rates.filter(|rate| *rate > 0.0).reduce(f64::max)
}

fn holds(path: &Path, what: &str) -> Result<bool, String> {
    let bytes = state_file::read(path).map_err(text)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).contains(what))
}

/// Starts a server that sends back what it gets.
async fn echo() -> Result<(SocketAddr, tokio::task::JoinSet<()>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut streams = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            streams.spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await; // an error: it is gone
                let _ = writer.shutdown().await;
            });
        }
    });
    Ok((address, tasks))
}

/// Sends it all, and returns all that comes back.
async fn carry(address: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut reader, mut writer) = TcpStream::connect(address).await.map_err(text)?.into_split();
    let write = async {
        writer.write_all(bytes).await?;
        writer.shutdown().await
    };
    let mut taken = Vec::new();
    let (written, read) = tokio::join!(write, reader.read_to_end(&mut taken));
    written.and(read).map_err(text)?;
    Ok(taken)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
