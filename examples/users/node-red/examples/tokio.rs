//! A runtime in a task, an editor in another. The frames of a WebSocket go through channels here.

use nodered_comms::Instant;
use nodered_comms::runtime::{Access, Config, Event, Output, Runtime};
use nodered_comms::wire::Json;
use std::time::Duration;
use tokio::sync::mpsc;

/// Serves one connection until its editor has gone.
async fn serve(mut runtime: Runtime, mut frames: mpsc::Receiver<String>, socket: mpsc::Sender<String>) {
    let editor = runtime.accept(Instant::now());
    loop {
        while let Some(output) = runtime.poll_output() {
            match output {
                Output::Transmit { text, .. } => {
                    let text = String::from_utf8(text.to_vec()).expect("frames are text");
                    let _ = socket.send(text).await; // an error: the editor has gone
                }
                Output::LookUp { id, .. } => runtime.handle_user(id, None, Instant::now()),
                Output::Event(Event::ConnectionEnded { .. }) => return,
                Output::Disconnect { .. } | Output::Event(_) => {}
            }
        }
        let deadline = runtime.poll_timeout().unwrap_or(Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(text) => runtime.handle_text(editor, &text, Instant::now()),
                None => runtime.handle_disconnect(editor, Instant::now()),
            },
            () = tokio::time::sleep_until(deadline.into()) => runtime.handle_timeout(Instant::now()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::new(Access::Open, 1_893_553_445_000.0);
    config.heartbeat_interval = Some(Duration::from_millis(200));
    let mut runtime = Runtime::new(config, Instant::now())?;
    runtime.status("n1", Json::parse(r#"{"text":"on"}"#)?.as_ref(), Instant::now())?;
    let (write, frames) = mpsc::channel(16);
    let (socket, mut read) = mpsc::channel(16);
    let task = tokio::spawn(serve(runtime, frames, socket));

    write.send(r#"{"subscribe":"status/#"}"#.to_owned()).await?;
    let retained = read.recv().await.ok_or("no answer")?;
    assert_eq!(retained, r#"[{"topic":"status/n1","data":{"text":"on"}}]"#);
    let heartbeat = read.recv().await.ok_or("no heartbeat")?;
    assert!(heartbeat.starts_with(r#"[{"topic":"hb","data":"#), "{heartbeat}");
    drop(write);
    task.await?;
    println!("the runtime has sent what was retained, and a heartbeat");
    Ok(())
}
