//! Member names in another case than the crates know them.

use crate::Deviation;
use serde_json::Value;

pub(crate) const NAME_CASE: Deviation = Deviation {
    name: "member-name-case",
    reason: "member names are exact, the original matches them in any case",
};

/// Whether a document reads otherwise once all its member names are in lower case, as all known ones are.
pub(crate) fn matter_in_case<T: PartialEq>(document: &[u8], read: impl Fn(&[u8]) -> T) -> bool {
    let Ok(given) = serde_json::from_slice::<Value>(document) else {
        return false;
    };
    let lowered = lower(given.clone());
    // A repeated member would be lost on the way and is no matter of case.
    lowered != given && read(lowered.to_string().as_bytes()) != read(given.to_string().as_bytes())
}

fn lower(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.to_lowercase(), lower(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(lower).collect(),
        other => other,
    }
}
