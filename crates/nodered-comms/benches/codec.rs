//! Frames, dispatch and publishing. `cargo bench -p nodered-comms`.

mod subjects;

use testkit::measure::{Figure, compare};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` checks that it builds
    }
    let frame = subjects::frame();
    println!("a frame of {} messages and {} bytes", subjects::MESSAGES, frame.len());
    show(&compare(subjects::decode(&frame)));
    for count in subjects::FILTERS {
        let dispatch = subjects::Dispatch::new(&frame, count);
        println!("a message, {count} filters, {:.2} of them match", dispatch.matching());
        let subjects = vec![dispatch.index(), dispatch.one_by_one()];
        show(&dispatch.per_message(compare(subjects)));
    }
    let mut hub = subjects::Hub::new(subjects::EDITORS);
    hub.check();
    println!(
        "1 KB to {} connections: {:.1} ns a connection",
        subjects::EDITORS,
        hub.nanoseconds_a_connection()
    );
}

/// The last subject of a group is what the others are held against.
fn show(figures: &[Figure]) {
    for figure in figures {
        let ratio = figures.last().map_or(1.0, |last| figure.ratio_to(last));
        println!("{:<44} {:>9.0} ns  {ratio:.2} x the last", figure.name, figure.nanoseconds);
    }
    println!();
}
