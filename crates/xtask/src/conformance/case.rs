//! Deviations of JSON reading that several suites share.

use crate::Deviation;
use crate::names::{self, NAME_CASE};
use ithiltir_proto::wire::{MetricsResponse, RESPONSE_LIMIT};

const JSON: Option<&str> = Some("application/json");

/// Returns the deviation that the body of a metrics answer meets.
pub(super) fn of_answer(body: &str) -> Option<Deviation> {
    if has_lone_surrogate(body) {
        return Some(Deviation {
            name: "lone-surrogate",
            reason: "an escape of half a surrogate pair is an error, the original reads it as U+FFFD",
        });
    }
    let read = |body: &[u8]| MetricsResponse::decode(JSON, body, RESPONSE_LIMIT).ok();
    names::matter_in_case(body.as_bytes(), read).then_some(NAME_CASE)
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
