//! Making and changing instance URLs.

use super::escape::Place;
use super::instance::LIMIT;
use super::query::{Pair, is_dropped, pairs, pieces};
use super::text::Form;
use super::{Address, AddressError, InstanceUrl, Role};
use std::fmt::{self, Write as _};

/// Parts of an instance URL, each put where it belongs and escaped as it has to be. What is not touched keeps its spelling.
///
/// ```
/// use nodepass_api::url::{InstanceUrl, Parameter, Role};
///
/// let url = InstanceUrl::builder(Role::Server)
///     .tunnel_key("p@ss/word")
///     .tunnel("::1", 8080)
///     .target("localhost", 3000)
///     .set(Parameter::Read, "30s")
///     .set("note", "a & b")
///     .build()?;
/// assert_eq!(url.as_str(), "server://p%40ss%2Fword@[::1]:8080/localhost:3000?read=30s&note=a+%26+b");
///
/// let changed = url.to_builder().set(Parameter::Read, "1h").remove("note").build()?;
/// assert_eq!(changed.as_str(), "server://p%40ss%2Fword@[::1]:8080/localhost:3000?read=1h");
/// # Ok::<(), nodepass_api::url::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is made before `build`"]
pub struct Builder {
    scheme: String,
    form: Form,
    user: Option<String>,
    host: String,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
    error: Option<BuildError>,
}

/// Why no URL can be made of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The host of the tunnel is none.
    #[error("the tunnel address cannot be used: {0}")]
    Tunnel(AddressError),
    /// The host of a target is none.
    #[error("a target cannot be used: {0}")]
    Target(AddressError),
    /// More than 256 MiB.
    #[error("the URL is too long")]
    TooLong,
}

impl Builder {
    pub(super) fn new(role: Role) -> Self {
        Self {
            scheme: role.as_str().to_owned(),
            form: Form::Authority,
            user: None,
            host: String::new(),
            path: String::new(),
            query: None,
            fragment: None,
            error: None,
        }
    }

    pub(super) fn of(url: &InstanceUrl) -> Self {
        let text = url.text();
        Self {
            scheme: text.scheme().to_owned(),
            form: text.form(),
            user: text.user().map(Into::into),
            host: text.host().to_owned(),
            path: text.path().to_owned(),
            query: text.query().map(Into::into),
            fragment: text.fragment().map(Into::into),
            error: None,
        }
    }

    /// Sets the tunnel's key, and drops an ignored password. The empty key is none: it then follows from the port.
    pub fn tunnel_key(mut self, key: &str) -> Self {
        self.needs_authority();
        self.user = None;
        if !key.is_empty() {
            Place::User.encode(key.as_bytes(), self.user.insert(String::new()));
        }
        self
    }

    /// Sets the tunnel's host, without brackets and perhaps empty, and its port.
    pub fn tunnel(mut self, host: &str, port: u16) -> Self {
        self.needs_authority();
        self.host.clear();
        write_address(host, port, Place::Host, &mut self.host);
        if let Err(error) = Address::parse(&bracketed(host, port)) {
            self.error.get_or_insert(BuildError::Tunnel(error));
        }
        self
    }

    /// Sets the target's host, without brackets and perhaps empty, and its port. It takes the place of all targets.
    pub fn target(mut self, host: &str, port: u16) -> Self {
        self.path.clear();
        self.add_target(host, port)
    }

    /// Adds a target. Releases from 1.8.2 on take several.
    pub fn add_target(mut self, host: &str, port: u16) -> Self {
        self.needs_authority();
        match self.path.as_str() {
            "" => self.path.push('/'),
            "/" => {}
            _ => self.path.push(','),
        }
        write_address(host, port, Place::Path, &mut self.path);
        if let Err(error) = Address::parse(&bracketed(host, port)) {
            self.error.get_or_insert(BuildError::Target(error));
        }
        self
    }

    /// Sets a parameter, by [`Parameter`](super::Parameter) or by name, in the place of its first value; further ones go.
    pub fn set(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        let name = name.as_ref();
        let mut pair = String::new();
        Place::Query.encode(name.as_bytes(), &mut pair);
        pair.push('=');
        Place::Query.encode(value.to_string().as_bytes(), &mut pair);
        self.replace(name, Some(&pair));
        self
    }

    /// Removes a parameter, all its values.
    pub fn remove(mut self, name: impl AsRef<str>) -> Self {
        self.replace(name.as_ref(), None);
        self
    }

    /// Puts the parts together.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self) -> Result<InstanceUrl, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut text = format!("{}:", self.scheme);
        if self.form == Form::Authority {
            text.push_str("//");
        }
        if let Some(user) = &self.user {
            text.extend([user, "@"]);
        }
        text.extend([&*self.host, &self.path]);
        for (mark, part) in [('?', &self.query), ('#', &self.fragment)] {
            if let Some(part) = part {
                text.push(mark);
                text.push_str(part);
            }
        }
        // Every part is well-formed by itself, but for odd characters in the zone of an address.
        InstanceUrl::parse(&text).map_err(|_| match text.len() > LIMIT {
            true => BuildError::TooLong,
            false => BuildError::Tunnel(AddressError::Host),
        })
    }

    /// A text without `//` gets one; what stood in its place named neither host nor target.
    fn needs_authority(&mut self) {
        if self.form == Form::Opaque {
            self.path.clear();
        }
        self.form = Form::Authority;
    }

    fn replace(&mut self, name: &str, mut pair: Option<&str>) {
        let query = self.query.take().unwrap_or_default();
        let mut changed = String::with_capacity(query.len());
        let mut add = |piece: &str| {
            if !changed.is_empty() {
                changed.push('&');
            }
            changed.push_str(piece);
        };
        for piece in pieces(&query) {
            let has_name = !is_dropped(piece) && pairs(piece).any(|found: Pair<'_>| found.name() == name);
            match has_name {
                true => pair.take().into_iter().for_each(&mut add),
                false => add(piece),
            }
        }
        pair.into_iter().for_each(add);
        self.query = (!changed.is_empty()).then_some(changed);
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.build() {
            Ok(url) => write!(f, "Builder({})", url.redacted()),
            Err(error) => write!(f, "Builder({error})"),
        }
    }
}

fn bracketed(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn write_address(host: &str, port: u16, place: Place, out: &mut String) {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    out.push_str(open);
    place.encode(host.as_bytes(), out);
    let _ = write!(out, "{close}:{port}");
}
