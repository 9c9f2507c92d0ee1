//! A toy agent with toy servers over virtual exchanges.

use bytes::Bytes;
use http::{Request, Response};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;
use testkit::exchange::*;
use testkit::network::Conditions;
use testkit::{Machine, epoch};
use web_time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const ONE: &str = "one.example:443";

/// Sends what it is told to, gives up on an answer after its patience, and can ask the test for probes.
struct Agent {
    next_id: u32,
    patience: Duration,
    waiting: BTreeMap<u32, Instant>,
    outputs: VecDeque<AgentWork<u32, String, &'static str>>,
}

impl Agent {
    fn new() -> Self {
        Self { next_id: 0, patience: 10 * SECOND, waiting: BTreeMap::new(), outputs: VecDeque::new() }
    }

    fn get(&mut self, uri: &str, now: Instant) {
        self.next_id += 1;
        self.waiting.insert(self.next_id, now + self.patience);
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        self.outputs.push_back(AgentWork::Request { id: self.next_id, request });
    }

    fn report(&mut self, text: String) {
        self.outputs.push_back(AgentWork::Event(text));
    }
}

impl Machine for Agent {
    type Output = AgentWork<u32, String, &'static str>;
    fn handle_timeout(&mut self, now: Instant) {
        let late: Vec<_> = self.waiting.iter().filter(|(_, at)| **at <= now).map(|(&id, _)| id).collect();
        for id in late {
            self.waiting.remove(&id);
            self.outputs.push_back(AgentWork::Cancel(id));
            self.report(format!("{id} timed out"));
        }
    }
    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }
}

impl HttpAgent for Agent {
    type Id = u32;
    type Event = String;
    type Other = &'static str;
    type Failure = FaultKind;
    fn handle_response(&mut self, id: u32, response: Response<Bytes>, _now: Instant) {
        self.waiting.remove(&id);
        let body = String::from_utf8_lossy(response.body()).into_owned();
        self.report(format!("{id} {} {body}", response.status().as_u16()));
    }
    fn handle_failure(&mut self, id: u32, failure: FaultKind, _now: Instant) {
        self.waiting.remove(&id);
        self.report(format!("{id} {failure:?}"));
    }
    fn work(output: Self::Output) -> AgentWork<u32, String, &'static str> {
        output
    }
}

/// Answers with its name; "/ask" asks the application, and "/later" answers after three seconds.
struct Server {
    name: &'static str,
    next_id: u32,
    later: Option<(u32, Instant)>,
    outputs: VecDeque<ServerWork<u32, String, Infallible>>,
}

impl Server {
    fn new(name: &'static str) -> Self {
        Self { name, next_id: 0, later: None, outputs: VecDeque::new() }
    }

    fn respond(&mut self, id: u32, body: &'static str) {
        self.outputs.push_back(ServerWork::Respond {
            id,
            response: Response::new(Bytes::from_static(body.as_bytes())),
        });
    }
}

impl Machine for Server {
    type Output = ServerWork<u32, String, Infallible>;
    fn handle_timeout(&mut self, now: Instant) {
        if let Some((id, _)) = self.later.take_if(|(_, at)| *at <= now) {
            self.respond(id, "later");
        }
    }
    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.later.map(|(_, at)| at)
    }
}

impl HttpServer for Server {
    type Id = u32;
    type Event = String;
    type Other = Infallible;
    fn handle_request(&mut self, request: Request<Bytes>, client: IpAddr, now: Instant) -> u32 {
        self.next_id += 1;
        match request.uri().path() {
            "/ask" => self.outputs.push_back(ServerWork::Event(format!("{} from {client}", self.next_id))),
            "/later" => self.later = Some((self.next_id, now + 3 * SECOND)),
            _ => self.respond(self.next_id, self.name),
        }
        self.next_id
    }
    fn handle_cancel(&mut self, id: u32, _now: Instant) {
        self.later.take_if(|(later, _)| *later == id);
        self.outputs.push_back(ServerWork::Event(format!("{id} cancelled")));
    }
    fn work(output: Self::Output) -> ServerWork<u32, String, Infallible> {
        output
    }
}

fn exchanges() -> Exchanges<Agent, Server> {
    let conditions = Conditions { delay: SECOND, ..Conditions::default() };
    let mut exchanges = Exchanges::new(Agent::new(), epoch(), |kind| kind, conditions, 1);
    exchanges.add_server(ONE, Server::new("one"));
    exchanges.add_server("two.example:8080", Server::new("two"));
    exchanges
}

fn at(seconds: u32) -> Instant {
    epoch() + seconds * SECOND
}

fn agent_log(exchanges: &Exchanges<Agent, Server>) -> Vec<(u64, &str)> {
    exchanges.agent_events.iter().map(|(at, event)| ((*at - epoch()).as_secs(), event.as_str())).collect()
}

fn server_log(exchanges: &Exchanges<Agent, Server>) -> Vec<(u64, &str, &str)> {
    let events = exchanges.server_events.iter();
    events.map(|(at, name, event)| ((*at - epoch()).as_secs(), name.as_str(), event.as_str())).collect()
}

#[test]
fn requests_find_their_servers_by_authority() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/a?b=c", epoch());
    exchanges.agent.get("http://TWO.example:8080/", epoch());
    exchanges.agent.get("http://one.example/", epoch());
    exchanges.run_until(at(5));
    assert_eq!(agent_log(&exchanges), [(0, "3 UnknownHost"), (2, "1 200 one"), (2, "2 200 two")]);
    let first = Attempt {
        at: epoch(),
        authority: ONE.to_owned(),
        method: http::Method::GET,
        path: "/a".to_owned(),
        query: Some("b=c".to_owned()),
        delivered: Some(at(1)),
    };
    assert_eq!(exchanges.attempts[0], first);
    assert_eq!(exchanges.attempts[2].authority, "one.example:80");
    assert_eq!(exchanges.attempts[2].delivered, None);
    assert_eq!((exchanges.now(), exchanges.open_exchanges()), (at(5), 0));
}

#[test]
fn each_condition_has_its_outcome() {
    let cases = [
        (Condition::Up, (2, "1 200 one"), true),
        (Condition::Refusing, (0, "1 Refused"), false),
        (Condition::Silent, (10, "1 timed out"), false),
        (Condition::Slow(5 * SECOND), (7, "1 200 one"), true),
        (Condition::Status(502), (2, "1 502 "), false),
        (Condition::Lossy(0), (2, "1 200 one"), true),
    ];
    for (condition, outcome, delivered) in cases {
        let mut exchanges = exchanges();
        exchanges.set_condition(ONE, condition);
        exchanges.agent.get("https://one.example/", epoch());
        exchanges.run_until(at(20));
        assert_eq!(agent_log(&exchanges), [outcome], "{condition:?}");
        assert_eq!(exchanges.attempts[0].delivered.is_some(), delivered, "{condition:?}");
    }
}

#[test]
fn a_lost_exchange_may_have_been_delivered_or_not() {
    let mut exchanges = exchanges();
    exchanges.set_condition(ONE, Condition::Lossy(1000));
    for _ in 0..40 {
        exchanges.agent.get("https://one.example/", epoch());
    }
    exchanges.run_until(at(20));
    assert!(agent_log(&exchanges).iter().all(|(at, event)| *at == 2 && event.ends_with("Interrupted")));
    assert_eq!(exchanges.agent_events.len(), 40);
    let delivered = exchanges.attempts.iter().filter(|attempt| attempt.delivered.is_some()).count();
    assert!((5..35).contains(&delivered), "{delivered}");
}

#[test]
fn a_lost_exchange_without_an_answer_is_cancelled_at_the_server() {
    let mut exchanges = exchanges();
    exchanges.conditions.loss_per_mille = 1000;
    for _ in 0..10 {
        exchanges.agent.get("https://one.example/ask", epoch());
    }
    exchanges.run_until(at(20));
    let asked =
        server_log(&exchanges).iter().filter(|(at, _, event)| *at == 1 && event.contains("from")).count();
    let cancelled =
        server_log(&exchanges).iter().filter(|(at, _, event)| *at == 2 && event.contains("cancel")).count();
    assert!(asked > 0);
    assert_eq!(asked, cancelled);
}

#[test]
fn a_cancelled_exchange_is_dropped_and_the_server_told() {
    let mut exchanges = exchanges();
    exchanges.agent.patience = 2 * SECOND;
    exchanges.agent.get("https://one.example/later", epoch());
    exchanges.run_until(at(20));
    assert_eq!(agent_log(&exchanges), [(2, "1 timed out")]);
    assert_eq!(server_log(&exchanges), [(2, ONE, "1 cancelled")]);
}

#[test]
fn a_server_sleeps_to_its_own_deadlines() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/later", epoch());
    exchanges.run_until(at(20));
    assert_eq!(agent_log(&exchanges), [(5, "1 200 later")]);
}

#[test]
fn a_restarted_server_interrupts_its_exchanges_and_is_new() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/ask", epoch());
    exchanges.run_until(at(3));
    let old = exchanges.replace_server(ONE, Server::new("new one"));
    assert_eq!(old.name, "one");
    exchanges.agent.get("https://one.example/", at(3));
    exchanges.run_until(at(20));
    assert_eq!(agent_log(&exchanges), [(3, "1 Interrupted"), (5, "2 200 new one")]);
    assert_eq!(server_log(&exchanges), [(1, ONE, "1 from 192.0.2.1")]);
    assert_eq!(exchanges.server(ONE).next_id, 1);
}

#[test]
fn an_interruption_tells_agent_and_server() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/ask", epoch());
    exchanges.run_until(at(3));
    exchanges.interrupt(ONE);
    exchanges.run_until(at(4));
    assert_eq!(agent_log(&exchanges), [(3, "1 Interrupted")]);
    assert_eq!(server_log(&exchanges)[1], (3, ONE, "1 cancelled"));
}

#[test]
fn a_restarted_agent_leaves_its_exchanges_behind() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/ask", epoch());
    exchanges.run_until(at(3));
    exchanges.replace_agent(Agent::new());
    exchanges.agent.get("https://one.example/", at(3));
    exchanges.run_until(at(20));
    assert_eq!(agent_log(&exchanges), [(5, "1 200 one")]);
    assert_eq!(server_log(&exchanges)[1], (3, ONE, "1 cancelled"));
}

#[test]
fn callbacks_answer_for_the_application_and_do_other_work() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/ask", epoch());
    exchanges.agent.outputs.push_back(AgentWork::Other("probe"));
    exchanges.run_until_with(at(20), |exchanges, news| match news {
        ExchangeNews::AgentOther(&"probe") => exchanges.agent.report("probed".to_owned()),
        ExchangeNews::ServerEvent { authority, .. } => {
            exchanges.server_mut(authority).respond(1, "the answer")
        }
        _ => {}
    });
    assert_eq!(agent_log(&exchanges), [(0, "probed"), (2, "1 200 the answer")]);
    assert_eq!(exchanges.agent_others, [(epoch(), "probe")]);
}

#[test]
fn authorities_have_the_port_of_their_scheme() {
    let cases = [
        ("https://a.example/x", "a.example:443"),
        ("http://A.example", "a.example:80"),
        ("http://[::1]:81/", "[::1]:81"),
    ];
    for (uri, authority) in cases {
        assert_eq!(authority_of(&uri.parse().unwrap()), authority);
    }
}

#[test]
#[should_panic(expected = "its URI has no host: /path")]
fn a_request_without_a_host_is_refused() {
    let mut exchanges = exchanges();
    exchanges.agent.get("/path", epoch());
    exchanges.settle();
}

#[test]
#[should_panic(expected = "rule: ids are never reused; the agent sent two requests as 1")]
fn a_request_id_used_twice_is_refused() {
    let mut exchanges = exchanges();
    exchanges.agent.get("https://one.example/", epoch());
    exchanges.agent.next_id = 0;
    exchanges.agent.get("https://one.example/", epoch());
    exchanges.settle();
}

#[test]
#[should_panic(expected = "a server is named host:port in lower case, not one.example")]
fn a_server_without_a_port_is_refused() {
    exchanges().add_server("one.example", Server::new("one"));
}
