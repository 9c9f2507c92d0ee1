//! Commands that are told to end before a master has answered.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use testkit::program::Program;

const CTL: &str = env!("CARGO_BIN_EXE_nodepass-ctl");

/// Starts a command whose master takes the connection and says nothing.
fn waiting(master: &TcpListener, arguments: &[&str]) -> Program {
    let mut command = Command::new(CTL);
    let url = format!("http://{}", master.local_addr().unwrap());
    command.args(["--json", "--url", &url]).args(arguments).env_remove("NODEPASS_API_KEY");
    Program::start(command)
}

#[test]
fn the_end_of_the_time_is_no_failure_whatever_was_asked_for() {
    let master = TcpListener::bind("127.0.0.1:0").unwrap();
    for command in [&["list"][..], &["info"], &["tcping", "h:1"], &["watch"]] {
        let mut program = waiting(&master, &[&["--for", "100ms"], command].concat());
        assert_eq!(program.end().0.code(), Some(0), "{command:?}");
    }
}

#[test]
fn a_signal_ends_a_command_in_order() {
    let master = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut program = waiting(&master, &["list"]);
    let connection = master.accept().unwrap();
    // The program waits for signals as soon as it waits at all.
    std::thread::sleep(Duration::from_millis(200));
    program.terminate();
    assert_eq!(program.end().0.code(), Some(0));
    drop(connection);
}
