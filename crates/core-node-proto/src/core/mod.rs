//! Core's role: it knows the nodes, hands out their configuration, and keeps what they report. §2 to §4, §9.4, §10, §11.
//!
//! [`Core`] is the machine. It answers calls, whichever way they came, decides what is stored, and watches over nodes and
//! users. The database, the keys with a lifetime and the transports are its application's: they are outputs, and what becomes of
//! them is an input. [`Tables`] is a store in memory, and shows what each [`Change`] means.
//!
//! ```text
//! transport ─ Incoming ─▶ handle_call ─▶ Store ─▶ database ─▶ handle_stored ─▶ Reply ─▶ transport
//! ```
//!
//! Keys and codes are kept as digests only. A key is found by its SHA-256 digest, which is then compared in constant time.
//!
//! | what a peer can grow | limit |
//! | --- | --- |
//! | calls that wait to be stored | [`Config::max_pending`] |
//! | bodies | [`Config::max_http_body`], [`Config::max_grpc_message`], [`Config::max_stats_message`] |
//! | parts of a report | [`Config::max_items`] |
//! | nodes | [`Config::max_nodes`], and one for each code |
//! | batches that are recognised | [`Config::max_batches`] of each node |
//! | users online | [`Config::max_online`] |
//! | statistics | the latest and [`Config::stats_history`] samples of each node |

mod batches;
mod command;
mod config;
mod digest;
mod directory;
pub mod enrichment;
mod entropy;
mod error;
mod form;
mod machine;
mod node;
mod online;
mod output;
mod outside;
mod published;
mod record;
mod report;
mod serve;
mod settle;
mod stats;
mod step;
mod stored;
mod tables;

pub use command::ConfigParts;
pub use config::{Config, ConfigError, Confirmation, NeedSync, SessionTexts};
pub use digest::{BatchDigest, CodeDigest, KeyDigest};
pub use directory::Directory;
pub use entropy::Entropy;
pub use error::CommandError;
pub use machine::Core;
pub use output::{Event, ExchangeId, FetchId, OnlineKey, Output, QueryFailed, QueryId, RequestId, StoreId};
pub use published::Published;
pub use record::NodeRecord;
pub use stats::{LatestStats, Sample};
pub use stored::{Audience, Change, Stored, StoredBatch, Traffic, UsageKey};
pub use tables::{AddressInfo, AddressRow, SessionRow, Tables};
