//! `ithiltir-manifests`: what becomes of one manifest.

use super::{case, compare, text};
use crate::{Deviation, Tally};
use ithiltir_proto::Url;
use ithiltir_proto::update::{ManifestRules, Plan, ValidManifest};
use ithiltir_proto::wire::{Manifest, MetricsResponse, RESPONSE_LIMIT};
use serde_json::{Value, json};

pub(super) fn row(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let (key, manifest) = (text(row, "name")?, text(row, "manifest_json")?);
    let body = format!("{{\"update\":{manifest}}}");
    let answer = MetricsResponse::decode(Some("application/json"), body.as_bytes(), RESPONSE_LIMIT);
    let decoded = answer.ok().and_then(|answer| answer.update);
    if let Some(deviation) = deviation(&body, decoded.as_ref()) {
        tally.deviate(deviation);
        return Ok(());
    }
    let (result, stage) = verdict(decoded.as_ref(), text(row, "current_version")?);
    let mut got = vec![("result", json!(result)), ("stage", json!(stage))];
    if row.get("decoded").is_some() {
        got.push(("decoded", json!(decoded)));
    }
    compare(key, row, &got, tally);
    Ok(())
}

fn verdict(manifest: Option<&Manifest>, current_version: &str) -> (&'static str, &'static str) {
    let Some(manifest) = manifest else {
        return ("rejected", "decode");
    };
    if Plan::decide(current_version, [manifest]) == Plan::Current {
        return ("ignored", "plan");
    }
    match ValidManifest::new(manifest, current_version, ManifestRules::default()) {
        Ok(_) => ("accepted", "validate"),
        Err(_) => ("rejected", "validate"),
    }
}

fn deviation(body: &str, manifest: Option<&Manifest>) -> Option<Deviation> {
    if let Some(deviation) = case::of_answer(body) {
        return Some(deviation);
    }
    let manifest = manifest?;
    let digest = manifest.sha256.trim();
    if digest.len() == 64 && !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(Deviation {
            name: "sha-not-hex",
            reason: "a digest of 64 bytes that are not hex digits is refused, in the original it never matches",
        });
    }
    let url = Url::parse(&manifest.url).ok().filter(|url| url.check_configured().is_ok())?;
    if url.check_usable().is_err() {
        return Some(Deviation {
            name: "empty-url-host",
            reason: "a URL needs a host, the original takes a port alone and fails later",
        });
    }
    let unreachable = !url.host().is_ascii() || url.port().parse::<u16>().is_err();
    unreachable.then_some(Deviation {
        name: "unsendable-url",
        reason: "a port above 65535 or a host beyond ASCII is refused at once, the original fails later",
    })
}
