//! What may happen to a machine, for the rules that hold whatever does.
#![allow(dead_code, reason = "each test file uses its own part")]

use crate::support::{Short, Transcript};
use proptest::prelude::*;
use testkit::secrets::marked;

pub(crate) const MAX_CALLS: usize = 4;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// One of [`LINES`], with `%` as the id of a call of ours.
    Line(usize, usize),
    Bytes(Vec<u8>),
    Call(u64),
    Cancel,
    Answer,
    Drop,
    Connect(bool),
    Lose,
    Stall,
    Progress(f64),
    Complete,
    Fail,
    Advance(bool),
    Wait(u64),
    Back(u64),
    Close,
}

pub(crate) const LINES: &[&str] = &[
    "",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"ping\",\"params\":{\"a\":1}}",
    "{\"id\":[1],\"version\":\"v1\",\"method\":\"status\",\"params\":{}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"x.y\",\"params\":{}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"decom.disk_erase\",\"params\":{\"task_id\":\"a\"}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"decom.firmware_secure\",\"params\":{\"task_id\":\"b\"}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"standbye.run_image\",\"params\":{\"task_id\":\"r\",\
     \"image_id\":\"6b83f0c2-5598-4a89-b581-85f9114221ff\",\"config_drive\":{\"user_data\":\"SECRET\"}}}",
    "{\"id\":\"1\",\"version\":\"v1\",\"method\":\"standbye.prepare_image\",\"params\":{}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"handshake\",\"params\":{\"id\":\"a\",\"version\":\"1\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"task_status\",\"params\":{\"task_id\":\"a\",\"state\":\"complete\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"task_status\",\"params\":{\"task_id\":\"a\",\"state\":\"running\"}}",
    "{\"id\":\"h\",\"version\":\"v1\",\"method\":\"log\",\"params\":{\"message\":\"m\"}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"result\":{}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"result\":{}}",
    "{\"id\":\"%\",\"version\":\"v1\",\"error\":{\"msg\":\"no\"}}",
    "{\"id\":\"other\",\"version\":\"v1\",\"result\":{}}",
    "{\"fatal_error\":\"bye\"}",
    "{\"id\":\"1\"}",
    "[]",
];

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..LINES.len(), 0..6_usize).prop_map(|(line, id)| Step::Line(line, id)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        3 => (0..90_u64).prop_map(Step::Call),
        1 => Just(Step::Cancel),
        2 => Just(Step::Answer),
        1 => Just(Step::Drop),
        3 => any::<bool>().prop_map(Step::Connect),
        1 => Just(Step::Lose),
        1 => Just(Step::Stall),
        1 => (-10.0..110.0).prop_map(Step::Progress),
        2 => Just(Step::Complete),
        1 => Just(Step::Fail),
        3 => any::<bool>().prop_map(Step::Advance),
        5 => (0..30_000_u64).prop_map(Step::Wait),
        1 => (0..30_000_u64).prop_map(Step::Back),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..60)
}

/// What a peer knows: ids of calls that it saw.
#[derive(Default)]
pub(crate) struct Peer {
    transcript: Transcript,
    ids: usize,
}

impl Peer {
    pub(crate) fn sees(&mut self, outputs: &[impl Short]) {
        self.transcript.of(outputs);
        self.ids = self.transcript.len();
    }

    pub(crate) fn line(&self, line: usize, id: usize) -> Vec<u8> {
        let id = if id < self.ids { self.transcript.id(self.ids - id) } else { "none" };
        let line = LINES[line].replace('%', id).replace("SECRET", &marked(1));
        (line + "\n").into_bytes()
    }
}
