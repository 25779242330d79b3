//! The numeric ids and times of a history. Each has its own type, so a key cannot be passed as a process.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// One logical call by one process. Unique in a run.
    OpId(u64), ""
);
number!(
    /// A logical, sequential client. It ends at an unknown outcome, and a new one replaces it.
    ProcessId(u32), ""
);
number!(
    /// The client of a connection, as seen by the node; written `c3`.
    ClientId(u32), "c"
);
number!(
    /// What a client wants over all its retries.
    IntentId(u64), ""
);
number!(
    /// Index of a key in [`Names`](crate::Names).
    KeyId(u32), "key#"
);
number!(
    /// Index of a figure in [`Names`](crate::Names), in the list of the reporting system.
    FigureId(u16), "figure#"
);
number!(
    /// Index of a node in [`Names`](crate::Names).
    NodeIx(u16), "node#"
);
number!(
    /// A value of the register, unique to the op that wrote it. "Never written" is `Option::None`, or `null` in a file.
    Value(i64), ""
);

/// Nanoseconds since the start of the run, measured by its monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Later than any time in a run: the latest time at which an op without completion may take effect.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// Returns the time in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Returns the time in milliseconds.
    pub fn as_ms_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Converts milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Nanos(ms * 1_000_000)
    }

    /// Returns the duration since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Nanos {
    /// Formats the time in seconds with microseconds, as in explanations: `21.402113 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Nanos::NEVER {
            return write!(f, "never");
        }
        write!(f, "{}.{:06} s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

/// Id of a run: `<UTC>-<4 hex>`, which is also the name of its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
