//! What the application asks for.

use super::serve::For;
use super::settle::{Effect, Pending};
use super::step::Step;
use super::{Audience, Change, CodeDigest, CommandError, Core, Directory, NodeRecord, StoreId};
use crate::Secret;
use crate::config::{ClientMap, MtprotoClientMap, NodeConfig, Services};
use crate::message::MAX_TEXT_CHARACTERS;
use crate::value::{NodeId, Revision, Timestamp, ValueError};
use std::sync::Arc;
use web_time::Instant;

/// A configuration before it has a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a configuration has these parts")]
pub struct ConfigParts {
    /// Who is behind the names that the proxies report.
    pub client_map: ClientMap,
    /// The map of old nodes.
    pub mtproto_client_map: MtprotoClientMap,
    /// What the proxies are to run.
    pub services: Services,
}

impl From<&NodeConfig> for ConfigParts {
    fn from(config: &NodeConfig) -> Self {
        Self {
            client_map: config.client_map().clone(),
            mtproto_client_map: config.mtproto_client_map().clone(),
            services: config.services().clone(),
        }
    }
}

impl Core {
    /// Publishes a configuration under a revision above all before. It is handed out when it is stored, as
    /// [`Event::Published`](super::Event::Published) tells; the nodes that it is for are pending from then on.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`], [`CommandError::NoRevision`], [`CommandError::TooManyPending`].
    pub fn publish(
        &mut self,
        parts: ConfigParts,
        audience: Audience,
        now: Instant,
    ) -> Result<Revision, CommandError> {
        self.advance(now);
        if let Audience::Node(node) = &audience {
            self.present(node)?;
        }
        let revision = self.issued.next().ok_or(CommandError::NoRevision)?;
        self.check_room()?;
        self.issued = revision;
        let ConfigParts { client_map, mtproto_client_map, services } = parts;
        let config = Arc::new(NodeConfig::new(revision, client_map, mtproto_client_map, services));
        let change = Change::Published { audience: audience.clone(), config: config.clone() };
        self.store(vec![change], Pending::new(Effect::Published { audience, config }, self.now));
        Ok(revision)
    }

    /// Adds a registration code, or sets when it ends: from `expires` on it admits nobody, `None` is never. It counts
    /// when it is stored, as [`Event::Stored`](super::Event::Stored) tells.
    ///
    /// # Errors
    /// [`CommandError::Text`], [`CommandError::TooManyPending`].
    pub fn add_code(
        &mut self,
        code: &Secret,
        expires: Option<Timestamp>,
        now: Instant,
    ) -> Result<StoreId, CommandError> {
        self.advance(now);
        check_text(code.expose())?;
        self.check_room()?;
        let code = CodeDigest::of(code);
        let effect = Effect::CodeAdded { code, expires };
        Ok(self.store(vec![Change::CodeAdded { code, expires }], Pending::new(effect, self.now)))
    }

    /// Removes a registration code, whether there is one or not. A registration that is being stored goes on.
    ///
    /// # Errors
    /// [`CommandError::TooManyPending`].
    pub fn remove_code(&mut self, code: &Secret, now: Instant) -> Result<StoreId, CommandError> {
        self.advance(now);
        self.check_room()?;
        let code = CodeDigest::of(code);
        Ok(self.store(vec![Change::CodeRemoved(code)], Pending::new(Effect::CodeRemoved(code), self.now)))
    }

    /// Sets or takes away a node's domain. It is done when it is stored, as [`Event::Stored`](super::Event::Stored) tells.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`], [`CommandError::Text`], [`CommandError::TooManyPending`].
    pub fn set_domain(
        &mut self,
        node: &NodeId,
        domain: Option<String>,
        now: Instant,
    ) -> Result<StoreId, CommandError> {
        self.advance(now);
        domain.as_deref().map_or(Ok(()), check_text)?;
        let domain = domain.map(Into::into);
        self.present(node)?;
        self.check_room()?;
        Ok(self.store_step(node, Step::Domain(domain), For::Command))
    }

    /// Removes a node. Its calls are refused as unavailable until that is stored, and as unauthorized afterwards. Its id is never
    /// given again.
    ///
    /// # Errors
    /// [`CommandError::UnknownNode`], [`CommandError::TooManyPending`].
    pub fn remove_node(&mut self, node: &NodeId, now: Instant) -> Result<StoreId, CommandError> {
        self.advance(now);
        self.present(node)?;
        self.check_room()?;
        self.nodes.get_mut(node).into_iter().for_each(|node| node.is_leaving = true);
        let effect = Effect::NodeRemoved(node.clone());
        Ok(self.store(vec![Change::NodeRemoved(node.clone())], Pending::new(effect, self.now)))
    }

    /// Returns the directory to change it: it is the application's, and Core does not store it.
    pub fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }

    /// Returns the latest record of a node that is there to stay.
    pub(super) fn present(&self, node: &NodeId) -> Result<&Arc<NodeRecord>, CommandError> {
        let node = self.nodes.get(node).filter(|node| !node.is_leaving);
        node.map(super::node::Node::latest).ok_or(CommandError::UnknownNode)
    }

    fn check_room(&self) -> Result<(), CommandError> {
        if self.has_room() { Ok(()) } else { Err(CommandError::TooManyPending) }
    }
}

fn check_text(text: &str) -> Result<(), CommandError> {
    ValueError::check_length(text, 1, MAX_TEXT_CHARACTERS).map_err(|_| CommandError::Text)
}
