//! The agent's own HTTP server: `GET /runtime-status` answers how the node is now, for a Core that asks the node itself.
//!
//! Anybody who reaches the port may ask: the protocol has no credential for Core at the node. There are figures only.

use crate::agent_driver::Handle;
use bytes::Bytes;
use core_node_proto::message::{HttpBody as _, RuntimeStatus};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use program::server::Limits;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The route.
pub const PATH: &str = "/runtime-status";

/// How long a peer may take for a request, and connections served at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_CONNECTIONS: usize = 256;

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, agent: Handle) {
    let (mut limits, mut connections) = (Limits::default(), JoinSet::new());
    limits.head_timeout = HEAD_TIMEOUT;
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((socket, _)) => {
                    let agent = agent.clone();
                    let service = service_fn(move |request| {
                        let agent = agent.clone();
                        async move { Ok::<_, Infallible>(answer(&request, &agent).await.map(Full::new)) }
                    });
                    let stream = TokioIo::new(limits.patient(socket));
                    let connection = limits.http1().serve_connection(stream, service);
                    connections.spawn(async move { connection.await.ok() });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await, // out of file descriptors, most likely
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(request: &Request<Incoming>, agent: &Handle) -> Response<Bytes> {
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "no such route\n");
    }
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let Some(stats) = agent.measure().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "nothing can be measured\n");
    };
    let Ok(status) = (RuntimeStatus { at: Some(stats.0), stats: stats.1 }).to_json() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "what was measured cannot be written\n");
    };
    let mut response = Response::new(Bytes::from(status));
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response
}
