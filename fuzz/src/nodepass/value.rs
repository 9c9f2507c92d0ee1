//! Any objects are written and come back, on their own and through an event stream.

use crate::input::Input;
use nodepass_api::Release;
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{
    CheckPoint, CreateInstance, ErrorBody, EventTime, Extra, Info, Instance, InstanceEvent, MasterAlias,
    Meta, PatchInstance, Peer, PutInstance, Tag, TcpingResult, Traffic, decode, encode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const TEXTS: [&str; 16] = [
    "running",
    "stopped",
    "error",
    "client",
    "server",
    "********",
    "0a1b2c3d",
    "client://k@h:1/t:2?log=info&mode=1",
    "<&>\u{2028}\u{2029}",
    "\u{0}\u{1b}[32mINFO\u{1b}[0m \"\\/",
    "\r\ndata: x\n\n",
    "\u{e9}\u{1f600}",
    "initial",
    "shutdown",
    "log",
    "2026-11-21T10:17:18.05+08:00",
];

/// Arbitrary object → encode → decode, equal.
pub fn nodepass_value(data: &[u8]) {
    let mut input = Input::new(data);
    let input = &mut input;
    let event = InstanceEvent {
        kind: (&*text(input)).into(),
        time: (&*text(input)).into(),
        instance: input.flag().then(|| instance(input)),
        logs: optional(input, text),
        extra: extra(input),
    };
    through_a_stream(&event, input);
    round(&event);
    round(&instance(input));
    round(&vec![instance(input), Instance::default()]);
    round(&info(input));
    round(&tcping(input));
    round(&ErrorBody { error: text(input), extra: extra(input) });
    bodies(input);
    figures(input);
}

fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(object: &T) {
    let written = encode(object);
    assert!(
        !written.iter().any(|&byte| byte < b' ' || b"<>&".contains(&byte)),
        "rule: it is escaped as Go does"
    );
    assert_eq!(decode::<T>(&written).as_ref(), Ok(object), "rule: what is written can be read");
    let enveloped = [br#"{"success":true,"data":"#.as_slice(), &written, b"}"].concat();
    assert_eq!(decode::<T>(&enveloped).as_ref(), Ok(object), "rule: also in the document's envelope");
}

fn through_a_stream(event: &InstanceEvent, input: &mut Input<'_>) {
    let frame = [b"retry: 3000\n\nevent: instance\ndata: ".as_slice(), &encode(event), b"\n\n"].concat();
    let frame =
        if input.flag() { frame } else { String::from_utf8_lossy(&frame).replace('\n', "\r\n").into() };
    let (mut reader, mut items) = (EventReader::new(1 << 20), Vec::new());
    frame.chunks(1 + input.below(200)).for_each(|piece| reader.read(piece, |item| items.push(item)));
    assert!(matches!(items[0], Item::Retry(_)), "rule: what is written can be read");
    assert_eq!(items[1..], [Item::Event(event.clone())], "rule: what is written can be read");
}

fn bodies(input: &mut Input<'_>) {
    let create = CreateInstance { url: text(input), alias: optional(input, text), ..Default::default() };
    round(&create);
    assert_eq!(
        CreateInstance::read(&encode(&create), Release::V1_14_0).ok(),
        Some(create).filter(|body| !body.url.is_empty())
    );
    let put = PutInstance { url: text(input), ..Default::default() };
    round(&put);
    assert_eq!(PutInstance::read(&encode(&put)).ok(), Some(put).filter(|body| !body.url.is_empty()));
    let alias = MasterAlias { alias: optional(input, text), ..Default::default() };
    round(&alias);
    assert_eq!(MasterAlias::read(&encode(&alias)), Ok(alias));
    let mut patch = PatchInstance {
        alias: optional(input, text),
        action: optional(input, text),
        restart: optional(input, Input::flag),
        meta: optional(input, meta),
        extra: extra(input),
    };
    round(&patch);
    patch.extra = Extra::default();
    if let Some(meta) = &mut patch.meta {
        meta.extra = Extra::default();
        if let Some(peer) = &mut meta.peer {
            peer.extra = Extra::default();
        }
    }
    assert_eq!(
        PatchInstance::read(&encode(&patch), Release::V1_14_0),
        Ok(patch),
        "rule: a master takes what a client writes"
    );
}

fn figures(input: &mut Input<'_>) {
    let mut small = || i32::from(input.byte()) << (input.byte() % 24) & i32::MAX;
    let gauges: [i32; 5] = std::array::from_fn(|_| small());
    let [mode, ping, pool, tcps, udps] = gauges;
    let point = CheckPoint::new(mode, ping, pool, tcps, udps, traffic(input));
    let line =
        format!("{}{point}{}", text(input), text(input).trim_start_matches(|c: char| c.is_ascii_digit()));
    if !line.starts_with("CHECK_POINT|MODE=") || line.starts_with(&point.to_string()) {
        assert_eq!(CheckPoint::find(&line), Some(point), "rule: a report is found in any line");
    }
    let nanoseconds = i128::from(input.signed()) * i128::from(input.byte());
    let time = EventTime::from_unix_nanoseconds(nanoseconds);
    assert!(time.unix_milliseconds().is_some(), "rule: a time that is written is one");
}

fn instance(input: &mut Input<'_>) -> Instance {
    let Traffic { tcprx, tcptx, udprx, udptx } = traffic(input);
    Instance {
        id: (&*text(input)).into(),
        alias: optional(input, text),
        kind: (&*text(input)).into(),
        status: (&*text(input)).into(),
        url: text(input),
        config: optional(input, text),
        restart: optional(input, Input::flag),
        tags: optional(input, |input| {
            let tag =
                |input: &mut Input<'_>| Tag { key: text(input), value: text(input), extra: extra(input) };
            (0..input.below(3)).map(|_| tag(input)).collect()
        }),
        meta: optional(input, meta),
        mode: optional(input, Input::signed),
        ping: optional(input, Input::signed),
        pool: optional(input, Input::signed),
        tcps: optional(input, Input::signed),
        udps: optional(input, Input::signed),
        tcprx,
        tcptx,
        udprx,
        udptx,
        extra: extra(input),
    }
}

fn meta(input: &mut Input<'_>) -> Meta {
    let peer = |input: &mut Input<'_>| Peer {
        sid: optional(input, text),
        kind: optional(input, text),
        alias: optional(input, text),
        extra: extra(input),
    };
    Meta {
        peer: optional(input, peer),
        tags: optional(input, |input| (0..input.below(4)).map(|_| (text(input), text(input))).collect()),
        extra: extra(input),
    }
}

fn info(input: &mut Input<'_>) -> Info {
    Info {
        alias: optional(input, text),
        cpu: optional(input, Input::signed),
        mem_free: optional(input, Input::number),
        mem_total: optional(input, Input::number),
        mid: optional(input, text),
        noc: optional(input, Input::number),
        tls: optional(input, text),
        uptime: optional(input, Input::number),
        ver: optional(input, text),
        extra: extra(input),
        ..Info::default()
    }
}

fn tcping(input: &mut Input<'_>) -> TcpingResult {
    TcpingResult {
        target: text(input),
        connected: input.flag(),
        latency: input.number(),
        error: optional(input, text),
        extra: extra(input),
    }
}

fn traffic(input: &mut Input<'_>) -> Traffic {
    let mut number = || input.number();
    Traffic { tcprx: number(), tcptx: number(), udprx: number(), udptx: number() }
}

fn optional<'a, T>(input: &mut Input<'a>, make: impl FnOnce(&mut Input<'a>) -> T) -> Option<T> {
    input.flag().then(|| make(input))
}

fn text(input: &mut Input<'_>) -> Box<str> {
    input.text_among(&TEXTS).into()
}

/// Members that are not known come from reading only.
fn extra(input: &mut Input<'_>) -> Extra {
    const READ: [&str; 5] = [
        "{}",
        r#"{"uptime2":1e3}"#,
        r#"{"x":[1,{"y":null}],"":"a"}"#,
        r#"{"\u003c":-0.0,"ID":"1"}"#,
        r#"{"twice":1,"twice":"\u001b"}"#,
    ];
    decode::<MasterAlias>(input.pick(&READ).as_bytes()).expect("they are objects").extra
}
