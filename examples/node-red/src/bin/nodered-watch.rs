//! Shows what a Node-RED tells its editors.

use clap::{Parser, ValueEnum};
use node_red_example::arguments::{Limit, TransportArguments, duration, limit, secret_file};
use node_red_example::client_driver::{self, Handle, News};
use node_red_example::{Connector, EDITOR_TOPICS, value};
use nodered_comms::Secret;
use nodered_comms::client::{
    Client, Config, Credentials, Discovery, Endpoint, Event, LoginProblem, ReceivedMessage,
};
use nodered_comms::debug::DebugMessage;
use nodered_comms::event::CommsEvent;
use nodered_comms::topic::TopicFilter;
use program::{Printer, bad_arguments, fail};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use web_time::Instant;

/// Connects to a Node-RED as its editor does, and shows what comes.
///
/// It asks first whether a login is needed. Debug messages are shown decoded, with --json as the member "value". Without
/// --subscribe it subscribes to what the editor does. It keeps trying when the connection is lost, and ends with status
/// 1 when the runtime refuses the login.
///
/// Try it with nodered-runtime, or with a Node-RED on this machine:
///   cargo run --bin nodered-watch -- --url ws://127.0.0.1:1880/comms
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where the comms are: ws or wss, or what a browser shows.
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:1880/comms")]
    url: Endpoint,
    /// A token; visible to other users of this machine.
    #[arg(long, conflicts_with_all = ["token_file", "user"])]
    token: Option<String>,
    /// A file with a token.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    token_file: Option<PathBuf>,
    /// Who to log in as.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// A file with the user's password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A pattern of topics to subscribe to; may be given more than once. The editor's unless given.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,
    /// Certificate authorities to trust, as PEM; the system's unless given.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to learn whether a token is wanted.
    #[arg(long, value_enum, default_value = "ask")]
    discovery: DiscoveryArgument,
    /// The scope that a token is asked for.
    #[arg(long, default_value = "*")]
    scope: String,
    /// How long opening the connection may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    connect_timeout: Duration,
    /// How long the answer to a token may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    auth_timeout: Duration,
    /// How long an answer of the admin API may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    request_timeout: Duration,
    /// A connection without a frame for this long is given up.
    #[arg(long, value_name = "DURATION|never", default_value = "45s", value_parser = limit)]
    liveness_timeout: Limit,
    /// The wait after each of the first nine failures in a row.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    reconnect_first: Duration,
    /// The wait after each of the next ten.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    reconnect_second: Duration,
    /// The wait after all others.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    reconnect_later: Duration,
    /// How many subscriptions there may be.
    #[arg(long, default_value_t = 65_536)]
    max_subscriptions: usize,
    /// The longest frame that is taken, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 100 << 20)]
    max_frame: usize,
    #[command(flatten)]
    transport: TransportArguments,
    /// Give up, with status 1, after so many failures in a row; never unless given.
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// End after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,
    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum DiscoveryArgument {
    /// Ask the admin API
    Ask,
    /// None is wanted
    Open,
    /// One is wanted
    Protected,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program::init_diagnostics();
    let arguments = Arguments::parse();
    let (client, connector) = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(problem) => return bad_arguments(problem),
    };
    let (client, mut news, driver) =
        client_driver::driver(client, connector, arguments.transport.transport());
    let driver = tokio::spawn(driver);
    let mut screen = Screen { printer: Printer::new(arguments.json), json: arguments.json };
    let mut end = std::pin::pin!(program::end(arguments.limit));
    let mut ending = false;
    let mut obstacle = None;
    let mut last_problem = None;
    loop {
        tokio::select! {
            oldest = news.recv() => match oldest {
                Some(news) => {
                    screen.show(&news);
                    if let News::ConnectFailed(problem) | News::RequestFailed(problem) = &news {
                        last_problem = Some(problem.to_string());
                    }
                    if let Some(found) = obstacle_in(&arguments, &news) {
                        obstacle = Some(found);
                        close(&client).await;
                    }
                }
                None => break, // the client has ended
            },
            () = &mut end, if !ending => {
                ending = true;
                close(&client).await;
            }
        }
    }
    let _ = driver.await;
    match obstacle {
        Some(Obstacle::Login(problem)) => fail(format!("{}: {problem}", arguments.url), hint(problem)),
        Some(Obstacle::Unreachable) => {
            let problem = last_problem.unwrap_or_else(|| "the connection is lost again and again".to_owned());
            fail(format!("{}: {problem}", arguments.url), "check the address, and that the runtime is up")
        }
        None => ExitCode::SUCCESS,
    }
}

fn prepare(arguments: &Arguments) -> Result<(Client, Connector), String> {
    let mut config = Config::new(arguments.url.clone());
    config.credentials = credentials(arguments)?;
    config.discovery = match arguments.discovery {
        DiscoveryArgument::Ask => Discovery::Ask,
        DiscoveryArgument::Open => Discovery::AssumeOpen,
        DiscoveryArgument::Protected => Discovery::AssumeProtected,
    };
    config.scope.clone_from(&arguments.scope);
    config.connect_timeout = arguments.connect_timeout;
    config.auth_timeout = arguments.auth_timeout;
    config.request_timeout = arguments.request_timeout;
    config.idle_timeout = arguments.liveness_timeout.0;
    config.reconnect.first = arguments.reconnect_first;
    config.reconnect.second = arguments.reconnect_second;
    config.reconnect.later = arguments.reconnect_later;
    config.max_frame = arguments.max_frame;
    config.max_subscriptions = arguments.max_subscriptions;
    let mut client = Client::new(config, Instant::now()).map_err(|error| error.to_string())?;
    let given: Vec<&str> = arguments.subscribe.iter().map(String::as_str).collect();
    for pattern in if given.is_empty() { &EDITOR_TOPICS[..] } else { &given } {
        let problem = |error: &dyn std::error::Error| format!("--subscribe {pattern}: {error}");
        let filter = TopicFilter::new(pattern).map_err(|error| problem(&error))?;
        client.subscribe(&filter, Instant::now()).map_err(|error| problem(&error))?;
    }
    let connector = match &arguments.ca {
        Some(file) => Connector::with_roots(roots(file)?),
        None => Connector::new(),
    };
    Ok((client, connector))
}

fn credentials(arguments: &Arguments) -> Result<Credentials, String> {
    Ok(match (&arguments.token, &arguments.token_file, &arguments.user, &arguments.password_file) {
        (Some(token), ..) => Credentials::Token(Secret::new(token.as_str())),
        (_, Some(file), ..) => Credentials::Token(secret_file(file)?),
        (_, _, Some(user), Some(file)) => {
            Credentials::Password { username: user.clone(), password: secret_file(file)? }
        }
        _ => Credentials::None,
    })
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let problem = |error: &dyn std::error::Error| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| problem(&error))? {
        let certificate = certificate.map_err(|error| problem(&error))?;
        roots.add(certificate).map_err(|error| problem(&error))?;
    }
    if roots.is_empty() { Err(format!("{}: no certificate", file.display())) } else { Ok(roots) }
}

async fn close(client: &Handle) {
    client.order(|client, now| client.close(now)).await;
}

/// Why it makes no sense to go on.
enum Obstacle {
    Login(LoginProblem),
    Unreachable,
}

fn obstacle_in(arguments: &Arguments, news: &News) -> Option<Obstacle> {
    match news {
        News::Event(Event::LoginNeeded(problem)) => Some(Obstacle::Login(*problem)),
        News::Event(Event::Waiting { failures, .. }) => {
            arguments.attempts.filter(|most| failures >= most).map(|_| Obstacle::Unreachable)
        }
        _ => None,
    }
}

fn hint(problem: LoginProblem) -> &'static str {
    match problem {
        LoginProblem::Missing => "try --user and --password-file, or --token-file",
        LoginProblem::Refused(_) => "check --user, --password-file and --scope",
        _ => "get another token, or try --user and --password-file",
    }
}

/// Where news are printed.
struct Screen {
    printer: Printer,
    json: bool,
}

impl Screen {
    fn show(&mut self, news: &News) {
        let printer = self.printer;
        match news {
            News::Connecting { attempt } => printer.event("connecting", json!({"attempt": attempt})),
            News::ConnectFailed(problem) => {
                printer.event("connect_failed", json!({"error": problem.to_string()}));
            }
            News::RequestFailed(problem) => {
                printer.event("request_failed", json!({"error": problem.to_string()}));
            }
            News::Event(event) => self.show_event(event),
            other => tracing::info!(?other, "news"),
        }
    }

    fn show_event(&mut self, event: &Event) {
        let printer = self.printer;
        match event {
            Event::Discovered { protected } => printer.event("discovered", json!({"protected": protected})),
            Event::LoggedIn { expires_in } => {
                let seconds = expires_in.map(|life| life.as_secs());
                printer.event("logged_in", json!({"expires_in": seconds}));
            }
            Event::LoginNeeded(problem) => {
                printer.event("login_needed", json!({"error": problem.to_string()}));
            }
            Event::Connected { .. } => printer.event("connected", json!({})),
            Event::Authenticated { .. } => printer.event("authenticated", json!({})),
            Event::Ready { .. } => printer.event("ready", json!({})),
            Event::Message(message) => self.message(message),
            Event::Heartbeat { time, changed } => {
                printer.event("heartbeat", json!({"time": time, "changed": changed}));
            }
            Event::FrameIgnored { length } => printer.event("ignored", json!({"bytes": length})),
            Event::ConnectionEnded { reason, .. } => {
                printer.event("closed", json!({"reason": reason.to_string()}));
            }
            Event::Waiting { wait, failures } => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                printer.event("reconnecting", json!({"in_ms": wait, "failures": failures}));
            }
            Event::Closed => printer.event("ended", json!({})),
            other => tracing::info!(?other, "news"),
        }
    }

    fn message(&mut self, message: &ReceivedMessage) {
        let event = message.event();
        if let (CommsEvent::Debug(debug), false) = (&event, self.json) {
            return self.debug(debug);
        }
        let mut members = json!({"topic": message.topic, "kind": kind(&event)});
        if let Some(data) = message.data() {
            members["data"] = value(data);
        }
        if let CommsEvent::Debug(debug) = &event {
            members["value"] = format!("{:#}", debug.value()).into();
        }
        self.printer.event("message", members);
    }

    /// What it is about on one line, the value below it.
    fn debug(&mut self, debug: &DebugMessage) {
        let mut members = json!({});
        let further = [
            ("node", debug.id.as_deref().map(Value::from)),
            ("name", debug.name.as_deref().filter(|name| !name.is_empty()).map(Value::from)),
            ("property", debug.property.as_deref().map(Value::from)),
            ("msg_topic", debug.topic.as_ref().map(|topic| value(topic.as_ref()))),
            ("level", debug.level.map(|level| level.to_string().into())),
            ("format", debug.format.as_deref().map(Value::from)),
        ];
        for (name, further) in further {
            if let Some(further) = further {
                members[name] = further;
            }
        }
        self.printer.event("debug", members);
        let mut stdout = std::io::stdout().lock();
        for line in format!("{:#}", debug.value()).lines() {
            let _ = writeln!(stdout, "    {line}"); // an error: the reader has gone away
        }
        let _ = stdout.flush();
    }
}

fn kind(event: &CommsEvent) -> &'static str {
    match event {
        CommsEvent::Status { .. } => "status",
        CommsEvent::Notification(_) => "notification",
        CommsEvent::Debug(_) => "debug",
        CommsEvent::EventLog { .. } => "event-log",
        CommsEvent::Multiplayer(_) => "multiplayer",
        CommsEvent::Heartbeat(_) => "heartbeat",
        _ => "other",
    }
}
