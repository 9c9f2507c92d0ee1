//! The replay over the recordings that stand in the crates.

use std::path::PathBuf;
use xtask::replay::{Protocol, run};
use xtask::{Tally, root};

fn files(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folder = root().join("crates/ithiltir-proto/tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .filter(|path| wanted(&path.file_name().unwrap().to_string_lossy()))
        .collect();
    files.sort();
    files
}

#[track_caller]
fn check(files: &[PathBuf], passed: usize, deviations: &[(&str, usize)]) {
    let mut tally = Tally::default();
    for file in files {
        run(Protocol::Ithiltir, file, &mut tally).unwrap();
    }
    assert!(tally.failures().is_empty(), "{tally}");
    assert_eq!((tally.passed(), &tally.deviations()[..]), (passed, deviations), "{tally}");
}

#[test]
fn the_node_and_its_messages() {
    let files = files(|name| !name.starts_with("dash_"));
    assert_eq!(files.len(), 64);
    check(&files, 1667, &[("redirect-followed", 11), ("static-per-target", 1)]);
}

#[test]
fn the_dash_and_its_messages() {
    let files = files(|name| name.starts_with("dash_"));
    assert_eq!(files.len(), 2);
    check(&files, 460, &[("member-name-case", 2)]);
}
