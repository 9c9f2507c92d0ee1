//! What a master has, as far as events, lists and answers tell. §5, §7.
//!
//! A [`Fleet`] takes whatever says something about instances and keeps one [`Member`] for each, with its rates, their history
//! and its log. It owns no clock: each input comes with its [`Moment`]. It can be used without the client machine.
//!
//! | input | what becomes of it |
//! | --- | --- |
//! | `initial`, `create`, `update` and unknown events | the instance is added or replaced: all carry its state, in no sure order (§5) |
//! | `log` | the same, and its line goes to the log |
//! | `delete` | the instance is removed; later `update` and `log` frames of the same stream do not bring it back |
//! | a list | instances that it lacks are removed, others added or replaced, except where something newer is known |
//! | the answer of a request about one instance | it is added or replaced, except where something newer is known |
//! | the record that holds the API key | it is kept apart and is no member |
//!
//! Events are lost without a trace (§5). After [`begin_stream`](Fleet::begin_stream), and after any doubt, the view is only
//! right again after a list: [`begin_request`](Fleet::begin_request) before it is asked for,
//! [`apply_list`](Fleet::apply_list) with the answer. Answers and events race, so what events have said since the request was
//! sent stands, and [`Merge::settled`] tells whether the answer agreed.
//!
//! ```
//! use nodepass_api::fleet::{Change, Config, Fleet, Moment};
//! use nodepass_api::wire::{Instance, Status};
//! use std::collections::VecDeque;
//! # let start = testkit::epoch();
//!
//! let mut fleet = Fleet::new(Config::default());
//! let mut changes = VecDeque::new();
//! let mut poll = |seconds: u64, tcprx: u64| {
//!     let ticket = fleet.begin_request();
//!     let instance = Instance { id: "a1b2c3d4".into(), status: Status::Running, tcprx, ..Instance::default() };
//!     let at = Moment {
//!         now: start + std::time::Duration::from_secs(seconds),
//!         unix_milliseconds: 1_795_227_438_000 + seconds as i64 * 1_000,
//!     };
//!     assert!(fleet.apply_list(ticket, vec![instance], at, &mut changes).settled);
//! };
//! poll(0, 5_000);
//! poll(5, 15_000);
//!
//! assert_eq!(changes.pop_front(), Some(Change::Added("a1b2c3d4".into())));
//! assert_eq!(fleet.get("a1b2c3d4").expect("it was listed").rates().tcprx, 2_000.0);
//! ```
//!
//! # Rates
//!
//! Rates are differences of the cumulative counters over time, at least [`Config::rate_interval`] apart. Counters move only
//! when a process reports, every five seconds or so, and what comes between repeats them. So a sample is the average from one
//! movement to the next, frames of kind `log` make none, and counters that stand still make one of zero only when
//! [`Config::rate_silence`] has passed, and another one each time that it has passed again.
//!
//! Rates are never negative. A counter that falls (a reset, an older total after a crash) starts anew, and a jump back to the total before
//! the fall, as masters before 1.8.2 make after a reset, counts only for what is beyond that total. An instance that does not
//! run has rates of zero: one sample says so. A sample after a gap is the average over the gap.
//!
//! # Memory
//!
//! On 64-bit machines a member takes about 800 bytes with its entries in the maps, and its texts: some 1 000 with the URLs of
//! a usual instance. Each sample of the history takes 40 bytes more (41 KB for the 1 000 of the default), each line of the log
//! 48 and its text. Neither history nor log takes anything before its first entry. All is limited by [`Config`].

mod change;
mod config;
mod history;
mod log;
mod member;
mod merge;
mod meter;
mod record;
mod view;

pub use change::{Change, Changed};
pub use config::{Config, Moment};
pub use history::{History, Rates, Sample};
pub use log::{LogEntry, LogQuery, LogRing};
pub use member::Member;
pub use merge::{Merge, Ticket};
pub use record::InstanceRecord;
pub use view::Fleet;
