//! What the tests over loopback share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod pair;

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long anything may take: far more than it needs on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits for it, but not for ever.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it takes far too long")
}

/// Waits until it holds.
pub async fn eventually(holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LIMIT, "it never holds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Starts a server that sends back what it gets; returns its address.
pub async fn echo(listen: &str) -> SocketAddr {
    let listener = TcpListener::bind(listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await; // an error: it is gone
                let _ = writer.shutdown().await;
            });
        }
    });
    address
}

/// Sends it all, ends, and returns all that comes back.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    within(async {
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let write = async {
            writer.write_all(bytes).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut taken = Vec::new();
        let ((), read) = tokio::join!(write, reader.read_to_end(&mut taken));
        read.unwrap();
        taken
    })
    .await
}

/// An address where nobody listens, and nobody can while this is held.
pub struct Closed {
    pub address: SocketAddr,
    _socket: TcpSocket,
}

/// Returns an address where nobody listens.
pub fn closed() -> Closed {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Closed { address: socket.local_addr().unwrap(), _socket: socket }
}

/// Returns an address where somebody could listen.
pub async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Returns a PEM file.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        text.push_str(str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
