//! TLS of a master, and whom a client trusts.
//!
//! | code | a master's certificate |
//! |---|---|
//! | 1 | made anew at each start, in memory; nobody but itself vouches for it |
//! | 2 | read from files |
//!
//! A master speaks TLS 1.3 only. A client speaks 1.2 too, as something else may stand before the master.

use program::tls::Identity;
pub use program::tls::{TlsError, Trust, authorities, client, provider};
use rustls::ServerConfig;
use rustls::version::TLS13;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a master offers to speak over TLS, the one it likes best first.
pub const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The answer to a request that comes without TLS where TLS is spoken. §1.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// How much is read of what somebody without TLS sends.
const MOST_UNREAD: usize = 64 * 1024;

/// Returns a master's TLS with a certificate made for these host names and addresses: code 1.
///
/// # Errors
/// [`TlsError::Generate`].
pub fn self_signed(names: &[String]) -> Result<Arc<ServerConfig>, TlsError> {
    Identity::self_signed(names)?.server(&[&TLS13], &PROTOCOLS)
}

/// Returns a master's TLS with the certificate, the chain behind it, and the key of two PEM files: code 2.
///
/// # Errors
/// Every [`TlsError`] but [`TlsError::Generate`]. A real master goes on with code 1 then.
pub fn from_files(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    Identity::from_files(certificate, key)?.server(&[&TLS13], &PROTOCOLS)
}

/// Takes a connection to a master: returns its TLS, or `None` where there is none within `limit`.
///
/// A request that comes without TLS is told so, as a real master does.
pub async fn accept(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    let accepted = async {
        let mut first = [0];
        stream.peek(&mut first).await.ok()?;
        if first[0].is_ascii_alphabetic() {
            return refuse(&mut stream).await.ok().and(None);
        }
        let accepted = acceptor.accept(stream).await;
        accepted.inspect_err(|error| tracing::debug!(%error, "no TLS")).ok()
    };
    timeout(limit, accepted).await.ok().flatten()
}

/// Tells somebody who speaks without TLS. What they still send is read: unread bytes could destroy the answer.
async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP).await?;
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    for _ in 0..MOST_UNREAD / unread.len() {
        if stream.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}
