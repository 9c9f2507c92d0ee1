//! A client on threads, its runtime a thread that was written by hand. The frames of a WebSocket go through channels here.

use nodered_comms::Instant;
use nodered_comms::client::{Client, Config, Event, Output};
use nodered_comms::event::CommsEvent;
use nodered_comms::topic::TopicFilter;
use std::sync::mpsc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (write, frames) = mpsc::channel();
    let (socket, read) = mpsc::channel();
    let runtime = std::thread::spawn(move || publish(&frames, &socket));

    let mut client = Client::new(Config::new("ws://127.0.0.1:1880/comms".parse()?), Instant::now())?;
    client.subscribe(&TopicFilter::new("status/+")?, Instant::now())?;
    let (mut current, mut heard) = (None, Vec::new());
    while heard.len() < 2 {
        while let Some(output) = client.poll_output() {
            match output {
                // `GET auth/login`: nobody has to log in.
                Output::Request { id, .. } => {
                    client.handle_response(id, http::Response::new("{}".into()), Instant::now())
                }
                Output::Connect { connection, .. } => {
                    current = Some(connection);
                    client.handle_connected(connection, Instant::now());
                }
                Output::Transmit { text, .. } => write.send(text.to_string())?,
                Output::Event(Event::Message(message)) => {
                    if let CommsEvent::Status { node, .. } = message.event() {
                        heard.push(node.to_string());
                    }
                }
                Output::Disconnect { .. } | Output::Cancel(_) | Output::Event(_) => {}
            }
        }
        let wait = client
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match (current, read.recv_timeout(wait)) {
            (Some(connection), Ok(text)) => client.handle_text(connection, text, Instant::now()),
            _ => client.handle_timeout(Instant::now()),
        }
    }
    assert_eq!(heard, ["n1", "n2"]);
    runtime.join().expect("the runtime lives");
    println!("the client has subscribed and heard of two nodes");
    Ok(())
}

fn publish(frames: &mpsc::Receiver<String>, socket: &mpsc::Sender<&str>) {
    let first = frames.recv().expect("the client subscribes");
    assert_eq!(first, r#"{"subscribe":"status/+"}"#);
    let status = r#"[{"topic":"status/n1","data":{"text":"on"}},{"topic":"other","data":1},{"topic":"status/n2","data":{}}]"#;
    socket.send(status).expect("the client listens");
}
