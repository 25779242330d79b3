//! What is concluded on one key, and why judging ends early.

use super::super::certificate::Contradiction;
use heckle_history::OpId;

/// What the chain checker concludes on one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// An order, as places in `History::ops`.
    Valid(Vec<u32>),
    /// A contradiction.
    Invalid(Contradiction),
    /// Outside the fragment, because of this op.
    Outside { op: OpId, why: String },
    /// Inside it but for this refusal that does not tell what it found and could not be placed.
    Undecided { op: OpId },
}

/// Why judging ends early.
pub(super) enum Stop {
    Broken(Box<Contradiction>),
    Outside { op: OpId, why: String },
}

impl From<Contradiction> for Stop {
    fn from(contradiction: Contradiction) -> Self {
        Stop::Broken(Box::new(contradiction))
    }
}
