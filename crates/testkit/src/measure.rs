//! Measuring things against each other in one run. Figures of one run on one machine mean little; their ratios do.

use std::time::{Duration, Instant};

/// How long one batch of calls should take: long for the clock, short for the scheduler.
const BATCH: Duration = Duration::from_millis(2);
const ROUNDS: usize = 61;

/// Something to measure: a name and a call.
pub struct Subject<'a> {
    name: &'a str,
    call: Box<dyn FnMut() + 'a>,
}

impl<'a> Subject<'a> {
    /// Names a call.
    pub fn new(name: &'a str, call: impl FnMut() + 'a) -> Self {
        Self { name, call: Box::new(call) }
    }

    fn time(&mut self, calls: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            (self.call)();
        }
        start.elapsed()
    }

    fn calls_in_a_batch(&mut self) -> u32 {
        let mut calls = 1;
        loop {
            let taken = self.time(calls);
            if taken >= BATCH || calls >= 1 << 24 {
                return calls;
            }
            calls = calls.saturating_mul(2);
        }
    }
}

/// A measured call.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The subject's name.
    pub name: String,
    /// The median time of one call.
    pub time: Duration,
    /// The same in nanoseconds, with the fraction that a `Duration` has no room for.
    pub nanoseconds: f64,
}

impl Figure {
    /// Returns how many times as long as the other this takes.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        self.nanoseconds / other.nanoseconds
    }
}

/// Measures all subjects in turns, so that whatever else the machine does meets them alike; returns the median of
/// each.
#[must_use]
pub fn compare(mut subjects: Vec<Subject<'_>>) -> Vec<Figure> {
    let calls: Vec<u32> = subjects.iter_mut().map(Subject::calls_in_a_batch).collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    for _ in 0..ROUNDS {
        for ((subject, &calls), times) in subjects.iter_mut().zip(&calls).zip(&mut times) {
            times.push(subject.time(calls).as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    let figure = |(subject, mut times): (Subject<'_>, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        let nanoseconds = times[ROUNDS / 2];
        let time = Duration::from_nanos(nanoseconds as u64);
        Figure { name: subject.name.to_owned(), time, nanoseconds }
    };
    subjects.into_iter().zip(times).map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_gets_a_figure_in_its_place() {
        let (mut a, mut b) = (0_u64, 0_u64);
        let figures = compare(vec![Subject::new("a", || a += 1), Subject::new("b", || b += 1)]);
        assert_eq!(figures.iter().map(|figure| &*figure.name).collect::<Vec<_>>(), ["a", "b"]);
        assert!(a >= ROUNDS as u64 && b >= ROUNDS as u64);
    }
}
