//! Drives a [`Master`] over real HTTP: one task owns the machine; connections, processes, dials and files report to it.

use crate::plan::plan;
use crate::process::{self, Process};
use crate::{address::Address, dial, state_file, system, tls};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use nodepass_api::master::{
    DialId, Event, ExchangeId, Master, Output, RunId, SaveFailed, SaveId, SaveTarget, SystemFigures, SystemId,
};
use nodepass_api::url::Rules;
use nodepass_api::wire::InstanceKind;
use program::{body, sleep_until};
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const READ_TIMEOUT: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long readers have to take what was written last.
const LINGER: Duration = Duration::from_secs(1);
/// Connections served at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;

/// What a master runs on.
#[non_exhaustive]
pub struct Host {
    /// Where it listens.
    pub listener: TcpListener,
    /// TLS, if it is served over that.
    pub acceptor: Option<TlsAcceptor>,
    /// Where its state is kept, with the backup beside it; nowhere without it.
    pub state: Option<PathBuf>,
    /// How processes read their URLs.
    pub rules: Rules,
    /// How often processes report.
    pub report_interval: Duration,
    /// The longest body of a request that is read.
    pub max_body: usize,
}

/// What the task that owns the machine is told.
enum Input {
    Request(Box<Request<Bytes>>, oneshot::Sender<Answer>),
    Written(ExchangeId),
    Gone(ExchangeId),
}

/// What a connection answers with.
enum Answer {
    Whole(Response<Bytes>),
    Stream(Response<()>, StreamBody),
}

/// What took a while.
enum Done {
    Dialed(DialId, Result<Duration, String>),
    System(SystemId, SystemFigures),
    Saved(SaveId, Result<(), SaveFailed>),
}

struct Driver {
    master: Master,
    host: Host,
    inputs: mpsc::UnboundedSender<Input>,
    waiting: HashMap<ExchangeId, oneshot::Sender<Answer>>,
    bodies: HashMap<ExchangeId, mpsc::UnboundedSender<Bytes>>,
    processes: HashMap<RunId, Process>,
    lines: mpsc::Sender<(RunId, process::Event)>,
    tasks: JoinSet<Done>,
}

impl Host {
    /// Returns a host without TLS and without a state file.
    #[must_use]
    pub fn new(listener: TcpListener, rules: Rules) -> Self {
        let report_interval = Duration::from_secs(5);
        Self { listener, acceptor: None, state: None, rules, report_interval, max_body: 1 << 20 }
    }
}

/// Serves a master until `end`, then ends it in order. Dropping the future closes everything at once.
///
/// `news` gets every event.
pub async fn run(
    master: Master,
    host: Host,
    mut news: impl FnMut(&Master, Event),
    end: impl Future<Output = ()>,
) {
    // Requests are bounded by the connections, written pieces by the machine's window.
    let (inputs, mut inbox) = mpsc::unbounded_channel();
    let (lines, mut printed) = mpsc::channel(256);
    let mut driver = Driver {
        master,
        host,
        inputs,
        waiting: HashMap::new(),
        bodies: HashMap::new(),
        processes: HashMap::new(),
        lines,
        tasks: JoinSet::new(),
    };
    let (mut connections, graceful) = (JoinSet::new(), GracefulShutdown::new());
    let (mut end, mut is_ending) = (std::pin::pin!(end), false);
    loop {
        while let Some(output) = driver.master.poll_output() {
            driver.carry_out(output, &mut news);
        }
        if driver.master.is_closed() {
            break;
        }
        let deadline = driver.master.poll_timeout();
        tokio::select! {
            Some(input) = inbox.recv() => driver.take(input),
            Some((run, event)) = printed.recv() => driver.heard(run, event),
            Some(Ok(done)) = driver.tasks.join_next() => driver.done(done),
            accepted = driver.host.listener.accept(), if !is_ending && connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    Ok((socket, _)) => {
                        let acceptor = driver.host.acceptor.clone();
                        let (most, inputs) = (driver.host.max_body, driver.inputs.clone());
                        connections.spawn(serve(socket, acceptor, most, inputs, graceful.watcher()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors, most likely
                    }
                }
            }
            Some(_) = connections.join_next() => {}
            () = sleep_until(deadline) => driver.master.handle_timeout(Instant::now()),
            () = &mut end, if !is_ending => {
                is_ending = true;
                driver.master.shutdown(Instant::now());
            }
        }
    }
    drop(driver);
    let _ = tokio::time::timeout(LINGER, graceful.shutdown()).await;
}

impl Driver {
    fn carry_out(&mut self, output: Output, news: &mut impl FnMut(&Master, Event)) {
        match output {
            Output::Respond { id, response } => {
                if let Some(answer) = self.waiting.remove(&id) {
                    let _ = answer.send(Answer::Whole(response)); // an error: the client has gone away
                }
            }
            Output::OpenBody { id, head } => self.open_body(id, head),
            Output::PushBody { id, chunk } => {
                if let Some(body) = self.bodies.get(&id) {
                    let _ = body.send(chunk); // an error: the reader has gone, which it says itself
                }
            }
            Output::CloseBody { id } => drop(self.bodies.remove(&id)),
            Output::Start { run, kind, url, .. } => self.start(run, &kind, &url),
            Output::Stop { run, force } => {
                if let Some(process) = self.processes.get(&run) {
                    if force { process.kill() } else { process.stop() }
                }
            }
            Output::Dial { id, target, timeout } => {
                self.tasks.spawn(async move {
                    let begun = Instant::now();
                    let outcome = match target.parse::<Address>() {
                        Ok(address) => dial::dial(&address, timeout).await.map_err(|error| error.to_string()),
                        Err(error) => Err(error.to_string()),
                    };
                    Done::Dialed(id, outcome.map(|_| begun.elapsed()))
                });
            }
            Output::ReadSystem { id } => {
                self.tasks.spawn(async move { Done::System(id, figures(system::sample().await)) });
            }
            Output::Save { id, target, snapshot } => self.save(id, target, snapshot),
            Output::Event(event) => news(&self.master, event),
        }
    }

    fn open_body(&mut self, id: ExchangeId, head: Response<()>) {
        let Some(answer) = self.waiting.remove(&id) else { return };
        let (sender, chunks) = mpsc::unbounded_channel();
        self.bodies.insert(id, sender);
        let body = StreamBody { id, chunks, inputs: self.inputs.clone() };
        let _ = answer.send(Answer::Stream(head, body)); // an error drops the body, which says so itself
    }

    fn start(&mut self, run: RunId, kind: &InstanceKind, url: &str) {
        let now = Instant::now();
        self.master.handle_started(run, now);
        match plan(url, self.host.rules, self.host.report_interval) {
            Ok(plan) => {
                self.processes.insert(run, Process::start(run, plan, self.lines.clone()));
            }
            // A real process says so in its first lines, and ends.
            Err(error) => {
                let role = if *kind == InstanceKind::Server { "Server" } else { "Client" };
                self.master.handle_line(run, &format!("{role} error: {error}"), now);
                self.master.handle_exited(run, false, now);
            }
        }
    }

    fn save(&mut self, id: SaveId, target: SaveTarget, snapshot: Bytes) {
        let path = match (&self.host.state, target) {
            (None, _) => return self.master.handle_saved(id, Ok(()), Instant::now()),
            (Some(path), SaveTarget::State) => path.clone(),
            (Some(path), SaveTarget::Backup) => state_file::backup_path(path),
        };
        self.tasks.spawn(async move {
            let written = tokio::task::spawn_blocking(move || {
                let written = state_file::write(&path, &snapshot);
                written.map_err(
                    |error| tracing::error!(%error, path = %path.display(), "the state was not saved"),
                )
            });
            Done::Saved(id, written.await.unwrap_or(Err(())).map_err(|()| SaveFailed))
        });
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Request(request, answer) => {
                let id = self.master.handle_request(*request, now);
                self.waiting.insert(id, answer); // before the next drain, which may already answer
            }
            Input::Written(id) => self.master.handle_written(id, now),
            Input::Gone(id) => {
                self.bodies.remove(&id);
                self.master.handle_cancel(id, now);
            }
        }
    }

    fn heard(&mut self, run: RunId, event: process::Event) {
        let now = Instant::now();
        match event {
            process::Event::Line(line) => self.master.handle_line(run, &line, now),
            process::Event::Exited { success } => {
                self.processes.remove(&run);
                self.master.handle_exited(run, success, now);
            }
        }
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Dialed(id, outcome) => {
                self.master.handle_dialed(id, outcome.as_ref().copied().map_err(String::as_str), now);
            }
            Done::System(id, figures) => self.master.handle_system(id, figures, now),
            Done::Saved(id, outcome) => self.master.handle_saved(id, outcome, now),
        }
    }
}

fn figures(sample: system::Figures) -> SystemFigures {
    SystemFigures {
        cpu: sample.cpu.into(),
        mem_total: sample.memory.total,
        mem_free: sample.memory.free,
        mem_used: sample.memory.used,
        swap_total: sample.memory.swap_total,
        swap_free: sample.memory.swap_free,
        netrx: sample.network.received,
        nettx: sample.network.sent,
        diskr: sample.disk.read,
        diskw: sample.disk.written,
        sysup: sample.uptime,
    }
}

async fn serve(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    most: usize,
    inputs: mpsc::UnboundedSender<Input>,
    graceful: hyper_util::server::graceful::Watcher,
) {
    let _ = socket.set_nodelay(true);
    match acceptor {
        None => serve_http(socket, most, inputs, graceful).await,
        Some(acceptor) => {
            if let Some(stream) = tls::accept(socket, &acceptor, READ_TIMEOUT).await {
                serve_http(stream, most, inputs, graceful).await;
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    most: usize,
    inputs: mpsc::UnboundedSender<Input>,
    graceful: hyper_util::server::graceful::Watcher,
) {
    let service = service_fn(move |request| {
        let inputs = inputs.clone();
        async move { Ok::<_, Infallible>(answer(request, most, inputs).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = graceful.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    most: usize,
    inputs: mpsc::UnboundedSender<Input>,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let Ok(Some(body)) = tokio::time::timeout(READ_TIMEOUT, body::read(body, most)).await else {
        return closing(StatusCode::REQUEST_TIMEOUT);
    };
    let (answer, answered) = oneshot::channel();
    if inputs.send(Input::Request(Box::new(Request::from_parts(head, body)), answer)).is_err() {
        return closing(StatusCode::SERVICE_UNAVAILABLE);
    }
    match answered.await {
        Ok(Answer::Whole(response)) => response.map(|body| AnswerBody::Whole(Some(body))),
        Ok(Answer::Stream(head, body)) => head.map(|()| AnswerBody::Stream(body)),
        Err(_) => closing(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn closing(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}

enum AnswerBody {
    Whole(Option<Bytes>),
    Stream(StreamBody),
}

/// The body of an event stream: says of each piece that it was written when the next one is asked for, and when its reader
/// has gone.
struct StreamBody {
    id: ExchangeId,
    chunks: mpsc::UnboundedReceiver<Bytes>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Gone(self.id)); // an error: the master has ended
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => {
                let body = body.take().filter(|body| !body.is_empty());
                Poll::Ready(body.map(|body| Ok(Frame::data(body))))
            }
            Self::Stream(body) => body.chunks.poll_recv(context).map(|chunk| {
                let chunk = chunk?;
                let _ = body.inputs.send(Input::Written(body.id)); // an error: the master has ended
                Some(Ok(Frame::data(chunk)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
