//! Numbers as JavaScript has and prints them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A number, together with its text where that is not the one that JavaScript prints.
///
/// Texts of other origin thus stay what they were: `1.0`, or `12345678901234567890`, which no `f64` holds. Equal are
/// numbers whose texts are equal, so `NaN` equals itself, and `0` equals `-0.0`, which JavaScript prints as `0`.
#[derive(Clone, Debug)]
pub struct DebugNumber {
    value: f64,
    /// Only if it differs from the text of `value`. Always JSON.
    text: Option<Box<str>>,
}

impl DebugNumber {
    /// Reads a JSON number, `NaN`, `Infinity` or `-Infinity`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(f64::NAN.into()),
            "Infinity" => Some(f64::INFINITY.into()),
            "-Infinity" => Some(f64::NEG_INFINITY.into()),
            _ if is_json_number(text) => Self::of_json(text),
            _ => None,
        }
    }

    /// Reads a text that is known to be a JSON number.
    pub(super) fn of_json(text: &str) -> Option<Self> {
        let value: f64 = text.parse().ok()?;
        let is_usual = is_short_integer(text) || js_text(value) == text;
        Some(Self { value, text: (!is_usual).then(|| text.into()) })
    }

    /// Returns the number; infinite if its text is beyond what `f64` holds.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the text: the one received, else as JavaScript prints the number.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.text {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(js_text(self.value)),
        }
    }

    /// Whether the text is JSON: it is not for `NaN` and the infinities.
    pub(super) fn is_json(&self) -> bool {
        self.text.is_some() || self.value.is_finite()
    }
}

impl From<f64> for DebugNumber {
    fn from(value: f64) -> Self {
        Self { value, text: None }
    }
}

impl PartialEq for DebugNumber {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for DebugNumber {}

impl fmt::Display for DebugNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Prints a number by the rules of JavaScript: the shortest digits that give the number back, an exponent from 1e21
/// on and below 1e-6.
pub(super) fn js_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, exponent) = shortest(value.abs());
    format!("{sign}{}", place(&digits, exponent))
}

/// Returns the digits, and the exponent that goes with a point after the first. serde_json finds the digits: of two
/// texts that are equally short and near it takes the even one, as JavaScript does and `format!` does not.
fn shortest(value: f64) -> (String, i32) {
    let text = serde_json::to_string(&value).unwrap_or_default();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let leading = i32::try_from(all.len() - digits.len()).unwrap_or(0);
    let whole = i32::try_from(whole.len()).unwrap_or(0);
    let exponent: i32 = exponent.parse().unwrap_or(0);
    (digits.trim_end_matches('0').to_owned(), exponent + whole - 1 - leading)
}

/// Places the point: `digits` with a point after the first, times ten to the `exponent`.
fn place(digits: &str, exponent: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let mut text = String::new();
    if (0..21).contains(&exponent) {
        let whole = usize::try_from(exponent + 1).unwrap_or(1);
        if count <= exponent + 1 {
            let _ = write!(text, "{digits:0<whole$}");
        } else {
            let (whole, fraction) = digits.split_at(whole);
            let _ = write!(text, "{whole}.{fraction}");
        }
    } else if (-6..0).contains(&exponent) {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        let _ = write!(text, "0.{:0<zeros$}{digits}", "");
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let _ = write!(text, "{first}{point}{rest}e{exponent:+}");
    }
    text
}

/// Whether a JSON number is printed by JavaScript as it stands, told without printing it.
fn is_short_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text != "-0" && digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `-`? (`0` | digits without a leading zero) (`.` digits)? (`e` sign? digits)?
fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|digits| digits.strip_prefix(['+', '-']).unwrap_or(digits));
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
