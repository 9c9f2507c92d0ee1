//! A client in WebAssembly, where a panel lives: it finds out where the API is and has the master dial an address.
#![cfg(target_arch = "wasm32")]

use http::{Response, StatusCode};
use nodepass_api::client::{Client, Config, Event, Output, Reply};
use nodepass_api::{Instant, Secret};
use std::error::Error;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn run() -> Result<String, String> {
    dial().map_err(|error| error.to_string())
}

fn dial() -> Result<String, Box<dyn Error>> {
    let mut now = Instant::now(); // the clock of JavaScript
    let mut client = Client::new(Config::new("http://10.0.0.1:9090".parse()?, Secret::new("0123")), now)?;
    let call = client.tcping("example.org:443", now)?;
    let mut asked = Vec::new();
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Request { id, request } => {
                    asked.push(request.uri().path().to_owned());
                    let mut response = Response::new("[]".into());
                    if asked.len() == 1 {
                        *response.status_mut() = StatusCode::NOT_FOUND; // it is elsewhere
                    } else if request.uri().path().ends_with("/info") {
                        *response.body_mut() = r#"{"ver":"v1.14.0","uptime":7}"#.into();
                    } else if request.uri().path().ends_with("/tcping") {
                        let result =
                            r#"{"target":"example.org:443","connected":true,"latency":12,"error":null}"#;
                        *response.body_mut() = result.into();
                    }
                    client.handle_response(id, response, now);
                }
                Output::OpenStream { stream, .. } => {
                    client.handle_stream_opened(stream, &Response::new(()), now)
                }
                Output::Event(Event::Answered { id, outcome }) if id == call => {
                    return match outcome {
                        Ok(Reply::Tcping(reply)) if reply.connected && reply.latency == 12 => {
                            Ok("the master has dialled an address for the client".to_owned())
                        }
                        other => Err(format!("{other:?} after {asked:?}").into()),
                    };
                }
                Output::Event(_) | Output::Cancel(_) | Output::CloseStream { .. } => {}
            }
        }
        now = client.poll_timeout().ok_or("a call that waits has a deadline")?.max(now);
        client.handle_timeout(now);
    }
}
