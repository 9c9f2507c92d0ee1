//! The programs as they are run: arguments, events, exit status.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::program::{LIMIT, Program, any};

const SERVER: &str = env!("CARGO_BIN_EXE_core-server");
const AGENT: &str = env!("CARGO_BIN_EXE_core-agent");

/// The variables that the programs look at.
const VARIABLES: [&str; 5] = ["CORE_CODE", "CORE_GRPC_URL", "CORE_INSECURE", "GRPC_PORT", "PORT"];

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.arg("--json").args(arguments);
    command
}

/// A Core and where it listens.
struct Server {
    program: Program,
    http: String,
    grpc: String,
    control: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command(SERVER, &["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.args(arguments);
        let mut program = Program::start(command);
        let http = program.listening();
        let listening: Value = serde_json::from_str(&program.seen()[0]).unwrap();
        let address = |name: &str| listening[name].as_str().unwrap_or_default().to_owned();
        Self { http, grpc: address("grpc"), control: address("control"), program }
    }

    fn agent(&self, folder: &Path, arguments: &[&str]) -> Program {
        let (http, grpc) = (format!("http://{}", self.http), format!("http://{}", self.grpc));
        let state = folder.join("state.json");
        let fixed = ["--http", &http, "--grpc", &grpc, "--insecure", "--state", state.to_str().unwrap()];
        let node = ["--name", "n1", "--region", "here", "--ip", "127.0.0.1", "--port", "0"];
        let quick = [
            "--heartbeat-period",
            "100ms",
            "--usage-period",
            "100ms",
            "--usage-spread",
            "0s",
            "--stats-period",
            "100ms",
            "--online-period",
            "100ms",
            "--min-backoff",
            "20ms",
            "--max-backoff",
            "100ms",
        ];
        let mut command = command(AGENT, &fixed);
        command.args(node).args(quick).args(arguments);
        Program::start(command)
    }

    fn state(&self) -> Value {
        let (status, body) = get(&self.control, "/state");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the state is like this.
    fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds(&self.state()) {
            assert!(Instant::now() < deadline, "no end of waiting for {what}: {:#}", self.state());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn get(address: &str, target: &str) -> (u16, String) {
    request(address, &format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"))
}

fn post(address: &str, target: &str, body: &Value) -> (u16, String) {
    let body = body.to_string();
    let length = body.len();
    request(
        address,
        &format!(
            "POST {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn request(address: &str, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// A line of counters of an Xray that was started at the end of the 2020s.
fn counters(up: u64) -> Value {
    let stat = |name: &str, value: u64| json!({"name": name, "value": value});
    json!({"proxy": "xray", "startedAt": "2029-01-02T03:04:05Z", "startedByAgent": true, "stats": [
        stat("user>>>u12.l3.s45.i6>>>traffic>>>uplink", up),
        stat("user>>>u12.l3.s45.i6>>>traffic>>>downlink", 2 * up),
        stat("outbound>>>direct>>>traffic>>>uplink", 3 * up),
    ]})
}

fn sum(state: &Value, direction: &str) -> u64 {
    let rows = state["usageRows"].as_array().unwrap();
    rows.iter().map(|row| row[direction].as_str().unwrap().parse::<u64>().unwrap()).sum()
}

/// The built-in fixture, with the inbounds and outbounds of the node that will register.
fn own_inbounds(server: &Server) {
    let now = json!({
        "clock": core_example::clock::now().to_string(),
        "nodeProtocols": [{"id": 6, "nodeId": 3}], "outbounds": [{"nodeId": 3, "tag": "direct"}],
    });
    assert_eq!(post(&server.control, "/reset", &now).0, 200);
}

#[test]
fn totals_are_those_of_the_counters_over_a_restart_of_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--test-control", "127.0.0.1:0"]);
    own_inbounds(&server);
    let totals = |up: u64| {
        move |state: &Value| {
            let text = |counter: &Value| counter.as_str().and_then(|text| text.parse().ok());
            sum(state, "bytesUp") == up
                && sum(state, "bytesDown") == 2 * up
                && text(&state["subscriptions"]["300"]["bytesUp"]) == Some(up)
                && text(&state["outbounds"]["3/direct"]["bytesUp"]) == Some(3 * up)
        }
    };
    let mut agent = server.agent(folder.path(), &["--code", "CODE-ONE", "--counters", "-"]);
    agent.until("applied", any);
    agent.write(&counters(1000));
    agent.until("usage", |event| event["outcome"] == "acked");
    server.wait_for("the first bytes", totals(1000));
    drop(agent); // killed

    let mut agent = server.agent(folder.path(), &["--counters", "-"]);
    agent.write(&counters(2500));
    server.wait_for("the bytes of meanwhile", totals(2500));
    agent.write_text("no JSON");
    assert_eq!(agent.until("counters", any)["line"], 2);
    agent.write(&counters(2600));
    std::thread::sleep(Duration::from_millis(50)); // for the line to be read
    #[cfg(unix)]
    agent.terminate();
    assert_eq!(agent.until("closed", any)["stored"], true);
    let (status, stderr) = agent.end();
    assert!(status.success(), "{stderr}");
    server.wait_for("the last bytes", totals(2600));
    assert_eq!(server.state()["nodes"].as_object().unwrap().len(), 3);
}

#[test]
fn a_file_of_counters_is_counted_once_however_often_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--test-control", "127.0.0.1:0"]);
    own_inbounds(&server);
    let file = folder.path().join("counters");
    let mut later = counters(500);
    later["startedAt"] = "2029-01-02T03:04:06Z".into();
    std::fs::write(&file, format!("no JSON\n{}\n{later}\n", counters(1000))).unwrap();
    let file = file.to_str().unwrap();
    let mut agent = server.agent(folder.path(), &["--code", "CODE-ONE", "--counters", file]);
    agent.until("counters", any);
    assert!(agent.seen()[0].contains("listening"), "{:?}", agent.seen());
    server.wait_for("both processes", |state| sum(state, "bytesUp") == 1500);
    agent.until("heartbeat", any);
    drop(agent); // killed

    let mut agent = server.agent(folder.path(), &["--counters", file]);
    for _ in 0..5 {
        agent.until("stats", any);
    }
    agent.until("online", any);
    #[cfg(unix)]
    {
        agent.terminate();
        assert_eq!(agent.until("closed", any)["stored"], true);
    }
    assert_eq!(sum(&server.state(), "bytesUp"), 1500);
}

#[test]
fn an_agent_without_core_tells_when_it_tries_again_and_how_the_node_is() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for http in ["http://127.0.0.1:1", &silent] {
        let to = ["--http", http, "--grpc", "http://127.0.0.1:1", "--insecure", "--code", "CODE-ONE"];
        let node = ["--name", "n", "--region", "r", "--ip", "127.0.0.1", "--port", "0"];
        let mut command = command(AGENT, &to);
        command.args(node).args(["--call-timeout", "200ms"]);
        let mut agent = Program::start(command);
        let address = agent.listening();
        assert!(agent.until("registration_failed", any)["retry_in_seconds"].as_f64().unwrap() > 0.0);
        let at = || {
            let (status, body) = get(&address, "/runtime-status");
            assert_eq!(status, 200, "{body}");
            let status: Value = serde_json::from_str(&body).unwrap();
            status["at"].as_str().unwrap().to_owned()
        };
        let first = at();
        std::thread::sleep(Duration::from_millis(600));
        assert!(at() > first, "the node is measured when it is asked");
    }
}

#[test]
fn a_fresh_core_writes_its_code_into_a_file_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code.txt");
    let file = file.to_str().unwrap();
    let mut server = Server::start(&["--code-file", file]);
    assert_eq!(server.program.until("code", any)["file"], file);
    let code = std::fs::read_to_string(file).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut agent = server.agent(folder.path(), &["--code-file", file, "--for", "30"]);
    agent.until("confirmed", any);
    agent.until("stats", |event| event["error"].is_null());
    let status = server.program.until("sync_status", any);
    assert_eq!((&status["node"], &status["status"]), (&json!("1"), &json!("synced")));
    // What Core has, and what the node says itself.
    let (status, body) = get(&server.http, "/admin/nodes/1/runtime-status");
    let stored: Value = serde_json::from_str(&body).unwrap();
    assert!(
        status == 200 && stored["ageMs"].is_u64() && stored["system"]["ramTotal"].as_u64().unwrap() > 0,
        "{body}"
    );
    let (status, body) = get(&server.http, "/admin/nodes/1/runtime-status?fromNode=true");
    let live: Value = serde_json::from_str(&body).unwrap();
    assert!(status == 200 && live["at"].is_string() && live["xray"]["running"] == true, "{body}");
    assert_eq!(get(&server.http, "/admin/nodes/2/runtime-status").0, 404);
    drop(agent);
    assert_eq!(get(&server.http, "/admin/nodes/1/runtime-status?fromNode=true").0, 502);
    let state = std::fs::read_to_string(folder.path().join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    let key = state["authKey"].as_str().unwrap();
    for line in server.program.seen() {
        assert!(!line.contains(code.trim()) && !line.contains(key), "{line}");
    }
}

#[test]
fn administrators_from_elsewhere_need_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token-1\n").unwrap();
    let code = folder.path().join("code");
    let arguments = ["--admin-token-file", token.to_str().unwrap(), "--code-file", code.to_str().unwrap()];
    let server = Server::start(&arguments);
    let ask = |headers: &str| {
        let head = format!(
            "GET /admin/nodes/1/runtime-status HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{headers}\r\n"
        );
        request(&server.http, &head).0
    };
    assert_eq!(ask(""), 403);
    assert_eq!(ask("authorization: Bearer token-2\r\n"), 403);
    assert_eq!(ask("authorization: Bearer token-1\r\n"), 404);
}

/// Runs an agent to its end.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let node = ["--name", "n", "--region", "r", "--ip", "127.0.0.1", "--port", "0"];
    let mut command = command(AGENT, arguments);
    command.args(node).envs(variables.iter().copied());
    let (status, stderr) = Program::start(command).end();
    (status.code(), stderr)
}

#[test]
fn contradictions_about_tls_are_bad_arguments() {
    let http = ["--http", "http://127.0.0.1:1"];
    let with = |more: &[&'static str]| [&http, more].concat();
    for (arguments, variables, expected) in [
        (with(&["--grpc", "http://127.0.0.1"]), vec![], "needs CORE_INSECURE=true"),
        (with(&["--grpc", "grpc://127.0.0.1"]), vec![("CORE_INSECURE", "1")], "needs CORE_INSECURE=true"),
        (with(&["--grpc", "https://127.0.0.1", "--insecure"]), vec![], "which CORE_INSECURE=true turns off"),
        (with(&[]), vec![("CORE_GRPC_URL", "grpcs://h"), ("CORE_INSECURE", "true")], "turns off"),
        (with(&["--grpc", "h:x"]), vec![], "port"),
        (with(&["--grpc", "h", "--ca", "/no/such/file"]), vec![], "--ca"),
    ] {
        let (status, stderr) = run(&arguments, &variables);
        assert_eq!(status, Some(2), "{arguments:?} {stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn a_node_that_core_does_not_take_ends_with_status_1() {
    let server = Server::start(&["--test-control", "127.0.0.1:0"]);
    let (http, grpc) = (format!("http://{}", server.http), server.grpc.clone());
    let to = ["--http", &http, "--grpc", &grpc, "--insecure"];
    let (status, stderr) = run(&[&to[..], &["--code", "CODE-NONE"]].concat(), &[]);
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.ends_with("ask for a new code\n") && !stderr.contains("CODE-NONE"), "{stderr}");
    let (status, stderr) = run(&to, &[]);
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("--code-file"), "{stderr}");
}

#[test]
fn the_control_surface_stays_on_this_machine() {
    let mut command = command(SERVER, &["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    command.args(["--test-control", "0.0.0.0:0"]);
    let (status, stderr) = Program::start(command).end();
    assert!(status.code() == Some(2) && stderr.contains("--test-control"), "{stderr}");
    let server = Server::start(&["--test-control", "127.0.0.1:0"]);
    let fault = |body: Value| post(&server.control, "/fault", &body).0;
    assert_eq!(fault(json!({"method": "Heartbeat", "code": 14})), 200);
    assert_eq!(fault(json!({"method": "Heartbeat"})), 400);
    assert_eq!(fault(json!({"path": "/node/usage", "status": 503, "when": "later"})), 400);
    assert_eq!(post(&server.control, "/reset", &json!({"users": "many"})).0, 400);
    assert_eq!(post(&server.control, "/clock", &json!({"at": "now"})).0, 400);
    assert_eq!(get(&server.control, "/nothing").0, 404);
    assert_eq!(post(&server.control, "/publish", &json!({})).1, r#"{"revision":6}"#);
}

#[test]
fn a_fixture_is_what_core_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fixture.json");
    let path = file.to_str().unwrap();
    let fixture = json!({"revision": 2, "nodes": [{"nodeId": 4, "authKey": "key-node-4", "revision": 1}]});
    std::fs::write(&file, fixture.to_string()).unwrap();
    let server = Server::start(&["--fixture", path]);
    let heartbeat = |key: &str| {
        let head = "POST /node/heartbeat HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 14\r\n";
        request(&server.http, &format!("{head}x-node-auth-key: {key}\r\n\r\n{{\"revision\":1}}"))
    };
    assert_eq!(heartbeat("key-node-4"), (201, r#"{"ok":true,"needSync":true}"#.to_owned()));
    assert_eq!(heartbeat("key-node-1").0, 401);

    std::fs::write(&file, r#"{"nodes": [{"nodeId": 4, "authKey": ["key-node-4"]}]}"#).unwrap();
    let (status, stderr) = Program::start(command(SERVER, &["--fixture", path])).end();
    assert!(status.code() == Some(2) && !stderr.contains("key-node-4"), "{stderr}");
}

#[test]
fn a_core_that_cannot_write_its_code_ends() {
    let arguments = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--code-file", "/no/such/folder/code"];
    let (status, stderr) = Program::start(command(SERVER, &arguments)).end();
    assert!(status.code() == Some(1) && stderr.contains("/no/such/folder/code"), "{stderr}");
}
