//! `nodepass-urls`: what processes of several versions make of an instance URL, and what their masters store.

use super::{compare, text};
use crate::{Deviation, Tally};
use anyhow::{Context as _, anyhow};
use nodepass_api::Release;
use nodepass_api::url::{
    Address, Effective, Inherited, InstanceUrl, Parameter, ParseError, Refused, Rules, TlsMode,
};
use serde_json::{Map, Value, json};

const NEEDS_A_RESOLVER: Deviation = Deviation {
    name: "needs-a-resolver",
    reason: "an address has a name in it, which the crate does not look up; the other values are compared",
};

/// What the masters of the vectors were started with, by the column.
const MASTERS: [(&str, TlsMode); 2] =
    [("master_post", TlsMode::Off), ("master_post_when_master_has_log_info_tls_1", TlsMode::SelfSigned)];

pub(super) fn row(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let (id, text) = (text(row, "id")?, text(row, "url")?);
    let peers = row["peers"].as_object().ok_or_else(|| anyhow!("a row without peers"))?;
    let url = InstanceUrl::parse(text);
    for (peer, columns) in peers {
        let version = peer.rsplit(' ').next().unwrap_or_default();
        let release: Release = version.parse().with_context(|| format!("{peer:?} names no version"))?;
        if let Some(process) = columns["process"].as_object() {
            check_process(&format!("{id} @ {peer} process"), process, &url, release, tally)?;
        }
        for (column, tls) in MASTERS {
            if columns[column].is_object() {
                let mut inherited = Inherited::default();
                inherited.log = "info".to_owned();
                inherited.tls = tls;
                let got = answer(&url, &columns[column], &inherited, release);
                compare(&format!("{id} @ {peer} {column}"), &columns[column], &got, tally);
            }
        }
    }
    Ok(())
}

/// What a master answers, as far as the row says anything.
fn answer<'a>(
    url: &Result<InstanceUrl, ParseError>,
    expected: &Value,
    inherited: &Inherited,
    release: Release,
) -> Vec<(&'a str, Value)> {
    let url = match url {
        Ok(url) => url,
        Err(error) => return vec![("status", json!(400)), ("error", json!(message(*error)))],
    };
    let mut got = vec![
        ("status", json!(201)),
        ("type", json!(url.role().as_str())),
        ("url", json!(url.canonical(inherited))),
    ];
    if expected.get("config").is_some() {
        got.push(("config", json!(url.config(inherited, release))));
    }
    got
}

fn message(error: ParseError) -> &'static str {
    match error {
        ParseError::Scheme => "Invalid URL scheme",
        _ => "Invalid URL format",
    }
}

fn check_process(
    key: &str,
    process: &Map<String, Value>,
    url: &Result<InstanceUrl, ParseError>,
    release: Release,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let exited = process.get("exited_by_itself").and_then(Value::as_bool);
    let exited = exited.ok_or_else(|| anyhow!("a process without how it ended"))?;
    let effective = url.as_ref().ok().map(|url| url.effective(Rules::Release(release)));
    let is_open = url.as_ref().is_ok_and(needs_resolver);
    let refuses = match &effective {
        None | Some(Err(_)) => true,
        Some(Ok(_)) => false,
    };
    if refuses != exited && !is_open {
        let got = reason(effective.as_ref());
        tally.fail(key, if exited { "an exit" } else { "no exit" }, got);
        return Ok(());
    }
    let expected = process.get("effective").and_then(Value::as_object);
    if let (Some(expected), Some(Ok(values))) = (expected, &effective) {
        for (name, expected) in expected {
            let got = shown(name, values);
            let is_compared = !(is_open && name.ends_with("_addr"));
            if is_compared && *expected != json!(got) {
                tally.fail(key, format_args!("{name} {expected}"), got.as_deref().unwrap_or("nothing"));
                return Ok(());
            }
        }
    }
    if is_open {
        tally.deviate(NEEDS_A_RESOLVER)
    } else {
        tally.pass()
    }
    Ok(())
}

fn reason(effective: Option<&Result<Effective<'_>, Refused>>) -> String {
    match effective {
        None => "a text that is no instance URL".to_owned(),
        Some(Err(refused)) => format!("an exit: {refused}"),
        Some(Ok(_)) => "no exit".to_owned(),
    }
}

/// Returns a value as the process wrote it into its log.
fn shown(name: &str, values: &Effective<'_>) -> Option<String> {
    const NONE: &str = "<nil>";
    match name {
        "tunnel_key" => Some(String::from_utf8_lossy(values.tunnel_key.expose()).into_owned()),
        "tunnel_addr" => Some(values.tunnel().map_or(NONE.to_owned(), |address| address.to_string())),
        "target_addr" => Some(values.targets().map_or(NONE.to_owned(), ToString::to_string)),
        _ => values.text(Parameter::from_name(name)?).map(Into::into),
    }
}

/// Whether an address of the URL has a name for host or port.
fn needs_resolver(url: &InstanceUrl) -> bool {
    let is_name = |text: &str| Address::parse(text.trim()).is_ok_and(|address| address.needs_resolver());
    is_name(&url.tunnel_text()) || url.target_text().split(',').any(is_name)
}
