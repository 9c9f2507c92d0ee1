//! A master in a task, requests as a web server's handlers would pass them on: an instance is made, and runs.

use bytes::Bytes;
use http::{Method, Request, Response};
use nodepass_api::Instant;
use nodepass_api::master::{Compat, Config, Entropy, Master, Output};
use nodepass_api::wire::{Instance, Status, decode};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

type Asked = (Request<Bytes>, oneshot::Sender<Response<Bytes>>);

async fn serve(mut master: Master, mut inbox: mpsc::Receiver<Asked>) {
    let mut waiting = HashMap::new();
    loop {
        while let Some(output) = master.poll_output() {
            let now = Instant::now();
            match output {
                Output::Respond { id, response } => {
                    let reply: Option<oneshot::Sender<_>> = waiting.remove(&id);
                    reply.map(|reply| reply.send(response));
                }
                // A process of the system, or a task that does its work.
                Output::Start { run, .. } => master.handle_started(run, Ok(()), now),
                Output::Stop { run, .. } => master.handle_exited(run, true, now),
                Output::Store { id, .. } => master.handle_stored(id, Ok(()), now),
                other => println!("{other:?}"),
            }
        }
        let deadline = master.poll_timeout().unwrap_or(Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            asked = inbox.recv() => {
                let Some((request, reply)) = asked else { return };
                waiting.insert(master.handle_request(request, Instant::now()), reply);
            }
            () = tokio::time::sleep_until(deadline.into()) => master.handle_timeout(Instant::now()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = Master::new(Config::new(Compat::V1_14, Entropy::new([7; 32])), None, Instant::now())?;
    let key = master.key().clone();
    let (requests, inbox) = mpsc::channel(16);
    let task = tokio::spawn(serve(master, inbox));
    let call = async |method: Method, path: &str, key: &str, body: &str| {
        let request =
            Request::builder().method(method).uri(format!("/api/v1/{path}")).header("x-api-key", key);
        let (reply, response) = oneshot::channel();
        let request = request.body(body.to_owned().into()).expect("it is a request");
        requests.send((request, reply)).await.expect("the master serves");
        response.await.expect("the master answers")
    };

    assert_eq!(call(Method::GET, "instances", "another", "").await.status(), 401);
    let url = r#"{"url":"client://127.0.0.1:8080/127.0.0.1:3000?mode=1"}"#;
    let made: Instance = decode(call(Method::POST, "instances", key.expose(), url).await.body())?;
    let path = format!("instances/{}", made.id);
    let running: Instance = decode(call(Method::GET, &path, key.expose(), "").await.body())?;
    assert_eq!((running.status, running.id == made.id), (Status::Running, true));
    assert_eq!(call(Method::DELETE, &path, key.expose(), "").await.status(), 204);
    drop(requests);
    task.await?;
    println!("the master has made, started and deleted an instance");
    Ok(())
}
