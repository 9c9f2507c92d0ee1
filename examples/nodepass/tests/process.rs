//! Instances as the master sees them: lines, figures, ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use nodepass_example::forward::Forward;
use nodepass_example::process::{Event, Kind, Mode, Plan, Process};
use nodepass_example::report::Level;
use std::net::SocketAddr;
use std::time::Duration;
use support::{closed, echo, exchange, free, within};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A running instance and what it has said.
struct Instance {
    process: Process,
    events: mpsc::Receiver<(u64, Event)>,
    said: Vec<String>,
}

impl Instance {
    fn start(plan: Plan) -> Self {
        let (sender, events) = mpsc::channel(4);
        Self { process: Process::start(7, plan, sender), events, said: Vec::new() }
    }

    /// Returns the text of the next line that has this in it, without its time.
    async fn until(&mut self, part: &str) -> String {
        loop {
            match within(self.events.recv()).await {
                Some((7, Event::Line(line))) => {
                    let text = line.get(25..).unwrap().to_owned();
                    self.said.push(text.clone());
                    if text.contains(part) {
                        return text;
                    }
                }
                other => panic!("no {part:?} but {other:?} after {:#?}", self.said),
            }
        }
    }

    async fn address(&mut self) -> SocketAddr {
        let line = self.until("Tunnel listener: ").await;
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Returns the lines up to the end, and whether it was in order.
    async fn end(&mut self) -> (Vec<String>, bool) {
        let mut lines = Vec::new();
        loop {
            match within(self.events.recv()).await.unwrap() {
                (7, Event::Line(line)) => lines.push(line[25..].to_owned()),
                (_, Event::Exited { success }) => {
                    assert!(within(self.events.recv()).await.is_none(), "something comes after the end");
                    return (lines, success);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn plan(kind: Kind, mode: Mode, target: SocketAddr) -> Plan {
    let mut plan = Plan::new(kind, mode, Forward::new("127.0.0.1:0", target.to_string()));
    plan.banner = "127.0.0.1:0/target?mode=1".to_owned();
    plan.report_interval = Duration::from_millis(50);
    plan.cooldown = Duration::from_millis(50);
    plan
}

#[tokio::test]
async fn both_single_ended_modes_forward_and_report() {
    for (kind, mode, number, role) in [
        (Kind::Client, Mode::One, 1, "Client"),
        (Kind::Client, Mode::Auto, 1, "Client"),
        (Kind::Server, Mode::Two, 2, "Server"),
        // Its target is in use, so it cannot be where users come in.
        (Kind::Server, Mode::Auto, 2, "Server"),
    ] {
        let mut instance = Instance::start(plan(kind, mode, echo("127.0.0.1:0").await));
        assert_eq!(instance.until("Init").await, "\x1b[32mINFO\x1b[0m  Init log level: INFO");
        let started = format!("\x1b[32mINFO\x1b[0m  {role} started: 127.0.0.1:0/target?mode=1");
        assert_eq!(instance.until("started").await, started);
        let address = instance.address().await;
        assert_eq!(exchange(address, &[1; 1000]).await.len(), 1000);
        let counted = instance.until("TCPRX=1000|TCPTX=1000").await;
        let start = format!("\x1b[36mEVENT\x1b[0m  CHECK_POINT|MODE={number}|PING=");
        assert!(counted.starts_with(&start) && counted.contains("|POOL=0|TCPS="), "{counted}");
        instance.process.stop();
        let (lines, success) = instance.end().await;
        assert!(success);
        let [.., record, last] = &lines[..] else { panic!("{lines:?}") };
        assert!(record.contains("TCPS=0|UDPS=0|TCPRX=1000|TCPTX=1000|UDPRX=0|UDPTX=0"), "{record}");
        assert_eq!(*last, format!("\x1b[32mINFO\x1b[0m  {role} shutdown complete"));
        assert!(TcpListener::bind(address).await.is_ok());
    }
}

#[tokio::test]
async fn other_modes_say_that_nothing_is_forwarded_and_run_on() {
    let free = free().await;
    for (kind, mode, text) in [
        (Kind::Client, Mode::Two, "Mode 2 needs a tunnel to a server"),
        (Kind::Server, Mode::One, "Mode 1 needs a tunnel to a client"),
        (Kind::Server, Mode::Auto, "Mode 1 needs a tunnel to a client"),
    ] {
        let mut instance = Instance::start(plan(kind, mode, free));
        let line = instance.until("Mode").await;
        assert!(line.contains("ERROR") && line.contains(text), "{line}");
        let silence = tokio::time::timeout(Duration::from_millis(150), instance.events.recv()).await;
        assert!(silence.is_err(), "it has reported or ended: {silence:?}");
        instance.process.stop();
        let (lines, success) = instance.end().await;
        assert!(success && lines.len() == 1 && lines[0].contains("shutdown complete"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_client_left_to_choose_takes_the_tunnel_where_it_cannot_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plan = plan(Kind::Client, Mode::Auto, free().await);
    plan.forward.listen = taken.local_addr().unwrap().to_string();
    let mut instance = Instance::start(plan);
    instance.until("Mode 2 needs").await;
}

#[tokio::test]
async fn a_listener_that_is_taken_is_an_error_until_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut plan = plan(Kind::Client, Mode::One, echo("127.0.0.1:0").await);
    plan.forward.listen = address.to_string();
    let mut instance = Instance::start(plan.clone());
    for _ in 0..2 {
        let line = instance.until("Client error: ").await;
        assert!(line.contains("ERROR") && line.contains(&address.to_string()), "{line}");
    }
    drop(taken);
    assert_eq!(instance.address().await, address);
    assert_eq!(exchange(address, b"now").await, b"now");
    // Another one can be stopped while it waits.
    let mut other = Instance::start(Plan { cooldown: Duration::from_secs(3600), ..plan });
    other.until("Client error: ").await;
    other.process.stop();
    assert!(other.end().await.1);
}

#[tokio::test]
async fn settings_that_cannot_work_end_the_instance() {
    for (listen, target, text) in [
        ("nowhere", "127.0.0.1:1", "Server error: listen \"nowhere\": missing port"),
        ("127.0.0.1:0", "127.0.0.1:99999", "Server error: target \"127.0.0.1:99999\": invalid port"),
        (":9", "localhost:9", "Server error: target localhost:9 is the listener itself"),
    ] {
        let mut plan = plan(Kind::Server, Mode::One, free().await);
        plan.forward.listen = listen.to_owned();
        plan.forward.targets = vec![target.to_owned()];
        let (lines, success) = Instance::start(plan).end().await;
        assert!(!success && lines.last().unwrap().contains(text), "{lines:?}");
    }
}

#[tokio::test]
async fn a_level_hides_lines_and_none_hides_figures_too() {
    let target = echo("127.0.0.1:0").await;
    for (level, expected) in
        [(Level::Event, vec!["Init log level: EVENT", "CHECK_POINT"]), (Level::None, vec![])]
    {
        let mut instance = Instance::start(Plan { level, ..plan(Kind::Client, Mode::One, target) });
        tokio::time::sleep(Duration::from_millis(200)).await;
        instance.process.stop();
        let (lines, success) = instance.end().await;
        assert!(success);
        assert_eq!(lines.is_empty(), expected.is_empty(), "{lines:?}");
        for line in &lines {
            assert!(line.contains("EVENT") && expected.iter().any(|part| line.contains(part)), "{line}");
        }
    }
    let mut debug = Instance::start(Plan { level: Level::Debug, ..plan(Kind::Client, Mode::One, target) });
    assert!(debug.until("Init").await.contains("DEBUG"));
    let address = debug.address().await;
    exchange(address, b"x").await;
    debug.until("Starting exchange: ").await;
    debug.until("Exchange complete: ").await;
}

#[tokio::test]
async fn a_killed_instance_ends_at_once_and_not_in_order() {
    for is_dropped in [false, true] {
        let mut plan = plan(Kind::Client, Mode::One, echo("127.0.0.1:0").await);
        plan.grace = Duration::from_secs(3600);
        let (sender, mut events) = mpsc::channel(1);
        let process = Process::start(1, plan, sender);
        let address: SocketAddr = loop {
            if let Some((1, Event::Line(line))) = within(events.recv()).await
                && let Some((_, address)) = line.split_once("Tunnel listener: ")
            {
                break address.parse().unwrap();
            }
        };
        // A connection that would hold up an orderly end.
        let _held = tokio::net::TcpStream::connect(address).await.unwrap();
        process.stop();
        if is_dropped {
            drop(process);
        } else {
            process.kill();
        }
        loop {
            match within(events.recv()).await.unwrap() {
                (1, Event::Line(_)) => {}
                (_, event) => break assert_eq!(event, Event::Exited { success: false }),
            }
        }
        assert!(TcpListener::bind(address).await.is_ok());
    }
}

#[tokio::test]
async fn an_instance_whose_reader_is_gone_gives_its_port_back() {
    let mut instance = Instance::start(plan(Kind::Client, Mode::One, echo("127.0.0.1:0").await));
    let address = instance.address().await;
    drop(instance.events);
    within(async {
        while TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_target_that_is_down_is_in_the_log_and_has_no_ping() {
    let down = closed();
    let mut instance = Instance::start(plan(Kind::Client, Mode::One, down.address));
    let address = instance.address().await;
    assert!(exchange_fails(address).await);
    let line = instance.until("Target connection failed").await;
    assert!(line.contains("ERROR") && line.ends_with("connection refused"), "{line}");
    assert!(instance.until("CHECK_POINT").await.contains("|PING=0ms|"));
}

#[tokio::test]
async fn no_key_of_a_banner_is_in_debug_texts() {
    let mut plan = plan(Kind::Client, Mode::One, free().await);
    plan.banner = "client://hunter2@h:1/t:2".to_owned();
    let event = Event::Line(plan.banner.clone());
    assert!(!format!("{plan:?} {event:?}").contains("hunter2"));
}

async fn exchange_fails(address: SocketAddr) -> bool {
    use tokio::io::AsyncReadExt as _;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    !matches!(within(stream.read(&mut [0])).await, Ok(1..))
}
