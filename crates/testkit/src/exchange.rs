//! An agent with servers that answer its HTTP requests.
//!
//! The types that tests implement and match are here; [`Exchanges`] joins them.

mod exchanges;

pub use exchanges::Exchanges;

use crate::machine::Machine;
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;
use web_time::Instant;

/// A machine that emits requests and is fed their outcomes.
pub trait HttpAgent: Machine {
    /// Names an exchange; never used twice.
    type Id: Copy + Ord + Debug;
    /// What the machine tells the application.
    type Event: Debug;
    /// Work that is special to the protocol, such as probes; a type without values if there is none.
    type Other: Debug;
    /// Why there is no response.
    type Failure;
    /// Takes the response of an exchange.
    fn handle_response(&mut self, id: Self::Id, response: Response<Bytes>, now: Instant);
    /// Takes the failure of an exchange.
    fn handle_failure(&mut self, id: Self::Id, failure: Self::Failure, now: Instant);
    /// Says what an output asks of the driver.
    fn work(output: Self::Output) -> AgentWork<Self::Id, Self::Event, Self::Other>;
}

/// What an output of an [`HttpAgent`] asks of the driver.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for a moment, between polling and matching")]
pub enum AgentWork<I, E, O> {
    /// Send this request and report its outcome once.
    Request {
        /// Names the exchange.
        id: I,
        /// The whole request; its URI has a host.
        request: Request<Bytes>,
    },
    /// The outcome is no longer wanted.
    Cancel(I),
    /// Tell the application.
    Event(E),
    /// Something that the test answers in a callback or finds in the log.
    Other(O),
}

/// A machine that takes requests and emits responses.
pub trait HttpServer: Machine {
    /// Names an exchange; never used twice.
    type Id: Copy + Ord + Debug;
    /// What the machine tells the application.
    type Event: Debug;
    /// Work that is special to the protocol, such as open bodies; a type without values if there is none.
    type Other: Debug;
    /// Takes a request and names the exchange.
    fn handle_request(&mut self, request: Request<Bytes>, client: IpAddr, now: Instant) -> Self::Id;
    /// The client went away.
    fn handle_cancel(&mut self, id: Self::Id, now: Instant);
    /// Says what an output asks of the driver.
    fn work(output: Self::Output) -> ServerWork<Self::Id, Self::Event, Self::Other>;
}

/// What an output of an [`HttpServer`] asks of the driver.
#[derive(Debug)]
pub enum ServerWork<I, E, O> {
    /// Answer this exchange.
    Respond {
        /// Names the exchange.
        id: I,
        /// The whole response.
        response: Response<Bytes>,
    },
    /// Tell the application.
    Event(E),
    /// Something that the test answers in a callback or finds in the log.
    Other(O),
}

/// How one server behaves. It can be changed at any time and then holds for requests that have not arrived
/// yet; [`Slow`](Self::Slow) holds for responses that have not been given yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// The server answers.
    #[default]
    Up,
    /// Connections are refused at once.
    Refusing,
    /// Requests vanish: the server does not see them, and no answer ever comes.
    Silent,
    /// Each response leaves this much later.
    Slow(Duration),
    /// So many of a thousand exchanges lose their connection: half of them before the server saw the request,
    /// half after it. The agent cannot tell which.
    Lossy(u16),
    /// Every request is answered by this status and no body, as by a gateway whose server is away; the server
    /// does not see it.
    Status(u16),
}

/// Why an exchange got no response; tests make the agent's own failure of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No server has this authority: the name is unknown. Nothing was delivered.
    UnknownHost,
    /// The server took no connection. Nothing was delivered.
    Refused,
    /// The connection was lost. The request may have been delivered.
    Interrupted,
}

/// A request that reached a server, or was meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When the agent sent it.
    pub at: Instant,
    /// The server, as `host:port`.
    pub authority: String,
    /// The method.
    pub method: Method,
    /// The path of the URI.
    pub path: String,
    /// The query of the URI.
    pub query: Option<String>,
    /// When the server machine took it; `None` if it never did.
    pub delivered: Option<Instant>,
}

/// What the callbacks of [`Exchanges`] get.
pub enum ExchangeNews<'a, A: HttpAgent, S: HttpServer> {
    /// An event of the agent.
    AgentEvent(&'a A::Event),
    /// Other work of the agent.
    AgentOther(&'a A::Other),
    /// An event of a server.
    ServerEvent {
        /// The server, as `host:port`.
        authority: &'a str,
        /// The event.
        event: &'a S::Event,
    },
    /// Other work of a server.
    ServerOther {
        /// The server, as `host:port`.
        authority: &'a str,
        /// The work.
        other: &'a S::Other,
    },
}

/// Returns the server of a URI as `host:port`, with the scheme's port if the URI has none.
///
/// # Panics
/// If the URI has no host, or no port where its scheme has no usual one.
#[track_caller]
pub fn authority_of(uri: &Uri) -> String {
    let Some(host) = uri.host() else { panic!("rule: a request is complete; its URI has no host: {uri}") };
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => port,
        (None, Some("https" | "wss")) => 443,
        (None, Some("http" | "ws")) => 80,
        (None, _) => panic!("rule: a request is complete; its URI has no known scheme and no port: {uri}"),
    };
    format!("{}:{port}", host.to_ascii_lowercase())
}
