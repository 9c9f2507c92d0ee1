//! Recorded connections of Node-RED: their messages, and our roles in the place of the recorded sides.
//!
//! - **Messages** ([`messages`]): every frame, whatever the scenario and the version.
//! - **Client** ([`client`]): the connections of the scenarios about authentication. What the runtime sent is fed to our
//!   client, which has to do what the editor's machine does.
//! - **Runtime** ([`runtime`]): scenarios in which nothing was published but what the recording shows as published. What
//!   the recorder sent is fed to our runtime, which has to send the same frames, each within [`TOLERANCE`].
//!
//! Tokens are taken from the recording, heartbeats are left out of the comparison (their phase is that of a process that
//! had been running), and so is what an editor's `multiplayer` messages lead to, which is an application's work.

mod client;
mod messages;
mod recording;
mod runtime;
mod scenario;
mod value;

use crate::Tally;
use recording::Recording;
use std::path::Path;
use std::time::Duration;

/// How far the time of a frame may be from the recorded one: the recorded runtime took up to 20 ms to act on a request,
/// and its timers were up to 10 ms late.
const TOLERANCE: Duration = Duration::from_millis(60);

pub(super) fn run(name: String, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let recording = Recording::read(file, name)?;
    messages::check(&recording, tally);
    client::check(&recording, tally);
    runtime::check(&recording, tally);
    Ok(())
}
