//! Ids and revisions: 32-bit numbers without a sign. §6.1, §6.2.

use super::ValueError;
use std::fmt;

/// The greatest id and revision, 2³¹-1.
pub(super) const MOST: u32 = i32::MAX as u32;

/// Declares a number in a range.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident from $least:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The least one.
            pub const MIN: Self = Self($least);
            /// The greatest one, 2³¹-1.
            pub const MAX: Self = Self(MOST);

            /// Takes a number.
            ///
            /// # Errors
            /// [`ValueError::OutOfRange`].
            pub const fn new(number: i64) -> Result<Self, ValueError> {
                if number >= $least && number <= MOST as i64 {
                    Ok(Self(number as u32))
                } else {
                    Err(ValueError::OutOfRange { least: $least, most: MOST as u64 })
                }
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// Returns the number as protobuf's `int32` carries it.
            #[must_use]
            pub const fn as_i32(self) -> i32 {
                self.0 as i32
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(self.0)
            }
        }
    };
}

number! {
    /// The id of a user, 1 to 2³¹-1.
    UserId from 1
}
number! {
    /// The id of a user's subscription, 1 to 2³¹-1.
    SubscriptionId from 1
}
number! {
    /// The id of one inbound of one node, 1 to 2³¹-1.
    NodeProtocolId from 1
}
number! {
    /// The id of a link, 1 to 2³¹-1. No report carries it.
    LinkId from 1
}
number! {
    /// The id of a subscription link, 1 to 2³¹-1. What client maps are keyed by.
    LsId from 1
}
number! {
    /// The revision of a node's configuration, 0 to 2³¹-1. "Nothing applied yet" is its absence.
    Revision from 0
}

impl Revision {
    /// Returns the next one, or `None` after the greatest.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 < MOST { Some(Self(self.0 + 1)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_from_1_to_the_greatest_32_bit_integer() {
        for number in [i64::MIN, -1, 0, 2_147_483_648, i64::MAX] {
            assert_eq!(UserId::new(number), Err(ValueError::OutOfRange { least: 1, most: 2_147_483_647 }));
        }
        assert_eq!(LsId::new(1), Ok(LsId::MIN));
        assert_eq!(NodeProtocolId::new(2_147_483_647), Ok(NodeProtocolId::MAX));
        assert_eq!(SubscriptionId::MAX.as_i32(), i32::MAX);
        assert_eq!(LinkId::new(17).map(|id| id.to_string()).as_deref(), Ok("17"));
    }

    #[test]
    fn a_revision_may_be_0_and_ends_at_the_greatest_32_bit_integer() {
        assert_eq!(Revision::new(0).map(Revision::get), Ok(0));
        assert!(Revision::new(-1).is_err() && Revision::new(2_147_483_648).is_err());
        assert_eq!(Revision::MIN.next(), Revision::new(1).ok());
        assert_eq!(Revision::MAX.next(), None);
    }
}
