//! Calls a second over gRPC: the same load on our program, on a Core on grpc-js, and on a server that does nothing.

use core_node_proto::grpc::node_service_client::NodeServiceClient;
use core_node_proto::pb::HeartbeatRequest;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

/// Calls that are under way at once, over one connection.
const AT_ONCE: usize = 32;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(4);

/// The nanoseconds that a heartbeat takes at each of them.
pub(crate) struct Figures {
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    pub(crate) limit: f64,
}

/// Measures all three; `None` where the programs are not at hand: `SCOREBOARD_CORE_SERVER` is ours, `SCOREBOARD_GRPC_JS`
/// the folder of the other, as `cargo xtask scoreboard` sets them.
pub(crate) fn compare() -> Option<Figures> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let (ours, peer) = (path("SCOREBOARD_CORE_SERVER")?, path("SCOREBOARD_GRPC_JS")?);
    let anywhere =
        ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--test-control", "127.0.0.1:0", "--json"];
    let mut command = Command::new(ours);
    command.args(anywhere);
    let ours = Program::start(command, |line| line["grpc"].as_str()?.parse().ok()).measure();
    let mut command = Command::new("node");
    command.arg(peer.join("core.mjs"));
    command.envs([("GRPC_PORT", "0"), ("HTTP_PORT", "0"), ("CONTROL_PORT", "0")]);
    let port = |line: &serde_json::Value| u16::try_from(line["grpc"].as_u64()?).ok();
    let peer =
        Program::start(command, |line| Some(SocketAddr::from(([127, 0, 0, 1], port(line)?)))).measure();
    Some(Figures { ours, peer, limit: nothing() })
}

/// A program that was started here, and ends with this.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(mut command: Command, address: impl Fn(&serde_json::Value) -> Option<SocketAddr>) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("in a line");
        std::thread::spawn(move || lines.for_each(drop)); // else it would wait for a reader
        let first = serde_json::from_str(&first).expect("in JSON");
        Self { child, address: address(&first).expect("with an address") }
    }

    fn measure(self) -> f64 {
        runtime().block_on(load(self.address))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Returns the nanoseconds from one answer to the next.
async fn load(address: SocketAddr) -> f64 {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let channel = endpoint.connect().await.expect("it listens");
    hammer(channel.clone(), WARM_UP).await;
    let start = Instant::now();
    let calls = hammer(channel, MEASURED).await;
    start.elapsed().as_secs_f64() * 1e9 / calls as f64
}

/// Calls for so long, and returns how often it was answered.
async fn hammer(channel: Channel, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let mut client = NodeServiceClient::new(channel.clone());
        callers.spawn(async move {
            let mut calls = 0;
            while Instant::now() < end {
                let mut request =
                    tonic::Request::new(HeartbeatRequest { revision: Some(5), ..Default::default() });
                let key = AsciiMetadataValue::from_static("key-node-1");
                request.metadata_mut().insert("x-node-auth-key", key);
                let reply = client.heartbeat(request).await.expect("a heartbeat is taken").into_inner();
                assert!(reply.ok, "a refusal is no answer");
                calls += 1;
            }
            calls
        });
    }
    callers.join_all().await.into_iter().sum()
}

/// The same load on an empty handler.
fn nothing() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(empty::serve(listener))
    });
    runtime().block_on(load(address))
}

mod empty {
    use core_node_proto::grpc::node_service_server::{NodeService, NodeServiceServer};
    use core_node_proto::pb;
    use tonic::{Request, Response, Status};

    struct Empty;

    pub(super) async fn serve(listener: std::net::TcpListener) {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = tonic::transport::Server::builder().add_service(NodeServiceServer::new(Empty));
        server.serve_with_incoming(incoming).await.expect("it serves until the end");
    }

    #[tonic::async_trait]
    impl NodeService for Empty {
        async fn heartbeat(
            &self,
            _: Request<pb::HeartbeatRequest>,
        ) -> Result<Response<pb::HeartbeatResponse>, Status> {
            Ok(Response::new(pb::HeartbeatResponse { ok: true, need_sync: false }))
        }

        async fn report_usage(
            &self,
            _: Request<pb::ReportUsageRequest>,
        ) -> Result<Response<pb::ReportUsageResponse>, Status> {
            Err(Status::unimplemented(""))
        }

        async fn report_outbound_usage(
            &self,
            _: Request<pb::ReportOutboundUsageRequest>,
        ) -> Result<Response<pb::ReportOutboundUsageResponse>, Status> {
            Err(Status::unimplemented(""))
        }

        async fn get_latest_config(
            &self,
            _: Request<pb::GetLatestConfigRequest>,
        ) -> Result<Response<pb::GetLatestConfigResponse>, Status> {
            Err(Status::unimplemented(""))
        }

        async fn confirm_config_applied(
            &self,
            _: Request<pb::ConfirmConfigAppliedRequest>,
        ) -> Result<Response<pb::ConfirmConfigAppliedResponse>, Status> {
            Err(Status::unimplemented(""))
        }

        async fn report_node_stats(
            &self,
            _: Request<pb::ReportNodeStatsRequest>,
        ) -> Result<Response<pb::ReportNodeStatsResponse>, Status> {
            Err(Status::unimplemented(""))
        }

        async fn report_online_users(
            &self,
            _: Request<pb::ReportOnlineUsersRequest>,
        ) -> Result<Response<pb::ReportOnlineUsersResponse>, Status> {
            Err(Status::unimplemented(""))
        }
    }
}
