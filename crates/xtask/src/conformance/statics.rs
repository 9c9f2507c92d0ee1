//! `ithiltir-statics`: publishable, complete, and which Statics count as equal.

use super::{compare, text};
use crate::Tally;
use ithiltir_proto::wire::{Fingerprint, Static, decode};
use serde_json::{Value, json};

/// A row's digest in the vectors, and ours.
type Digests<'a> = (&'a str, Fingerprint);

pub(super) fn rows(rows: &[Value], tally: &mut Tally) -> anyhow::Result<()> {
    let mut seen: Vec<Digests<'_>> = Vec::new();
    for row in rows {
        let key = text(row, "name")?;
        match &row["static"] {
            Value::Null => tally.check(key, &row["publish_error"].is_null(), &false), // none to publish
            snapshot => match decode::<Static>(snapshot.to_string().as_bytes()) {
                Ok(statics) => one(key, row, &statics, &mut seen, tally),
                Err(error) => tally.fail(key, "a Static", error),
            },
        }
    }
    let same = seen.iter().filter(|(theirs, ours)| *theirs == hex(ours)).count();
    tally.note(format!("{same} of {} digests equal the original's, which nothing depends on", seen.len()));
    Ok(())
}

fn one<'a>(key: &str, row: &'a Value, statics: &Static, seen: &mut Vec<Digests<'a>>, tally: &mut Tally) {
    let publishable = statics.missing_to_publish().is_empty();
    if publishable != row["publish_error"].is_null() {
        return tally.fail(key, format_args!("publish_error {}", row["publish_error"]), publishable);
    }
    if let Some(theirs) = row["fingerprint_sha256"].as_str() {
        let ours = statics.fingerprint();
        let differs = seen.iter().find(|(other, fingerprint)| (*other == theirs) != (*fingerprint == ours));
        if let Some((other, _)) = differs {
            let expected = if *other == theirs { "equal to" } else { "different from" };
            return tally.fail(key, format_args!("a fingerprint {expected} that of {other}"), "the opposite");
        }
        seen.push((theirs, ours));
    }
    if row["missing_complete"].is_null() {
        return tally.pass();
    }
    let missing: Vec<_> = statics.missing_to_complete().iter().map(|missing| missing.as_str()).collect();
    compare(key, row, &[("missing_complete", json!(missing))], tally);
}

fn hex(fingerprint: &Fingerprint) -> String {
    fingerprint.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
