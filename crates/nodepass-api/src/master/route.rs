//! From a path to a handler. §1.

use super::{Config, Paths};
use crate::wire::InstanceId;
use percent_encoding::percent_decode_str;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Instances,
    /// `None` is `/instances/` with nothing behind it.
    Instance(Option<InstanceId>),
    Events,
    Info,
    Tcping,
    OpenApi,
    Docs,
}

/// What a path leads to that is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// The path is not clean: this is the clean one.
    Redirect(String),
    Unknown,
}

impl Route {
    /// Finds the route of a path as it stands in the request line.
    pub(super) fn of(path: &str, config: &Config) -> Result<Self, Elsewhere> {
        if let Some(clean) = cleaned(path) {
            return Err(Elsewhere::Redirect(clean));
        }
        let path = percent_decoded(path, false);
        let rest = path.strip_prefix(&*config.prefix).ok_or(Elsewhere::Unknown)?;
        let versioned = rest.strip_prefix("/v1").filter(|rest| rest.starts_with('/'));
        let plain = (config.paths == Paths::Both).then_some(rest);
        versioned.or(plain).and_then(Self::below).ok_or(Elsewhere::Unknown)
    }

    fn below(rest: &str) -> Option<Self> {
        Some(match rest {
            "/instances" => Self::Instances,
            "/instances/" => Self::Instance(None),
            "/events" => Self::Events,
            "/info" => Self::Info,
            "/tcping" => Self::Tcping,
            "/openapi.json" => Self::OpenApi,
            "/docs" => Self::Docs,
            _ => Self::Instance(Some(InstanceId::new(rest.strip_prefix("/instances/")?))),
        })
    }
}

/// Returns the clean form of a path that has empty or dotted segments.
fn cleaned(path: &str) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let mut segments = rest.split('/').peekable();
    let mut is_clean = true;
    let mut kept = Vec::new();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "" if is_last => kept.push(""),
            "" => is_clean = false,
            "." | ".." => {
                is_clean = false;
                if segment == ".." {
                    kept.pop();
                }
            }
            segment => kept.push(segment),
        }
    }
    (!is_clean).then(|| format!("/{}", kept.join("/")))
}

/// Returns the first value of a parameter of a query; pairs with a broken escape or a semicolon are no pairs.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter(|pair| !pair.contains(';') && has_whole_escapes(pair));
    let found = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut found = found.filter(|(other, _)| percent_decoded(other, true) == name);
    found.next().map(|(_, value)| percent_decoded(value, true))
}

fn has_whole_escapes(text: &str) -> bool {
    let digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    text.match_indices('%').all(|(at, _)| digits(&text[at + 1..]))
}

/// Broken escapes stay as they are, and what is no UTF-8 is replaced.
fn percent_decoded(text: &str, is_form: bool) -> String {
    let text = if is_form { text.replace('+', " ") } else { text.to_owned() };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::{Compat, Entropy};

    fn route(path: &str) -> Result<Route, Elsewhere> {
        Route::of(path, &Config::new(Compat::V1_14, Entropy::new([0; 32])))
    }

    #[test]
    fn paths_are_served_with_and_without_their_version() {
        for base in ["/api/v1", "/api"] {
            assert_eq!(route(&format!("{base}/instances")), Ok(Route::Instances));
            assert_eq!(route(&format!("{base}/instances/")), Ok(Route::Instance(None)));
            let id = |id: &str| Ok(Route::Instance(Some(InstanceId::new(id))));
            assert_eq!(route(&format!("{base}/instances/a1/b")), id("a1/b"));
            assert_eq!(route(&format!("{base}/instances/%2A%2a******")), id("********"));
            assert_eq!(route(&format!("{base}/instances/%2e%2e")), id(".."));
            assert_eq!(route(&format!("{base}/%69nfo")), Ok(Route::Info));
            assert_eq!(route(&format!("{base}/info/")), Err(Elsewhere::Unknown));
        }
        for path in
            ["/", "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/info", "/api/v1/Info", "/apix/info", "*"]
        {
            assert_eq!(route(path), Err(Elsewhere::Unknown), "{path}");
        }
    }

    #[test]
    fn paths_that_are_not_clean_are_redirected() {
        let clean = |path: &str| match route(path) {
            Err(Elsewhere::Redirect(path)) => path,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(clean("//api/v1//info"), "/api/v1/info");
        assert_eq!(clean("/api/./v1/x/../info"), "/api/v1/info");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("/api/v1/info/."), "/api/v1/info");
        assert_eq!(clean("/api/v1/info/x/.."), "/api/v1/info");
        assert_eq!(clean("/api/v1/instances//"), "/api/v1/instances/");
    }

    #[test]
    fn the_first_whole_pair_of_a_query_counts() {
        assert_eq!(parameter("target=h%3A1&target=x", "target").as_deref(), Some("h:1"));
        assert_eq!(parameter("target=%zz&target=a;b&target=c+d", "target").as_deref(), Some("c d"));
        assert_eq!(parameter("Target=x&target", "target").as_deref(), Some(""));
        assert_eq!(parameter("", "target"), None);
    }
}
