//! News of other editors (4.0 and later, when the runtime has it enabled).

use super::notification::flag;
use super::{further, text};
use crate::wire::{Json, JsonRef, Members, object_of};

/// A message of topic `multiplayer/<id>`, in either direction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Multiplayer {
    /// `init`: answers who has connected.
    Init {
        /// The public id of the editor itself.
        session: String,
        /// All that are there, itself included.
        sessions: Vec<MultiplayerSession>,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `connection-added`: another editor has come.
    ConnectionAdded(MultiplayerSession),
    /// `connection-removed`: an editor has gone.
    ConnectionRemoved {
        /// Its public id.
        session: String,
        /// Whether it said so itself.
        disconnected: Option<bool>,
        /// Members of no known name.
        further: Vec<(String, Json)>,
    },
    /// `location`: where another editor is.
    Location {
        /// Its public id; none in what an editor sends.
        session: Option<String>,
        /// Where it is.
        location: Location,
    },
}

/// An editor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiplayerSession {
    /// Its public id: `PUB<16 hexadecimal digits>PUB`.
    pub session: String,
    /// Who uses it.
    pub user: Option<MultiplayerUser>,
    /// Whether it is connected.
    pub active: Option<bool>,
    /// Where it is.
    pub location: Option<Location>,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

/// Who uses an editor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiplayerUser {
    /// The name; `Anon <0–99>` for one without.
    pub username: Option<String>,
    /// Whether it is one without a name.
    pub anonymous: Option<bool>,
    /// Members of no known name: `permissions`, `image` and so on.
    pub further: Vec<(String, Json)>,
}

/// Where an editor is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    /// The flow that is shown.
    pub workspace: Option<String>,
    /// The node that is edited.
    pub node: Option<String>,
    /// Where the mouse is: `{"x": …, "y": …}`.
    pub cursor: Option<Json>,
    /// Members of no known name.
    pub further: Vec<(String, Json)>,
}

impl Multiplayer {
    pub(super) fn decode(id: &str, data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        match id {
            "init" => Some(Self::Init {
                session: members.text("session")?,
                sessions: members.take("sessions", MultiplayerSession::list)?,
                further: members.rest(),
            }),
            "connection-added" => MultiplayerSession::decode(data).map(Self::ConnectionAdded),
            "connection-removed" => Some(Self::ConnectionRemoved {
                session: members.text("session")?,
                disconnected: members.bool("disconnected"),
                further: members.rest(),
            }),
            "location" => {
                Some(Self::Location { session: members.text("session"), location: Location::of(members) })
            }
            _ => None,
        }
    }

    pub(super) fn id(&self) -> &'static str {
        match self {
            Self::Init { .. } => "init",
            Self::ConnectionAdded(_) => "connection-added",
            Self::ConnectionRemoved { .. } => "connection-removed",
            Self::Location { .. } => "location",
        }
    }

    pub(super) fn encode(&self) -> Json {
        match self {
            Self::Init { session, sessions, further: rest } => {
                let sessions: Vec<Json> = sessions.iter().map(MultiplayerSession::encode).collect();
                let own = [("session", text(Some(session))), ("sessions", Json::encode(&sessions).ok())];
                object_of(own.into_iter().chain(further(rest)))
            }
            Self::ConnectionAdded(session) => session.encode(),
            Self::ConnectionRemoved { session, disconnected, further: rest } => {
                let own = [("session", text(Some(session))), ("disconnected", disconnected.map(flag))];
                object_of(own.into_iter().chain(further(rest)))
            }
            Self::Location { session, location } => {
                object_of([("session", text(session.as_ref()))].into_iter().chain(location.members()))
            }
        }
    }
}

impl MultiplayerSession {
    fn list(data: JsonRef<'_>) -> Option<Vec<Self>> {
        let sessions: Vec<JsonRef<'_>> = data.decode().ok()?;
        sessions.into_iter().map(Self::decode).collect()
    }

    fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            session: members.text("session")?,
            user: members.take("user", MultiplayerUser::decode),
            active: members.bool("active"),
            location: members.take("location", |location| Members::of(location).map(Location::of)),
            further: members.rest(),
        })
    }

    fn encode(&self) -> Json {
        let own = [
            ("session", text(Some(&self.session))),
            ("user", self.user.as_ref().map(MultiplayerUser::encode)),
            ("active", self.active.map(flag)),
            ("location", self.location.as_ref().map(|location| object_of(location.members()))),
        ];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}

impl MultiplayerUser {
    fn decode(data: JsonRef<'_>) -> Option<Self> {
        let mut members = Members::of(data)?;
        Some(Self {
            username: members.text("username"),
            anonymous: members.bool("anonymous"),
            further: members.rest(),
        })
    }

    fn encode(&self) -> Json {
        let own = [("username", text(self.username.as_ref())), ("anonymous", self.anonymous.map(flag))];
        object_of(own.into_iter().chain(further(&self.further)))
    }
}

impl Location {
    fn of(mut members: Members<'_>) -> Self {
        Self {
            workspace: members.text("workspace"),
            node: members.text("node"),
            cursor: members.take("cursor", |cursor| Some(cursor.to_json())),
            further: members.rest(),
        }
    }

    fn members(&self) -> impl Iterator<Item = (&str, Option<Json>)> {
        let own = [
            ("workspace", text(self.workspace.as_ref())),
            ("node", text(self.node.as_ref())),
            ("cursor", self.cursor.clone()),
        ];
        own.into_iter().chain(further(&self.further))
    }
}
