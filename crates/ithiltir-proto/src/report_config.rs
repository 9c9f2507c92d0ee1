//! The node's report configuration file, as serde types.
//!
//! Reading and writing the file (YAML, permissions `0600`, a temporary file renamed into place) is the program's.

use crate::{Secret, Target, TargetError, Url, UrlError};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// The contents of the configuration file. Unknown members are refused.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the file has these members")]
pub struct ReportConfig {
    /// Version of the format: 1.
    pub version: FormatVersion,
    /// Where to report; missing and `null` are an empty list.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub targets: Vec<ReportTarget>,
}

/// The one version of the format: the number 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatVersion;

/// A target as it stands in the file. Values are kept untrimmed.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the file has these members")]
pub struct ReportTarget {
    /// Number of the target: above 0, unique.
    pub id: i64,
    /// The metrics URL.
    pub url: String,
    /// The node's key there; a number is taken as its text.
    pub key: Secret,
    /// The Dash's installation, once it is known; left out when empty.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub server_install_id: String,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportConfigError {
    /// A target's number is not above 0.
    #[error("target {id}: the id must be above 0")]
    Id {
        /// The number.
        id: i64,
    },
    /// Two targets have the same number.
    #[error("target {id}: the id stands twice")]
    RepeatedId {
        /// The number.
        id: i64,
    },
    /// A target's URL cannot be used.
    #[error("target {id}: {error}")]
    Url {
        /// The target's number.
        id: i64,
        /// Why.
        error: UrlError,
    },
    /// A target's key is blank.
    #[error("target {id}: the key is blank")]
    BlankKey {
        /// The target's number.
        id: i64,
    },
    /// A target's installation is white space.
    #[error("target {id}: server_install_id is blank")]
    BlankInstallId {
        /// The target's number.
        id: i64,
    },
    /// Two targets have the same installation.
    #[error("target {id}: server_install_id stands twice")]
    RepeatedInstallId {
        /// The target's number.
        id: i64,
    },
    /// There is no target with this number.
    #[error("there is no target {id}")]
    UnknownTarget {
        /// The number.
        id: i64,
    },
}

impl ReportConfig {
    /// The permissions that the file must have on Unix, exactly.
    pub const MODE: u32 = 0o600;
    /// The environment variable that names the file.
    pub const VARIABLE: &str = "ITHILTIR_NODE_REPORT_CONFIG";

    /// Returns where the file is, unless [`VARIABLE`](Self::VARIABLE) names another place.
    #[must_use]
    pub fn default_path(os: &str, data_directory: &str) -> String {
        let separator = if os == "windows" { '\\' } else { '/' };
        format!("{data_directory}{separator}report.yaml")
    }

    /// Applies the rules for loading.
    ///
    /// # Errors
    /// The first target that breaks one, see [`ReportConfigError`].
    pub fn validate(&self) -> Result<(), ReportConfigError> {
        let (mut ids, mut installations) = (BTreeSet::new(), BTreeSet::new());
        for target in &self.targets {
            let id = target.id;
            if id <= 0 {
                return Err(ReportConfigError::Id { id });
            }
            if !ids.insert(id) {
                return Err(ReportConfigError::RepeatedId { id });
            }
            Url::parse(&target.url)
                .and_then(|url| url.check_configured())
                .map_err(|error| ReportConfigError::Url { id, error })?;
            if target.key.is_blank() {
                return Err(ReportConfigError::BlankKey { id });
            }
            let installation = target.server_install_id.trim();
            if installation.is_empty() && !target.server_install_id.is_empty() {
                return Err(ReportConfigError::BlankInstallId { id });
            }
            if !installation.is_empty() && !installations.insert(installation) {
                return Err(ReportConfigError::RepeatedInstallId { id });
            }
        }
        Ok(())
    }

    /// Returns the targets, ready to be used.
    ///
    /// # Errors
    /// The place, counted from 0, of the first target that cannot be used, and why.
    pub fn to_targets(&self) -> Result<Vec<Target>, (usize, TargetError)> {
        let ready = |(place, target): (usize, &ReportTarget)| {
            Target::new(&target.url, &target.key).map_err(|error| (place, error))
        };
        self.targets.iter().enumerate().map(ready).collect()
    }

    /// Gives a target another key.
    ///
    /// # Errors
    /// [`ReportConfigError::UnknownTarget`] or [`ReportConfigError::BlankKey`]; nothing changes then.
    pub fn set_key(&mut self, id: i64, key: &Secret) -> Result<(), ReportConfigError> {
        if key.is_blank() {
            return Err(ReportConfigError::BlankKey { id });
        }
        let target = self.targets.iter_mut().find(|target| target.id == id);
        target.ok_or(ReportConfigError::UnknownTarget { id })?.key = key.trimmed();
        Ok(())
    }

    /// Removes a target.
    ///
    /// # Errors
    /// [`ReportConfigError::UnknownTarget`]; nothing changes then.
    pub fn remove(&mut self, id: i64) -> Result<(), ReportConfigError> {
        let place = self.targets.iter().position(|target| target.id == id);
        self.targets.remove(place.ok_or(ReportConfigError::UnknownTarget { id })?);
        Ok(())
    }

    /// Returns the number for a further target: one above the highest, 1 for the first; `None` if there is none left.
    #[must_use]
    pub fn next_id(&self) -> Option<i64> {
        self.targets.iter().map(|target| target.id).max().map_or(Some(1), |id| id.checked_add(1))
    }
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl fmt::Debug for ReportTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportTarget")
            .field("id", &self.id)
            .field("url", &crate::wire::redact_url(&self.url))
            .field("key", &self.key)
            .field("server_install_id", &self.server_install_id)
            .finish()
    }
}

impl Serialize for FormatVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for FormatVersion {
    /// `1` and `1.0` pass; `"1"` does not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl Visitor<'_> for One {
            type Value = FormatVersion;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number 1")
            }
            fn visit_u64<E: serde::de::Error>(self, version: u64) -> Result<FormatVersion, E> {
                if version == 1 { Ok(FormatVersion) } else { Err(E::custom("unknown version of the format")) }
            }
            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<FormatVersion, E> {
                Err(E::custom("unknown version of the format"))
            }
            fn visit_f64<E: serde::de::Error>(self, version: f64) -> Result<FormatVersion, E> {
                self.visit_u64(if version == 1.0 { 1 } else { 0 })
            }
        }
        deserializer.deserialize_any(One)
    }
}
