//! The other end of a connection, played by hand: it writes lines, and checks the lines that it is sent.

use crate::input::Input;
use std::collections::BTreeMap;
use teeth_proto::session::Config;
use teeth_proto::wire::{Json, JsonKind, LineBuffer, Message, Object, decode};
use testkit::secrets::{MARK, marked};

/// Ids that a peer may choose, as JSON.
const IDS: [&str; 8] =
    ["\"1\"", "\"2\"", "7", "{\"a\":1}", "[1]", "true", "123456789012345678901234567890", "\"\\ud800\""];
const IMAGE: &str = "d9b1d0b6-0b5e-4b0e-9d43-4c1f4b2f8a11";
/// Task ids that both sides use.
pub(super) const TASKS: [&str; 4] = ["t-1", "t-2", "caf\u{e9}", ""];
/// The method of the application.
pub(super) const METHOD: &str = "x.do";

/// What one end of a connection has seen of the other.
pub(super) struct Peer {
    /// Cuts what the machine is fed, as the machine does.
    lines: LineBuffer,
    max_line: usize,
    max_sent_line: usize,
    is_over: bool,
    /// The machine has sent a fatal error.
    was_refused: bool,
    /// Commands of the machine that were not answered: id and method.
    pub(super) unanswered: BTreeMap<String, String>,
    /// Commands that the machine was fed, less its answers.
    owed_answers: usize,
    /// Lines of the machine.
    pub(super) heard: usize,
}

/// A command of the machine.
pub(super) struct Heard {
    pub(super) method: String,
    pub(super) params: Object,
}

impl Peer {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            lines: LineBuffer::new(config.max_line),
            max_line: config.max_line,
            max_sent_line: config.max_sent_line,
            is_over: false,
            was_refused: false,
            unanswered: BTreeMap::new(),
            owed_answers: 0,
            heard: 0,
        }
    }

    /// Takes note of what the machine is about to be fed.
    pub(super) fn says(&mut self, mut bytes: &[u8]) {
        while !self.is_over {
            let Some(line) = self.lines.next_line(&mut bytes) else { return };
            match line.map_err(Into::into).and_then(decode) {
                Ok(None) => {}
                Ok(Some(Message::Command { .. })) => self.owed_answers += 1,
                Ok(Some(Message::Result { id, .. } | Message::Error { id, .. })) => {
                    id.as_str().and_then(|id| self.unanswered.remove(&*id));
                }
                Ok(Some(Message::FatalError(_))) | Err(_) => self.is_over = true,
            }
        }
    }

    /// Takes a line of the machine; returns it if it is a command.
    pub(super) fn hears(&mut self, bytes: &[u8]) -> Option<Heard> {
        assert!(!self.was_refused, "rule: nothing follows a fatal error");
        self.heard += 1;
        let line = bytes.strip_suffix(b"\n").expect("rule: a line ends with a line feed");
        assert!(line.is_ascii() && !line.contains(&b'\n'), "rule: what is transmitted is one line of ASCII");
        let message = decode(line).expect("rule: what is transmitted can be read").expect("it is not blank");
        if let Message::FatalError(text) = message {
            assert_eq!(text.kind(), JsonKind::String);
            self.was_refused = true;
            return None;
        }
        assert!(line.len() <= self.max_sent_line, "rule: no line is longer than the limit");
        let Message::Command { id, method, params, .. } = message else {
            self.owed_answers =
                self.owed_answers.checked_sub(1).expect("rule: a command is answered once, if at all");
            return None;
        };
        let (id, method) =
            (id.as_str().expect("ids are strings"), method.as_str().expect("methods are strings"));
        let before = self.unanswered.insert(id.into_owned(), method.clone().into_owned());
        assert!(before.is_none(), "rule: an id is never used twice");
        let params = Object::try_from(params.to_json()).expect("params are an object");
        Some(Heard { method: method.into_owned(), params })
    }

    /// Makes an answer to a command of the machine, or to none.
    pub(super) fn answer(&self, input: &mut Input<'_>) -> Vec<u8> {
        let place = input.below(self.unanswered.len());
        let id = self.unanswered.keys().nth(place).map_or("none", String::as_str);
        let outcome = input.pick(&[
            "\"result\":{}",
            "\"result\":{\"id\":\"conn-1\"}",
            "\"result\":null",
            "\"result\":{\"uptime\":1.5,\"version\":\"0.1-dev\",\"mode\":\"STANDBY\",\"x\":[]}",
            "\"error\":\"no\"",
            "\"error\":{\"msg\":\"no\",\"code\":7}",
            "\"error\":null",
        ]);
        let id = match input.below(16) {
            15 => id.to_uppercase(),
            14 => format!("\\u{:04x}{}", id.as_bytes()[0], &id[1..]),
            13 => "6b83f0c2-5598-4a89-b581-85f9114221ff".to_owned(),
            _ => id.to_owned(),
        };
        format!("{{\"id\":\"{id}\",\"version\":\"v1\",{outcome}}}\n").into_bytes()
    }

    /// Makes a line that is not in order.
    pub(super) fn disorder(&self, input: &mut Input<'_>) -> Vec<u8> {
        match input.below(8) {
            0 => b"\n \t\r\n".to_vec(),
            1 => b"{\"fatal_error\":\"bye\"}\n".to_vec(),
            2 => vec![b' '; self.max_line.min(1_000) + 1],
            3 => b"{\"id\":\"1\",\"version\":\"v2\",\"method\":\"status\",\"params\":{}}\n".to_vec(),
            4 => b"{\"id\":\"1\",\"version\":\"v1\",\"method\":\"no.such\",\"params\":{}}\n".to_vec(),
            5 => b"{\"id\":\"1\",\"version\":\"v1\",\"method\":[\"ping\"],\"params\":{}}\n".to_vec(),
            _ => input.bytes().to_vec(),
        }
    }

    /// Makes a command line, with an id that is sometimes so long that hardly an answer fits.
    pub(super) fn command(&self, input: &mut Input<'_>, method: &str, params: &str) -> Vec<u8> {
        let id = match input.below(16) {
            15 if self.max_sent_line < 100_000 => format!("\"{}\"", "i".repeat(self.max_sent_line - 60)),
            choice => IDS[choice % IDS.len()].to_owned(),
        };
        format!("{{\"id\":{id},\"version\":\"v1\",\"method\":\"{method}\",\"params\":{params}}}\n")
            .into_bytes()
    }
}

/// Makes a command that a server sends: method and parameters. Settings and specifications hold marked secrets.
pub(super) fn server_command(input: &mut Input<'_>) -> (&'static str, String) {
    let task = Json::from(input.pick(&TASKS));
    let task = task.text();
    let secret = marked(input.byte().into());
    let image = if input.below(8) == 7 { "7" } else { "\"d9b1d0b6-0b5e-4b0e-9d43-4c1f4b2f8a11\"" };
    let spelling = input.flag();
    let pick = |document, original| if spelling { original } else { document };
    match input.below(10) {
        0 => ("status", "{}".into()),
        1 => ("ping", "{\"n\":[1,2.50]}".into()),
        2 => (METHOD, format!("{{\"token\":\"{secret}\"}}")),
        3 => (pick("decom.disk_erase", "decom.firmware_secure"), format!("{{\"task_id\":{task}}}")),
        4 => ("decom.qc", format!("{{\"task_id\":{task},\"spec\":{{\"key\":\"{secret}\"}}}}")),
        5 => (
            pick("standbye.cache_images", "standby.cache_images"),
            format!("{{\"task_id\":{task},\"image_ids\":[{image},{image}]}}"),
        ),
        6 => (
            pick("standbye.prepare_image", "standby.prepare_image"),
            format!("{{\"task_id\":{task},\"image_id\":{image}}}"),
        ),
        7 => (
            pick("standbye.run_image", "standby.run_image"),
            format!("{{\"task_id\":{task},\"image_id\":{image}}}"),
        ),
        8 => (
            pick("standbye.run_image", "standby.run_image"),
            format!(
                "{{\"task_id\":{task},\"image_id\":\"{IMAGE}\",\"config_drive\":{{\"metadata\":{{\"password\":\"{secret}\"}},\
                 \"user_data\":\"{secret}\"}}}}"
            ),
        ),
        _ => (pick("standbye.run_image", "decom.qc"), "{\"task_id\":null}".into()),
    }
}

/// Makes a command that an agent sends: method and parameters.
pub(super) fn agent_command(input: &mut Input<'_>) -> (&'static str, String) {
    let task = Json::from(input.pick(&TASKS));
    let task = task.text();
    let secret = marked(input.byte().into());
    match input.below(10) {
        0 => ("handshake", format!("{{\"id\":\"a:b:c:{}\",\"version\":\"0.1-dev\"}}", input.below(2))),
        1 => ("ping", "{\"n\":[1,2.50]}".into()),
        2 => ("log", format!("{{\"message\":\"disk found\",\"time\":1.5,\"key\":\"{secret}\"}}")),
        3 => (METHOD, format!("{{\"token\":\"{secret}\"}}")),
        4 => {
            ("task_status", format!("{{\"task_id\":{task},\"state\":\"running\",\"percent\":1,\"eta\":2.5}}"))
        }
        5 => (
            "task_status",
            format!("{{\"task_id\":{task},\"state\":\"complete\",\"image_ids\":[\"{IMAGE}\"]}}"),
        ),
        6 => ("task_status", format!("{{\"task_id\":{task},\"state\":\"error\",\"msg\":\"no space\"}}")),
        7 => ("task_status", format!("{{\"task_id\":{task},\"state\":\"running\",\"percent\":101}}")),
        8 => ("task_status", format!("{{\"task_id\":{task},\"state\":\"asleep\"}}")),
        _ => ("task_status", "{}".into()),
    }
}

/// Whether the input holds what only the marked secrets should hold.
pub(super) fn holds_mark(data: &[u8]) -> bool {
    data.windows(MARK.len()).any(|window| window.eq_ignore_ascii_case(MARK.as_bytes()))
}
