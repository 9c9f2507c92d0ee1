//! The rows of `teeth-proto`.

#[path = "../../teeth-proto/benches/plain/mod.rs"]
mod plain;
#[path = "../../teeth-proto/benches/subjects/mod.rs"]
mod subjects;

use crate::memory::kept;
use crate::row::Row;
use bytes::BytesMut;
use std::hint::black_box;
use teeth_proto::server::Server;
use teeth_proto::session::{Answer, Config, Event, Output, Session};
use teeth_proto::wire::{LINE_LIMIT, Message, decode, encode};
use teeth_proto::{ConnectionId, server};
use testkit::epoch;
use testkit::measure::{Figure, Subject, compare};
use tokio_util::codec::{Decoder as _, LinesCodec};

/// What a session that waits may keep.
const MOST_BYTES: u32 = 1024;

pub(crate) fn rows() -> Vec<Row> {
    let mix = subjects::mix();
    let size = mix.stream.len() / mix.len();
    let mut decode = subjects::decode(&mix);
    decode.insert(1, lines_codec(&mix));
    let decoded = mix.per_line(compare(decode));
    let encoded = mix.per_line(compare(subjects::encode(&mix)));
    vec![
        Row::of(format!("a line of {size} bytes into a typed message"), &decoded, 1.3),
        Row::bare("lines/s into typed messages", per_second(&decoded[0])),
        Row::of("a typed message into a line", &encoded, 1.3),
        Row::bare("typed messages/s into lines", per_second(&encoded[0])),
        round_trips(),
        Row::of_bytes("heap bytes of an idle session", heap_of_a_session(), MOST_BYTES),
        Row::of_bytes("heap bytes per idle agent of a server", heap_of_an_agent(), MOST_BYTES),
    ]
}

/// The peer: it takes its bytes out of a buffer of its own.
fn lines_codec(mix: &subjects::Mix) -> Subject<'_> {
    let mut codec = LinesCodec::new_with_max_length(LINE_LIMIT);
    let mut buffer = BytesMut::with_capacity(mix.stream.len());
    Subject::new("tokio-util LinesCodec + serde_json Value", move || {
        buffer.extend_from_slice(black_box(mix.stream));
        while let Some(line) = codec.decode(&mut buffer).expect("no line is too long") {
            black_box(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
    })
}

/// The limit leaves out what else a session does; there is no goal for it.
fn round_trips() -> Row {
    let figures = compare(subjects::round_trip());
    Row {
        limit: Some(per_second(&figures[1])),
        ratio: Some(figures[0].ratio_to(&figures[1])),
        ..Row::bare("session round trips/s, limit by hand", per_second(&figures[0]))
    }
}

/// A session that has shaken hands, was pinged, and waits.
fn heap_of_a_session() -> isize {
    let (_session, bytes) = kept(|| {
        let mut session = Box::new(Session::new(Config::new(7), epoch()).expect("the settings are fine"));
        session.handle_bytes(&handshake(7), epoch());
        session.start_pings(epoch());
        session.handle_bytes(PING, epoch());
        while let Some(output) = session.poll_output() {
            match output {
                Output::Event(Event::Command(command)) => {
                    session.respond(command.token, Answer::Done, epoch()).expect("it is unanswered");
                }
                Output::Transmit(line) => answer(&mut session, &line),
                _ => {}
            }
        }
        assert!(session.calls() + session.unanswered() == 0 && !session.is_closed());
        session
    });
    bytes
}

fn heap_of_an_agent() -> isize {
    const AGENTS: u32 = 1_000;
    let mut config = server::Config::new(7);
    config.max_connections = AGENTS as usize;
    let mut server = Server::new(config, epoch()).expect("the settings are fine");
    let ((), bytes) = kept(|| {
        for number in 0..AGENTS {
            let connection = server.accept(epoch());
            exchange(&mut server, connection, &handshake(number));
            exchange(&mut server, connection, PING);
        }
    });
    bytes / AGENTS as isize
}

/// Answers what a session has asked.
fn answer(session: &mut Session, line: &[u8]) {
    if let Ok(Some(Message::Command { version, id, params, .. })) = decode(line.trim_ascii_end()) {
        session.handle_bytes(&encode(&Message::Result { version, id, result: params }), epoch());
    }
}

fn handshake(number: u32) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    format!(
        "{{\"version\": \"v1\", \"params\": {{\"version\": \"1.0\", \"id\": \"00:16:3e:00:{high:02x}:{low:02x}\"}}, \
         \"id\": \"6b83f0c2-5598-4a89-b581-85f9114221ff\", \"method\": \"handshake\"}}\n"
    )
    .into_bytes()
}

fn exchange(server: &mut Server, connection: ConnectionId, line: &[u8]) {
    server.handle_bytes(connection, line, epoch());
    while let Some(output) = server.poll_output() {
        black_box(output);
    }
}

fn per_second(figure: &Figure) -> String {
    format!("{:.0} /s", 1e9 / figure.nanoseconds)
}

const PING: &[u8] =
    b"{\"version\": \"v1\", \"params\": {}, \"id\": \"59b47e63-686c-4a60-a34c-5cd80a31c450\", \
    \"method\": \"ping\"}\n";
