//! Updates carried out on a real file system, from a real server, in both layouts.

mod support;

use ithiltir_example::client::Client;
use ithiltir_example::installer::{carry_out, install, native};
use ithiltir_example::node_driver;
use ithiltir_proto::node::{Event, Node, Output, Update, UpdateError};
use ithiltir_proto::update::{DownloadError, Layout, Restart, StagedUpdate};
use ithiltir_proto::wire::{Manifest, MetricsResponse, encode};
use rustls::RootCertStore;
use sha2::{Digest as _, Sha256};
use std::future::{pending, ready};
use std::path::Path;
use std::time::Duration;
use support::{answering, quick, samples, target};
use web_time::Instant;

const FILE: &[u8] = b"#!/bin/sh\nexit 0\n";

fn manifest(url: String) -> Manifest {
    let sha256 = hex::encode(Sha256::digest(FILE));
    Manifest { id: "9.9.9".into(), version: "9.9.9".into(), url, sha256, size: FILE.len() as i64 }
}

fn client() -> Client {
    Client::with_roots(RootCertStore::empty())
}

/// Lets a node decide to install a release.
async fn update(layout: Layout, manifest: Manifest) -> Update {
    let body = encode(&MetricsResponse { ok: true, update: Some(manifest) });
    let dash = answering(200, &[("content-type", "application/json")], body).await;
    let mut config = quick(vec![target(&format!("http://{dash}/metrics"))]);
    config.update.layout = Some(layout);
    let mut node = Node::new(config, Instant::now()).unwrap();
    node.record(&support::sample().report, Instant::now());
    loop {
        while let Some(output) = node.poll_output() {
            match output {
                Output::Request { id, request } => match client().exchange(request, 1 << 20).await {
                    Ok(response) => node.handle_response(id, response, Instant::now()),
                    Err(failure) => node.handle_failure(id, failure, Instant::now()),
                },
                Output::Update { update, .. } => return *update,
                _ => {}
            }
        }
        let wait = node.poll_timeout().unwrap().saturating_duration_since(Instant::now());
        tokio::time::sleep(wait).await;
        node.handle_timeout(Instant::now());
    }
}

fn releases(folder: &Path) -> Layout {
    Layout::Releases { data_directory: folder.to_str().unwrap().to_owned(), active: "0.2.3".into() }
}

#[tokio::test]
async fn a_node_installs_a_release_and_ends_for_its_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = answering(200, &[], FILE).await;
    let answer = MetricsResponse { ok: true, update: Some(manifest(format!("http://{deploy}/node"))) };
    let dash = answering(200, &[("content-type", "application/json")], encode(&answer)).await;
    let mut config = quick(vec![target(&format!("http://{dash}/metrics"))]);
    config.update.layout = Some(releases(folder.path()));
    let node = Node::new(config, Instant::now()).unwrap();
    let (_keep, samples) = samples();
    let mut updated = false;
    let run = node_driver::run(node, client(), samples, |_, event| {
        updated |= matches!(event, Event::Updated { .. });
        true
    });
    let restart = tokio::time::timeout(Duration::from_secs(30), run).await.unwrap();
    assert_eq!(restart, Some(Restart::Exit));
    assert!(updated);
    assert_eq!(std::fs::read(folder.path().join("current/ithiltir-node")).unwrap(), FILE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let link = std::fs::read_link(folder.path().join("current")).unwrap();
        assert_eq!(link, folder.path().join("releases/9.9.9"));
        let mode = std::fs::metadata(link.join("ithiltir-node")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }
}

#[tokio::test]
async fn a_wrong_file_leaves_nothing_behind() {
    for (status, body, error) in [
        (200, b"#!/bin/sh\nexit 1\n".to_vec(), DownloadError::Digest),
        (200, FILE[1..].to_vec(), DownloadError::TooShort { received: 16, promised: 17 }),
        (200, [FILE, b"!"].concat(), DownloadError::TooLong { promised: 17 }),
        (404, FILE.to_vec(), DownloadError::Status(http::StatusCode::NOT_FOUND)),
        (302, FILE.to_vec(), DownloadError::Status(http::StatusCode::FOUND)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let deploy = answering(status, &[("location", "http://127.0.0.1:1/")], body).await;
        let update = update(releases(folder.path()), manifest(format!("http://{deploy}/node"))).await;
        assert_eq!(install(&client(), update, pending()).await, Err(UpdateError::Download(error)));
        let left: Vec<_> = std::fs::read_dir(folder.path().join("releases")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!folder.path().join("current").exists());
    }
}

#[tokio::test]
async fn a_cancelled_update_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/node", silent.local_addr().unwrap());
    let update = update(releases(folder.path()), manifest(url)).await;
    assert_eq!(install(&client(), update, ready(())).await, Err(UpdateError::TimedOut));
    assert_eq!(std::fs::read_dir(folder.path().join("releases")).unwrap().count(), 0);
}

#[tokio::test]
async fn on_windows_the_files_are_staged_and_the_runner_puts_them_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    let deploy = answering(200, &[], FILE).await;
    let layout = Layout::Runner { data_directory: data.clone() };
    let update = update(layout, manifest(format!("http://{deploy}/node?upgrade_token=t"))).await;
    assert_eq!(install(&client(), update, pending()).await, Ok(Restart::Exit));

    let staging = folder.path().join("staging");
    let mut names: Vec<_> =
        std::fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["ithiltir-node.exe.new", "manifest.json"]);
    let staged = std::fs::read(native(&StagedUpdate::executable_path(&data))).unwrap();
    let text = std::fs::read(native(&StagedUpdate::manifest_path(&data))).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains(support::KEY));

    std::fs::create_dir(folder.path().join("bin")).unwrap();
    std::fs::write(folder.path().join("bin/ithiltir-node.exe"), b"old").unwrap();
    let installation = StagedUpdate::from_manifest(&text).unwrap().apply(&staged, &data).unwrap();
    for step in installation.steps.iter().chain(&installation.afterwards) {
        carry_out(step).await.unwrap();
    }
    assert_eq!(std::fs::read(folder.path().join("bin/ithiltir-node.exe")).unwrap(), FILE);
    assert_eq!(std::fs::read_dir(folder.path().join("bin")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
}
