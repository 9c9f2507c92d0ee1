//! What the programs' command lines have in common.

use crate::Transport;
use clap::Args;
use nodered_comms::Secret;
pub use program::{Limit, duration, limit};
use std::path::Path;
use std::time::Duration;

/// Settings of the transport.
#[derive(Args, Debug)]
pub struct TransportArguments {
    /// How many bytes may be unwritten before the peer counts as one that does not read.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    max_unwritten: usize,
    /// How long the last frames may take once a connection is to be closed.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    close_timeout: Duration,
}

impl TransportArguments {
    /// Returns the settings of the transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        Transport { max_unwritten: self.max_unwritten, close_timeout: self.close_timeout }
    }
}

/// Reads a secret from a file, without the end of its line.
///
/// # Errors
/// What is wrong with the file.
pub fn secret_file(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{}: the file is empty", path.display())),
        secret => Ok(Secret::new(secret)),
    }
}
