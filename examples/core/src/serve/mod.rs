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
use clap::Args;
use core_node_proto::call::{Incoming, Refusal, Reply};
use faults::Faults;
use http::{HeaderValue, Response, StatusCode};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use program::body::Bodies;
use program::server;
use program::tls::{Identity, TlsError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// What strangers are allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A body over HTTP, in bytes. Above it: 413.
    pub http_body: usize,
    /// A message over gRPC, in bytes. Above it: `RESOURCE_EXHAUSTED`.
    pub grpc_message: usize,
    /// Of the listener for HTTP. The one for gRPC has the same durations, and as much room for messages.
    pub server: server::Limits,
    /// Of the listener for gRPC alone.
    pub grpc: GrpcLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http_body: 100 * 1024,
            grpc_message: 4 * 1024 * 1024,
            server: server::Limits::default(),
            grpc: GrpcLimits::default(),
        }
    }
}

/// Limits of a listener for gRPC.
#[derive(Args, Clone, Copy, Debug)]
pub struct GrpcLimits {
    /// How many connections that speak gRPC are served at once; further ones wait to be accepted.
    #[arg(long, value_name = "N", default_value_t = MAX_GRPC_CONNECTIONS)]
    pub max_grpc_connections: usize,
    /// How many calls may be under way at once on one of them.
    #[arg(long, value_name = "N", default_value_t = MAX_GRPC_STREAMS)]
    pub max_grpc_streams: u32,
    /// The longest head of a call, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_GRPC_HEAD)]
    pub max_grpc_head: u32,
}

const MAX_GRPC_CONNECTIONS: usize = 16_384;
const MAX_GRPC_STREAMS: u32 = 128;
const MAX_GRPC_HEAD: u32 = 16 << 10;

impl Default for GrpcLimits {
    fn default() -> Self {
        Self {
            max_grpc_connections: MAX_GRPC_CONNECTIONS,
            max_grpc_streams: MAX_GRPC_STREAMS,
            max_grpc_head: MAX_GRPC_HEAD,
        }
    }
}

/// The way from a connection to the machine; clones share it.
#[derive(Clone)]
pub struct Calls {
    handle: Handle,
    limits: Limits,
    bodies: Bodies,
    messages: Bodies,
    faults: Arc<Faults>,
    admin: Arc<Admin>,
}

impl Calls {
    /// Returns the way to a machine.
    #[must_use]
    pub fn new(handle: Handle, limits: Limits, admin: Admin) -> Self {
        Self {
            handle,
            bodies: Bodies::new(&limits.server, limits.http_body),
            messages: Bodies::new(&limits.server, limits.grpc_message.saturating_add(http2::PREFIX)),
            limits,
            faults: Arc::default(),
            admin: Arc::new(admin),
        }
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
    let most = calls.limits.server.max_http_connections;
    accept(&listener, most, tls, calls, http1::serve).await;
}

/// Serves gRPC until the future is dropped, which closes all connections at once.
pub async fn grpc(listener: TcpListener, tls: Option<TlsAcceptor>, calls: Calls) {
    let most = calls.limits.grpc.max_grpc_connections;
    accept(&listener, most, tls, calls, http2::serve).await;
}

/// Any stream of bytes that hyper takes.
trait Io: Read + Write + Unpin + Send {}
impl<T: Read + Write + Unpin + Send> Io for T {}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: &TcpListener,
    most: usize,
    tls: Option<TlsAcceptor>,
    calls: Calls,
    serve: impl Fn(Box<dyn Io>, SocketAddr, Calls) -> F + Copy + Send + 'static,
) {
    let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let (tls, calls) = (tls.clone(), calls.clone());
                connections.spawn(async move {
                    if let Some(io) = open(socket, tls, &calls.limits.server).await {
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

async fn open(socket: TcpStream, tls: Option<TlsAcceptor>, limits: &server::Limits) -> Option<Box<dyn Io>> {
    let _ = socket.set_nodelay(true);
    // Who connects and says nothing would hold its place for ever.
    timeout(limits.head_timeout, socket.peek(&mut [0])).await.ok()?.ok()?;
    let Some(tls) = tls else { return Some(Box::new(TokioIo::new(limits.patient(socket)))) };
    match timeout(limits.head_timeout, tls.accept(socket)).await {
        Ok(Ok(stream)) => Some(Box::new(TokioIo::new(limits.patient(stream)))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS");
            None
        }
        Err(_) => None,
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
