//! A runtime and its editor: a login, what is retained, debug values, batches, an outage, the end of a session.

use crate::board::Row;
use futures_util::{SinkExt as _, StreamExt as _};
use node_red_example::client_driver::{self, News as ClientNews};
use node_red_example::runtime_driver::{self, News};
use node_red_example::{Account, Admin, Connector, EDITOR_TOPICS, Transport};
use nodered_comms::client::{self, Client, Credentials, ReceivedMessage};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugMessage, DebugValue};
use nodered_comms::event::{CommsEvent, NodeStatus};
use nodered_comms::runtime::{self, Access, CommandError, Runtime, Scope, User};
use nodered_comms::topic::TopicFilter;
use nodered_comms::wire::{Frame, Item, Json, decode_frame};
use nodered_comms::{ConnectionId, Secret};
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock, SystemTime};
use teeth_example::host::Host;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use web_time::Instant;

/// What has to happen, in this order.
pub(crate) const STEPS: [&str; 12] = [
    "token fetched",
    "token accepted",
    "retained status",
    "debug value decoded",
    "editor heard",
    "175 messages batched",
    "wrong token refused",
    "runtime killed",
    "runtime restarted",
    "subscriptions back",
    "session expired",
    "another session",
];

/// The durations, shortened from seconds.
pub(crate) const PROFILE: &str = "batches 50ms (50ms), heartbeats 1s (15s), reconnect 100ms (1s), after the restart sessions of 2s (7 days), grace 200ms (5s)";

const PASSWORD: &str = "tour-password-0001";
const TOKEN: &str = "tour-token-0001";
const WEEK: Duration = Duration::from_secs(604_800);
const BURST: usize = 175;

/// Shows everything, or says what did not happen.
pub(crate) async fn tour(row: &Row) -> Result<(), String> {
    let runtime = RunningRuntime::start("127.0.0.1:0", WEEK).await?;
    runtime.status("before").await?;
    let editor = Editor::start(runtime.address)?;
    let mut story = Story { row, runtime, editor, latency: Duration::ZERO, step: 0 };
    story.tell().await
}

/// A runtime on a port; dropping it closes everything at once.
struct RunningRuntime {
    address: SocketAddr,
    handle: runtime_driver::Handle,
    news: mpsc::Receiver<News>,
    run: JoinHandle<()>,
}

impl RunningRuntime {
    async fn start(address: &str, session_life: Duration) -> Result<Self, String> {
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(text)?;
        let mut config = runtime::Config::new(Access::Users, started.as_secs_f64() * 1000.0);
        config.heartbeat_interval = Some(Duration::from_secs(1));
        config.expiry_grace = Duration::from_millis(200);
        let runtime = Runtime::new(config, Instant::now()).map_err(text)?;
        let password = Secret::new(PASSWORD);
        let admin = Admin::new("/red")
            .map_err(text)?
            .with_account(Account { name: "tour".into(), password, scope: Scope::from("*") })
            .with_token(Secret::new(TOKEN), User::anonymous(Scope::from("read")))
            .with_session_life(session_life);
        let listener = TcpListener::bind(address).await.map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let (handle, news, run) = runtime_driver::driver(runtime, listener, admin, Transport::default());
        Ok(Self { address, handle, news, run: tokio::spawn(run) })
    }

    /// Gives a command; what it refuses is an end of the tour.
    async fn order(
        &self,
        order: impl FnOnce(&mut Runtime, Instant) -> Result<(), CommandError> + Send + 'static,
    ) -> Result<(), String> {
        self.handle.order(order).await.ok_or("the runtime ended early")?.map_err(text)
    }

    /// Shows what this machine has, as the status of a node.
    async fn status(&self, when: &str) -> Result<(), String> {
        let memory = Host::read().memory.unwrap_or_default() >> 20;
        let status =
            serde_json::json!({"fill": "green", "shape": "dot", "text": format!("{memory} MiB, {when}")});
        let status = Json::encode(&status).map_err(text)?;
        self.order(move |runtime, now| runtime.status("memory", status.as_ref(), now)).await
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(runtime::Event) -> Option<T>) -> Result<T, String> {
        loop {
            match self.news.recv().await {
                Some(News::Event(event)) => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
                Some(_) => {}
                None => return Err("the runtime ended early".to_owned()),
            }
        }
    }

    async fn until_active(&mut self) -> Result<(ConnectionId, Option<String>), String> {
        self.until(|event| match event {
            runtime::Event::Active { connection, user } => Some((connection, user?.name)),
            _ => None,
        })
        .await
    }
}

impl Drop for RunningRuntime {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// The editor's side; dropping it closes everything at once.
struct Editor {
    handle: client_driver::Handle,
    news: mpsc::Receiver<ClientNews>,
    run: JoinHandle<()>,
}

impl Editor {
    fn start(runtime: SocketAddr) -> Result<Self, String> {
        let mut config = client::Config::new(format!("ws://{runtime}/red/comms").parse().map_err(text)?);
        let password = Secret::new(PASSWORD);
        config.credentials = Credentials::Password { username: "tour".into(), password };
        config.reconnect.first = Duration::from_millis(100);
        let mut client = Client::new(config, Instant::now()).map_err(text)?;
        for topic in EDITOR_TOPICS {
            let filter = TopicFilter::new(topic).map_err(text)?;
            client.subscribe(&filter, Instant::now()).map_err(text)?;
        }
        let connector = Connector::with_roots(RootCertStore::empty());
        let (handle, news, run) = client_driver::driver(client, connector, Transport::default());
        Ok(Self { handle, news, run: tokio::spawn(run) })
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(client::Event) -> Option<T>) -> Result<T, String> {
        loop {
            match self.news.recv().await {
                Some(ClientNews::Event(event)) => {
                    if let Some(found) = wanted(event) {
                        return Ok(found);
                    }
                }
                Some(_) => {}
                None => return Err("the editor ended early".to_owned()),
            }
        }
    }

    async fn until_event(&mut self, wanted: impl Fn(&client::Event) -> bool) -> Result<(), String> {
        self.until(|event| wanted(&event).then_some(())).await
    }

    async fn until_message(&mut self, topic: &str) -> Result<ReceivedMessage, String> {
        self.until(|event| match event {
            client::Event::Message(message) if message.topic == topic => Some(message),
            _ => None,
        })
        .await
    }

    /// Returns what the node of this machine shows.
    async fn until_status(&mut self) -> Result<String, String> {
        match self.until_message("status/memory").await?.event() {
            CommsEvent::Status { status: NodeStatus::Shown { text: Some(text), .. }, .. } => Ok(text),
            other => Err(format!("no status with a text: {other:?}")),
        }
    }

    async fn until_logged_in(&mut self) -> Result<Duration, String> {
        let life = self.until(|event| match event {
            client::Event::LoggedIn { expires_in } => Some(expires_in),
            _ => None,
        });
        life.await?.ok_or("the session has no end".to_owned())
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.run.abort();
    }
}

struct Story<'a> {
    row: &'a Row,
    runtime: RunningRuntime,
    editor: Editor,
    /// Between a message and its arrival, with the time in which messages are collected.
    latency: Duration,
    step: usize,
}

impl Story<'_> {
    async fn tell(&mut self) -> Result<(), String> {
        self.login().await?;
        self.values().await?;
        self.message().await?;
        self.burst().await?;
        self.wrong_token().await?;
        self.outage().await?;
        self.expiry().await
    }

    async fn login(&mut self) -> Result<(), String> {
        let life = self.editor.until_logged_in().await?;
        self.done(&format!("with a password, good for {} days", life.as_secs() / 86_400));
        self.editor.until_event(|event| matches!(event, client::Event::Authenticated { .. })).await?;
        let (_, user) = self.runtime.until_active().await?;
        self.row.link("up");
        self.done(&format!("as {}", user.ok_or("the user has no name")?));
        let shown = self.editor.until_status().await?;
        self.done(&shown);
        Ok(())
    }

    /// A debug message with what JSON lacks, and more of it than is sent.
    async fn values(&mut self) -> Result<(), String> {
        let host = Host::read();
        let cpus = host.cpus.unwrap_or_default();
        let list = |length: u64| DebugValue::Array {
            items: (0..length).map(|number| DebugValue::from(number as f64)).collect(),
            length,
        };
        let value = DebugValue::Object(vec![
            ("cpus".into(), DebugValue::from(cpus as f64)),
            ("temperature".into(), DebugValue::from(f64::NAN)),
            ("uptime".into(), DebugValue::Undefined),
            ("memory".into(), DebugValue::BigInt(host.memory.unwrap_or_default().to_string().into())),
            ("samples".into(), list(5000)),
        ]);
        let message = DebugMessage::of_value(&value, DEBUG_MAX_LENGTH);
        let since = Clock::now();
        self.runtime.order(move |runtime, now| runtime.debug(&message, now)).await?;
        let message = self.editor.until_message("debug").await?;
        self.latency = since.elapsed();
        let CommsEvent::Debug(shown) = message.event() else { return Err("no debug message".to_owned()) };
        let (DebugValue::Object(sent), DebugValue::Object(shown)) = (value, shown.value()) else {
            return Err("the value is no object".to_owned());
        };
        let is_cut = |value: &DebugValue| matches!(value, DebugValue::Array { items, length: 5000 } if items.len() == DEBUG_MAX_LENGTH);
        let is_cut = shown.last().is_some_and(|(_, samples)| is_cut(samples));
        if sent[..4] != shown[..shown.len().min(4)] || !is_cut {
            return Err("the value is another one".to_owned());
        }
        let shown = DebugValue::Object(shown.into_iter().take(4).collect());
        self.done(&format!("{shown}, and 1000 of 5000 samples"));
        Ok(())
    }

    async fn message(&mut self) -> Result<(), String> {
        let session = Json::encode(&serde_json::json!({"session": "tour"})).map_err(text)?;
        let publish =
            move |client: &mut Client, now| client.publish("multiplayer/connect", session.as_ref(), now);
        self.editor.handle.order(publish).await.ok_or("the editor ended early")?.map_err(text)?;
        let heard = self.runtime.until(|event| match event {
            runtime::Event::Message { topic, data, .. } => Some((topic, data)),
            _ => None,
        });
        let (topic, data) = heard.await?;
        self.done(&format!("{topic} {}", data.as_ref().map_or("", |data| data.text())));
        Ok(())
    }

    /// As one editor more sees it, whose frames are looked at one by one.
    async fn burst(&mut self) -> Result<(), String> {
        let mut socket = self.socket(TOKEN).await?;
        if receive(&mut socket).await?.as_deref() != Some(r#"{"auth":"ok"}"#) {
            return Err("the token is refused".to_owned());
        }
        // On a machine that is very busy a heartbeat may come in between.
        let mut sizes = Vec::new();
        for _ in 0..3 {
            while receive(&mut socket).await?.is_some_and(|frame| !frame.contains("\"hb\"")) {}
            let started = Clock::now();
            sizes = self.frames_of_burst(&mut socket).await?;
            if sizes == [50, 50, 50, 25] {
                self.done(&format!("50, 50, 50, 25 a frame, within {:.0?}", started.elapsed()));
                return Ok(());
            }
        }
        Err(format!("the frames held {sizes:?}"))
    }

    async fn frames_of_burst(&self, socket: &mut WebSocketStream<TcpStream>) -> Result<Vec<usize>, String> {
        let publish = |runtime: &mut Runtime, now| {
            (0..BURST).try_for_each(|number| {
                let data = Json::from(format!("message {number}").as_str());
                runtime.publish("tour/burst", data.as_ref(), false, now)
            })
        };
        self.runtime.order(publish).await?;
        let is_ours =
            |item: &&Item<'_>| matches!(item, Item::Message(message) if message.topic == "tour/burst");
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < BURST {
            let frame = receive(socket).await?.ok_or("the connection was closed")?;
            match decode_frame(&frame).map_err(text)? {
                Frame::Batch(items) => sizes.push(items.iter().filter(is_ours).count()),
                Frame::Bare(_) => return Err("a message came by itself".to_owned()),
            }
        }
        Ok(sizes)
    }

    async fn wrong_token(&mut self) -> Result<(), String> {
        let mut socket = self.socket("nobody's").await?;
        let answer = receive(&mut socket).await?.unwrap_or_default();
        if answer != r#"{"auth":"fail"}"# || receive(&mut socket).await?.is_some() {
            return Err(format!("the answer was {answer}"));
        }
        self.done(&format!("{answer}, and closed"));
        Ok(())
    }

    async fn outage(&mut self) -> Result<(), String> {
        self.runtime.run.abort();
        let _ = (&mut self.runtime.run).await; // its sockets are closed now
        self.editor.until_event(|event| matches!(event, client::Event::ConnectionEnded { .. })).await?;
        self.row.link("down");
        let waits = self.editor.until(|event| match event {
            client::Event::Waiting { wait, failures } if failures >= 2 => Some(wait),
            _ => None,
        });
        let wait = waits.await?;
        self.done(&format!("the editor tries again every {wait:?}"));
        self.runtime =
            RunningRuntime::start(&self.runtime.address.to_string(), Duration::from_secs(2)).await?;
        self.runtime.status("after").await?;
        self.editor.until_logged_in().await?;
        self.done("on the same port, its sessions gone; the editor has logged in anew");
        let mut subscribed = Vec::new();
        while subscribed.len() < EDITOR_TOPICS.len() {
            let filter = self.runtime.until(|event| match event {
                runtime::Event::Subscribed { filter, .. } => Some(filter.as_str().to_owned()),
                _ => None,
            });
            subscribed.push(filter.await?);
        }
        let shown = self.editor.until_status().await?;
        if subscribed != EDITOR_TOPICS || !shown.ends_with("after") {
            return Err(format!("{subscribed:?} {shown}"));
        }
        self.row.link("up");
        self.done(&format!("all {}, and {shown}", subscribed.len()));
        Ok(())
    }

    async fn expiry(&mut self) -> Result<(), String> {
        let reason = self.runtime.until(|event| match event {
            runtime::Event::ConnectionEnded { reason, .. } => Some(reason),
            _ => None,
        });
        let reason = reason.await?;
        if reason != runtime::CloseReason::Expired {
            return Err(format!("the connection ended otherwise: {reason}"));
        }
        let refused = client::CloseReason::AuthFailed;
        let is_end = |event: &client::Event| matches!(event, client::Event::ConnectionEnded { reason, .. } if *reason == refused);
        self.editor.until_event(is_end).await?;
        self.done(&reason.to_string());
        self.editor.until_logged_in().await?;
        self.editor.until_status().await?;
        self.done("the editor has fetched another token, and has its statuses");
        Ok(())
    }

    /// Opens a connection without a machine, and presents a token.
    async fn socket(&self, token: &str) -> Result<WebSocketStream<TcpStream>, String> {
        let address = self.runtime.address;
        let stream = TcpStream::connect(address).await.map_err(text)?;
        let url = format!("ws://{address}/red/comms");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.map_err(text)?;
        let packet = Message::text(serde_json::json!({"auth": token}).to_string());
        socket.send(packet).await.map_err(text)?;
        Ok(socket)
    }

    fn done(&mut self, detail: &str) {
        let (sent, received) = self.editor.handle.traffic().frames();
        self.row.traffic(sent, received, self.latency);
        self.row.step(STEPS[self.step], detail);
        self.step += 1;
    }
}

/// Returns the next text frame; `None` once the peer has closed the connection.
async fn receive(socket: &mut WebSocketStream<TcpStream>) -> Result<Option<String>, String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(Some(text.to_string())),
            Some(Ok(Message::Close(_))) | None => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(text(error)),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
