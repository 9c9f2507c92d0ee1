//! The machine of both jobs, which Core owns and drains.

use super::job::Run;
use super::throttle::{RateNotice, Ready, Throttle};
use super::{AddressQuery, Config, ConfigError, Job, Problem, Report, answer, request};
use crate::call::Failure;
use crate::message::JsonObject;
use crate::value::{Address, Timestamp};
use bytes::Bytes;
use http::{Request, Response};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use web_time::Instant;

/// Runs both jobs. At most one query and one request are open at a time, so that they need no ids here; its owner gives
/// them some and passes on outcomes of the last ones only.
pub(in crate::core) struct Enrichment {
    config: Config,
    throttle: Throttle,
    /// One for each [`Job`].
    slots: [Slot; 2],
    query: Option<OpenQuery>,
    request: Option<OpenRequest>,
    tasks: VecDeque<Task>,
}

/// Work for the owner, in order.
pub(in crate::core) enum Task {
    /// Ask the application; then [`Enrichment::handle_addresses`] or [`Enrichment::handle_query_failure`].
    Query(AddressQuery),
    /// Send this; then [`Enrichment::handle_response`] or [`Enrichment::handle_failure`]. Its URI and headers may hold
    /// the token.
    Request(Request<Bytes>),
    /// The outcome of the open request is no longer wanted.
    CancelRequest,
    /// Keep what the provider has about these addresses, for all users that have them.
    Store(Vec<(Address, JsonObject)>),
    /// A run has ended.
    Finished(Report),
}

/// A job, its next time and its run.
#[derive(Default)]
struct Slot {
    due: Option<Instant>,
    /// Which multiple of its period that is.
    next: Option<i64>,
    /// Which multiple of its period it was last due at.
    last: Option<i64>,
    run: Option<Run>,
}

struct OpenQuery {
    job: Job,
    deadline: Option<Instant>,
}

struct OpenRequest {
    job: Job,
    /// How many of the addresses that wait it is about.
    count: usize,
    deadline: Option<Instant>,
}

/// How far a problem reaches.
enum Reach {
    /// Another attempt may help.
    Attempt,
    /// These addresses will have no answer.
    Request,
    /// No address will.
    Run,
}

impl Enrichment {
    pub(in crate::core) fn new(
        config: Config,
        wall_clock: Timestamp,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let throttle = Throttle::new(config.effective_rate());
        let mut this = Self {
            config,
            throttle,
            slots: Default::default(),
            query: None,
            request: None,
            tasks: VecDeque::new(),
        };
        this.reschedule(wall_clock, now);
        Ok(this)
    }

    /// Starts a job before its time; false if it runs already.
    pub(in crate::core) fn start(&mut self, job: Job, wall_clock: Timestamp, now: Instant) -> bool {
        if self.slots[job as usize].run.is_some() {
            return false;
        }
        let since = match job {
            Job::Daily => None,
            Job::Recent => Some(before(wall_clock, self.config.recent_window)),
        };
        self.slots[job as usize].run = Some(Run::new(job, since));
        self.advance(now);
        true
    }

    /// Sets both jobs' next times anew: the wall clock was set. What is due stays due, and what is due by the wall clock is due.
    pub(in crate::core) fn reschedule(&mut self, wall_clock: Timestamp, now: Instant) {
        for job in Job::BY_RANK {
            let reached = reached(wall_clock, self.period(job));
            let slot = &mut self.slots[job as usize];
            if slot.due.is_some_and(|due| due <= now) {
                continue;
            }
            if slot.next.is_some() && reached >= slot.next {
                slot.due = Some(now);
            } else {
                self.schedule(job, wall_clock, now);
            }
        }
    }

    fn schedule(&mut self, job: Job, wall_clock: Timestamp, now: Instant) {
        let period = self.period(job);
        let slot = &mut self.slots[job as usize];
        slot.next = next(wall_clock, period, slot.last);
        let wait = slot.next.and_then(|next| until(next, period, wall_clock));
        slot.due = wait.and_then(|wait| now.checked_add(wait));
    }

    pub(in crate::core) fn handle_timeout(&mut self, wall_clock: Timestamp, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.request.as_ref().is_some_and(|open| is_due(open.deadline)) {
            self.tasks.push_back(Task::CancelRequest);
            self.fail_request(Problem::TimedOut, Reach::Attempt, None, now);
        }
        if self.query.as_ref().is_some_and(|open| is_due(open.deadline)) {
            self.fail_query();
        }
        for job in Job::BY_RANK {
            if is_due(self.slots[job as usize].due) {
                self.slots[job as usize].last = latest(wall_clock, self.period(job));
                self.schedule(job, wall_clock, now);
                self.start(job, wall_clock, now);
            }
        }
        self.advance(now);
    }

    pub(in crate::core) fn handle_addresses(&mut self, page: Vec<Address>, now: Instant) {
        let Some(open) = self.query.take() else { return };
        let limit = self.config.page;
        if let Some(run) = &mut self.slots[open.job as usize].run {
            run.take_page(page, limit);
        }
        self.advance(now);
    }

    pub(in crate::core) fn handle_query_failure(&mut self, now: Instant) {
        self.fail_query();
        self.advance(now);
    }

    pub(in crate::core) fn handle_response(&mut self, response: &Response<Bytes>, now: Instant) {
        let Some(open) = &self.request else { return };
        let (job, count) = (open.job, open.count);
        let (status, body) = (response.status(), response.body());
        let notice = RateNotice::read(status, response.headers());
        let wait = notice.wait.map(|wait| wait.min(self.config.max_retry_delay));
        if let Some(wait) = wait {
            self.throttle.pause(wait, now);
        }
        if !status.is_success() {
            self.fail_request(Problem::Status(status.as_u16()), reach(status), wait, now);
        } else if body.len() > self.config.max_response {
            self.fail_request(Problem::TooLong, Reach::Request, wait, now);
        } else {
            let asked = self.first_waiting(job, count);
            match answer::read(&self.config, &asked, body) {
                Some(found) => self.settle_request(found),
                None => self.fail_request(Problem::Unreadable, Reach::Attempt, wait, now),
            }
        }
        self.advance(now);
    }

    pub(in crate::core) fn handle_failure(&mut self, failure: Failure, now: Instant) {
        self.fail_request(Problem::Transport(failure), Reach::Attempt, None, now);
        self.advance(now);
    }

    #[must_use = "work that is not carried out is lost"]
    pub(in crate::core) fn poll(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    #[must_use]
    pub(in crate::core) fn next_deadline(&self) -> Option<Instant> {
        let query = self.query.as_ref().and_then(|open| open.deadline);
        let request = match &self.request {
            Some(open) => open.deadline,
            None => Job::BY_RANK.into_iter().filter_map(|job| self.next_request_at(job)).min(),
        };
        self.slots.iter().map(|slot| slot.due).chain([query, request]).flatten().min()
    }

    const fn period(&self, job: Job) -> Duration {
        match job {
            Job::Daily => self.config.daily_interval,
            Job::Recent => self.config.recent_interval,
        }
    }

    /// Returns when a job may send its next request; `None` if it has none or never may.
    fn next_request_at(&self, job: Job) -> Option<Instant> {
        let ready = self.request_ready(job)?;
        if let Ready::At(at) = ready { Some(at) } else { None }
    }

    fn request_ready(&self, job: Job) -> Option<Ready> {
        let run = self.slots[job as usize].run.as_ref().filter(|run| !run.waiting.is_empty())?;
        Some(self.throttle.ready_at().max(run.retry))
    }

    /// Does what can be done now.
    fn advance(&mut self, now: Instant) {
        for job in Job::BY_RANK {
            if self.slots[job as usize].run.as_ref().is_some_and(Run::is_over) {
                self.end(job, true);
            }
        }
        if self.query.is_none() {
            self.ask_application(now);
        }
        if self.request.is_none() {
            self.ask_provider(now);
        }
    }

    fn ask_application(&mut self, now: Instant) {
        let limit = self.config.page;
        for job in Job::BY_RANK {
            if let Some(run) = self.slots[job as usize].run.as_ref().filter(|run| run.wants_page()) {
                self.tasks.push_back(Task::Query(run.query(limit)));
                let deadline = now.checked_add(self.config.query_timeout);
                self.query = Some(OpenQuery { job, deadline });
                return;
            }
        }
    }

    fn ask_provider(&mut self, now: Instant) {
        let is_ready = |job: &Job| self.request_ready(*job).is_some_and(|ready| ready.is_ready(now));
        let Some(job) = Job::BY_RANK.into_iter().find(is_ready) else { return };
        let batch = self.config.batch;
        let Some(run) = &mut self.slots[job as usize].run else { return };
        run.report.requests += 1;
        let count = run.waiting.len().min(batch);
        let addresses = self.first_waiting(job, count);
        self.tasks.push_back(Task::Request(request::request(&self.config, &addresses)));
        self.throttle.note_request(now);
        let deadline = now.checked_add(self.config.request_timeout);
        self.request = Some(OpenRequest { job, count, deadline });
    }

    fn first_waiting(&self, job: Job, count: usize) -> Vec<Address> {
        let waiting = self.slots[job as usize].run.iter().flat_map(|run| &run.waiting);
        waiting.take(count).copied().collect()
    }

    fn settle_request(&mut self, found: Vec<(Address, JsonObject)>) {
        let Some(open) = self.request.take() else { return };
        if let Some(run) = &mut self.slots[open.job as usize].run {
            run.settle(open.count, found.len());
            run.failures = 0;
        }
        if !found.is_empty() {
            self.tasks.push_back(Task::Store(found));
        }
    }

    fn fail_request(&mut self, problem: Problem, reach: Reach, wait: Option<Duration>, now: Instant) {
        let Some(open) = self.request.take() else { return };
        let Some(run) = &mut self.slots[open.job as usize].run else { return };
        run.report.problem = Some(problem);
        match reach {
            Reach::Attempt if run.attempts < self.config.retries => {
                let delay = self.config.delay_before_retry(run.attempts, wait);
                run.retry = now.checked_add(delay).map_or(Ready::Never, Ready::At);
                run.attempts += 1;
            }
            Reach::Attempt | Reach::Request => {
                run.settle(open.count, 0);
                run.failures += 1;
                if run.failures >= self.config.failures_before_end {
                    self.end(open.job, false);
                }
            }
            Reach::Run => {
                run.settle(open.count, 0);
                self.end(open.job, false);
            }
        }
    }

    fn fail_query(&mut self) {
        let Some(open) = self.query.take() else { return };
        if let Some(run) = &mut self.slots[open.job as usize].run {
            run.report.problem = Some(Problem::Query);
        }
        self.end(open.job, false);
    }

    fn end(&mut self, job: Job, is_complete: bool) {
        if let Some(run) = self.slots[job as usize].run.take() {
            self.tasks.push_back(Task::Finished(Report { is_complete, ..run.report }));
        }
    }
}

impl fmt::Debug for Enrichment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = |job: Job| self.slots[job as usize].run.as_ref().map(|run| run.waiting.len());
        f.debug_struct("Enrichment")
            .field("provider", &self.config.provider)
            .field("daily", &waiting(Job::Daily))
            .field("recent", &waiting(Job::Recent))
            .field("has_query", &self.query.is_some())
            .field("has_request", &self.request.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => f.debug_tuple("Query").field(query).finish(),
            Self::Request(request) => {
                write!(f, "Request({}, {} bytes)", request.method(), request.body().len())
            }
            Self::CancelRequest => f.write_str("CancelRequest"),
            Self::Store(found) => write!(f, "Store({} addresses)", found.len()),
            Self::Finished(report) => f.debug_tuple("Finished").field(report).finish(),
        }
    }
}

/// Returns how far an answer that is no success reaches.
fn reach(status: http::StatusCode) -> Reach {
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => Reach::Attempt,
        401..=403 => Reach::Run,
        _ => Reach::Request,
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let at = at.unix_milliseconds().saturating_sub(span);
    Timestamp::from_unix_milliseconds(at).unwrap_or(Timestamp::MIN)
}

/// How far a wall clock may be behind the time that passed since it was read.
const TOLERANCE: i64 = 1000;

/// Returns which multiple of a period has been reached; one that is all but reached counts, too, so that a wall clock which is
/// a little slow does not make a job due twice.
fn latest(at: Timestamp, period: Duration) -> Option<i64> {
    let period = milliseconds(period)?;
    Some((at.unix_milliseconds() + TOLERANCE.min(period / 2)).div_euclid(period))
}

/// Returns which multiple of a period has been reached.
fn reached(at: Timestamp, period: Duration) -> Option<i64> {
    milliseconds(period).map(|period| at.unix_milliseconds().div_euclid(period))
}

/// Returns the next multiple of a period after the last one that a job was due at.
fn next(at: Timestamp, period: Duration, last: Option<i64>) -> Option<i64> {
    let next = reached(at, period)? + 1;
    // A last one that is further ahead is of a wall clock that was set back since.
    Some(if last == Some(next) { next + 1 } else { next })
}

/// Returns the time to a multiple of a period; `None` if it is beyond counting.
fn until(multiple: i64, period: Duration, at: Timestamp) -> Option<Duration> {
    let wait = multiple.checked_mul(milliseconds(period)?)?.checked_sub(at.unix_milliseconds())?;
    u64::try_from(wait).ok().map(Duration::from_millis)
}

fn milliseconds(period: Duration) -> Option<i64> {
    i64::try_from(period.as_millis()).ok().filter(|period| *period > 0)
}

#[cfg(test)]
mod tests;
