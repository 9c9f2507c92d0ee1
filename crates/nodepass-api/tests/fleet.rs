//! The view of a master's instances: events, lists and answers in any order.

mod fleet_support;

use fleet_support::{URL, View, changed, event, id_of, key_record, log, running, stopped};
use nodepass_api::fleet::{Change, Changed, InstanceRecord, Rates};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{EventKind, Instance, InstanceEvent, InstanceId, Meta, Peer, Status};

#[test]
fn recorded_streams_lead_to_the_recorded_state() {
    let streams = [
        include_str!("captures/sse_v1.6.0_lifecycle.body.txt"),
        include_str!("captures/sse_v1.6.0_traffic.body.txt"),
        include_str!("captures/sse_v1.14.0_lifecycle.body.txt"),
        include_str!("captures/sse_core_v2.0.0-b10_traffic.body.txt"),
    ];
    for stream in streams {
        let mut view = View::new();
        let mut events = Vec::new();
        EventReader::new(1 << 20).read(stream.as_bytes(), |item| match item {
            Item::Event(event) => events.push(event),
            item => assert!(matches!(item, Item::Retry(_))),
        });
        let deleted: Vec<_> =
            events.iter().filter(|event| event.kind == EventKind::Delete).map(id_of).collect();
        for event in &events {
            view.event(event.clone());
        }
        // The last frame of each instance is its state.
        let mut seen = 0;
        for event in events.iter().rev().filter(|event| event.instance.is_some()) {
            let instance = event.instance.as_ref().unwrap();
            if deleted.contains(&instance.id) {
                assert!(view.fleet.get(instance.id.as_str()).is_none());
            } else if instance.id.is_key_record() {
                assert_eq!(view.fleet.key_record(), Some(instance));
            } else if let Some(last) = events
                .iter()
                .rev()
                .find(|event| event.instance.as_ref().is_some_and(|other| other.id == instance.id))
            {
                seen += 1;
                assert_eq!(Some(view.instance(instance.id.as_str())), last.instance.as_ref());
            }
        }
        assert!(seen > 0);
        let lines = events.iter().filter(|event| event.kind == EventKind::Log);
        let logged = view.changes.iter().filter(|change| matches!(change, Change::Logged { .. })).count();
        assert_eq!(logged, lines.count());
        assert!(
            view.fleet.iter().all(|member| member.log().iter().all(|entry| !entry.text.contains('\u{1b}')))
        );
        assert_eq!(view.changes.iter().filter(|change| **change == Change::Shutdown).count(), 1);
    }
}

#[test]
fn initial_create_and_update_all_add_or_replace() {
    for kind in [EventKind::Initial, EventKind::Create, EventKind::Update, "new".into()] {
        let mut view = View::new();
        view.event(event(kind.clone(), running("a", 5)));
        assert_eq!(view.take(), [Change::Added("a".into())]);
        view.event(event(kind, Instance { alias: Some("n".into()), ..running("a", 5) }));
        let what = changed(|what| what.alias = true);
        assert_eq!(view.take(), [Change::Updated { id: "a".into(), what }]);
        assert_eq!(view.instance("a").alias(), Some("n"));
    }
}

#[test]
fn an_update_before_its_create_is_no_trouble() {
    let mut view = View::new();
    view.event(event(EventKind::Update, running("a", 0)));
    view.event(event(EventKind::Create, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
}

#[test]
fn an_event_that_changes_nothing_is_silent() {
    let mut view = View::new();
    view.event(event(EventKind::Update, running("a", 0)));
    view.take();
    view.event(event(EventKind::Update, running("a", 0)));
    assert_eq!(view.take(), []);
}

#[test]
fn changes_tell_what_has_changed() {
    let old = running("a", 5);
    type Case = (Instance, fn(&mut Changed));
    let cases: [Case; 8] = [
        (Instance { status: Status::Stopped, ..old.clone() }, |what| what.status = true),
        (Instance { url: "client://h:1/t:2".into(), ..old.clone() }, |what| what.url = true),
        (Instance { alias: Some("n".into()), ..old.clone() }, |what| what.alias = true),
        (Instance { restart: Some(true), ..old.clone() }, |what| what.restart = true),
        (Instance { meta: Some(Meta::default()), ..old.clone() }, |what| what.meta = true),
        (Instance { ping: Some(3), ..old.clone() }, |what| what.figures = true),
        (Instance { udptx: 6, ..old.clone() }, |what| what.traffic = true),
        (Instance { config: Some("c".into()), ..old.clone() }, |what| what.other = true),
    ];
    for (new, what) in cases {
        assert_eq!(Changed::between(&old, &new), changed(what));
    }
    assert!(!Changed::between(&old, &old).any());
}

#[test]
fn late_frames_do_not_bring_back_what_was_deleted() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 0)));
    view.event(event(EventKind::Delete, running("a", 0)));
    view.take();
    view.event(event(EventKind::Update, running("a", 0)));
    view.event(log("a", "late"));
    assert_eq!(view.take(), []);
    assert!(view.fleet.is_empty());
    view.event(event(EventKind::Create, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
    view.event(log("a", "in time"));
    assert_eq!(view.fleet.get("a").unwrap().log().len(), 1);
}

#[test]
fn a_new_stream_may_bring_back_what_the_old_one_deleted() {
    let mut view = View::new();
    view.event(event(EventKind::Delete, running("a", 0)));
    view.fleet.begin_stream();
    view.event(event(EventKind::Update, running("a", 0)));
    assert_eq!(view.take(), [Change::Added("a".into())]);
}

#[test]
fn what_a_list_has_removed_is_deleted_too() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, running("a", 0)));
    view.list([]);
    view.event(event(EventKind::Update, running("a", 0)));
    assert!(view.fleet.is_empty());
    view.list([running("a", 0)]);
    view.event(event(EventKind::Update, running("a", 7)));
    assert_eq!(view.instance("a").tcprx, 7);
}

#[test]
fn after_a_reconnect_instances_are_unconfirmed_until_they_are_told_of() {
    let mut view = View::new();
    view.list([running("a", 0), running("b", 0), running("c", 0)]);
    assert!(view.fleet.is_confirmed() && view.fleet.iter().all(|member| member.is_confirmed()));
    view.fleet.begin_stream();
    assert!(!view.fleet.is_confirmed() && !view.fleet.iter().any(|member| member.is_confirmed()));
    view.take();
    view.event(event(EventKind::Initial, running("b", 0)));
    assert!(view.fleet.get("b").unwrap().is_confirmed() && !view.fleet.get("a").unwrap().is_confirmed());
    assert!(view.list([running("a", 0), running("b", 0)]).settled);
    assert!(view.fleet.is_confirmed() && view.fleet.iter().all(|member| member.is_confirmed()));
    assert_eq!(view.take(), [Change::Removed("c".into())]);
    view.fleet.doubt();
    assert!(!view.fleet.is_confirmed());
}

#[test]
fn a_list_repairs_what_was_lost() {
    let mut view = View::new();
    view.list([running("a", 0), running("b", 0), running("c", 0)]);
    view.take();
    let merge = view.list([stopped("b", 0), running("c", 0), running("d", 0)]);
    assert!(merge.settled);
    let what = changed(|what| what.status = true);
    let id = InstanceId::from("b");
    let rates = Change::Rates { id: id.clone(), rates: Rates::default() };
    let expected =
        [Change::Updated { id, what }, rates, Change::Added("d".into()), Change::Removed("a".into())];
    assert_eq!(view.take(), expected);
}

#[test]
fn a_list_does_not_undo_what_was_told_since_it_was_asked_for() {
    let mut view = View::new();
    let before = [running("changed", 0), running("deleted", 0), running("lost", 0)];
    view.list(before.clone());
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, stopped("changed", 0)));
    view.event(event(EventKind::Delete, running("deleted", 0)));
    view.event(event(EventKind::Create, running("made", 0)));
    view.take();
    let merge = view.fleet.apply_list(ticket, before[..2].to_vec(), view.at, &mut view.changes);
    assert!(!merge.settled && !view.fleet.is_confirmed());
    assert_eq!(view.ids(), ["changed", "made"]);
    assert_eq!(view.instance("changed").status, Status::Stopped);
    assert_eq!(view.take(), [Change::Removed("lost".into())]);
    assert!(view.list([stopped("changed", 0), running("made", 0)]).settled);
}

#[test]
fn each_contradiction_alone_unsettles_a_list() {
    let events: [(InstanceEvent, bool); 5] = [
        (event(EventKind::Update, running("a", 9)), true),
        (event(EventKind::Update, stopped("a", 0)), false),
        (event(EventKind::Delete, running("a", 0)), false),
        (event(EventKind::Create, running("b", 0)), false),
        (event(EventKind::Update, key_record("k2")), false),
    ];
    for (event, settled) in events {
        let mut view = View::new();
        view.list([running("a", 0), key_record("k1")]);
        let ticket = view.fleet.begin_request();
        view.event(event.clone());
        let list = vec![running("a", 0), key_record("k1")];
        let merge = view.fleet.apply_list(ticket, list, view.at, &mut view.changes);
        assert_eq!(merge.settled, settled, "{event:?}");
    }
}

#[test]
fn figures_that_were_told_since_a_list_was_asked_for_stand() {
    let mut view = View::new();
    view.list([running("a", 0)]);
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, running("a", 9)));
    view.fleet.apply_list(ticket, vec![running("a", 5)], view.at, &mut view.changes);
    assert_eq!(view.instance("a").tcprx, 9);
}

#[test]
fn a_list_from_before_the_stream_settles_nothing() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    view.fleet.begin_stream();
    let merge = view.fleet.apply_list(ticket, vec![running("a", 0)], view.at, &mut view.changes);
    assert!(!merge.settled && view.ids() == ["a"]);
}

#[test]
fn of_two_lists_the_one_that_was_asked_for_later_wins() {
    let mut view = View::new();
    let (earlier, later) = (view.fleet.begin_request(), view.fleet.begin_request());
    view.fleet.apply_list(later, vec![stopped("a", 0)], view.at, &mut view.changes);
    let old = vec![running("a", 0), running("b", 0)];
    assert!(!view.fleet.apply_list(earlier, old, view.at, &mut view.changes).settled);
    assert_eq!(view.instance("a").status, Status::Stopped);
}

#[test]
fn a_list_from_before_more_deletions_than_are_remembered_settles_nothing() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    for index in 0..5_000 {
        view.fleet.apply_deleted(&format!("{index:08}").as_str().into(), &mut view.changes);
    }
    let list = vec![running("00000000", 0), running("00004999", 0)];
    assert!(!view.fleet.apply_list(ticket, list, view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["00000000"]);
    assert!(view.list([]).settled && view.fleet.is_empty());
}

#[test]
fn an_answer_about_one_instance_is_merged_like_a_list_of_one() {
    let mut view = View::new();
    let ticket = view.fleet.begin_request();
    assert!(view.fleet.apply_instance(ticket, stopped("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["a"]);
    // The event overtakes the answer, which is as it was before the start.
    let ticket = view.fleet.begin_request();
    view.event(event(EventKind::Update, running("a", 0)));
    assert!(!view.fleet.apply_instance(ticket, stopped("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.instance("a").status, Status::Running);
    // Others stay, and what was deleted meanwhile stays away.
    let ticket = view.fleet.begin_request();
    view.fleet.apply_deleted(&"a".into(), &mut view.changes);
    view.event(event(EventKind::Create, running("b", 0)));
    assert!(!view.fleet.apply_instance(ticket, running("a", 0), view.at, &mut view.changes).settled);
    assert_eq!(view.ids(), ["b"]);
}

#[test]
fn the_key_record_is_no_member() {
    let mut view = View::new();
    view.event(event(EventKind::Initial, key_record("k1")));
    assert_eq!(view.take(), [Change::KeyRecord]);
    view.list([key_record("k1"), running("a", 0)]);
    assert_eq!(view.take(), [Change::Added("a".into())]);
    view.event(event(EventKind::Update, key_record("k2")));
    assert_eq!(view.take(), [Change::KeyRecord]);
    assert_eq!(view.fleet.key_record().unwrap().api_key().unwrap().expose(), "k2");
    view.event(event(EventKind::Delete, key_record("k2")));
    assert!(
        view.fleet.get("********").is_none() && view.fleet.len() == 1 && view.fleet.key_record().is_some()
    );
    view.list([running("a", 0)]);
    assert_eq!(view.take(), [Change::KeyRecord]);
    assert_eq!(view.fleet.key_record(), None);
}

#[test]
fn reachability_is_told_when_it_changes() {
    let mut view = View::new();
    for (is_reachable, expected) in
        [(false, None), (true, Some(Change::Reachable)), (true, None), (false, Some(Change::Unreachable))]
    {
        view.fleet.set_reachable(is_reachable, &mut view.changes);
        assert_eq!(view.take(), Vec::from_iter(expected));
        assert_eq!(view.fleet.is_reachable(), is_reachable);
    }
}

#[test]
fn instances_are_found_by_their_names_of_now() {
    let named = |id: &str, alias: &str| Instance { alias: Some(alias.into()), ..running(id, 0) };
    let mut view = View::new();
    let found = |view: &View, alias: &str| -> Vec<_> {
        view.fleet.find_by_alias(alias).map(|member| member.id().to_string()).collect()
    };
    view.list([named("b", "x"), named("a", "x"), named("c", "y"), named("d", "")]);
    assert_eq!((found(&view, "x"), found(&view, "y")), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(found(&view, ""), [""; 0]);
    view.event(event(EventKind::Update, named("a", "y")));
    view.event(event(EventKind::Delete, named("b", "z")));
    assert_eq!((found(&view, "x"), found(&view, "y")), (vec![], vec!["a".into(), "c".into()]));
}

#[test]
fn services_group_what_belongs_together() {
    let of = |id: &str, sid: &str| {
        let peer = Peer { sid: Some(sid.into()), ..Peer::default() };
        Instance { meta: Some(Meta { peer: Some(peer), ..Meta::default() }), ..running(id, 0) }
    };
    let mut view = View::new();
    view.list([of("a", "s1"), of("b", "s2"), of("c", "s1"), of("d", ""), running("e", 0)]);
    let services = view.fleet.services();
    let ids = |sid: &str| services[sid].iter().map(|member| member.id().to_string()).collect::<Vec<_>>();
    assert_eq!((services.len(), ids("s1"), ids("s2")), (2, vec!["a".into(), "c".into()], vec!["b".into()]));
}

#[test]
fn instances_can_be_made_again_from_records() {
    let mut view = View::new();
    let instance = Instance { alias: Some("n".into()), restart: Some(true), ..running("a", 0) };
    view.list([instance, running("b", 0), key_record("k")]);
    let json = serde_json::to_string(&view.fleet.records().collect::<Vec<_>>()).unwrap();
    let records: Vec<InstanceRecord> = serde_json::from_str(&json).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((&*records[0].create().url, records[0].create().alias.as_deref()), (URL, Some("n")));
    let patch = records[0].patch().unwrap();
    assert_eq!((patch.alias.as_deref(), patch.restart, patch.action), (Some("n"), Some(true), None));
    assert_eq!(records[1].patch(), None);
}
