//! The settings `CORE_GRPC_URL` and `CORE_INSECURE`.

use core_node_proto::{GrpcTarget, TargetError};
use proptest::prelude::*;

fn secure(url: &str) -> Result<GrpcTarget, TargetError> {
    GrpcTarget::parse(url, None)
}

fn insecure(url: &str) -> Result<GrpcTarget, TargetError> {
    GrpcTarget::parse(url, Some("true"))
}

#[track_caller]
fn shown(target: Result<GrpcTarget, TargetError>) -> String {
    target.expect("it is a target").to_string()
}

#[test]
fn a_host_alone_gets_the_default_port_and_tls() {
    let target = secure("core.example").expect("it is a target");
    assert_eq!(
        (target.host(), target.port(), target.tls()),
        ("core.example", GrpcTarget::DEFAULT_PORT, true)
    );
    assert_eq!(GrpcTarget::DEFAULT_PORT, 3002);
}

#[test]
fn every_documented_form_is_taken() {
    for (url, expected) in [
        ("core", "core:3002"),
        ("core:1", "core:1"),
        ("core.example:65535", "core.example:65535"),
        ("core_1.internal.", "core_1.internal.:3002"),
        ("192.0.2.7:443", "192.0.2.7:443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("[2001:db8::1]", "[2001:db8::1]:3002"),
        ("[2001:0DB8:0::0001]:09", "[2001:db8::1]:9"),
    ] {
        assert_eq!(shown(secure(url)), format!("https://{expected}"), "{url}");
        assert_eq!(shown(insecure(url)), format!("http://{expected}"), "{url}");
        for scheme in ["https", "grpcs", "GRPCS"] {
            assert_eq!(shown(secure(&format!("{scheme}://{url}"))), format!("https://{expected}"), "{url}");
        }
        for scheme in ["http", "grpc", "Http"] {
            assert_eq!(shown(insecure(&format!("{scheme}://{url}"))), format!("http://{expected}"), "{url}");
        }
    }
}

#[test]
fn the_scheme_does_not_change_the_default_port() {
    assert_eq!(secure("https://core").map(|target| target.port()), Ok(3002));
    assert_eq!(insecure("http://core").map(|target| target.port()), Ok(3002));
}

#[test]
fn white_space_around_and_a_final_slash_after_a_scheme_are_taken() {
    assert_eq!(shown(secure(" core:5\n")), "https://core:5");
    assert_eq!(shown(secure("https://core:5/")), "https://core:5");
    assert_eq!(secure("core:5/"), Err(TargetError::Path));
    assert_eq!(secure("https://core:5//"), Err(TargetError::Path));
}

#[test]
fn an_ipv6_host_has_brackets_in_the_authority_only() {
    let target = secure("[::1]:5").expect("it is a target");
    assert_eq!((target.host(), target.authority().as_str()), ("::1", "[::1]:5"));
}

#[test]
fn only_the_exact_word_true_turns_tls_off() {
    assert_eq!(insecure("core").map(|target| target.tls()), Ok(false));
    for setting in
        [None, Some(""), Some("TRUE"), Some("True"), Some("1"), Some("yes"), Some(" true"), Some("false")]
    {
        assert_eq!(GrpcTarget::parse("core", setting).map(|target| target.tls()), Ok(true), "{setting:?}");
    }
}

#[test]
fn a_cleartext_scheme_without_the_insecure_setting_is_a_contradiction() {
    for url in ["http://core", "grpc://core:3002", "HTTP://[::1]"] {
        assert_eq!(secure(url), Err(TargetError::CleartextScheme), "{url}");
        assert_eq!(GrpcTarget::parse(url, Some("1")), Err(TargetError::CleartextScheme), "{url}");
    }
}

#[test]
fn a_tls_scheme_with_the_insecure_setting_is_a_contradiction() {
    for url in ["https://core", "grpcs://core:3002", "HTTPS://[::1]"] {
        assert_eq!(insecure(url), Err(TargetError::TlsScheme), "{url}");
    }
}

#[test]
fn another_scheme_is_refused() {
    for url in ["dns:///core", "ftp://core", "://core", "unix:///run/core", "http ://core"] {
        assert_eq!(secure(url), Err(TargetError::Scheme), "{url}");
        assert_eq!(insecure(url), Err(TargetError::Scheme), "{url}");
    }
}

#[test]
fn nothing_is_not_a_target() {
    assert_eq!(secure(""), Err(TargetError::Empty));
    assert_eq!(secure(" \t"), Err(TargetError::Empty));
    for url in ["https://", "https:///", ":3002", "https://:3002", "[]", "[]:3002"] {
        assert_eq!(secure(url), Err(TargetError::Host), "{url}");
    }
}

#[test]
fn a_port_is_a_number_from_1_to_65535() {
    for url in [
        "core:",
        "core:0",
        "core:65536",
        "core:+5",
        "core:-5",
        "core: 5",
        "core:5a",
        "[::1]:",
        "core:99999999999999",
    ] {
        assert_eq!(secure(url), Err(TargetError::Port), "{url}");
    }
}

#[test]
fn an_ipv6_address_without_brackets_is_ambiguous() {
    for url in ["::1", "2001:db8::1:3002", "https://::1", "core:1:2"] {
        assert_eq!(secure(url), Err(TargetError::Brackets), "{url}");
    }
}

#[test]
fn a_malformed_host_is_refused() {
    let long_label = "a".repeat(64);
    let long_name = "a.".repeat(127) + "a";
    for url in [
        "a b",
        "a..b",
        ".a",
        ".",
        "kernel\u{e4}",
        "a\u{0}b",
        "a%20b",
        "a,b",
        "a\\b",
        "999.1.1.1",
        "1.2.3",
        "12",
        "1.2.3.4.",
        "[::1",
        "[::1]x",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "[core]",
        "]",
        &long_label,
        &long_name,
    ] {
        assert_eq!(secure(url), Err(TargetError::Host), "{url}");
    }
}

#[test]
fn user_information_and_paths_are_refused_and_not_repeated() {
    assert_eq!(secure("https://user:pw@core"), Err(TargetError::UserInformation));
    assert_eq!(secure("user@core:5"), Err(TargetError::UserInformation));
    for url in ["https://core/path", "core?x", "core#x", "https://core:5/?x", "core/"] {
        assert_eq!(secure(url), Err(TargetError::Path), "{url}");
    }
    assert!(!TargetError::UserInformation.to_string().contains("pw"));
}

#[test]
fn loopback_hosts_are_told_from_others() {
    for url in ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9:5", "[::1]", "[::ffff:127.0.0.1]"] {
        assert_eq!(secure(url).map(|target| target.is_loopback()), Ok(true), "{url}");
    }
    for url in ["core", "localhost.example", "128.0.0.1", "0.0.0.0", "[::2]"] {
        assert_eq!(secure(url).map(|target| target.is_loopback()), Ok(false), "{url}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_reads_back_as_the_same_target(
        url in prop_oneof![any::<String>(), "(https?://|grpcs?://)?[a-z0-9.:/@_%\\[\\]-]{0,20}"],
        cleartext: bool,
    ) {
        let setting = cleartext.then_some("true");
        if let Ok(target) = GrpcTarget::parse(&url, setting) {
            prop_assert_eq!(target.tls(), !cleartext);
            prop_assert_eq!(GrpcTarget::parse(&target.to_string(), setting), Ok(target.clone()));
            prop_assert_eq!(GrpcTarget::parse(&target.authority(), setting), Ok(target));
        }
    }
}
