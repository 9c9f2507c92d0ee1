//! The side of panels and programs: calls, and a view of what a master has. §5.
//!
//! ```text
//!  application ──commands──> Client ──Output::Request, Output::OpenStream──> driver ──HTTP──> master
//!              <──Event─────        <──handle_response, handle_stream_bytes──
//! ```
//!
//! | item | what it does |
//! | --- | --- |
//! | [`Client`] | the machine: finds the routes, makes calls, follows the stream, polls, changes the key |
//! | [`Config`] | its settings: every duration and limit |
//! | [`Endpoint`] | what people paste |
//! | [`Call`], [`request`], [`reply`] | one exchange, as pure functions, for those who need no machine |
//! | [`RequestError`] | every status of §3, and what happens without one |
//! | [`Ignored`] | what a master leaves undone without a word |
//!
//! # Where the document and masters differ
//!
//! | | document | masters | this client |
//! | --- | --- | --- | --- |
//! | routes | `<prefix>/…` | `<prefix>/v1/…` | asks, the version first; [`Config::layout`] |
//! | objects | `{"success":…,"data":…}` | bare | both |
//! | errors | `success` | `{"error":…}`; plain text from the Rust port | all, also `message` |
//! | a new key | is the answer's `url` | the Rust port answers with the old one | is taken only if it is another one |
//! | silence | – | nothing is sent where nothing happens | no loss, unless an instance reports; [`Config::idle_timeout`], [`Config::first_event_timeout`] |
//! | lost events | – | dropped in silence | the list at each beginning, and now and then; [`Config::resync_interval`] |
//! | no stream | polling every 5 s | – | after three failures, until there is a stream; [`Config::poll_after`] |

mod call;
mod commands;
mod config;
mod endpoint;
mod error;
mod exchanges;
mod failure;
mod find;
mod ignored;
mod info;
mod lists;
mod machine;
mod monitor;
mod output;
mod pending;
mod reply;

use call::is_fit;
pub use call::{Call, request, stream_request};
pub use config::{Config, ConfigError, Monitoring};
pub use endpoint::{Base, Endpoint, EndpointError, Layout};
pub use error::{CommandError, KeyProblem, RequestError, ServerText};
pub use failure::{Delivery, Failure, FailureKind};
pub use ignored::{ActionProblem, Ignored};
pub use info::InfoRates;
pub use machine::{Client, State};
pub use output::{CallId, Event, KeySource, Output, RequestId, StreamEnd, StreamId};
pub use reply::{List, Reply, reply};
