//! The machine under an agent: what is measured there, and what a configuration is applied to. It runs on a thread of its
//! own, as both may block.

use crate::clock;
use core_node_proto::agent::{ApplyFailed, ApplyId, Counters, Sampling, Seen};
use core_node_proto::config::NodeConfig;
use core_node_proto::message::NodeStats;
use core_node_proto::value::Timestamp;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

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
    Measure(Box<dyn FnOnce(Option<Measured>) + Send>),
    Apply(ApplyId, Arc<NodeConfig>),
}

/// Statistics, and when they were taken.
pub type Measured = (Timestamp, NodeStats);

/// Who asks for statistics gets those that are not older than this: rates over a shorter time say little, and asking often
/// costs nothing.
const FRESH: Duration = Duration::from_millis(500);

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

/// Does the work; the thread ends once this and its clones are dropped.
#[derive(Clone, Debug)]
pub struct Worker(mpsc::Sender<Task>);

impl Worker {
    /// Starts the thread; `tell` gets what was done.
    #[must_use]
    pub fn start(node: impl Node, tell: impl Fn(Done) + Send + 'static) -> Self {
        let (sender, queue) = mpsc::channel();
        let mut hands = Hands { node, latest: None };
        std::thread::spawn(move || {
            for task in queue {
                for done in hands.carry_out(task) {
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

    /// Measures the machine, for `tell`.
    pub fn measure(&self, tell: impl FnOnce(Option<Measured>) + Send + 'static) {
        let _ = self.0.send(Task::Measure(Box::new(tell))); // as above
    }

    /// Applies a configuration.
    pub fn apply(&self, id: ApplyId, config: Arc<NodeConfig>) {
        let _ = self.0.send(Task::Apply(id, config)); // as above
    }
}

/// What the thread has.
struct Hands<N> {
    node: N,
    latest: Option<(Instant, Measured)>,
}

impl<N: Node> Hands<N> {
    fn carry_out(&mut self, task: Task) -> Vec<Done> {
        let node = &mut self.node;
        match task {
            Task::Sample(Sampling::Counters) => node.counters().into_iter().map(Done::Counters).collect(),
            Task::Sample(Sampling::Stats) => self.stats().map(Done::Stats).into_iter().collect(),
            Task::Sample(Sampling::Online) => node.online().map(Done::Online).into_iter().collect(),
            Task::Measure(tell) => {
                if self.latest.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH) {
                    self.stats();
                }
                tell(self.latest.as_ref().map(|(_, measured)| measured.clone()));
                Vec::new()
            }
            Task::Apply(id, config) => vec![Done::Applied(id, node.apply(&config))],
        }
    }

    fn stats(&mut self) -> Option<NodeStats> {
        let stats = self.node.stats();
        self.latest = stats.clone().map(|stats| (Instant::now(), (clock::now(), stats)));
        stats
    }
}
