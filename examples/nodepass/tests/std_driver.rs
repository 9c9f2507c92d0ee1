//! A driver without a runtime: one thread owns the machine, one thread an exchange or a stream, plain `std::net` below.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use http::{Request, Response};
use nodepass_api::Instant;
use nodepass_api::client::{
    Client, Delivery, Event, Failure, FailureKind, Output, Reply, RequestId, StreamId,
};
use nodepass_api::wire::Status;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;
use support::pair::{Settings, quick, snapshot};
use support::within;
use testkit::secrets::marked;

/// The instance that is started.
const STARTED: &str = "00000007";

/// What the threads tell the one that owns the machine.
enum Input {
    Answered(RequestId, Result<Response<Bytes>, Failure>),
    Opened(StreamId, Response<()>),
    Bytes(StreamId, Vec<u8>),
    Ended(StreamId, Option<Failure>),
}

/// Drives the client until it is closed; `news` may give commands.
fn drive(mut client: Client, mut news: impl FnMut(&mut Client, Event)) {
    let (tell, inputs) = mpsc::sync_channel(16);
    loop {
        while let Some(output) = client.poll_output() {
            let tell = tell.clone();
            match output {
                Output::Request { id, request } => {
                    std::thread::spawn(move || {
                        let outcome = exchange(&request).map_err(|error| classify(&error));
                        let _ = tell.send(Input::Answered(id, outcome)); // an error: the client is gone
                    });
                }
                Output::OpenStream { stream, request } => {
                    std::thread::spawn(move || {
                        let end = follow(stream, &request, &tell).err().map(|error| classify(&error));
                        let _ = tell.send(Input::Ended(stream, end));
                    });
                }
                // What comes late is ignored.
                Output::Cancel(_) | Output::CloseStream { .. } => {}
                Output::Event(event) => news(&mut client, event),
            }
        }
        if client.is_closed() {
            return;
        }
        let wait = client
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        let input = inputs.recv_timeout(wait);
        let now = Instant::now();
        match input {
            Ok(Input::Answered(id, Ok(response))) => client.handle_response(id, response, now),
            Ok(Input::Answered(id, Err(failure))) => client.handle_failure(id, failure, now),
            Ok(Input::Opened(stream, head)) => client.handle_stream_opened(stream, &head, now),
            Ok(Input::Bytes(stream, bytes)) => client.handle_stream_bytes(stream, &bytes, now),
            Ok(Input::Ended(stream, end)) => client.handle_stream_end(stream, end, now),
            Err(_) => client.handle_timeout(now),
        }
    }
}

/// Sends a request as HTTP/1.0 does: the answer ends with the connection.
fn send(request: &Request<Bytes>) -> io::Result<TcpStream> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(&host)?;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut bytes = format!("{} {target} HTTP/1.0\r\nhost: {host}\r\n", request.method()).into_bytes();
    bytes.extend_from_slice(format!("content-length: {}\r\n", request.body().len()).as_bytes());
    for (name, value) in request.headers() {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(request.body());
    stream.write_all(&bytes)?;
    Ok(stream)
}

fn exchange(request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let mut answer = Vec::new();
    send(request)?.take(1 << 24).read_to_end(&mut answer)?;
    let (head, body) = head(&answer)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(head.map(|()| Bytes::copy_from_slice(&answer[body..])))
}

fn follow(stream: StreamId, request: &Request<Bytes>, tell: &mpsc::SyncSender<Input>) -> io::Result<()> {
    let mut socket = send(request)?;
    let (mut taken, mut chunk, mut is_open) = (Vec::new(), [0; 1000], false);
    loop {
        let length = socket.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        taken.extend_from_slice(&chunk[..length]);
        if !is_open {
            let Some((head, body)) = head(&taken)? else { continue };
            is_open = true;
            taken.drain(..body);
            let _ = tell.send(Input::Opened(stream, head));
        }
        if tell.send(Input::Bytes(stream, std::mem::take(&mut taken))).is_err() {
            return Ok(()); // the client is gone
        }
    }
}

/// Returns the head of an answer and where its body begins, if all of the head is there.
fn head(answer: &[u8]) -> io::Result<Option<(Response<()>, usize)>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&answer[..end]);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok());
    let mut response = Response::builder().status(status.ok_or(io::ErrorKind::InvalidData)?);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        response = response.header(name, value.trim());
    }
    Ok(Some((response.body(()).map_err(io::Error::other)?, end + 4)))
}

fn classify(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(Delivery::No, FailureKind::Refused),
        _ => Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_on_threads_follows_a_master_and_comes_back_to_it() {
    let mut settings = Settings::new();
    settings.snapshot = Some(snapshot(&marked(1), 50));
    let master = settings.start().await;
    let (address, key) = (master.address, master.key.clone());
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let client = tokio::task::spawn_blocking(move || {
        let client = Client::new(quick(&format!("http://{address}/api"), &key), Instant::now()).unwrap();
        let (mut syncs, mut replies) = (0, 0);
        drive(client, |client, event| {
            match event {
                Event::Synced { .. } => {
                    syncs += 1;
                    let _ = told.send((syncs, client.fleet().len())); // an error: the test has failed
                    if syncs == 2 {
                        client.start(&STARTED.into(), Instant::now()).unwrap();
                    }
                }
                Event::Answered { outcome, .. } => {
                    assert!(matches!(outcome, Ok(Reply::Instance { .. })), "{outcome:?}");
                    replies += 1;
                }
                _ => {}
            }
            // The answer and the event come in any order.
            let started = client.fleet().get(STARTED).map(|member| member.instance().status.clone());
            if replies == 1 && started == Some(Status::Running) {
                client.close(Instant::now());
            }
        });
        (syncs, replies)
    });
    assert_eq!(within(tells.recv()).await, Some((1, 50)));
    master.end().await;
    let mut settings = Settings::new();
    (settings.address, settings.snapshot) = (address.to_string(), Some(snapshot(&marked(1), 40)));
    let _master = settings.start().await;
    assert_eq!(within(tells.recv()).await, Some((2, 40)));
    assert_eq!(within(client).await.unwrap(), (2, 1));
}
