//! The vectors of the original programs against the crates: `cargo xtask conformance SUITE FILE…`.

mod case;
mod core_node;
mod instance_urls;
mod lines;
mod manifests;
mod rounds;
mod statics;
pub(crate) mod topics;
mod urls;

use crate::Tally;
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde_json::Value;
use std::path::Path;

/// A kind of vector file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Suite {
    /// Target URLs: validity, parts, siblings
    IthiltirUrls,
    /// Update manifests: decoding, plan, validation
    IthiltirManifests,
    /// The plan over the answers of one round
    IthiltirRounds,
    /// Statics: publishable, complete, equality of fingerprints
    IthiltirStatics,
    /// Lines of teeth: what the message layer and the agent make of them
    TeethLines,
    /// Topics of Node-RED: whether a pattern matches
    NoderedTopics,
    /// Instance URLs: what processes use, what masters store
    NodepassUrls,
    /// Core's node routes: calls to Core, user names, counter names, configurations
    CoreNode,
}

/// Runs a file and adds what it finds to the tally.
///
/// # Errors
/// The file cannot be read or is no vector file of this suite.
pub fn run(suite: Suite, file: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let document: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let wrong_row = || format!("{} is no file of this suite", file.display());
    if suite == Suite::CoreNode {
        return core_node::sections(&document, tally).with_context(wrong_row);
    }
    let rows = match suite {
        Suite::TeethLines | Suite::NodepassUrls => &document["cases"],
        _ => &document,
    };
    let rows = rows.as_array().ok_or_else(|| anyhow!("{} is not a list", file.display()))?;
    match suite {
        Suite::IthiltirUrls => rows.iter().try_for_each(|row| urls::row(row, tally)),
        Suite::IthiltirManifests => rows.iter().try_for_each(|row| manifests::row(row, tally)),
        Suite::IthiltirRounds => rows.iter().try_for_each(|row| rounds::row(row, tally)),
        Suite::IthiltirStatics => statics::rows(rows, tally),
        Suite::TeethLines => rows.iter().try_for_each(|row| lines::row(row, tally)),
        Suite::NoderedTopics => rows.iter().try_for_each(|row| topics::row(row, tally)),
        Suite::NodepassUrls => rows.iter().try_for_each(|row| instance_urls::row(row, tally)),
        Suite::CoreNode => Ok(()), // has sections, seen to above
    }
    .with_context(wrong_row)
}

/// Returns a text member that every row of a suite has.
fn text<'a>(row: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    row[member].as_str().ok_or_else(|| anyhow!("a row without the text {member:?}"))
}

/// Compares what the vectors say, member by member; the row fails with the first difference.
fn compare(key: &str, row: &Value, got: &[(&str, Value)], tally: &mut Tally) {
    match got.iter().find(|(member, got)| row[member] != *got) {
        Some((member, got)) => tally.fail(key, format_args!("{member} {}", row[member]), got),
        None => tally.pass(),
    }
}
