//! The rows of `core-node-proto`.

#[path = "../../core-node-proto/benches/subjects/mod.rs"]
mod subjects;

use crate::memory::kept;
use crate::row::Row;
use subjects::{CLIENTS, ENTRIES};
use testkit::measure::compare;

/// What an entry of a client map may take, keys and all.
const MOST_BYTES: u32 = 48;

pub(crate) fn rows() -> Vec<Row> {
    let (texts, report) = (subjects::client_map(), subjects::report());
    let (config, bytes) = kept(|| subjects::read_ours(&texts));
    drop(config);
    vec![
        Row::of(
            format!("client map of {CLIENTS}; serde_json Value"),
            &compare(subjects::clients(&texts)),
            1.2,
        ),
        Row::of_bytes("heap bytes of an entry in the map", bytes / CLIENTS as isize, MOST_BYTES),
        Row::of(format!("usage of {ENTRIES} entries, checked"), &compare(subjects::reports(&report)), 1.25),
    ]
}
