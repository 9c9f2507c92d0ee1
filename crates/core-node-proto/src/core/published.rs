//! The configurations that nodes are to run.

use super::{Audience, form};
use crate::config::NodeConfig;
use crate::value::{NodeId, Revision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is published: one configuration for all nodes, and some for single ones. Before the first it is empty and has the
/// revision 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    common: Held,
    #[serde(with = "form::entries")]
    own: BTreeMap<NodeId, Held>,
    /// The greatest revision that was published, which may be that of a node that is gone.
    greatest: Revision,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Held(#[serde(with = "form::config")] Arc<NodeConfig>);

impl Published {
    /// Returns what is published if all nodes are to run the same.
    #[must_use]
    pub fn new(config: Arc<NodeConfig>) -> Self {
        Self { greatest: config.revision(), common: Held(config), own: BTreeMap::new() }
    }

    /// Returns what a node is to run.
    #[must_use]
    pub fn of(&self, node: &NodeId) -> &Arc<NodeConfig> {
        &self.own.get(node).unwrap_or(&self.common).0
    }

    /// Returns what nodes without a configuration of their own are to run.
    #[must_use]
    pub fn common(&self) -> &Arc<NodeConfig> {
        &self.common.0
    }

    /// Returns the greatest revision that was ever published.
    #[must_use]
    pub const fn greatest(&self) -> Revision {
        self.greatest
    }

    /// Takes a configuration. One whose revision is not above that of the audience is late, and changes nothing.
    pub fn set(&mut self, audience: &Audience, config: Arc<NodeConfig>) {
        let revision = config.revision();
        match audience {
            Audience::All => {
                if revision > self.common.0.revision() {
                    self.common = Held(config);
                }
                self.own.retain(|_, held| held.0.revision() > revision);
            }
            Audience::Node(node) => {
                if revision > self.of(node).revision() {
                    self.own.insert(node.clone(), Held(config));
                }
            }
        }
        self.greatest = self.greatest.max(revision);
    }

    /// Takes a node's own configuration away.
    pub fn remove(&mut self, node: &NodeId) {
        self.own.remove(node);
    }
}
