//! Recorded connections of teeth: their messages, and our role in the place of the recorded peer.

mod driver;
mod machine;
mod messages;
mod recording;
mod role;

use crate::Tally;
use recording::{Recording, Timers};
use std::path::Path;

/// The state of the original that the crate's dialect is.
const COMMIT: &str = "b3ee1d8";

pub(super) fn run(name: String, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let recording = Recording::read(file, name)?;
    messages::check(&recording, tally);
    if recording.commit != COMMIT {
        tally.skip(
            "older-original",
            "the crate speaks as the last state of the original does, not as earlier ones",
        );
    } else if recording.timers == Timers::Unknown {
        tally.skip("other-timers", "timers that were shortened in an unknown way");
    } else {
        role::check(&recording, tally);
    }
    Ok(())
}
