//! What the tests of instance URLs share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use nodepass_api::Release;
use nodepass_api::url::{Effective, Inherited, InstanceUrl, Role, Rules, TlsMode};

pub(crate) const RULES: [Rules; 12] = [
    Rules::Document,
    Rules::Release(Release::new(0, 1, 0)),
    Rules::Release(Release::new(1, 3, 0)),
    Rules::Release(Release::V1_6_0),
    Rules::Release(Release::new(1, 7, 0)),
    Rules::Release(Release::new(1, 8, 2)),
    Rules::Release(Release::V1_10_0),
    Rules::Release(Release::new(1, 11, 0)),
    Rules::Release(Release::new(1, 12, 0)),
    Rules::Release(Release::new(1, 13, 0)),
    Rules::Release(Release::V1_14_0),
    Rules::Release(Release::V2_0_0_B10),
];

pub(crate) fn url(text: &str) -> InstanceUrl {
    InstanceUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn release(text: &str) -> Rules {
    Rules::Release(text.parse().unwrap())
}

pub(crate) fn effective(url: &InstanceUrl, rules: Rules) -> Effective<'_> {
    url.effective(rules).unwrap()
}

pub(crate) fn with(query: &str, role: Role) -> InstanceUrl {
    url(&format!("{role}://127.0.0.1:1/127.0.0.1:2?{query}"))
}

pub(crate) fn master(log: &str, tls: TlsMode) -> Inherited {
    let mut inherited = Inherited::default();
    inherited.log = log.to_owned();
    inherited.tls = tls;
    inherited
}
