//! From a user name to whom its bytes are reported for.

use super::{Identity, IdentityError};
use crate::config::ClientMap;
use crate::value::{LsId, NodeProtocolId, SubscriptionId, UserId};

/// Where an attribution comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The client map in force.
    Current,
    /// The client map before it.
    Previous,
    /// The name alone: no map knows its lsId.
    Name,
}

/// What is odd about an attribution that was made all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Anomaly {
    /// Name and map disagree; the map wins.
    #[error("user {in_name} in the name of link {ls_id}, user {in_map} in the map")]
    OtherUser {
        /// The lsId looked up.
        ls_id: LsId,
        /// The userId in the name.
        in_name: UserId,
        /// The userId in the map, which is reported.
        in_map: UserId,
    },
    /// No map has this lsId; the userId comes from the name, without a subscription.
    #[error("no map has link {ls_id} of user {in_name}")]
    UnknownClient {
        /// The lsId looked up.
        ls_id: LsId,
        /// The userId in the name, which is reported.
        in_name: UserId,
    },
}

/// Whom bytes are reported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Attribution {
    /// The user.
    pub user_id: UserId,
    /// The subscription, if the map has one.
    pub subscription_id: Option<SubscriptionId>,
    /// The node's protocol, from the name.
    pub proto_id: NodeProtocolId,
    /// Where user and subscription come from.
    pub source: Source,
    /// What is odd about it.
    pub anomaly: Option<Anomaly>,
}

/// Looks a user name up in the map in force, then in the one before it (§8.3). How long the latter is kept is the caller's
/// affair.
///
/// # Errors
/// The name is no identity text: nothing can be attributed (§8.4).
pub fn attribute(
    name: &str,
    current: &ClientMap,
    previous: Option<&ClientMap>,
) -> Result<Attribution, IdentityError> {
    let identity: Identity = name.parse()?;
    let (ls_id, in_name, proto_id) = (identity.ls_id(), identity.user_id(), identity.proto_id());
    let in_current = current.get(ls_id).map(|client| (client, Source::Current));
    let in_previous = || previous?.get(ls_id).map(|client| (client, Source::Previous));
    let Some((client, source)) = in_current.or_else(in_previous) else {
        let anomaly = Some(Anomaly::UnknownClient { ls_id, in_name });
        return Ok(Attribution {
            user_id: in_name,
            subscription_id: None,
            proto_id,
            source: Source::Name,
            anomaly,
        });
    };
    let in_map = client.user_id;
    let anomaly = (in_map != in_name).then_some(Anomaly::OtherUser { ls_id, in_name, in_map });
    Ok(Attribution { user_id: in_map, subscription_id: client.subscription_id, proto_id, source, anomaly })
}
