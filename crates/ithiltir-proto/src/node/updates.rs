//! The update under way, and what is known about earlier ones.

use super::{Config, KeyScope, Update, UpdateDecision};
use crate::Target;
use crate::endpoint::Endpoint;
use crate::update::{Download, Installation, ManifestRules, Plan, ValidManifest};
use crate::wire::Manifest;
use web_time::Instant;

pub(super) struct Updates {
    under_way: Option<Manifest>,
    /// The manifest whose update failed last, and until when it is left alone; `None` is for ever.
    failed: Option<(Manifest, Option<Instant>)>,
    said_current: bool,
}

/// A manifest that passed every check.
pub(super) struct Ready {
    manifest: ValidManifest,
    installation: Installation,
}

impl Updates {
    pub(super) fn new() -> Self {
        Self { under_way: None, failed: None, said_current: false }
    }

    /// Decides over the offers of a round; `None` if there is nothing to say. What is ready has to be started, with
    /// the target that offered it.
    pub(super) fn decide(
        &mut self,
        config: &Config,
        offers: &[(usize, Manifest)],
        now: Instant,
    ) -> Option<(UpdateDecision, Option<(usize, Ready)>)> {
        match Plan::decide(&config.version, offers.iter().map(|(_, manifest)| manifest)) {
            Plan::Nothing => None,
            Plan::Current if std::mem::replace(&mut self.said_current, true) => None,
            Plan::Current => Some((UpdateDecision::SkipCurrent, None)),
            Plan::Conflict => Some((UpdateDecision::SkipConflict, None)),
            Plan::Apply(place) => {
                let (target, manifest) = &offers[place];
                Some(match self.check(config, manifest, now) {
                    Err(refusal) => (refusal, None),
                    Ok(ready) => {
                        self.under_way = Some(manifest.clone());
                        (UpdateDecision::Apply(manifest.clone()), Some((*target, ready)))
                    }
                })
            }
        }
    }

    fn check(&self, config: &Config, manifest: &Manifest, now: Instant) -> Result<Ready, UpdateDecision> {
        let Some(layout) = &config.update.layout else {
            return Err(UpdateDecision::IgnoredUnmanaged(manifest.clone()));
        };
        let failed_lately = self.failed.as_ref().is_some_and(|(failed, until)| {
            same_file(failed, manifest) && until.is_none_or(|until| now < until)
        });
        if self.under_way.is_some() || failed_lately {
            return Err(UpdateDecision::NotNow(manifest.clone()));
        }
        let rules = ManifestRules { downgrade: config.update.downgrade, require_https: config.require_https };
        let valid = ValidManifest::new(manifest, &config.version, rules)
            .map_err(|error| UpdateDecision::Invalid(manifest.clone(), error))?;
        let installation = layout
            .installation(&valid, config.update.restart, config.update.unique)
            .ok_or_else(|| UpdateDecision::AlreadyActive(manifest.clone()))?;
        Ok(Ready { manifest: valid, installation })
    }

    /// Ends the update under way; returns its version.
    pub(super) fn ended(&mut self, success: bool, retry_at: Option<Instant>) -> Option<String> {
        let manifest = self.under_way.take()?;
        let version = manifest.version.clone();
        self.failed = (!success).then_some((manifest, retry_at));
        Some(version)
    }
}

/// Whether two manifests promise the same file; name and URL, which may hold a new token each time, do not count.
fn same_file(a: &Manifest, b: &Manifest) -> bool {
    (&a.version, &a.sha256, a.size) == (&b.version, &b.sha256, b.size)
}

impl Ready {
    pub(super) fn into_update(self, target: &Target, config: &Config) -> Update {
        let Self { manifest, installation } = self;
        let may_have_key =
            config.update.key_scope == KeyScope::Anywhere || manifest.url.same_origin(target.url());
        let key = may_have_key.then(|| target.key());
        let request = Endpoint::new(&manifest.url, key, &config.user_agent)
            .expect("a valid manifest's URL can be asked for")
            .get();
        Update { request, download: Download::new(&manifest), manifest, installation }
    }
}
