//! URLs and texts without their secrets.

use nodepass_api::url::InstanceUrl;
use nodepass_api::wire::Instance;
use serde_json::Value;

/// What stands where a secret stood.
const MASK: &str = "…";
/// Shorter texts are found everywhere by chance; as a key they are hidden before an `@` only.
const SHORTEST: usize = 4;

/// Returns an instance URL without its tunnel key: whatever is before the last `@` is taken for one.
#[must_use]
pub fn url(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    let scheme = url[..at].find(':').map_or("", |colon| &url[..=colon]);
    let slashes = if url[scheme.len()..].starts_with("//") { "//" } else { "" };
    format!("{scheme}{slashes}{MASK}{}", &url[at..])
}

/// Returns an instance's members, without the tunnel key, or the key record's without the API key.
#[must_use]
pub fn instance(instance: &Instance) -> Value {
    let mut members = serde_json::to_value(instance).unwrap_or_default();
    if instance.id.is_key_record() {
        members["url"] = MASK.into();
        return members;
    }
    members["url"] = url(&instance.url).into();
    if let Some(config) = &instance.config {
        members["config"] = url(config).into();
    }
    members
}

/// Returns an instance's members for people: those that say something, without the spelled out defaults.
#[must_use]
pub fn brief(instance: &Instance) -> Value {
    let mut members = self::instance(instance);
    if let Value::Object(members) = &mut members {
        members.retain(|name, value| name != "config" && says_something(value));
    }
    members
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

/// Secrets that a text might repeat.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Takes note of a secret.
    pub fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(secret.to_owned());
        }
    }

    /// Takes note of what an instance URL hides, as it is written there and as it is meant.
    pub fn add_url(&mut self, url: &str) {
        if let Some(at) = url.rfind('@') {
            let start = url[..at].find(':').map_or(0, |colon| colon + 1);
            self.add(url[start..at].trim_start_matches('/'));
        }
        if let Ok(url) = InstanceUrl::parse(url)
            && url.tunnel_key().is_given()
        {
            self.add(&String::from_utf8_lossy(url.tunnel_key().expose()));
        }
    }

    /// Returns the text without them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            let hidden = match secret.len() {
                SHORTEST.. => text.replace(secret.as_str(), MASK),
                _ => text.replace(&format!("{secret}@"), &format!("{MASK}@")),
            };
            text = hidden;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_all_but_its_key() {
        for (given, shown) in [
            ("client://h:1/t:2?mode=1", "client://h:1/t:2?mode=1"),
            ("client://secret@h:1/t:2?mode=1", "client://…@h:1/t:2?mode=1"),
            ("server://se:cr@et@:1/t:2", "server://…@:1/t:2"),
            ("server:secret@h:1", "server:…@h:1"),
            ("server://se?cr/et#@h:1/", "server://…@h:1/"),
            ("secret@h:1", "…@h:1"),
            ("", ""),
        ] {
            assert_eq!(url(given), shown, "{given}");
        }
    }

    #[test]
    fn the_key_record_shows_no_key() {
        let record = Instance { id: "********".into(), url: "0123456789".into(), ..Instance::default() };
        assert_eq!(instance(&record)["url"], "…");
        let config = Some("server://s3cret@:1/t:2?log=info".into());
        let server = Instance { url: "server://s3cret@:1/t:2".into(), config, ..Instance::default() };
        assert!(!instance(&server).to_string().contains("s3cret"));
        assert_eq!(instance(&server)["config"], "server://…@:1/t:2?log=info");
        assert_eq!(brief(&server), serde_json::json!({"url": "server://…@:1/t:2"}));
    }

    #[test]
    fn texts_repeat_no_secret() {
        let mut secrets = Secrets::default();
        secrets.add_url("client://t%6Fps:x@h:1/t:2");
        secrets.add_url("client://ab@h:1/t:2");
        secrets.add("");
        secrets.add("0123456789");
        let text = secrets.hide("t%6Fps:x tops 0123456789 absent ab@h");
        assert_eq!(text, "… … … absent …@h");
    }
}
