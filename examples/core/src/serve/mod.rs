//! Core's listeners: HTTP/1.1 and gRPC, each over TLS or not, and the way from a connection to the task that owns the machine.

mod admin;
pub mod control;
mod dump;
pub mod faults;
mod http1;
mod http2;

pub use admin::Admin;

use crate::core_driver::{Handle, Input};
use bytes::Bytes;
use core_node_proto::call::{Incoming, Refusal, Reply};
use faults::Faults;
use http::{HeaderValue, Response, StatusCode};
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use program::tls::{Identity, TlsError};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a peer may take for a TLS handshake, and for the head or the body of a request.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections served at once on one listener; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;
/// Calls under way at once on one connection.
const MAX_STREAMS: u32 = 1024;

/// What one message may measure, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A body over HTTP. Above it: 413.
    pub http_body: usize,
    /// A message over gRPC. Above it: `RESOURCE_EXHAUSTED`.
    pub grpc_message: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { http_body: 100 * 1024, grpc_message: 4 * 1024 * 1024 }
    }
}

/// The way from a connection to the machine; clones share it.
#[derive(Clone)]
pub struct Calls {
    handle: Handle,
    limits: Limits,
    faults: Arc<Faults>,
    admin: Arc<Admin>,
}

impl Calls {
    /// Returns the way to a machine.
    #[must_use]
    pub fn new(handle: Handle, limits: Limits, admin: Admin) -> Self {
        Self { handle, limits, faults: Arc::default(), admin: Arc::new(admin) }
    }

    /// Returns the calls that are to fail.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Asks the machine.
    async fn call(&self, incoming: Incoming) -> Result<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        if !self.handle.send(Input::Call(incoming, answer)).await {
            return Err(Refusal::Unavailable); // the machine has ended
        }
        answered.await.unwrap_or(Err(Refusal::Unavailable))
    }
}

/// Returns TLS for both listeners. What is spoken over it is known by the listener, and offered by ALPN.
///
/// # Errors
/// The certificate and the key do not fit together.
pub fn acceptors(identity: &dyn Fn() -> Result<Identity, TlsError>) -> Result<Acceptors, TlsError> {
    let server = |protocol: &[u8]| identity()?.server(rustls::DEFAULT_VERSIONS, &[protocol]);
    Ok(Acceptors { http: server(b"http/1.1")?.into(), grpc: server(b"h2")?.into() })
}

/// TLS of the two listeners.
#[derive(Clone)]
pub struct Acceptors {
    /// For HTTP.
    pub http: TlsAcceptor,
    /// For gRPC.
    pub grpc: TlsAcceptor,
}

/// Serves HTTP until the future is dropped, which closes all connections at once.
pub async fn http(listener: TcpListener, tls: Option<TlsAcceptor>, calls: Calls) {
    accept(&listener, tls, calls, http1::serve).await;
}

/// Serves gRPC until the future is dropped, which closes all connections at once.
pub async fn grpc(listener: TcpListener, tls: Option<TlsAcceptor>, calls: Calls) {
    accept(&listener, tls, calls, serve_grpc).await;
}

/// Any stream of bytes that hyper takes.
trait Io: Read + Write + Unpin + Send {}
impl<T: Read + Write + Unpin + Send> Io for T {}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: &TcpListener,
    tls: Option<TlsAcceptor>,
    calls: Calls,
    serve: impl Fn(Box<dyn Io>, SocketAddr, Calls) -> F + Copy + Send + 'static,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let (tls, calls) = (tls.clone(), calls.clone());
                connections.spawn(async move {
                    if let Some(io) = open(socket, tls).await {
                        serve(io, peer, calls).await;
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors, most likely
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn open(socket: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Io>> {
    let _ = socket.set_nodelay(true);
    let Some(tls) = tls else { return Some(Box::new(TokioIo::new(socket))) };
    match timeout(READ_TIMEOUT, tls.accept(socket)).await {
        Ok(Ok(stream)) => Some(Box::new(TokioIo::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS");
            None
        }
        Err(_) => None,
    }
}

async fn serve_grpc(io: Box<dyn Io>, _: SocketAddr, calls: Calls) {
    let service = service_fn(move |request| {
        let calls = calls.clone();
        async move { Ok::<_, Infallible>(http2::answer(calls, request).await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(IDLE_TIMEOUT).max_concurrent_streams(MAX_STREAMS);
    builder.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    if let Err(error) = builder.serve_connection(io, service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Returns a response of JSON.
fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}
