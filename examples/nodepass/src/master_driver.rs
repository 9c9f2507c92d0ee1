//! Drives a [`Master`] over real HTTP: one task owns the machine; connections, processes, dials and files report to it.

use crate::plan::plan;
use crate::process::{self, Process};
use crate::{address::Address, dial, state_file, system, tls};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use nodepass_api::master::{
    DialId, Event, ExchangeId, Master, Output, RunId, StoreFailed, StoreId, StoreTarget, SystemFigures,
    SystemId,
};
use nodepass_api::url::Rules;
use nodepass_api::wire::InstanceKind;
use program::body::Bodies;
use program::server::Limits;
use program::sleep_until;
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long readers have to take what was written last.
const LINGER: Duration = Duration::from_secs(1);

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
    /// What its clients may take.
    pub limits: Limits,
}

/// What the task that owns the machine is told.
enum Input {
    /// Says whether the head alone gives the answer.
    Head(Box<Request<()>>, oneshot::Sender<Option<Response<Bytes>>>),
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
    Stored(StoreId, Result<(), StoreFailed>),
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
        Self {
            listener,
            acceptor: None,
            state: None,
            rules,
            report_interval,
            max_body: 1 << 20,
            limits: Limits::default(),
        }
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
    let limits = host.limits;
    let bodies = Bodies::new(&limits, host.max_body);
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
            accepted = driver.host.listener.accept(), if !is_ending && connections.len() < limits.max_http_connections => {
                match accepted {
                    Ok((socket, _)) => {
                        let acceptor = driver.host.acceptor.clone();
                        let (bodies, inputs) = (bodies.clone(), driver.inputs.clone());
                        connections.spawn(serve(socket, acceptor, limits, bodies, inputs, graceful.watcher()));
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
                driver.master.close(Instant::now());
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
            Output::Store { id, target, snapshot } => self.store(id, target, snapshot),
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
        self.master.handle_started(run, Ok(()), now);
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

    fn store(&mut self, id: StoreId, target: StoreTarget, snapshot: Bytes) {
        let path = match (&self.host.state, target) {
            (None, _) => return self.master.handle_stored(id, Ok(()), Instant::now()),
            (Some(path), StoreTarget::State) => path.clone(),
            (Some(path), StoreTarget::Backup) => state_file::backup_path(path),
        };
        self.tasks.spawn(async move {
            let written = tokio::task::spawn_blocking(move || {
                let written = state_file::write(&path, &snapshot);
                written.map_err(
                    |error| tracing::error!(%error, path = %path.display(), "the state was not stored"),
                )
            });
            Done::Stored(id, written.await.unwrap_or(Err(())).map_err(|()| StoreFailed))
        });
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Head(head, judged) => {
                let _ = judged.send(self.master.judge(&head)); // an error: the client has gone away
            }
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
            Done::Stored(id, outcome) => self.master.handle_stored(id, outcome, now),
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
    limits: Limits,
    bodies: Bodies,
    inputs: mpsc::UnboundedSender<Input>,
    graceful: Watcher,
) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let (bodies, inputs) = (bodies.clone(), inputs.clone());
        async move { Ok::<_, Infallible>(answer(request, bodies, inputs).await) }
    });
    // Each version has its own limit for peers that say nothing.
    let http1 = limits.http1();
    let ended = match acceptor {
        None => graceful.watch(http1.serve_connection(TokioIo::new(limits.patient(socket)), service)).await,
        Some(acceptor) => {
            let Some(stream) = tls::accept(socket, &acceptor, limits.head_timeout).await else { return };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = TokioIo::new(limits.patient(stream));
            if is_http2 {
                let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http2
                    .timer(TokioTimer::new())
                    .keep_alive_interval(limits.head_timeout)
                    .max_concurrent_streams(256);
                graceful.watch(http2.serve_connection(stream, service)).await
            } else {
                graceful.watch(http1.serve_connection(stream, service)).await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    bodies: Bodies,
    inputs: mpsc::UnboundedSender<Input>,
) -> Response<AnswerBody> {
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
        return no_host();
    }
    let (head, body) = request.into_parts();
    // Nothing of a stranger's body is read.
    if !body.is_end_stream() {
        let (answer, judged) = oneshot::channel();
        let head = Request::from_parts(head.clone(), ());
        if inputs.send(Input::Head(Box::new(head), answer)).is_err() {
            return closing(StatusCode::SERVICE_UNAVAILABLE);
        }
        if let Ok(Some(response)) = judged.await {
            return response.map(|body| AnswerBody::Whole(Some(body)));
        }
    }
    let Some((body, _held)) = bodies.read(body).await else {
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

/// As a real master answers a request of HTTP/1.1 without `Host`.
fn no_host() -> Response<AnswerBody> {
    let mut response = closing(StatusCode::BAD_REQUEST);
    let text = Bytes::from_static(b"400 Bad Request: missing required Host header");
    *response.body_mut() = AnswerBody::Whole(Some(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn closing(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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
