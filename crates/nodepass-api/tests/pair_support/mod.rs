//! A client and a master on a virtual clock: a network between them, processes that report, a disk.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod network;
mod processes;

use bytes::Bytes;
use http::{Request, Response};
use network::Network;
pub(crate) use network::{Reach, Reader};
use nodepass_api::client::{self, CallId, Client, CommandError, Event, Reply, RequestError};
use nodepass_api::fleet::Change;
use nodepass_api::master::{self, Compat, Entropy, Master, Snapshot};
use nodepass_api::wire::Instance;
use nodepass_api::{Instant, Secret};
use processes::Processes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use testkit::network::{Conditions, Random};
use testkit::rules::check_after_step;
use testkit::{Machine as _, epoch, forward_machine};

pub(crate) struct TestClient(pub(crate) Client);
forward_machine!(TestClient, client::Output);
pub(crate) struct TestMaster(pub(crate) Master);
forward_machine!(TestMaster, master::Output);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a world is made of.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) compat: Compat,
    pub(crate) conditions: Conditions,
    pub(crate) seed: u64,
    pub(crate) client: fn(&mut client::Config),
    pub(crate) master: fn(&mut master::Config),
}

impl Setting {
    pub(crate) fn new(compat: Compat) -> Self {
        let conditions = Conditions {
            delay: millis(20),
            jitter: millis(5),
            largest_piece: Some(100),
            ..Conditions::default()
        };
        Self { compat, conditions, seed: 1, client: |_| {}, master: |_| {} }
    }
}

pub(crate) struct World {
    setting: Setting,
    pub(crate) client: TestClient,
    /// `None` while it does not run.
    pub(crate) master: Option<TestMaster>,
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) processes: Processes,
    /// What was stored last, and the backup.
    pub(crate) disk: [Option<Bytes>; 2],
    pub(crate) random: Random,
    /// Masters that were started.
    starts: u8,
    /// Answers to requests that did not come from the client.
    others: Vec<(master::ExchangeId, Response<Bytes>)>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) master_events: VecDeque<master::Event>,
    pub(crate) answers: BTreeMap<CallId, Result<Reply, RequestError>>,
    pub(crate) calls: usize,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?}, seed {}", self.compat, self.conditions, self.seed)
    }
}

impl World {
    /// A client that knows the key of a new master.
    pub(crate) fn new(setting: Setting) -> Self {
        let master = new_master(&setting, 0, None, epoch());
        let endpoint = "http://master:9090".parse().unwrap();
        let mut config = client::Config::new(endpoint, master.0.key().clone());
        config.seed = setting.seed;
        (setting.client)(&mut config);
        let mut world = Self {
            client: TestClient(Client::new(config, epoch()).unwrap()),
            master: Some(master),
            now: epoch(),
            network: Network::new(setting.conditions),
            processes: Processes::default(),
            disk: [None, None],
            random: Random::new(setting.seed),
            starts: 1,
            others: Vec::new(),
            events: VecDeque::new(),
            master_events: VecDeque::new(),
            answers: BTreeMap::new(),
            calls: 0,
            setting,
        };
        world.settle();
        world
    }

    pub(crate) fn master(&mut self) -> &mut Master {
        &mut self.master.as_mut().expect("the master runs").0
    }

    // Time

    /// Lets time pass, from one thing that is due to the next.
    pub(crate) fn run(&mut self, wait: Duration) {
        let end = self.now + wait;
        while let Some(next) = self.next().filter(|&next| next <= end) {
            self.step(next);
        }
        self.now = end;
        self.settle();
    }

    /// Lets time pass until this is so.
    pub(crate) fn run_until(&mut self, most: Duration, mut is_so: impl FnMut(&Self) -> bool) {
        let end = self.now + most;
        while !is_so(self) {
            let next = self.next().filter(|&next| next <= end).expect("it comes about in time");
            self.step(next);
        }
    }

    fn next(&self) -> Option<Instant> {
        let master = self.master.as_ref().and_then(|master| master.poll_timeout());
        let nexts = [self.client.poll_timeout(), master, self.network.next_at(), self.processes.next_at()];
        nexts.into_iter().flatten().min()
    }

    fn step(&mut self, at: Instant) {
        self.now = self.now.max(at);
        self.settle();
        // One after the other: each may cause something.
        while self.deliver() || self.work() {
            self.settle();
        }
    }

    /// Carries out what the machines want, until they want nothing more. The rules hold after each input.
    pub(crate) fn settle(&mut self) {
        loop {
            let wanted = check_after_step(&mut self.client, self.now);
            let works = self.master.as_mut().map(|master| check_after_step(master, self.now));
            let works = works.unwrap_or_default();
            if wanted.is_empty() && works.is_empty() {
                break;
            }
            wanted.into_iter().for_each(|output| self.carry_out_for_client(output));
            works.into_iter().for_each(|output| self.carry_out_for_master(output));
        }
    }

    fn carry_out_for_client(&mut self, output: client::Output) {
        match output {
            client::Output::Event(Event::Answered { id, outcome }) => {
                assert!(self.answers.insert(id, outcome).is_none(), "a call is answered once");
            }
            client::Output::Event(event) => self.events.push_back(event),
            other => self.send(other),
        }
    }

    // Calls

    /// Gives the client a command.
    pub(crate) fn call(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError>,
    ) -> Result<CallId, CommandError> {
        let call = command(&mut self.client.0, self.now);
        self.calls += usize::from(call.is_ok());
        self.settle();
        call
    }

    /// Gives the client a command and waits for the answer.
    pub(crate) fn ask(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError>,
    ) -> Result<Reply, RequestError> {
        let call = self.call(command).unwrap();
        self.run_until(seconds(20), |world| world.answers.contains_key(&call));
        self.answers.remove(&call).unwrap()
    }

    pub(crate) fn ask_for_instance(
        &mut self,
        command: impl FnOnce(&mut Client, Instant) -> Result<CallId, CommandError>,
    ) -> Instance {
        match self.ask(command) {
            Ok(Reply::Instance { instance, ignored }) if ignored.is_empty() => *instance,
            other => panic!("{other:?}"),
        }
    }

    /// Asks the master beside the client; the answer may come later.
    pub(crate) fn other(&mut self, method: &str, path: &str, body: &str) -> Option<Response<Bytes>> {
        let key = self.master().key().expose().to_owned();
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("x-api-key", key)
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        let now = self.now;
        let exchange = self.master().handle_request(request, now);
        self.settle();
        let at = self.others.iter().position(|(id, _)| *id == exchange)?;
        Some(self.others.remove(at).1)
    }

    // The master's life

    /// The master is killed: nothing is stored, nothing is said.
    pub(crate) fn kill(&mut self) {
        self.master = None;
        self.processes.clear();
        self.others.clear();
        self.forget_master();
        self.settle();
    }

    /// The master is asked to end, and does.
    pub(crate) fn shut_down(&mut self) {
        let now = self.now;
        self.master().close(now);
        self.settle();
        self.run_until(seconds(20), |world| world.master.as_ref().is_some_and(|master| master.0.is_closed()));
        self.kill();
    }

    /// A master starts with what the disk has.
    pub(crate) fn start(&mut self) {
        let snapshot = self.disk[0].as_ref().map(|bytes| Snapshot::decode(bytes).unwrap());
        self.master = Some(new_master(&self.setting, self.starts, snapshot, self.now));
        self.starts += 1;
        self.settle();
    }

    /// Returns the stream that was opened first.
    pub(crate) fn first_stream(&self) -> master::ExchangeId {
        let opened = self.master_events.iter().find_map(|event| match event {
            master::Event::StreamOpened { id } => Some(*id),
            _ => None,
        });
        opened.expect("there is one")
    }

    // What should be

    /// Checks that the client knows what the master has, all of it.
    #[track_caller]
    pub(crate) fn assert_same(&mut self) {
        let differences = self.differences();
        assert!(differences.is_empty(), "the view is not what the master has: {differences:?}");
    }

    pub(crate) fn differences(&mut self) -> Vec<String> {
        let list = self.other("GET", "/instances", "").expect("it is answered at once");
        let list: Vec<Instance> = nodepass_api::wire::decode(list.body()).unwrap();
        let (record, mut truth): (Vec<_>, Vec<_>) =
            list.into_iter().partition(|instance| instance.id.is_key_record());
        truth.sort_by(|one, other| one.id.cmp(&other.id));
        let client = &self.client.0;
        let view: Vec<Instance> = client.fleet().iter().map(|member| member.instance().clone()).collect();
        let mut differences = Vec::new();
        if client.fleet().key_record() != record.first() {
            differences.push("the key record".to_owned());
        }
        let [seen, real]: [BTreeMap<_, _>; 2] = [view, truth]
            .map(|all| all.into_iter().map(|instance| (instance.id.clone(), instance)).collect());
        for (id, instance) in &real {
            match seen.get(id) {
                None => differences.push(format!("{id} is missing")),
                Some(known) if known != instance => {
                    differences.push(format!("{id}: {:?}", client_sees(known, instance)));
                }
                Some(_) => {}
            }
        }
        differences
            .extend(seen.keys().filter(|id| !real.contains_key(*id)).map(|id| format!("{id} is gone")));
        differences
    }

    /// Takes what happened since the last time, but for what figures and logs make.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let is_noise =
            |event: &Event| matches!(event, Event::Change(_) | Event::Info { .. } | Event::Told(_));
        let events = std::mem::take(&mut self.events);
        events.iter().filter(|event| !is_noise(event)).map(name).collect()
    }

    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let events = std::mem::take(&mut self.events);
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::Change(change) => Some(change),
                _ => None,
            })
            .collect()
    }
}

fn client_sees(known: &Instance, real: &Instance) -> nodepass_api::fleet::Changed {
    nodepass_api::fleet::Changed::between(known, real)
}

fn name(event: &Event) -> String {
    match event {
        Event::Reconnecting { reason, .. } => format!("reconnecting: {reason}"),
        Event::KeyRotated { source, .. } => format!("key rotated by {source:?}"),
        Event::Synced { added, removed, repaired } => format!("synced +{added} -{removed} ~{repaired}"),
        Event::Found { .. } => "found".to_owned(),
        Event::NotFound { .. } => "not found".to_owned(),
        event => format!("{event:?}"),
    }
}

fn new_master(setting: &Setting, starts: u8, snapshot: Option<Snapshot>, now: Instant) -> TestMaster {
    let mut entropy = [starts; 32];
    entropy[..8].copy_from_slice(&setting.seed.to_le_bytes());
    let mut config = master::Config::new(setting.compat, Entropy::new(entropy));
    (setting.master)(&mut config);
    TestMaster(Master::new(config, snapshot, now).unwrap())
}

/// Returns the key, as it is given to a client.
pub(crate) fn key_of(world: &mut World) -> Secret {
    world.master().key().clone()
}
