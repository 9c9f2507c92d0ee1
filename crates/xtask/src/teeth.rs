//! Lines of teeth: how vectors and captures hold them, which ones the crate deliberately takes otherwise than the
//! original, and putting other ids into them.

use crate::Deviation;
use crate::json::{self, Value};
use anyhow::anyhow;
use serde_json::Value as Json;
use teeth_proto::wire::{self, LINE_LIMIT, Message, NESTING_LIMIT, Object, Violation, trim};

/// Returns bytes that stand in a row as text, in hexadecimal, or as pieces and how often each is repeated; `names` are
/// those of the three members.
pub(crate) fn bytes(row: &Json, names: [&str; 3]) -> anyhow::Result<Vec<u8>> {
    let [text, hex, parts] = names.map(|name| &row[name]);
    let text = text.as_str().map(|text| text.as_bytes().to_vec());
    let found = text.or_else(|| hex.as_str().and_then(from_hex)).or_else(|| from_parts(parts));
    found.ok_or_else(|| anyhow!("a row without {:?}", names[0]))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn from_parts(parts: &Json) -> Option<Vec<u8>> {
    let part = |part: &Json| {
        let count = usize::try_from(part[1].as_u64()?).ok()?;
        Some(part[0].as_str()?.repeat(count))
    };
    let parts: Option<Vec<String>> = parts.as_array()?.iter().map(part).collect();
    parts.map(|parts| parts.concat().into())
}

/// What a deviation is and what the crate does instead.
pub(crate) struct Otherwise {
    pub(crate) deviation: Deviation,
    pub(crate) instead: Instead,
}

/// What the crate does with a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// Ends the connection with this fatal error.
    Fatal(&'static str),
    /// Takes the line.
    Takes,
}

/// Returns the deviation that a line, without its line feed, may meet in the message layer.
pub(crate) fn of_message(line: &[u8]) -> Option<Otherwise> {
    if line.len() > LINE_LIMIT {
        return fatal(
            "line-too-long",
            "the peer is told, the original closes without a word",
            Violation::LineTooLong,
        );
    }
    let reading = json::read(trim(line))?;
    let undecodable = Violation::Undecodable;
    if reading.has_literals {
        return fatal(
            "nan-literal",
            "NaN and infinities are no JSON, the original reads and writes them",
            undecodable,
        );
    }
    if reading.has_surrogates {
        return fatal("utf8-surrogate", "surrogates are no UTF-8, the original reads them", undecodable);
    }
    let message = reading.value;
    if !matches!(message, Value::Object(_)) {
        let reason = "the peer is told, the original drops the connection on an exception";
        return fatal("top-level-not-object", reason, Violation::NotAnObject);
    }
    if message.get("method").is_none() && message.get("id").is_some_and(Value::is_structured) {
        let reason = "an unknown id like any other, the original drops the connection on an exception";
        return fatal("structured-response-id", reason, Violation::UnknownId);
    }
    of_answer(line).or_else(|| of_depth(message.depth()))
}

/// Returns the deviation that a line may meet in an agent or a server.
pub(crate) fn of_role(line: &[u8]) -> Option<Otherwise> {
    of_message(line).or_else(|| {
        let message = json::read(trim(line))?.value;
        let method = message.get("method")?;
        let reason = "the peer is told, the original stays silent after an exception";
        if message.get("version").is_some_and(Value::is_structured) {
            return fatal("structured-version", reason, Violation::StructuredVersion);
        }
        if method.is_structured() {
            return fatal("structured-method", reason, Violation::StructuredMethod);
        }
        let is_of_document = method.as_text().is_some_and(|method| method.starts_with("standbye."));
        let reason = "the document's spelling is understood too, to the original it is an unknown method";
        let deviation = Deviation { name: "document-spelling", reason };
        is_of_document.then_some(Otherwise { deviation, instead: Instead::Takes })
    })
}

/// Near the limit a line may hold an id that is too long to be sent back.
fn of_answer(line: &[u8]) -> Option<Otherwise> {
    let Ok(Some(Message::Command { version, id, .. })) = wire::decode(line) else { return None };
    let answer = wire::encode(&Message::Result { version, id, result: Object::new().as_ref() });
    let reason = "an answer that is longer than a line may be is not sent, the original sends it";
    let deviation = Deviation { name: "answer-too-long", reason };
    let takes_room = 128; // a status in the place of an empty result, and words
    (answer.len() + takes_room > LINE_LIMIT).then_some(Otherwise { deviation, instead: Instead::Takes })
}

/// The original's limit is that of its interpreter's stack: other for objects than for arrays, and surely kept only up
/// to 900 and from 1000 on.
fn of_depth(depth: usize) -> Option<Otherwise> {
    let reason = "one limit for all kinds of nesting, the original's depends on its interpreter's stack";
    let deviation = Deviation { name: "interpreter-stack", reason };
    let too_deep = Instead::Fatal(Violation::Undecodable.text());
    let instead = if depth > NESTING_LIMIT { too_deep } else { Instead::Takes };
    (900..=1002).contains(&depth).then_some(Otherwise { deviation, instead })
}

fn fatal(name: &'static str, reason: &'static str, violation: Violation) -> Option<Otherwise> {
    Some(Otherwise { deviation: Deviation { name, reason }, instead: Instead::Fatal(violation.text()) })
}

/// Returns a line with other ids: the `id` of its message is exchanged where `other` knows another one for it.
pub(crate) fn with_id(line: &[u8], other: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let mut changed = line.to_vec();
    let members = json::members(trim(line)).unwrap_or_default();
    let padding = line.iter().position(|byte| *byte == b'{').unwrap_or_default();
    for member in members.iter().rev().filter(|member| member.name == json::utf16("id")) {
        if let Some(id) = member.value.as_text().and_then(|id| other(&id)) {
            let place = padding + member.place.start..padding + member.place.end;
            changed.splice(place, format!("\"{id}\"").into_bytes());
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str) -> Option<&'static str> {
        of_role(line.as_bytes()).map(|otherwise| otherwise.deviation.name)
    }

    #[test]
    fn bytes_stand_there_in_three_ways() {
        let read = |row| bytes(&row, ["a", "b", "c"]).ok();
        assert_eq!(read(serde_json::json!({"a": "é"})).as_deref(), Some("é".as_bytes()));
        assert_eq!(read(serde_json::json!({"b": "00fF"})), Some(vec![0, 255]));
        assert_eq!(read(serde_json::json!({"c": [["ab", 2], ["c", 1]]})).as_deref(), Some(&b"ababc"[..]));
        assert_eq!(read(serde_json::json!({"b": "0g"})), None);
        assert_eq!(read(serde_json::json!({})), None);
    }

    #[test]
    fn deviations_are_seen_in_the_line_alone() {
        assert_eq!(name("{\"id\":1,\"version\":\"v1\",\"method\":\"status\",\"params\":{}}"), None);
        assert_eq!(name("{\"id\":[NaN]}"), Some("nan-literal"));
        assert_eq!(name("{\"id\":\"NaN\"}"), None);
        assert_eq!(name(" [1] \r"), Some("top-level-not-object"));
        assert_eq!(name("[1"), None);
        assert_eq!(name("{\"id\":[1],\"result\":1}"), Some("structured-response-id"));
        assert_eq!(name("{\"id\":[1],\"method\":\"status\"}"), None);
        assert_eq!(name("{\"method\":{}}"), Some("structured-method"));
        assert_eq!(name("{\"method\":1,\"version\":[1]}"), Some("structured-version"));
        assert_eq!(name("{\"method\":\"standbye.run_image\"}"), Some("document-spelling"));
        assert_eq!(name(&" ".repeat(LINE_LIMIT)), None);
        assert_eq!(name(&" ".repeat(LINE_LIMIT + 1)), Some("line-too-long"));
        assert_eq!(
            name(&["{\"a\":", &"[".repeat(950), &"]".repeat(950), "}"].concat()),
            Some("interpreter-stack")
        );
        assert!(
            of_role(b"{\"id\":\"\xED\xA0\x80\"}")
                .is_some_and(|other| other.deviation.name == "utf8-surrogate")
        );
    }

    #[test]
    fn ids_are_exchanged_where_they_are_the_messages_id() {
        let other = |id: &str| (id == "a-1").then(|| "b".to_owned());
        let line =
            b" \t{\"id\": \"a-1\", \"\\u0069d\":\"a\\u002d1\", \"x\": {\"id\": \"a-1\"}, \"id\":[\"a-1\"]} ";
        let expected = b" \t{\"id\": \"b\", \"\\u0069d\":\"b\", \"x\": {\"id\": \"a-1\"}, \"id\":[\"a-1\"]} ";
        assert_eq!(with_id(line, other), expected);
        assert_eq!(with_id(b"{\"id\": \"a-1\"", other), b"{\"id\": \"a-1\"");
    }
}
