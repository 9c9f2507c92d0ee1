//! Configurations, read and written.

use core_node_proto::config::{
    Client, ClientMap, ConfigTexts, Field, MtprotoClientMap, NodeConfig, NodeConfigError, Problem,
    ReadConfig, Services, Warning,
};
use core_node_proto::message::MAX_JSON_DEPTH;
use core_node_proto::value::{LsId, Revision, SubscriptionId, UserId};

fn ls(id: i64) -> LsId {
    LsId::new(id).expect("an id in range")
}

fn client(user_id: i64, subscription_id: Option<i64>) -> Client {
    let subscription_id = subscription_id.map(|id| SubscriptionId::new(id).expect("an id in range"));
    Client { user_id: UserId::new(user_id).expect("an id in range"), subscription_id }
}

fn texts<'a>(client_map: &'a str, mtproto_client_map: &'a str, services: &'a str) -> ConfigTexts<'a> {
    ConfigTexts {
        revision: 6,
        client_map_json: client_map.into(),
        mtproto_client_map_json: mtproto_client_map.into(),
        services_json: services.into(),
    }
}

fn read(client_map: &str, mtproto_client_map: &str, services: &str) -> Result<ReadConfig, NodeConfigError> {
    NodeConfig::from_texts(&texts(client_map, mtproto_client_map, services))
}

#[track_caller]
fn wrong(read: Result<ReadConfig, NodeConfigError>) -> (Field, Problem) {
    let error = read.expect_err("this configuration is wrong");
    (error.field, error.problem)
}

const SERVICES: &str = r#"{"xray":{"inbounds":[
    {"tag":"vless-443","port":443,"protocol":"vless","settings":{"clients":[{"id":"c0ffee","email":"u12.l3.s45.i6"},{"id":1},{"email":"x"}]}},
    {"tag":"in","port":"8443","settings":null}, {"port":"1-2","settings":{"clients":{}}}, 7
  ],"outbounds":[{"tag":"direct"},{"tag":5},{},"x",{"tag":"warp"}],"routing":{"rules":[1.50]}},
  "mtproto":{"inbounds":[{"tag":"mt","secret":"5ec2e7"}]},"hysteria":{"x":1e2}}"#;

#[test]
fn both_transports_carry_the_same() {
    let client_map = r#"{"45":{"userId":12,"subscriptionId":300},"46":{"userId":13,"subscriptionId":null}}"#;
    let old_map = r#"{"7b0c":{"userId":12,"subscriptionId":300}}"#;
    let body = format!(
        r#"{{"services":{SERVICES},"x":[],"clientMap":{client_map},"mtprotoClientMap":{old_map},"revision":6}}"#
    );
    let over_http = NodeConfig::from_json(body.as_bytes()).unwrap();
    assert_eq!(Ok(&over_http), read(client_map, old_map, SERVICES).as_ref());
    assert!(over_http.warnings.is_empty());
    let config = over_http.config;
    assert_eq!(config.revision().get(), 6);
    assert_eq!(config.client_map().get(ls(45)), Some(client(12, Some(300))));
    assert_eq!(config.client_map().get(ls(46)), Some(client(13, None)));
    assert_eq!(config.client_map().get(ls(44)), None);
    assert_eq!(config.mtproto_client_map().get("7b0c"), Some(client(12, Some(300))));
}

#[test]
fn a_configuration_is_written_for_both_transports() {
    let mut client_map = ClientMap::default();
    assert_eq!(client_map.insert(ls(46), client(13, None)), None);
    assert_eq!(client_map.insert(ls(45), client(1, None)), None);
    assert_eq!(client_map.insert(ls(45), client(12, Some(300))), Some(client(1, None)));
    let mut old_map = MtprotoClientMap::default();
    old_map.insert("a\"b", client(12, None));
    let services = Services::from_json(r#" {"x\n":[ 1.0 ],"xray": null} "#).unwrap();
    let config = NodeConfig::new(Revision::new(7).unwrap(), client_map, old_map, services);
    let client_map = r#"{"45":{"userId":12,"subscriptionId":300},"46":{"userId":13,"subscriptionId":null}}"#;
    let old_map = r#"{"a\"b":{"userId":12,"subscriptionId":null}}"#;
    let services = r#"{"x\n":[ 1.0 ],"xray":null}"#;
    assert_eq!(config.to_texts(), ConfigTexts { revision: 7, ..texts(client_map, old_map, services) });
    let object = format!(
        r#"{{"revision":7,"clientMap":{client_map},"mtprotoClientMap":{old_map},"services":{services}}}"#
    );
    assert_eq!(config.to_json(), object);
    assert_eq!(NodeConfig::from_json(object.as_bytes()).unwrap().config, config);
}

#[test]
fn blank_null_and_absent_parts_are_empty() {
    let empty = NodeConfig::from_json(br#"{"revision":6}"#).unwrap();
    assert!(empty.config.client_map().is_empty());
    for part in ["", " \t\r\n", "null", " null ", "{}"] {
        assert_eq!(Ok(&empty), read(part, part, part).as_ref(), "{part:?}");
    }
    let nulls = br#"{"revision":6,"clientMap":null,"mtprotoClientMap":null,"services":null}"#;
    assert_eq!(NodeConfig::from_json(nulls), Ok(empty));
}

#[test]
fn a_broken_part_is_named() {
    let at = |column| Problem::NotJson { line: 1, column };
    assert_eq!(wrong(read(r#"{"45":"#, "", "")), (Field::ClientMap, at(6)));
    assert_eq!(wrong(read("", "", "{]")), (Field::Services, at(2)));
    assert_eq!(wrong(read("{} {}", "", "")), (Field::ClientMap, at(4)));
    for part in ["[]", "7", "\"text\"", "true"] {
        assert_eq!(wrong(read(part, "", "")), (Field::ClientMap, Problem::NotAnObject), "{part}");
        assert_eq!(wrong(read("", "", part)), (Field::Services, Problem::NotAnObject), "{part}");
        assert_eq!(
            wrong(NodeConfig::from_json(part.as_bytes())),
            (Field::Body, Problem::NotAnObject),
            "{part}"
        );
    }
    assert_eq!(wrong(NodeConfig::from_json(b"")).0, Field::Body);
    assert_eq!(wrong(NodeConfig::from_json(b"{\"\xff\":1}")), (Field::Body, Problem::NotUtf8));
    let error = read(r#"{"45":"#, "", "").unwrap_err();
    assert_eq!(error.to_string(), "clientMap is not JSON from line 1, column 6");
    assert_eq!((error.field.http_name(), error.field.grpc_name()), ("clientMap", "clientMapJson"));
}

#[test]
fn every_entry_of_the_client_map_must_be_valid() {
    for entry in [
        "null",
        "[]",
        "{}",
        "12",
        r#"{"userId":null}"#,
        r#"{"userId":"14"}"#,
        r#"{"userId":0}"#,
        r#"{"userId":-1}"#,
        r#"{"userId":1.5}"#,
        r#"{"userId":2147483648}"#,
        r#"{"userId":1,"subscriptionId":0}"#,
        r#"{"userId":1,"subscriptionId":"3"}"#,
        r#"{"userId":1,"subscriptionId":false}"#,
        r#"{"subscriptionId":3}"#,
    ] {
        let (field, problem) = wrong(read(&format!(r#"{{"47":{entry}}}"#), "", ""));
        assert_eq!(field, Field::ClientMap, "{entry}");
        assert!(matches!(problem, Problem::Entry { line: 1, .. }), "{entry}: {problem:?}");
    }
    for entry in
        [r#"{"userId":1}"#, r#"{"x":[{}],"userId":1.0,"subscriptionId":null}"#, r#"{"userId":9,"userId":1}"#]
    {
        let config = read(&format!(r#"{{"47":{entry}}}"#), "", "").unwrap().config;
        assert_eq!(config.client_map().get(ls(47)), Some(client(1, None)), "{entry}");
    }
}

#[test]
fn of_repeated_keys_the_last_counts() {
    let config = read(r#"{"47":{"userId":14},"\u00347":{"userId":12}}"#, "", r#"{"xray":3,"xray":{"a":1}}"#);
    let config = config.unwrap().config;
    assert_eq!(config.client_map().len(), 1);
    assert_eq!(config.client_map().get(ls(47)), Some(client(12, None)));
    assert_eq!(config.services().xray().unwrap().json(), r#"{"a":1}"#);
    let body = br#"{"revision":"x","clientMap":7,"revision":3,"clientMap":{}}"#;
    assert_eq!(NodeConfig::from_json(body).unwrap().config.revision().get(), 3);
}

#[test]
fn clients_may_be_collected_in_any_order() {
    let clients = [(3, 30), (1, 10), (3, 31), (2, 20), (1, 11)];
    let map: ClientMap =
        clients.map(|(ls_id, user_id)| (ls(ls_id), client(user_id, None))).into_iter().collect();
    let users: Vec<_> = map.iter().map(|(ls_id, client)| (ls_id.get(), client.user_id.get())).collect();
    assert_eq!(users, [(1, 11), (2, 20), (3, 31)]);
}

#[test]
fn keys_that_are_no_ids_are_kept_with_a_warning() {
    let client_map = r#"{"7":{"userId":1,"subscriptionId":null},"":{"userId":3,"subscriptionId":null},"07":{"userId":2,"subscriptionId":null}}"#;
    let read = read(client_map, "", "").unwrap();
    assert_eq!(read.warnings, [Warning::KeysNotIds { count: 2 }]);
    assert_eq!(read.warnings[0].count(), 2);
    let map = read.config.client_map();
    assert_eq!((map.len(), map.keys_not_ids()), (3, 2));
    assert_eq!(map.iter().collect::<Vec<_>>(), [(ls(7), client(1, None))]);
    assert_eq!(read.config.to_texts().client_map_json, client_map);
}

#[test]
fn a_broken_map_of_old_nodes_is_only_a_warning() {
    let deep = "[".repeat(100);
    for broken in ["{]", "[]", r#"{"a":{"userId":0}}"#, &deep] {
        let read = read("{}", broken, "").unwrap();
        assert!(matches!(read.warnings[..], [Warning::MtprotoClientMap(_)]), "{broken}");
        assert!(read.config.mtproto_client_map().is_empty());
    }
    let over_http = NodeConfig::from_json(br#"{"revision":1,"mtprotoClientMap":[1]}"#).unwrap();
    assert_eq!(over_http.warnings, [Warning::MtprotoClientMap(Problem::NotAnObject)]);
}

#[test]
fn a_known_service_is_an_object_or_absent() {
    for name in ["xray", "mtproto"] {
        for value in ["[]", "1", "\"\"", "false"] {
            let services = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(wrong(read("", "", &services)), (Field::Services, Problem::Service(name)));
        }
    }
    let services = Services::from_json(r#"{"xray":null,"mtproto":{}}"#).unwrap();
    assert!(services.xray().is_none() && services.mtproto().is_some());
    assert_eq!(services.names().collect::<Vec<_>>(), ["mtproto", "xray"]);
}

#[test]
fn a_revision_is_an_integer_in_range() {
    let most = i64::from(i32::MAX);
    for (revision, expected) in
        [(0, Some(Revision::MIN)), (most, Some(Revision::MAX)), (-1, None), (most + 1, None)]
    {
        let read = NodeConfig::from_texts(&ConfigTexts { revision, ..ConfigTexts::default() });
        assert_eq!(read.map(|read| read.config.revision()).ok(), expected, "{revision}");
    }
    for revision in ["-1", "2147483648", "1.5", "\"1\"", "null", "[]", "1e99"] {
        let body = format!(r#"{{"revision":{revision}}}"#);
        let wrong = wrong(NodeConfig::from_json(body.as_bytes()));
        assert_eq!(wrong, (Field::Revision, Problem::OutOfRange), "{revision}");
    }
    assert_eq!(wrong(NodeConfig::from_json(b"{}")), (Field::Revision, Problem::Missing));
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(read("", "", &nested(MAX_JSON_DEPTH)).is_ok());
    assert_eq!(wrong(read("", "", &nested(MAX_JSON_DEPTH + 1))), (Field::Services, Problem::TooDeep));
    let body = |depth| format!(r#"{{"revision":1,"services":{}}}"#, nested(depth));
    assert!(NodeConfig::from_json(body(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let deeper = NodeConfig::from_json(body(MAX_JSON_DEPTH + 1).as_bytes());
    assert_eq!(wrong(deeper), (Field::Services, Problem::TooDeep));
    let entry = |depth| format!(r#"{{"1":{{"userId":1,"x":{}}}}}"#, nested(depth));
    assert!(read(&entry(MAX_JSON_DEPTH - 2), "", "").is_ok());
    for depth in [MAX_JSON_DEPTH - 1, 1000, 1_000_000] {
        assert_eq!(wrong(read(&entry(depth), "", "")), (Field::ClientMap, Problem::TooDeep));
    }
    let user = format!(r#"{{"1":{{"userId":{}}}}}"#, nested(1_000_000));
    assert_eq!(wrong(read(&user, "", "")), (Field::ClientMap, Problem::TooDeep));
    let ignored = format!(r#"{{"revision":1,"x":{}}}"#, nested(1_000_000));
    assert!(NodeConfig::from_json(ignored.as_bytes()).is_ok());
}

#[test]
fn services_tell_what_a_node_needs_of_them() {
    let services = Services::from_json(SERVICES).unwrap();
    let xray = services.xray().unwrap();
    let inbounds = xray.inbounds();
    assert_eq!(inbounds.len(), 3);
    assert_eq!((inbounds[0].tag.as_deref(), inbounds[0].port), (Some("vless-443"), Some(443)));
    assert_eq!(inbounds[0].protocol.as_deref(), Some("vless"));
    assert_eq!(inbounds[0].client_emails, ["u12.l3.s45.i6", "x"]);
    assert_eq!((inbounds[1].port, inbounds[1].protocol.as_deref()), (Some(8443), None));
    assert_eq!((inbounds[2].tag.as_deref(), inbounds[2].port), (None, None));
    assert!(inbounds[1].client_emails.is_empty() && inbounds[2].client_emails.is_empty());
    assert_eq!(xray.outbound_tags(), ["direct", "warp"]);
    assert_eq!(xray.routing(), Some(r#"{"rules":[1.50]}"#));
    assert_eq!(services.mtproto().unwrap().inbound_tags(), ["mt"]);
    assert_eq!(services.member("hysteria"), Some(r#"{"x":1e2}"#));
}

#[test]
fn services_of_another_shape_tell_nothing() {
    let services =
        Services::from_json(r#"{"xray":{"inbounds":{},"outbounds":null,"routing":[]},"mtproto":{}}"#);
    let services = services.unwrap();
    let xray = services.xray().unwrap();
    assert!(xray.inbounds().is_empty() && xray.outbound_tags().is_empty() && xray.routing().is_none());
    assert!(services.mtproto().unwrap().inbound_tags().is_empty());
}

#[test]
fn services_come_back_as_they_were() {
    let services = Services::from_json(SERVICES).unwrap();
    let written = services.to_json();
    assert!(written.contains(r#""hysteria":{"x":1e2}"#) && written.contains("[1.50]"));
    assert_eq!(Services::from_json(&written), Ok(services));
}

#[test]
fn keys_of_users_are_never_shown() {
    let client_map = r#"{"c0ffee":{"userId":1}}"#;
    let texts = texts(client_map, client_map, SERVICES);
    let read = NodeConfig::from_texts(&texts).unwrap();
    let services = read.config.services();
    let shown = format!("{texts:?} {read:?} {:?} {:?}", services.xray(), services.mtproto());
    for secret in ["c0ffee", "5ec2e7", "vless"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("ClientMap(1 entries)") && shown.contains("xray_bytes"), "{shown}");
    let broken = wrong(self::read("", "", r#"{"xray":"c0ffee"}"#));
    assert!(!format!("{broken:?} {}", broken.1).contains("c0ffee"));
}

#[test]
fn a_hundred_thousand_clients_are_read_and_written() {
    let entries = (1..=100_000).rev().map(|id| format!(r#""{id}":{{"userId":{id},"subscriptionId":{id}}}"#));
    let client_map = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let config = read(&client_map, "", "").unwrap().config;
    assert_eq!(config.client_map().len(), 100_000);
    assert_eq!(config.client_map().get(ls(77_777)), Some(client(77_777, Some(77_777))));
    let over_http = NodeConfig::from_json(config.to_json().as_bytes()).unwrap();
    assert_eq!(over_http.config, config);
}
