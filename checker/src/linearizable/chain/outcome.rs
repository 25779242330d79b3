//! The conclusion on one key, and the reasons to stop early.

use super::super::certificate::Contradiction;
use heckle_history::OpId;

/// The conclusion of the chain checker on one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// An order exists; the ops are given as indices into `History::ops`.
    Valid(Vec<u32>),
    /// A contradiction was found.
    Invalid(Contradiction),
    /// The key is outside the fragment because of this op.
    Outside { op: OpId, why: String },
    /// The key is inside the fragment except for this refusal, which does not report the value found and could not be
    /// placed.
    Undecided { op: OpId },
}

/// The reasons to stop early.
pub(super) enum Stop {
    Broken(Box<Contradiction>),
    Outside { op: OpId, why: String },
}

impl From<Contradiction> for Stop {
    fn from(contradiction: Contradiction) -> Self {
        Stop::Broken(Box::new(contradiction))
    }
}
