//! Bytes are decoded as everything; what can be read comes back from being written.

use ithiltir_proto::update::{ManifestRules, ValidManifest};
use ithiltir_proto::wire::{
    ErrorBody, IdentityResponse, Manifest, MetricsResponse, NodeReport, RESPONSE_LIMIT, Static, Timestamp,
    decode, encode, is_json_media_type,
};
use ithiltir_proto::{Secret, Target, Url, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const JSON: Option<&str> = Some("application/json");

/// Bytes → decode → encode → decode, equal.
pub fn ithiltir_wire(data: &[u8]) {
    message::<NodeReport>(data);
    message::<ErrorBody>(data);
    if let Some(statics) = message::<Static>(data) {
        let _ = (statics.missing_to_publish(), statics.missing_to_complete());
        let later = Static { timestamp: Timestamp::from_unix(1, 0).expect("in range"), ..statics.clone() };
        assert_eq!(statics.fingerprint(), later.fingerprint(), "rule: a fingerprint does not depend on time");
    }
    answers(data);
    if let Ok(text) = std::str::from_utf8(data) {
        texts(text);
    }
}

fn message<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    match decode::<T>(data) {
        Ok(message) => {
            let written = encode(&message);
            assert_eq!(decode::<T>(&written).as_ref(), Ok(&message), "rule: what is written can be read");
            assert_eq!(encode(&decode::<T>(&written).ok()?), written, "rule: writing again changes nothing");
            Some(message)
        }
        Err(error) => {
            let _ = error.to_string();
            None
        }
    }
}

fn answers(data: &[u8]) {
    if let Ok(answer) = MetricsResponse::decode(JSON, data, RESPONSE_LIMIT) {
        assert_eq!(MetricsResponse::decode(JSON, &encode(&answer), RESPONSE_LIMIT), Ok(answer));
    }
    if let Ok(answer) = IdentityResponse::decode(data) {
        assert_eq!(IdentityResponse::decode(&encode(&answer)), Ok(answer));
    }
    if let Some(manifest) = message::<Manifest>(data)
        && let Ok(valid) = ValidManifest::new(&manifest, "0.2.3", ManifestRules::default())
    {
        assert!(valid.size > 0 && !valid.url.host().is_empty());
    }
}

fn texts(text: &str) {
    let _ = is_json_media_type(text);
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at), "rule: a time can be read back");
    }
    if let Ok(version) = Version::parse(text) {
        assert!(version.precedence(&version).is_eq());
    }
    if let Ok(url) = Url::parse(text) {
        self::url(&url);
    }
    if let Ok(target) = Target::new(text, &Secret::new("key")) {
        let _ = format!("{target:?}");
    }
}

/// What no target and no manifest could have, such as `//`, is not asked to come back.
fn url(url: &Url) {
    if url.check_configured().is_ok() {
        assert_eq!(Url::parse(&url.to_text()).as_ref(), Ok(url), "rule: a URL can be read back");
    }
    let _ = (url.host_kind(), url.port(), url.request_target(), format!("{url:?}"));
    if let Some(sibling) = url.sibling("static") {
        assert_eq!(sibling.host(), url.host(), "rule: a sibling stays on its host");
        assert!(sibling.request_target().split('?').next().is_some_and(|path| path.ends_with("/static")));
    }
}
