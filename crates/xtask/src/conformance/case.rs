//! Deviations of JSON reading that several suites share.

use crate::Deviation;
use ithiltir_proto::wire::{MetricsResponse, RESPONSE_LIMIT};
use serde_json::Value;

const JSON: Option<&str> = Some("application/json");

/// Returns the deviation that the body of a metrics answer meets.
pub(super) fn of_answer(body: &str) -> Option<Deviation> {
    if has_lone_surrogate(body) {
        return Some(Deviation {
            name: "lone-surrogate",
            reason: "an escape of half a surrogate pair is an error, the original reads it as U+FFFD",
        });
    }
    matches_only_without_case(body).then_some(Deviation {
        name: "member-name-case",
        reason: "member names are exact, the original matches them in any case",
    })
}

/// Whether the body says something else once all member names are in lower case, as all known ones are.
fn matches_only_without_case(body: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(body) else {
        return false;
    };
    let lowered = lower_names(document.clone());
    if lowered == document {
        return false; // Without this, repeated members would be lost in the comparison below.
    }
    let read =
        |value: &Value| MetricsResponse::decode(JSON, value.to_string().as_bytes(), RESPONSE_LIMIT).ok();
    read(&lowered) != read(&document)
}

fn lower_names(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.to_lowercase(), lower_names(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(lower_names).collect(),
        other => other,
    }
}

fn has_lone_surrogate(text: &str) -> bool {
    let mut rest = text;
    let mut high = false;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        let unit = escape.get(2..6).filter(|_| escape[1..].starts_with('u'));
        let unit = unit.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let follows = high && at == 0;
        match unit {
            Some(0xDC00..=0xDFFF) if follows => high = false,
            Some(0xDC00..=0xDFFF) => return true,
            _ if high => return true,
            Some(0xD800..=0xDBFF) => high = true,
            _ => {}
        }
        let length = if unit.is_some() { 6 } else { 2 };
        rest = escape.get(length..).unwrap_or_default();
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_seen_in_the_body_alone() {
        let name = |body| of_answer(body).map(|deviation| deviation.name);
        assert_eq!(name(r#"{"Update":{}}"#), Some("member-name-case"));
        assert_eq!(name(r#"{"update":{"Size":1}}"#), Some("member-name-case"));
        assert_eq!(name(r#"{"update":{},"Extra":1}"#), None);
        assert_eq!(name(r#"{"update":{"id":"\ud83d\ude00 \\ud800"}}"#), None);
        assert_eq!(name(r#"{"update":{"id":"\ud83d"}}"#), Some("lone-surrogate"));
        assert_eq!(name(r#"{"update":{"id":"\ude00"}}"#), Some("lone-surrogate"));
        assert_eq!(name(r#"{"update":{"id":"\ud83dx\ude00"}}"#), Some("lone-surrogate"));
    }
}
