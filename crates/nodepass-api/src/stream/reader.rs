//! From lines to items.

use super::item::{Item, Rejected, Rejection};
use super::lines::{Line, Lines};
use crate::wire::{DecodeError, InstanceEvent, quick};
use std::fmt;
use std::time::Duration;

/// Reads the body of an event stream, however it is cut. Each stream needs a new one.
///
/// It keeps the line that has not ended and the data of the frame that has not ended, each no longer than the limit. A
/// frame that goes beyond is dropped, and reading goes on behind the blank line that ends it. What has not ended with the
/// stream is no frame.
#[derive(Clone)]
pub struct EventReader {
    lines: Lines,
    frame: Frame,
}

impl EventReader {
    /// Begins a stream. `max_frame` limits, in bytes, each line, and the data of each frame.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        // Room for the mark at the beginning and for the last separator.
        let limit = max_frame.min(usize::MAX / 2);
        Self { lines: Lines::new(limit), frame: Frame { limit, ..Frame::default() } }
    }

    /// Takes bytes as they came, and gives away what they complete. Takes time in proportion to the bytes.
    pub fn read(&mut self, bytes: &[u8], mut take: impl FnMut(Item)) {
        let frame = &mut self.frame;
        self.lines.split(bytes, |line| frame.line(line, &mut take));
    }
}

/// What the lines since the last blank one have said.
#[derive(Clone, Default)]
struct Frame {
    limit: usize,
    /// The data, each line with an LF behind it.
    data: Vec<u8>,
    has_other_name: bool,
    is_too_long: bool,
    length: usize,
}

impl Frame {
    fn line(&mut self, line: Line<'_>, take: &mut impl FnMut(Item)) {
        let line = match line {
            Line::Whole([]) => return self.end(take),
            Line::Whole(line) => line,
            Line::TooLong(length) => {
                self.length = self.length.saturating_add(length);
                return self.drop_data();
            }
        };
        self.length = self.length.saturating_add(line.len());
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, b"".as_slice()),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"" => take(comment(value)),
            b"data" => self.push(value),
            b"event" => self.has_other_name = !matches!(value, b"instance" | b""),
            b"retry" => take_retry(value, take),
            _ => {}
        }
    }

    fn push(&mut self, value: &[u8]) {
        if self.is_too_long || self.data.len() + value.len() > self.limit {
            return self.drop_data();
        }
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
    }

    fn drop_data(&mut self) {
        self.is_too_long = true;
        self.data.clear();
    }

    fn end(&mut self, take: &mut impl FnMut(Item)) {
        let reject = |reason| Item::Rejected(Rejected { reason, length: self.length });
        if self.is_too_long {
            take(reject(Rejection::TooLong));
        } else if let [data @ .., b'\n'] = &self.data[..] {
            take(match self.has_other_name {
                true => reject(Rejection::UnknownName),
                false => match decode(data) {
                    Ok(event) => Item::Event(event),
                    Err(error) => reject(Rejection::Undecodable(error)),
                },
            });
        }
        self.data.clear();
        (self.has_other_name, self.is_too_long, self.length) = (false, false, 0);
    }
}

fn decode(data: &[u8]) -> Result<InstanceEvent, DecodeError> {
    // The check alone is much faster than the replacement.
    let text = str::from_utf8(data).map_or_else(|_| String::from_utf8_lossy(data), Into::into);
    if let Some(event) = quick::read(&text) {
        return Ok(event);
    }
    serde_json::from_str(&text).map_err(|error| DecodeError::at(&error, text.as_bytes()))
}

fn comment(text: &[u8]) -> Item {
    match text.strip_prefix(b"lost ").and_then(number) {
        Some(count) => Item::Lost(count),
        None => Item::Comment,
    }
}

fn take_retry(value: &[u8], take: &mut impl FnMut(Item)) {
    if let Some(milliseconds) = number(value) {
        take(Item::Retry(Duration::from_millis(milliseconds)));
    }
}

/// Digits and nothing else; a number that is too large is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    is_number.then(|| digits.iter().fold(0, add))
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventReader({} bytes of data)", self.frame.data.len())
    }
}
