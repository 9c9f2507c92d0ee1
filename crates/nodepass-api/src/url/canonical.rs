//! The forms that a master stores and shows. §6.

use super::escape::{HOST, Place, decode, decode_query};
use super::text::{Form, Text};
use super::{InstanceUrl, Parameter, Role, Rules, TlsMode};
use crate::Release;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a master hands down to its instances; by default nothing. [`MasterUrl::inherited`](super::MasterUrl::inherited)
/// takes it from a master's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inherited {
    /// `log` as the master's URL has it, or empty: goes to instances without one.
    pub log: String,
    /// How the master's API is really encrypted: goes to servers without a `tls` of their own, unless it is not.
    pub tls: TlsMode,
    /// The certificate's file: goes to servers if `tls` is [`TlsMode::Files`].
    pub crt: String,
    /// The file of its key: likewise.
    pub key: String,
}

/// Decoded names and values; repeated values keep their order.
type Values<'a> = BTreeMap<Cow<'a, [u8]>, Vec<Cow<'a, [u8]>>>;

pub(super) fn stored(url: &InstanceUrl, inherited: &Inherited) -> String {
    write(url, &inherit(url, inherited))
}

pub(super) fn config(url: &InstanceUrl, inherited: &Inherited, release: Release) -> Option<String> {
    const FIRST: Release = Release::new(1, 7, 0);
    if release < FIRST {
        return None;
    }
    let rules = Rules::Release(release);
    let mut values = inherit(url, inherited);
    for parameter in Parameter::ALL {
        // These two are there if the instance or its master has them.
        let has_default = !matches!(parameter, Parameter::Log | Parameter::Tls);
        if let Some(default) = parameter.default(rules).filter(|_| has_default)
            && parameter.is_used(rules, url.role())
        {
            set_if_empty(&mut values, parameter, default);
        }
    }
    Some(write(url, &values))
}

fn inherit<'a>(url: &'a InstanceUrl, inherited: &'a Inherited) -> Values<'a> {
    let mut values = Values::new();
    for pair in url.parameters() {
        let value = decode_query(pair.raw_value);
        values.entry(decode_query(pair.raw_name)).or_default().push(value);
    }
    set_if_empty(&mut values, Parameter::Log, &inherited.log);
    if url.role() == Role::Server && inherited.tls != TlsMode::Off {
        set_if_empty(&mut values, Parameter::Tls, inherited.tls.code());
        if inherited.tls == TlsMode::Files {
            set_if_empty(&mut values, Parameter::Crt, &inherited.crt);
            set_if_empty(&mut values, Parameter::Key, &inherited.key);
        }
    }
    values
}

/// Sets what is absent or whose first value is empty.
fn set_if_empty<'a>(values: &mut Values<'a>, parameter: Parameter, value: &'a str) {
    let name = parameter.name().as_bytes();
    let is_there = values.get(name).and_then(|values| values.first()).is_some_and(|first| !first.is_empty());
    if !is_there && !value.is_empty() {
        values.insert(name.into(), vec![value.as_bytes().into()]);
    }
}

fn write(url: &InstanceUrl, values: &Values<'_>) -> String {
    let text = url.text();
    let mut out = String::with_capacity(url.as_str().len() + 64);
    out.push_str(url.role().as_str());
    out.push(':');
    match text.form() {
        Form::Opaque => out.push_str(text.path()),
        Form::Rooted => {
            let start = out.len();
            Place::Path.normalise(text.path(), &mut out);
            if out[start..].starts_with("//") {
                out.insert_str(start, "//"); // else the path would be read as a host
            }
        }
        Form::Authority => write_authority(text, &mut out),
    }
    let mut separator = '?';
    for (name, values) in values {
        for value in values {
            out.push(separator);
            separator = '&';
            Place::Query.encode(name, &mut out);
            out.push('=');
            Place::Query.encode(value, &mut out);
        }
    }
    if let Some(fragment) = text.fragment().filter(|fragment| !fragment.is_empty()) {
        out.push('#');
        Place::Fragment.normalise(fragment, &mut out);
    }
    out
}

fn write_authority(text: &Text, out: &mut String) {
    if text.user().is_none() && text.host().is_empty() && text.path().is_empty() {
        return;
    }
    out.push_str("//");
    if let Some(user) = text.user() {
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        Place::User.encode(&decode(name), out);
        if let Some(password) = password {
            out.push(':');
            Place::User.encode(&decode(password), out);
        }
        out.push('@');
    }
    write_host(text.host(), out);
    Place::Path.normalise(text.path(), out);
}

fn write_host(host: &str, out: &mut String) {
    let end = if host.starts_with('[') { host.rfind(']').unwrap_or_default() } else { 0 };
    let zone = host[..end].find("%25").unwrap_or(end);
    Place::Host.encode(&decode(&host[..zone]), out);
    for character in String::from_utf8_lossy(&decode(&host[zone..end])).chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && !HOST.has(byte) => Place::Host.encode(&[byte], out),
            _ => out.push(character),
        }
    }
    Place::Host.encode(&decode(&host[end..]), out);
}
