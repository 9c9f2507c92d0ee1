//! TLS of both roles: certificates, and whom a client trusts. TLS is that of rustls on ring.

use rcgen::generate_simple_self_signed;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// A certificate with the chain behind it, and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    /// Makes a certificate for these host names and addresses; nobody but itself vouches for it.
    ///
    /// # Errors
    /// [`TlsError::Generate`].
    pub fn self_signed(names: &[String]) -> Result<Self, TlsError> {
        let made = generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let key = key.map_err(|problem| rustls::Error::General(problem.to_owned()))?;
        Ok(Self { chain: vec![made.cert.into()], key })
    }

    /// Reads two PEM files.
    ///
    /// # Errors
    /// [`TlsError::File`], [`TlsError::NoCertificate`].
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File(key.to_owned(), error))?;
        Ok(Self { chain, key })
    }

    /// Returns the certificate authorities that vouch for it: its own chain.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn authorities(&self) -> Result<RootCertStore, TlsError> {
        store(self.chain.clone())
    }

    /// Returns a server's TLS that offers `protocols`, the one it likes best first.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn server(
        self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

/// Returns the certificate authorities of a PEM file.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::NoCertificate`], [`TlsError::Unusable`].
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    store(certificates(path)?)
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

/// Returns the certificate authorities of the system; one that cannot be read is a warning.
#[must_use]
pub fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of the system could not be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
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

fn store(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
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
