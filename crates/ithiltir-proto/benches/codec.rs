//! Decode, encode and one whole exchange, with a report as node 0.2.3 sent it. `cargo bench -p ithiltir-proto`.

mod plain;
mod subjects;

use testkit::measure::{Figure, compare};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` checks that it builds
    }
    let report = subjects::recorded_report();
    println!("a report of {} bytes", report.len());
    for group in [subjects::decode(&report), subjects::encode(&report), subjects::exchange(&report)] {
        let figures = compare(group);
        for figure in &figures {
            show(figure, figures.last());
        }
        println!();
    }
}

/// The last subject of a group is the limit.
fn show(figure: &Figure, limit: Option<&Figure>) {
    let ratio = limit.map_or(1.0, |limit| figure.ratio_to(limit));
    println!("{:<44} {:>9.0} ns  {ratio:.2} x the limit", figure.name, figure.nanoseconds);
}
