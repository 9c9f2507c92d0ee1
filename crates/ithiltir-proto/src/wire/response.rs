//! What a Dash answers. §1, §3.

use super::json::{Problem, explain};
use super::{DecodeError, message};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// How many bytes of a metrics answer are looked at.
pub const RESPONSE_LIMIT: usize = 1_048_576;

/// The answer to a metrics report.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MetricsResponse {
    /// Always true from a Dash; a node does not look at it.
    pub ok: bool,
    /// The release that the node should install.
    pub update: Option<Manifest>,
}

/// An update manifest: a release and where to get it. Not validated yet.
#[derive(Clone, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Manifest {
    /// Name of the release; the original sends the version. Never validated.
    pub id: String,
    /// Version of the release, which names its directory.
    pub version: String,
    /// Where to download it: absolute, `http` or `https`. May carry a token in its query.
    pub url: String,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
    /// Size of the file in bytes, above 0.
    pub size: i64,
}

/// The answer to an identity request.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct IdentityResponse {
    /// Names the Dash's installation; not blank, trimmed.
    pub install_id: String,
    /// Whether this request made the Dash create it.
    pub created: bool,
}

message! {
    /// The body of every refusal.
    pub struct ErrorBody {
        /// For programs, as in `invalid_metrics`.
        pub code: String,
        /// For people; never says any detail.
        pub message: String,
    }
}

/// Why a 200 answer holds no update decision. The report counts as delivered all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredResponse {
    /// The media type is not `application/json`.
    #[error("the media type is not application/json")]
    MediaType,
    /// The body is empty or the text `ok`.
    #[error("the body holds no document")]
    Empty,
    /// The body is not the document it should be.
    #[error(transparent)]
    Undecodable(DecodeError),
}

impl MetricsResponse {
    /// Reads the answer to a metrics report whose status was 200, looking at no more than `limit` bytes
    /// ([`RESPONSE_LIMIT`] in the original).
    ///
    /// As lenient as the original: `null` anywhere, unknown members, and repeated members, of which the last one
    /// wins while a repeated `update` adds to the one before. Member names are exact.
    ///
    /// # Errors
    /// See [`IgnoredResponse`]; nothing of a wrong document is used.
    pub fn decode(content_type: Option<&str>, body: &[u8], limit: usize) -> Result<Self, IgnoredResponse> {
        if !content_type.is_some_and(is_json_media_type) {
            return Err(IgnoredResponse::MediaType);
        }
        let body = &body[..body.len().min(limit)];
        let text = std::str::from_utf8(body).map_err(|error| {
            IgnoredResponse::Undecodable(DecodeError::Utf8 { offset: error.valid_up_to() })
        })?;
        if matches!(text.trim(), "" | "ok") {
            return Err(IgnoredResponse::Empty);
        }
        let response = serde_json::from_str::<Option<Self>>(text)
            .map_err(|error| IgnoredResponse::Undecodable(explain::<Option<Self>>(text, &error)))?;
        Ok(response.unwrap_or_default())
    }
}

impl IdentityResponse {
    /// Reads the answer to an identity request whose status was 200: the first JSON value counts, whatever follows
    /// it, and whatever the media type.
    ///
    /// # Errors
    /// See [`DecodeError`]; a blank or missing `install_id` is a [`DecodeError::Value`] there.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            // What follows the first value may be anything.
            Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(),
        };
        let mut response = Self::deserialize(&mut serde_json::Deserializer::from_str(text))
            .map_err(|error| explain::<Self>(text, &error))?;
        let trimmed = response.install_id.trim();
        if trimmed.is_empty() {
            return Err(DecodeError::Value {
                path: "install_id".into(),
                line: 1,
                column: 1,
                problem: Problem::WrongForm,
            });
        }
        if trimmed.len() != response.install_id.len() {
            response.install_id = trimmed.to_owned();
        }
        Ok(response)
    }
}

/// Whether a `Content-Type` value names `application/json`, in any case and with well-formed parameters.
///
/// A list of values, a malformed or repeated parameter, and anything else that is no media type says no.
#[must_use]
pub fn is_json_media_type(value: &str) -> bool {
    let (media_type, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return false;
    }
    let mut names: Vec<String> = Vec::new();
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        let Some((name, after)) = parameter(rest) else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        if names.contains(&name) || names.len() == 16 {
            return false;
        }
        names.push(name);
        let after = after.trim_start();
        rest = match after.strip_prefix(';') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => "",
            None => return false,
        };
    }
    true
}

/// Splits a parameter off: `name=token` or `name="quoted"`.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, after) = token(text)?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        return token(value).map(|(_, rest)| (name, rest));
    };
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((name, &quoted[at + 1..])),
            _ => {}
        }
    }
    None
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A value that takes what a document says and keeps what it has where the document says `null`.
trait Absorb {
    fn absorb<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error>;
}

struct Into<'a, T>(&'a mut T);

impl<'de, T: Absorb> DeserializeSeed<'de> for Into<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.absorb(deserializer)
    }
}

macro_rules! absorb_scalar {
    ($($type:ty)*) => {$(
        impl Absorb for $type {
            fn absorb<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                if let Some(value) = Option::deserialize(deserializer)? {
                    *self = value;
                }
                Ok(())
            }
        }
    )*};
}
absorb_scalar!(String bool i64);

macro_rules! absorb_object {
    ($name:ident: $($member:ident)*) => {
        impl Absorb for $name {
            fn absorb<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                struct Members<'a>(&'a mut $name);
                impl<'de> Visitor<'de> for Members<'_> {
                    type Value = ();
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                        while let Some(name) = map.next_key::<String>()? {
                            match name.as_str() {
                                $(stringify!($member) => map.next_value_seed(Into(&mut self.0.$member))?,)*
                                _ => drop(map.next_value::<IgnoredAny>()?),
                            }
                        }
                        Ok(())
                    }
                }
                deserializer.deserialize_map(Members(self))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut value = Self::default();
                value.absorb(deserializer)?;
                Ok(value)
            }
        }
    };
}
absorb_object!(MetricsResponse: ok update);
absorb_object!(Manifest: id version url sha256 size);
absorb_object!(IdentityResponse: install_id created);

impl Absorb for Option<Manifest> {
    fn absorb<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        struct Update<'a>(&'a mut Option<Manifest>);
        impl<'de> Visitor<'de> for Update<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an update manifest or null")
            }
            fn visit_none<E>(self) -> Result<(), E> {
                *self.0 = None;
                Ok(())
            }
            fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
                self.visit_none()
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                self.0.get_or_insert_default().absorb(deserializer)
            }
        }
        deserializer.deserialize_option(Update(self))
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("url", &redact_url(&self.url))
            .field("sha256", &self.sha256)
            .field("size", &self.size)
            .finish()
    }
}

/// Returns a URL without the parts that may hold a secret: its user information, query and fragment.
pub(crate) fn redact_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (start, cut) = (&url[..end], end < url.len());
    let shown = match start.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '@']) => {
            let authority = rest.find('/').unwrap_or(rest.len());
            let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        // No URL of the usual form: what stands before an @ may be anything.
        _ => start.rsplit('@').next().unwrap_or_default().to_owned(),
    };
    if cut { shown + "?…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_follow_the_original() {
        for yes in [
            "application/json",
            "Application/JSON",
            " application/json ; charset=utf-8",
            "application/json;",
            "application/json; a=\"x;\\\"y\"; b=1",
        ] {
            assert!(is_json_media_type(yes), "{yes}");
        }
        for no in [
            "",
            "application/problem+json",
            "application/json, text/html",
            "application/json; charset",
            "application/json; a=1; A=2",
            "application/json; a=\"open",
            "application/json; =1",
        ] {
            assert!(!is_json_media_type(no), "{no}");
        }
    }

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        assert_eq!(redact_url("http://u:p@h/x?upgrade_token=t#f"), "http://h/x?…");
        assert_eq!(redact_url("http://h/a@b"), "http://h/a@b");
        assert_eq!(redact_url("nonsense"), "nonsense");
        for url in [
            "user:hunter2@h/x",
            "http:user:hunter2@h",
            "http:/u:hunter2@h//x",
            "//u:hunter2@h/x",
            "u:hunter2@h://x",
        ] {
            assert!(!redact_url(url).contains("hunter2"), "{url}");
        }
    }
}
