//! Runtimes and clients on loopback sockets.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use node_red_example::client_driver::{self, News as ClientNews};
use node_red_example::runtime_driver::{self, Handle, News};
use node_red_example::{Account, Admin, Connector, Transport};
use nodered_comms::client::{self, Client, Credentials, ReceivedMessage};
use nodered_comms::runtime::{self, Access, Runtime, Scope, User};
use nodered_comms::topic::TopicFilter;
use nodered_comms::wire::Json;
use nodered_comms::{ConnectionId, Secret};
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use web_time::Instant;

/// Everything that is waited for has to come by then.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const PASSWORD: &str = "wonderland";

/// A running runtime. Aborting `run` kills it.
pub struct RunningRuntime {
    pub address: SocketAddr,
    pub handle: Handle,
    pub news: mpsc::Receiver<News>,
    pub run: JoinHandle<()>,
}

/// Settings of a runtime under test, all of which may be changed.
pub struct Settings {
    pub address: String,
    pub config: runtime::Config,
    pub admin: Admin,
    pub transport: Transport,
}

/// An admin API with the user alice.
pub fn admin() -> Admin {
    let password = Secret::new(PASSWORD);
    let alice = Account { name: "alice".into(), password, scope: Scope::from("*") };
    Admin::new("/").unwrap().with_account(alice)
}

impl Settings {
    pub fn new(access: Access) -> Self {
        let mut config = runtime::Config::new(access, 1_700_000_000_000.0);
        config.batch_delay = Duration::from_millis(5);
        let transport = Transport::default();
        Self { address: "127.0.0.1:0".into(), config, admin: admin(), transport }
    }

    pub async fn start(self) -> RunningRuntime {
        let runtime = Runtime::new(self.config, Instant::now()).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (handle, news, run) = runtime_driver::driver(runtime, listener, self.admin, self.transport);
        RunningRuntime { address, handle, news, run: tokio::spawn(run) }
    }
}

impl RunningRuntime {
    pub async fn open() -> Self {
        Settings::new(Access::Open).start().await
    }

    /// Returns the first answer that `wanted` gives to what comes.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&runtime::Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let news = self.news.recv().await.expect("the runtime has ended");
                if let News::Event(event) = &news
                    && let Some(found) = wanted(event)
                {
                    return found;
                }
            }
        };
        timeout(LIMIT, found).await.expect("it does not come")
    }

    pub async fn until_active(&mut self) -> (ConnectionId, Option<User>) {
        self.until(|event| match event {
            runtime::Event::Active { connection, user } => Some((*connection, user.clone())),
            _ => None,
        })
        .await
    }

    pub async fn until_subscribed(&mut self, wanted: &str) -> ConnectionId {
        self.until(|event| match event {
            runtime::Event::Subscribed { connection, filter, .. } if filter.as_str() == wanted => {
                Some(*connection)
            }
            _ => None,
        })
        .await
    }

    pub async fn until_ended(&mut self) -> runtime::CloseReason {
        self.until(|event| match event {
            runtime::Event::ConnectionEnded { reason, .. } => Some(*reason),
            _ => None,
        })
        .await
    }

    pub async fn publish(&self, topic: &str, data: &str, retain: bool) {
        let (topic, data) = (topic.to_owned(), Json::parse(data).unwrap());
        let publish =
            move |runtime: &mut Runtime, now| runtime.publish(&topic, data.as_ref(), retain, now).unwrap();
        self.handle.order(publish).await.unwrap();
    }

    pub async fn kill(self) -> SocketAddr {
        self.run.abort();
        let _ = self.run.await; // its sockets are closed now
        self.address
    }
}

/// A running client.
pub struct RunningClient {
    pub handle: client_driver::Handle,
    pub news: mpsc::Receiver<ClientNews>,
    pub run: JoinHandle<()>,
}

/// Settings with durations for tests.
pub fn quick(runtime: SocketAddr, credentials: Credentials) -> client::Config {
    let mut config = client::Config::new(format!("ws://{runtime}/comms").parse().unwrap());
    config.credentials = credentials;
    config.reconnect.first = Duration::from_millis(20);
    config.reconnect.second = Duration::from_millis(40);
    config.reconnect.later = Duration::from_millis(80);
    config
}

pub fn token(token: &str) -> Credentials {
    Credentials::Token(Secret::new(token))
}

pub fn alice() -> Credentials {
    Credentials::Password { username: "alice".into(), password: Secret::new(PASSWORD) }
}

impl RunningClient {
    pub fn start(config: client::Config, topics: &[&str]) -> Self {
        Self::start_with(config, topics, Connector::with_roots(RootCertStore::empty()), Transport::default())
    }

    pub fn start_with(
        config: client::Config,
        topics: &[&str],
        connector: Connector,
        transport: Transport,
    ) -> Self {
        let mut client = Client::new(config, Instant::now()).unwrap();
        for topic in topics {
            client.subscribe(&TopicFilter::new(topic).unwrap(), Instant::now()).unwrap();
        }
        let (handle, news, run) = client_driver::driver(client, connector, transport);
        Self { handle, news, run: tokio::spawn(run) }
    }

    pub async fn until_news<T>(&mut self, mut wanted: impl FnMut(&ClientNews) -> Option<T>) -> T {
        let found = async {
            loop {
                let news = self.news.recv().await.expect("the client has ended");
                if let Some(found) = wanted(&news) {
                    return found;
                }
            }
        };
        timeout(LIMIT, found).await.expect("it does not come")
    }

    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&client::Event) -> Option<T>) -> T {
        self.until_news(|news| match news {
            ClientNews::Event(event) => wanted(event),
            _ => None,
        })
        .await
    }

    pub async fn until_ready(&mut self) {
        self.until(|event| matches!(event, client::Event::Ready { .. }).then_some(())).await;
    }

    pub async fn until_ended(&mut self) -> client::CloseReason {
        self.until(|event| match event {
            client::Event::ConnectionEnded { reason, .. } => Some(*reason),
            _ => None,
        })
        .await
    }

    pub async fn message(&mut self) -> ReceivedMessage {
        self.until(|event| match event {
            client::Event::Message(message) => Some(message.clone()),
            _ => None,
        })
        .await
    }

    pub async fn publish(&self, topic: &str, data: &str) {
        let (topic, data) = (topic.to_owned(), Json::parse(data).unwrap());
        let publish = move |client: &mut Client, now| client.publish(&topic, data.as_ref(), now);
        self.handle.order(publish).await.unwrap().unwrap();
    }
}

/// What a message says, for comparison.
pub fn text(message: &ReceivedMessage) -> (&str, &str) {
    (&message.topic, message.data().map_or("", |data| data.text()))
}
