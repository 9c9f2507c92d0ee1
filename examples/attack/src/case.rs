//! Carrying out one attack: the program, its good peer, the hostile one, and what came of it.

use crate::attack::{Attack, Must, Scene};
use crate::connection::Connection;
use crate::pair::{Launch, Pair};
use crate::peers::{Crowd, Front};
use crate::program::{Log, Program};
use crate::script::Script;
use crate::secrets;
use anyhow::{Context as _, bail, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long what must happen may take, and a good exchange afterwards, in the short form and the long one. The programs' own limits are set to 3 s.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(90));
/// How long an attack goes on that only has to be borne.
const ENDURANCE: Duration = Duration::from_secs(2);
/// How long programs live whose secrets are looked for, in each state.
const LIFE: Duration = Duration::from_secs(1);
/// Of more connections there is one case at a time, since all of them are files of this process.
const CROWD: usize = 1000;
static CROWDED: Mutex<()> = Mutex::new(());
/// Between two looks where nothing moves.
const PAUSE: Duration = Duration::from_millis(5);

/// Which of two programs is attacked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// How attacks are carried out.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Where the programs are.
    pub(crate) binaries: &'a Path,
    /// With thousands of connections in the place of hundreds.
    pub(crate) long: bool,
}

impl Run<'_> {
    fn patience(self) -> Duration {
        if self.long { PATIENCE.1 } else { PATIENCE.0 }
    }
}

/// An attack on one program of a pair.
pub(crate) struct Case {
    pub(crate) pair: &'static Pair,
    pub(crate) side: Side,
    pub(crate) attack: Attack,
}

impl Case {
    /// Returns the program that is attacked.
    pub(crate) fn victim(&self) -> &'static str {
        match self.side {
            Side::Server => self.pair.server.program,
            Side::Client => self.pair.client.program,
        }
    }

    /// Returns what is looked for in all that both programs of a pair say.
    pub(crate) fn of_secrets(pair: &'static Pair) -> Self {
        let attack = Attack::new("no secret shows", Must::Hide, |_| Script::say(""));
        Self { pair, side: Side::Server, attack }
    }

    fn count(&self, run: Run<'_>) -> usize {
        if run.long { self.attack.connections.1 } else { self.attack.connections.0 }
    }

    /// Attacks; returns the peak of resident memory in bytes, as far as the system tells it.
    pub(crate) fn run(&self, run: Run<'_>) -> anyhow::Result<Option<u64>> {
        let _alone = (self.count(run) > CROWD).then(|| CROWDED.lock());
        let folder = tempfile::tempdir()?;
        if self.attack.must == Must::Hide {
            return self.look_for_secrets(run, folder.path());
        }
        let (mut server, [address, beside]) = self.start_server(run, folder.path(), Log::Warnings)?;
        server.ignore_events();
        let scene = Scene { folder: folder.path(), address: &address, beside: &beside };
        let (mut victim, _peer) = match self.side {
            Side::Server => {
                let client = self.attack_server(run, scene, &mut server)?;
                (server, client)
            }
            Side::Client => (self.attack_client(run, scene)?, server),
        };
        victim.is_well()?;
        let peak = victim.peak();
        ensure!(
            peak.is_none_or(|peak| peak <= self.attack.limit << 20),
            "peak {} MiB",
            peak.unwrap_or(0) >> 20
        );
        Ok(peak)
    }

    /// Returns a server that is ready, where it listens for what is attacked, and where it listens first.
    fn start_server(&self, run: Run<'_>, folder: &Path, log: Log) -> anyhow::Result<(Program, [String; 2])> {
        let scene = Scene { folder, address: "127.0.0.1:0", beside: "" };
        (self.pair.prepare)(scene.folder)?;
        let mut server = start(run, &self.pair.server, scene, log)?;
        let listening = server.wait("listening")?;
        let place = |name: &str| listening[name].as_str().map(str::to_owned).context("a listener says where");
        let places = [place(self.pair.listener)?, place("addr")?];
        if self.pair.server.ready != "listening" {
            server.wait(self.pair.server.ready)?;
        }
        Ok((server, places))
    }

    /// Looks for secrets in all that is said and logged while the client gets on with the server, is refused by it, and cannot
    /// reach it.
    fn look_for_secrets(&self, run: Run<'_>, folder: &Path) -> anyhow::Result<Option<u64>> {
        let (mut server, [address, beside]) = self.start_server(run, folder, Log::Everything)?;
        let scene = Scene { folder, address: &address, beside: &beside };
        let mut client = start(run, &self.pair.client, scene, Log::Everything)?;
        let begin = Instant::now();
        while !self.was_good(&mut client) {
            in_time(run, begin, &mut client)?;
            rest(false);
        }
        std::thread::sleep(LIFE);
        server.is_well()?;
        drop(client);
        let known = secrets::prepare_refusal(folder)?;
        secrets::search(folder, &known)?;
        let client = start(run, &self.pair.client, scene, Log::Everything)?;
        std::thread::sleep(LIFE);
        let peak = server.peak();
        drop(server);
        std::thread::sleep(LIFE);
        drop(client);
        secrets::search(folder, &known)?;
        Ok(peak)
    }

    /// Returns the good client, which is served beside what is left of the attack.
    fn attack_server(&self, run: Run<'_>, scene: Scene<'_>, server: &mut Program) -> anyhow::Result<Program> {
        let script = (self.attack.script)(&scene);
        let mut crowd = Crowd::open(scene.address.parse()?, self.count(run), &script)?;
        let begin = Instant::now();
        while !self.is_decided(run, begin, crowd.connections())? {
            rest(crowd.step());
        }
        server.is_well()?;
        let mut client = start(run, &self.pair.client, scene, Log::Warnings)?;
        let begin = Instant::now();
        while !self.was_good(&mut client) {
            in_time(run, begin, &mut client)?;
            rest(crowd.step());
        }
        Ok(client)
    }

    /// Returns the client, which has met a good server meanwhile.
    fn attack_client(&self, run: Run<'_>, scene: Scene<'_>) -> anyhow::Result<Program> {
        let good: SocketAddr = scene.address.parse()?;
        let mut front = Front::new(&(self.attack.script)(&scene), self.attack.greet)?;
        let address = front.address()?.to_string();
        let mut client = start(run, &self.pair.client, Scene { address: &address, ..scene }, Log::Warnings)?;
        let begin = Instant::now();
        while !self.is_decided(run, begin, front.connections())? {
            rest(front.step()?);
            client.is_well()?;
        }
        front.turn_good(good);
        let begin = Instant::now();
        while !self.was_good(&mut client) || !front.is_relaying() {
            in_time(run, begin, &mut client)?;
            rest(front.step()?);
        }
        Ok(client)
    }

    /// Whether it has happened to so many connections; an error if it has not, or something else has.
    fn is_decided(&self, run: Run<'_>, begin: Instant, connections: &[Connection]) -> anyhow::Result<bool> {
        let (must, count, patience) = (self.attack.must, self.count(run), run.patience());
        let mut decided = 0;
        for verdict in connections.iter().filter_map(|connection| must.verdict(connection)) {
            verdict.map_err(anyhow::Error::msg)?;
            decided += 1;
        }
        let passed = begin.elapsed();
        if must == Must::Bear && passed > ENDURANCE && !connections.is_empty() {
            return Ok(true);
        }
        if decided < count && passed > patience {
            bail!("{decided} of {count} connections were {must} in {patience:?}, {} came", connections.len());
        }
        Ok(decided >= count)
    }

    fn was_good(&self, client: &mut Program) -> bool {
        std::iter::from_fn(|| client.event()).any(|event| (self.pair.good)(&event))
    }
}

fn start(run: Run<'_>, launch: &Launch, scene: Scene<'_>, log: Log) -> anyhow::Result<Program> {
    let path = run.binaries.join(launch.program).with_extension(std::env::consts::EXE_EXTENSION);
    Program::start(&path, &(launch.arguments)(&scene), launch.input, scene.folder, log)
}

fn in_time(run: Run<'_>, begin: Instant, client: &mut Program) -> anyhow::Result<()> {
    client.is_well()?;
    ensure!(begin.elapsed() < run.patience(), "there was no good exchange afterwards");
    Ok(())
}

fn rest(moved: bool) {
    if !moved {
        std::thread::sleep(PAUSE);
    }
}
