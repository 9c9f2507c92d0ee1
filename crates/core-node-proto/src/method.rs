//! The calls of the protocol and how each travels. §1.6, §5.

/// A call of a node to Core.
///
/// | call | gRPC method | HTTP route |
/// | --- | --- | --- |
/// | [`Register`](Self::Register) | – | `POST /node/register` |
/// | [`Heartbeat`](Self::Heartbeat) | `Heartbeat` | `POST /node/heartbeat` |
/// | [`ReportUsage`](Self::ReportUsage) | `ReportUsage` | `POST /node/usage` |
/// | [`ReportOutboundUsage`](Self::ReportOutboundUsage) | `ReportOutboundUsage` | `POST /node/outbound-usage` |
/// | [`ReportSessionEvents`](Self::ReportSessionEvents) | – | `POST /node/session-events` |
/// | [`GetLatestConfig`](Self::GetLatestConfig) | `GetLatestConfig` | `GET /node/config/latest` |
/// | [`ConfirmConfigApplied`](Self::ConfirmConfigApplied) | `ConfirmConfigApplied` | `POST /node/config/applied` |
/// | [`ReportError`](Self::ReportError) | – | `POST /node/error` |
/// | [`ReportNodeStats`](Self::ReportNodeStats) | `ReportNodeStats` | – |
/// | [`ReportOnlineUsers`](Self::ReportOnlineUsers) | `ReportOnlineUsers` | – |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Asks for a key; HTTP only.
    Register,
    /// The node is alive.
    Heartbeat,
    /// Traffic of users.
    ReportUsage,
    /// Traffic of outbounds.
    ReportOutboundUsage,
    /// Users came and went; HTTP only.
    ReportSessionEvents,
    /// Asks for the configuration.
    GetLatestConfig,
    /// A configuration is in use.
    ConfirmConfigApplied,
    /// Something failed at the node; HTTP only.
    ReportError,
    /// State of the machine and its proxies; gRPC only.
    ReportNodeStats,
    /// Who is connected; gRPC only.
    ReportOnlineUsers,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Register,
        Self::Heartbeat,
        Self::ReportUsage,
        Self::ReportOutboundUsage,
        Self::ReportSessionEvents,
        Self::GetLatestConfig,
        Self::ConfirmConfigApplied,
        Self::ReportError,
        Self::ReportNodeStats,
        Self::ReportOnlineUsers,
    ];

    /// Returns the path of the gRPC call; `None` for a call that has only an HTTP route.
    #[must_use]
    pub fn grpc_path(self) -> Option<&'static str> {
        match self {
            Self::Heartbeat => Some("/nodeservice.NodeService/Heartbeat"),
            Self::ReportUsage => Some("/nodeservice.NodeService/ReportUsage"),
            Self::ReportOutboundUsage => Some("/nodeservice.NodeService/ReportOutboundUsage"),
            Self::GetLatestConfig => Some("/nodeservice.NodeService/GetLatestConfig"),
            Self::ConfirmConfigApplied => Some("/nodeservice.NodeService/ConfirmConfigApplied"),
            Self::ReportNodeStats => Some("/nodeservice.NodeService/ReportNodeStats"),
            Self::ReportOnlineUsers => Some("/nodeservice.NodeService/ReportOnlineUsers"),
            Self::Register | Self::ReportSessionEvents | Self::ReportError => None,
        }
    }

    /// Returns the HTTP method and the path below the base address; `None` for a call that has only a gRPC method.
    #[must_use]
    pub fn http_route(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Register => Some(("POST", "/node/register")),
            Self::Heartbeat => Some(("POST", "/node/heartbeat")),
            Self::ReportUsage => Some(("POST", "/node/usage")),
            Self::ReportOutboundUsage => Some(("POST", "/node/outbound-usage")),
            Self::ReportSessionEvents => Some(("POST", "/node/session-events")),
            Self::GetLatestConfig => Some(("GET", "/node/config/latest")),
            Self::ConfirmConfigApplied => Some(("POST", "/node/config/applied")),
            Self::ReportError => Some(("POST", "/node/error")),
            Self::ReportNodeStats | Self::ReportOnlineUsers => None,
        }
    }

    /// Returns the call of a gRPC path, compared letter by letter.
    #[must_use]
    pub fn from_grpc_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.grpc_path() == Some(path))
    }

    /// Returns the call of an HTTP method and path, compared letter by letter; the path has no query.
    #[must_use]
    pub fn from_http_route(method: &str, path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.http_route() == Some((method, path)))
    }
}
