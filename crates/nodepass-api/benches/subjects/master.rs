//! A master with instances that run, and readers of events.

use bytes::Bytes;
use http::Request;
use nodepass_api::Secret;
use nodepass_api::master::{Compat, Config, Entropy, ExchangeId, Master, Output, RunId};
use nodepass_api::wire::{CheckPoint, InstanceId, Traffic};
use std::hint::black_box;
use std::time::Duration;
use testkit::epoch;
use web_time::Instant;

pub(crate) const INSTANCES: usize = 100;
pub(crate) const STREAMS: usize = 100;

pub(crate) struct Desk {
    master: Master,
    now: Instant,
    runs: Vec<RunId>,
    ids: Vec<InstanceId>,
    key: Secret,
    next: usize,
}

impl Desk {
    pub(crate) fn new(streams: usize) -> Self {
        let config = Config::new(Compat::V1_14, Entropy::new([7; 32]));
        let mut master = Master::new(config, None, epoch()).expect("the settings are fine");
        let key = master.key().clone();
        let mut desk = Self {
            now: epoch(),
            runs: Vec::new(),
            ids: Vec::new(),
            key,
            next: 0,
            master: {
                while let Some(output) = master.poll_output() {
                    black_box(output);
                }
                master
            },
        };
        for number in 0..INSTANCES {
            let url = format!("server://secret@127.0.0.1:{}/127.0.0.1:8080?log=info", 10_000 + number);
            desk.ask("POST", "/instances", &format!("{{\"url\":\"{url}\"}}"));
        }
        desk.ids = desk.master.instances().map(|instance| instance.id.clone()).collect();
        assert_eq!((desk.runs.len(), desk.ids.len()), (INSTANCES, INSTANCES));
        for _ in 0..streams {
            desk.ask("GET", "/events", "");
        }
        assert_eq!(desk.master.streams(), streams);
        desk
    }

    /// Makes a request; that is its client's work.
    pub(crate) fn request(&mut self, method: &str, path: &str, body: &str) -> Request<Bytes> {
        Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("x-api-key", self.key.expose())
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .expect("it is one")
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) {
        let request = self.request(method, path, body);
        self.serve(request);
    }

    pub(crate) fn get_one(&mut self) -> Request<Bytes> {
        self.next = (self.next + 37) % INSTANCES;
        let path = format!("/instances/{}", self.ids[self.next]);
        self.request("GET", &path, "")
    }

    pub(crate) fn get_all(&mut self) -> Request<Bytes> {
        self.request("GET", "/instances", "")
    }

    /// An alias that the instance does not have.
    pub(crate) fn patch(&mut self, count: usize) -> Request<Bytes> {
        let path = format!("/instances/{}", self.ids[count % INSTANCES]);
        self.request("PATCH", &path, &format!("{{\"alias\":\"tunnel {count}\"}}"))
    }

    /// Serves a request and does what comes of it; returns the bytes of the answer.
    pub(crate) fn serve(&mut self, request: Request<Bytes>) -> usize {
        black_box(self.master.handle_request(request, self.now));
        self.drain()
    }

    /// Lets a process report; returns how many bytes go to readers.
    pub(crate) fn publish(&mut self) -> usize {
        self.next = (self.next + 37) % INSTANCES;
        let line = report(self.next as u64);
        self.master.handle_line(self.runs[self.next], &line, self.now);
        self.drain()
    }

    fn drain(&mut self) -> usize {
        let (mut bytes, mut written): (usize, Vec<ExchangeId>) = (0, Vec::new());
        loop {
            while let Some(output) = self.master.poll_output() {
                match output {
                    Output::Respond { response, .. } => bytes += response.body().len(),
                    Output::PushBody { id, chunk } => {
                        bytes += chunk.len();
                        written.push(id);
                    }
                    Output::Start { run, .. } => {
                        self.runs.push(run);
                        self.master.handle_started(run, Ok(()), self.now);
                    }
                    other => drop(black_box(other)),
                }
            }
            if written.is_empty() {
                return bytes;
            }
            for id in written.drain(..) {
                self.master.handle_written(id, self.now);
            }
        }
    }

    /// Lets the state be stored, as it is from time to time.
    pub(crate) fn pass_time(&mut self) {
        self.now += Duration::from_secs(1);
        self.master.handle_timeout(self.now);
        self.drain();
    }
}

pub(crate) fn report(number: u64) -> String {
    let traffic = Traffic { tcprx: number * 1_000, tcptx: number * 2_000, ..Traffic::default() };
    format!("2026-11-21 10:17:18.123  EVENT  {}", CheckPoint::new(2, 12, 64, 3, 0, traffic))
}
