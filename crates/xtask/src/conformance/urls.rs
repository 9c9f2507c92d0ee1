//! `ithiltir-urls`: what a target URL is and what is derived from it.

use super::{compare, text};
use crate::{Deviation, Tally};
use ithiltir_proto::{HostKind, Scheme, Url};
use serde_json::{Value, json};

const ESCAPED_SLASH: Deviation = Deviation {
    name: "escaped-slash",
    reason: "derived URLs keep the escapes that were given, the original encodes the decoded path anew",
};

pub(super) fn row(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let input = text(row, "input")?;
    let url = Url::parse(input).ok();
    let usable = url.as_ref().filter(|url| url.check_usable().is_ok());
    let mut got = vec![
        ("config_valid", json!(url.as_ref().is_some_and(|url| url.check_configured().is_ok()))),
        ("target_valid", json!(usable.is_some())),
        ("metrics_url", json!(usable.map(Url::to_text))),
        ("host_type", json!(usable.map(host_type))),
        ("host", json!(usable.map(Url::host))),
        ("port", json!(usable.map(Url::port))),
        ("metrics_request_target", json!(usable.map(Url::request_target))),
        ("allowed_with_require_https", json!(usable.is_some_and(|url| url.scheme() == Some(Scheme::Https)))),
    ];
    let sibling = |name| json!(usable.and_then(|url| url.sibling(name)).map(|url| url.to_text()));
    let siblings = [("static_url", sibling("static")), ("identity_url", sibling("identity"))];
    if !usable.is_some_and(has_odd_escapes) {
        got.extend(siblings);
        compare(input, row, &got, tally);
    } else if got.iter().all(|(member, got)| row[member] == *got) {
        tally.deviate(ESCAPED_SLASH);
    } else {
        compare(input, row, &got, tally);
    }
    Ok(())
}

fn host_type(url: &Url) -> &'static str {
    match url.host_kind() {
        HostKind::Ip(_) => "ip",
        HostKind::Domain => "domain",
    }
}

/// Whether decoding and encoding what a sibling keeps of the path changes its spelling.
fn has_odd_escapes(url: &Url) -> bool {
    let Some(sibling) = url.sibling("static") else {
        return false;
    };
    let target = sibling.request_target();
    let path = target.split('?').next().unwrap_or_default();
    encode_anew(path) != path
}

/// The original's path encoder, applied to the decoded path.
fn encode_anew(path: &str) -> String {
    let mut encoded = String::new();
    let mut bytes = path.bytes();
    while let Some(mut byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).unwrap_or(0);
            byte = u8::try_from(digit() * 16 + digit()).unwrap_or(b'%');
        }
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
