//! `nodered-topics`: whether a pattern matches a topic, asked of a filter and of an index.

use super::text;
use crate::{Deviation, Tally};
use anyhow::{Context as _, bail};
use nodered_comms::topic::{TopicFilter, TopicIndex};
use serde_json::Value;

pub(crate) const BRACE_QUANTIFIER: Deviation = Deviation {
    name: "brace-quantifier",
    reason: "braces stand for themselves, the original takes {n}, {n,} and {n,m} for a repetition by a slip",
};

/// Filters that stand in an index beside the one of a row, so that a look-up has something to choose from.
const NEIGHBOURS: [&str; 7] = ["+", "#", "/#", "+/#", "+/+", "status/#", "a+"];

pub(super) fn row(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let (pattern, topic) = (text(row, "pattern")?, text(row, "topic")?);
    let expected = match &row["matches"] {
        Value::Bool(matches) => matches.to_string(),
        Value::String(error) if error == "error" => error.clone(),
        _ => bail!("a row without what it is about"),
    };
    let key = format_args!("{pattern} → {topic}");
    let filter = TopicFilter::new(pattern).with_context(|| format!("{pattern:?} is no filter"))?;
    let got = [("filter", filter.matches(topic)), ("index", index_matches(&filter, topic))];
    let deviates = has_quantifier(pattern);
    let expected = if deviates { literally(pattern, topic)?.to_string() } else { expected };
    match got.iter().find(|(_, got)| got.to_string() != expected) {
        Some((who, got)) => tally.fail(key, expected, format_args!("{got} ({who})")),
        None if deviates => tally.deviate(BRACE_QUANTIFIER),
        None => tally.pass(),
    }
    Ok(())
}

fn index_matches(filter: &TopicFilter, topic: &str) -> bool {
    let mut index = TopicIndex::new();
    for neighbour in NEIGHBOURS {
        index.insert(&TopicFilter::new(neighbour).expect("it is short"));
    }
    let id = index.insert(filter);
    index.matches(topic).contains(&id)
}

/// Whether a pattern has a repetition in braces: `{n}`, `{n,}` or `{n,m}`.
pub(crate) fn has_quantifier(pattern: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    pattern.match_indices('{').any(|(at, _)| {
        let Some((inner, _)) = pattern[at + 1..].split_once('}') else { return false };
        let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
        !least.is_empty() && is_number(least) && is_number(most)
    })
}

/// What the answer is if braces are ordinary characters, as angle brackets are for the original too.
fn literally(pattern: &str, topic: &str) -> anyhow::Result<bool> {
    let angled = |text: &str| text.replace('{', "<").replace('}', ">");
    Ok(TopicFilter::new(&angled(pattern))?.matches(&angled(topic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_repetition_is_a_deviation() {
        assert!(["a{2}", "{2}", "a{1,}", "a{1,3}", "{{2}"].into_iter().all(has_quantifier));
        assert!(!["a{", "{a}", "a{,2}", "{}", "a{1;3}", "a{2", "2}"].into_iter().any(has_quantifier));
    }
}
