//! A client in WebAssembly, where an editor lives: it logs in with a token, and hears of a node again after the connection
//! was lost.
#![cfg(target_arch = "wasm32")]

use http::Response;
use nodered_comms::client::{Client, Config, Credentials, Event, Output};
use nodered_comms::event::CommsEvent;
use nodered_comms::topic::TopicFilter;
use nodered_comms::{Instant, Secret};
use std::error::Error;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn run() -> Result<String, String> {
    listen().map_err(|error| error.to_string())
}

fn listen() -> Result<String, Box<dyn Error>> {
    let mut now = Instant::now(); // the clock of JavaScript
    let mut config = Config::new("ws://127.0.0.1:1880/comms".parse()?);
    config.credentials = Credentials::Token(Secret::new("token"));
    let mut client = Client::new(config, now)?;
    client.subscribe(&TopicFilter::new("status/#")?, now)?;
    let (mut sent, mut heard) = (Vec::new(), 0);
    while heard < 2 {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Request { id, .. } => {
                    let login = r#"{"type":"credentials","prompts":[]}"#;
                    client.handle_response(id, Response::new(login.into()), now);
                }
                Output::Connect { connection, .. } => client.handle_connected(connection, now),
                Output::Transmit { connection, text } => {
                    sent.push(text.to_string());
                    match text.contains("auth") {
                        true => client.handle_text(connection, r#"{"auth":"ok"}"#, now),
                        false => {
                            let status = r#"[{"topic":"status/n1","data":{"text":"on"}}]"#;
                            client.handle_text(connection, status, now);
                            client.handle_disconnect(connection, now);
                        }
                    }
                }
                Output::Event(Event::Message(message)) => {
                    heard += usize::from(
                        matches!(message.event(), CommsEvent::Status { node, .. } if node == "n1"),
                    );
                }
                Output::Disconnect { .. } | Output::Cancel(_) | Output::Event(_) => {}
            }
        }
        now = client.poll_timeout().map_or(now, |due| due.max(now));
        client.handle_timeout(now);
    }
    match &*sent {
        [auth, subscribe, again, _] if auth == again && subscribe == r#"{"subscribe":"status/#"}"# => {
            Ok("the client has logged in twice, and heard of a node each time".to_owned())
        }
        _ => Err(format!("{sent:?}").into()),
    }
}
