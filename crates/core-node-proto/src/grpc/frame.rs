//! The frame around a message in the body of a gRPC call. §5.

use bytes::{BufMut, Bytes, BytesMut};

/// One byte that says whether the message is compressed, four for its length, the greatest first.
const HEAD: usize = 5;

/// A body is not one message without compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It ends before the message does.
    #[error("ends early")]
    Truncated,
    /// Something follows the message.
    #[error("holds more than one message")]
    Trailing,
    /// The message is compressed, which nobody asked for.
    #[error("is compressed")]
    Compressed,
    /// The message is longer than the limit.
    #[error("is longer than the limit")]
    TooLarge,
}

/// Returns the body of a call that carries one message.
///
/// ```
/// use core_node_proto::grpc::{frame, unframe};
///
/// let body = frame(b"\x08\x01");
/// assert_eq!(&body[..], b"\0\0\0\0\x02\x08\x01");
/// assert_eq!(unframe(body, 100).as_deref(), Ok(&b"\x08\x01"[..]));
/// ```
///
/// # Panics
/// If the message has 4 GiB or more, which no call makes.
#[must_use]
pub fn frame(message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(HEAD + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("messages are shorter than 4 GiB"));
    body.put_slice(message);
    body.freeze()
}

/// Returns the only message in a body, without a copy.
///
/// # Errors
/// [`FrameError`]; a length above `limit` is told from the head alone.
pub fn unframe(mut body: Bytes, limit: usize) -> Result<Bytes, FrameError> {
    let head: [u8; HEAD] =
        body.get(..HEAD).and_then(|head| head.try_into().ok()).ok_or(FrameError::Truncated)?;
    let [flag, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if flag != 0 {
        return Err(FrameError::Compressed);
    }
    if length > limit {
        return Err(FrameError::TooLarge);
    }
    let message = body.split_off(HEAD);
    match message.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(FrameError::Truncated),
        std::cmp::Ordering::Equal => Ok(message),
        std::cmp::Ordering::Greater => Err(FrameError::Trailing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static [u8]) -> Result<Bytes, FrameError> {
        unframe(Bytes::from_static(body), 3)
    }

    #[test]
    fn a_body_is_one_message_without_compression() {
        assert_eq!(read(b"\0\0\0\0\x03abc").as_deref(), Ok(&b"abc"[..]));
        assert_eq!(read(b"\0\0\0\0\0").as_deref(), Ok(&b""[..]));
        for body in [b"".as_slice(), b"\0\0\0\0", b"\0\0\0\0\x03ab"] {
            assert_eq!(read(body), Err(FrameError::Truncated), "{body:?}");
        }
        assert_eq!(read(b"\0\0\0\0\x03abcd"), Err(FrameError::Trailing));
        assert_eq!(read(b"\x01\0\0\0\x03abc"), Err(FrameError::Compressed));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_from_the_head() {
        assert_eq!(read(b"\0\0\0\0\x04"), Err(FrameError::TooLarge));
        assert_eq!(read(b"\0\xff\xff\xff\xff"), Err(FrameError::TooLarge));
    }
}
