//! Dialling an address, and telling how long it took.

use crate::address::{Address, AddressError};
use std::io;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name of the host has no address.
    #[error("unknown host: {0}")]
    UnknownHost(io::Error),
    /// Nobody answered in time.
    #[error("i/o timeout")]
    TimedOut,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// Something else.
    #[error("{0}")]
    Io(io::Error),
}

/// Opens a connection. All that it takes, the look-up of a name too, has to be done within `limit`; where a name has
/// several addresses they are tried in turn.
///
/// # Errors
/// What the last address led to, or that the time is over.
pub async fn dial(address: &Address, limit: Duration) -> Result<TcpStream, DialError> {
    let connect = async {
        let mut outcome = Err(DialError::UnknownHost(io::ErrorKind::NotFound.into()));
        for address in address.resolve().await.map_err(DialError::UnknownHost)? {
            outcome = TcpStream::connect(address).await.map_err(classify);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    };
    let stream = timeout(limit, connect).await.unwrap_or(Err(DialError::TimedOut))?;
    let _ = stream.set_nodelay(true); // an error: it is slower
    Ok(stream)
}

/// Returns how many milliseconds it took to connect to `target`, a `host:port`; `:port` is this machine.
///
/// # Errors
/// Why it did not.
pub async fn tcping(target: &str, limit: Duration) -> Result<u64, DialError> {
    let address: Address = target.parse()?;
    let since = Instant::now();
    dial(&address, limit).await?;
    Ok(milliseconds(since.elapsed()))
}

/// Returns whole milliseconds.
#[must_use]
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn classify(error: io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused,
        io::ErrorKind::TimedOut => DialError::TimedOut,
        _ => DialError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_listener_answers_by_any_name_of_this_machine() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for target in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!(":{port}")] {
            assert!(tcping(&target, LIMIT).await.unwrap() < 20_000, "{target}");
        }
        drop(listener);
        let refused = tcping(&format!("127.0.0.1:{port}"), LIMIT).await.unwrap_err();
        assert_eq!(refused.to_string(), "connection refused");
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_no_more() {
        for (target, text) in [
            ("", "missing port in address"),
            ("host", "missing port in address"),
            ("a:b:c", "too many colons in address"),
            ("127.0.0.1:99999", "invalid port"),
            ("127.0.0.1:-1", "invalid port"),
        ] {
            assert_eq!(tcping(target, LIMIT).await.unwrap_err().to_string(), text, "{target}");
        }
        for target in ["\0:80", "no\u{a0}name:80", "a..b:80", &format!("{}:80", "x".repeat(100_000))] {
            let error = tcping(target, LIMIT).await.unwrap_err();
            assert!(matches!(error, DialError::UnknownHost(_) | DialError::TimedOut), "{error}");
        }
    }
}
