//! The tag of a message: the attempt to which it belongs.

use crate::ballot::Ballot;
use crate::ids::OpId;

/// Distinguishes current replies from late, duplicate and reordered ones. A coordinator counts a reply only if all
/// four fields match its current attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The operation being coordinated.
    pub op: OpId,
    /// Number of the attempt. The first is 1.
    pub attempt: u32,
    /// Incarnation of the coordinating node. Replies to a crashed process are ignored.
    pub incarnation: u32,
    /// The ballot of the attempt.
    pub ballot: Ballot,
}
