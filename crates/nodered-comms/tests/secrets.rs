//! A client and a runtime with a password, tokens and messages that are marked: what they give out and what is refused shows
//! none of them, neither as `Debug` nor as `Display`. The rules of the machines look at `Debug` after random steps, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use http::{Request, Response};
use nodered_comms::client::{self, Client, Credentials, Endpoint, FailureKind, LoginProblem, State};
use nodered_comms::runtime::{self, Access, Runtime, Scope, User};
use nodered_comms::wire::{Json, decode_frame, decode_packet};
use nodered_comms::{ConnectionId, Instant, Secret};
use support::{TestClient, TestRuntime, epoch, filter, seconds};
use testkit::drain;
use testkit::secrets::{MARK, assert_debug_hides, assert_error_hides, assert_no_secret, marked};

/// Both ends of one connection, and an admin API, without a network between them.
struct World {
    runtime: TestRuntime,
    client: TestClient,
    ends: Option<(ConnectionId, ConnectionId)>,
    now: Instant,
    /// What the admin API answers to a password.
    answer: (u16, String),
    /// How often the secrets were where they belong: in requests for a token, in frames of either side, in look-ups.
    requests: usize,
    frames: usize,
    look_ups: usize,
    heard: usize,
    problem: Option<LoginProblem>,
}

impl World {
    fn new(credentials: Credentials) -> Self {
        let mut config = client::Config::new("ws://h/comms".parse().unwrap());
        config.credentials = credentials;
        assert_debug_hides(&config);
        let mut client = Client::new(config, epoch()).unwrap();
        client.subscribe(&filter("a/+"), epoch()).unwrap();
        let runtime = Runtime::new(runtime::Config::new(Access::Users, 1.0), epoch()).unwrap();
        Self {
            runtime: TestRuntime(runtime),
            client: TestClient(client),
            ends: None,
            now: epoch(),
            answer: (200, format!("{{\"access_token\":\"{}\",\"expires_in\":60}}", token())),
            requests: 0,
            frames: 0,
            look_ups: 0,
            heard: 0,
            problem: None,
        }
    }

    fn live(&mut self, end: Instant) {
        self.settle();
        while let Some(due) =
            self.client.0.poll_timeout().into_iter().chain(self.runtime.0.poll_timeout()).min()
            && due <= end
        {
            self.now = due.max(self.now);
            self.client.0.handle_timeout(self.now);
            self.runtime.0.handle_timeout(self.now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let (ours, theirs) = (drain(&mut self.runtime), drain(&mut self.client));
            assert_debug_hides(&self.runtime.0);
            assert_debug_hides(&self.client.0);
            if ours.is_empty() && theirs.is_empty() {
                return;
            }
            assert_debug_hides(&ours);
            assert_debug_hides(&theirs);
            ours.into_iter().for_each(|output| self.of_runtime(output));
            theirs.into_iter().for_each(|output| self.of_client(output));
        }
    }

    fn of_runtime(&mut self, output: runtime::Output) {
        let now = self.now;
        match output {
            runtime::Output::Transmit { text, .. } => {
                let text = std::str::from_utf8(&text).unwrap();
                self.frames += usize::from(text.contains(MARK));
                if let Some((_, client)) = self.ends {
                    self.client.0.handle_text(client, text, now);
                }
            }
            runtime::Output::Disconnect { .. } => {
                if let Some((_, client)) = self.ends.take() {
                    self.client.0.handle_disconnect(client, now);
                }
            }
            runtime::Output::LookUp { id, token: presented } => {
                self.look_ups += usize::from(presented.expose().contains(MARK));
                let is_good = presented.matches(token().as_bytes());
                let user = is_good.then(|| User::new("alice", Scope::from("*")));
                self.runtime.0.handle_user(id, user, now);
            }
            runtime::Output::Event(runtime::Event::ConnectionEnded { reason, .. }) => {
                assert_error_hides(&reason);
            }
            runtime::Output::Event(_) => {}
        }
    }

    fn of_client(&mut self, output: client::Output) {
        let now = self.now;
        match output {
            client::Output::Connect { connection, .. } => {
                self.ends = Some((self.runtime.0.accept(now), connection));
                self.client.0.handle_connected(connection, now);
            }
            client::Output::Transmit { text, .. } => {
                self.frames += usize::from(text.contains(MARK));
                if let Some((runtime, _)) = self.ends {
                    self.runtime.0.handle_text(runtime, &text, now);
                }
            }
            client::Output::Disconnect { .. } => {
                if let Some((runtime, _)) = self.ends.take() {
                    self.runtime.0.handle_disconnect(runtime, now);
                }
            }
            client::Output::Request { id, request } => self.answer(id, &request),
            client::Output::Cancel(_) => {}
            client::Output::Event(event) => self.tell(&event),
        }
    }

    fn answer(&mut self, id: client::RequestId, request: &Request<bytes::Bytes>) {
        let (status, body) = match request.uri().path() {
            "/auth/login" => (200, r#"{"type":"credentials"}"#.to_owned()),
            _ => self.answer.clone(),
        };
        self.requests += usize::from(String::from_utf8_lossy(request.body()).contains(MARK));
        assert_no_secret(&request.uri().to_string(), "the URL of a request");
        let response = Response::builder().status(status).body(body.into()).unwrap();
        self.client.0.handle_response(id, response, self.now);
    }

    fn tell(&mut self, event: &client::Event) {
        match event {
            client::Event::Message(_) => self.heard += 1,
            client::Event::LoginNeeded(problem) => {
                assert_error_hides(problem);
                self.problem = Some(*problem);
            }
            client::Event::RequestFailed(error) => assert_error_hides(error),
            client::Event::ConnectionEnded { reason, .. } => assert_error_hides(reason),
            _ => {}
        }
    }
}

fn password() -> Credentials {
    Credentials::Password { username: "alice".into(), password: Secret::new(marked(1)) }
}

fn token() -> String {
    marked(2)
}

#[test]
fn neither_password_nor_token_nor_message_shows_from_the_login_to_the_end() {
    let mut world = World::new(password());
    world.live(epoch() + seconds(1));
    assert_eq!(world.client.0.state(), State::Ready);

    let data = Json::from(&*marked(4));
    world.runtime.0.publish("a/b", data.as_ref(), true, world.now).unwrap();
    world.client.0.publish("a/b", data.as_ref(), world.now).unwrap();
    world.live(epoch() + seconds(2));
    assert_eq!((world.requests, world.look_ups, world.heard), (1, 1, 1));
    assert_eq!(world.frames, 3, "a token and a message each way");

    let (connection, _) = world.ends.unwrap();
    world.runtime.0.end_session(connection, world.now);
    world.live(epoch() + seconds(10));
    assert_eq!((world.requests, world.look_ups, world.heard), (2, 2, 2), "it logs in again");
    world.client.0.close(world.now);
    world.settle();
}

#[test]
fn credentials_that_are_refused_are_not_repeated() {
    let refusal = format!("{{\"error\":\"{}\",\"error_description\":\"{}\"}}", marked(5), marked(1));
    for (status, asks_again) in [(401, false), (403, false), (500, true), (200, true)] {
        let mut world = World::new(password());
        world.answer = (status, refusal.clone());
        world.live(epoch() + seconds(5));
        assert_eq!(world.requests > 1, asks_again, "{status}");
        assert_eq!(matches!(world.problem, Some(LoginProblem::Refused(_))), !asks_again, "{status}");
    }

    let mut world = World::new(Credentials::Token(Secret::new(marked(3))));
    world.live(epoch() + seconds(5));
    assert_eq!((world.look_ups, world.problem), (1, Some(LoginProblem::TokenRefused)));
    let other = Credentials::Token(Secret::new(token()));
    assert_debug_hides(&other);
    world.client.0.login(other, world.now).unwrap();
    world.live(epoch() + seconds(6));
    assert_eq!(world.client.0.state(), State::Ready);
}

#[test]
fn frames_that_cannot_be_read_are_not_repeated() {
    let secret = marked(6);
    let frames = [
        secret.clone(),
        format!("{{\"auth\":\"{secret}"),
        format!("{{\"auth\":{{\"{secret}\":1}}}}"),
        format!("{{\"subscribe\":[\"{secret}\"]}}"),
        format!("[{{\"topic\":[\"{secret}\"],\"data\":\"{secret}\"}}"),
    ];
    let mut refused = 0;
    for frame in &frames {
        let mut world = World::new(password());
        world.live(epoch() + seconds(1));
        let (runtime, client) = world.ends.unwrap();
        world.runtime.0.handle_text(runtime, frame, world.now);
        world.client.0.handle_text(client, frame, world.now);
        world.live(epoch() + seconds(2));
        refused += decode_frame(frame).map_err(|error| assert_error_hides(&error)).is_err() as usize;
        refused += decode_packet(frame).map_err(|error| assert_error_hides(&error)).is_err() as usize;
    }
    assert!(refused > 3, "only {refused} were refused");
    assert_error_hides(&format!("http://u:{secret}@h/comms?{secret}").parse::<Endpoint>().unwrap_err());
    assert_error_hides(&client::RequestError::Transport(FailureKind::Refused));
}
