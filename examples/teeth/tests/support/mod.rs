//! Servers and agents on loopback sockets, and folders of images.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use teeth_example::Transport;
use teeth_example::agent_driver::{self, News as AgentNews};
use teeth_example::images::Cache;
use teeth_example::server_driver::{self, Handle, News};
use teeth_example::work::{Settings, Workshop};
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::{Command, TaskStatus};
use teeth_proto::server::{self, Server};
use teeth_proto::wire::Object;
use teeth_proto::{CallId, ConnectionId, Dialect};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use web_time::Instant;

/// Everything that is waited for has to come by then.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const IMAGE: &str = "6f1c5a52-3c1e-4f0e-9d0a-000000000001";
pub const OTHER: &str = "6f1c5a52-3c1e-4f0e-9d0a-000000000002";
pub const THIRD: &str = "6f1c5a52-3c1e-4f0e-9d0a-000000000003";

/// A running server. Aborting `run` kills it.
pub struct RunningServer {
    pub address: SocketAddr,
    pub handle: Handle,
    pub news: mpsc::Receiver<News>,
    pub run: JoinHandle<()>,
}

pub async fn server(
    address: &str,
    adjust: impl FnOnce(&mut server::Config, &mut Transport),
) -> RunningServer {
    let (mut config, mut transport) = (server::Config::new(teeth_example::seed()), Transport::default());
    adjust(&mut config, &mut transport);
    let server = Server::new(config, Instant::now()).unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (handle, news, run) = server_driver::driver(server, listener, transport);
    RunningServer { address, handle, news, run: tokio::spawn(run) }
}

impl RunningServer {
    /// Returns the first answer that `wanted` gives to what comes.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&News) -> Option<T>) -> T {
        let found = async {
            loop {
                let news = self.news.recv().await.expect("the server has ended");
                if let Some(found) = wanted(&news) {
                    return found;
                }
            }
        };
        timeout(LIMIT, found).await.expect("it does not come")
    }

    pub async fn until_event<T>(&mut self, mut wanted: impl FnMut(&server::Event) -> Option<T>) -> T {
        self.until(|news| match news {
            News::Event(event) => wanted(event),
            _ => None,
        })
        .await
    }

    pub async fn until_handshake(&mut self) -> ConnectionId {
        self.until_event(|event| match event {
            server::Event::Handshake { connection, .. } => Some(*connection),
            _ => None,
        })
        .await
    }

    pub async fn until_task_status(&mut self, mut wanted: impl FnMut(&TaskStatus) -> bool) -> TaskStatus {
        self.until_event(|event| match event {
            server::Event::TaskStatus { status, .. } if wanted(status) => Some(status.clone()),
            server::Event::TaskViolation { violation, .. } => panic!("{violation}"),
            _ => None,
        })
        .await
    }

    /// Gives a command, written as it would be typed.
    pub async fn send(&self, connection: ConnectionId, method: &str, params: &str) -> CallId {
        let params = Object::parse(params).unwrap();
        let command = Command::decode(method, params.as_ref(), Dialect::Document).unwrap();
        let sent = self.handle.order(move |server, now| server.send(connection, &command, now));
        sent.await.unwrap().unwrap()
    }
}

/// A running agent that carries out its tasks. Its news are passed on.
pub struct RunningAgent {
    pub handle: agent_driver::Handle,
    pub news: mpsc::UnboundedReceiver<AgentNews>,
    pub run: JoinHandle<()>,
}

/// Settings with durations for tests.
pub fn quick() -> agent::Config {
    let mut config = agent::Config::new("00:16:3e:00:00:01", "1.0", teeth_example::seed());
    config.report_interval = Duration::from_millis(20);
    config.backoff.base = Duration::from_millis(20);
    config.backoff.max_wait = Duration::from_millis(100);
    config
}

pub fn agent(server: SocketAddr, config: agent::Config, transport: Transport, cache: Cache) -> RunningAgent {
    let agent = Agent::new(config, Instant::now()).unwrap();
    let (handle, mut news, run) = agent_driver::driver(agent, server.to_string(), transport);
    let mut settings = Settings::default();
    settings.simulation = Duration::from_millis(100);
    let workshop: Arc<Workshop> = Workshop::new(cache, settings, handle.clone(), |_| {});
    let (pass_on, passed_on) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(news) = news.recv().await {
            if let AgentNews::Event(event) = &news {
                workshop.take(event);
            }
            let _ = pass_on.send(news); // an error: the test looks no longer
        }
    });
    RunningAgent { handle, news: passed_on, run: tokio::spawn(run) }
}

impl RunningAgent {
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&AgentNews) -> Option<T>) -> T {
        let found = async {
            loop {
                let news = self.news.recv().await.expect("the agent has ended");
                if let Some(found) = wanted(&news) {
                    return found;
                }
            }
        };
        timeout(LIMIT, found).await.expect("it does not come")
    }

    pub async fn until_event<T>(&mut self, mut wanted: impl FnMut(&agent::Event) -> Option<T>) -> T {
        self.until(|news| match news {
            AgentNews::Event(event) => wanted(event),
            _ => None,
        })
        .await
    }
}

/// A folder of images and one for the cache, gone when dropped.
pub struct Folders {
    folder: tempfile::TempDir,
}

impl Folders {
    pub fn new(images: &[(&str, usize)]) -> Self {
        let folders = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(folders.images()).unwrap();
        for (image, size) in images {
            folders.write(image, *size);
        }
        folders
    }

    pub fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Writes an image of that size into the store, another one for each name.
    pub fn write(&self, image: &str, size: usize) {
        let salt = image.bytes().last().unwrap();
        let bytes: Vec<u8> = (0..size).map(|place| (place % 251) as u8 ^ salt).collect();
        fs::write(self.images().join(image), bytes).unwrap();
    }

    pub fn open(&self, limit: Option<u64>) -> Cache {
        Cache::open(&self.images(), &self.cache(), limit).unwrap()
    }

    /// Whether the cache holds an image as the store does.
    pub fn is_cached(&self, image: &str) -> bool {
        let read = |folder: &Path| fs::read(folder.join(image)).ok();
        read(&self.cache()).is_some_and(|cached| Some(cached) == read(&self.images()))
    }
}
