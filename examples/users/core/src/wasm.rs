//! Core in WebAssembly: a node registers by HTTP, and is heard of by gRPC. Its bytes are those of a real connection.
#![cfg(target_arch = "wasm32")]

use core_node_proto::call::{Call, KeyPlacement, Reply};
use core_node_proto::core::{Config, Core, Entropy, Output, Tables};
use core_node_proto::message::Heartbeat;
use core_node_proto::{Instant, Method, Secret, grpc, http as binding};
use std::error::Error;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
pub fn run() -> Result<String, String> {
    register().map_err(|error| error.to_string())
}

fn register() -> Result<String, Box<dyn Error>> {
    let now = Instant::now(); // the clock of JavaScript
    let (mut tables, start) = (Tables::default(), "2030-01-02T03:04:05Z".parse()?);
    let mut core = Core::new(Config::new(Entropy::new([7; 32])), tables.stored(), start, now)?;
    core.add_code(&Secret::new("CODE-ONE"), None, now)?;
    let mut answer = |core: &mut Core| {
        let mut last = None;
        while let Some(output) = core.poll_output() {
            match output {
                Output::Store { id, changes } => {
                    tables.apply(&changes);
                    core.handle_stored(id, Ok(()), now);
                }
                Output::Reply { outcome, .. } => last = Some(outcome),
                _ => {}
            }
        }
        last
    };
    answer(&mut core);

    let body = r#"{"code":"CODE-ONE","name":"fra-1","ip":"203.0.113.7","port":3100,"region":"eu-central"}"#;
    let mut keys = Vec::new();
    for status in [201, 401] {
        let request = http::Request::post("http://core.example/node/register").body(body.into())?;
        core.handle_call(binding::read_request(request)?, now);
        let outcome = answer(&mut core).ok_or("no answer")?;
        let response = binding::response(Method::Register, &outcome);
        if response.status() != status {
            return Err(format!("{} instead of {status}", response.status()).into());
        }
        keys.extend(outcome.ok());
    }
    let [Reply::Registered(registered)] = &*keys else { return Err("not one key".into()) };

    let heartbeat = Call::Heartbeat(Heartbeat::default());
    let sent =
        grpc::request(&heartbeat, Some(&registered.auth_key), KeyPlacement::Field).ok_or("no such call")?;
    core.handle_call(grpc::read_request(sent.path, &http::HeaderMap::new(), sent.message)?, now);
    let reply = answer(&mut core).ok_or("no answer")??;
    let Reply::Heartbeat(read) = grpc::read_reply(Method::Heartbeat, &grpc::reply(Method::Heartbeat, &reply))
        .map_err(|failure| format!("{failure:?}"))?
    else {
        return Err("another reply".into());
    };
    match core.nodes().next().map(|node| node.node_status.as_str()) {
        Some("online") if read.ok => {
            Ok("a node has registered by HTTP and is online by gRPC, its code of no use any more".to_owned())
        }
        status => Err(format!("{status:?}").into()),
    }
}
