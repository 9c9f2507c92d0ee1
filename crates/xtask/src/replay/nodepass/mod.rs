//! Masters of NodePass: what they answered, and what they sent as events.

mod master;
mod messages;
mod row;
mod stream;

use crate::Tally;
use std::path::Path;

pub(super) fn run(name: &str, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    if name.ends_with(".txt") {
        return stream::check(name, file, tally);
    }
    let rows = row::read(file)?;
    for (place, row) in rows.iter().enumerate() {
        messages::check(&format!("{name}:{}", place + 1), row, tally);
    }
    let mut peers: Vec<&str> = rows.iter().map(|row| row.peer.as_str()).collect();
    peers.sort_unstable();
    peers.dedup();
    for peer in peers {
        master::check(name, peer, &rows, tally);
    }
    Ok(())
}
