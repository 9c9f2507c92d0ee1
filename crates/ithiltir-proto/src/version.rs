//! Semantic versions with numeric parts of any length, as the Dash takes them.

use std::cmp::Ordering;

/// A strict SemVer 2 version without `v`, borrowed from its text.
///
/// Parts are compared as numbers however long they are: the original's Dash accepts `99999999999999999999.0.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    core: [&'a str; 3],
    pre_release: &'a str,
    build: &'a str,
}

/// The text is no strict SemVer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SemVer version")]
#[non_exhaustive]
pub struct VersionError;

impl<'a> Version<'a> {
    /// Parses a version, white space around it removed.
    ///
    /// # Errors
    /// [`VersionError`] for anything but `MAJOR.MINOR.PATCH[-PRE][+BUILD]`.
    pub fn parse(text: &'a str) -> Result<Self, VersionError> {
        let text = text.trim();
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (core, pre_release) = match text.split_once('-') {
            Some((core, pre_release)) => (core, Some(pre_release)),
            None => (text, None),
        };
        let mut parts = core.split('.');
        let mut part = || parts.next().filter(|part| is_number(part) && !has_leading_zero(part));
        let core = [part(), part(), part()];
        let [Some(major), Some(minor), Some(patch)] = core else {
            return Err(VersionError);
        };
        let valid = parts.next().is_none()
            && pre_release.is_none_or(|pre| {
                pre.split('.').all(|id| is_identifier(id) && !(is_number(id) && has_leading_zero(id)))
            })
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        if !valid {
            return Err(VersionError);
        }
        Ok(Self {
            core: [major, minor, patch],
            pre_release: pre_release.unwrap_or_default(),
            build: build.unwrap_or_default(),
        })
    }

    /// Compares by SemVer precedence: build metadata does not count.
    #[must_use]
    pub fn precedence(&self, other: &Version<'_>) -> Ordering {
        let core = self.core.iter().zip(other.core).map(|(a, b)| compare_numbers(a, b));
        core.fold(Ordering::Equal, Ordering::then)
            .then_with(|| compare_pre_releases(self.pre_release, other.pre_release))
    }

    /// Whether the build metadata is the same.
    #[must_use]
    pub fn same_build(&self, other: &Version<'_>) -> bool {
        self.build == other.build
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0')
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Without leading zeros the longer number is the larger one.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A version without a pre-release is above one with; numbers are below names; more parts are above fewer.
fn compare_pre_releases(a: &str, b: &str) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.is_empty().cmp(&b.is_empty());
    }
    a.split('.')
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(b.split('.').map(Some).chain(std::iter::repeat(None)))
        .map_while(|pair| match pair {
            (None, None) => None,
            (Some(a), Some(b)) => Some(match (is_number(a), is_number(b)) {
                (true, true) => compare_numbers(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            }),
            (a, b) => Some(a.is_some().cmp(&b.is_some())),
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_semver() {
        let ascending = [
            "0.0.0-0",
            "0.2.3",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.10",
            "1.2.0",
            "18446744073709551616.0.0",
            "99999999999999999999.0.0",
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (bt, b) in ascending.iter().enumerate() {
                let order = Version::parse(a).unwrap().precedence(&Version::parse(b).unwrap());
                assert_eq!(order, at.cmp(&bt), "{a} and {b}");
            }
        }
        let (a, b) = (Version::parse("1.0.0+a").unwrap(), Version::parse(" 1.0.0+b ").unwrap());
        assert_eq!(a.precedence(&b), Ordering::Equal);
        assert!(!a.same_build(&b));
    }

    #[test]
    fn anything_but_strict_semver_is_refused() {
        for text in [
            "",
            "1",
            "0.2",
            "v1.0.0",
            "0.02.3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3.4",
            "1.2.-1",
            "1.2.3-\u{e9}",
            "1. 2.3",
        ] {
            assert_eq!(Version::parse(text), Err(VersionError), "{text}");
        }
        assert!(Version::parse("1.2.3-0a.1-+001.-").is_ok());
    }
}
