//! Ids and revisions: 32-bit numbers without a sign. §6.1, §6.2.

use super::ValueError;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// The greatest id and revision, 2³¹-1.
pub(super) const MOST: u32 = i32::MAX as u32;

/// What ids and revisions have in common: a range, and an integer as what they travel.
macro_rules! number {
    ($name:ident from $least:literal) => {
        impl $name {
            const OUT_OF_RANGE: ValueError = ValueError::OutOfRange { least: $least, most: MOST as u64 };

            /// Returns the number as protobuf's `int32` carries it.
            #[must_use]
            pub const fn as_i32(self) -> i32 {
                self.get() as i32
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.get().fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(self.get())
            }
        }
    };
}

/// Declares an id.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        ///
        /// Its text is decimal, without a sign or leading zeros.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The least one, 1.
            pub const MIN: Self = Self(NonZeroU32::MIN);
            /// The greatest one, 2³¹-1.
            pub const MAX: Self = Self(NonZeroU32::new(MOST).expect("2³¹-1 is not 0"));

            /// Takes a number.
            ///
            /// # Errors
            /// [`ValueError::OutOfRange`] unless it is from 1 to 2³¹-1.
            pub const fn new(number: i64) -> Result<Self, ValueError> {
                if number > MOST as i64 || number < 0 {
                    return Err(Self::OUT_OF_RANGE);
                }
                match NonZeroU32::new(number as u32) {
                    Some(number) => Ok(Self(number)),
                    None => Err(Self::OUT_OF_RANGE),
                }
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            /// Reads the only spelling of an id.
            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::new(read(text)?)
            }
        }

        number!($name from 1);
    };
}

/// Reads a digit that is not 0, then at most nine more.
fn read(text: &str) -> Result<i64, ValueError> {
    let is_spelled = (1..=10).contains(&text.len()) && !text.starts_with('0');
    if !is_spelled || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::NotAnId);
    }
    Ok(text.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

id! {
    /// The id of a user, 1 to 2³¹-1.
    UserId
}
id! {
    /// The id of a user's subscription, 1 to 2³¹-1.
    SubscriptionId
}
id! {
    /// The id of one inbound of one node, 1 to 2³¹-1.
    NodeProtocolId
}
id! {
    /// The id of a link, 1 to 2³¹-1. No report carries it.
    LinkId
}
id! {
    /// The id of a subscription link, 1 to 2³¹-1. What client maps are keyed by.
    LsId
}

/// The revision of a node's configuration, 0 to 2³¹-1. "Nothing applied yet" is its absence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u32);

number!(Revision from 0);

impl Revision {
    /// The least one, 0.
    pub const MIN: Self = Self(0);
    /// The greatest one, 2³¹-1.
    pub const MAX: Self = Self(MOST);

    /// Takes a number.
    ///
    /// # Errors
    /// [`ValueError::OutOfRange`] unless it is from 0 to 2³¹-1.
    pub const fn new(number: i64) -> Result<Self, ValueError> {
        if number >= 0 && number <= MOST as i64 { Ok(Self(number as u32)) } else { Err(Self::OUT_OF_RANGE) }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

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
    fn an_id_has_one_spelling() {
        assert_eq!("1".parse(), Ok(LsId::MIN));
        assert_eq!("2147483647".parse(), Ok(LsId::MAX));
        for text in ["", "0", "01", "+1", "-1", " 1", "1 ", "1.0", "1e1", "00000000001", "12345678901", "٤"]
        {
            assert_eq!(text.parse::<LsId>(), Err(ValueError::NotAnId), "{text}");
        }
        for text in ["2147483648", "9999999999"] {
            assert_eq!(text.parse::<LsId>(), Err(LsId::OUT_OF_RANGE), "{text}");
        }
    }

    #[test]
    fn an_id_that_may_be_absent_takes_no_more_room() {
        assert_eq!(size_of::<Option<SubscriptionId>>(), 4);
    }

    #[test]
    fn a_revision_may_be_0_and_ends_at_the_greatest_32_bit_integer() {
        assert_eq!(Revision::new(0).map(Revision::get), Ok(0));
        assert!(Revision::new(-1).is_err() && Revision::new(2_147_483_648).is_err());
        assert_eq!(Revision::MIN.next(), Revision::new(1).ok());
        assert_eq!(Revision::MAX.next(), None);
    }
}
