//! Drives a [`Dash`] over real HTTP: one task owns the machine, connections send it their requests.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ithiltir_proto::dash::{Dash, Event, ExchangeId, Output};
use ithiltir_proto::wire::Timestamp;
use program::body::Bodies;
use program::server::Limits;
use program::sleep_until;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use web_time::Instant;

type Answer = oneshot::Sender<Response<Bytes>>;
type Inbox = mpsc::Sender<(Request<Bytes>, IpAddr, Answer)>;

/// Serves a Dash until `end`. Dropping the future closes everything at once.
///
/// `news` gets every event and may give commands.
pub async fn run(
    mut dash: Dash,
    listener: TcpListener,
    limits: Limits,
    mut news: impl FnMut(&mut Dash, Event),
    end: impl Future<Output = ()>,
) {
    let (requests, mut inbox) = mpsc::channel(256);
    let mut connections = JoinSet::new();
    let mut waiting: HashMap<ExchangeId, Answer> = HashMap::new();
    let bodies = Bodies::new(&limits, dash.max_body());
    let mut end = std::pin::pin!(end);
    loop {
        while let Some(output) = dash.poll_output() {
            match output {
                Output::Respond { id, response } => {
                    if let Some(answer) = waiting.remove(&id) {
                        let _ = answer.send(response); // an error: the client has gone away
                    }
                }
                Output::Event(event) => news(&mut dash, event),
            }
        }
        tokio::select! {
            Some((request, client, answer)) = inbox.recv() => {
                // The system's clock may have been set since the last request.
                dash.set_wall_clock(Timestamp::from_system_time(SystemTime::now()), Instant::now());
                let id = dash.handle_request(request, client, Instant::now());
                waiting.insert(id, answer); // before the next drain, which may already answer
            }
            accepted = listener.accept(), if connections.len() < limits.max_http_connections => match accepted {
                Ok((socket, peer)) => {
                    connections.spawn(serve(socket, peer.ip(), limits, bodies.clone(), requests.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors, most likely
                }
            },
            Some(_) = connections.join_next() => {}
            () = sleep_until(dash.poll_timeout()) => dash.handle_timeout(Instant::now()),
            () = &mut end => return,
        }
    }
}

async fn serve(socket: TcpStream, client: IpAddr, limits: Limits, bodies: Bodies, requests: Inbox) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let (bodies, requests) = (bodies.clone(), requests.clone());
        async move { Ok::<_, Infallible>(answer(request, client, bodies, requests).await.map(Full::new)) }
    });
    let connection = limits.http1().serve_connection(TokioIo::new(limits.patient(socket)), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    client: IpAddr,
    bodies: Bodies,
    requests: Inbox,
) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let Some((body, _held)) = bodies.read(body).await else {
        return closing(StatusCode::REQUEST_TIMEOUT);
    };
    let (answer, answered) = oneshot::channel();
    let request = Request::from_parts(head, body);
    if requests.send((request, client, answer)).await.is_err() {
        return closing(StatusCode::SERVICE_UNAVAILABLE);
    }
    answered.await.unwrap_or_else(|_| closing(StatusCode::SERVICE_UNAVAILABLE))
}

fn closing(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}
