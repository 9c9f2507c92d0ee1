//! Forwarding over loopback: bytes, limits, ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use nodepass_example::forward::{Forward, Forwarding, Note, Side, StartError};
use nodepass_example::report::Level;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{closed, echo, eventually, exchange, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

async fn start(forward: &Forward) -> (Forwarding, SocketAddr, mpsc::Receiver<Note>) {
    let (sender, notes) = mpsc::channel(64);
    let forwarding = Forwarding::start(forward, sender).await.unwrap();
    let address = forwarding.address().unwrap();
    (forwarding, address, notes)
}

fn forward_to(target: impl ToString) -> Forward {
    Forward::new("127.0.0.1:0", target.to_string())
}

#[tokio::test]
async fn an_echo_counts_the_same_both_ways_on_either_side() {
    for counted in [Side::Listener, Side::Target] {
        let forward = Forward { counted, ..forward_to(echo("127.0.0.1:0").await) };
        let (mut forwarding, address, _notes) = start(&forward).await;
        let sent = vec![7; 1000];
        assert_eq!(exchange(address, &sent).await, sent);
        forwarding.stop(Duration::from_secs(20)).await;
        let counters = forwarding.counters();
        assert_eq!((counters.received(), counters.sent()), (1000, 1000), "{counted:?}");
        assert_eq!((counters.connections(), counters.refused()), (0, 0));
    }
}

#[tokio::test]
async fn each_side_counts_what_it_reads_and_is_written() {
    // The target takes 5 bytes and answers with 3.
    for (counted, figures) in [(Side::Listener, (5, 3)), (Side::Target, (3, 5))] {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let forward = Forward { counted, ..forward_to(target.local_addr().unwrap()) };
        let (mut forwarding, address, _notes) = start(&forward).await;
        let answer = async {
            let (mut stream, _) = target.accept().await.unwrap();
            let mut taken = Vec::new();
            stream.read_to_end(&mut taken).await.unwrap();
            stream.write_all(b"yes").await.unwrap();
            taken
        };
        let (taken, answered) = within(async { tokio::join!(answer, exchange(address, b"well?")) }).await;
        assert_eq!((&taken[..], &answered[..]), (&b"well?"[..], &b"yes"[..]));
        forwarding.stop(Duration::from_secs(20)).await;
        let counters = forwarding.counters();
        assert_eq!((counters.received(), counters.sent()), figures, "{counted:?}");
    }
}

#[tokio::test]
async fn more_than_all_buffers_hold_passes_both_ways_at_once() {
    const LENGTH: usize = 4 << 20;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut forwarding, address, _notes) = start(&forward_to(target.local_addr().unwrap())).await;
    let both = |stream: TcpStream, first: u8| async move {
        let (mut reader, mut writer) = stream.into_split();
        let sent: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8 ^ first).collect();
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut taken = Vec::new();
        let ((), read) = tokio::join!(write, reader.read_to_end(&mut taken));
        read.unwrap();
        taken
    };
    let user = async { both(TcpStream::connect(address).await.unwrap(), 1).await };
    let server = async { both(target.accept().await.unwrap().0, 2).await };
    let (user, server) = within(async { tokio::join!(user, server) }).await;
    assert!(user.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8 ^ 2));
    assert!(server.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8 ^ 1));
    assert_eq!((user.len(), server.len()), (LENGTH, LENGTH));
    forwarding.stop(Duration::from_secs(20)).await;
    let counters = forwarding.counters();
    assert_eq!((counters.received(), counters.sent()), (LENGTH as u64, LENGTH as u64));
}

#[tokio::test]
async fn a_side_that_has_ended_still_gets_what_the_other_sends() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_forwarding, address, _notes) = start(&forward_to(target.local_addr().unwrap())).await;
    // The target ends first, then the user goes on sending.
    let mut user = TcpStream::connect(address).await.unwrap();
    let (mut stream, _) = within(target.accept()).await.unwrap();
    stream.write_all(b"bye").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut taken = Vec::new();
    within(user.read_to_end(&mut taken)).await.unwrap();
    assert_eq!(taken, b"bye");
    user.write_all(b"still here").await.unwrap();
    user.shutdown().await.unwrap();
    taken.clear();
    within(stream.read_to_end(&mut taken)).await.unwrap();
    assert_eq!(taken, b"still here");
}

#[tokio::test]
async fn no_more_connections_than_slots() {
    let forward = Forward { slot: 2, ..forward_to(echo("127.0.0.1:0").await) };
    let (forwarding, address, mut notes) = start(&forward).await;
    let counters = forwarding.counters();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        within(stream.read_u8()).await.unwrap();
        held.push(stream);
    }
    assert_eq!(counters.connections(), 2);
    let mut third = TcpStream::connect(address).await.unwrap();
    // The end, or a reset.
    assert!(!matches!(within(third.read(&mut [0])).await, Ok(1..)));
    assert_eq!(counters.refused(), 1);
    let note = next(&mut notes, Level::Warn).await;
    assert!(note.contains("all 2 slots are in use"), "{note}");
    // A place that was given back is taken again.
    drop(held.pop());
    eventually(|| counters.connections() == 1).await;
    assert_eq!(exchange(address, b"again").await, b"again");
}

#[tokio::test]
async fn the_rate_holds_for_all_connections_together() {
    let forward = Forward { rate: Some(200_000), ..forward_to(echo("127.0.0.1:0").await) };
    let (mut forwarding, address, _notes) = start(&forward).await;
    let since = Instant::now();
    let (one, two) = (vec![1; 60_000], vec![2; 60_000]);
    let (first, second) = tokio::join!(exchange(address, &one), exchange(address, &two));
    assert_eq!((first, second), (one, two));
    // 120 000 bytes less a burst of 20 000 take half a second at least; above, a busy machine may take any time.
    assert!(since.elapsed() >= Duration::from_millis(450), "{:?}", since.elapsed());
    forwarding.stop(Duration::from_secs(20)).await;
    assert_eq!(forwarding.counters().received(), 120_000);
}

#[tokio::test]
async fn a_target_that_is_down_is_refused_and_noted() {
    let down = closed();
    let (forwarding, address, mut notes) = start(&forward_to(down.address)).await;
    let mut user = TcpStream::connect(address).await.unwrap();
    assert!(!matches!(within(user.read(&mut [0])).await, Ok(1..)));
    let note = next(&mut notes, Level::Error).await;
    assert_eq!(note, format!("Target connection failed: {}: connection refused", down.address));
    assert_eq!(forwarding.counters().refused(), 1);
    assert_eq!(forwarding.ping(Duration::from_secs(20)).await, None);
}

#[tokio::test]
async fn targets_take_turns_and_one_that_is_down_is_passed_over() {
    let (first, second) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
    let (first, second) = (first.unwrap(), second.unwrap());
    let down = closed();
    let targets = [first.local_addr().unwrap(), down.address, second.local_addr().unwrap()];
    let targets = targets.iter().map(ToString::to_string).collect();
    let (forwarding, address, _notes) = start(&Forward { targets, ..forward_to("") }).await;
    for expected in [&first, &second, &second, &first] {
        let _user = TcpStream::connect(address).await.unwrap();
        within(expected.accept()).await.unwrap();
    }
    assert_eq!(forwarding.counters().refused(), 0);
    assert!(forwarding.ping(Duration::from_secs(20)).await.is_some());
}

#[tokio::test]
async fn a_silent_connection_ends_and_a_busy_one_does_not() {
    let read = Some(Duration::from_secs(1));
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = Forward { read, ..forward_to(target.local_addr().unwrap()) };
    let (forwarding, address, mut notes) = start(&forward).await;
    let mut user = TcpStream::connect(address).await.unwrap();
    let (mut stream, _) = within(target.accept()).await.unwrap();
    // Only one direction is in use, for longer than that.
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1500) {
        stream.write_all(b"x").await.unwrap();
        within(user.read_u8()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(forwarding.counters().connections(), 1);
    assert!(!matches!(within(user.read(&mut [0])).await, Ok(1..)));
    let note = next_that(&mut notes, |note| note.contains("complete")).await;
    assert!(note.ends_with("nothing moved for too long"), "{note}");
}

#[tokio::test]
async fn the_target_is_told_whose_connection_it_is() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = Forward { proxy: true, ..forward_to(target.local_addr().unwrap()) };
    let (forwarding, address, _notes) = start(&forward).await;
    let mut user = TcpStream::connect(address).await.unwrap();
    let own = user.local_addr().unwrap();
    user.write_all(b"hello").await.unwrap();
    user.shutdown().await.unwrap();
    let (mut stream, _) = within(target.accept()).await.unwrap();
    let mut taken = String::new();
    within(stream.read_to_string(&mut taken)).await.unwrap();
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", own.port(), address.port());
    assert_eq!(taken, format!("{header}hello"));
    // The header is none of the user's bytes.
    assert_eq!(forwarding.counters().received(), 5);
}

#[tokio::test]
async fn an_empty_host_is_every_interface_and_this_machine() {
    let target = echo("127.0.0.1:0").await;
    let forward = Forward::new(":0", format!(":{}", target.port()));
    let (_forwarding, address, _notes) = start(&forward).await;
    let port = address.port();
    assert_eq!(exchange(([127, 0, 0, 1], port).into(), b"four").await, b"four");
    if TcpListener::bind("[::1]:0").await.is_ok() {
        assert_eq!(exchange(format!("[::1]:{port}").parse().unwrap(), b"six").await, b"six");
    }
}

#[tokio::test]
async fn addresses_of_ipv6_are_taken() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return; // this machine has none
    }
    let forward = Forward::new("[::1]:0", echo("[::1]:0").await.to_string());
    let (_forwarding, address, _notes) = start(&forward).await;
    assert_eq!(exchange(address, b"six").await, b"six");
}

#[tokio::test]
async fn stopping_frees_the_port_and_lets_connections_end_in_their_time() {
    let (mut forwarding, address, _notes) = start(&forward_to(echo("127.0.0.1:0").await)).await;
    let mut user = TcpStream::connect(address).await.unwrap();
    user.write_all(b"x").await.unwrap();
    within(user.read_u8()).await.unwrap();
    let stopping = tokio::spawn(async move {
        forwarding.stop(Duration::from_secs(60)).await;
        forwarding
    });
    // The port is free while the last connection still runs.
    let since = Instant::now();
    while TcpListener::bind(address).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(20), "the port is not given back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    user.write_all(b"y").await.unwrap();
    within(user.read_u8()).await.unwrap();
    drop(user);
    let forwarding = within(stopping).await.unwrap();
    assert_eq!((forwarding.counters().received(), forwarding.counters().sent()), (2, 2));
}

#[tokio::test]
async fn connections_are_cut_when_their_time_is_over_or_the_handle_is_dropped() {
    for is_dropped in [false, true] {
        let (mut forwarding, address, _notes) = start(&forward_to(echo("127.0.0.1:0").await)).await;
        let mut user = TcpStream::connect(address).await.unwrap();
        user.write_all(b"x").await.unwrap();
        within(user.read_u8()).await.unwrap();
        let counters = forwarding.counters();
        if is_dropped {
            drop(forwarding);
        } else {
            within(forwarding.stop(Duration::ZERO)).await;
            within(forwarding.stop(Duration::ZERO)).await;
        }
        assert!(!matches!(within(user.read(&mut [0])).await, Ok(1..)));
        eventually(|| counters.connections() == 0).await;
        within(async {
            while TcpListener::bind(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_be_forwarded_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let fail = |listen: &str, targets: &[&str]| {
        let targets = targets.iter().map(ToString::to_string).collect();
        let forward = Forward { targets, ..Forward::new(listen, "") };
        async move { Forwarding::start(&forward, mpsc::channel(1).0).await.unwrap_err() }
    };
    let wrong = fail("nowhere", &["h:1"]).await;
    assert!(matches!(wrong, StartError::Listen(..)) && wrong.is_final(), "{wrong}");
    let wrong = fail(":0", &["h:1", "h"]).await;
    assert_eq!(wrong.to_string(), "target \"h\": missing port in address");
    assert!(matches!(fail(":0", &[]).await, StartError::NoTarget));
    for (listen, target) in
        [(":7", ":7"), ("127.0.0.1:7", "localhost:7"), ("0.0.0.0:7", "[::1]:7"), ("h:7", "h:7")]
    {
        assert!(matches!(fail(listen, &["h:1", target]).await, StartError::Loop(_)), "{listen} {target}");
    }
    let busy = fail(&taken, &["h:1"]).await;
    assert!(matches!(busy, StartError::Bind(..)) && !busy.is_final(), "{busy}");
}

#[tokio::test]
async fn nothing_listens_where_tcp_is_off() {
    let forward = Forward { notcp: true, ..forward_to("127.0.0.1:1") };
    let (sender, _notes) = mpsc::channel(1);
    let mut forwarding = Forwarding::start(&forward, sender).await.unwrap();
    assert_eq!(forwarding.address(), None);
    within(forwarding.stop(Duration::ZERO)).await;
}

async fn next(notes: &mut mpsc::Receiver<Note>, level: Level) -> String {
    loop {
        let note = within(notes.recv()).await.unwrap();
        if note.level == level {
            return note.text;
        }
    }
}

async fn next_that(notes: &mut mpsc::Receiver<Note>, wanted: impl Fn(&str) -> bool) -> String {
    loop {
        let note = within(notes.recv()).await.unwrap();
        if wanted(&note.text) {
            return note.text;
        }
    }
}
