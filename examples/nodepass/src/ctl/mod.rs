//! What `nodepass-ctl` is made of.
//!
//! | module | what it does |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`prepare`] | from the command line to a client |
//! | [`session`] | calls, one after the other |
//! | [`commands`] | every command but `watch` |
//! | [`watch`] | follows a master |
//! | [`teller`] | what there is to tell of events |
//! | [`screen`] | where it is told: as lines, or as a table that is drawn anew |
//! | [`mask`] | URLs and texts without their secrets |

pub mod arguments;
pub mod commands;
pub mod mask;
pub mod prepare;
pub mod screen;
pub mod session;
pub mod teller;
pub mod watch;
