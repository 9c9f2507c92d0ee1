//! One connection to or from a program, without blocking.

use crate::http2;
use crate::script::{End, PACE, Rest, Script};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a hostile server does about the head of a request.
pub(crate) enum Greeting {
    /// It answers as a good one does, and waits for the next.
    Answer(Vec<u8>),
    /// It says this, and begins with its script.
    Begin(Vec<u8>),
}

/// A connection that a script is said over.
pub(crate) struct Connection {
    /// `None` once it is over.
    stream: Option<TcpStream>,
    script: Arc<Script>,
    greet: Option<fn(&str) -> Greeting>,
    outbound: Vec<u8>,
    written: usize,
    repeated: u64,
    next: Instant,
    heard: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Speaking,
    Said,
}

/// How much of what a program says is looked at.
const HEARD: usize = 64 * 1024;

impl Connection {
    /// Says a script at once, or after the head of a request that `greet` wants to see.
    pub(crate) fn new(
        stream: TcpStream,
        script: Arc<Script>,
        greet: Option<fn(&str) -> Greeting>,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream: Some(stream),
            script,
            greet,
            outbound: Vec::new(),
            written: 0,
            repeated: 0,
            next: Instant::now(),
            heard: Vec::new(),
            state: State::Greeting,
        };
        if greet.is_none() {
            connection.begin();
        }
        Ok(connection)
    }

    /// Whether the program has ended it, or we have reset it.
    pub(crate) fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// Whether there is nothing more to say.
    pub(crate) fn is_said(&self) -> bool {
        self.state == State::Said || self.is_over()
    }

    /// Returns the beginning of what the program has said.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Moves what can be moved now; says whether anything was.
    pub(crate) fn step(&mut self, now: Instant) -> bool {
        let Some(mut stream) = self.stream.take() else { return false };
        // An error is the end: dropped, the stream is reset.
        let Ok(moved) = self.listen(&mut stream).and_then(|heard| Ok(self.speak(&mut stream, now)? || heard))
        else {
            reset_when_dropped(&stream);
            return true;
        };
        self.stream = Some(stream);
        moved
    }

    fn listen(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        if self.script.deaf && self.state != State::Greeting {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        let Some(count) = ready(stream.read(&mut buffer))? else { return Ok(false) };
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let room = HEARD - self.heard.len();
        self.heard.extend_from_slice(&buffer[..count.min(room)]);
        if self.state == State::Greeting {
            self.greet();
        }
        Ok(true)
    }

    fn greet(&mut self) {
        let Some(greet) = self.greet else { return };
        let Some(end) = head_end(&self.heard) else { return };
        let head: Vec<u8> = self.heard.drain(..end).collect();
        match greet(&String::from_utf8_lossy(&head)) {
            Greeting::Answer(answer) => self.outbound.extend(answer),
            Greeting::Begin(answer) => {
                self.outbound.extend(answer);
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        self.outbound.extend_from_slice(&self.script.opening);
        self.state = State::Speaking;
    }

    fn speak(&mut self, stream: &mut TcpStream, now: Instant) -> io::Result<bool> {
        if self.written == self.outbound.len() && self.state == State::Speaking {
            self.go_on(stream, now)?;
        }
        let left = &self.outbound[self.written..];
        if left.is_empty() {
            return Ok(false);
        }
        let Some(count) = ready(stream.write(left))? else { return Ok(false) };
        self.written += count;
        Ok(true)
    }

    /// All before is written.
    fn go_on(&mut self, stream: &TcpStream, now: Instant) -> io::Result<()> {
        let script = self.script.clone();
        match &script.rest {
            Rest::Slowly(unit) => {
                if now >= self.next {
                    self.say(&[unit[self.repeated as usize % unit.len()]]);
                    self.next = now + PACE;
                }
                Ok(())
            }
            Rest::Endlessly(unit, most) if self.repeated < *most => {
                self.say(unit);
                Ok(())
            }
            Rest::Nothing | Rest::Endlessly(..) => self.finish(stream, script.end),
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.outbound.clear();
        self.outbound.extend_from_slice(bytes);
        (self.written, self.repeated) = (0, self.repeated + bytes.len() as u64);
    }

    fn finish(&mut self, stream: &TcpStream, end: End) -> io::Result<()> {
        self.state = State::Said;
        match end {
            End::Stay => Ok(()),
            End::HalfClose => stream.shutdown(Shutdown::Write),
            End::Reset => Err(ErrorKind::ConnectionReset.into()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stream.iter().for_each(reset_when_dropped);
    }
}

/// Returns where the head of a request ends; that of a call over HTTP/2 ends with its preface and all that stands before it.
fn head_end(heard: &[u8]) -> Option<usize> {
    if heard.starts_with(http2::PREFACE) {
        return http2::end_of_first_head(heard);
    }
    if http2::PREFACE.starts_with(heard) {
        return None;
    }
    heard.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Else thousands of ports would wait for a minute.
fn reset_when_dropped(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO)); // an error: it is reset already
}

fn ready(outcome: io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
