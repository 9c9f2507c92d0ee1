//! One line of the table.

use serde_json::json;
use testkit::measure::Figure;

/// A figure of ours, held against a goal.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) input: String,
    pub(crate) ours: String,
    pub(crate) peer: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: Option<f64>,
}

impl Row {
    pub(crate) const HEADING: &str = "input                                              ours         peer        limit  ratio   goal  met";

    /// Returns the row of a measured group: ours first, the limit last, a peer between them if there is one.
    pub(crate) fn of(input: impl Into<String>, figures: &[Figure], goal: f64) -> Self {
        let (ours, limit) = (&figures[0], &figures[figures.len() - 1]);
        let peer = (figures.len() > 2).then(|| &figures[1]);
        Self {
            input: input.into(),
            ours: time(ours),
            peer: peer.map(time),
            limit: Some(time(limit)),
            ratio: Some(ours.ratio_to(limit)),
            goal: Some(goal),
        }
    }

    /// Returns a row for a figure without a limit.
    pub(crate) fn bare(input: impl Into<String>, ours: String) -> Self {
        Self { input: input.into(), ours, peer: None, limit: None, ratio: None, goal: None }
    }

    /// Returns a row for bytes that are not to be more than so many.
    pub(crate) fn of_bytes(input: impl Into<String>, bytes: isize, most: u32) -> Self {
        Self {
            limit: Some(format!("{most} bytes")),
            ratio: Some(bytes as f64 / f64::from(most)),
            goal: Some(1.0),
            ..Self::bare(input, format!("{bytes} bytes"))
        }
    }

    fn met(&self) -> Option<bool> {
        Some(self.ratio? <= self.goal?)
    }

    pub(crate) fn line(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2}"));
        let met = self.met().map_or("-", |met| if met { "yes" } else { "no" });
        format!(
            "{:<42} {:>12} {:>12} {:>12} {:>6} {:>6}  {met}",
            self.input,
            self.ours,
            text(&self.peer),
            text(&self.limit),
            number(self.ratio),
            number(self.goal)
        )
    }

    pub(crate) fn json(&self) -> String {
        json!({
            "input": self.input, "ours": self.ours, "peer": self.peer, "limit": self.limit,
            "ratio": self.ratio, "goal": self.goal, "met": self.met(),
        })
        .to_string()
    }
}

fn time(figure: &Figure) -> String {
    match figure.nanoseconds {
        short @ ..10_000.0 => format!("{short:.0} ns"),
        long => format!("{:.1} us", long / 1_000.0),
    }
}
