//! Values are encoded and come back; what no peer could take is refused before it is sent.

use super::maker::{Maker, TEXTS};
use super::{depth, same_meaning};
use crate::input::Input;
use teeth_proto::Dialect;
use teeth_proto::command::{Command, ErrorValue, Status, TaskCommand, TaskState, TaskStatus, Work};
use teeth_proto::session::{Answer, Config, Event, Output, Reply, Session};
use teeth_proto::wire::{
    Json, JsonError, JsonKind, Message, NESTING_LIMIT, Object, VERSION, Violation, decode, encode,
};
use testkit::epoch;

/// A value that nests less fits into every message.
const SAFE_DEPTH: usize = NESTING_LIMIT - 3;
/// A longer id of a task is refused.
const TASK_ID_LIMIT: usize = 4096;

/// Arbitrary value → encode → decode, equal.
pub fn teeth_value(data: &[u8]) {
    let mut maker = Maker::new(Input::new(data));
    for dialect in [Dialect::Document, Dialect::Original] {
        maker.deepest = 0;
        let made = maker.command();
        command(&made, dialect, maker.deepest);
        maker.deepest = 0;
        let made = maker.error();
        if maker.deepest < SAFE_DEPTH {
            error(made, dialect);
        }
    }
    maker.deepest = 0;
    let made = maker.status();
    if maker.deepest < SAFE_DEPTH {
        status(&made);
    }
    message(&mut maker);
    json(&mut maker);
}

fn command(command: &Command, dialect: Dialect, deepest: usize) {
    let is_too_deep = deepest >= SAFE_DEPTH;
    let params = match command.params(dialect) {
        Ok(params) => params,
        Err(error) => {
            let may_be = is_too_deep || may_be_refused(command, dialect);
            return assert!(may_be, "rule: it can be sent; {error}");
        }
    };
    line(params.text());
    let method = command.method();
    let read = Command::decode(method.name(dialect), params.as_ref(), dialect);
    assert_eq!(read.as_ref(), Ok(command), "rule: what is written can be read");
    let other = if dialect == Dialect::Document { Dialect::Original } else { Dialect::Document };
    let read = Command::decode(method.name(other), params.as_ref(), dialect);
    assert_eq!(read.as_ref(), Ok(command), "rule: both spellings are understood");
    match sent(command, &params, dialect) {
        Some(call) => assert_eq!(call, *command, "rule: what is written can be read"),
        None => assert!(is_too_deep, "rule: an open session takes a command"),
    }
}

/// What the document or JSON does not allow.
fn may_be_refused(command: &Command, dialect: Dialect) -> bool {
    match command {
        Command::Log(entry) => !entry.time.is_finite(),
        Command::TaskStatus(status) => !is_in_order(status),
        Command::Task(task) => !is_complete(task, dialect),
        _ => false,
    }
}

fn is_complete(TaskCommand { task_id, work }: &TaskCommand, dialect: Dialect) -> bool {
    // What is not ASCII takes up to six bytes for each of its own on the wire.
    if task_id.json().text().len() > TASK_ID_LIMIT / 6 {
        return false;
    }
    match (work, dialect) {
        (Work::PrepareImage { .. }, Dialect::Original) => task_id.as_str().is_some(),
        (_, Dialect::Original) => true,
        (Work::CacheImages { images }, Dialect::Document) => {
            task_id.as_str().is_some() && images.iter().all(|image| image.is_uuid())
        }
        (Work::PrepareImage { image }, Dialect::Document) => task_id.as_str().is_some() && image.is_uuid(),
        (Work::RunImage { image, config_drive }, Dialect::Document) => {
            task_id.as_str().is_some() && image.is_uuid() && config_drive.is_some()
        }
        (_, Dialect::Document) => task_id.as_str().is_some(),
    }
}

/// What the server would call a violation is not sent.
fn is_in_order(status: &TaskStatus) -> bool {
    let is_running = status.state == TaskState::Running;
    status.percent.map_or(!is_running, |percent| (0.0..=100.0).contains(&percent))
        && status.eta.map_or(!is_running, |eta| eta >= 0.0 && eta.is_finite())
        && (status.state != TaskState::Error || status.msg.is_some())
}

/// Sends a command over a session; returns what the other side reads, or nothing if it was refused.
fn sent(command: &Command, params: &Object, dialect: Dialect) -> Option<Command> {
    let mut session = session(dialect);
    session.call(command.method(), params, None, epoch()).ok()?;
    let Some(Output::Transmit(line)) = session.poll_output() else { panic!("rule: a call is transmitted") };
    let message = decode(line.strip_suffix(b"\n").expect("a line ends"));
    let Ok(Some(Message::Command { params, method, .. })) = message else {
        panic!("rule: a call is a command; it was {message:?}")
    };
    let name = method.as_str().expect("a method that is sent is a string");
    Some(Command::decode(&name, params, dialect).expect("rule: what is sent can be read"))
}

fn session(dialect: Dialect) -> Session {
    let mut config = Config::new(7);
    config.dialect = dialect;
    config.serves_ping = false;
    Session::new(config, epoch()).expect("the settings are fine")
}

/// Answers a command with an error; the asker gets it with all that its dialect has room for.
fn error(error: ErrorValue, dialect: Dialect) {
    let (mut asker, mut server) = (session(dialect), session(dialect));
    let ping = teeth_proto::command::Method::Ping;
    asker.call(ping, &Object::new(), None, epoch()).expect("an open session takes a command");
    let Some(Output::Transmit(line)) = asker.poll_output() else { panic!("rule: a call is transmitted") };
    server.handle_bytes(&line, epoch());
    let Some(Output::Event(Event::Command(command))) = server.poll_output() else {
        panic!("rule: a command arrives")
    };
    let answer = Answer::Error(error.clone());
    server.respond(command.token, answer, epoch()).expect("an open command can be answered");
    let Some(Output::Transmit(line)) = server.poll_output() else { panic!("rule: an answer is transmitted") };
    asker.handle_bytes(&line, epoch());
    let Some(Output::Event(Event::Replied { reply: Reply::Error(got), .. })) = asker.poll_output() else {
        panic!("rule: an error arrives")
    };
    assert_eq!(got.msg(), error.msg(), "rule: the text of an error arrives");
    match dialect {
        Dialect::Original => assert_eq!(got.json().as_ref().kind(), JsonKind::String),
        Dialect::Document => further_members(&error, &got),
    }
}

fn further_members(sent: &ErrorValue, got: &ErrorValue) {
    let got: Object = got.json().clone().try_into().expect("an error of the document is an object");
    assert!(
        got.get("msg").is_some_and(|msg| msg.as_str().is_some()),
        "rule: an error of the document has msg"
    );
    let Ok(sent) = Object::try_from(sent.json().clone()) else { return };
    for (name, value) in sent.members().iter().filter(|(name, _)| name != "msg") {
        let got = got.get(name).map(|value| value.text());
        assert_eq!(got, Some(value.text()), "rule: further members of an error survive");
    }
}

fn status(status: &Status) {
    let result = status.result();
    line(result.text());
    let read = Status::decode(result.as_ref()).expect("a status is an object");
    let uptime = status.uptime.filter(|uptime| uptime.is_finite());
    assert_eq!(read, Status { uptime, ..status.clone() }, "rule: what is written can be read");
}

fn message(maker: &mut Maker<'_>) {
    let version = Json::parse(VERSION).expect("it is JSON");
    let (id, method, value, params) = (maker.json(), maker.json(), maker.json(), maker.object());
    let (version, id, value) = (version.as_ref(), id.as_ref(), value.as_ref());
    let messages = [
        Message::Command { version, params: params.as_ref(), id, method: method.as_ref() },
        Message::Result { version, id, result: value },
        Message::Error { version, id, error: value },
        Message::FatalError(value),
    ];
    for message in messages {
        let written = encode(&message);
        line(std::str::from_utf8(&written[..written.len() - 1]).expect("it is ASCII"));
        let body = &written[..written.len() - 1];
        let without_id = id.is_empty() && !matches!(message, Message::FatalError(_));
        let expected = match without_id {
            _ if depth(&String::from_utf8_lossy(body)) > NESTING_LIMIT => Err(Violation::Undecodable),
            true => Err(Violation::MissingId),
            false => Ok(Some(message)),
        };
        assert_eq!(decode(body), expected, "rule: what is written can be read");
    }
}

fn json(maker: &mut Maker<'_>) {
    let value = maker.json();
    line(value.text());
    assert_eq!(Json::parse(value.text()).as_ref(), Ok(&value), "rule: what is written can be read");
    let text = maker.input.text_among(&TEXTS);
    let json = Json::from(&*text);
    assert_eq!(json.as_ref().as_str().as_deref(), Some(&*text), "rule: a text comes back");
    assert_eq!(json.as_ref().is_empty(), text.is_empty());
    let number = maker.input.float();
    match Json::encode(&number) {
        Ok(json) if number.is_finite() => {
            assert_eq!(
                json.as_ref().as_f64().map(f64::to_bits),
                Some(number.to_bits()),
                "rule: a float comes back"
            );
            assert_eq!(json.as_ref().is_empty(), number == 0.0);
        }
        Ok(json) => assert_eq!(json, Json::null(), "rule: JSON has no other float"),
        Err(_) => assert!(!number.is_finite(), "rule: a float can be written"),
    }
    match Json::encode(&[value.clone(), json]) {
        Ok(list) => {
            assert!(list.decode::<Vec<Json>>().is_ok_and(|list| same_meaning(list[0].text(), value.text())));
        }
        Err(error) => assert_eq!((error, depth(value.text())), (JsonError::TooDeep, NESTING_LIMIT - 1)),
    }
}

fn line(text: &str) {
    assert!(
        text.is_ascii() && !text.contains('\n'),
        "rule: a value is written as one line of ASCII: {text:?}"
    );
    assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "rule: what is written is JSON");
}
