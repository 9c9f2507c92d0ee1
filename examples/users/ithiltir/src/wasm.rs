//! A node in WebAssembly, its Dash played by hand: the second round is accepted.
#![cfg(target_arch = "wasm32")]

use http::{Response, StatusCode};
use ithiltir_proto::node::{Config, Event, Node, Output};
use ithiltir_proto::wire::{NodeReport, Snapshot};
use ithiltir_proto::{Instant, Secret, Target};
use std::error::Error;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn run() -> Result<String, String> {
    report().map_err(|error| error.to_string())
}

fn report() -> Result<String, Box<dyn Error>> {
    let mut now = Instant::now(); // the clock of JavaScript
    let target = Target::new("https://dash.example/api/node/metrics", &Secret::new("key"))?;
    let mut node = Node::new(Config::new("0.2.3", vec![target]), now)?;
    let metrics = Snapshot::default();
    let timestamp = "2030-01-02T03:04:05Z".parse()?;
    let report = NodeReport { version: "0.2.3".into(), hostname: "web-1".into(), timestamp, metrics };
    node.record(&report, now);

    let (mut asked, mut outcomes) = (0, Vec::new());
    while outcomes.len() < 2 {
        while let Some(output) = node.poll_output() {
            match output {
                Output::Request { id, request } if request.uri().path() == "/api/node/metrics" => {
                    asked += 1;
                    let mut response = Response::new(r#"{"ok":true}"#.into());
                    if asked == 1 {
                        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    }
                    node.handle_response(id, response, now);
                }
                Output::Event(Event::Report { outcome, .. }) => outcomes.push(outcome.is_ok()),
                _ => {}
            }
        }
        now = node.poll_timeout().ok_or("a running node has a next tick")?.max(now);
        node.handle_timeout(now);
    }
    if outcomes != [false, true] {
        return Err(format!("{outcomes:?}").into());
    }
    Ok("the node's second report was accepted, the first refused".to_owned())
}
