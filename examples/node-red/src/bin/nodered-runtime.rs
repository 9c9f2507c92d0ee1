//! A runtime without flows: what it publishes is typed.

use clap::{Parser, ValueEnum};
use http::HeaderName;
use node_red_example::arguments::{Limit, TransportArguments, duration, limit};
use node_red_example::runtime_driver::{self, Handle, News};
use node_red_example::{Account, Admin, value};
use nodered_comms::debug::{DEBUG_MAX_LENGTH, DebugLevel, DebugValue};
use nodered_comms::runtime::{Access, Config, Era, Event, Overflow, Runtime, Scope, User};
use nodered_comms::wire::Json;
use nodered_comms::{ConnectionId, Secret};
use program::server::Limits;
use program::{Printer, bad_arguments, fail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use web_time::Instant;

/// The runtime's side of Node-RED's comms, with the few routes of the admin API that logging in takes.
///
/// What it publishes is read from stdin, one JSON object a line:
///   {"topic":"my/topic","data":{"any":"JSON"},"retain":true}
///   {"status":"n1","data":{"fill":"green","shape":"dot","text":"on"}}
///   {"log":"warn","message":"something is odd"}
///
/// A bad line gives an "error" event. The program goes on when stdin ends.
///
/// Try it with nodered-watch:
///   cargo run --bin nodered-runtime -- --listen 127.0.0.1:1880 --json
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1880")]
    listen: SocketAddr,
    /// The path that comms and admin API are below.
    #[arg(long, value_name = "PATH", default_value = "/")]
    root: String,
    /// A token and what it may do, as in secret=read; may be given more than once. Visible to other users of this machine.
    #[arg(long, value_name = "TOKEN=SCOPE", value_parser = token)]
    token: Vec<(Secret, User)>,
    /// A file with such tokens, one a line.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with users: [{"username":"admin","password":"secret","permissions":"*"}]
    #[arg(long, value_name = "FILE")]
    user_file: Option<PathBuf>,
    /// Let everybody in who brings no token, with this scope.
    #[arg(long, value_name = "SCOPE")]
    default_user: Option<String>,
    /// Take tokens in this header of upgrade requests too.
    #[arg(long, value_name = "NAME")]
    token_header: Option<HeaderName>,
    /// How long a session lasts that a login begins.
    #[arg(long, value_name = "DURATION", default_value = "168h", value_parser = duration)]
    session_life: Duration,
    /// How long a session is let live beyond its end.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    expiry_grace: Duration,
    /// How frames are made.
    #[arg(long, value_enum, default_value = "today")]
    era: EraArgument,
    /// How long messages are collected before they go out.
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration)]
    batch_delay: Duration,
    /// How many messages a frame has at most.
    #[arg(long, default_value_t = 50)]
    batch_size: usize,
    /// Time between two heartbeats.
    #[arg(long, value_name = "DURATION|never", default_value = "15s", value_parser = limit)]
    heartbeat: Limit,
    /// How long the texts of log records may be before they are cut.
    #[arg(long, value_name = "LENGTH", default_value_t = DEBUG_MAX_LENGTH)]
    debug_max_length: usize,
    /// How many connections there may be.
    #[arg(long, default_value_t = 65_536)]
    max_connections: usize,
    /// How many bytes of frames are held while a token is looked up.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10)]
    max_held: usize,
    /// How many messages may wait for a connection.
    #[arg(long, default_value_t = 100_000)]
    max_queued: usize,
    /// How many bytes of messages may wait for a connection.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_queued_bytes: usize,
    /// What happens at those two limits.
    #[arg(long, value_enum, default_value = "cut-off")]
    overflow: OverflowArgument,
    /// How many topics may be retained.
    #[arg(long, default_value_t = 65_536)]
    max_retained: usize,
    /// The longest frame that is taken, in bytes. Node-RED takes 100 MiB of anybody.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_frame: usize,
    #[command(flatten)]
    transport: TransportArguments,
    #[command(flatten)]
    limits: Limits,
    /// End after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum EraArgument {
    /// One bare message a frame, as the document says and 0.17 did
    Document,
    /// The first message at once, as 0.18 and 0.19
    FirstAtOnce,
    /// Arrays of any size, as 0.20 to 1.3
    AnySize,
    /// At most so many messages in an array, as 2.0 and later
    Today,
}

#[derive(Clone, Copy, ValueEnum)]
enum OverflowArgument {
    /// The connection ends
    CutOff,
    /// It loses the oldest messages
    DropOldest,
}

/// A line of stdin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: Option<String>,
    status: Option<String>,
    log: Option<String>,
    data: Option<Json>,
    message: Option<String>,
    #[serde(default)]
    retain: bool,
}

/// A member of the list of users.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    username: String,
    password: String,
    permissions: Permissions,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Permissions {
    One(String),
    Many(Vec<String>),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    let (runtime, admin) = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(problem) => return bad_arguments(problem),
    };
    let listener = match TcpListener::bind(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(format!("{}: {error}", arguments.listen), "try another --listen"),
    };
    if let Ok(address) = listener.local_addr() {
        printer.event("listening", json!({"addr": address.to_string()}));
    }
    let transport = arguments.transport.transport();
    let (runtime, mut news, driver) = runtime_driver::driver(runtime, listener, admin, transport);
    let driver = tokio::spawn(driver);
    let (typed, mut lines) = mpsc::channel(16);
    std::thread::spawn(move || read_lines(&typed));

    let desk = Desk { printer, runtime, debug_max_length: arguments.debug_max_length };
    let mut end = std::pin::pin!(program::end(arguments.limit));
    let mut ending = false;
    loop {
        tokio::select! {
            oldest = news.recv() => match oldest {
                Some(news) => desk.show(&news),
                None => break, // the runtime has ended
            },
            Some(line) = lines.recv(), if !ending => desk.take(&line).await,
            () = &mut end, if !ending => {
                ending = true;
                desk.runtime.order(|runtime, now| runtime.close(now)).await;
            }
        }
    }
    let _ = driver.await;
    ExitCode::SUCCESS
}

fn prepare(arguments: &Arguments) -> Result<(Runtime, Admin), String> {
    let mut admin = Admin::new(&arguments.root).map_err(|error| error.to_string())?;
    admin = admin.with_session_life(arguments.session_life).with_limits(arguments.limits);
    let mut tokens = arguments.token.clone();
    if let Some(file) = &arguments.token_file {
        tokens.extend(read_tokens(file)?);
    }
    let accounts = arguments.user_file.as_deref().map(read_accounts).transpose()?.unwrap_or_default();
    let access = match &arguments.default_user {
        Some(scope) => Access::UsersOr(User::anonymous(Scope::from(scope.as_str()))),
        None if tokens.is_empty() && accounts.is_empty() => Access::Open,
        None => Access::Users,
    };
    for (token, user) in tokens {
        admin = admin.with_token(token, user);
    }
    for account in accounts {
        admin = admin.with_account(account);
    }
    if let Some(header) = arguments.token_header.clone() {
        admin = admin.with_token_header(header);
    }
    let runtime = Runtime::new(config(arguments, access), Instant::now());
    Ok((runtime.map_err(|error| error.to_string())?, admin))
}

fn config(arguments: &Arguments, access: Access) -> Config {
    let mut config = Config::new(access, wall_clock());
    config.era = match arguments.era {
        EraArgument::Document => Era::Document,
        EraArgument::FirstAtOnce => Era::FirstAtOnce,
        EraArgument::AnySize => Era::AnySize,
        EraArgument::Today => Era::Today,
    };
    config.batch_delay = arguments.batch_delay;
    config.batch_size = arguments.batch_size;
    config.heartbeat_interval = arguments.heartbeat.0;
    config.expiry_grace = arguments.expiry_grace;
    config.max_connections = arguments.max_connections;
    config.max_frame = arguments.max_frame;
    config.max_held = arguments.max_held;
    config.max_queued = arguments.max_queued;
    config.max_queued_bytes = arguments.max_queued_bytes;
    config.overflow = match arguments.overflow {
        OverflowArgument::CutOff => Overflow::CutOff,
        OverflowArgument::DropOldest => Overflow::DropOldest,
    };
    config.max_retained = arguments.max_retained;
    config
}

/// In ms since 1970.
fn wall_clock() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).floor()
}

/// The token may hold `=` itself, the scope does not.
fn token(text: &str) -> Result<(Secret, User), String> {
    match text.rsplit_once('=') {
        Some((token, scope)) if !token.is_empty() => {
            Ok((Secret::new(token), User::anonymous(Scope::from(scope))))
        }
        _ => Err("a token is written TOKEN=SCOPE".to_owned()),
    }
}

fn read_tokens(file: &Path) -> Result<Vec<(Secret, User)>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(token).collect::<Result<_, _>>().map_err(|error| format!("{}: {error}", file.display()))
}

fn read_accounts(file: &Path) -> Result<Vec<Account>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let users: Vec<UserEntry> = serde_json::from_str(&text).map_err(|error| {
        // The message of the error itself may show a part of the file.
        format!("{}: no list of users, see line {}", file.display(), error.line())
    })?;
    let account = |user: UserEntry| Account {
        name: user.username,
        password: Secret::new(user.password),
        scope: match user.permissions {
            Permissions::One(permission) => Scope::new([permission]),
            Permissions::Many(permissions) => Scope::new(permissions),
        },
    };
    Ok(users.into_iter().map(account).collect())
}

/// Reading stdin blocks, so it has a thread of its own, which ends with the program.
fn read_lines(typed: &mpsc::Sender<String>) {
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { return };
        if typed.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// Where messages go out and news come in.
struct Desk {
    printer: Printer,
    runtime: Handle,
    debug_max_length: usize,
}

impl Desk {
    async fn take(&self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if let Err(problem) = self.publish(line).await {
            self.printer.event("error", json!({"error": problem}));
        }
    }

    async fn publish(&self, line: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let max_length = self.debug_max_length;
        let data = line.data.unwrap_or_else(Json::null);
        let done = match (line.topic, line.status, line.log, line.message) {
            (Some(topic), None, None, None) => {
                let publish = move |runtime: &mut Runtime, now| {
                    runtime.publish(&topic, data.as_ref(), line.retain, now)
                };
                self.runtime.order(publish).await
            }
            (None, Some(node), None, None) => {
                self.runtime.order(move |runtime, now| runtime.status(&node, data.as_ref(), now)).await
            }
            (None, None, Some(level), Some(message)) => {
                let level = match level.as_str() {
                    "warn" => DebugLevel::Warn,
                    "error" => DebugLevel::Error,
                    _ => return Err("\"log\" is \"warn\" or \"error\"".to_owned()),
                };
                let message = DebugValue::from(message.as_str());
                let log = move |runtime: &mut Runtime, now| {
                    runtime.log(level, &message, wall_clock(), max_length, now)
                };
                self.runtime.order(log).await
            }
            _ => {
                return Err(
                    "a line has \"topic\", \"status\" and \"data\", or \"log\" and \"message\"".to_owned()
                );
            }
        };
        done.ok_or("the runtime has ended")?.map_err(|error| error.to_string())
    }

    fn show(&self, news: &News) {
        match news {
            News::Connected { connection, address } => {
                self.say("connected", *connection, json!({"addr": address.to_string()}));
            }
            News::Event(event) => self.show_event(event),
            other => tracing::info!(?other, "news"),
        }
    }

    fn show_event(&self, event: &Event) {
        match event {
            Event::Active { connection, user } => {
                let mut members = json!({});
                if let Some(user) = user {
                    members["user"] = user.name.as_deref().into();
                    members["scope"] = user.scope.permissions().map(Value::from).collect();
                }
                self.say("active", *connection, members);
            }
            Event::Subscribed { connection, filter, retained } => {
                let members = json!({"filter": filter.as_str(), "retained": retained});
                self.say("subscribed", *connection, members);
            }
            Event::Message { connection, topic, data } => {
                let mut members = json!({"topic": topic});
                if let Some(data) = data {
                    members["data"] = value(data.as_ref());
                }
                self.say("message", *connection, members);
            }
            Event::Dropped { connection, messages } => {
                self.say("dropped", *connection, json!({"messages": messages}));
            }
            Event::ConnectionEnded { connection, reason } => {
                self.say("closed", *connection, json!({"reason": reason.to_string()}));
            }
            Event::Closed => self.printer.event("ended", json!({})),
            other => tracing::info!(?other, "news"),
        }
    }

    fn say(&self, event: &str, connection: ConnectionId, mut members: Value) {
        members["connection"] = connection.number().into();
        self.printer.event(event, members);
    }
}
