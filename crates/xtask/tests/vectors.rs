//! Every suite over the vectors that stand in the crates.

use std::path::PathBuf;
use xtask::conformance::{Suite, run};
use xtask::{Tally, root};

#[track_caller]
fn check(suite: Suite, file: &str, passed: usize, deviations: &[(&str, usize)]) {
    let file: PathBuf = root().join("crates/ithiltir-proto/tests/vectors").join(file);
    let mut tally = Tally::default();
    run(suite, &file, &mut tally).unwrap();
    assert!(tally.failures().is_empty(), "{tally}");
    assert_eq!((tally.passed(), &tally.deviations()[..]), (passed, deviations), "{tally}");
}

#[test]
fn ithiltir_urls() {
    check(Suite::IthiltirUrls, "ithiltir-urls.json", 32, &[("escaped-slash", 1)]);
}

#[test]
fn ithiltir_manifests() {
    check(Suite::IthiltirManifests, "ithiltir-manifests.json", 43, &[("sha-not-hex", 1)]);
}

#[test]
fn ithiltir_rounds() {
    check(Suite::IthiltirRounds, "ithiltir-rounds.json", 26, &[("member-name-case", 1)]);
}

#[test]
fn ithiltir_statics() {
    check(Suite::IthiltirStatics, "ithiltir-statics.json", 23, &[]);
}

#[test]
fn a_file_of_another_suite_is_refused() {
    let file = root().join("crates/ithiltir-proto/tests/vectors/ithiltir-urls.json");
    for suite in [Suite::IthiltirManifests, Suite::IthiltirRounds, Suite::IthiltirStatics] {
        assert!(run(suite, &file, &mut Tally::default()).is_err());
    }
}
