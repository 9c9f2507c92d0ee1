//! Who may listen.

use std::time::Duration;

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Everybody; tokens are ignored.
    Open,
    /// Who presents a good token, or comes with a user already.
    Users,
    /// The same, and everybody else as this user.
    UsersOr(User),
}

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The name; none for one without.
    pub name: Option<String>,
    /// What the user may do.
    pub scope: Scope,
    /// How long the session lasts, counted from when the runtime takes the user; `None` is for ever.
    /// [`Config::expiry_grace`](super::Config::expiry_grace) comes on top.
    pub expires_in: Option<Duration>,
}

/// What a user may do: any of these permissions. `*` grants everything, `read` and `*.read` grant every permission that
/// is `read` or ends in `.read`; an empty scope grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

/// The permission that decides about the comms.
const STATUS_READ: &str = "status.read";

impl User {
    /// Makes a user.
    #[must_use]
    pub fn new(name: impl Into<String>, scope: Scope) -> Self {
        Self { name: Some(name.into()), scope, expires_in: None }
    }

    /// Makes a user without a name, as a default user is one.
    #[must_use]
    pub fn anonymous(scope: Scope) -> Self {
        Self { name: None, scope, expires_in: None }
    }
}

impl Scope {
    /// Makes a scope of permissions.
    pub fn new<S: Into<String>>(permissions: impl IntoIterator<Item = S>) -> Self {
        Self(permissions.into_iter().map(Into::into).collect())
    }

    /// Returns the permissions.
    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether it grants a permission.
    #[must_use]
    pub fn grants(&self, permission: &str) -> bool {
        let is_reading = permission == "read" || permission.ends_with(".read");
        self.permissions().any(|granted| match granted {
            "*" => true,
            "read" | "*.read" => is_reading,
            granted => granted == permission,
        })
    }

    /// Whether it grants `status.read`, which is what the comms take.
    #[must_use]
    pub fn may_listen(&self) -> bool {
        self.grants(STATUS_READ)
    }
}

impl From<&str> for Scope {
    fn from(permission: &str) -> Self {
        Self::new([permission])
    }
}
