//! The primitive actions of an engine, as data. A fault consists of these; each action determines how it is undone.

use crate::target::{Link, Node};
use heckle_history::Nanos;

/// An action that an engine can perform and undo.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A signal to the processes of these nodes.
    Signal(Signal, Vec<Node>),
    /// An effect on the frames of these links until it is removed.
    Disturb(Vec<Link>, LinkEffect),
    /// Clocks that are set wrong until they are corrected.
    SetClocks(Vec<ClockSetting>),
    /// A power loss that hits these nodes at the same moment: un-synced data is lost, except a part drawn from the seed.
    /// Undone by a restart.
    LosePower(Vec<Node>, u64),
    /// Every sync on these nodes takes this many microseconds longer, until the delay is removed.
    DelaySyncs(Vec<Node>, u64),
    /// These nodes end by themselves when this happens to them. Undone by a restart, or by removing the cause if it has not
    /// come to effect.
    EndWhen(Vec<Node>, EndCause),
    /// The data folders of these nodes are copied, for [`DiskLoss::OldCopy`].
    CopyDisk(Vec<Node>),
    /// These nodes are killed and started with less on their disks than they had. They must refuse to serve. Undone by a restart
    /// on the data as it was.
    LoseDisk(Vec<Node>, DiskLoss),
}

/// What a node finds of its data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskLoss {
    /// Nothing.
    Wiped,
    /// Only the files that say whose folder it is.
    OnlyIdentity,
    /// The copy of [`Action::CopyDisk`].
    OldCopy,
}

/// What makes a node end by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// It crashes at this point of its code, as if killed. The system defines its points.
    Point(Box<str>),
    /// An operation of its disk fails.
    Disk(DiskFailure),
}

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFailure {
    /// The next write fails with an input/output error.
    Write,
    /// The next sync fails with an input/output error.
    Sync,
    /// The next write finds the disk full.
    Full,
}

/// A signal. It determines how the action is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL; undone by a restart on the same data.
    Kill,
    /// SIGTERM, on which a node ends by itself; undone by a restart on the same data.
    Terminate,
    /// SIGSTOP; undone by SIGCONT.
    Stop,
}

/// The effect on the frames of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinkEffect {
    /// No frame passes.
    Cut,
    /// Frames wait, and keep their order.
    Delay {
        /// Minimum delay, in microseconds.
        delay_us: u64,
        /// Additional delay, uniform from zero to this many microseconds.
        jitter_us: u64,
    },
    /// Frames are dropped.
    Loss {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Frames of node links arrive twice: half of the copies immediately, half after later frames.
    Duplicate {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Frames of node links are held back until later ones have overtaken them, or for 20 ms at most.
    Reorder {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Bytes are sent in order at a limited rate. All connections of a link share the rate.
    Slow {
        /// Maximum rate in bytes per second; not 0.
        bytes_per_s: u64,
    },
    /// One bit of a message is flipped. Its receiver must notice.
    Corrupt {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Connections are reset immediately, and again whenever they are reestablished.
    Reset,
    /// Connections are reset. New ones are accepted, but no byte of them is read or answered until the effect is removed, which resets
    /// them too.
    Hang,
}

/// The clock settings of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSetting {
    /// The node.
    pub node: Node,
    /// Offset of the wall clock, in microseconds.
    pub offset_us: i64,
    /// Drift of both clocks, in parts per million; positive is fast.
    pub drift_ppm: i64,
}

/// One action and its time. Times count from the start of the fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When the action starts.
    pub from: Nanos,
    /// When the action is undone.
    pub to: Nanos,
    /// The action.
    pub action: Action,
}

impl Step {
    /// Creates a step that lasts as long as the fault.
    pub fn whole(lasts: Nanos, action: Action) -> Self {
        Step { from: Nanos(0), to: lasts, action }
    }
}

impl Action {
    /// The nodes whose processes it kills or stops. They are down until the step is undone, and no other fault may take
    /// them down meanwhile.
    pub fn takes_down(&self) -> &[Node] {
        match self {
            Action::Signal(_, nodes) | Action::LosePower(nodes, _) | Action::EndWhen(nodes, _) | Action::LoseDisk(nodes, _) => nodes,
            Action::Disturb(..) | Action::SetClocks(_) | Action::DelaySyncs(..) | Action::CopyDisk(_) => &[],
        }
    }

    /// The nodes that stay up and may be too slow to answer in time.
    pub fn slows(&self) -> &[Node] {
        match self {
            Action::DelaySyncs(nodes, _) | Action::CopyDisk(nodes) => nodes,
            Action::Signal(..)
            | Action::Disturb(..)
            | Action::SetClocks(_)
            | Action::LosePower(..)
            | Action::EndWhen(..)
            | Action::LoseDisk(..) => &[],
        }
    }

    /// The links whose frames it affects.
    pub fn links(&self) -> &[Link] {
        match self {
            Action::Disturb(links, _) => links,
            Action::Signal(..)
            | Action::SetClocks(_)
            | Action::LosePower(..)
            | Action::DelaySyncs(..)
            | Action::EndWhen(..)
            | Action::CopyDisk(_)
            | Action::LoseDisk(..) => &[],
        }
    }

    /// The nodes that must be up when the step starts.
    pub fn needs_up(&self) -> Vec<Node> {
        match self {
            Action::Signal(_, nodes)
            | Action::LosePower(nodes, _)
            | Action::DelaySyncs(nodes, _)
            | Action::EndWhen(nodes, _)
            | Action::CopyDisk(nodes)
            | Action::LoseDisk(nodes, _) => nodes.clone(),
            Action::SetClocks(clocks) => clocks.iter().map(|clock| clock.node).collect(),
            Action::Disturb(..) => vec![],
        }
    }
}
