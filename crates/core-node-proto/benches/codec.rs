//! A large client map and a report of usage. `cargo bench -p core-node-proto`.

mod subjects;

use testkit::measure::{Figure, compare};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` checks that it builds
    }
    let (texts, report) = (subjects::client_map(), subjects::report());
    let size = texts.client_map_json.len();
    println!("a client map of {} entries and {size} bytes", subjects::CLIENTS);
    show(&compare(subjects::clients(&texts)));
    println!("\na report of {} entries and {} bytes", subjects::ENTRIES, report.len());
    show(&compare(subjects::reports(&report)));
}

/// The last subject of a group is the limit.
fn show(figures: &[Figure]) {
    for figure in figures {
        let ratio = figures.last().map_or(1.0, |limit| figure.ratio_to(limit));
        println!("{:<44} {:>9.1} us  {ratio:.2} x the limit", figure.name, figure.nanoseconds / 1e3);
    }
}
