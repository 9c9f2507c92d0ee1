//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use nodepass_api::Release;
use nodepass_api::client::Layout;
use nodepass_api::url::Rules;
use nodepass_api::wire::Level;
use program::{Limit, duration, limit};
use std::path::PathBuf;
use std::time::Duration;

/// Controls a NodePass master.
///
/// The key comes from --key-file, from the variable NODEPASS_API_KEY, or from --key. Where an ID is wanted, an alias does as
/// well if only one instance has it. Secrets are never printed: neither the key nor the keys of tunnels.
///
/// Try it with nodepass-master:
///   cargo run --bin nodepass-ctl -- --url http://127.0.0.1:9090/api --key-file key.txt watch --logs
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
pub struct Arguments {
    /// Where the master is, with or without the version behind its prefix.
    #[arg(long = "url", global = true, value_name = "URL", default_value = "http://127.0.0.1:9090/api")]
    pub master: String,
    /// A file with the key.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "key")]
    pub key_file: Option<PathBuf>,
    /// The key; visible to other users of this machine.
    #[arg(long, global = true)]
    pub key: Option<String>,
    /// Certificate authorities to trust, as PEM; the system's unless given.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "insecure_tls")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate, as a master that makes its own (tls=1) needs.
    #[arg(long, global = true)]
    pub insecure_tls: bool,
    /// Where the routes are below the prefix; found out unless given.
    #[arg(long, global = true, value_enum)]
    pub layout: Option<LayoutArgument>,
    /// How long an answer may take.
    #[arg(long, global = true, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub request_timeout: Duration,
    /// The longest answer that is looked at, in bytes.
    #[arg(long, global = true, value_name = "BYTES", default_value_t = 64 << 20)]
    pub max_response: usize,
    /// End after this time.
    #[arg(long = "for", global = true, value_name = "DURATION", value_parser = duration)]
    pub limit: Option<Duration>,
    /// Print JSON lines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Show all instances
    List,
    /// Show one instance
    Get {
        /// Its ID or alias.
        id: String,
    },
    /// Make an instance, which starts by itself
    Create {
        /// Its URL.
        #[command(flatten)]
        url: InstanceArgument,
        /// A name for it.
        #[arg(long)]
        alias: Option<String>,
    },
    /// Start an instance
    Start {
        /// Its ID or alias.
        id: String,
    },
    /// Stop an instance
    Stop {
        /// Its ID or alias.
        id: String,
    },
    /// Stop an instance and start it
    Restart {
        /// Its ID or alias.
        id: String,
    },
    /// Set the counters of an instance to 0
    Reset {
        /// Its ID or alias.
        id: String,
    },
    /// Name an instance
    Alias {
        /// Its ID or alias.
        id: String,
        /// The name.
        name: String,
    },
    /// Set whether an instance is started with the master
    Policy {
        /// Its ID or alias.
        id: String,
        /// Whether it is.
        policy: Switch,
    },
    /// Give an instance another URL, with which it starts
    Put {
        /// Its ID or alias.
        id: String,
        /// Its URL.
        #[command(flatten)]
        url: InstanceArgument,
    },
    /// End and forget an instance
    Delete {
        /// Its ID or alias.
        id: String,
    },
    /// Let the master make another key, and put it into --key-file
    RotateKey,
    /// Show what the master says about itself
    Info,
    /// Let the master connect to somewhere; status 1 if it never can
    Tcping {
        /// A host and a port.
        target: String,
        /// How often.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// The time between two.
        #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
        interval: Duration,
    },
    /// Explain an instance URL; status 1 if something is wrong with it. No master is asked
    Url {
        /// The URL; visible to other users of this machine, - reads it from stdin.
        url: String,
        /// Whose parameters and defaults.
        #[arg(long, value_enum, default_value = "1.14")]
        rules: RulesArgument,
    },
    /// Write what it takes to make all instances again into a file (0600: it holds the keys of tunnels)
    Export {
        /// Which.
        file: PathBuf,
    },
    /// Make the instances of such a file, on this master or another
    Recreate {
        /// Which.
        file: PathBuf,
    },
    /// Follow what happens, as a table on a terminal and as lines elsewhere
    Watch(Box<WatchArguments>),
}

/// An instance URL.
#[derive(Args)]
pub struct InstanceArgument {
    /// An instance URL; visible to other users of this machine, - reads it from stdin.
    pub url: String,
    /// Send it even if no process could do something sensible with it.
    #[arg(long)]
    pub unchecked: bool,
}

/// What `watch` takes.
#[derive(Args)]
pub struct WatchArguments {
    /// Show what the processes of the instances say.
    #[arg(long)]
    pub logs: bool,
    /// Show lines that are at least this grave.
    #[arg(long, value_enum, requires = "logs")]
    pub level: Option<LevelArgument>,
    /// Show lines that hold this text.
    #[arg(long, value_name = "TEXT", requires = "logs")]
    pub grep: Option<String>,
    /// Append these lines to a file, too.
    #[arg(long, value_name = "FILE", requires = "logs")]
    pub log_file: Option<PathBuf>,
    /// Ask for the list at intervals in the place of the event stream.
    #[arg(long)]
    pub poll: bool,
    /// Print lines on a terminal, too.
    #[arg(long)]
    pub lines: bool,
    /// How often the key file is read again while the master refuses the key.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub key_retry: Duration,
    /// How long the beginning of the stream may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub head_timeout: Duration,
    /// How long the first event may take where there is something to tell.
    #[arg(long, value_name = "DURATION|never", default_value = "10s", value_parser = limit)]
    pub first_event_timeout: Limit,
    /// How long the stream may be silent while an instance runs that reports.
    #[arg(long, value_name = "DURATION|never", default_value = "5m", value_parser = limit)]
    pub idle_timeout: Limit,
    /// The wait after the first failure; doubled by each further one.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub retry: Duration,
    /// The shortest wait.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    pub min_wait: Duration,
    /// The longest wait.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub max_wait: Duration,
    /// A stream that has lived this long was no failure.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub stable_after: Duration,
    /// How often the list is compared while a stream runs.
    #[arg(long, value_name = "DURATION|never", default_value = "60s", value_parser = limit)]
    pub resync_interval: Limit,
    /// The least time between two lists.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub settle_delay: Duration,
    /// How often the list is asked for where there is no stream.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub poll_interval: Duration,
    /// After so many failures of the stream in a row the list is asked for.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub poll_after: u32,
    /// How often the master is asked about itself.
    #[arg(long, value_name = "DURATION|never", default_value = "30s", value_parser = limit)]
    pub info_interval: Limit,
    /// The least time between two samples of rates.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub rate_interval: Duration,
    /// How long counters must stand still before rates are zero.
    #[arg(long, value_name = "DURATION", default_value = "12s", value_parser = duration)]
    pub rate_silence: Duration,
    /// The longest frame of the stream, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_frame: usize,
    /// How many instances are followed.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    pub max_instances: usize,
}

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// Where the routes are.
#[derive(Clone, Copy, ValueEnum)]
pub enum LayoutArgument {
    /// Below PREFIX/v1, as masters have them
    Versioned,
    /// Below PREFIX, as the document has them
    Plain,
}

/// How grave a line is.
#[derive(Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "the words of the log")]
pub enum LevelArgument {
    Debug,
    Info,
    Warn,
    Error,
    Event,
}

/// Whose parameters and defaults.
#[derive(Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "versions")]
pub enum RulesArgument {
    Document,
    #[value(name = "1.6")]
    V1_6,
    #[value(name = "1.14")]
    V1_14,
    #[value(name = "2.0")]
    V2_0,
}

impl From<LayoutArgument> for Layout {
    fn from(layout: LayoutArgument) -> Self {
        match layout {
            LayoutArgument::Versioned => Self::Versioned,
            LayoutArgument::Plain => Self::Plain,
        }
    }
}

impl From<LevelArgument> for Level {
    fn from(level: LevelArgument) -> Self {
        match level {
            LevelArgument::Debug => Self::Debug,
            LevelArgument::Info => Self::Info,
            LevelArgument::Warn => Self::Warn,
            LevelArgument::Error => Self::Error,
            LevelArgument::Event => Self::Event,
        }
    }
}

impl From<RulesArgument> for Rules {
    fn from(rules: RulesArgument) -> Self {
        match rules {
            RulesArgument::Document => Self::Document,
            RulesArgument::V1_6 => Self::Release(Release::V1_6_0),
            RulesArgument::V1_14 => Self::Release(Release::V1_14_0),
            RulesArgument::V2_0 => Self::Release(Release::V2_0_0_B10),
        }
    }
}
