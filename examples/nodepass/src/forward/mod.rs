//! Real TCP forwarding of one instance: a listener, its targets, and everything that is counted on the way.
//!
//! A [`Forwarding`] owns its listener and all its connections. It ends them in order with [`Forwarding::stop`], and at
//! once when it is dropped; the port is free again afterwards.
//!
//! | setting | what it does |
//! |---|---|
//! | several targets | take connections in turn; one that does not answer is passed over |
//! | `slot` | connections beyond it are closed as soon as they are accepted |
//! | `rate` | a token bucket for each direction, shared by all connections |
//! | `read` | a connection on which nothing has moved for that long is closed |
//! | `proxy` | a header of the PROXY protocol, version 1, comes first to the target |

mod bucket;
mod counters;
mod listener;
mod relay;
mod targets;

pub use counters::Counters;
pub use listener::listen;

use crate::address::{Address, AddressError};
use crate::report::Level;
use bucket::Bucket;
use relay::{End, Relay};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use targets::Targets;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long accepting rests after it failed, as when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What is forwarded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to listen, `host:port`. An empty host is every interface, port 0 any free port.
    pub listen: String,
    /// Where connections go, each `host:port`; an empty host is this machine.
    pub targets: Vec<String>,
    /// How many connections there may be at a time. 0 is any number.
    pub slot: usize,
    /// How many bytes a second may pass in each direction. `None` and 0 are any number.
    pub rate: Option<u64>,
    /// How long a connection may be silent. `None` is for ever.
    pub read: Option<Duration>,
    /// Whether the target is told whose connection it is.
    pub proxy: bool,
    /// How long dialling a target may take. 5 s.
    pub connect_timeout: Duration,
    /// Whether TCP is off: there is no listener then.
    pub notcp: bool,
    /// Whose side the counters tell of.
    pub counted: Side,
}

/// A side of a connection. §4: the counters tell of the one that is not the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who has connected to the listener: the side of users.
    #[default]
    Listener,
    /// Who was dialled.
    Target,
}

/// Something that happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its weight.
    pub level: Level,
    /// What happened.
    pub text: String,
}

/// Why nothing is forwarded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The text for the listener is no address.
    #[error("listen {0:?}: {1}")]
    Listen(String, AddressError),
    /// The text of a target is no address.
    #[error("target {0:?}: {1}")]
    Target(String, AddressError),
    /// There is no target.
    #[error("missing target")]
    NoTarget,
    /// A target is the listener itself: the first connection would go round until no slot is left.
    #[error("target {0} is the listener itself")]
    Loop(Address),
    /// The listener cannot be had. It may be later.
    #[error("listen {0}: {1}")]
    Bind(Address, io::Error),
}

/// A running forwarding. Dropping it ends everything at once.
#[derive(Debug)]
pub struct Forwarding {
    address: Option<SocketAddr>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Duration>>,
    task: JoinHandle<()>,
}

/// What all connections of a forwarding use.
#[derive(Debug)]
struct Shared {
    targets: Targets,
    slot: usize,
    read: Option<Duration>,
    proxy: bool,
    counted: Side,
    up: Option<Bucket>,
    down: Option<Bucket>,
    counters: Arc<Counters>,
    notes: mpsc::Sender<Note>,
}

impl Forward {
    /// Returns settings without limits.
    #[must_use]
    pub fn new(listen: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            targets: vec![target.into()],
            slot: 0,
            rate: None,
            read: None,
            proxy: false,
            connect_timeout: Duration::from_secs(5),
            notcp: false,
            counted: Side::default(),
        }
    }

    /// Reads the addresses, without looking up names.
    ///
    /// # Errors
    /// Every [`StartError`] but [`StartError::Bind`].
    pub(crate) fn addresses(&self) -> Result<(Address, Vec<Address>), StartError> {
        let listen: Address =
            self.listen.parse().map_err(|error| StartError::Listen(self.listen.clone(), error))?;
        let target = |text: &String| text.parse().map_err(|error| StartError::Target(text.clone(), error));
        let targets: Vec<Address> = self.targets.iter().map(target).collect::<Result<_, _>>()?;
        if targets.is_empty() {
            return Err(StartError::NoTarget);
        }
        let is_listener = |target: &Address| {
            let is_here = listen.is_any() || listen.is_loopback();
            let is_same = (is_here && target.is_loopback()) || target.host() == listen.host();
            is_same && target.port() == listen.port() && listen.port() != 0
        };
        match targets.iter().find(|target| is_listener(target)) {
            Some(target) => Err(StartError::Loop(target.clone())),
            None => Ok((listen, targets)),
        }
    }
}

impl StartError {
    /// Whether trying again leads to the same: the settings are wrong.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Bind(..))
    }
}

impl Forwarding {
    /// Starts listening. Notes that nobody takes in time are lost.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(forward: &Forward, notes: mpsc::Sender<Note>) -> Result<Self, StartError> {
        let (listen, targets) = forward.addresses()?;
        let bind = |error| StartError::Bind(listen.clone(), error);
        let listener = match forward.notcp {
            true => None,
            false => Some(listener::listen(&listen).await.map_err(bind)?),
        };
        let address = listener.as_ref().map(TcpListener::local_addr).transpose().map_err(bind)?;
        let bucket = || forward.rate.and_then(Bucket::new);
        let shared = Arc::new(Shared {
            targets: Targets::new(targets, forward.connect_timeout),
            slot: forward.slot,
            read: forward.read,
            proxy: forward.proxy,
            counted: forward.counted,
            up: bucket(),
            down: bucket(),
            counters: Arc::default(),
            notes,
        });
        let (stop, stopping) = oneshot::channel();
        let task = tokio::spawn(serve(shared.clone(), listener, stopping));
        Ok(Self { address, shared, stop: Some(stop), task })
    }

    /// Returns where it listens, with the port that port 0 became; `None` where TCP is off.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns what is counted; the counters outlive the forwarding.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }

    /// Returns how long connecting to the first target takes; `None` where it does not answer within `limit`.
    pub async fn ping(&self, limit: Duration) -> Option<Duration> {
        self.shared.targets.ping(limit).await
    }

    /// Stops listening, lets connections end by themselves for up to `grace`, and ends those that are left.
    ///
    /// A call that was given up can be followed by another one, which waits no longer: it ends everything at once.
    pub async fn stop(&mut self, grace: Duration) {
        match self.stop.take() {
            Some(stop) => drop(stop.send(grace)),
            None => self.task.abort(),
        }
        if !self.task.is_finished() {
            let _ = (&mut self.task).await; // an error: it was aborted
        }
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether somebody could listen there now. The listener is given back at once.
pub(crate) async fn can_listen(text: &str) -> bool {
    match text.parse::<Address>() {
        Ok(address) => listen(&address).await.is_ok(),
        Err(_) => false,
    }
}

async fn serve(
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
    mut stopping: oneshot::Receiver<Duration>,
) {
    let mut connections = JoinSet::new();
    let grace = loop {
        tokio::select! {
            grace = &mut stopping => break grace.unwrap_or_default(),
            (user, peer) = accept(listener.as_ref(), &shared) => {
                if let Some(place) = shared.admit(peer) {
                    connections.spawn(shared.clone().carry(user, peer, place));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    };
    drop(listener);
    let _ = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>, shared: &Shared) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                shared.note(Level::Error, format!("Accept failed: {error}"));
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

impl Shared {
    fn admit(&self, peer: SocketAddr) -> Option<counters::Place> {
        let place = counters::Place::take(&self.counters, self.slot);
        if place.is_none() {
            self.counters.refuse();
            self.note(Level::Warn, format!("Connection refused: {peer}: all {} slots are in use", self.slot));
        }
        place
    }

    async fn carry(self: Arc<Self>, mut user: TcpStream, peer: SocketAddr, _place: counters::Place) {
        let _ = user.set_nodelay(true); // an error: it is slower
        let (mut target, address) = match self.targets.dial().await {
            Ok(found) => found,
            Err(error) => {
                self.counters.refuse();
                return self.note(Level::Error, format!("Target connection failed: {error}"));
            }
        };
        if self.proxy
            && let Err(error) = targets::introduce(&user, &mut target).await
        {
            return self.note(Level::Error, format!("Target connection failed: {address}: {error}"));
        }
        self.note(Level::Debug, format!("Starting exchange: {peer} <-> {address}"));
        let relay = Relay::new(&self.counters, self.counted, self.up.as_ref(), self.down.as_ref());
        let end = relay.run(&mut user, &mut target, self.read).await;
        let end = match end {
            End::Complete => "both sides are done".to_owned(),
            End::Idle => "nothing moved for too long".to_owned(),
            End::Lost(error) => error.to_string(),
        };
        self.note(Level::Debug, format!("Exchange complete: {peer} <-> {address}: {end}"));
    }

    fn note(&self, level: Level, text: String) {
        let _ = self.notes.try_send(Note { level, text }); // an error: nobody keeps up, or nobody is there
    }
}
