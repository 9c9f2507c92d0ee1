//! Which field of a message is wrong, and how.

use crate::value::ValueError;

/// A field that breaks a rule. It names the field by its JSON path, as in `entries[3].bytesUp`, and never repeats
/// what the field held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {error}", subject(.path))]
pub struct FieldError {
    path: Box<str>,
    error: ValueError,
}

impl FieldError {
    /// Returns the error of the field of that name.
    #[must_use]
    pub fn new(field: &str, error: ValueError) -> Self {
        Self { path: field.into(), error }
    }

    /// Returns the error of a message as a whole.
    #[must_use]
    pub fn of_message(error: ValueError) -> Self {
        Self::new("", error)
    }

    /// Returns the same error as seen from the object that has this one in a field.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{field}{separator}{}", self.path).into(), ..self }
    }

    /// Returns the same error as seen from the object that has this one in a list, at that index from 0.
    #[must_use]
    pub fn in_item(self, list: &str, index: usize) -> Self {
        self.within(&format!("{list}[{index}]"))
    }

    /// Returns the path of the field; empty for the message as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what is wrong with it.
    #[must_use]
    pub const fn error(&self) -> ValueError {
        self.error
    }
}

fn subject(path: &str) -> &str {
    if path.is_empty() { "the message" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_grows_outwards() {
        let error = FieldError::new("bytesUp", ValueError::NotWhole).in_item("entries", 3);
        assert_eq!(error.to_string(), "entries[3].bytesUp is not a whole number");
        let error = FieldError::of_message(ValueError::NotAnObject);
        assert_eq!(error.to_string(), "the message is not an object");
        assert_eq!(error.in_item("events", 0).path(), "events[0]");
    }
}
