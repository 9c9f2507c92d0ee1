//! HTTPS and the fallback from it, with real certificates on loopback.

mod support;

use ithiltir_example::client::Client;
use ithiltir_example::{node_driver, probe};
use ithiltir_proto::node::{Config, DeliveryError, Event, Node};
use ithiltir_proto::{CertificateProblem, ExpiryProbe, FailureKind, ProbeOutcome};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::{quick, samples, target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use web_time::Instant;

/// An authority whose certificate is valid for a long time, on both sides.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[derive(Clone, Copy)]
struct Leaf {
    name: &'static str,
    from: i32,
    until: i32,
}

const GOOD: Leaf = Leaf { name: "localhost", from: 2001, until: 2098 };

/// A server that speaks TLS with this certificate, and plain HTTP to who starts without TLS on the same port.
async fn server(issuer: &CertifiedIssuer<'static, KeyPair>, leaf: Leaf) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![leaf.name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(leaf.from, 1, 1);
    params.not_after = date_time_ymd(leaf.until, 1, 1);
    let certificate = params.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut first = [0];
                let _ = socket.peek(&mut first).await;
                if first == [22] {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        answer(stream).await;
                    }
                } else {
                    answer(socket).await;
                }
            });
        }
    });
    address
}

async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut request = Vec::new();
    while !String::from_utf8_lossy(&request).contains("}}") {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}

fn trusting(issuer: &CertifiedIssuer<'static, KeyPair>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    Client::with_roots(roots)
}

/// Runs a node until a report was accepted or the third one was not.
async fn run(
    host: &str,
    address: SocketAddr,
    client: Client,
    adjust: impl FnOnce(&mut Config),
) -> Vec<Event> {
    let url = format!("https://{host}:{}/metrics", address.port());
    let mut config = quick(vec![target(&url)]);
    adjust(&mut config);
    let node = Node::new(config, Instant::now()).unwrap();
    let (_keep, samples) = samples();
    let mut events = Vec::new();
    let run = node_driver::run(node, client, samples, |_, event| {
        events.push(event.clone());
        !matches!(event, Event::Round { succeeded: 1, .. } | Event::Round { number: 3.., .. })
    });
    tokio::time::timeout(Duration::from_secs(30), run).await.expect("it takes too long");
    events
}

fn fell_back(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::FellBack { .. }))
}

fn accepted(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Report { outcome: Ok(()), .. }))
}

fn certificate_problem(events: &[Event]) -> Option<CertificateProblem> {
    events.iter().find_map(|event| match event {
        Event::Report {
            outcome: Err(DeliveryError::Transport(FailureKind::Certificate(problem))), ..
        } => Some(*problem),
        _ => None,
    })
}

#[tokio::test]
async fn a_trusted_certificate_keeps_tls() {
    let issuer = authority();
    let address = server(&issuer, GOOD).await;
    let events = run("localhost", address, trusting(&issuer), |_| {}).await;
    assert!(accepted(&events) && !fell_back(&events), "{events:?}");
}

#[tokio::test]
async fn an_address_with_an_untrusted_certificate_falls_back() {
    let address = server(&authority(), GOOD).await;
    let events = run("127.0.0.1", address, trusting(&authority()), |_| {}).await;
    assert!(accepted(&events) && fell_back(&events), "{events:?}");
}

#[tokio::test]
async fn a_name_with_an_untrusted_certificate_stays() {
    let address = server(&authority(), GOOD).await;
    let events = run("localhost", address, trusting(&authority()), |_| {}).await;
    assert!(!accepted(&events) && !fell_back(&events), "{events:?}");
    assert_eq!(certificate_problem(&events), Some(CertificateProblem::UnknownAuthority));
}

#[tokio::test]
async fn a_name_with_the_wrong_certificate_stays() {
    let issuer = authority();
    let address = server(&issuer, Leaf { name: "elsewhere.example", ..GOOD }).await;
    let events = run("localhost", address, trusting(&issuer), |_| {}).await;
    assert!(!accepted(&events) && !fell_back(&events), "{events:?}");
    assert_eq!(certificate_problem(&events), Some(CertificateProblem::NameMismatch));
}

#[tokio::test]
async fn an_expired_certificate_that_was_good_falls_back() {
    let issuer = authority();
    let address = server(&issuer, Leaf { until: 2020, ..GOOD }).await;
    let events = run("localhost", address, trusting(&issuer), |_| {}).await;
    assert!(accepted(&events) && fell_back(&events), "{events:?}");
}

#[tokio::test]
async fn nothing_falls_back_where_https_is_required() {
    let issuer = authority();
    let address = server(&issuer, Leaf { until: 2020, ..GOOD }).await;
    let events = run("localhost", address, trusting(&issuer), |config| config.require_https = true).await;
    assert!(!accepted(&events) && !fell_back(&events), "{events:?}");
    assert_eq!(certificate_problem(&events), Some(CertificateProblem::Expired));
}

#[tokio::test]
async fn a_probe_tells_expired_certificates_apart() {
    let issuer = authority();
    let roots = trusting(&issuer).roots();
    let expired = Leaf { until: 2020, ..GOOD };
    let wrong_name = Leaf { name: "elsewhere.example", ..expired };
    let not_yet = Leaf { from: 2097, ..GOOD };
    for (signer, leaf, outcome) in [
        (&issuer, expired, ProbeOutcome::FormerlyGood),
        (&issuer, wrong_name, ProbeOutcome::NeverGood),
        (&authority(), expired, ProbeOutcome::NeverGood),
        (&issuer, not_yet, ProbeOutcome::NotExpired),
        (&issuer, GOOD, ProbeOutcome::NotExpired),
    ] {
        let address = server(signer, leaf).await;
        let asked = ExpiryProbe::new("localhost", address.port());
        assert_eq!(probe::probe(&asked, roots.clone()).await, outcome);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let asked = ExpiryProbe::new("localhost", nobody.port());
    assert_eq!(probe::probe(&asked, roots).await, ProbeOutcome::NoAnswer);
}
