//! `GET /admin/nodes/:id/runtime-status[?fromNode=true]`, for administrators: only from this machine, or with a token.

use super::json;
use crate::core_driver::{Fetched, Handle, Role};
use bytes::Bytes;
use core_node_proto::core::CommandError;
use core_node_proto::message::HttpBody as _;
use core_node_proto::value::NodeId;
use core_node_proto::{Instant, Secret};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::json as value;
use std::net::SocketAddr;
use tokio::sync::oneshot;

/// Who may ask.
#[derive(Debug, Default)]
pub struct Admin {
    /// With this bearer token, from anywhere; without one, from this machine only.
    pub token: Option<Secret>,
}

impl Admin {
    /// Returns the node whose status is asked for, if this is the route.
    pub(super) fn route<'a>(&self, head: &'a Parts) -> Option<&'a str> {
        let node = head.uri.path().strip_prefix("/admin/nodes/")?.strip_suffix("/runtime-status")?;
        (head.method == Method::GET && !node.is_empty() && !node.contains('/')).then_some(node)
    }

    /// Answers a request.
    pub(super) async fn answer(
        &self,
        node: &str,
        head: &Parts,
        peer: SocketAddr,
        handle: &Handle,
    ) -> Response<Bytes> {
        if !self.may_ask(head, peer) {
            return problem(StatusCode::FORBIDDEN, "Forbidden");
        }
        let Ok(node) = NodeId::from_text(node) else { return unknown() };
        let from_node =
            head.uri.query().is_some_and(|query| query.split('&').any(|part| part == "fromNode=true"));
        let answer = if from_node { live(node, handle).await } else { latest(node, handle).await };
        answer.unwrap_or_else(|| problem(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"))
    }

    fn may_ask(&self, head: &Parts, peer: SocketAddr) -> bool {
        let Some(token) = &self.token else { return peer.ip().to_canonical().is_loopback() };
        let given = head.headers.get(http::header::AUTHORIZATION).map(|value| value.as_bytes());
        given.and_then(|value| value.strip_prefix(b"Bearer ")).is_some_and(|given| token.matches(given))
    }
}

/// What Core has of a node.
async fn latest(node: NodeId, handle: &Handle) -> Option<Response<Bytes>> {
    let found =
        handle.order(move |role, now| (role.core.node(&node).is_some(), snapshot(role, &node, now))).await?;
    Some(match found {
        (false, _) => unknown(),
        (true, None) => problem(StatusCode::NOT_FOUND, "the node has not reported yet"),
        (true, Some(status)) => json(StatusCode::OK, status.into()),
    })
}

fn snapshot(role: &Role, node: &NodeId, now: Instant) -> Option<Vec<u8>> {
    role.core.runtime_status(node, now)?.to_json().ok()
}

/// What the node itself says now.
async fn live(node: NodeId, handle: &Handle) -> Option<Response<Bytes>> {
    let (outcome, waiting) = oneshot::channel();
    let order = move |role: &mut Role, now| {
        let id = role.core.fetch_runtime_status(&node, now)?;
        role.await_fetch(id, outcome);
        Ok::<_, CommandError>(())
    };
    if let Err(refused) = handle.order(order).await? {
        return Some(match refused {
            CommandError::UnknownNode => unknown(),
            _ => problem(StatusCode::SERVICE_UNAVAILABLE, "too many are asked at once"),
        });
    }
    Some(fetched(waiting.await.ok()?))
}

fn fetched(outcome: Fetched) -> Response<Bytes> {
    match outcome.map(|status| status.to_json()) {
        Ok(Ok(status)) => json(StatusCode::OK, status.into()),
        Ok(Err(_)) => problem(StatusCode::BAD_GATEWAY, "the node's answer cannot be passed on"),
        Err(failure) => {
            problem(StatusCode::BAD_GATEWAY, &format!("the node does not answer: {}", failure.kind))
        }
    }
}

fn unknown() -> Response<Bytes> {
    problem(StatusCode::NOT_FOUND, "no such node")
}

fn problem(status: StatusCode, message: &str) -> Response<Bytes> {
    json(status, value!({"message": message, "statusCode": status.as_u16()}).to_string().into())
}
