//! What an auth key may be. §2.6.

use super::ValueError;
use crate::Secret;

/// The greatest length of an auth key in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Checks the rule of auth keys: 1 to 1024 characters of printable ASCII without spaces. An agent stores no other key.
pub(crate) fn check_auth_key(key: &Secret) -> Result<(), ValueError> {
    let key = key.expose().as_bytes();
    if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
        Err(ValueError::WrongLength { least: 1, most: MAX_KEY_BYTES })
    } else if key.iter().all(u8::is_ascii_graphic) {
        Ok(())
    } else {
        Err(ValueError::NotAKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: impl Into<Box<str>>) -> Result<(), ValueError> {
        check_auth_key(&Secret::new(key))
    }

    #[test]
    fn a_key_is_1_to_1024_bytes_of_printable_ascii() {
        assert_eq!(check("!~aZ09"), Ok(()));
        assert_eq!(check("k".repeat(1024)), Ok(()));
        let length = Err(ValueError::WrongLength { least: 1, most: 1024 });
        assert_eq!((check(""), check("k".repeat(1025))), (length, length));
        for key in ["a b", "a\n", "\u{7f}", "kéy", "a\u{0}"] {
            assert_eq!(check(key), Err(ValueError::NotAKey), "{key:?}");
        }
    }
}
