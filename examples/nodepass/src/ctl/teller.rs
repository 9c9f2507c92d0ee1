//! What there is to tell of events.

use super::mask::{self, Secrets};
use nodepass_api::Secret;
use nodepass_api::client::{Client, Event, InfoRates, KeyProblem, KeySource};
use nodepass_api::fleet::{Change, LogEntry, LogQuery};
use nodepass_api::wire::{EventKind, Info, Instance, InstanceEvent, InstanceId};
use serde_json::{Value, json};

/// Something to tell, or to act upon.
pub enum News {
    /// An event: its name and its members.
    Event(&'static str, Value),
    /// A line of an instance's log, without its secrets.
    Log(InstanceId, LogEntry),
    /// The master refuses the key.
    KeyRefused(KeyProblem),
    /// The master has another key.
    KeyRotated(Secret),
}

/// Makes news of events.
pub struct Teller {
    /// Which lines of logs are told; none of them without it.
    pub logs: Option<LogQuery>,
    /// Whether it is told what becomes of each instance.
    pub tells_instances: bool,
    /// Whether instances are told with all their members.
    pub is_full: bool,
}

impl Teller {
    /// Returns the news of the events that one input has led to.
    ///
    /// What the stream has told is told as it came; of the changes that go with it only those that it does not name itself
    /// are: what the list has brought to light, and what a line of a log has come with, as that an instance has failed.
    pub fn tell(&self, client: &Client, events: Vec<Event>) -> Vec<News> {
        let mut news = Vec::with_capacity(events.len());
        // The last event of the stream, until its change has come by.
        let mut told: Option<(EventKind, InstanceId)> = None;
        for event in events {
            match event {
                Event::Told(event) => {
                    let id = event.instance.as_ref().map(|instance| instance.id.clone());
                    told = id.map(|id| (event.kind.clone(), id));
                    news.extend(self.told(&event));
                }
                Event::Change(change) => {
                    let (Change::Added(id) | Change::Updated { id, .. } | Change::Removed(id)) = &change
                    else {
                        news.extend(self.change(client, change, "list"));
                        continue;
                    };
                    match told.take_if(|(_, told)| told == id) {
                        None => news.extend(self.change(client, change, "list")),
                        Some((EventKind::Log, _)) if is_beyond_log(&change) => {
                            news.extend(self.change(client, change, "log"));
                        }
                        Some(_) => {}
                    }
                }
                Event::KeyRefused(problem) => {
                    news.push(News::Event("key_refused", json!({"error": problem.to_string()})));
                    news.push(News::KeyRefused(problem));
                }
                Event::KeyRotated { key, source } => {
                    let source = if source == KeySource::Stream { "stream" } else { "answer" };
                    news.push(News::Event("key_changed", json!({"by": source})));
                    news.push(News::KeyRotated(key));
                }
                other => news.extend(plain(other)),
            }
        }
        news
    }

    fn members(&self, instance: &Instance) -> Value {
        if self.is_full { mask::instance(instance) } else { mask::brief(instance) }
    }

    fn told(&self, event: &InstanceEvent) -> Option<News> {
        let name = match event.kind {
            EventKind::Initial => "initial",
            EventKind::Create => "create",
            EventKind::Update => "update",
            EventKind::Delete => "delete",
            EventKind::Shutdown => return Some(News::Event("shutdown", json!({}))),
            // Told as a change, which has the line taken apart.
            EventKind::Log => return None,
            _ => "unknown",
        };
        let instance = event.instance.as_ref().filter(|_| self.tells_instances)?;
        let mut members = self.members(instance);
        members["time"] = event.time.as_str().into();
        if name == "unknown" {
            members["kind"] = event.kind.as_str().into();
        }
        Some(News::Event(name, members))
    }

    fn change(&self, client: &Client, change: Change, by: &str) -> Option<News> {
        let member = |id: &InstanceId| client.fleet().get(id.as_str());
        let instance = |name, id: &InstanceId| {
            let member = member(id).filter(|_| self.tells_instances)?;
            let mut members = self.members(member.instance());
            members["by"] = by.into();
            Some(News::Event(name, members))
        };
        match change {
            Change::Added(id) => instance("create", &id),
            Change::Updated { id, .. } => instance("update", &id),
            Change::Removed(id) if self.tells_instances => {
                Some(News::Event("delete", json!({"id": id.as_str(), "by": by})))
            }
            Change::Rates { id, rates } if self.tells_instances => {
                let mut members = json!({"id": id.as_str()});
                for (name, rate) in [
                    ("tcprx", rates.tcprx),
                    ("tcptx", rates.tcptx),
                    ("udprx", rates.udprx),
                    ("udptx", rates.udptx),
                ] {
                    members[name] = whole(rate);
                }
                Some(News::Event("rates", members))
            }
            Change::Logged { id, mut entry } => {
                self.logs.as_ref().filter(|query| query.matches(&entry))?;
                let mut secrets = Secrets::default();
                secrets.add(client.key().expose());
                if let Some(member) = member(&id) {
                    secrets.add_url(&member.instance().url);
                }
                entry.text = secrets.hide(&entry.text).into();
                Some(News::Log(id, entry))
            }
            Change::Full => Some(News::Event("full", json!({"error": "a limit of the view is reached"}))),
            _ => None,
        }
    }
}

/// Whether a change that comes with a line of a log is more than the figures that all frames carry.
fn is_beyond_log(change: &Change) -> bool {
    match change {
        Change::Updated { what, .. } => what.status || what.url || what.alias || what.restart || what.meta,
        _ => true,
    }
}

fn plain(event: Event) -> Option<News> {
    let in_ms = |wait: std::time::Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let (name, members) = match event {
        Event::Found { base } => ("found", json!({"url": base.as_str()})),
        Event::NotFound { reason, wait } => {
            ("reconnecting", json!({"in_ms": in_ms(wait), "reason": reason.to_string()}))
        }
        Event::Streaming => ("streaming", json!({})),
        Event::Synced { added, removed, repaired } => {
            ("synced", json!({"added": added, "removed": removed, "repaired": repaired}))
        }
        Event::ListFailed { reason, wait } => {
            ("list_failed", json!({"in_ms": in_ms(wait), "error": reason.to_string()}))
        }
        Event::Reconnecting { wait, failures, reason } => (
            "reconnecting",
            json!({"in_ms": in_ms(wait), "failures": failures, "reason": reason.to_string()}),
        ),
        Event::StreamEnded(reason) => ("stream_ended", json!({"reason": reason.to_string()})),
        Event::PollingStarted => ("polling_started", json!({})),
        Event::PollingStopped => ("polling_stopped", json!({})),
        Event::Lost(count) => ("lost", json!({"events": count})),
        Event::Rejected(rejected) => {
            ("rejected", json!({"error": rejected.reason.to_string(), "bytes": rejected.length}))
        }
        Event::Unreachable => ("unreachable", json!({"error": "nothing answers"})),
        Event::Reachable => ("reachable", json!({})),
        Event::Info { info, rates } => ("info", about(&info, rates)),
        Event::InfoFailed { reason } => ("info_failed", json!({"error": reason.to_string()})),
        Event::MasterRestarted => ("master_restarted", json!({})),
        Event::VersionChanged { from, to } => ("version_changed", json!({"from": from, "to": to})),
        Event::Closed => ("ended", json!({})),
        _ => return None,
    };
    Some(News::Event(name, members))
}

fn about(info: &Info, rates: InfoRates) -> Value {
    let mut members = serde_json::to_value(info).unwrap_or_default();
    let rates = [
        ("netrx_rate", rates.netrx),
        ("nettx_rate", rates.nettx),
        ("diskr_rate", rates.diskr),
        ("diskw_rate", rates.diskw),
    ];
    for (name, rate) in rates {
        if let Some(rate) = rate {
            members[name] = whole(rate);
        }
    }
    members
}

/// A rate in whole bytes a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are finite and not negative"
)]
fn whole(rate: f64) -> Value {
    (rate.round() as u64).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodepass_api::client::{Config, Layout, Output};
    use std::time::Instant;

    /// Returns the news of each of these frames, as a client with a stream has them.
    fn news_of(frames: &[String]) -> Vec<Vec<News>> {
        let now = Instant::now();
        let mut config = Config::new("http://h:1".parse().unwrap(), Secret::new("k"));
        config.layout = Some(Layout::Versioned);
        config.tells_events = true;
        let mut client = Client::new(config, now).unwrap();
        let outputs = std::iter::from_fn(|| client.poll_output());
        let stream = outputs.filter_map(|output| match output {
            Output::OpenStream { stream, .. } => Some(stream),
            _ => None,
        });
        let stream = stream.last().expect("it wants a stream");
        client.handle_stream_opened(stream, &http::Response::new(()), now);
        let teller = Teller { logs: Some(LogQuery::default()), tells_instances: true, is_full: false };
        let mut take = |frame: &str| {
            client.handle_stream_bytes(stream, frame.as_bytes(), now);
            let outputs = std::iter::from_fn(|| client.poll_output());
            let events = outputs.filter_map(|output| match output {
                Output::Event(event) => Some(event),
                _ => None,
            });
            let events = events.collect();
            teller.tell(&client, events)
        };
        take("");
        frames.iter().map(|frame| take(frame)).collect()
    }

    fn frame(kind: &str, status: &str, tcprx: u64, logs: &str) -> String {
        let instance = format!(
            r#"{{"id":"a1","type":"client","status":"{status}","url":"client://:1/t:2","tcprx":{tcprx},"tcptx":0,"udprx":0,"udptx":0}}"#
        );
        format!(
            "event: instance\ndata: {{\"type\":\"{kind}\",\"time\":\"2026-11-21T10:17:18Z\",\"instance\":{instance},\"logs\":\"{logs}\"}}\n\n"
        )
    }

    fn names(news: &[News]) -> Vec<(&'static str, Value)> {
        let name = |news: &News| match news {
            News::Event(name, members) => (*name, members["by"].clone()),
            News::Log(..) => ("log", Value::Null),
            News::KeyRefused(_) | News::KeyRotated(_) => ("key", Value::Null),
        };
        news.iter().map(name).collect()
    }

    #[test]
    fn a_list_that_fails_is_told_with_the_wait() {
        let reason = nodepass_api::client::RequestError::MethodNotAllowed;
        let wait = std::time::Duration::from_secs(5);
        let Some(News::Event("list_failed", members)) = plain(Event::ListFailed { reason, wait }) else {
            panic!("it is told")
        };
        let expected = json!({"in_ms": 5_000, "error": "the master's release does not know this call"});
        assert_eq!(members, expected);
    }

    #[test]
    fn what_only_a_line_of_a_log_tells_is_told() {
        let news = news_of(&[
            frame("initial", "running", 0, ""),
            frame("log", "running", 5, "a line"),
            frame("log", "error", 5, "Client error: x"),
            frame("update", "running", 6, ""),
        ]);
        let expected = [
            vec![("initial", Value::Null)],
            vec![("log", Value::Null)],
            vec![("update", json!("log")), ("rates", Value::Null), ("log", Value::Null)],
            vec![("update", Value::Null)],
        ];
        let news: Vec<_> = news.iter().map(|news| names(news)).collect();
        assert_eq!(news, expected);
    }
}
