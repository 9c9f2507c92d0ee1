//! From ids of subscription links to users.

use super::error::Problem;
use super::raw;
use crate::json::{MAX_JSON_DEPTH, Name, Scalar, is_deeper, is_too_deep};
use crate::value::{LsId, SubscriptionId, UserId, ValueError};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;

/// Who is behind an entry of a client map (§7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "entries are written as struct literals")]
pub struct Client {
    /// The user.
    pub user_id: UserId,
    /// The subscription, if there is one.
    pub subscription_id: Option<SubscriptionId>,
}

impl Client {
    fn write(self, json: &mut String) {
        let written = match self.subscription_id {
            Some(id) => write!(json, "{{\"userId\":{},\"subscriptionId\":{id}}}", self.user_id),
            None => write!(json, "{{\"userId\":{},\"subscriptionId\":null}}", self.user_id),
        };
        written.expect("text grows without failing");
    }
}

/// The client map of both proxies, keyed by lsId (§7.3). A key that is no id is kept, so that it is written back, and is never
/// found. An entry under an id takes 12 bytes, whatever its text was.
///
/// Its [`Debug`] shows how many entries there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientMap {
    /// By rising lsId, each once.
    by_id: Vec<(LsId, Client)>,
    others: BTreeMap<Box<str>, Client>,
}

impl ClientMap {
    /// Returns the client behind a subscription link.
    #[must_use]
    pub fn get(&self, ls_id: LsId) -> Option<Client> {
        self.place(ls_id).ok().map(|place| self.by_id[place].1)
    }

    /// Adds a client, and returns the one that it replaces. One that does not come last moves those behind it; many are
    /// faster collected, or extended with.
    pub fn insert(&mut self, ls_id: LsId, client: Client) -> Option<Client> {
        match self.place(ls_id) {
            Ok(place) => Some(std::mem::replace(&mut self.by_id[place].1, client)),
            Err(place) => {
                self.by_id.insert(place, (ls_id, client));
                None
            }
        }
    }

    fn place(&self, ls_id: LsId) -> Result<usize, usize> {
        self.by_id.binary_search_by_key(&ls_id, |entry| entry.0)
    }

    /// Returns all clients that can be found, by rising lsId.
    pub fn iter(&self) -> impl Iterator<Item = (LsId, Client)> + '_ {
        self.by_id.iter().copied()
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

    /// Sorts what was added at the end; of equal keys the last stays.
    fn sort(&mut self) {
        if !self.by_id.is_sorted_by(|one, next| one.0 < next.0) {
            self.by_id.sort_by_key(|entry| entry.0);
            self.by_id.dedup_by(|later, kept| {
                let is_same = later.0 == kept.0;
                if is_same {
                    *kept = *later;
                }
                is_same
            });
        }
        self.by_id.shrink_to_fit();
    }

    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut map: Self = read(text)?;
        map.sort();
        Ok(map)
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

impl Extend<(LsId, Client)> for ClientMap {
    /// Adds clients in any order, the last of equal keys.
    fn extend<I: IntoIterator<Item = (LsId, Client)>>(&mut self, clients: I) {
        self.by_id.extend(clients);
        self.sort();
    }
}

impl FromIterator<(LsId, Client)> for ClientMap {
    /// Takes clients in any order, the last of equal keys.
    fn from_iter<I: IntoIterator<Item = (LsId, Client)>>(clients: I) -> Self {
        let mut map = Self::default();
        map.extend(clients);
        map
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

/// Reads a map whose text is not blank, in one pass: only what is not known of an entry can nest, and is looked at there.
fn read<M: Entries>(text: &str) -> Result<M, Problem> {
    let is_object = raw::is_object(text);
    let Map(map) = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            _ if is_too_deep(text.as_bytes()) => Problem::TooDeep,
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
        match key.parse() {
            Ok(ls_id) => self.by_id.push((ls_id, client)),
            Err(_) => drop(self.others.insert(key.into(), client)),
        }
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
                while let Some((Name(key), client)) = map.next_entry()? {
                    entries.take(&key, client);
                }
                Ok(Map(entries))
            }
        }

        deserializer.deserialize_map(Object(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Client;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Client, A::Error> {
                let (mut user_id, mut subscription_id) = (Scalar::Absent, Scalar::Absent);
                while let Some(place) = map.next_key_seed(raw::Name(&["userId", "subscriptionId"]))? {
                    match place {
                        Some(0) => user_id = map.next_value()?,
                        Some(_) => subscription_id = map.next_value()?,
                        None => check_depth(map.next_value()?)?,
                    }
                }
                client(&user_id, &subscription_id).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Checks a member that is not known, which stands two levels deep.
fn check_depth<E: Error>(value: &RawValue) -> Result<(), E> {
    let is_too_deep = is_deeper(value.get().as_bytes(), MAX_JSON_DEPTH - 2);
    if is_too_deep { Err(E::custom("nested too deep")) } else { Ok(()) }
}

fn client(user_id: &Scalar<'_>, subscription_id: &Scalar<'_>) -> Result<Client, ValueError> {
    let subscription = (!subscription_id.is_absent()).then(|| SubscriptionId::new(subscription_id.whole()?));
    Ok(Client { user_id: UserId::new(user_id.whole()?)?, subscription_id: subscription.transpose()? })
}
