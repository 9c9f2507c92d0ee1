//! The messages of the gRPC service as `prost` types, made from `proto/node-service.proto`. §5.
//!
//! | message | role |
//! | --- | --- |
//! | [`HeartbeatRequest`], [`HeartbeatResponse`] | the node is alive; Core says whether to fetch the configuration |
//! | [`ReportUsageRequest`] of [`UsageEntry`], [`ReportUsageResponse`] | traffic of users, as increments |
//! | [`ReportOutboundUsageRequest`] of [`OutboundUsageItem`], [`ReportOutboundUsageResponse`] | traffic of outbounds, as increments |
//! | [`GetLatestConfigRequest`], [`GetLatestConfigResponse`] | the whole configuration, its structured parts as JSON text |
//! | [`ConfirmConfigAppliedRequest`], [`ConfirmConfigAppliedResponse`] | a revision is in use |
//! | [`ReportNodeStatsRequest`] with [`SystemStats`] and [`XrayStats`], [`ReportNodeStatsResponse`] | state of the machine and its proxies |
//! | [`ReportOnlineUsersRequest`] of [`OnlineUser`] with [`OnlineIp`], [`ReportOnlineUsersResponse`] | who is connected, from where |
//!
//! The service's original schema is not public. **Known** are the names of service, methods and fields, which fields may be
//! missing, and that the `…_json` parts are text. **Assumed** are every field number and the types of numbers and
//! instants; `lastSeen` of [`OnlineIp`] is the least certain. If the real schema differs, a wrong number makes a value
//! look missing, and a wrong type fails the call (§14).
//!
//! Decoding refuses a known field of another wire type, a truncated message and text that is not UTF-8 (§5.10); it skips
//! unknown fields, and of a scalar that comes twice the last one counts. An integer too large for its 32-bit field loses its
//! upper bits, so values are checked afterwards; [`grpc`](crate::grpc) does that. Encoding leaves out a scalar
//! that is zero or empty unless the field is an `Option`, as all are that a node writes, keys apart: a Core that takes a
//! missing scalar for undefined then reads 0 (§5.9). `Some(0)` is written, `None` is not, and both mean the same.
//!
//! `Debug` of the requests and of the configuration shows ids and sizes; keys and JSON texts stay hidden.

pub use crate::generated::*;

use crate::grpc::fields::Text;
use std::fmt;

impl fmt::Debug for HeartbeatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatRequest")
            .field("revision", &self.revision)
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReportUsageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportUsageRequest").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReportOutboundUsageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportOutboundUsageRequest").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for GetLatestConfigRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetLatestConfigRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for GetLatestConfigResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetLatestConfigResponse")
            .field("revision", &self.revision)
            .field("client_map_json", &self.client_map_json.text().len())
            .field("mtproto_client_map_json", &self.mtproto_client_map_json.text().len())
            .field("services_json", &self.services_json.text().len())
            .finish()
    }
}

impl fmt::Debug for ConfirmConfigAppliedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfirmConfigAppliedRequest")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReportNodeStatsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportNodeStatsRequest")
            .field("system", &self.system)
            .field("xray", &self.xray)
            .field("mtproto_json", &self.mtproto_json.text().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReportOnlineUsersRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportOnlineUsersRequest").field("users", &self.users.len()).finish_non_exhaustive()
    }
}
