//! Attacks over WebSocket: on Node-RED's comms, and on its readers.

use super::json;
use crate::attack::{Attack, Must};
use crate::connection::Greeting;
use crate::pair::KEY;
use crate::script::Script;
use tungstenite::handshake::derive_accept_key;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;
const CLOSE: u8 = 8;

/// Who sends a frame: clients mask, here with zeros.
#[derive(Clone, Copy)]
enum From {
    Client,
    Server,
}

/// Attacks on a runtime.
pub(crate) fn on_server() -> Vec<Attack> {
    let good = format!(r#"{{"auth":"{KEY}"}}"#);
    let message = format!(r#"{{"topic":"{}","data":1}}"#, "t".repeat(1000));
    let upgraded = move |frames: Vec<u8>| Script::say([UPGRADE.as_bytes(), &frames].concat());
    let active = {
        let good = good.clone();
        move |frames: Vec<u8>| upgraded([text(From::Client, &good), frames].concat())
    };
    let mut attacks = on_either(From::Client, active.clone());
    let flood = move |name, must, packet: String, mebibytes| {
        let active = active.clone();
        Attack::new(name, must, move |_| active(Vec::new()).endlessly(text(From::Client, &packet), mebibytes))
    };
    attacks.extend([
        Attack::new("comms: idle editors", Must::Bear, move |_| upgraded(Vec::new()))
            .over(300, 5000)
            .within(256),
        Attack::new("comms: wrong token", Must::Say("fail"), move |_| {
            upgraded(text(From::Client, r#"{"auth":"wrong"}"#))
        })
        .over(50, 500),
        Attack::new("comms: token of another type", Must::Bear, move |_| {
            upgraded(text(From::Client, r#"{"auth":{"a":[1]}}"#))
        }),
        Attack::new("comms: endless token", Must::End, move |_| {
            upgraded(text(From::Client, &format!(r#"{{"auth":"{}"}}"#, "k".repeat(4 << 20))))
        }),
        Attack::new("comms: no token", Must::Bear, move |_| {
            upgraded(Vec::new()).endlessly(text(From::Client, r#"{"subscribe":"a"}"#), 4)
        }),
        Attack::new("comms: frames without masks", Must::End, move |_| {
            upgraded(text(From::Server, r#"{"subscribe":"a"}"#))
        }),
        flood("comms: flood of subscriptions", Must::Bear, r#"{"subscribe":"good"}"#.into(), 4),
        flood(
            "comms: endless pattern",
            Must::Bear,
            format!(r#"{{"subscribe":"{}"}}"#, "+/".repeat(100_000)),
            4,
        ),
        flood("comms: pattern of another type", Must::Bear, r#"{"subscribe":[["a"]]}"#.into(), 1),
        flood("comms: flood of messages", Must::Bear, message, 16),
        flood("comms: one token again and again", Must::Bear, good, 4),
    ]);
    let subscribe = text(From::Client, r#"{"subscribe":"good"}"#);
    let deaf = flood("comms: flood of subscriptions, never read", Must::End, String::new(), 0);
    attacks.push(
        Attack::new(deaf.name, deaf.must, move |scene| {
            (deaf.script)(scene).endlessly(subscribe.clone(), 256).deaf()
        })
        .over(1, 2),
    );
    attacks
}

/// Attacks on a reader.
pub(crate) fn on_client() -> Vec<Attack> {
    let message = |topic: &str| format!(r#"[{{"topic":"{topic}","data":{{"a":1}}}}]"#);
    let flood = |name, packet: String, mebibytes| {
        Attack::new(name, Must::Bear, move |_| {
            Script::say("").endlessly(text(From::Server, &packet), mebibytes)
        })
    };
    let debug = r#"[{"topic":"debug","data":{"id":"n","msg":"{\"a\":1","format":"Object"}}]"#;
    let attacks = on_either(From::Server, Script::say).into_iter().chain([
        Attack::new("comms: slow frame", Must::End, |_| Script::say([0x81, 126, 0xff, 0xff]).slowly("[")),
        Attack::new("comms: silence", Must::End, |_| Script::say("")),
        Attack::new("comms: reset at once", Must::Bear, |_| Script::say("").reset()),
        Attack::new("comms: masked frames", Must::End, |_| Script::say(text(From::Client, "[]"))),
        flood("comms: flood of messages", message("good"), 16),
        flood("comms: endless topic", message(&"t/".repeat(100_000)), 16),
        flood("comms: strange debug values", debug.into(), 1),
        flood(
            "comms: oversized list",
            format!("[{}]", vec!["{\"topic\":\"good\",\"data\":1}"; 20_000].join(",")),
            4,
        ),
        flood("comms: refusals nobody asked for", r#"{"auth":"ok"}"#.into(), 1),
    ]);
    // Few, since a reader waits longer for life each time.
    attacks.map(|attack| attack.greeted(greet).over(2, 3)).collect()
}

/// Attacks on either side of an open connection.
fn on_either(from: From, open: impl Fn(Vec<u8>) -> Script + Clone + Send + Sync + 'static) -> Vec<Attack> {
    let say = move |name, must, bytes: Vec<u8>| {
        let open = open.clone();
        Attack::new(name, must, move |_| open(bytes.clone()))
    };
    let repeat = {
        let say = say.clone();
        move |name, must, first: Vec<u8>, unit: Vec<u8>, mebibytes| {
            let Attack { script, connections, limit, .. } = say(name, must, first);
            Attack {
                connections,
                limit,
                ..Attack::new(name, must, move |scene| script(scene).endlessly(unit.clone(), mebibytes))
            }
        }
    };
    let fragment = frame(from, 0, b"aaaa", false);
    vec![
        repeat("comms: endless frame", Must::End, huge_header(from, 1 << 40), b"[".to_vec(), 256),
        say("comms: frame beyond numbers", Must::End, huge_header(from, u64::MAX)),
        repeat("comms: endless fragments", Must::End, frame(from, TEXT, b"[", false), fragment, 512)
            .within(160),
        repeat("comms: endless pings", Must::Bear, Vec::new(), frame(from, PING, b"ping", true), 16),
        repeat("comms: empty frames", Must::Bear, Vec::new(), frame(from, TEXT, b"", true), 4),
        repeat("comms: binary frames", Must::Bear, Vec::new(), frame(from, BINARY, b"\xff\xfe", true), 4),
        say("comms: long ping", Must::End, frame(from, PING, &[b'a'; 200], true)),
        say("comms: reserved bits", Must::End, vec![0xf1, mask(from), 0, 0, 0, 0]),
        say("comms: unknown kind of frame", Must::End, frame(from, 3, b"", true)),
        say("comms: garbage", Must::End, vec![0xff; 4096]),
        say("comms: close of one byte", Must::End, frame(from, CLOSE, b"a", true)),
        say("comms: invalid UTF-8", Must::End, frame(from, TEXT, json::NO_UTF8, true)),
        say("comms: deep nesting", Must::Bear, text(from, &json::deep(100_000))),
        say("comms: huge number", Must::Bear, text(from, &json::huge())),
        say("comms: oversized map", Must::Bear, text(from, &json::map(50_000))),
    ]
}

/// A hostile server needs no login, and begins once a connection is upgraded.
fn greet(head: &str) -> Greeting {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    match key {
        Some(key) => {
            let accept = derive_accept_key(key.as_bytes());
            let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
            Greeting::Begin(format!("{head}sec-websocket-accept: {accept}\r\n\r\n").into())
        }
        None => Greeting::Answer(super::http::good("{}")),
    }
}

const UPGRADE: &str = "GET /comms HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

fn text(from: From, payload: &str) -> Vec<u8> {
    frame(from, TEXT, payload.as_bytes(), true)
}

fn frame(from: From, kind: u8, payload: &[u8], last: bool) -> Vec<u8> {
    let mut frame = vec![kind | if last { 0x80 } else { 0 }];
    match payload.len() {
        length @ 0..126 => frame.push(mask(from) | length as u8),
        length @ 126..65_536 => {
            frame.push(mask(from) | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(mask(from) | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if let From::Client = from {
        frame.extend([0; 4]);
    }
    frame.extend_from_slice(payload);
    frame
}

/// The beginning of a frame that never ends.
fn huge_header(from: From, length: u64) -> Vec<u8> {
    let mut header = vec![0x81, mask(from) | 127];
    header.extend(length.to_be_bytes());
    if let From::Client = from {
        header.extend([0; 4]);
    }
    header
}

fn mask(from: From) -> u8 {
    match from {
        From::Client => 0x80,
        From::Server => 0,
    }
}
