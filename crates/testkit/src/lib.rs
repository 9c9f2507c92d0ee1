//! What the tests of every protocol crate share: a clock that only tests move, links between machines
//! on virtual time, and the rules that every state machine keeps.
//!
//! | module | what it holds |
//! |---|---|
//! | [`clock`] | the one reading of the real clock, and a virtual clock |
//! | [`machine`] | the face of a machine that tests need; draining and sleeping as a faithful driver does |
//! | [`measure`] | times of calls, measured in turns |
//! | [`network`] | delays, losses, a seeded generator, the queue of what is under way |
//! | [`stream`] | two machines joined by a byte stream |
//! | [`exchange`] | an agent with servers that answer its HTTP requests |
//! | [`hub`] | clients that reconnect, with one hub |
//! | [`program`] | programs as child processes that print events |
//! | [`rules`] | checks that hold for any input, for property tests and fuzz targets |
//! | [`secrets`] | marked secrets, and the search for them in texts |
//! | [`mod@seen`] | comparable pictures of `http` requests and responses |
//!
//! A crate's tests wrap its machine in a newtype and implement [`Machine`] and the trait of a link for it.
//! Checks report by panicking: the texts name the rule that was broken. Simulated time jumps exactly to the
//! earliest deadline or arrival, so a wake-up that a machine did not announce shows as a hang or is refused.

pub mod clock;
pub mod exchange;
pub mod hub;
pub mod machine;
pub mod measure;
pub mod network;
pub mod program;
pub mod rules;
pub mod secrets;
pub mod seen;
pub mod stream;

pub use clock::{Clock, epoch};
pub use machine::{Machine, advance, advance_with, drain, drain_with};
pub use seen::{Seen, SeenResponse, seen, seen_response};
pub use web_time::Instant;
