//! Both roles in WebAssembly: an agent's task runs to its end, as its server sees it.
#![cfg(target_arch = "wasm32")]

use std::error::Error;
use teeth_proto::Instant;
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::{Command, TaskCommand, TaskState, Work};
use teeth_proto::server::{self, Server};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn run() -> Result<String, String> {
    erase().map_err(|error| error.to_string())
}

fn erase() -> Result<String, Box<dyn Error>> {
    let mut now = Instant::now(); // the clock of JavaScript
    let mut agent = Agent::new(agent::Config::new("00:16:3e:00:00:01", "1.0", 1), now)?;
    let mut server = Server::new(server::Config::new(2), now)?;
    let mut link = None;
    loop {
        while let Some(output) = agent.poll_output() {
            match output {
                agent::Output::Connect { connection, .. } => {
                    link = Some((connection, server.accept(now)));
                    agent.handle_connected(connection, now);
                }
                agent::Output::Transmit { bytes, .. } => {
                    server.handle_bytes(link.ok_or("no link")?.1, &bytes, now)
                }
                agent::Output::Event(agent::Event::TaskBegun { task, .. }) => agent.complete(task, now)?,
                agent::Output::Event(_) => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
        let Some(output) = server.poll_output() else {
            now = agent
                .poll_timeout()
                .into_iter()
                .chain(server.poll_timeout())
                .min()
                .ok_or("nothing to wait for")?;
            agent.handle_timeout(now);
            server.handle_timeout(now);
            continue;
        };
        match output {
            server::Output::Transmit { bytes, .. } => {
                agent.handle_bytes(link.ok_or("no link")?.0, &bytes, now)
            }
            server::Output::Event(server::Event::Handshake { connection, .. }) => {
                let task = TaskCommand { task_id: "task-1".into(), work: Work::DiskErase };
                server.send(connection, &Command::Task(task), now)?;
            }
            server::Output::Event(server::Event::TaskStatus { status, .. })
                if status.state == TaskState::Complete =>
            {
                return Ok("an agent has done what its server asked for".to_owned());
            }
            server::Output::Event(_) => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
}
