//! TLS of both roles over loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use nodepass_example::tls::{self, PROTOCOLS, TlsError, Trust};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use support::{LIMIT, exchange, pem, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Serves connections that say `hello`.
async fn serve(config: Arc<rustls::ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(config);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Some(mut stream) = tls::accept(stream, &acceptor, LIMIT).await {
                    let _ = stream.write_all(b"hello").await; // an error: it is gone
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

/// Returns what the server says, the protocol that was chosen, and the version of TLS.
async fn greet(
    address: SocketAddr,
    mut config: rustls::ClientConfig,
    offered: &[&[u8]],
) -> std::io::Result<(String, Option<Vec<u8>>, Option<ProtocolVersion>)> {
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await?;
    let mut said = String::new();
    within(stream.read_to_string(&mut said)).await?;
    let (_, connection) = stream.get_ref();
    Ok((said, connection.alpn_protocol().map(<[u8]>::to_vec), connection.protocol_version()))
}

/// Writes a certificate for `localhost` and its key.
fn files(folder: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, pem("CERTIFICATE", made.cert.der())).unwrap();
    fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    (certificate, key)
}

#[tokio::test]
async fn a_certificate_made_in_memory_is_taken_by_who_takes_any() {
    let address = serve(tls::self_signed(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()).await;
    let (said, protocol, version) = greet(address, tls::client(Trust::Anybody), &PROTOCOLS).await.unwrap();
    assert_eq!((said.as_str(), protocol.as_deref()), ("hello", Some(&b"h2"[..])));
    assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
    let (_, protocol, _) = greet(address, tls::client(Trust::Anybody), &[b"http/1.1"]).await.unwrap();
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    let (_, protocol, _) = greet(address, tls::client(Trust::Anybody), &[]).await.unwrap();
    assert_eq!(protocol, None);
    assert!(greet(address, tls::client(Trust::System), &PROTOCOLS).await.is_err());
}

#[tokio::test]
async fn a_certificate_from_files_is_taken_by_who_trusts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = files(&folder);
    let address = serve(tls::from_files(&certificate, &key).unwrap()).await;
    let trust = Trust::Authorities(tls::authorities(&certificate).unwrap());
    let (said, protocol, _) = greet(address, tls::client(trust), &PROTOCOLS).await.unwrap();
    assert_eq!((said.as_str(), protocol.as_deref()), ("hello", Some(&b"h2"[..])));
    // The same name with another key.
    let other = tempfile::tempdir().unwrap();
    let trust = Trust::Authorities(tls::authorities(&files(&other).0).unwrap());
    assert!(greet(address, tls::client(trust), &PROTOCOLS).await.is_err());
}

#[tokio::test]
async fn nothing_older_than_1_3_is_spoken() {
    let address = serve(tls::self_signed(&[]).unwrap()).await;
    let config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let error = greet(address, config, &[]).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn a_request_without_tls_is_told_so() {
    let address = serve(tls::self_signed(&["localhost".to_owned()]).unwrap()).await;
    let answer = exchange(address, b"GET /api/v1/info HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = files(&folder);
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let other = tempfile::tempdir().unwrap();
    let (_, other_key) = files(&other);
    let fail = |certificate: &PathBuf, key: &PathBuf| tls::from_files(certificate, key).unwrap_err();
    let error = fail(&missing, &key);
    assert!(matches!(error, TlsError::File(..)) && error.to_string().contains("missing.pem"), "{error}");
    assert!(matches!(fail(&empty, &key), TlsError::NoCertificate(_)));
    assert!(matches!(fail(&certificate, &empty), TlsError::File(..)));
    assert!(matches!(fail(&certificate, &other_key), TlsError::Unusable(_)));
    assert!(matches!(tls::authorities(&key), Err(TlsError::NoCertificate(_))));
}
