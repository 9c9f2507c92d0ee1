//! What the programs' command lines have in common.

use crate::Transport;
use clap::{Args, ValueEnum};
pub use program::{Limit, duration, limit};
use std::time::Duration;
use teeth_proto::{Dialect, session};

/// Settings of every connection.
#[derive(Args, Debug)]
pub struct ConnectionArguments {
    /// What is sent where document and original program part.
    #[arg(long, value_enum, default_value = "document")]
    dialect: DialectArgument,
    /// A connection without a line for this long is aborted.
    #[arg(long, default_value = "60s", value_parser = duration)]
    idle_timeout: Duration,
    /// Time between two pings.
    #[arg(long, default_value = "20s", value_parser = duration)]
    ping_period: Duration,
    /// How long the answer to a ping is waited for.
    #[arg(long, value_name = "DURATION|never", default_value = "60s", value_parser = limit)]
    ping_timeout: Limit,
    /// The longest line that is taken, in bytes.
    #[arg(long, default_value_t = teeth_proto::wire::LINE_LIMIT)]
    max_line: usize,
    /// How many commands of ours may be unanswered.
    #[arg(long, default_value_t = 256)]
    max_calls: usize,
    /// How many commands of the peer may be unanswered.
    #[arg(long, default_value_t = 256)]
    max_unanswered: usize,
    /// How many bytes may be unwritten before the peer counts as one that does not read.
    #[arg(long, default_value_t = 8 << 20)]
    max_unwritten: usize,
    /// How long the last lines may take once a connection is to be closed.
    #[arg(long, default_value = "5s", value_parser = duration)]
    close_timeout: Duration,
}

/// The two dialects.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DialectArgument {
    /// As the document promises
    Document,
    /// As the original program speaks
    Original,
}

impl ConnectionArguments {
    /// Writes them into the settings of a session.
    pub fn apply(&self, config: &mut session::Config) {
        config.dialect = self.dialect();
        config.idle_timeout = self.idle_timeout;
        config.ping_interval = self.ping_period;
        config.ping_timeout = self.ping_timeout.0;
        config.max_line = self.max_line;
        config.max_calls = self.max_calls;
        config.max_unanswered = self.max_unanswered;
    }

    /// Returns the settings of the transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        Transport { max_unwritten: self.max_unwritten, close_timeout: self.close_timeout }
    }

    /// Returns the dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.dialect {
            DialectArgument::Document => Dialect::Document,
            DialectArgument::Original => Dialect::Original,
        }
    }
}
