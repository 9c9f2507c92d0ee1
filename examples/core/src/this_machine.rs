//! A node that is half real: this machine's figures, and proxies that are not there.
//!
//! Applying is simulated, too: a configuration is refused if its `services.xray` has no list `inbounds`, as a real Xray would
//! refuse what it cannot run.

use crate::clock;
use crate::counters::{LineError, Lines, Simulated, read_line};
use crate::host::Host;
use crate::node::Node;
use core_node_proto::agent::{ApplyFailed, Counters, Proxy, Seen};
use core_node_proto::config::{NodeConfig, Services};
use core_node_proto::message::{MtProtoStatus, MtProtoStatuses, NodeStats, XrayStats};
use core_node_proto::value::Timestamp;
use serde_json::Value;
use std::io::BufRead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The code of the error that a configuration is refused with.
pub const REFUSED: &str = "XRAY_CONFIG";

/// This machine with proxies that are not there.
#[derive(Debug)]
pub struct ThisMachine {
    host: Host,
    started: Instant,
    proxies: Simulated,
    /// Counters from elsewhere, in the place of made-up ones.
    lines: Option<SharedLines>,
    runs_xray: bool,
    mtproto_tags: Vec<String>,
}

/// Lines of counters, read on a thread of their own.
#[derive(Clone, Debug, Default)]
pub struct SharedLines(Arc<Mutex<Lines>>);

impl SharedLines {
    /// Expects lines of a file that is read from its beginning at every start; see [`Lines::after`].
    #[must_use]
    pub fn after(start: impl Fn(Proxy) -> Option<Timestamp>) -> Self {
        Self(Arc::new(Mutex::new(Lines::after(start))))
    }

    /// Reads lines to their end. `tell` gets each that is no sample, which is passed over, with its number.
    pub fn read(&self, input: impl BufRead + Send + 'static, tell: impl Fn(u64, LineError) + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            for (number, line) in (1..).zip(input.lines()) {
                let Ok(line) = line else { break };
                match read_line(&line) {
                    Ok(sample) => lines.lock().add(sample),
                    Err(error) => tell(number, error),
                }
            }
            lines.lock().end();
        });
    }

    /// Takes what was read: samples of processes that are gone, and the latest.
    fn take(&self) -> Vec<Counters> {
        let mut lines = self.lock();
        let mut samples = Vec::new();
        while lines.has_more() {
            samples.extend(lines.take());
        }
        samples.extend(lines.take());
        samples
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThisMachine {
    /// Starts proxies without users. Counters come from `lines`, or are made up: the same seed makes the same.
    #[must_use]
    pub fn new(seed: u64, lines: Option<SharedLines>) -> Self {
        let proxies = Simulated::new(seed, clock::now());
        let (host, started) = (Host::new(), Instant::now());
        Self { host, started, proxies, lines, runs_xray: false, mtproto_tags: Vec::new() }
    }
}

impl Node for ThisMachine {
    fn counters(&mut self) -> Vec<Counters> {
        match &self.lines {
            Some(lines) => lines.take(),
            None => vec![self.proxies.sample()],
        }
    }

    fn stats(&mut self) -> Option<NodeStats> {
        let uptime = self.started.elapsed().as_secs();
        let mut statuses = MtProtoStatuses::new();
        for tag in &self.mtproto_tags {
            let mut status = MtProtoStatus::default();
            status.running = Some(true);
            status.uptime_seconds = Some(uptime);
            statuses.insert(tag.clone(), status);
        }
        Some(NodeStats {
            system: Some(self.host.sample()),
            xray: Some(XrayStats { running: self.runs_xray, uptime_seconds: Some(uptime) }.cleaned()),
            mtproto: Some(statuses),
        })
    }

    fn online(&mut self) -> Option<Vec<Seen>> {
        Some(self.proxies.online())
    }

    fn apply(&mut self, config: &NodeConfig) -> Result<(), ApplyFailed> {
        check(config.services())?;
        self.proxies.configure(config);
        self.runs_xray = config.services().xray().is_some();
        self.mtproto_tags =
            config.services().mtproto().map(|mtproto| mtproto.inbound_tags()).unwrap_or_default();
        Ok(())
    }
}

fn check(services: &Services) -> Result<(), ApplyFailed> {
    let Some(xray) = services.xray() else { return Ok(()) };
    let service: Value = serde_json::from_str(xray.json()).unwrap_or_default();
    if service["inbounds"].is_array() {
        return Ok(());
    }
    let message = "xray did not start: its configuration has no list of inbounds".to_owned();
    Err(ApplyFailed { message, code: Some(REFUSED.to_owned()), details: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(services: &str) -> NodeConfig {
        let json =
            format!(r#"{{"revision":1,"clientMap":{{}},"mtprotoClientMap":{{}},"services":{services}}}"#);
        NodeConfig::from_json(json.as_bytes()).unwrap().config
    }

    #[test]
    fn an_xray_without_inbounds_is_refused_and_the_one_before_stays() {
        let mut node = ThisMachine::new(1, None);
        node.apply(&config(r#"{"xray":{"inbounds":[]},"mtproto":{"inbounds":[{"tag":"mt"}]}}"#)).unwrap();
        let refused = node.apply(&config(r#"{"xray":{"inbounds":{}}}"#)).unwrap_err();
        assert_eq!(refused.code.as_deref(), Some(REFUSED));
        let stats = node.stats().unwrap();
        assert!(stats.xray.unwrap().running && stats.mtproto.unwrap().get("mt").is_some());
        assert_eq!(node.apply(&config("{}")), Ok(()));
        assert!(!node.stats().unwrap().xray.unwrap().running);
    }
}
