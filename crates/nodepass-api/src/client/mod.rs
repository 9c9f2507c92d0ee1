//! The side of panels and programs.

mod call;
mod endpoint;
mod error;
mod failure;
mod ignored;
mod reply;

pub use call::{Call, is_fit, request, stream_request};
pub use endpoint::{Base, Endpoint, EndpointError, Layout};
pub use error::{CommandError, KeyProblem, RequestError, ServerText};
pub use failure::{Delivery, Failure, FailureKind};
pub use ignored::{ActionProblem, Ignored};
pub use reply::{List, Reply, reply};
