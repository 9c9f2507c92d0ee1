//! What it takes to make an instance again.

use crate::wire::{CreateInstance, Instance, InstanceId, PatchInstance};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instance as an application may keep it, to make it again on this master or another. Serialize and keep it like a
/// key: the URL holds the tunnel's. `Debug` hides the URL.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "records are written as struct literals")]
pub struct InstanceRecord {
    /// Its id; a new instance gets another.
    pub id: InstanceId,
    /// Its URL.
    pub url: Box<str>,
    /// Its name; empty if it has none.
    #[serde(default)]
    pub alias: Box<str>,
    /// Whether it is started with the master.
    #[serde(default)]
    pub restart: Option<bool>,
}

impl InstanceRecord {
    /// Returns the request that makes it again. Masters before 1.13 ignore the alias in it.
    #[must_use]
    pub fn create(&self) -> CreateInstance {
        CreateInstance { url: self.url.clone(), alias: self.alias(), ..CreateInstance::default() }
    }

    /// Returns the request that gives a new instance what masters do not take when they make it. `None` if there is nothing.
    #[must_use]
    pub fn patch(&self) -> Option<PatchInstance> {
        let patch = PatchInstance { alias: self.alias(), restart: self.restart, ..PatchInstance::default() };
        (patch != PatchInstance::default()).then_some(patch)
    }

    fn alias(&self) -> Option<Box<str>> {
        Some(&self.alias).filter(|alias| !alias.is_empty()).cloned()
    }
}

impl From<&Instance> for InstanceRecord {
    fn from(instance: &Instance) -> Self {
        Self {
            id: instance.id.clone(),
            url: instance.url.clone(),
            alias: instance.alias().unwrap_or_default().into(),
            restart: instance.restart,
        }
    }
}

impl fmt::Debug for InstanceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceRecord({} {:?}, {} bytes of URL)", self.id, self.alias, self.url.len())
    }
}
