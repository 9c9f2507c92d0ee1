//! From bytes to lines.

use memchr::memchr2;

/// Splits bytes into lines at LF, CR or CRLF, however they are cut. Lines that come in one piece are not copied.
pub(super) struct Lines {
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// The most bytes of a line that are kept.
    limit: usize,
    /// Bytes of the begun line beyond the limit.
    beyond: usize,
    /// Whether an LF that comes next belongs to the CR before it.
    after_cr: bool,
    /// Whether a line has ended yet.
    is_first: bool,
}

/// A line without its end.
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// One that is longer than the limit, with its length.
    TooLong(usize),
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { begun: Vec::new(), limit, beyond: 0, after_cr: false, is_first: true }
    }

    pub(super) fn split(&mut self, mut bytes: &[u8], mut take: impl FnMut(Line<'_>)) {
        loop {
            if self.after_cr && !bytes.is_empty() {
                self.after_cr = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else { return self.begin(bytes) };
            self.after_cr = bytes[end] == b'\r';
            self.end(&bytes[..end], &mut take);
            bytes = &bytes[end + 1..];
        }
    }

    fn begin(&mut self, piece: &[u8]) {
        // A mark at the very beginning does not count.
        let limit = self.limit + if self.is_first { BYTE_ORDER_MARK.len() } else { 0 };
        let kept = piece.len().min(limit - self.begun.len());
        self.begun.extend_from_slice(&piece[..kept]);
        self.beyond = self.beyond.saturating_add(piece.len() - kept);
    }

    fn end(&mut self, piece: &[u8], take: &mut impl FnMut(Line<'_>)) {
        let mut line = piece;
        if !self.begun.is_empty() {
            self.begin(piece);
            line = &self.begun;
        }
        if std::mem::take(&mut self.is_first) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let length = line.len().saturating_add(self.beyond);
        take(if length > self.limit { Line::TooLong(length) } else { Line::Whole(line) });
        self.begun.clear();
        self.beyond = 0;
    }
}
