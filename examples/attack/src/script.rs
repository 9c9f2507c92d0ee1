//! What a hostile peer says over one connection.

use std::time::Duration;

/// What is said, whoever opened the connection.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) opening: Vec<u8>,
    pub(crate) rest: Rest,
    pub(crate) end: End,
    /// Whether what the program says is never read.
    pub(crate) deaf: bool,
}

/// What follows the opening.
#[derive(Clone, Debug)]
pub(crate) enum Rest {
    Nothing,
    /// This again and again, a byte at a time.
    Slowly(Vec<u8>),
    /// This again and again, as fast as it is taken, up to so many bytes.
    Endlessly(Vec<u8>, u64),
}

/// What is done when all is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stay,
    HalfClose,
    Reset,
}

/// Between two bytes of a slow peer. Fast enough that it never looks silent.
pub(crate) const PACE: Duration = Duration::from_millis(100);

impl Script {
    /// Says this and stays.
    pub(crate) fn say(opening: impl Into<Vec<u8>>) -> Self {
        Self { opening: opening.into(), rest: Rest::Nothing, end: End::Stay, deaf: false }
    }

    /// Then says this for ever, a byte at a time.
    pub(crate) fn slowly(mut self, unit: impl Into<Vec<u8>>) -> Self {
        self.rest = Rest::Slowly(unit.into());
        self
    }

    /// Then says this up to so many MiB.
    pub(crate) fn endlessly(mut self, unit: impl Into<Vec<u8>>, mebibytes: u64) -> Self {
        let unit = unit.into();
        let copies = CHUNK.div_ceil(unit.len()); // Small writes would be an attack on ourselves.
        self.rest = Rest::Endlessly(unit.repeat(copies), mebibytes << 20);
        self
    }

    /// Then sends nothing more, but listens.
    pub(crate) fn half_closed(mut self) -> Self {
        self.end = End::HalfClose;
        self
    }

    /// Then resets the connection.
    pub(crate) fn reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Never reads.
    pub(crate) fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }
}

const CHUNK: usize = 16 * 1024;
