//! What was done in a recording besides what went over its connections: logins, and what the runtime published.

use super::recording::{Entry, Recording, Version, What};
use super::value::read;
use crate::json::Value;
use nodered_comms::runtime::{Access, Era, Scope, User};
use nodered_comms::wire::{Item, Json, JsonRef, decode_frame};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A recording that shows all that was published.
pub(super) struct Scenario {
    pub(super) access: Access,
    pub(super) era: Era,
    /// What was retained before the first connection, in order.
    pub(super) retained: Vec<(String, Json)>,
    pub(super) publications: Vec<Publication>,
    pub(super) tokens: BTreeMap<String, Grant>,
}

/// Something that was published.
pub(super) struct Publication {
    pub(super) at: Duration,
    /// The place of its entry: what was recorded before comes first.
    pub(super) line: usize,
    pub(super) what: Published,
}

pub(super) enum Published {
    Message { topic: String, data: Json, retain: bool },
    Status { node: String, status: Json },
    StatusWithdrawn { node: String },
}

/// What a token is good for.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) scope: String,
    /// The text of the answer that it came with.
    pub(super) answer: String,
    pub(super) expires: Option<Duration>,
    pub(super) revoked: Option<Duration>,
}

/// Why our runtime cannot take the place of the recorded one: a name and a reason.
pub(super) type Skip = (&'static str, &'static str);

impl Grant {
    fn fixed(user: &str, scope: &str) -> Self {
        let [user, scope] = [user, scope].map(str::to_owned);
        Self { user, password: String::new(), scope, answer: String::new(), expires: None, revoked: None }
    }

    /// Whether it is good at a time.
    pub(super) fn holds(&self, at: Duration) -> bool {
        [self.expires, self.revoked].into_iter().flatten().all(|end| at < end)
    }
}

/// Returns the tokens that a recording shows, and those of its configuration.
pub(super) fn tokens(recording: &Recording) -> BTreeMap<String, Grant> {
    let mut tokens = BTreeMap::new();
    let fixed: &[(&str, Grant)] = match recording.settings.as_str() {
        "auth-static" => &[
            ("static-good", Grant::fixed("admin", "*")),
            ("static-narrow", Grant::fixed("admin", "flows.read")),
        ],
        "auth-tokens" => &[
            ("custom-good", Grant::fixed("carol", "*")),
            ("custom-narrow", Grant::fixed("dave", "flows.read")),
        ],
        _ => &[],
    };
    tokens.extend(fixed.iter().map(|(token, grant)| ((*token).to_owned(), grant.clone())));
    let mut asked: Option<BTreeMap<&str, &str>> = None;
    for entry in &recording.entries {
        let What::Note(note) = &entry.what else { continue };
        if let Some(form) = note.strip_prefix("HTTP POST /auth/token ") {
            asked = Some(form.split('&').filter_map(|field| field.split_once('=')).collect());
        } else if let (Some(form), Some(answer)) = (&asked, note.strip_prefix("HTTP 200 ")) {
            let field = |name| form.get(name).copied().unwrap_or_default();
            let mut grant = Grant::fixed(field("username"), field("scope"));
            (grant.password, grant.answer) = (field("password").to_owned(), answer.to_owned());
            let value = read(answer);
            grant.expires = value
                .as_ref()
                .and_then(|value| seconds(value.get("expires_in")?))
                .map(|life| entry.at + life);
            if let Some(token) = value.and_then(|value| value.get("access_token")?.as_text()) {
                tokens.insert(token, grant);
            }
            asked = None;
        } else if let Some(body) = note.strip_prefix("HTTP POST /auth/revoke ") {
            let token = read(body).and_then(|body| body.get("token")?.as_text());
            if let Some(grant) = token.and_then(|token| tokens.get_mut(&token)) {
                grant.revoked = Some(entry.at);
            }
        }
    }
    tokens
}

fn seconds(value: &Value) -> Option<Duration> {
    match value {
        Value::Integer(digits) => digits.parse().ok().map(Duration::from_secs),
        Value::Float(number) => Duration::try_from_secs_f64(number.get()).ok(),
        _ => None,
    }
}

impl Scenario {
    pub(super) fn of(recording: &Recording) -> Result<Self, Skip> {
        let mut publications = Vec::new();
        for (place, entry) in recording.entries.iter().enumerate() {
            let What::Note(note) = &entry.what else { continue };
            let messages = if let Some(body) = note.strip_prefix("HTTP POST /probe/publish ") {
                published(body).ok_or(UNREADABLE)?
            } else if let Some(body) = note.strip_prefix("HTTP POST /probe/emit ") {
                emitted(body, recording.version).ok_or(UNREADABLE)?
            } else if let Some(pace) = pace(note) {
                publications.extend(paced(recording, place, pace));
                continue;
            } else if note.starts_with("HTTP ") && !HARMLESS.iter().any(|known| note.starts_with(known)) {
                return Err(RUNTIME_WORK);
            } else {
                continue;
            };
            let publication = |what| Publication { at: entry.at, line: entry.line, what };
            publications.extend(messages.into_iter().map(publication));
        }
        publications.sort_by_key(|publication| publication.at);
        Ok(Self {
            access: access(&recording.settings)?,
            era: era(recording.version),
            retained: retained(recording, &publications),
            publications,
            tokens: tokens(recording),
        })
    }
}

const UNREADABLE: Skip = ("unreadable-note", "a note about what was published that cannot be read");
const RUNTIME_WORK: Skip =
    ("runtime-work", "the runtime deployed, installed or stopped something, which is no work of the comms");
const OTHER_SETTINGS: Skip = ("other-settings", "a configuration that says nothing about the comms we know");
const HEARTBEATS: Skip =
    ("heartbeat-phase", "when heartbeats come depends on a start that is not in the recording");

/// What leads to no message.
const HARMLESS: [&str; 6] = [
    "HTTP 2",
    "HTTP 4",
    "HTTP GET ",
    "HTTP POST /auth/token ",
    "HTTP POST /auth/revoke ",
    "HTTP POST /probe/",
];

fn access(settings: &str) -> Result<Access, Skip> {
    let default = |scope: &str| Access::UsersOr(User::anonymous(Scope::from(scope)));
    match settings {
        "open" | "open-maxlen" | "open-modules" | "adminroot" => Ok(Access::Open),
        "auth" | "auth-expiry" | "auth-static" | "auth-tokens" => Ok(Access::Users),
        "auth-default" => Ok(default("read")),
        "auth-default-narrow" => Ok(default("flows.read")),
        "keepalive" => Err(HEARTBEATS),
        _ => Err(OTHER_SETTINGS),
    }
}

fn era(version: Version) -> Era {
    match version {
        Version(0, ..=17) => Era::Document,
        Version(0, 18..=19) => Era::FirstAtOnce,
        Version(0..=1, _) => Era::AnySize,
        _ => Era::Today,
    }
}

// What was published over HTTP

#[derive(Deserialize)]
struct ProbeMessage {
    topic: String,
    data: Option<Json>,
    #[serde(default)]
    retain: bool,
}

#[derive(Deserialize)]
struct ProbeEvent {
    event: String,
    payload: Emitted,
}

#[derive(Deserialize)]
struct Emitted {
    id: String,
    payload: Option<Json>,
    status: Option<Json>,
    #[serde(default)]
    retain: bool,
}

fn list<T: for<'a> Deserialize<'a>>(body: &str) -> Option<Vec<T>> {
    if body.starts_with('[') {
        serde_json::from_str(body).ok()
    } else {
        Some(vec![serde_json::from_str(body).ok()?])
    }
}

/// What cannot be told from nothing over HTTP is nothing.
fn published(body: &str) -> Option<Vec<Published>> {
    let message = |ProbeMessage { topic, data, retain }| Published::Message {
        topic,
        data: data.unwrap_or_else(Json::null),
        retain,
    };
    Some(list(body)?.into_iter().map(message).collect())
}

fn emitted(body: &str, version: Version) -> Option<Vec<Published>> {
    let list: Vec<ProbeEvent> = list(body)?;
    list.into_iter()
        .map(|ProbeEvent { event, payload: Emitted { id, payload, status, retain } }| {
            let payload = payload.filter(|payload| payload.as_ref().is_truthy());
            Some(match (event.as_str(), status) {
                ("runtime-event", _) => Published::Message {
                    topic: format!("notification/{id}"),
                    data: payload.unwrap_or_else(Json::empty_object),
                    retain,
                },
                ("event-log", _) => {
                    Published::Message { topic: format!("event-log/{id}"), data: payload?, retain: false }
                }
                ("node-status", None) => Published::StatusWithdrawn { node: id },
                // What a node shows went out as it was until 0.19.
                ("node-status", Some(data)) if version < Version(0, 20) => {
                    Published::Message { topic: format!("status/{id}"), data, retain: true }
                }
                ("node-status", Some(status)) => Published::Status { node: id, status },
                _ => return None,
            })
        })
        .collect()
}

// What was published by itself

/// Returns how far apart messages were published, if a note says that they were.
fn pace(note: &str) -> Option<Duration> {
    if note.starts_with("publish ") && note.ends_with(" messages in one call") {
        return Some(Duration::ZERO);
    }
    let (_, pace) = note.split_once(" every ")?;
    let (number, unit) = pace.split_once(' ')?;
    unit.starts_with("ms").then(|| number.parse().ok().map(Duration::from_millis))?
}

/// Takes from the frames what was published after a note. A message cannot have been published after its own frame, nor,
/// but for the first of a frame, before the frame before it.
fn paced(recording: &Recording, place: usize, pace: Duration) -> Vec<Publication> {
    let note = &recording.entries[place];
    let following = &recording.entries[place + 1..];
    let until_next_note = following.iter().take_while(|entry| !matches!(entry.what, What::Note(_)));
    let frames: Vec<(&Entry, Vec<(String, Json)>)> =
        until_next_note.filter_map(|entry| Some((entry, messages_of(entry)?))).collect();
    let Some(connection) = frames.first().map(|(entry, _)| &entry.connection) else { return Vec::new() };
    let (mut publications, mut before, mut due) = (Vec::new(), note.at, note.at);
    for (entry, messages) in frames.iter().filter(|(entry, _)| entry.connection == *connection) {
        for (topic, data) in messages.iter().filter(|(topic, _)| topic != "hb") {
            let at = if pace.is_zero() { note.at } else { due.max(before).min(entry.at) };
            let what = Published::Message { topic: topic.clone(), data: data.clone(), retain: false };
            publications.push(Publication { at, line: note.line, what });
            due += pace;
        }
        before = entry.at;
    }
    publications
}

fn messages_of(entry: &Entry) -> Option<Vec<(String, Json)>> {
    let What::Received(frame) = &entry.what else { return None };
    let frame = decode_frame(&frame.text).ok()?;
    let message = |item: &Item<'_>| match item {
        Item::Message(message) => {
            Some((message.topic.clone().into_owned(), message.data.map(JsonRef::to_json)?))
        }
        Item::Auth(_) => None,
    };
    Some(frame.items().iter().filter_map(message).collect())
}

/// Returns what must have been retained when the recording began: what was sent of topics that nobody published to
/// meanwhile. A topic that several filters of a connection matched comes several times; the last filter shows the order.
fn retained(recording: &Recording, publications: &[Publication]) -> Vec<(String, Json)> {
    let is_published = |topic: &str| {
        publications.iter().any(|publication| match &publication.what {
            Published::Message { topic: known, .. } => known == topic,
            Published::Status { node, .. } | Published::StatusWithdrawn { node } => {
                topic.strip_prefix("status/") == Some(node)
            }
        })
    };
    let mut retained: Vec<(String, Json)> = Vec::new();
    if is_published(STATE) {
        // Every start retains it first, whatever it says.
        retained.push((STATE.to_owned(), Json::empty_object()));
    }
    for connection in recording.connections() {
        let mut seen: Vec<(String, Json)> = Vec::new();
        for (topic, data) in connection.iter().filter_map(|entry| messages_of(entry)).flatten() {
            if !is_published(&topic) && !is_left_out(&topic) {
                seen.retain(|(known, _)| *known != topic);
                seen.push((topic, data));
            }
        }
        let is_in = |list: &[(String, Json)], topic: &str| list.iter().any(|(known, _)| known == topic);
        if retained.iter().all(|(topic, _)| is_in(&seen, topic)) {
            retained = seen;
        } else {
            let new: Vec<_> = seen.into_iter().filter(|(topic, _)| !is_in(&retained, topic)).collect();
            retained.extend(new);
        }
    }
    retained
}

const STATE: &str = "notification/runtime-state";

/// Whether messages of a topic are left out of the comparison.
pub(super) fn is_left_out(topic: &str) -> bool {
    topic == "hb" || topic.starts_with("multiplayer/")
}
