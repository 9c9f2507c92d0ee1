//! The programs as they are run: arguments, events, exit status.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::pem;
use testkit::program::{LIMIT, Program, any};
use testkit::secrets::{assert_no_secret, marked};

const CTL: &str = env!("CARGO_BIN_EXE_nodepass-ctl");
const MASTER: &str = env!("CARGO_BIN_EXE_nodepass-master");

/// The files of a master and of those who control it, gone when dropped.
struct Place {
    folder: tempfile::TempDir,
}

/// What a program that has ended has said.
struct Ran {
    status: Option<i32>,
    events: Vec<Value>,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Starts a master that keeps its state here; returns the URL of its API, too.
    fn master_with(&self, url: &str, arguments: &[&str]) -> (Program, String) {
        let (key_file, state) = (self.path("key"), self.path("state"));
        let quick = ["--report-interval", "100ms", "--store-delay", "10ms", "--restart-pause", "10ms"];
        let mut command = Command::new(MASTER);
        command.args(["--json", "--url", url, "--key-file", &key_file, "--state", &state]);
        command.args(quick).args(arguments);
        let mut master = Program::start(command);
        let address = master.listening();
        master.until(if std::path::Path::new(&state).exists() { "key_loaded" } else { "key_created" }, any);
        let scheme = if url.contains("tls=") { "https" } else { "http" };
        (master, format!("{scheme}://{address}/api"))
    }

    fn master(&self) -> (Program, String) {
        self.master_with("master://127.0.0.1:0/api?log=info", &[])
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(CTL);
        command.args(["--json", "--url", url, "--key-file", &self.path("key")]).args(arguments);
        command.env_remove("NODEPASS_API_KEY");
        command
    }

    /// Runs a command to its end.
    fn ctl(&self, url: &str, arguments: &[&str]) -> Ran {
        let ran = run(self.command(url, arguments));
        let key = self.read("key");
        assert!(!ran.text().contains(key.trim()), "the key shows: {}", ran.text());
        ran
    }

    /// Runs a command that has to succeed, and returns its first event.
    fn does(&self, url: &str, arguments: &[&str]) -> Value {
        let ran = self.ctl(url, arguments);
        assert_eq!(ran.status, Some(0), "{arguments:?}: {}", ran.text());
        ran.events[0].clone()
    }

    /// Starts a watch, and waits until its view is right.
    fn watch(&self, url: &str, arguments: &[&str]) -> Program {
        let quick = ["watch", "--max-wait", "200ms", "--rate-interval", "50ms", "--key-retry", "50ms"];
        let mut watch = Program::start(self.command(url, &[&quick[..], arguments].concat()));
        watch.until("synced", any);
        watch
    }
}

impl Ran {
    fn text(&self) -> String {
        format!("{:?} {}", self.events, self.stderr)
    }

    /// The last line of stderr.
    fn last(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

fn run(mut command: Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_no_secret(&format!("{stdout}\n{stderr}"), "the output");
    let events = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Ran { status: output.status.code(), events, stderr }
}

/// Starts a server that sends back what it gets.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &stream, &mut &stream); // an error: it is gone
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

/// Sends so many bytes and takes them back.
fn carry(address: &str, length: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let sent = vec![7; length];
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).unwrap();
    writing.join().unwrap();
    assert!(taken == sent, "{} bytes came back", taken.len());
}

/// The URL of a forwarder with a marked tunnel key, on a port of its own choice.
fn forwarder(target: &str) -> String {
    format!("client://{}@127.0.0.1:0/{target}?mode=1", marked(1))
}

fn of<'a>(id: &'a Value, member: &'a str, value: impl Into<Value>) -> impl Fn(&Value) -> bool + 'a {
    let value = value.into();
    move |event| event["id"] == *id && event[member] == value
}

/// Waits for the line that says where an instance listens.
fn listener(watch: &mut Program) -> String {
    let is_it = |event: &Value| event["text"].as_str().unwrap_or_default().starts_with("Tunnel listener: ");
    let line = watch.until("log", is_it);
    line["text"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn an_instance_lives_its_life_and_a_watch_sees_it() {
    let place = Place::new();
    let (mut master, url) = place.master();
    let mut watch = place.watch(&url, &["--logs"]);
    let create = ["create", &forwarder(&echo()), "--alias", "web", "--unchecked"];
    let made = place.does(&url, &create);
    let id = made["id"].clone();
    assert_eq!((&made["event"], &made["alias"]), (&json!("instance"), &json!("web")));
    assert!(made["url"].as_str().unwrap().starts_with("client://…@127.0.0.1:0/"), "{made}");
    watch.until("create", of(&id, "alias", "web"));
    watch.until("update", of(&id, "status", "running"));
    let address = listener(&mut watch);
    carry(&address, 100_000);
    watch.until("rates", |event| event["id"] == id && event["tcprx"].as_u64() > Some(0));
    let told = watch.until("update", of(&id, "tcprx", 100_000));
    assert_eq!((&told["tcptx"], &told["mode"]), (&json!(100_000), &json!(1)));
    assert_eq!(place.does(&url, &["get", "web"])["tcprx"], 100_000);

    place.does(&url, &["reset", "web"]);
    watch.until("update", of(&id, "tcprx", 0));
    place.does(&url, &["stop", "web"]);
    watch.until("update", of(&id, "status", "stopped"));
    let again = place.ctl(&url, &["stop", "web"]);
    assert_eq!(again.status, Some(1));
    assert!(again.last().contains("it is stopped already"), "{}", again.stderr);
    assert_eq!(again.events[1]["event"], "ignored");
    place.does(&url, &["start", "web"]);
    watch.until("update", of(&id, "status", "running"));
    place.does(&url, &["restart", "web"]);
    watch.until("update", of(&id, "status", "stopped"));
    watch.until("update", of(&id, "status", "running"));

    assert_eq!(place.does(&url, &["alias", "web", "other"])["alias"], "other");
    watch.until("update", of(&id, "alias", "other"));
    assert_eq!(place.does(&url, &["policy", "other", "off"])["restart"], false);
    watch.until("update", of(&id, "restart", false));
    let put = format!("{}&slot=9", forwarder("127.0.0.1:9"));
    let put = ["put", id.as_str().unwrap(), &put, "--unchecked"];
    assert!(place.does(&url, &put)["url"].as_str().unwrap().ends_with("mode=1&slot=9"));
    let conflict = place.ctl(&url, &put);
    assert_eq!(conflict.status, Some(1));
    assert!(conflict.last().contains("conflict"), "{}", conflict.stderr);
    assert_eq!(place.does(&url, &["delete", "other"])["event"], "deleted");
    watch.until("delete", |event| event["id"] == id);
    let gone = place.ctl(&url, &["get", "other"]);
    assert_eq!((gone.status, gone.last().contains("there is no instance other")), (Some(1), true));
    master.until("deleted", any);
    assert_no_secret(&format!("{:?} {:?}", watch.seen(), master.seen()), "what the programs say");
}

#[test]
fn a_list_shows_every_instance_and_a_masked_key() {
    let place = Place::new();
    let (_master, url) = place.master();
    let empty = place.ctl(&url, &["list"]);
    let [record, end] = &empty.events[..] else { panic!("{:?}", empty.events) };
    assert_eq!((&record["event"], &record["url"]), (&json!("key_record"), &json!("…")));
    assert_eq!(end["instances"], 0);
    assert_eq!(place.does(&url, &["get", "********"])["url"], "…");
    for _ in 0..2 {
        place.does(&url, &["create", "server://127.0.0.1:7001/127.0.0.1:7002?mode=2", "--alias", "twin"]);
    }
    assert_eq!(place.ctl(&url, &["list"]).events.len(), 4);
    // An alias that two have names none.
    let twins = place.ctl(&url, &["delete", "twin"]);
    assert_eq!((twins.status, twins.last().contains("2 instances have the alias twin")), (Some(1), true));
    let info = place.does(&url, &["info"]);
    assert_eq!((&info["ver"], &info["tls"]), (&json!("v1.14.0"), &json!("0")));
}

#[test]
fn a_watch_takes_the_new_key_out_of_the_file() {
    let place = Place::new();
    let (mut master, url) = place.master();
    let old = place.read("key");
    // Another panel's copy of the file, which learns of the new key later.
    let copy = place.write("copy", &old);
    let mut watch = place.watch(&url, &["--key-file", &copy]);
    let mut stranger = Command::new(CTL);
    stranger.args(["--json", "--url", &url, "--key", old.trim(), "watch", "--max-wait", "200ms"]);
    let mut stranger = Program::start(stranger);
    stranger.until("synced", any);

    let ran = place.ctl(&url, &["rotate-key"]);
    assert_eq!((ran.status, &ran.events[0]["event"]), (Some(0), &json!("key_rotated")));
    master.until("key_rotated", any);
    let new = place.read("key");
    assert_ne!(old, new);
    watch.until("shutdown", any);
    watch.until("key_refused", any);
    std::fs::write(&copy, &new).unwrap();
    watch.until("key_read", any);
    watch.until("synced", any);
    let id = place.does(&url, &["create", "server://127.0.0.1:7001/127.0.0.1:7002?mode=2"])["id"].clone();
    watch.until("create", |event| event["id"] == id);

    stranger.until("key_refused", any);
    let (status, stderr) = stranger.end();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.lines().last().unwrap().contains("refuses the key"), "{stderr}");
    let seen = format!("{:?} {:?} {stderr} {:?}", watch.seen(), stranger.seen(), master.seen());
    assert!(!seen.contains(old.trim()) && !seen.contains(new.trim()), "a key shows");
}

#[test]
fn a_key_file_that_cannot_be_written_keeps_the_key() {
    let place = Place::new();
    let (_master, url) = place.master();
    let ran = place.ctl(&url, &["rotate-key", "--key-file", "/dev/null/key"]);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);
    let mut without = Command::new(CTL);
    without.args(["--json", "--url", &url, "rotate-key", "--key", place.read("key").trim()]);
    let without = run(without);
    assert_eq!((without.status, without.last().contains("--key-file")), (Some(2), true));
    place.does(&url, &["list"]);
}

#[test]
fn a_rotation_without_an_answer_says_that_the_key_may_be_another_one() {
    let place = Place::new();
    place.write("key", &marked(7));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // It reads the request, and is gone.
        for stream in listener.incoming() {
            let _ = stream.unwrap().read(&mut [0; 4096]);
        }
    });
    let ran = place.ctl(&url, &["rotate-key", "--layout", "versioned"]);
    assert_eq!((ran.status, ran.last().contains("nobody knows")), (Some(1), true), "{}", ran.stderr);
    assert_eq!(place.read("key").trim(), marked(7));
}

#[test]
fn a_master_comes_back_with_what_it_had() {
    let place = Place::new();
    let (mut master, url) = place.master();
    let mut watch = place.watch(&url, &["--logs"]);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let forwarder = format!("client://{}@{address}/{}?mode=1", marked(1), echo());
    let id = place.does(&url, &["create", &forwarder, "--alias", "web"])["id"].clone();
    let idle = ["create", "server://127.0.0.1:7003/127.0.0.1:7004?mode=2", "--alias", "idle"];
    let idle = place.does(&url, &idle)["id"].clone();
    place.does(&url, &["policy", "idle", "off"]);
    listener(&mut watch);
    carry(&address, 5_000);
    watch.until("update", of(&id, "tcprx", 5_000));
    let (key, records) = (place.read("key"), place.ctl(&url, &["list"]).events.len());

    master.terminate();
    watch.until("shutdown", any);
    watch.until("reconnecting", |event| event["in_ms"].as_u64() > Some(0));
    assert_eq!(master.end().0.code(), Some(0));
    watch.until("unreachable", any);
    let listen = url.trim_start_matches("http://").trim_end_matches("/api");
    let (_master, _) = place.master_with(&format!("master://{listen}/api?log=info"), &[]);
    watch.until("reachable", any);
    watch.until("streaming", any);
    let initial = watch.until("initial", of(&id, "alias", "web"));
    assert_eq!((&initial["tcprx"], &initial["tcptx"]), (&json!(5_000), &json!(5_000)));
    watch.until("synced", any);
    assert_eq!((place.read("key"), place.ctl(&url, &["list"]).events.len()), (key, records));
    assert_eq!(place.does(&url, &["get", idle.as_str().unwrap()])["status"], "stopped");
    // It was started again, and its counters go on.
    watch.until("update", of(&id, "status", "running"));
    carry(&address, 1_000);
    watch.until("update", of(&id, "tcprx", 6_000));
}

#[test]
fn a_damaged_state_stops_the_start_and_the_message_names_the_backup() {
    let place = Place::new();
    place.write("state", "{\"version\":");
    place.write("state.backup", "{}");
    let mut command = Command::new(MASTER);
    command.args(["--url", "master://127.0.0.1:0", "--key-file", &place.path("key")]);
    let ran = run({
        command.args(["--state", &place.path("state")]);
        command
    });
    assert_eq!(ran.status, Some(1));
    assert!(ran.last().contains("state.backup"), "{}", ran.stderr);
    assert_eq!(place.read("state"), "{\"version\":");
}

#[test]
fn a_master_with_a_certificate_of_its_own_has_to_be_trusted() {
    let place = Place::new();
    let (_master, url) = place.master_with("master://127.0.0.1:0/api?log=info&tls=1", &[]);
    let refused = place.ctl(&url, &["list"]);
    assert_eq!((refused.status, refused.last().contains("--insecure-tls")), (Some(1), true));
    let plain = place.ctl(&url.replace("https", "http"), &["list"]);
    assert_eq!((plain.status, plain.last().contains("https://")), (Some(1), true), "{}", plain.stderr);
    assert_eq!(place.does(&url, &["info", "--insecure-tls"])["tls"], "1");
    let mut watch = place.watch(&url, &["--insecure-tls"]);
    let create = ["create", "client://127.0.0.1:7005/127.0.0.1:7006?mode=1", "--insecure-tls"];
    let id = place.does(&url, &create)["id"].clone();
    watch.until("create", |event| event["id"] == id);
}

#[test]
fn a_master_with_certificate_files_is_known_by_its_authority() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = place.write("crt.pem", &pem("CERTIFICATE", made.cert.der()));
    let key = place.write("key.pem", &pem("PRIVATE KEY", &made.signing_key.serialize_der()));
    let (mut master, url) =
        place.master_with(&format!("master://127.0.0.1:0/api?tls=2&crt={certificate}&key={key}"), &[]);
    let ca = ["--ca", &certificate];
    assert_eq!(place.does(&url, &["info", ca[0], ca[1]])["tls"], "2");
    let mut watch = place.watch(&url, &ca);
    master.until("stream_opened", any);
    watch.terminate();
    watch.until("ended", any);
    assert_eq!(watch.end().0.code(), Some(0));
    let unknown = place.ctl(&url, &["list"]);
    assert_eq!((unknown.status, unknown.last().contains("certificate")), (Some(1), true));
}

#[test]
fn plain_http_is_told_from_tls() {
    let place = Place::new();
    let (_master, url) = place.master();
    let ran = place.ctl(&url.replace("http", "https"), &["list"]);
    assert_eq!(
        (ran.status, ran.last().contains("write http:// in --url")),
        (Some(1), true),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_master_reaches_out_for_a_tcping() {
    let place = Place::new();
    let (_master, url) = place.master();
    let target = echo();
    let arguments = ["tcping", &target, "--count", "3", "--interval", "1ms"];
    let ran = place.ctl(&url, &arguments);
    assert_eq!((ran.status, ran.events.len()), (Some(0), 4));
    assert_eq!((&ran.events[0]["connected"], &ran.events[3]["loss_percent"]), (&json!(true), &json!(0.0)));
    assert!(ran.events[3]["min_ms"].as_u64() <= ran.events[3]["max_ms"].as_u64(), "{:?}", ran.events);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ran = place.ctl(&url, &["tcping", &closed]);
    assert_eq!((ran.status, &ran.events[0]["error"]), (Some(1), &json!("connection refused")));
    assert!(ran.last().contains(&closed), "{}", ran.stderr);
}

#[test]
fn an_instance_url_is_explained_without_a_master() {
    let explain = |url: &str, arguments: &[&str]| {
        let mut command = Command::new(CTL);
        command.args(["--json", "url", url]).args(arguments);
        run(command)
    };
    let url = format!("client://{}@example.org:443/127.0.0.1:22?mode=2&min=8", marked(2));
    let ran = explain(&url, &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.text());
    let part = |ran: &Ran, name: &str| ran.events.iter().find(|part| part["name"] == name).unwrap().clone();
    assert_eq!((&part(&ran, "min")["value"], &part(&ran, "tunnel key")["value"]), (&json!("8"), &json!("…")));
    assert_eq!(part(&ran, "read")["value"], "0s");
    assert_eq!(part(&explain(&url, &["--rules", "document"]), "read")["value"], "10m0s");
    let ran = explain("server://:1/h:2?min=x", &["--rules", "1.6"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.last().contains("`min` has no effect on a server"), "{}", ran.stderr);
    assert_eq!(explain("http://h:1/", &[]).status, Some(2));
}

#[test]
fn what_the_master_or_the_network_refuses_is_status_1() {
    let place = Place::new();
    let (_master, url) = place.master();
    let wrong = place.write("wrong", &marked(3));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = format!("http://{closed}/api");
    let other_path = url.replace("/api", "/nothing");
    for (url, arguments, hint) in [
        (&url, &["list", "--key-file", &wrong][..], "refuses the key"),
        (&url, &["watch", "--key-file", &wrong], "refuses the key"),
        (&url, &["start", "nobody"], "`list` shows what there is"),
        (&nowhere, &["list"], "check --url, and that the master runs"),
        (&other_path, &["list"], "check the path"),
    ] {
        let ran = place.ctl(url, arguments);
        assert_eq!(ran.status, Some(1), "{arguments:?}: {}", ran.text());
        assert!(ran.last().contains(hint), "{arguments:?}: {}", ran.stderr);
    }
    // Whether a URL is good depends on the master's release.
    let nonsense = format!("client://{}@h:99999999/t:1", marked(6));
    let ran = place.ctl(&url, &["create", &nonsense]);
    assert_eq!((ran.status, ran.last().contains("--unchecked")), (Some(2), true), "{}", ran.text());
    let mut keyless = Command::new(CTL);
    keyless.args(["--json", "--url", &url, "list"]).env_remove("NODEPASS_API_KEY");
    let ran = run(keyless);
    assert_eq!((ran.status, ran.last().contains("NODEPASS_API_KEY")), (Some(1), true), "{}", ran.stderr);
    let mut from_environment = Command::new(CTL);
    from_environment.args(["--json", "--url", &url, "list"]);
    from_environment.env("NODEPASS_API_KEY", place.read("key").trim());
    assert_eq!(run(from_environment).status, Some(0));
}

#[test]
fn bad_arguments_are_status_2() {
    let place = Place::new();
    place.write("key", &marked(4));
    place.write("empty", "");
    let (empty, secret) = (place.path("empty"), marked(5));
    let credentials = format!("http://user:{secret}@h/api");
    for arguments in [
        &["--url", "ftp://h/", "list"][..],
        &["--url", &credentials, "list"],
        &["--key-file", &empty, "list"],
        &["--key-file", "/no/such", "list"],
        &["--ca", "/no/such", "list"],
        &["--ca", &empty, "list"],
        &["--ca", &empty, "--insecure-tls", "list"],
        &["--request-timeout", "0s", "list"],
        &["--request-timeout", "soon", "list"],
        &["create", "http://h/"],
        &["policy", "a1", "perhaps"],
        &["tcping", "h:1", "--count", "0"],
        &["recreate", "/no/such"],
        &["recreate", &empty],
        &["watch", "--level", "warn"],
        &["watch", "--poll-interval", "0s"],
        &["watch", "--min-wait", "2s", "--max-wait", "1s"],
        &["watch", "--logs", "--log-file", "/no/such/file"],
        &["rotate"],
        &[],
    ] {
        // Nothing answers there: what is wrong has to be found before.
        let mut command = Command::new(CTL);
        command
            .args(["--key-file", &place.path("key")].iter().filter(|_| !arguments.contains(&"--key-file")));
        command.args(["--url", "http://127.0.0.1:9/api"].iter().filter(|_| !arguments.contains(&"--url")));
        let ran = run({
            command.args(arguments);
            command
        });
        assert_eq!(ran.status, Some(2), "{arguments:?}: {}", ran.text());
    }
    let master = |arguments: &[&str]| {
        let mut command = Command::new(MASTER);
        command.args(["--key-file", &place.path("other")]).args(arguments);
        run(command).status
    };
    assert_eq!(master(&["--url", "http://h:1/"]), Some(2));
    assert_eq!(master(&["--report-interval", "0s"]), Some(2));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).unwrap();
    assert_eq!(master(&["--url", &format!("master://{taken}/api")]), Some(1));
    drop(holder);
}

#[test]
fn exported_instances_are_made_again() {
    let place = Place::new();
    let (_master, url) = place.master();
    place.does(&url, &["create", &forwarder("127.0.0.1:9"), "--alias", "one", "--unchecked"]);
    place.does(&url, &["policy", "one", "off"]);
    let file = place.path("export");
    assert_eq!(place.does(&url, &["export", &file])["instances"], 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let old = place.does(&url, &["get", "one"]);
    place.does(&url, &["delete", "one"]);
    let made = place.does(&url, &["recreate", &file]);
    assert_eq!((&made["event"], &made["from"]), (&json!("recreated"), &old["id"]));
    let new = place.does(&url, &["get", "one"]);
    assert_ne!(old["id"], new["id"]);
    assert_eq!((&old["url"], &new["restart"]), (&new["url"], &json!(false)));
}

#[test]
fn a_watch_can_do_without_the_stream() {
    let place = Place::new();
    let (_master, url) = place.master();
    let mut watch = place.watch(&url, &["--poll", "--poll-interval", "50ms", "--settle-delay", "10ms"]);
    let create = ["create", "client://127.0.0.1:7007/127.0.0.1:7008?mode=1", "--alias", "polled"];
    let id = place.does(&url, &create)["id"].clone();
    assert_eq!(watch.until("create", |event| event["id"] == id)["by"], "list");
    place.does(&url, &["stop", "polled"]);
    watch.until("update", of(&id, "status", "stopped"));
    place.does(&url, &["delete", "polled"]);
    watch.until("delete", |event| event["id"] == id);
}

#[test]
fn lines_of_logs_are_chosen_and_kept_in_a_file() {
    let place = Place::new();
    let (_master, url) = place.master();
    let file = place.path("log");
    let arguments = ["--logs", "--level", "info", "--grep", "listener", "--log-file", &file];
    let mut watch = place.watch(&url, &arguments);
    let id = place.does(&url, &["create", &forwarder("127.0.0.1:9"), "--unchecked"])["id"].clone();
    let log = watch.until("log", any);
    assert_eq!((&log["id"], &log["level"]), (&id, &json!("info")));
    let text = log["text"].as_str().unwrap();
    let kept = place.read("log");
    assert!(kept.contains(&format!("info   {}  {text}", id.as_str().unwrap())), "{kept}");
    assert_eq!(kept.lines().count(), 1);
}

#[test]
fn people_get_short_lines() {
    let place = Place::new();
    let (_master, url) = place.master();
    place.does(&url, &["create", &forwarder("127.0.0.1:9"), "--alias", "web", "--unchecked"]);
    let mut command = Command::new(CTL);
    command.args(["--url", &url, "--key-file", &place.path("key"), "watch", "--for", "1s"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\ninitial      alias=web id="), "{text}");
    // The list may be there before the stream has said anything.
    let is_synced =
        |added: u8| text.contains(&format!("\nsynced       added={added} removed=0 repaired=0\n"));
    assert!(is_synced(0) || is_synced(1), "{text}");
    assert!(!text.contains("config=") && !text.contains('\u{1b}'), "{text}");
    assert_no_secret(&text, "the lines");
}

#[test]
fn a_watch_waits_for_a_master_that_is_not_there_yet() {
    let place = Place::new();
    let (master, url) = place.master();
    drop(master);
    let waits = ["watch", "--retry", "50ms", "--max-wait", "100ms"];
    let mut watch = Program::start(place.command(&url, &waits));
    let waiting = watch.until("reconnecting", any);
    assert!((1..=100).contains(&waiting["in_ms"].as_u64().unwrap()), "{waiting}");
    let listen = url.trim_start_matches("http://").trim_end_matches("/api");
    let (_master, _) = place.master_with(&format!("master://{listen}/api"), &[]);
    watch.until("synced", any);
}

#[cfg(unix)]
#[test]
fn programs_that_are_told_to_end_in_order_and_after_their_time() {
    let place = Place::new();
    let (mut master, url) = place.master_with("master://127.0.0.1:0/api", &["--for", "30s"]);
    let mut watch = place.watch(&url, &[]);
    let since = Instant::now();
    let mut short = place.watch(&url, &["--for", "300ms"]);
    assert_eq!(short.end().0.code(), Some(0));
    assert!(since.elapsed() >= Duration::from_millis(300));
    master.terminate();
    watch.until("shutdown", any);
    assert_eq!(master.end().0.code(), Some(0));
    watch.terminate();
    watch.until("ended", any);
    assert_eq!(watch.end().0.code(), Some(0));
}
