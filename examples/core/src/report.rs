//! What an agent does, as events of its program.

use crate::agent_driver::News;
use core_node_proto::Instant;
use core_node_proto::agent::{Event, Returned, ReturnedContent};
use core_node_proto::call::{Call, Failure, Link, Outcome, Reply};
use serde_json::{Map, Value, json};

/// Returns the name of an event and its members; `None` for what is no event of the program.
#[must_use]
pub fn report(news: &News<'_>) -> Option<(&'static str, Value)> {
    match news {
        News::Event(event) => of_event(event),
        News::Answered { call: Call::Register(_), outcome: Err(failure), next: Some(next), .. } => {
            let retry_in = next.saturating_duration_since(Instant::now()).as_secs_f64();
            let members = json!({"error": failure.kind.to_string(), "retry_in_seconds": retry_in});
            Some(("registration_failed", members))
        }
        News::Answered { call, outcome, .. } => of_call(call, outcome),
    }
}

fn of_call(call: &Call, outcome: &Result<Reply, Failure>) -> Option<(&'static str, Value)> {
    let mut members = match outcome {
        Ok(_) => Map::new(),
        Err(failure) => Map::from_iter([("error".to_owned(), failure.kind.to_string().into())]),
    };
    let mut set = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    let name = match call {
        Call::Heartbeat(_) => {
            if let Ok(Reply::Heartbeat(reply)) = outcome {
                set("need_sync", reply.need_sync.into());
            }
            "heartbeat"
        }
        Call::GetLatestConfig => {
            if let Ok(Reply::Config(reply)) = outcome {
                set("revision", reply.config.revision().get().into());
            }
            "config"
        }
        Call::ReportUsage(usage) => {
            set("batch", usage.entries.first().map(|entry| entry.recorded_at.to_string()).into());
            set("entries", usage.entries.len().into());
            set("outcome", name_of(outcome).into());
            "usage"
        }
        Call::ReportOutboundUsage(usage) => {
            set("items", usage.items.len().into());
            set("outcome", name_of(outcome).into());
            "outbound_usage"
        }
        Call::ReportNodeStats(stats) => {
            set("cpu_percent", stats.system.map(|system| system.cpu_percent).into());
            "stats"
        }
        Call::ReportOnlineUsers(online) => {
            set("users", online.users.len().into());
            "online"
        }
        Call::ReportSessionEvents(sessions) => {
            set("events", sessions.events.len().into());
            "sessions"
        }
        Call::ReportError(error) => {
            set("code", error.code.clone().into());
            "error_reported"
        }
        Call::ConfirmConfigApplied(applied) if outcome.is_err() => {
            set("revision", applied.revision.get().into());
            "confirmation_failed"
        }
        // The machine tells how these end.
        Call::Register(_) | Call::ConfirmConfigApplied(_) => return None,
    };
    Some((name, Value::Object(members)))
}

/// Returns what became of a batch.
fn name_of(outcome: &Result<Reply, Failure>) -> &'static str {
    let outcome = match outcome {
        Ok(reply) if reply.is_ok() => Outcome::Acked,
        Ok(_) => return "refused",
        Err(failure) => failure.outcome(),
    };
    match outcome {
        Outcome::Acked => "acked",
        Outcome::NotApplied => "not_applied",
        Outcome::Auth => "unauthorized",
        Outcome::Rejected => "rejected",
        Outcome::TooLarge => "too_large",
        Outcome::Missing => "missing",
        _ => "ambiguous",
    }
}

fn of_event(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::NeedsCode => ("needs_code", json!({"error": "there is neither a key nor a code"})),
        Event::StateLost => ("state_lost", json!({"error": "the state file cannot be used"})),
        Event::CleartextTarget => ("cleartext", json!({"error": "gRPC goes to another machine without TLS"})),
        Event::Registered { node_id } => ("registered", json!({"node": node_id.to_string()})),
        Event::RegistrationRefused { reason, may_be_used } => {
            ("registration_refused", json!({"error": reason.to_string(), "code_may_be_used": may_be_used}))
        }
        Event::Active => ("active", json!({})),
        Event::Unauthorized => ("unauthorized", json!({"error": "Core does not know the key"})),
        Event::SuspectedAuth => ("suspected_auth", json!({"error": "Core answers UNKNOWN to everything"})),
        Event::SchemaMismatch { revision } => (
            "schema_mismatch",
            json!({"revision": revision.get(), "error": "Core asks again for what it was told"}),
        ),
        Event::LinkChanged(Link::Grpc) => ("link", json!({"link": "grpc"})),
        Event::LinkChanged(Link::Http) => ("link", json!({"link": "fallback"})),
        Event::Missing { method, link } => {
            ("missing", json!({"call": format!("{method:?}"), "link": format!("{link:?}").to_lowercase()}))
        }
        Event::Refused(method) => {
            ("refused", json!({"call": format!("{method:?}"), "error": "Core will not take it"}))
        }
        Event::ConfigWarning(warning) => ("config_warning", json!({"warning": warning.to_string()})),
        Event::WentBack { from, to } => ("went_back", json!({"from": from.get(), "to": to.get()})),
        Event::ConfigRefused { code } => {
            ("config_refused", json!({"code": code, "error": "it cannot be taken"}))
        }
        Event::Applied { revision } => ("applied", json!({"revision": revision.get()})),
        Event::ApplyFailed { revision } => {
            ("apply_failed", json!({"revision": revision.get(), "error": "the one before stays"}))
        }
        Event::Confirmed { revision } => ("confirmed", json!({"revision": revision.get()})),
        Event::ConfirmationDropped { revision } => {
            ("confirmation_dropped", json!({"revision": revision.get()}))
        }
        Event::StoreFailed => ("store_failed", json!({"error": "the state was not saved"})),
        Event::Returned(returned) => ("returned", of_returned(returned)),
        Event::StatsUnusable(error) => ("stats_unusable", json!({"error": error.to_string()})),
        Event::Closed { is_stored } => ("closed", json!({"stored": is_stored})),
        other => {
            tracing::info!(?other, "news");
            return None;
        }
    })
}

/// Traffic that Core is not sent any more is printed whole, so that nothing is lost.
fn of_returned(returned: &Returned) -> Value {
    let reason = format!("{:?}", returned.reason).to_lowercase();
    let entries: Vec<Value> = match &returned.content {
        ReturnedContent::Usage(entries) => entries
            .iter()
            .map(|entry| {
                json!({
                    "user": entry.user_id.get(), "subscription": entry.subscription_id.map(|id| id.get()),
                    "inbound": entry.node_protocol_id.get(), "recorded_at": entry.recorded_at.to_string(),
                    "up": entry.bytes_up.get(), "down": entry.bytes_down.get(),
                })
            })
            .collect(),
        ReturnedContent::Outbound(items) => items
            .iter()
            .map(|item| json!({"tag": item.tag, "up": item.bytes_up.get(), "down": item.bytes_down.get()}))
            .collect(),
    };
    json!({"number": returned.number, "reason": reason, "entries": entries})
}
