//! A Dash in a task, nodes' reports as a web server's handlers would pass them on.

use bytes::Bytes;
use http::{Request, Response};
use ithiltir_proto::dash::{Config, Dash, Event, Identity, Output};
use ithiltir_proto::wire::{self, NodeReport, Raid, Snapshot, System};
use ithiltir_proto::{Instant, SECRET_HEADER, Secret};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use tokio::sync::{mpsc, oneshot};

type Asked = (Request<Bytes>, oneshot::Sender<Response<Bytes>>);

async fn serve(mut dash: Dash, mut inbox: mpsc::Receiver<Asked>, hostnames: mpsc::Sender<String>) {
    let mut waiting = HashMap::new();
    loop {
        while let Some(output) = dash.poll_output() {
            match output {
                Output::Respond { id, response } => {
                    let reply: Option<oneshot::Sender<_>> = waiting.remove(&id);
                    reply.map(|reply| reply.send(response));
                }
                Output::Event(Event::Report { report, .. }) => {
                    hostnames.send(report.hostname.to_string()).await.expect("somebody listens")
                }
                Output::Event(_) => {}
            }
        }
        let deadline = dash.poll_timeout().unwrap_or(Instant::now() + std::time::Duration::from_secs(3600));
        tokio::select! {
            asked = inbox.recv() => {
                let Some((request, reply)) = asked else { return };
                let id = dash.handle_request(request, Ipv4Addr::LOCALHOST.into(), Instant::now());
                waiting.insert(id, reply);
            }
            () = tokio::time::sleep_until(deadline.into()) => dash.handle_timeout(Instant::now()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::new(Identity::Absent { entropy: [7; 16] });
    let mut dash = Dash::new(config, "2030-01-02T03:04:05Z".parse()?, Instant::now())?;
    dash.add_node("web-1", Secret::new("key"), Instant::now())?;
    let (requests, inbox) = mpsc::channel(16);
    let (tell, mut hostnames) = mpsc::channel(16);
    let task = tokio::spawn(serve(dash, inbox, tell));

    let report = report()?;
    for (key, body, status) in [("other", &*report, 401), ("key", &report[1..], 400), ("key", &report, 200)] {
        let request = Request::post("http://dash.example/api/node/metrics")
            .header(SECRET_HEADER, key)
            .header("content-type", "application/json");
        let (reply, response) = oneshot::channel();
        requests.send((request.body(body.to_owned().into())?, reply)).await?;
        assert_eq!(response.await?.status().as_u16(), status);
    }
    assert_eq!(hostnames.recv().await.as_deref(), Some("web-1"));
    drop(requests);
    task.await?;
    println!("the Dash has refused another key and half a report, and has taken a whole one");
    Ok(())
}

/// A report about nothing: the lists have to be there, empty or not.
fn report() -> Result<String, Box<dyn std::error::Error>> {
    let mut metrics = Snapshot { system: System::with_uptime(3_600), ..Snapshot::default() };
    metrics.disk.physical = vec![].into();
    metrics.disk.logical = vec![].into();
    metrics.disk.filesystems = vec![].into();
    metrics.disk.base_io = vec![].into();
    metrics.network = vec![].into();
    metrics.raid = Raid { arrays: vec![].into(), ..Raid::default() };
    let timestamp = "2030-01-02T03:04:05Z".parse()?;
    let report = NodeReport { version: "0.2.3".into(), hostname: "web-1".into(), timestamp, metrics };
    Ok(String::from_utf8(wire::encode(&report))?)
}
