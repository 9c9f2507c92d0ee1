//! Who and what Core knows: users, subscriptions, inbounds and outbounds.

use crate::value::{NodeId, NodeProtocolId, SubscriptionId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The users, their subscriptions, and the inbounds and outbounds of nodes. The application owns them: it stores them itself and
/// tells Core of changes. Reports about others are skipped and counted (§9.4).
///
/// It is stored as sorted lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Lists", into = "Lists")]
pub struct Directory {
    users: HashSet<UserId>,
    subscriptions: HashMap<SubscriptionId, UserId>,
    inbounds: HashMap<NodeProtocolId, NodeId>,
    outbounds: BTreeMap<NodeId, BTreeSet<Box<str>>>,
}

impl Directory {
    /// Adds a user; false if it was there.
    pub fn add_user(&mut self, user: UserId) -> bool {
        self.users.insert(user)
    }

    /// Removes a user; false if it was not there. Its subscriptions stay, and count for nobody.
    pub fn remove_user(&mut self, user: UserId) -> bool {
        self.users.remove(&user)
    }

    /// Adds a subscription of a user, or gives it to another one.
    pub fn add_subscription(&mut self, subscription: SubscriptionId, user: UserId) {
        self.subscriptions.insert(subscription, user);
    }

    /// Removes a subscription; false if it was not there.
    pub fn remove_subscription(&mut self, subscription: SubscriptionId) -> bool {
        self.subscriptions.remove(&subscription).is_some()
    }

    /// Adds an inbound of a node, or gives it to another one.
    pub fn add_inbound(&mut self, inbound: NodeProtocolId, node: NodeId) {
        self.inbounds.insert(inbound, node);
    }

    /// Removes an inbound; false if it was not there.
    pub fn remove_inbound(&mut self, inbound: NodeProtocolId) -> bool {
        self.inbounds.remove(&inbound).is_some()
    }

    /// Adds an outbound of a node; false if it was there.
    pub fn add_outbound(&mut self, node: NodeId, tag: impl Into<Box<str>>) -> bool {
        self.outbounds.entry(node).or_default().insert(tag.into())
    }

    /// Removes an outbound of a node; false if it was not there.
    pub fn remove_outbound(&mut self, node: &NodeId, tag: &str) -> bool {
        let Some(tags) = self.outbounds.get_mut(node) else { return false };
        let is_removed = tags.remove(tag);
        if tags.is_empty() {
            self.outbounds.remove(node);
        }
        is_removed
    }

    /// Whether there is such a user.
    #[must_use]
    pub fn has_user(&self, user: UserId) -> bool {
        self.users.contains(&user)
    }

    /// Returns the user of a subscription.
    #[must_use]
    pub fn user_of(&self, subscription: SubscriptionId) -> Option<UserId> {
        self.subscriptions.get(&subscription).copied()
    }

    /// Returns the node of an inbound.
    #[must_use]
    pub fn node_of(&self, inbound: NodeProtocolId) -> Option<&NodeId> {
        self.inbounds.get(&inbound)
    }

    /// Whether a node has such an outbound.
    #[must_use]
    pub fn has_outbound(&self, node: &NodeId, tag: &str) -> bool {
        self.outbounds.get(node).is_some_and(|tags| tags.contains(tag))
    }

    /// Returns the users, in no order.
    pub fn users(&self) -> impl Iterator<Item = UserId> + '_ {
        self.users.iter().copied()
    }

    /// Returns the subscriptions with their users, in no order.
    pub fn subscriptions(&self) -> impl Iterator<Item = (SubscriptionId, UserId)> + '_ {
        self.subscriptions.iter().map(|(&subscription, &user)| (subscription, user))
    }

    /// Returns the inbounds with their nodes, in no order.
    pub fn inbounds(&self) -> impl Iterator<Item = (NodeProtocolId, &NodeId)> + '_ {
        self.inbounds.iter().map(|(&inbound, node)| (inbound, node))
    }

    /// Returns the outbounds by node and tag.
    pub fn outbounds(&self) -> impl Iterator<Item = (&NodeId, &str)> + '_ {
        self.outbounds.iter().flat_map(|(node, tags)| tags.iter().map(move |tag| (node, &**tag)))
    }

    /// Whether the user exists and the inbound is one of the node.
    pub(super) fn may_report(&self, node: &NodeId, user: UserId, inbound: NodeProtocolId) -> bool {
        self.has_user(user) && self.node_of(inbound) == Some(node)
    }
}

/// How a directory is stored.
#[derive(Serialize, Deserialize)]
struct Lists {
    users: Vec<UserId>,
    subscriptions: Vec<(SubscriptionId, UserId)>,
    inbounds: Vec<(NodeProtocolId, NodeId)>,
    outbounds: Vec<(NodeId, Box<str>)>,
}

impl From<Directory> for Lists {
    fn from(directory: Directory) -> Self {
        let outbounds = directory.outbounds().map(|(node, tag)| (node.clone(), tag.into())).collect();
        Self {
            users: sorted(directory.users),
            subscriptions: sorted(directory.subscriptions),
            inbounds: sorted(directory.inbounds),
            outbounds,
        }
    }
}

impl From<Lists> for Directory {
    fn from(lists: Lists) -> Self {
        let mut directory = Self {
            users: lists.users.into_iter().collect(),
            subscriptions: lists.subscriptions.into_iter().collect(),
            inbounds: lists.inbounds.into_iter().collect(),
            outbounds: BTreeMap::new(),
        };
        for (node, tag) in lists.outbounds {
            directory.add_outbound(node, tag);
        }
        directory
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items
}
