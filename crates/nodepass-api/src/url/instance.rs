//! The URL of a server or client. §6.

use super::escape::decode;
use super::query::{self, pairs};
use super::text::{Form, Malformed, Text};
use super::{
    Builder, Effective, Inherited, Line, Pair, Parameter, Problem, Refused, Rules, TunnelKey, canonical,
    check, explain,
};
use crate::Release;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The URL of an instance, as it was given. Two of them are equal if their texts are; whether they say the same is seen
/// from their [`canonical`](Self::canonical) forms.
///
/// [`as_str`](Self::as_str) shows it whole, with the tunnel key. There is no `Display`, so that no log gets it by chance;
/// `Debug` and [`redacted`](Self::redacted) leave out key and parameters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstanceUrl {
    text: Text,
    role: Role,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these two")]
pub enum Role {
    /// It waits for its client.
    Server,
    /// It forwards by itself, or through a server.
    Client,
}

/// Why a text is no instance URL. A master answers by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// No URL: `Invalid URL format`.
    #[error("invalid URL format")]
    Format,
    /// A URL with another scheme, or none: `Invalid URL scheme`.
    #[error("invalid URL scheme")]
    Scheme,
}

/// The longest text, in bytes. Places in it and in its stored form, which may be three times as long, fit into 32 bits.
pub(super) const LIMIT: usize = 1 << 28;

impl InstanceUrl {
    /// Takes a text as a master does; whatever it holds stays. Time is linear in its length, and any length up to 256 MiB is
    /// taken: a lower limit is the caller's.
    ///
    /// ```
    /// use nodepass_api::url::{InstanceUrl, ParseError};
    ///
    /// assert!(InstanceUrl::parse("SERVER://:99999?nonsense").is_ok());
    /// assert_eq!(InstanceUrl::parse("127.0.0.1:1/x"), Err(ParseError::Format));
    /// assert_eq!(InstanceUrl::parse("http://127.0.0.1/"), Err(ParseError::Scheme));
    /// ```
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let text = parse_text(text)?;
        let role = match text.scheme() {
            "server" => Role::Server,
            "client" => Role::Client,
            other => Role::from_scheme(other).ok_or(ParseError::Scheme)?,
        };
        Ok(Self { text, role })
    }

    /// Starts a URL from nothing.
    pub fn builder(role: Role) -> Builder {
        Builder::new(role)
    }

    /// Returns a builder that has all of this URL, each part as it is spelled.
    pub fn to_builder(&self) -> Builder {
        Builder::of(self)
    }

    /// Returns the text, the tunnel key included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Returns what the process is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it has neither host nor target because no slash follows the scheme, as in `client:127.0.0.1:1/x`.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.text.form() == Form::Opaque
    }

    /// Returns the tunnel's key: what stands before the `@`, without a password, or what follows from the port.
    #[must_use]
    pub fn tunnel_key(&self) -> TunnelKey<'_> {
        let name = self.text.user().map(|user| user.split_once(':').map_or(user, |(name, _)| name));
        match name {
            None | Some("") => TunnelKey::of_port(self.port()),
            Some(name) => TunnelKey::given(decode(name)),
        }
    }

    /// Whether something stands behind the tunnel key, after a colon; it is ignored.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.text.user().is_some_and(|user| user.contains(':'))
    }

    /// Returns the tunnel's host without brackets, which may be empty. An address may lack the brackets that it needs.
    #[must_use]
    pub fn host(&self) -> Cow<'_, str> {
        self.text.decoded(self.text.bare_host())
    }

    /// Returns the digits of the tunnel's port: empty if there is none, and perhaps above 65535.
    #[must_use]
    pub fn port(&self) -> &str {
        self.text.port()
    }

    /// Returns host and port of the tunnel as one text, decoded: what [`Address::parse`](super::Address::parse) takes.
    #[must_use]
    pub fn tunnel_text(&self) -> Cow<'_, str> {
        self.text.decoded(self.text.host())
    }

    /// Returns the target or the list of them as one text, decoded: the path without its first slash.
    #[must_use]
    pub fn target_text(&self) -> Cow<'_, str> {
        if self.is_opaque() {
            return "".into();
        }
        // An escaped slash is one too once it is decoded.
        match self.text.decoded(self.text.path()) {
            Cow::Borrowed(text) => text.strip_prefix('/').unwrap_or(text).into(),
            Cow::Owned(mut text) => {
                if text.starts_with('/') {
                    text.remove(0);
                }
                text.into()
            }
        }
    }

    /// Returns the parameters in order, known or not, each as often as it is there. Masters and processes drop pairs with
    /// a semicolon or a broken escape, and so does this.
    pub fn parameters(&self) -> impl Iterator<Item = Pair<'_>> {
        pairs(self.raw_query().unwrap_or_default())
    }

    /// Returns the first value of a parameter, which may be empty.
    #[must_use]
    pub fn parameter(&self, name: impl AsRef<str>) -> Option<Cow<'_, str>> {
        self.parameters().find(|pair| pair.name() == name.as_ref()).map(|pair| pair.value())
    }

    /// Returns the parameters that no version knows, in order.
    pub fn unknown_parameters(&self) -> impl Iterator<Item = Pair<'_>> {
        self.parameters().filter(|pair| Parameter::from_name(&pair.name()).is_none())
    }

    /// Returns how many pairs are dropped for a semicolon or a broken escape.
    #[must_use]
    pub fn dropped_pairs(&self) -> usize {
        let pieces = query::pieces(self.raw_query().unwrap_or_default());
        pieces.filter(|piece| query::is_dropped(piece)).count()
    }

    /// Returns the form in which a master stores it as the instance's `url`. §6.
    ///
    /// The scheme is in lower case, parameters are sorted by name and written anew, and what the master hands down is
    /// added. This form of this form is itself.
    #[must_use]
    pub fn canonical(&self, inherited: &Inherited) -> String {
        canonical::stored(self, inherited)
    }

    /// Returns what a master shows as the instance's `config`: the stored form with every default spelled out. `None` for
    /// releases before 1.7.0, which have none, and for the Rust port, which leaves it empty. §6.
    #[must_use]
    pub fn config(&self, inherited: &Inherited, release: Release) -> Option<String> {
        canonical::config(self, inherited, release)
    }

    /// Returns the values that a process uses.
    ///
    /// # Errors
    /// [`Refused`] where the process ends itself over the URL. 1.6 and older never do.
    pub fn effective(&self, rules: Rules) -> Result<Effective<'_>, Refused> {
        Effective::of(self, rules)
    }

    /// Looks for everything that is not what somebody could have meant, in the order of the parts.
    ///
    /// # Errors
    /// All problems, at least one.
    pub fn check(&self, rules: Rules) -> Result<(), Vec<Problem>> {
        let problems = check::problems(self, rules);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Returns a line for each part and each parameter: its value, where that came from, and what it means. The tunnel key
    /// does not show.
    #[must_use]
    pub fn explain(&self, rules: Rules) -> Vec<Line> {
        explain::lines(self, rules)
    }

    /// Returns the URL for logs: without tunnel key, parameters and fragment.
    #[must_use]
    pub fn redacted(&self) -> impl fmt::Display + '_ {
        Redacted(&self.text)
    }

    pub(super) fn text(&self) -> &Text {
        &self.text
    }

    pub(super) fn raw_query(&self) -> Option<&str> {
        self.text.query()
    }
}

impl Role {
    /// Returns the scheme, which is also the instance's `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    fn from_scheme(scheme: &str) -> Option<Self> {
        [Self::Server, Self::Client].into_iter().find(|role| role.as_str().eq_ignore_ascii_case(scheme))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InstanceUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Debug for InstanceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceUrl({})", self.redacted())
    }
}

/// Takes a text that is not too long.
pub(super) fn parse_text(text: &str) -> Result<Text, ParseError> {
    if text.len() > LIMIT {
        return Err(ParseError::Format);
    }
    Text::parse(text).map_err(|Malformed| ParseError::Format)
}

/// A URL without what may be secret. A path with an `@` was perhaps meant to be an authority.
pub(super) struct Redacted<'a>(pub(super) &'a Text);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0;
        write!(f, "{}:", text.scheme())?;
        if text.form() == Form::Authority {
            write!(f, "//{}{}", if text.user().is_some() { "…@" } else { "" }, text.host())?;
        }
        let is_shown = text.form() != Form::Opaque && !decode(text.path()).contains(&b'@');
        f.write_str(if is_shown { text.path() } else { "…" })?;
        f.write_str(if text.query().is_some() { "?…" } else { "" })
    }
}
