//! An agent that caches real files and its server: a handshake, tasks with progress, an outage in the middle of a task,
//! a fatal error.

use crate::board::Row;
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant as Clock};
use teeth_example::Transport;
use teeth_example::agent_driver::{self, News as AgentNews};
use teeth_example::host::Host;
use teeth_example::images::Cache;
use teeth_example::server_driver::{self, News};
use teeth_example::work::{self, Workshop};
use teeth_proto::ConnectionId;
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::{Command, ImageId, TaskCommand, TaskId, TaskState, TaskStatus, Work};
use teeth_proto::server::{self, CloseReason, Reply, Server, TaskViolation};
use teeth_proto::wire::Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use web_time::Instant;

/// What has to happen, in this order.
pub(crate) const STEPS: [&str; 9] = [
    "handshake",
    "status answered",
    "progress reported",
    "image cached",
    "server killed mid-task",
    "task ends alone",
    "server restarted",
    "end told to new server",
    "fatal error",
];

/// The durations, shortened from seconds.
pub(crate) const PROFILE: &str = "reports 100ms (10s), pings 500ms (20s), back-off 50ms to 400ms (1s to 120s), cache at 4 MiB/s (no limit)";

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";
const RATE: u64 = 4 << 20;
/// Most of an image; at the rate above, two seconds.
const IMAGE: u64 = 8 << 20;

/// Shows everything, or says what did not happen.
pub(crate) async fn tour(row: &Row) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let (images, cache) = (folder.path().join("images"), folder.path().join("cache"));
    std::fs::create_dir(&images).map_err(text)?;
    let digest = take_image(&images.join(FIRST), 0)?;
    take_image(&images.join(SECOND), IMAGE / 2)?;
    let cache = Cache::open(&images, &cache, None).map_err(text)?.with_rate(Some(RATE));
    let cache_folder = cache.folder().to_owned();

    let server = RunningServer::start("127.0.0.1:0").await?;
    let (handle, mut news, run) = start_agent(server.address)?;
    let workshop = Workshop::new(cache, work::Settings::default(), handle.clone(), |_| {});
    let (pass_on, passed_on) = mpsc::unbounded_channel();
    let agent = async {
        while let Some(news) = news.recv().await {
            let AgentNews::Event(event) = news else { continue };
            workshop.take(&event);
            watch(row, &handle, &event);
            let _ = pass_on.send(event); // an error: the story is over
        }
    };
    let mut story = Story { row, agent: handle.clone(), events: passed_on, server, step: 0 };
    tokio::select! {
        told = story.tell(&cache_folder, &digest) => told,
        () = async { tokio::join!(run, agent); } => Err("the agent ended early".to_owned()),
    }
}

/// Makes an image of this machine's own data: a part of the program that runs. Returns its digest.
fn take_image(path: &Path, from: u64) -> Result<String, String> {
    let program = std::env::current_exe().and_then(std::fs::File::open).map_err(text)?;
    let mut image = Vec::new();
    program.take(from + IMAGE).read_to_end(&mut image).map_err(text)?;
    let image = &image[image.len().min(usize::try_from(from).unwrap_or_default())..];
    std::fs::write(path, image).map_err(text)?;
    Ok(hex::encode(Sha256::digest(image)))
}

fn start_agent(
    server: SocketAddr,
) -> Result<(agent_driver::Handle, mpsc::Receiver<AgentNews>, impl Future<Output = ()>), String> {
    let host = Host::read();
    let id = host.hardware_address.clone().unwrap_or_else(|| "a:b:c:d".to_owned());
    let mut config = agent::Config::new(id, "tour", teeth_example::seed());
    config.session.ping_interval = Duration::from_millis(500);
    config.report_interval = Duration::from_millis(100);
    config.backoff.base = Duration::from_millis(50);
    config.backoff.max_wait = Duration::from_millis(400);
    let mut agent = Agent::new(config, Instant::now()).map_err(text)?;
    let number = |number: Option<u64>| number.and_then(|number| Json::encode(&number).ok());
    let fields = [("cpus", number(host.cpus)), ("memory", number(host.memory))];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    agent.set_status_fields(fields.collect(), Clock::now());
    Ok(agent_driver::driver(agent, server.to_string(), Transport::default()))
}

fn watch(row: &Row, agent: &agent_driver::Handle, event: &agent::Event) {
    match event {
        agent::Event::Ready { .. } => row.link("up"),
        agent::Event::ConnectionEnded { .. } => row.link("down"),
        agent::Event::PingAnswered { round_trip } => {
            let (sent, received) = agent.traffic().lines();
            row.traffic(sent, received, *round_trip);
        }
        _ => {}
    }
}

/// A server on a port; dropping it closes everything at once.
struct RunningServer {
    address: SocketAddr,
    handle: server_driver::Handle,
    news: mpsc::Receiver<News>,
    run: JoinHandle<()>,
}

impl RunningServer {
    async fn start(address: &str) -> Result<Self, String> {
        let config = server::Config::new(teeth_example::seed());
        let server = Server::new(config, Instant::now()).map_err(text)?;
        let listener = TcpListener::bind(address).await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let (handle, news, run) = server_driver::driver(server, listener, Transport::default());
        Ok(Self { address, handle, news, run: tokio::spawn(run) })
    }

    /// Returns what the first event is that `wanted` accepts.
    async fn until<T>(&mut self, mut wanted: impl FnMut(server::Event) -> Option<T>) -> Result<T, String> {
        loop {
            match self.news.recv().await {
                Some(News::Event(event)) => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
                Some(_) => {}
                None => return Err("the server ended early".to_owned()),
            }
        }
    }

    async fn until_handshake(&mut self) -> Result<(ConnectionId, String), String> {
        self.until(|event| match event {
            server::Event::Handshake { connection, handshake } => Some((connection, handshake.id)),
            _ => None,
        })
        .await
    }

    async fn until_task_status(
        &mut self,
        wanted: impl Fn(&TaskStatus) -> bool,
    ) -> Result<TaskStatus, String> {
        self.until(|event| match event {
            server::Event::TaskStatus { status, .. } if wanted(&status) => Some(status),
            _ => None,
        })
        .await
    }

    async fn send(&self, connection: ConnectionId, command: Command) -> Result<(), String> {
        let sent = self.handle.order(move |server, now| server.send(connection, &command, now)).await;
        sent.ok_or("the server ended early")?.map(drop).map_err(text)
    }

    async fn cache(&self, connection: ConnectionId, task: &str, image: &str) -> Result<(), String> {
        let work = Work::CacheImages { images: vec![ImageId::from(image)] };
        self.send(connection, Command::Task(TaskCommand { task_id: TaskId::from(task), work })).await
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.run.abort();
    }
}

struct Story<'a> {
    row: &'a Row,
    agent: agent_driver::Handle,
    events: mpsc::UnboundedReceiver<agent::Event>,
    server: RunningServer,
    step: usize,
}

impl Story<'_> {
    async fn tell(&mut self, cache: &Path, digest: &str) -> Result<(), String> {
        let (connection, id) = self.server.until_handshake().await?;
        self.done(&format!("{id} is here"));
        self.status(connection).await?;
        self.caching(connection, cache, digest).await?;
        self.outage(connection).await?;
        self.fatal_error().await
    }

    async fn status(&mut self, connection: ConnectionId) -> Result<(), String> {
        self.server.send(connection, Command::Status).await?;
        let status = self.server.until(|event| match event {
            server::Event::Replied { reply: Reply::Status(status), .. } => Some(status.result()),
            _ => None,
        });
        let status = status.await?;
        self.done(status.text());
        Ok(())
    }

    async fn caching(&mut self, connection: ConnectionId, cache: &Path, digest: &str) -> Result<(), String> {
        self.server.cache(connection, "first", FIRST).await?;
        let status = self.server.until_task_status(is_under_way).await?;
        self.done(&progress(&status));
        let end = self.server.until_task_status(|status| status.state.is_end()).await?;
        if end.state != TaskState::Complete || end.image_ids != Some(vec![ImageId::from(FIRST)]) {
            return Err(format!("the task ended otherwise: {end:?}"));
        }
        let copy = std::fs::read(cache.join(FIRST)).map_err(text)?;
        if hex::encode(Sha256::digest(&copy)) != digest {
            return Err("the cached image is another one".to_owned());
        }
        self.done(&format!("{} bytes, SHA-256 {}…", copy.len(), &digest[..12]));
        Ok(())
    }

    async fn outage(&mut self, connection: ConnectionId) -> Result<(), String> {
        self.server.cache(connection, "second", SECOND).await?;
        let status = self.server.until_task_status(is_under_way).await?;
        self.server.run.abort();
        let _ = (&mut self.server.run).await; // its sockets are closed now
        self.done(&format!("at {}", progress(&status)));

        let killed = Clock::now();
        while !self.has_completed().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.done(&format!("{:.1?} later, with nobody to tell", killed.elapsed()));

        let address = self.server.address.to_string();
        self.server = RunningServer::start(&address).await?;
        let (connection, _) = self.server.until_handshake().await?;
        self.done("on the same port, its memory empty; the agent is back");
        // Hence the violation: it never gave anybody this task.
        let told = self.server.until(|event| match event {
            server::Event::TaskViolation { connection, status, violation } => {
                Some((connection, status.task_id, status.state, violation))
            }
            _ => None,
        });
        let expected =
            (connection, TaskId::from("second"), TaskState::Complete, TaskViolation::NeverDesignated);
        if told.await? != expected {
            return Err("the new server was told something else".to_owned());
        }
        while !matches!(self.event().await?, agent::Event::TaskReported { .. }) {}
        self.done("and the agent knows that it was told");
        Ok(())
    }

    async fn fatal_error(&mut self) -> Result<(), String> {
        let mut peer = TcpStream::connect(self.server.address).await.map_err(text)?;
        peer.write_all(b"this is not JSON\n").await.map_err(text)?;
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.map_err(text)?;
        let reason = self.server.until(|event| match event {
            server::Event::ConnectionEnded { reason: CloseReason::Peer(violation), .. } => Some(violation),
            _ => None,
        });
        let violation = reason.await?;
        if !answer.contains(violation.text()) {
            return Err(format!("the peer was told {answer:?}"));
        }
        self.done(answer.trim());
        Ok(())
    }

    async fn has_completed(&self) -> Result<bool, String> {
        let second = TaskId::from("second");
        let complete = self.agent.order(move |agent, _| {
            let mut tasks = agent.tasks();
            tasks.any(|(_, task)| *task.id() == second && task.state() == TaskState::Complete)
        });
        complete.await.ok_or_else(|| "the agent ended early".to_owned())
    }

    async fn event(&mut self) -> Result<agent::Event, String> {
        self.events.recv().await.ok_or_else(|| "the agent ended early".to_owned())
    }

    fn done(&mut self, detail: &str) {
        self.row.step(STEPS[self.step], detail);
        self.step += 1;
    }
}

fn is_under_way(status: &TaskStatus) -> bool {
    status.state == TaskState::Running && status.percent.is_some_and(|percent| percent > 0.0)
}

fn progress(status: &TaskStatus) -> String {
    let figures = (status.percent.unwrap_or_default(), status.eta.unwrap_or_default());
    format!("{:.1} percent, {:.1} s to go", figures.0, figures.1)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
