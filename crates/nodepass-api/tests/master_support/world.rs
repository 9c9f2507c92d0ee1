//! A master in a world that does anything, at any time, in any order; after each step the rules hold. What the world does
//! is chosen by numbers, so that property tests and fuzz targets share it.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use nodepass_api::Secret;
use nodepass_api::master::{
    Compat, Config, DialId, Entropy, Event, ExchangeId, Master, Output, Paths, RunId, Silence, Snapshot,
    StartFailed, State, StoreFailed, StoreId, StoreTarget, SystemFigures, SystemId,
};
use nodepass_api::stream::{EventReader, Item};
use nodepass_api::wire::{CheckPoint, EventKind, Instance, InstanceId, Traffic};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::rules::{check_after_step, check_closed, check_nothing_unannounced};
use testkit::secrets::{assert_debug_hides, find_secret, marked};
use testkit::{Machine, advance, epoch};
use web_time::Instant;

/// Returns a number below the one that is given.
pub(crate) type Choose<'a> = dyn FnMut(usize) -> usize + 'a;

/// So many pieces are on their way to a reader at most.
const WINDOW: usize = 4;
const FRAME: usize = 1 << 20;

struct Under(Master);

testkit::forward_machine!(Under, Output);

pub(crate) struct World {
    master: Under,
    now: Instant,
    config: Config,
    /// Not answered yet, and those among them whose clients are gone.
    waiting: BTreeSet<ExchangeId>,
    gone: BTreeSet<ExchangeId>,
    streams: BTreeMap<ExchangeId, Reader>,
    /// The runs that live, and how they were asked to stop.
    runs: BTreeMap<RunId, Run>,
    past_runs: Vec<RunId>,
    dials: Vec<DialId>,
    systems: Vec<SystemId>,
    stores: Vec<(StoreId, StoreTarget)>,
    /// The latest exchange and run.
    last: (Option<ExchangeId>, Option<RunId>),
    keys: Vec<Secret>,
    is_closed: bool,
}

struct Run {
    instance: InstanceId,
    is_asked: bool,
    is_forced: bool,
}

/// Somebody who reads a stream, and what it knows from it.
struct Reader {
    events: EventReader,
    known: BTreeMap<InstanceId, Instance>,
    on_their_way: usize,
    has_begun: bool,
    is_told_to_go: bool,
    has_lost: bool,
}

impl World {
    pub(crate) fn new(choose: &mut Choose<'_>) -> Option<Self> {
        let config = config(choose);
        let snapshot = snapshot(choose);
        let key = snapshot.is_some().then(|| Secret::new(marked(0)));
        let is_new = snapshot.is_none();
        let mut master = Under(Master::new(config.clone(), snapshot, epoch()).ok()?);
        let first = master.poll_output();
        match first {
            Some(Output::Event(Event::KeyCreated { key })) => assert!(is_new && key == *master.0.key()),
            Some(Output::Event(Event::KeyLoaded { key: loaded })) => assert_eq!(Some(loaded), key),
            other => panic!("rule: the key is told first; there was {other:?}"),
        }
        let mut world = Self {
            now: epoch(),
            config,
            waiting: BTreeSet::new(),
            gone: BTreeSet::new(),
            streams: BTreeMap::new(),
            runs: BTreeMap::new(),
            past_runs: Vec::new(),
            dials: Vec::new(),
            systems: Vec::new(),
            stores: Vec::new(),
            last: (None, None),
            keys: vec![master.0.key().clone()],
            is_closed: false,
            master,
        };
        world.settle();
        Some(world)
    }

    /// Does one thing and checks the rules.
    pub(crate) fn step(&mut self, choose: &mut Choose<'_>) {
        match choose(20) {
            0..=6 => self.request(choose),
            7..=10 => self.process(choose),
            11 => self.dialed(choose),
            12 => self.figures(choose),
            13 => self.stored(choose),
            14 => self.written(choose),
            15 => self.cancel(choose),
            16..=17 => self.wait(),
            18 => {
                let times = [1, 99, 100, 5000, 15_000, 3_600_000, 40_000_000_000];
                self.now += Duration::from_millis(times[choose(times.len())]);
            }
            _ => match choose(8) {
                0 => self.master.0.close(self.now),
                1 => self.wait_almost(),
                2 => self.check_readers(),
                _ => {
                    let earlier = self.now.checked_sub(Duration::from_millis(5000));
                    self.master.handle_timeout(earlier.unwrap_or(self.now));
                }
            },
        }
        self.settle();
    }

    /// Ends the master, with a driver that does nothing any more.
    pub(crate) fn end(mut self) {
        self.check_readers();
        self.master.0.close(self.now);
        self.settle();
        let bound = self.config.shutdown_timeout.saturating_mul(2) + Duration::from_millis(1);
        for (at, output) in advance(&mut self.master, self.now + bound) {
            self.now = at;
            self.take(output);
        }
        assert!(self.is_closed, "rule: the end comes in time");
        assert!(self.waiting.is_subset(&self.gone), "rule: whoever waits is answered");
        assert!(self.streams.is_empty(), "rule: every stream ends");
        assert!(self.runs.values().all(|run| run.is_forced), "rule: what still lives was killed");
        assert_eq!(self.master.0.state(), State::Closed);
        check_closed(&mut self.master, self.now);
        assert_debug_hides(&self.master.0);
    }

    // What the world does

    fn request(&mut self, choose: &mut Choose<'_>) {
        let request = self.make(choose);
        let has_key = request.headers().get("x-api-key").is_some_and(|key| {
            self.master.0.key().is_empty() || self.master.0.key().expose().as_bytes() == key.as_bytes()
        });
        let is_public = request.method() == "OPTIONS"
            || request.uri().path().ends_with("/docs")
            || request.uri().path().ends_with("/openapi.json");
        let was_open = self.master.0.state() == State::Open;
        self.settle(); // what time has brought is not the answer to this
        let id = self.master.0.handle_request(request, self.now);
        assert!(self.last.0.is_none_or(|last| last < id), "rule: an id is never used twice");
        self.last.0 = Some(id);
        if self.is_closed {
            return;
        }
        self.waiting.insert(id);
        for response in self.settle() {
            let status = response.status();
            let is_refused = status.is_client_error() || status.is_redirection() || status.is_server_error();
            assert!(is_refused || has_key || is_public, "rule: nobody without the key is served");
            assert!(was_open || status == StatusCode::SERVICE_UNAVAILABLE, "rule: a closing master refuses");
        }
    }

    fn make(&self, choose: &mut Choose<'_>) -> Request<Bytes> {
        const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"];
        const BASES: [&str; 4] = ["/api/v1", "/api/v1", "/api", "//api/v1"];
        const PATHS: [&str; 12] = [
            "/instances",
            "/instances/",
            "/instances/********",
            "/events",
            "/info",
            "/tcping",
            "/tcping?target=h%3A1&target=x",
            "/openapi.json",
            "/docs",
            "/instances/%zz%C3",
            "/instances/../info",
            "/x",
        ];
        let instances: Vec<_> = self.master.0.instances().map(|instance| instance.id.clone()).collect();
        let (method, path) = match choose(8) {
            0..=1 => (METHODS[choose(METHODS.len())], PATHS[choose(PATHS.len())].to_owned()),
            2 => ("POST", "/instances".to_owned()),
            3 => ("GET", ["/events", "/info", "/tcping?target=h:1"][choose(3)].to_owned()),
            _ => {
                let id = instances.get(choose(instances.len().max(1)));
                let id = id.map_or("********", InstanceId::as_str);
                (METHODS[choose(6)], format!("/instances/{id}"))
            }
        };
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", BASES[choose(BASES.len())]));
        match choose(12) {
            0 => {}
            1 => request = request.header("x-api-key", marked(9)),
            2 => request = request.header("x-api-key", self.keys[choose(self.keys.len())].expose()),
            _ => request = request.header("x-api-key", self.master.0.key().expose()),
        }
        request.body(body(choose).into()).expect("method, path and headers are good")
    }

    fn process(&mut self, choose: &mut Choose<'_>) {
        let living: Vec<_> = self.runs.keys().copied().collect();
        let is_past = living.is_empty() || choose(12) == 0;
        let among = if is_past { &self.past_runs } else { &living };
        let Some(&run) = among.get(choose(among.len().max(1))) else { return };
        self.settle();
        if !is_past && !self.runs.contains_key(&run) {
            return; // time has ended it
        }
        let deadline = self.master.poll_timeout();
        let (master, now) = (&mut self.master.0, self.now);
        let is_over = match choose(8) {
            0..=2 => {
                master.handle_started(run, Ok(()), now);
                false
            }
            choice @ 3..=4 => {
                if choice == 3 {
                    master.handle_started(run, Err(StartFailed), now);
                } else {
                    master.handle_exited(run, choose(2) == 0, now);
                }
                true
            }
            _ => {
                master.handle_line(run, &line(choose), now);
                false
            }
        };
        if is_past {
            assert!(self.master.poll_output().is_none(), "rule: news of a run that is over is ignored");
            assert_eq!(self.master.poll_timeout(), deadline, "rule: news of a run that is over is ignored");
        } else if is_over {
            self.run_is_over(run);
        }
    }

    fn run_is_over(&mut self, run: RunId) {
        self.runs.remove(&run);
        self.past_runs.push(run);
    }

    fn dialed(&mut self, choose: &mut Choose<'_>) {
        let outcomes = [Ok(Duration::from_millis(3)), Err("refused"), Ok(Duration::MAX)];
        if let Some(&id) = self.dials.get(choose(self.dials.len().max(1))) {
            self.master.0.handle_dialed(id, outcomes[choose(3)], self.now);
        }
    }

    fn figures(&mut self, choose: &mut Choose<'_>) {
        let figures = SystemFigures { mem_free: u64::MAX, ..SystemFigures::default() };
        if let Some(&id) = self.systems.get(choose(self.systems.len().max(1))) {
            self.master.0.handle_system(id, figures, self.now);
        }
    }

    fn stored(&mut self, choose: &mut Choose<'_>) {
        if self.stores.is_empty() {
            return;
        }
        let (id, _) = self.stores.remove(choose(self.stores.len()));
        let outcome = if choose(3) == 0 { Err(StoreFailed) } else { Ok(()) };
        self.master.0.handle_stored(id, outcome, self.now);
    }

    fn written(&mut self, choose: &mut Choose<'_>) {
        let ids: Vec<_> = self.streams.keys().copied().collect();
        let Some(id) = ids.get(choose(ids.len().max(1))) else { return };
        for _ in 0..choose(5) {
            let Some(reader) = self.streams.get_mut(id).filter(|reader| reader.on_their_way > 0) else {
                return;
            };
            reader.on_their_way -= 1;
            self.master.0.handle_written(*id, self.now);
            self.settle();
        }
    }

    fn cancel(&mut self, choose: &mut Choose<'_>) {
        let ids: Vec<_> = self.waiting.iter().chain(self.streams.keys()).copied().collect();
        let Some(id) = ids.get(choose(ids.len().max(1))) else { return };
        self.gone.insert(*id);
        self.streams.remove(id);
        self.master.0.handle_cancel(*id, self.now);
    }

    fn wait(&mut self) {
        if let Some(due) = self.master.poll_timeout() {
            self.now = self.now.max(due);
            self.master.handle_timeout(self.now);
        }
    }

    /// Until just before the next deadline, or for a year.
    fn wait_almost(&mut self) {
        self.settle();
        check_nothing_unannounced(&mut self.master, self.now);
        let end = match self.master.poll_timeout() {
            Some(due) => due.checked_sub(Duration::from_nanos(1)),
            None => self.now.checked_add(Duration::from_secs(365 * 24 * 60 * 60)),
        };
        self.now = end.map_or(self.now, |end| end.max(self.now));
    }

    // What holds

    /// Returns the answers that were given, after checking what holds at any time.
    fn settle(&mut self) -> Vec<Response<Bytes>> {
        let mut answers = Vec::new();
        for output in check_after_step(&mut self.master, self.now) {
            answers.extend(self.take(output));
        }
        let Config { max_instances, max_streams, max_waiting, .. } = self.config;
        let master = &self.master.0;
        assert!(master.instances().count() <= max_instances.max(2), "rule: instances within the limit");
        assert!(master.streams() <= max_streams, "rule: streams within the limit");
        assert_eq!(master.streams(), self.streams.len(), "rule: a stream is one until it ends");
        // What waits when a stream ends is handed over at once.
        let is_flooded = self.streams.values().any(|reader| reader.on_their_way > WINDOW);
        assert!(!is_flooded, "rule: a reader is not flooded");
        assert!(self.waiting.difference(&self.gone).count() <= max_waiting, "rule: waiting within the limit");
        answers
    }

    fn take(&mut self, output: Output) -> Option<Response<Bytes>> {
        assert!(!self.is_closed, "rule: nothing follows the end; there was {output:?}");
        let shown = format!("{output:?}{output:#?}");
        assert_eq!(find_secret(&shown), None, "rule: no secret shows; {shown}");
        assert!(
            self.keys.iter().all(|key| key.is_empty() || !shown.contains(key.expose())),
            "rule: no key shows"
        );
        match output {
            Output::Respond { id, response } => {
                assert!(self.waiting.remove(&id), "rule: an exchange is answered once");
                assert!(!self.gone.contains(&id), "rule: nobody is answered who has gone");
                return Some(response);
            }
            Output::OpenBody { id, .. } => {
                assert!(self.waiting.remove(&id), "rule: an exchange is answered once");
                self.streams.insert(id, Reader::new());
            }
            Output::PushBody { id, chunk } => {
                let reader = self.streams.get_mut(&id).expect("rule: a piece is for an open stream");
                reader.read(&chunk, self.config.compat);
            }
            Output::CloseBody { id } => {
                let reader = self.streams.remove(&id).expect("rule: a stream ends once");
                assert!(reader.is_told_to_go, "rule: a reader is told before its stream ends");
            }
            Output::Start { run, instance, .. } => {
                assert!(self.last.1.is_none_or(|last| last < run), "rule: an id is never used twice");
                self.last.1 = Some(run);
                let has_another = self.runs.values().any(|run| run.instance == instance);
                assert!(!has_another, "rule: an instance has one process");
                self.runs.insert(run, Run { instance, is_asked: false, is_forced: false });
            }
            Output::Stop { run, force } => {
                let run = self.runs.get_mut(&run).expect("rule: what is stopped lives");
                let done = if force { &mut run.is_forced } else { &mut run.is_asked };
                assert!(!std::mem::replace(done, true), "rule: a process is asked once and made to once");
                assert!(run.is_asked, "rule: a process is asked before it is made to");
            }
            Output::Dial { id, .. } => self.dials.push(id),
            Output::ReadSystem { id } => self.systems.push(id),
            Output::Store { id, target, snapshot } => {
                let snapshot = Snapshot::decode(&snapshot).expect("rule: what is stored can be read");
                assert_debug_hides(&snapshot);
                self.stores.push((id, target));
            }
            Output::Event(event) => self.event(event),
        }
        None
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::KeyRotated { key } => self.keys.push(key),
            Event::ProcessStuck { run, .. } => {
                assert!(self.runs[&run].is_forced, "rule: a process is made to end before it is given up");
                self.run_is_over(run);
            }
            Event::EventsLost { id: stream, lost } => {
                assert!(lost > 0);
                self.streams.get_mut(&stream).expect("rule: a loss is of an open stream").has_lost = true;
            }
            Event::StreamEnded { id: stream } => {
                assert!(!self.streams.contains_key(&stream), "rule: an end is told once it is one");
            }
            Event::Closed => self.is_closed = true,
            _ => {}
        }
    }

    /// A reader that has taken all that there is, and lost nothing, knows all instances as they are.
    fn check_readers(&mut self) {
        self.settle();
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            while let Some(reader) = self.streams.get_mut(&id).filter(|reader| reader.on_their_way > 0) {
                reader.on_their_way -= 1;
                self.master.0.handle_written(id, self.now);
                self.settle();
            }
        }
        for reader in self.streams.values().filter(|reader| !reader.has_lost && !reader.is_told_to_go) {
            let known = reader.known.values().filter(|instance| !instance.id.is_key_record());
            let picture =
                |instance: &Instance| (instance.id.clone(), instance.status.clone(), instance.traffic());
            let known: Vec<_> = known.map(picture).collect();
            let true_ones: Vec<_> = self.master.0.instances().map(picture).collect();
            assert_eq!(known, true_ones, "rule: who reads all events knows all instances");
        }
    }
}

impl Reader {
    fn new() -> Self {
        Self {
            events: EventReader::new(FRAME),
            known: BTreeMap::new(),
            on_their_way: 0,
            has_begun: false,
            is_told_to_go: false,
            has_lost: false,
        }
    }

    fn read(&mut self, chunk: &Bytes, compat: Compat) {
        assert!(chunk.ends_with(b"\n\n"), "rule: pieces are whole frames");
        self.on_their_way += 1;
        let mut items = Vec::new();
        self.events.read(chunk, |item| items.push(item));
        if !std::mem::replace(&mut self.has_begun, true) {
            assert!(
                matches!(items[0], Item::Retry(_)),
                "rule: a stream begins with the wait before a reconnect"
            );
            let Item::Event(event) = &items[1] else { panic!("rule: a stream begins with the key record") };
            assert!(event.instance.as_ref().is_some_and(|instance| instance.id.is_key_record()));
        }
        for item in items {
            let (Item::Event(_) | Item::Retry(_) | Item::Lost(_)) = item else {
                panic!("rule: every frame can be read; there was {item:?}");
            };
            let Item::Event(event) = item else { continue };
            assert_debug_hides(&event);
            let may_follow = compat == Compat::V1_6 || !self.is_told_to_go;
            assert!(may_follow, "rule: nothing follows the shutdown, but in 1.6");
            match (event.kind, event.instance) {
                (EventKind::Shutdown, None) => self.is_told_to_go = true,
                (EventKind::Delete, Some(instance)) => drop(self.known.remove(&instance.id)),
                (_, Some(instance)) => drop(self.known.insert(instance.id.clone(), instance)),
                (kind, None) => panic!("rule: an event has an instance; this one has not: {kind}"),
            }
        }
    }
}

fn config(choose: &mut Choose<'_>) -> Config {
    let compat = [Compat::V1_14, Compat::V1_6, Compat::Document][choose(3)];
    let mut config = Config::new(compat, Entropy::new([7; 32]));
    config.silence = [Silence::Keep, Silence::Refuse][choose(2)];
    config.paths = [Paths::Both, Paths::Versioned][choose(2)];
    (config.max_instances, config.max_streams, config.max_waiting) = (3, 2, 4);
    config.max_dials = 1 + choose(2);
    config.stream_queue = [1, 4, 1000][choose(3)];
    config.stream_bytes = [1 << 20, 2000][choose(2)];
    config.announces_loss = choose(2) == 0;
    (config.max_body, config.max_line) = (400, 60);
    let short = |choose: &mut Choose<'_>, usual: Duration| [usual, usual, Duration::ZERO][choose(3)];
    config.restart_pause = short(choose, config.restart_pause);
    config.start_spacing = short(choose, config.start_spacing);
    config.stop_timeout = short(choose, config.stop_timeout);
    config.store_delay = short(choose, config.store_delay);
    config.shutdown_timeout = short(choose, config.shutdown_timeout);
    config
}

/// Two instances and a marked key, or nothing.
fn snapshot(choose: &mut Choose<'_>) -> Option<Snapshot> {
    let instance = |id: &str, restart: bool, status: &str| {
        format!(
            r#"{{"id":"{id}","url":"client://{}@:1/:2","alias":"","status":"{status}","restart":{restart},"mode":1,
            "peer":{{"sid":"","kind":"","alias":""}},"tags":{{}},
            "traffic":{{"tcprx":18446744073709551615,"tcptx":1,"udprx":0,"udptx":0}}}}"#,
            marked(3)
        )
    };
    let restart = choose(2) == 0;
    let instances = [instance("a", restart, "running"), instance("b", true, "error")].join(",");
    let text = format!(
        r#"{{"format":1,"key":"{}","master_id":"0123456789abcdef","alias":"","instances":[{instances}]}}"#,
        marked(0)
    );
    let snapshot = Snapshot::decode(text.as_bytes()).expect("it is one");
    (choose(2) == 0).then_some(snapshot)
}

fn body(choose: &mut Choose<'_>) -> String {
    const FIXED: [&str; 16] = [
        "",
        "{}",
        "null",
        "{",
        r#"{"action":"start"}"#,
        r#"{"action":"stop"}"#,
        r#"{"action":"restart"}"#,
        r#"{"action":"reset"}"#,
        r#"{"action":"start"} x"#,
        r#"{"alias":"x","restart":true,"action":"go"}"#,
        r#"{"alias":"<\u2028é>","restart":false}"#,
        r#"{"meta":{"peer":{"sid":"s"},"tags":{"k":"v"}}}"#,
        r#"{"meta":{"tags":{"k":1}}}"#,
        r#"{"url":"http://h:1"}"#,
        r#"{"url":"client://:1/%zz"}"#,
        r#"{"URL":"server://:1/:2?max=0&log=","alias":"y"}"#,
    ];
    match choose(20) {
        at @ 0..=15 => FIXED[at].to_owned(),
        16 => format!(r#"{{"alias":"{}"}}"#, "x".repeat(300)),
        17 => " ".repeat(401),
        _ => {
            // The tunnel's key is a secret.
            let scheme = ["client", "SERVER"][choose(2)];
            format!(r#"{{"url":"{scheme}://{}@127.0.0.1:{}/:2"}}"#, marked(2), choose(4))
        }
    }
}

fn line(choose: &mut Choose<'_>) -> String {
    match choose(8) {
        0 => "Server error: no".to_owned(),
        1 => String::new(),
        2 => "é".repeat(60),
        3 => format!("key {}\n\r\0", marked(4)),
        4 => "CHECK_POINT|MODE=1|PING=1ms|POOL=".to_owned(),
        _ => {
            let numbers = [0, 1, 1000, u64::MAX];
            let tcprx = numbers[choose(numbers.len())];
            let traffic = Traffic { tcprx, udptx: 1, ..Traffic::default() };
            CheckPoint::new(1, 2, 3, 4, i32::MAX, traffic).to_string()
        }
    }
}
