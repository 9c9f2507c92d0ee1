//! Attacks over gRPC, as bytes of HTTP/2: on Core, and on its nodes.

use crate::attack::{Attack, Must};
use crate::connection::Greeting;
use crate::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, head, header, settings,
};
use crate::pair::KEY;
use crate::script::Script;

const HEARTBEAT: &str = "/nodeservice.NodeService/Heartbeat";
const USAGE: &str = "/nodeservice.NodeService/ReportUsage";
const CONFIG: &str = "/nodeservice.NodeService/GetLatestConfig";
const STREAMS: u32 = 10_000;

/// Attacks on a server.
pub(crate) fn on_server() -> Vec<Attack> {
    let mut attacks = on_either(open);
    attacks.extend(on_connections());
    attacks.extend(on_calls());
    attacks.extend(on_messages());
    attacks
}

fn on_connections() -> Vec<Attack> {
    let say = |name, must, frames: Vec<u8>| Attack::new(name, must, move |_| Script::say(open(&frames)));
    let streams = |name, must, one: fn(u32) -> Vec<u8>| {
        let calls: Vec<u8> = (0..STREAMS).flat_map(|number| one(2 * number + 1)).collect();
        Attack::new(name, must, move |_| Script::say(open(&calls)))
    };
    let unread = open(&[settings(&[(4, 0)]), call(1, CONFIG, KEY), data(1, &message(&[]))].concat());
    vec![
        Attack::new("grpc: idle connections", Must::Bear, |_| Script::say("")).over(300, 10_000).within(256),
        Attack::new("grpc: silent connections", Must::End, |_| Script::say("")).over(50, 1000),
        Attack::new("grpc: preface, then silence", Must::End, |_| Script::say(PREFACE)).over(50, 1000),
        say("grpc: settings, then silence", Must::End, Vec::new()).over(50, 1000),
        Attack::new("grpc: slow preface", Must::End, |_| Script::say("PRI").slowly(&PREFACE[3..]))
            .over(50, 1000),
        Attack::new("grpc: slow settings", Must::End, |_| {
            Script::say(PREFACE).slowly(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255].repeat(100)))
        })
        .over(50, 1000),
        Attack::new("grpc: slow pings", Must::End, |_| {
            Script::say(open(&[])).slowly(frame(PING, 0, 0, &[0; 8]))
        }),
        Attack::new("grpc: HTTP/1.1", Must::End, |_| Script::say("GET / HTTP/1.1\r\nhost: h\r\n\r\n")),
        Attack::new("grpc: half a preface, half closed", Must::End, |_| {
            Script::say("PRI * HT").half_closed()
        }),
        Attack::new("grpc: reset in a preface", Must::Bear, |_| Script::say("PRI * HT").reset())
            .over(100, 2000)
            .within(128),
        say("grpc: even number of a stream", Must::Refuse, call(2, HEARTBEAT, KEY)),
        streams("grpc: thousands of streams", Must::Refuse, |stream| call(stream, HEARTBEAT, "wrong"))
            .within(64),
        streams("grpc: thousands of resets", Must::Refuse, |stream| {
            [call(stream, HEARTBEAT, KEY), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .within(64),
        streams("grpc: thousands of calls, never read", Must::End, |stream| {
            [call(stream, CONFIG, KEY), data(stream, &message(&[]))].concat()
        })
        .within(64),
        Attack::new("grpc: no room for answers", Must::End, move |_| Script::say(unread.clone()))
            .over(50, 1000),
    ]
    .into_iter()
    .map(|attack| if attack.name.ends_with("never read") { deaf(attack) } else { attack })
    .collect()
}

/// It is noticed by writing that the program has ended such a connection.
fn deaf(attack: Attack) -> Attack {
    let Attack { name, must, connections, limit, script, .. } = attack;
    Attack {
        connections,
        limit,
        ..Attack::new(name, must, move |scene| {
            script(scene).endlessly(frame(PING, 0, 0, &[0; 8]), 256).deaf()
        })
    }
}

fn on_calls() -> Vec<Attack> {
    let say = |name, frames: Vec<u8>| Attack::new(name, Must::Refuse, move |_| Script::say(open(&frames)));
    let whole = |headers: &[Vec<u8>]| [heads(1, headers), data(1, &message(&[]))].concat();
    let path = |path: &str| whole(&[request(path), grpc(), key(KEY)]);
    let literal = header("a", &"b".repeat(100));
    // One entry of the table, named again and again.
    let bomb = [vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e], vec![b'b'; 4000], vec![0xbe; 16_000]].concat();
    vec![
        Attack::new("grpc: endless head", Must::Refuse, |_| {
            Script::say(open(&frame(HEADERS, 0, 1, &request(HEARTBEAT))))
                .endlessly(frame(CONTINUATION, 0, 1, &[]), 8)
        }),
        Attack::new("grpc: endless headers", Must::Refuse, move |_| {
            Script::say(open(&frame(HEADERS, 0, 1, &request(HEARTBEAT))))
                .endlessly(frame(CONTINUATION, 0, 1, &literal), 8)
        }),
        Attack::new("grpc: slow head", Must::End, |_| {
            Script::say(open(&head(1000, HEADERS, END_HEADERS, 1))).slowly(header("a", "b"))
        })
        .over(50, 1000),
        say("grpc: headers that grow", frame(HEADERS, END_HEADERS, 1, &bomb)),
        say(
            "grpc: long head",
            whole(&[request(HEARTBEAT), grpc(), header("a", &"b".repeat(15_000)), key("wrong")]),
        ),
        say("grpc: broken compression of headers", frame(HEADERS, END_HEADERS, 1, &[0xff; 100])),
        say("grpc: no content type", whole(&[request(HEARTBEAT), key(KEY)])),
        say(
            "grpc: another content type",
            whole(&[request(HEARTBEAT), header("content-type", "text/html"), key(KEY)]),
        ),
        say("grpc: unknown call", path("/nodeservice.NodeService/Nothing")),
        say("grpc: path upwards", path("/../../etc/passwd")),
        say(
            "grpc: path of another service",
            path("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        ),
        say("grpc: endless path", path(&format!("{HEARTBEAT}{}", "/x".repeat(6000)))),
        say("grpc: no path", whole(&[vec![0x83, 0x86], grpc(), key(KEY)])),
        say("grpc: no key", whole(&[request(HEARTBEAT), grpc()])),
        say("grpc: wrong keys", whole(&[request(HEARTBEAT), grpc(), key("wrong")])).over(50, 1000),
        say("grpc: two keys", whole(&[request(HEARTBEAT), grpc(), key("wrong"), key(KEY)])),
        say("grpc: endless key", whole(&[request(HEARTBEAT), grpc(), key(&"k".repeat(12_000))])),
        say("grpc: key of odd bytes", whole(&[request(HEARTBEAT), grpc(), key("\u{e9}\u{1}")])),
    ]
}

fn on_messages() -> Vec<Attack> {
    let said = |path: &'static str, bytes: Vec<u8>| open(&[call(1, path, KEY), data(1, &bytes)].concat());
    let post = |name, path, bytes: Vec<u8>| {
        let script = Script::say(said(path, bytes));
        Attack::new(name, Must::Refuse, move |_| script.clone())
    };
    let begun =
        |path: &str, key: &str, bytes: &[u8]| open(&[call(1, path, key), frame(DATA, 0, 1, bytes)].concat());
    let held = {
        let stream = |number: u32| {
            let stream = 2 * number + 1;
            [call(stream, USAGE, "wrong"), frame(DATA, 0, stream, &[0; 8000])].concat()
        };
        open(&(0..120).flat_map(stream).collect::<Vec<_>>())
    };
    // An entry of which Core refuses all: it has no user.
    let entries = |count: usize| message(&[0x12, 2, 0x08, 0].repeat(count));
    vec![
        Attack::new("grpc: message of 4 GiB", Must::Refuse, move |_| {
            Script::say(begun(HEARTBEAT, KEY, &[0, 0xff, 0xff, 0xff, 0xff]))
                .endlessly(frame(DATA, 0, 1, &[b'a'; 16_384]), 64)
        }),
        Attack::new("grpc: message of 4 GiB, then silence", Must::Refuse, move |_| {
            Script::say(begun(HEARTBEAT, KEY, &[0, 0xff, 0xff, 0xff, 0xff]))
        }),
        Attack::new("grpc: slow message", Must::Refuse, move |_| {
            Script::say([begun(HEARTBEAT, KEY, &[0, 0, 0, 4, 0]), head(1000, DATA, 0, 1)].concat())
                .slowly("a")
        })
        .over(50, 1000),
        Attack::new("grpc: endless empty data", Must::Refuse, move |_| {
            Script::say(begun(HEARTBEAT, KEY, &[])).endlessly(frame(DATA, 0, 1, &[]), 4)
        }),
        Attack::new("grpc: held messages", Must::Bear, move |_| Script::say(held.clone()))
            .over(20, 100)
            .within(160),
        Attack::new("grpc: reset in a message", Must::Bear, move |_| {
            Script::say(begun(HEARTBEAT, KEY, &[0, 0, 0, 4, 0])).reset()
        })
        .over(100, 2000)
        .within(128),
        Attack::new("grpc: half a message, half closed", Must::Refuse, move |_| {
            Script::say(begun(HEARTBEAT, KEY, &[0, 0, 0, 4, 0])).half_closed()
        }),
        post("grpc: truncated message", HEARTBEAT, vec![0, 0, 0, 4, 0, 1]),
        post("grpc: truncated prefix", HEARTBEAT, vec![0, 0]),
        post("grpc: no message", HEARTBEAT, Vec::new()),
        post("grpc: compressed message", HEARTBEAT, vec![1, 0, 0, 0, 2, 0x10, 1]),
        post("grpc: unknown compression", HEARTBEAT, vec![7, 0, 0, 0, 2, 0x10, 1]),
        post("grpc: wrong wire types", HEARTBEAT, message(&[0x15, 1, 2, 3, 4, 0x18, 1])),
        post("grpc: unknown wire type", HEARTBEAT, message(&[0x17, 1])),
        post("grpc: field beyond numbers", HEARTBEAT, message(&[0xff; 20])),
        post("grpc: text longer than the message", HEARTBEAT, message(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        post("grpc: invalid UTF-8", HEARTBEAT, message(&[0x1a, 2, 0xc0, 0xaf])),
        post("grpc: deep nesting", HEARTBEAT, message(&[0x7b; 16_000])),
        post("grpc: batch of nothing but faults", USAGE, entries(3000)),
        Attack::new("grpc: oversized batch", Must::Refuse, {
            let begin = begun(USAGE, KEY, &[0, 0, 0x80, 0, 0]);
            let entries = frame(DATA, 0, 1, &[0x12, 2, 0x08, 0].repeat(4000));
            move |_| Script::say(begin.clone()).endlessly(entries.clone(), 16)
        }),
    ]
}

/// Attacks on a node.
pub(crate) fn on_client() -> Vec<Attack> {
    let opened = |frames: &[u8]| [&settings(&[])[..], frames].concat();
    let say = |name, frames: Vec<u8>| {
        let bytes = [&settings(&[])[..], &frames].concat();
        Attack::new(name, Must::Bear, move |_| Script::say(bytes.clone()))
    };
    let answer =
        |bytes: &[u8]| [heads(1, &[vec![0x88], grpc()]), frame(DATA, 0, 1, bytes), trailers("0")].concat();
    let literal = header("a", &"b".repeat(100));
    let begun = heads(1, &[vec![0x88], grpc()]);
    let endless = {
        let begun = begun.clone();
        move |name, unit: Vec<u8>, mebibytes| {
            let begin = [&settings(&[])[..], &begun].concat();
            Attack::new(name, Must::Bear, move |_| {
                Script::say(begin.clone()).endlessly(unit.clone(), mebibytes)
            })
        }
    };
    let attacks = on_either(opened).into_iter().chain([
        Attack::new("grpc: silence", Must::Bear, |_| Script::say("")),
        Attack::new("grpc: reset at once", Must::Bear, |_| Script::say("").reset()),
        Attack::new("grpc: HTTP/1.1", Must::End, |_| {
            Script::say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        }),
        Attack::new("grpc: slow settings", Must::Bear, |_| {
            Script::say("").slowly(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255].repeat(100)))
        }),
        say("grpc: no streams allowed", settings(&[(3, 0)])),
        say("grpc: no room for requests", settings(&[(4, 0)])),
        say("grpc: going away", frame(GOAWAY, 0, 0, &[0; 8])),
        say(
            "grpc: promise",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], &request(HEARTBEAT)[..]].concat()),
        ),
        say("grpc: answer to nothing", heads(9999, &[vec![0x88]])),
        say("grpc: refused stream", frame(RST_STREAM, 0, 1, &[0, 0, 0, 7])),
        say("grpc: status of HTTP", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x8d])),
        say(
            "grpc: redirect",
            heads(1, &[vec![0x08, 3, b'3', b'0', b'2'], header("location", "http://127.0.0.1:1/")]),
        ),
        say(
            "grpc: no content type",
            [heads(1, &[vec![0x88]]), frame(DATA, END_STREAM, 1, b"<html>")].concat(),
        ),
        say("grpc: status that is none", [begun.clone(), trailers("99999999999999999999")].concat()),
        say("grpc: no trailers", [begun.clone(), frame(DATA, END_STREAM, 1, &message(&[0x08, 1]))].concat()),
        say("grpc: truncated message", answer(&[0, 0, 0, 4, 0, 1])),
        say("grpc: no message", answer(&[])),
        say("grpc: message of 4 GiB", answer(&[0, 0xff, 0xff, 0xff, 0xff, 1])),
        say("grpc: compressed message", answer(&[1, 0, 0, 0, 2, 8, 1])),
        say("grpc: wrong wire types", answer(&message(&[0x0d, 1, 2, 3, 4, 0x12, 0]))),
        say("grpc: field beyond numbers", answer(&message(&[0xff; 20]))),
        say("grpc: deep nesting", answer(&message(&[0x7b; 16_000]))),
        say("grpc: invalid UTF-8", answer(&message(&[0x12, 2, 0xc0, 0xaf]))),
        say("grpc: two messages", answer(&[message(&[0x08, 1]), message(&[0x08, 0])].concat())),
        endless(
            "grpc: endless interim answers",
            frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']),
            4,
        ),
        endless("grpc: endless message", frame(DATA, 0, 1, &[0; 16_384]), 64),
        endless("grpc: endless empty data", frame(DATA, 0, 1, &[]), 4),
        Attack::new("grpc: slow message", Must::Bear, {
            let begin = opened(&[begun.clone(), head(1000, DATA, 0, 1)].concat());
            move |_| Script::say(begin.clone()).slowly("a")
        }),
        Attack::new("grpc: endless head", Must::Bear, {
            let begin = opened(&frame(HEADERS, 0, 1, &[0x88]));
            move |_| Script::say(begin.clone()).endlessly(frame(CONTINUATION, 0, 1, &literal), 8)
        }),
    ]);
    // A node asks such a connection after 10 s whether it is alive, and waits 10 s for an answer.
    let few = |attack: Attack| if attack.name.ends_with("never read") { attack.over(1, 3) } else { attack };
    attacks.map(few).map(|attack| attack.greeted(|_| Greeting::Begin(Vec::new()))).collect()
}

/// Attacks on either side of a connection that `open` opens.
fn on_either(open: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Attack> {
    let say = |name, frames: &[u8]| {
        let bytes = open(frames);
        Attack::new(name, Must::End, move |_| Script::say(bytes.clone()))
    };
    let repeat = |name, must, unit: Vec<u8>, mebibytes, is_deaf| {
        let script = Script::say(open(&[])).endlessly(unit, mebibytes);
        let script = if is_deaf { script.deaf() } else { script };
        Attack::new(name, must, move |_| script.clone())
    };
    let ping = frame(PING, 0, 0, b"pingping");
    let change = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    vec![
        repeat("grpc: garbage", Must::End, vec![0xff; 9], 1, false),
        say("grpc: oversized frame", &head(0xff_ffff, DATA, 0, 1)),
        say("grpc: data of no stream", &frame(DATA, 0, 0, b"a")),
        say("grpc: data of a stream that is not open", &frame(DATA, 0, 9999, b"a")),
        say("grpc: rest of no head", &frame(CONTINUATION, END_HEADERS, 1, &[0x88])),
        say("grpc: window beyond numbers", &frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        say("grpc: window of nothing", &frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        say("grpc: ping of another length", &frame(PING, 0, 0, b"p")),
        say("grpc: settings beyond numbers", &frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        say("grpc: settings nobody sent", &frame(SETTINGS, ACK, 0, &[]).repeat(3)),
        repeat("grpc: flood of pings", Must::Bear, ping.clone(), 16, false),
        repeat("grpc: flood of settings", Must::Bear, change.clone(), 16, false),
        repeat("grpc: flood of unknown frames", Must::Bear, frame(0xfe, 0, 0, b"a"), 16, false),
        repeat("grpc: flood of priorities", Must::Bear, frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]), 16, false),
        repeat("grpc: flood of pings, never read", Must::End, ping, 256, true),
        repeat("grpc: flood of settings, never read", Must::End, change, 256, true),
    ]
}

/// What a client says first, and frames.
fn open(frames: &[u8]) -> Vec<u8> {
    [PREFACE, &settings(&[]), frames].concat()
}

/// The head of a call with a key.
fn call(stream: u32, path: &str, with: &str) -> Vec<u8> {
    heads(stream, &[request(path), grpc(), key(with)])
}

fn heads(stream: u32, headers: &[Vec<u8>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &headers.concat())
}

/// `POST`, over no TLS, to a path.
fn request(path: &str) -> Vec<u8> {
    [vec![0x83, 0x86], header(":path", path), header(":authority", "h")].concat()
}

fn grpc() -> Vec<u8> {
    [header("content-type", "application/grpc"), header("te", "trailers")].concat()
}

fn key(key: &str) -> Vec<u8> {
    header("x-node-auth-key", key)
}

fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, bytes)
}

fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn trailers(status: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &header("grpc-status", status))
}
