//! What the vectors expect: parts of objects, lists in any order.

use serde_json::Value;

/// Whether a value is what is expected: an object has at least the expected members, a list has items for all expected ones
/// and no more, in any order.
pub(super) fn holds(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(members), _) if members.contains_key("$type") => {
            members["$type"] == "nonEmptyString" && got.as_str().is_some_and(|text| !text.is_empty())
        }
        (Value::Object(members), Value::Object(others)) if members.contains_key("$exact") => {
            let exact = &members["$exact"];
            exact.as_object().is_some_and(|exact| exact.len() == others.len()) && holds(exact, got)
        }
        (Value::Object(members), Value::Object(others)) => {
            members.iter().all(|(name, expected)| others.get(name).is_some_and(|got| holds(expected, got)))
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && pairs(expected, &got.iter().collect::<Vec<_>>())
        }
        (Value::Number(expected), Value::Number(got)) => {
            expected == got || expected.as_f64().is_some_and(|number| got.as_f64() == Some(number))
        }
        _ => expected == got,
    }
}

/// Whether each expected item has one of its own.
fn pairs(expected: &[Value], got: &[&Value]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return true };
    got.iter().enumerate().any(|(index, item)| {
        let mut others = got.to_vec();
        others.remove(index);
        holds(first, item) && pairs(rest, &others)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_may_have_more_and_lists_may_not() {
        assert!(holds(&json!({"a": 1}), &json!({"a": 1.0, "b": 2})));
        assert!(!holds(&json!({"a": 1}), &json!({})));
        assert!(!holds(&json!([1]), &json!([1, 2])));
        assert!(!holds(&json!({"$exact": {"a": 1}}), &json!({"a": 1, "b": 2})));
        assert!(holds(&json!({"$type": "nonEmptyString"}), &json!("x")));
    }

    #[test]
    fn items_are_paired_in_any_order() {
        assert!(holds(&json!([{}, {"a": 1}]), &json!([{"a": 1}, {"a": 2}])));
        assert!(!holds(&json!([{"a": 1}, {"a": 1}]), &json!([{"a": 1}, {"a": 2}])));
    }
}
