//! Rules that hold for a server whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod rules_support;
mod support;

use proptest::prelude::*;
use rules_support::{MAX_CALLS, Peer, Step, steps};
use std::time::Duration;
use support::{TestServer, epoch, object};
use teeth_proto::command::{Command, TaskCommand, Work};
use teeth_proto::server::{self, Server};
use teeth_proto::session::Answer;
use teeth_proto::{ConnectionId, Dialect};
use testkit::rules::{check_after_step, check_closed, check_command};
use testkit::secrets::assert_debug_hides;

proptest! {
    #[test]
    fn every_rule_holds_for_a_server_after_every_step(steps in steps(), original in any::<bool>()) {
        let mut server = TestServer(server(if original { Dialect::Original } else { Dialect::Document }));
        let (mut now, mut peer, mut tokens) = (epoch(), Peer::default(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let connections: Vec<ConnectionId> = server.0.connections().collect();
            let connection = connections.get(number % connections.len().max(1)).copied();
            match (step, connection) {
                (Step::Connect(_), _) => drop(server.0.accept(now)),
                (Step::Line(line, id), Some(connection)) => server.0.handle_bytes(connection, &peer.line(line, id), now),
                (Step::Bytes(bytes), Some(connection)) => server.0.handle_bytes(connection, &bytes, now),
                (Step::Call(wait), Some(connection)) => {
                    let command = match wait % 3 {
                        0 => Command::Status,
                        1 => Command::Ping(object("{}")),
                        _ => Command::Task(TaskCommand { task_id: "a".into(), work: Work::DiskErase }),
                    };
                    let _ = check_command(&mut server, |server| server.0.send(connection, &command, now));
                }
                (Step::Answer, _) => if let Some((connection, token)) = tokens.pop() {
                    let _ = server.0.respond(connection, token, Answer::Done, now);
                }
                (Step::Drop, _) => drop(tokens.pop()),
                (Step::Lose, Some(connection)) => server.0.handle_disconnect(connection, now),
                (Step::Stall, Some(connection)) => server.0.handle_stalled(connection, now),
                (Step::Complete, Some(connection)) => server.0.disconnect(connection, now),
                (Step::Fail, Some(connection)) => server.0.forget_task(connection, &"a".into(), now),
                (Step::Wait(wait), _) => now += Duration::from_millis(wait),
                (Step::Back(back), _) => server.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                (Step::Close, _) => server.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut server, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            for output in outputs {
                if let server::Output::Event(server::Event::Command { connection, token, .. }) = output {
                    tokens.push((connection, token));
                }
            }
            prop_assert!(server.0.connections().count() <= MAX_CALLS);
            prop_assert!(server.0.tasks().count() <= 2 * MAX_CALLS);
            if server.0.is_closed() {
                check_closed(&mut server, now);
            }
        }
        assert_debug_hides(&server.0);
    }
}

fn server(dialect: Dialect) -> Server {
    let mut config = server::Config::new(1);
    config.session.dialect = dialect;
    config.methods = ["x.y".to_owned()].into();
    (config.max_connections, config.max_tasks, config.max_ended_tasks) = (MAX_CALLS, MAX_CALLS, MAX_CALLS);
    config.pings = true;
    Server::new(config, epoch()).unwrap()
}
