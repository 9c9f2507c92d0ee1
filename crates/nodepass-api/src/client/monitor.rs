//! The event stream, from its opening to its end. §5.

use super::machine::{Path, Timer};
use super::{
    Client, Config, Event, Failure, FailureKind, KeyProblem, KeySource, Monitoring, Output, StreamEnd,
    StreamId, is_fit, stream_request,
};
use crate::Secret;
use crate::fleet::Change;
use crate::stream::{EventReader, Item};
use crate::wire::{EventKind, Instance, InstanceEvent, InstanceId, Status};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use web_time::Instant;

/// How the view is kept.
pub(super) struct Monitor {
    pub(super) link: Link,
    pub(super) changes: VecDeque<Change>,
    /// The first wait, as the stream wishes it.
    retry: Duration,
    /// Streams that failed in a row.
    failures: u32,
    /// There is no stream, and has not been for some attempts.
    pub(super) is_polling: bool,
    /// A list has been merged since the stream began, and nothing is in doubt.
    pub(super) is_settled: bool,
    /// Another list is wanted when the one that is under way is there.
    pub(super) is_list_wanted: bool,
    pub(super) listed_at: Option<Instant>,
}

/// How it is with the stream.
pub(super) enum Link {
    /// None is wanted, or none can be had yet.
    Off,
    /// The next attempt follows after a wait, or when another key is there.
    Waiting,
    Opening {
        stream: StreamId,
        key_generation: u64,
        /// The signs of life that there were before.
        heard: u64,
    },
    Open(Box<Open>),
}

pub(super) struct Open {
    stream: StreamId,
    key_generation: u64,
    /// Away while it reads.
    reader: Option<EventReader>,
    since: Instant,
    has_event: bool,
    is_first_event_overdue: bool,
    has_shutdown: bool,
    /// How many records the last list had.
    pub(super) listed: usize,
    /// Whether anything came since the last list; before the first there is nothing to compare with.
    has_spoken: bool,
    /// The lists have shown that it keeps something back, and nothing came since.
    is_suspect: bool,
    /// Instances that have reported on this stream.
    reporters: BTreeSet<InstanceId>,
    /// What this stream says that the key is.
    key: Option<Secret>,
}

impl Monitor {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            link: Link::Off,
            changes: VecDeque::new(),
            retry: config.retry,
            failures: 0,
            is_polling: false,
            is_settled: false,
            is_list_wanted: false,
            listed_at: None,
        }
    }

    pub(super) fn stream(&self) -> Option<StreamId> {
        match &self.link {
            Link::Off | Link::Waiting => None,
            Link::Opening { stream, .. } => Some(*stream),
            Link::Open(open) => Some(open.stream),
        }
    }

    pub(super) fn open(&mut self) -> Option<&mut Open> {
        match &mut self.link {
            Link::Open(open) => Some(open),
            Link::Off | Link::Waiting | Link::Opening { .. } => None,
        }
    }
}

impl Client {
    /// The path is known and the key is good, as far as that can be told: begins or goes on.
    pub(super) fn resume_monitor(&mut self) {
        match (self.config.monitoring, &self.monitor.link) {
            (Monitoring::Off, _) => {}
            (Monitoring::Poll, _) => self.want_list(),
            (Monitoring::Stream, Link::Off | Link::Waiting) => {
                self.open_stream();
                if self.monitor.is_polling {
                    self.want_list();
                }
            }
            (Monitoring::Stream, Link::Opening { .. }) => {}
            (Monitoring::Stream, Link::Open(_)) if self.is_listing => {}
            (Monitoring::Stream, Link::Open(_)) => self.want_list(),
        }
    }

    pub(super) fn retry_stream(&mut self) {
        if matches!(self.monitor.link, Link::Waiting) {
            self.open_stream();
        }
    }

    pub(super) fn open_stream(&mut self) {
        self.timers.set(Timer::Reconnect, None);
        let Path::Known(base) = &self.path else { return };
        if self.is_key_refused || !matches!(self.monitor.link, Link::Off | Link::Waiting) {
            return;
        }
        let request = stream_request(base, &self.key);
        let stream = StreamId(self.next_id());
        let (key_generation, heard) = (self.key_generation, self.heard);
        self.monitor.link = Link::Opening { stream, key_generation, heard };
        self.arm(Timer::Head, Some(self.config.head_timeout));
        self.outputs.push_back(Output::OpenStream { stream, request });
    }

    pub(super) fn stream_opened(&mut self, stream: StreamId, head: &Response<()>) {
        let Link::Opening { stream: current, key_generation, .. } = self.monitor.link else { return };
        if current != stream {
            return;
        }
        self.timers.set(Timer::Head, None);
        if !matches!(head.status().as_u16(), 502..=504) {
            self.hear();
        }
        let kind = head.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
        match head.status() {
            StatusCode::UNAUTHORIZED => return self.stream_unauthorized(stream, key_generation),
            StatusCode::OK if kind.is_none_or(|kind| kind.starts_with(b"text/event-stream")) => {}
            StatusCode::OK => return self.give_up(StreamEnd::NoStream),
            status => return self.give_up(StreamEnd::Status(status)),
        }
        self.monitor.link = Link::Open(Box::new(Open {
            stream,
            key_generation,
            reader: Some(EventReader::new(self.config.max_frame)),
            since: self.now,
            has_event: false,
            is_first_event_overdue: false,
            has_shutdown: false,
            listed: 0,
            has_spoken: true,
            is_suspect: false,
            reporters: BTreeSet::new(),
            key: None,
        }));
        self.arm(Timer::FirstEvent, self.config.first_event_timeout);
        self.arm(Timer::Idle, self.config.idle_timeout);
        self.fleet.begin_stream();
        self.monitor.is_settled = false;
        self.event(Event::Streaming);
        if self.monitor.failures > 0 {
            // It may be another master now.
            self.ask_info();
        }
        if std::mem::take(&mut self.monitor.is_polling) {
            self.event(Event::PollingStopped);
        }
        self.want_list();
    }

    fn stream_unauthorized(&mut self, stream: StreamId, key_generation: u64) {
        self.outputs.push_back(Output::CloseStream { stream });
        self.monitor.link = Link::Waiting;
        if key_generation < self.key_generation {
            self.open_stream();
        } else if self.rotating.is_none() {
            let problem = if self.key.is_empty() { KeyProblem::Missing } else { KeyProblem::Invalid };
            self.refuse_key(problem);
        }
    }

    pub(super) fn stream_bytes(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(open) = self.monitor.open().filter(|open| open.stream == stream) else { return };
        let Some(mut reader) = open.reader.take() else { return };
        if !bytes.is_empty() {
            (open.has_spoken, open.is_suspect) = (true, false);
            self.hear();
            self.arm(Timer::Idle, self.config.idle_timeout);
        }
        reader.read(bytes, |item| self.item(item));
        if let Some(open) = self.monitor.open() {
            open.reader = Some(reader);
        }
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Event(event) => self.told(event),
            Item::Retry(wait) => {
                self.monitor.retry = wait.clamp(self.config.min_wait, self.config.max_wait);
            }
            Item::Lost(count) => {
                self.event(Event::Lost(count));
                self.doubt();
            }
            Item::Rejected(rejected) => {
                self.event(Event::Rejected(rejected));
                self.doubt();
            }
            _ => {}
        }
    }

    fn told(&mut self, event: InstanceEvent) {
        let Some(open) = self.monitor.open() else { return };
        if !std::mem::replace(&mut open.has_event, true) {
            self.timers.set(Timer::FirstEvent, None);
        }
        let record = event.instance.as_ref().filter(|instance| instance.id.is_key_record());
        let new_key = record.and_then(|record| open.key_told(&event.kind, record));
        let is_record = record.is_some();
        open.has_shutdown |= event.kind == EventKind::Shutdown;
        let reported = event.instance.as_ref().map(|instance| (event.kind.clone(), instance.id.clone()));
        if self.config.tells_events && !is_record {
            self.event(Event::Told(Box::new(event.clone())));
        }
        let at = self.moment();
        self.fleet.apply_event(event, at, &mut self.monitor.changes);
        if let Some((kind, id)) = reported {
            self.note_report(&kind, id);
        }
        self.tell_changes();
        if let Some(key) = new_key.filter(|key| self.config.adopts_keys && *key != self.key) {
            self.adopt_key(key, KeySource::Stream);
        }
    }

    /// Takes note of who reports over this stream. Only instances of the view count, which has a limit.
    fn note_report(&mut self, kind: &EventKind, id: InstanceId) {
        let reports = self.fleet.get(id.as_str()).is_some_and(|member| reports(member.instance()));
        let Some(open) = self.monitor.open() else { return };
        match kind {
            EventKind::Update if reports => {
                open.reporters.insert(id);
            }
            EventKind::Log => {}
            _ => {
                open.reporters.remove(&id);
            }
        }
    }

    /// Events are missing: the view may be wrong.
    fn doubt(&mut self) {
        self.fleet.doubt();
        self.monitor.is_settled = false;
        self.want_list();
    }

    pub(super) fn stream_end(&mut self, stream: StreamId, failure: Option<Failure>) {
        if self.monitor.stream() != Some(stream) {
            return;
        }
        if let Some(failure) = failure {
            self.not_opened(failure.kind);
        }
        let has_shutdown = self.monitor.open().is_some_and(|open| open.has_shutdown);
        let reason = match failure {
            _ if has_shutdown => StreamEnd::Shutdown,
            Some(failure) => StreamEnd::Failed(failure.kind),
            None => StreamEnd::Ended,
        };
        self.lose(reason);
    }

    /// Ends a stream from this side.
    pub(super) fn give_up(&mut self, reason: StreamEnd) {
        let Some(stream) = self.monitor.stream() else { return };
        self.outputs.push_back(Output::CloseStream { stream });
        if reason == StreamEnd::NoHead {
            self.not_opened(FailureKind::TimedOut);
        }
        self.lose(reason);
    }

    /// A stream that was about to be opened was not. The master may have answered other requests meanwhile.
    fn not_opened(&mut self, reason: FailureKind) {
        let Link::Opening { heard, .. } = self.monitor.link else { return };
        if reason == FailureKind::TooLarge {
            self.hear();
        } else if heard == self.heard {
            self.set_reachable(false);
        }
    }

    fn lose(&mut self, reason: StreamEnd) {
        for timer in [Timer::Head, Timer::FirstEvent, Timer::Idle] {
            self.timers.set(timer, None);
        }
        let link = std::mem::replace(&mut self.monitor.link, Link::Waiting);
        self.monitor.is_settled = false;
        let (is_outdated, was_stable) = match &link {
            Link::Open(open) => {
                let lived = self.now.saturating_duration_since(open.since);
                (open.key_generation < self.key_generation, lived >= self.config.stable_after)
            }
            Link::Opening { key_generation, .. } => (*key_generation < self.key_generation, false),
            Link::Off | Link::Waiting => (false, false),
        };
        if was_stable || is_outdated {
            self.monitor.failures = 0;
        }
        if is_outdated {
            let reason = StreamEnd::KeyChanged;
            self.event(Event::Reconnecting { wait: Duration::ZERO, failures: 0, reason });
            return self.open_stream();
        }
        if self.is_key_refused {
            return self.event(Event::StreamEnded(reason));
        }
        // Masters end all streams when they make another key.
        let failure = u32::from(self.rotating.is_none());
        self.monitor.failures = self.monitor.failures.saturating_add(failure);
        let failures = self.monitor.failures;
        let wait = self.back_off(failures, self.monitor.retry);
        self.arm(Timer::Reconnect, Some(wait));
        self.event(Event::Reconnecting { wait, failures, reason });
        if failures >= self.config.poll_after && !std::mem::replace(&mut self.monitor.is_polling, true) {
            self.event(Event::PollingStarted);
            self.want_list();
        }
    }

    // Timers

    pub(super) fn first_event_is_due(&mut self) {
        if let Some(open) = self.monitor.open() {
            open.is_first_event_overdue = true;
        }
        self.check_first_event();
    }

    /// A stream that says nothing is none, if the list says that there is something to tell.
    pub(super) fn check_first_event(&mut self) {
        let Some(open) = self.monitor.open() else { return };
        if open.is_first_event_overdue && !open.has_event && open.listed > 0 {
            self.give_up(StreamEnd::NoEvents);
        }
    }

    /// Two lists of this stream were there. If the second shows that instances have reported, and the stream has said nothing
    /// at all since the first, then it has to say something soon: a report may be under way.
    pub(super) fn check_silence(&mut self, have_reported: bool) {
        let Some(open) = self.monitor.open() else { return };
        let has_spoken = std::mem::take(&mut open.has_spoken);
        if has_spoken || !have_reported || open.is_suspect {
            return;
        }
        let (Some(wait), Some(longest)) = (self.config.first_event_timeout, self.config.idle_timeout) else {
            return;
        };
        open.is_suspect = true;
        self.arm(Timer::Idle, Some(wait.min(longest)));
    }

    /// Nothing came for a long time. That is a loss only if an instance should have reported.
    pub(super) fn silence(&mut self) {
        let Link::Open(open) = &self.monitor.link else { return };
        let reports =
            |id: &InstanceId| self.fleet.get(id.as_str()).is_some_and(|member| reports(member.instance()));
        if open.is_suspect || open.reporters.iter().any(reports) {
            return self.give_up(StreamEnd::Silent);
        }
        self.arm(Timer::Idle, self.config.idle_timeout);
    }

    pub(super) fn tell_changes(&mut self) {
        while let Some(change) = self.monitor.changes.pop_front() {
            // The client has events of its own for these two.
            if !matches!(change, Change::Reachable | Change::Unreachable) {
                self.event(Event::Change(change));
            }
        }
    }
}

impl Open {
    /// Takes note of what the stream says that the key is. Returns it when it is another one than this stream has said before:
    /// masters that hide it always say the same.
    fn key_told(&mut self, kind: &EventKind, record: &Instance) -> Option<Secret> {
        let told = record.api_key().filter(is_fit)?;
        let before = self.key.replace(told.clone())?;
        (*kind == EventKind::Update && before != told).then_some(told)
    }
}

/// Whether an instance runs, has said in which mode, and goes on to report: those with the log level `none` do not (§5).
fn reports(instance: &Instance) -> bool {
    let query = instance.url.split_once('?').map_or("", |(_, query)| query);
    let is_mute = query.split('&').any(|pair| pair == "log=none");
    instance.status == Status::Running && instance.mode.is_some_and(|mode| mode != 0) && !is_mute
}
