//! Answers of the providers.

use super::{Config, Provider};
use crate::message::JsonObject;
use crate::value::Address;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Reads an answer about these addresses: what it has about them, sorted by address. Those that the provider has nothing
/// about are left out, and so is what is too long, and what was not asked about. `None` if it is not readable.
pub(super) fn read(config: &Config, asked: &[Address], body: &[u8]) -> Option<Vec<(Address, JsonObject)>> {
    let text = std::str::from_utf8(body).ok()?;
    let found: Vec<(Address, &RawValue)> = if config.batch <= 1 {
        vec![(*asked.first()?, serde_json::from_str(text).ok()?)]
    } else {
        match config.provider {
            Provider::IpInfo => by_key(text)?,
            Provider::IpApi => by_query(text)?,
        }
    };
    let asked: BTreeSet<Address> = asked.iter().copied().collect();
    let kept = |(address, value): (Address, &RawValue)| {
        let is_wanted = asked.contains(&address) && value.get().len() <= config.max_info;
        let object = is_wanted.then(|| JsonObject::parse(value.get()).ok()).flatten()?;
        is_success(config.provider, value).then_some((address, object))
    };
    // Of an address that is there twice the last counts.
    let kept: BTreeMap<Address, JsonObject> = found.into_iter().filter_map(kept).collect();
    Some(kept.into_iter().collect())
}

/// IPinfo's form: an object with the addresses as names.
fn by_key(text: &str) -> Option<Vec<(Address, &RawValue)>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    Some(members.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value))).collect())
}

/// The form of ip-api.com: a list of objects that name their address as `query`.
fn by_query(text: &str) -> Option<Vec<(Address, &RawValue)>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let address = |value: &RawValue| serde_json::from_str::<Query>(value.get()).ok()?.query.parse().ok();
    Some(items.into_iter().filter_map(|value| Some((address(value)?, value))).collect())
}

#[derive(Deserialize)]
struct Query {
    query: String,
}

/// Whether an object is about its address, rather than about why there is none.
fn is_success(provider: Provider, value: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct IpApi {
        status: String,
    }
    #[derive(Deserialize)]
    struct IpInfo<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    match provider {
        Provider::IpApi => {
            serde_json::from_str(value.get()).is_ok_and(|about: IpApi| about.status == "success")
        }
        Provider::IpInfo => {
            serde_json::from_str(value.get()).is_ok_and(|about: IpInfo<'_>| about.error.is_none())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn read(config: &Config, body: &str) -> Option<Vec<(String, String)>> {
        let asked = ["8.8.8.8", "1.1.1.1"].map(|text| text.parse().unwrap());
        let asked = &asked[..config.batch.min(2)];
        let text = |(address, info): (Address, JsonObject)| (address.to_string(), info.text().to_owned());
        super::read(config, asked, body.as_bytes()).map(|found| found.into_iter().map(text).collect())
    }

    fn found(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(pairs.iter().map(|&(address, info)| (address.to_owned(), info.to_owned())).collect())
    }

    #[test]
    fn ipinfo_answers_with_an_object_by_address() {
        let config = Config::new(Provider::IpInfo, Some(Secret::new("t")));
        let body = r#"{"8.8.8.8":{"ip":"8.8.8.8","loc":"1,2"},"1.1.1.1":{"status":404,"error":{"title":"x"}},
            "9.9.9.9":{"ip":"9.9.9.9"},"nonsense":{},"::ffff:8.8.8.8":1}"#;
        assert_eq!(read(&config, body), found(&[("8.8.8.8", r#"{"ip":"8.8.8.8","loc":"1,2"}"#)]));
        assert_eq!(read(&config, "{}"), found(&[]));
        for body in ["", "[]", "null", "{\"8.8.8.8\":", "\u{1}"] {
            assert_eq!(read(&config, body), None, "{body}");
        }
    }

    #[test]
    fn ip_api_answers_with_a_list_that_names_its_addresses() {
        let config = Config::new(Provider::IpApi, None);
        let body = r#"[{"query":"1.1.1.1","status":"success","country":"A"},
            {"query":"8.8.8.8","status":"fail","message":"reserved range"},
            {"status":"success"},7,{"query":5},{"query":"9.9.9.9","status":"success"}]"#;
        let info = r#"{"query":"1.1.1.1","status":"success","country":"A"}"#;
        assert_eq!(read(&config, body), found(&[("1.1.1.1", info)]));
        assert_eq!(read(&config, "{}"), None);
    }

    #[test]
    fn a_single_answer_is_about_the_address_in_the_path() {
        let single = |provider| Config { batch: 1, ..Config::new(provider, None) };
        let info = r#"{"ip":"8.8.8.8"}"#;
        assert_eq!(read(&single(Provider::IpInfo), info), found(&[("8.8.8.8", info)]));
        assert_eq!(read(&single(Provider::IpInfo), "[]"), found(&[]));
        let info = r#"{"status":"success"}"#;
        assert_eq!(read(&single(Provider::IpApi), info), found(&[("8.8.8.8", info)]));
        assert_eq!(read(&single(Provider::IpApi), r#"{"status":"fail"}"#), found(&[]));
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_left_out() {
        let config = Config { max_info: 30, ..Config::new(Provider::IpInfo, Some(Secret::new("t"))) };
        let body =
            format!(r#"{{"8.8.8.8":{{"a":"{}"}},"1.1.1.1":{{"a":"{}"}}}}"#, "x".repeat(22), "x".repeat(23));
        assert_eq!(read(&config, &body).unwrap().len(), 1);
        let config = Config::new(Provider::IpInfo, Some(Secret::new("t")));
        let body = format!(r#"{{"8.8.8.8":{{"a":{}{}}}}}"#, "[".repeat(64), "]".repeat(64));
        assert_eq!(read(&config, &body), found(&[]));
    }
}
