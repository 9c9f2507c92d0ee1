//! Rules that hold for a session whatever happens to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod rules_support;
mod support;

use proptest::prelude::*;
use rules_support::{LINES, MAX_CALLS, Peer, Step, steps};
use std::cell::RefCell;
use std::time::Duration;
use support::{Short, TestSession, drain, epoch, object};
use teeth_proto::command::Method;
use teeth_proto::session::{self, Answer, AnswerToken, CallId, Session};
use testkit::rules::{
    check_after_step, check_closed, check_command, check_cut_invariance_by, check_nothing_unannounced,
};
use testkit::secrets::assert_debug_hides;

proptest! {
    #[test]
    fn every_rule_holds_for_a_session_after_every_step(steps in steps()) {
        let mut session = TestSession(session(1));
        let (mut now, mut peer) = (epoch(), Peer::default());
        let (mut tokens, mut calls): (Vec<AnswerToken>, Vec<CallId>) = (Vec::new(), Vec::new());
        session.0.start_pings(now);
        peer.sees(&drain(&mut session));
        for step in steps {
            match step {
                Step::Line(line, id) => session.0.handle_bytes(&peer.line(line, id), now),
                Step::Bytes(bytes) => session.0.handle_bytes(&bytes, now),
                Step::Call(wait) => {
                    let wait = Some(Duration::from_secs(wait)).filter(|_| wait > 0);
                    let call = check_command(&mut session, |session| {
                        session.0.call(Method::from("x"), &object("{}"), wait, now)
                    });
                    calls.extend(call);
                }
                Step::Cancel => calls.pop().into_iter().for_each(|call| session.0.cancel(call, now)),
                Step::Answer => if let Some(token) = tokens.pop() {
                    let open = !session.0.is_closed();
                    prop_assert_eq!(session.0.respond(token, Answer::Done, now).is_ok(), open);
                }
                Step::Drop => drop(tokens.pop()),
                Step::Lose => session.0.handle_disconnect(now),
                Step::Stall => session.0.handle_stalled(now),
                Step::Wait(wait) => now += Duration::from_millis(wait),
                Step::Back(back) => session.0.handle_timeout(now.checked_sub(Duration::from_millis(back)).unwrap_or(now)),
                Step::Close => session.0.close(now),
                _ => {}
            }
            let outputs = check_after_step(&mut session, now);
            assert_debug_hides(&outputs);
            peer.sees(&outputs);
            let closed = outputs.iter().position(|output| matches!(output, session::Output::Event(session::Event::Closed(_))));
            if let Some(at) = closed {
                prop_assert_eq!(at + 1, outputs.len(), "the end comes last");
            }
            for output in outputs {
                if let session::Output::Event(session::Event::Command(command)) = output {
                    tokens.push(command.token);
                }
            }
            prop_assert!(session.0.calls() <= MAX_CALLS && session.0.unanswered() <= MAX_CALLS);
            prop_assert_eq!(session.0.queued_bytes(), 0);
            if session.0.is_closed() {
                check_closed(&mut session, now);
            }
        }
        assert_debug_hides(&session.0);
        drop(tokens);
        if session.0.poll_timeout().is_some_and(|due| due > now) {
            check_nothing_unannounced(&mut session, now);
        }
    }

    #[test]
    fn the_cut_of_the_input_does_not_matter(
        lines in prop::collection::vec(0..LINES.len(), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(0..2000_usize, 0..20),
    ) {
        let mut input: Vec<u8> = lines.into_iter().flat_map(|line| Peer::default().line(line, 9)).collect();
        input.extend(tail);
        let now = epoch();
        let tokens = RefCell::new(Vec::new());
        check_cut_invariance_by(
            || TestSession(session(1)),
            |session, bytes| session.0.handle_bytes(bytes, now),
            |output| {
                let short = output.short();
                tokens.borrow_mut().push(output); // a dropped token would be answered
                short
            },
            &input,
            &cuts,
        );
    }
}

/// A token that is dropped on another thread or late is answered once the driver next looks.
#[test]
fn a_token_dropped_on_another_thread_is_noticed() {
    let mut session = TestSession(session(1));
    session.0.handle_bytes(&Peer::default().line(3, 0), epoch());
    let outputs = drain(&mut session);
    assert_eq!(outputs.len(), 1);
    std::thread::spawn(move || drop(outputs)).join().unwrap();
    let outputs = check_after_step(&mut session, epoch());
    assert_eq!(outputs.len(), 2);
}

fn session(seed: u64) -> Session {
    let mut config = session::Config::new(seed);
    (config.max_calls, config.max_unanswered, config.max_line) = (MAX_CALLS, MAX_CALLS, 1000);
    config.max_abandoned = MAX_CALLS;
    Session::new(config, epoch()).unwrap()
}
