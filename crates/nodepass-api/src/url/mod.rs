//! Instance URLs: `server://` and `client://` for what a master runs, `master://` for the master itself. §6.
//!
//! ```text
//! scheme://[key[:ignored]@][host]:port/[target[,target…]][?name=value&…]
//! ```
//!
//! The grammar is that of the original masters, which take almost anything: an empty host, a port of 99999, an IPv6
//! address without brackets, broken escapes in the query. So three questions have three answers:
//!
//! | question | asked with | answer |
//! | --- | --- | --- |
//! | Does a master take it? | [`InstanceUrl::parse`] | [`ParseError`], by which a master chooses its answer |
//! | What does a process make of it? | [`InstanceUrl::effective`] | [`Effective`], or [`Refused`] where the process ends itself |
//! | Is it what somebody meant? | [`InstanceUrl::check`] | every [`Problem`], before anything is sent |
//!
//! The last two depend on whose [`Rules`] hold: the published document's or a release's.
//!
//! | | document | original programs | this crate |
//! | --- | --- | --- | --- |
//! | `read` by default | `10m` | 1 h in 1.6 and 1.7, then none | by `Rules` |
//! | `min`, `max` by default | 64, 1024 | the same | the same |
//! | `slot` | not mentioned | 1024 in 1.6, then 65536 | by `Rules` |
//! | a value that is not understood | not mentioned | zero, or the default of a word | `Rules::Document`: the default |
//! | a tunnel key before the `@` | not mentioned | taken; without one, a hash of the port | taken under all rules |
//! | a parameter outside its scope | named in the table of scopes | ignored | a [`Problem`] |
//! | a zone beyond ASCII in the stored form | – | escaped so that it cannot be read again | kept as it is |
//! | `server:/%2F x` in the stored form | – | its path becomes a host | `server:////%20x` |
//!
//! ```
//! use nodepass_api::Release;
//! use nodepass_api::url::{InstanceUrl, Parameter, Problem, Role, Rules};
//!
//! let url = InstanceUrl::parse("client://secret@example.com:443/localhost:22?mode=1&min=32")?;
//! assert_eq!((url.role(), &*url.host(), url.port()), (Role::Client, "example.com", "443"));
//!
//! let values = url.effective(Rules::Release(Release::V1_14_0)).expect("it runs");
//! assert_eq!((values.min, values.slot), (Some(32), Some(65536)));
//! assert_eq!(values.text(Parameter::Read).as_deref(), Some("0s"));
//!
//! let problems = url.check(Rules::Document).unwrap_err();
//! assert_eq!(problems[0].to_string(), "`min` has no effect on a client with mode=1");
//! assert!(!format!("{url:?}").contains("secret"));
//! # Ok::<(), nodepass_api::url::ParseError>(())
//! ```

mod address;
mod build;
mod canonical;
mod check;
mod duration;
mod effective;
mod escape;
mod explain;
mod instance;
mod master;
mod parameter;
mod query;
mod text;
mod value;

pub use address::{Address, AddressError, Host, Port};
pub use build::{BuildError, Builder};
pub use canonical::Inherited;
pub use check::Problem;
pub use duration::parse_duration;
pub use effective::{Effective, Refused, Targets};
pub use explain::{Line, Origin};
pub use instance::{InstanceUrl, ParseError, Role};
pub use master::MasterUrl;
pub use parameter::{Parameter, Rules, Scope};
pub use query::Pair;
pub use value::{Balance, Block, Dial, Dns, LogLevel, RunMode, TlsMode, Transport, TunnelKey};
