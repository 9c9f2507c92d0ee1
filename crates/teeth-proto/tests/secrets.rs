//! A server and an agent with settings of a config drive that are marked: what they give out and what is refused shows none
//! of them, neither as `Debug` nor as `Display`. The rules of the machines look at `Debug` after random steps, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use support::{TestAgent, TestServer, drain, epoch, seconds};
use teeth_proto::agent::{self, Agent};
use teeth_proto::command::{Command, ConfigDrive, TaskCommand, Work};
use teeth_proto::server::{self, Server};
use teeth_proto::wire::{Json, Object};
use teeth_proto::{ConnectionId, Dialect, Instant};
use testkit::secrets::{MARK, assert_debug_hides, assert_error_hides, assert_no_secret, marked};

const IMAGE: &str = "6b83f0c2-5598-4a89-b581-85f9114221ff";

fn drive() -> ConfigDrive {
    let files = format!("{{\"user_data\":\"{}\",\"files\":{{\"a\":\"{}\"}}}}", marked(1), marked(2));
    ConfigDrive::new(Object::parse(&files).unwrap())
}

fn run_image() -> Command {
    let work = Work::RunImage { image: IMAGE.into(), config_drive: Some(drive()) };
    Command::Task(TaskCommand { task_id: "t".into(), work })
}

/// Both ends of one connection, without a network between them.
struct World {
    server: TestServer,
    agent: TestAgent,
    ends: Option<(ConnectionId, ConnectionId)>,
    now: Instant,
    /// Whether the settings went over the connection.
    sent: bool,
    steps: usize,
}

impl World {
    fn new() -> Self {
        let server = Server::new(server::Config::new(1), epoch()).unwrap();
        let agent = Agent::new(agent::Config::new("a", "1", 1), epoch()).unwrap();
        let mut world = Self {
            server: TestServer(server),
            agent: TestAgent(agent),
            ends: None,
            now: epoch(),
            sent: false,
            steps: 0,
        };
        world.settle();
        world
    }

    fn live(&mut self, end: Instant) {
        while let Some(due) =
            self.agent.0.poll_timeout().into_iter().chain(self.server.0.poll_timeout()).min()
            && due <= end
        {
            self.now = due.max(self.now);
            self.agent.0.handle_timeout(self.now);
            self.server.0.handle_timeout(self.now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let (ours, theirs) = (drain(&mut self.server), drain(&mut self.agent));
            assert_debug_hides(&self.server.0);
            assert_debug_hides(&self.agent.0);
            if ours.is_empty() && theirs.is_empty() {
                return;
            }
            assert_debug_hides(&ours);
            assert_debug_hides(&theirs);
            ours.into_iter().for_each(|output| self.of_server(output));
            theirs.into_iter().for_each(|output| self.of_agent(output));
        }
    }

    fn of_server(&mut self, output: server::Output) {
        match output {
            server::Output::Transmit { bytes, .. } => {
                self.sent |= String::from_utf8_lossy(&bytes).contains(MARK);
                let (_, agent) = self.ends.unwrap();
                self.agent.0.handle_bytes(agent, &bytes, self.now);
            }
            server::Output::Event(server::Event::ConnectionEnded { reason, .. }) => {
                assert_no_secret(&reason.to_string(), "why a connection ended");
            }
            _ => {}
        }
    }

    fn of_agent(&mut self, output: agent::Output) {
        let now = self.now;
        match output {
            agent::Output::Connect { connection, .. } => {
                self.ends = Some((self.server.0.accept(now), connection));
                self.agent.0.handle_connected(connection, now);
            }
            agent::Output::Transmit { bytes, .. } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                assert_no_secret(&text, "what an agent says");
                let (server, _) = self.ends.unwrap();
                self.server.0.handle_bytes(server, &bytes, now);
            }
            agent::Output::Event(agent::Event::Step { task, .. }) => {
                self.steps += 1;
                let _ = self.agent.0.step_done(task, now); // an error: it wants more than that it is done
            }
            _ => {}
        }
    }
}

#[test]
fn no_setting_of_a_config_drive_shows_while_an_image_is_run() {
    let mut world = World::new();
    world.live(epoch() + seconds(1));
    let command = run_image();
    assert_debug_hides(&command);
    let (connection, _) = world.ends.unwrap();
    world.server.0.send(connection, &command, world.now).unwrap();
    world.settle();
    world.live(epoch() + seconds(60));
    let task = world.agent.0.tasks().next().map(|(task, _)| task);
    if let Some(task) = task {
        let _ = world.agent.0.fail(task, "no", world.now); // an error: it is over
    }
    world.settle();
    assert!(world.sent && world.steps > 0, "{} steps", world.steps);
}

#[test]
fn commands_that_cannot_be_read_are_not_repeated() {
    let secret = marked(3);
    let settings = [
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"files\":\"{secret}\"}}"),
        format!("{{\"files\":{{\"../{secret}\":\"{secret}\"}}}}"),
        format!("{{\"files\":{{\"a\":[\"{secret}\"]}},\"hostname\":{{\"{secret}\":1}}}}"),
    ];
    let mut refused = 0;
    for (settings, dialect) in settings
        .iter()
        .flat_map(|settings| [Dialect::Document, Dialect::Original].map(|dialect| (settings, dialect)))
    {
        let params = format!("{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\",\"config_drive\":{settings}}}");
        let params = Json::parse(&params).unwrap();
        match Command::decode("standbye.run_image", params.as_ref(), dialect) {
            Ok(command) => assert_debug_hides(&command),
            Err(error) => {
                assert_error_hides(&error);
                refused += 1;
            }
        }
        if let Ok(settings) = Object::parse(settings)
            && let Err(error) = ConfigDrive::new(settings).files()
        {
            assert_error_hides(&error);
            refused += 1;
        }
    }
    assert!(refused > 4, "only {refused} were refused");
}
