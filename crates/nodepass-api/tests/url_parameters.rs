//! Parameters of instance URLs: values by version, checks, explanations.

mod url_support;

use nodepass_api::Release;
use nodepass_api::url::{
    AddressError, Balance, Block, Dial, Dns, LogLevel, Origin, Parameter, Problem, Role, Rules, RunMode,
    Scope, TlsMode, Transport,
};
use std::time::Duration;
use url_support::{effective, master, release, url, with};

fn text_of(query: &str, role: Role, parameter: Parameter, rules: Rules) -> Option<String> {
    let url = with(query, role);
    effective(&url, rules).text(parameter).map(Into::into)
}

// Parameters, §6.

#[test]
fn absent_is_the_default_and_what_is_not_understood_is_zero() {
    use Parameter::{Dns, Max, Min, Rate, Read, Slot};
    let (client, server) = (Role::Client, Role::Server);
    for (role, parameter, value, shown) in [
        (client, Min, "", "64"),
        (client, Min, "007", "7"),
        (client, Min, "0", "0"),
        (client, Min, "-5", "0"),
        (client, Min, "%2B16", "16"),
        (client, Min, "+16", "0"),
        (client, Min, "1.5", "0"),
        (client, Min, "1e3", "0"),
        (client, Min, "0x10", "0"),
        (client, Min, "9223372036854775807", "9223372036854775807"),
        (client, Min, "9223372036854775808", "0"),
        (server, Max, "", "1024"),
        (server, Max, "abc", "0"),
        (server, Read, "", "0s"),
        (server, Read, "1h30m", "1h30m0s"),
        (server, Read, "1.5h", "1h30m0s"),
        (server, Read, "30", "0s"),
        (server, Read, "-5s", "0s"),
        (server, Read, "1d", "0s"),
        (server, Rate, "-1", "0"),
        (server, Rate, "100", "100"),
        (server, Slot, "", "65536"),
        (server, Slot, "x", "0"),
        (server, Slot, "3000000000", "-1294967296"),
        (server, Slot, "4294967297", "1"),
        (server, Dns, "", "5m0s"),
        (server, Dns, "30s", "30s"),
        (server, Dns, "8.8.8.8", "0s"),
    ] {
        let query = format!("{parameter}={value}");
        let got = text_of(&query, role, parameter, release("1.14.0"));
        assert_eq!(got.as_deref(), Some(shown), "{query}");
    }
}

#[test]
fn words_that_mean_nothing_are_kept_and_count_as_off() {
    let query = "mode=7&proxy=2&noudp=yes&notcp=01&type=9&lbs=x&block=4&dial=nowhere&log=INFO&tls=01";
    let url = with(query, Role::Server);
    let values = effective(&url, release("2.0.0-b10"));
    assert_eq!(values.mode, Some(RunMode::Auto));
    assert_eq!((values.proxy, values.noudp, values.notcp), (Some(false), Some(false), Some(false)));
    assert_eq!((values.transport, values.balance), (Some(Transport::Unknown), Some(Balance::Unknown)));
    assert_eq!((values.block, values.dial), (Some(Block::default()), Some(Dial::Auto)));
    assert_eq!((values.log, values.tls), (LogLevel::Info, Some(TlsMode::Off)));
    let texts = [
        (Parameter::Mode, "7"),
        (Parameter::Proxy, "2"),
        (Parameter::NoUdp, "yes"),
        (Parameter::Type, "9"),
        (Parameter::Block, "4"),
        (Parameter::Dial, "auto"),
        (Parameter::Log, "info"),
        (Parameter::Tls, "0"),
    ];
    for (parameter, text) in texts {
        assert_eq!(values.text(parameter).as_deref(), Some(text), "{parameter}");
    }
}

#[test]
fn every_parameter_has_its_type() {
    let query = "log=warn&tls=2&crt=/a&key=/b&min=1&max=2&mode=1&read=5s&rate=3&slot=4&proxy=1&noudp=1&notcp=1\
                 &dns=1m&dial=::1&quic=1&type=3&sni=a.example&block=13&lbs=2";
    let (server, client) = (with(query, Role::Server), with(query, Role::Client));
    let values = effective(&server, release("2.0.0-b10"));
    assert_eq!((values.log, values.tls), (LogLevel::Warn, Some(TlsMode::Files)));
    assert_eq!((values.crt.as_deref(), values.key.as_deref()), (Some("/a"), Some("/b")));
    assert_eq!((values.min, values.max, values.mode), (None, Some(2), Some(RunMode::First)));
    assert_eq!((values.read, values.rate, values.slot), (Some(Duration::from_secs(5)), Some(3), Some(4)));
    assert_eq!((values.proxy, values.noudp, values.notcp), (Some(true), Some(true), Some(true)));
    assert_eq!(values.dns, Some(Dns::Cache(Duration::from_secs(60))));
    assert_eq!(values.dial, Some(Dial::From("::1".parse().unwrap())));
    assert_eq!((values.quic, values.transport, values.sni), (None, Some(Transport::Http2), None));
    let block = values.block.unwrap();
    assert_eq!((block.socks, block.http, block.tls), (true, false, true));
    assert_eq!(values.balance, Some(Balance::PrimaryBackup));
    let values = effective(&client, release("2.0.0-b10"));
    assert_eq!((values.min, values.max, values.transport), (Some(1), None, None));
    assert_eq!((values.sni.as_deref(), values.tls), (Some("a.example"), Some(TlsMode::Files)));
}

#[test]
fn releases_know_what_they_know() {
    let known = |version: &str, role| -> Vec<&str> {
        let rules = release(version);
        Parameter::ALL.into_iter().filter(|it| it.is_used(rules, role)).map(Parameter::name).collect()
    };
    let (client, server) = (Role::Client, Role::Server);
    assert_eq!(known("1.3.0", server), ["log", "tls", "crt", "key"]);
    assert_eq!(known("1.4.0", client), ["log", "min"]);
    assert_eq!(known("1.6.0", client), ["log", "min", "mode", "read", "rate", "slot", "proxy"]);
    assert!(!known("1.8.2", client).contains(&"noudp") && known("1.9.0", client).contains(&"noudp"));
    assert!(!known("1.9.0", client).contains(&"notcp") && known("1.10.0", client).contains(&"notcp"));
    for (version, dns, quic, transport) in [
        ("1.10.0", false, false, false),
        ("1.11.0", true, true, false),
        ("1.12.2", true, true, false),
        ("1.13.0", true, false, true),
    ] {
        let names = known(version, server);
        assert_eq!(names.contains(&"dns"), dns, "{version}");
        assert_eq!(names.contains(&"quic"), quic, "{version}");
        assert_eq!(names.contains(&"type"), transport, "{version}");
    }
    assert!(!known("1.14.0", server).contains(&"lbs") && known("1.15.0-b1", server).contains(&"lbs"));
    assert!(!known("2.0.0-b9", client).contains(&"tls") && known("2.0.0-b10", client).contains(&"tls"));
    assert_eq!(known("0.1.0", client), known("1.14.0", client));
    assert_eq!(Parameter::Min.scope(release("1.6.0")), Some(Scope::Client));
    assert_eq!(Parameter::Tls.scope(release("2.0.0")), Some(Scope::Both));
    assert_eq!(Parameter::Lbs.scope(release("1.14.0")), None);
}

#[test]
fn defaults_change_from_release_to_release() {
    for (version, read, slot) in
        [("1.6.0", "1h0m0s", "1024"), ("1.7.0", "1h0m0s", "65536"), ("1.8.0", "0s", "65536")]
    {
        let got = |parameter| text_of("", Role::Server, parameter, release(version));
        assert_eq!(got(Parameter::Read).as_deref(), Some(read), "{version}");
        assert_eq!(got(Parameter::Slot).as_deref(), Some(slot), "{version}");
    }
    let dns = |query, version| text_of(query, Role::Client, Parameter::Dns, release(version));
    assert_eq!(dns("", "1.11.0").as_deref(), Some("1.1.1.1,8.8.8.8"));
    assert_eq!(dns("dns=9.9.9.9", "1.11.0").as_deref(), Some("9.9.9.9"));
    assert_eq!(dns("", "1.12.0").as_deref(), Some("5m0s"));
}

#[test]
fn quic_is_always_encrypted() {
    let tls = |query, version| {
        let url = with(query, Role::Server);
        effective(&url, release(version)).tls
    };
    assert_eq!(tls("type=1", "1.14.0"), Some(TlsMode::SelfSigned));
    assert_eq!(tls("type=1&tls=2", "1.14.0"), Some(TlsMode::Files));
    assert_eq!(tls("quic=1", "1.11.0"), Some(TlsMode::SelfSigned));
    assert_eq!(tls("quic=1", "1.14.0"), Some(TlsMode::Off));
    assert_eq!(tls("type=2", "1.14.0"), Some(TlsMode::Off));
}

#[test]
fn a_client_asks_for_the_name_in_its_url() {
    for (text, sni) in [
        ("client://example.com:1/:2", "example.com"),
        ("client://127.0.0.1:1/:2", "none"),
        ("client://[::1]:1/:2", "none"),
        ("client://:1/:2", "none"),
        ("client://example.com:1/:2?sni=other", "other"),
    ] {
        let url = url(text);
        assert_eq!(effective(&url, release("1.14.0")).sni.as_deref(), Some(sni), "{text}");
    }
}

#[test]
fn the_first_of_several_values_counts_and_names_may_be_escaped() {
    let max = |query| text_of(query, Role::Server, Parameter::Max, release("1.14.0"));
    assert_eq!(max("max=1&max=2").as_deref(), Some("1"));
    assert_eq!(max("max=&max=2").as_deref(), Some("1024"));
    assert_eq!(max("m%61x=5").as_deref(), Some("5"));
    assert_eq!(max("Max=5").as_deref(), Some("1024"));
    assert_eq!(max("max=5;x&max=6").as_deref(), Some("6"));
}

#[test]
fn the_document_has_defaults_of_its_own() {
    let server = with("slot=5&noudp=1", Role::Server);
    let values = effective(&server, Rules::Document);
    assert_eq!((values.read, values.max, values.min), (Some(Duration::from_secs(600)), Some(1024), None));
    assert_eq!((values.slot, values.noudp, values.dns.as_ref()), (None, None, None));
    assert_eq!((values.rate, values.proxy, values.tls), (Some(0), Some(false), Some(TlsMode::Off)));
    let client = with("min=0&read=soon&mode=7&rate=-1", Role::Client);
    let values = effective(&client, Rules::Document);
    assert_eq!((values.min, values.read, values.tls), (Some(64), Some(Duration::from_secs(600)), None));
    assert_eq!((values.mode, values.rate, values.log), (Some(RunMode::Auto), Some(0), LogLevel::Info));
    assert_eq!(values.text(Parameter::Mode).as_deref(), Some("0"));
    assert_eq!(values.text(Parameter::Read).as_deref(), Some("10m0s"));
}

#[test]
fn all_parameters_are_there_to_be_read() {
    let url = url("server://h:1/x?b=2&max=1&a+b=c+d&max=2&broken=%zz");
    let pairs: Vec<_> =
        url.parameters().map(|pair| (pair.name().into_owned(), pair.value().into_owned())).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(pairs, [pair("b", "2"), pair("max", "1"), pair("a b", "c d"), pair("max", "2")]);
    let unknown: Vec<_> = url.unknown_parameters().map(|pair| pair.name()).collect();
    assert_eq!(unknown, ["b", "a b"]);
    assert_eq!((url.parameter("max").as_deref(), url.parameter("none")), (Some("1"), None));
    assert_eq!(url.dropped_pairs(), 1);
}

// Checks.

#[test]
fn good_urls_have_no_problem() {
    for (text, rules) in [
        ("server://0.0.0.0:8080/localhost:3000", Rules::Document),
        ("server://0.0.0.0:9090/localhost:8080?tls=1&mode=1", Rules::Document),
        ("client://example.com:8080/localhost:3000", Rules::Document),
        ("client://remote.example.com:443/localhost:22?mode=2&min=32", Rules::Document),
        ("client://example.com:8080/localhost:8080", Rules::Document),
        (
            "server://[::1]:1/[::1]:2?tls=2&crt=/a&key=/b&max=5&log=event&read=10m&rate=0&proxy=1",
            Rules::Document,
        ),
        ("server://k@:1/h:2,h:3?slot=0&noudp=1&dns=5m0s&type=3&block=123&dial=auto", release("1.14.0")),
        ("client://k@h:1/:2?sni=none&read=0s&min=64&lbs=1&tls=1&log=", release("2.0.0-b10")),
        ("client://k@h:1/:2?dns=1.1.1.1,8.8.8.8&quic=1", release("1.11.0")),
        ("client://k@h:1/127.0.0.1:http", release("1.6.0")),
    ] {
        assert_eq!(url(text).check(rules), Ok(()), "{text}");
    }
    let stored = url("client://h:1/:2").config(&master("info", TlsMode::Off), Release::V1_14_0).unwrap();
    assert_eq!(url(&stored).check(release("1.14.0")), Ok(()));
}

#[test]
fn wrong_addresses_are_named() {
    let target = |error| Problem::Target { index: 0, error };
    let several = Problem::SeveralTargets { rules: Rules::Document };
    for (text, problems) in [
        ("server:/x", vec![Problem::NoAuthority]),
        ("client:127.0.0.1:1/x", vec![Problem::NoAuthority]),
        ("server://", vec![Problem::NoTunnel, Problem::NoTarget]),
        ("server://h/h:1", vec![Problem::Tunnel(AddressError::NoPort)]),
        ("server://h:0/h:1", vec![Problem::TunnelPort]),
        ("server://h:65536/h:1", vec![Problem::Tunnel(AddressError::Port)]),
        ("server://::1:80/h:1", vec![Problem::Tunnel(AddressError::Colons)]),
        ("server://h:1/", vec![Problem::NoTarget]),
        ("server://h:1/h:0", vec![Problem::TargetPort { index: 0 }]),
        ("server://h:1/h", vec![target(AddressError::NoPort)]),
        ("server://h:1/a b:2", vec![target(AddressError::Host)]),
        ("server://h:1/h:2,h:3", vec![several]),
        ("server://h:1/h:2 ", vec![target(AddressError::Port)]),
        ("server://h:1/h:2,", vec![target(AddressError::Port)]),
        ("server://k:pw@h:1/h:2#f", vec![Problem::Password, Problem::Fragment]),
        ("server://127.0.0.1:1/localhost:1", vec![Problem::Loop { index: 0 }]),
        ("server://:1/:1", vec![Problem::Loop { index: 0 }]),
        ("client://h:1/h:1", vec![Problem::Loop { index: 0 }]),
    ] {
        assert_eq!(url(text).check(Rules::Document), Err(problems), "{text}");
    }
    let of_1_11 = url("client://example.com:80/localhost:80");
    assert_eq!(of_1_11.check(release("1.11.0")), Err(vec![Problem::Loop { index: 0 }]));
    assert_eq!(of_1_11.check(release("1.10.0")), Ok(()));
}

#[test]
fn parameters_outside_their_scope_are_named_by_the_document() {
    let other = |parameter, role| Problem::OtherRole { parameter, role };
    let (client, server) = (Role::Client, Role::Server);
    for (role, query, problems) in [
        (server, "min=1", vec![other(Parameter::Min, server)]),
        (client, "mode=1&min=1&max=2", {
            let single = |parameter| Problem::SingleEnded { parameter };
            vec![single(Parameter::Min), single(Parameter::Max)]
        }),
        (client, "tls=1", vec![other(Parameter::Tls, client)]),
        (client, "crt=/a&key=/b", vec![other(Parameter::Crt, client), other(Parameter::Key, client)]),
        (server, "tls=1&crt=/a", vec![Problem::WithoutFiles { parameter: Parameter::Crt }]),
        (server, "key=/a", vec![Problem::WithoutFiles { parameter: Parameter::Key }]),
        (server, "tls=2&crt=/a", vec![Problem::NoFile { parameter: Parameter::Key }]),
        (
            server,
            "slot=1",
            vec![Problem::NotInVersion { parameter: Parameter::Slot, rules: Rules::Document }],
        ),
    ] {
        assert_eq!(with(query, role).check(Rules::Document), Err(problems), "{query}");
    }
}

#[test]
fn parameters_that_do_nothing_are_named_by_a_release() {
    let rules = release("1.14.0");
    let found = |role, query: &str| with(query, role).check(rules).unwrap_err();
    let not_there = |parameter| Problem::NotInVersion { parameter, rules };
    assert_eq!(found(Role::Client, "lbs=1&quic=1"), [not_there(Parameter::Lbs), not_there(Parameter::Quic)]);
    let other = Problem::OtherRole { parameter: Parameter::Max, role: Role::Client };
    assert_eq!(found(Role::Client, "max=1"), [other]);
    let unknown = Problem::Unknown { name: "Max".into() };
    assert_eq!(found(Role::Server, "Max=1"), [unknown]);
    let repeated = Problem::Repeated { parameter: Parameter::Max };
    assert_eq!(found(Role::Server, "max=1&max=1&a=b;c"), [repeated, Problem::Dropped]);
}

#[test]
fn wrong_values_are_named_with_what_would_do() {
    for (role, query) in [
        (Role::Client, "min=0"),
        (Role::Client, "min=abc"),
        (Role::Server, "max=+5"),
        (Role::Server, "log=INFO"),
        (Role::Server, "tls=3"),
        (Role::Server, "mode=7"),
        (Role::Server, "read=30"),
        (Role::Server, "read=-5s"),
        (Role::Server, "rate=-1"),
        (Role::Server, "slot=3000000000"),
        (Role::Server, "proxy=yes"),
        (Role::Server, "noudp=2"),
        (Role::Server, "dns=8.8.8.8"),
        (Role::Server, "dial=nowhere"),
        (Role::Server, "type=4"),
        (Role::Server, "block=14"),
    ] {
        let problems = with(query, role).check(release("1.14.0")).unwrap_err();
        assert!(matches!(problems[..], [Problem::Invalid { .. }]), "{query}: {problems:?}");
    }
    let problem = &with("read=30", Role::Server).check(Rules::Document).unwrap_err()[0];
    assert_eq!(problem.to_string(), "`read` is \"30\", which is not a time such as 30s, 10m or 1h30m");
    let long = with(&format!("read={}", "9".repeat(1000)), Role::Server).check(Rules::Document).unwrap_err();
    assert!(long[0].to_string().len() < 200);
}

// Explanations.

#[test]
fn an_explanation_says_what_is_given_what_is_not_and_what_is_replaced() {
    let url = url("server://k@0.0.0.0:1/h:2,nowhere?max=0&mode=1&min=5&lbs=1&x=y&slot=10");
    let lines = url.explain(release("1.14.0"));
    let line = |name: &str| lines.iter().find(|line| &*line.name == name).unwrap_or_else(|| panic!("{name}"));
    assert_eq!((&*line("tunnel key").value, &line("tunnel key").origin), ("…", &Origin::Given));
    assert_eq!(&*line("tunnel").value, "0.0.0.0:1");
    assert_eq!((&*line("max").value, &line("max").origin), ("0", &Origin::Replaced("0".into())));
    assert_eq!((&*line("mode").value, &line("mode").origin), ("1", &Origin::Given));
    assert_eq!((&*line("read").value, &line("read").origin), ("0s", &Origin::Default));
    assert_eq!((&*line("min").meaning, &line("min").origin), ("not for a server", &Origin::Ignored));
    assert_eq!(&*line("lbs").meaning, "no parameter of v1.14.0");
    assert_eq!(&*line("x").meaning, "no parameter of any version");
    assert_eq!(&*line("process").meaning, "target 2 cannot be used: the port is missing");
    assert_eq!(line("slot").to_string(), "slot        10  [given] connections at once at most");
}
