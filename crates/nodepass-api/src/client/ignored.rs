//! What was asked for and did not happen, although the answer is a good one. §3, §7.

use super::Call;
use crate::wire::{Action, Instance, Meta, PatchInstance, Peer, Status};
use crate::{Capability, Release};
use std::borrow::Cow;

/// Something that was asked for and did not happen, although the master gives no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// The instance has another alias: the release does not take one here, or the new one is empty, which changes nothing.
    #[error("the alias was not set")]
    Alias,
    /// It has another policy: the release does not know any.
    #[error("the restart policy was not set")]
    Restart,
    /// It has other labels or another peer: the release does not know any.
    #[error("labels and peer were not set")]
    Meta,
    /// Its URL means something else than what was sent.
    #[error("the URL was not taken as it is")]
    Url,
    /// The action has no effect, or not the one that it should have.
    #[error("the action has no effect: {0}")]
    Action(ActionProblem),
}

/// Why an action has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ActionProblem {
    /// The release does not know it.
    #[error("the release does not know it")]
    Unknown,
    /// The instance runs already.
    #[error("it runs already")]
    Running,
    /// The instance is stopped already.
    #[error("it is stopped already")]
    Stopped,
    /// The instance has failed, and this release starts only what is stopped (1.11 and later), or stops only what runs (1.6):
    /// restart it.
    #[error("it has failed; restart it")]
    Failed,
    /// The counters come back with the next report, since releases before 1.8.2 forget a reset while the instance runs.
    #[error("the counters of a running instance come back")]
    ComesBack,
}

impl Ignored {
    /// Compares an answer with what was asked for. `before` is the instance's status as it was known when the call was made.
    pub(super) fn find(
        call: &Call,
        answer: &Instance,
        before: Option<&Status>,
        release: Option<Release>,
    ) -> Vec<Self> {
        let mut ignored = Vec::new();
        match call {
            Call::Create(create) => {
                Self::find_alias(create.alias.as_deref(), answer, &mut ignored);
                if !means_the_same(&create.url, &answer.url) {
                    ignored.push(Self::Url);
                }
            }
            Call::Put(_, put) if !means_the_same(&put.url, &answer.url) => ignored.push(Self::Url),
            Call::Patch(_, patch) => {
                Self::find_alias(patch.alias.as_deref(), answer, &mut ignored);
                if patch.restart.is_some() && patch.restart != answer.restart {
                    ignored.push(Self::Restart);
                }
                if patch.meta.as_ref().is_some_and(|meta| !is_set(meta, answer)) {
                    ignored.push(Self::Meta);
                }
                ignored.extend(action_problem(patch, answer, before, release).map(Self::Action));
            }
            _ => {}
        }
        ignored
    }

    fn find_alias(asked: Option<&str>, answer: &Instance, ignored: &mut Vec<Self>) {
        if asked.is_some_and(|asked| asked != answer.alias.as_deref().unwrap_or_default()) {
            ignored.push(Self::Alias);
        }
    }
}

/// The peer is replaced as a whole, and so are the tags.
fn is_set(asked: &Meta, answer: &Instance) -> bool {
    fn parts(peer: &Peer) -> [&str; 3] {
        [&peer.sid, &peer.kind, &peer.alias].map(|part| part.as_deref().unwrap_or_default())
    }
    let answer = answer.meta.clone().unwrap_or_default();
    let has_peer =
        asked.peer.as_ref().is_none_or(|asked| parts(asked) == answer.peer.as_ref().map_or([""; 3], parts));
    let has_tags = asked.tags.as_ref().is_none_or(|asked| *asked == answer.tags.clone().unwrap_or_default());
    has_peer && has_tags
}

/// An action takes its time: the answer shows the instance as it was before, except when the action was quick.
fn action_problem(
    patch: &PatchInstance,
    answer: &Instance,
    before: Option<&Status>,
    release: Option<Release>,
) -> Option<ActionProblem> {
    let word = patch.action.as_deref().filter(|word| !word.is_empty())?;
    // Releases before 1.8.2 take any word for a good one.
    let Ok(action) = word.parse::<Action>() else { return Some(ActionProblem::Unknown) };
    let can = |capability| release.map(|release| release.can(capability));
    let was = |status: Status| answer.status == status && before.is_none_or(|before| *before == status);
    let is_known = match action {
        Action::Reset => can(Capability::Reset),
        Action::Start | Action::Stop | Action::Restart => can(Capability::Patch),
    };
    if is_known == Some(false) {
        return Some(ActionProblem::Unknown);
    }
    match action {
        Action::Start if was(Status::Running) => Some(ActionProblem::Running),
        Action::Start if was(Status::Error) && can(Capability::StartFromStoppedOnly) == Some(true) => {
            Some(ActionProblem::Failed)
        }
        Action::Stop if was(Status::Stopped) => Some(ActionProblem::Stopped),
        Action::Stop if was(Status::Error) && can(Capability::StopFromError) == Some(false) => {
            Some(ActionProblem::Failed)
        }
        Action::Reset if answer.status == Status::Running && can(Capability::ResetHolds) == Some(false) => {
            Some(ActionProblem::ComesBack)
        }
        _ => None,
    }
}

/// What a master may add to a URL, or put in the place of an empty value. §6.
const ADDED: [&[u8]; 4] = [b"log", b"tls", b"crt", b"key"];

/// Whether a master's form of a URL means what was sent: other escapes, another order of parameters and those that it hands
/// down to its instances do not matter.
fn means_the_same(asked: &str, answer: &str) -> bool {
    let (asked, answer) = (Parts::of(asked), Parts::of(answer));
    let is_added = |name: &[u8], value: &[u8]| ADDED.contains(&name) && !value.is_empty();
    let is_kept = |(name, value): &Pair<'_>| {
        answer.query.contains(&(name.clone(), value.clone()))
            || value.is_empty()
                && answer.query.iter().any(|(other, value)| other == name && is_added(name, value))
    };
    let is_expected = |(name, value): &Pair<'_>| {
        asked.query.contains(&(name.clone(), value.clone()))
            || is_added(name, value)
                && !asked.query.iter().any(|(other, value)| other == name && !value.is_empty())
    };
    asked.head == answer.head && asked.query.iter().all(is_kept) && answer.query.iter().all(is_expected)
}

/// A name and a value.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A URL as far as it has to be taken apart to be compared.
struct Parts<'a> {
    head: Vec<u8>,
    query: Vec<Pair<'a>>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let url = url.split('#').next().unwrap_or_default();
        let (head, query) = url.split_once('?').unwrap_or((url, ""));
        let mut head = decoded(head.as_bytes()).into_owned();
        if let Some(end) = head.iter().position(|&byte| byte == b':') {
            head[..end].make_ascii_lowercase();
        }
        let pair = |pair: &'a str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decoded(name), form_decoded(value))
        };
        Self { head, query: query.split('&').filter(|text| !text.is_empty()).map(pair).collect() }
    }
}

fn form_decoded(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        return Cow::Owned(decoded(&spaced).into_owned());
    }
    decoded(text.as_bytes())
}

/// Broken escapes stay.
fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::InstanceId;

    #[test]
    fn urls_are_compared_by_what_they_mean() {
        for (asked, answer) in [
            ("server://:1/t:2", "server://:1/t:2"),
            ("SERVER://:1/t:2", "server://:1/t:2?log=info&tls=1"),
            ("server://k%2fy@:1/t:2?mode=1&log=", "server://k%2Fy@:1/t:2?log=warn&mode=1"),
            ("client://h:1/a b:2?x", "client://h:1/a%20b:2?x="),
            ("client://h:1/t:2?read=1%2b1&a=b+c&", "client://h:1/t:2?a=b+c&read=1%2B1"),
            ("server://:1/t:2?tls=1", "server://:1/t:2?crt=%2Fc&key=%2Fk&tls=1"),
        ] {
            assert!(means_the_same(asked, answer), "{asked} {answer}");
        }
        for (asked, answer) in [
            ("server://:1/t:2", "server://:1/t:3"),
            ("server://:1/t:2?mode=1", "server://:1/t:2"),
            ("server://:1/t:2?log=debug", "server://:1/t:2?log=info"),
            ("server://:1/t:2", "server://:1/t:2?mode=1"),
            ("server://:1/t:2?a=%zz", "server://:1/t:2"),
            ("server://:1/t:2", "client://:1/t:2"),
        ] {
            assert!(!means_the_same(asked, answer), "{asked} {answer}");
        }
    }

    fn patch(action: Action, status: Status, before: Option<Status>, release: Release) -> Vec<Ignored> {
        let call = Call::Patch(InstanceId::new("a"), PatchInstance::action(action));
        let answer = Instance { status, ..Instance::default() };
        Ignored::find(&call, &answer, before.as_ref(), Some(release))
    }

    #[test]
    fn actions_without_effect_are_found_by_status_and_release() {
        use ActionProblem::{ComesBack, Failed, Running, Stopped, Unknown};
        let old = Release::new(1, 4, 0);
        for (action, status, before, release, expected) in [
            (Action::Start, Status::Running, None, Release::V1_6_0, Some(Running)),
            // It was quick.
            (Action::Start, Status::Running, Some(Status::Stopped), Release::V1_6_0, None),
            (Action::Start, Status::Error, None, Release::V1_10_0, None),
            (Action::Start, Status::Error, None, Release::V1_14_0, Some(Failed)),
            (Action::Stop, Status::Stopped, None, Release::V1_14_0, Some(Stopped)),
            (Action::Stop, Status::Error, Some(Status::Error), Release::V1_6_0, Some(Failed)),
            (Action::Stop, Status::Error, None, Release::V1_10_0, None),
            (Action::Restart, Status::Error, None, Release::V1_6_0, None),
            (Action::Reset, Status::Running, None, Release::V1_6_0, Some(ComesBack)),
            (Action::Reset, Status::Stopped, None, Release::V1_6_0, None),
            (Action::Reset, Status::Running, None, Release::V1_10_0, None),
            (Action::Reset, Status::Running, None, Release::new(1, 5, 0), Some(Unknown)),
            (Action::Start, Status::Stopped, None, old, Some(Unknown)),
        ] {
            let expected: Vec<Ignored> = expected.into_iter().map(Ignored::Action).collect();
            assert_eq!(
                patch(action, status.clone(), before, release),
                expected,
                "{action} {status} {release}"
            );
        }
    }

    #[test]
    fn members_that_were_not_set_are_found() {
        let meta = Meta {
            peer: Some(Peer { sid: Some("s".into()), ..Peer::default() }),
            tags: Some([("a".into(), "b".into())].into()),
            ..Meta::default()
        };
        let asked = PatchInstance {
            alias: Some("".into()),
            restart: Some(true),
            meta: Some(meta.clone()),
            ..PatchInstance::default()
        };
        let call = Call::Patch(InstanceId::new("a"), asked);
        let named = Instance { alias: Some("old".into()), ..Instance::default() };
        assert_eq!(
            Ignored::find(&call, &named, None, None),
            [Ignored::Alias, Ignored::Restart, Ignored::Meta]
        );
        let full = Meta {
            peer: Some(Peer {
                sid: Some("s".into()),
                kind: Some("".into()),
                alias: Some("".into()),
                ..Peer::default()
            }),
            ..meta
        };
        let set = Instance { restart: Some(true), meta: Some(full), ..Instance::default() };
        assert_eq!(Ignored::find(&call, &set, None, None), []);
    }
}
