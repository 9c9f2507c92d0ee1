//! A table that is drawn anew, with the last lines below it.

use console::{Alignment, Style, Term, measure_text_width, pad_str, truncate_str};
use nodepass_api::client::{Client, State};
use nodepass_api::fleet::{LogEntry, Member};
use nodepass_api::wire::{EventTime, InstanceId, Status, plain_text};
use std::collections::VecDeque;
use std::io::Write as _;

/// Lines that are kept for a terminal that becomes larger.
const MOST_NOTES: usize = 200;

/// How a client stands, and as many of its instances as there is room for.
#[derive(Clone, Debug, Default)]
pub struct View {
    headline: String,
    rows: Vec<Row>,
    hidden: usize,
}

#[derive(Clone, Debug)]
struct Row {
    status: Status,
    is_current: bool,
    cells: [String; COLUMNS.len()],
}

/// Name, width, whether it is a number. The last one takes what is left.
const COLUMNS: [(&str, usize, bool); 11] = [
    ("ID", 8, false),
    ("STATUS", 7, false),
    ("TYPE", 6, false),
    ("TCP", 5, true),
    ("UDP", 5, true),
    ("IN/S", 9, true),
    ("OUT/S", 9, true),
    ("IN", 9, true),
    ("OUT", 9, true),
    ("PING", 7, true),
    ("ALIAS", 0, false),
];

impl View {
    /// Returns how a client stands, with `most` instances at most.
    #[must_use]
    pub fn of(client: &Client, most: usize) -> Self {
        let fleet = client.fleet();
        let mut counts = [0_usize; 3];
        let (mut received, mut sent) = (0.0, 0.0);
        for member in fleet.iter() {
            match member.instance().status {
                Status::Running => counts[0] += 1,
                Status::Error => counts[2] += 1,
                _ => counts[1] += 1,
            }
            let rates = member.rates();
            received += rates.tcprx + rates.udprx;
            sent += rates.tcptx + rates.udptx;
        }
        let release = client.release().map(|release| format!(" {release}")).unwrap_or_default();
        let synced = if client.is_synced() { ", synced" } else { "" };
        let [running, stopped, failed] = counts;
        let headline = format!(
            "{}{release}  {}{synced}  {running} running, {stopped} stopped, {failed} failed  in {}/s, out {}/s",
            client.config().endpoint,
            state(client.state()),
            bytes(received),
            bytes(sent),
        );
        let is_reachable = fleet.is_reachable();
        let rows = fleet.iter().take(most).map(|member| Row::of(member, is_reachable)).collect();
        Self { headline, rows, hidden: fleet.len().saturating_sub(most) }
    }
}

impl Row {
    fn of(member: &Member, is_reachable: bool) -> Self {
        let (instance, rates) = (member.instance(), member.rates());
        let traffic = instance.traffic();
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let sum = |one: u64, other: u64| one.saturating_add(other) as f64;
        let ping = instance.ping.map(|ping| format!("{ping} ms")).unwrap_or_default();
        Self {
            status: instance.status.clone(),
            is_current: member.is_confirmed() && is_reachable,
            cells: [
                plain_text(member.id().as_str()).into_owned(),
                plain_text(instance.status.as_str()).into_owned(),
                plain_text(instance.kind.as_str()).into_owned(),
                number(instance.tcps),
                number(instance.udps),
                bytes(rates.tcprx + rates.udprx),
                bytes(rates.tcptx + rates.udptx),
                bytes(sum(traffic.tcprx, traffic.udprx)),
                bytes(sum(traffic.tcptx, traffic.udptx)),
                ping,
                plain_text(instance.alias().unwrap_or_default()).into_owned(),
            ],
        }
    }

    fn style(&self) -> Style {
        match self.status {
            _ if !self.is_current => Style::new().dim(),
            Status::Running => Style::new().green(),
            Status::Error => Style::new().red(),
            _ => Style::new(),
        }
    }
}

/// The screen of a terminal.
pub struct Screen {
    term: Term,
    drawn: usize,
    notes: VecDeque<String>,
}

impl Screen {
    /// Takes the terminal.
    #[must_use]
    pub fn new() -> Self {
        let term = Term::buffered_stdout();
        let _ = term.hide_cursor(); // an error: it is shown, no more
        Self { term, drawn: 0, notes: VecDeque::new() }
    }

    /// Returns how many instances can be shown.
    #[must_use]
    pub fn room(&self) -> usize {
        room(self.term.size().0.into())
    }

    /// Adds a line to those below the table.
    pub fn note(&mut self, line: &str) {
        if self.notes.len() == MOST_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(plain_text(line).into_owned());
    }

    /// Draws everything anew.
    pub fn draw(&mut self, view: &View) {
        let (height, width) = self.term.size();
        let lines = lines(view, &self.notes, height.into(), width.into());
        // An error: the terminal has gone, which is no reason to fail.
        let _ = self.term.clear_last_lines(self.drawn.min(usize::from(height).saturating_sub(1)));
        for (line, style) in &lines {
            let _ = writeln!(self.term, "{}", style.apply_to(line));
        }
        let _ = self.term.flush();
        self.drawn = lines.len();
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.term.show_cursor();
        let _ = self.term.flush();
    }
}

/// Two thirds of the height, less the headline, the names and the line that says how many more there are.
fn room(height: usize) -> usize {
    (height * 2 / 3).saturating_sub(3).max(1)
}

/// Returns the lines of a screen, none wider than it, and one fewer than it has: the cursor stands on the last.
fn lines(view: &View, notes: &VecDeque<String>, height: usize, width: usize) -> Vec<(String, Style)> {
    let cut = |text: &str| truncate_str(text, width, "…").into_owned();
    let mut lines = vec![(cut(&view.headline), Style::new().bold())];
    lines.push((cut(&row(COLUMNS.map(|(name, ..)| name))), Style::new().underlined()));
    for row_of in view.rows.iter().take(room(height)) {
        lines.push((cut(&row(row_of.cells.each_ref().map(String::as_str))), row_of.style()));
    }
    let hidden = view.hidden + view.rows.len().saturating_sub(room(height));
    if hidden > 0 {
        lines.push((cut(&format!("… and {hidden} more")), Style::new().dim()));
    }
    lines.truncate(height.saturating_sub(1));
    let left = height.saturating_sub(1 + lines.len());
    for note in notes.iter().skip(notes.len().saturating_sub(left)) {
        lines.push((cut(note), Style::new()));
    }
    lines
}

fn row(cells: [&str; COLUMNS.len()]) -> String {
    let mut line = String::new();
    for (cell, (_, width, is_number)) in cells.into_iter().zip(COLUMNS) {
        if width == 0 {
            line.push_str(cell);
            continue;
        }
        let alignment = if is_number { Alignment::Right } else { Alignment::Left };
        line.push_str(&pad_str(cell, width, alignment, Some("…")));
        line.push_str("  ");
    }
    debug_assert!(measure_text_width(&line) >= 8, "the columns have their widths");
    line
}

/// Returns a line of a log for people.
#[must_use]
pub fn log_line(id: &InstanceId, entry: &LogEntry) -> String {
    let sent = || EventTime::from_unix_nanoseconds(i128::from(entry.unix_milliseconds) * 1_000_000);
    let time = entry.time.as_deref().map_or_else(|| sent().as_str().to_owned(), str::to_owned);
    let level = entry.level.map_or("", |level| level.as_str());
    format!("{time}  {level:<5}  {}  {}", plain_text(id.as_str()), entry.text)
}

/// Returns a number of bytes with three digits, in powers of 1000.
fn bytes(number: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut number, mut unit) = (number, 0);
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    let digits = match number {
        _ if unit == 0 => 0,
        0.0..9.995 => 2,
        0.0..99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$} {}", UNITS[unit])
}

fn state(state: State) -> &'static str {
    match state {
        State::Probing => "looking for the routes",
        State::Waiting => "waiting to look again",
        State::Connecting => "connecting",
        State::Streaming => "streaming",
        State::Reconnecting => "waiting to reconnect",
        State::Polling => "polling",
        State::KeyRefused => "key refused",
        State::Closed => "closed",
        _ => "ready",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodepass_api::wire::Level;

    fn view(rows: usize) -> View {
        let row = |number: usize| {
            let mut cells = COLUMNS.map(|_| "7".to_owned());
            cells[0] = format!("{number:08x}");
            cells[10] = "名前".repeat(40);
            Row { status: Status::Running, is_current: true, cells }
        };
        View { headline: "head".into(), rows: (0..rows).map(row).collect(), hidden: 5 }
    }

    fn drawn(rows: usize, notes: usize, height: usize, width: usize) -> Vec<String> {
        let notes = (0..notes).map(|number| format!("note {number}")).collect();
        lines(&view(rows), &notes, height, width).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_screen_holds_the_table_and_the_last_lines() {
        let lines = drawn(2, 30, 24, 100);
        assert_eq!(lines.len(), 23);
        assert!(lines[1].starts_with("ID        STATUS   TYPE      TCP"), "{}", lines[1]);
        assert!(lines[2].starts_with("00000000  7        7           7"), "{}", lines[2]);
        assert_eq!((&*lines[4], &*lines[5], &*lines[22]), ("… and 5 more", "note 12", "note 29"));
    }

    #[test]
    fn nothing_is_larger_than_the_screen() {
        for (height, width) in [(24, 80), (10, 30), (3, 9), (1, 1), (0, 0)] {
            let lines = drawn(50, 50, height, width);
            assert!(lines.len() <= height.max(1) - usize::from(height > 0), "{height}");
            assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}: {lines:?}");
        }
        assert_eq!(drawn(50, 0, 24, 80)[15], "… and 42 more");
    }

    #[test]
    fn bytes_have_three_digits() {
        let shown = [0.0, 999.4, 999.6, 9_994.0, 9_996.0, 99_960.0, 1.5e6, 2e18].map(bytes);
        let expected = ["0 B", "999 B", "1.00 kB", "9.99 kB", "10.0 kB", "100 kB", "1.50 MB", "2000 PB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_line_of_a_log_has_its_own_time_or_that_of_the_event() {
        let mut entry: LogEntry =
            serde_json::from_str(r#"{"unix_milliseconds":1795227438050,"text":"hello"}"#).unwrap();
        assert_eq!(log_line(&"a1".into(), &entry), "2026-11-21T02:17:18.05Z         a1  hello");
        entry.level = Some(Level::Warn);
        entry.time = Some("2026-01-02 03:04:05.678".into());
        assert_eq!(log_line(&"a1".into(), &entry), "2026-01-02 03:04:05.678  warn   a1  hello");
    }
}
