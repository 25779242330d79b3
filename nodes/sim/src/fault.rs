//! The faults of a run, and their schedule.

use rand::{Rng, RngExt};

/// A kind of fault. A correct cluster tolerates all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A process is killed and restarted.
    Kill,
    /// A node loses power and is restarted.
    PowerLoss,
    /// All nodes lose power at the same time and are restarted.
    PowerLossAll,
    /// All processes are killed at the same time and are restarted.
    KillAll,
    /// A process is stopped and later continued.
    Pause,
    /// One node is cut off from all others.
    Isolate,
    /// The nodes are split into two groups.
    Split,
    /// One directed link is cut.
    OneWay,
    /// A wall clock jumps, by up to an hour.
    ClockJump,
    /// The holder of the first lease range is cut off from all other nodes. If there is no holder, a node drawn in
    /// advance.
    IsolateHolder,
    /// All processes except the holder's are killed and restarted.
    KillOthers,
    /// All messages to the holder, or all messages from it, are late.
    LateHolder,
}

impl FaultKind {
    /// All kinds that target a node drawn in advance.
    pub const ALL: [FaultKind; 9] = [
        FaultKind::Kill,
        FaultKind::PowerLoss,
        FaultKind::PowerLossAll,
        FaultKind::KillAll,
        FaultKind::Pause,
        FaultKind::Isolate,
        FaultKind::Split,
        FaultKind::OneWay,
        FaultKind::ClockJump,
    ];
}

/// Settings of the faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultConfig {
    /// Kinds of faults that may occur. Empty for a world without faults.
    pub kinds: Vec<FaultKind>,
    /// Average time between faults.
    pub every_ns: u64,
    /// Longest duration of a fault.
    pub for_max_ns: u64,
}

/// One fault of a run. Nodes are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// When the fault begins.
    pub begin_ns: u64,
    /// When the fault heals.
    pub end_ns: u64,
    /// The first node affected.
    pub node: usize,
    /// For a split: the nodes in the first group, one bit per node. For a cut link: the other end. For a clock jump:
    /// determines its size.
    pub detail: u64,
}

impl Fault {
    /// The directed links cut by this fault.
    #[must_use]
    pub fn cuts(&self, nodes: usize) -> Vec<(usize, usize)> {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && self.cuts_link(*from, *to, nodes)).collect()
    }

    /// The directed links on which every message is late, and by how much.
    #[must_use]
    pub fn late(&self, nodes: usize) -> Vec<(usize, usize, u64)> {
        if self.kind != FaultKind::LateHolder {
            return Vec::new();
        }
        let late_ns = 30_000_000 + (self.detail >> 1) % 200_000_000;
        let others = (0..nodes).filter(|other| *other != self.node);
        let link = |other| if self.detail & 1 == 0 { (other, self.node, late_ns) } else { (self.node, other, late_ns) };
        others.map(link).collect()
    }

    fn cuts_link(&self, from: usize, to: usize, nodes: usize) -> bool {
        match self.kind {
            FaultKind::Isolate | FaultKind::IsolateHolder => from == self.node || to == self.node,
            FaultKind::Split => (self.detail >> from) & 1 != (self.detail >> to) & 1,
            FaultKind::OneWay => {
                let other = (self.node + 1 + self.detail as usize % (nodes.max(2) - 1)) % nodes;
                from == self.node && to == other
            }
            FaultKind::Kill
            | FaultKind::PowerLoss
            | FaultKind::PowerLossAll
            | FaultKind::KillAll
            | FaultKind::KillOthers
            | FaultKind::LateHolder
            | FaultKind::Pause
            | FaultKind::ClockJump => false,
        }
    }
}

/// Draws the faults of a run. Faults may overlap.
pub fn schedule<R: Rng>(config: &FaultConfig, nodes: usize, load_ns: u64, rng: &mut R) -> Vec<Fault> {
    let mut faults = Vec::new();
    if config.kinds.is_empty() {
        return faults;
    }
    let mut at = 0;
    loop {
        at += rng.random_range(1..=2 * config.every_ns.max(1));
        if at >= load_ns {
            return faults;
        }
        let kind = config.kinds[rng.random_range(0..config.kinds.len())];
        let end_ns = (at + rng.random_range(1..=config.for_max_ns.max(1))).min(load_ns);
        let node = rng.random_range(0..nodes);
        faults.push(Fault { kind, begin_ns: at, end_ns, node, detail: rng.next_u64() });
    }
}
