//! The machine under an agent: what is measured there, and what a configuration is applied to. It runs on a thread of its
//! own, as both may block.

use core_node_proto::agent::{ApplyFailed, ApplyId, Counters, Sampling, Seen};
use core_node_proto::config::NodeConfig;
use core_node_proto::message::NodeStats;
use std::sync::{Arc, mpsc};

/// What an agent asks of its machine.
pub trait Node: Send + 'static {
    /// Reads the counters of the proxies: those of processes that are gone first. Nothing if there is nothing to read yet.
    fn counters(&mut self) -> Vec<Counters>;
    /// Measures the machine.
    fn stats(&mut self) -> Option<NodeStats>;
    /// Lists who is connected.
    fn online(&mut self) -> Option<Vec<Seen>>;
    /// Gives the proxies a configuration. Where it fails they go on with the one before.
    ///
    /// # Errors
    /// Why it cannot be applied.
    fn apply(&mut self, config: &NodeConfig) -> Result<(), ApplyFailed>;
}

/// What is to be done.
enum Task {
    Sample(Sampling),
    Apply(ApplyId, Arc<NodeConfig>),
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// The counters are these.
    Counters(Counters),
    /// The machine is like this.
    Stats(NodeStats),
    /// These are connected.
    Online(Vec<Seen>),
    /// A configuration was applied, or not.
    Applied(ApplyId, Result<(), ApplyFailed>),
}

/// Does the work; the thread ends once this is dropped.
#[derive(Debug)]
pub struct Worker(mpsc::Sender<Task>);

impl Worker {
    /// Starts the thread; `tell` gets what was done.
    #[must_use]
    pub fn start(mut node: impl Node, tell: impl Fn(Done) + Send + 'static) -> Self {
        let (sender, queue) = mpsc::channel();
        std::thread::spawn(move || {
            for task in queue {
                for done in carry_out(&mut node, task) {
                    tell(done);
                }
            }
        });
        Self(sender)
    }

    /// Takes a sample.
    pub fn sample(&self, sampling: Sampling) {
        let _ = self.0.send(Task::Sample(sampling)); // an error: the thread has panicked
    }

    /// Applies a configuration.
    pub fn apply(&self, id: ApplyId, config: Arc<NodeConfig>) {
        let _ = self.0.send(Task::Apply(id, config)); // as above
    }
}

fn carry_out(node: &mut impl Node, task: Task) -> Vec<Done> {
    match task {
        Task::Sample(Sampling::Counters) => node.counters().into_iter().map(Done::Counters).collect(),
        Task::Sample(Sampling::Stats) => node.stats().map(Done::Stats).into_iter().collect(),
        Task::Sample(Sampling::Online) => node.online().map(Done::Online).into_iter().collect(),
        Task::Apply(id, config) => vec![Done::Applied(id, node.apply(&config))],
    }
}
