//! The rows of `core-node-proto`.

mod agents;
mod calls;
#[path = "../../core-node-proto/benches/subjects/mod.rs"]
mod subjects;

use crate::memory::kept;
use crate::row::Row;
use subjects::{CLIENTS, ENTRIES};
use testkit::measure::compare;

/// What an entry of a client map may take, keys and all.
const MOST_BYTES: u32 = 48;

/// So many agents are to be carried by one core.
const AGENTS: f64 = 100_000.0;
/// A call is to take at most this part of the time that it takes a Core on grpc-js.
const CALL: f64 = 1.0 / 2.5;

pub(crate) fn rows() -> Vec<Row> {
    let (texts, report) = (subjects::client_map(), subjects::report());
    let (config, bytes) = kept(|| subjects::read_ours(&texts));
    drop(config);
    let mut rows = vec![
        Row::of(
            format!("client map of {CLIENTS}; serde_json Value"),
            &compare(subjects::clients(&texts)),
            1.2,
        ),
        Row::of_bytes("heap bytes of an entry in the map", bytes / CLIENTS as isize, MOST_BYTES),
        Row::of(format!("usage of {ENTRIES} entries, checked"), &compare(subjects::reports(&report)), 1.25),
        agents_on_one_core(),
    ];
    rows.extend(calls());
    rows
}

fn agents_on_one_core() -> Row {
    let carried = agents::carried();
    Row {
        limit: Some(format!("{AGENTS:.0}")),
        ratio: Some(AGENTS / carried),
        goal: Some(1.0),
        ..Row::bare("agents in real time on one core", format!("{carried:.0}"))
    }
}

/// Held against the peer; the limit is what an empty handler takes.
fn calls() -> Option<Row> {
    let Some(figures) = calls::compare() else {
        eprintln!("note: heartbeats over gRPC are left out; `cargo xtask scoreboard` measures them");
        return None;
    };
    let text = |nanoseconds: f64| Some(format!("{:.1} us", nanoseconds / 1_000.0));
    Some(Row {
        peer: text(figures.peer),
        limit: text(figures.limit),
        ratio: Some(figures.ours / figures.peer),
        goal: Some(CALL),
        ..Row::bare("gRPC heartbeat, 32 at once; grpc-js", text(figures.ours).unwrap_or_default())
    })
}
