//! The programs as they are run: arguments, events, exit status.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use support::PASSWORD;
use testkit::program::{LIMIT, Program, any};

const WATCH: &str = env!("CARGO_BIN_EXE_nodered-watch");
const RUNTIME: &str = env!("CARGO_BIN_EXE_nodered-runtime");

/// Starts a program.
fn start(name: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new(name);
    command.arg("--json").args(arguments);
    Program::start(command)
}

/// Starts a runtime; returns the address of its comms too.
fn start_runtime(listen: &str, arguments: &[&str]) -> (Program, String) {
    let quick = ["--listen", listen, "--batch-delay", "5ms"];
    let mut runtime = start(RUNTIME, &[&quick[..], arguments].concat());
    let address = runtime.listening();
    (runtime, address)
}

fn start_watch(address: &str, arguments: &[&str]) -> Program {
    let url = format!("ws://{address}/comms");
    let quick = ["--url", &url, "--reconnect-first", "20ms", "--reconnect-second", "40ms"];
    start(WATCH, &[&quick[..], arguments].concat())
}

fn of(topic: &str) -> impl Fn(&Value) -> bool {
    move |event| event["topic"] == topic
}

/// Files that hold secrets, gone when dropped.
struct Secrets {
    folder: tempfile::TempDir,
}

impl Secrets {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn users(&self) -> String {
        let users = json!([
            {"username": "alice", "password": PASSWORD, "permissions": "*"},
            {"username": "bob", "password": "builder", "permissions": ["flows.read", "nodes.read"]},
        ]);
        self.write("users", &users.to_string())
    }
}

#[test]
fn what_is_typed_comes_out_decoded() {
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &["--heartbeat", "50ms"]);
    let retained = json!({"state": "start"});
    runtime.write(&json!({"topic": "notification/runtime-state", "data": retained, "retain": true}));
    runtime.write(&json!({"status": "n1", "data": {"fill": "green", "shape": "dot", "text": 5, "x": 1}}));
    let mut watch = start_watch(&address, &[]);
    assert_eq!(watch.until("discovered", any)["protected"], false);
    watch.until("connected", any);
    watch.until("ready", any);
    runtime.until("connected", |event| event["connection"] == 1);
    runtime.until("active", any);
    // All the patterns of the editor, in its order.
    for filter in node_red_example::EDITOR_TOPICS {
        assert_eq!(runtime.until("subscribed", any)["filter"], filter);
    }
    let state = watch.until("message", of("notification/runtime-state"));
    assert_eq!((&state["kind"], &state["data"]), (&json!("notification"), &retained));
    let status = watch.until("message", of("status/n1"));
    let expected = json!({"fill": "green", "shape": "dot", "text": "5"});
    assert_eq!((&status["kind"], &status["data"]), (&json!("status"), &expected));

    runtime.write(&json!({"log": "warn", "message": "something is odd"}));
    let debug = watch.until("message", of("debug"));
    assert_eq!((&debug["kind"], &debug["data"]["level"]), (&json!("debug"), &json!(30)));
    assert_eq!(debug["value"], r#""something is odd""#);
    let wrapped = r#"{"a":{"__enc__":true,"type":"set","data":[1,2],"length":9}}"#;
    runtime.write(&json!({"topic": "debug", "data": {"id": "n", "msg": wrapped, "format": "Object"}}));
    let debug = watch.until("message", of("debug"));
    assert_eq!(debug["data"]["msg"], wrapped);
    let shown = debug["value"].as_str().unwrap();
    assert!(shown.contains("… 7 more") && !shown.contains("__enc__"), "{shown}");
    assert!(watch.until("heartbeat", any)["time"].is_number());
}

#[test]
fn a_bad_line_is_an_error_event_and_the_program_goes_on() {
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &[]);
    for (line, problem) in [
        ("not json", "expected ident at line 1 column 2"),
        (r#"{"topik": "a"}"#, "unknown field `topik`"),
        (r#"{"topic": "a", "status": "n"}"#, "a line has"),
        (r#"{"log": "warn"}"#, "a line has"),
        (r#"{"log": "info", "message": "m"}"#, "\"log\" is"),
    ] {
        runtime.write_text(line);
        let error = runtime.until("error", any);
        assert!(error["error"].as_str().unwrap().starts_with(problem), "{line}: {error}");
    }
    runtime.write_text("");
    runtime.write(&json!({"topic": "a", "data": 1, "retain": true}));
    // The end of stdin is not the end of the program.
    runtime.close_stdin();
    let mut watch = start_watch(&address, &["--subscribe", "a"]);
    let message = watch.until("message", any);
    assert_eq!((&message["kind"], &message["data"]), (&json!("other"), &json!(1)));
}

#[test]
fn a_user_logs_in_and_no_secret_is_shown() {
    let secrets = Secrets::new();
    let arguments = ["--root", "/red", "--user-file", &secrets.users()];
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &arguments);
    let password = secrets.write("password", &format!("{PASSWORD}\n"));
    let url = format!("http://{address}/red");
    let mut watch = start(WATCH, &["--url", &url, "--user", "alice", "--password-file", &password]);
    assert_eq!(watch.until("discovered", any)["protected"], true);
    assert_eq!(watch.until("logged_in", any)["expires_in"], 604_800);
    watch.until("authenticated", any);
    watch.until("ready", any);
    let active = runtime.until("active", any);
    assert_eq!((&active["user"], &active["scope"]), (&json!("alice"), &json!(["*"])));
    let said = format!("{:?} {:?}", watch.seen(), runtime.seen());
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
fn a_login_that_is_refused_is_status_1_and_says_what_to_try() {
    let secrets = Secrets::new();
    let arguments = ["--user-file", &secrets.users(), "--token", "narrow=flows.read"];
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &arguments);
    let wrong = secrets.write("wrong", "wrong");
    let bobs = secrets.write("bobs", "builder");
    for (arguments, hint) in [
        (&[][..], "try --user and --password-file"),
        (&["--token", "nobody's"][..], "get another token"),
        (&["--token", "narrow"][..], "get another token"),
        (&["--user", "alice", "--password-file", &wrong][..], "check --user"),
        (&["--user", "bob", "--password-file", &bobs][..], "check --user"),
        (&["--user", "bob", "--password-file", &bobs, "--scope", "flows.read"][..], "get another token"),
    ] {
        let mut watch = start_watch(&address, arguments);
        watch.until("login_needed", any);
        watch.until("ended", any);
        let (status, stderr) = watch.end();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains(&address) && last.contains(hint), "{arguments:?}: {last}");
    }
    assert_eq!(runtime.until("closed", any)["reason"], "a token is wanted");
    assert_eq!(runtime.until("closed", any)["reason"], "the token is refused");
}

#[test]
fn tokens_come_from_arguments_files_and_headers() {
    let secrets = Secrets::new();
    let tokens = secrets.write("tokens", "from=file=status.read\n\n");
    let arguments = ["--token", "given=*", "--token-file", &tokens];
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &arguments);
    let file = secrets.write("token", "from=file\n");
    for (arguments, scope) in [(["--token", "given"], "*"), (["--token-file", &file], "status.read")] {
        let mut watch = start_watch(&address, &arguments);
        watch.until("authenticated", any);
        assert_eq!(runtime.until("active", any)["scope"], json!([scope]));
    }
}

#[test]
fn a_watch_outlives_a_runtime_that_is_killed() {
    let default_user = ["--default-user", "read"];
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &default_user);
    let mut watch = start_watch(&address, &["--subscribe", "a/+"]);
    watch.until("ready", any);
    assert_eq!(runtime.until("active", any)["user"], Value::Null);
    drop(runtime);
    assert_eq!(watch.until("closed", any)["reason"], "the connection was lost or closed by the runtime");
    assert_eq!(watch.until("reconnecting", any)["in_ms"], 20);
    // No frame came over that connection: it asks again whether a token is wanted.
    watch.until("request_failed", any);
    let (mut runtime, _) = start_runtime(&address, &default_user);
    runtime.until("subscribed", |event| event["filter"] == "a/+");
    runtime.write(&json!({"topic": "a/b", "data": {"n": 1}}));
    assert_eq!(watch.until("message", any)["data"], json!({"n": 1}));
}

#[test]
fn every_era_is_spoken() {
    for era in ["document", "first-at-once", "any-size", "today"] {
        let (mut runtime, address) = start_runtime("127.0.0.1:0", &["--era", era]);
        let mut watch = start_watch(&address, &["--subscribe", "a"]);
        runtime.until("subscribed", any);
        runtime.write(&json!({"topic": "a", "data": [1, 2]}));
        assert_eq!(watch.until("message", any)["data"], json!([1, 2]), "{era}");
    }
}

#[cfg(unix)]
#[test]
fn a_program_that_is_told_to_ends_in_order() {
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &[]);
    let mut watch = start_watch(&address, &[]);
    watch.until("ready", any);
    watch.terminate();
    watch.until("ended", any);
    assert_eq!(watch.end().0.code(), Some(0));
    let closed = runtime.until("closed", any);
    assert_eq!(closed["reason"], "the connection was lost or closed by the editor");
    runtime.terminate();
    runtime.until("ended", any);
    assert_eq!(runtime.end().0.code(), Some(0));
}

#[test]
fn programs_end_after_their_time() {
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &["--for", "1"]);
    let mut watch = start_watch(&address, &["--for", "500ms"]);
    assert_eq!(watch.end().0.code(), Some(0));
    assert_eq!(runtime.end().0.code(), Some(0));
}

#[test]
fn a_watch_gives_up_when_asked_to() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut watch = start_watch(&closed.to_string(), &["--attempts", "3", "--discovery", "open"]);
    watch.until("connecting", |event| event["attempt"] == 1);
    watch.until("connect_failed", any);
    assert_eq!(watch.until("reconnecting", any)["in_ms"], 20);
    watch.until("connecting", |event| event["attempt"] == 3);
    let (status, stderr) = watch.end();
    assert_eq!(status.code(), Some(1));
    let last = stderr.lines().last().unwrap();
    assert!(last.contains(&closed.to_string()) && last.contains("check the address"), "{last}");
}

#[test]
fn people_see_debug_values_below_their_line() {
    let (mut runtime, address) = start_runtime("127.0.0.1:0", &[]);
    let url = format!("ws://{address}/comms");
    let mut command = Command::new(WATCH);
    command.args(["--url", &url, "--subscribe", "debug"]).stdout(Stdio::piped());
    let mut watch = command.spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    runtime.until("subscribed", any);
    let message =
        json!({"id": "n7", "name": "", "property": "payload", "msg": "[1,2]", "format": "array[9]"});
    runtime.write(&json!({"topic": "debug", "data": message}));
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("debug"));
        let _ = said.send((line, lines.next())); // an error: the test has given up
    });
    let (line, value) = heard.recv_timeout(LIMIT).unwrap();
    let _ = watch.kill(); // an error: it has ended
    let _ = watch.wait();
    assert_eq!(line.unwrap(), "debug        format=array[9] node=n7 property=payload");
    assert_eq!(value.unwrap().unwrap(), "    [1, 2, … 7 more]");
}

#[test]
fn a_port_that_is_taken_is_status_1_and_bad_arguments_are_status_2() {
    let (_runtime, address) = start_runtime("127.0.0.1:0", &[]);
    let run = |name: &str, arguments: &[&str]| {
        let output = Command::new(name).args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, stderr) = run(RUNTIME, &["--listen", &address]);
    assert_eq!(status, Some(1));
    assert!(stderr.lines().last().unwrap().contains("try another --listen"), "{stderr}");
    let secrets = Secrets::new();
    let users = secrets.write("users", r#"[{"username":"a","password":"hunter2"}]"#);
    for (name, arguments) in [
        (RUNTIME, &["--listen", "nowhere"][..]),
        (RUNTIME, &["--root", "/a b"]),
        (RUNTIME, &["--token", "no scope"]),
        (RUNTIME, &["--token-file", "/no/such"]),
        (RUNTIME, &["--user-file", &users]),
        (RUNTIME, &["--heartbeat", "0s"]),
        (RUNTIME, &["--batch-size", "0"]),
        (RUNTIME, &["--batch-delay", "soon"]),
        (WATCH, &["--url", "ftp://h/"]),
        (WATCH, &["--url", "ws://u:hunter2@h/comms"]),
        (WATCH, &["--user", "alice"]),
        (WATCH, &["--token", "t", "--token-file", "f"]),
        (WATCH, &["--token-file", "/no/such"]),
        (WATCH, &["--ca", "/no/such"]),
        (WATCH, &["--ca", &users]),
        (WATCH, &["--subscribe", ""]),
        (WATCH, &["--subscribe", "a{2}"]),
        (WATCH, &["--connect-timeout", "0s"]),
        (WATCH, &["--max-subscriptions", "1"]),
    ] {
        let (status, stderr) = run(name, arguments);
        assert_eq!(status, Some(2), "{name} {arguments:?}: {stderr}");
        let says_secret = stderr.contains("hunter2") && !arguments.concat().contains("hunter2");
        assert!(!says_secret, "{stderr}");
    }
}
