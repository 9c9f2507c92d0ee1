//! From the command line to a client.

use super::arguments::{Arguments, WatchArguments};
use crate::connector::Connector;
use crate::tls::{self, Trust};
use nodepass_api::Secret;
use nodepass_api::client::{Client, Config, Monitoring};
use std::path::Path;
use std::time::{Instant, SystemTime};

/// The name of the variable that may hold the key.
const KEY_VARIABLE: &str = "NODEPASS_API_KEY";

/// Returns the settings of a client that makes calls only.
///
/// # Errors
/// What is wrong with the command line, without any secret.
pub fn config(arguments: &Arguments) -> Result<Config, String> {
    let endpoint = arguments.master.parse().map_err(|error| format!("--url: {error}"))?;
    let mut config = Config::new(endpoint, key(arguments)?);
    config.layout = arguments.layout.map(Into::into);
    config.monitoring = Monitoring::Off;
    config.request_timeout = arguments.request_timeout;
    config.max_response = arguments.max_response;
    config.info_interval = None;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    config.unix_milliseconds = i64::try_from(since.as_millis()).unwrap_or_default();
    // Spreads waits; nothing depends on its being secret.
    config.seed = u64::from(since.subsec_nanos()) ^ u64::from(std::process::id()) << 32;
    Ok(config)
}

/// Adds the settings of a client that follows a master.
pub fn watch(config: &mut Config, arguments: &WatchArguments) {
    config.monitoring = if arguments.poll { Monitoring::Poll } else { Monitoring::Stream };
    config.head_timeout = arguments.head_timeout;
    config.first_event_timeout = arguments.first_event_timeout.0;
    config.idle_timeout = arguments.idle_timeout.0;
    config.retry = arguments.retry;
    config.min_wait = arguments.min_wait;
    config.max_wait = arguments.max_wait;
    config.stable_after = arguments.stable_after;
    config.resync_interval = arguments.resync_interval.0;
    config.settle_delay = arguments.settle_delay;
    config.poll_interval = arguments.poll_interval;
    config.poll_after = arguments.poll_after;
    config.info_interval = arguments.info_interval.0;
    config.max_frame = arguments.max_frame;
    config.fleet.rate_interval = arguments.rate_interval;
    config.fleet.rate_silence = arguments.rate_silence;
    config.fleet.max_instances = arguments.max_instances;
    // Nobody looks back here.
    config.fleet.history_samples = 0;
    config.fleet.log_lines = 0;
}

/// Makes a client, and what it speaks over.
///
/// # Errors
/// What is wrong with the command line.
pub fn client(arguments: &Arguments, config: Config) -> Result<(Client, Connector), String> {
    let trust = match &arguments.ca {
        Some(file) => Trust::Authorities(tls::authorities(file).map_err(|error| format!("--ca: {error}"))?),
        None if arguments.insecure_tls => Trust::Anybody,
        None => Trust::System,
    };
    let client = Client::new(config, Instant::now()).map_err(|error| error.to_string())?;
    Ok((client, Connector::new(trust)))
}

/// Reads the key from a file, without the end of its line.
///
/// # Errors
/// What is wrong with the file.
pub fn read_key(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.trim() {
        "" => Err(format!("{}: the file is empty", path.display())),
        key => Ok(Secret::new(key)),
    }
}

fn key(arguments: &Arguments) -> Result<Secret, String> {
    match (&arguments.key_file, &arguments.key) {
        (Some(file), _) => read_key(file).map_err(|problem| format!("--key-file: {problem}")),
        (None, Some(key)) => Ok(Secret::new(key.trim())),
        // A master without a key wants none.
        (None, None) => Ok(Secret::new(std::env::var(KEY_VARIABLE).unwrap_or_default().trim())),
    }
}
