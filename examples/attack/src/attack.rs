//! What an attack is: what is said, over how many connections, what must happen, and how much memory it may take.

use crate::connection::{Connection, Greeting};
use crate::http2;
use crate::script::Script;
use std::fmt;
use std::path::Path;

/// One attack on one program.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) must: Must,
    /// At once against a server; a hostile server wants as many to have come. In the short form and the long one.
    pub(crate) connections: (usize, usize),
    /// The most memory that may be resident, in MiB.
    pub(crate) limit: u64,
    /// How a hostile server answers the head of a request; `None` if it waits for none.
    pub(crate) greet: Option<fn(&str) -> Greeting>,
    pub(crate) script: Box<dyn Fn(&Scene<'_>) -> Script + Send + Sync>,
}

/// Where an attack takes place.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// A folder of its own.
    pub(crate) folder: &'a Path,
    /// Where the server is, or what stands in front of it.
    pub(crate) address: &'a str,
    /// Where the server listens first, if it has several listeners.
    pub(crate) beside: &'a str,
}

/// What must happen to each connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    /// The program ends it.
    End,
    /// The program answers with a status from 400 on, or that of a call that failed, or ends it.
    Refuse,
    /// The program answers with this status.
    Status(u16),
    /// The program says this.
    Say(&'static str),
    /// Nothing: it is enough that the program goes on.
    Bear,
    /// Neither program shows a secret, whatever it logs. Nobody attacks.
    Hide,
}

impl Attack {
    /// An attack over a few connections, under which a program stays below 48 MiB.
    pub(crate) fn new(
        name: &'static str,
        must: Must,
        script: impl Fn(&Scene<'_>) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self { name, must, connections: (2, 8), limit: 48, greet: None, script: Box::new(script) }
    }

    /// Sets over how many connections.
    pub(crate) fn over(mut self, short: usize, long: usize) -> Self {
        self.connections = (short, long);
        self
    }

    /// Sets how much memory it may take, in MiB.
    pub(crate) fn within(mut self, mebibytes: u64) -> Self {
        self.limit = mebibytes;
        self
    }

    /// Sets how a hostile server answers the head of a request.
    pub(crate) fn greeted(mut self, greet: fn(&str) -> Greeting) -> Self {
        self.greet = Some(greet);
        self
    }
}

impl Scene<'_> {
    /// Returns the key that the good peers have.
    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.folder.join("key")).unwrap_or_default().trim().to_owned()
    }
}

impl Must {
    /// Says whether it has happened to a connection; `None` as long as it may still happen.
    pub(crate) fn verdict(self, connection: &Connection) -> Option<Result<(), String>> {
        let status = status(connection.heard());
        let over = |well| connection.is_over().then_some(well);
        match (self, status) {
            (Self::Refuse, None) if let Some(refuses) = http2::refuses(connection.heard()) => {
                Some(if refuses { Ok(()) } else { Err("the call was answered".into()) })
            }
            (Self::End, _) => over(Ok(())),
            (Self::Refuse, Some(400..)) => Some(Ok(())),
            (Self::Refuse, Some(status)) if status != 101 => Some(Err(format!("status {status}"))),
            (Self::Refuse, _) => over(Ok(())),
            (Self::Status(wanted), Some(status)) if wanted == status => Some(Ok(())),
            (Self::Status(_), Some(status)) => Some(Err(format!("status {status}"))),
            (Self::Status(_), None) => over(Err("the connection ended without an answer".into())),
            (Self::Say(wanted), _) => {
                let heard = String::from_utf8_lossy(connection.heard());
                if heard.contains(wanted) { Some(Ok(())) } else { over(Err(format!("it said {heard:?}"))) }
            }
            (Self::Bear | Self::Hide, _) => connection.is_said().then_some(Ok(())),
        }
    }
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => write!(f, "closed"),
            Self::Refuse => write!(f, "refused or closed"),
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Say(text) => write!(f, "answered `{text}`"),
            Self::Bear => write!(f, "borne"),
            Self::Hide => write!(f, "kept to itself"),
        }
    }
}

/// Returns the status of an answer in HTTP.
fn status(heard: &[u8]) -> Option<u16> {
    let rest = heard.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
}
