//! What a master asks of its driver, and the news it has.

use crate::Secret;
use crate::wire::{InstanceId, InstanceKind, Status};
use bytes::Bytes;
use http::Response;
use std::fmt;
use std::time::Duration;

/// Names an exchange; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// Names a run of an instance's process; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) u64);

/// Names a dial of tcping; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub(super) u64);

/// Names a look at the machine's figures; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(pub(super) u64);

/// Names a store; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub(super) u64);

/// Where a snapshot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the document has these two files")]
pub enum StoreTarget {
    /// The state, which the next start reads.
    State,
    /// The one backup, which is written over.
    Backup,
}

/// Work for the driver, in order. `Debug` shows ids, kinds and lengths: bodies and URLs hold keys.
#[expect(clippy::exhaustive_enums, reason = "new work must not compile away in a driver")]
pub enum Output {
    /// Answer this exchange.
    Respond {
        /// The exchange.
        id: ExchangeId,
        /// The whole answer; the transport adds `Content-Length` and `Date`.
        response: Response<Bytes>,
    },
    /// Answer this exchange with a head and keep its body open.
    OpenBody {
        /// The exchange.
        id: ExchangeId,
        /// The head.
        head: Response<()>,
    },
    /// Write a piece of a body, then report `handle_written`.
    PushBody {
        /// The exchange.
        id: ExchangeId,
        /// Whole frames.
        chunk: Bytes,
    },
    /// End a body once everything before this has been written.
    CloseBody {
        /// The exchange.
        id: ExchangeId,
    },
    /// Start a process, then report `handle_started` once, `handle_line` for each line that it
    /// writes, and `handle_exited` once when it has ended.
    Start {
        /// Names this run.
        run: RunId,
        /// The instance.
        instance: InstanceId,
        /// What it is.
        kind: InstanceKind,
        /// Its URL in the canonical form. It may hold a key.
        url: Box<str>,
    },
    /// Stop a process; `handle_exited` follows.
    Stop {
        /// The run.
        run: RunId,
        /// Whether it is not asked to but made to.
        force: bool,
    },
    /// Connect to `target` over TCP, then report `handle_dialed` once.
    Dial {
        /// Names the dial.
        id: DialId,
        /// A host and a port, as somebody has written them.
        target: Box<str>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Read the machine's figures, then report `handle_system` once.
    ReadSystem {
        /// Names the look.
        id: SystemId,
    },
    /// Write this in the place of what is there, all of it or nothing, then report `handle_stored` once.
    Store {
        /// Names the store.
        id: StoreId,
        /// Where to.
        target: StoreTarget,
        /// A [`Snapshot`](super::Snapshot). It holds the API key.
        snapshot: Bytes,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// There was no key; one was made.
    KeyCreated {
        /// The key.
        key: Secret,
    },
    /// The key was in the snapshot.
    KeyLoaded {
        /// The key.
        key: Secret,
    },
    /// A client has asked for another key; the one before is void.
    KeyRotated {
        /// The key.
        key: Secret,
    },
    /// An instance was made.
    Created {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance is gone.
    Deleted {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance has another status.
    StatusChanged {
        /// The instance.
        instance: InstanceId,
        /// How it is now.
        status: Status,
    },
    /// A process did not end although it was made to; it is taken for gone.
    ProcessStuck {
        /// The instance.
        instance: InstanceId,
        /// The run.
        run: RunId,
    },
    /// Somebody reads events.
    StreamOpened {
        /// The exchange.
        id: ExchangeId,
    },
    /// A reader is too slow: events were lost.
    EventsLost {
        /// The exchange.
        id: ExchangeId,
        /// How many since this was last told.
        lost: u64,
    },
    /// A reader is gone, or was told that the stream ends.
    StreamEnded {
        /// The exchange.
        id: ExchangeId,
    },
    /// The state or the backup could not be stored; the state is tried again.
    StoreFailed {
        /// Which.
        target: StoreTarget,
    },
    /// The master is closed; nothing follows.
    Closed,
}

/// A process could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process could not be started")]
#[expect(clippy::exhaustive_structs, reason = "the master wants no more than the fact")]
pub struct StartFailed;

/// Something could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot could not be stored")]
#[expect(clippy::exhaustive_structs, reason = "the master wants no more than the fact")]
pub struct StoreFailed;

/// Figures of the machine. All of them are 0 and `cpu` is -1 where they are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the members of /info; its user writes it as a literal")]
pub struct SystemFigures {
    /// Per cent of all processors in use.
    pub cpu: i64,
    /// Bytes of memory.
    pub mem_total: u64,
    /// Bytes of memory that nobody uses for anything: releases before 1.7 show it.
    pub mem_free: u64,
    /// Bytes of memory that could not be had: later releases show it. What is cached is neither free nor used.
    pub mem_used: u64,
    /// Bytes of swap space.
    pub swap_total: u64,
    /// Bytes of swap space that is free.
    pub swap_free: u64,
    /// Bytes received since the machine started, without virtual interfaces.
    pub netrx: u64,
    /// Bytes sent since the machine started, without virtual interfaces.
    pub nettx: u64,
    /// Bytes read from disks since the machine started.
    pub diskr: u64,
    /// Bytes written to disks since the machine started.
    pub diskw: u64,
    /// Seconds since the machine started.
    pub sysup: u64,
}

impl Default for SystemFigures {
    fn default() -> Self {
        Self {
            cpu: -1,
            mem_total: 0,
            mem_free: 0,
            mem_used: 0,
            swap_total: 0,
            swap_free: 0,
            netrx: 0,
            nettx: 0,
            diskr: 0,
            diskw: 0,
            sysup: 0,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond { id, response } => {
                write!(f, "Respond({}, {}, {} bytes)", id.0, response.status(), response.body().len())
            }
            Self::OpenBody { id, head } => write!(f, "OpenBody({}, {})", id.0, head.status()),
            Self::PushBody { id, chunk } => write!(f, "PushBody({}, {} bytes)", id.0, chunk.len()),
            Self::CloseBody { id } => write!(f, "CloseBody({})", id.0),
            Self::Start { run, instance, kind, .. } => write!(f, "Start({}, {kind} {instance})", run.0),
            Self::Stop { run, force } => write!(f, "Stop({}, force {force})", run.0),
            Self::Dial { id, timeout, .. } => write!(f, "Dial({}, {timeout:?})", id.0),
            Self::ReadSystem { id } => write!(f, "ReadSystem({})", id.0),
            Self::Store { id, target, snapshot } => {
                write!(f, "Store({}, {target:?}, {} bytes)", id.0, snapshot.len())
            }
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
