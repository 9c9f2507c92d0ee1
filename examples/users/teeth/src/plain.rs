//! An agent over `std::net`, its server a thread that was written by hand: a task is done and reported.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use teeth_proto::Instant;
use teeth_proto::agent::{Agent, Config, Event, Output};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || order(&listener));

    let mut agent = Agent::new(Config::new("00:16:3e:00:00:01", "1.0", 1), Instant::now())?;
    let mut link = None;
    let mut chunk = [0; 4096];
    while !agent.is_closed() {
        while let Some(output) = agent.poll_output() {
            match output {
                Output::Connect { connection, .. } => {
                    link = Some((connection, TcpStream::connect(address)?));
                    agent.handle_connected(connection, Instant::now());
                }
                Output::Transmit { bytes, .. } => link.as_mut().ok_or("no link")?.1.write_all(&bytes)?,
                Output::Disconnect { .. } | Output::Abort { .. } => link = None,
                Output::Event(Event::TaskBegun { task, .. }) => agent.complete(task, Instant::now())?,
                Output::Event(Event::TaskReported { .. }) => agent.close(Instant::now()),
                Output::Event(_) => {}
            }
        }
        let Some((connection, stream)) = &mut link else { continue };
        let deadline = agent.poll_timeout().ok_or("an open connection has a deadline")?;
        let wait = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match stream.read(&mut chunk) {
            Ok(0) => agent.handle_disconnect(*connection, Instant::now()),
            Ok(length) => agent.handle_bytes(*connection, &chunk[..length], Instant::now()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                agent.handle_timeout(Instant::now());
            }
            Err(_) => agent.handle_disconnect(*connection, Instant::now()),
        }
    }
    let report = server.join().expect("the server lives")?;
    assert!(report.contains(r#""task_id": "t""#) && report.contains("complete"), "{report}");
    println!("the agent has done a task over std::net");
    Ok(())
}

/// Answers everything, gives one task, and returns the report of it.
fn order(listener: &TcpListener) -> io::Result<String> {
    let (mut stream, _) = listener.accept()?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let id = line.rsplit(r#""id": ""#).next().and_then(|rest| rest.split('"').next()).unwrap_or_default();
        if line.contains("\"method\"") {
            writeln!(stream, r#"{{"version":"v1","id":"{id}","result":{{}}}}"#)?;
        }
        if line.contains("\"handshake\"") {
            let erase = r#"{"version":"v1","id":"7","method":"decom.disk_erase","params":{"task_id":"t"}}"#;
            writeln!(stream, "{erase}")?;
        }
        if line.contains("\"complete\"") {
            return Ok(line);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
