//! Hostile peers: one that opens many connections to a server, and one that a client connects to.

use crate::connection::{Connection, Greeting};
use crate::script::Script;
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Connections that a script is said over, all by one thread.
#[derive(Default)]
pub(crate) struct Crowd {
    connections: Vec<Connection>,
}

impl Crowd {
    /// Opens so many connections to a server.
    pub(crate) fn open(address: SocketAddr, count: usize, script: &Script) -> io::Result<Self> {
        let script = Arc::new(script.clone());
        let mut crowd = Self::default();
        for _ in 0..count {
            crowd.connections.push(Connection::new(connect(address, &script)?, script.clone(), None)?);
            if crowd.connections.len() % BATCH == 0 {
                crowd.step(); // the first must not seem to be silent
            }
        }
        Ok(crowd)
    }

    /// Moves what can be moved; says whether anything was.
    pub(crate) fn step(&mut self) -> bool {
        let now = Instant::now();
        let moved = self.connections.iter_mut().map(|connection| connection.step(now));
        moved.fold(false, |any, moved| any | moved)
    }

    /// Returns the connections.
    pub(crate) fn connections(&self) -> &[Connection] {
        &self.connections
    }
}

/// Connections that are opened before those that are open go on.
const BATCH: usize = 50;

/// Who never reads also has little room for what is not read.
fn connect(address: SocketAddr, script: &Script) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if script.deaf {
        narrow(SockRef::from(&socket))?;
    }
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// Lets a peer that never reads have little room, and the program's system too, which goes by the size of packets.
fn narrow(socket: SockRef<'_>) -> io::Result<()> {
    #[cfg(unix)]
    socket.set_tcp_mss(536)?;
    socket.set_recv_buffer_size(4096)
}

/// A hostile server, which later lets through to a good one.
pub(crate) struct Front {
    listener: TcpListener,
    script: Arc<Script>,
    greet: Option<fn(&str) -> Greeting>,
    crowd: Crowd,
    good: Option<SocketAddr>,
    relayed: Arc<AtomicUsize>,
}

impl Front {
    /// Listens on any port.
    pub(crate) fn new(script: &Script, greet: Option<fn(&str) -> Greeting>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        if script.deaf {
            narrow(SockRef::from(&listener))?; // handed on to what is accepted
        }
        Ok(Self {
            listener,
            script: Arc::new(script.clone()),
            greet,
            crowd: Crowd::default(),
            good: None,
            relayed: Arc::default(),
        })
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts, and moves what can be moved; says whether anything was.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let accepted = match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => return Err(error),
        };
        let is_new = accepted.is_some();
        match (accepted, self.good) {
            (Some(stream), Some(good)) => self.relay(stream, good)?,
            (Some(stream), None) => {
                let connection = Connection::new(stream, self.script.clone(), self.greet)?;
                self.crowd.connections.push(connection);
            }
            (None, _) => {}
        }
        Ok(self.crowd.step() || is_new)
    }

    /// Returns the connections that were accepted.
    pub(crate) fn connections(&self) -> &[Connection] {
        self.crowd.connections()
    }

    /// Drops all connections, and lets further ones through to a good server.
    pub(crate) fn turn_good(&mut self, address: SocketAddr) {
        self.crowd = Crowd::default();
        self.good = Some(address);
    }

    /// Whether a good server has said something.
    pub(crate) fn is_relaying(&self) -> bool {
        self.relayed.load(Ordering::Relaxed) > 0
    }

    fn relay(&self, stream: TcpStream, good: SocketAddr) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let server = TcpStream::connect(good)?;
        let relayed = self.relayed.clone();
        copy(stream.try_clone()?, server.try_clone()?, Arc::default());
        copy(server, stream, relayed);
        Ok(())
    }
}

/// Copies until an end, and counts. The thread ends with the programs at its ends.
fn copy(mut from: TcpStream, mut to: TcpStream, copied: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        let mut counted = Counted(&mut to, copied);
        let _ = io::copy(&mut from, &mut counted); // an error: the other end has gone
        let _ = to.shutdown(Shutdown::Write);
    });
}

struct Counted<'a>(&'a mut TcpStream, Arc<AtomicUsize>);

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
