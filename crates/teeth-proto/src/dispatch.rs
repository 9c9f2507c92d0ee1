//! What both roles ask of a command before they look at its parameters.

use crate::wire::{JsonKind, JsonRef, Violation};
use std::borrow::Cow;

/// Returns the name of a command's method. In the order of the original, with an answer
/// where it keeps silent.
pub(crate) fn method_name<'a>(version: JsonRef<'_>, method: JsonRef<'a>) -> Result<Cow<'a, str>, Violation> {
    let is_structured = |value: JsonRef<'_>| matches!(value.kind(), JsonKind::Array | JsonKind::Object);
    if is_structured(version) {
        return Err(Violation::StructuredVersion);
    }
    if version.as_str().as_deref() != Some("v1") {
        return Err(Violation::UnknownVersion);
    }
    if is_structured(method) {
        return Err(Violation::StructuredMethod);
    }
    method.as_str().ok_or(Violation::UnknownMethod)
}
