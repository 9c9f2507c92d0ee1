//! Events, URLs, the view, the master. `cargo bench -p nodepass-api`.

mod subjects;

use std::cell::RefCell;
use subjects::fleet::{INSTANCES, View};
use subjects::master::{Desk, STREAMS};
use testkit::measure::{Figure, Subject, compare};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return; // `cargo test --benches` checks that it builds
    }
    let pieces = subjects::stream();
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    println!("an event stream of {} events and {bytes} bytes", subjects::typed(&pieces).0);
    for figure in compare(subjects::events(&pieces)) {
        println!("{:<44} {:>9.0} MB/s", figure.name, bytes as f64 * 1e3 / figure.nanoseconds);
    }
    for text in subjects::URLS {
        println!("\n{text}");
        show(&compare(subjects::url(text)));
    }
    println!();
    for instances in [100, INSTANCES] {
        let view = RefCell::new(View::new(instances));
        let subjects = vec![
            Subject::new("an update made and taken", || {
                let event = view.borrow_mut().report();
                view.borrow_mut().take(event);
            }),
            Subject::new("an update made", || drop(std::hint::black_box(view.borrow_mut().report()))),
        ];
        println!("a view of {instances} instances");
        show(&compare(subjects));
    }
    let (quiet, busy) = (RefCell::new(Desk::new(0)), RefCell::new(Desk::new(STREAMS)));
    let mut count = 0;
    let served = |desk: &RefCell<Desk>, make: fn(&mut Desk) -> http::Request<bytes::Bytes>| {
        let request = make(&mut desk.borrow_mut());
        desk.borrow_mut().serve(request);
    };
    println!("\na master");
    show(&compare(vec![
        Subject::new("GET one instance", || served(&quiet, Desk::get_one)),
        Subject::new("GET a list of 100", || served(&quiet, Desk::get_all)),
        Subject::new("PATCH an alias", || {
            count += 1;
            let request = quiet.borrow_mut().patch(count);
            quiet.borrow_mut().serve(request);
        }),
        Subject::new("an update for 100 streams", || {
            std::hint::black_box(busy.borrow_mut().publish());
        }),
    ]));
}

fn show(figures: &[Figure]) {
    for figure in figures {
        println!("{:<44} {:>9.0} ns", figure.name, figure.nanoseconds);
    }
}
