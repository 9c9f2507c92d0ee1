//! The stubs of the feature `grpc`: a client and a server joined without a network.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use core_node_proto::call::{Call, Credential, Incoming, KeyPlacement, Refusal, Reply};
use core_node_proto::grpc::node_service_client::NodeServiceClient;
use core_node_proto::grpc::node_service_server::{NodeService, NodeServiceServer};
use core_node_proto::grpc::{self, KEY_HEADER};
use core_node_proto::message::{Heartbeat, HeartbeatReply};
use core_node_proto::pb::*;
use core_node_proto::value::Revision;
use core_node_proto::{Method, Secret};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tonic::{Request, Response, Status, async_trait};

/// Answers heartbeats by the binding; nothing else is asked for here.
struct Core;

#[async_trait]
impl NodeService for Core {
    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        let message = prost::Message::encode_to_vec(request.get_ref());
        let headers = request.metadata().clone().into_headers();
        let path = "/nodeservice.NodeService/Heartbeat";
        let Incoming { method, credential, .. } =
            grpc::read_request(path, &headers, message.clone().into()).unwrap();
        assert_eq!((method, grpc::decode(method, &message).unwrap().1), (Method::Heartbeat, None));
        assert_eq!(credential, Credential::Key(Secret::new("k3y")));
        Ok(Response::new(HeartbeatResponse { ok: true, need_sync: true }))
    }

    async fn report_usage(
        &self,
        _: Request<ReportUsageRequest>,
    ) -> Result<Response<ReportUsageResponse>, Status> {
        let (code, text) = grpc::status(&Refusal::Unavailable);
        Err(Status::new(code.number().into(), text))
    }

    async fn report_outbound_usage(
        &self,
        _: Request<ReportOutboundUsageRequest>,
    ) -> Result<Response<ReportOutboundUsageResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_latest_config(
        &self,
        _: Request<GetLatestConfigRequest>,
    ) -> Result<Response<GetLatestConfigResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn confirm_config_applied(
        &self,
        _: Request<ConfirmConfigAppliedRequest>,
    ) -> Result<Response<ConfirmConfigAppliedResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_node_stats(
        &self,
        _: Request<ReportNodeStatsRequest>,
    ) -> Result<Response<ReportNodeStatsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_online_users(
        &self,
        _: Request<ReportOnlineUsersRequest>,
    ) -> Result<Response<ReportOnlineUsersResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// Runs what never waits for anything outside.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("it waits");
}

#[test]
fn stubs_carry_the_messages_of_the_binding() {
    let heartbeat = Call::Heartbeat(Heartbeat { ip: None, revision: Revision::new(5).ok() });
    let request = grpc::request(&heartbeat, Some(&Secret::new("k3y")), KeyPlacement::Metadata).unwrap();
    let message: HeartbeatRequest = prost::Message::decode(request.message).unwrap();
    let mut call = Request::new(message);
    let key = request.metadata.unwrap().to_str().unwrap().parse().unwrap();
    call.metadata_mut().insert(KEY_HEADER, key);
    let mut client = NodeServiceClient::new(NodeServiceServer::new(Core));
    let response = run(client.heartbeat(call)).unwrap();
    let reply = grpc::read_reply(Method::Heartbeat, &prost::Message::encode_to_vec(response.get_ref()));
    assert_eq!(reply, Ok(Reply::Heartbeat(HeartbeatReply { ok: true, need_sync: true })));
}

#[test]
fn a_refusal_arrives_with_its_code() {
    let mut client = NodeServiceClient::new(NodeServiceServer::new(Core));
    let status = run(client.report_usage(ReportUsageRequest::default())).unwrap_err();
    assert_eq!((status.code(), status.message()), (tonic::Code::Unavailable, "unavailable"));
}
