//! Domain types. Each kind of number in the protocol has its own type, with a unit.

use std::fmt;
use std::sync::Arc;

/// A point on the node's monotonic clock, in nanoseconds. Only differences are meaningful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(pub u64);

impl MonoTime {
    /// The time `ns` nanoseconds later. Saturates instead of wrapping.
    #[must_use]
    pub fn after_ns(self, ns: u64) -> MonoTime {
        MonoTime(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to `self`. Zero if `earlier` is later.
    #[must_use]
    pub fn since_ns(self, earlier: MonoTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A reading of the wall clock, in microseconds since 1970. It may jump, drift and go backwards: it is used only for
/// ballots, where only liveness depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// A node of the cluster. Node 1 is displayed as `n1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Id of one logical operation over all its attempts. A client has one open operation at a time and increments `seq`
/// for each. After an unknown outcome, the client either retires its number or sends a fate query before the next
/// operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The client (a logical process), unique over the lifetime of the data.
    pub client: u64,
    /// Position of the operation in the client's sequence, starting at 1.
    pub seq: u64,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.client, self.seq)
    }
}

/// Identifies the destination of a reply (a connection and a request on it). Chosen by the shell, and opaque to the
/// core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientToken(pub u64);

/// Id of a batch of records. Ids increase by one with each batch of a process, and batches are written in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoId(pub u64);

/// Id of a timer, returned in [`crate::Event::Timer`]. A timer that is no longer needed is not cancelled. Instead,
/// its late event is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    /// Slot, in this process, of the key to which the timer belongs.
    pub slot: u32,
    /// Serial number of the operation in that slot.
    pub serial: u32,
}

/// Declares a byte string that is cheap to clone.
macro_rules! blob {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<[u8]>);

        impl $name {
            /// Copies the bytes once. All clones share them.
            #[must_use]
            pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
                Self(bytes.into())
            }

            /// The content.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// Length in bytes.
            #[must_use]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are no bytes.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&[u8]> for $name {
            fn from(bytes: &[u8]) -> Self {
                Self(Arc::from(bytes))
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(Arc::from(bytes))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.escape_ascii())
            }
        }
    };
}

blob!(
    /// The name of a register. Each key is a separate Paxos register.
    Key
);
blob!(
    /// The value of a register. Opaque bytes to the core.
    Value
);
