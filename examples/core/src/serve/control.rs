//! The control surface that foreign test runners use: state, reset, clock, publishing, faults. No part of the protocol; for
//! loopback only.

use super::dump::dump;
use super::faults::{Fault, FaultAnswer};
use super::{Calls, json};
use crate::core_driver::Role;
use crate::fixture::{Fixture, PublishedParts};
use bytes::Bytes;
use core_node_proto::Instant;
use core_node_proto::call::GrpcCode;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use program::body::Bodies;
use program::server::Limits;
use serde::Deserialize;
use serde_json::{Value, json as value};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The longest body of a request, in bytes: configurations of tests may be large.
const MAX_BODY: usize = 256 << 20;

/// What the control surface works on.
pub struct Control {
    /// The calls, for their faults.
    pub calls: Calls,
    /// What `/reset` begins with, before its own members.
    pub fixture: Fixture,
}

/// Why a request is refused.
type Problem = (StatusCode, String);

/// Serves the control surface until the future is dropped.
pub async fn serve(listener: TcpListener, control: Control) {
    let mut limits = Limits::default();
    limits.max_bodies = usize::MAX;
    let (control, bodies) = (Arc::new(control), Bodies::new(&limits, MAX_BODY));
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (control, bodies) = (control.clone(), bodies.clone());
        let service = service_fn(move |request| {
            let (control, bodies) = (control.clone(), bodies.clone());
            async move { Ok::<_, Infallible>(control.answer(request, &bodies).await.map(Full::new)) }
        });
        let connection = limits.http1().serve_connection(TokioIo::new(limits.patient(socket)), service);
        connections.spawn(async move { connection.await.ok() });
        while connections.try_join_next().is_some() {}
    }
}

impl Control {
    async fn answer(&self, request: http::Request<Incoming>, bodies: &Bodies) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let outcome = match bodies.read(body).await {
            Some((body, _held)) if body.len() <= MAX_BODY => {
                self.route(head.method.as_str(), head.uri.path(), &body).await
            }
            _ => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or does not end".to_owned())),
        };
        match outcome {
            Ok(body) => json(StatusCode::OK, body.to_string().into()),
            Err((status, problem)) => json(status, value!({ "message": problem }).to_string().into()),
        }
    }

    async fn route(&self, method: &str, path: &str, body: &[u8]) -> Result<Value, Problem> {
        match (method, path) {
            ("GET", "/state") => self.order(|role, now| Ok(dump(role, now))).await,
            ("POST", "/reset") => {
                let fixture = self.fixture.with(read(body)?).map_err(bad)?;
                self.calls.faults().clear();
                self.order(move |role, now| reset(role, &fixture, now)).await
            }
            ("POST", "/clock") => {
                let change = read(body)?;
                self.order(move |role, _| set_clock(role, &change)).await
            }
            ("POST", "/publish") => {
                let Publish { config } = read(body)?;
                self.order(move |role, now| publish(role, config, now)).await
            }
            ("POST", "/fault") => {
                let fault = read::<FaultBody>(body)?.read()?;
                let room = self.calls.faults().add(fault);
                if room { Ok(value!({"ok": true})) } else { Err(bad("too many faults wait")) }
            }
            _ => Err((StatusCode::NOT_FOUND, format!("Cannot {method} {path}"))),
        }
    }

    async fn order(
        &self,
        order: impl FnOnce(&mut Role, Instant) -> Result<Value, Problem> + Send + 'static,
    ) -> Result<Value, Problem> {
        let ended = || (StatusCode::SERVICE_UNAVAILABLE, "the machine has ended".to_owned());
        self.calls.handle.order(order).await.ok_or_else(ended)?
    }
}

fn reset(role: &mut Role, fixture: &Fixture, now: Instant) -> Result<Value, Problem> {
    let (core, tables, clock) = fixture.build(now).map_err(bad)?;
    role.replace(core, tables, clock);
    Ok(value!({"ok": true}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClockChange {
    at: Option<String>,
    advance_ms: Option<u64>,
}

fn set_clock(role: &mut Role, change: &ClockChange) -> Result<Value, Problem> {
    let at = match &change.at {
        Some(at) => at.parse().map_err(bad)?,
        None => role.clock.read().saturating_add_milliseconds(change.advance_ms.unwrap_or(0)),
    };
    role.clock = role.clock.standing_at(at);
    // What is due by then is done before the next call.
    let now = role.clock.now();
    role.core.set_wall_clock(at, now);
    role.core.handle_timeout(now);
    Ok(value!({"now": at.to_string()}))
}

#[derive(Deserialize)]
struct Publish {
    config: Option<PublishedParts>,
}

fn publish(role: &mut Role, config: Option<PublishedParts>, now: Instant) -> Result<Value, Problem> {
    let revision = crate::fixture::publish(role, config, now).map_err(bad)?;
    Ok(value!({"revision": revision}))
}

#[derive(Deserialize)]
struct FaultBody {
    method: Option<Box<str>>,
    code: Option<i32>,
    path: Option<Box<str>>,
    status: Option<u16>,
    when: Option<Box<str>>,
}

impl FaultBody {
    fn read(self) -> Result<Fault, Problem> {
        let after = match self.when.as_deref() {
            None | Some("before") => false,
            Some("after") => true,
            Some(_) => return Err(bad("when is neither before nor after")),
        };
        let (call, answer) = match (self.method, self.path) {
            (Some(method), None) => {
                let code = self.code.ok_or_else(|| bad("there is no code"))?;
                (method, FaultAnswer::Grpc(GrpcCode::from_number(code)))
            }
            (None, Some(path)) => {
                let status = self.status.ok_or_else(|| bad("there is no status"))?;
                (path, FaultAnswer::Http(StatusCode::from_u16(status).map_err(bad)?))
            }
            _ => return Err(bad("there is neither a method nor a path, or both")),
        };
        Ok(Fault { call, answer, after })
    }
}

/// Reads a body; an empty one is `{}`.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(bad)
}

fn bad(problem: impl std::fmt::Display) -> Problem {
    (StatusCode::BAD_REQUEST, problem.to_string())
}
