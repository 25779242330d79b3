//! The kinds of faults that a plan can list: their names, and what each asks of a cluster. What was drawn of one is a
//! [`Fault`](super::Fault).

use std::fmt;
use std::str::FromStr;

/// The kinds a plan can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// SIGKILL one node, then start it again on the same data.
    Kill,
    /// SIGKILL every node at once, then start them all again.
    KillAll,
    /// SIGSTOP one node, later SIGCONT.
    Pause,
    /// Cut links; the shape is drawn.
    Partition,
    /// Cut a minority off from the majority.
    PartitionMajority,
    /// Cut one node off from all others.
    PartitionIsolate,
    /// One node's frames get out but none get in, or the other way round.
    PartitionOneWay,
    /// Two halves that only one node can reach both of.
    PartitionBridge,
    /// Each node reaches only its neighbours on a ring.
    PartitionRing,
    /// Clients cannot reach one node.
    PartitionClients,
    /// Frames arrive late.
    Delay,
    /// Frames of one link arrive very late, in one direction: whoever else speaks of them is faster.
    DelayLink,
    /// One node's frames get out very late but come in on time, or the other way round.
    DelayOneWay,
    /// Frames are lost.
    Loss,
    /// Frames arrive twice. Node links only: a client link is a TCP connection and cannot duplicate.
    Duplicate,
    /// Frames overtake each other. Node links only, as above.
    Reorder,
    /// Connections are reset.
    Reset,
    /// SIGKILL the holder of a lease, then start it again.
    KillHolder,
    /// SIGSTOP the holder of a lease, later SIGCONT.
    PauseHolder,
    /// Cut the holder of a lease off from all other nodes.
    PartitionHolder,
    /// What the other nodes say to the holder of a lease arrives very late.
    DelayHolder,
    /// SIGKILL the busiest coordinator, then start it again.
    KillCoordinator,
    /// SIGSTOP the busiest coordinator, later SIGCONT.
    PauseCoordinator,
    /// Cut the busiest coordinator off from all other nodes.
    PartitionCoordinator,
    /// What the other nodes say to the busiest coordinator arrives very late.
    DelayCoordinator,
    /// The wall clocks of some nodes jump.
    ClockJump,
    /// Every node's clocks drift, each its own way, within the bound.
    ClockDrift,
}

impl FaultKind {
    /// All kinds, with their names and what a plan's reader should know of them.
    pub const ALL: &'static [(FaultKind, &'static str, &'static str)] = &[
        (FaultKind::Kill, "kill", "SIGKILL one node, then restart it on the same data"),
        (FaultKind::KillAll, "kill-all", "SIGKILL every node at once, then restart them"),
        (FaultKind::Pause, "pause", "SIGSTOP one node, later SIGCONT"),
        (FaultKind::Partition, "partition", "cut links in a drawn shape"),
        (FaultKind::PartitionMajority, "partition:majority", "cut a minority off from the majority"),
        (FaultKind::PartitionIsolate, "partition:isolate", "cut one node off from all others"),
        (FaultKind::PartitionOneWay, "partition:one-way", "one node sends but does not receive, or the reverse"),
        (FaultKind::PartitionBridge, "partition:bridge", "two halves joined by one node"),
        (FaultKind::PartitionRing, "partition:ring", "each node reaches only its ring neighbours"),
        (FaultKind::PartitionClients, "partition:clients", "clients cannot reach one node"),
        (FaultKind::Delay, "delay", "frames arrive late"),
        (FaultKind::DelayLink, "delay:link", "frames of one link arrive very late, in one direction"),
        (FaultKind::DelayOneWay, "delay:one-way", "one node's frames get out very late but come in on time, or the reverse"),
        (FaultKind::Loss, "loss", "frames are lost"),
        (FaultKind::Duplicate, "duplicate", "node frames arrive twice"),
        (FaultKind::Reorder, "reorder", "node frames overtake each other"),
        (FaultKind::Reset, "reset", "connections are reset"),
        (FaultKind::KillHolder, "kill:holder", "SIGKILL the holder of a lease, then restart it"),
        (FaultKind::PauseHolder, "pause:holder", "SIGSTOP the holder of a lease, later SIGCONT"),
        (FaultKind::PartitionHolder, "partition:holder", "cut the holder of a lease off from the other nodes"),
        (FaultKind::DelayHolder, "delay:holder", "what the other nodes say to the holder of a lease arrives very late"),
        (FaultKind::KillCoordinator, "kill:coordinator", "SIGKILL the busiest coordinator, then restart it"),
        (FaultKind::PauseCoordinator, "pause:coordinator", "SIGSTOP the busiest coordinator, later SIGCONT"),
        (FaultKind::PartitionCoordinator, "partition:coordinator", "cut the busiest coordinator off from the other nodes"),
        (FaultKind::DelayCoordinator, "delay:coordinator", "what the other nodes say to the busiest coordinator arrives very late"),
        (FaultKind::ClockJump, "clock-jump", "wall clocks jump by up to an hour"),
        (FaultKind::ClockDrift, "clock-drift", "clocks drift, each its own way, within the bound"),
    ];

    /// Its name in plans.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(k, ..)| *k == self).expect("every kind is in ALL").1
    }

    /// Whether it needs the relay between nodes and clients.
    pub fn needs_relay(self) -> bool {
        match self {
            FaultKind::Kill
            | FaultKind::KillAll
            | FaultKind::Pause
            | FaultKind::KillHolder
            | FaultKind::PauseHolder
            | FaultKind::KillCoordinator
            | FaultKind::PauseCoordinator
            | FaultKind::ClockJump
            | FaultKind::ClockDrift => false,
            FaultKind::PartitionHolder
            | FaultKind::DelayHolder
            | FaultKind::PartitionCoordinator
            | FaultKind::DelayCoordinator
            | FaultKind::Partition
            | FaultKind::PartitionMajority
            | FaultKind::PartitionIsolate
            | FaultKind::PartitionOneWay
            | FaultKind::PartitionBridge
            | FaultKind::PartitionRing
            | FaultKind::PartitionClients
            | FaultKind::Delay
            | FaultKind::DelayLink
            | FaultKind::DelayOneWay
            | FaultKind::Loss
            | FaultKind::Duplicate
            | FaultKind::Reorder
            | FaultKind::Reset => true,
        }
    }

    /// The fewest nodes with which it does what its name says.
    pub fn needs_nodes(self) -> u16 {
        match self {
            FaultKind::Kill
            | FaultKind::KillAll
            | FaultKind::Pause
            | FaultKind::KillHolder
            | FaultKind::PauseHolder
            | FaultKind::KillCoordinator
            | FaultKind::PauseCoordinator
            | FaultKind::ClockJump
            | FaultKind::ClockDrift
            | FaultKind::PartitionClients => 1,
            FaultKind::PartitionBridge => 3,
            // On three nodes a ring joins everyone to everyone: nothing would be cut.
            FaultKind::PartitionRing => 4,
            FaultKind::PartitionHolder
            | FaultKind::DelayHolder
            | FaultKind::PartitionCoordinator
            | FaultKind::DelayCoordinator
            | FaultKind::Partition
            | FaultKind::PartitionMajority
            | FaultKind::PartitionIsolate
            | FaultKind::PartitionOneWay
            | FaultKind::Delay
            | FaultKind::DelayLink
            | FaultKind::DelayOneWay
            | FaultKind::Loss
            | FaultKind::Duplicate
            | FaultKind::Reorder
            | FaultKind::Reset => 2,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, name, _)| *name == s).map(|(k, ..)| *k).ok_or_else(|| format!("there is no fault `{s}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_as_it_prints() {
        for (kind, name, _) in FaultKind::ALL {
            assert_eq!((name.parse(), kind.to_string().as_str()), (Ok(*kind), *name));
        }
        assert!("explode".parse::<FaultKind>().is_err());
    }
}
