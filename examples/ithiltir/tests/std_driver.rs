//! A driver without a runtime: one thread owns the machine, one thread an exchange, plain `std::net` below.

mod support;

use bytes::Bytes;
use ithiltir_proto::node::{Event, Node, Output, UpdateError};
use ithiltir_proto::{Delivery, Failure, FailureKind, ProbeOutcome};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;
use web_time::Instant;

/// Drives the node until `news` says to stop.
fn drive(mut node: Node, mut news: impl FnMut(&Event) -> bool) {
    let (done, outcomes) = mpsc::channel();
    loop {
        while let Some(output) = node.poll_output() {
            match output {
                Output::Request { id, request } => {
                    let done = done.clone();
                    std::thread::spawn(move || {
                        let outcome = exchange(&request).map_err(|error| classify(&error));
                        let _ = done.send((id, outcome)); // an error: the node is gone
                    });
                }
                Output::Cancel(_) => {} // its late outcome will be ignored
                Output::Probe { id, .. } => node.handle_probe(id, ProbeOutcome::NoAnswer, Instant::now()),
                Output::Update { id, .. } => {
                    let unsupported = UpdateError::Step { step: 0, problem: "unsupported".into() };
                    node.handle_update(id, Err(unsupported), Instant::now());
                }
                Output::Event(event) => {
                    if !news(&event) {
                        return;
                    }
                }
            }
        }
        let wait = node
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match outcomes.recv_timeout(wait) {
            Ok((id, Ok(response))) => node.handle_response(id, response, Instant::now()),
            Ok((id, Err(failure))) => node.handle_failure(id, failure, Instant::now()),
            Err(_) => node.handle_timeout(Instant::now()),
        }
    }
}

/// The least that HTTP/1.1 asks of a client that wants one answer.
fn exchange(request: &http::Request<Bytes>) -> io::Result<http::Response<Bytes>> {
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
    http::Response::builder().status(status).body(body.into()).map_err(io::Error::other)
}

fn classify(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(Delivery::No, FailureKind::Refused),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost)
        }
        _ => Failure::new(Delivery::Perhaps, FailureKind::Other),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_threads_reports_to_a_dash() {
    let (address, _events, _dash) = support::dash("127.0.0.1:0", |_| {}).await;
    let target = support::target(&format!("http://{address}/api/node/metrics"));
    let accepted = tokio::task::spawn_blocking(move || {
        let mut node = Node::new(support::quick(vec![target]), Instant::now()).unwrap();
        let sample = support::sample();
        node.record_static(&sample.statics, Instant::now());
        node.record(&sample.report, Instant::now());
        let (mut accepted, mut rounds) = (0, 0);
        drive(node, |event| {
            accepted += usize::from(matches!(
                event,
                Event::Report { outcome: Ok(()), .. } | Event::Static { outcome: Ok(()), .. }
            ));
            rounds += usize::from(matches!(event, Event::Round { .. }));
            rounds < 3
        });
        accepted
    });
    let accepted = tokio::time::timeout(Duration::from_secs(30), accepted).await.unwrap().unwrap();
    assert!(accepted >= 4, "{accepted}");
}
