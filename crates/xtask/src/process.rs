//! Starting other programs, with a time limit.

use crate::root;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With exit status 0.
    Well,
    /// With another status, or by a signal.
    Badly,
    /// It did not, and was killed.
    OutOfTime,
}

/// Returns a `cargo` command in the workspace's root.
#[must_use]
pub fn cargo<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command; kills it, with what it started, when the time is over.
///
/// # Errors
/// It cannot be started.
pub fn run(mut command: Command, limit: Duration) -> io::Result<End> {
    own_group(&mut command);
    let mut child = command.spawn()?;
    drop(command);
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { End::Well } else { End::Badly });
        }
        if Instant::now() >= deadline {
            kill(&mut child)?;
            return Ok(End::OutOfTime);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command as [`run`] does and returns how it ended and what it wrote on both outputs.
///
/// # Errors
/// It cannot be started or read from.
pub fn read(mut command: Command, limit: Duration) -> io::Result<(End, String)> {
    let (mut reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let text = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let end = run(command, limit)?; // Takes the command with it, so that the pipe's end is seen.
    Ok((end, text.join().unwrap_or_else(|_| Ok(String::new()))?))
}

/// Without a group of its own, cargo would die and its compilers would go on.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}

/// Kills the group by the child's id, then takes its status.
fn kill(child: &mut Child) -> io::Result<()> {
    if cfg!(unix) {
        let group = format!("-{}", child.id());
        Command::new("kill").args(["-KILL", "--", &group]).status()?;
    }
    let _ = child.kill(); // It may have ended meanwhile.
    child.wait().map(drop)
}
