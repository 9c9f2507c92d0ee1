//! Bodies of requests, as clients write them and as masters read them. §3.

use super::object::{Name, object};
use super::{Meta, Peer, Tags};
use crate::{Capability, Release};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

object! {
    /// The body of `POST /instances`. `Debug` hides the URL, which may hold a key.
    pub struct CreateInstance {
        /// An instance URL.
        required "url" url: Box<str>,
        /// A name for people; 1.13 and later take it, earlier ones ignore it.
        optional "alias" alias: Box<str>,
    }
}

object! {
    /// The body of `PUT /instances/{id}`. `Debug` hides the URL, which may hold a key.
    pub struct PutInstance {
        /// An instance URL.
        required "url" url: Box<str>,
    }
}

object! {
    /// The body of `PATCH /instances/{id}`: what is absent stays as it is.
    #[derive(Debug)]
    pub struct PatchInstance {
        /// A name for people; an empty one changes nothing. At most 256 bytes since 1.8, 100 in 1.7.
        optional "alias" alias: Box<str>,
        /// `start`, `stop`, `restart` or `reset`. A text: masters are sent all kinds of them.
        optional "action" action: Box<str>,
        /// Whether the instance is started when the master starts.
        optional "restart" restart: bool,
        /// Labels and the peer. Since 1.8.2.
        optional "meta" meta: Meta,
    }
}

object! {
    /// The body of `POST /info`. Since 1.7.
    #[derive(Debug)]
    pub struct MasterAlias {
        /// The master's own alias, at most 256 bytes; empty if absent.
        optional "alias" alias: Box<str>,
    }
}

/// What an instance can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these four")]
pub enum Action {
    /// Start its process.
    Start,
    /// Stop its process.
    Stop,
    /// Stop and start. Of the key record: make another key.
    Restart,
    /// Set its counters to 0.
    Reset,
}

/// Why a body is none that a master takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a body of this request")]
#[non_exhaustive]
pub struct BodyError;

impl Action {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reset => "reset",
        }
    }
}

impl FromStr for Action {
    type Err = BodyError;

    fn from_str(word: &str) -> Result<Self, BodyError> {
        match word {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            "restart" => Ok(Self::Restart),
            "reset" => Ok(Self::Reset),
            _ => Err(BodyError),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CreateInstance {
    /// Reads a body as masters of the Go line do: names in any case, the last of several wins, `null` is absent, one member
    /// of a wrong type spoils all, and what follows the first value is not looked at. Members that the release does not know
    /// mean nothing.
    ///
    /// # Errors
    /// [`BodyError`], also if there is no URL or an empty one.
    pub fn read(body: &[u8], release: Release) -> Result<Self, BodyError> {
        let members = Lenient::read(body)?;
        let url: Box<str> = members.take("url")?.unwrap_or_default();
        let alias = if release.can(Capability::AliasOnCreate) { members.take("alias")? } else { None };
        if url.is_empty() {
            return Err(BodyError);
        }
        Ok(Self { url, alias, ..Self::default() })
    }
}

impl PutInstance {
    /// Reads a body, see [`CreateInstance::read`].
    ///
    /// # Errors
    /// [`BodyError`], also if there is no URL or an empty one.
    pub fn read(body: &[u8]) -> Result<Self, BodyError> {
        let url: Box<str> = Lenient::read(body)?.take("url")?.unwrap_or_default();
        if url.is_empty() {
            return Err(BodyError);
        }
        Ok(Self { url, ..Self::default() })
    }
}

impl MasterAlias {
    /// Reads a body, see [`CreateInstance::read`].
    ///
    /// # Errors
    /// [`BodyError`]
    pub fn read(body: &[u8]) -> Result<Self, BodyError> {
        Ok(Self { alias: Lenient::read(body)?.take("alias")?, ..Self::default() })
    }
}

impl PatchInstance {
    /// Returns a body that asks for nothing but an action.
    #[must_use]
    pub fn action(action: Action) -> Self {
        Self { action: Some(action.as_str().into()), ..Self::default() }
    }

    /// Reads a body, see [`CreateInstance::read`].
    ///
    /// # Errors
    /// [`BodyError`]
    pub fn read(body: &[u8], release: Release) -> Result<Self, BodyError> {
        let members = Lenient::read(body)?;
        let meta = if release.can(Capability::Meta) { members.object("meta")? } else { None };
        let meta = match meta {
            Some(meta) => Some(Meta {
                peer: match meta.object("peer")? {
                    Some(peer) => Some(Peer {
                        sid: peer.take("sid")?,
                        kind: peer.take("type")?,
                        alias: peer.take("alias")?,
                        ..Peer::default()
                    }),
                    None => None,
                },
                tags: tags(&meta)?,
                ..Meta::default()
            }),
            None => None,
        };
        Ok(Self {
            alias: members.take("alias")?,
            action: members.take("action")?,
            restart: members.take("restart")?,
            meta,
            ..Self::default()
        })
    }
}

/// A null tag reads as an empty text.
fn tags(meta: &Lenient) -> Result<Option<Tags>, BodyError> {
    let tags: Option<BTreeMap<Box<str>, Option<Box<str>>>> = meta.take("tags")?;
    let full = |tags: BTreeMap<Box<str>, Option<Box<str>>>| {
        tags.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
    };
    Ok(tags.map(full))
}

/// An object whose members are found by name in any case.
struct Lenient(Vec<(Box<str>, Box<RawValue>)>);

impl Lenient {
    /// A body of `null` is an empty object.
    fn read(body: &[u8]) -> Result<Self, BodyError> {
        let text = String::from_utf8_lossy(body);
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let members: Option<Self> = Deserialize::deserialize(&mut deserializer).map_err(|_| BodyError)?;
        Ok(members.unwrap_or(Self(Vec::new())))
    }

    fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, BodyError> {
        let mut found = None;
        for (_, value) in self.0.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)) {
            let value: Option<T> = serde_json::from_str(value.get()).map_err(|_| BodyError)?;
            found = value.or(found);
        }
        Ok(found)
    }

    fn object(&self, name: &str) -> Result<Option<Self>, BodyError> {
        self.take(name)
    }
}

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Lenient;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lenient, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name.into(), map.next_value()?));
                }
                Ok(Lenient(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl fmt::Debug for CreateInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreateInstance({} bytes of URL, alias {:?})", self.url.len(), self.alias)
    }
}

impl fmt::Debug for PutInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PutInstance({} bytes of URL)", self.url.len())
    }
}
