//! The agent's two ways to Core: HTTP/1.1 and gRPC, each over TLS or not. No redirect is followed, so a key never reaches
//! another host.
//!
//! | what happens | what the machine is told | was it written? |
//! |---|---|---|
//! | nobody listens, or there is no way to the host | [`FailureKind::Refused`] | no |
//! | the host name has no address | [`FailureKind::NameResolution`] | no |
//! | the system gives up on a connection | [`FailureKind::TimedOut`] | no |
//! | TLS does not come about | [`FailureKind::Tls`] | no |
//! | the connection ends before the answer does | [`FailureKind::ConnectionLost`] | perhaps |
//! | an answer above the limit | [`FailureKind::TooLarge`] | perhaps |
//! | an HTTP status, or the status of gRPC | [`FailureKind::Http`], [`FailureKind::Grpc`] | perhaps: it was answered |

mod grpc;

use core_node_proto::call::{Call, Delivery, Failure, FailureKind, KeyPlacement, Link, Reply};
use core_node_proto::http::{self as binding, Base};
use core_node_proto::{GrpcTarget, Secret};
use program::client::{Client, NoAnswer, Problem, Traffic};
use program::tls::Trust;

/// The largest answer that an agent takes, in bytes, unless told otherwise. §5.13.
pub const RECEIVE_LIMIT: usize = 64 << 20;

/// The ways to Core; clones share their connections.
#[derive(Clone)]
pub struct Links {
    base: Base,
    target: GrpcTarget,
    http: Client,
    grpc: Client,
    /// The largest answer taken, in bytes.
    pub receive_limit: usize,
    /// Where a gRPC request carries the key.
    pub key_placement: KeyPlacement,
}

impl Links {
    /// Returns the ways to these addresses.
    #[must_use]
    pub fn new(base: Base, target: GrpcTarget, trust: Trust) -> Self {
        let (http, grpc) = (Client::new(trust.clone()), Client::http2(trust));
        Self {
            base,
            target,
            http,
            grpc,
            receive_limit: RECEIVE_LIMIT,
            key_placement: KeyPlacement::default(),
        }
    }

    /// Returns what went over HTTP and over gRPC.
    #[must_use]
    pub fn traffic(&self) -> (&Traffic, &Traffic) {
        (self.http.traffic(), self.grpc.traffic())
    }

    /// Makes a call. Dropping the future gives it up; the machine says when.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn call(&self, link: Link, call: &Call, key: Option<&Secret>) -> Result<Reply, Failure> {
        match link {
            Link::Http => self.over_http(call, key).await,
            Link::Grpc => self.over_grpc(call, key).await,
        }
    }

    async fn over_http(&self, call: &Call, key: Option<&Secret>) -> Result<Reply, Failure> {
        let request = binding::request(&self.base, call, key).map_err(|error| {
            tracing::error!(%error, "a call that HTTP does not have");
            Failure::new(Delivery::No, FailureKind::Other)
        })?;
        let most = self.receive_limit.saturating_add(1);
        let response = self.http.exchange(request, most).await.map_err(failure)?;
        if response.body().len() > self.receive_limit {
            return Err(Failure::answered(FailureKind::TooLarge));
        }
        binding::read_response(call.method(), &response)
    }
}

/// Returns what the machine is told.
pub(crate) fn failure(NoAnswer { is_written, problem }: NoAnswer) -> Failure {
    let delivered = if is_written { Delivery::Perhaps } else { Delivery::No };
    let kind = match problem {
        Problem::Refused | Problem::Unreachable => FailureKind::Refused,
        Problem::NameResolution => FailureKind::NameResolution,
        Problem::TimedOut => FailureKind::TimedOut,
        Problem::PlainHttp | Problem::Certificate(_) | Problem::Tls => FailureKind::Tls,
        Problem::ConnectionLost => FailureKind::ConnectionLost,
        _ => FailureKind::Other,
    };
    Failure::new(delivered, kind)
}
