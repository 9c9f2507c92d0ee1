//! The drivers over real sockets. Each test ends by itself; none measures time.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderName;
use node_red_example::client_driver::News as ClientNews;
use node_red_example::{Admin, Connector, Transport};
use nodered_comms::Secret;
use nodered_comms::client::{self, Credentials, LoginProblem, State};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugMessage, DebugValue};
use nodered_comms::event::CommsEvent;
use nodered_comms::runtime::{self, Access, CloseReason, Runtime, Scope, User};
use nodered_comms::wire::Json;
use std::net::SocketAddr;
use std::time::Duration;
use support::{LIMIT, RunningClient, RunningRuntime, Settings, admin, alice, quick, text, token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Bytes, Error};

/// A WebSocket without a machine.
async fn raw(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}/comms"), stream).await.unwrap().0
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Option<Result<Message, Error>> {
    timeout(LIMIT, socket.next()).await.expect("it does not come")
}

/// Sends a request by hand; returns the status line and the body.
async fn request(address: SocketAddr, head: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("it does not end").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_open_runtime_needs_no_token_and_both_sides_hear_each_other() {
    let mut runtime = RunningRuntime::open().await;
    runtime.publish("status/n1", r#"{"text":"on"}"#, true).await;
    let mut client = RunningClient::start(quick(runtime.address, Credentials::None), &["status/#", "debug"]);
    let protected = client.until(|event| match event {
        client::Event::Discovered { protected } => Some(*protected),
        _ => None,
    });
    assert!(!protected.await);
    assert_eq!(text(&client.message().await), ("status/n1", r#"{"text":"on"}"#));
    runtime.until_subscribed("debug").await;

    let value = DebugValue::from("x".repeat(2000));
    let message = DebugMessage::of_value(&value, DEBUG_MAX_LENGTH);
    runtime.handle.order(move |runtime, now| runtime.debug(&message, now)).await.unwrap().unwrap();
    let CommsEvent::Debug(shown) = client.message().await.event() else { panic!("no debug message") };
    assert_eq!(shown.value().length(), Some(2000));
    assert!(shown.value().is_truncated());

    client.publish("multiplayer/connect", r#"{"session":"s1"}"#).await;
    let message = runtime.until(|event| match event {
        runtime::Event::Message { topic, data, .. } => Some((topic.clone(), data.clone())),
        _ => None,
    });
    let (topic, data) = message.await;
    assert_eq!((topic.as_str(), data.unwrap().text()), ("multiplayer/connect", r#"{"session":"s1"}"#));
    let (sent, received) = client.handle.traffic().frames();
    assert!(sent == 3 && received >= 2, "{sent} {received}");

    client.handle.order(|client, now| client.close(now)).await.unwrap();
    assert_eq!(client.until_ended().await, client::CloseReason::Local);
    assert_eq!(runtime.until_ended().await, CloseReason::Disconnected);
    timeout(LIMIT, client.run).await.expect("the driver ends").unwrap();
}

#[tokio::test]
async fn a_token_that_is_good_is_accepted_before_anything_else() {
    let mut settings = Settings::new(Access::Users);
    settings.admin = admin().with_token(Secret::new("good"), User::new("reader", Scope::from("read")));
    let mut runtime = settings.start().await;
    let mut client = RunningClient::start(quick(runtime.address, token("good")), &["status/#"]);
    client.until(|event| matches!(event, client::Event::Authenticated { .. }).then_some(())).await;
    let (_, user) = runtime.until_active().await;
    assert_eq!(user.unwrap().name.as_deref(), Some("reader"));
    client.until_ready().await;
}

#[tokio::test]
async fn a_password_becomes_a_token() {
    let mut runtime = Settings::new(Access::Users).start().await;
    let mut client = RunningClient::start(quick(runtime.address, alice()), &["status/#"]);
    let expires_in = client.until(|event| match event {
        client::Event::LoggedIn { expires_in } => Some(*expires_in),
        _ => None,
    });
    assert_eq!(expires_in.await, Some(Duration::from_secs(604_800)));
    client.until_ready().await;
    let (_, user) = runtime.until_active().await;
    assert_eq!(user.unwrap().name.as_deref(), Some("alice"));
}

#[tokio::test]
async fn wrong_credentials_need_a_login_and_then_it_goes_on() {
    let mut runtime = Settings::new(Access::Users).start().await;
    let needed = |event: &client::Event| match event {
        client::Event::LoginNeeded(problem) => Some(*problem),
        _ => None,
    };
    let mut clients = Vec::new(); // none of them leaves meanwhile
    let wrong = Credentials::Password { username: "alice".into(), password: Secret::new("w") };
    for (credentials, expected) in [
        (Credentials::None, LoginProblem::Missing),
        (token("nobody's"), LoginProblem::TokenRefused),
        (wrong, LoginProblem::Refused(http::StatusCode::FORBIDDEN)),
    ] {
        let mut client = RunningClient::start(quick(runtime.address, credentials), &["status/#"]);
        assert_eq!(client.until(needed).await, expected);
        assert_eq!(client.handle.order(|client, _| client.state()).await, Some(State::LoginNeeded));
        client.handle.order(|client, now| client.login(alice(), now)).await.unwrap().unwrap();
        client.until_ready().await;
        clients.push(client);
    }
    assert_eq!(runtime.until_ended().await, CloseReason::Unauthenticated);
    assert_eq!(runtime.until_ended().await, CloseReason::Refused);
}

#[tokio::test]
async fn a_default_user_needs_no_token() {
    let access = Access::UsersOr(User::anonymous(Scope::from("read")));
    let mut runtime = Settings::new(access).start().await;
    runtime.publish("status/n1", r#"{"text":"on"}"#, true).await;
    let mut client = RunningClient::start(quick(runtime.address, Credentials::None), &["status/#"]);
    assert_eq!(text(&client.message().await), ("status/n1", r#"{"text":"on"}"#));
    let (_, user) = runtime.until_active().await;
    assert_eq!(user, Some(User::anonymous(Scope::from("read"))));
}

#[tokio::test]
async fn a_header_on_the_upgrade_request_can_bring_the_token() {
    let mut settings = Settings::new(Access::Users);
    let reader = User::new("reader", Scope::from("read"));
    settings.admin = admin()
        .with_token(Secret::new("good"), reader.clone())
        .with_token_header(HeaderName::from_static("x-nr-token"));
    let mut runtime = settings.start().await;
    let connect = async |token: &'static str| {
        let stream = TcpStream::connect(runtime.address).await.unwrap();
        let mut request = format!("ws://{}/comms", runtime.address).into_client_request().unwrap();
        request.headers_mut().insert("x-nr-token", http::HeaderValue::from_static(token));
        timeout(LIMIT, tokio_tungstenite::client_async(request, stream)).await.expect("it does not end")
    };
    assert!(!matches!(connect("bad").await, Ok(_) | Err(Error::Http(_))), "it ends without a word");
    let (mut socket, _) = connect("good").await.unwrap();
    assert_eq!(runtime.until_active().await.1, Some(reader));
    runtime.publish("a", "1", false).await;
    let frame = next(&mut socket).await.unwrap().unwrap();
    assert_eq!(frame.to_text().unwrap(), r#"[{"topic":"a","data":1}]"#);
}

#[tokio::test]
async fn an_expired_session_is_ended_and_the_password_begins_another_one() {
    let mut settings = Settings::new(Access::Users);
    settings.admin = admin().with_session_life(Duration::from_millis(200));
    settings.config.expiry_grace = Duration::from_millis(50);
    let mut runtime = settings.start().await;
    let mut client = RunningClient::start(quick(runtime.address, alice()), &["status/#"]);
    client.until_ready().await;
    assert_eq!(runtime.until_ended().await, CloseReason::Expired);
    assert_eq!(client.until_ended().await, client::CloseReason::AuthFailed);
    client.until(|event| matches!(event, client::Event::LoggedIn { .. }).then_some(())).await;
    client.until_ready().await;
    runtime.until_active().await;
}

#[tokio::test]
async fn subscriptions_survive_a_runtime_that_is_killed_and_comes_back() {
    let runtime = Settings::new(Access::Users).start().await;
    runtime.publish("status/n1", r#"{"text":"before"}"#, true).await;
    let mut client = RunningClient::start(quick(runtime.address, alice()), &["status/#", "a/+"]);
    assert_eq!(text(&client.message().await), ("status/n1", r#"{"text":"before"}"#));

    let address = runtime.kill().await;
    assert_eq!(client.until_ended().await, client::CloseReason::Disconnected);
    // Nobody listens for a while.
    let failed = |news: &ClientNews| match news {
        ClientNews::ConnectFailed(problem) | ClientNews::RequestFailed(problem) => Some(problem.kind()),
        _ => None,
    };
    assert_eq!(client.until_news(failed).await, client::FailureKind::Refused);

    let mut settings = Settings::new(Access::Users);
    settings.address = address.to_string();
    let mut runtime = settings.start().await;
    runtime.publish("a/b", "1", true).await;
    runtime.publish("status/n1", r#"{"text":"after"}"#, true).await;
    // Its sessions are gone with it, so that the client fetches another token.
    client.until(|event| matches!(event, client::Event::LoggedIn { .. }).then_some(())).await;
    runtime.until_subscribed("status/#").await;
    runtime.until_subscribed("a/+").await;
    assert_eq!(text(&client.message().await), ("status/n1", r#"{"text":"after"}"#));
    assert_eq!(text(&client.message().await), ("a/b", "1"));
}

#[tokio::test]
async fn a_frame_of_a_client_may_be_binary_or_odd() {
    let mut runtime = RunningRuntime::open().await;
    runtime.publish("a", "1", true).await;
    let mut socket = raw(runtime.address).await;
    for odd in ["null", "[]", "{}", "not JSON", "", "{\"subscribe\":5}", "{\"unsubscribe\":\"a\"}"] {
        socket.send(Message::text(odd)).await.unwrap();
    }
    socket.send(Message::binary(&b"\xff\xfe"[..])).await.unwrap();
    socket.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"there?")));
    socket.send(Message::binary(&br#"{"subscribe":"a"}"#[..])).await.unwrap();
    runtime.until_subscribed("a").await;
    let frame = next(&mut socket).await.unwrap().unwrap();
    assert_eq!(frame, Message::text(r#"[{"topic":"a","data":1}]"#));
}

#[tokio::test]
async fn frames_above_the_limit_and_bad_text_have_their_close_codes() {
    let mut settings = Settings::new(Access::Open);
    settings.config.max_frame = 1000;
    let mut runtime = settings.start().await;
    let long = || Message::text("x".repeat(1001));
    let bad = || {
        use tokio_tungstenite::tungstenite::protocol::frame::Frame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
        Message::Frame(Frame::message(&b"\xff"[..], OpCode::Data(Data::Text), true))
    };
    for (frame, code) in [(long(), 1009), (bad(), 1007)] {
        let mut socket = raw(runtime.address).await;
        socket.send(Message::text("x".repeat(1000))).await.unwrap();
        socket.send(frame).await.unwrap();
        let Message::Close(Some(close)) = next(&mut socket).await.unwrap().unwrap() else {
            panic!("no close")
        };
        assert_eq!(u16::from(close.code), code);
        runtime.until_ended().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_is_told_and_closed_without_a_code() {
    let mut runtime = Settings::new(Access::Users).start().await;
    let mut socket = raw(runtime.address).await;
    socket.send(Message::text(r#"{"subscribe":"a"}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::text(r#"{"auth":"fail"}"#));
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Close(None));
    assert_eq!(runtime.until_ended().await, CloseReason::Unauthenticated);
}

#[tokio::test]
async fn an_editor_that_does_not_read_is_cut_off_and_the_others_are_not() {
    let mut settings = Settings::new(Access::Open);
    settings.transport.max_unwritten = 1 << 20;
    let mut runtime = settings.start().await;
    let mut client = RunningClient::start(quick(runtime.address, Credentials::None), &["bulk"]);
    client.until_ready().await;
    runtime.until_subscribed("bulk").await;
    let mut slow = raw(runtime.address).await;
    let (connection, _) = runtime.until_active().await;

    let data = Json::from("x".repeat(100_000).as_str());
    let mut received = 0;
    let reason = 'cut: loop {
        // No faster than who reads: it is not to be cut off.
        let (data, topic) = (data.clone(), "bulk");
        let publish = move |runtime: &mut Runtime, now| runtime.publish(topic, data.as_ref(), false, now);
        runtime.handle.order(publish).await.unwrap().unwrap();
        client.message().await;
        received += 1;
        assert!(received < 5000, "it is never cut off");
        while let Ok(news) = runtime.news.try_recv() {
            if let node_red_example::runtime_driver::News::Event(runtime::Event::ConnectionEnded {
                connection: ended,
                reason,
            }) = news
            {
                assert_eq!(ended, connection);
                break 'cut reason;
            }
        }
    };
    assert_eq!(reason, CloseReason::Overflow);
    runtime.publish("bulk", "1", false).await;
    assert_eq!(text(&client.message().await), ("bulk", "1"));
    // What it finds when it reads at last ends early.
    while let Some(Ok(message)) = next(&mut slow).await {
        assert!(message.is_text());
    }
}

#[tokio::test]
async fn two_busy_sides_do_not_lock_each_other_up() {
    // More than the buffers of both sockets hold, both ways at once.
    const MESSAGES: usize = 60;
    let data = Json::from("x".repeat(500_000).as_str());
    let mut settings = Settings::new(Access::Open);
    settings.transport.max_unwritten = 1 << 30;
    settings.config.max_queued_bytes = 1 << 30;
    let mut runtime = settings.start().await;
    let mut transport = Transport::default();
    transport.max_unwritten = 1 << 30;
    let config = quick(runtime.address, Credentials::None);
    let connector = Connector::with_roots(rustls::RootCertStore::empty());
    let mut client = RunningClient::start_with(config, &["down"], connector, transport);
    client.until_ready().await;
    runtime.until_subscribed("down").await;

    let (up, down) = (data.clone(), data.clone());
    let publish_up = move |client: &mut client::Client, now| {
        (0..MESSAGES).for_each(|_| client.publish("up", up.as_ref(), now).unwrap());
    };
    let publish_down = move |runtime: &mut Runtime, now| {
        (0..MESSAGES).for_each(|_| runtime.publish("down", down.as_ref(), false, now).unwrap());
    };
    client.handle.order(publish_up).await.unwrap();
    runtime.handle.order(publish_down).await.unwrap();
    let at_runtime = async {
        for _ in 0..MESSAGES {
            let message = runtime.until(|event| match event {
                runtime::Event::Message { data, .. } => data.clone(),
                _ => None,
            });
            assert_eq!(message.await, data);
        }
    };
    let at_client = async {
        for _ in 0..MESSAGES {
            assert_eq!(client.message().await.data.unwrap(), data);
        }
    };
    tokio::join!(at_runtime, at_client);
}

#[tokio::test]
async fn the_admin_api_says_what_an_editor_asks() {
    let mut settings = Settings::new(Access::Users);
    let reader = User::new("reader", Scope::from("read"));
    settings.admin = Admin::new("red").unwrap().with_token(Secret::new("good"), reader);
    let runtime = settings.start().await;
    let address = runtime.address;
    let (status, body) = request(address, "GET /red/auth/login HTTP/1.1", "").await;
    assert!(status.contains("200") && body.contains(r#""type":"credentials""#), "{status} {body}");
    for (head, expected) in [
        ("GET /red/settings HTTP/1.1", "401"),
        ("GET /red/settings HTTP/1.1\r\nauthorization: Bearer bad", "401"),
        ("GET /red/settings HTTP/1.1\r\nauthorization: Bearer good", "200"),
        ("GET /auth/login HTTP/1.1", "404"),
        ("POST /red/auth/login HTTP/1.1", "405"),
        ("GET /red/comms HTTP/1.1", "426"),
        ("POST /red/auth/token HTTP/1.1", "401"),
    ] {
        let (status, body) = request(address, head, "").await;
        assert!(status.contains(expected), "{head}: {status} {body}");
    }

    let open = RunningRuntime::open().await;
    assert_eq!(request(open.address, "GET /auth/login HTTP/1.1", "").await.1, "{}");
    assert!(request(open.address, "GET /settings HTTP/1.1", "").await.0.contains("200"));
    assert!(request(open.address, "POST /auth/token HTTP/1.1", "").await.0.contains("404"));
}

#[tokio::test]
async fn a_token_is_given_for_what_its_user_may_do_and_no_more() {
    let mut settings = Settings::new(Access::Users);
    let account = |name: &str, scope: &str| node_red_example::Account {
        name: name.into(),
        password: Secret::new("a b&c=ü"),
        scope: Scope::from(scope),
    };
    settings.admin =
        Admin::new("/").unwrap().with_account(account("all", "*")).with_account(account("some", "read"));
    let runtime = settings.start().await;
    for (user, scope, password, expected) in [
        ("all", "*", "a+b%26c%3D%C3%BC", "200"),
        ("all", "", "a+b%26c%3D%C3%BC", "200"),
        ("some", "read", "a+b%26c%3D%C3%BC", "200"),
        ("some", "*", "a+b%26c%3D%C3%BC", "403"),
        ("all", "*", "a", "403"),
        ("all", "*", "", "403"),
        ("nobody", "*", "a+b%26c%3D%C3%BC", "403"),
    ] {
        let body = format!(
            "client_id=node-red-admin&grant_type=password&scope={scope}&username={user}&password={password}"
        );
        let (status, answer) = request(runtime.address, "POST /auth/token HTTP/1.1", &body).await;
        assert!(status.contains(expected), "{user} {scope}: {status} {answer}");
        assert_eq!(answer.contains("access_token"), expected == "200");
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_given_up() {
    // Takes connections and says nothing, as runtimes do on a wrong path.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = quick(silent.local_addr().unwrap(), Credentials::None);
    config.discovery = client::Discovery::AssumeOpen;
    config.connect_timeout = Duration::from_millis(100);
    let mut client = RunningClient::start(config, &["a"]);
    let (mut stream, _) = silent.accept().await.unwrap();
    assert_eq!(client.until_ended().await, client::CloseReason::ConnectTimeout);
    let mut rest = Vec::new();
    // The driver has closed it.
    timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("it stays open").unwrap();

    let mut config = quick(silent.local_addr().unwrap(), Credentials::None);
    config.request_timeout = Duration::from_millis(100);
    let mut client = RunningClient::start(config, &["a"]);
    client.until(|event| matches!(event, client::Event::Waiting { failures: 1, .. }).then_some(())).await;
}

#[tokio::test]
async fn a_runtime_that_is_closed_ends_its_connections_and_its_driver() {
    let mut runtime = RunningRuntime::open().await;
    let mut socket = raw(runtime.address).await;
    runtime.until_active().await;
    let _idle = TcpStream::connect(runtime.address).await.unwrap();
    runtime.handle.order(|runtime, now| runtime.close(now)).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Close(None));
    assert!(next(&mut socket).await.is_none());
    assert_eq!(runtime.until_ended().await, CloseReason::Local);
    runtime.until(|event| (*event == runtime::Event::Closed).then_some(())).await;
    timeout(LIMIT, runtime.run).await.expect("the driver ends").unwrap();
}

#[tokio::test]
async fn tls_is_checked() {
    use rcgen::generate_simple_self_signed;
    use tokio_rustls::TlsAcceptor;
    let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let runtime = RunningRuntime::open().await;
    runtime.publish("a", "1", true).await;
    // A proxy in front of the runtime, as one sees them.
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (proxy.local_addr().unwrap().port(), runtime.address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = proxy.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut front = acceptor.accept(stream).await?;
                let mut back = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut front, &mut back).await
            });
        }
    });
    let config = || {
        let mut config = quick(behind, Credentials::None);
        config.endpoint = format!("https://localhost:{port}/").parse().unwrap();
        config
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = Connector::with_roots(roots);
    let mut client = RunningClient::start_with(config(), &["a"], trusting, Transport::default());
    assert_eq!(text(&client.message().await), ("a", "1"));

    let mut client = RunningClient::start(config(), &["a"]);
    let failed = |news: &ClientNews| match news {
        ClientNews::RequestFailed(problem) => Some(problem.kind()),
        _ => None,
    };
    assert_eq!(client.until_news(failed).await, client::FailureKind::Tls);
}
