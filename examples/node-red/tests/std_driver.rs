//! A driver without a runtime: one thread owns the client, one more for each direction of a connection and for each
//! request, plain `std::net` below.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use http::{Request, Response};
use nodered_comms::ConnectionId;
use nodered_comms::client::{Client, Event, FailureKind, Output, RequestId};
use nodered_comms::runtime::Access;
use nodered_comms::topic::TopicFilter;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;
use support::{LIMIT, RunningRuntime, Settings, alice, quick};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocket};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use web_time::Instant;

/// What the threads tell the one that owns the machine.
enum Input {
    Connected(ConnectionId, Option<Open>),
    Text(ConnectionId, Utf8Bytes),
    Ended(ConnectionId),
    Answered(RequestId, Result<Response<Bytes>, FailureKind>),
}

/// A connection; what is written to it goes to its thread.
struct Open {
    connection: ConnectionId,
    web_socket: WebSocket<Half>,
}

/// A socket to read from, and the way to the thread that writes to it: the library's pongs and our frames do not mix.
struct Half {
    socket: TcpStream,
    written: mpsc::Sender<Vec<u8>>,
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Drives the client until it is closed; `news` may give commands.
fn drive(mut client: Client, mut news: impl FnMut(&mut Client, Event)) {
    let (tell, inputs) = mpsc::channel();
    let mut open: Option<Open> = None;
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Connect { connection, .. } => {
                    let (url, tell) = (client.config().endpoint.comms(), tell.clone());
                    std::thread::spawn(move || connect(connection, &url, &tell));
                }
                Output::Transmit { connection, text } => {
                    if let Some(open) = open.as_mut().filter(|open| open.connection == connection) {
                        let _ = open.web_socket.send(Message::text(text)); // an error: the reader tells of it
                    }
                }
                Output::Disconnect { connection } => {
                    if let Some(mut open) = open.take_if(|open| open.connection == connection) {
                        let _ = open.web_socket.close(None); // the reader waits for the answer
                    }
                }
                Output::Request { id, request } => {
                    let tell = tell.clone();
                    std::thread::spawn(move || {
                        let outcome = exchange(&request).map_err(|error| classify(&error));
                        let _ = tell.send(Input::Answered(id, outcome)); // an error: the client is gone
                    });
                }
                Output::Cancel(_) => {} // its late outcome will be ignored
                Output::Event(event) => news(&mut client, event),
            }
        }
        if client.is_closed() {
            return;
        }
        let wait = client
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match inputs.recv_timeout(wait) {
            Ok(Input::Connected(connection, Some(opened))) => {
                open = Some(opened);
                client.handle_connected(connection, Instant::now());
            }
            Ok(Input::Connected(connection, None)) => {
                client.handle_connect_failed(connection, Instant::now());
            }
            Ok(Input::Text(connection, text)) => client.handle_text(connection, &text, Instant::now()),
            Ok(Input::Ended(connection)) => {
                open.take_if(|open| open.connection == connection);
                client.handle_disconnect(connection, Instant::now());
            }
            Ok(Input::Answered(id, Ok(response))) => client.handle_response(id, response, Instant::now()),
            Ok(Input::Answered(id, Err(kind))) => client.handle_failure(id, kind, Instant::now()),
            Err(_) => client.handle_timeout(Instant::now()),
        }
    }
}

/// Opens a connection and reads from it until it ends.
fn connect(connection: ConnectionId, url: &str, tell: &mpsc::Sender<Input>) {
    let Some(mut web_socket) = open(url) else {
        let _ = tell.send(Input::Connected(connection, None)); // an error: the client is gone
        return;
    };
    let half = web_socket.get_ref();
    let half = Half { socket: half.socket.try_clone().unwrap(), written: half.written.clone() };
    let writer = WebSocket::from_raw_socket(half, Role::Client, None);
    let mut input = Input::Connected(connection, Some(Open { connection, web_socket: writer }));
    while tell.send(input).is_ok() {
        input = loop {
            match web_socket.read() {
                Ok(Message::Text(text)) => break Input::Text(connection, text),
                Ok(Message::Close(_)) => {
                    let _ = web_socket.flush(); // the answer to it
                    break Input::Ended(connection);
                }
                Ok(_) => {}
                Err(_) => {
                    let _ = tell.send(Input::Ended(connection));
                    return;
                }
            }
        };
    }
}

/// Connects, starts the thread that writes, and upgrades.
fn open(url: &str) -> Option<WebSocket<Half>> {
    let host = url.strip_prefix("ws://")?.split('/').next()?;
    let socket = TcpStream::connect(host).ok()?;
    let (written, to_write) = mpsc::channel::<Vec<u8>>();
    let mut writer = socket.try_clone().ok()?;
    std::thread::spawn(move || {
        for bytes in to_write {
            if writer.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = writer.shutdown(Shutdown::Write);
    });
    Some(tungstenite::client(url, Half { socket, written }).ok()?.0)
}

/// The least that HTTP/1.1 asks of a client that wants one answer.
fn exchange(request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(&host)?;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    write!(stream, "{} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", request.method())?;
    write!(stream, "content-length: {}\r\n", request.body().len())?;
    for (name, value) in request.headers() {
        stream.write_all(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat())?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(request.body())?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Response::builder().status(status).body(body.into()).map_err(io::Error::other)
}

fn classify(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => FailureKind::ConnectionLost,
        _ => FailureKind::Other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_on_threads_logs_in_hears_a_runtime_and_comes_back_to_it() {
    let mut runtime: RunningRuntime = Settings::new(Access::Users).start().await;
    runtime.publish("status/n1", r#"{"text":"on"}"#, true).await;
    let config = quick(runtime.address, alice());
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let client = tokio::task::spawn_blocking(move || {
        let mut client = Client::new(config, Instant::now()).unwrap();
        client.subscribe(&TopicFilter::new("status/+").unwrap(), Instant::now()).unwrap();
        let (mut logins, mut connections) = (0, 0);
        drive(client, |client, event| match event {
            Event::LoggedIn { .. } => logins += 1,
            Event::Ready { .. } => connections += 1,
            Event::Message(message) => {
                tell.send(message.topic).unwrap();
                if connections == 2 {
                    client.close(Instant::now());
                }
            }
            _ => {}
        });
        (logins, connections)
    });

    let (first, user) = runtime.until_active().await;
    assert_eq!(user.unwrap().name.as_deref(), Some("alice"));
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap(), "status/n1");
    runtime.publish("another", "1", false).await;
    runtime.publish("status/n2", r#"{"text":"off"}"#, false).await;
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap(), "status/n2");
    runtime.handle.order(move |runtime, now| runtime.disconnect(first, now)).await.unwrap();
    let (second, _) = runtime.until_active().await;
    assert_ne!(first, second);
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap(), "status/n1");
    assert_eq!(timeout(LIMIT, client).await.unwrap().unwrap(), (1, 2));
    runtime.until_ended().await;
}
