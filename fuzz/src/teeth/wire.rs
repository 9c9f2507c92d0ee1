//! Bytes are cut into lines and decoded; what can be read comes back from being written.

use super::same_meaning;
use teeth_proto::Dialect;
use teeth_proto::command::{Command, ConfigDrive, ErrorValue, Status};
use teeth_proto::wire::{
    Json, JsonRef, LINE_LIMIT, LineBuffer, LineTooLong, Message, Object, decode, encode, trim,
};

/// Short enough for small inputs to reach it.
const SMALL_LIMIT: usize = 48;

/// Bytes → lines, however they are cut → decode → encode → decode, equal.
pub fn teeth_wire(data: &[u8]) {
    for limit in [LINE_LIMIT, SMALL_LIMIT, 1] {
        let whole = lines(limit, [data]);
        assert_eq!(whole, lines(limit, pieces(data)), "rule: the cut of the input does not matter");
        assert_eq!(whole, lines(limit, data.chunks(1)), "rule: the cut of the input does not matter");
    }
    for line in lines(LINE_LIMIT, [data, b"\n"]).into_iter().flatten() {
        self::line(&line);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        value(text);
    }
}

/// Returns the lines up to the first that is too long.
fn lines<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Vec<u8>, LineTooLong>> {
    let mut buffer = LineBuffer::new(limit);
    let mut lines = Vec::new();
    for mut piece in pieces {
        while let Some(line) = buffer.next_line(&mut piece) {
            lines.push(line.map(<[u8]>::to_vec));
            assert_eq!(buffer.buffered(), 0, "rule: a line that was handed out is not held");
            if lines.last().is_some_and(Result::is_err) {
                return lines;
            }
        }
        assert!(piece.is_empty(), "rule: all of the input is taken");
        assert!(buffer.buffered() <= limit, "rule: no more than the limit is held");
    }
    lines
}

/// Cuts data at places that it tells itself, also into pieces of nothing.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    let mut gap = true;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.first()? % 17);
        gap = length == 0 && !gap;
        let (piece, tail) = rest.split_at(if gap { 0 } else { length.clamp(1, rest.len()) });
        rest = tail;
        Some(piece)
    })
}

fn line(line: &[u8]) {
    let message = match decode(line) {
        Ok(Some(message)) => message,
        Ok(None) => return assert!(trim(line).is_empty(), "rule: only blank lines are ignored"),
        Err(violation) => return assert!(!violation.text().is_empty() && !violation.to_string().is_empty()),
    };
    let written = encode(&message);
    let body = written.strip_suffix(b"\n").expect("a message ends with a line feed");
    assert!(body.is_ascii() && !body.contains(&b'\n'), "rule: a message is one line of ASCII");
    let again = decode(body).expect("what is written can be read").expect("what is written is not blank");
    assert!(
        same_message(&message, &again),
        "rule: what is written can be read; {message:?} became {again:?}"
    );
    assert_eq!(encode(&again), written, "rule: writing again changes nothing");
    contents(&message);
}

fn same_message(a: &Message<'_>, b: &Message<'_>) -> bool {
    let same = |pairs: &[(&JsonRef<'_>, &JsonRef<'_>)]| {
        pairs.iter().all(|(a, b)| same_meaning(a.text(), b.text()) && a.is_empty() == b.is_empty())
    };
    match (a, b) {
        (
            Message::Command { version, params, id, method },
            Message::Command { version: v, params: p, id: i, method: m },
        ) => same(&[(version, v), (params, p), (id, i), (method, m)]),
        (Message::Result { version, id, result }, Message::Result { version: v, id: i, result: r }) => {
            same(&[(version, v), (id, i), (result, r)])
        }
        (Message::Error { version, id, error }, Message::Error { version: v, id: i, error: e }) => {
            same(&[(version, v), (id, i), (error, e)])
        }
        (Message::FatalError(a), Message::FatalError(b)) => same(&[(a, b)]),
        _ => false,
    }
}

fn contents(message: &Message<'_>) {
    match *message {
        Message::Command { params, method, .. } => {
            if let Some(name) = method.as_str() {
                [Dialect::Document, Dialect::Original]
                    .into_iter()
                    .for_each(|dialect| command(&name, params, dialect));
            }
        }
        Message::Result { result, .. } => status(result),
        Message::Error { error, .. } => {
            let error = ErrorValue::from_json(error);
            let _ = (error.msg(), format!("{error:?}"));
        }
        Message::FatalError(text) => _ = (text.as_str(), text.kind()),
    }
}

/// Values that came as other text than would be written are re-spelled by the first writing, and no more by the second.
fn command(name: &str, params: JsonRef<'_>, dialect: Dialect) {
    let command = match Command::decode(name, params, dialect) {
        Ok(command) => command,
        Err(error) => return assert!(!error.to_string().is_empty(), "rule: a refusal says why"),
    };
    if let Command::Task(task) = &command
        && let teeth_proto::command::Work::RunImage { config_drive: Some(settings), .. } = &task.work
    {
        drive(settings);
    }
    let Ok(sent) = command.params(dialect) else {
        return;
    };
    let again = Command::decode(name, sent.as_ref(), dialect);
    if params.text().is_ascii() && !params.text().contains('\u{7f}') {
        assert_eq!(again.as_ref(), Ok(&command), "rule: what is written can be read");
    }
    let again = again.expect("what is written can be read");
    assert_eq!(again.method(), command.method(), "rule: a command stays what it is");
    let sent_again = again.params(dialect).expect("what was written can be written");
    assert!(same_meaning(sent.text(), sent_again.text()), "rule: writing again changes nothing");
}

fn drive(settings: &ConfigDrive) {
    let Ok(files) = settings.files() else { return };
    assert!(files.is_sorted_by(|a, b| a.path < b.path), "rule: no two files are in one place");
    for file in files {
        let stays = file.path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        assert!(stays && !file.path.contains(['\\', ':', '\0']), "rule: no file leaves the drive");
    }
}

fn status(result: JsonRef<'_>) {
    let Some(status) = Status::decode(result) else { return };
    let again = Status::decode(status.result().as_ref()).expect("a status is an object");
    assert_eq!(
        (status.uptime, &status.version, &status.mode, status.fields.len()),
        (again.uptime, &again.version, &again.mode, again.fields.len()),
        "rule: what is written can be read"
    );
}

/// Any text as a value of its own.
fn value(text: &str) {
    let Ok(value) = Json::parse(text) else { return };
    assert!(!value.text().contains('\n'), "rule: a value stands on one line");
    assert_eq!(Json::parse(value.text()).as_ref(), Ok(&value), "rule: what is written can be read");
    let written = Json::encode(&value).expect("a value can be written");
    assert!(same_meaning(value.text(), written.text()), "rule: what is written can be read");
    if let Ok(object) = Object::try_from(value) {
        for (name, member) in object.members() {
            assert_eq!(object.get(&name), Some(member), "rule: a member is found by its name");
        }
    }
}
