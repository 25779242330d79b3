//! What a run is doing: the terminal says it, so that a time without ops does not look like a stall.

/// The parts of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// The machine is measured, the plan is written down.
    #[default]
    Preparing,
    /// Nodes start and answer for the first time.
    StartingNodes,
    /// Ops are sent: warm-up, then the load window.
    Load,
    /// The load is over; the last faults are lifted, and heals are seen.
    Healing,
    /// Nothing is asked, so that what is late can arrive.
    QuietTail,
    /// Unknown outcomes that are left are asked about.
    AskingFates,
    /// Nodes give back what they keep for a while only.
    Settling,
    /// Every key is read through every node.
    FinalReads,
    /// Nodes end.
    StoppingNodes,
    /// The chain checker and the other checks.
    Judging,
    /// Another engine judges small keys again.
    SecondOpinion,
    /// Pictures, page and results are written.
    Drawing,
}

impl Phase {
    /// What is being done, in words.
    pub fn words(self) -> &'static str {
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

    /// Whether the load sends ops, so that rate and latency mean something.
    pub fn has_load(self) -> bool {
        self == Phase::Load
    }
}
