//! An agent's state in a file: written as a whole, on a thread of its own, in order.

use core_node_proto::StoreFailed;
use core_node_proto::agent::{Restored, Snapshot, StoreId};
use program::file;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// What became of a write.
pub type Stored = (StoreId, Result<(), StoreFailed>);

/// Writes states; the thread ends once this is dropped and all is written.
#[derive(Debug)]
pub struct Writer(mpsc::Sender<(StoreId, Snapshot)>);

impl Writer {
    /// Starts the thread; `tell` gets the end of every write. Without a path nothing is kept.
    #[must_use]
    pub fn start(path: Option<PathBuf>, tell: impl Fn(Stored) + Send + 'static) -> Self {
        let (sender, queue) = mpsc::channel();
        std::thread::spawn(move || {
            for (id, snapshot) in queue {
                tell((id, write(path.as_deref(), &snapshot)));
            }
        });
        Self(sender)
    }

    /// Writes a state.
    pub fn write(&self, id: StoreId, snapshot: Snapshot) {
        let _ = self.0.send((id, snapshot)); // an error: the thread has panicked, and the end is never told
    }
}

fn write(path: Option<&Path>, snapshot: &Snapshot) -> Result<(), StoreFailed> {
    let Some(path) = path else { return Ok(()) };
    file::write(path, &snapshot.to_json()).map_err(|error| {
        tracing::error!(%error, path = %path.display(), "the state was not saved");
        StoreFailed
    })
}

/// Returns what a file holds, for the start of an agent.
///
/// # Errors
/// The file is there but cannot be read, which is no reason to begin anew.
pub fn restore(path: &Path) -> io::Result<Restored> {
    Ok(Restored::from_json(file::read(path)?.as_deref()))
}
