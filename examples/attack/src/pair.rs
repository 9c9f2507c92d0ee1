//! The programs: which belong together, how they are started, and what shows that they get on.

use crate::attack::Scene;
use serde_json::Value;
use std::io;
use std::path::Path;

/// A server and a client of one protocol. Each is the other's good peer.
pub(crate) struct Pair {
    pub(crate) server: Launch,
    pub(crate) client: Launch,
    /// Under which name the server tells where it listens for what is attacked.
    pub(crate) listener: &'static str,
    /// Writes what the programs read into their folder.
    pub(crate) prepare: fn(&Path) -> io::Result<()>,
    /// Whether an event of the client shows a good exchange.
    pub(crate) good: fn(&Value) -> bool,
}

/// How a program is started.
pub(crate) struct Launch {
    pub(crate) program: &'static str,
    pub(crate) arguments: fn(&Scene<'_>) -> Vec<String>,
    /// What it reads.
    pub(crate) input: &'static str,
    /// The event after which a server is ready.
    pub(crate) ready: &'static str,
}

/// The limits of servers over HTTP.
const HTTP: &str = "--head-timeout 3s --body-timeout 3s --write-timeout 3s";

/// What all good peers have.
pub(crate) const KEY: &str = "4tt4ck-key";

pub(crate) static ITHILTIR: Pair = Pair {
    server: Launch {
        program: "ithiltir-dash",
        arguments: |scene| {
            let common = "--json --listen 127.0.0.1:0 --secret-file node=FOLDER/key --rate-limit 0";
            words(scene, &format!("{common} {HTTP}"))
        },
        input: "",
        ready: "listening",
    },
    client: Launch {
        program: "ithiltir-node",
        arguments: |scene| {
            let common = "--json push --target http://ADDRESS/api/node/metrics --key-file FOLDER/key";
            let times = "--interval 200ms --start-delay 100ms --request-timeout 3s";
            words(scene, &format!("{common} {times}"))
        },
        input: "",
        ready: "",
    },
    listener: "addr",
    prepare: |folder| std::fs::write(folder.join("key"), KEY),
    good: |event| event["event"] == "report" && event["status"] == 200,
};

pub(crate) static NODEPASS: Pair = Pair {
    server: Launch {
        program: "nodepass-master",
        arguments: |scene| {
            let common = "--json --url master://127.0.0.1:0/api?log=info --key-file FOLDER/key";
            words(scene, &format!("{common} {HTTP}"))
        },
        input: "",
        ready: "key_created",
    },
    client: Launch {
        program: "nodepass-ctl",
        arguments: |scene| {
            let common = "--json --url http://ADDRESS/api --key-file FOLDER/key --request-timeout 3s --max-response 2097152 watch --logs";
            let times =
                "--retry 200ms --max-wait 500ms --head-timeout 3s --first-event-timeout 3s --idle-timeout 3s";
            words(scene, &format!("{common} {times}"))
        },
        input: "",
        ready: "",
    },
    listener: "addr",
    prepare: |_| Ok(()), // the master makes its key
    good: |event| event["event"] == "synced",
};

pub(crate) static TEETH: Pair = Pair {
    server: Launch {
        program: "teeth-server",
        arguments: |scene| {
            words(scene, "--json --listen 127.0.0.1:0 --idle-timeout 3s --max-unwritten 1048576")
        },
        input: "",
        ready: "listening",
    },
    client: Launch {
        program: "teeth-agent",
        arguments: |scene| {
            let common =
                "--json --connect ADDRESS --images FOLDER/images --cache FOLDER/cache --simulation 1h";
            let times = "--max-unwritten 1048576 --idle-timeout 3s --ping-period 1s --backoff-base 100ms --backoff-maximum 200ms";
            words(scene, &format!("{common} {times}"))
        },
        input: "",
        ready: "",
    },
    listener: "addr",
    prepare: |folder| std::fs::create_dir(folder.join("images")),
    good: |event| event["event"] == "ping" && event["round_trip_us"].is_u64(),
};

pub(crate) static NODE_RED: Pair = Pair {
    server: Launch {
        program: "nodered-runtime",
        arguments: |scene| {
            let common = "--json --listen 127.0.0.1:0 --token-file FOLDER/tokens --user-file FOLDER/users";
            let queues = "--max-queued-bytes 1048576 --max-unwritten 1048576";
            words(scene, &format!("{common} {queues} --heartbeat 1s {HTTP}"))
        },
        input: concat!(
            r#"{"topic":"good","data":"a message that is sent to everybody who asks for it","retain":true}"#,
            "\n"
        ),
        ready: "listening",
    },
    client: Launch {
        program: "nodered-watch",
        arguments: |scene| {
            let common =
                "--json --url ws://ADDRESS/comms --user good --password-file FOLDER/key --subscribe good";
            let times = "--connect-timeout 3s --request-timeout 3s --auth-timeout 3s --liveness-timeout 3s";
            words(
                scene,
                &format!(
                    "{common} {times} --reconnect-first 200ms --reconnect-second 200ms --reconnect-later 200ms"
                ),
            )
        },
        input: "",
        ready: "",
    },
    listener: "addr",
    prepare: |folder| {
        let users = format!(r#"[{{"username":"good","password":"{KEY}","permissions":"*"}}]"#);
        std::fs::write(folder.join("key"), KEY)?;
        std::fs::write(folder.join("users"), users)?;
        std::fs::write(folder.join("tokens"), format!("{KEY}=*\n"))
    },
    good: |event| event["event"] == "message" && event["topic"] == "good",
};

pub(crate) static CORE: Pair = Pair {
    server: CORE_SERVER,
    client: Launch {
        program: "core-agent",
        // Nobody listens for gRPC.
        arguments: |scene| core_agent(scene, "--http http://ADDRESS --grpc 127.0.0.1:1 --probe-period 1h"),
        input: "",
        ready: "",
    },
    listener: "addr",
    prepare: core_files,
    good: core_goes_on,
};

pub(crate) static CORE_GRPC: Pair = Pair {
    server: CORE_SERVER,
    client: Launch {
        program: "core-agent",
        // HTTP never stands in.
        arguments: |scene| core_agent(scene, "--http http://BESIDE --grpc ADDRESS --fallback-after 1000000"),
        input: "",
        ready: "",
    },
    listener: "grpc",
    prepare: core_files,
    good: core_goes_on,
};

const CORE_SERVER: Launch = Launch {
    program: "core-server",
    arguments: |scene| {
        let common = "--json --http 127.0.0.1:0 --grpc 127.0.0.1:0 --fixture FOLDER/fixture";
        words(scene, &format!("{common} {HTTP}"))
    },
    input: "",
    ready: "listening",
};

fn core_agent(scene: &Scene<'_>, ways: &str) -> Vec<String> {
    let common = "--json --insecure --code-file FOLDER/key --name good --region here --ip 127.0.0.1 --port 0";
    let periods = "--heartbeat-period 200ms --stats-period 200ms --online-period 200ms --usage-period 1s";
    let times = "--call-timeout 3s --config-timeout 3s --missing-wait 200ms --unauthorized-period 200ms";
    let waits = "--min-backoff 100ms --max-backoff 200ms --min-cooling 100ms --max-cooling 200ms";
    words(
        scene,
        &format!("{common} {ways} {periods} {times} {waits} --state FOLDER/state --receive-limit 2097152"),
    )
}

/// The key of a node is also the registration code of the next.
fn core_files(folder: &Path) -> io::Result<()> {
    let fixture = format!(
        r#"{{"revision":5,"codes":["{KEY}"],"nodes":[{{"nodeId":1,"authKey":"{KEY}","revision":5}}],"users":[12],
        "subscriptions":[{{"id":300,"userId":12}}],"nodeProtocols":[{{"id":6,"nodeId":1}}],
        "config":{{"clientMap":{{}},"mtprotoClientMap":{{}},"services":{{"xray":{{"inbounds":[]}}}}}}}}"#
    );
    std::fs::write(folder.join("key"), KEY)?;
    std::fs::write(folder.join("fixture"), fixture)
}

fn core_goes_on(event: &Value) -> bool {
    event["event"] == "heartbeat" && event["error"].is_null()
}

fn words(scene: &Scene<'_>, line: &str) -> Vec<String> {
    let folder = scene.folder.to_string_lossy();
    let fill = |word: &str| {
        word.replace("FOLDER", &folder).replace("ADDRESS", scene.address).replace("BESIDE", scene.beside)
    };
    line.split_whitespace().map(fill).collect()
}
