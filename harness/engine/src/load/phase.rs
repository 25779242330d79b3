//! The phases of a run. The terminal shows the current phase, so that a period without ops does not look like a stall.

/// The phases of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// The harness measures the machine and writes the plan to disk.
    #[default]
    Preparing,
    /// Nodes start and answer for the first time.
    StartingNodes,
    /// Ops are sent, first in the warm-up, then in the load window.
    Load,
    /// The load is over; the last faults end, and their heals are verified.
    Healing,
    /// No ops are sent, so that late messages can arrive.
    QuietTail,
    /// The remaining unknown outcomes are queried.
    AskingFates,
    /// Nodes release what they hold temporarily.
    Settling,
    /// Every key is read through every node.
    FinalReads,
    /// Nodes are stopped.
    StoppingNodes,
    /// The chain checker and the other checks run.
    Judging,
    /// Another engine checks small keys again.
    SecondOpinion,
    /// Charts, page and results are written.
    Drawing,
}

impl Phase {
    /// Returns the display name of the phase.
    pub fn label(self) -> &'static str {
        match self {
            Phase::Preparing => "measuring the machine",
            Phase::StartingNodes => "starting nodes",
            Phase::Load => "load",
            Phase::Healing => "healing: the last faults are lifted",
            Phase::QuietTail => "quiet tail: nothing is asked",
            Phase::AskingFates => "asking fates of unknown outcomes",
            Phase::Settling => "settling: nodes give back what they keep",
            Phase::FinalReads => "final reads: every key through every node",
            Phase::StoppingNodes => "stopping nodes",
            Phase::Judging => "judging the history",
            Phase::SecondOpinion => "second opinion on small keys",
            Phase::Drawing => "drawing pictures and writing the report",
        }
    }

    /// Whether the load sends ops in this phase, so that rate and latency are meaningful.
    pub fn has_load(self) -> bool {
        self == Phase::Load
    }
}
