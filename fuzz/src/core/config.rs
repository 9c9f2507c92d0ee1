//! Any texts are read as a configuration; what can be read comes back, and lookups agree with the texts.

use crate::input::Input;
use core_node_proto::attribution::{Counter, Identity, attribute};
use core_node_proto::config::{Client, ConfigTexts, NodeConfig, ReadConfig};
use core_node_proto::value::{LinkId, LsId, NodeProtocolId};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The bytes as an HTTP object, as each of the texts of the gRPC message, and cut into all of them.
pub fn core_config(data: &[u8]) {
    if let Ok(read) = NodeConfig::from_json(data) {
        comes_back(&read);
    }
    let text = String::from_utf8_lossy(data);
    let mut input = Input::new(data);
    let cut: [String; 3] = std::array::from_fn(|_| String::from_utf8_lossy(input.bytes()).into_owned());
    for [client_map, old_map, services] in
        [[&*text, "", ""], ["", &text, ""], ["", "", &text], cut.each_ref().map(String::as_str)]
    {
        let texts = ConfigTexts {
            revision: input.signed(),
            client_map_json: client_map.into(),
            mtproto_client_map_json: old_map.into(),
            services_json: services.into(),
        };
        if let Ok(read) = NodeConfig::from_texts(&texts) {
            comes_back(&read);
            lookups_agree(&read.config, client_map);
        }
    }
    names(&text);
}

fn comes_back(read: &ReadConfig) {
    let config = &read.config;
    let over_http = NodeConfig::from_json(config.to_json().as_bytes());
    let over_grpc = NodeConfig::from_texts(&config.to_texts());
    for again in [over_http, over_grpc] {
        let again = again.expect("rule: what is written can be read");
        assert!(again.config == *config, "rule: it reads as the same");
        let keys = usize::from(config.client_map().keys_not_ids() > 0);
        assert_eq!(again.warnings.len(), keys, "rule: nothing but keys is odd about it");
    }
    if let Some(xray) = config.services().xray() {
        let tags = xray.inbounds().len() + xray.outbound_tags().len();
        assert!(tags + xray.routing().map_or(0, str::len) <= xray.json().len(), "rule: nothing is made up");
    }
    let tags = config.services().mtproto().map(|mtproto| mtproto.inbound_tags());
    assert!(tags.unwrap_or_default().len() <= config.to_json().len(), "rule: nothing is made up");
}

/// What a map finds is what a generic reader finds.
fn lookups_agree(config: &NodeConfig, text: &str) {
    let map = config.client_map();
    if text.trim_ascii().is_empty() {
        return assert!(map.is_empty(), "rule: nothing is no entry");
    }
    let entries = serde_json::from_str::<Option<BTreeMap<String, BTreeMap<String, &RawValue>>>>(text);
    let entries = entries.expect("rule: what was read are objects in an object").unwrap_or_default();
    assert_eq!(map.len(), entries.len(), "rule: every key is an entry");
    let number = |members: &BTreeMap<String, &RawValue>, name: &str| {
        members.get(name).and_then(|value| value.get().parse().ok()).filter(|number: &f64| *number > 0.0)
    };
    for (key, members) in &entries {
        let Ok(ls_id) = key.parse::<LsId>() else { continue };
        assert_eq!(ls_id.to_string(), *key, "rule: an id has one text");
        let Client { user_id, subscription_id } = map.get(ls_id).expect("rule: every id is found");
        assert_eq!(Some(f64::from(user_id.get())), number(members, "userId"), "rule: it is that user");
        let subscription_id = subscription_id.map(|id| f64::from(id.get()));
        assert_eq!(subscription_id, number(members, "subscriptionId"), "rule: it is that subscription");
    }
    let ids: Vec<_> = map.iter().map(|(ls_id, _)| ls_id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "rule: ids rise");
    for (ls_id, client) in map.iter() {
        let name = Identity::new(client.user_id, LinkId::MIN, ls_id, NodeProtocolId::MAX).to_string();
        let found = attribute(&name, map, None).expect("rule: an identity that is written can be read");
        assert_eq!((found.user_id, found.subscription_id), (client.user_id, client.subscription_id));
        assert_eq!(found.anomaly, None, "rule: the map knows it");
    }
}

fn names(text: &str) {
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text, "rule: an identity has one text");
    }
    if let Some(counter) = Counter::parse(text) {
        assert_eq!(counter.to_string(), text, "rule: a counter has one name");
    }
}
