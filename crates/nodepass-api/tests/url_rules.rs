//! Rules that hold for any text.

mod url_support;

use nodepass_api::url::{Inherited, InstanceUrl, Parameter, Role, TlsMode};
use proptest::prelude::*;
use url_support::{RULES, master};

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
