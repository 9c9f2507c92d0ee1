//! `core-node`: calls to a Core, user names, counter names and configurations.

mod cases;
mod expect;
mod protobuf;
mod world;

use super::text;
use crate::Tally;
use anyhow::{anyhow, bail};
use core_node_proto::attribution::{Counter, Direction, Identity};
use core_node_proto::config::{ConfigTexts, NodeConfig, NodeConfigError, ReadConfig, Warning};
use serde_json::{Map, Value, json};

/// Runs the sections that a file has, of which there must be one.
pub(super) fn sections(document: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let section = |name: &str| document[name].as_array();
    let sections = ["core", "email", "stat_names", "config"].map(section);
    if sections.iter().all(Option::is_none) {
        bail!("no section");
    }
    let [core, emails, stat_names, configs] = sections.map(|rows| rows.map_or(&[][..], Vec::as_slice));
    core.iter().try_for_each(|row| cases::case(row, &document["fixture"], tally))?;
    emails.iter().try_for_each(|row| email(row, tally))?;
    stat_names.iter().try_for_each(|row| stat_name(row, tally))?;
    configs.iter().try_for_each(|row| config(row, tally))
}

fn email(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let name = text(row, "email")?;
    let identity = name.parse::<Identity>().ok();
    let ids = identity.map(|identity| {
        json!({
            "userId": identity.user_id(),
            "linkId": identity.link_id(),
            "lsId": identity.ls_id(),
            "protoId": identity.proto_id(),
        })
    });
    let written = identity.map(|identity| identity.to_string());
    read_and_written(name, member(row, "ids")?, &json!(ids), written, tally);
    Ok(())
}

fn stat_name(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let name = text(row, "name")?;
    let counter = Counter::parse(name);
    let parts = counter.map(|counter| {
        let direction = match counter.direction() {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        json!({ "kind": counter.kind().as_str(), "key": counter.key(), "direction": direction })
    });
    let written = counter.map(|counter| counter.to_string());
    read_and_written(name, member(row, "counter")?, &json!(parts), written, tally);
    Ok(())
}

/// Compares what a name reads as; one that reads as something must come back when it is written.
fn read_and_written(name: &str, expected: &Value, got: &Value, written: Option<String>, tally: &mut Tally) {
    match written {
        _ if expected != got => tally.fail(format_args!("{name:?}"), expected, got),
        Some(written) if written != name => tally.fail(format_args!("{name:?}"), "the same written", written),
        _ => tally.pass(),
    }
}

fn config(row: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let (key, reply) = (text(row, "id")?, &row["reply"]);
    let texts = ConfigTexts {
        revision: reply["revision"].as_i64().ok_or_else(|| anyhow!("a reply without a revision"))?,
        client_map_json: text(reply, "clientMapJson")?.into(),
        mtproto_client_map_json: text(reply, "mtprotoClientMapJson")?.into(),
        services_json: text(reply, "servicesJson")?.into(),
    };
    let expected = row["result"].as_object().ok_or_else(|| anyhow!("a row without a result"))?;
    let read = NodeConfig::from_texts(&texts);
    for (member, expected) in expected {
        let got = result(&read, member, expected)?;
        if *expected != got {
            tally.fail(key, format_args!("{member} {expected}"), got);
            return Ok(());
        }
    }
    match read {
        Ok(read) if !comes_back(&read.config) => tally.fail(key, "the same written", "another"),
        _ => tally.pass(),
    }
    Ok(())
}

/// Returns a member of what became of a reply, null where it has none.
fn result(
    read: &Result<ReadConfig, NodeConfigError>,
    member: &str,
    expected: &Value,
) -> anyhow::Result<Value> {
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            return Ok(match member {
                "ok" => json!(false),
                "field" => json!(error.field.grpc_name()),
                _ => Value::Null,
            });
        }
    };
    let config = &read.config;
    Ok(match member {
        "ok" => json!(true),
        "field" => Value::Null,
        "clients" => json!(config.client_map().len()),
        "xray" => json!(config.services().xray().is_some()),
        "mtproto" => json!(config.services().mtproto().is_some()),
        "warnings" => json!(read.warnings.iter().map(Warning::count).sum::<usize>()),
        "lookup" => json!(lookup(config, expected)?),
        _ => bail!("a result with the unknown member {member:?}"),
    })
}

/// Looks up the users that a row asks for.
fn lookup(config: &NodeConfig, expected: &Value) -> anyhow::Result<Map<String, Value>> {
    let keys = expected.as_object().ok_or_else(|| anyhow!("a lookup that is no object"))?.keys();
    keys.map(|key| {
        let client = config.client_map().get(key.parse()?);
        Ok((key.clone(), json!(client.map(|client| client.user_id))))
    })
    .collect()
}

fn comes_back(config: &NodeConfig) -> bool {
    let over_http = NodeConfig::from_json(config.to_json().as_bytes());
    let over_grpc = NodeConfig::from_texts(&config.to_texts());
    [over_http, over_grpc].into_iter().all(|read| read.is_ok_and(|read| read.config == *config))
}

fn member<'a>(row: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    row.get(name).ok_or_else(|| anyhow!("a row without the member {name:?}"))
}
