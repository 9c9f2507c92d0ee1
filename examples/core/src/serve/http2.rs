//! gRPC to Core: tonic reads and writes the frames, the crate reads and writes the messages. No code is generated from the
//! schema here, so a schema of one's own needs no change.

use super::{Calls, Io};
use bytes::{Buf as _, BufMut as _, Bytes};
use core_node_proto::call::{GrpcCode, Incoming, Refusal};
use core_node_proto::{Method, grpc};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::{Code, Status};

/// What stands before a message, in bytes.
pub(super) const PREFIX: usize = 5;

/// How much a peer may send before it is read: on one stream, and on all of a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of an answer is held that nobody takes.
const SEND_BUFFER: usize = 64 << 10;

/// Serves one connection until the peer ends it, or has made no call for as long as a head may take.
pub(super) async fn serve(io: Box<dyn Io>, _: SocketAddr, calls: Calls) {
    let (limits, grpc) = (calls.limits.server, calls.limits.grpc);
    let under_way = Arc::new(watch::Sender::new(0_usize));
    let idle = idle(under_way.subscribe(), limits.head_timeout);
    let service = service_fn(move |request| {
        let (calls, guard) = (calls.clone(), UnderWay::begin(&under_way));
        async move {
            let response = answer(calls, request).await;
            drop(guard);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(limits.head_timeout);
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_concurrent_streams(grpc.max_grpc_streams).max_header_list_size(grpc.max_grpc_head);
    builder.max_send_buf_size(SEND_BUFFER);
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = idle => {
            connection.as_mut().graceful_shutdown();
            // Who does not take the rest of its answers is not waited for.
            timeout(limits.write_timeout, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until no call has been under way for so long.
async fn idle(mut under_way: watch::Receiver<usize>, limit: Duration) {
    loop {
        let calls = *under_way.borrow_and_update();
        let changed = under_way.changed();
        let changed = if calls == 0 { timeout(limit, changed).await } else { Ok(changed.await) };
        match changed {
            Err(_) => return,
            Ok(Ok(())) => {}
            Ok(Err(_)) => return std::future::pending().await, // the connection has ended
        }
    }
}

/// A call under way, until it is dropped.
struct UnderWay(Arc<watch::Sender<usize>>);

impl UnderWay {
    fn begin(calls: &Arc<watch::Sender<usize>>) -> Self {
        calls.send_modify(|calls| *calls += 1);
        Self(calls.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

/// Answers one request. The whole message is read before tonic looks at it, since a peer may announce more than there is room
/// for.
async fn answer(calls: Calls, request: Request<hyper::body::Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let is_grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC));
    if !is_grpc {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Some((message, _held)) = calls.messages.read(body).await else {
        return Status::deadline_exceeded("the message did not come in time").into_http();
    };
    let limit = calls.limits.grpc_message;
    if message.len() > limit.saturating_add(PREFIX) {
        return Status::resource_exhausted("the message is too large").into_http();
    }
    let was_read = Arc::new(AtomicBool::new(false));
    let unary = Unary { calls, path: head.uri.clone(), was_read: was_read.clone() };
    let mut grpc = Grpc::new(Raw).max_decoding_message_size(limit);
    let mut response = grpc.unary(unary, Request::from_parts(head, Full::new(message))).await;
    // tonic has a code of its own for a message above the limit.
    let too_large = HeaderValue::from(GrpcCode::ResourceExhausted.number());
    if !was_read.load(Ordering::Relaxed)
        && let Some(status) = response.headers_mut().get_mut("grpc-status")
        && status.as_bytes() == GrpcCode::OutOfRange.number().to_string().as_bytes()
    {
        *status = too_large;
    }
    response
}

/// What the type of a body begins with.
const GRPC: &[u8] = b"application/grpc";

/// One call, whichever it is.
struct Unary {
    calls: Calls,
    path: http::Uri,
    was_read: Arc<AtomicBool>,
}

type Answering = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

impl tower_service::Service<tonic::Request<Bytes>> for Unary {
    type Response = tonic::Response<Bytes>;
    type Error = Status;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        self.was_read.store(true, Ordering::Relaxed);
        let (metadata, _, message) = request.into_parts();
        let incoming = grpc::read_request(self.path.path(), metadata.as_ref(), message);
        let calls = self.calls.clone();
        Box::pin(async move { ask(&calls, incoming).await.map(tonic::Response::new) })
    }
}

async fn ask(calls: &Calls, incoming: Result<Incoming, Refusal>) -> Result<Bytes, Status> {
    let incoming = incoming.map_err(|refusal| refuse(&refusal))?;
    let method = incoming.method;
    let fault = calls.faults.of_method(name(method));
    if let Some((code, false)) = fault {
        return Err(injected(code));
    }
    let reply = calls.call(incoming).await;
    match (fault, reply) {
        (Some((code, _)), Ok(_)) => Err(injected(code)),
        (_, Ok(reply)) => Ok(grpc::reply(method, &reply)),
        (_, Err(refusal)) => Err(refuse(&refusal)),
    }
}

fn refuse(refusal: &Refusal) -> Status {
    let (code, text) = grpc::status(refusal);
    Status::new(Code::from_i32(code.number()), text)
}

fn injected(code: GrpcCode) -> Status {
    Status::new(Code::from_i32(code.number()), "injected")
}

/// Returns the name of a call as the service has it.
fn name(method: Method) -> &'static str {
    method.grpc_path().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

/// Most messages are small; a buffer grows for one that is not.
fn buffers() -> BufferSettings {
    BufferSettings::new(512, 32 * 1024)
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.reserve(message.len());
        frame.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(frame.copy_to_bytes(frame.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
