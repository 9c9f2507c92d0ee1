//! What a provider knows about the addresses of users. §10.6.
//!
//! | job | when | addresses |
//! | --- | --- | --- |
//! | [`Job::Daily`] | every day | all |
//! | [`Job::Recent`] | every 10 minutes | those first seen later than 10 minutes ago |
//!
//! Both are due when the wall clock passes a multiple of their period, as cron has it: the daily one at midnight UTC.
//! A restart hence moves neither. A job that still runs when it is due again is left alone, and a time that was
//! missed is not made up for.
//!
//! A job asks the application for addresses page by page, leaves out those that are not global (private, loopback,
//! documentation and so on), and asks the provider about the others: one request at a time for both jobs, the recent
//! one first, never more than [`Config::rate`] has. An address is asked about once, however many users it has.
//!
//! | provider | one address | many |
//! | --- | --- | --- |
//! | [`Provider::IpInfo`] | `GET https://ipinfo.io/{ip}/json` | `POST https://ipinfo.io/batch`, up to 1000, with a token |
//! | [`Provider::IpApi`] | `GET http://ip-api.com/json/{ip}` | `POST http://ip-api.com/batch`, up to 100 |
//!
//! IPinfo's token is a bearer token in a header that is marked sensitive. With a key ip-api.com is at
//! `https://pro.ip-api.com`, and the key is a query parameter: the URI is a secret then.
//!
//! The object that a provider has about an address is kept as it is. A request that fails is repeated after growing
//! waits; what stays without an answer is left to the next run. The end of a run is told with counts as a [`Report`].

mod answer;
mod config;
mod global;
mod job;
mod machine;
mod query;
mod request;
mod throttle;

pub use config::{Config, ConfigError, Provider, RateLimit};
pub use job::{Job, Problem, Report};
pub(in crate::core) use machine::{Enrichment, Task};
pub use query::AddressQuery;
