//! From ids of subscription links to users.

use super::error::Problem;
use super::integer::Integer;
use super::raw::{self, MAX_DEPTH, Name};
use crate::attribution::{IdOutOfRange, check_id, read_id};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// Who is behind an entry of a client map (§7.1). Both ids are 1..=[`MAX_ID`](crate::attribution::MAX_ID).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    user_id: NonZeroU32,
    subscription_id: Option<NonZeroU32>,
}

impl Client {
    /// Takes the user, and the subscription if there is one.
    ///
    /// # Errors
    /// An id is out of range.
    pub fn new(user_id: u32, subscription_id: Option<u32>) -> Result<Self, IdOutOfRange> {
        let id = |id| NonZeroU32::new(check_id(id)?).ok_or(IdOutOfRange);
        Ok(Self { user_id: id(user_id)?, subscription_id: subscription_id.map(id).transpose()? })
    }

    /// Returns the user.
    #[must_use]
    pub fn user_id(self) -> u32 {
        self.user_id.get()
    }

    /// Returns the subscription, if there is one.
    #[must_use]
    pub fn subscription_id(self) -> Option<u32> {
        self.subscription_id.map(NonZeroU32::get)
    }

    fn write(self, json: &mut String) {
        let written = match self.subscription_id {
            Some(id) => write!(json, "{{\"userId\":{},\"subscriptionId\":{id}}}", self.user_id),
            None => write!(json, "{{\"userId\":{},\"subscriptionId\":null}}", self.user_id),
        };
        written.expect("text grows without failing");
    }
}

/// The client map of both proxies, keyed by lsId (§7.3). A key that is no id is kept, so that it is written back, and is never
/// found. Each entry takes a few dozen bytes, whatever its text was.
///
/// Its [`Debug`] shows how many entries there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientMap {
    by_id: BTreeMap<u32, Client>,
    others: BTreeMap<Box<str>, Client>,
}

impl ClientMap {
    /// Returns the client behind a subscription link.
    #[must_use]
    pub fn get(&self, ls_id: u32) -> Option<Client> {
        self.by_id.get(&ls_id).copied()
    }

    /// Adds a client, and returns the one that it replaces.
    ///
    /// # Errors
    /// The lsId is out of range.
    pub fn insert(&mut self, ls_id: u32, client: Client) -> Result<Option<Client>, IdOutOfRange> {
        Ok(self.by_id.insert(check_id(ls_id)?, client))
    }

    /// Returns all clients that can be found, by rising lsId.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Client)> + '_ {
        self.by_id.iter().map(|(&ls_id, &client)| (ls_id, client))
    }

    /// Returns how many entries there are, those under other keys included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len() + self.others.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many keys are no ids.
    #[must_use]
    pub fn keys_not_ids(&self) -> usize {
        self.others.len()
    }

    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        read(text)
    }

    pub(super) fn write(&self, json: &mut String) {
        json.push('{');
        let mut comma = "";
        for (ls_id, client) in &self.by_id {
            write!(json, "{comma}\"{ls_id}\":").expect("text grows without failing");
            client.write(json);
            comma = ",";
        }
        write_others(&self.others, comma, json);
        json.push('}');
    }
}

impl fmt::Debug for ClientMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientMap({} entries)", self.len())
    }
}

/// The map of old nodes, keyed by lsUuid. It is carried and attributes nothing (§7.3).
///
/// Its [`Debug`] shows how many entries there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MtprotoClientMap(BTreeMap<Box<str>, Client>);

impl MtprotoClientMap {
    /// Returns the client under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Client> {
        self.0.get(key).copied()
    }

    /// Adds a client, and returns the one that it replaces.
    pub fn insert(&mut self, key: impl Into<Box<str>>, client: Client) -> Option<Client> {
        self.0.insert(key.into(), client)
    }

    /// Returns all entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Client)> + '_ {
        self.0.iter().map(|(key, &client)| (&**key, client))
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        read(text)
    }

    pub(super) fn write(&self, json: &mut String) {
        json.push('{');
        write_others(&self.0, "", json);
        json.push('}');
    }
}

impl fmt::Debug for MtprotoClientMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MtprotoClientMap({} entries)", self.len())
    }
}

fn write_others(others: &BTreeMap<Box<str>, Client>, mut comma: &str, json: &mut String) {
    for (key, client) in others {
        json.push_str(comma);
        raw::push_text(json, key);
        json.push(':');
        client.write(json);
        comma = ",";
    }
}

/// Reads a map whose text is not blank.
fn read<M: Entries>(text: &str) -> Result<M, Problem> {
    if !raw::is_within(text, MAX_DEPTH) {
        return Err(Problem::TooDeep);
    }
    let is_object = raw::is_object(text);
    let Map(map) = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data if is_object => Problem::Entry { line, column },
            Category::Data => Problem::NotAnObject,
            _ => Problem::NotJson { line, column },
        }
    })?;
    Ok(map)
}

/// A map that is filled while its text is read.
trait Entries: Default {
    fn take(&mut self, key: &str, client: Client);
}

impl Entries for ClientMap {
    fn take(&mut self, key: &str, client: Client) {
        match read_id(key) {
            Some(ls_id) => self.by_id.insert(ls_id, client),
            None => self.others.insert(key.into(), client),
        };
    }
}

impl Entries for MtprotoClientMap {
    fn take(&mut self, key: &str, client: Client) {
        self.0.insert(key.into(), client);
    }
}

struct Map<M>(M);

impl<'de, M: Entries> Deserialize<'de> for Map<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<M>(PhantomData<M>);

        impl<'de, M: Entries> Visitor<'de> for Object<M> {
            type Value = Map<M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<M>, A::Error> {
                let mut entries = M::default();
                while let Some((Key(key), client)) = map.next_entry()? {
                    entries.take(&key, client);
                }
                Ok(Map(entries))
            }
        }

        deserializer.deserialize_map(Object(PhantomData))
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Client;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Client, A::Error> {
                let (mut user_id, mut subscription_id) = (None, None);
                while let Some(place) = map.next_key_seed(Name(&["userId", "subscriptionId"]))? {
                    match place {
                        Some(0) => user_id = Some(map.next_value::<Integer>()?.0),
                        Some(_) => subscription_id = map.next_value::<Option<Integer>>()?.map(|id| id.0),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let user_id = user_id.ok_or_else(|| A::Error::missing_field("userId"))?;
                Client::new(user_id, subscription_id).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Object)
    }
}
