//! Both drivers in one process, over loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use nodepass_api::client::{
    Client, Config, Delivery, Event, Failure, FailureKind, Layout, Monitoring, Reply, RequestError, State,
    StreamEnd,
};
use nodepass_api::fleet::Change;
use nodepass_api::wire::{InstanceId, PatchInstance};
use nodepass_api::{Instant, Secret};
use nodepass_example::client_driver::driver;
use nodepass_example::connector::Connector;
use nodepass_example::tls::Trust;
use support::pair::{RunningClient, RunningMaster, Settings, quick, snapshot};
use support::{closed, echo, exchange, free, within};
use testkit::secrets::{assert_no_secret, marked};

fn url(master: &RunningMaster) -> String {
    format!("http://{}/api", master.address)
}

async fn pair() -> (RunningMaster, RunningClient) {
    let master = Settings::new().start().await;
    let mut client = RunningClient::start(quick(&url(&master), &master.key));
    client.until_synced().await;
    (master, client)
}

fn instance(reply: Result<Reply, RequestError>) -> InstanceId {
    match reply.unwrap() {
        Reply::Instance { instance, .. } => instance.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_of_an_instance_is_counted_and_becomes_rates() {
    let (_master, mut client) = pair().await;
    let address = free().await;
    let text = format!("client://{}@{address}/{}?mode=1", marked(1), echo("127.0.0.1:0").await);
    let id = instance(client.call(move |client, now| client.create(&text, Some("web"), now)).await);
    // The line may come before the answer does.
    let name = id.clone();
    let listens = move |client: &mut Client, _| {
        let member = client.fleet().get(name.as_str());
        member
            .is_some_and(|member| member.log().iter().any(|entry| entry.text.starts_with("Tunnel listener")))
    };
    within(async { while client.handle.order(listens.clone()).await != Some(true) {} }).await;
    let sent = vec![7; 300_000];
    assert!(exchange(address, &sent).await == sent);
    let rates = client.until(|event| match event {
        Event::Change(Change::Rates { rates, .. }) if rates.tcprx > 0.0 => Some(*rates),
        _ => None,
    });
    assert!(rates.await.tcprx.is_finite());
    let traffic = |client: &mut Client, _| {
        let member = client.fleet().find_by_alias("web").next().unwrap();
        (member.instance().tcprx, member.instance().tcptx)
    };
    within(async { while client.handle.order(traffic).await != Some((300_000, 300_000)) {} }).await;
    client.call(move |client, now| client.delete(&id, now)).await.unwrap();
    assert_eq!(client.handle.order(|client, _| client.fleet().len()).await, Some(0));
    let (sent, received, _) = client.handle.traffic().figures();
    assert!(sent >= 4 && received >= 4, "{sent} {received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_instances_are_all_in_the_view() {
    for tls in [false, true] {
        let mut settings = Settings::new();
        (settings.snapshot, settings.tls) = (Some(snapshot(&marked(2), 2_000)), tls);
        let master = settings.start().await;
        let url = if tls { url(&master).replace("http", "https") } else { url(&master) };
        let mut client = RunningClient::start(quick(&url, &master.key));
        let mut added = 0;
        let synced = client.until(|event| {
            added += usize::from(matches!(event, Event::Change(Change::Added(_))));
            match event {
                Event::Synced { removed, repaired, .. } => Some((*removed, *repaired)),
                _ => None,
            }
        });
        assert_eq!(synced.await, (0, 0));
        assert_eq!(added, 2_000);
        let sum = client.handle.order(|client, _| {
            let all = client.fleet().iter().map(|member| member.instance().tcprx);
            (client.fleet().len(), all.sum::<u64>())
        });
        assert_eq!(sum.await, Some((2_000, 1_999_000)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_what_it_has_lost_and_is_right_again() {
    let mut settings = Settings::new();
    settings.config.stream_queue = 8;
    settings.config.announces_loss = true;
    let master = settings.start().await;
    let mut slow = RunningClient::start(quick(&url(&master), &master.key));
    slow.until_synced().await;
    // Each event has some 30 kB: more than all sockets between them hold.
    let long = format!("server://{}@127.0.0.1:7/127.0.0.1:1?mode=1&x={}", marked(3), "x".repeat(14_000));
    let mut config = quick(&url(&master), &master.key);
    (config.monitoring, config.checks_urls) = (Monitoring::Off, false);
    let mut busy = RunningClient::start(config);
    let id = instance(busy.call(move |client, now| client.create(&long, None, now)).await);
    for number in 0..1_500 {
        let id = id.clone();
        let alias = Some(format!("number {number}").into());
        let patch = PatchInstance { alias, ..PatchInstance::default() };
        busy.call(move |client, now| client.patch(&id, patch, now)).await.unwrap();
    }
    // Nobody has read the news of the slow one meanwhile.
    let lost = slow.until(|event| match event {
        Event::Lost(count) => Some(*count),
        _ => None,
    });
    assert!((1..1_500).contains(&lost.await));
    slow.until_synced().await;
    let alias = slow.handle.order(move |client, _| {
        client.fleet().get(id.as_str()).and_then(|member| member.instance().alias().map(str::to_owned))
    });
    assert_eq!(alias.await, Some(Some("number 1499".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_to_a_master_that_was_killed() {
    let mut settings = Settings::new();
    settings.snapshot = Some(snapshot(&marked(4), 3));
    let master = settings.start().await;
    let mut client = RunningClient::start(quick(&url(&master), &master.key));
    client.until_synced().await;
    let address = master.address;
    master.run.abort();
    drop(master);
    client.until(|event| matches!(event, Event::Unreachable).then_some(())).await;
    client.until(|event| matches!(event, Event::PollingStarted).then_some(())).await;
    let mut settings = Settings::new();
    (settings.address, settings.snapshot) = (address.to_string(), Some(snapshot(&marked(4), 2)));
    let _master = settings.start().await;
    client.until(|event| matches!(event, Event::PollingStopped).then_some(())).await;
    client.until_synced().await;
    let left = client.handle.order(|client, _| (client.fleet().len(), client.state())).await;
    assert_eq!(left, Some((2, State::Streaming)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_goes_on_with_the_key_that_the_client_has_asked_for() {
    let (master, mut client) = pair().await;
    let Reply::Key(new) = client.call(|client, now| client.rotate_key(now)).await.unwrap() else {
        panic!("no key")
    };
    assert_ne!(new, master.key);
    client.until_synced().await;
    let key = client.handle.order(|client, _| (client.key().clone(), client.state())).await;
    assert_eq!(key, Some((new.clone(), State::Streaming)));
    // Somebody with the old key is refused, and goes on with the new one.
    let mut other = RunningClient::start(quick(&url(&master), &master.key));
    other.until(|event| matches!(event, Event::KeyRefused(_)).then_some(())).await;
    other.handle.order(move |client, now| client.set_key(new, now)).await.unwrap().unwrap();
    other.until_synced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_ends_in_order_says_so_to_its_readers() {
    let (master, mut client) = pair().await;
    master.end().await;
    client.until(|event| matches!(event, Event::Change(Change::Shutdown)).then_some(())).await;
    let reason = client.until(|event| match event {
        Event::Reconnecting { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, StreamEnd::Shutdown);
    client.until(|event| matches!(event, Event::Unreachable).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_kinds() {
    let master = Settings::new().start().await;
    let mut secure = Settings::new();
    secure.tls = true;
    let secure = secure.start().await;
    let nobody = closed();
    let refused = format!("http://{}/api", nobody.address);
    for (text, expected) in [
        (refused, (Delivery::No, FailureKind::Refused)),
        (url(&master).replace("http", "https"), (Delivery::No, FailureKind::PlainHttp)),
        ("http://no.such.host.invalid/api".to_owned(), (Delivery::No, FailureKind::NameResolution)),
    ] {
        let mut client = RunningClient::start(calls_only(&text));
        let failure = client.call(|client, now| client.ask(now)).await.unwrap_err();
        let expected = RequestError::Failure(Failure::new(expected.0, expected.1));
        assert_eq!(failure, expected, "{text}");
    }
    let mut client = RunningClient::start(calls_only(&url(&secure)));
    assert_eq!(client.call(|client, now| client.ask(now)).await, Err(RequestError::WantsTls));
}

fn calls_only(url: &str) -> Config {
    let mut config = quick(url, &Secret::new(marked(5)));
    (config.monitoring, config.layout) = (Monitoring::Off, Some(Layout::Versioned));
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_over_tls_and_http_1_without() {
    for (tls, version) in [(false, http::Version::HTTP_11), (true, http::Version::HTTP_2)] {
        let mut settings = Settings::new();
        settings.tls = tls;
        let master = settings.start().await;
        let url = if tls { url(&master).replace("http", "https") } else { url(&master) };
        let mut request = http::Request::new(bytes::Bytes::new());
        *request.uri_mut() = format!("{url}/v1/openapi.json").parse().unwrap();
        let answer = within(Connector::new(Trust::Anybody).open(request)).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_is_cut_off() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = calls_only(&format!("http://{}/api", listener.local_addr().unwrap()));
    config.max_response = 100_000;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut piece = &b"HTTP/1.1 200 OK\r\n\r\n["[..];
                while stream.write_all(piece).await.is_ok() {
                    piece = &[b' '; 4096];
                }
            });
        }
    });
    let mut client = RunningClient::start(config);
    let error = client.call(|client, now| client.list(now)).await.unwrap_err();
    assert_eq!(error, RequestError::TooLarge { length: 100_001 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_no_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = calls_only(&format!("http://{}/api", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.readable().await;
        }
    });
    let mut client = RunningClient::start(config);
    let error = client.call(|client, now| client.list(now)).await.unwrap_err();
    assert_eq!(error, RequestError::Failure(Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_handle_is_dropped_ends() {
    let master = Settings::new().start().await;
    let client = Client::new(quick(&url(&master), &master.key), Instant::now()).unwrap();
    let (handle, mut news, run) = driver(client, Connector::new(Trust::Anybody), |_, events| events);
    let run = tokio::spawn(run);
    drop(handle);
    let mut last = None;
    while let Some(event) = within(news.recv()).await {
        assert_no_secret(&format!("{event:?}"), "an event");
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Closed));
    within(run).await.unwrap();
}

/// Writes a request, byte for byte, and returns the beginning of the answer.
async fn raw(master: &RunningMaster, request: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(master.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let length = within(tokio::io::AsyncReadExt::read(&mut socket, &mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_the_body_has_come() {
    let master = Settings::new().start().await;
    let head = "POST /api/v1/instances HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n{";
    let answer = raw(&master, head).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        answer.contains("access-control-allow-origin") && answer.contains("API key required"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_host_is_none() {
    let master = Settings::new().start().await;
    let answer = raw(&master, "GET /api/docs HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("400 Bad Request: missing required Host header"), "{answer}");
    assert!(raw(&master, "GET /api/docs HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200 "));
}
