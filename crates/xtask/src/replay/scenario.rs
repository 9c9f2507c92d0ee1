//! What a recording of a node fixes: the targets, the process's lives, and what came when.

use super::capture::{Capture, Exchange, Handshake};
use ithiltir_proto::wire::{NodeReport, Static, decode};
use ithiltir_proto::{Secret, Target, Url};

/// The time from one start of the process to the next, or to the end of the recording.
pub(super) struct Life {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) interval: i64,
    /// When the first report of this life came, in milliseconds of the recording.
    first_report: i64,
    /// Whether an update ended it.
    pub(super) ends_updated: bool,
}

impl Life {
    /// Returns the interval of the first report's time in which something came; -1 is the one of the start.
    pub(super) fn tick(&self, milliseconds: i64) -> i64 {
        (milliseconds - self.first_report + self.interval / 2).div_euclid(self.interval)
    }

    pub(super) fn last_tick(&self) -> i64 {
        self.exchanges.iter().map(|exchange| self.tick(exchange.milliseconds)).max().unwrap_or(-1)
    }

    /// Returns the report sent last up to this tick.
    pub(super) fn report(&self, tick: i64) -> Option<NodeReport> {
        self.latest(tick, |exchange| decode(exchange.request_body.whole()?).ok().filter(is_report))
    }

    /// Returns the Static sent last up to this tick.
    pub(super) fn statics(&self, tick: i64) -> Option<Static> {
        self.latest(tick, statics)
    }

    fn latest<T>(&self, tick: i64, read: impl Fn(&Exchange) -> Option<T>) -> Option<T> {
        let until = self.exchanges.iter().rev().filter(|exchange| self.tick(exchange.milliseconds) <= tick);
        until.filter(|exchange| exchange.method == "POST").find_map(read)
    }

    /// Returns a target for each host that got reports, and the hosts in the same order.
    pub(super) fn targets(&self, handshakes: &[Handshake]) -> Vec<(String, Target)> {
        let mut targets: Vec<(String, Target)> = Vec::new();
        for exchange in self.exchanges.iter().filter(|exchange| is_report_exchange(exchange)) {
            let host = exchange.host();
            let scheme = if exchange.tls || !handshakes.is_empty() { "https" } else { "http" };
            let url = format!("{scheme}://{host}{}", exchange.path);
            let key = Secret::new(exchange.request_header("x-node-secret").unwrap_or_default());
            if let Ok(target) = Target::new(&url, &key)
                && targets.iter().all(|(known, _)| known != host)
            {
                targets.push((host.to_owned(), target));
            }
        }
        targets
    }
}

/// Splits a recording; exchanges that only a followed redirect led to are taken out and counted.
pub(super) fn lives(capture: &Capture) -> (Vec<Life>, usize) {
    let followed = followed(&capture.exchanges);
    let mut parts: Vec<Vec<Exchange>> = vec![Vec::new()];
    let mut updated = vec![false];
    for (place, exchange) in capture.exchanges.iter().enumerate() {
        if exchange.route() == "identity" || followed[place] {
            continue;
        }
        let last = parts.last().and_then(|part| part.last());
        let restarted = last.is_some_and(|last| last.method == "GET") && exchange.route() == "static";
        if restarted {
            *updated.last_mut().expect("one for each part") = true;
            parts.push(Vec::new());
            updated.push(false);
        }
        parts.last_mut().expect("there is always one").push(exchange.clone());
    }
    let lives = parts.into_iter().zip(updated).filter_map(|(part, updated)| life(part, updated)).collect();
    (lives, followed.iter().filter(|followed| **followed).count())
}

fn life(exchanges: Vec<Exchange>, ends_updated: bool) -> Option<Life> {
    let first_report = exchanges.iter().find(|exchange| is_report_exchange(exchange))?.milliseconds;
    let seconds = exchanges.iter().find_map(statics)?.report_interval_seconds;
    Some(Life { exchanges, interval: seconds * 1000, first_report, ends_updated })
}

fn is_report(report: &NodeReport) -> bool {
    !report.metrics.system.uptime.is_empty()
}

fn is_report_exchange(exchange: &Exchange) -> bool {
    let report = exchange.request_body.whole().and_then(|body| decode(body).ok());
    exchange.method == "POST" && report.as_ref().is_some_and(is_report)
}

pub(super) fn statics(exchange: &Exchange) -> Option<Static> {
    let statics = decode::<Static>(exchange.request_body.whole()?).ok()?;
    (statics.report_interval_seconds > 0).then_some(statics)
}

/// Says of each exchange whether it is what a redirect shortly before it points to.
fn followed(exchanges: &[Exchange]) -> Vec<bool> {
    let mut followed = vec![false; exchanges.len()];
    for (place, exchange) in exchanges.iter().enumerate() {
        let Some((host, path)) = location(exchange) else {
            continue;
        };
        let target = exchanges.iter().enumerate().skip(place + 1).find(|(at, other)| {
            let soon = other.milliseconds - exchange.milliseconds < 500;
            soon && !followed[*at] && other.host() == host && other.path == path
        });
        if let Some((at, _)) = target {
            followed[at] = true;
        }
    }
    followed
}

/// Returns host and request target that a redirect names.
fn location(exchange: &Exchange) -> Option<(String, String)> {
    let location = exchange.response_header("location").filter(|_| (300..400).contains(&exchange.status))?;
    if location.starts_with('/') {
        return Some((exchange.host().to_owned(), location.to_owned()));
    }
    let url = Url::parse(location).ok()?;
    Some((format!("{}:{}", url.host(), url.port()), url.request_target()))
}
