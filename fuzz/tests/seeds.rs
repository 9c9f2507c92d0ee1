//! Replays the seeds of all fuzz targets on stable, each of them also a little changed.

use std::path::Path;

/// How often each seed is changed, in another way each time.
const CHANGES: u64 = 200;

#[test]
fn core_agent_takes_its_seeds() {
    replay("core_agent");
}

#[test]
fn core_config_takes_its_seeds() {
    replay("core_config");
}

#[test]
fn core_server_takes_its_seeds() {
    replay("core_server");
}

#[test]
fn core_value_takes_its_seeds() {
    replay("core_value");
}

#[test]
fn core_wire_takes_its_seeds() {
    replay("core_wire");
}

#[test]
fn ithiltir_dash_takes_its_seeds() {
    replay("ithiltir_dash");
}

#[test]
fn ithiltir_node_takes_its_seeds() {
    replay("ithiltir_node");
}

#[test]
fn ithiltir_value_takes_its_seeds() {
    replay("ithiltir_value");
}

#[test]
fn ithiltir_wire_takes_its_seeds() {
    replay("ithiltir_wire");
}

#[test]
fn nodepass_client_takes_its_seeds() {
    replay("nodepass_client");
}

#[test]
fn nodepass_master_takes_its_seeds() {
    replay("nodepass_master");
}

#[test]
fn nodepass_url_takes_its_seeds() {
    replay("nodepass_url");
}

#[test]
fn nodepass_value_takes_its_seeds() {
    replay("nodepass_value");
}

#[test]
fn nodepass_wire_takes_its_seeds() {
    replay("nodepass_wire");
}

#[test]
fn nodered_client_takes_its_seeds() {
    replay("nodered_client");
}

#[test]
fn nodered_runtime_takes_its_seeds() {
    replay("nodered_runtime");
}

#[test]
fn nodered_topics_takes_its_seeds() {
    replay("nodered_topics");
}

#[test]
fn nodered_value_takes_its_seeds() {
    replay("nodered_value");
}

#[test]
fn nodered_wire_takes_its_seeds() {
    replay("nodered_wire");
}

#[test]
fn teeth_agent_takes_its_seeds() {
    replay("teeth_agent");
}

#[test]
fn teeth_server_takes_its_seeds() {
    replay("teeth_server");
}

#[test]
fn teeth_value_takes_its_seeds() {
    replay("teeth_value");
}

#[test]
fn teeth_wire_takes_its_seeds() {
    replay("teeth_wire");
}

#[test]
fn every_target_has_a_main_and_every_main_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut mains: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    mains.sort();
    assert_eq!(mains, fuzz::TARGETS.map(|(name, _)| name));
}

fn replay(name: &str) {
    let (_, body) = fuzz::TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let seeds = seeds(name);
    assert!(seeds.len() >= 10, "{name} has {} seeds", seeds.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (seed, bytes) in &seeds {
        run(body, bytes, &format!("{name}/{seed}"));
        for change in 0..CHANGES {
            run(body, &random.changed(bytes), &format!("{name}/{seed}, change {change}"));
        }
    }
}

/// Names the input when a body panics.
fn run(body: fuzz::Body, bytes: &[u8], name: &str) {
    if let Err(panic) = std::panic::catch_unwind(|| body(bytes)) {
        eprintln!("{name}: {:?}", String::from_utf8_lossy(bytes));
        std::panic::resume_unwind(panic);
    }
}

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// xorshift64: the same changes on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len());
            match self.below(4) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, u8::try_from(self.below(256)).unwrap()),
                _ => {
                    let bit = 1 << self.below(8);
                    bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= bit);
                }
            }
        }
        bytes
    }
}
