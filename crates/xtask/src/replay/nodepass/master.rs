//! Our master in the place of the original, asked what the recorder asked, in order.

use super::row::Row;
use crate::Tally;
use bytes::Bytes;
use http::{Request, Response};
use nodepass_api::Release;
use nodepass_api::master::{Compat, Config, Entropy, ExchangeId, Master, Output, Paths, SystemFigures};
use nodepass_api::url::Inherited;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Long enough for every pause of the master.
const BETWEEN: Duration = Duration::from_secs(1);
const KEY_RECORD: &str = "********";

pub(super) fn check(name: &str, peer: &str, rows: &[Row], tally: &mut Tally) {
    let version = peer.split(' ').next_back().unwrap_or_default();
    let Some(release) = version.parse().ok().filter(|release| *release >= Release::V1_6_0) else {
        return tally
            .skip("rust-port", "another program, which our master does not play; its answers are read");
    };
    let rows: Vec<&Row> = rows.iter().filter(|row| row.peer == peer).collect();
    let (of_admin, others): (Vec<&Row>, Vec<&Row>) =
        rows.into_iter().partition(|row| row.scenario == "prefix-admin");
    let mut admin = Replay::new(name, release, "/admin", &log_level(&of_admin));
    of_admin.into_iter().for_each(|row| admin.exchange(row, tally));
    let mut replay = Replay::new(name, release, "/api", &log_level(&others));
    for row in others {
        match row.scenario.as_str() {
            _ if row.path.ends_with("/api/v2") && release >= Release::new(1, 16, 0) => {
                tally.skip("mcp", "an interface of later releases, which is not this API");
            }
            "tls-master" => tally.skip("tls-master", "the transport's"),
            "persistence-after-restart" => {
                tally.skip("persistence", "answers of a master whose earlier life was not recorded");
            }
            _ => replay.exchange(row, tally),
        }
    }
}

/// What the recorder's master handed down to an instance without a level of its own.
fn log_level(rows: &[&Row]) -> String {
    let made = rows.iter().filter(|row| row.status == 201).find_map(|row| {
        let made: Value = serde_json::from_str(&row.response).ok()?;
        let (_, level) = made["url"].as_str()?.split_once("log=")?;
        Some(level.split('&').next().unwrap_or_default().to_owned())
    });
    made.unwrap_or_default()
}

struct Replay<'a> {
    name: &'a str,
    master: Master,
    now: Instant,
    /// What is random: as it was recorded, and what it is here.
    names: BTreeMap<String, String>,
    /// The objects as they were last recorded, by their ids.
    recorded: BTreeMap<String, Value>,
}

/// What a client sets, which nothing else changes.
const SET_BY_CLIENTS: [&str; 3] = ["alias", "restart", "meta"];

impl<'a> Replay<'a> {
    fn new(name: &'a str, release: Release, prefix: &str, log: &str) -> Self {
        let compat = if release < Release::new(1, 7, 0) { Compat::V1_6 } else { Compat::V1_14 };
        let mut config = Config::new(compat, Entropy::new([0; 32]));
        config.release = release;
        config.prefix = prefix.into();
        // The original has nothing below the bare prefix.
        config.paths = Paths::Versioned;
        let mut inherited = Inherited::default();
        inherited.log = log.into();
        config.inherited = inherited;
        let now = Instant::now();
        let master = Master::new(config, None, now).expect("the settings are good");
        Self { name, master, now, names: BTreeMap::new(), recorded: BTreeMap::new() }
    }

    fn exchange(&mut self, row: &Row, tally: &mut Tally) {
        let key = format!("{}:{} ({})", self.name, row.line, row.scenario);
        self.learn_key(row);
        self.catch_up(row, tally);
        let Some(request) = self.request(row) else {
            return tally.fail(key, "a request", "it cannot be written");
        };
        let exchange = self.master.handle_request(request, self.now);
        let response = self.answer(exchange, row);
        self.now += BETWEEN;
        self.answer(exchange, row);
        match response {
            Some(response) => self.compare(&key, row, &response, tally),
            None if row.route() == "events" && row.status == 200 => tally.pass(),
            None => tally.fail(key, row.status, "no answer"),
        }
    }

    /// The first key that was good is ours.
    fn learn_key(&mut self, row: &Row) {
        let is_checked = row.has_json() && !matches!(row.route(), "openapi.json" | "docs");
        let is_good = is_checked && row.status != 401;
        if let Some(key) = row.key.as_ref().filter(|_| is_good && !self.names.contains_key(KEY_RECORD)) {
            let ours = self.master.key().expose().to_owned();
            self.names.insert(key.clone(), ours);
            self.names.insert(KEY_RECORD.to_owned(), KEY_RECORD.to_owned());
        }
    }

    /// Between its scenarios the recorder did what is not recorded: an object has other values than when it was last seen, and
    /// this request does not set them. Our master is asked for them.
    fn catch_up(&mut self, row: &Row, tally: &mut Tally) {
        let asked: Value =
            row.request.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        let response: Value = serde_json::from_str(&row.response).unwrap_or_default();
        for object in objects(&response) {
            let Some(id) = object["id"].as_str() else { continue };
            let before = self.recorded.insert(id.to_owned(), object.clone());
            let changed = SET_BY_CLIENTS.iter().filter(|&&member| {
                let is_other = before.as_ref().is_some_and(|before| before[member] != object[member]);
                is_other && asked[member].is_null()
            });
            let changes: serde_json::Map<_, _> =
                changed.map(|&member| (member.to_owned(), object[member].clone())).collect();
            if changes.is_empty() {
                continue;
            }
            let ours = self.names.get(id).cloned().unwrap_or_else(|| id.to_owned());
            let key = self.master.key().expose().to_owned();
            let (method, path) = match id {
                KEY_RECORD => ("POST", "/api/v1/info".to_owned()),
                _ => ("PATCH", format!("/api/v1/instances/{ours}")),
            };
            let request = Request::builder().method(method).uri(path).header("x-api-key", key);
            if let Ok(request) = request.body(Value::from(changes).to_string().into()) {
                let exchange = self.master.handle_request(request, self.now);
                self.answer(exchange, row);
                tally.skip("unrecorded", "a change between two scenarios, made up for");
            }
        }
    }

    fn request(&self, row: &Row) -> Option<Request<Bytes>> {
        let ours = |text: &str| {
            self.names.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
        };
        let mut request = Request::builder().method(row.method.as_str()).uri(ours(&row.path));
        if let Some(key) = &row.key {
            request = request.header("x-api-key", ours(key));
        }
        request.body(row.request.clone().unwrap_or_default().into()).ok()
    }

    /// Carries out what the master asks for, as a machine on which everything works, and returns the answer if there is
    /// one.
    fn answer(&mut self, exchange: ExchangeId, row: &Row) -> Option<Response<Bytes>> {
        let (mut response, now) = (None, self.now);
        self.master.handle_timeout(now);
        while let Some(output) = self.master.poll_output() {
            match output {
                Output::Respond { id, response: answer } if id == exchange => response = Some(answer),
                Output::Start { run, .. } => self.master.handle_started(run, Ok(()), now),
                Output::Stop { run, .. } => self.master.handle_exited(run, true, now),
                Output::ReadSystem { id } => self.master.handle_system(id, SystemFigures::default(), now),
                Output::Store { id, .. } => self.master.handle_stored(id, Ok(()), now),
                Output::PushBody { id, .. } => self.master.handle_written(id, now),
                Output::Dial { id, .. } => {
                    // Whether somebody listens there is the recorder's world.
                    let recorded: Value = serde_json::from_str(&row.response).unwrap_or_default();
                    let latency = Duration::from_millis(recorded["latency"].as_u64().unwrap_or(0));
                    let outcome = recorded["error"].as_str().map_or(Ok(latency), Err);
                    self.master.handle_dialed(id, outcome, now);
                }
                Output::Respond { .. }
                | Output::OpenBody { .. }
                | Output::CloseBody { .. }
                | Output::Event(_) => {}
            }
        }
        response
    }

    fn compare(&mut self, key: &str, row: &Row, response: &Response<Bytes>, tally: &mut Tally) {
        let media_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let theirs = (row.status, row.media_type.as_deref());
        tally.check(format_args!("{key} head"), &theirs, &(response.status().as_u16(), media_type));
        if row.is_cut || matches!(row.route(), "openapi.json" | "docs") {
            return tally.skip("document", "the API's description is of our own writing");
        }
        let ours = String::from_utf8_lossy(response.body()).into_owned();
        if !row.has_json() || row.method == "HEAD" {
            // The transport leaves out the body of an answer to HEAD.
            let ours = if row.method == "HEAD" { String::new() } else { ours };
            return tally.check(format_args!("{key} body"), &row.response, &ours);
        }
        if row.route() == "info" && row.status == 200 {
            return tally.skip("figures", "what /info says is of the recorder's machine");
        }
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let (mut theirs, mut ours) = (parse(&row.response), parse(&ours));
        self.learn(row, &theirs, &ours);
        self.rename(&mut theirs);
        let has_process = row.method != "POST" && row.method != "PUT";
        for value in [&mut theirs, &mut ours] {
            normalise(value, has_process);
        }
        tally.check(format_args!("{key} body"), &theirs, &ours);
    }

    /// New ids, keys and the master's id.
    fn learn(&mut self, row: &Row, theirs: &Value, ours: &Value) {
        let mut learn = |theirs: &Value, ours: &Value| {
            if let (Some(theirs), Some(ours)) = (theirs.as_str(), ours.as_str())
                && theirs != ours
                && !theirs.is_empty()
            {
                self.names.insert(theirs.to_owned(), ours.to_owned());
            }
        };
        if row.status == 201 {
            learn(&theirs["id"], &ours["id"]);
        }
        let record = |object: &&Value| object["id"] == KEY_RECORD;
        let (theirs, ours) =
            (objects(theirs).into_iter().find(record), objects(ours).into_iter().find(record));
        if let (Some(theirs), Some(ours)) = (theirs, ours) {
            learn(&theirs["url"], &ours["url"]);
            learn(&theirs["config"], &ours["config"]);
        }
    }

    fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(ours) = self.names.get(text.as_str()) {
                    text.clone_from(ours);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.rename(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.rename(value)),
            _ => {}
        }
    }
}

/// The objects of a list, or the only one.
fn objects(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// Lists are in the order of ids; what a process reports, and how it is, are the recorder's world.
fn normalise(value: &mut Value, has_process: bool) {
    if let Value::Array(values) = value {
        values.iter_mut().for_each(|value| normalise(value, has_process));
        values.sort_by_key(|value| value["id"].to_string());
    }
    let is_instance = value["tcprx"].is_number() && value["id"] != KEY_RECORD;
    if let Some(members) = value.as_object_mut().filter(|_| is_instance) {
        for figure in ["mode", "ping", "pool", "tcps", "udps", "tcprx", "tcptx", "udprx", "udptx"] {
            if let Some(figure) = members.get_mut(figure).filter(|figure| figure.is_number()) {
                *figure = 0.into();
            }
        }
        if has_process {
            members.remove("status");
        }
    }
}
