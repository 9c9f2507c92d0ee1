//! The drivers over real sockets. Each test ends by itself; none measures time.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::time::Duration;
use support::{Folders, IMAGE, LIMIT, OTHER, agent, quick, server};
use teeth_example::{Transport, work};
use teeth_proto::agent::{self, State};
use teeth_proto::command::{Command, ImageId, TaskId, TaskState, TaskStatus};
use teeth_proto::server::{self, CloseReason, Reply, TaskViolation};
use teeth_proto::wire::{Json, Object, Violation};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn is_under_way(status: &TaskStatus) -> bool {
    status.state == TaskState::Running && status.percent.is_some_and(|percent| percent > 0.0)
}

fn is_end(status: &TaskStatus) -> bool {
    status.state.is_end()
}

#[tokio::test]
async fn an_agent_shakes_hands_pings_and_says_how_it_is() {
    let folders = Folders::new(&[]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let mut agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    let connection = server.until_handshake().await;
    server.until_event(|event| matches!(event, server::Event::Pinged { .. }).then_some(())).await;
    agent.until_event(|event| matches!(event, agent::Event::PingAnswered { .. }).then_some(())).await;

    let call = server.send(connection, "status", "{}").await;
    let status = server.until_event(|event| match event {
        server::Event::Replied { call: answered, reply: Reply::Status(status), .. } if *answered == call => {
            Some(status.clone())
        }
        _ => None,
    });
    let status = status.await;
    assert_eq!((status.version.as_deref(), status.mode.as_deref()), (Some("1.0"), Some("STANDBY")));
    assert!(status.uptime.is_some());
    let (sent, received) = agent.handle.traffic().lines();
    assert!(sent >= 3 && received >= 3, "{sent} {received}");
}

#[tokio::test]
async fn images_are_cached_with_progress() {
    let folders = Folders::new(&[(IMAGE, 1 << 20), (OTHER, 2 << 20)]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let cache = folders.open(None).with_rate(Some(4 << 20));
    let _agent = agent(server.address, quick(), Transport::default(), cache);
    let connection = server.until_handshake().await;
    let params = format!(r#"{{"task_id": "t", "image_ids": ["{IMAGE}", "{OTHER}"]}}"#);
    server.send(connection, "standbye.cache_images", &params).await;
    let progress = server.until_task_status(is_under_way).await;
    assert!(progress.percent < Some(100.0) && progress.eta.is_some(), "{progress:?}");
    let end = server.until_task_status(is_end).await;
    assert_eq!(end.state, TaskState::Complete);
    assert_eq!(end.image_ids, Some(vec![ImageId::from(IMAGE), ImageId::from(OTHER)]));
    assert!(folders.is_cached(IMAGE) && folders.is_cached(OTHER));
}

#[tokio::test]
async fn an_image_that_is_nowhere_is_named_and_the_others_are_held() {
    let folders = Folders::new(&[(IMAGE, 1000)]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let _agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    let connection = server.until_handshake().await;
    let params = format!(r#"{{"task_id": "t", "image_ids": ["{OTHER}", "{IMAGE}"]}}"#);
    server.send(connection, "standbye.cache_images", &params).await;
    let end = server.until_task_status(is_end).await;
    assert_eq!(end.state, TaskState::Error);
    assert!(end.msg.as_ref().is_some_and(|msg| msg.contains(OTHER)), "{end:?}");
    assert_eq!(end.image_ids, Some(vec![ImageId::from(IMAGE)]));
}

#[tokio::test]
async fn every_kind_of_task_comes_to_its_end() {
    let folders = Folders::new(&[(IMAGE, 100_000)]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let _agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    let connection = server.until_handshake().await;
    let drive = r#"{"metadata": {"name": "host"}, "files": {"etc/motd": "hello"}}"#;
    for (method, params) in [
        ("decom.disk_erase", String::new()),
        ("decom.firmware_secure", String::new()),
        ("decom.qc", r#", "chassis": {"cpus": 1, "memory": 1, "disks": []}"#.to_owned()),
        ("standbye.prepare_image", format!(r#", "image_id": "{IMAGE}""#)),
        ("standbye.run_image", format!(r#", "image_id": "{IMAGE}", "config_drive": {drive}"#)),
    ] {
        server.send(connection, method, &format!(r#"{{"task_id": "{method}"{params}}}"#)).await;
        let end = server.until_task_status(is_end).await;
        assert_eq!((end.state, end.msg), (TaskState::Complete, None), "{method}");
    }
    let written = std::fs::read_to_string(folders.cache().join("config-drive/etc/motd")).unwrap();
    assert_eq!(written, "hello");
    let left = server.until_event(|event| match event {
        server::Event::Log { entry, .. } if entry.message.contains("into image") => {
            Some(entry.message.clone())
        }
        _ => None,
    });
    assert!(left.await.ends_with("(simulated)"));
}

#[tokio::test]
async fn a_machine_that_is_not_as_specified_fails_quality_control() {
    let folders = Folders::new(&[]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let _agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    let connection = server.until_handshake().await;
    server.send(connection, "decom.qc", r#"{"task_id": "q", "chassis": {"cpus": 1000000}}"#).await;
    let end = server.until_task_status(is_end).await;
    assert!(end.msg.as_ref().is_some_and(|msg| msg.starts_with("cpus: 1000000 wanted")), "{end:?}");
}

#[tokio::test]
async fn the_end_of_a_task_arrives_over_the_next_connection_after_the_server_was_killed() {
    let folders = Folders::new(&[(IMAGE, 3 << 20)]);
    let mut first = server("127.0.0.1:0", |_, _| {}).await;
    let address = first.address;
    let cache = folders.open(None).with_rate(Some(2 << 20));
    let mut agent = agent(address, quick(), Transport::default(), cache);
    let connection = first.until_handshake().await;
    let params = format!(r#"{{"task_id": "t", "image_ids": ["{IMAGE}"]}}"#);
    first.send(connection, "standbye.cache_images", &params).await;
    first.until_task_status(is_under_way).await;
    first.run.abort();
    assert!(first.run.await.is_err());
    agent.until_event(|event| matches!(event, agent::Event::ConnectionEnded { .. }).then_some(())).await;

    // Only then is there a server again: the end cannot have gone anywhere else.
    let ended = async {
        loop {
            let complete = agent.handle.order(|agent, _| {
                let mut tasks = agent.tasks();
                tasks.any(|(_, task)| task.state() == TaskState::Complete)
            });
            if complete.await.unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, ended).await.unwrap();
    let mut second = server(&address.to_string(), |_, _| {}).await;
    // The new server knows nothing of the task, and says so.
    let told = second.until_event(|event| match event {
        server::Event::TaskViolation { status, violation, .. } => Some((status.clone(), *violation)),
        _ => None,
    });
    let (status, violation) = told.await;
    assert_eq!((status.task_id, status.state), (TaskId::from("t"), TaskState::Complete));
    assert_eq!(violation, TaskViolation::NeverDesignated, "the new server knows nothing of the task");
    agent.until_event(|event| matches!(event, agent::Event::TaskReported { .. }).then_some(())).await;
    let tasks = agent.handle.order(|agent, _| agent.tasks().count());
    assert_eq!(tasks.await, Some(0));
}

/// The connection is lost, and the server is the same: it follows the task to its end.
#[tokio::test]
async fn the_end_of_a_task_that_outlived_its_connection_is_told_over_the_next_one() {
    let folders = Folders::new(&[(IMAGE, 2 << 20)]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let cache = folders.open(None).with_rate(Some(2 << 20));
    let _agent = agent(server.address, quick(), Transport::default(), cache);
    let connection = server.until_handshake().await;
    let params = format!(r#"{{"task_id": "t", "image_ids": ["{IMAGE}"]}}"#);
    server.send(connection, "standbye.cache_images", &params).await;
    server.until_task_status(is_under_way).await;
    server.handle.order(move |server, now| server.disconnect(connection, now)).await.unwrap();
    let end = server.until_event(|event| match event {
        server::Event::TaskStatus { connection, status } if is_end(status) => {
            Some((*connection, status.clone()))
        }
        server::Event::TaskViolation { violation, .. } => panic!("{violation}"),
        _ => None,
    });
    let (over, end) = end.await;
    assert_ne!(over, connection);
    assert_eq!((end.state, end.image_ids), (TaskState::Complete, Some(vec![ImageId::from(IMAGE)])));
}

#[tokio::test]
async fn a_server_tells_what_was_wrong_before_it_closes() {
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    peer.write_all(b"{\"id\":1,\"version\":\"v1\",\"method\":\"ping\",\"params\":{}}\nnot json\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(LIMIT, peer.read_to_string(&mut answer)).await.unwrap().unwrap();
    let expected = "{\"version\": \"v1\", \"id\": 1, \"result\": {}}\n\
                    {\"fatal_error\": \"protocol error: unable to decode message.\"}\n";
    assert_eq!(answer, expected);
    let reason = server.until_event(|event| match event {
        server::Event::ConnectionEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, CloseReason::Peer(Violation::Undecodable));
}

#[tokio::test]
async fn an_agent_tells_what_was_wrong_and_comes_back() {
    let folders = Folders::new(&[]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let _agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    let connection = server.until_handshake().await;
    server.send(connection, "no.such.method", "{}").await;
    let reason = server.until_event(|event| match event {
        server::Event::ConnectionEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, CloseReason::FatalError(Json::from("unknown message method")));
    assert_ne!(server.until_handshake().await, connection);
}

#[tokio::test]
async fn a_peer_that_has_said_all_still_gets_its_answers() {
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    // Whoever does not fetch the news holds the agents up.
    tokio::spawn(async move { while server.news.recv().await.is_some() {} });
    let line = "{\"id\":\"x\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{}}\n";
    peer.write_all(line.repeat(1000).as_bytes()).await.unwrap();
    peer.shutdown().await.unwrap();
    let mut answers = String::new();
    timeout(LIMIT, peer.read_to_string(&mut answers)).await.unwrap().unwrap();
    assert_eq!(answers, "{\"version\": \"v1\", \"id\": \"x\", \"result\": {}}\n".repeat(1000));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let mut server = server("127.0.0.1:0", |_, transport| transport.max_unwritten = 1 << 20).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let filler = "x".repeat(100_000);
    let line = format!(
        "{{\"id\":\"x\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{{\"a\":\"{filler}\"}}}}\n"
    );
    let flood = tokio::spawn(async move { while peer.write_all(line.as_bytes()).await.is_ok() {} });
    let reason = server.until_event(|event| match event {
        server::Event::ConnectionEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, CloseReason::Stalled);
    timeout(LIMIT, flood).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_agent_cuts_off_a_server_that_does_not_read() {
    let folders = Folders::new(&[]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut transport = Transport::default();
    transport.max_unwritten = 1 << 20;
    let mut agent = agent(listener.local_addr().unwrap(), quick(), transport, folders.open(None));
    let (mut peer, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let filler = "x".repeat(100_000);
    let line = format!(
        "{{\"id\":\"x\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{{\"a\":\"{filler}\"}}}}\n"
    );
    let flood = tokio::spawn(async move { while peer.write_all(line.as_bytes()).await.is_ok() {} });
    let reason = agent.until_event(|event| match event {
        agent::Event::ConnectionEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.await, CloseReason::Stalled);
    timeout(LIMIT, flood).await.unwrap().unwrap();
}

/// Lines of 400 KB each way, a dozen of them unanswered on each side: more than the sockets hold, so that both sides are
/// stuck with writing again and again.
#[tokio::test(flavor = "multi_thread")]
async fn two_sides_that_send_more_than_the_sockets_hold_do_not_lock_each_other_up() {
    const COUNT: usize = 60;
    const WINDOW: usize = 12;
    let roomy = |transport: &mut Transport| transport.max_unwritten = 64 << 20;
    let folders = Folders::new(&[]);
    let mut server = server("127.0.0.1:0", |_, transport| roomy(transport)).await;
    let mut transport = Transport::default();
    roomy(&mut transport);
    let mut agent = agent(server.address, quick(), transport, folders.open(None));
    let connection = server.until_handshake().await;
    agent.until_event(|event| matches!(event, agent::Event::Ready { .. }).then_some(())).await;

    let big = "y".repeat(400_000);
    let ping = Command::Ping(Object::encode(&std::collections::BTreeMap::from([("a", &big)])).unwrap());
    let from_server = async {
        let (mut sent, mut answered) = (0, 0);
        while answered < COUNT {
            if sent < COUNT && sent - answered < WINDOW {
                let ping = ping.clone();
                let call = server.handle.order(move |server, now| server.send(connection, &ping, now));
                call.await.unwrap().unwrap();
                sent += 1;
                continue;
            }
            server
                .until_event(|event| match event {
                    server::Event::Replied { reply: Reply::Result(_), .. } => Some(()),
                    server::Event::ConnectionEnded { reason, .. } => panic!("{reason}"),
                    _ => None,
                })
                .await;
            answered += 1;
        }
    };
    let entry = work::log_entry(big.clone());
    let from_agent = async {
        let (mut sent, mut answered) = (0, 0);
        while answered < COUNT {
            if sent < COUNT && sent - answered < WINDOW {
                let entry = entry.clone();
                agent.handle.order(move |agent, now| agent.log(&entry, now)).await.unwrap().unwrap();
                sent += 1;
                continue;
            }
            agent
                .until_event(|event| match event {
                    agent::Event::Replied { .. } => Some(()),
                    agent::Event::ConnectionEnded { reason, .. } => panic!("{reason}"),
                    _ => None,
                })
                .await;
            answered += 1;
        }
    };
    timeout(LIMIT, async { tokio::join!(from_server, from_agent) }).await.expect("they lock each other up");
}

#[tokio::test]
async fn both_drivers_end_in_order() {
    let folders = Folders::new(&[]);
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let mut agent = agent(server.address, quick(), Transport::default(), folders.open(None));
    server.until_handshake().await;
    agent.handle.order(|agent, now| agent.close(now)).await.unwrap();
    agent.until_event(|event| matches!(event, agent::Event::Closed).then_some(())).await;
    timeout(LIMIT, agent.run).await.unwrap().unwrap();
    let state = agent.handle.order(|agent, _| agent.state()).await;
    assert_eq!(state, None::<State>);
    server.until_event(|event| matches!(event, server::Event::ConnectionEnded { .. }).then_some(())).await;
    server.handle.order(|server, now| server.close(now)).await.unwrap();
    server.until_event(|event| matches!(event, server::Event::Closed).then_some(())).await;
    timeout(LIMIT, server.run).await.unwrap().unwrap();
}
