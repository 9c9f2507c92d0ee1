//! The master's answers, one behaviour a test: routing and headers (§1), keys (§2), endpoints (§3), objects (§4).
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod master_support;

use bytes::Bytes;
use http::Request;
use master_support::{Fixture, KEY_RECORD, LATER, LEVELS, OTHER_URL, URL, config};
use nodepass_api::Release;
use nodepass_api::master::{Compat, Config, Entropy, Paths, Silence};
use nodepass_api::url::{Inherited, MasterUrl, TlsMode};
use serde_json::json;

const CORS: [(&str, &str); 3] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, PATCH, POST, PUT, DELETE, OPTIONS"),
    ("access-control-allow-headers", "Content-Type, Authorization, X-API-Key, Cache-Control"),
];

fn bare(method: &str, path: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(path).body(Bytes::new()).unwrap()
}

#[track_caller]
fn assert_cors(fixture: &Fixture, expected: bool) {
    for (name, value) in CORS {
        assert_eq!(fixture.header(name), expected.then_some(value), "{name}");
    }
}

// §1: paths and headers

#[test]
fn answers_of_handlers_have_the_headers_for_browsers_and_those_of_the_router_have_not() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for (method, path) in
        [("GET", "/instances"), ("DELETE", "/info"), ("GET", "/openapi.json"), ("GET", "/docs")]
    {
        fixture.ask(method, path, "");
        assert_cors(&fixture, true);
    }
    fixture.ask_with(bare("GET", "/api/v1/instances"));
    assert_cors(&fixture, true);
    for path in ["/nowhere", "/instances/../info"] {
        fixture.ask("GET", path, "");
        assert_cors(&fixture, false);
    }
}

#[test]
fn options_needs_no_key_and_is_empty_on_every_known_path() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for path in
        ["instances", "instances/", "instances/x/y", "events", "info", "tcping", "openapi.json", "docs"]
    {
        assert_eq!(fixture.ask_with(bare("OPTIONS", &format!("/api/v1/{path}"))), "200", "{path}");
        assert_eq!(fixture.header("content-type"), None);
        assert_cors(&fixture, true);
    }
    assert_eq!(fixture.ask_with(bare("OPTIONS", "/api/v1/else")), "404 404 page not found");
}

#[test]
fn an_unknown_path_is_a_plain_404_before_the_key_is_looked_at() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for path in ["/", "/api", "/api/v1/", "/api/v1/Instances", "/api/v1/info/", "/api/v1/docs/", "/api/v2"] {
        assert_eq!(fixture.ask_with(bare("GET", path)), "404 404 page not found", "{path}");
        assert_eq!(fixture.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(fixture.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(fixture.body(), "404 page not found\n");
    }
}

#[test]
fn a_path_that_is_not_clean_is_redirected_with_its_query() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.ask_with(bare("GET", "/api//v1/./x/../tcping?target=a:1&b='c"));
    assert_eq!(fixture.answer.as_ref().unwrap().1.status(), 307);
    assert_eq!(fixture.header("location"), Some("/api/v1/tcping?target=a:1&b='c"));
    let link = "<a href=\"/api/v1/tcping?target=a:1&amp;b='c\">Temporary Redirect</a>.\n\n";
    assert_eq!(fixture.body(), link);
}

#[test]
fn an_encoded_dot_segment_is_an_id_that_there_is_not() {
    let mut fixture = Fixture::new(Compat::V1_14);
    assert_eq!(fixture.ask("GET", "/instances/%2e%2e/info", ""), "404 Instance not found");
    let id = fixture.key();
    let line = fixture.ask("GET", "/instances/%2A%2A%2A%2A%2A%2A%2A%2A?x=1", "");
    assert_eq!((line.as_str(), &fixture.json()["url"]), ("200 ********", &json!(id)));
}

#[test]
fn both_bases_are_served_unless_the_settings_say_otherwise() {
    let mut settings = config(Compat::Document);
    settings.take_url(&MasterUrl::parse("master://host.example:1/admin/?log=warn").unwrap());
    for (paths, status) in [(Paths::Both, "200"), (Paths::Versioned, "404")] {
        settings.paths = paths;
        let mut fixture = Fixture::with(settings.clone());
        for (path, status) in [("/admin/v1/docs", "200"), ("/admin/docs", status), ("/api/v1/docs", "404")] {
            assert_eq!(&fixture.ask_with(bare("GET", path))[..3], status, "{path}");
        }
    }
}

#[test]
fn json_is_compact_escaped_as_go_does_and_ends_with_a_line_break() {
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.ask("POST", "/instances", r#"{"url":"client://:1/:2?b=1&a=<>"}"#);
    assert_eq!(fixture.header("content-type"), Some("application/json"));
    let id = fixture.ids[0].clone();
    let expected = format!(
        "{{\"id\":\"{id}\",\"alias\":\"\",\"type\":\"client\",\"status\":\"stopped\",\
         \"url\":\"client://:1/:2?a=%3C%3E\\u0026b=1\",\"restart\":false,\"mode\":0,\"ping\":0,\"pool\":0,\"tcps\":0,\
         \"udps\":0,\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0}}\n"
    );
    assert_eq!(fixture.body(), expected);
}

// §2: keys

#[test]
fn the_key_is_looked_at_before_method_and_body() {
    let mut fixture = Fixture::new(Compat::V1_14);
    let required = "401 Unauthorized: API key required";
    let invalid = "401 Unauthorized: Invalid API key";
    for path in ["instances", "instances/", "instances/x", "events", "info", "tcping"] {
        for method in ["GET", "POST", "PUT", "BREW"] {
            assert_eq!(
                fixture.ask_with(bare(method, &format!("/api/v1/{path}"))),
                required,
                "{method} {path}"
            );
        }
    }
    let key = fixture.key();
    let upper = key.to_ascii_uppercase();
    let cases = [("", required), ("x", invalid), (&*upper, invalid), (&key[1..], invalid), (&*key, "200 …")];
    for (key, expected) in cases {
        let mut request = bare("GET", "/api/v1/instances");
        request.headers_mut().insert("X-API-Key", key.parse().unwrap());
        assert_eq!(fixture.ask_with(request), expected);
    }
}

#[test]
fn the_key_counts_nowhere_but_in_its_header() {
    let mut fixture = Fixture::new(Compat::V1_14);
    let key = fixture.key();
    let mut request = bare("GET", &format!("/api/v1/instances?key={key}&api_key={key}"));
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    assert_eq!(fixture.ask_with(request), "401 Unauthorized: API key required");
}

#[test]
fn documents_need_no_key_and_answer_any_method() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for (path, media_type, begin) in
        [("openapi.json", "application/json", "{\n"), ("docs", "text/html", "<!doctype html>")]
    {
        for method in ["GET", "POST", "DELETE", "HEAD"] {
            assert_eq!(&fixture.ask_with(bare(method, &format!("/api/v1/{path}")))[..3], "200");
            assert_eq!(fixture.header("content-type"), Some(media_type));
            assert!(fixture.body().to_ascii_lowercase().starts_with(begin), "{path}");
        }
    }
    fixture.ask("GET", "/openapi.json", "");
    assert_eq!(fixture.json()["servers"][0]["url"], "/api/v1");
}

#[test]
fn keys_and_ids_are_lower_case_hexadecimal_and_come_from_the_entropy() {
    let keys: Vec<String> = [[1; 32], [1; 32], [2; 32]]
        .into_iter()
        .map(|seed| {
            let mut fixture = Fixture::with(Config::new(Compat::V1_14, Entropy::new(seed)));
            fixture.ask("POST", "/instances", &format!(r#"{{"url":"{URL}"}}"#));
            let id = fixture.ids[0].clone();
            let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            assert_eq!((id.len(), fixture.key().len()), (8, 32));
            assert!(is_hex(&id) && is_hex(&fixture.key()));
            fixture.key() + &id
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

// §3: instances

#[test]
fn the_list_has_the_key_record_and_all_instances() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.ask("POST", "/instances", &format!(r#"{{"url":"{URL}"}}"#));
        fixture.ask("POST", "/instances", &format!(r#"{{"url":"{OTHER_URL}"}}"#));
        assert_eq!(fixture.ask("GET", "/instances", ""), "200 …");
        let list = fixture.json();
        let ids: Vec<_> =
            list.as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap()).collect();
        let mut expected: Vec<_> = fixture.ids.iter().map(String::as_str).chain([KEY_RECORD]).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected);
        assert_eq!(list[0]["url"], fixture.key());
        assert_eq!(
            (&list[0]["type"], &list[0]["status"], &list[0]["restart"]),
            (&json!(""), &json!(""), &json!(false))
        );
        for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
            assert_eq!(fixture.ask(method, "/instances", ""), "405 Method not allowed");
        }
    }
}

#[test]
fn members_of_an_instance_are_those_of_the_level_in_their_order() {
    let old = "id alias type status url restart mode ping pool tcps udps tcprx tcptx udprx udptx";
    let new = "id alias type status url config restart meta mode ping pool tcps udps tcprx tcptx udprx udptx";
    for (compat, expected) in [(Compat::Document, old), (Compat::V1_6, old), (Compat::V1_14, new)] {
        let mut fixture = Fixture::new(compat);
        fixture.ask("POST", "/instances", &format!(r#"{{"url":"{URL}"}}"#));
        for path in ["/instances/a", "/instances/********"] {
            fixture.ask("GET", path, "");
            let body = fixture.body().to_owned();
            let at = |name: &str| body.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name}"));
            let places: Vec<_> = expected.split(' ').map(at).collect();
            assert!(places.is_sorted(), "{body}");
            let members = fixture.json().as_object().unwrap().len();
            assert_eq!(members, expected.split(' ').count(), "{body}");
        }
    }
}

#[test]
fn a_new_instance_is_stopped_until_its_process_runs() {
    for (compat, restart) in [(Compat::Document, false), (Compat::V1_6, false), (Compat::V1_14, true)] {
        let mut fixture = Fixture::new(compat);
        let lines = fixture.told("POST", "/instances", &format!(r#"{{"url":"{URL}"}}"#));
        assert_eq!(lines, ["201 a stopped", "created a", "start a"]);
        assert_eq!(fixture.json()["restart"], restart);
        assert_eq!(fixture.started("a"), ["a is running"]);
        assert_eq!(fixture.ask("GET", "/instances/a", ""), "200 a running");
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let mut fixture = Fixture::new(Compat::V1_14);
    let bodies = [
        ("", "400 Invalid request body"),
        ("[]", "400 Invalid request body"),
        ("{", "400 Invalid request body"),
        ("null", "400 Invalid request body"),
        (r#"{"url":""}"#, "400 Invalid request body"),
        (r#"{"url":null}"#, "400 Invalid request body"),
        (r#"{"url":1}"#, "400 Invalid request body"),
        (r#"{"url":"client://:1/:2","alias":1}"#, "400 Invalid request body"),
        (r#"{"url":"127.0.0.1:1/x"}"#, "400 Invalid URL format"),
        (r#"{"url":"client://h:1/%zz"}"#, "400 Invalid URL format"),
        (r#"{"url":"http://h:1/"}"#, "400 Invalid URL scheme"),
        (r#"{"url":"master://h:1/"}"#, "400 Invalid URL scheme"),
    ];
    for (body, expected) in bodies {
        assert_eq!(fixture.told("POST", "/instances", body), [expected], "{body}");
    }
    assert_eq!(fixture.master.0.instances().count(), 0);
}

#[test]
fn bodies_are_read_as_the_original_reads_them() {
    let mut fixture = Fixture::new(Compat::V1_14);
    for body in [
        r#"{"URL":"client://:1/:2","unknown":{}}"#,
        r#"{"url":"client://:1/:2"} and more"#,
        r#"{"url":"x","url":"client://:1/:2"}"#,
        r#"{"url":"client://:1/:2","url":null}"#,
        r#"{"url":"CLIENT://:1/:2"}"#,
    ] {
        assert!(fixture.ask("POST", "/instances", body).starts_with("201 "), "{body}");
        assert_eq!(fixture.json()["url"], "client://:1/:2");
    }
}

#[test]
fn the_alias_of_a_new_instance_is_taken_where_the_release_takes_it() {
    for (compat, release, alias) in [
        (Compat::V1_14, Release::V1_14_0, "x"),
        (Compat::V1_14, Release::V1_10_0, ""),
        (Compat::V1_6, Release::V1_6_0, ""),
        (Compat::Document, Release::V1_6_0, ""),
    ] {
        let mut settings = config(compat);
        settings.release = release;
        let mut fixture = Fixture::with(settings);
        fixture.ask("POST", "/instances", r#"{"url":"client://:1/:2","alias":"x"}"#);
        assert_eq!(fixture.json()["alias"], alias);
    }
}

#[test]
fn the_stored_url_inherits_from_the_master_and_spells_out_defaults_where_the_level_does() {
    let mut settings = config(Compat::V1_14);
    let mut inherited = Inherited::default();
    (inherited.log, inherited.tls) = ("warn".to_owned(), TlsMode::SelfSigned);
    settings.inherited = inherited;
    let mut fixture = Fixture::with(settings);
    fixture.ask("POST", "/instances", r#"{"url":"server://:1/:2?zz&max=5"}"#);
    assert_eq!(fixture.json()["url"], "server://:1/:2?log=warn&max=5&tls=1&zz=");
    let config = fixture.json()["config"].as_str().unwrap().to_owned();
    assert!(
        config.contains("max=5") && config.contains("slot=65536") && config.contains("tls=1"),
        "{config}"
    );
}

#[test]
fn limits_of_bodies_urls_and_instances_are_kept() {
    let mut settings = config(Compat::V1_14);
    (settings.max_body, settings.max_url, settings.max_instances) = (100, 43, 1);
    let mut fixture = Fixture::with(settings);
    let long = " ".repeat(101);
    for (method, path) in [("POST", "/instances"), ("PATCH", "/instances/********"), ("GET", "/info")] {
        assert_eq!(fixture.told(method, path, &long), ["413 Request body too large"]);
    }
    let url = format!(r#"{{"url":"client://:1/:2?x={}"}}"#, "y".repeat(27));
    assert_eq!(fixture.told("POST", "/instances", &url), ["400 Invalid URL format"]);
    fixture.made();
    assert_eq!(
        fixture.told("POST", "/instances", r#"{"url":"client://:1/:2"}"#),
        ["503 Service unavailable"]
    );
}

#[test]
fn an_id_that_is_not_known_comes_before_the_method_and_the_body() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    for method in ["GET", "PATCH", "PUT", "DELETE", "BREW"] {
        assert_eq!(fixture.told(method, "/instances/00000000", "{"), ["404 Instance not found"]);
        assert_eq!(fixture.told(method, "/instances/", "{"), ["400 Instance ID is required"]);
        let id = fixture.ids[0].to_ascii_uppercase() + "x";
        assert_eq!(fixture.told(method, &format!("/instances/{id}"), ""), ["404 Instance not found"]);
    }
    for method in ["POST", "HEAD", "BREW"] {
        assert_eq!(fixture.told(method, "/instances/a", ""), ["405 Method not allowed"]);
        assert_eq!(fixture.told(method, "/instances/********", ""), ["405 Method not allowed"]);
    }
}

// §3: PATCH

#[test]
fn an_alias_and_a_policy_are_changed_and_an_empty_alias_changes_nothing() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let body = r#"{"alias":"x","restart":true}"#;
        assert_eq!(fixture.told("PATCH", "/instances/a", body), ["200 a running"]);
        assert_eq!((&fixture.json()["alias"], &fixture.json()["restart"]), (&json!("x"), &json!(true)));
        assert_eq!(
            fixture.told("PATCH", "/instances/a", r#"{"alias":"","restart":false}"#),
            ["200 a running"]
        );
        assert_eq!((&fixture.json()["alias"], &fixture.json()["restart"]), (&json!("x"), &json!(false)));
    }
}

#[test]
fn an_alias_has_at_most_256_bytes_and_then_nothing_is_changed() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let longest = "é".repeat(128);
        fixture.told("PATCH", "/instances/a", &format!(r#"{{"alias":"{longest}"}}"#));
        assert_eq!(fixture.json()["alias"], longest);
        let body = format!(r#"{{"alias":"{longest}x","action":"stop","restart":true}}"#);
        let refused = ["400 Instance alias exceeds maximum length 256"];
        assert_eq!(fixture.told("PATCH", "/instances/a", &body), refused);
        assert_eq!(fixture.object("a").alias(), Some(&*longest));
    }
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.running();
    fixture.told("PATCH", "/instances/a", &format!(r#"{{"alias":"{}"}}"#, "x".repeat(1000)));
    assert_eq!(fixture.object("a").alias().unwrap().len(), 1000);
}

#[test]
fn an_unknown_action_is_refused_after_the_alias_was_taken() {
    for compat in LATER {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        let body = r#"{"alias":"x","action":"Stop","restart":true}"#;
        assert_eq!(fixture.told("PATCH", "/instances/a", body), ["400 Invalid action: Stop"]);
        let object = fixture.object("a");
        let default = compat == Compat::V1_14;
        assert_eq!((object.alias(), object.restart), (Some("x"), Some(default)), "{compat:?}");
    }
    let mut fixture = Fixture::new(Compat::V1_6);
    fixture.running();
    let body = r#"{"alias":"x","action":"Stop","restart":true}"#;
    assert_eq!(fixture.told("PATCH", "/instances/a", body), ["200 a running"]);
    assert_eq!((fixture.object("a").alias(), fixture.object("a").restart), (Some("x"), Some(true)));
}

#[test]
fn a_body_that_cannot_be_read_changes_nothing_in_silence_or_with_words() {
    for compat in LEVELS {
        for silence in [Silence::Keep, Silence::Refuse] {
            let mut settings = config(compat);
            settings.silence = silence;
            let mut fixture = Fixture::with(settings);
            fixture.running();
            let refused = silence == Silence::Refuse;
            for body in ["", "{", "[]", r#"{"alias":"x","restart":"yes"}"#, r#"{"alias":"x","action":1}"#] {
                let expected = if refused { "400 Invalid request body" } else { "200 a running" };
                assert_eq!(fixture.told("PATCH", "/instances/a", body), [expected], "{body}");
            }
            assert_eq!(fixture.object("a").alias(), None);
            for body in ["null", "{}", r#"{"action":"","alias":null}"#] {
                assert_eq!(fixture.told("PATCH", "/instances/a", body), ["200 a running"], "{body}");
            }
        }
    }
    assert_eq!(config(Compat::Document).silence, Silence::Refuse);
    assert_eq!(config(Compat::V1_6).silence, Silence::Keep);
    assert_eq!(config(Compat::V1_14).silence, Silence::Keep);
}

#[test]
fn an_unknown_action_of_1_6_is_refused_where_silence_is_not_wanted() {
    let mut settings = config(Compat::V1_6);
    settings.silence = Silence::Refuse;
    let mut fixture = Fixture::with(settings);
    fixture.running();
    let body = r#"{"alias":"x","action":"go"}"#;
    assert_eq!(fixture.told("PATCH", "/instances/a", body), ["400 Invalid action: go"]);
    assert_eq!(fixture.object("a").alias(), None);
}

#[test]
fn a_peer_and_tags_are_replaced_as_a_whole() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    let meta = |fixture: &mut Fixture, meta: &str| {
        fixture.told("PATCH", "/instances/a", &format!(r#"{{"meta":{meta}}}"#));
        fixture.json()["meta"].clone()
    };
    let full = json!({"peer": {"sid": "1", "type": "t", "alias": "x"}, "tags": {"a": "b"}});
    assert_eq!(meta(&mut fixture, &full.to_string()), full);
    assert_eq!(meta(&mut fixture, "{}"), full);
    assert_eq!(meta(&mut fixture, "null"), full);
    assert_eq!(meta(&mut fixture, r#"{"tags":{"a":1}}"#), full, "spoils the whole body");
    let peer = json!({"sid": "2", "type": "", "alias": ""});
    assert_eq!(meta(&mut fixture, r#"{"peer":{"sid":"2"}}"#), json!({"peer": peer, "tags": {"a": "b"}}));
    assert_eq!(meta(&mut fixture, r#"{"tags":{}}"#), json!({"peer": peer, "tags": {}}));
}

#[test]
fn members_of_meta_have_at_most_256_bytes_each() {
    let mut fixture = Fixture::new(Compat::V1_14);
    fixture.running();
    let long = "x".repeat(257);
    for (meta, member) in [
        (json!({"peer": {"sid": long}}), "peer.sid"),
        (json!({"peer": {"type": long}}), "peer.type"),
        (json!({"peer": {"alias": long}}), "peer.alias"),
        (json!({"tags": {&long: ""}}), "tag key"),
        (json!({"tags": {"": long}, "peer": {"sid": "kept out"}}), "tag value"),
    ] {
        let body = json!({"restart": false, "meta": meta}).to_string();
        let expected = format!("400 Meta {member} exceeds maximum length 256");
        assert_eq!(fixture.told("PATCH", "/instances/a", &body), [expected]);
    }
    let object = fixture.object("a");
    assert_eq!(object.restart, Some(false), "earlier steps stay");
    assert_eq!(object.meta.as_ref().unwrap().peer.as_ref().unwrap().sid.as_deref(), Some(""));
}

#[test]
fn levels_without_meta_ignore_it() {
    for compat in [Compat::V1_6, Compat::Document] {
        let mut fixture = Fixture::new(compat);
        fixture.running();
        assert_eq!(
            fixture.told("PATCH", "/instances/a", r#"{"meta":{"tags":{"a":"b"}}}"#),
            ["200 a running"]
        );
        assert_eq!(fixture.json().get("meta"), None);
    }
}

// §3: the key record

#[test]
fn a_new_key_counts_at_once() {
    for compat in LEVELS {
        let mut fixture = Fixture::new(compat);
        let old = fixture.request("GET", "/instances", "");
        let before = fixture.key();
        let lines = fixture.told("PATCH", "/instances/********", r#"{"action":"restart"}"#);
        assert_eq!(lines, ["key rotated", "200 ********"], "{compat:?}");
        assert_eq!(fixture.json()["url"], fixture.key());
        assert_ne!(fixture.key(), before);
        assert_eq!(fixture.ask_with(old), "401 Unauthorized: Invalid API key");
        assert_eq!(fixture.ask("GET", "/instances", ""), "200 …");
    }
}

#[test]
fn the_key_record_cannot_be_replaced_or_removed_and_other_changes_do_nothing() {
    for silence in [Silence::Keep, Silence::Refuse] {
        let mut settings = config(Compat::V1_14);
        settings.silence = silence;
        let mut fixture = Fixture::with(settings);
        let key = fixture.key();
        for (method, body) in [("PUT", "{"), ("PUT", r#"{"url":"client://:1/:2"}"#), ("DELETE", "")] {
            assert_eq!(fixture.told(method, "/instances/********", body), ["403 Forbidden: API Key"]);
        }
        let other = if silence == Silence::Keep { "200 ********" } else { "403 Forbidden: API Key" };
        for body in
            [r#"{"action":"stop"}"#, r#"{"action":"reset"}"#, r#"{"alias":"x"}"#, r#"{"restart":true}"#]
        {
            assert_eq!(fixture.told("PATCH", "/instances/********", body), [other], "{body}");
        }
        assert_eq!(fixture.told("PATCH", "/instances/********", "{}"), ["200 ********"]);
        assert_eq!((fixture.key(), &fixture.json()["alias"]), (key, &json!("")));
    }
}
