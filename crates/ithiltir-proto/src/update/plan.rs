//! The decision over one round's manifests.

use crate::wire::Manifest;

/// What one round's manifests lead to. Validation comes after it: an invalid manifest takes part in conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a plan has these four outcomes")]
pub enum Plan {
    /// No manifest came.
    Nothing,
    /// Only manifests of the current version came.
    Current,
    /// Two manifests differ; nothing is done.
    Conflict,
    /// Follow the manifest with this place in the list.
    Apply(usize),
}

impl Plan {
    /// Decides over the manifests of one round, in order.
    ///
    /// Manifests whose trimmed version is the trimmed current one are set aside first, unless it is blank. The first
    /// of the others is chosen; all others must equal it in all five members, byte for byte.
    ///
    /// The original takes them in the order of their arrival, so that chance decides whose key a download carries;
    /// the node machine passes them in the order of its targets.
    #[must_use]
    pub fn decide<'a>(current_version: &str, manifests: impl IntoIterator<Item = &'a Manifest>) -> Self {
        let current = current_version.trim();
        let mut selected: Option<(usize, &Manifest)> = None;
        let mut outcome = Self::Nothing;
        for (place, manifest) in manifests.into_iter().enumerate() {
            let version = manifest.version.trim();
            if !version.is_empty() && version == current {
                if outcome == Self::Nothing {
                    outcome = Self::Current;
                }
                continue;
            }
            match selected {
                None => {
                    selected = Some((place, manifest));
                    outcome = Self::Apply(place);
                }
                Some((_, first)) if first == manifest => {}
                Some(_) => return Self::Conflict,
            }
        }
        outcome
    }
}
