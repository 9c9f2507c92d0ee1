//! Counting checks, and the closing line.

use std::collections::BTreeMap;
use std::fmt;

/// What a suite or a replay has found so far. `Display` writes it all, the closing line last.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    passed: usize,
    failures: Vec<String>,
    deviations: BTreeMap<&'static str, Skips>,
    skips: BTreeMap<&'static str, Skips>,
    notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Skips {
    reason: &'static str,
    count: usize,
}

/// A place where a crate deliberately answers otherwise than the original: a name and a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// As in `sha-not-hex`.
    pub name: &'static str,
    /// Why the crate answers otherwise.
    pub reason: &'static str,
}

impl Tally {
    /// Counts a check that passed.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts a check that failed.
    pub fn fail(&mut self, key: impl fmt::Display, expected: impl fmt::Display, got: impl fmt::Display) {
        self.failures.push(format!("FAIL {key}: expected {expected}, got {got}"));
    }

    /// Counts a check, failed unless both are equal.
    pub fn check<T: fmt::Debug + PartialEq>(&mut self, key: impl fmt::Display, expected: &T, got: &T) {
        if expected == got {
            self.pass();
        } else {
            self.fail(key, format_args!("{expected:?}"), format_args!("{got:?}"));
        }
    }

    /// Counts a deviation that is on purpose.
    pub fn deviate(&mut self, deviation: Deviation) {
        count(&mut self.deviations, deviation.name, deviation.reason);
    }

    /// Counts something that was left out.
    pub fn skip(&mut self, name: &'static str, reason: &'static str) {
        count(&mut self.skips, name, reason);
    }

    /// Adds a line that counts nothing.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Returns how many checks passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Returns the checks that failed.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Returns how many were skipped, deviations included.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.deviations.values().chain(self.skips.values()).map(|skips| skips.count).sum()
    }

    /// Returns the names of the deviations met and how often each was.
    #[must_use]
    pub fn deviations(&self) -> Vec<(&'static str, usize)> {
        self.deviations.iter().map(|(&name, skips)| (name, skips.count)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for (name, skips) in &self.skips {
            writeln!(f, "skipped {name} ×{}: {}", skips.count, skips.reason)?;
        }
        for (name, skips) in &self.deviations {
            writeln!(f, "deviation {name} ×{}: {}", skips.count, skips.reason)?;
        }
        let (failed, skipped) = (self.failures.len(), self.skipped());
        write!(f, "{} passed, {failed} failed, {skipped} skipped", self.passed)
    }
}

fn count(skips: &mut BTreeMap<&'static str, Skips>, name: &'static str, reason: &'static str) {
    skips.entry(name).or_insert(Skips { reason, count: 0 }).count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_stands_last_and_alone() {
        let mut tally = Tally::default();
        tally.pass();
        tally.check("row", &1, &2);
        tally.deviate(Deviation { name: "odd", reason: "because" });
        tally.skip("shortened", "no body");
        let text = tally.to_string();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "FAIL row: expected 1, got 2",
                "skipped shortened ×1: no body",
                "deviation odd ×1: because",
                "1 passed, 1 failed, 2 skipped"
            ]
        );
    }
}
