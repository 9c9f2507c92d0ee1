//! The drivers over real sockets. Each test ends by itself; none measures time.

mod support;

use ithiltir_example::client::Client;
use ithiltir_example::node_driver;
use ithiltir_proto::node::{DeliveryError, Event, Node};
use ithiltir_proto::wire::Filesystem;
use ithiltir_proto::{FailureKind, dash};
use rustls::RootCertStore;
use std::time::Duration;
use support::{answering, dash, quick, sample, samples, target};
use tokio::time::timeout;
use web_time::Instant;

const LIMIT: Duration = Duration::from_secs(30);

fn client() -> Client {
    Client::with_roots(RootCertStore::empty())
}

/// Runs a node until `enough` says so; returns its events.
async fn events_until(urls: &[String], mut enough: impl FnMut(&Event) -> bool) -> Vec<Event> {
    let mut config = quick(urls.iter().map(|url| target(url)).collect());
    config.require_https = urls.iter().all(|url| url.starts_with("https"));
    let node = Node::new(config, Instant::now()).unwrap();
    let (_keep, samples) = samples();
    let mut events = Vec::new();
    let run = node_driver::run(node, client(), samples, |_, event| {
        events.push(event.clone());
        !enough(event)
    });
    timeout(LIMIT, run).await.expect("it takes too long");
    events
}

fn report_outcome(event: &Event) -> Option<Result<(), DeliveryError>> {
    match event {
        Event::Report { outcome, .. } => Some(*outcome),
        _ => None,
    }
}

#[tokio::test]
async fn a_node_reports_to_a_dash() {
    let (address, mut dash_events, _dash) = dash("127.0.0.1:0", |_| {}).await;
    let url = format!("http://{address}/api/node/metrics");
    let events = events_until(&[url], |event| matches!(event, Event::Round { number: 3, .. })).await;
    assert!(events.iter().any(|event| matches!(event, Event::Static { outcome: Ok(()), .. })));
    assert!(events.iter().filter_map(report_outcome).all(|outcome| outcome.is_ok()));
    let mut kinds = Vec::new();
    while let Ok(event) = dash_events.try_recv() {
        kinds.push(match event {
            dash::Event::Report { .. } => "report",
            dash::Event::Static { .. } => "static",
            dash::Event::Online { .. } => "online",
            _ => "other",
        });
    }
    assert!(
        kinds.contains(&"static") && kinds.iter().filter(|kind| **kind == "report").count() >= 3,
        "{kinds:?}"
    );
}

#[tokio::test]
async fn a_dash_that_goes_and_comes_back_is_suppressed_and_recovers() {
    let (address, _events, first) = dash("127.0.0.1:0", |_| {}).await;
    let mut first = Some(first);
    let url = format!("http://{address}/api/node/metrics");
    let (suppressed, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let restart = tokio::spawn(async move {
        gone.recv().await.unwrap();
        dash(&address.to_string(), |_| {}).await
    });
    let events = events_until(&[url], |event| {
        match event {
            Event::Round { .. } => drop(first.take().map(|dash| dash.abort())),
            Event::Suppressed { .. } => suppressed.send(()).unwrap(),
            _ => {}
        }
        matches!(
            event,
            Event::Static { reason: ithiltir_proto::node::StaticReason::Recovery, outcome: Ok(()), .. }
        )
    })
    .await;
    assert!(events.iter().any(|event| matches!(event, Event::Recovered { .. })));
    drop(restart);
}

#[tokio::test]
async fn transport_errors_are_told_apart() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = answering(200, &[], "").await;
    let cutting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cut = cutting.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = cutting.accept().await {
            drop(socket)
        }
    });
    for (url, kind) in [
        (format!("http://{closed}/metrics"), FailureKind::Refused),
        (format!("https://{closed}/metrics"), FailureKind::Refused),
        (format!("https://localhost:{}/metrics", plain.port()), FailureKind::PlainHttp),
        (format!("http://{cut}/metrics"), FailureKind::ConnectionLost),
        (format!("https://{cut}/metrics"), FailureKind::ConnectionLost),
        ("http://no-such-host.invalid/metrics".to_owned(), FailureKind::NameResolution),
    ] {
        let events = events_until(std::slice::from_ref(&url), |event| report_outcome(event).is_some()).await;
        let outcome = events.iter().find_map(report_outcome);
        assert_eq!(outcome, Some(Err(DeliveryError::Transport(kind))), "{url}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = answering(307, &[("location", "http://127.0.0.1:1/metrics")], "").await;
    let url = format!("http://{elsewhere}/metrics");
    let events = events_until(&[url], |event| report_outcome(event).is_some()).await;
    let redirect = DeliveryError::Redirect(http::StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(events.iter().find_map(report_outcome), Some(Err(redirect)));
}

#[tokio::test]
async fn more_than_the_socket_buffers_hold_goes_both_ways() {
    // Answers of 8 MiB, of which 1 MiB is looked at, and reports of nearly 1 MiB.
    let chatty = answering(200, &[("content-type", "application/json")], vec![b' '; 8 << 20]).await;
    let (address, mut dash_events, _dash) = dash("127.0.0.1:0", |_| {}).await;
    let mut big = sample();
    let filesystem = |number: usize| Filesystem { path: format!("/mnt/{number}"), ..Filesystem::default() };
    big.report.metrics.disk.filesystems = (0..6_000).map(filesystem).collect();
    let targets = [chatty, address].map(|address| target(&format!("http://{address}/api/node/metrics")));
    let node = Node::new(quick(targets.to_vec()), Instant::now()).unwrap();
    let (keep, samples) = tokio::sync::mpsc::channel(1);
    keep.try_send(big).unwrap();
    let mut accepted = 0;
    let run = node_driver::run(node, client(), samples, |_, event| {
        accepted += usize::from(report_outcome(event) == Some(Ok(())));
        accepted < 20
    });
    timeout(LIMIT, run).await.expect("the two lock each other up");
    let mut largest = 0;
    while let Ok(event) = dash_events.try_recv() {
        if let dash::Event::Report { bytes, .. } = event {
            largest = largest.max(bytes);
        }
    }
    assert!(largest > 500_000, "{largest}");
}

#[tokio::test]
async fn bodies_of_any_size_get_the_answer_they_are_due() {
    let (address, _events, _dash) = dash("127.0.0.1:0", |_| {}).await;
    let post = |path: &str, body: Vec<u8>| {
        let request = http::Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/json")
            .header("x-node-secret", support::KEY)
            .body(body.into())
            .unwrap();
        let client = client();
        async move { client.exchange(request, 1024).await.map(|response| response.status().as_u16()) }
    };
    let string = |length: usize| [b"{\"x\":\"".to_vec(), vec![b'x'; length - 8], b"\"}".to_vec()].concat();
    assert_eq!(post("/api/node/metrics", string(1 << 20)).await, Ok(422));
    assert_eq!(post("/api/node/metrics", string((1 << 20) + 1)).await, Ok(413));
    assert_eq!(post("/api/node/identity", string(64 << 10)).await, Ok(200));
    assert_eq!(post("/elsewhere", vec![]).await, Ok(404));
}
