//! Cutting a stream of bytes into lines.

use super::Violation;

/// The longest line of the original: 524 288 bytes, without its line feed and before trimming.
pub const LINE_LIMIT: usize = 524_288;

/// Cuts what a peer sends into lines, however it was cut on its way.
///
/// A line that arrives whole is handed out where it stands; only unfinished ones are copied, each byte once. The
/// search for the end never looks at a byte twice.
///
/// ```
/// use teeth_proto::wire::{LINE_LIMIT, LineBuffer};
///
/// let mut buffer = LineBuffer::new(LINE_LIMIT);
/// let mut input = b"one\r\ntw".as_slice();
/// assert_eq!(buffer.next_line(&mut input), Some(Ok(b"one\r".as_slice())));
/// assert_eq!(buffer.next_line(&mut input), None);
/// let mut input = b"o\n".as_slice();
/// assert_eq!(buffer.next_line(&mut input), Some(Ok(b"two".as_slice())));
/// ```
#[derive(Clone)]
pub struct LineBuffer {
    limit: usize,
    partial: Vec<u8>,
    /// `partial` was handed out as a line and is to be emptied.
    taken: bool,
}

/// A line, finished or not, is longer than the limit. Nothing after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than the limit")]
#[non_exhaustive]
pub struct LineTooLong;

impl LineBuffer {
    /// Starts with nothing buffered. `limit` counts bytes without the line feed, before trimming.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), taken: false }
    }

    /// Takes the next line off the front of `input`, without its line feed; `None` once all of it is buffered.
    ///
    /// # Errors
    /// [`LineTooLong`] as soon as more bytes than the limit are there without a line feed. What was buffered and
    /// the rest of `input` are dropped.
    pub fn next_line<'line, 'input: 'line>(
        &'line mut self,
        input: &mut &'input [u8],
    ) -> Option<Result<&'line [u8], LineTooLong>> {
        if std::mem::take(&mut self.taken) {
            // Not `clear`: a session that is idle after a long line shall not keep its memory.
            self.partial = Vec::new();
        }
        if input.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', input);
        if self.partial.len() + end.unwrap_or(input.len()) > self.limit {
            self.partial = Vec::new();
            *input = &[];
            return Some(Err(LineTooLong));
        }
        let Some(end) = end else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return None;
        };
        let line = &input[..end];
        *input = &input[end + 1..];
        if self.partial.is_empty() {
            return Some(Ok(line));
        }
        self.partial.extend_from_slice(line);
        self.taken = true;
        Some(Ok(&self.partial))
    }

    /// Returns how many bytes of an unfinished line are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        if self.taken { 0 } else { self.partial.len() }
    }
}

impl std::fmt::Debug for LineBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineBuffer").field("limit", &self.limit).field("buffered", &self.buffered()).finish()
    }
}

impl From<LineTooLong> for Violation {
    fn from(_: LineTooLong) -> Self {
        Self::LineTooLong
    }
}

/// Takes off both ends what the original takes off: space, tab, carriage return, vertical tab, form feed.
#[must_use]
pub fn trim(line: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C);
    let Some(start) = line.iter().position(|byte| !is_padding(byte)) else { return &[] };
    let end = line.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}
