//! What may happen to a machine, for the rules that hold whatever does.
#![allow(dead_code, reason = "each test file uses its own part")]

use proptest::prelude::*;
use testkit::secrets::marked;

pub(crate) const LIMIT: usize = 4;

pub(crate) const FRAMES: &[&str] = &[
    "{\"auth\":\"ok\"}",
    "{\"auth\":\"fail\"}",
    "[]",
    "[{\"topic\":\"a\",\"data\":1},{\"topic\":\"hb\",\"data\":5}]",
    "{\"topic\":\"a/b\",\"data\":{}}",
    "[{\"auth\":\"fail\"},{\"topic\":\"a\"}]",
    "nope",
    "{\"auth\":\"SECRET\"}",
    "{\"subscribe\":\"a/#\"}",
    "{\"subscribe\":\"+\"}",
    "{\"topic\":\"t\",\"data\":null}",
    "null",
    "{\"auth\":7}",
];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Frame(usize, usize),
    Connect(bool),
    Lose(usize),
    Answer(u16, usize),
    Fail,
    LookedUp(usize, bool, bool),
    Subscribe(usize),
    Publish(usize, bool),
    Login(bool),
    Retry,
    Wait(u64),
    Back(u64),
    Close,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..LIMIT, 0..FRAMES.len()).prop_map(|(connection, frame)| Step::Frame(connection, frame)),
        4 => any::<bool>().prop_map(Step::Connect),
        1 => (0..LIMIT).prop_map(Step::Lose),
        3 => (prop::sample::select(vec![200_u16, 200, 401, 404, 500]), 0..3_usize).prop_map(|(s, b)| Step::Answer(s, b)),
        1 => Just(Step::Fail),
        3 => (0..LIMIT, any::<bool>(), any::<bool>()).prop_map(|(at, known, may)| Step::LookedUp(at, known, may)),
        2 => (0..4_usize).prop_map(Step::Subscribe),
        4 => (0..4_usize, any::<bool>()).prop_map(|(topic, retain)| Step::Publish(topic, retain)),
        1 => any::<bool>().prop_map(Step::Login),
        1 => Just(Step::Retry),
        5 => (0..20_000_u64).prop_map(Step::Wait),
        1 => (0..20_000_u64).prop_map(Step::Back),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..60)
}

pub(crate) fn frame(number: usize) -> String {
    FRAMES[number].replace("SECRET", &marked(1))
}
