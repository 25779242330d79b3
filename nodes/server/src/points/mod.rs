//! Points: named places in a node's code at which a fault can be injected. [`list`] returns all of them.
//!
//! - *Storage points* (`storage`) are before, in and after the writes, syncs, renames and removals of the log and
//!   its snapshots, on the thread that does the work.
//! - *Protocol points* (`protocol`) are between the messages of an operation, on the event loop.
//!
//! The control channel arms a point with an [`Injection`]. Hits of armed points are counted. A point that is not
//! armed costs at most one relaxed load. A point of either kind can also *hold* the node for a connection, until that
//! connection is closed or [`MAX_HOLD_MS`] are over: see `hold`.

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
