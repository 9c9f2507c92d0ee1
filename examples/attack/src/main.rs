//! Hostile peers for every example program, over loopback: `cargo xtask attack`.
//!
//! Each attack has a fresh pair of programs: the one that is attacked, and its good peer, with which it must still get on
//! afterwards. Everything is bounded in time and count, and only programs that were started here are ended.

mod attack;
mod attacks;
mod case;
mod connection;
mod http2;
mod pair;
mod peers;
mod program;
mod script;
mod secrets;

use case::{Case, Run};
use clap::Parser;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::vec::IntoIter;

/// Attacks the example programs; see cargo xtask attack, which builds them.
#[derive(Parser)]
struct Arguments {
    /// Where the programs are.
    #[arg(long)]
    binaries: PathBuf,
    /// With thousands of connections in the place of hundreds.
    #[arg(long)]
    long: bool,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    /// Only attacks whose program or name holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many attacks go on at once.
    #[arg(long, default_value_t = 16)]
    at_once: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_limit();
    let wanted = attacks::all().into_iter().filter(|case| title(case).contains(&arguments.only));
    let queue = Mutex::new(wanted.collect::<Vec<_>>().into_iter());
    let (passed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = next(&queue) {
            let count = if carry_out(&case, &arguments) { &passed } else { &failed };
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..arguments.at_once.max(1)).for_each(|_| drop(scope.spawn(work))));
    let (passed, failed) = (passed.into_inner(), failed.into_inner());
    if arguments.json {
        println!("{}", json!({"event": "summary", "passed": passed, "failed": failed}));
    } else {
        println!("{passed} attacks passed, {failed} failed");
    }
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn next(queue: &Mutex<IntoIter<Case>>) -> Option<Case> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn title(case: &Case) -> String {
    format!("{}: {}", case.victim(), case.attack.name)
}

/// Says whether all went well.
fn carry_out(case: &Case, arguments: &Arguments) -> bool {
    let begin = Instant::now();
    let outcome = case.run(Run { binaries: &arguments.binaries, long: arguments.long });
    let (seconds, limit) = (begin.elapsed().as_secs_f64(), case.attack.limit);
    let mebibytes =
        |peak: Option<u64>| peak.map(|peak| (peak as f64 / f64::from(1 << 20) * 10.0).round() / 10.0);
    if arguments.json {
        let mut line = json!({
            "event": "attack", "program": case.victim(), "name": case.attack.name,
            "must": case.attack.must.to_string(), "ok": outcome.is_ok(), "limit_mib": limit, "seconds": seconds,
        });
        match &outcome {
            Ok(peak) => line["peak_mib"] = json!(mebibytes(*peak)),
            Err(problem) => line["error"] = format!("{problem:#}").into(),
        }
        println!("{line}");
    } else {
        let title = title(case);
        match &outcome {
            Ok(Some(peak)) => {
                println!("ok {title} peak {:.1} MiB of {limit}", mebibytes(Some(*peak)).unwrap_or_default());
            }
            Ok(None) => println!("ok {title} peak unknown"),
            Err(problem) => println!("FAIL {title} after {seconds:.1} s: {problem:#}"),
        }
    }
    outcome.is_ok()
}

/// Raises the number of files that this process and those it starts may have open, as far as the system allows.
#[cfg(unix)]
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        eprintln!("the limit of open files stays as it is: {error}");
    }
}

#[cfg(not(unix))]
fn raise_limit() {}
