//! Debug values, made out of bytes.

use crate::input::Input;
use nodered_comms::debug::{DebugError, DebugValue};
use nodered_comms::wire::Json;

/// Texts of characters with one and two units; none reads as something else.
const TEXTS: [&str; 8] = [
    "",
    "a",
    "hello",
    "\"\\\u{1}",
    "\u{e9}\u{65e5}\u{1f600}",
    "twelve chars",
    "thirteenchars",
    "quite a long text \u{1f600}",
];

/// Texts that read as something else, or look like it.
const ODD_TEXTS: [&str; 12] = [
    "[Circular ~.a]",
    "[Circular ~",
    "...",
    "{}",
    "[1,2,3]",
    "{\"__enc__\":true,\"type\":\"set\",\"data\":[1],\"length\":9}",
    "error",
    "array[3]",
    "string[9]",
    "Uint8Array[4]",
    "__enc__",
    "-1.5e400",
];

const NAMES: [&str; 10] =
    ["a", "b", "type", "data", "length", "__enc__", "__encoded__", "_req", "message", "name"];

const RAW: [&str; 8] = [
    "null",
    "[1,[2,[3]]]",
    "{\"__enc__\":true,\"type\":\"undefined\"}",
    "1e999",
    "\"\\ud800\"",
    "{\"a\":1,\"a\":2}",
    "-0.0",
    "{\"type\":\"Buffer\",\"data\":[1,2],\"__enc__\":true,\"length\":9}",
];

/// Makes values. Tame ones are told from anything else on the wire; wild ones are not.
pub(super) struct Maker<'a> {
    pub(super) input: Input<'a>,
    is_wild: bool,
    /// How many more values there may be.
    left: usize,
}

impl<'a> Maker<'a> {
    pub(super) fn new(input: Input<'a>, is_wild: bool) -> Self {
        Self { input, is_wild, left: 200 }
    }

    pub(super) fn text(&mut self) -> String {
        match self.input.byte() {
            odd @ 160..=199 if self.is_wild => ODD_TEXTS[usize::from(odd) % ODD_TEXTS.len()].into(),
            200..=255 if self.is_wild => String::from_utf8_lossy(self.input.bytes()).into_owned(),
            known => TEXTS[usize::from(known) % TEXTS.len()].into(),
        }
    }

    fn class(&mut self, known: &[&'static str]) -> Box<str> {
        if self.is_wild { self.text().into() } else { self.input.pick(known).into() }
    }

    /// How much longer something was.
    fn more(&mut self) -> u64 {
        if self.is_wild { self.input.number() } else { self.input.below(3) as u64 }
    }

    fn items(&mut self, depth: usize) -> Vec<DebugValue> {
        (0..self.input.below(20)).map(|_| self.value(depth + 1)).collect()
    }

    fn members(&mut self, depth: usize) -> Vec<(String, DebugValue)> {
        let mut members = Vec::new();
        for _ in 0..self.input.below(20) {
            let name = match self.is_wild {
                true => self.input.text_among(&NAMES),
                false => format!("m{}", self.input.below(40)),
            };
            members.push((name, self.value(depth + 1)));
        }
        members
    }

    fn numbers(&mut self) -> Vec<DebugValue> {
        (0..self.input.below(20)).map(|_| f64::from(self.input.byte()).into()).collect()
    }

    pub(super) fn value(&mut self, depth: usize) -> DebugValue {
        self.left = self.left.saturating_sub(1);
        if self.is_wild && depth == 0 && self.input.below(64) == 63 {
            return self.deep();
        }
        let choices = if depth > 4 || self.left == 0 { 13 } else { 20 };
        match self.input.below(choices) {
            0 => DebugValue::Undefined,
            1 => DebugValue::Null,
            2 => DebugValue::Function,
            3 => DebugValue::Symbol,
            4 => DebugValue::Bool(self.input.flag()),
            5 | 6 => self.input.float().into(),
            7 => DebugValue::BigInt(self.input.number().to_string().into()),
            8 => self.string(),
            9 => DebugValue::RegExp(format!("/{}/g", self.text()).into()),
            10 => {
                let bytes = self.input.bytes()[..].iter().copied().take(20).collect::<Vec<u8>>();
                DebugValue::Buffer { length: (bytes.len() as u64).saturating_add(self.more()), bytes }
            }
            11 => self.error(depth).into(),
            12 => self.rare(),
            13 | 14 => {
                let items = self.items(depth);
                DebugValue::Array { length: (items.len() as u64).saturating_add(self.more()), items }
            }
            15 => {
                let items = self.items(depth);
                DebugValue::Set { length: (items.len() as u64).saturating_add(self.more()), items }
            }
            16 => {
                let entries = self.members(depth);
                DebugValue::Map { length: (entries.len() as u64).saturating_add(self.more()), entries }
            }
            17 => self.typed_array(depth),
            _ => DebugValue::Object(self.members(depth)),
        }
    }

    fn string(&mut self) -> DebugValue {
        let text = self.text();
        if self.is_wild { DebugValue::String { length: self.input.number(), text } } else { text.into() }
    }

    /// Values that only some places know.
    fn rare(&mut self) -> DebugValue {
        if !self.is_wild {
            return DebugValue::Class { name: self.class(&["Date", "Foo"]), text: self.text() };
        }
        match self.input.below(5) {
            0 => DebugValue::Internal,
            1 => DebugValue::Circular(self.text().into()),
            2 => DebugValue::Raw(Json::parse(self.input.pick(&RAW)).expect("it is JSON")),
            3 => DebugValue::BigInt(self.text().into()),
            _ => DebugValue::Class { name: self.text().into(), text: self.text() },
        }
    }

    fn typed_array(&mut self, depth: usize) -> DebugValue {
        let class = Some(self.class(&["Uint8Array", "Float64Array"]));
        let class = class.filter(|_| !self.is_wild || self.input.flag());
        let items = if self.is_wild { self.items(depth) } else { self.numbers() };
        let length = (items.len() as u64).saturating_add(if self.is_wild { self.more() } else { 0 });
        let length = Some(length).filter(|_| !self.is_wild || self.input.flag());
        DebugValue::TypedArray { class, items, length }
    }

    fn error(&mut self, depth: usize) -> DebugError {
        let optional = |maker: &mut Self| maker.input.flag().then(|| maker.text());
        DebugError {
            class: if self.is_wild { optional(self).map(Into::into) } else { None },
            name: if self.is_wild { optional(self) } else { Some(self.text()) },
            message: if self.is_wild { optional(self) } else { Some(self.text()) },
            code: match self.is_wild {
                true => self.input.flag().then(|| self.value(depth + 1)),
                false => self.input.flag().then(|| self.text().into()),
            },
            cause: if self.is_wild { optional(self) } else { None },
            stack: optional(self),
        }
    }

    /// Around the depths at which reading, showing and writing stop.
    fn deep(&mut self) -> DebugValue {
        let levels = self.input.pick(&[98, 99, 100, 101, 499, 500, 501, 502, 600]);
        let kind = self.input.below(3);
        (0..levels).fold(DebugValue::Null, |inner, _| match kind {
            0 => DebugValue::array(vec![inner]),
            1 => DebugValue::Object(vec![("a".to_owned(), inner)]),
            _ => DebugError { code: Some(inner), ..DebugError::default() }.into(),
        })
    }
}
