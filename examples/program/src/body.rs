//! The bodies of requests to a server.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Reads one byte more than a machine takes, so that it sees when there is too much. `None` if the client breaks off.
pub async fn read(mut body: Incoming, limit: usize) -> Option<Bytes> {
    let most = limit.saturating_add(1);
    let mut taken = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = frame.ok()?.into_data().unwrap_or_default();
        taken.extend_from_slice(&data[..data.len().min(most - taken.len())]);
        if taken.len() == most {
            break;
        }
    }
    Some(taken.freeze())
}
