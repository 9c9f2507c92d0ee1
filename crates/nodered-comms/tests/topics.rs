//! Filters, the index over many of them, retained messages.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use nodered_comms::topic::{FilterId, Retained, TopicFilter, TopicFilterError, TopicIndex};
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Row {
    pattern: String,
    topic: String,
    matches: serde_json::Value,
    class: String,
}

#[test]
fn filters_match_as_the_originals_expression_does() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("vectors/nodered-topics.json")).unwrap();
    let mut checked = 0;
    for row in rows.iter().filter(|row| row.class != "brace") {
        let filter = filter(&row.pattern);
        assert_eq!(
            serde_json::Value::from(filter.matches(&row.topic)),
            row.matches,
            "{} {}",
            row.pattern,
            row.topic
        );
        checked += 1;
    }
    assert!(checked > 100);
}

#[test]
fn braces_are_literal() {
    assert!(filter("a{2}").matches("a{2}") && !filter("a{2}").matches("aa"));
    assert!(filter("{2}").matches("{2}"));
}

#[test]
fn a_plus_counts_utf_16_units() {
    assert!(filter("++").matches("\u{1F980}") && !filter("++").matches("é"));
    assert!(filter("a+++b").matches("a\u{1F980}xb") && !filter("a+++b").matches("a\u{1F980}b"));
}

#[test]
fn literals_between_wildcards_are_found_wherever_that_works() {
    assert!(filter("+ab+ab").matches("xabxab") && !filter("+ab+ab").matches("xabab"));
    assert!(filter("a+a").matches("aaa") && !filter("a+a").matches("aa"));
    assert!(filter("+b+").matches("bbb"));
}

#[test]
fn endless_filters_are_none_and_the_empty_one_matches_the_empty_topic() {
    assert!(filter("").matches("") && !filter("").matches("a"));
    assert_eq!(TopicFilter::new(&"x".repeat(4097)), Err(TopicFilterError::TooLong));
    assert!(TopicFilter::new(&"x".repeat(4096)).is_ok());
    assert_eq!(TopicFilter::new(&"/".repeat(256)), Err(TopicFilterError::TooManyLevels));
    assert!(filter(&"/".repeat(255)).matches(&"/".repeat(255)));
}

#[test]
fn the_index_forgets_what_is_removed() {
    let mut index = TopicIndex::new();
    let patterns = ["a/#", "a/b", "+/b", "a+/b", "a/b", "#", "/#", "a/+/c/#"];
    let ids: Vec<FilterId> = patterns.iter().map(|pattern| index.insert(&filter(pattern))).collect();
    assert_eq!(index.matches("a/b"), [ids[0], ids[1], ids[2], ids[4]]);
    assert_eq!(index.matches("ax/b"), [ids[2], ids[3]]);
    assert_eq!(index.matches(""), [ids[6]]);
    for (id, pattern) in ids.iter().zip(patterns) {
        assert_eq!(index.get(*id), Some(&filter(pattern)));
        assert_eq!(index.remove(*id), Some(filter(pattern)));
        assert_eq!(index.remove(*id), None);
        assert!(!index.matches("a/b").contains(id));
    }
    assert!(index.is_empty());
    assert!(index.matches("a/b").is_empty());
}

#[test]
fn retained_messages_keep_the_places_of_their_topics() {
    let mut retained = Retained::new();
    for (topic, message) in [("b", 1), ("10", 2), ("a", 3), ("9", 4), ("007", 5), ("b", 6), ("4294967295", 7)]
    {
        retained.insert(topic, message);
    }
    let order = |retained: &Retained<i32>| {
        retained.iter().map(|(topic, message)| format!("{topic}={message}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order(&retained), "9=4 10=2 b=6 a=3 007=5 4294967295=7");
    assert_eq!(retained.remove("b"), Some(6));
    retained.insert("b", 8);
    assert_eq!(order(&retained), "9=4 10=2 a=3 007=5 4294967295=7 b=8");
    assert_eq!((retained.get("a"), retained.get("x"), retained.len()), (Some(&3), None, 6));
    let any = filter("+");
    let matching: Vec<&str> = retained.matching(&any).map(|(topic, _)| topic).collect();
    assert_eq!(matching.len(), 6);
}

/// The rules once more, as plainly as can be.
fn naive(pattern: &str, topic: &str) -> bool {
    fn at(pattern: &[u16], topic: &[u16]) -> bool {
        const SLASH: u16 = b'/' as u16;
        if pattern == [SLASH, u16::from(b'#')] {
            let line_ends = [0x0A, 0x0D, 0x2028, 0x2029];
            return topic.is_empty()
                || (topic[0] == SLASH && !topic.iter().any(|unit| line_ends.contains(unit)));
        }
        match (pattern.split_first(), topic.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((&plus, rest)), Some((&unit, after))) if plus == u16::from(b'+') => {
                unit != SLASH && (at(rest, after) || at(pattern, after))
            }
            (Some((first, rest)), Some((unit, after))) => first == unit && at(rest, after),
            (Some(_), None) => false,
        }
    }
    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    at(&units(pattern), &units(topic))
}

proptest! {
    #[test]
    fn filters_and_index_agree_with_the_rules(
        patterns in prop::collection::vec("[ab+#/]{1,7}|[ab+#/\n\u{1F980}]{1,4}", 1..8),
        topics in prop::collection::vec("[ab#/+]{0,7}|[ab/\n\r\u{2028}\u{1F980}]{0,5}", 1..8),
    ) {
        let mut index = TopicIndex::new();
        let ids: Vec<FilterId> = patterns.iter().map(|pattern| index.insert(&filter(pattern))).collect();
        for topic in &topics {
            let found = index.matches(topic);
            for (pattern, id) in patterns.iter().zip(&ids) {
                let expected = naive(pattern, topic);
                prop_assert_eq!(filter(pattern).matches(topic), expected, "{:?} {:?}", pattern, topic);
                prop_assert_eq!(found.contains(id), expected, "{:?} {:?}", pattern, topic);
            }
        }
    }
}

fn filter(pattern: &str) -> TopicFilter {
    TopicFilter::new(pattern).unwrap()
}
