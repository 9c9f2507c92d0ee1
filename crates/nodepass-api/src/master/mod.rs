//! The side of the daemon.

mod docs;
mod openapi;
