//! Opens connections, with or without TLS: for WebSockets, and for single requests over HTTP/1.1.

use crate::link::{Link, web_socket_config};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use nodered_comms::client::FailureKind;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// How much of an answer is read: a little more than the machine looks at.
const RESPONSE_LIMIT: usize = 64 * 1024 + 1;

/// Opens connections; clones share their settings.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
}

/// Why a connection or an answer did not come about.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    kind: FailureKind,
    text: String,
}

/// The longest head of an answer, in bytes. As much is read at once: of endless interim answers so little that time goes on.
const HEAD_LIMIT: usize = 16 << 10;

/// A connection, with or without TLS.
pub(crate) type Stream = Box<dyn Io>;

/// What a connection can do.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Problem {
    fn new(kind: FailureKind, error: &(dyn StdError + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let inner = error.to_string();
            if !text.ends_with(&inner) {
                text = format!("{text}: {inner}");
            }
            cause = error.source();
        }
        Self { kind, text }
    }

    fn text(kind: FailureKind, text: &str) -> Self {
        Self { kind, text: text.to_owned() }
    }

    /// Returns what kind it is of.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }
}

impl Connector {
    /// Returns a connector that trusts the system's certificate authorities.
    #[must_use]
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate authority of the system could not be read");
        }
        roots.add_parsable_certificates(found.certs);
        Self::with_roots(roots)
    }

    /// Returns a connector that trusts these certificate authorities.
    #[must_use]
    pub fn with_roots(roots: RootCertStore) -> Self {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Opens a WebSocket connection.
    pub(crate) async fn web_socket(&self, url: String, max_frame: usize) -> Result<Link<Stream>, Problem> {
        let request = url.into_client_request().map_err(|error| Problem::new(FailureKind::Other, &error))?;
        let stream = self.open(request.uri()).await?;
        let config = Some(web_socket_config(max_frame));
        match tokio_tungstenite::client_async_with_config(request, stream, config).await {
            Ok((socket, _)) => Ok(Link::new(socket)),
            Err(Error::Http(response)) => {
                let text = format!("the answer is no WebSocket but status {}", response.status());
                Err(Problem::text(FailureKind::ConnectionLost, &text))
            }
            Err(error) => Err(Problem::new(FailureKind::ConnectionLost, &error)),
        }
    }

    /// Sends a request over a connection of its own, and reads what matters of the answer.
    pub(crate) async fn exchange(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Problem> {
        let lost = |error: hyper::Error| Problem::new(FailureKind::ConnectionLost, &error);
        let stream = self.open(request.uri()).await?;
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).ok();
        request.headers_mut().extend(host.map(|host| (header::HOST, host)));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().unwrap_or_default();
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.read_buf_exact_size(Some(HEAD_LIMIT));
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let answer = async move {
            let (head, mut body) = sender.send_request(request.map(Full::new)).await?.into_parts();
            let mut taken = BytesMut::new();
            while taken.len() < RESPONSE_LIMIT
                && let Some(frame) = body.frame().await
            {
                let data = frame?.into_data().unwrap_or_default();
                taken.extend_from_slice(&data[..data.len().min(RESPONSE_LIMIT - taken.len())]);
            }
            Ok(Response::from_parts(head, taken.freeze()))
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer.map_err(lost),
            // The answer may be there already, in full.
            ended = connection => match ended {
                Ok(()) => answer.await.map_err(lost),
                Err(error) => Err(lost(error)),
            },
        }
    }

    async fn open(&self, uri: &Uri) -> Result<Stream, Problem> {
        let (is_secure, port) = match uri.scheme_str() {
            Some("https" | "wss") => (true, 443),
            _ => (false, 80),
        };
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = lookup_host((host, uri.port_u16().unwrap_or(port))).await;
        let addresses = addresses.map_err(|error| Problem::new(FailureKind::NameResolution, &error))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(|error| Problem::new(kind_of(&error), &error))?;
        let _ = stream.set_nodelay(true);
        if !is_secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Problem::new(FailureKind::Other, &error))?;
        let stream = self.tls.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| Problem::new(FailureKind::Tls, &error))?))
    }
}

fn kind_of(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::Refused,
        io::ErrorKind::TimedOut => FailureKind::TimedOut,
        _ => FailureKind::Other,
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// The one cryptography provider of the programs.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
