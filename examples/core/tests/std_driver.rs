//! A driver without a runtime: one thread owns the machine, one thread a call, plain `std::net` below. There is no gRPC, so
//! that HTTP stands in for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use bytes::Bytes;
use core_example::clock;
use core_example::node::Node as _;
use core_example::this_machine::ThisMachine;
use core_node_proto::agent::{Agent, CallId, Event, Output, Restored, Sampling, Snapshot};
use core_node_proto::call::{Call, Delivery, Failure, FailureKind, Link, Reply};
use core_node_proto::http::{self as binding, Base};
use core_node_proto::{Instant, Secret};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;
use support::{RunningCore, quick};

type Answer = (CallId, Result<Reply, Failure>);

/// Drives an agent until it has come to its end; `news` may stop it. Returns what was stored last.
fn drive(
    mut agent: Agent,
    base: &Base,
    mut news: impl FnMut(&mut Agent, &Event, Instant),
) -> Option<Snapshot> {
    let (tell, answers) = mpsc::channel::<Answer>();
    let (mut node, mut stored) = (ThisMachine::new(1, None), None);
    loop {
        while let Some(output) = agent.poll_output() {
            let now = Instant::now();
            match output {
                Output::Call { id, link, call, key, timeout } => {
                    let (tell, base) = (tell.clone(), base.clone());
                    std::thread::spawn(move || {
                        let outcome = exchange(&base, link, &call, key.as_ref(), timeout);
                        let _ = tell.send((id, outcome)); // an error: the agent is gone
                    });
                }
                Output::Cancel(_) => {} // what comes late is ignored
                Output::Store { id, snapshot } => {
                    stored = Some(snapshot);
                    agent.handle_stored(id, Ok(()), now);
                }
                Output::Sample(Sampling::Counters) => {
                    node.counters().into_iter().for_each(|sample| agent.handle_counters(sample, now));
                }
                Output::Sample(Sampling::Stats) => agent.handle_stats(node.stats().unwrap(), now),
                Output::Sample(Sampling::Online) => agent.handle_online(&node.online().unwrap(), now),
                Output::Apply { id, config } => agent.handle_applied(id, node.apply(&config), now),
                Output::Event(event) => news(&mut agent, &event, now),
            }
        }
        if agent.is_closed() {
            return stored;
        }
        let deadline = agent.poll_timeout();
        let wait =
            deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        let answer = answers.recv_timeout(wait);
        let now = Instant::now();
        agent.set_wall_clock(clock::now(), now);
        match answer {
            Ok((id, Ok(reply))) => agent.handle_reply(id, reply, now),
            Ok((id, Err(failure))) => agent.handle_failure(id, failure, now),
            Err(_) => agent.handle_timeout(now),
        }
    }
}

fn exchange(
    base: &Base,
    link: Link,
    call: &Call,
    key: Option<&Secret>,
    timeout: Duration,
) -> Result<Reply, Failure> {
    if link == Link::Grpc {
        return Err(Failure::new(Delivery::No, FailureKind::Refused)); // it is not there
    }
    let request = binding::request(base, call, key).unwrap();
    let response = send(&request, timeout).map_err(|error| classify(&error))?;
    binding::read_response(call.method(), &response)
}

/// Sends a request as HTTP/1.0 does: the answer ends with the connection.
fn send(request: &http::Request<Bytes>, timeout: Duration) -> io::Result<http::Response<Bytes>> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(&host)?;
    stream.set_read_timeout(Some(timeout))?;
    let mut bytes =
        format!("{} {} HTTP/1.0\r\nhost: {host}\r\n", request.method(), request.uri().path()).into_bytes();
    bytes.extend_from_slice(format!("content-length: {}\r\n", request.body().len()).as_bytes());
    for (name, value) in request.headers() {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(request.body());
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    stream.take(1 << 24).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    let (_, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let response = http::Response::builder().status(status.ok_or(io::ErrorKind::InvalidData)?);
    response.body(body.to_owned().into()).map_err(io::Error::other)
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
async fn an_agent_on_threads_lives_by_http_alone() {
    let core = RunningCore::start().await;
    let base = Base::parse(&format!("http://{}", core.http)).unwrap();
    let life = tokio::task::spawn_blocking(move || {
        let agent = Agent::new(quick(), Restored::Nothing, clock::now(), Instant::now()).unwrap();
        let (mut fell_back, mut confirmed) = (false, false);
        let stored = drive(agent, &base, |agent, event, now| {
            fell_back |= *event == Event::LinkChanged(Link::Http);
            confirmed |= matches!(event, Event::Confirmed { .. });
            if fell_back && confirmed {
                agent.close(now);
            }
        });
        (fell_back, confirmed, stored)
    });
    let (fell_back, confirmed, stored) = support::within(life).await.unwrap();
    assert!(fell_back && confirmed);
    assert_eq!(stored.and_then(|snapshot| snapshot.revision()).map(|revision| revision.get()), Some(5));
    let node = core.tables().await.nodes.values().last().unwrap().clone();
    assert_eq!((node.sync_status.as_str(), node.node_status.as_str()), ("synced", "online"));
}
