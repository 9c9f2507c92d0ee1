//! An instance that runs inside the master: a task in the place of a process of its own.
//!
//! It prints what a real process prints, and forwards TCP where its mode is a single-ended one: a client in mode 1 and a
//! server in mode 2 listen on the tunnel address and dial the target. Other modes need a peer and its tunnel, which no
//! part of this example has: they start, say so in an error line, and run on without forwarding. UDP is not forwarded.
//!
//! ```no_run
//! # async fn example(plan: nodepass_example::process::Plan) {
//! use nodepass_example::process::{Event, Process};
//!
//! let (sender, mut events) = tokio::sync::mpsc::channel(64);
//! let process = Process::start(7, plan, sender);
//! while let Some((run, event)) = events.recv().await {
//!     match event {
//!         Event::Line(line) => println!("{run}: {line}"),
//!         Event::Exited { success } => println!("{run} has ended, in order: {success}"),
//!     }
//!     process.stop();
//! }
//! # }
//! ```

use crate::dial::milliseconds;
use crate::forward::{Forward, Forwarding, Note, Side, StartError, can_listen};
use crate::report::{self, Level};
use jiff::Zoned;
use nodepass_api::wire::{CheckPoint, Traffic};
use std::fmt;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// How many notes of connections may wait to be printed; more are lost.
const NOTES: usize = 64;

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `client://`
    Client,
    /// `server://`
    Server,
}

/// What the `mode` parameter asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 0 and everything unknown: whatever turns out to be possible.
    #[default]
    Auto,
    /// 1
    One,
    /// 2
    Two,
}

/// What an instance is to do.
#[derive(Clone)]
pub struct Plan {
    /// Client or server. It decides whose side the counters tell of, whatever [`Forward::counted`] says.
    pub kind: Kind,
    /// What the `mode` parameter asks for.
    pub mode: Mode,
    /// What is forwarded.
    pub forward: Forward,
    /// What is printed.
    pub level: Level,
    /// What follows `Client started: ` or `Server started: `. `Debug` hides it, as it may name the tunnel's key.
    pub banner: String,
    /// How often figures are printed; also how long the target has to answer at most. 5 s.
    pub report_interval: Duration,
    /// How long to wait after listening has failed. 3 s.
    pub cooldown: Duration,
    /// How long connections have to end by themselves once it is stopped. 100 ms.
    pub grace: Duration,
    /// Whether it runs on, without forwarding, where an address cannot be used, as 1.6 does. It does not.
    pub keeps_running: bool,
}

/// What comes from a running instance.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an event that is overlooked is lost")]
pub enum Event {
    /// It has printed a line. `Debug` hides it, as the banner may name the tunnel's key.
    Line(String),
    /// It has ended; comes once and last.
    Exited {
        /// Whether it was in order: as exit status 0.
        success: bool,
    },
}

/// A running instance. Dropping it kills it; keep it until [`Event::Exited`] has come.
#[derive(Debug)]
pub struct Process {
    signal: watch::Sender<Signal>,
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Run,
    Stop,
    Kill,
}

/// It was killed, or nobody reads what it prints.
struct Killed;

struct Worker<R> {
    run: R,
    plan: Plan,
    events: mpsc::Sender<(R, Event)>,
    signal: watch::Receiver<Signal>,
    /// How it runs: 1 or 2.
    mode: i32,
    ping: i32,
}

impl Plan {
    /// Returns a plan with the intervals of a real process.
    #[must_use]
    pub fn new(kind: Kind, mode: Mode, forward: Forward) -> Self {
        Self {
            kind,
            mode,
            forward,
            level: Level::default(),
            banner: String::new(),
            report_interval: Duration::from_secs(5),
            cooldown: Duration::from_secs(3),
            grace: Duration::from_millis(100),
            keeps_running: false,
        }
    }
}

impl Process {
    /// Starts an instance; whatever comes from it is sent with `run`. Needs a runtime of tokio.
    #[must_use = "dropping it kills it"]
    pub fn start<R: Copy + Send + Sync + 'static>(
        run: R,
        mut plan: Plan,
        events: mpsc::Sender<(R, Event)>,
    ) -> Self {
        plan.forward.counted = match plan.kind {
            Kind::Client => Side::Listener,
            Kind::Server => Side::Target,
        };
        let (sender, signal) = watch::channel(Signal::Run);
        let mut worker = Worker { run, plan, events, signal, mode: 0, ping: 0 };
        tokio::spawn(async move {
            let success = worker.run().await.unwrap_or(false);
            let _ = worker.events.send((run, Event::Exited { success })).await; // an error: nobody cares
        });
        Self { signal: sender }
    }

    /// Asks it to end in order: the last figures come, then [`Event::Exited`] with success.
    pub fn stop(&self) {
        self.signal.send_if_modified(|signal| {
            let runs = *signal == Signal::Run;
            if runs {
                *signal = Signal::Stop;
            }
            runs
        });
    }

    /// Ends it at once: [`Event::Exited`] comes without success.
    pub fn kill(&self) {
        self.signal.send_replace(Signal::Kill);
    }
}

impl<R: Copy + Send + Sync> Worker<R> {
    /// Runs up to the end; returns whether it is in order.
    async fn run(&mut self) -> Result<bool, Killed> {
        self.say(self.plan.level, format!("Init log level: {}", self.plan.level.name())).await?;
        let started = format!("{} started: {}", self.role(), self.plan.banner);
        self.say(Level::Info, started).await?;
        if let Err(error) = self.plan.forward.addresses() {
            self.say(Level::Error, format!("{} error: {error}", self.role())).await?;
            if self.plan.keeps_running {
                self.stopped().await?;
            }
            return Ok(self.plan.keeps_running);
        }
        let (notes, mut noted) = mpsc::channel(NOTES);
        match self.open(notes).await? {
            Opened::Forwarding(mut forwarding) => {
                let served = self.serve(&forwarding, &mut noted).await;
                self.close(served, &mut forwarding, &mut noted).await?;
            }
            Opened::Unsupported => self.stopped().await?,
            Opened::Stopped => {}
        }
        self.say(Level::Info, format!("{} shutdown complete", self.role())).await?;
        Ok(true)
    }

    /// Starts forwarding if the mode allows it.
    async fn open(&mut self, notes: mpsc::Sender<Note>) -> Result<Opened, Killed> {
        let is_single_ended = match (self.plan.kind, self.plan.mode) {
            (Kind::Client, Mode::One | Mode::Auto) | (Kind::Server, Mode::Two) => true,
            (Kind::Client, Mode::Two) | (Kind::Server, Mode::One) => false,
            // A server that can be where its target is said to be waits for users there.
            (Kind::Server, Mode::Auto) => {
                let target = self.plan.forward.targets.first();
                !can_listen(target.map_or("", String::as_str)).await
            }
        };
        if is_single_ended && let Some(opened) = self.listen(notes).await? {
            return Ok(opened);
        }
        let (mode, peer) = if self.plan.kind == Kind::Client { (2, "server") } else { (1, "client") };
        let text = format!(
            "Mode {mode} needs a tunnel to a {peer}, which is not supported here: nothing is forwarded"
        );
        self.say(Level::Error, text).await?;
        Ok(Opened::Unsupported)
    }

    /// Starts forwarding, trying again until the listener can be had. `None`: the mode is another one, as it cannot.
    async fn listen(&mut self, notes: mpsc::Sender<Note>) -> Result<Option<Opened>, Killed> {
        loop {
            match Forwarding::start(&self.plan.forward, notes.clone()).await {
                Ok(forwarding) => {
                    self.mode = if self.plan.kind == Kind::Client { 1 } else { 2 };
                    if let Some(address) = forwarding.address() {
                        self.say(Level::Info, format!("Tunnel listener: {address}")).await?;
                    }
                    return Ok(Some(Opened::Forwarding(forwarding)));
                }
                // A client that cannot be where its tunnel is said to be has to meet a server there.
                Err(StartError::Bind(..))
                    if self.plan.kind == Kind::Client && self.plan.mode == Mode::Auto =>
                {
                    return Ok(None);
                }
                Err(error) => self.say(Level::Error, format!("{} error: {error}", self.role())).await?,
            }
            tokio::select! {
                stopped = self.stopped() => return stopped.map(|()| Some(Opened::Stopped)),
                () = sleep(self.plan.cooldown) => {}
            }
        }
    }

    /// Prints notes and figures until it is told to end.
    async fn serve(
        &mut self,
        forwarding: &Forwarding,
        notes: &mut mpsc::Receiver<Note>,
    ) -> Result<(), Killed> {
        let interval = self.plan.report_interval.max(Duration::from_millis(1));
        let measure = |at: Instant| async move {
            sleep_until(at).await;
            (at, forwarding.ping(interval).await.unwrap_or_default())
        };
        let mut measured = pin!(measure(Instant::now() + interval));
        loop {
            tokio::select! {
                stopped = self.stopped() => return stopped,
                (at, ping) = &mut measured => {
                    self.ping = i32::try_from(milliseconds(ping)).unwrap_or(i32::MAX);
                    self.report(forwarding).await?;
                    // What was missed is not made up for.
                    measured.set(measure((at + interval).max(Instant::now())));
                }
                Some(note) = notes.recv() => self.say(note.level, note.text).await?,
            }
        }
    }

    /// Ends connections, in order unless it is killed; prints the last figures.
    async fn close(
        &mut self,
        served: Result<(), Killed>,
        forwarding: &mut Forwarding,
        notes: &mut mpsc::Receiver<Note>,
    ) -> Result<(), Killed> {
        let in_order = match served {
            Ok(()) => tokio::select! {
                () = forwarding.stop(self.plan.grace) => true,
                () = killed(&mut self.signal) => false,
            },
            Err(Killed) => false,
        };
        if !in_order {
            forwarding.stop(Duration::ZERO).await;
            return Err(Killed);
        }
        while let Ok(note) = notes.try_recv() {
            self.say(note.level, note.text).await?;
        }
        self.report(forwarding).await
    }

    async fn report(&self, forwarding: &Forwarding) -> Result<(), Killed> {
        let counters = forwarding.counters();
        let traffic = Traffic { tcprx: counters.received(), tcptx: counters.sent(), ..Traffic::default() };
        let connections = i32::try_from(counters.connections()).unwrap_or(i32::MAX);
        let record = CheckPoint::new(self.mode, self.ping, 0, connections, 0, traffic);
        self.say(Level::Event, record.to_string()).await
    }

    async fn say(&self, level: Level, text: String) -> Result<(), Killed> {
        if !self.plan.level.shows(level) {
            return Ok(());
        }
        let line = report::line(level, text, &Zoned::now());
        let mut signal = self.signal.clone();
        tokio::select! {
            biased;
            () = killed(&mut signal) => Err(Killed),
            sent = self.events.send((self.run, Event::Line(line))) => sent.map_err(|_| Killed),
        }
    }

    fn role(&self) -> &'static str {
        match self.plan.kind {
            Kind::Client => "Client",
            Kind::Server => "Server",
        }
    }

    /// Waits until it is told to end.
    async fn stopped(&self) -> Result<(), Killed> {
        let mut signal = self.signal.clone();
        match signal.wait_for(|signal| *signal != Signal::Run).await {
            Ok(signal) if *signal == Signal::Stop => Ok(()),
            _ => Err(Killed),
        }
    }
}

/// What came of starting.
enum Opened {
    Forwarding(Forwarding),
    Unsupported,
    Stopped,
}

async fn killed(signal: &mut watch::Receiver<Signal>) {
    let _ = signal.wait_for(|signal| *signal == Signal::Kill).await; // an error: nobody holds it any more
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mode, forward, level, banner: _, report_interval, cooldown, grace, keeps_running } =
            self;
        f.debug_struct("Plan")
            .field("kind", kind)
            .field("mode", mode)
            .field("forward", forward)
            .field("level", level)
            .field("report_interval", report_interval)
            .field("cooldown", cooldown)
            .field("grace", grace)
            .field("keeps_running", keeps_running)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "Line({} bytes)", line.len()),
            Self::Exited { success } => f.debug_struct("Exited").field("success", success).finish(),
        }
    }
}
