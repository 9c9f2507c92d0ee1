//! Decode and encode of a mix of lines, and a round trip of two sessions. `cargo bench -p teeth-proto`.

mod plain;
mod subjects;

use testkit::measure::{Figure, compare};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` checks that it builds
    }
    let mix = subjects::mix();
    println!("{} lines of {} bytes on average", mix.len(), mix.stream.len() / mix.len());
    let mut decode = subjects::decode(&mix);
    decode.insert(1, subjects::value(&mix));
    for group in [decode, subjects::encode(&mix)] {
        show(&mix.per_line(compare(group)));
    }
    show(&compare(subjects::round_trip()));
}

/// The last subject of a group is the limit.
fn show(figures: &[Figure]) {
    for figure in figures {
        let ratio = figures.last().map_or(1.0, |limit| figure.ratio_to(limit));
        println!("{:<44} {:>9.0} ns  {ratio:.2} x the limit", figure.name, figure.nanoseconds);
    }
    println!();
}
