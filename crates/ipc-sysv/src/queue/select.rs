//! The type of a message, and which messages a receiver takes: msgrcv's `msgtyp` and its flag MSG_EXCEPT, without their
//! magic numbers.

use std::fmt;
use std::num::NonZeroI64;

use ipc_sys::sysv::queue as sys;

/// A message's type: 1 to [`i64::MAX`]. Zero and negative numbers are selections, not types, and cannot be made:
/// ```compile_fail,E0080
/// const WRONG: ipc_sysv::MessageType = ipc_sysv::MessageType::new(0).unwrap();
/// # fn main() { let _ = WRONG; }
/// ```
/// ```
/// use ipc_sysv::MessageType;
///
/// const ORDER: MessageType = MessageType::new(7).unwrap();
/// assert_eq!(ORDER.get(), 7);
/// assert!(MessageType::new(-1).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "mtype")]
#[doc(alias = "msgbuf")]
pub struct MessageType(NonZeroI64);

impl MessageType {
    /// Type 1, for who needs only one.
    pub const ONE: Self = match Self::new(1) {
        Some(one) => one,
        None => Self(NonZeroI64::MAX),
    };

    /// The type with this number, if it is one.
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        match NonZeroI64::new(number) {
            Some(number) if number.get() > 0 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0.get()
    }
}

impl Default for MessageType {
    /// [`MessageType::ONE`].
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which message a receiver takes; among those, the one that has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[doc(alias = "msgtyp")]
pub enum Select {
    /// msgtyp 0: any.
    #[default]
    Any,
    /// msgtyp > 0: of this type.
    Type(MessageType),
    /// msgtyp < 0: of the lowest type that is there, up to this one: priorities, 1 being the most urgent.
    LowestUpTo(MessageType),
    /// MSG_EXCEPT: of any type but this one.
    #[doc(alias = "MSG_EXCEPT")]
    Except(MessageType),
}

impl Select {
    /// As msgrcv's `msgtyp` and flags.
    pub(crate) const fn to_raw(self) -> (i64, libc::c_int) {
        match self {
            Self::Any => (0, 0),
            Self::Type(kind) => (kind.get(), 0),
            Self::LowestUpTo(kind) => (-kind.get(), 0),
            Self::Except(kind) => (kind.get(), sys::EXCEPT),
        }
    }
}

impl From<i64> for Select {
    /// msgrcv's `msgtyp`: 0 is any, a positive number a type, a negative one the lowest type up to its absolute value.
    fn from(msgtyp: i64) -> Self {
        match (MessageType::new(msgtyp), msgtyp) {
            (Some(kind), _) => Self::Type(kind),
            (None, 0) => Self::Any,
            // i64::MIN has no absolute value, and there is no type beyond i64::MAX.
            (None, negative) => MessageType::new(negative.checked_neg().unwrap_or(i64::MAX))
                .map_or(Self::Any, Self::LowestUpTo),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_numbers_select_as_in_c() {
        let kind = |number| MessageType::new(number).unwrap();
        assert_eq!(Select::from(0), Select::Any);
        assert_eq!(Select::from(3), Select::Type(kind(3)));
        assert_eq!(Select::from(-3), Select::LowestUpTo(kind(3)));
        assert_eq!(Select::from(i64::MIN), Select::LowestUpTo(kind(i64::MAX)));
        assert_eq!(Select::from(i64::MAX), Select::Type(kind(i64::MAX)));
    }
}
