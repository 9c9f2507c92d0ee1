//! Frames of HTTP/2, good and bad ones.

/// What a client says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// How long the head of a frame is.
const HEAD: usize = 9;

/// Returns a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&head(payload.len() as u32, kind, flags, stream), payload].concat()
}

/// Returns the head of a frame, whatever follows.
pub(crate) fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

/// Returns settings, and says that those of the peer are known, so that they hold.
pub(crate) fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let one = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let payload: Vec<u8> = settings.iter().flat_map(one).collect();
    [frame(SETTINGS, 0, 0, &payload), frame(SETTINGS, ACK, 0, &[])].concat()
}

/// Returns a header that no table keeps.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0], &text(name)[..], &text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    let mut written = Vec::new();
    number(&mut written, 0x7f, text.len());
    written.extend(text.as_bytes());
    written
}

/// Writes a number after a prefix of so many bits, all of which are free.
fn number(written: &mut Vec<u8>, prefix: u8, value: usize) {
    if value < usize::from(prefix) {
        return written.push(value as u8);
    }
    written.push(prefix);
    let mut rest = value - usize::from(prefix);
    while rest >= 128 {
        written.push(rest as u8 | 128);
        rest /= 128;
    }
    written.push(rest as u8);
}

/// Whether the program has refused a call or a connection: it answered with no more than a head, reset the stream, or told an
/// error. `None` as long as it has said nothing of that kind.
pub(crate) fn refuses(heard: &[u8]) -> Option<bool> {
    frames(heard).find_map(|(kind, flags, payload)| match kind {
        HEADERS => Some(flags & END_STREAM != 0),
        RST_STREAM => Some(true),
        GOAWAY if payload.get(4..8).is_some_and(|error| error != [0; 4]) => Some(true),
        _ => None,
    })
}

/// Returns where the head of the first call ends that a client has made.
pub(crate) fn end_of_first_head(heard: &[u8]) -> Option<usize> {
    let mut end = PREFACE.len();
    for (kind, _, payload) in frames(&heard[end..]) {
        end += HEAD + payload.len();
        if kind == HEADERS {
            return Some(end);
        }
    }
    None
}

/// Returns kind, flags and payload of all whole frames.
fn frames(mut heard: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let head = heard.get(..HEAD)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = heard.get(HEAD..HEAD + length)?;
        heard = &heard[HEAD + length..];
        Some((head[3], head[4], payload))
    })
}
