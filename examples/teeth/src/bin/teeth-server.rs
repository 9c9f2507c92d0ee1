//! A server that gives agents the commands it reads, and tells what comes of them.

use clap::Parser;
use program::{Printer, bad_arguments, fail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use teeth_example::arguments::{ConnectionArguments, Limit, duration, limit};
use teeth_example::server_driver::{self, Handle, News};
use teeth_example::value;
use teeth_proto::command::{Command, TaskStatus};
use teeth_proto::server::{CloseReason, Config, Event, Reply, Server};
use teeth_proto::wire::{Json, Object};
use teeth_proto::{CallId, ConnectionId, Dialect};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use web_time::Instant;

/// A teeth server: takes agents, and commands for them as JSON lines on stdin.
///
///   {"method":"status"}
///   {"agent":1,"id":"a","method":"standbye.cache_images","params":{"task_id":"t1","image_ids":["UUID"]}}
///   {"method":"standbye.run_image","params":{"task_id":"t2","image_id":"UUID","config_drive":{"metadata":{}}}}
///
/// Without "agent" a command goes to all connected agents. Without "id" it gets a number; the event "reply" has it.
/// A bad line gives an "error" event. The program goes on when stdin ends.
///
/// Try it with teeth-agent:
///   cargo run --bin teeth-server -- --listen 127.0.0.1:8081 --json
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Ping agents too; one of the original's dialect ends the connection then.
    #[arg(long)]
    pings: bool,
    /// How long an agent's answer is waited for.
    #[arg(long, value_name = "DURATION|never", default_value = "60s", value_parser = limit)]
    call_timeout: Limit,
    /// How many agents may be connected.
    #[arg(long, default_value_t = 65_536)]
    max_connections: usize,
    /// How many tasks may be unfinished.
    #[arg(long, default_value_t = 65_536)]
    max_tasks: usize,
    /// How many tasks that have ended are remembered.
    #[arg(long, default_value_t = 65_536)]
    max_ended_tasks: usize,
    /// End after this time.
    #[arg(long = "for", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

/// A line of stdin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    agent: Option<u64>,
    id: Option<Value>,
    method: String,
    params: Option<Json>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let server = match Server::new(config(&arguments), Instant::now()) {
        Ok(server) => server,
        Err(problem) => return bad_arguments(problem),
    };
    let listener = match TcpListener::bind(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(format!("{}: {error}", arguments.listen), "try another --listen"),
    };
    if let Ok(address) = listener.local_addr() {
        printer.event("listening", json!({"addr": address.to_string()}));
    }
    let (server, mut news, driver) =
        server_driver::driver(server, listener, arguments.connection.transport());
    let driver = tokio::spawn(driver);
    let (typed, mut lines) = mpsc::channel(16);
    std::thread::spawn(move || read_lines(&typed));

    let mut desk =
        Desk { printer, server, dialect: arguments.connection.dialect(), asked: HashMap::new(), count: 0 };
    let mut end = std::pin::pin!(program::end(arguments.limit));
    let mut ending = false;
    loop {
        tokio::select! {
            oldest = news.recv() => match oldest {
                Some(news) => desk.show(news),
                None => break, // the server has ended
            },
            Some(line) = lines.recv(), if !ending => desk.take(&line).await,
            () = &mut end, if !ending => {
                ending = true;
                desk.server.order(|server, now| server.close(now)).await;
            }
        }
    }
    let _ = driver.await;
    ExitCode::SUCCESS
}

fn config(arguments: &Arguments) -> Config {
    let mut config = Config::new(teeth_example::seed());
    arguments.connection.apply(&mut config.session);
    config.pings = arguments.pings;
    config.call_timeout = arguments.call_timeout.0;
    config.max_connections = arguments.max_connections;
    config.max_tasks = arguments.max_tasks;
    config.max_ended_tasks = arguments.max_ended_tasks;
    config
}

/// Reading stdin blocks, so it has a thread of its own, which ends with the program.
fn read_lines(typed: &mpsc::Sender<String>) {
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { return };
        if typed.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// Where commands go out and news come in.
struct Desk {
    printer: Printer,
    server: Handle,
    dialect: Dialect,
    /// What commands without an answer are called.
    asked: HashMap<CallId, Value>,
    count: u64,
}

impl Desk {
    async fn take(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if let Err(problem) = self.send(line).await {
            self.printer.event("error", json!({"error": problem}));
        }
    }

    async fn send(&mut self, line: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let params = line.params.unwrap_or_else(|| Object::new().into());
        let command = Command::decode(&line.method, params.as_ref(), self.dialect);
        let command = command.map_err(|error| error.to_string())?;
        self.count += 1;
        let id = line.id.unwrap_or_else(|| self.count.into());
        let agent = line.agent;
        let sent = self.server.order(move |server, now| {
            let wanted = |connection: &ConnectionId| agent.is_none_or(|agent| agent == connection.number());
            let agents: Vec<ConnectionId> = server.connections().filter(wanted).collect();
            let send = |agent| (agent, server.send(agent, &command, now));
            agents.into_iter().map(send).collect::<Vec<_>>()
        });
        let sent = sent.await.ok_or("the server has ended")?;
        if sent.is_empty() {
            return Err(match agent {
                Some(agent) => format!("agent {agent} is not connected"),
                None => "no agent is connected".to_owned(),
            });
        }
        for (agent, outcome) in sent {
            match outcome {
                Ok(call) => drop(self.asked.insert(call, id.clone())),
                Err(error) => self
                    .printer
                    .event("error", json!({"agent": agent.number(), "id": id, "error": error.to_string()})),
            }
        }
        Ok(())
    }

    fn show(&mut self, news: News) {
        match news {
            News::Connected { connection, address } => {
                self.say("connected", connection, json!({"addr": address.to_string()}));
            }
            News::Event(event) => self.show_event(event),
            other => tracing::info!(?other, "news"),
        }
    }

    fn show_event(&mut self, event: Event) {
        match event {
            Event::Handshake { connection, handshake } => {
                self.say("handshake", connection, json!({"id": handshake.id, "version": handshake.version}));
            }
            Event::Pinged { connection } => self.say("ping", connection, json!({})),
            Event::PingAnswered { connection, round_trip } => {
                self.say("pong", connection, json!({"round_trip_us": round_trip.as_micros() as u64}));
            }
            Event::Log { connection, entry } => {
                let fields: serde_json::Map<String, Value> =
                    entry.fields.iter().map(|(name, field)| (name.clone(), value(field))).collect();
                let members = json!({"message": entry.message, "time": entry.time, "fields": fields});
                self.say("log", connection, members);
            }
            Event::TaskStatus { connection, status } => {
                self.say("task_status", connection, task_status(&status))
            }
            Event::TaskViolation { connection, status, violation } => {
                let mut members = task_status(&status);
                members["violation"] = violation.to_string().into();
                self.say("violation", connection, members);
            }
            Event::CommandRefused { connection, method, error } => {
                self.say("refused", connection, json!({"method": method, "error": error.msg()}));
            }
            Event::Replied { call, method, reply } => {
                let mut members =
                    json!({"id": self.asked.remove(&call), "method": method.name(self.dialect)});
                match reply {
                    Reply::Status(status) => members["result"] = value(&status.result().into()),
                    Reply::Result(result) => members["result"] = value(&result),
                    Reply::Error(error) => members["error"] = value(error.json()),
                    other => tracing::info!(?other, "reply"),
                }
                self.say("reply", call.connection(), members);
            }
            Event::Lost { call, method, reason } => {
                let id = self.asked.remove(&call);
                let members =
                    json!({"id": id, "method": method.name(self.dialect), "error": reason.to_string()});
                self.say("reply", call.connection(), members);
            }
            Event::ConnectionEnded { connection, reason } => {
                let mut members = json!({"reason": reason.to_string()});
                if let CloseReason::FatalError(text) = &reason {
                    members["fatal_error"] = value(text);
                }
                self.say("closed", connection, members);
            }
            Event::Closed => self.printer.event("ended", json!({})),
            other => tracing::info!(?other, "news"),
        }
    }

    fn say(&self, event: &str, agent: ConnectionId, mut members: Value) {
        members["agent"] = agent.number().into();
        self.printer.event(event, members);
    }
}

/// What is not there is left out.
fn task_status(status: &TaskStatus) -> Value {
    let mut members = json!({"task_id": value(status.task_id.json()), "state": status.state.name()});
    let images = status.image_ids.as_ref();
    let further = [
        ("percent", status.percent.map(Value::from)),
        ("eta", status.eta.map(Value::from)),
        ("msg", status.msg.as_deref().map(Value::from)),
        ("image_ids", images.map(|images| images.iter().map(|image| value(image.json())).collect())),
    ];
    for (name, further) in further {
        if let Some(further) = further {
            members[name] = further;
        }
    }
    members
}
