//! Drives an [`Install`]: one exchange after the other.

use crate::client::Client;
use crate::probe;
use ithiltir_proto::install::{Choice, Event, Install, InstallError, Installed, Output};
use program::sleep_until;
use std::future::pending;
use std::pin::Pin;
use web_time::Instant;

/// Runs an installation to its end. `choose` is asked about a Dash that is known under another URL or key, with the
/// number of the known target; `None` gives up.
///
/// # Errors
/// Why nothing was installed.
pub async fn run(
    mut install: Install,
    client: &Client,
    response_limit: usize,
    mut choose: impl FnMut(i64) -> Option<Choice>,
    mut news: impl FnMut(&Event),
) -> Result<Installed, InstallError> {
    type Step<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;
    let mut step: Option<Step<'_>> = None;
    loop {
        while let Some(output) = install.poll_output() {
            match output {
                Output::Request { id, request } => {
                    let exchange = client.exchange(request, response_limit);
                    step = Some(Box::pin(async move { Answer::Exchange(id, exchange.await) }));
                }
                Output::Probe { id, probe } => {
                    let roots = client.roots();
                    step =
                        Some(Box::pin(async move { Answer::Probe(id, probe::probe(&probe, roots).await) }));
                }
                Output::Cancel(_) => step = None,
                Output::Event(event) => {
                    news(&event);
                    match event {
                        Event::Finished(outcome) => return outcome,
                        Event::Conflict { existing } => match choose(existing) {
                            Some(choice) => drop(install.choose(choice, Instant::now())),
                            None => install.close(Instant::now()),
                        },
                        _ => {}
                    }
                }
            }
        }
        let answer = async {
            match &mut step {
                Some(step) => step.await,
                None => pending().await,
            }
        };
        tokio::select! {
            answer = answer => {
                step = None;
                match answer {
                    Answer::Exchange(id, Ok(response)) => install.handle_response(id, response, Instant::now()),
                    Answer::Exchange(id, Err(failure)) => install.handle_failure(id, failure, Instant::now()),
                    Answer::Probe(id, outcome) => install.handle_probe(id, outcome, Instant::now()),
                }
            }
            () = sleep_until(install.poll_timeout()) => install.handle_timeout(Instant::now()),
        }
    }
}

enum Answer {
    Exchange(
        ithiltir_proto::install::RequestId,
        Result<http::Response<bytes::Bytes>, ithiltir_proto::Failure>,
    ),
    Probe(ithiltir_proto::install::RequestId, ithiltir_proto::ProbeOutcome),
}
