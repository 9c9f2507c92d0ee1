//! What is measured. The last subject of a group is the limit that the others are held against.

use nodered_comms::runtime::{Access, Config, Output, Runtime};
use nodered_comms::topic::{TopicFilter, TopicIndex};
use nodered_comms::wire::{Frame, Item, Json, decode_frame};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;
use testkit::epoch;
use testkit::measure::{Figure, Subject};
use web_time::Instant;

/// How many messages a frame has at most in Node-RED.
pub(crate) const MESSAGES: usize = 50;
/// How many filters there are.
pub(crate) const FILTERS: [usize; 4] = [8, 100, 1_000, 10_000];
/// How many editors there are.
pub(crate) const EDITORS: usize = 10_000;

const ROUNDS: usize = 61;

/// A full frame of a busy runtime, in the forms of Node-RED 4.1: statuses, debug messages, notifications.
pub(crate) fn frame() -> String {
    let messages: Vec<String> = (0..MESSAGES).map(message).collect();
    format!("[{}]", messages.join(","))
}

fn message(number: usize) -> String {
    let (node, flow) = (format!("aaaa{number:012x}"), "aaaa0000000000f1");
    let inner = r#"{\"sensor\":\"kitchen\",\"values\":[21.5,21.25,20.75],\"unit\":\"°C\",\"ok\":true,\"at\":1795227766532}"#;
    match number % 5 {
        0 | 1 => format!(
            r#"{{"topic":"status/{node}","data":{{"text":"connected, {number} of 50 items read","fill":"green","shape":"dot"}}}}"#
        ),
        2 => format!(
            r#"{{"topic":"debug","data":{{"id":"{node}","z":"{flow}","path":"{flow}","name":"kitchen readings","topic":"home/kitchen/temperature","property":"payload","msg":"{inner}","format":"Object"}}}}"#
        ),
        3 => format!(
            r#"{{"topic":"debug","data":{{"level":30,"id":"{node}","type":"function","msg":"the reading is {number} seconds old and was taken over from the last one that came","z":"{flow}","name":"check the age","path":"{flow}","timestamp":1795227766532,"format":"string[71]"}}}}"#
        ),
        _ => format!(
            r#"{{"topic":"notification/node/added","data":[{{"id":"node-red-contrib-x/{number}","name":"x","types":["x in","x out"],"enabled":true,"local":true,"user":false,"module":"node-red-contrib-x","version":"1.2.3"}}]}}"#
        ),
    }
}

/// A message as a plain derive has it.
#[derive(Deserialize)]
struct Plain<'a> {
    topic: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A frame into its messages; a peer in the middle.
pub(crate) fn decode(frame: &str) -> Vec<Subject<'_>> {
    let Ok(Frame::Batch(items)) = decode_frame(frame) else { panic!("it is a batch") };
    let plain: Vec<Plain<'_>> = serde_json::from_str(frame).expect("it is JSON");
    let ours: Vec<_> = messages(&items).collect();
    let theirs: Vec<_> = plain.iter().map(|message| (message.topic, message.data.get())).collect();
    assert_eq!(ours, theirs, "the same comes out on both sides");
    vec![
        Subject::new("decode_frame", move || drop(black_box(decode_frame(black_box(frame))))),
        Subject::new("serde_json Value", move || {
            drop(black_box(serde_json::from_str::<serde_json::Value>(black_box(frame))));
        }),
        Subject::new("plain derive of borrowed parts (limit)", move || {
            drop(black_box(serde_json::from_str::<Vec<Plain<'_>>>(black_box(frame))));
        }),
    ]
}

fn messages<'a>(items: &'a [Item<'a>]) -> impl Iterator<Item = (&'a str, &'a str)> {
    items.iter().map(|item| match item {
        Item::Message(message) => (&*message.topic, message.data.expect("it has data").text()),
        Item::Auth(_) => unreachable!("there is none"),
    })
}

/// The messages of a frame, and filters for them.
pub(crate) struct Dispatch {
    pub(crate) topics: Vec<String>,
    #[allow(dead_code, reason = "the scoreboard's peers take them")]
    pub(crate) patterns: Vec<String>,
    index: TopicIndex,
    filters: Vec<TopicFilter>,
}

impl Dispatch {
    /// Filters as editors and programs have them: a few for everything of a kind, the others for a node each.
    pub(crate) fn new(frame: &str, count: usize) -> Self {
        let Ok(Frame::Batch(items)) = decode_frame(frame) else { panic!("it is a batch") };
        let topics = messages(&items).map(|(topic, _)| topic.to_owned()).collect();
        let few = ["status/#", "debug", "notification/#", "+/node/added", "event-log/#", "multiplayer/+"];
        let many = (few.len()..count).map(|number| match number % 3 {
            0 => format!("status/aaaa{number:012x}"),
            1 => format!("status/aaaa{number:012x}/#"),
            _ => format!("event-log/{number:016x}"),
        });
        let patterns: Vec<String> = few.iter().map(|&few| few.to_owned()).chain(many).collect();
        let filters: Vec<_> =
            patterns.iter().map(|pattern| TopicFilter::new(pattern).expect("it is short")).collect();
        let mut index = TopicIndex::new();
        let ids: Vec<_> = filters.iter().map(|filter| index.insert(filter)).collect();
        let dispatch = Self { topics, patterns, index, filters };
        for topic in &dispatch.topics {
            let expected = ids.iter().zip(&dispatch.filters).filter(|(_, filter)| filter.matches(topic));
            let expected: Vec<_> = expected.map(|(id, _)| *id).collect();
            assert_eq!(dispatch.index.matches(topic), expected, "the same comes out on both sides");
        }
        dispatch
    }

    /// How many filters match a message, on average.
    #[allow(dead_code, reason = "the bench shows it")]
    pub(crate) fn matching(&self) -> f64 {
        let all: usize = self.topics.iter().map(|topic| self.index.matches(topic).len()).sum();
        all as f64 / self.topics.len() as f64
    }

    pub(crate) fn index(&self) -> Subject<'_> {
        self.subject("TopicIndex", |topic| {
            let mut found = 0;
            self.index.for_each_match(topic, |id| {
                black_box(id);
                found += 1;
            });
            found
        })
    }

    #[allow(dead_code, reason = "the scoreboard has peers in its place")]
    pub(crate) fn one_by_one(&self) -> Subject<'_> {
        self.subject("every TopicFilter", |topic| {
            self.filters.iter().filter(|filter| filter.matches(topic)).count()
        })
    }

    /// A subject that counts the filters that match, for each message of the frame.
    pub(crate) fn subject<'a>(&'a self, name: &'a str, count: impl Fn(&str) -> usize + 'a) -> Subject<'a> {
        Subject::new(name, move || {
            for topic in &self.topics {
                black_box(count(black_box(topic)));
            }
        })
    }

    /// Returns figures of one message each, out of figures of a frame.
    pub(crate) fn per_message(&self, figures: Vec<Figure>) -> Vec<Figure> {
        let per_message = |figure: Figure| {
            let nanoseconds = figure.nanoseconds / self.topics.len() as f64;
            Figure { time: Duration::from_nanos(nanoseconds as u64), nanoseconds, ..figure }
        };
        figures.into_iter().map(per_message).collect()
    }
}

/// A runtime with editors that all listen.
pub(crate) struct Hub {
    runtime: Runtime,
    editors: usize,
    now: Instant,
    kilobyte: Json,
}

impl Hub {
    pub(crate) fn new(editors: usize) -> Self {
        let mut config = Config::new(Access::Open, 1.0);
        config.heartbeat_interval = None;
        let mut runtime = Runtime::new(config, epoch()).expect("the settings are fine");
        for _ in 0..editors {
            let editor = runtime.accept(epoch());
            runtime.handle_text(editor, "{\"subscribe\":\"status/#\"}", epoch());
            while let Some(output) = runtime.poll_output() {
                black_box(output);
            }
        }
        let kilobyte = Json::from("x".repeat(1_000).as_str());
        Self { runtime, editors, now: epoch(), kilobyte }
    }

    fn publish(&mut self) {
        let done = self.runtime.publish("debug", self.kilobyte.as_ref(), false, self.now);
        done.expect("the runtime is open");
    }

    /// Lets the window end; returns where the text of each frame is.
    fn flush(&mut self) -> Vec<*const u8> {
        while let Some(due) = self.runtime.poll_timeout() {
            self.now = due;
            self.runtime.handle_timeout(due);
        }
        let mut texts = Vec::new();
        while let Some(output) = self.runtime.poll_output() {
            if let Output::Transmit { text, .. } = &output {
                texts.push(text.as_ptr());
            }
        }
        texts
    }

    /// A message is serialised once: all connections are handed the same bytes.
    pub(crate) fn check(&mut self) {
        self.publish();
        let mut frames = Vec::new();
        self.now = self.runtime.poll_timeout().expect("a frame is to go out");
        self.runtime.handle_timeout(self.now);
        while let Some(output) = self.runtime.poll_output() {
            if let Output::Transmit { text, .. } = output {
                frames.push(text);
            }
        }
        assert_eq!(frames.len(), self.editors, "every connection gets the message");
        let places: BTreeSet<_> = frames.iter().map(|frame| frame.as_ptr()).collect();
        assert_eq!(places.len(), 1, "all are handed the same bytes");
    }

    /// Sends a few messages, so that all is as it is after some time.
    #[allow(dead_code, reason = "the scoreboard weighs it")]
    pub(crate) fn warm_up(&mut self) {
        for _ in 0..20 {
            self.publish();
        }
        black_box(self.flush());
    }

    /// The median time to queue a message of 1 KB for a connection. Sending is not in it.
    #[allow(clippy::disallowed_methods, reason = "it is measured in real time")]
    pub(crate) fn nanoseconds_a_connection(&mut self) -> f64 {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                self.publish();
                let taken = start.elapsed();
                black_box(self.flush());
                taken.as_secs_f64() * 1e9 / self.editors as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    }
}
