//! Filters and the index over them, against the expression that the original makes of a pattern.

use crate::input::Input;
use nodered_comms::topic::{FilterId, Retained, TopicFilter, TopicIndex};
use std::collections::BTreeMap;

/// What patterns and topics are made of.
const PIECES: [&str; 24] = [
    "a",
    "b",
    "+",
    "/",
    "#",
    "/#",
    "+/",
    "/+",
    "++",
    "a+b",
    "\u{1f980}",
    "\u{e9}",
    "\n",
    "\r",
    "\u{2028}",
    "\u{2029}",
    ".",
    "{2}",
    "[a]",
    "status",
    "0",
    "17",
    "4294967295",
    "*",
];

/// Arbitrary patterns and topics: filter, index, retained messages.
pub fn nodered_topics(data: &[u8]) {
    let mut input = Input::new(data);
    let mut index = TopicIndex::new();
    let mut filters: Vec<(FilterId, String)> = Vec::new();
    let mut retained = Retained::new();
    let mut model = Model::default();
    for number in 0..100 {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0..=2 => {
                let mut pattern = made(&mut input);
                if input.below(32) == 31 {
                    pattern += &"a".repeat(input.pick(&[4000, 4096, 4097]));
                }
                let Ok(filter) = TopicFilter::new(&pattern) else {
                    assert!(pattern.len() > TopicFilter::LIMIT, "rule: any short pattern is a filter");
                    continue;
                };
                assert_eq!((filter.as_str(), &*filter.to_string()), (&*pattern, &*pattern));
                filters.push((index.insert(&filter), pattern));
            }
            3 => {
                let place = input.below(filters.len());
                if place < filters.len() {
                    let (id, pattern) = filters.remove(place);
                    assert_eq!(index.remove(id).map(|filter| filter.to_string()), Some(pattern));
                    assert!(
                        index.remove(id).is_none() && index.get(id).is_none(),
                        "rule: what is removed is gone"
                    );
                }
            }
            4 => {
                let topic = made(&mut input);
                assert_eq!(retained.insert(&topic, number), model.insert(&topic, number));
            }
            5 => {
                let topic = made(&mut input);
                assert_eq!(retained.remove(&topic), model.remove(&topic));
            }
            _ => look_up(&index, &filters, &made(&mut input)),
        }
        check_retained(&retained, &model, &filters);
        assert_eq!((index.len(), index.is_empty()), (filters.len(), filters.is_empty()));
    }
}

fn look_up(index: &TopicIndex, filters: &[(FilterId, String)], topic: &str) {
    let found = index.matches(topic);
    let expected: Vec<FilterId> =
        filters.iter().filter(|(_, pattern)| matches(pattern, topic)).map(|(id, _)| *id).collect();
    assert_eq!(found, expected, "rule: the index finds what matches, in order; {topic:?} in {filters:?}");
    for (id, pattern) in filters {
        let filter = index.get(*id).expect("it was not removed");
        let expected = matches(pattern, topic);
        assert_eq!(filter.matches(topic), expected, "rule: {pattern:?} and {topic:?}");
    }
    let mut visited = Vec::new();
    index.for_each_match(topic, |id| visited.push(id));
    visited.sort_unstable();
    assert_eq!(visited, found, "rule: every match is handed out once");
}

fn check_retained(retained: &Retained<usize>, model: &Model, filters: &[(FilterId, String)]) {
    let all: Vec<_> = retained.iter().map(|(topic, message)| (topic.to_owned(), *message)).collect();
    assert_eq!(all, model.all(), "rule: retained messages keep their places");
    assert_eq!((retained.len(), retained.is_empty()), (all.len(), all.is_empty()));
    let Some((_, pattern)) = filters.last() else { return };
    let filter = TopicFilter::new(pattern).expect("it was one before");
    let matching: Vec<_> = retained.matching(&filter).map(|(topic, _)| topic.to_owned()).collect();
    let expected: Vec<_> =
        all.into_iter().map(|(topic, _)| topic).filter(|topic| matches(pattern, topic)).collect();
    assert_eq!(matching, expected, "rule: what matches is found in order");
}

/// The members of a JavaScript object.
#[derive(Default)]
struct Model {
    numbers: BTreeMap<u32, usize>,
    others: Vec<(String, usize)>,
}

impl Model {
    fn insert(&mut self, topic: &str, message: usize) -> Option<usize> {
        if let Some(number) = array_index(topic) {
            return self.numbers.insert(number, message);
        }
        if let Some((_, old)) = self.others.iter_mut().find(|(known, _)| known == topic) {
            return Some(std::mem::replace(old, message));
        }
        self.others.push((topic.to_owned(), message));
        None
    }

    fn remove(&mut self, topic: &str) -> Option<usize> {
        if let Some(number) = array_index(topic) {
            return self.numbers.remove(&number);
        }
        let place = self.others.iter().position(|(known, _)| known == topic)?;
        Some(self.others.remove(place).1)
    }

    fn all(&self) -> Vec<(String, usize)> {
        let numbers = self.numbers.iter().map(|(number, message)| (number.to_string(), *message));
        numbers.chain(self.others.iter().cloned()).collect()
    }
}

fn array_index(topic: &str) -> Option<u32> {
    let number: u32 = topic.parse().ok()?;
    (number.to_string() == topic && number < u32::MAX).then_some(number)
}

fn made(input: &mut Input<'_>) -> String {
    match input.below(16) {
        15 => String::from_utf8_lossy(input.bytes()).into_owned(),
        14 => made(input).repeat(input.pick(&[2, 30])).chars().take(150).collect(),
        length => (0..length).map(|_| input.pick(&PIECES)).collect(),
    }
}

/// One part of the expression that the original makes of a pattern: everything is escaped but `+` and a final `/#`.
enum Part {
    Unit(u16),
    /// `[^/]+`
    Plus,
    /// `(\/.*)?` at the end.
    Open,
}

fn expression(pattern: &str) -> Vec<Part> {
    let (levels, is_open) = match pattern.strip_suffix("/#") {
        Some(levels) => (levels, true),
        None => (pattern, false),
    };
    let part = |unit| if unit == u16::from(b'+') { Part::Plus } else { Part::Unit(unit) };
    levels.encode_utf16().map(part).chain(is_open.then_some(Part::Open)).collect()
}

/// Tries all ways at once: the set of parts that may come next.
fn matches(pattern: &str, topic: &str) -> bool {
    const SLASH: u16 = b'/' as u16;
    let parts = expression(pattern);
    // For each part whether it may begin here, and whether a stretch of it may go on.
    let mut begins = vec![false; parts.len() + 1];
    let mut within = vec![false; parts.len() + 1];
    begins[0] = true;
    for unit in topic.encode_utf16() {
        let mut begins_next = vec![false; parts.len() + 1];
        let mut within_next = vec![false; parts.len() + 1];
        for (place, part) in parts.iter().enumerate() {
            match part {
                Part::Unit(expected) if begins[place] && *expected == unit => begins_next[place + 1] = true,
                Part::Plus if (begins[place] || within[place]) && unit != SLASH => {
                    within_next[place] = true;
                    begins_next[place + 1] = true;
                }
                Part::Open => {
                    let is_line_end = matches!(unit, 0x0A | 0x0D | 0x2028 | 0x2029);
                    within_next[place] = (begins[place] && unit == SLASH) || (within[place] && !is_line_end);
                }
                Part::Unit(_) | Part::Plus => {}
            }
        }
        (begins, within) = (begins_next, within_next);
    }
    match parts.last() {
        Some(Part::Open) => begins[parts.len() - 1] || within[parts.len() - 1],
        _ => begins[parts.len()],
    }
}
