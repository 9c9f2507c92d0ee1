//! Many filters.

use super::TopicFilter;
use super::filter::{is_one_line, level_matches};
use std::collections::HashMap;

/// Names a filter in a [`TopicIndex`]; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(u64);

/// Finds the filters that match a topic.
///
/// A look-up walks the levels of the topic, however many filters there are: at each level it takes the filters that have
/// this very text there and those that have `+`. Filters with `+` inside a level (`a+b`, `++`), which no program was seen
/// to use, are looked at one by one among those that are equal up to that level.
///
/// ```
/// use nodered_comms::topic::{TopicFilter, TopicIndex};
///
/// let mut index = TopicIndex::new();
/// let all = index.insert(&TopicFilter::new("status/#")?);
/// let one = index.insert(&TopicFilter::new("status/n1")?);
/// assert_eq!(index.matches("status/n1"), [all, one]);
/// index.remove(all);
/// assert_eq!(index.matches("status/n1"), [one]);
/// # Ok::<(), nodered_comms::topic::TopicFilterError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TopicIndex {
    root: Node,
    filters: HashMap<FilterId, TopicFilter>,
    next: u64,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Self>,
    any: Option<Box<Self>>,
    /// Levels with `+` and something else.
    mixed: Vec<(Box<str>, Self)>,
    /// Filters that end here.
    exact: Vec<FilterId>,
    /// Filters that end here with `/#`.
    open: Vec<FilterId>,
}

impl TopicIndex {
    /// Starts without filters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a filter. One that is there already is added once more, under another id.
    pub fn insert(&mut self, filter: &TopicFilter) -> FilterId {
        let id = FilterId(self.next);
        self.next += 1;
        let (levels, is_open) = filter.parts();
        let node = levels.split('/').fold(&mut self.root, Node::child);
        if is_open {
            node.open.push(id)
        } else {
            node.exact.push(id)
        }
        self.filters.insert(id, filter.clone());
        id
    }

    /// Removes a filter and returns it.
    pub fn remove(&mut self, id: FilterId) -> Option<TopicFilter> {
        let filter = self.filters.remove(&id)?;
        let (levels, is_open) = filter.parts();
        let levels: Vec<&str> = levels.split('/').collect();
        self.root.remove(&levels, is_open, id);
        Some(filter)
    }

    /// Returns a filter.
    #[must_use]
    pub fn get(&self, id: FilterId) -> Option<&TopicFilter> {
        self.filters.get(&id)
    }

    /// Returns the filters that match, in the order in which they were added.
    #[must_use]
    pub fn matches(&self, topic: &str) -> Vec<FilterId> {
        let mut found = Vec::new();
        self.for_each_match(topic, |id| found.push(id));
        found.sort_unstable();
        found
    }

    /// Hands out the filters that match, in no settled order.
    pub fn for_each_match(&self, topic: &str, mut found: impl FnMut(FilterId)) {
        self.root.walk(topic, is_one_line(topic), &mut found);
    }

    /// Returns how many filters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }
}

impl Node {
    fn child<'a>(&'a mut self, level: &str) -> &'a mut Self {
        match level {
            "+" => self.any.get_or_insert_default(),
            mixed if mixed.contains('+') => {
                let place = self.mixed.iter().position(|(known, _)| &**known == mixed);
                let place = place.unwrap_or_else(|| {
                    self.mixed.push((mixed.into(), Self::default()));
                    self.mixed.len() - 1
                });
                &mut self.mixed[place].1
            }
            literal => self.literal.entry(literal.into()).or_default(),
        }
    }

    /// Walks down one level with what is left of the topic. `is_one_line` is cheap to know for the whole topic; where
    /// it is not so, what is left decides.
    fn walk(&self, topic: &str, is_one_line_topic: bool, found: &mut impl FnMut(FilterId)) {
        let slash = memchr::memchr(b'/', topic.as_bytes());
        let (level, rest) = match slash {
            Some(at) => (&topic[..at], Some(&topic[at + 1..])),
            None => (topic, None),
        };
        let mut visit = |node: &Self| match rest {
            None => node.exact.iter().chain(&node.open).for_each(|&id| found(id)),
            Some(rest) => {
                if !node.open.is_empty() && (is_one_line_topic || is_one_line(rest)) {
                    node.open.iter().for_each(|&id| found(id));
                }
                if node.has_children() {
                    node.walk(rest, is_one_line_topic, found);
                }
            }
        };
        if let Some(node) = self.literal.get(level) {
            visit(node);
        }
        if let Some(node) = self.any.as_deref().filter(|_| !level.is_empty()) {
            visit(node);
        }
        for (_, node) in self.mixed.iter().filter(|(pattern, _)| level_matches(pattern, level)) {
            visit(node);
        }
    }

    fn remove(&mut self, levels: &[&str], is_open: bool, id: FilterId) {
        let Some((level, rest)) = levels.split_first() else {
            let ids = if is_open { &mut self.open } else { &mut self.exact };
            ids.retain(|&other| other != id);
            return;
        };
        let child = self.child(level);
        child.remove(rest, is_open, id);
        if !child.is_empty() {
            return;
        }
        match *level {
            "+" => self.any = None,
            mixed if mixed.contains('+') => self.mixed.retain(|(known, _)| &**known != mixed),
            literal => {
                self.literal.remove(literal);
            }
        }
    }

    fn has_children(&self) -> bool {
        !self.literal.is_empty() || self.any.is_some() || !self.mixed.is_empty()
    }

    fn is_empty(&self) -> bool {
        !self.has_children() && self.exact.is_empty() && self.open.is_empty()
    }
}
