//! An agent on one thread, a Core that was written by hand behind HTTP on another: traffic of a user is reported once.

use bytes::Bytes;
use core_node_proto::agent::{Agent, CallId, Config, Counters, Output, ProxyCounters, Restored, Sampling};
use core_node_proto::call::{Delivery, Failure, FailureKind, Link};
use core_node_proto::http::{self as binding, Base};
use core_node_proto::{Instant, Method, Secret};
use http::{Request, Response};
use std::sync::mpsc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (asked, requests) = mpsc::channel::<((CallId, Method), Request<Bytes>)>();
    let (tell, responses) = mpsc::channel();
    let core = std::thread::spawn(move || {
        let mut usage = Vec::new();
        for (call, request) in requests {
            let response = answer(request.uri().path());
            if request.uri().path() == "/node/usage" {
                usage.push(String::from_utf8_lossy(request.body()).into_owned());
            }
            tell.send((call, response)).expect("the agent listens");
        }
        usage
    });

    let (base, start) = (Base::parse("http://127.0.0.1:3000")?, "2030-01-02T03:04:05Z".parse()?);
    let mut config = Config::new("fra-1", "203.0.113.7".parse()?, 3100.try_into()?, "eu-central");
    config.code = Some(Secret::new("CODE-ONE"));
    (config.usage_interval, config.usage_spread) = (Duration::from_millis(200), Duration::ZERO);
    (config.min_backoff, config.fallback_after) = (Duration::from_millis(10), 1);
    let mut agent = Agent::new(config, Restored::Nothing, start, Instant::now())?;
    let mut bytes = 1_000;
    while !agent.is_closed() {
        while let Some(output) = agent.poll_output() {
            let now = Instant::now();
            match output {
                Output::Call { id, link: Link::Http, call, key, .. } => {
                    asked.send(((id, call.method()), binding::request(&base, &call, key.as_ref())?))?;
                }
                Output::Call { id, .. } => {
                    agent.handle_failure(id, Failure::new(Delivery::No, FailureKind::Refused), now)
                }
                Output::Store { id, .. } => agent.handle_stored(id, Ok(()), now),
                Output::Apply { id, .. } => agent.handle_applied(id, Ok(()), now),
                Output::Sample(Sampling::Counters) => {
                    let counters = [("user>>>u12.l3.s45.i6>>>traffic>>>uplink", bytes)];
                    let proxies = vec![ProxyCounters::xray(start, true, counters)];
                    agent.handle_counters(Counters { proxies }, now);
                    bytes = 3_000; // what it shows from now on
                }
                Output::Sample(_) | Output::Cancel(_) | Output::Event(_) => {}
            }
        }
        let wait =
            agent.poll_timeout().map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        match responses.recv_timeout(wait) {
            Ok(((id, method), response)) => {
                match binding::read_response(method, &response) {
                    Ok(reply) => agent.handle_reply(id, reply, Instant::now()),
                    Err(failure) => agent.handle_failure(id, failure, Instant::now()),
                }
                if method == Method::ReportUsage && bytes == 3_000 && agent.waiting_batches() == 0 {
                    agent.close(Instant::now());
                }
            }
            Err(_) => agent.handle_timeout(Instant::now()),
        }
    }
    drop(asked);
    let usage = core.join().expect("Core lives");
    let reports = usage.concat();
    for bytes in [1_000, 2_000] {
        assert_eq!(reports.matches(&format!("\"bytesUp\":{bytes},")).count(), 1, "{reports}");
    }
    println!("the agent has reported 3000 bytes of a user, each of them once");
    Ok(())
}

fn answer(path: &str) -> Response<Bytes> {
    Response::new(
        match path {
            "/node/register" => r#"{"authKey":"key","nodeId":3}"#,
            "/node/heartbeat" => r#"{"ok":true,"needSync":false}"#,
            _ => r#"{"ok":true}"#,
        }
        .into(),
    )
}
