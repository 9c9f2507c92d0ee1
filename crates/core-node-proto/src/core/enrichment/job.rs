//! The jobs and one run of each.

use super::AddressQuery;
use super::global::is_global;
use super::throttle::Ready;
use crate::call::Failure;
use crate::value::{Address, Timestamp};
use std::collections::VecDeque;

/// What runs at its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Job {
    /// All addresses anew.
    Daily,
    /// Addresses that were first seen of late.
    Recent,
}

impl Job {
    /// Both, the one that goes first before the other.
    pub(super) const BY_RANK: [Self; 2] = [Self::Recent, Self::Daily];
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Which job it was.
    pub job: Job,
    /// How many requests were made, repetitions included.
    pub requests: u64,
    /// How many addresses the provider had something about.
    pub stored: u64,
    /// How many addresses were not asked about, as they are not global.
    pub skipped: u64,
    /// How many addresses were asked about in vain.
    pub failed: u64,
    /// Whether it got to the last address. Otherwise the rest is left to the next run.
    pub is_complete: bool,
    /// What went wrong last.
    pub problem: Option<Problem>,
}

/// What went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The application had no addresses, or not in time.
    #[error("no answer to the query for addresses")]
    Query,
    /// The provider did not answer in time.
    #[error("no answer of the provider in time")]
    TimedOut,
    /// The transport failed.
    #[error("no answer of the provider: {}", .0.kind)]
    Transport(Failure),
    /// The provider answered with a status that is no success.
    #[error("the provider answered with HTTP status {0}")]
    Status(u16),
    /// The answer is longer than its limit.
    #[error("the answer of the provider is too long")]
    TooLong,
    /// The answer does not have the provider's form.
    #[error("the answer of the provider is not readable")]
    Unreadable,
}

/// A run of a job.
pub(super) struct Run {
    /// What [`AddressQuery::FirstSeenAfter`] asks for; all addresses without.
    pub(super) since: Option<Timestamp>,
    /// Addresses of the page that are still to be asked about, those of the open request first.
    pub(super) waiting: VecDeque<Address>,
    /// How often the first of them have been asked about in vain.
    pub(super) attempts: u32,
    /// When they may be asked about again.
    pub(super) retry: Ready,
    /// How many requests in a row have failed for good.
    pub(super) failures: u32,
    pub(super) report: Report,
    /// The last address of the last page.
    cursor: Option<Address>,
    is_last_page: bool,
}

impl Run {
    pub(super) const fn new(job: Job, since: Option<Timestamp>) -> Self {
        let report =
            Report { job, requests: 0, stored: 0, skipped: 0, failed: 0, is_complete: false, problem: None };
        Self {
            since,
            waiting: VecDeque::new(),
            attempts: 0,
            retry: Ready::Now,
            failures: 0,
            report,
            cursor: None,
            is_last_page: false,
        }
    }

    /// Whether it needs another page.
    pub(super) fn wants_page(&self) -> bool {
        self.waiting.is_empty() && !self.is_last_page
    }

    /// Whether nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.is_last_page
    }

    pub(super) const fn query(&self, limit: usize) -> AddressQuery {
        match self.since {
            Some(instant) => AddressQuery::FirstSeenAfter { instant, after: self.cursor, limit },
            None => AddressQuery::All { after: self.cursor, limit },
        }
    }

    /// Takes a page. One that is not as it was asked for is put right, so that the run always ends.
    pub(super) fn take_page(&mut self, mut page: Vec<Address>, limit: usize) {
        self.is_last_page = page.len() < limit;
        page.sort_unstable();
        page.dedup();
        page.retain(|address| Some(*address) > self.cursor);
        page.truncate(limit);
        match page.last() {
            Some(last) => self.cursor = Some(*last),
            None => self.is_last_page = true,
        }
        let count = page.len();
        self.waiting.extend(page.into_iter().filter(|address| is_global(*address)));
        self.report.skipped += (count - self.waiting.len()) as u64;
    }

    /// Takes the addresses of a request off; `stored` of them have an answer.
    pub(super) fn settle(&mut self, count: usize, stored: usize) {
        self.waiting.drain(..count);
        self.attempts = 0;
        self.retry = Ready::Now;
        self.report.stored += stored as u64;
        self.report.failed += (count - stored) as u64;
    }
}
