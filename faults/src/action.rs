//! The primitive actions of an engine, as data. Faults are composed of these actions, each of which determines how it
//! is undone.

use crate::target::{Link, Node};
use heckle_history::Nanos;

/// An action that an engine can perform and undo.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a signal to the processes of these nodes.
    Signal(Signal, Vec<Node>),
    /// Apply an effect to the frames on these links until it is removed.
    Disturb(Vec<Link>, LinkEffect),
    /// Set clocks wrong until they are corrected.
    SetClocks(Vec<ClockSetting>),
    /// Cut the power of these nodes simultaneously: un-synced data is lost, except for a part drawn from the seed.
    /// Undone by a restart.
    LosePower(Vec<Node>, u64),
    /// Delay every sync on these nodes by this many microseconds, until the delay is removed.
    DelaySyncs(Vec<Node>, u64),
    /// Make these nodes exit by themselves when the cause occurs. Undone by a restart, or by removing the cause if it has
    /// not taken effect.
    EndWhen(Vec<Node>, EndCause),
    /// Copy the data folders of these nodes, for [`DiskLoss::OldCopy`].
    CopyDisk(Vec<Node>),
    /// Kill these nodes and start them with less data on their disks. They must refuse to serve. Undone by a restart on the
    /// original data.
    LoseDisk(Vec<Node>, DiskLoss),
}

/// State of the data folder that a node finds when it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskLoss {
    /// An empty folder.
    Wiped,
    /// Only the files that identify the owner of the folder.
    OnlyIdentity,
    /// The copy made by [`Action::CopyDisk`].
    OldCopy,
}

/// The cause of a node exiting by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// The node crashes at this point in its code, as if killed. The system defines its points.
    Point(Box<str>),
    /// An operation on its disk fails.
    Disk(DiskFailure),
}

/// The way in which a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFailure {
    /// The next write fails with an I/O error.
    Write,
    /// The next sync fails with an I/O error.
    Sync,
    /// The next write finds the disk full.
    Full,
}

/// A signal to a process, which determines how the action is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL; undone by a restart on the same data.
    Kill,
    /// SIGTERM, upon which a node exits by itself; undone by a restart on the same data.
    Terminate,
    /// SIGSTOP; undone by SIGCONT.
    Stop,
}

/// The effect on the frames of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinkEffect {
    /// No frames pass.
    Cut,
    /// Frames are delayed, but keep their order.
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
    /// Frames on node links are held back until later ones have overtaken them, for at most 20 ms.
    Reorder {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Bytes are sent in order at a limited rate. All connections on a link share the rate.
    Slow {
        /// Maximum rate in bytes per second; not 0.
        bytes_per_s: u64,
    },
    /// One bit of a message is flipped. The receiver must detect it.
    Corrupt {
        /// Probability in percent, 0 to 100.
        percent: f64,
    },
    /// Connections are reset immediately, and again whenever they are reestablished.
    Reset,
    /// Connections are reset. New ones are accepted, but nothing on them is read or answered until the effect is removed, which resets
    /// them too.
    Hang,
}

/// Clock settings of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSetting {
    /// The node.
    pub node: Node,
    /// Offset of the wall clock, in microseconds.
    pub offset_us: i64,
    /// Drift of both clocks, in parts per million; positive is fast.
    pub drift_ppm: i64,
}

/// One action and its times, which count from the start of the fault.
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
    /// Returns the nodes whose processes the step kills or stops. They are down until the step is undone, and no other
    /// fault may take them down until then.
    pub fn takes_down(&self) -> &[Node] {
        match self {
            Action::Signal(_, nodes) | Action::LosePower(nodes, _) | Action::EndWhen(nodes, _) | Action::LoseDisk(nodes, _) => nodes,
            Action::Disturb(..) | Action::SetClocks(_) | Action::DelaySyncs(..) | Action::CopyDisk(_) => &[],
        }
    }

    /// Returns the nodes that stay up but may be too slow to answer in time.
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

    /// Returns the links whose frames the step affects.
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

    /// Returns the nodes that must be up when the step starts.
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
