//! What a master can be asked, and the requests for it. §3.

use super::Base;
use crate::Secret;
use crate::wire::{Action, CreateInstance, InstanceId, MasterAlias, PatchInstance, PutInstance, encode};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use serde::Serialize;
use std::fmt;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Something that a master is asked. `Debug` shows what and of which instance.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// `GET /instances`: all of them.
    List,
    /// `POST /instances`: make one, which starts by itself.
    Create(CreateInstance),
    /// `GET /instances/{id}`: one of them.
    Get(InstanceId),
    /// `PATCH /instances/{id}`: name it, control it, set its policy and its labels.
    Patch(InstanceId, PatchInstance),
    /// `PUT /instances/{id}`: give it another URL, with which it starts again.
    Put(InstanceId, PutInstance),
    /// `DELETE /instances/{id}`: end and forget it.
    Delete(InstanceId),
    /// `GET /info`: the master about itself.
    Info,
    /// `POST /info`: name the master. Since 1.7.
    SetMasterAlias(Box<str>),
    /// `GET /tcping`: let the master connect to this host and port. Since 1.6.
    Tcping(Box<str>),
    /// `GET /openapi.json`: the description of the API. Needs no key.
    OpenApi,
    /// `GET /docs`: a page about the API. Needs no key.
    Docs,
    /// `PATCH` of the key record: make another key.
    RotateKey,
}

impl Call {
    /// Whether nothing is changed by it, so that it may be made again if nobody knows whether it arrived.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.method() == Method::GET
    }

    /// Whether masters want the key for it.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        !matches!(self, Self::OpenApi | Self::Docs)
    }

    /// Returns the instance that it is about, if it is about one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::Get(id) | Self::Patch(id, _) | Self::Put(id, _) | Self::Delete(id) => Some(id),
            _ => None,
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::List | Self::Get(_) | Self::Info | Self::Tcping(_) | Self::OpenApi | Self::Docs => {
                Method::GET
            }
            Self::Create(_) | Self::SetMasterAlias(_) => Method::POST,
            Self::Patch(..) | Self::RotateKey => Method::PATCH,
            Self::Put(..) => Method::PUT,
            Self::Delete(_) => Method::DELETE,
        }
    }

    fn route(&self) -> String {
        let instance = |id: &InstanceId| match id.as_str() {
            // As they stand they would be taken for steps up and down.
            "." => "/instances/%2E".to_owned(),
            ".." => "/instances/%2E%2E".to_owned(),
            id => format!("/instances/{}", percent_encoded(id)),
        };
        match self {
            Self::List | Self::Create(_) => "/instances".to_owned(),
            Self::Get(id) | Self::Patch(id, _) | Self::Put(id, _) | Self::Delete(id) => instance(id),
            Self::RotateKey => instance(&InstanceId::key_record()),
            Self::Info | Self::SetMasterAlias(_) => "/info".to_owned(),
            Self::Tcping(target) => format!("/tcping?target={}", percent_encoded(target)),
            Self::OpenApi => "/openapi.json".to_owned(),
            Self::Docs => "/docs".to_owned(),
        }
    }

    fn body(&self) -> Option<Bytes> {
        fn json(body: &impl Serialize) -> Option<Bytes> {
            Some(encode(body).into())
        }
        match self {
            Self::Create(body) => json(body),
            Self::Patch(_, body) => json(body),
            Self::Put(_, body) => json(body),
            Self::SetMasterAlias(alias) => {
                json(&MasterAlias { alias: Some(alias.clone()), ..MasterAlias::default() })
            }
            Self::RotateKey => json(&PatchInstance::action(Action::Restart)),
            _ => None,
        }
    }
}

/// Returns the request for a call, whole: URL, headers and body. The header with the key is marked sensitive. An empty key,
/// or one with other than visible characters of ASCII, is left out.
///
/// ```
/// use nodepass_api::Secret;
/// use nodepass_api::client::{Call, Endpoint, Layout, request};
///
/// let endpoint: Endpoint = "http://10.0.0.1:9090/api".parse()?;
/// let call = Call::Tcping("[2001:db8::1]:443".into());
/// let request = request(&endpoint.base(Layout::Versioned), &Secret::new("0123"), &call);
/// assert_eq!(request.uri(), "http://10.0.0.1:9090/api/v1/tcping?target=%5B2001:db8::1%5D:443");
/// assert_eq!(request.headers()["x-api-key"], "0123");
/// # Ok::<(), nodepass_api::client::EndpointError>(())
/// ```
#[must_use]
pub fn request(base: &Base, key: &Secret, call: &Call) -> Request<Bytes> {
    let accept = match call {
        Call::Docs => HeaderValue::from_static("text/html"),
        _ => JSON,
    };
    let mut request = bare(base, &call.route(), Some(key).filter(|_| call.needs_key()), accept);
    *request.method_mut() = call.method();
    if let Some(body) = call.body() {
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = body;
    }
    request
}

/// Returns the request for the event stream, whose answer's body never ends by itself. §5.
#[must_use]
pub fn stream_request(base: &Base, key: &Secret) -> Request<Bytes> {
    let accept = HeaderValue::from_static("text/event-stream");
    let mut request = bare(base, "/events", Some(key), accept);
    request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    request
}

/// Whether a key can be sent in a header: visible characters only.
pub(super) fn is_fit(key: &Secret) -> bool {
    !key.is_empty() && key.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

fn bare(base: &Base, route: &str, key: Option<&Secret>, accept: HeaderValue) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    // Only an endless id or target makes no URL; the master refuses what is left of it.
    *request.uri_mut() = format!("{base}{route}")
        .parse()
        .or_else(|_| base.as_str().parse())
        .unwrap_or_else(|_| Uri::from_static("/"));
    request.headers_mut().insert(ACCEPT, accept);
    if let Some(key) = key.filter(|key| is_fit(key)) {
        let mut value = HeaderValue::from_str(key.expose()).expect("it has visible characters only");
        value.set_sensitive(true);
        request.headers_mut().insert(API_KEY, value);
    }
    request
}

/// Letters, digits and what has no meaning of its own in a path or a query stay, all else becomes hexadecimal digits.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'*' | b':' | b'.' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => f.write_str("List"),
            Self::Create(_) => f.write_str("Create"),
            Self::Get(id) => write!(f, "Get({id})"),
            Self::Patch(id, _) => write!(f, "Patch({id})"),
            Self::Put(id, _) => write!(f, "Put({id})"),
            Self::Delete(id) => write!(f, "Delete({id})"),
            Self::Info => f.write_str("Info"),
            Self::SetMasterAlias(_) => f.write_str("SetMasterAlias"),
            Self::Tcping(_) => f.write_str("Tcping"),
            Self::OpenApi => f.write_str("OpenApi"),
            Self::Docs => f.write_str("Docs"),
            Self::RotateKey => f.write_str("RotateKey"),
        }
    }
}
