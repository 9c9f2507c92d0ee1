//! Comparing JSON, and what a packet is by the rules alone.

use crate::json::{self, Value};

/// Reads one JSON value.
pub(super) fn read(text: &str) -> Option<Value> {
    json::read(text.as_bytes()).filter(|reading| !reading.has_literals).map(|reading| reading.value)
}

/// Whether two values are equal: numbers by value, members in any order.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Integer(digits), Value::Float(float)) | (Value::Float(float), Value::Integer(digits)) => {
            digits.parse() == Ok(float.get())
        }
        (a, b) => a == b,
    }
}

/// Whether two texts are equal JSON values.
pub(super) fn same_text(a: &str, b: &str) -> bool {
    matches!((read(a), read(b)), (Some(a), Some(b)) if same(&a, &b))
}

/// What a packet of a client does.
#[derive(Debug)]
pub(super) enum Deed {
    Auth(Value),
    Subscribe(Value),
    Publish(Value, Option<Value>),
    /// A JSON value without effect of its own.
    Nothing,
    /// No JSON, or `null`.
    Malformed,
}

impl Deed {
    /// Reads a packet.
    pub(super) fn of(text: &str) -> Self {
        let Some(value) = read(text).filter(|value| *value != Value::Null) else { return Self::Malformed };
        let truthy = |name| value.get(name).filter(|member| is_truthy(member)).cloned();
        if let Some(token) = truthy("auth") {
            Self::Auth(token)
        } else if let Some(filter) = truthy("subscribe") {
            Self::Subscribe(filter)
        } else if let Some(topic) = truthy("topic") {
            Self::Publish(topic, value.get("data").cloned())
        } else {
            Self::Nothing
        }
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Integer(digits) => digits.parse() != Ok(0.0),
        Value::Float(float) => float.get() != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_nothing_else_is_loose() {
        assert!(same_text("{\"a\":1,\"b\":[1.0,2e1]}", "{\"b\":[1,20],\"a\":1.0}"));
        assert!(!same_text("{\"a\":1}", "{\"a\":1,\"b\":null}"));
        assert!(!same_text("\"1\"", "1"));
        assert!(!same_text("[1,2]", "[2,1]"));
        assert!(!same_text("NaN", "NaN"));
    }

    #[test]
    fn a_packet_does_one_thing() {
        assert!(matches!(Deed::of("{\"subscribe\":\"a\",\"auth\":{}}"), Deed::Auth(_)));
        assert!(matches!(Deed::of("{\"subscribe\":\"a\",\"auth\":0,\"topic\":\"t\"}"), Deed::Subscribe(_)));
        assert!(matches!(Deed::of("{\"topic\":\"t\",\"auth\":\"\"}"), Deed::Publish(_, None)));
        assert!(matches!(Deed::of("[{\"auth\":\"a\"}]"), Deed::Nothing));
        assert!(matches!(Deed::of("null"), Deed::Malformed));
    }
}
