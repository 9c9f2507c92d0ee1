//! The few routes of the admin API that logging in takes, and the tokens that it gives out.

use crate::connector::provider;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use nodered_comms::Secret;
use nodered_comms::runtime::{Access, Scope, User};
use program::server::Limits;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use web_time::Instant;

/// Node-RED's life of a session: a week.
const SESSION_LIFE: Duration = Duration::from_secs(604_800);
/// How many sessions there may be; beyond it nobody can log in.
const MAX_SESSIONS: usize = 4096;
/// The longest form that is read.
const BODY_LIMIT: usize = 64 * 1024;

/// Who can log in, with what, and where.
#[derive(Debug)]
pub struct Admin {
    /// Begins and ends with a slash.
    root: String,
    tokens: Vec<(Secret, User)>,
    accounts: Vec<Account>,
    session_life: Duration,
    limits: Limits,
    token_header: Option<HeaderName>,
    sessions: Mutex<Vec<Session>>,
}

/// Somebody with a password.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "an account is these three")]
pub struct Account {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// What the user may do.
    pub scope: Scope,
}

/// A path of the admin API that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the root must be a path without spaces, question and number signs")]
pub struct RootError;

#[derive(Debug)]
struct Session {
    token: Secret,
    user: User,
    /// `None` is never.
    ends: Option<Instant>,
}

/// What comes of a request.
pub(crate) enum Answer {
    /// A response, and that is all.
    Response(Response<Full<Bytes>>),
    /// After this response the connection is one of comms, of this user if a header told.
    Upgrade(Response<Full<Bytes>>, Option<User>),
    /// The connection ends without a word.
    Drop,
}

impl Admin {
    /// Makes an admin API below `root`, with or without slashes at its ends, that knows nobody.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn new(root: &str) -> Result<Self, RootError> {
        if root.chars().any(|char| char.is_whitespace() || char.is_control() || matches!(char, '?' | '#')) {
            return Err(RootError);
        }
        let inner = root.trim_matches('/');
        let root = if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") };
        Ok(Self {
            root,
            tokens: Vec::new(),
            accounts: Vec::new(),
            session_life: SESSION_LIFE,
            limits: Limits::default(),
            token_header: None,
            sessions: Mutex::default(),
        })
    }

    /// Adds a token that is always good.
    #[must_use]
    pub fn with_token(mut self, token: Secret, user: User) -> Self {
        self.tokens.push((token, user));
        self
    }

    /// Adds somebody who can log in.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets how long a session lasts. A week, as with Node-RED.
    #[must_use]
    pub fn with_session_life(mut self, life: Duration) -> Self {
        self.session_life = life;
        self
    }

    /// Takes tokens in this header of upgrade requests too: after `Bearer` if it is `authorization`, bare otherwise. A
    /// good one makes the connection active at once; with a bad one it ends without a word, as with Node-RED.
    #[must_use]
    pub fn with_token_header(mut self, header: HeaderName) -> Self {
        self.token_header = Some(header);
        self
    }

    /// Sets what its clients may take until they are upgraded.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns what its clients may take.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the path of the comms.
    #[must_use]
    pub fn comms(&self) -> String {
        format!("{}comms", self.root)
    }

    /// Returns whose token this is.
    pub(crate) fn look_up(&self, token: &Secret, now: Instant) -> Option<User> {
        if let Some((_, user)) = self.tokens.iter().find(|(known, _)| known == token) {
            return Some(user.clone());
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.ends.is_none_or(|ends| ends > now));
        let session = sessions.iter().find(|session| session.token == *token)?;
        let mut user = session.user.clone();
        user.expires_in = session.ends.map(|ends| ends.saturating_duration_since(now));
        Some(user)
    }

    pub(crate) async fn answer(&self, access: &Access, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let Some(route) = path.strip_prefix(&self.root) else { return error(StatusCode::NOT_FOUND) };
        match (request.method(), route) {
            (&Method::GET, "comms") => self.upgrade(access, &request),
            (&Method::GET, "auth/login") => json_answer(StatusCode::OK, &login_form(access)),
            (&Method::GET, "settings") => self.settings(access, request.headers()),
            (&Method::POST, "auth/token") if *access != Access::Open => {
                match tokio::time::timeout(self.limits.body_timeout, read(request.into_body())).await {
                    Ok(Some(form)) => self.log_in(&form, Instant::now()),
                    Ok(None) => error(StatusCode::BAD_REQUEST),
                    Err(_) => error(StatusCode::REQUEST_TIMEOUT),
                }
            }
            (_, "comms" | "auth/login" | "settings" | "auth/token") if *access != Access::Open => {
                error(StatusCode::METHOD_NOT_ALLOWED)
            }
            _ => error(StatusCode::NOT_FOUND),
        }
    }

    fn upgrade(&self, access: &Access, request: &Request<Incoming>) -> Answer {
        let Ok(mut response) = create_response_with_body(request, Full::default) else {
            return error(StatusCode::UPGRADE_REQUIRED);
        };
        let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        let first = offered.and_then(|offered| offered.to_str().ok()?.split(',').next());
        if let Some(first) = first.and_then(|first| HeaderValue::from_str(first.trim()).ok()) {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, first);
        }
        let header = self.token_header.as_ref().filter(|_| *access != Access::Open);
        let Some(token) = header.and_then(|header| Some((header, request.headers().get(header)?))) else {
            return Answer::Upgrade(response, None);
        };
        let token = match token {
            (&header::AUTHORIZATION, token) => bearer(token),
            (_, token) => token.to_str().ok(),
        };
        match token.and_then(|token| self.look_up(&Secret::new(token), Instant::now())) {
            Some(user) => Answer::Upgrade(response, Some(user)),
            None => Answer::Drop,
        }
    }

    fn settings(&self, access: &Access, headers: &HeaderMap) -> Answer {
        let token = headers.get(header::AUTHORIZATION).and_then(bearer).map(Secret::new);
        let user = match (access, token) {
            (Access::Open, _) => None,
            (_, Some(token)) => self.look_up(&token, Instant::now()),
            (Access::UsersOr(user), None) => Some(user.clone()),
            _ => None,
        };
        let mut settings = json!({"httpNodeRoot": "/"});
        if *access != Access::Open {
            let Some(user) = user.filter(|user| user.scope.grants("settings.read")) else {
                return error(StatusCode::UNAUTHORIZED);
            };
            let permissions: Vec<&str> = user.scope.permissions().collect();
            settings["user"] = match &user.name {
                Some(name) => json!({"username": name, "permissions": permissions}),
                None => json!({"anonymous": true, "permissions": permissions}),
            };
        }
        json_answer(StatusCode::OK, &settings)
    }

    fn log_in(&self, form: &[u8], now: Instant) -> Answer {
        let fields: Vec<_> = form_urlencoded::parse(form).collect();
        let field = |wanted: &str| {
            fields
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_ref())
                .unwrap_or_default()
        };
        if !matches!(field("client_id"), "node-red-admin" | "node-red-editor") {
            return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        if field("grant_type") != "password" {
            return oauth_error(StatusCode::NOT_IMPLEMENTED, "unsupported_grant_type");
        }
        let account = self.accounts.iter().find(|account| {
            let is_it = account.name == field("username");
            is_it & account.password.matches(field("password").as_bytes())
        });
        let asked = field("scope");
        let Some(account) = account.filter(|account| asked.is_empty() || account.scope.grants(asked)) else {
            return oauth_error(StatusCode::FORBIDDEN, "invalid_grant");
        };
        let scope = if asked.is_empty() { account.scope.clone() } else { asked.into() };
        let mut bytes = [0; 32];
        if provider().secure_random.fill(&mut bytes).is_err() {
            return error(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let token = hex::encode(bytes);
        let session = Session {
            token: Secret::new(token.as_str()),
            user: User::new(account.name.as_str(), scope),
            ends: now.checked_add(self.session_life),
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.ends.is_none_or(|ends| ends > now));
        if sessions.len() >= MAX_SESSIONS {
            return error(StatusCode::SERVICE_UNAVAILABLE);
        }
        sessions.push(session);
        let life = self.session_life.as_secs();
        json_answer(
            StatusCode::OK,
            &json!({"access_token": token, "expires_in": life, "token_type": "Bearer"}),
        )
    }
}

/// What an editor asks its user for.
fn login_form(access: &Access) -> Value {
    if *access == Access::Open {
        return json!({});
    }
    json!({"type": "credentials", "prompts": [
        {"id": "username", "type": "text", "label": "user.username"},
        {"id": "password", "type": "password", "label": "user.password"},
    ]})
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    header.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut taken = BytesMut::new();
    while let Some(frame) = body.frame().await {
        taken.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
        if taken.len() > BODY_LIMIT {
            return None;
        }
    }
    Some(taken.freeze())
}

fn oauth_error(status: StatusCode, error: &str) -> Answer {
    json_answer(status, &json!({"error": error}))
}

fn error(status: StatusCode) -> Answer {
    Answer::Response(response(status, "text/plain", status.canonical_reason().unwrap_or_default().to_owned()))
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    Answer::Response(response(status, "application/json", value.to_string()))
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
