//! Any bytes are read as every object; what can be read comes back from being written.

use nodepass_api::Release;
use nodepass_api::master::Snapshot;
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{
    CheckPoint, CreateInstance, ErrorBody, EventTime, Info, Instance, InstanceEvent, LogLine, MasterAlias,
    PatchInstance, PutInstance, TcpingResult, decode, encode, plain_text,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// Bytes → object → bytes → object, the same; a stream cut anywhere; lines.
pub fn nodepass_wire(data: &[u8]) {
    object::<Instance>(data);
    object::<InstanceEvent>(data);
    object::<Info>(data);
    object::<TcpingResult>(data);
    object::<ErrorBody>(data);
    object::<CreateInstance>(data);
    object::<PutInstance>(data);
    object::<PatchInstance>(data);
    object::<MasterAlias>(data);
    list(data);
    body(data, |body| CreateInstance::read(body, Release::V1_14_0));
    body(data, PutInstance::read);
    body(data, |body| PatchInstance::read(body, Release::V1_14_0));
    body(data, MasterAlias::read);
    snapshot(data);
    stream(data);
    let text = String::from_utf8_lossy(data);
    quick_and_slow(&text);
    lines(&text);
}

fn object<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) {
    let Ok(object) = decode::<T>(data) else { return };
    let written = encode(&object);
    let again = serde_json::from_slice::<T>(&written);
    assert_eq!(again.ok().as_ref(), Some(&object), "rule: what is written can be read");
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let Some(read) = value(data).filter(|read| read.get("success").is_none()) else { return };
    let mut written = value(&written);
    // What may be null is always written.
    if let (Some(written), Some(read)) = (written.as_mut().and_then(Value::as_object_mut), read.as_object()) {
        written.retain(|name, value| !value.is_null() || read.contains_key(name));
    }
    assert_eq!(written, Some(read), "rule: what is read is written, all of it");
}

fn list(data: &[u8]) {
    let Ok(list) = decode::<Vec<Instance>>(data) else { return };
    assert_eq!(
        decode::<Vec<Instance>>(&encode(&list)).as_ref(),
        Ok(&list),
        "rule: what is written can be read"
    );
}

/// What a master takes, it takes again when it is written.
fn body<T: Serialize + PartialEq + Debug, E: Debug + PartialEq>(
    data: &[u8],
    read: impl Fn(&[u8]) -> Result<T, E>,
) {
    if let Ok(body) = read(data) {
        assert_eq!(read(&encode(&body)).as_ref(), Ok(&body), "rule: a body that is written can be read");
    }
}

fn snapshot(data: &[u8]) {
    let Ok(snapshot) = Snapshot::decode(data) else { return };
    let again = Snapshot::decode(&snapshot.encode());
    assert!(again.as_ref() == Ok(&snapshot), "rule: what is stored can be read");
}

fn read(reader: &mut EventReader, bytes: &[u8], items: &mut Vec<Item>) {
    reader.read(bytes, |item| items.push(item));
}

/// The first byte says where the rest is cut.
fn stream(data: &[u8]) {
    for limit in [40, 1 << 20] {
        let mut whole = Vec::new();
        read(&mut EventReader::new(limit), data, &mut whole);
        let step = 1 + usize::from(data.first().copied().unwrap_or(0)) % 40;
        for size in [1, step] {
            let (mut reader, mut pieced) = (EventReader::new(limit), Vec::new());
            data.chunks(size).for_each(|piece| read(&mut reader, piece, &mut pieced));
            assert_eq!(pieced, whole, "rule: the cut of the input does not matter");
        }
        for item in whole {
            let Item::Event(event) = item else { continue };
            let frame = [b"data: ".as_slice(), &encode(&event), b"\n\n"].concat();
            let mut again = Vec::new();
            read(&mut EventReader::new(1 << 24), &frame, &mut again);
            assert_eq!(again, [Item::Event(event)], "rule: an event that is written can be read");
        }
    }
}

/// There is a quick way to read an event of the usual form; a space before it makes it an unusual one.
fn quick_and_slow(text: &str) {
    if text.contains(['\n', '\r']) {
        return;
    }
    let event = |space: &str| {
        let mut items = Vec::new();
        read(&mut EventReader::new(1 << 24), format!("data: {space}{text}\n\n").as_bytes(), &mut items);
        match items.pop() {
            Some(Item::Event(event)) => Some(event),
            _ => None,
        }
    };
    assert_eq!(event(""), event(" "), "rule: the quick way reads what the other reads");
}

fn lines(text: &str) {
    for line in text.lines() {
        if let Some(point) = CheckPoint::find(line) {
            let written = point.to_string();
            let again = CheckPoint::find(&format!("x{written} x")).expect("rule: a report can be found");
            assert_eq!(again.to_string(), written, "rule: a report that is written can be read");
            let kept = point.tcprx.is_none_or(|number| again.tcprx == Some(number));
            assert!(kept && point.mode.is_none_or(|number| again.mode == Some(number)));
        }
        let parsed = LogLine::parse(line);
        assert!(!parsed.text.contains(char::is_control), "rule: a text draws nothing on a terminal");
        let plain = plain_text(line);
        assert_eq!(plain_text(&plain), plain, "rule: a plain text stays");
        let _ = EventTime::from(line).unix_milliseconds();
        if let Ok(release) = line.parse::<Release>() {
            assert_eq!(
                release.to_string().parse(),
                Ok(release),
                "rule: a release that is written can be read"
            );
        }
    }
}
