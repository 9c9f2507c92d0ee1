//! The state of the flows.

use super::notification::{MissingModule, flag};
use super::{further, number, text, words};
use crate::wire::{Json, JsonRef, Members, object_of};

/// Data of `notification/runtime-state`: what the flows do, and why not. `{}` clears an earlier warning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeState {
    /// What the flows do (3.0 and later).
    pub state: Option<FlowState>,
    /// Whether a deploy has led to it.
    pub deploy: Option<bool>,
    /// Why the flows do not run.
    pub error: Option<RuntimeError>,
    /// How bad it is.
    pub kind: Option<NoticeKind>,
    /// A key for what an editor shows as a banner, until one without text comes.
    pub text: Option<String>,
    /// Node types that are missing.
    pub types: Option<Vec<String>>,
    /// Modules that are missing.
    pub modules: Option<Vec<MissingModule>>,
    /// The project it is about.
    pub project: Option<String>,
    /// How long a banner stays, in ms; without, until it is taken away.
    pub timeout: Option<f64>,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

words! {
    /// What the flows do.
    FlowState {
        /// They run.
        Start = "start",
        /// They do not.
        Stop = "stop",
        /// They were not started, since the runtime is in safe mode.
        Safe = "safe",
    }
}

words! {
    /// Why flows do not run.
    RuntimeError {
        /// The credentials cannot be decrypted.
        CredentialsLoadFailed = "credentials_load_failed",
        /// The flows use node types that are not there.
        MissingTypes = "missing-types",
        /// Function nodes use modules that cannot be had.
        MissingModules = "missing-modules",
        /// The project is in the middle of a merge.
        GitMergeConflict = "git_merge_conflict",
        /// The project names no flow file.
        MissingFlowFile = "missing_flow_file",
        /// The project has no package file.
        MissingPackageFile = "missing_package_file",
        /// The project is empty.
        ProjectEmpty = "project_empty",
        /// The project is not there.
        ProjectNotFound = "project_not_found",
        /// The runtime is in safe mode.
        SafeMode = "safe-mode",
    }
}

words! {
    /// How bad it is what a banner says.
    NoticeKind {
        /// To be known.
        Warning = "warning",
        /// To be mended.
        Error = "error",
        /// Well done.
        Success = "success",
    }
}

impl RuntimeState {
    pub(super) fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            state: members.text("state").map(|state| FlowState::from(state.as_str())),
            deploy: members.bool("deploy"),
            error: members.text("error").map(|error| RuntimeError::from(error.as_str())),
            kind: members.text("type").map(|kind| NoticeKind::from(kind.as_str())),
            text: members.text("text"),
            types: members.take("types", |types| types.decode().ok()),
            modules: members.take("modules", MissingModule::list),
            project: members.text("project"),
            timeout: members.take("timeout", JsonRef::as_f64),
            further: members.rest(),
        })
    }

    pub(super) fn encode(&self) -> Json {
        let modules = |modules: &Vec<MissingModule>| {
            Json::encode(&modules.iter().map(MissingModule::encode).collect::<Vec<_>>()).ok()
        };
        let own = [
            ("state", self.state.as_ref().map(FlowState::json)),
            ("deploy", self.deploy.map(flag)),
            ("error", self.error.as_ref().map(RuntimeError::json)),
            ("type", self.kind.as_ref().map(NoticeKind::json)),
            ("text", text(self.text.as_ref())),
            ("types", self.types.as_ref().and_then(|types| Json::encode(types).ok())),
            ("modules", self.modules.as_ref().and_then(modules)),
            ("project", text(self.project.as_ref())),
            ("timeout", self.timeout.map(number)),
        ];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}
