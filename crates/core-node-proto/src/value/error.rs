//! What can be wrong with a value.

/// What is wrong with a value. It never repeats the value, which may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A value that is needed is absent or null.
    #[error("is missing")]
    Missing,
    /// The text is not JSON, or not UTF-8.
    #[error("is not JSON")]
    NotJson,
    /// The bytes are no protobuf message of this kind.
    #[error("is not a protobuf message of its kind")]
    NotProtobuf,
    /// The call does not travel this way.
    #[error("does not travel this way")]
    OtherTransport,
    /// JSON nests deeper than so many levels.
    #[error("nests deeper than {0} levels")]
    TooDeep(usize),
    /// Something other than a JSON object.
    #[error("is not an object")]
    NotAnObject,
    /// Something other than a list.
    #[error("is not a list")]
    NotAList,
    /// Something other than a text.
    #[error("is not a text")]
    NotAText,
    /// Something other than true or false.
    #[error("is neither true nor false")]
    NotABoolean,
    /// Something other than a number.
    #[error("is not a number")]
    NotANumber,
    /// A number with a fraction, or an infinite one, where only whole ones are possible.
    #[error("is not a whole number")]
    NotWhole,
    /// A number that is infinite or not a number.
    #[error("is not a finite number")]
    NotFinite,
    /// A number outside of its range.
    #[error("is not from {least} to {most}")]
    OutOfRange {
        /// The least number that is possible.
        least: u64,
        /// The greatest number that is possible.
        most: u64,
    },
    /// A text that is too short or too long.
    #[error("does not have {least} to {most} characters")]
    WrongLength {
        /// The least number of characters.
        least: usize,
        /// The greatest number of characters.
        most: usize,
    },
    /// A text that is no instant by the rules of [`Timestamp`](super::Timestamp).
    #[error("is not an ISO 8601 instant with a zone")]
    NotATimestamp,
    /// A text that is no id: a digit that is not 0, then at most nine more.
    #[error("is not a decimal id")]
    NotAnId,
    /// A text that is no IP address.
    #[error("is not an IP address")]
    NotAnAddress,
    /// A key with characters that a key cannot have.
    #[error("has characters other than printable ASCII without spaces")]
    NotAKey,
    /// A text that is no digest: 64 hexadecimal digits.
    #[error("is not a digest")]
    NotADigest,
    /// A text of an open enumeration where only known ones are taken.
    #[error("is not one of the known texts")]
    UnknownText,
}

impl ValueError {
    /// Checks that a text has `least` to `most` characters, in time that does not grow with longer ones.
    pub(crate) fn check_length(text: &str, least: usize, most: usize) -> Result<(), Self> {
        let count = text.chars().take(most.saturating_add(1)).count();
        if (least..=most).contains(&count) { Ok(()) } else { Err(Self::WrongLength { least, most }) }
    }
}
