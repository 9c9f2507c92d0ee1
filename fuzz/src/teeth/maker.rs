//! Values of `teeth-proto`, made out of bytes.

use super::depth;
use crate::input::Input;
use teeth_proto::command::{
    Command, ConfigDrive, ErrorValue, Handshake, ImageId, LogEntry, Method, Status, TaskCommand, TaskId,
    TaskState, TaskStatus, Work,
};
use teeth_proto::wire::{Json, NESTING_LIMIT, Object};

/// Texts that a message may hold.
pub(super) const TEXTS: [&str; 12] = [
    "ok",
    "a:b:c:d",
    "0.1-dev",
    "t-1",
    "d9b1d0b6-0b5e-4b0e-9d43-4c1f4b2f8a11",
    "D9B1D0B6-0B5E-4B0E-9D43-4C1F4B2F8A11",
    "caf\u{e9} \u{1f980}",
    "\u{0}\u{1f}\"\\/",
    "\u{2028}\u{7f}",
    "line\nline\r",
    " ",
    "msg",
];

/// Values as a peer may write them, on one line and in ASCII, so that their text stays.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "false",
    "0",
    "-0.0",
    "1.0",
    "1E2",
    "-5",
    "123456789012345678901234567890",
    "1e999",
    "1e-400",
    "\"\"",
    "\"x\"",
    "\"\\ud800\"",
    "\"\\u0000\\/\"",
    "[]",
    "{}",
    "[1,2.5, \"x\", null, {\"b\": {}}]",
    "{\"a\":1,\"a\":2}",
    "{\"msg\": \"no\", \"code\" :7}",
];

/// Names of members, none of them with a meaning of its own.
const NAMES: [&str; 5] = ["disk", "size", "caf\u{e9}", "\"", ""];

pub(super) struct Maker<'a> {
    pub(super) input: Input<'a>,
    /// How deep the deepest value nests.
    pub(super) deepest: usize,
}

impl<'a> Maker<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, deepest: 0 }
    }

    pub(super) fn json(&mut self) -> Json {
        let json = self.any_json();
        self.deepest = self.deepest.max(depth(json.text()));
        json
    }

    fn any_json(&mut self) -> Json {
        match self.input.byte() {
            known @ 0..=149 => parsed(VALUES[usize::from(known) % VALUES.len()]),
            150..=179 => Json::from(&*self.text()),
            180..=199 => self.object().into(),
            200..=205 => nested(self.input.below(200)),
            206..=209 => nested(NESTING_LIMIT - 1 - self.input.below(4)),
            210..=219 => self.read(),
            220..=229 => Json::encode(&self.input.float()).unwrap_or_else(|_| Json::null()),
            _ => {
                let text = String::from_utf8_lossy(self.input.bytes()).into_owned();
                Json::parse(&text).ok().filter(|_| is_plain(&text)).unwrap_or_else(|| Json::from(&*text))
            }
        }
    }

    /// Returns a value that came out of a text which is not on one line.
    fn read(&mut self) -> Json {
        let text = format!("[\n{},\r\n {{\"a\"\n: 1}}\n]", self.input.pick(&VALUES));
        serde_json::from_str(&text).expect("it is JSON")
    }

    pub(super) fn object(&mut self) -> Object {
        let members = self.fields();
        let text: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("{}:{}", Json::from(&**name).text(), value.text()))
            .collect();
        Object::parse(&format!("{{{}}}", text.join(", "))).unwrap_or_default()
    }

    /// Returns members of different names.
    fn fields(&mut self) -> Vec<(String, Json)> {
        let count = self.input.below(NAMES.len());
        NAMES[..count].iter().map(|name| ((*name).to_owned(), self.json())).collect()
    }

    pub(super) fn text(&mut self) -> String {
        self.input.text_among(&TEXTS)
    }

    fn optional<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.input.flag().then(|| make(self))
    }

    pub(super) fn command(&mut self) -> Command {
        match self.input.below(10) {
            0 => Command::Handshake(Handshake { id: self.text(), version: self.text() }),
            1 => Command::Ping(self.object()),
            2 => Command::Log(self.log_entry()),
            3 => Command::Status,
            4 | 5 => Command::TaskStatus(self.task_status()),
            6 => match Method::from(&*self.text()) {
                method @ Method::Other { .. } => Command::Other { method, params: self.object() },
                _ => Command::Status,
            },
            _ => Command::Task(TaskCommand { task_id: self.task_id(), work: self.work() }),
        }
    }

    pub(super) fn log_entry(&mut self) -> LogEntry {
        LogEntry { message: self.text(), time: self.input.float(), fields: self.fields() }
    }

    pub(super) fn task_id(&mut self) -> TaskId {
        if self.input.below(8) == 7 {
            TaskId::from_json(self.json().as_ref())
        } else {
            TaskId::from(self.input.pick(&["t-1", "t-2", "t-3", "caf\u{e9}", ""]))
        }
    }

    pub(super) fn image(&mut self) -> ImageId {
        if self.input.below(8) == 7 {
            ImageId::from_json(self.json().as_ref())
        } else {
            ImageId::from(self.input.pick(&TEXTS[4..6]))
        }
    }

    fn images(&mut self) -> Vec<ImageId> {
        (0..self.input.below(4)).map(|_| self.image()).collect()
    }

    pub(super) fn task_status(&mut self) -> TaskStatus {
        let word = match self.input.below(4) {
            0 => "running".to_owned(),
            1 => "error".to_owned(),
            2 => "complete".to_owned(),
            _ => self.text().chars().take(16).collect(),
        };
        let mut status = TaskStatus::new(self.task_id(), TaskState::from(&*word));
        status.percent = self.optional(|maker| maker.input.float());
        status.eta = self.optional(|maker| maker.input.float());
        status.msg = self.optional(Self::text);
        status.image_ids = self.optional(Self::images);
        status
    }

    pub(super) fn work(&mut self) -> Work {
        match self.input.below(6) {
            0 => Work::DiskErase,
            1 => Work::FirmwareSecure,
            2 => Work::QualityControl { chassis: self.json() },
            3 => Work::CacheImages { images: self.images() },
            4 => Work::PrepareImage { image: self.image() },
            _ => Work::RunImage {
                image: self.image(),
                config_drive: self.optional(|maker| ConfigDrive::new(maker.object())),
            },
        }
    }

    pub(super) fn status(&mut self) -> Status {
        Status {
            uptime: self.optional(|maker| maker.input.float()),
            version: self.optional(Self::text),
            mode: self.optional(Self::text),
            fields: self.fields(),
        }
    }

    pub(super) fn error(&mut self) -> ErrorValue {
        match self.input.below(3) {
            0 => ErrorValue::new(&self.text()),
            1 => ErrorValue::from_object(self.object()),
            _ => ErrorValue::from_json(self.json().as_ref()),
        }
    }
}

fn parsed(text: &str) -> Json {
    Json::parse(text).expect("it is JSON")
}

fn nested(depth: usize) -> Json {
    parsed(&format!("{}0{}", "[".repeat(depth), "]".repeat(depth)))
}

/// Whether writing leaves a text as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r'))
}
