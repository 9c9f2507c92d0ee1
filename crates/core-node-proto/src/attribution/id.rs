//! The range of ids, and their decimal text.

use crate::value::LsId;

/// The largest id, 2³¹-1 (§6.1). The smallest is 1.
pub const MAX_ID: u32 = LsId::MAX.get();

/// An id is 0 or above [`MAX_ID`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is none of 1..={MAX_ID}")]
#[non_exhaustive]
pub struct IdOutOfRange;

pub(crate) fn check(id: u32) -> Result<u32, IdOutOfRange> {
    LsId::new(id.into()).map(LsId::get).map_err(|_| IdOutOfRange)
}

/// Reads an id in its only spelling: a digit that is not 0, then at most nine more.
pub(crate) fn read(text: &str) -> Option<u32> {
    let spelled =
        text.len() <= 10 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = spelled.then(|| text.parse().ok())??;
    check(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(read("1"), Some(1));
        assert_eq!(read("2147483647"), Some(MAX_ID));
        for text in
            ["", "0", "01", "+1", "-1", " 1", "1 ", "1.0", "1e1", "2147483648", "9999999999", "00000000001"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
