//! Attacks over HTTP/1.1: on servers, on clients, and on readers of event streams.

use super::json;
use crate::attack::{Attack, Must, Scene};
use crate::connection::Greeting;
use crate::pair::KEY;
use crate::script::Script;

/// Where a server takes bodies, and how it wants to be given its key.
pub(crate) struct Site {
    path: &'static str,
    key: &'static str,
    /// What a request with a wrong key is answered with, if it takes one.
    wrong_key: Option<u16>,
    /// What is answered at length, to anybody.
    long: &'static str,
}

pub(crate) static DASH: Site =
    Site { path: "/api/node/metrics", key: "x-node-secret: ", wrong_key: None, long: "/" };

pub(crate) static CORE: Site = Site {
    path: "/node/usage",
    key: "x-node-auth-key: ",
    wrong_key: Some(401),
    long: "/admin/nodes/1/runtime-status",
};

pub(crate) static MASTER: Site = Site {
    path: "/api/v1/instances",
    key: "x-api-key: ",
    wrong_key: Some(401),
    long: "/api/v1/openapi.json",
};

pub(crate) static ADMIN: Site =
    Site { path: "/auth/token", key: "authorization: Bearer ", wrong_key: None, long: "/" };

impl Site {
    /// Returns the head of a request, without the blank line, with the good key.
    fn head(&self, scene: &Scene<'_>, further: &str) -> String {
        self.head_with(&scene.key(), further)
    }

    fn head_with(&self, key: &str, further: &str) -> String {
        let Self { path, key: name, .. } = self;
        format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\n{name}{key}\r\ncontent-type: application/json\r\n{further}"
        )
    }

    fn post(&self, scene: &Scene<'_>, body: &[u8]) -> Vec<u8> {
        let head = self.head(scene, &format!("content-length: {}\r\n\r\n", body.len()));
        [head.as_bytes(), body].concat()
    }
}

/// Attacks on a server.
pub(crate) fn on_server(site: &'static Site) -> Vec<Attack> {
    let head = move |further: &'static str| move |scene: &Scene<'_>| Script::say(site.head(scene, further));
    let post = |name, body: Vec<u8>| {
        Attack::new(name, Must::Refuse, move |scene| Script::say(site.post(scene, &body)))
    };
    let length = "content-length: 1000\r\n\r\n";
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let get = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
    let mut attacks = vec![
        Attack::new("idle connections", Must::Bear, |_| Script::say("")).over(300, 10_000).within(256),
        Attack::new("silent connections", Must::End, |_| Script::say("")).over(50, 1000),
        Attack::new("slow heads", Must::End, |_| Script::say("GET / HTTP/1.1\r\n").slowly("a: b\r\n"))
            .over(50, 1000),
        Attack::new("endless request line", Must::Refuse, |_| Script::say("GET /").endlessly("a", 8)),
        Attack::new("endless header", Must::Refuse, |_| {
            Script::say("GET / HTTP/1.1\r\na: ").endlessly("a", 8)
        }),
        Attack::new("endless headers", Must::Refuse, |_| {
            Script::say("GET / HTTP/1.1\r\n").endlessly("a: b\r\n", 8)
        }),
        Attack::new("garbage", Must::Refuse, |_| {
            Script::say(&b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\x00"[..]).endlessly(b"\x00\xff\r\n", 1)
        }),
        Attack::new("half a head, half closed", Must::End, |_| Script::say("GET / HT").half_closed()),
        Attack::new("reset in a head", Must::Bear, |_| Script::say("GET / HT").reset())
            .over(100, 2000)
            .within(128),
        Attack::new("slow bodies", Must::Refuse, move |scene| head(length)(scene).slowly("[")).over(50, 1000),
        Attack::new("endless body", Must::Refuse, move |scene| {
            head(chunked)(scene).endlessly("5\r\n[[[[[\r\n", 64)
        }),
        Attack::new("endless chunk extension", Must::Refuse, move |scene| {
            head(chunked)(scene).endlessly("5;a", 64)
        }),
        Attack::new("huge chunk", Must::Refuse, move |scene| {
            head("transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n")(scene)
        }),
        Attack::new("huge length", Must::Refuse, move |scene| {
            head("content-length: 999999999999999999\r\n\r\n")(scene).endlessly("[", 64)
        }),
        Attack::new("length beyond numbers", Must::Refuse, move |scene| {
            head("content-length: 99999999999999999999999\r\n\r\n")(scene)
        }),
        Attack::new("two lengths", Must::Refuse, move |scene| {
            head("content-length: 3\r\ncontent-length: 5\r\n\r\n{}{}{}")(scene)
        }),
        Attack::new("half a body, half closed", Must::Refuse, move |scene| {
            head("content-length: 1000\r\n\r\n[[[")(scene).half_closed()
        }),
        Attack::new("reset in a body", Must::Bear, move |scene| {
            head("content-length: 1000\r\n\r\n[[[")(scene).reset()
        })
        .over(100, 2000)
        .within(128),
        Attack::new("held bodies", Must::Bear, move |_| {
            let head = site.head_with("wrong", "content-length: 1048576\r\n\r\n");
            Script::say([head.as_bytes(), &[b' '; 1_000_000]].concat())
        })
        .over(150, 200)
        .within(128),
        Attack::new("flood of requests, never read", Must::End, move |_| {
            let get = format!("GET {} HTTP/1.1\r\nhost: h\r\n\r\n", site.long);
            Script::say("").endlessly(get, 256).deaf()
        })
        .over(1, 8),
        Attack::new("flood of requests", Must::Bear, move |_| Script::say("").endlessly(get, 4)).over(8, 64),
        post("deep nesting", json::deep(100_000).into()),
        post("huge number", json::huge().into()),
        post("invalid UTF-8", json::NO_UTF8.into()),
        post("oversized map", json::map(50_000).into()),
        post("NUL bytes", vec![0; 10_000]),
    ];
    let wrong = site.wrong_key.map_or(Must::Refuse, Must::Status);
    attacks.push(
        Attack::new("wrong keys", wrong, move |_| {
            Script::say(site.head_with("wrong", "content-length: 2\r\n\r\n{}"))
        })
        .over(50, 1000),
    );
    attacks.push(Attack::new("endless key", Must::Refuse, move |_| {
        Script::say(site.head_with("", "")[..].trim_end()).endlessly("k", 8)
    }));
    attacks
}

/// Attacks on a client that asks for something.
pub(crate) fn on_client() -> Vec<Attack> {
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let whole = move |body: &[u8]| {
        let head = format!("{ok}content-length: {}\r\n\r\n", body.len());
        Script::say([head.as_bytes(), body].concat())
    };
    let answer = |name, body: Vec<u8>| Attack::new(name, Must::Bear, move |_| whole(&body));
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let gzip = "content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!";
    let say = |head: &'static str, further: &'static str| Script::say(format!("{head}{further}"));
    vec![
        Attack::new("silence", Must::End, |_| Script::say("")),
        Attack::new("slow head", Must::End, |_| Script::say("HTTP/1.1 200 OK\r\n").slowly("a: b\r\n")),
        Attack::new("slow body", Must::End, move |_| say(ok, "content-length: 1000\r\n\r\n").slowly("[")),
        Attack::new("endless status line", Must::End, |_| Script::say("HTTP/1.1 200 ").endlessly("a", 8)),
        Attack::new("endless header", Must::End, |_| Script::say("HTTP/1.1 200 OK\r\na: ").endlessly("a", 8)),
        Attack::new("endless headers", Must::End, |_| {
            Script::say("HTTP/1.1 200 OK\r\n").endlessly("a: b\r\n", 8)
        }),
        Attack::new("endless interim answers", Must::End, |_| {
            Script::say("").endlessly("HTTP/1.1 100 Continue\r\n\r\n", 512)
        }),
        Attack::new("endless body", Must::End, move |_| {
            say(ok, "transfer-encoding: chunked\r\n\r\n").endlessly("5\r\n[[[[[\r\n", 256)
        })
        .within(160),
        Attack::new("body until closed", Must::End, move |_| say(ok, "\r\n").endlessly("[", 256)).within(160),
        Attack::new("huge length", Must::End, move |_| {
            say(ok, "content-length: 999999999999999999\r\n\r\n[")
        }),
        Attack::new("huge chunk", Must::End, move |_| {
            say(ok, "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n")
        }),
        Attack::new("garbage", Must::End, |_| {
            Script::say(&b"\x15\x03\x03\x00\x02\x02\x28\xff\xfe"[..]).endlessly(b"\x00\xff\r\n", 1)
        }),
        Attack::new("reset in a head", Must::Bear, |_| Script::say("HTTP/1.1 20").reset()),
        Attack::new("reset in a body", Must::Bear, move |_| {
            say(ok, "content-length: 1000\r\n\r\n{\"a").reset()
        }),
        Attack::new("half an answer, half closed", Must::End, move |_| {
            say(ok, "content-length: 1000\r\n\r\n{\"a").half_closed()
        }),
        Attack::new("answers nobody asked for", Must::End, move |_| {
            say(ok, "content-length: 0\r\n\r\n").endlessly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 1)
        }),
        Attack::new("redirects", Must::Bear, move |_| Script::say(redirect)),
        Attack::new("false encoding", Must::Bear, move |_| say(ok, gzip)),
        answer("deep nesting", json::deep(100_000).into()),
        answer("huge number", json::huge().into()),
        answer("invalid UTF-8", json::NO_UTF8.into()),
        answer("oversized map", json::map(500_000).into()).within(160),
    ]
}

/// Attacks on a client of a master that is otherwise good, by its event stream.
pub(crate) fn on_stream_reader() -> Vec<Attack> {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let say = move |further: &str| Script::say(format!("{stream}{further}"));
    let event = |data: &String| format!("event: instance\ndata: {data}\n\n");
    let instance = |id: &str, number: &str| {
        let about = about(id, number);
        format!(r#"{{"type":"update","time":"2026-11-21T12:00:00Z","instance":{about},"logs":""}}"#)
    };
    let strange = (0..20_000).map(|id| instance(&format!("{id:08x}"), "1")).collect();
    let events = move |name, data: Vec<String>| {
        let events: String = data.iter().map(event).collect();
        Attack::new(name, Must::Bear, move |_| say("").endlessly(events.as_bytes(), 16))
    };
    let attacks = vec![
        Attack::new("stream: endless line", Must::End, move |_| say("data: ").endlessly("a", 256)),
        Attack::new("stream: endless event", Must::End, move |_| say("").endlessly("data: a\n", 256)),
        Attack::new("stream: slow event", Must::End, move |_| say("").slowly("data: a\n")),
        Attack::new("stream: endless comments", Must::Bear, move |_| say("").endlessly(": a\n", 64)),
        Attack::new("stream: invalid UTF-8", Must::Bear, move |_| {
            say("").endlessly(b"data: \xff\xfe\n\n", 4)
        }),
        Attack::new("stream: garbage", Must::Bear, move |_| say("").endlessly(b"\x00\x01\xff", 4)),
        events("stream: deep nesting", vec![json::deep(10_000)]),
        events("stream: huge numbers", vec![instance("a", &json::huge())]),
        events("stream: oversized map", vec![json::map(20_000)]),
        events("stream: flood of one instance", vec![instance("aaaaaaaa", "1")]),
        events("stream: flood of strange instances", strange).within(160),
        events(
            "stream: forged ids",
            vec![instance("", "1"), instance("../../x", "1"), instance(&"a".repeat(9000), "1")],
        ),
    ];
    attacks.into_iter().map(|attack| attack.greeted(speak_by_stream)).collect()
}

/// Attacks on a node whose Core is otherwise good, by the configuration.
pub(crate) fn on_node() -> Vec<Attack> {
    let config = |name, clients: String, services: String| {
        let body = config(&clients, &services);
        Attack::new(name, Must::Bear, move |_| Script::say(good(&body)))
    };
    let client = |id: usize| format!(r#""{id}":{{"userId":{id},"subscriptionId":null}}"#);
    let clients = |count: usize| format!("{{{}}}", (1..=count).map(client).collect::<Vec<_>>().join(","));
    let inbound = r#"{"tag":"t","port":1,"protocol":"vless","settings":{"clients":[{"id":"i","email":"u1.l1.s1.i1"}]}}"#;
    let inbounds =
        |count: usize| format!(r#"{{"xray":{{"inbounds":[{}]}}}}"#, vec![inbound; count].join(","));
    let redirect =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let empty = || "{}".to_owned();
    let attacks = vec![
        config("config: large client map", clients(40_000), empty()).within(96),
        config("config: client map above the limit", clients(100_000), empty()).within(96),
        config("config: huge services", empty(), inbounds(15_000)).within(96),
        config("config: services above the limit", empty(), inbounds(50_000)).within(96),
        config("config: deep nesting of clients", json::deep(100_000), empty()),
        config("config: deep nesting of services", empty(), format!(r#"{{"xray":{}}}"#, json::deep(100_000))),
        config("config: oversized map in place of services", empty(), json::map(50_000)).within(96),
        config("config: numbers beyond types", format!(r#"{{"1":{{"userId":{}}}}}"#, json::huge()), empty()),
        config("config: keys that are no ids", r#"{"":{"userId":1},"-1":{},"1e99":[]}"#.into(), empty()),
        config(
            "config: one key again and again",
            vec![client(1); 10_000].join(",").replacen('"', "{\"", 1) + "}",
            empty(),
        ),
        Attack::new("config: endless body", Must::End, |_| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            Script::say(format!("{head}{{\"clientMap\":{{")).endlessly(r#""1":{"userId":1},"#, 64)
        })
        .within(96),
        Attack::new("config: invalid UTF-8", Must::Bear, |_| {
            let length = json::NO_UTF8.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            Script::say([head.as_bytes(), json::NO_UTF8].concat())
        }),
        Attack::new("config: redirect", Must::Bear, move |_| Script::say(redirect)),
    ];
    attacks.into_iter().map(|attack| attack.greeted(speak_by_config)).collect()
}

fn config(clients: &str, services: &str) -> String {
    format!(r#"{{"revision":7,"clientMap":{clients},"mtprotoClientMap":{{}},"services":{services}}}"#)
}

/// Attacks on a node that registers. An answer that may have used up its code ends a node, so here there is none.
pub(crate) fn on_newcomer() -> Vec<Attack> {
    let redirect =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let attacks = vec![
        Attack::new("registration: silence", Must::End, |_| Script::say("")),
        Attack::new("registration: slow head", Must::End, |_| {
            Script::say("HTTP/1.1 200 OK\r\n").slowly("a: b\r\n")
        }),
        Attack::new("registration: endless body", Must::End, |_| {
            Script::say("HTTP/1.1 200 OK\r\n\r\n").endlessly("[", 64)
        }),
        Attack::new("registration: garbage", Must::End, |_| Script::say("").endlessly(b"\x00\xff\r\n", 1)),
        Attack::new("registration: redirect", Must::Bear, move |_| Script::say(redirect)),
    ];
    attacks.into_iter().map(|attack| attack.greeted(speak)).collect()
}

/// A hostile Core registers every node.
pub(crate) fn speak_by_report(head: &str) -> Greeting {
    if head.lines().next().unwrap_or_default().contains("/node/register") {
        Greeting::Answer(registered())
    } else {
        Greeting::Begin(Vec::new())
    }
}

fn registered() -> Vec<u8> {
    good(&format!(r#"{{"authKey":"{KEY}","nodeId":1}}"#))
}

/// A hostile Core answers as a good one until the configuration is asked for.
fn speak_by_config(head: &str) -> Greeting {
    let line = head.lines().next().unwrap_or_default();
    if line.contains("/node/config/latest") {
        Greeting::Begin(Vec::new())
    } else if line.contains("/node/register") {
        Greeting::Answer(registered())
    } else {
        Greeting::Answer(good(r#"{"ok":true,"needSync":true}"#))
    }
}

/// A hostile server begins with any request.
pub(crate) fn speak(_: &str) -> Greeting {
    Greeting::Begin(Vec::new())
}

/// A hostile master answers as a good one until the stream is asked for.
fn speak_by_stream(head: &str) -> Greeting {
    let line = head.lines().next().unwrap_or_default();
    if line.contains("/events") {
        Greeting::Begin(Vec::new())
    } else if line.contains("/instances") {
        Greeting::Answer(good(&format!("[{}]", about("aaaaaaaa", "1"))))
    } else {
        Greeting::Answer(good(r#"{"os":"linux","arch":"amd64","ver":"v1.14.0","log":"info","tls":"0"}"#))
    }
}

/// Returns an instance that has received so many bytes.
fn about(id: &str, received: &str) -> String {
    let counters = format!(r#""tcprx":{received},"tcptx":1,"udprx":1,"udptx":1"#);
    format!(r#"{{"id":"{id}","type":"client","status":"running","url":"client://1",{counters}}}"#)
}

/// Returns a good answer.
pub(crate) fn good(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}
