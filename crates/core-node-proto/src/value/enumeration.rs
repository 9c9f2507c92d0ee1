//! Open enumerations: texts of which some are known. §6.6 to §6.8.

use super::ValueError;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The greatest number of characters of the text of an enumeration; the least is 1.
pub const MAX_ENUMERATION_CHARACTERS: usize = 64;

/// Declares a text, and the enumeration of its known values.
macro_rules! open_enumeration {
    ($(#[$meta:meta])* $name:ident, $kind:ident { $($(#[$doc:meta])* $variant:ident $constant:ident $text:literal,)* }) => {
        $(#[$meta])*
        ///
        /// A text of 1 to 64 characters that keeps its spelling. Comparison does not regard ASCII case.
        #[derive(Clone, Debug)]
        pub struct $name(Cow<'static, str>);

        #[doc = concat!("What a [`", stringify!($name), "`] is.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[$doc])* $variant,)*
            /// One that is not known here; the text says which.
            Other,
        }

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self(Cow::Borrowed($text));)*

            /// Takes a text, known or not, in any case.
            ///
            /// # Errors
            /// [`ValueError::WrongLength`] unless it has 1 to 64 characters.
            pub fn new(text: &str) -> Result<Self, ValueError> {
                ValueError::check_length(text, 1, MAX_ENUMERATION_CHARACTERS)?;
                Ok(match text {
                    $($text => Self::$constant,)*
                    other => Self(Cow::Owned(other.to_owned())),
                })
            }

            /// Returns which one it is.
            #[must_use]
            pub fn kind(&self) -> $kind {
                $(if self.0.eq_ignore_ascii_case($text) {
                    return $kind::$variant;
                })*
                $kind::Other
            }

            /// Returns it as it is spelled.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the same in lower case.
            #[must_use]
            pub fn to_lower_case(&self) -> Self {
                Self(Cow::Owned(self.0.to_ascii_lowercase()))
            }

            /// Returns the same in upper case.
            #[must_use]
            pub fn to_upper_case(&self) -> Self {
                Self(Cow::Owned(self.0.to_ascii_uppercase()))
            }

            fn folded(&self) -> impl Iterator<Item = u8> {
                self.0.bytes().map(|byte| byte.to_ascii_lowercase())
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.folded().cmp(other.folded())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.folded().for_each(|byte| state.write_u8(byte));
                state.write_u8(0xff);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

open_enumeration! {
    /// What a session runs over.
    VpnProtocol, VpnProtocolKind {
        /// Xray, without saying which of its protocols.
        Xray XRAY "xray",
        /// Telegram's MTProto.
        Mtproto MTPROTO "mtproto",
        /// VLESS.
        Vless VLESS "vless",
        /// VMess.
        Vmess VMESS "vmess",
        /// Trojan.
        Trojan TROJAN "trojan",
        /// Shadowsocks.
        Shadowsocks SHADOWSOCKS "shadowsocks",
    }
}

open_enumeration! {
    /// What happened to a session.
    SessionEventType, SessionEventTypeKind {
        /// The user came.
        Online ONLINE "online",
        /// The user went.
        Offline OFFLINE "offline",
    }
}

open_enumeration! {
    /// How a node is.
    NodeStatus, NodeStatusKind {
        /// Registered, and not heard of since.
        Pending PENDING "pending",
        /// Heard of.
        Online ONLINE "online",
        /// Not heard of for a while.
        Offline OFFLINE "offline",
        /// It reported an error.
        Error ERROR "error",
    }
}

open_enumeration! {
    /// How a node's configuration is.
    SyncStatus, SyncStatusKind {
        /// Not confirmed yet.
        Pending PENDING "pending",
        /// The node runs on the current revision.
        Synced SYNCED "synced",
        /// The node could not apply it.
        Failed FAILED "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_count_and_the_spelling_stays() {
        let protocol = VpnProtocol::new("VLess").unwrap();
        assert_eq!((protocol.kind(), protocol.as_str()), (VpnProtocolKind::Vless, "VLess"));
        assert_eq!(protocol, VpnProtocol::VLESS);
        assert_eq!(protocol.cmp(&VpnProtocol::VLESS), Ordering::Equal);
        let hash = |protocol: &VpnProtocol| {
            let mut hasher = std::hash::DefaultHasher::new();
            protocol.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&protocol), hash(&VpnProtocol::VLESS));
    }

    #[test]
    fn every_known_text_has_its_kind() {
        for (text, kind) in [
            ("xray", VpnProtocolKind::Xray),
            ("mtproto", VpnProtocolKind::Mtproto),
            ("vless", VpnProtocolKind::Vless),
            ("vmess", VpnProtocolKind::Vmess),
            ("trojan", VpnProtocolKind::Trojan),
            ("shadowsocks", VpnProtocolKind::Shadowsocks),
            ("wireguard", VpnProtocolKind::Other),
        ] {
            assert_eq!(VpnProtocol::new(text).unwrap().kind(), kind);
        }
        assert_eq!(SessionEventType::new("ONLINE").unwrap().kind(), SessionEventTypeKind::Online);
        assert_eq!(SessionEventType::OFFLINE.kind(), SessionEventTypeKind::Offline);
        assert_eq!(NodeStatus::new("Error").unwrap().kind(), NodeStatusKind::Error);
        assert_eq!(NodeStatus::PENDING.kind(), NodeStatusKind::Pending);
        assert_eq!(NodeStatus::ONLINE.kind(), NodeStatusKind::Online);
        assert_eq!(NodeStatus::OFFLINE.kind(), NodeStatusKind::Offline);
        assert_eq!(SyncStatus::SYNCED.kind(), SyncStatusKind::Synced);
        assert_eq!(SyncStatus::FAILED.kind(), SyncStatusKind::Failed);
        assert_eq!(SyncStatus::PENDING.kind(), SyncStatusKind::Pending);
    }

    #[test]
    fn an_unknown_text_is_kept() {
        let kind = SessionEventType::new("Expired").unwrap();
        assert_eq!((kind.kind(), kind.to_string().as_str()), (SessionEventTypeKind::Other, "Expired"));
    }

    #[test]
    fn a_text_has_1_to_64_characters() {
        assert!(VpnProtocol::new("").is_err());
        assert!(VpnProtocol::new(&"ü".repeat(64)).is_ok());
        assert!(VpnProtocol::new(&"ü".repeat(65)).is_err());
    }

    #[test]
    fn the_spelling_to_write_can_be_chosen() {
        assert_eq!(SessionEventType::ONLINE.to_upper_case().as_str(), "ONLINE");
        assert_eq!(SessionEventType::new("OffLine").unwrap().to_lower_case().as_str(), "offline");
    }
}
