//! How deep JSON nests.

/// How deep lists and objects may stand inside each other in a JSON text, wherever one is read.
pub const MAX_JSON_DEPTH: usize = 64;

/// Whether a JSON text nests deeper than [`MAX_JSON_DEPTH`].
pub(crate) fn is_too_deep(text: &[u8]) -> bool {
    is_deeper(text, MAX_JSON_DEPTH)
}

/// Whether a JSON text nests deeper than that many levels.
pub(crate) fn is_deeper(text: &[u8], levels: usize) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in text {
        match *byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_within_texts_are_not_depth() {
        let nested = |levels: usize| "[".repeat(levels);
        assert!(!is_too_deep(nested(64).as_bytes()) && is_too_deep(nested(65).as_bytes()));
        let in_texts = format!(r#"{{"a\"{0}":["\\","{0}"]}}"#, nested(65));
        assert!(!is_too_deep(in_texts.as_bytes()));
        assert!(!is_too_deep(format!("]]]}}{}", nested(64)).as_bytes()));
    }
}
