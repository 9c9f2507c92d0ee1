//! Drives a [`Node`] over real HTTP: one task owns the machine, exchanges run beside it.

use crate::client::Client;
use crate::{installer, probe};
use bytes::Bytes;
use http::Response;
use ithiltir_proto::node::{Event, Node, Output, RequestId, Update, UpdateError};
use ithiltir_proto::update::Restart;
use ithiltir_proto::wire::{NodeReport, Static};
use ithiltir_proto::{Failure, ProbeOutcome};
use program::sleep_until;
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use web_time::Instant;

/// What a host hands over for a round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The runtime metrics.
    pub report: NodeReport,
    /// The static information.
    pub statics: Static,
}

enum Outcome {
    Exchange(Result<Response<Bytes>, Failure>),
    Probe(ProbeOutcome),
    Update(Result<Restart, UpdateError>),
}

/// Runs a node until the samples end, `news` says to stop, or an update is ready to restart, which it returns.
///
/// `news` gets every event and returns whether to go on.
pub async fn run(
    mut node: Node,
    client: Client,
    mut samples: mpsc::Receiver<Sample>,
    mut news: impl FnMut(&Node, &Event) -> bool,
) -> Option<Restart> {
    let mut work = Work::new(client);
    let mut restart = None;
    loop {
        let mut stop = restart.is_some();
        while let Some(output) = node.poll_output() {
            match output {
                Output::Request { id, request } => {
                    let client = work.client.clone();
                    let limit = node.config().max_response;
                    work.start(id, async move { Outcome::Exchange(client.exchange(request, limit).await) });
                }
                Output::Probe { id, probe } => {
                    let roots = work.client.roots();
                    work.start(id, async move { Outcome::Probe(probe::probe(&probe, roots).await) });
                }
                Output::Update { id, update } => work.install(id, *update),
                Output::Cancel(id) => work.cancel(id),
                Output::Event(event) => stop |= !news(&node, &event),
            }
        }
        if node.is_closed() {
            while work.tasks.join_next().await.is_some() {} // all are cancelled; an update still cleans up
            return restart;
        }
        if stop {
            node.close(Instant::now());
            continue;
        }
        tokio::select! {
            Some(done) = work.tasks.join_next() => if let Ok((id, outcome)) = done { // Err: aborted above
                work.aborts.remove(&id);
                let now = Instant::now();
                match outcome {
                    Outcome::Exchange(Ok(response)) => node.handle_response(id, response, now),
                    Outcome::Exchange(Err(failure)) => node.handle_failure(id, failure, now),
                    Outcome::Probe(outcome) => node.handle_probe(id, outcome, now),
                    Outcome::Update(Ok(how)) => {
                        restart = Some(how);
                        node.handle_update(id, Ok(()), now);
                    }
                    Outcome::Update(Err(error)) => node.handle_update(id, Err(error), now),
                }
            },
            sample = samples.recv() => match sample {
                Some(Sample { report, statics }) => {
                    node.record_static(&statics, Instant::now());
                    node.record(&report, Instant::now());
                }
                None => node.close(Instant::now()),
            },
            () = sleep_until(node.poll_timeout()) => node.handle_timeout(Instant::now()),
        }
    }
}

/// The tasks that run beside the machine.
struct Work {
    client: Client,
    tasks: JoinSet<(RequestId, Outcome)>,
    aborts: HashMap<RequestId, AbortHandle>,
    /// The update under way; it is asked to stop and cleans up, where others are aborted.
    update: Option<(RequestId, oneshot::Sender<()>)>,
}

impl Work {
    fn new(client: Client) -> Self {
        Self { client, tasks: JoinSet::new(), aborts: HashMap::new(), update: None }
    }

    fn start(&mut self, id: RequestId, work: impl Future<Output = Outcome> + Send + 'static) {
        self.aborts.insert(id, self.tasks.spawn(async move { (id, work.await) }));
    }

    fn install(&mut self, id: RequestId, update: Update) {
        let client = self.client.clone();
        let (cancel, cancelled) = oneshot::channel();
        self.update = Some((id, cancel));
        let cancelled = async move {
            if cancelled.await.is_err() {
                std::future::pending().await // nobody can cancel any more
            }
        };
        self.tasks.spawn(async move {
            (id, Outcome::Update(installer::install(&client, update, cancelled).await))
        });
    }

    fn cancel(&mut self, id: RequestId) {
        if let Some(task) = self.aborts.remove(&id) {
            task.abort();
        } else if let Some((_, cancel)) = self.update.take_if(|(update, _)| *update == id) {
            let _ = cancel.send(()); // an error: it has ended
        }
    }
}
