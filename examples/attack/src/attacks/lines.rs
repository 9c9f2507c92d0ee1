//! Attacks on the programs that speak lines of JSON.

use super::json;
use crate::attack::{Attack, Must};
use crate::script::Script;

/// Attacks on a teeth server.
pub(crate) fn on_server() -> Vec<Attack> {
    let log = |fields: String| command("x", "log", &format!(r#"{{"message":"m","time":1,{fields}}}"#));
    let state = |task: &str| format!(r#"{{"task_id":"{task}","state":"running","eta":1,"percent":1}}"#);
    let tasks =
        (0..10_000).map(|task| command("x", "task_status", &state(&task.to_string()))).collect::<String>();
    let mut attacks = on_either("ping");
    attacks.extend([
        Attack::new("idle connections", Must::Bear, |_| Script::say("")).over(300, 10_000).within(256),
        handshaken("handshake again and again", Must::Bear, HANDSHAKE.into(), 1),
        handshaken("flood of logs", Must::Bear, log(r#""a":1"#.into()), 1),
        handshaken("log with an oversized map", Must::Bear, log(format!("\"a\":{}", json::map(20_000))), 4),
        handshaken("flood of tasks of no command", Must::Bear, tasks, 2),
        handshaken(
            "task of endless name",
            Must::Bear,
            command("x", "task_status", &state(&"t".repeat(400_000))),
            4,
        ),
        Attack::new("handshake with an endless id", Must::Bear, |_| {
            let id = "i".repeat(400_000);
            Script::say(command("1", "handshake", &format!(r#"{{"id":"{id}","version":"1"}}"#)))
        }),
    ]);
    attacks
}

/// Attacks on a teeth agent, which speaks first.
pub(crate) fn on_agent() -> Vec<Attack> {
    let erase = |task: usize| command("x", "decom.disk_erase", &format!(r#"{{"task_id":"t{task}"}}"#));
    let cache = |ids: String| {
        command("x", "standbye.cache_images", &format!(r#"{{"task_id":"t","image_ids":[{ids}]}}"#))
    };
    let mut attacks = on_either("status");
    attacks.extend([
        Attack::new("reset at once", Must::Bear, |_| Script::say("").reset()).over(8, 64),
        handshaken("flood of tasks", Must::Bear, (0..10_000).map(erase).collect(), 4),
        handshaken("one task again and again", Must::Bear, erase(1), 4),
        handshaken(
            "images that are paths",
            Must::Bear,
            cache(r#""../../etc/passwd","/","\u0000",".""#.into()),
            1,
        ),
        handshaken("oversized list of images", Must::Bear, cache(vec!["\"i\""; 100_000].join(",")), 4),
    ]);
    attacks
}

/// Attacks on either side; `method` is a command that it serves without effect.
fn on_either(method: &'static str) -> Vec<Attack> {
    let line = |line: &str| Script::say(format!("{line}\n"));
    let undecodable = Must::Say("unable to decode message");
    let malformed = Must::Say("malformed message");
    let flood = command("x", method, "{}");
    let long = command("x", "ping", &format!(r#"{{"a":"{}"}}"#, "a".repeat(4000)));
    vec![
        Attack::new("silence", Must::End, |_| Script::say("")),
        Attack::new("slow line", Must::End, |_| Script::say("{").slowly(" ")),
        Attack::new("slow blanks", Must::Bear, |_| Script::say("").slowly(" \n")),
        Attack::new("endless line", malformed, |_| Script::say("").endlessly("{", 64)),
        Attack::new("endless blanks", Must::Bear, |_| Script::say("").endlessly("\n", 1)),
        Attack::new("garbage", undecodable, |_| Script::say(&b"\x16\x03\x01\xff\xfe\x00\n"[..])),
        Attack::new("invalid UTF-8", undecodable, |_| Script::say([json::NO_UTF8, b"\n"].concat())),
        Attack::new("deep nesting", undecodable, move |_| line(&json::deep(100_000))),
        Attack::new("huge number", malformed, move |_| line(&json::huge())),
        Attack::new("huge number as id", Must::Bear, move |_| {
            Script::say(format!(
                r#"{{"version":"v1","id":{},"method":"ping","params":{{}}}}{}"#,
                json::huge(),
                "\n"
            ))
        }),
        Attack::new("oversized map", Must::Say("missing message version"), move |_| line(&json::map(20_000))),
        Attack::new("forged answer", Must::Say("unknown message id referenced"), move |_| {
            line(r#"{"version":"v1","id":"forged","result":{}}"#)
        }),
        Attack::new("half a line, half closed", Must::End, |_| Script::say("{\"ver").half_closed()),
        Attack::new("reset in a line", Must::Bear, |_| Script::say("{\"ver").reset()),
        Attack::new("one id again and again", Must::Bear, move |_| {
            Script::say("").endlessly(flood.as_bytes(), 1)
        }),
        Attack::new("flood of commands, never read", Must::End, move |_| {
            Script::say("").endlessly(long.as_bytes(), 256).deaf()
        }),
        Attack::new("answers to nothing, then an error", Must::End, move |_| line(r#"{"fatal_error":"no"}"#)),
    ]
}

/// Says it again and again, up to so many MiB, after a good handshake.
fn handshaken(name: &'static str, must: Must, text: String, mebibytes: u64) -> Attack {
    Attack::new(name, must, move |_| Script::say(HANDSHAKE).endlessly(text.as_bytes(), mebibytes))
}

const HANDSHAKE: &str = "{\"version\":\"v1\",\"id\":\"h\",\"method\":\"handshake\",\"params\":{\"id\":\"a\",\"version\":\"1\"}}\n";

fn command(id: &str, method: &str, params: &str) -> String {
    format!("{{\"version\":\"v1\",\"id\":\"{id}\",\"method\":\"{method}\",\"params\":{params}}}\n")
}
