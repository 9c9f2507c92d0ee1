//! One filter.

use std::fmt;

/// A pattern for topics; see the [module's page](super) for its rules.
///
/// ```
/// use nodered_comms::topic::TopicFilter;
///
/// let filter = TopicFilter::new("status/#")?;
/// assert!(filter.matches("status/a/b") && filter.matches("status"));
/// assert!(!filter.matches("statusx"));
/// assert!(TopicFilter::new("a+c")?.matches("abc"));
/// # Ok::<(), nodered_comms::topic::TopicFilterError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Box<str>);

/// Why a text is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicFilterError {
    /// Longer than [`TopicFilter::LIMIT`].
    #[error("the topic filter is too long")]
    TooLong,
    /// More levels than [`TopicFilter::LEVELS`].
    #[error("the topic filter has too many levels")]
    TooManyLevels,
}

impl TopicFilter {
    /// The longest filter, in bytes.
    pub const LIMIT: usize = 4096;
    /// How many levels a filter may have.
    pub const LEVELS: usize = 256;

    /// Takes a pattern. The empty one matches the empty topic; it cannot be subscribed to.
    ///
    /// # Errors
    /// [`TopicFilterError`].
    pub fn new(pattern: &str) -> Result<Self, TopicFilterError> {
        if pattern.len() > Self::LIMIT {
            return Err(TopicFilterError::TooLong);
        }
        if pattern.matches('/').count() >= Self::LEVELS {
            return Err(TopicFilterError::TooManyLevels);
        }
        Ok(Self(pattern.into()))
    }

    /// Returns the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic matches. The work is linear in both.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let (levels, is_open) = self.parts();
        let mut rest = Some(topic);
        for level in levels.split('/') {
            let Some(text) = rest else { return false };
            let (part, after) = match text.split_once('/') {
                Some((part, after)) => (part, Some(after)),
                None => (text, None),
            };
            if !level_matches(level, part) {
                return false;
            }
            rest = after;
        }
        match rest {
            None => true,
            Some(rest) => is_open && is_one_line(rest),
        }
    }

    /// Returns the pattern without a final `/#`, and whether there was one.
    pub(super) fn parts(&self) -> (&str, bool) {
        match self.0.strip_suffix("/#") {
            Some(levels) => (levels, true),
            None => (&self.0, false),
        }
    }
}

/// Whether what `/#` stands for may be this, slashes included.
pub(super) fn is_one_line(rest: &str) -> bool {
    !rest.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
}

/// Whether one level of a topic matches one level of a pattern.
pub(super) fn level_matches(pattern: &str, level: &str) -> bool {
    let Some(first) = pattern.find('+') else { return pattern == level };
    if pattern.len() == 1 {
        return !level.is_empty();
    }
    let Some(mut rest) = level.strip_prefix(&pattern[..first]) else { return false };
    let mut pattern = &pattern[first..];
    loop {
        // `pattern` begins with one `+` or more, then a literal; the shortest stretch that works leaves the most.
        let literal = pattern.trim_start_matches('+');
        let Some(after) = skip_units(rest, pattern.len() - literal.len()) else { return false };
        if literal.is_empty() {
            return true;
        }
        let end = literal.find('+').unwrap_or(literal.len());
        let (literal, next) = literal.split_at(end);
        if next.is_empty() {
            return after.ends_with(literal);
        }
        let Some(at) = after.find(literal) else { return false };
        rest = &after[at + literal.len()..];
        pattern = next;
    }
}

/// Returns what is left after at least so many UTF-16 units; `None` if there are not as many.
fn skip_units(text: &str, mut units: usize) -> Option<&str> {
    let mut chars = text.chars();
    while units > 0 {
        units = units.saturating_sub(chars.next()?.len_utf16());
    }
    Some(chars.as_str())
}

impl std::str::FromStr for TopicFilter {
    type Err = TopicFilterError;

    fn from_str(pattern: &str) -> Result<Self, TopicFilterError> {
        Self::new(pattern)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicFilter({:?})", self.0)
    }
}
