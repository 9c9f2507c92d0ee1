//! The check that no secret shows: tests use marked secrets and search texts for the mark.

use std::error::Error;
use std::fmt::Debug;

/// What every marked secret begins with. Letters and digits only, so that it fits headers, URLs, JSON and
/// ids.
pub const MARK: &str = "Mk7sEcrEt9";

/// Returns a marked secret that differs for each `n`, 26 characters long.
pub fn marked(n: u64) -> String {
    format!("{MARK}{n:016x}")
}

/// Returns in what form `text` holds the mark, as [`find`] does.
pub fn find_secret(text: &str) -> Option<&'static str> {
    find(text, MARK)
}

/// Returns in what form `text` holds a secret, if it does: plain in any case, percent-encoded in whole or
/// part, hexadecimal, base64 (standard or for URLs, at any offset), or as the list of bytes that a derived
/// `Debug` prints. An empty secret, or one too short for base64, is found in no form.
pub fn find(text: &str, secret: &str) -> Option<&'static str> {
    if secret.len() < 3 {
        return None;
    }
    let folded = text.to_ascii_lowercase();
    if folded.contains(&secret.to_ascii_lowercase()) {
        return Some("plain text");
    }
    if percent_decoded(&folded).contains(&secret.to_ascii_lowercase()) {
        return Some("percent-encoding");
    }
    if folded.contains(&secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()) {
        return Some("hexadecimal");
    }
    let standard = text.replace('-', "+").replace('_', "/");
    if (0..3).any(|offset| standard.contains(&base64_core(secret, offset))) {
        return Some("base64");
    }
    let dense: String = folded.chars().filter(|character| !character.is_whitespace()).collect();
    let decimal: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
    let hexadecimal: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let prefixed: Vec<_> = secret.bytes().map(|byte| format!("0x{byte:02x}")).collect();
    let lists = [decimal.join(","), hexadecimal.join(","), hexadecimal.join(":"), prefixed.join(",")];
    lists.iter().any(|list| dense.contains(list)).then_some("a list of bytes")
}

/// Checks that `text` holds no marked secret in any of the forms of [`find_secret`].
///
/// # Panics
/// If it does; the message names the context, the form and the text.
#[track_caller]
pub fn assert_no_secret(text: &str, context: &str) {
    if let Some(form) = find_secret(text) {
        panic!("rule: no secret shows; {context} holds one as {form}: {text}");
    }
}

/// Checks that neither `{:?}` nor `{:#?}` of the value shows a marked secret.
///
/// # Panics
/// If one does.
#[track_caller]
pub fn assert_debug_hides(value: &(impl Debug + ?Sized)) {
    assert_no_secret(&format!("{value:?}"), "the debug text");
    assert_no_secret(&format!("{value:#?}"), "the pretty debug text");
}

/// Checks that neither the message nor the debug text of an error, or of any error below it, shows a marked
/// secret.
///
/// # Panics
/// If one does.
#[track_caller]
pub fn assert_error_hides(error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_no_secret(&error.to_string(), "the error message");
        assert_debug_hides(error);
        next = error.source();
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).to_ascii_lowercase()
}

/// The part of a secret's base64 that does not depend on its neighbours, when the secret begins `offset` bytes
/// after a group of three.
fn base64_core(secret: &str, offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| (secret.as_bytes()[at / 8] >> (7 - at % 8)) & 1;
    let skipped = (6 - offset * 8 % 6) % 6;
    let digits = (secret.len() * 8 - skipped) / 6;
    let digit = |index: usize| (0..6).fold(0, |value, at| value << 1 | bit(skipped + index * 6 + at));
    (0..digits).map(|index| char::from(ALPHABET[usize::from(digit(index))])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Leaky {
        #[expect(dead_code, reason = "only the derived Debug reads it")]
        key: Vec<u8>,
    }

    #[derive(Debug)]
    struct Outer(Inner);
    #[derive(Debug)]
    struct Inner;

    impl std::fmt::Display for Outer {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("outer")
        }
    }
    impl std::fmt::Display for Inner {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(&marked(1))
        }
    }
    impl Error for Inner {}
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn marked_secrets_differ_and_none_begins_another() {
        assert_ne!(marked(1), marked(10));
        assert_eq!(marked(1).len(), marked(u64::MAX).len());
        assert_eq!(marked(0).len(), 26);
    }

    #[test]
    fn every_form_is_found() {
        // Base64 computed by `printf 'aMk7sEcrEt9x' | base64` and the like.
        let forms = [
            ("key=Mk7sEcrEt90000000000000001", "plain text"),
            ("host mk7secret90000.example.org", "plain text"),
            ("%4Dk7s%45crEt9", "percent-encoding"),
            ("%4d%6b%37%73%45%63%72%45%74%39", "percent-encoding"),
            ("4d6b37734563724574390", "hexadecimal"),
            ("4D6B3773456372457439", "hexadecimal"),
            ("TWs3c0VjckV0OTAwMDA=", "base64"),
            ("YU1rN3NFY3JFdDl4", "base64"),
            ("YWFNazdzRWNyRXQ5eA==", "base64"),
            ("[1, 77, 107, 55, 115, 69, 99, 114, 69, 116, 57, 0]", "a list of bytes"),
            (
                "[\n    77,\n    107,\n    55,\n    115,\n    69,\n    99,\n    114,\n    69,\n    116,\n    57,\n]",
                "a list of bytes",
            ),
            ("4d:6b:37:73:45:63:72:45:74:39", "a list of bytes"),
        ];
        for (text, form) in forms {
            assert_eq!(find_secret(text), Some(form), "{text}");
        }
    }

    #[test]
    fn a_secret_without_the_mark_is_found_too() {
        assert_eq!(find("the key is A-1b-2C", "a-1B-2c"), Some("plain text"));
        assert_eq!(find("YS0xQi0yYw==", "a-1B-2c"), Some("base64"));
        assert_eq!(find("the key is A-1b", "a-1B-2c"), None);
        assert_eq!(find("anything", ""), None);
    }

    #[test]
    fn harmless_texts_pass() {
        for text in ["", "100%", "%", "%zz", "%e4%b8", "TWs3", "4d6b37", "Key { length: 26 }", "ä€%4"] {
            assert_no_secret(text, "a harmless text");
        }
        assert_debug_hides(&("hidden", 26));
        assert_debug_hides("hidden");
    }

    #[test]
    #[should_panic(expected = "rule: no secret shows; the answer holds one as base64")]
    fn a_secret_in_a_text_is_refused() {
        assert_no_secret("TWs3c0VjckV0OTAwMDA=", "the answer");
    }

    #[test]
    #[should_panic(expected = "the debug text holds one as a list of bytes")]
    fn a_derived_debug_is_refused() {
        assert_debug_hides(&Leaky { key: marked(1).into_bytes() });
    }

    #[test]
    #[should_panic(expected = "the error message holds one as plain text")]
    fn a_source_that_shows_a_secret_is_refused() {
        assert_error_hides(&Outer(Inner));
    }
}
