//! What a provider knows about the addresses of users, with a provider on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use core_example::links::Links;
use core_node_proto::Secret;
use core_node_proto::call::{Call, Link};
use core_node_proto::core::Event;
use core_node_proto::core::enrichment::{self, Job, Provider};
use core_node_proto::message::{OnlineIp, OnlineUser, OnlineUsers};
use core_node_proto::value::{NodeProtocolId, UserId};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use support::{CoreSettings, RunningCore, links, within};
use tokio::net::TcpListener;

/// Answers batches as ip-api.com does.
async fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                assert_eq!(request.uri().path(), "/batch");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let asked: Vec<Value> = serde_json::from_slice(&body).unwrap();
                let answer = |asked: &Value| {
                    let address = asked["query"].as_str().or(asked.as_str()).unwrap();
                    json!({"status": "success", "country": "Germany", "query": address})
                };
                let answer = Value::Array(asked.iter().map(answer).collect()).to_string();
                Ok::<_, Infallible>(http::Response::new(Full::new(bytes::Bytes::from(answer))))
            });
            let io = TokioIo::new(socket);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

async fn see(links: &Links, ip: &str) {
    let ips = vec![OnlineIp { ip: ip.parse().unwrap(), last_seen: None }];
    let user = OnlineUser { user_id: UserId::new(12).unwrap(), node_protocol_id: NodeProtocolId::new(6).unwrap(), ips };
    let call = Call::ReportOnlineUsers(OnlineUsers { users: vec![user], unreadable: 0 });
    within(links.call(Link::Grpc, &call, Some(&Secret::new("key-node-1")))).await.unwrap();
}

#[tokio::test]
async fn addresses_of_users_are_looked_up_and_stored() {
    let provider = provider().await;
    let mut core = RunningCore::start_with(CoreSettings::default(), |config| {
        let mut enrichment = enrichment::Config::new(Provider::IpApi, None);
        enrichment.base = Some(format!("http://{provider}").parse().unwrap());
        config.enrichment = Some(enrichment);
    })
    .await;
    let links = links(core.http, core.grpc);
    for ip in ["8.8.8.8", "2a00:1450:4001::1", "192.168.1.1"] {
        see(&links, ip).await;
    }
    core.handle.order(|role, now| role.core.start_enrichment(Job::Recent, now)).await.unwrap().unwrap();
    let report = within(async {
        loop {
            if let Event::Enriched(report) = core.events.recv().await.unwrap() {
                return report;
            }
        }
    })
    .await;
    assert_eq!((report.job, report.stored, report.is_complete), (Job::Recent, 2, true));
    let tables = serde_json::to_string(&core.tables().await).unwrap();
    assert_eq!(tables.matches("Germany").count(), 2, "{tables}");
}
