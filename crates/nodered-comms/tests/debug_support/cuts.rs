//! What is left of a debug value that was written with a limit and read again. The fuzz targets take it too.

use nodered_comms::debug::{DebugError, DebugValue};

/// What a reader can know of a value by itself.
pub(crate) fn cut_top(value: &DebugValue, limit: usize) -> DebugValue {
    match value {
        DebugValue::String { text, length } => {
            // A string of three units more than the limit looks whole.
            if *length <= limit as u64 || *length == limit as u64 + 3 {
                dotted(text, limit).into()
            } else {
                DebugValue::String { text: first_units(text, limit), length: *length }
            }
        }
        DebugValue::Symbol
        | DebugValue::BigInt(_)
        | DebugValue::RegExp(_)
        | DebugValue::Error(_)
        | DebugValue::Class { .. } => value.clone(),
        DebugValue::Buffer { bytes, length } => {
            DebugValue::Buffer { bytes: bytes.iter().copied().take(limit / 2).collect(), length: *length }
        }
        DebugValue::TypedArray { class, items, length } => {
            let items = items.iter().take(limit).cloned().collect();
            DebugValue::TypedArray { class: class.clone(), items, length: *length }
        }
        other => cut(other, limit),
    }
}

/// What a reader can know of a value inside others.
fn cut(value: &DebugValue, limit: usize) -> DebugValue {
    let items = |items: &[DebugValue]| -> Vec<DebugValue> {
        items.iter().take(limit).map(|item| cut(item, limit)).map(null_for_symbol).collect()
    };
    let members = |members: &[(String, DebugValue)], limit_here: usize| -> Vec<(String, DebugValue)> {
        let kept = members.iter().take(limit_here).filter(|member| member.1 != DebugValue::Symbol);
        kept.map(|(name, value)| (name.clone(), cut(value, limit))).collect()
    };
    match value {
        DebugValue::String { text, .. } | DebugValue::Class { text, .. } => dotted(text, limit).into(),
        DebugValue::BigInt(text) => DebugValue::BigInt(dotted(text, limit).into()),
        DebugValue::RegExp(text) => DebugValue::RegExp(dotted(text, limit).into()),
        DebugValue::Array { items: all, length } => DebugValue::Array { items: items(all), length: *length },
        DebugValue::Set { items: all, length } => DebugValue::Set { items: items(all), length: *length },
        DebugValue::Map { entries, length } => {
            DebugValue::Map { entries: members(entries, limit), length: *length }
        }
        DebugValue::Object(all) => DebugValue::Object(members(all, usize::MAX)),
        DebugValue::Buffer { bytes, length } => {
            DebugValue::Buffer { bytes: bytes.iter().copied().take(limit).collect(), length: *length }
        }
        DebugValue::TypedArray { class, items: all, length } => {
            let class = class.clone().filter(|_| all.len() > limit);
            DebugValue::TypedArray { class, items: items(all), length: *length }
        }
        DebugValue::Error(error) => {
            let text = |text: &Option<String>| text.as_ref().map(|text| dotted(text, limit));
            DebugError {
                class: None,
                name: text(&error.name),
                message: text(&error.message),
                code: error.code.as_ref().map(|code| cut(code, limit)),
                cause: text(&error.cause),
                stack: text(&error.stack),
            }
            .into()
        }
        other => other.clone(),
    }
}

fn null_for_symbol(value: DebugValue) -> DebugValue {
    if value == DebugValue::Symbol { DebugValue::Null } else { value }
}

fn dotted(text: &str, limit: usize) -> String {
    if units(text) > limit as u64 { first_units(text, limit) + "..." } else { text.to_owned() }
}

fn first_units(text: &str, limit: usize) -> String {
    let units: Vec<u16> = text.encode_utf16().take(limit).collect();
    String::from_utf16_lossy(&units)
}

pub(crate) fn units(text: &str) -> u64 {
    text.encode_utf16().count() as u64
}
