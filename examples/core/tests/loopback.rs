//! The drivers over real sockets. Each test ends by itself; none measures time.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use core_example::fixture::{self, PublishedParts};
use core_example::serve::faults::{Fault, FaultAnswer};
use core_example::serve::{self, Limits};
use core_example::state_file;
use core_node_proto::Secret;
use core_node_proto::agent::Restored;
use core_node_proto::call::{Call, Delivery, Failure, FailureKind, GrpcCode, Link, Reply};
use core_node_proto::message::{Heartbeat, Register, Usage, UsageEntry};
use core_node_proto::value::{ByteCount, NodeProtocolId, UserId};
use program::tls::{Identity, Trust};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use support::{CODE, CoreSettings, RunningAgent, RunningCore, links, links_to, quick, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn any(_: &Value) -> bool {
    true
}

fn acked(event: &Value) -> bool {
    event["outcome"] == "acked"
}

/// The key of the first node of the built-in fixture.
fn key() -> Secret {
    Secret::new("key-node-1")
}

fn heartbeat() -> Call {
    Call::Heartbeat(Heartbeat::default())
}

async fn publish(core: &RunningCore, services: Value) -> u32 {
    let Value::Object(parts) =
        json!({"clientMap": {"45": {"userId": 12}}, "mtprotoClientMap": {}, "services": services})
    else {
        unreachable!("it is an object")
    };
    let parts: PublishedParts = parts;
    core.handle.order(|role, now| fixture::publish(role, Some(parts), now)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_node_registers_syncs_reports_and_goes_on_from_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let core = RunningCore::start().await;
    let links = links(core.http, core.grpc);
    let mut agent = RunningAgent::start_from(quick(), links.clone(), Some(&state), Restored::Nothing);
    agent.until("registered", any).await;
    agent.until("applied", |event| event["revision"] == 5).await;
    agent.until("confirmed", any).await;
    agent.until("stats", any).await;
    agent.until("online", any).await;
    agent.stop().await;
    let before = core.tables().await;
    assert_eq!(before.nodes.len(), 3);

    // The key and the configuration are still there: no code is needed, and nothing is fetched.
    let mut config = quick();
    config.code = None;
    let restored = state_file::restore(&state).unwrap();
    assert!(matches!(restored, Restored::Snapshot(_)));
    let mut agent = RunningAgent::start_from(config, links, Some(&state), restored);
    agent.until("heartbeat", |event| event["need_sync"] == false).await;
    agent.stop().await;
    assert_eq!(core.tables().await.nodes.len(), 3);
}

#[tokio::test]
async fn traffic_of_a_node_is_counted() {
    let mut core = RunningCore::start().await;
    // The third node gets the inbounds that the configuration has users of.
    core.handle
        .order(|role, _| {
            let node = core_node_proto::value::NodeId::new(3).unwrap();
            for inbound in [6, 7] {
                role.core.directory_mut().add_inbound(NodeProtocolId::new(inbound).unwrap(), node.clone());
            }
            role.core.directory_mut().add_outbound(node, "direct");
        })
        .await
        .unwrap();
    let mut agent = RunningAgent::start(quick(), links(core.http, core.grpc));
    agent.until("usage", acked).await;
    agent.until("outbound_usage", acked).await;
    agent.stop().await;
    let (up, down) = core.total().await;
    assert!(up > 0 && down > 0);
    let outbounds = core.tables().await.outbounds;
    assert!(outbounds.values().any(|traffic| !traffic.is_zero()));
    let mut online = false;
    while let Ok(event) = core.events.try_recv() {
        online |= matches!(event, core_node_proto::core::Event::UserOnline { .. });
    }
    assert!(online);
}

/// A certificate for this machine, and TLS with it.
fn tls() -> (serve::Acceptors, Trust) {
    let made = Identity::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let trust = Trust::Authorities(made.authorities().unwrap());
    (serve::acceptors(&|| Ok(made.clone())).unwrap(), trust)
}

#[tokio::test]
async fn both_ways_go_over_tls_to_whom_the_agent_trusts() {
    let (acceptors, trust) = tls();
    let core =
        RunningCore::start_with(CoreSettings { tls: Some(acceptors), ..CoreSettings::default() }, |_| {})
            .await;
    let http = format!("https://localhost:{}", core.http.port());
    let grpc = format!("grpcs://localhost:{}", core.grpc.port());
    let mut agent = RunningAgent::start(quick(), links_to(&http, &grpc, None, trust));
    agent.until("confirmed", any).await;
    agent.until("stats", |event| event["error"].is_null()).await;
    agent.stop().await;

    // Nobody vouches for it with those who trust the system's authorities only.
    let strict = links_to(&http, &grpc, None, Trust::System);
    for link in [Link::Http, Link::Grpc] {
        let refused = within(strict.call(link, &heartbeat(), Some(&key()))).await;
        assert_eq!(refused, Err(Failure::new(Delivery::No, FailureKind::Tls)), "{link:?}");
    }
    // Neither side speaks with one that does not speak TLS.
    let plain = links(core.http, core.grpc);
    for link in [Link::Http, Link::Grpc] {
        assert!(within(plain.call(link, &heartbeat(), Some(&key()))).await.is_err(), "{link:?}");
    }
    let clear = RunningCore::start().await;
    let grpc = format!("grpcs://localhost:{}", clear.grpc.port());
    let links = links_to(&http, &grpc, None, Trust::Anybody);
    let refused = within(links.call(Link::Grpc, &heartbeat(), Some(&key()))).await;
    assert_eq!(refused, Err(Failure::new(Delivery::No, FailureKind::Tls)));
}

#[tokio::test]
async fn http_stands_in_for_a_grpc_that_is_blocked_until_it_is_back() {
    let core = RunningCore::start().await;
    // Another port for gRPC, where nobody listens yet.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut agent = RunningAgent::start(quick(), links(core.http, closed));
    agent.until("link", |event| event["link"] == "fallback").await;
    agent.until("confirmed", any).await;
    agent.until("usage", acked).await;
    let tables = core.tables().await;
    let (http, grpc) = (core.http.to_string(), closed.to_string());
    core.kill().await;
    let core = RunningCore::start_with(
        CoreSettings { http, grpc, tables: Some(tables), ..CoreSettings::default() },
        |_| {},
    );
    let core = core.await;
    agent.until("link", |event| event["link"] == "grpc").await;
    agent.until("stats", |event| event["error"].is_null()).await;
    agent.stop().await;
    assert_eq!(core.tables().await.nodes.len(), 3);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_applied_is_reported_and_mended() {
    let core = RunningCore::start().await;
    let mut agent = RunningAgent::start(quick(), links(core.http, core.grpc));
    agent.until("confirmed", any).await;
    let bad = publish(&core, json!({"xray": {"outbounds": []}})).await;
    agent.until("apply_failed", |event| event["revision"] == bad).await;
    agent.until("error_reported", |event| event["error"].is_null()).await;
    let status = core.tables().await.nodes.values().last().unwrap().clone();
    assert_eq!((status.node_status.as_str(), status.sync_status.as_str()), ("error", "failed"));
    let good = publish(&core, json!({"xray": {"inbounds": []}})).await;
    agent.until("confirmed", |event| event["revision"] == good).await;
    let status = core.tables().await.nodes.values().last().unwrap().clone();
    assert_eq!((status.node_status.as_str(), status.last_error.is_none()), ("online", true));
    agent.stop().await;
}

#[tokio::test]
async fn a_large_configuration_comes_through_and_one_above_the_limit_is_reported() {
    let core = RunningCore::start().await;
    let padding = "x".repeat(6 << 20);
    let large = publish(&core, json!({"xray": {"inbounds": [], "padding": padding}})).await;
    let mut agent = RunningAgent::start(quick(), links(core.http, core.grpc));
    agent.until("applied", |event| event["revision"] == large).await;
    agent.stop().await;

    core.handle
        .order(|role, now| role.core.add_code(&Secret::new("CODE-3"), None, now))
        .await
        .unwrap()
        .unwrap();
    let mut limited = links(core.http, core.grpc);
    limited.receive_limit = 1 << 20;
    let mut config = quick();
    config.code = Some(Secret::new("CODE-3"));
    let mut agent = RunningAgent::start(config, limited);
    agent.until("config_refused", |event| event["code"] == "CONFIG_TOO_LARGE").await;
    agent
        .until("error_reported", |event| event["code"] == "CONFIG_TOO_LARGE" && event["error"].is_null())
        .await;
    agent.stop().await;
}

fn usage(entries: usize) -> Call {
    let entry = UsageEntry {
        user_id: UserId::new(12).unwrap(),
        subscription_id: None,
        node_protocol_id: NodeProtocolId::new(6).unwrap(),
        bytes_up: ByteCount::new(1).unwrap(),
        bytes_down: ByteCount::ZERO,
        recorded_at: core_example::clock::now(),
    };
    Call::ReportUsage(Usage { entries: vec![entry; entries] })
}

#[tokio::test]
async fn a_message_above_the_limit_of_core_is_refused_as_too_large() {
    let limits = Limits { http_body: 1000, grpc_message: 1000, ..Limits::default() };
    let core = RunningCore::start_with(CoreSettings { limits, ..CoreSettings::default() }, |_| {}).await;
    let links = links(core.http, core.grpc);
    for (link, kind) in
        [(Link::Http, FailureKind::Http(413)), (Link::Grpc, FailureKind::Grpc(GrpcCode::ResourceExhausted))]
    {
        let refused = within(links.call(link, &usage(1000), Some(&key()))).await;
        assert_eq!(refused, Err(Failure::answered(kind)), "{link:?}");
        assert!(within(links.call(link, &usage(1), Some(&key()))).await.is_ok(), "{link:?}");
    }
}

#[tokio::test]
async fn a_fault_comes_before_core_has_taken_the_call_or_after() {
    let core = RunningCore::start().await;
    let links = links(core.http, core.grpc);
    let bad_gateway = http::StatusCode::BAD_GATEWAY;
    for (link, call, answer, kind) in [
        (
            Link::Grpc,
            "ReportUsage",
            FaultAnswer::Grpc(GrpcCode::Internal),
            FailureKind::Grpc(GrpcCode::Internal),
        ),
        (Link::Http, "/node/usage", FaultAnswer::Http(bad_gateway), FailureKind::Http(502)),
    ] {
        for after in [false, true] {
            let before = core.total().await;
            core.calls.faults().add(Fault { call: call.into(), answer, after });
            let failed =
                within(links.call(link, &usage(1 + usize::from(link == Link::Http)), Some(&key()))).await;
            assert_eq!(failed, Err(Failure::answered(kind.clone())));
            assert_eq!(core.total().await != before, after, "{call} {after}");
        }
    }
}

/// Answers every request with this, and returns where, with the count of connections.
async fn answering(answer: String) -> (SocketAddr, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await; // an error: it is gone
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, count) = answering(String::new()).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/node/heartbeat\r\ncontent-length: 0\r\n\r\n"
    );
    let (redirecting, _) = answering(redirect).await;
    let links = links(redirecting, redirecting);
    let redirected = within(links.call(Link::Http, &heartbeat(), Some(&key()))).await;
    assert_eq!(redirected, Err(Failure::answered(FailureKind::Http(307))));
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn transport_errors_tell_whether_the_call_was_written() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (cutting, _) = answering(String::new()).await;
    let refused = Failure::new(Delivery::No, FailureKind::Refused);
    let lost = Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost);
    for link in [Link::Http, Link::Grpc] {
        let outcome = within(links(closed, closed).call(link, &heartbeat(), Some(&key()))).await;
        assert_eq!(outcome, Err(refused.clone()), "{link:?}");
    }
    let outcome = within(links(cutting, cutting).call(Link::Http, &heartbeat(), Some(&key()))).await;
    assert_eq!(outcome, Err(lost.clone()));
    let outcome = within(links(cutting, cutting).call(Link::Grpc, &heartbeat(), Some(&key()))).await;
    assert_eq!(outcome.unwrap_err().kind, FailureKind::ConnectionLost);
    let nowhere =
        links_to("http://no-such-host.invalid", "no-such-host.invalid", Some("true"), Trust::Anybody);
    for link in [Link::Http, Link::Grpc] {
        let outcome = within(nowhere.call(link, &heartbeat(), Some(&key()))).await;
        assert_eq!(outcome, Err(Failure::new(Delivery::No, FailureKind::NameResolution)), "{link:?}");
    }
}

#[tokio::test]
async fn a_core_that_accepts_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let core = RunningCore::start().await;
    let mut config = quick();
    config.call_timeout = Duration::from_millis(100);
    config.stats_interval = Duration::from_secs(60);
    config.online_interval = Duration::from_secs(60);
    let mut agent = RunningAgent::start(config, links(core.http, silent.local_addr().unwrap()));
    agent.until("link", |event| event["link"] == "fallback").await;
    agent.until("heartbeat", |event| event["need_sync"].is_boolean()).await;
    agent.stop().await;
}

#[tokio::test]
async fn keys_are_taken_from_metadata_and_from_the_message() {
    let core = RunningCore::start().await;
    for placement in [
        core_node_proto::call::KeyPlacement::Metadata,
        core_node_proto::call::KeyPlacement::Field,
        core_node_proto::call::KeyPlacement::Both,
    ] {
        let mut links = links(core.http, core.grpc);
        links.key_placement = placement;
        let reply = within(links.call(Link::Grpc, &heartbeat(), Some(&key()))).await;
        assert!(matches!(reply, Ok(Reply::Heartbeat(_))), "{placement:?}");
        let refused = within(links.call(Link::Grpc, &heartbeat(), Some(&Secret::new("wrong")))).await;
        assert_eq!(refused, Err(Failure::answered(FailureKind::Grpc(GrpcCode::Unauthenticated))));
    }
    let register = Call::Register(Register {
        code: Secret::new(CODE),
        name: "n".into(),
        ip: "::1".parse().unwrap(),
        port: 1.try_into().unwrap(),
        region: "r".into(),
        domain: None,
    });
    let reply = within(links(core.http, core.grpc).call(Link::Http, &register, None)).await;
    assert!(matches!(reply, Ok(Reply::Registered(_))));
}
