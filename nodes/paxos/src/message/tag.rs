//! What names the attempt that a message belongs to.

use crate::ballot::Ballot;
use crate::ids::OpId;

/// Tells late, duplicate and reordered answers apart. A coordinator counts an answer only if all
/// four fields are those of its current attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The operation being coordinated.
    pub op: OpId,
    /// Which attempt of it; the first is 1.
    pub attempt: u32,
    /// Which process of the coordinating node: an answer to a process that crashed is ignored.
    pub incarnation: u32,
    /// The ballot of the attempt.
    pub ballot: Ballot,
}
