//! What there is to tell of events.

use super::mask::{self, Secrets};
use nodepass_api::ApiKey;
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
    KeyRotated(ApiKey),
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
    /// are: what the list has brought to light.
    pub fn tell(&self, client: &Client, events: Vec<Event>) -> Vec<News> {
        let mut news = Vec::with_capacity(events.len());
        // The instance of the last event of the stream, until its change has come by.
        let mut told: Option<InstanceId> = None;
        for event in events {
            match event {
                Event::Told(event) => {
                    told = event.instance.as_ref().map(|instance| instance.id.clone());
                    news.extend(self.told(&event));
                }
                Event::Change(change) => {
                    let (Change::Added(id) | Change::Updated { id, .. } | Change::Removed(id)) = &change
                    else {
                        news.extend(self.change(client, change));
                        continue;
                    };
                    if told.take_if(|told| told == id).is_none() {
                        news.extend(self.change(client, change));
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

    fn change(&self, client: &Client, change: Change) -> Option<News> {
        let member = |id: &InstanceId| client.fleet().get(id.as_str());
        let instance = |name, id: &InstanceId| {
            let member = member(id).filter(|_| self.tells_instances)?;
            let mut members = self.members(member.instance());
            members["by"] = "list".into();
            Some(News::Event(name, members))
        };
        match change {
            Change::Added(id) => instance("create", &id),
            Change::Updated { id, .. } => instance("update", &id),
            Change::Removed(id) if self.tells_instances => {
                Some(News::Event("delete", json!({"id": id.as_str(), "by": "list"})))
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

fn plain(event: Event) -> Option<News> {
    let in_ms = |wait: std::time::Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let (name, members) = match event {
        Event::Found { base } => ("found", json!({"url": base.as_str()})),
        Event::NotFound { why, wait } => {
            ("reconnecting", json!({"in_ms": in_ms(wait), "reason": why.to_string()}))
        }
        Event::Streaming => ("streaming", json!({})),
        Event::Synced { added, removed, repaired } => {
            ("synced", json!({"added": added, "removed": removed, "repaired": repaired}))
        }
        Event::Reconnecting { wait, failures, why } => {
            ("reconnecting", json!({"in_ms": in_ms(wait), "failures": failures, "reason": why.to_string()}))
        }
        Event::StreamEnded(why) => ("stream_ended", json!({"reason": why.to_string()})),
        Event::PollingStarted => ("polling_started", json!({})),
        Event::PollingStopped => ("polling_stopped", json!({})),
        Event::Lost(count) => ("lost", json!({"events": count})),
        Event::Rejected(rejected) => {
            ("rejected", json!({"error": rejected.reason.to_string(), "bytes": rejected.length}))
        }
        Event::Unreachable => ("unreachable", json!({"error": "nothing answers"})),
        Event::Reachable => ("reachable", json!({})),
        Event::Info { info, rates } => ("info", about(&info, rates)),
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
