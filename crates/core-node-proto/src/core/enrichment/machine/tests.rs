use super::*;
use crate::Secret;
use crate::call::{Delivery, FailureKind};
use crate::core::enrichment::{Provider, RateLimit};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The machine with an application that has a table of addresses and a provider that follows a script.
struct Rig {
    machine: Enrichment,
    now: Instant,
    wall_clock: Timestamp,
    /// The application's addresses, and when they were first seen.
    table: Vec<(Address, Timestamp)>,
    /// The provider's next answers; without any it has something about every address.
    script: VecDeque<Response<Bytes>>,
    queries: Vec<AddressQuery>,
    /// When each request went, and what it was about.
    requests: Vec<(Instant, Vec<String>)>,
    stored: Vec<String>,
    reports: Vec<Report>,
}

impl Rig {
    /// Starts at noon.
    fn new(config: Config, addresses: impl IntoIterator<Item = String>) -> Self {
        let now = testkit::epoch();
        let wall_clock = at("2030-01-02T12:00:00Z");
        let old = at("2030-01-01T00:00:00Z");
        Self {
            machine: Enrichment::new(config, wall_clock, now).unwrap(),
            now,
            wall_clock,
            table: addresses.into_iter().map(|address| (address.parse().unwrap(), old)).collect(),
            script: VecDeque::new(),
            queries: Vec::new(),
            requests: Vec::new(),
            stored: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.wall_clock =
            self.wall_clock.saturating_add_milliseconds(u64::try_from(time.as_millis()).unwrap());
    }

    /// Lets time pass as a driver does; every query and request is answered at once.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.carry_out();
            let Some(due) = self.machine.next_deadline().filter(|due| *due <= end) else { break };
            assert!(due > self.now, "a deadline that has passed stays");
            self.wait(due - self.now);
            self.machine.handle_timeout(self.wall_clock, self.now);
        }
        self.wait(end - self.now);
    }

    fn carry_out(&mut self) {
        while let Some(task) = self.machine.poll() {
            match task {
                Task::Query(query) => {
                    self.queries.push(query);
                    self.machine.handle_addresses(self.page(query), self.now);
                }
                Task::Request(request) => {
                    let asked = addresses_of(&request);
                    self.requests.push((self.now, asked.clone()));
                    let response = self.script.pop_front().unwrap_or_else(|| answer(&asked));
                    self.machine.handle_response(&response, self.now);
                }
                Task::CancelRequest => panic!("every request is answered"),
                Task::Store(found) => {
                    self.stored.extend(found.into_iter().map(|(address, _)| address.to_string()));
                }
                Task::Finished(report) => self.reports.push(report),
            }
        }
    }

    fn page(&self, query: AddressQuery) -> Vec<Address> {
        let is_meant = |(address, first_seen): &&(Address, Timestamp)| {
            let is_recent = match query {
                AddressQuery::All { .. } => true,
                AddressQuery::FirstSeenAfter { instant, .. } => *first_seen > instant,
            };
            is_recent && Some(*address) > query.after()
        };
        let mut page: Vec<Address> =
            self.table.iter().filter(is_meant).map(|(address, _)| *address).collect();
        page.sort();
        page.dedup();
        page.truncate(query.limit());
        page
    }

    fn start(&mut self, job: Job) -> bool {
        self.machine.start(job, self.wall_clock, self.now)
    }

    /// Returns the number of seconds from the start to each request.
    fn request_times(&self) -> Vec<u64> {
        let start = testkit::epoch();
        self.requests.iter().map(|(at, _)| (*at - start).as_secs()).collect()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ip_api() -> Config {
    Config::new(Provider::IpApi, None)
}

fn public(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| std::net::Ipv4Addr::from_bits(0x0800_0000 + number).to_string())
}

fn addresses_of(request: &Request<Bytes>) -> Vec<String> {
    if request.method() == http::Method::POST {
        serde_json::from_slice(request.body()).unwrap()
    } else {
        vec![request.uri().path().rsplit('/').next().unwrap().to_owned()]
    }
}

/// What ip-api.com has: something about each address.
fn answer(asked: &[String]) -> Response<Bytes> {
    let items: Vec<String> =
        asked.iter().map(|ip| format!(r#"{{"query":"{ip}","status":"success","country":"X"}}"#)).collect();
    Response::new(format!("[{}]", items.join(",")).into())
}

fn refusal(status: u16, headers: &[(&'static str, &str)]) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::new()).unwrap()
}

#[test]
fn the_daily_job_asks_about_all_addresses_at_midnight_page_by_page() {
    let mut rig = Rig::new(ip_api(), public(2250));
    rig.run(12 * HOUR - SECOND);
    assert!(
        rig.stored.is_empty()
            && rig.queries.iter().all(|query| matches!(query, AddressQuery::FirstSeenAfter { .. }))
    );
    rig.queries.clear();
    rig.reports.clear();
    rig.run(9 * MINUTE);
    let first = AddressQuery::All { after: None, limit: 1000 };
    assert!(rig.queries.contains(&first));
    let pages = rig.queries.iter().filter(|query| matches!(query, AddressQuery::All { .. })).count();
    assert_eq!((pages, rig.requests.len(), rig.stored.len()), (3, 23, 2250));
    let report = rig.reports.iter().find(|report| report.job == Job::Daily).unwrap();
    assert_eq!((report.stored, report.requests, report.is_complete), (2250, 23, true));
    assert_eq!((report.failed, report.skipped, &report.problem), (0, 0, &None));
}

#[test]
fn the_recent_job_asks_every_10_minutes_about_addresses_first_seen_later_than_10_minutes_ago() {
    let mut rig = Rig::new(ip_api(), []);
    for (address, first_seen) in
        [("8.8.8.1", "12:00:00.000"), ("8.8.8.2", "12:00:00.001"), ("8.8.8.3", "12:09:59.999")]
    {
        rig.table.push((address.parse().unwrap(), at(&format!("2030-01-02T{first_seen}Z"))));
    }
    rig.run(10 * MINUTE - Duration::from_millis(1));
    assert!(rig.queries.is_empty());
    rig.run(10 * MINUTE);
    let instant = at("2030-01-02T12:00:00Z");
    assert_eq!(rig.queries, [AddressQuery::FirstSeenAfter { instant, after: None, limit: 1000 }]);
    assert_eq!(rig.stored, ["8.8.8.2", "8.8.8.3"]);
}

#[test]
fn an_address_of_many_users_is_asked_about_once_and_others_than_global_ones_never() {
    let mut rig = Rig::new(ip_api(), []);
    let page = ["10.0.0.1", "8.8.8.8", "::1", "8.8.8.8", "fe80::1", "2a00::1"];
    rig.start(Job::Daily);
    let Some(Task::Query(_)) = rig.machine.poll() else { panic!("no query") };
    rig.machine.handle_addresses(page.map(|address| address.parse().unwrap()).to_vec(), rig.now);
    rig.carry_out();
    assert_eq!(rig.requests[0].1, ["8.8.8.8", "2a00::1"]);
    assert_eq!((rig.reports[0].skipped, rig.reports[0].stored), (3, 2));
}

#[test]
fn no_more_requests_go_than_the_rate_has_also_with_both_jobs_at_work() {
    let rate = Some(RateLimit { requests: 2, period: MINUTE });
    let mut rig = Rig::new(Config { batch: 1, rate, ..ip_api() }, public(3));
    rig.script = (0..5).map(|_| Response::new(Bytes::from_static(br#"{"status":"success"}"#))).collect();
    rig.table.push(("9.9.9.9".parse().unwrap(), rig.wall_clock));
    assert!(rig.start(Job::Daily) && !rig.start(Job::Daily));
    rig.carry_out();
    assert!(rig.start(Job::Recent));
    rig.run(3 * MINUTE);
    // The recent job goes first.
    let asked: Vec<_> = rig.requests.iter().map(|(_, asked)| asked[0].as_str()).collect();
    assert_eq!(asked, ["8.0.0.0", "8.0.0.1", "9.9.9.9", "8.0.0.2", "9.9.9.9"]);
    assert_eq!(rig.request_times(), [0, 0, 60, 60, 120]);
}

#[test]
fn a_request_that_fails_is_repeated_after_growing_waits() {
    let mut rig = Rig::new(ip_api(), public(1));
    rig.script = [refusal(500, &[]), refusal(503, &[]), Response::new(Bytes::from_static(b"<html>"))].into();
    rig.start(Job::Daily);
    rig.run(5 * MINUTE);
    assert_eq!(rig.request_times(), [0, 5, 15, 35]);
    let report = &rig.reports[0];
    assert_eq!((report.stored, report.requests, report.is_complete), (1, 4, true));
    assert_eq!(report.problem, Some(Problem::Unreadable));
}

#[test]
fn what_stays_without_an_answer_is_counted_and_many_failures_in_a_row_end_the_run() {
    let config = Config { retries: 1, failures_before_end: 2, ..ip_api() };
    let mut rig = Rig::new(config, public(350));
    rig.script = (0..2).map(|_| refusal(500, &[])).collect();
    rig.start(Job::Daily);
    rig.run(5 * MINUTE);
    let counts = |report: &Report| (report.stored, report.failed, report.is_complete);
    assert_eq!(counts(&rig.reports[0]), (250, 100, true));
    rig.script = (0..9).map(|_| refusal(500, &[])).collect();
    rig.start(Job::Daily);
    rig.run(4 * MINUTE);
    assert_eq!(counts(&rig.reports[1]), (0, 200, false));
    assert_eq!(rig.reports[1].problem, Some(Problem::Status(500)));
    assert_eq!(rig.script.len(), 5);
}

#[test]
fn a_provider_that_does_not_take_the_token_ends_the_run() {
    let mut rig = Rig::new(ip_api(), public(350));
    rig.script.push_back(refusal(403, &[]));
    rig.start(Job::Daily);
    rig.run(MINUTE);
    assert_eq!((rig.requests.len(), rig.reports[0].is_complete), (1, false));
    assert_eq!(rig.reports[0].problem, Some(Problem::Status(403)));
}

#[test]
fn a_provider_that_asks_for_a_pause_has_it() {
    let mut rig = Rig::new(ip_api(), public(250));
    let mut last = answer(&public(100).collect::<Vec<_>>());
    last.headers_mut().insert("x-rl", "0".parse().unwrap());
    last.headers_mut().insert("x-ttl", "40".parse().unwrap());
    rig.script = [last, refusal(429, &[("retry-after", "70")])].into();
    rig.start(Job::Daily);
    rig.run(5 * MINUTE);
    assert_eq!(rig.request_times(), [0, 40, 110, 110]);
    rig.script = [refusal(429, &[("retry-after", "999999")])].into();
    rig.start(Job::Daily);
    rig.run(9 * MINUTE);
    assert_eq!(rig.request_times()[4..], [300, 600, 600, 600]);
}

#[test]
fn a_request_without_an_answer_is_cancelled_at_its_time_limit_and_its_late_answer_ignored() {
    let mut rig = Rig::new(Config { retries: 0, ..ip_api() }, public(1));
    rig.start(Job::Daily);
    let Some(Task::Query(query)) = rig.machine.poll() else { panic!("no query") };
    rig.machine.handle_addresses(rig.page(query), rig.now);
    assert!(matches!(rig.machine.poll(), Some(Task::Request(_))));
    assert_eq!(rig.machine.next_deadline(), Some(rig.now + 10 * SECOND));
    rig.wait(10 * SECOND);
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    assert!(matches!(rig.machine.poll(), Some(Task::CancelRequest)));
    let Some(Task::Finished(report)) = rig.machine.poll() else { panic!("no report") };
    assert_eq!((report.failed, report.problem), (1, Some(Problem::TimedOut)));
    rig.machine.handle_response(&answer(&["8.0.0.0".to_owned()]), rig.now);
    rig.machine.handle_failure(Failure::new(Delivery::No, FailureKind::Refused), rig.now);
    assert!(rig.machine.poll().is_none());
}

#[test]
fn a_failure_of_the_transport_is_told_in_the_report() {
    let mut rig = Rig::new(Config { retries: 0, ..ip_api() }, public(1));
    rig.start(Job::Daily);
    let Some(Task::Query(query)) = rig.machine.poll() else { panic!("no query") };
    rig.machine.handle_addresses(rig.page(query), rig.now);
    assert!(matches!(rig.machine.poll(), Some(Task::Request(_))));
    let failure = Failure::new(Delivery::No, FailureKind::NameResolution);
    rig.machine.handle_failure(failure.clone(), rig.now);
    let Some(Task::Finished(report)) = rig.machine.poll() else { panic!("no report") };
    assert_eq!(report.problem, Some(Problem::Transport(failure)));
}

#[test]
fn an_application_that_has_no_addresses_or_not_in_time_ends_the_run() {
    let mut rig = Rig::new(ip_api(), public(1));
    rig.start(Job::Daily);
    rig.start(Job::Recent);
    assert!(matches!(rig.machine.poll(), Some(Task::Query(AddressQuery::All { .. }))));
    assert!(rig.machine.poll().is_none());
    rig.wait(MINUTE);
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    let Some(Task::Finished(report)) = rig.machine.poll() else { panic!("no report") };
    assert_eq!((report.job, report.problem), (Job::Daily, Some(Problem::Query)));
    assert!(matches!(rig.machine.poll(), Some(Task::Query(AddressQuery::FirstSeenAfter { .. }))));
    rig.machine.handle_query_failure(rig.now);
    let Some(Task::Finished(report)) = rig.machine.poll() else { panic!("no report") };
    assert_eq!((report.job, report.is_complete), (Job::Recent, false));
}

#[test]
fn a_job_that_still_runs_when_it_is_due_is_left_alone_and_the_missed_time_is_not_made_up_for() {
    let rate = Some(RateLimit { requests: 1, period: 7 * MINUTE });
    let mut rig = Rig::new(Config { rate, ..ip_api() }, []);
    rig.table = public(250).map(|address| (address.parse().unwrap(), at("2030-01-02T12:09:00Z"))).collect();
    rig.run(35 * MINUTE);
    // It runs from 12:10 to 12:24; 12:20 is missed, and at 12:30 nothing is recent any more.
    assert_eq!(rig.request_times(), [600, 1020, 1440]);
    let instants: Vec<_> = rig.queries.iter().filter(|query| query.after().is_none()).collect();
    assert_eq!((instants.len(), rig.reports.len()), (2, 2));
    // A driver that slept through several times runs once.
    rig.queries.clear();
    rig.wait(HOUR);
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    rig.run(SECOND);
    assert_eq!(rig.queries.len(), 1);
}

#[test]
fn a_page_that_is_not_as_asked_for_cannot_keep_a_run_going() {
    let mut rig = Rig::new(Config { page: 2, ..ip_api() }, []);
    rig.start(Job::Daily);
    let page = || ["8.8.8.9", "8.8.8.8", "8.8.8.8"].map(|address| address.parse().unwrap()).to_vec();
    for _ in 0..2 {
        let Some(Task::Query(_)) = rig.machine.poll() else { panic!("no query") };
        rig.machine.handle_addresses(page(), rig.now);
        if let Some(Task::Request(request)) = rig.machine.poll() {
            rig.machine.handle_response(&answer(&addresses_of(&request)), rig.now);
            assert!(matches!(rig.machine.poll(), Some(Task::Store(_))));
        }
    }
    assert!(rig.machine.slots.iter().all(|slot| slot.run.is_none()));
}

#[test]
fn times_follow_a_wall_clock_that_is_set() {
    let mut rig = Rig::new(ip_api(), []);
    rig.wall_clock = at("2030-01-02T23:59:50Z");
    rig.machine.reschedule(rig.wall_clock, rig.now);
    // The clock has passed a time of one of them.
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    rig.run(SECOND);
    assert_eq!(rig.reports.iter().map(|report| report.job).collect::<Vec<_>>(), [Job::Recent]);
    rig.run(9 * SECOND);
    let jobs: Vec<_> = rig.reports.iter().map(|report| report.job).collect();
    assert_eq!(jobs, [Job::Recent, Job::Recent, Job::Daily]);
}

#[test]
fn a_wall_clock_that_is_a_little_slow_does_not_make_a_job_due_twice() {
    let mut rig = Rig::new(ip_api(), []);
    rig.wait(10 * MINUTE);
    rig.wall_clock = at("2030-01-02T12:09:59.990Z");
    rig.machine.reschedule(rig.wall_clock, rig.now);
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    rig.machine.reschedule(rig.wall_clock, rig.now);
    rig.run(9 * MINUTE);
    assert_eq!(rig.reports.len(), 1);
    rig.run(2 * MINUTE);
    assert_eq!(rig.reports.len(), 2);
}

#[test]
fn an_early_time_out_does_nothing_and_absurd_settings_never_come_due() {
    let config = Config {
        daily_interval: Duration::MAX,
        recent_interval: Duration::MAX,
        recent_window: Duration::MAX,
        request_timeout: Duration::MAX,
        query_timeout: Duration::MAX,
        ..ip_api()
    };
    let mut rig = Rig::new(config, public(1));
    assert_eq!(rig.machine.next_deadline(), None);
    rig.machine.handle_timeout(rig.wall_clock, rig.now);
    assert!(rig.machine.poll().is_none());
    rig.start(Job::Recent);
    assert_eq!(rig.machine.next_deadline(), None);
    rig.carry_out();
    assert_eq!(rig.stored, ["8.0.0.0"]);
}

#[test]
fn nothing_shows_the_token() {
    let config = Config::new(Provider::IpApi, Some(Secret::new(testkit::secrets::marked(1))));
    let mut rig = Rig::new(config.clone(), public(1));
    rig.start(Job::Daily);
    let Some(Task::Query(query)) = rig.machine.poll() else { panic!("no query") };
    rig.machine.handle_addresses(rig.page(query), rig.now);
    let task = rig.machine.poll().unwrap();
    assert_eq!(format!("{task:?}"), "Request(POST, 11 bytes)");
    testkit::secrets::assert_debug_hides(&task);
    testkit::secrets::assert_debug_hides(&rig.machine);
    testkit::secrets::assert_debug_hides(&config);
}

/// What may happen to the machine.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Timeout,
    Start(Job),
    Addresses(Vec<u32>),
    QueryFailure,
    Response(u16, bool),
    Failure,
    WallClock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..900_000_u64).prop_map(Step::Wait),
        Just(Step::Timeout),
        Just(Step::Timeout),
        prop_oneof![Just(Job::Daily), Just(Job::Recent)].prop_map(Step::Start),
        prop::collection::vec(0x0800_0000..0x0800_0040_u32, 0..9).prop_map(Step::Addresses),
        Just(Step::QueryFailure),
        (prop_oneof![Just(200), Just(429), Just(500), Just(403), Just(404)], any::<bool>())
            .prop_map(|(status, is_readable)| Step::Response(status, is_readable)),
        Just(Step::Failure),
        (0..4_000_000_000_000_i64).prop_map(Step::WallClock),
    ]
}

/// What an owner knows is open.
#[derive(Default)]
struct Open {
    query: bool,
    request: Option<Vec<String>>,
}

impl Open {
    fn drain(&mut self, machine: &mut Enrichment) {
        while let Some(task) = machine.poll() {
            match task {
                Task::Query(query) => {
                    assert!(!std::mem::replace(&mut self.query, true), "two queries");
                    assert_eq!(query.limit(), 4);
                }
                Task::Request(request) => {
                    let asked = addresses_of(&request);
                    assert!((1..=3).contains(&asked.len()), "{asked:?}");
                    assert!(self.request.replace(asked).is_none(), "two requests");
                }
                Task::CancelRequest => assert!(self.request.take().is_some(), "nothing to cancel"),
                Task::Store(found) => assert!(found.len() <= 3),
                Task::Finished(report) if report.problem == Some(Problem::Query) => self.query = false,
                Task::Finished(_) => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn any_steps_leave_one_query_and_one_request_open_and_no_deadline_behind(steps in prop::collection::vec(step(), 0..60)) {
        let rate = Some(RateLimit { requests: 2, period: MINUTE });
        let mut rig = Rig::new(Config { batch: 3, page: 4, rate, ..ip_api() }, []);
        let mut open = Open::default();
        for step in steps {
            match step {
                Step::Wait(time) => rig.wait(Duration::from_millis(time)),
                Step::Timeout => {
                    rig.machine.handle_timeout(rig.wall_clock, rig.now);
                    prop_assert!(rig.machine.next_deadline().is_none_or(|deadline| deadline > rig.now));
                }
                Step::Start(job) => drop(rig.start(job)),
                Step::Addresses(page) => {
                    open.query = false;
                    let page = page.into_iter().map(|bits| std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(bits)).into());
                    rig.machine.handle_addresses(page.collect(), rig.now);
                }
                Step::QueryFailure => {
                    open.query = false;
                    rig.machine.handle_query_failure(rig.now);
                }
                Step::Response(status, is_readable) => {
                    let asked = open.request.take().unwrap_or_default();
                    let mut response = if is_readable { answer(&asked) } else { refusal(status, &[]) };
                    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    rig.machine.handle_response(&response, rig.now);
                }
                Step::Failure => {
                    open.request = None;
                    rig.machine.handle_failure(Failure::new(Delivery::No, FailureKind::Refused), rig.now);
                }
                Step::WallClock(milliseconds) => {
                    rig.wall_clock = Timestamp::from_unix_milliseconds(milliseconds).unwrap();
                    rig.machine.reschedule(rig.wall_clock, rig.now);
                }
            }
            open.drain(&mut rig.machine);
            prop_assert_eq!(open.query, rig.machine.query.is_some());
            prop_assert_eq!(open.request.is_some(), rig.machine.request.is_some());
            prop_assert!(rig.machine.slots.iter().flat_map(|slot| &slot.run).all(|run| run.waiting.len() <= 4));
        }
    }
}
