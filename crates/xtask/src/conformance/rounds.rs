//! `ithiltir-rounds`: the plan over the answers of one round.

use super::{case, compare, text};
use crate::Tally;
use anyhow::anyhow;
use ithiltir_proto::update::Plan;
use ithiltir_proto::wire::{Manifest, MetricsResponse, RESPONSE_LIMIT};
use serde_json::{Value, json};

pub(super) fn row(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let key = text(row, "name")?;
    let answers = row["responses_200"].as_array().ok_or_else(|| anyhow!("a row without answers"))?;
    let mut offers = Vec::new();
    for answer in answers {
        let body = body(answer)?;
        if let Some(deviation) = case::of_answer(&body) {
            tally.deviate(deviation);
            return Ok(());
        }
        let content_type = answer["content_type"].as_str();
        let decoded = MetricsResponse::decode(content_type, body.as_bytes(), RESPONSE_LIMIT);
        if let Some(manifest) = decoded.ok().and_then(|answer| answer.update) {
            offers.push((text(answer, "secret")?.trim(), manifest));
        }
    }
    let plan = Plan::decide(text(row, "current_version")?, offers.iter().map(|(_, manifest)| manifest));
    compare(key, row, &outcome(plan, &offers), tally);
    Ok(())
}

fn outcome(plan: Plan, offers: &[(&str, Manifest)]) -> [(&'static str, Value); 3] {
    let (action, selected) = match plan {
        Plan::Nothing => ("none", None),
        Plan::Current => ("skip_current", None),
        Plan::Conflict => ("skip_conflict", None),
        Plan::Apply(place) => ("apply", offers.get(place)),
    };
    [
        ("action", json!(action)),
        ("selected", json!(selected.map(|(_, manifest)| manifest))),
        ("download_secret", json!(selected.map(|(secret, _)| secret))),
    ]
}

/// A body stands there whole, or as two ends and what fills the middle.
fn body(answer: &Value) -> anyhow::Result<String> {
    if let Some(body) = answer["body"].as_str() {
        return Ok(body.to_owned());
    }
    let count = answer["fill_count"].as_u64().and_then(|count| usize::try_from(count).ok());
    let fill = text(answer, "fill")?.repeat(count.ok_or_else(|| anyhow!("a fill without a count"))?);
    Ok([text(answer, "body_prefix")?, &fill, text(answer, "body_suffix")?].concat())
}
