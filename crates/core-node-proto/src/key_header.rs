//! The key beside a message. §2.2 to §2.7.

use crate::Secret;
use crate::call::Credential;
use crate::value::check_auth_key;
use http::{HeaderMap, HeaderValue};

/// The name of the HTTP header and of the gRPC metadata that carry a node's key.
pub const KEY_HEADER: &str = "x-node-auth-key";

/// Returns the value that carries a key, marked as sensitive; `None` for what is no key.
pub(crate) fn write(key: &Secret) -> Option<HeaderValue> {
    check_auth_key(key).ok()?;
    let mut value = HeaderValue::from_str(key.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the key among headers or metadata.
pub(crate) fn read(headers: &HeaderMap) -> Credential {
    let mut values = headers.get_all(KEY_HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Credential::Absent,
        (Some(value), None) if value.is_empty() => Credential::Absent,
        (Some(value), None) => {
            let key = value.to_str().ok().map(Secret::new).filter(|key| check_auth_key(key).is_ok());
            key.map_or(Credential::Unusable, Credential::Key)
        }
        (Some(_), Some(_)) => Credential::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(values: &[&'static [u8]]) -> Credential {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY_HEADER, HeaderValue::from_bytes(value).expect("a header's value"));
        }
        read(&headers)
    }

    #[test]
    fn a_single_key_counts_and_an_empty_one_is_absent() {
        assert_eq!(credential(&[]), Credential::Absent);
        assert_eq!(credential(&[b""]), Credential::Absent);
        assert_eq!(credential(&[b"k3y"]), Credential::Key(Secret::new("k3y")));
    }

    #[test]
    fn two_keys_are_unusable_even_if_they_are_equal_or_joined() {
        for values in [&[b"k".as_slice(), b"k"] as &[&[u8]], &[b"", b"k"], &[b"k", b""], &[b"k, k"]] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY_HEADER, HeaderValue::from_bytes(value).expect("a header's value"));
            }
            assert_eq!(read(&headers), Credential::Unusable);
        }
    }

    #[test]
    fn bytes_that_no_key_has_are_unusable() {
        assert_eq!(credential(&[b"k\xe9y"]), Credential::Unusable);
        assert_eq!(credential(&[&[b'k'; 1025]]), Credential::Unusable);
    }

    #[test]
    fn a_key_is_written_as_sensitive_and_nothing_else_is() {
        let value = write(&Secret::new("k3y")).expect("a key");
        assert!(value.is_sensitive() && value == "k3y");
        for other in ["", "a b", "k\u{e9}y", "a\r\nb"] {
            assert_eq!(write(&Secret::new(other)), None, "{other:?}");
        }
    }
}
