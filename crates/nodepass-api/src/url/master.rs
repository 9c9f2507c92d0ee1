//! The URL of a master. §6.

use super::instance::{ParseError, Redacted, parse_text};
use super::query::{Pair, pairs};
use super::text::{Form, Text};
use super::{Address, AddressError, Inherited, TlsMode};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The URL that a master is started with: `master://[host]:port[/prefix]?log=…&tls=…&crt=…&key=…`.
///
/// ```
/// use nodepass_api::url::{MasterUrl, TlsMode};
///
/// let url = MasterUrl::parse("master://0.0.0.0:9090/admin?log=info&tls=1")?;
/// assert_eq!((url.prefix(), url.base_path()), ("/admin".into(), "/admin/v1".to_owned()));
/// assert_eq!((&*url.log(), url.tls()), ("info", TlsMode::SelfSigned));
/// assert_eq!(MasterUrl::parse("master://:9090")?.base_path(), "/api/v1");
/// # Ok::<(), nodepass_api::url::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MasterUrl(Text);

impl MasterUrl {
    /// Takes a text of the same grammar as [`InstanceUrl::parse`](super::InstanceUrl::parse). Whether something can listen
    /// there is what [`check_address`](Self::check_address) tells.
    ///
    /// # Errors
    /// [`ParseError`]; the format is wrong also without `//`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let text = parse_text(text)?;
        if !text.scheme().eq_ignore_ascii_case("master") {
            return Err(ParseError::Scheme);
        }
        if text.form() != Form::Authority {
            return Err(ParseError::Format);
        }
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the host without brackets, which may be empty: the `name` in `/info`.
    #[must_use]
    pub fn host(&self) -> Cow<'_, str> {
        self.0.decoded(self.0.bare_host())
    }

    /// Returns the digits of the port, empty if there is none.
    #[must_use]
    pub fn port(&self) -> &str {
        self.0.port()
    }

    /// Returns host and port as one text, decoded: what [`Address::parse`] takes.
    #[must_use]
    pub fn address_text(&self) -> Cow<'_, str> {
        self.0.decoded(self.0.host())
    }

    /// Checks where the master listens: a port is required.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn check_address(&self) -> Result<(), AddressError> {
        Address::parse(&self.address_text()).map(drop)
    }

    /// Returns the prefix of the API's paths without slashes at its end; `/api` where it would be empty.
    #[must_use]
    pub fn prefix(&self) -> Cow<'_, str> {
        let trimmed = match self.0.decoded(self.0.path()) {
            Cow::Borrowed(path) => Cow::Borrowed(path.trim_end_matches('/')),
            Cow::Owned(path) => path.trim_end_matches('/').to_owned().into(),
        };
        if trimmed.is_empty() { "/api".into() } else { trimmed }
    }

    /// Returns the path below which the original masters serve the API: the prefix and `/v1`. §1.
    #[must_use]
    pub fn base_path(&self) -> String {
        format!("{}/v1", self.prefix())
    }

    /// Returns `log` as it is given, empty if it is not: that is what `/info` shows.
    #[must_use]
    pub fn log(&self) -> Cow<'_, str> {
        self.parameter("log")
    }

    /// Returns how the API is to be encrypted: anything but `1` and `2` is [`TlsMode::Off`]. A master that cannot read its
    /// files does as for `1`.
    #[must_use]
    pub fn tls(&self) -> TlsMode {
        TlsMode::from_code(&self.parameter("tls")).unwrap_or_default()
    }

    /// Returns the certificate's file, empty if none is given.
    #[must_use]
    pub fn crt(&self) -> Cow<'_, str> {
        self.parameter("crt")
    }

    /// Returns the file of the certificate's key, empty if none is given.
    #[must_use]
    pub fn key(&self) -> Cow<'_, str> {
        self.parameter("key")
    }

    /// Returns all parameters in order.
    pub fn parameters(&self) -> impl Iterator<Item = Pair<'_>> {
        pairs(self.0.query().unwrap_or_default())
    }

    /// Returns what instances get from this master. A master whose files could not be read sets `tls` to
    /// [`TlsMode::SelfSigned`].
    #[must_use]
    pub fn inherited(&self) -> Inherited {
        Inherited { log: self.log().into(), tls: self.tls(), crt: self.crt().into(), key: self.key().into() }
    }

    fn parameter(&self, name: &str) -> Cow<'_, str> {
        self.parameters().find(|pair| pair.name() == name).map(|pair| pair.value()).unwrap_or_default()
    }
}

impl FromStr for MasterUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Debug for MasterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterUrl({})", Redacted(&self.0))
    }
}
