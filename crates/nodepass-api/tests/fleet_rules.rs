//! What holds for a view whatever it is told.

mod fleet_support;

use fleet_support::{View, event, id_of, running, stopped};
use nodepass_api::wire::{EventKind, Instance, InstanceEvent, InstanceId};
use proptest::prelude::*;

proptest! {
    #[test]
    fn whatever_was_told_a_list_makes_it_right(told in prop::collection::vec(inputs(), 0..40), list in lists()) {
        let mut view = View::new();
        for input in told {
            apply(&mut view, input);
        }
        let merge = view.list(list.clone());
        prop_assert!(merge.settled && view.fleet.is_confirmed());
        let mut expected = list;
        expected.sort_by(|one, other| one.id.cmp(&other.id));
        prop_assert_eq!(view.fleet.iter().map(|member| member.instance().clone()).collect::<Vec<_>>(), expected);
        view.check();
    }

    #[test]
    fn what_was_told_after_the_ticket_stands(
        before in prop::collection::vec(inputs(), 0..20),
        after in prop::collection::vec(inputs(), 1..20),
        list in lists(),
    ) {
        let mut view = View::new();
        for input in before {
            apply(&mut view, input);
        }
        let ticket = view.fleet.begin_request();
        let mut expected: Vec<(InstanceId, Option<Instance>)> = Vec::new();
        for input in after {
            let Input::Event(event) = input else { continue };
            let (id, kind) = (id_of(&event), event.kind.clone());
            view.event(event);
            if kind == EventKind::Shutdown {
                continue;
            }
            expected.retain(|(other, _)| *other != id);
            expected.push((id.clone(), view.fleet.get(id.as_str()).map(|member| member.instance().clone())));
        }
        view.fleet.apply_list(ticket, list.clone(), view.at, &mut view.changes);
        for (id, instance) in &expected {
            let known = view.fleet.get(id.as_str()).map(|member| member.instance());
            // A late frame about what was gone before the ticket tells nothing, and the list may know better.
            if known != instance.as_ref() {
                prop_assert!(instance.is_none() && list.iter().any(|listed| Some(listed) == known));
            }
        }
        // A second list settles it.
        prop_assert!(view.list(list.clone()).settled);
        prop_assert_eq!(view.fleet.len(), list.len());
        view.check();
    }

    #[test]
    fn rates_are_never_negative_and_never_infinite(steps in prop::collection::vec((0..3_000u64, any::<u64>(), any::<bool>()), 1..40)) {
        let mut view = View::new();
        for (wait, total, is_running) in steps {
            view.wait(wait);
            view.event(event(EventKind::Update, if is_running { running("a", total) } else { stopped("a", total) }));
            let rates = view.rates("a");
            prop_assert!(rates.tcprx.is_finite() && rates.tcprx >= 0.0);
        }
        prop_assert!(view.samples("a").iter().all(|(_, rate)| rate.is_finite() && *rate >= 0.0));
    }
}

#[derive(Clone, Debug)]
enum Input {
    Event(InstanceEvent),
    List(Vec<Instance>),
    Answer(Instance),
    Deleted(InstanceId),
    NewStream,
    Wait(u64),
}

fn inputs() -> impl Strategy<Value = Input> {
    let kinds = ["initial", "create", "update", "delete", "log", "shutdown"];
    let events = (prop::sample::select(kinds.to_vec()), instances()).prop_map(|(kind, instance)| {
        let logs = (kind == "log").then(|| "line".into());
        Input::Event(InstanceEvent { logs, ..event(kind.into(), instance) })
    });
    prop_oneof![
        8 => events,
        1 => lists().prop_map(Input::List),
        1 => instances().prop_map(Input::Answer),
        1 => instances().prop_map(|instance| Input::Deleted(instance.id)),
        1 => Just(Input::NewStream),
        1 => (0..3_000u64).prop_map(Input::Wait),
    ]
}

fn instances() -> impl Strategy<Value = Instance> {
    let ids = prop::sample::select(vec!["a", "b", "c", "d"]);
    let aliases = prop::option::of(prop::sample::select(vec!["", "x", "y"]));
    (ids, aliases, any::<bool>(), 0..3_000u64).prop_map(|(id, alias, is_running, total)| {
        let instance = if is_running { running(id, total) } else { stopped(id, total) };
        Instance { alias: alias.map(Into::into), ..instance }
    })
}

fn lists() -> impl Strategy<Value = Vec<Instance>> {
    prop::collection::vec(instances(), 0..5).prop_map(|mut list| {
        list.sort_by(|one, other| one.id.cmp(&other.id));
        list.dedup_by(|one, other| one.id == other.id);
        list.reverse();
        list
    })
}

fn apply(view: &mut View, input: Input) {
    match input {
        Input::Event(event) => view.event(event),
        Input::List(list) => drop(view.list(list)),
        Input::Answer(instance) => {
            let ticket = view.fleet.begin_request();
            view.fleet.apply_instance(ticket, instance, view.at, &mut view.changes);
        }
        Input::Deleted(id) => view.fleet.apply_deleted(&id, &mut view.changes),
        Input::NewStream => view.fleet.begin_stream(),
        Input::Wait(milliseconds) => view.wait(milliseconds),
    }
}
