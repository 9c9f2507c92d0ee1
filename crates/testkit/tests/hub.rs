//! Toy clients with a toy hub over virtual connections.

use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use testkit::hub::*;
use testkit::network::Conditions;
use testkit::{Machine, epoch};
use web_time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Stays connected: tries again five seconds after every end. Reports what it hears.
struct Client {
    connection: u32,
    retry: Option<Instant>,
    outputs: VecDeque<ClientWork<u32, String>>,
}

impl Client {
    fn new() -> Self {
        let outputs = VecDeque::from([ClientWork::Connect(1)]);
        Self { connection: 1, retry: None, outputs }
    }

    fn say(&mut self, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        self.outputs.push_back(ClientWork::Transmit { connection: self.connection, bytes });
    }

    fn hang_up(&mut self) {
        self.outputs.push_back(ClientWork::Disconnect(self.connection));
    }

    fn report(&mut self, text: String) {
        self.outputs.push_back(ClientWork::Event(text));
    }
}

impl Machine for Client {
    type Output = ClientWork<u32, String>;
    fn handle_timeout(&mut self, now: Instant) {
        if self.retry.take_if(|at| *at <= now).is_some() {
            self.connection += 1;
            self.outputs.push_back(ClientWork::Connect(self.connection));
        }
    }
    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.retry
    }
}

impl ClientMachine for Client {
    type Connection = u32;
    type Event = String;
    fn handle_connected(&mut self, connection: u32, _now: Instant) {
        self.report(format!("{connection} up"));
    }
    fn handle_connect_failed(&mut self, connection: u32, now: Instant) {
        self.retry = Some(now + 5 * SECOND);
        self.report(format!("{connection} failed"));
    }
    fn handle_bytes(&mut self, connection: u32, bytes: &[u8], _now: Instant) {
        self.report(format!("{connection} {}", bytes.escape_ascii()));
    }
    fn handle_disconnect(&mut self, connection: u32, now: Instant) {
        self.retry = Some(now + 5 * SECOND);
        self.report(format!("{connection} down"));
    }
    fn work(output: Self::Output) -> ClientWork<u32, String> {
        output
    }
}

/// Greets every connection, sends what it hears to all, and hangs up on "quit".
struct Hub {
    next: u32,
    open: BTreeSet<u32>,
    outputs: VecDeque<HubWork<u32, String>>,
}

impl Hub {
    fn new() -> Self {
        Self { next: 100, open: BTreeSet::new(), outputs: VecDeque::new() }
    }
}

impl Machine for Hub {
    type Output = HubWork<u32, String>;
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl HubMachine for Hub {
    type Connection = u32;
    type Event = String;
    fn accept(&mut self, _now: Instant) -> u32 {
        self.next += 1;
        self.open.insert(self.next);
        self.outputs
            .push_back(HubWork::Transmit { connection: self.next, bytes: Bytes::from_static(b"hello") });
        self.next
    }
    fn handle_bytes(&mut self, connection: u32, bytes: &[u8], _now: Instant) {
        if bytes == b"quit" {
            self.open.remove(&connection);
            return self.outputs.push_back(HubWork::Disconnect(connection));
        }
        let bytes = Bytes::copy_from_slice(bytes);
        self.outputs.push_back(HubWork::Event(format!("{connection} said {}", bytes.escape_ascii())));
        let all = self.open.iter();
        self.outputs.extend(all.map(|&connection| HubWork::Transmit { connection, bytes: bytes.clone() }));
    }
    fn handle_disconnect(&mut self, connection: u32, _now: Instant) {
        self.open.remove(&connection);
        self.outputs.push_back(HubWork::Event(format!("{connection} gone")));
    }
    fn work(output: Self::Output) -> HubWork<u32, String> {
        output
    }
}

fn network(clients: usize) -> HubNetwork<Client, Hub> {
    let conditions = Conditions { delay: SECOND, ..Conditions::default() };
    let mut network = HubNetwork::new(Hub::new(), epoch(), conditions, 1);
    for index in 0..clients {
        assert_eq!(network.add_client(Client::new()), index);
    }
    network
}

fn at(seconds: u32) -> Instant {
    epoch() + seconds * SECOND
}

fn client_log(network: &HubNetwork<Client, Hub>, client: usize) -> Vec<(u64, &str)> {
    let events = network.client_events.iter().filter(|(_, index, _)| *index == client);
    events.map(|(at, _, event)| ((*at - epoch()).as_secs(), event.as_str())).collect()
}

fn hub_log(network: &HubNetwork<Client, Hub>) -> Vec<(u64, &str)> {
    network.hub_events.iter().map(|(at, event)| ((*at - epoch()).as_secs(), event.as_str())).collect()
}

#[test]
fn what_one_client_says_reaches_all() {
    let mut network = network(2);
    network.run_until(at(2));
    assert_eq!(network.open_connections(), 2);
    network.clients[0].say("news");
    network.run_until(at(5));
    assert_eq!(client_log(&network, 0), [(2, "1 up"), (2, "1 hello"), (4, "1 news")]);
    assert_eq!(client_log(&network, 1), [(2, "1 up"), (2, "1 hello"), (4, "1 news")]);
    assert_eq!(hub_log(&network), [(3, "101 said news")]);
}

#[test]
fn a_client_comes_back_after_its_connection_was_cut() {
    let mut network = network(2);
    network.run_until(at(3));
    network.cut(0);
    network.run_until(at(20));
    assert_eq!(
        client_log(&network, 0),
        [(2, "1 up"), (2, "1 hello"), (3, "1 down"), (10, "2 up"), (10, "2 hello")]
    );
    assert_eq!(client_log(&network, 1).len(), 2);
    assert_eq!(hub_log(&network), [(3, "101 gone")]);
    let dials: Vec<_> =
        network.dials.iter().map(|(at, client, id)| ((*at - epoch()).as_secs(), *client, *id)).collect();
    assert_eq!(dials, [(0, 0, 1), (0, 1, 1), (8, 0, 2)]);
}

#[test]
fn a_hub_that_is_down_refuses_until_it_is_up() {
    let mut network = network(1);
    network.hub_down();
    network.run_until(at(3));
    network.hub_up();
    network.run_until(at(20));
    assert_eq!(client_log(&network, 0), [(2, "1 failed"), (9, "2 up"), (9, "2 hello")]);
}

#[test]
fn a_restarted_hub_knows_nothing_of_the_old_connections() {
    let mut network = network(1);
    network.run_until(at(3));
    let old = network.replace_hub(Hub::new());
    assert_eq!(old.open, BTreeSet::from([101]));
    network.run_until(at(20));
    assert_eq!(client_log(&network, 0)[2..], [(3, "1 down"), (10, "2 up"), (10, "2 hello")]);
    assert_eq!(hub_log(&network), []);
}

#[test]
fn the_end_arrives_behind_the_bytes_whoever_hangs_up() {
    let mut network = network(2);
    network.run_until(at(2));
    network.clients[0].say("bye");
    network.clients[0].hang_up();
    network.clients[1].say("quit");
    network.run_until(at(5));
    assert_eq!(hub_log(&network), [(3, "101 said bye"), (3, "101 gone")]);
    assert_eq!(client_log(&network, 0).len(), 2);
    assert_eq!(client_log(&network, 1)[2..], [(4, "1 bye"), (4, "1 down")]);
    assert_eq!(network.open_connections(), 0);
}

#[test]
fn a_client_that_gives_up_dialling_is_never_accepted() {
    let mut network = network(1);
    network.clients[0].hang_up();
    network.run_until(at(5));
    assert_eq!(network.hub.next, 100);
    assert_eq!(client_log(&network, 0), []);
}

#[test]
fn a_stalled_connection_swallows_everything() {
    let mut network = network(1);
    network.run_until(at(2));
    network.stall(0);
    network.clients[0].say("unheard");
    network.run_until(at(20));
    assert_eq!((client_log(&network, 0).len(), hub_log(&network).len()), (2, 0));
    network.cut(0);
    network.settle();
    assert_eq!(client_log(&network, 0)[2..], [(20, "1 down")]);
}

#[test]
fn a_lossy_network_breaks_connections_and_pieces_keep_their_order() {
    let mut network = network(1);
    network.conditions.largest_piece = Some(1);
    network.run_until(at(2));
    let heard: Vec<_> = client_log(&network, 0).iter().map(|(_, event)| *event).collect();
    assert_eq!(heard, ["1 up", "1 h", "1 e", "1 l", "1 l", "1 o"]);
    network.conditions.loss_per_mille = 1000;
    network.clients[0].say("x");
    network.settle();
    assert_eq!(client_log(&network, 0).last(), Some(&(2, "1 down")));
    assert_eq!(hub_log(&network), [(2, "101 gone")]);
}

#[test]
fn the_application_may_answer_an_event_at_once() {
    let mut network = network(1);
    network.run_until_with(at(3), |network, news| match news {
        HubNews::Client { client, event } if event == "1 up" => network.clients[client].say("thanks"),
        HubNews::Hub(event) => assert_eq!(event, "101 said thanks"),
        HubNews::Client { .. } => {}
    });
    assert_eq!(hub_log(&network), [(3, "101 said thanks")]);
}

#[test]
#[should_panic(expected = "rule: ids are never reused; client 0 opened 1 twice")]
fn a_connection_id_used_twice_is_refused() {
    let mut network = network(1);
    network.clients[0].outputs.push_back(ClientWork::Connect(1));
    network.settle();
}
