//! Instance URLs: what masters take and store, parts, building. The values of whole versions are in `vectors/nodepass-urls.json`,
//! which `cargo xtask conformance` checks.

mod url_support;

use nodepass_api::url::{
    Address, AddressError, BuildError, Builder, Inherited, InstanceUrl, MasterUrl, Parameter, ParseError,
    Refused, Role, Rules, TlsMode,
};
use url_support::{effective, master, release, url};

/// The stored form under a master that hands nothing down.
fn plain(text: &str) -> String {
    url(text).canonical(&Inherited::default())
}

// What a master takes, §6.

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

// The stored form, §6.

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

// Parts, §6.

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
    let built = |builder: Builder| builder.build().unwrap().as_str().to_owned();
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

// Masters, §6.

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
