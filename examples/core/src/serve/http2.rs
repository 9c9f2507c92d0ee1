//! gRPC to Core: tonic reads and writes the frames, the crate reads and writes the messages. No code is generated from the
//! schema here, so a schema of one's own needs no change.

use super::Calls;
use bytes::{Buf as _, BufMut as _, Bytes};
use core_node_proto::call::{GrpcCode, Incoming, Refusal};
use core_node_proto::{Method, grpc};
use http::{HeaderValue, Request, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::{Code, Status};

/// Answers one request.
pub(super) async fn answer(calls: Calls, request: Request<hyper::body::Incoming>) -> Response<Body> {
    let limit = calls.limits.grpc_message;
    let was_read = Arc::new(AtomicBool::new(false));
    let unary = Unary { calls, path: request.uri().clone(), was_read: was_read.clone() };
    let mut response = Grpc::new(Raw).max_decoding_message_size(limit).unary(unary, request).await;
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
