//! What the process of an instance prints for people: log lines. §5.
//!
//! A log line is `2026-01-02 03:04:05.678`, two spaces, the level in its colour, two spaces, and the text.

use jiff::Zoned;
use std::fmt;

/// The weight of a log line, lightest first. An instance shows the lines of its own level and of heavier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every connection.
    Debug,
    /// Starts and ends.
    #[default]
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
    /// Records of figures.
    Event,
    /// As the level of an instance: nothing is shown, and so its figures never move.
    None,
}

impl Level {
    /// Returns the level that a `log` parameter stands for; any other text is `info`, as an absent one is.
    #[must_use]
    pub fn from_parameter(text: &str) -> Self {
        match text {
            "debug" => Self::Debug,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "event" => Self::Event,
            "none" => Self::None,
            _ => Self::Info,
        }
    }

    /// Whether an instance of this level shows a line of that one.
    #[must_use]
    pub fn shows(self, line: Self) -> bool {
        self != Self::None && line != Self::None && line >= self
    }

    /// Returns its name in capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Event => "EVENT",
            Self::None => "NONE",
        }
    }

    fn color(self) -> u8 {
        match self {
            Self::Error => 31,
            Self::Info => 32,
            Self::Warn => 33,
            Self::Debug => 34,
            Self::Event | Self::None => 36,
        }
    }
}

/// Returns a log line, without its end. What would end it early or move a cursor is shown as an escape.
#[must_use]
pub fn line(level: Level, text: impl fmt::Display, at: &Zoned) -> String {
    let at = at.strftime("%Y-%m-%d %H:%M:%S%.3f");
    let (color, name) = (level.color(), level.name());
    let mut line = format!("{at}  \x1b[{color}m{name}\x1b[0m  ");
    for character in text.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::{TimeZone, offset};

    #[test]
    fn a_line_has_a_time_a_coloured_level_and_the_text() {
        let at = date(2026, 1, 2).at(3, 4, 5, 6_999_999).to_zoned(TimeZone::fixed(offset(8))).unwrap();
        for (level, said) in [
            (Level::Debug, "\x1b[34mDEBUG\x1b[0m"),
            (Level::Info, "\x1b[32mINFO\x1b[0m"),
            (Level::Warn, "\x1b[33mWARN\x1b[0m"),
            (Level::Error, "\x1b[31mERROR\x1b[0m"),
            (Level::Event, "\x1b[36mEVENT\x1b[0m"),
        ] {
            assert_eq!(line(level, "text", &at), format!("2026-01-02 03:04:05.006  {said}  text"));
        }
    }

    #[test]
    fn a_text_stays_on_its_line() {
        let at = Zoned::now();
        let line = line(Level::Info, "a\nb\x1b[2Jß", &at);
        assert!(line.ends_with("  a\\nb\\u{1b}[2Jß"), "{line}");
    }

    #[test]
    fn a_level_shows_itself_and_what_is_heavier() {
        let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Event];
        for (index, own) in levels.into_iter().enumerate() {
            for (other, line) in levels.into_iter().enumerate() {
                assert_eq!(own.shows(line), other >= index, "{own:?} {line:?}");
            }
            assert!(!Level::None.shows(own) && !own.shows(Level::None));
        }
    }

    #[test]
    fn odd_parameters_are_info() {
        for (text, level) in [("debug", Level::Debug), ("none", Level::None), ("event", Level::Event)] {
            assert_eq!(Level::from_parameter(text), level);
        }
        assert_eq!(["", "DEBUG", "all"].map(Level::from_parameter), [Level::Info; 3]);
    }
}
