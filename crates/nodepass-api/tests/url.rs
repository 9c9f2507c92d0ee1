//! Instance URLs. The values of whole versions are in `vectors/nodepass-urls.json`, which `cargo xtask conformance` checks.

use nodepass_api::Release;
use nodepass_api::url::{
    Address, AddressError, Balance, Block, BuildError, Dial, Dns, Effective, Inherited, InstanceUrl,
    LogLevel, MasterUrl, Origin, Parameter, ParseError, Problem, Refused, Role, Rules, RunMode, Scope,
    TlsMode, Transport,
};
use proptest::prelude::*;
use std::time::Duration;
use testkit::secrets::{find_secret, marked};

const RULES: [Rules; 12] = [
    Rules::Document,
    Rules::Release(Release::new(0, 1, 0)),
    Rules::Release(Release::new(1, 3, 0)),
    Rules::Release(Release::V1_6_0),
    Rules::Release(Release::new(1, 7, 0)),
    Rules::Release(Release::new(1, 8, 2)),
    Rules::Release(Release::V1_10_0),
    Rules::Release(Release::new(1, 11, 0)),
    Rules::Release(Release::new(1, 12, 0)),
    Rules::Release(Release::new(1, 13, 0)),
    Rules::Release(Release::V1_14_0),
    Rules::Release(Release::V2_0_0_B10),
];

fn url(text: &str) -> InstanceUrl {
    InstanceUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn release(text: &str) -> Rules {
    Rules::Release(text.parse().unwrap())
}

fn effective(url: &InstanceUrl, rules: Rules) -> Effective<'_> {
    url.effective(rules).unwrap()
}

fn with(query: &str, role: Role) -> InstanceUrl {
    url(&format!("{role}://127.0.0.1:1/127.0.0.1:2?{query}"))
}

fn text_of(query: &str, role: Role, parameter: Parameter, rules: Rules) -> Option<String> {
    let url = with(query, role);
    effective(&url, rules).text(parameter).map(Into::into)
}

fn master(log: &str, tls: TlsMode) -> Inherited {
    let mut inherited = Inherited::default();
    inherited.log = log.to_owned();
    inherited.tls = tls;
    inherited
}

/// The stored form under a master that hands nothing down.
fn plain(text: &str) -> String {
    url(text).canonical(&Inherited::default())
}

// What a master takes, §6.1.

#[test]
fn useless_urls_are_taken_as_a_master_takes_them() {
    for text in [
        "server:/x",
        "client:127.0.0.1:1/x",
        "server:",
        "server://",
        "server://:21006/:21106",
        "server:///127.0.0.1:1",
        "server://127.0.0.1:99999/127.0.0.1:1",
        "server://::1:22008/127.0.0.1:1",
        "server://127.0.0.1:1",
        "server://127.0.0.1:/x",
        "server://h:1/x?whatever=1&what",
        "server://h:1/x?a=%zz&b;c=%",
        "server://h:1/a b/c d",
        "SERVER://h:1/x",
        "Client://h:1/x",
        "server://[fe80::1%25eth0]:1/x",
        "server://\u{fc}.example:1/x",
        "server://@h:1/x",
        "server://:pw@h:1/x",
        "server://a@b@h:1/x",
        "server://h:1/x#fragment",
        "server://h:1/x#\n",
    ] {
        assert_eq!(url(text).as_str(), text);
    }
}

#[test]
fn what_is_no_url_is_told_from_another_scheme() {
    for text in [
        "127.0.0.1:1/x",
        " server://h:1/x",
        "://x",
        "server://[::1/127.0.0.1:1",
        "server://[::1]x/",
        "server://h:99x/x",
        "server://h:-1/x",
        "server://a b:1/x",
        "server://a\\b:1/x",
        "server://us er@h:1/x",
        "server://u\u{e9}@h:1/x",
        "server://h:1/\nx",
        "server://h:1/x?a=\u{7f}",
        "server://h:1/%zz",
        "server://h:1/%4",
        "server://u%zz@h:1/x",
        "server://h%41:1/x",
        "server://[fe80::1%25%0d]:1/x",
        "server://h:1/x#%zz",
        "http://[::1/",
    ] {
        assert_eq!(InstanceUrl::parse(text), Err(ParseError::Format), "{text}");
    }
    for text in
        ["http://h/", "master://h:1/api", "clients://h:1/x", "client//h", "", "*", "/x", "server", "//h:1/x"]
    {
        assert_eq!(InstanceUrl::parse(text), Err(ParseError::Scheme), "{text}");
    }
}

// The stored form, §6.2.

#[test]
fn a_masters_level_replaces_an_empty_one_and_no_other() {
    let stored = |text: &str| url(text).canonical(&master("info", TlsMode::Off));
    assert_eq!(stored("client://h:1/x"), "client://h:1/x?log=info");
    assert_eq!(stored("client://h:1/x?log="), "client://h:1/x?log=info");
    assert_eq!(stored("client://h:1/x?log=&log=warn"), "client://h:1/x?log=info");
    assert_eq!(stored("client://h:1/x?log=warn&log="), "client://h:1/x?log=warn&log=");
    assert_eq!(stored("client://h:1/x?LOG=warn"), "client://h:1/x?LOG=warn&log=info");
    assert_eq!(plain("client://h:1/x"), "client://h:1/x");
}

#[test]
fn servers_get_the_certificate_of_their_master_and_clients_do_not() {
    let mut files = master("", TlsMode::Files);
    files.crt = "/a.crt".to_owned();
    files.key = "/a.key".to_owned();
    let stored = |text: &str| url(text).canonical(&files);
    assert_eq!(stored("server://h:1/x"), "server://h:1/x?crt=%2Fa.crt&key=%2Fa.key&tls=2");
    assert_eq!(stored("server://h:1/x?tls=1"), "server://h:1/x?crt=%2Fa.crt&key=%2Fa.key&tls=1");
    assert_eq!(stored("server://h:1/x?tls=&crt=b"), "server://h:1/x?crt=b&key=%2Fa.key&tls=2");
    assert_eq!(stored("client://h:1/x"), "client://h:1/x");
    let own = master("", TlsMode::SelfSigned);
    assert_eq!(url("server://h:1/x?tls=0").canonical(&own), "server://h:1/x?tls=0");
    assert_eq!(url("server://h:1/x").canonical(&own), "server://h:1/x?tls=1");
}

#[test]
fn parameters_are_sorted_and_written_anew() {
    for (query, stored) in [
        ("b=2&a=1&B=3&b=1", "?B=3&a=1&b=2&b=1"),
        ("flag", "?flag="),
        ("a=b=c", "?a=b%3Dc"),
        ("a=x+y&b=x%20y&c=%2B", "?a=x+y&b=x+y&c=%2B"),
        ("crt=/a/b&x=a%26b", "?crt=%2Fa%2Fb&x=a%26b"),
        ("a=~-_.*'", "?a=~-_.%2A%27"),
        ("a=\u{e9}&b=%ff", "?a=%C3%A9&b=%FF"),
        ("a=1;b=2&c=3", "?c=3"),
        ("a=%zz&%4=1&c=%", ""),
        ("&&a=1&", "?a=1"),
        ("=1", "?=1"),
        ("", ""),
    ] {
        assert_eq!(plain(&format!("server://h:1/x?{query}")), format!("server://h:1/x{stored}"), "{query}");
    }
}

#[test]
fn every_part_is_printed_as_the_original_prints_it() {
    for (text, stored) in [
        ("SERVER://h:1/x", "server://h:1/x"),
        ("server://H:1/X", "server://H:1/X"),
        ("server://@h:1/x", "server://@h:1/x"),
        ("server://:pw@h:1/x", "server://:pw@h:1/x"),
        ("server://u:@h:1/x", "server://u:@h:1/x"),
        ("server://a%2fb!c@h:1/x", "server://a%2Fb%21c@h:1/x"),
        ("server://a@b:c@d@h:1/x", "server://a%40b:c%40d@h:1/x"),
        ("server://h:1/a%3Ab", "server://h:1/a%3Ab"),
        ("server://h:1/a%3Ab c", "server://h:1/a:b%20c"),
        ("server://h:1/[::1]:80", "server://h:1/[::1]:80"),
        ("server://h:1/\u{e9}", "server://h:1/%C3%A9"),
        ("server://\u{fc}.example:1/x", "server://%C3%BC.example:1/x"),
        ("server://%ff:1/x", "server://%FF:1/x"),
        ("server://[fe80::1%25eth0]:1/x", "server://[fe80::1%25eth0]:1/x"),
        ("server://[fe80::1%25a%20b]:1/x", "server://[fe80::1%25a%20b]:1/x"),
        ("server://[fe80::1%25\u{fc}]:1/x", "server://[fe80::1%25\u{fc}]:1/x"),
        ("server://h:1/x?", "server://h:1/x"),
        ("server://h:1/x?a=1#a b?c", "server://h:1/x?a=1#a%20b?c"),
        ("server://h:1/x#", "server://h:1/x"),
        ("server://h:1/x#\n", "server://h:1/x#%0A"),
        ("client:127.0.0.1:1/x?b&a", "client:127.0.0.1:1/x?a=&b="),
        ("server:/x", "server:/x"),
        ("server:/%2Fx y", "server:////x%20y"),
        ("server://", "server:"),
        ("server:///", "server:///"),
        ("server://::1:22008/x", "server://::1:22008/x"),
    ] {
        assert_eq!(plain(text), stored, "{text}");
        assert_eq!(plain(stored), stored, "{text}");
    }
}

#[test]
fn a_config_spells_out_the_parameters_of_its_release() {
    let config = |text: &str, version: &str| {
        url(text).config(&master("info", TlsMode::Off), version.parse().unwrap()).unwrap_or_default()
    };
    for (version, role, query) in [
        ("1.6.0", "server", ""),
        ("0.1.0", "server", ""),
        ("1.7.0", "server", "log=info&max=1024&mode=0&proxy=0&rate=0&read=1h0m0s&slot=65536"),
        ("1.8.0", "client", "log=info&min=64&mode=0&proxy=0&rate=0&read=0s&slot=65536"),
        ("1.9.0", "client", "log=info&min=64&mode=0&noudp=0&proxy=0&rate=0&read=0s&slot=65536"),
        ("1.10.0", "client", "log=info&min=64&mode=0&notcp=0&noudp=0&proxy=0&rate=0&read=0s&slot=65536"),
        (
            "2.0.0-b10",
            "client",
            "block=0&dial=auto&dns=5m0s&lbs=0&log=info&min=64&mode=0&notcp=0&noudp=0&proxy=0&rate=0&read=0s\
             &slot=65536&sni=none",
        ),
    ] {
        let base = format!("{role}://localhost:1/localhost:2");
        let expected = if query.is_empty() { String::new() } else { format!("{base}?{query}") };
        assert_eq!(config(&base, version), expected, "{version}");
    }
    let odd = config("server://h:1/x?max=abc&mode=&read=30&x=y&tls=9", "1.10.0");
    let expected = "log=info&max=abc&mode=0&notcp=0&noudp=0&proxy=0&rate=0&read=30&slot=65536&tls=9&x=y";
    assert_eq!(odd, format!("server://h:1/x?{expected}"));
}

// Parts, §6.3.

#[test]
fn a_key_is_decoded_and_follows_from_the_port_if_there_is_none() {
    for (text, key, is_given) in [
        ("server://secret@h:1/x", "secret", true),
        ("server://p%40ss%2Fword:ignored@h:1/x", "p@ss/word", true),
        ("server://h:21001/x", "f410e067", false),
        ("server://@h:21001/x", "f410e067", false),
        ("server://:pw@h:21001/x", "f410e067", false),
        ("server://::1:21001/x", "f410e067", false),
        ("server://h/x", "811c9dc5", false),
        ("client:secret@h:1/x", "811c9dc5", false),
    ] {
        let url = url(text);
        let found = url.tunnel_key();
        assert_eq!((found.expose(), found.is_given()), (key.as_bytes(), is_given), "{text}");
    }
    assert_eq!(url("server://%ff@h:1/x").tunnel_key().expose(), [0xFF]);
    assert_eq!(url("server://a@h:1/x").tunnel_key(), url("client://%61:b@i:2/y").tunnel_key());
    assert_ne!(url("server://a@h:1/x").tunnel_key(), url("server://b@h:1/x").tunnel_key());
}

#[test]
fn the_parts_of_an_address_are_had_one_by_one() {
    let url = url("server://k@[fe80::1%25eth0]:08080/[::1]:80,h:81");
    assert_eq!((&*url.host(), url.port()), ("fe80::1%eth0", "08080"));
    assert_eq!(url.tunnel_text(), "[fe80::1%eth0]:08080");
    let values = effective(&url, release("1.14.0"));
    assert_eq!(values.tunnel().unwrap().to_string(), "[fe80::1%eth0]:8080");
    let targets: Vec<String> = values.targets().unwrap().iter().map(|target| target.to_string()).collect();
    assert_eq!(targets, ["[::1]:80", "h:81"]);
}

#[test]
fn unusable_addresses_end_a_process_from_1_7_on() {
    let target = |error| Refused::Target { index: 0, error };
    for (text, refused) in [
        ("server://127.0.0.1:1", Refused::NoTarget),
        ("server://127.0.0.1:1/", Refused::NoTarget),
        ("server:///127.0.0.1:2", Refused::NoTunnel),
        ("client:127.0.0.1:1/x", Refused::NoTunnel),
        ("server://127.0.0.1/127.0.0.1:2", Refused::Tunnel(AddressError::NoPort)),
        ("server://127.0.0.1:99999/127.0.0.1:2", Refused::Tunnel(AddressError::Port)),
        ("server://::1:1/127.0.0.1:2", Refused::Tunnel(AddressError::Colons)),
        ("server://256.0.0.1:1/127.0.0.1:2", Refused::Tunnel(AddressError::Host)),
        ("server://127.0.0.1:1/127.0.0.1", target(AddressError::NoPort)),
        ("server://127.0.0.1:1//127.0.0.1:2", target(AddressError::Host)),
        ("server://127.0.0.1:1/127.0.0.1:2/", target(AddressError::Port)),
        ("server://127.0.0.1:1/127.0.0.1:2/x", target(AddressError::Port)),
        ("server://127.0.0.1:1/::1:2", target(AddressError::Colons)),
    ] {
        let url = url(text);
        for rules in [Rules::Document, release("1.7.0"), release("1.14.0"), release("2.0.0-b10")] {
            assert_eq!(url.effective(rules).unwrap_err(), refused, "{text} {rules}");
        }
        assert!(url.effective(release("1.6.3")).is_ok(), "{text}");
    }
}

#[test]
fn v1_6_goes_on_with_what_it_cannot_use() {
    let shown = |text: &str| {
        let url = url(text);
        let values = effective(&url, release("1.6.0"));
        let tunnel = values.tunnel().map(|tunnel| tunnel.to_string());
        (tunnel, values.targets().map(|targets| targets.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(shown("server://127.0.0.1:99999/127.0.0.1:1"), (None, some("127.0.0.1:1")));
    assert_eq!(shown("server://127.0.0.1:1/"), (some("127.0.0.1:1"), some(":0")));
    assert_eq!(shown("server:///127.0.0.1:1"), (some(":0"), some("127.0.0.1:1")));
    assert_eq!(shown("server://127.0.0.1:1/a:2,b:3"), (some("127.0.0.1:1"), None));
    assert_eq!(shown("server://h:/:8080"), (some("h:0"), some(":8080")));
}

#[test]
fn several_targets_are_taken_from_1_8_2_on() {
    let list = url("server://127.0.0.1:1/127.0.0.1:2,%20,, [::1]:3 ,");
    let values = effective(&list, release("1.8.2"));
    assert_eq!(values.targets().unwrap().to_string(), "127.0.0.1:2,[::1]:3");
    let wrong = url("server://127.0.0.1:1/127.0.0.1:2,,127.0.0.1");
    let refused = Refused::Target { index: 1, error: AddressError::NoPort };
    assert_eq!(wrong.effective(release("1.8.2")).unwrap_err(), refused);
    assert_eq!(url("server://127.0.0.1:1/, ,").effective(release("1.8.2")).unwrap_err(), Refused::NoTarget);
    let two = url("server://127.0.0.1:1/127.0.0.1:2,127.0.0.1:3");
    for rules in [Rules::Document, release("1.8.1")] {
        let refused = Refused::Target { index: 0, error: AddressError::Colons };
        assert_eq!(two.effective(rules).unwrap_err(), refused, "{rules}");
    }
}

#[test]
fn a_tunnel_into_itself_is_refused_from_1_11_on() {
    for (text, index) in [
        ("server://10.0.0.1:80/127.0.0.1:80", 0),
        ("client://example.com:80/[::1]:80", 0),
        ("server://0.0.0.0:80/10.0.0.1:80", 0),
        ("server://[::]:80/h:81,10.0.0.1:80", 1),
        ("server://:80/:80", 0),
    ] {
        assert_eq!(url(text).effective(release("1.11.0")).unwrap_err(), Refused::Loop { index }, "{text}");
        assert!(url(text).effective(release("1.10.0")).is_ok(), "{text}");
    }
    for text in ["server://10.0.0.1:80/127.0.0.1:81", "server://10.0.0.1:80/10.0.0.1:80", "client://:81/:80"]
    {
        assert!(url(text).effective(release("1.11.0")).is_ok(), "{text}");
    }
}

#[test]
fn names_are_left_to_a_resolver() {
    let url = url("client://localhost:1/127.0.0.1:http");
    let values = effective(&url, release("1.14.0"));
    assert!(values.tunnel().unwrap().needs_resolver());
    assert!(values.targets().unwrap().iter().all(|target| target.needs_resolver()));
    assert!(!Address::parse("127.0.0.1:80").unwrap().needs_resolver());
}

// Parameters, §6.4 and §6.5.

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

// Building.

#[test]
fn a_url_is_built_from_what_people_say() {
    let built = InstanceUrl::builder(Role::Client)
        .tunnel_key("a:b@c/d?e#f g%")
        .tunnel("fe80::1%eth0", 1)
        .add_target("::1", 2)
        .add_target("h", 3)
        .set(Parameter::Crt, "/a b&c")
        .set("\u{e9}", "=")
        .build()
        .unwrap();
    let text =
        "client://a%3Ab%40c%2Fd%3Fe%23f%20g%25@[fe80::1%25eth0]:1/[::1]:2,h:3?crt=%2Fa+b%26c&%C3%A9=%3D";
    assert_eq!(built.as_str(), text);
    assert_eq!(built.tunnel_key().expose(), b"a:b@c/d?e#f g%");
    assert_eq!(built.host(), "fe80::1%eth0");
    assert_eq!(built.target_text(), "[::1]:2,h:3");
    assert_eq!(built.parameter(Parameter::Crt).as_deref(), Some("/a b&c"));
    assert_eq!(built.canonical(&Inherited::default()), text);
}

#[test]
fn a_change_leaves_everything_else_as_it_is() {
    let text = "SERVER://a%2fb:c@h:1/x y?b=%zz&max=1&&Max=2&m%61x=3&c=d+e#f";
    let start = url(text).to_builder();
    let built = |builder: nodepass_api::url::Builder| builder.build().unwrap().as_str().to_owned();
    assert_eq!(built(start.clone()), text);
    assert_eq!(
        built(start.clone().set(Parameter::Max, 7)),
        "SERVER://a%2fb:c@h:1/x y?b=%zz&max=7&Max=2&c=d+e#f"
    );
    assert_eq!(built(start.clone().remove("max")), "SERVER://a%2fb:c@h:1/x y?b=%zz&Max=2&c=d+e#f");
    assert_eq!(built(start.clone().tunnel_key("")), "SERVER://h:1/x y?b=%zz&max=1&&Max=2&m%61x=3&c=d+e#f");
    let other = start.tunnel("", 5).target("", 6).tunnel_key("k");
    assert_eq!(built(other), "SERVER://k@:5/:6?b=%zz&max=1&&Max=2&m%61x=3&c=d+e#f");
    assert_eq!(built(url("server://h:1/x?a=1").to_builder().remove("a")), "server://h:1/x");
    assert_eq!(built(url("client:h:1/x?a").to_builder().tunnel("h", 1).target("i", 2)), "client://h:1/i:2?a");
}

#[test]
fn hosts_that_are_none_build_nothing() {
    let start = || InstanceUrl::builder(Role::Server).tunnel("h", 1).target("h", 2);
    for host in ["a b", "a/b", "a@b", "a?b", "[::1]", "a,b", "::g", "\u{fc}"] {
        let tunnel = start().tunnel(host, 1).build();
        assert!(matches!(tunnel, Err(BuildError::Tunnel(_))), "{host}: {tunnel:?}");
        let target = start().target(host, 1).build();
        assert!(matches!(target, Err(BuildError::Target(_))), "{host}: {target:?}");
    }
}

// Explanations and secrets.

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

#[test]
fn no_secret_shows_but_where_it_is_asked_for() {
    let secret = marked(7);
    for text in [
        format!("server://{secret}@h:1/h:2"),
        format!("server://{secret}:{secret}@h:1/h:2?{secret}={secret}#{secret}"),
        format!("client:{secret}@h:1/h:2"),
        format!("client:///{secret}@h:1/h:2"),
        format!("client:///{secret}%40h:1/h:2"),
        format!("server://{secret}@::1:99999/a:b:c/"),
    ] {
        let url = url(&text);
        let mut shown = format!("{url:?} {} {:?} {:?}", url.redacted(), url.tunnel_key(), url.to_builder());
        let is_in_parameters = text.contains('?');
        for rules in RULES {
            shown += &format!("{:?}", url.effective(rules));
            if !is_in_parameters {
                shown += &format!("{:?} {:?}", url.check(rules), url.explain(rules));
            }
        }
        assert_eq!(find_secret(&shown), None, "{shown}");
        assert!(url.as_str().contains(&secret));
    }
    let master = MasterUrl::parse(&format!("master://{secret}@h:1/api?key={secret}")).unwrap();
    assert_eq!(find_secret(&format!("{master:?}")), None);
}

// Masters, §6.6.

#[test]
fn a_masters_url_has_its_parts() {
    let url = MasterUrl::parse("MASTER://[::1]:0/a/b//?log=warn&tls=2&crt=/c&key=/k&x=y").unwrap();
    assert_eq!((&*url.host(), url.port(), url.check_address()), ("::1", "0", Ok(())));
    assert_eq!((&*url.prefix(), &*url.base_path()), ("/a/b", "/a/b/v1"));
    let inherited = url.inherited();
    assert_eq!((&*inherited.log, inherited.tls), ("warn", TlsMode::Files));
    assert_eq!((&*inherited.crt, &*inherited.key), ("/c", "/k"));
    assert_eq!(url.parameters().count(), 5);
    for (text, base) in
        [("master://:1", "/api/v1"), ("master://:1/", "/api/v1"), ("master://:1/admin", "/admin/v1")]
    {
        assert_eq!(MasterUrl::parse(text).unwrap().base_path(), base);
    }
    let odd = MasterUrl::parse("master://h/api?tls=9").unwrap();
    assert_eq!((odd.tls(), odd.check_address()), (TlsMode::Off, Err(AddressError::NoPort)));
    assert_eq!(MasterUrl::parse("master:h:1"), Err(ParseError::Format));
    assert_eq!(MasterUrl::parse("server://h:1/x"), Err(ParseError::Scheme));
    assert_eq!(MasterUrl::parse("master://h:x"), Err(ParseError::Format));
}

// Rules that hold for any text.

/// Texts that are URLs more often than not.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "server",
        "client",
        "SERVER",
        "://",
        ":",
        "/",
        "//",
        "@",
        "?",
        "#",
        "&",
        "=",
        ";",
        "+",
        "%",
        "%2F",
        "%25",
        "%zz",
        "%ff",
        "[",
        "]",
        "[::1]",
        "[fe80::1%25e]",
        "::1",
        "127.0.0.1",
        "localhost",
        ":80",
        ":0",
        ":99999",
        ",",
        " ",
        "\u{e9}",
        "log",
        "tls",
        "min",
        "mode",
        "read",
        "dns",
        "1",
        "0",
        "30s",
        "x",
        "\n",
    ]);
    let any = prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat());
    let rest = any.clone().prop_map(|rest| format!("server://{rest}"));
    prop_oneof![any, rest, ".*"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_is_written_and_read_again(text in texts()) {
        let Ok(parsed) = InstanceUrl::parse(&text) else { return Ok(()) };
        prop_assert_eq!(parsed.as_str(), &text);
        prop_assert_eq!(&parsed.to_builder().build().unwrap(), &parsed);
        for inherited in [Inherited::default(), master("info", TlsMode::SelfSigned)] {
            let stored = parsed.canonical(&inherited);
            let again = InstanceUrl::parse(&stored);
            prop_assert!(again.is_ok(), "{} from {}", stored, text);
            let again = again.unwrap();
            prop_assert_eq!(&again.canonical(&inherited), &stored);
            prop_assert_eq!(again.tunnel_key(), parsed.tunnel_key());
            prop_assert_eq!(again.tunnel_text(), parsed.tunnel_text());
            prop_assert_eq!(again.target_text(), parsed.target_text());
        }
    }

    #[test]
    fn no_rules_panic_and_refusals_are_problems(text in texts()) {
        let Ok(parsed) = InstanceUrl::parse(&text) else { return Ok(()) };
        for rules in RULES {
            let problems = parsed.check(rules).err().unwrap_or_default();
            for line in parsed.explain(rules) {
                prop_assert!(!line.to_string().contains('\n'));
            }
            match parsed.effective(rules) {
                Err(_) => prop_assert!(!problems.is_empty(), "{} {}", text, rules),
                Ok(values) => for parameter in Parameter::ALL {
                    let is_used = parameter.is_used(rules, parsed.role());
                    prop_assert!(is_used || values.text(parameter).is_none());
                }
            }
        }
    }

    #[test]
    fn what_is_set_is_what_is_had(key in "\\PC{1,20}", name in "\\PC{1,10}", value in "\\PC{0,20}", port in 1u16..) {
        let url = InstanceUrl::builder(Role::Server)
            .tunnel_key(&key)
            .tunnel("::1", port)
            .target("h", port)
            .set(&name, &value)
            .build()
            .unwrap();
        prop_assert_eq!(&InstanceUrl::parse(url.as_str()).unwrap(), &url);
        let tunnel_key = url.tunnel_key();
        prop_assert_eq!(tunnel_key.expose(), key.as_bytes());
        prop_assert_eq!(&*url.parameter(&name).unwrap(), &value);
        prop_assert_eq!(url.port(), port.to_string());
        let canonical = InstanceUrl::parse(&url.canonical(&Inherited::default())).unwrap();
        prop_assert_eq!(&*canonical.parameter(&name).unwrap(), &value);
        let removed = url.to_builder().remove(&name).build().unwrap();
        prop_assert_eq!(removed.parameters().count(), 0);
    }
}
