//! The programs as they are run: arguments, events, exit status.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use serde_json::{Value, json};
use std::process::{Command, Stdio};
use support::{Folders, IMAGE, OTHER};
use testkit::program::{Program, any};

/// Starts a server; returns its address too.
fn start_server(arguments: &[&str]) -> (Program, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeth-server"));
    command.args(["--listen", "127.0.0.1:0", "--json"]).args(arguments);
    let mut server = Program::start(command);
    let address = server.listening();
    (server, address)
}

fn start_agent(server: &str, folders: &Folders, arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeth-agent"));
    command.args(["--connect", server, "--json"]).args(arguments);
    command.arg("--images").arg(folders.images()).arg("--cache").arg(folders.cache());
    Program::start(command)
}

const QUICK: [&str; 10] = [
    "--ping-period",
    "500ms",
    "--report-period",
    "20ms",
    "--simulation",
    "100ms",
    "--backoff-base",
    "20ms",
    "--backoff-maximum",
    "100ms",
];

#[test]
fn commands_are_typed_and_carried_out() {
    let folders = Folders::new(&[(IMAGE, 1 << 20), (OTHER, 1 << 20)]);
    let (mut server, address) = start_server(&[]);
    let mut agent = start_agent(&address, &folders, &[&QUICK[..], &["--cache-limit", "1500000"]].concat());
    assert_eq!(server.until("connected", any)["agent"], 1);
    server.until("handshake", |event| event["agent"] == 1);
    server.until("ping", any);

    server.write(&json!({"method": "status"}));
    let status = server.until("reply", |event| event["id"] == 1);
    assert_eq!((&status["method"], &status["result"]["mode"]), (&json!("status"), &json!("STANDBY")));

    let images = json!({"task_id": "t1", "image_ids": [IMAGE, OTHER]});
    server.write(&json!({"agent": 1, "id": "mine", "method": "standbye.cache_images", "params": images}));
    assert_eq!(server.until("reply", |event| event["id"] == "mine")["result"], json!({}));
    let end = server.until("task_status", |event| event["state"] == "complete");
    assert_eq!((&end["task_id"], &end["image_ids"]), (&json!("t1"), &json!([IMAGE])));
    assert!(folders.is_cached(IMAGE) && !folders.is_cached(OTHER));

    let drive = json!({"user_data": "hunter2"});
    let params = json!({"task_id": "t2", "image_id": IMAGE, "config_drive": drive});
    server.write(&json!({"method": "standbye.run_image", "params": params}));
    server.until("task_status", |event| event["task_id"] == "t2" && event["state"] == "complete");
    agent.until("task", |event| event["task_id"] == "t2");
    let step = agent.until("step", |event| event["step"] == "boot_loader");
    assert_eq!(step["simulated"], true);
    agent.until("report", |event| event["task_id"] == "t2");
    let written = folders.cache().join("config-drive/openstack/latest/user_data");
    assert_eq!(std::fs::read_to_string(written).unwrap(), "hunter2");
    let said = format!("{:?} {:?}", server.seen(), agent.seen());
    assert!(!said.contains("hunter2"), "what is in a config drive is printed");
}

#[test]
fn a_bad_line_is_an_error_event_and_the_program_goes_on() {
    let folders = Folders::new(&[]);
    let (mut server, address) = start_server(&[]);
    server.write(&json!({"method": "status"}));
    assert_eq!(server.until("error", any)["error"], "no agent is connected");
    let _agent = start_agent(&address, &folders, &QUICK);
    server.until("ping", any);
    for (line, problem) in [
        ("not json", "expected ident at line 1 column 2"),
        (r#"{"agent": 7, "method": "status"}"#, "agent 7 is not connected"),
        (r#"{"methud": "status"}"#, "unknown field `methud`"),
        (r#"{"method": "standbye.run_image", "params": {"image_id": 1}}"#, "missing parameter \"task_id\""),
        (r#"{"method": "decom.qc", "params": []}"#, "\"params\" must be an object"),
    ] {
        server.write_text(line);
        let error = server.until("error", any);
        assert!(error["error"].as_str().unwrap().starts_with(problem), "{line}: {error}");
    }
    // The end of stdin is not the end of the program.
    server.write(&json!({"method": "status"}));
    server.close_stdin();
    server.until("reply", |event| event["method"] == "status");
    server.until("ping", any);
}

#[test]
fn the_original_dialect_is_spoken_by_both() {
    let folders = Folders::new(&[]);
    let (mut server, address) = start_server(&["--dialect", "original"]);
    let _agent = start_agent(&address, &folders, &[&QUICK[..], &["--dialect", "original"]].concat());
    server.until("ping", any);
    server.write(&json!({"method": "ping"}));
    server.until("error", |event| event["error"].as_str().is_some_and(|error| error.contains("not served")));
    server.write(&json!({"method": "standby.run_image", "params": {"task_id": 1, "image_id": null}}));
    let reply = server.until("reply", any);
    assert_eq!((&reply["method"], &reply["result"]), (&json!("standby.run_image"), &Value::Null));
}

#[cfg(unix)]
#[test]
fn a_program_that_is_told_to_ends_in_order() {
    let folders = Folders::new(&[]);
    let (mut server, address) = start_server(&[]);
    let mut agent = start_agent(&address, &folders, &QUICK);
    agent.until("ready", any);
    agent.terminate();
    assert_eq!(agent.end().0.code(), Some(0));
    let closed = server.until("closed", any);
    assert_eq!(closed["reason"], "the connection was lost or closed by the peer");
    server.terminate();
    server.until("ended", any);
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn programs_end_after_their_time() {
    let folders = Folders::new(&[]);
    let (mut server, address) = start_server(&["--for", "1"]);
    let mut agent = start_agent(&address, &folders, &["--for", "500ms"]);
    assert_eq!(agent.end().0.code(), Some(0));
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn an_agent_says_when_it_tries_again() {
    let folders = Folders::new(&[]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut agent = start_agent(&closed.to_string(), &folders, &[&QUICK[..], &["--attempts", "3"]].concat());
    agent.until("connecting", |event| event["attempt"] == 1);
    agent.until("connect_failed", any);
    assert!(agent.until("waiting", any)["in_ms"].is_u64());
    agent.until("connecting", |event| event["attempt"] == 3);
    let (status, stderr) = agent.end();
    assert_eq!(status.code(), Some(1));
    let last = stderr.lines().last().unwrap();
    assert!(last.contains(&closed.to_string()) && last.contains("check the address"), "{last}");
}

#[test]
fn a_port_that_is_taken_is_status_1_and_bad_arguments_are_status_2() {
    let (_server, address) = start_server(&[]);
    let run = |name: &str, arguments: &[&str]| {
        let output = Command::new(name).args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let server = env!("CARGO_BIN_EXE_teeth-server");
    let agent = env!("CARGO_BIN_EXE_teeth-agent");
    let (status, stderr) = run(server, &["--listen", &address]);
    assert_eq!(status, Some(1));
    assert!(stderr.lines().last().unwrap().contains("try another --listen"), "{stderr}");
    let images = ["--images", "/", "--cache", "/no/such"];
    for (name, arguments) in [
        (server, &["--listen", "nowhere"][..]),
        (server, &["--idle-timeout", "0s"]),
        (server, &["--ping-period", "soon"]),
        (agent, &[]),
        (agent, &["--images", "/no/such", "--cache", "/no/such"]),
        (agent, &[&images[..], &["--backoff-factor", "0.5"]].concat()),
        (agent, &[&images[..], &["--report-period", "0s"]].concat()),
    ] {
        let (status, stderr) = run(name, arguments);
        assert_eq!(status, Some(2), "{name} {arguments:?}: {stderr}");
    }
}
