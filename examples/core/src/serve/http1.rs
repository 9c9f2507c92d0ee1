//! HTTP to Core: the routes of nodes, and one of administrators.

use super::{Calls, Io};
use bytes::Bytes;
use core_node_proto::call::Refusal;
use core_node_proto::http as binding;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::net::SocketAddr;

/// Serves one connection.
pub(super) async fn serve(io: Box<dyn Io>, peer: SocketAddr, calls: Calls) {
    let builder = calls.limits.server.http1();
    let service = service_fn(move |request| {
        let calls = calls.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, &calls).await.map(Full::new)) }
    });
    if let Err(error) = builder.serve_connection(io, service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, calls: &Calls) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let Some((body, _held)) = calls.bodies.read(body).await else {
        return closing(StatusCode::REQUEST_TIMEOUT);
    };
    if let Some(node) = calls.admin.route(&head) {
        return calls.admin.answer(node, &head, peer, &calls.handle).await;
    }
    if body.len() > calls.limits.http_body {
        // What is left of the body is not read, so the connection cannot be used again.
        return close(binding::refusal(&Refusal::TooLarge));
    }
    let fault = calls.faults.of_path(head.uri.path());
    if let Some((status, false)) = fault {
        return injected(status);
    }
    let incoming = match binding::read_request(Request::from_parts(head, body)) {
        Ok(incoming) => incoming,
        Err(refusal) => return binding::refusal(&refusal),
    };
    let method = incoming.method;
    let outcome = calls.call(incoming).await;
    match fault {
        Some((status, _)) if outcome.is_ok() => injected(status),
        _ => binding::response(method, &outcome),
    }
}

fn injected(status: StatusCode) -> Response<Bytes> {
    let body = format!(r#"{{"statusCode":{},"message":"injected"}}"#, status.as_u16());
    super::json(status, body.into())
}

fn closing(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    close(response)
}

fn close(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}
