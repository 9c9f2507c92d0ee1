//! Counters of real proxies, as lines of JSON: what `--counters` reads from a file or from the standard input.
//!
//! A line is all that one proxy has counted since it was started. Xray's has the names and values of its API:
//!
//! ```json
//! {"proxy":"xray","startedAt":"2030-01-02T03:04:05Z","stats":[
//!   {"name":"user>>>u12.l3.s45.i6>>>traffic>>>uplink","value":123},
//!   {"name":"outbound>>>direct>>>traffic>>>downlink","value":456}]}
//! ```
//!
//! That of telemt has its users:
//!
//! ```json
//! {"proxy":"mtproto","startedAt":"2030-01-02T03:04:05Z","users":[{"name":"u12.l3.s45.i7","fromClient":1,"toClient":2}]}
//! ```
//!
//! Values never fall within a process; another `startedAt` is another process. Without `"startedByAgent":true` the first
//! line of a process that the agent does not know sets its beginning only, as nobody knows what was reported of it. A value
//! may also be a text of digits, as protobuf's JSON has 64-bit numbers.
//!
//! A file may be read again at the next start of the agent: lines before those of the process that was sampled last count for
//! nothing then.

use core_node_proto::agent::{Counters, Proxy, ProxyCounters};
use core_node_proto::value::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::VecDeque;

/// Why a line is no sample of counters.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It does not have the form.
    #[error("the line is no sample of counters: {0}")]
    Form(#[from] serde_json::Error),
    /// The instant cannot be read.
    #[error("startedAt is not an ISO 8601 instant with a zone")]
    StartedAt,
}

/// Reads a line.
///
/// # Errors
/// It is no sample of counters.
pub fn read_line(line: &str) -> Result<ProxyCounters, LineError> {
    let started = |text: &str| text.parse::<Timestamp>().map_err(|_| LineError::StartedAt);
    Ok(match serde_json::from_str(line)? {
        Line::Xray { started_at, started_by_agent, stats } => {
            let listed = stats.iter().map(|stat| (stat.name.as_str(), stat.value));
            ProxyCounters::xray(started(&started_at)?, started_by_agent, listed)
        }
        Line::Mtproto { started_at, started_by_agent, users } => {
            let counts = |count: fn(&User) -> i64| {
                users.iter().map(move |user| (user.name.as_str(), count(user).max(0).unsigned_abs()))
            };
            let (from, to) = (counts(|user| user.from_client), counts(|user| user.to_client));
            ProxyCounters::telemt(started(&started_at)?, started_by_agent, from, to)
        }
    })
}

#[derive(Deserialize)]
#[serde(tag = "proxy", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Line {
    Xray {
        started_at: String,
        #[serde(default)]
        started_by_agent: bool,
        #[serde(default)]
        stats: Vec<Stat>,
    },
    Mtproto {
        started_at: String,
        #[serde(default)]
        started_by_agent: bool,
        #[serde(default)]
        users: Vec<User>,
    },
}

#[derive(Deserialize)]
struct Stat {
    name: String,
    /// Xray leaves a zero out.
    #[serde(default, deserialize_with = "number")]
    value: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    name: String,
    #[serde(default, deserialize_with = "number")]
    from_client: i64,
    #[serde(default, deserialize_with = "number")]
    to_client: i64,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(i64),
        Text(String),
    }
    match Value::deserialize(deserializer)? {
        Value::Number(number) => Ok(number),
        Value::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Samples that were read and not yet taken. Of one process only the latest is kept, as it has all that the others had.
#[derive(Debug, Default)]
pub struct Lines {
    xray: Samples,
    mtproto: Samples,
}

/// Those of one proxy.
#[derive(Debug, Default)]
struct Samples {
    queue: VecDeque<ProxyCounters>,
    /// The process that was sampled last before the start; while its lines may still come nothing is taken.
    known: Option<Timestamp>,
}

impl Lines {
    /// Expects lines that may have been read before: where those of the process that was sampled last come, which `start` names
    /// by when it began, those of processes before it are passed over. Nothing of a proxy is taken until that is known.
    #[must_use]
    pub fn after(start: impl Fn(Proxy) -> Option<Timestamp>) -> Self {
        let samples = |proxy| Samples { queue: VecDeque::new(), known: start(proxy) };
        Self { xray: samples(Proxy::Xray), mtproto: samples(Proxy::Mtproto) }
    }

    /// Adds a sample.
    pub fn add(&mut self, sample: ProxyCounters) {
        match sample.proxy {
            Proxy::Xray => self.xray.add(sample),
            Proxy::Mtproto => self.mtproto.add(sample),
        }
    }

    /// No more lines come.
    pub fn end(&mut self) {
        self.xray.known = None;
        self.mtproto.known = None;
    }

    /// Takes a sample of every proxy: of the oldest process that was not sampled to its end, else the latest once more.
    /// `None` before the first line.
    pub fn take(&mut self) -> Option<Counters> {
        let proxies: Vec<_> =
            [&mut self.xray, &mut self.mtproto].into_iter().filter_map(Samples::next).collect();
        (!proxies.is_empty()).then_some(Counters { proxies })
    }

    /// Whether processes wait that were replaced by later ones: [`take`](Self::take) again.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.xray.has_more() || self.mtproto.has_more()
    }
}

impl Samples {
    fn add(&mut self, sample: ProxyCounters) {
        if self.known == Some(sample.started_at) {
            self.known = None;
            self.queue.clear();
        }
        if self.queue.back().is_some_and(|last| last.started_at == sample.started_at) {
            self.queue.pop_back();
        }
        self.queue.push_back(sample);
    }

    fn next(&mut self) -> Option<ProxyCounters> {
        if self.known.is_some() {
            return None;
        }
        if self.has_more() { self.queue.pop_front() } else { self.queue.front().cloned() }
    }

    fn has_more(&self) -> bool {
        self.known.is_none() && self.queue.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_node_proto::agent::Traffic;

    fn xray(started_at: &str, up: i64) -> ProxyCounters {
        let name = "user>>>u12.l3.s45.i6>>>traffic>>>uplink";
        let stats = format!(r#"[{{"name":"{name}","value":{up}}}]"#);
        read_line(&format!(r#"{{"proxy":"xray","startedAt":"{started_at}","stats":{stats}}}"#)).unwrap()
    }

    fn up(counters: &Counters) -> Vec<u64> {
        counters.proxies.iter().map(|proxy| proxy.users["u12.l3.s45.i6"].up).collect()
    }

    #[test]
    fn a_line_of_xray_has_the_names_of_its_api() {
        let sample = read_line(
            r#"{"proxy":"xray","startedAt":"2030-01-02T03:04:05Z","startedByAgent":true,"stats":[
                {"name":"user>>>u12.l3.s45.i6>>>traffic>>>uplink","value":"123"},
                {"name":"user>>>u12.l3.s45.i6>>>traffic>>>downlink"},
                {"name":"outbound>>>direct>>>traffic>>>downlink","value":456}]}"#,
        );
        let sample = sample.unwrap();
        assert!(sample.started_by_agent);
        assert_eq!(sample.users["u12.l3.s45.i6"], Traffic { up: 123, down: 0 });
        assert_eq!(sample.outbounds["direct"], Traffic { up: 0, down: 456 });
    }

    #[test]
    fn a_line_of_telemt_has_its_users() {
        let user = r#"{"name":"u12.l3.s45.i7","fromClient":1,"toClient":"2"}"#;
        let line = format!(r#"{{"proxy":"mtproto","startedAt":"2030-01-02T03:04:05Z","users":[{user}]}}"#);
        let sample = read_line(&line).unwrap();
        assert_eq!((sample.proxy, sample.started_by_agent), (Proxy::Mtproto, false));
        assert_eq!(sample.users["u12.l3.s45.i7"], Traffic { up: 1, down: 2 });
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for line in
            ["", "{}", r#"{"proxy":"xray"}"#, r#"{"proxy":"nginx","startedAt":"2030-01-02T03:04:05Z"}"#]
        {
            assert!(matches!(read_line(line), Err(LineError::Form(_))), "{line}");
        }
        assert!(matches!(read_line(r#"{"proxy":"xray","startedAt":"now"}"#), Err(LineError::StartedAt)));
    }

    #[test]
    fn the_last_line_of_each_process_is_sampled_in_order() {
        let (first, second) = ("2030-01-02T03:04:05Z", "2030-01-02T03:04:06Z");
        let mut lines = Lines::default();
        assert_eq!(lines.take(), None);
        for sample in [xray(first, 1), xray(first, 2), xray(second, 1), xray(second, 5)] {
            lines.add(sample);
        }
        assert!(lines.has_more());
        assert_eq!(up(&lines.take().unwrap()), [2]);
        assert!(!lines.has_more());
        assert_eq!([up(&lines.take().unwrap()), up(&lines.take().unwrap())], [[5], [5]]);
    }

    #[test]
    fn a_file_that_is_read_again_goes_on_with_the_process_that_was_sampled_last() {
        let starts = ["2030-01-02T03:04:05Z", "2030-01-02T03:04:06Z", "2030-01-02T03:04:07Z"];
        let known = |proxy| (proxy == Proxy::Xray).then(|| starts[1].parse().unwrap());
        let mut lines = Lines::after(known);
        lines.add(xray(starts[0], 1));
        assert_eq!((lines.take(), lines.has_more()), (None, false));
        starts[1..].iter().for_each(|start| lines.add(xray(start, 2)));
        assert!(lines.has_more());
        assert_eq!([up(&lines.take().unwrap()), up(&lines.take().unwrap())], [[2], [2]]);
        assert!(!lines.has_more());

        let mut lines = Lines::after(known);
        lines.add(xray(starts[2], 3));
        assert_eq!(lines.take(), None, "the lines of the other process may still come");
        lines.end();
        assert_eq!(up(&lines.take().unwrap()), [3]);
    }
}
