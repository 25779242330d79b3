//! Points: named places in a node's code at which a fault can be injected. [`list`] returns all of them.
//!
//! - *Storage points* (`storage`) lie before, in and after the writes, syncs, renames and removals of the log and its
//!   snapshots, on the thread that does the work.
//! - *Protocol points* (`protocol`) lie between the messages of an operation, on the event loop.
//!
//! The control channel arms a point with an [`Injection`]. Hits of armed points are counted. An unarmed point costs
//! at most one relaxed load.

mod failpoint;
mod hold;
mod injection;
mod list;
pub(crate) mod protocol;
pub(crate) mod storage;
pub(crate) mod storage_point;

pub use failpoint::{Failpoint, FailpointAction};
pub(crate) use hold::HoldOwner;
pub use injection::{Injection, MAX_HOLD_MS, PointReached};
pub(crate) use list::{AnyPoint, parse, parse_protocol};
pub use list::{PointInfo, PointKind, list};
pub use storage::InjectedDelays;
