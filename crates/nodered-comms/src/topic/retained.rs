//! Retained messages.

use super::TopicFilter;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The last message of each topic that is to be sent to who subscribes.
///
/// Messages come out in the order in which their topics were first retained; a new message of a topic takes the place of
/// the old one, and one that was removed and comes back goes to the end. Topics that are written as whole numbers below
/// 4 294 967 295 come first, the smallest first, as in the original, which keeps its messages in a JavaScript object.
#[derive(Clone, Debug)]
pub struct Retained<T> {
    messages: BTreeMap<Place, (Arc<str>, T)>,
    places: HashMap<Arc<str>, Place>,
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Number(u32),
    Later(u64),
}

impl<T> Retained<T> {
    /// Starts without messages.
    #[must_use]
    pub fn new() -> Self {
        Self { messages: BTreeMap::new(), places: HashMap::new(), next: 0 }
    }

    /// Retains a message and returns the one before it.
    pub fn insert(&mut self, topic: &str, message: T) -> Option<T> {
        if let Some(place) = self.places.get(topic) {
            let (_, old) = self.messages.get_mut(place).expect("every place has a message");
            return Some(std::mem::replace(old, message));
        }
        let place = match index_of(topic) {
            Some(number) => Place::Number(number),
            None => {
                self.next += 1;
                Place::Later(self.next)
            }
        };
        let topic: Arc<str> = topic.into();
        self.places.insert(Arc::clone(&topic), place);
        self.messages.insert(place, (topic, message));
        None
    }

    /// Removes the message of a topic and returns it.
    pub fn remove(&mut self, topic: &str) -> Option<T> {
        let place = self.places.remove(topic)?;
        self.messages.remove(&place).map(|(_, message)| message)
    }

    /// Returns the message of a topic.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<&T> {
        self.messages.get(self.places.get(topic)?).map(|(_, message)| message)
    }

    /// Returns all topics with their messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.messages.values().map(|(topic, message)| (&**topic, message))
    }

    /// Returns those that match a filter, in order.
    pub fn matching<'a>(&'a self, filter: &'a TopicFilter) -> impl Iterator<Item = (&'a str, &'a T)> {
        self.iter().filter(|(topic, _)| filter.matches(topic))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl<T> Default for Retained<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the number that a JavaScript object orders its members by.
fn index_of(topic: &str) -> Option<u32> {
    let is_plain = topic == "0" || (!topic.starts_with(['0', '+']) && !topic.is_empty());
    topic.parse().ok().filter(|&number: &u32| is_plain && number < u32::MAX)
}
