//! Which call travels how.

use core_node_proto::Method;
use std::collections::BTreeSet;

#[test]
fn the_seven_grpc_calls_are_methods_of_the_node_service() {
    let paths: Vec<_> = Method::ALL.into_iter().filter_map(Method::grpc_path).collect();
    assert_eq!(
        paths,
        [
            "/nodeservice.NodeService/Heartbeat",
            "/nodeservice.NodeService/ReportUsage",
            "/nodeservice.NodeService/ReportOutboundUsage",
            "/nodeservice.NodeService/GetLatestConfig",
            "/nodeservice.NodeService/ConfirmConfigApplied",
            "/nodeservice.NodeService/ReportNodeStats",
            "/nodeservice.NodeService/ReportOnlineUsers",
        ]
    );
}

#[test]
fn the_grpc_paths_are_those_of_the_schema() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let files = protox::compile(["node-service.proto"], [folder]).expect("the schema compiles").file;
    let file = files.first().expect("there is one file");
    let service = file.service.first().expect("there is one service");
    let of_schema: BTreeSet<_> = service
        .method
        .iter()
        .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name()))
        .collect();
    let ours: BTreeSet<_> = Method::ALL.into_iter().filter_map(Method::grpc_path).map(String::from).collect();
    assert_eq!(ours, of_schema);
    assert!(service.method.iter().all(|method| !method.client_streaming() && !method.server_streaming()));
}

#[test]
fn registration_session_events_and_errors_travel_over_http_only() {
    let http_only: Vec<_> = Method::ALL.into_iter().filter(|method| method.grpc_path().is_none()).collect();
    assert_eq!(http_only, [Method::Register, Method::ReportSessionEvents, Method::ReportError]);
    assert_eq!(Method::Register.http_route(), Some(("POST", "/node/register")));
    assert_eq!(Method::ReportSessionEvents.http_route(), Some(("POST", "/node/session-events")));
    assert_eq!(Method::ReportError.http_route(), Some(("POST", "/node/error")));
}

#[test]
fn statistics_and_online_users_travel_over_grpc_only() {
    let grpc_only: Vec<_> = Method::ALL.into_iter().filter(|method| method.http_route().is_none()).collect();
    assert_eq!(grpc_only, [Method::ReportNodeStats, Method::ReportOnlineUsers]);
}

#[test]
fn five_calls_have_both_a_grpc_method_and_an_http_route() {
    let both: Vec<_> =
        Method::ALL.into_iter().filter_map(|method| method.grpc_path().and(method.http_route())).collect();
    assert_eq!(
        both,
        [
            ("POST", "/node/heartbeat"),
            ("POST", "/node/usage"),
            ("POST", "/node/outbound-usage"),
            ("GET", "/node/config/latest"),
            ("POST", "/node/config/applied"),
        ]
    );
}

#[test]
fn paths_and_routes_lead_back_to_their_call() {
    for method in Method::ALL {
        if let Some(path) = method.grpc_path() {
            assert_eq!(Method::from_grpc_path(path), Some(method));
        }
        if let Some((verb, path)) = method.http_route() {
            assert_eq!(Method::from_http_route(verb, path), Some(method));
        }
    }
}

#[test]
fn other_spellings_lead_to_no_call() {
    for path in ["", "Heartbeat", "/nodeservice.NodeService/heartbeat", "/nodeservice.NodeService/Heartbeat/"]
    {
        assert_eq!(Method::from_grpc_path(path), None, "{path}");
    }
    assert_eq!(Method::from_http_route("GET", "/node/heartbeat"), None);
    assert_eq!(Method::from_http_route("post", "/node/heartbeat"), None);
    assert_eq!(Method::from_http_route("POST", "/node/heartbeat/"), None);
}
