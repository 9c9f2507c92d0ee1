//! What holds for every configuration.

use core_node_proto::config::{Client, ClientMap, ConfigTexts, MtprotoClientMap, NodeConfig, Services};
use core_node_proto::value::{LsId, Revision, SubscriptionId, UserId};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

const MOST: i64 = i32::MAX as i64;

fn client() -> impl Strategy<Value = Client> {
    let ids = (1..=MOST, option::of(1..=MOST));
    ids.prop_map(|(user_id, subscription_id)| Client {
        user_id: UserId::new(user_id).expect("an id in range"),
        subscription_id: subscription_id.map(|id| SubscriptionId::new(id).expect("an id in range")),
    })
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            btree_map(member(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn member() -> impl Strategy<Value = String> {
    prop_oneof![
        "(xray|mtproto|inbounds|outbounds|routing|settings|clients|email|tag|port|protocol)",
        "(revision|clientMap|mtprotoClientMap|services|userId|subscriptionId|45)",
        ".{0,4}",
    ]
}

fn config() -> impl Strategy<Value = NodeConfig> {
    let services = btree_map(".{0,5}", json(), 0..4);
    (0..=MOST, btree_map(1..=MOST, client(), 0..9), btree_map(".{0,9}", client(), 0..5), services).prop_map(
        |(revision, clients, old_clients, services)| {
            let (mut client_map, mut old_map) = (ClientMap::default(), MtprotoClientMap::default());
            for (ls_id, client) in clients {
                client_map.insert(LsId::new(ls_id).expect("an id in range"), client);
            }
            for (key, client) in old_clients {
                old_map.insert(key, client);
            }
            let services = serde_json::Value::Object(services.into_iter().collect());
            let services = Services::from_json(&services.to_string()).expect("services");
            let revision = Revision::new(revision).expect("a revision in range");
            NodeConfig::new(revision, client_map, old_map, services)
        },
    )
}

/// Nothing that is read from a configuration may fail.
fn look_at(config: &NodeConfig) {
    if let Some(xray) = config.services().xray() {
        let _ = (xray.inbounds(), xray.outbound_tags(), xray.routing());
    }
    let _ = config.services().mtproto().map(|mtproto| mtproto.inbound_tags());
    let _ = format!("{config:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_the_same(config in config()) {
        let over_http = NodeConfig::from_json(config.to_json().as_bytes()).unwrap();
        prop_assert_eq!(&over_http.config, &config);
        let over_grpc = NodeConfig::from_texts(&config.to_texts()).unwrap();
        prop_assert_eq!(&over_grpc.config, &config);
        prop_assert!(over_http.warnings.is_empty() && over_grpc.warnings.is_empty());
    }

    #[test]
    fn any_json_is_read_or_refused(json in json(), revision: i64) {
        let text = json.to_string();
        let texts = ConfigTexts {
            revision,
            client_map_json: text.as_str().into(),
            mtproto_client_map_json: text.as_str().into(),
            services_json: text.as_str().into(),
        };
        for read in [NodeConfig::from_texts(&texts), NodeConfig::from_json(text.as_bytes())].into_iter().flatten() {
            look_at(&read.config);
        }
        let body = serde_json::json!({ "revision": 1, "services": json, "mtprotoClientMap": json });
        if let Ok(read) = NodeConfig::from_json(body.to_string().as_bytes()) {
            look_at(&read.config);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>, text in "([\\[\\]{}\",:0-9eE.+ul-]|\\\\|\\PC){0,20}") {
        let _ = NodeConfig::from_json(&body);
        let _ = NodeConfig::from_json(text.as_bytes());
        for part in [text.clone(), format!(r#"{{"1":{{"userId":{text}}}}}"#), format!(r#"{{"xray":{{"inbounds":{text}}}}}"#)] {
            let texts = ConfigTexts {
                client_map_json: part.as_str().into(),
                mtproto_client_map_json: part.as_str().into(),
                ..ConfigTexts::default()
            };
            let _ = NodeConfig::from_texts(&texts);
            if let Ok(read) = NodeConfig::from_texts(&ConfigTexts { services_json: part.into(), ..ConfigTexts::default() }) {
                look_at(&read.config);
            }
        }
    }
}
