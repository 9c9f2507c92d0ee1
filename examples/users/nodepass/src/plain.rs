//! A client on one thread, a master that was written by hand on another: an event of its stream changes the view.

use bytes::Bytes;
use http::Response;
use nodepass_api::client::{Client, Config, Output, RequestId};
use nodepass_api::wire::Status;
use nodepass_api::{Instant, Secret};
use std::sync::mpsc;
use std::time::Duration;

enum Input {
    Response(RequestId, Response<Bytes>),
    Stream(String),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (asked, requests) = mpsc::channel::<(RequestId, String)>();
    let (tell, inputs) = mpsc::channel();
    let events = tell.clone();
    std::thread::spawn(move || {
        for (id, path) in requests {
            let input = Input::Response(id, Response::new(answer(&path).into()));
            tell.send(input).expect("the client listens");
        }
    });

    let mut client =
        Client::new(Config::new("http://10.0.0.1:9090".parse()?, Secret::new("0123")), Instant::now())?;
    let mut current = None;
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Request { id, request } => asked.send((id, request.uri().path().to_owned()))?,
                Output::OpenStream { stream, request } => {
                    assert_eq!(request.headers()["x-api-key"], "0123");
                    client.handle_stream_opened(stream, &Response::new(()), Instant::now());
                    current = Some(stream);
                    events.send(Input::Stream(event("create", "stopped", 0)))?;
                    events.send(Input::Stream(event("update", "running", 4096)))?;
                }
                Output::Cancel(_) | Output::CloseStream { .. } | Output::Event(_) => {}
            }
        }
        if let Some(member) =
            client.fleet().get("a1b2c3d4").filter(|member| member.instance().status == Status::Running)
        {
            assert_eq!(member.instance().tcprx, 4096);
            println!("the client has seen an instance come up");
            return Ok(());
        }
        let wait = client
            .poll_timeout()
            .map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
        match inputs.recv_timeout(wait) {
            Ok(Input::Response(id, response)) => client.handle_response(id, response, Instant::now()),
            Ok(Input::Stream(event)) => {
                let stream = current.ok_or("no stream is open")?;
                client.handle_stream_bytes(stream, event.as_bytes(), Instant::now());
            }
            Err(_) => client.handle_timeout(Instant::now()),
        }
    }
}

fn answer(path: &str) -> &'static str {
    match path {
        "/api/v1/info" => r#"{"ver":"v1.14.0","uptime":7}"#,
        _ => "[]",
    }
}

/// What a master sends about an instance.
fn event(kind: &str, status: &str, received: u64) -> String {
    let traffic = format!(r#""tcprx":{received},"tcptx":0,"udprx":0,"udptx":0"#);
    let about =
        format!(r#""id":"a1b2c3d4","type":"client","status":"{status}","url":"client://:1/:2",{traffic}"#);
    let time = "2030-01-02T03:04:05Z";
    format!("event: instance\ndata: {{\"type\":\"{kind}\",\"time\":\"{time}\",\"instance\":{{{about}}}}}\n\n")
}
