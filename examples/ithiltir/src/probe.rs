//! Looks at an expired certificate: was it good until it expired?

use ithiltir_proto::wire::Timestamp;
use ithiltir_proto::{ExpiryProbe, ProbeOutcome, verification_time};
use program::tls::{self, Trust};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Answers a probe. No byte but those of the handshake is sent.
pub async fn probe(probe: &ExpiryProbe, roots: Arc<RootCertStore>) -> ProbeOutcome {
    let Ok(name) = ServerName::try_from(probe.host.clone()) else {
        return ProbeOutcome::NoAnswer;
    };
    match served_chain(probe, &name).await {
        Some(chain) => judge(&chain, &name, roots, SystemTime::now()),
        None => ProbeOutcome::NoAnswer,
    }
}

async fn served_chain(
    probe: &ExpiryProbe,
    name: &ServerName<'static>,
) -> Option<Vec<CertificateDer<'static>>> {
    let socket = TcpStream::connect((&*probe.host, probe.port)).await.ok()?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls::client(Trust::Anybody)));
    let stream = connector.connect(name.clone(), socket).await.ok()?;
    Some(
        stream
            .get_ref()
            .1
            .peer_certificates()?
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect(),
    )
}

fn judge(
    chain: &[CertificateDer<'static>],
    name: &ServerName<'_>,
    roots: Arc<RootCertStore>,
    wall_clock: SystemTime,
) -> ProbeOutcome {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return ProbeOutcome::NoAnswer;
    };
    let Some((not_before, not_after)) = validity(leaf) else {
        return ProbeOutcome::NoAnswer;
    };
    let Some(at) = verification_time(not_before, not_after, Timestamp::from_system_time(wall_clock)) else {
        return ProbeOutcome::NotExpired;
    };
    let since_epoch = Duration::from_secs(u64::try_from(at.unix_seconds()).unwrap_or_default());
    let at = UnixTime::since_unix_epoch(since_epoch);
    let verified = WebPkiServerVerifier::builder_with_provider(roots, tls::provider())
        .build()
        .ok()
        .and_then(|verifier| verifier.verify_server_cert(leaf, intermediates, name, &[], at).ok());
    if verified.is_some() { ProbeOutcome::FormerlyGood } else { ProbeOutcome::NeverGood }
}

fn validity(leaf: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let validity = Certificate::from_der(leaf).ok()?.tbs_certificate.validity;
    let instant = |time: x509_cert::time::Time| {
        Timestamp::from_unix(i64::try_from(time.to_unix_duration().as_secs()).ok()?, 0).ok()
    };
    Some((instant(validity.not_before)?, instant(validity.not_after)?))
}
