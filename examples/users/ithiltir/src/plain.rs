//! A node on threads: one owns the machine, one each carries a request over `std::net` to a Dash that was written by hand.

use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::node::{Config, Event, Node, Output};
use ithiltir_proto::wire::{NodeReport, Snapshot};
use ithiltir_proto::{Delivery, Failure, FailureKind, Instant, Secret, Target};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/api/node/metrics", listener.local_addr()?);
    let dash = std::thread::spawn(move || answer(&listener));

    let target = Target::new(&url, &Secret::new("key"))?;
    let mut config = Config::new("0.2.3", vec![target]);
    config.interval = Duration::from_millis(50);
    config.start_delay = Duration::ZERO;
    let mut node = Node::new(config, Instant::now())?;
    let metrics = Snapshot::default();
    let report = NodeReport {
        version: "0.2.3".into(),
        hostname: "web-1".into(),
        timestamp: "2030-01-02T03:04:05Z".parse()?,
        metrics,
    };
    node.record(&report, Instant::now());

    let (done, outcomes) = mpsc::channel();
    loop {
        while let Some(output) = node.poll_output() {
            match output {
                Output::Request { id, request } => {
                    let done = done.clone();
                    std::thread::spawn(move || done.send((id, exchange(&request))));
                }
                Output::Event(Event::Report { outcome, .. }) => {
                    assert_eq!(outcome, Ok(()));
                    assert!(dash.join().expect("the Dash lives")?.contains("\"hostname\":\"web-1\""));
                    println!("the node's report was accepted over std::net");
                    return Ok(());
                }
                Output::Event(_) | Output::Cancel(_) | Output::Probe { .. } | Output::Update { .. } => {}
            }
        }
        let deadline = node.poll_timeout().ok_or("a running node has a next tick")?;
        match outcomes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((id, Ok(response))) => node.handle_response(id, response, Instant::now()),
            Ok((id, Err(_))) => {
                let failure = Failure::new(Delivery::Perhaps, FailureKind::Other);
                node.handle_failure(id, failure, Instant::now());
            }
            Err(_) => node.handle_timeout(Instant::now()),
        }
    }
}

/// Sends a request and waits for its answer, which ends with the connection.
fn exchange(request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let mut stream = TcpStream::connect(request.uri().authority().expect("it is absolute").as_str())?;
    write!(stream, "{} {} HTTP/1.0\r\n", request.method(), request.uri().path())?;
    for (name, value) in request.headers() {
        stream.write_all(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat())?;
    }
    stream.write_all(&[b"\r\n", &request.body()[..]].concat())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let answer = io::read_to_string(stream)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Response::new(body.to_owned().into())) // of status 200
}

/// Takes one request to its end and accepts it.
fn answer(listener: &TcpListener) -> io::Result<String> {
    let (mut stream, _) = listener.accept()?;
    let mut request = String::new();
    stream.read_to_string(&mut request)?;
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"ok\":true}")?;
    Ok(request)
}
