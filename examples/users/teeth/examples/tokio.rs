//! A server with one connection in a task, an agent that was written by hand at the other end of it.

use std::time::Duration;
use teeth_proto::Instant;
use teeth_proto::command::Command;
use teeth_proto::server::{Config, Event, Output, Reply, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Serves a connection, asks its agent for its status and returns what it said.
async fn serve(mut server: Server, mut stream: TcpStream) -> Result<String, Box<dyn std::error::Error>> {
    let agent = server.accept(Instant::now());
    let mut chunk = [0; 4096];
    loop {
        while let Some(output) = server.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => stream.write_all(&bytes).await?,
                Output::Disconnect { .. } | Output::Abort { .. } => return Err("the agent has gone".into()),
                Output::Event(Event::Handshake { handshake, .. }) => {
                    assert_eq!(handshake.version, "by hand");
                    server.send(agent, &Command::Status, Instant::now())?;
                }
                Output::Event(Event::Replied { reply: Reply::Status(status), .. }) => {
                    return Ok(status.version.unwrap_or_default());
                }
                Output::Event(_) => {}
            }
        }
        let deadline = server.poll_timeout().unwrap_or(Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            read = stream.read(&mut chunk) => match read? {
                0 => server.handle_disconnect(agent, Instant::now()),
                length => server.handle_bytes(agent, &chunk[..length], Instant::now()),
            },
            () = tokio::time::sleep_until(deadline.into()) => server.handle_timeout(Instant::now()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut agent = BufReader::new(TcpStream::connect(listener.local_addr()?).await?);
    let server = Server::new(Config::new(1), Instant::now())?;
    let serving = serve(server, listener.accept().await?.0);
    let talking = async {
        let handshake =
            r#"{"version":"v1","id":"1","method":"handshake","params":{"id":"a","version":"by hand"}}"#;
        agent.write_all(format!("{handshake}\n").as_bytes()).await.expect("the server reads");
        let (mut result, mut command) = (String::new(), String::new());
        agent.read_line(&mut result).await.expect("the server answers");
        assert!(result.contains(r#""id": "1", "result""#), "{result}");
        agent.read_line(&mut command).await.expect("the server asks");
        let id = command.split(r#""id": ""#).nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
        let status = r#"{"uptime":1.5,"version":"7","mode":"STANDBY"}"#;
        let answer = format!("{{\"version\":\"v1\",\"id\":\"{id}\",\"result\":{status}}}\n");
        agent.write_all(answer.as_bytes()).await.expect("the server reads");
    };
    let (version, ()) = tokio::join!(serving, talking);
    assert_eq!(version?, "7");
    println!("the server has asked an agent over TCP for its status");
    Ok(())
}
