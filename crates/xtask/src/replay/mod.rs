//! The recorded exchanges of the original programs against the crates: `cargo xtask replay PROTOCOL FILE…`.

mod capture;
mod dash;
mod messages;
mod node;
mod node_red;
mod nodepass;
mod scenario;
mod teeth;

use crate::{Deviation, Tally};
use anyhow::bail;
use capture::Capture;
use clap::ValueEnum;
use std::path::Path;

/// Whose exchanges were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Protocol {
    /// Node and Dash
    Ithiltir,
    /// Agent and server of teeth
    Teeth,
    /// Editor and runtime of Node-RED
    NodeRed,
    /// Client and master of NodePass
    Nodepass,
}

const REDIRECT_FOLLOWED: Deviation = Deviation {
    name: "redirect-followed",
    reason: "a redirect is a failure; the original follows it, key and all",
};

/// Replays a file and adds what it finds to the tally.
///
/// # Errors
/// The file cannot be read or is no recording.
pub fn run(protocol: Protocol, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_stream = protocol == Protocol::Nodepass && name.ends_with(".txt");
    if !name.ends_with(".jsonl") && !is_stream {
        bail!("{} is no recording", file.display());
    }
    match protocol {
        Protocol::Ithiltir => ithiltir(&name, file, tally),
        Protocol::Teeth => teeth::run(name, file, tally),
        Protocol::NodeRed => node_red::run(name, file, tally),
        Protocol::Nodepass => nodepass::run(&name, file, tally),
    }
}

fn ithiltir(name: &str, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    if name.ends_with(".events.jsonl") {
        tally.skip(
            "events",
            "a file of failed handshakes holds no exchange; it is read with the one beside it",
        );
        return Ok(());
    }
    let capture = Capture::read(file)?;
    for (place, exchange) in capture.exchanges.iter().enumerate() {
        messages::check(&format!("{name}:{}", place + 1), exchange, tally);
    }
    roles(name, &capture, tally);
    Ok(())
}

fn roles(name: &str, capture: &Capture, tally: &mut Tally) {
    match capture.exchanges.first().map(|exchange| exchange.peer.as_str()) {
        Some(peer) if peer.contains("-> Dash") => dash::check(name, capture, tally),
        Some(peer) if peer.starts_with("node ") => node::check(name, capture, tally),
        _ => tally.skip("other-role", "the crate has no such role (a node's local HTTP service)"),
    }
}
