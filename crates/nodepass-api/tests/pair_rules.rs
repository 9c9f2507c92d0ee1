//! Whatever happens between both roles: after quiet time the view is what the master has, and nothing is stuck.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod pair_support;

use nodepass_api::client::{Monitoring, State};
use nodepass_api::master::Compat;
use nodepass_api::wire::{Action, InstanceId, PatchInstance};
use pair_support::{Reach, Reader, Setting, World, key_of, millis, seconds};
use proptest::prelude::*;

const URLS: [&str; 3] = [
    "server://secret@127.0.0.1:10101/127.0.0.1:8080?log=info",
    "client://secret@127.0.0.1:10101/127.0.0.1:9090?log=debug&min=2",
    "client://[::1]:7/h:1",
];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Act(usize, Action),
    Alias(usize),
    Policy(usize, bool),
    Put(usize, usize),
    Delete(usize),
    Rotate,
    CreateBeside(usize),
    DeleteBeside(usize),
    RotateBeside,
    Reader(Reader),
    Cut,
    Reach(Reach),
    Kill,
    ShutDown,
    Start,
    Resync,
    Retry,
    Mute(bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let action =
        prop::sample::select(vec![Action::Start, Action::Stop, Action::Stop, Action::Restart, Action::Reset]);
    let step = prop_oneof![
        6 => (0..URLS.len()).prop_map(Step::Create),
        8 => (0..8_usize, action).prop_map(|(at, action)| Step::Act(at, action)),
        3 => (0..8_usize).prop_map(Step::Alias),
        3 => (0..8_usize, any::<bool>()).prop_map(|(at, restart)| Step::Policy(at, restart)),
        3 => (0..8_usize, 0..URLS.len()).prop_map(|(at, url)| Step::Put(at, url)),
        3 => (0..8_usize).prop_map(Step::Delete),
        2 => Just(Step::Rotate),
        6 => (0..URLS.len()).prop_map(Step::CreateBeside),
        4 => (0..8_usize).prop_map(Step::DeleteBeside),
        1 => Just(Step::RotateBeside),
        4 => prop::sample::select(vec![Reader::Reading, Reader::Stuck]).prop_map(Step::Reader),
        2 => Just(Step::Cut),
        4 => prop::sample::select(vec![Reach::All, Reach::All, Reach::Refusing, Reach::Silent]).prop_map(Step::Reach),
        1 => Just(Step::Kill),
        1 => Just(Step::ShutDown),
        3 => Just(Step::Start),
        1 => Just(Step::Resync),
        1 => Just(Step::Retry),
        1 => any::<bool>().prop_map(Step::Mute),
        8 => (0..300_u64).prop_map(Step::Wait),
        6 => (0..20_000_u64).prop_map(Step::Wait),
        1 => (0..400_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

fn settings() -> impl Strategy<Value = Setting> {
    let compat = prop::sample::select(vec![Compat::Document, Compat::V1_6, Compat::V1_14]);
    let delay = prop::sample::select(vec![0_u64, 0, 3, 20, 400]);
    let loss = prop::sample::select(vec![0_u16, 0, 10, 100]);
    let piece = prop::sample::select(vec![None, Some(7), Some(300)]);
    (compat, delay, loss, piece, any::<u64>(), any::<u8>()).prop_map(
        |(compat, delay, loss_per_mille, largest_piece, seed, kinds)| {
            let mut setting = Setting::new(compat);
            setting.seed = seed;
            setting.conditions.delay = millis(delay);
            setting.conditions.jitter = millis(delay / 3);
            (setting.conditions.loss_per_mille, setting.conditions.largest_piece) =
                (loss_per_mille, largest_piece);
            if kinds % 5 == 0 {
                setting.client = |config| config.monitoring = Monitoring::Poll;
            }
            match kinds / 5 % 4 {
                0 => setting.master = |config| config.stream_queue = 1,
                1 => setting.master = |config| (config.stream_queue, config.announces_loss) = (2, true),
                2 => setting.master = |config| config.stream_bytes = 2_000,
                _ => {}
            }
            setting
        },
    )
}

/// Returns one of the instances that the client knows.
fn known(world: &World, at: usize) -> Option<InstanceId> {
    let fleet = world.client.0.fleet();
    fleet.iter().nth(at % fleet.len().max(1)).map(|member| member.id().clone())
}

/// Returns one of the instances that the master has.
fn real(world: &mut World, at: usize) -> Option<InstanceId> {
    let master = world.master();
    let count = master.instances().count().max(1);
    master.instances().nth(at % count).map(|instance| instance.id.clone())
}

fn patch(world: &mut World, at: usize, patch: PatchInstance) {
    if let Some(id) = known(world, at) {
        let _ = world.call(|client, now| client.patch(&id, patch, now));
    }
}

fn take(world: &mut World, step: Step) {
    let runs = world.master.is_some();
    let or_not = PatchInstance::default;
    match step {
        Step::Create(url) => drop(world.call(|client, now| client.create(URLS[url], Some("made"), now))),
        Step::Act(at, action) => patch(world, at, PatchInstance::action(action)),
        Step::Alias(at) => patch(world, at, PatchInstance { alias: Some("renamed".into()), ..or_not() }),
        Step::Policy(at, restart) => patch(world, at, PatchInstance { restart: Some(restart), ..or_not() }),
        Step::Put(at, url) => {
            if let Some(id) = known(world, at) {
                let _ = world.call(|client, now| client.put(&id, URLS[url], now));
            }
        }
        Step::Delete(at) => {
            if let Some(id) = known(world, at) {
                let _ = world.call(|client, now| client.delete(&id, now));
            }
        }
        Step::Rotate => drop(world.call(|client, now| client.rotate_key(now))),
        Step::CreateBeside(url) if runs => {
            world.other("POST", "/instances", &format!("{{\"url\":\"{}\"}}", URLS[url]));
        }
        Step::DeleteBeside(at) if runs => {
            if let Some(id) = real(world, at) {
                world.other("DELETE", &format!("/instances/{id}"), "");
            }
        }
        Step::RotateBeside if runs => {
            world.other("PATCH", "/instances/********", r#"{"action":"restart"}"#);
        }
        Step::Reader(reader) => world.set_reader(reader),
        Step::Cut => world.cut_stream(),
        Step::Reach(reach) => world.set_reach(reach),
        Step::Kill => world.kill(),
        Step::ShutDown if runs => world.shut_down(),
        Step::Start if !runs => world.start(),
        Step::Resync => world.client.0.resync(world.now),
        Step::Retry => world.client.0.retry(world.now),
        Step::Mute(is_mute) => world.processes.are_mute = is_mute,
        Step::Wait(wait) => world.run(millis(wait)),
        Step::CreateBeside(_) | Step::DeleteBeside(_) | Step::RotateBeside | Step::ShutDown | Step::Start => {
        }
    }
    world.settle();
}

fn live(setting: Setting, steps: Vec<Step>) -> World {
    let mut world = World::new(setting);
    world.processes.failures = 20;
    world.processes.bad_stores = 100;
    for step in steps {
        take(&mut world, step);
    }
    world
}

/// Everything works again, and nothing is asked for.
fn calm(world: &mut World) {
    world.network.conditions.loss_per_mille = 0;
    (world.processes.failures, world.processes.bad_stores, world.processes.are_mute) = (0, 0, false);
    world.set_reader(Reader::Reading);
    world.set_reach(Reach::All);
    if world.master.is_none() {
        world.start();
    }
    world.run(seconds(100));
    // Only somebody else knows the key that another one has made, or that was made when nobody could hear of it.
    if world.client.0.state() == State::KeyRefused {
        let key = key_of(world);
        world.client.0.set_key(key, world.now).unwrap();
        world.settle();
    }
    world.run(seconds(200));
}

proptest! {
    #[test]
    fn after_quiet_time_the_view_is_what_the_master_has_and_nothing_is_stuck(
        setting in settings(),
        steps in steps(),
    ) {
        let mut world = live(setting, steps);
        calm(&mut world);
        prop_assert_eq!(world.client.0.open_calls(), 0);
        prop_assert_eq!(world.answers.len(), world.calls, "every call is answered once");
        let polls = world.client.0.config().monitoring == Monitoring::Poll;
        let expected = if polls { State::Polling } else { State::Streaming };
        prop_assert_eq!(world.client.0.state(), expected);
        prop_assert_eq!(world.client.0.is_reachable(), Some(true));
        let streams = usize::from(!polls);
        prop_assert_eq!((world.network.streams(), world.master().streams()), (streams, streams));
        // Reports go on, all at a time, which is too much for the shortest queues: the view is compared when a list has come
        // after the last of them.
        world.processes.are_mute = true;
        world.run(seconds(100));
        world.run_until(seconds(5), |world| world.network.is_quiet());
        prop_assert_eq!(world.differences(), Vec::<String>::new());
        prop_assert!(world.client.0.is_synced() && world.client.0.fleet().is_confirmed());
        let key = key_of(&mut world);
        prop_assert_eq!(world.client.0.key(), &key);
    }

    #[test]
    fn the_same_schedule_leads_to_the_same_end(setting in settings(), steps in steps()) {
        let (one, two) = (live(setting, steps.clone()), live(setting, steps));
        prop_assert_eq!(one.events, two.events);
        prop_assert_eq!(one.master_events, two.master_events);
        prop_assert!(one.answers == two.answers);
    }
}
