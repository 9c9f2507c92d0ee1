//! One gRPC call over HTTP/2. The crate writes and reads the messages and their frames; here are the head, the trailers and
//! the status.

use super::{Links, failure};
use bytes::{Bytes, BytesMut};
use core_node_proto::call::{Call, Delivery, Failure, FailureKind, GrpcCode, Reply};
use core_node_proto::{Secret, grpc};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use program::client::NoAnswer;
use std::time::Instant;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

impl Links {
    pub(super) async fn over_grpc(&self, call: &Call, key: Option<&Secret>) -> Result<Reply, Failure> {
        let request = self.request(call, key).ok_or_else(|| {
            tracing::error!(method = ?call.method(), "a call that gRPC does not have");
            Failure::new(Delivery::No, FailureKind::Other)
        })?;
        let since = Instant::now();
        let (head, body) = self.grpc.open(request).await.map_err(failure)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Failure::answered(FailureKind::Grpc(code_of_http(head.status))));
        }
        // A call that fails at once has its status in the head.
        if let Some(code) = status(&head.headers) {
            check(code)?;
        }
        let (body, trailers) = read(body, self.receive_limit).await?;
        if status(&head.headers).is_none() {
            check(status(&trailers).unwrap_or(GrpcCode::Unknown))?;
        }
        self.grpc.traffic().answered(since);
        let message = grpc::unframe(body, self.receive_limit).map_err(|error| {
            tracing::debug!(%error, "the frame of a reply cannot be read");
            Failure::answered(FailureKind::Grpc(GrpcCode::Internal))
        })?;
        grpc::read_reply(call.method(), &message)
    }

    fn request(&self, call: &Call, key: Option<&Secret>) -> Option<Request<Bytes>> {
        let request = grpc::request(call, key, self.key_placement)?;
        let mut builder = Request::post(format!("{}{}", self.target, request.path))
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers");
        if let Some(key) = request.metadata {
            builder = builder.header(grpc::KEY_HEADER, key);
        }
        builder.body(grpc::frame(&request.message)).ok()
    }
}

/// Reads a body to its end, with its trailers.
async fn read(mut body: Incoming, limit: usize) -> Result<(Bytes, HeaderMap), Failure> {
    let mut taken = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let lost = |error| {
            let problem = program::client::classify(&error);
            failure(NoAnswer { is_written: true, problem })
        };
        match frame.map_err(lost)?.into_data() {
            Ok(data) => taken.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
        // The prefix tells before the message is there.
        let announced =
            taken.get(1..PREFIX).and_then(|length| length.try_into().ok()).map_or(0, u32::from_be_bytes);
        if taken.len() > limit.saturating_add(PREFIX) || announced as usize > limit {
            return Err(Failure::answered(FailureKind::TooLarge));
        }
    }
    Ok((taken.freeze(), trailers))
}

fn check(code: GrpcCode) -> Result<(), Failure> {
    if code == GrpcCode::Ok { Ok(()) } else { Err(Failure::answered(FailureKind::Grpc(code))) }
}

fn status(headers: &HeaderMap) -> Option<GrpcCode> {
    let text = headers.get("grpc-status")?.to_str().ok();
    Some(GrpcCode::from_number(text.and_then(|text| text.parse().ok()).unwrap_or(-1)))
}

/// What something between the agent and Core means that speaks HTTP only, as gRPC reads it.
fn code_of_http(status: StatusCode) -> GrpcCode {
    match status.as_u16() {
        400 => GrpcCode::Internal,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        404 => GrpcCode::Unimplemented,
        429 | 502 | 503 | 504 => GrpcCode::Unavailable,
        _ => GrpcCode::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_of_grpc() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), text.parse().unwrap())])
        };
        assert_eq!(status(&headers("0")), Some(GrpcCode::Ok));
        assert_eq!(status(&headers("14")), Some(GrpcCode::Unavailable));
        assert_eq!(status(&headers("99")), Some(GrpcCode::Unknown));
        assert_eq!(status(&headers("x")), Some(GrpcCode::Unknown));
        assert_eq!(status(&HeaderMap::new()), None);
    }
}
