//! A driver without a runtime: one thread owns the agent, one more for each direction of a connection, plain `std::net`
//! below.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;
use support::{LIMIT, quick, server};
use teeth_proto::ConnectionId;
use teeth_proto::agent::{Agent, Event, Output};
use teeth_proto::command::{ImageId, TaskState, Work};
use teeth_proto::server::{self, Reply};
use tokio::time::timeout;
use web_time::Instant;

/// What the threads tell the one that owns the machine.
enum Input {
    Connected(ConnectionId, Option<TcpStream>),
    Bytes(ConnectionId, Vec<u8>),
    Ended(ConnectionId),
}

/// A connection with the thread that writes to it.
struct Open {
    connection: ConnectionId,
    stream: TcpStream,
    lines: mpsc::Sender<Vec<u8>>,
}

/// Drives the agent until it is closed; `news` may give commands.
fn drive(mut agent: Agent, server: SocketAddr, mut news: impl FnMut(&mut Agent, Event)) {
    let (tell, inputs) = mpsc::channel();
    let mut open: Option<Open> = None;
    loop {
        while let Some(output) = agent.poll_output() {
            match output {
                Output::Connect { connection, .. } => {
                    let tell = tell.clone();
                    std::thread::spawn(move || {
                        let stream = TcpStream::connect(server).ok();
                        let _ = tell.send(Input::Connected(connection, stream)); // an error: the agent is gone
                    });
                }
                Output::Transmit { connection, bytes } => {
                    if let Some(open) = open.as_ref().filter(|open| open.connection == connection) {
                        let _ = open.lines.send(bytes.to_vec()); // an error: the reader tells of it
                    }
                }
                // Without its sender the writer writes what it has, and closes.
                Output::Disconnect { connection } => drop(open.take_if(|open| open.connection == connection)),
                Output::Abort { connection } => {
                    if let Some(open) = open.take_if(|open| open.connection == connection) {
                        let _ = open.stream.shutdown(Shutdown::Both);
                    }
                }
                Output::Event(event) => news(&mut agent, event),
            }
        }
        if agent.is_closed() {
            return;
        }
        let wait = agent
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match inputs.recv_timeout(wait) {
            Ok(Input::Connected(connection, Some(stream))) => {
                open = Some(start(connection, stream, &tell));
                agent.handle_connected(connection, Instant::now());
            }
            Ok(Input::Connected(connection, None)) => {
                agent.handle_connect_failed(connection, Instant::now());
            }
            Ok(Input::Bytes(connection, bytes)) => agent.handle_bytes(connection, &bytes, Instant::now()),
            Ok(Input::Ended(connection)) => {
                open.take_if(|open| open.connection == connection);
                agent.handle_disconnect(connection, Instant::now());
            }
            Err(_) => agent.handle_timeout(Instant::now()),
        }
    }
}

/// Starts the threads of a connection. Reading goes on while writing is stuck.
fn start(connection: ConnectionId, stream: TcpStream, tell: &mpsc::Sender<Input>) -> Open {
    let (lines, written) = mpsc::channel::<Vec<u8>>();
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        for line in written {
            if writer.write_all(&line).is_err() {
                return;
            }
        }
        let _ = writer.shutdown(Shutdown::Write);
    });
    let (mut reader, tell) = (stream.try_clone().unwrap(), tell.clone());
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let input = match reader.read(&mut chunk) {
                Ok(length @ 1..) => Input::Bytes(connection, chunk[..length].to_vec()),
                Ok(0) | Err(_) => Input::Ended(connection),
            };
            let is_end = matches!(input, Input::Ended(_));
            if tell.send(input).is_err() || is_end {
                return;
            }
        }
    });
    Open { connection, stream, lines }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_threads_serves_a_server_and_comes_back_to_it() {
    let mut server = server("127.0.0.1:0", |_, _| {}).await;
    let address = server.address;
    let agent = tokio::task::spawn_blocking(move || {
        let agent = Agent::new(quick(), Instant::now()).unwrap();
        let mut connections = 0;
        drive(agent, address, |agent, event| match event {
            Event::Ready { .. } => connections += 1,
            Event::TaskBegun { task, command } => {
                let Work::CacheImages { images } = command.work else { panic!("another task") };
                agent.progress(task, 50.0, None, Instant::now()).unwrap();
                agent.held(task, images, Instant::now()).unwrap();
                agent.complete(task, Instant::now()).unwrap();
            }
            Event::TaskReported { .. } if connections == 2 => agent.close(Instant::now()),
            _ => {}
        });
        connections
    });

    let first = server.until_handshake().await;
    server.send(first, "status", "{}").await;
    server
        .until_event(|event| {
            matches!(event, server::Event::Replied { reply: Reply::Status(_), .. }).then_some(())
        })
        .await;
    server.handle.order(move |server, now| server.disconnect(first, now)).await.unwrap();
    let second = server.until_handshake().await;
    let params = format!(r#"{{"task_id": "t", "image_ids": ["{}"]}}"#, support::IMAGE);
    server.send(second, "standbye.cache_images", &params).await;
    let end = server.until_task_status(|status| status.state.is_end()).await;
    assert_eq!((end.state, end.image_ids), (TaskState::Complete, Some(vec![ImageId::from(support::IMAGE)])));
    assert_eq!(timeout(LIMIT, agent).await.unwrap().unwrap(), 2);
    server.until_event(|event| matches!(event, server::Event::ConnectionEnded { .. }).then_some(())).await;
}
