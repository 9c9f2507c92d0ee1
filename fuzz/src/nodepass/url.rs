//! Instance URLs: what is taken, stored, used, said and built.

use crate::input::Input;
use nodepass_api::Release;
use nodepass_api::url::{
    Address, Inherited, InstanceUrl, MasterUrl, Parameter, Problem, Role, Rules, TlsMode,
};
use testkit::secrets::{find_secret, marked};

/// A text as it is, and one with a secret in it; then a URL built from parts.
pub fn nodepass_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    instance(&text);
    if let Ok(master) = MasterUrl::parse(&text) {
        assert_eq!(master.as_str(), text, "rule: a text stays as it is");
        assert!(master.prefix().len() > 1 && !master.prefix().ends_with('/'), "rule: a prefix has a name");
        assert_eq!(master.check_address().is_ok(), Address::parse(&master.address_text()).is_ok());
    }
    built(&mut Input::new(data));
    secret(&text);
}

fn instance(text: &str) {
    let Ok(url) = InstanceUrl::parse(text) else { return };
    assert_eq!(url.as_str(), text, "rule: a text stays as it is");
    assert_eq!(url.to_builder().build().as_ref(), Ok(&url), "rule: what is not changed is built again");
    for inherited in masters() {
        let stored = url.canonical(&inherited);
        let again = InstanceUrl::parse(&stored).expect("rule: what a master stores can be read");
        assert_eq!(again.canonical(&inherited), stored, "rule: the stored form of the stored form is itself");
        assert_eq!(again.role(), url.role());
        assert_eq!(again.tunnel_key(), url.tunnel_key(), "rule: the stored form has the same key");
        assert_eq!(again.tunnel_text(), url.tunnel_text(), "rule: the stored form has the same tunnel");
        assert_eq!(again.target_text(), url.target_text(), "rule: the stored form has the same targets");
        let config = url.config(&inherited, Release::V1_14_0).expect("this release has one");
        let config = InstanceUrl::parse(&config).expect("rule: what a master shows can be read");
        for parameter in Parameter::ALL {
            let given = |url: &InstanceUrl| {
                url.parameter(parameter).filter(|value| !value.is_empty()).map(String::from)
            };
            assert!(
                given(&url).is_none_or(|value| given(&config) == Some(value)),
                "rule: a master changes nothing"
            );
        }
    }
    rules().for_each(|rules| under(&url, rules));
}

fn under(url: &InstanceUrl, rules: Rules) {
    let problems = url.check(rules).err().unwrap_or_default();
    for line in url.explain(rules) {
        assert!(!line.to_string().contains(char::is_control), "rule: a line is one line");
    }
    let values = match url.effective(rules) {
        Ok(values) => values,
        Err(refused) => {
            assert!(!problems.is_empty(), "rule: a check finds what ends a process; {url:?}: {refused}");
            return;
        }
    };
    let targets = values.targets().map(|targets| targets.iter().count());
    assert_ne!(targets, Some(0), "rule: a process has a target");
    for parameter in Parameter::ALL {
        let is_used = parameter.is_used(rules, url.role());
        assert!(is_used || values.text(parameter).is_none(), "rule: what is not looked at has no value");
        let is_invalid =
            |problem: &Problem| matches!(problem, Problem::Invalid { parameter: it, .. } if *it == parameter);
        if problems.iter().any(is_invalid) {
            assert!(is_used, "rule: only what is looked at can be wrong");
        }
    }
}

/// A URL from parts holds what was put in.
fn built(input: &mut Input<'_>) {
    const HOSTS: [&str; 8] = ["", "h", "127.0.0.1", "::1", "fe80::1%eth0", "a b", "fe80::1%\u{e9}/", "[::1]"];
    const NAMES: [&str; 6] = ["log", "max", "a b", "\u{e9}", "a;b&c=d", "%"];
    let role = input.pick(&[Role::Server, Role::Client]);
    let key = input.text();
    let (host, target) = (input.pick(&HOSTS), input.pick(&HOSTS));
    let port = u16::from(input.byte()) * 257;
    let mut builder = InstanceUrl::builder(role).tunnel_key(&key).tunnel(host, port).target(target, port);
    let mut parameters: Vec<(String, String)> = Vec::new();
    for _ in 0..input.below(5) {
        let (name, value) = (input.text_among(&NAMES), input.text());
        builder = builder.set(&name, &value);
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => parameters.push((name, value)),
        }
    }
    let Ok(url) = builder.build() else {
        let is_odd = |host: &str| host.contains([' ', '[', '/']);
        assert!(is_odd(host) || is_odd(target), "rule: good parts make a URL");
        return;
    };
    assert_eq!(InstanceUrl::parse(url.as_str()).as_ref(), Ok(&url), "rule: what is built can be read");
    assert_eq!((url.role(), &*url.host()), (role, host), "rule: what is put in is had");
    assert_eq!(url.port(), port.to_string(), "rule: what is put in is had");
    if !key.is_empty() {
        assert_eq!(url.tunnel_key().expose(), key.as_bytes(), "rule: what is put in is had");
    }
    let had: Vec<_> =
        url.parameters().map(|pair| (pair.name().into_owned(), pair.value().into_owned())).collect();
    assert_eq!(had, parameters, "rule: what is put in is had");
    for (name, _) in parameters {
        builder = builder.remove(&name);
    }
    let bare = builder.build().expect("it was one before");
    assert_eq!(bare.parameters().count(), 0, "rule: what is removed is gone");
    instance(url.as_str());
}

/// The key of the tunnel shows nowhere but in the text itself.
fn secret(text: &str) {
    let Some((scheme, rest)) = text.split_once("://") else { return };
    if find_secret(text).is_some() {
        return;
    }
    let Ok(url) = InstanceUrl::parse(&format!("{scheme}://{}@{rest}", marked(1))) else { return };
    let mut shown = format!("{url:?} {} {:?} {:?}", url.redacted(), url.tunnel_key(), url.to_builder());
    for rules in [Rules::Document, Rules::Release(Release::V1_6_0), Rules::Release(Release::V2_0_0_B10)] {
        shown += &format!("{:?}{:?}{:?}", url.effective(rules), url.check(rules), url.explain(rules));
    }
    assert_eq!(find_secret(&shown), None, "rule: the key does not show; {shown}");
}

fn masters() -> [Inherited; 2] {
    let mut files = Inherited::default();
    files.log = "info".to_owned();
    files.tls = TlsMode::Files;
    files.crt = "/a b".to_owned();
    files.key = "&".to_owned();
    [Inherited::default(), files]
}

fn rules() -> impl Iterator<Item = Rules> {
    let releases = [
        Release::new(0, 1, 0),
        Release::new(1, 3, 0),
        Release::V1_6_0,
        Release::new(1, 7, 0),
        Release::new(1, 8, 2),
        Release::new(1, 11, 0),
        Release::V1_14_0,
        Release::V2_0_0_B10,
    ];
    [Rules::Document].into_iter().chain(releases.into_iter().map(Rules::Release))
}
