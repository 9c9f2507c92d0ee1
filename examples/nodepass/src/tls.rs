//! TLS of both roles: a master's certificates, and whom a client trusts.
//!
//! | code | a master's certificate |
//! |---|---|
//! | 1 | made anew at each start, in memory; nobody but itself vouches for it |
//! | 2 | read from files |
//!
//! A master speaks TLS 1.3 only. A client speaks 1.2 too, as something else may stand before the master.

use rcgen::generate_simple_self_signed;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::io;
use std::path::{Path, PathBuf};
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

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, rustls::pki_types::pem::Error),
    /// A file holds no certificate.
    #[error("{path}: no certificate is in it", path = .0.display())]
    NoCertificate(PathBuf),
    /// The certificate and the key do not fit together, or cannot be used.
    #[error("{0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate can be made.
    #[error("no certificate can be made: {0}")]
    Generate(#[from] rcgen::Error),
}

/// Whom a client trusts.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The certificate authorities of the system.
    System,
    /// These certificate authorities only.
    Authorities(RootCertStore),
    /// Anybody: nothing but eavesdropping by bystanders is prevented.
    Anybody,
}

/// Returns a master's TLS with a certificate made for these host names and addresses: code 1.
///
/// # Errors
/// [`TlsError::Generate`].
pub fn self_signed(names: &[String]) -> Result<Arc<ServerConfig>, TlsError> {
    let made = generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|problem| rustls::Error::General(problem.to_owned()))?;
    server(vec![made.cert.into()], key)
}

/// Returns a master's TLS with the certificate, the chain behind it, and the key of two PEM files: code 2.
///
/// # Errors
/// Every [`TlsError`] but [`TlsError::Generate`]. A real master goes on with code 1 then.
pub fn from_files(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File(key.to_owned(), error))?;
    server(chain, key)
}

/// Returns the certificate authorities of a PEM file.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::NoCertificate`], [`TlsError::Unusable`].
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Returns a client's TLS. It offers no protocol by ALPN; whoever speaks more than HTTP/1.1 adds them.
#[must_use]
pub fn client(trust: Trust) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions");
    match trust {
        Trust::System => builder.with_root_certificates(system_authorities()).with_no_client_auth(),
        Trust::Authorities(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        Trust::Anybody => {
            let algorithms = provider().signature_verification_algorithms;
            let verifier = Arc::new(AcceptAnybody(algorithms));
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    }
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

/// Returns the one cryptography provider of the programs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates = read().map_err(|error| TlsError::File(path.to_owned(), error))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of the system could not be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

/// Takes any certificate; who has it must still have its key.
#[derive(Debug)]
struct AcceptAnybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
