//! The primitives that an engine carries out, as data. A fault is made of these; what undoes an action follows from it.

use crate::target::{Link, Node};
use heckle_history::Nanos;

/// Something an engine can do and undo.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A signal to the processes of these nodes.
    Signal(Signal, Vec<Node>),
    /// An effect on the frames of these links, until it is lifted.
    Disturb(Vec<Link>, LinkEffect),
    /// Clocks that are set wrong, until they are set right.
    SetClocks(Vec<ClockSetting>),
}

/// A signal, and by it what undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL; undone by a restart on the same data.
    Kill,
    /// SIGTERM, on which a node ends by itself; undone by a restart on the same data.
    Terminate,
    /// SIGSTOP; undone by SIGCONT.
    Stop,
}

/// What happens to the frames of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinkEffect {
    /// Nothing passes.
    Cut,
    /// Frames wait, and keep their order.
    Delay {
        /// At least this long, microseconds.
        delay_us: u64,
        /// Up to this much longer, uniformly.
        jitter_us: u64,
    },
    /// Frames are dropped.
    Loss {
        /// With this chance, 0 to 100.
        percent: f64,
    },
    /// Frames of node links arrive twice: half of the copies at once, half after later frames.
    Duplicate {
        /// With this chance, 0 to 100.
        percent: f64,
    },
    /// Frames of node links are held back until later ones have overtaken them, or for 20 ms at most.
    Reorder {
        /// With this chance, 0 to 100.
        percent: f64,
    },
    /// What is sent waits for its turn at a limited rate, and keeps its order. All connections of a link share the rate.
    Slow {
        /// Bytes that pass in a second, at most; not 0.
        bytes_per_s: u64,
    },
    /// Connections are reset at once and whenever they come back.
    Reset,
}

/// How one node's clocks are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSetting {
    /// The node.
    pub node: Node,
    /// Added to the wall clock, microseconds.
    pub offset_us: i64,
    /// Both clocks run this many parts per million fast.
    pub drift_ppm: i64,
}

/// One action and its time. Times count from the beginning of the fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it is done.
    pub from: Nanos,
    /// When it is undone.
    pub to: Nanos,
    /// What is done.
    pub action: Action,
}

impl Step {
    /// An action for as long as the fault lasts.
    pub fn whole(lasts: Nanos, action: Action) -> Self {
        Step { from: Nanos(0), to: lasts, action }
    }
}

impl Action {
    /// The nodes whose processes it takes down or stops: no other fault may hold them, and they are down until it is undone.
    pub fn takes_down(&self) -> &[Node] {
        match self {
            Action::Signal(_, nodes) => nodes,
            Action::Disturb(..) | Action::SetClocks(_) => &[],
        }
    }

    /// The links whose frames it disturbs.
    pub fn links(&self) -> &[Link] {
        match self {
            Action::Disturb(links, _) => links,
            Action::Signal(..) | Action::SetClocks(_) => &[],
        }
    }

    /// The nodes that must be up when it is done.
    pub fn needs_up(&self) -> Vec<Node> {
        match self {
            Action::Signal(_, nodes) => nodes.clone(),
            Action::SetClocks(clocks) => clocks.iter().map(|clock| clock.node).collect(),
            Action::Disturb(..) => vec![],
        }
    }
}
