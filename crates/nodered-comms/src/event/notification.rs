//! News of the runtime.

use super::runtime_state::{NoticeKind, RuntimeState};
use super::{further, number, text, words};
use crate::wire::{Json, JsonRef, Members, object_of};

/// A message of topic `notification/<id>`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notification {
    /// `runtime-state`: what the flows do.
    RuntimeState(RuntimeState),
    /// `runtime-deploy`: flows were deployed, also at start.
    RuntimeDeploy {
        /// The revision, in hexadecimal digits.
        revision: Option<String>,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `runtime-redeploy`: the same under the document's name, which no known runtime uses.
    RuntimeRedeploy {
        /// The revision, in hexadecimal digits.
        revision: Option<String>,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `node/added`
    NodeAdded(Vec<NodeSet>),
    /// `node/removed`
    NodeRemoved(Vec<NodeSet>),
    /// `node/enabled`
    NodeEnabled(NodeSet),
    /// `node/disabled`
    NodeDisabled(NodeSet),
    /// `node/upgraded`
    NodeUpgraded {
        /// The module.
        module: String,
        /// Its new version.
        version: String,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `plugin/added`: sets of plugins. 4.0 and later.
    PluginAdded(Vec<NodeSet>),
    /// `project-update`: the project was changed and is to be read anew.
    ProjectUpdate {
        /// The project.
        project: Option<String>,
        /// What was done.
        action: Option<ProjectAction>,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `restart-required`: the runtime is to be restarted by hand; without text no longer.
    RestartRequired(Notice),
    /// `runtime-unsupported-version`: the Node.js is too old.
    UnsupportedVersion(Notice),
    /// `update-available`: there is a newer Node-RED. 4.1 and later.
    UpdateAvailable {
        /// Its version.
        version: String,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// Any other.
    #[non_exhaustive]
    Other {
        /// What comes after `notification/`.
        id: String,
        /// The data.
        data: Json,
    },
}

/// Members of no known name.
type Further = Vec<(String, Json)>;

/// A banner of an editor; one without text takes it away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notice {
    /// How bad it is.
    pub kind: Option<NoticeKind>,
    /// A key for what is shown.
    pub text: Option<String>,
    /// How long it stays, in ms; without, until it is taken away.
    pub timeout: Option<f64>,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

/// A set of nodes or plugins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSet {
    /// `<module>/<set>`.
    pub id: String,
    /// Name of the set.
    pub name: Option<String>,
    /// The node types in it.
    pub types: Option<Vec<String>>,
    /// Whether it can be used.
    pub enabled: Option<bool>,
    /// Whether it belongs to the runtime's user.
    pub local: Option<bool>,
    /// Whether it was installed by the user.
    pub user: Option<bool>,
    /// The module it comes from.
    pub module: Option<String>,
    /// Version of the module.
    pub version: Option<String>,
    /// Members of no known name: `loaded`, `err`, `pending_version`, of plugins `plugins`, `editor`, `runtime`.
    pub further: Vec<(String, Json)>,
}

/// A module that is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MissingModule {
    /// Its name.
    pub module: String,
    /// Why it cannot be had.
    pub error: Option<String>,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

words! {
    /// What was done to a project.
    ProjectAction {
        /// It was loaded.
        Loaded = "loaded",
        /// Its settings were changed.
        Updated = "updated",
        /// It was pulled.
        Pull = "pull",
        /// Files were reverted.
        Revert = "revert",
        /// Another branch was chosen.
        ChangeBranch = "change-branch",
        /// A merge was given up.
        MergeAbort = "merge-abort",
        /// A merge was completed.
        MergeComplete = "merge-complete",
    }
}

impl Notification {
    pub(super) fn decode(id: &str, data: JsonRef<'_>) -> Option<Self> {
        let known = match id {
            "runtime-state" => RuntimeState::decode(data).map(Self::RuntimeState),
            "runtime-deploy" => {
                revision(data).map(|(revision, further)| Self::RuntimeDeploy { revision, further })
            }
            "runtime-redeploy" => {
                revision(data).map(|(revision, further)| Self::RuntimeRedeploy { revision, further })
            }
            "node/added" => NodeSet::list(data).map(Self::NodeAdded),
            "node/removed" => NodeSet::list(data).map(Self::NodeRemoved),
            "node/enabled" => NodeSet::decode(data).map(Self::NodeEnabled),
            "node/disabled" => NodeSet::decode(data).map(Self::NodeDisabled),
            "node/upgraded" => upgraded(data),
            "plugin/added" => NodeSet::list(data).map(Self::PluginAdded),
            "project-update" => project_update(data),
            "restart-required" => Notice::decode(data).map(Self::RestartRequired),
            "runtime-unsupported-version" => Notice::decode(data).map(Self::UnsupportedVersion),
            "update-available" => update_available(data),
            _ => None,
        };
        Some(known.unwrap_or_else(|| Self::Other { id: id.to_owned(), data: data.to_json() }))
    }

    /// Makes a notification of any id.
    #[must_use]
    pub fn from_parts(id: &str, data: JsonRef<'_>) -> Self {
        Self::decode(id, data).unwrap_or_else(|| Self::Other { id: id.to_owned(), data: data.to_json() })
    }

    /// Returns what comes after `notification/`.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::RuntimeState(_) => "runtime-state",
            Self::RuntimeDeploy { .. } => "runtime-deploy",
            Self::RuntimeRedeploy { .. } => "runtime-redeploy",
            Self::NodeAdded(_) => "node/added",
            Self::NodeRemoved(_) => "node/removed",
            Self::NodeEnabled(_) => "node/enabled",
            Self::NodeDisabled(_) => "node/disabled",
            Self::NodeUpgraded { .. } => "node/upgraded",
            Self::PluginAdded(_) => "plugin/added",
            Self::ProjectUpdate { .. } => "project-update",
            Self::RestartRequired(_) => "restart-required",
            Self::UnsupportedVersion(_) => "runtime-unsupported-version",
            Self::UpdateAvailable { .. } => "update-available",
            Self::Other { id, .. } => id,
        }
    }

    /// Whether a runtime retains it.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        let retained = [
            "runtime-state",
            "runtime-deploy",
            "runtime-redeploy",
            "restart-required",
            "runtime-unsupported-version",
            "update-available",
        ];
        retained.contains(&self.id())
    }

    /// Returns the data.
    #[must_use]
    pub fn encode(&self) -> Json {
        match self {
            Self::RuntimeState(state) => state.encode(),
            Self::RuntimeDeploy { revision, further: rest }
            | Self::RuntimeRedeploy { revision, further: rest } => {
                object_of([("revision", text(revision.as_ref()))].into_iter().chain(further(rest)))
            }
            Self::NodeAdded(sets) | Self::NodeRemoved(sets) | Self::PluginAdded(sets) => {
                let sets: Vec<Json> = sets.iter().map(NodeSet::encode).collect();
                Json::encode(&sets).unwrap_or_else(|_| Json::null())
            }
            Self::NodeEnabled(set) | Self::NodeDisabled(set) => set.encode(),
            Self::NodeUpgraded { module, version, further: rest } => {
                let own = [("module", text(Some(module))), ("version", text(Some(version)))];
                object_of(own.into_iter().chain(further(rest)))
            }
            Self::ProjectUpdate { project, action, further: rest } => {
                let own = [
                    ("project", text(project.as_ref())),
                    ("action", action.as_ref().map(ProjectAction::json)),
                ];
                object_of(own.into_iter().chain(further(rest)))
            }
            Self::RestartRequired(notice) | Self::UnsupportedVersion(notice) => notice.encode(),
            Self::UpdateAvailable { version, further: rest } => {
                object_of([("version", text(Some(version)))].into_iter().chain(further(rest)))
            }
            Self::Other { data, .. } => data.clone(),
        }
    }
}

fn revision(data: JsonRef<'_>) -> Option<(Option<String>, Further)> {
    let mut members = Members::of(data)?;
    Some((members.text("revision"), members.rest()))
}

fn upgraded(data: JsonRef<'_>) -> Option<Notification> {
    let mut members = Members::of(data)?;
    Some(Notification::NodeUpgraded {
        module: members.text("module")?,
        version: members.text("version")?,
        further: members.rest(),
    })
}

fn project_update(data: JsonRef<'_>) -> Option<Notification> {
    let mut members = Members::of(data)?;
    Some(Notification::ProjectUpdate {
        project: members.text("project"),
        action: members.text("action").map(|action| ProjectAction::from(action.as_str())),
        further: members.rest(),
    })
}

fn update_available(data: JsonRef<'_>) -> Option<Notification> {
    let mut members = Members::of(data)?;
    Some(Notification::UpdateAvailable { version: members.text("version")?, further: members.rest() })
}

impl Notice {
    fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            kind: members.text("type").map(|kind| NoticeKind::from(kind.as_str())),
            text: members.text("text"),
            timeout: members.take("timeout", JsonRef::as_f64),
            further: members.rest(),
        })
    }

    fn encode(&self) -> Json {
        let own = [
            ("type", self.kind.as_ref().map(|kind| Json::from(kind.as_str()))),
            ("text", text(self.text.as_ref())),
            ("timeout", self.timeout.map(number)),
        ];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}

impl NodeSet {
    fn list(data: JsonRef<'_>) -> Option<Vec<Self>> {
        let sets: Vec<JsonRef<'_>> = data.decode().ok()?;
        sets.into_iter().map(Self::decode).collect()
    }

    fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            id: members.text("id")?,
            name: members.text("name"),
            types: members.take("types", |types| types.decode().ok()),
            enabled: members.bool("enabled"),
            local: members.bool("local"),
            user: members.bool("user"),
            module: members.text("module"),
            version: members.text("version"),
            further: members.rest(),
        })
    }

    fn encode(&self) -> Json {
        let own = [
            ("id", text(Some(&self.id))),
            ("name", text(self.name.as_ref())),
            ("types", self.types.as_ref().and_then(|types| Json::encode(types).ok())),
            ("enabled", self.enabled.map(flag)),
            ("local", self.local.map(flag)),
            ("user", self.user.map(flag)),
            ("module", text(self.module.as_ref())),
            ("version", text(self.version.as_ref())),
        ];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}

impl MissingModule {
    pub(super) fn list(data: JsonRef<'_>) -> Option<Vec<Self>> {
        let modules: Vec<JsonRef<'_>> = data.decode().ok()?;
        let decode = |data| {
            let mut members = Members::of(data)?;
            Some(Self {
                module: members.text("module")?,
                error: members.text("error"),
                further: members.rest(),
            })
        };
        modules.into_iter().map(decode).collect()
    }

    pub(super) fn encode(&self) -> Json {
        let own = [("module", text(Some(&self.module))), ("error", text(self.error.as_ref()))];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}

pub(super) fn flag(value: bool) -> Json {
    Json::encode(&value).unwrap_or_else(|_| Json::null())
}
