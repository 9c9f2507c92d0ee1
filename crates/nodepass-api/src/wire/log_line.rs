//! Lines that processes write for people. §5.

use std::borrow::Cow;
use std::fmt;

/// A line of an instance's log, taken apart. Lines of another form are all text.
///
/// ```
/// use nodepass_api::wire::{Level, LogLine};
///
/// let line = LogLine::parse("2026-01-02 03:04:05.678  \u{1b}[32mINFO \u{1b}[0m  Server started");
/// assert_eq!(line.time.as_deref(), Some("2026-01-02 03:04:05.678"));
/// assert_eq!((line.level, &*line.text), (Some(Level::Info), "Server started"));
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "time, level and text are what such lines are made of")]
pub struct LogLine {
    /// Date and time to the millisecond, in the master's local time; no offset is known.
    pub time: Option<Box<str>>,
    /// How grave it is.
    pub level: Option<Level>,
    /// What it says, without colours and other control characters.
    pub text: Box<str>,
}

/// How grave a line is, in rising order. `Event` is for programs and above all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// For those who look for a fault.
    Debug,
    /// News.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
    /// Figures and the like.
    Event,
}

impl LogLine {
    /// Takes a line apart.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let plain = plain_text(line);
        let (time, rest) = split_time(&plain);
        let (level, text) = if time.is_some() { split_level(rest) } else { (None, rest) };
        Self { time: time.map(Into::into), level, text: text.into() }
    }
}

impl Level {
    /// Returns it in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Event => "event",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns a text without escape sequences of terminals and without control characters, which would draw on the reader's
/// terminal; a tab becomes a space.
#[must_use]
pub fn plain_text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let stripped = String::from_utf8_lossy(&strip_ansi_escapes::strip(text.replace('\t', " "))).into_owned();
    Cow::Owned(stripped.chars().filter(|character| !character.is_control()).collect())
}

/// `2026-01-02 03:04:05.678` and spaces.
fn split_time(line: &str) -> (Option<&str>, &str) {
    const FORM: &[u8] = b"0000-00-00 00:00:00.000";
    let Some((time, rest)) = line.split_at_checked(FORM.len()) else { return (None, line) };
    let fits = time.bytes().zip(FORM).all(|(byte, &form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    });
    if fits && rest.starts_with(' ') { (Some(time), rest.trim_start_matches(' ')) } else { (None, line) }
}

fn split_level(line: &str) -> (Option<Level>, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let level = match word {
        "DEBUG" => Level::Debug,
        "INFO" => Level::Info,
        "WARN" => Level::Warn,
        "ERROR" => Level::Error,
        "EVENT" => Level::Event,
        _ => return (None, line),
    };
    (Some(level), rest.trim_start_matches(' '))
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLine({:?} {:?}, {} bytes)", self.time, self.level, self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_another_form_are_all_text() {
        let text = |line| LogLine::parse(line).text;
        assert_eq!(&*text("╭─ usage ─╮"), "╭─ usage ─╮");
        assert_eq!(&*text(""), "");
        assert_eq!(&*text("2026-01-02 03:04:05  INFO x"), "2026-01-02 03:04:05  INFO x");
        assert_eq!(&*text("a\tb\u{7}\u{1b}]0;title\u{7}c\u{1b}[1;31md\u{9b}e"), "a bcde");
        assert_eq!(LogLine::parse("2026-01-02 03:04:05.678  LOUD x").level, None);
    }

    #[test]
    fn a_line_is_a_time_a_level_and_a_text() {
        let time = "2026-01-02 03:04:05.678";
        for (word, level) in [
            ("DEBUG", Level::Debug),
            ("INFO", Level::Info),
            ("WARN", Level::Warn),
            ("ERROR", Level::Error),
            ("EVENT", Level::Event),
        ] {
            assert_eq!(word.to_lowercase(), level.to_string());
            let line = LogLine::parse(&format!("{time}  {word}   a  b"));
            assert_eq!(line, LogLine { time: Some(time.into()), level: Some(level), text: "a  b".into() });
            assert_eq!(format!("{line:?}"), format!("LogLine(Some({time:?}) Some({level:?}), 4 bytes)"));
        }
        for other in [format!("{time}x INFO a"), "2026-01-02 03:04:05,678 INFO a".to_owned()] {
            let line = LogLine { time: None, level: None, text: other.clone().into() };
            assert_eq!(LogLine::parse(&other), line, "the time has its form, and a space behind it");
        }
    }
}
