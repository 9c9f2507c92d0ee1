//! Clients that connect and reconnect, with one hub that has many connections.
//!
//! The types that tests implement and match are here; [`HubNetwork`] joins them.

mod network;

pub use network::HubNetwork;

use crate::machine::Machine;
use bytes::Bytes;
use std::fmt::Debug;
use web_time::Instant;

/// A machine that opens connections. Work that is special to a protocol goes into its `Event`.
pub trait ClientMachine: Machine {
    /// Names a connection; never used twice.
    type Connection: Copy + Ord + Debug;
    /// What the machine tells the application.
    type Event: Debug;
    /// The connection is open.
    fn handle_connected(&mut self, connection: Self::Connection, now: Instant);
    /// The connection could not be opened.
    fn handle_connect_failed(&mut self, connection: Self::Connection, now: Instant);
    /// Takes bytes as they came off the wire.
    fn handle_bytes(&mut self, connection: Self::Connection, bytes: &[u8], now: Instant);
    /// The connection ended.
    fn handle_disconnect(&mut self, connection: Self::Connection, now: Instant);
    /// Says what an output asks of the driver.
    fn work(output: Self::Output) -> ClientWork<Self::Connection, Self::Event>;
}

/// What an output of a [`ClientMachine`] asks of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientWork<I, E> {
    /// Open a connection to the hub and report how that went.
    Connect(I),
    /// Write these bytes.
    Transmit {
        /// Names the connection.
        connection: I,
        /// What to write.
        bytes: Bytes,
    },
    /// Close the connection once everything before this has been written, or give up opening it.
    Disconnect(I),
    /// Tell the application.
    Event(E),
}

/// A machine that accepts connections. Work that is special to a protocol goes into its `Event`.
pub trait HubMachine: Machine {
    /// Names a connection; never used twice.
    type Connection: Copy + Ord + Debug;
    /// What the machine tells the application.
    type Event: Debug;
    /// Takes a new connection and names it.
    fn accept(&mut self, now: Instant) -> Self::Connection;
    /// Takes bytes as they came off the wire.
    fn handle_bytes(&mut self, connection: Self::Connection, bytes: &[u8], now: Instant);
    /// The connection ended.
    fn handle_disconnect(&mut self, connection: Self::Connection, now: Instant);
    /// Says what an output asks of the driver.
    fn work(output: Self::Output) -> HubWork<Self::Connection, Self::Event>;
}

/// What an output of a [`HubMachine`] asks of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubWork<I, E> {
    /// Write these bytes.
    Transmit {
        /// Names the connection.
        connection: I,
        /// What to write.
        bytes: Bytes,
    },
    /// Close the connection once everything before this has been written.
    Disconnect(I),
    /// Tell the application.
    Event(E),
}

/// What the callbacks of [`HubNetwork`] get.
pub enum HubNews<'a, C: ClientMachine, H: HubMachine> {
    /// An event of a client.
    Client {
        /// Its index in [`HubNetwork::clients`].
        client: usize,
        /// The event.
        event: &'a C::Event,
    },
    /// An event of the hub.
    Hub(&'a H::Event),
}
