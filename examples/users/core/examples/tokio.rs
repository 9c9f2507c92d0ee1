//! Core in a task, an agent in another: calls go to Core through a channel, as a gRPC server's handlers would pass them on.

use core_node_proto::agent::{self, Agent, Event, Restored, Sampling};
use core_node_proto::call::{Body, Credential, Incoming, Refusal, Reply};
use core_node_proto::core::{self, Audience, ConfigParts, Core, Entropy, Tables};
use core_node_proto::{Instant, Secret};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

type Answer = Result<Reply, Refusal>;

async fn serve(
    mut core: Core,
    mut tables: Tables,
    mut inbox: mpsc::Receiver<(Incoming, oneshot::Sender<Answer>)>,
) -> Tables {
    let mut waiting = HashMap::new();
    loop {
        while let Some(output) = core.poll_output() {
            match output {
                core::Output::Reply { id, outcome } => {
                    let reply: Option<oneshot::Sender<_>> = waiting.remove(&id);
                    reply.map(|reply| reply.send(outcome));
                }
                core::Output::Store { id, changes } => {
                    tables.apply(&changes); // a transaction
                    core.handle_stored(id, Ok(()), Instant::now());
                }
                _ => {}
            }
        }
        let deadline = core.poll_timeout().unwrap_or(Instant::now() + std::time::Duration::from_secs(3600));
        tokio::select! {
            call = inbox.recv() => {
                let Some((incoming, reply)) = call else { return tables };
                waiting.insert(core.handle_call(incoming, Instant::now()), reply);
            }
            () = sleep_until(deadline.into()) => core.handle_timeout(Instant::now()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tables, start) = (Tables::default(), "2030-01-02T03:04:05Z".parse()?);
    let mut core =
        Core::new(core::Config::new(Entropy::new([7; 32])), tables.stored(), start, Instant::now())?;
    core.add_code(&Secret::new("CODE-ONE"), None, Instant::now())?;
    let revision = core.publish(ConfigParts::default(), Audience::All, Instant::now())?;
    let (calls, inbox) = mpsc::channel(16);
    let task = tokio::spawn(serve(core, tables, inbox));

    let mut config = agent::Config::new("fra-1", "203.0.113.7".parse()?, 3100.try_into()?, "eu-central");
    config.code = Some(Secret::new("CODE-ONE"));
    let mut agent = Agent::new(config, Restored::Nothing, start, Instant::now())?;
    while !agent.is_closed() {
        while let Some(output) = agent.poll_output() {
            match output {
                agent::Output::Call { id, call, key, .. } => {
                    let credential = key.map_or(Credential::Absent, Credential::Key);
                    let (reply, answer) = oneshot::channel();
                    calls
                        .send((Incoming { method: call.method(), credential, body: Body::Call(call) }, reply))
                        .await?;
                    agent.handle_reply(
                        id,
                        answer.await?.map_err(|refusal| refusal.to_string())?,
                        Instant::now(),
                    );
                }
                agent::Output::Store { id, .. } => agent.handle_stored(id, Ok(()), Instant::now()),
                agent::Output::Apply { id, .. } => agent.handle_applied(id, Ok(()), Instant::now()),
                agent::Output::Sample(Sampling::Counters) => {
                    agent.handle_counters(Default::default(), Instant::now())
                }
                agent::Output::Event(Event::Confirmed { revision: confirmed }) => {
                    assert_eq!(confirmed, revision);
                    agent.close(Instant::now());
                }
                agent::Output::Sample(_) | agent::Output::Cancel(_) | agent::Output::Event(_) => {}
            }
        }
        if let Some(deadline) = agent.poll_timeout() {
            sleep_until(deadline.into()).await;
            agent.handle_timeout(Instant::now());
        }
    }
    drop(calls);
    let node = task.await?.nodes.into_values().next().ok_or("no node is stored")?;
    assert_eq!((&*node.name, node.sync_status.as_str()), ("fra-1", "synced"));
    println!("the node has registered, and runs what Core has published");
    Ok(())
}
