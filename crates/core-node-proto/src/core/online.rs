//! Who is online. §10.2, §10.3.

use super::OnlineKey;
use std::collections::HashMap;
use std::time::Duration;
use web_time::Instant;

/// When users, and users through inbounds, were last reported.
#[derive(Default)]
pub(super) struct Online {
    received: HashMap<OnlineKey, Instant>,
}

/// What a report means for a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It was reported at that instant, or later, before.
    Known,
    /// It lives on.
    Renewed,
    /// It was not reported for longer than the gap.
    Appeared,
    /// There is no room for it.
    Skipped,
}

impl Online {
    pub(super) fn receive(&mut self, key: OnlineKey, at: Instant, gap: Duration, most: usize) -> Receipt {
        let is_full = self.received.len() >= most;
        match self.received.get_mut(&key) {
            Some(last) if *last >= at => Receipt::Known,
            Some(last) => {
                let passed = at.saturating_duration_since(std::mem::replace(last, at));
                if passed > gap { Receipt::Appeared } else { Receipt::Renewed }
            }
            None if is_full => Receipt::Skipped,
            None => {
                self.received.insert(key, at);
                Receipt::Appeared
            }
        }
    }

    /// Drops what is gone and would count as new.
    pub(super) fn sweep(&mut self, now: Instant, lifetime: Duration, gap: Duration) {
        self.received.retain(|_, at| {
            let passed = now.saturating_duration_since(*at);
            passed < lifetime || passed <= gap
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Returns the keys that live, sorted, with how much longer they do.
    pub(super) fn keys(&self, now: Instant, lifetime: Duration) -> Vec<(OnlineKey, Duration)> {
        let left = |at: Instant| lifetime.checked_sub(now.saturating_duration_since(at));
        let keys = self.received.iter().filter_map(|(&key, &at)| Some((key, left(at)?)));
        let mut keys: Vec<_> = keys.filter(|(_, left)| !left.is_zero()).collect();
        keys.sort_unstable();
        keys
    }
}
