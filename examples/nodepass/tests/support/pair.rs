//! Masters and clients in one process, on loopback sockets.

use super::within;
use nodepass_api::client::{CallId, Client, CommandError, Config, Event, Reply, RequestError};
use nodepass_api::master::{self, Compat, Entropy, Master, Snapshot};
use nodepass_api::url::Rules;
use nodepass_api::{Instant, Release, Secret};
use nodepass_example::client_driver::{self, Handle};
use nodepass_example::connector::Connector;
use nodepass_example::master_driver::{self, Host};
use nodepass_example::tls::{self, Trust};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A running master. Aborting `run` kills it.
pub struct RunningMaster {
    pub address: SocketAddr,
    pub key: Secret,
    pub run: JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
}

/// Settings of a master under test, all of which may be changed.
pub struct Settings {
    pub address: String,
    pub config: master::Config,
    pub snapshot: Option<Snapshot>,
    pub tls: bool,
}

impl Settings {
    pub fn new() -> Self {
        let mut config = master::Config::new(Compat::V1_14, Entropy::new([7; 32]));
        config.report_interval = Duration::from_millis(100);
        Self { address: "127.0.0.1:0".into(), config, snapshot: None, tls: false }
    }

    pub async fn start(self) -> RunningMaster {
        let report_interval = self.config.report_interval;
        let master = Master::new(self.config, self.snapshot, Instant::now()).unwrap();
        let key = master.key().clone();
        let listener = TcpListener::bind(self.address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut host = Host::new(listener, Rules::Release(Release::V1_14_0));
        host.report_interval = report_interval;
        if self.tls {
            host.acceptor = Some(TlsAcceptor::from(tls::self_signed(&["127.0.0.1".to_owned()]).unwrap()));
        }
        let (end, ended) = oneshot::channel::<()>();
        let ended = async { drop(ended.await) };
        let run = tokio::spawn(master_driver::run(master, host, |_, _| {}, ended));
        RunningMaster { address, key, run, end: Some(end) }
    }
}

impl RunningMaster {
    /// Ends it in order.
    pub async fn end(mut self) {
        drop(self.end.take());
        within(&mut self.run).await.unwrap();
    }
}

impl Drop for RunningMaster {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// A running client; dropping it closes everything at once.
pub struct RunningClient {
    pub handle: Handle,
    pub news: mpsc::Receiver<Event>,
    run: JoinHandle<()>,
}

/// Returns quick settings.
pub fn quick(url: &str, key: &Secret) -> Config {
    let mut config = Config::new(url.parse().unwrap(), key.clone());
    config.min_wait = Duration::from_millis(20);
    config.max_wait = Duration::from_millis(100);
    config.settle_delay = Duration::from_millis(20);
    config.fleet.rate_interval = Duration::from_millis(10);
    config
}

impl RunningClient {
    pub fn start(config: Config) -> Self {
        let client = Client::new(config, Instant::now()).unwrap();
        let connector = Connector::new(Trust::Anybody);
        let (handle, news, run) = client_driver::driver(client, connector, |_, events| events);
        Self { handle, news, run: tokio::spawn(run) }
    }

    /// Returns the first answer that `wanted` gives to what comes.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.news.recv().await.expect("the client has ended");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        })
        .await
    }

    pub async fn until_synced(&mut self) {
        self.until(|event| matches!(event, Event::Synced { .. }).then_some(())).await;
    }

    /// Makes a call and waits for its answer; other news are dropped.
    pub async fn call(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError> + Send + 'static,
    ) -> Result<Reply, RequestError> {
        let call = self.handle.order(command).await.unwrap().unwrap();
        self.until(|event| match event {
            Event::Answered { id, outcome } if *id == call => Some(outcome.clone()),
            _ => None,
        })
        .await
    }
}

impl Drop for RunningClient {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// The state of a master with this key and so many stopped instances.
pub fn snapshot(key: &str, instances: u32) -> Snapshot {
    let stored = |number: u32| -> Value {
        json!({
            "id": format!("{number:08x}"), "alias": format!("number {number}"), "status": "stopped",
            "url": format!("server://127.0.0.1:{}/127.0.0.1:1?mode=2", 10_000 + number),
            "restart": false, "mode": 0, "peer": {"sid": "", "kind": "", "alias": ""}, "tags": {},
            "traffic": {"tcprx": number, "tcptx": 0, "udprx": 0, "udptx": 0},
        })
    };
    let instances: Vec<Value> = (0..instances).map(stored).collect();
    let text = json!({"format": 1, "key": key, "master_id": "", "alias": "", "instances": instances});
    Snapshot::decode(text.to_string().as_bytes()).unwrap()
}
