//! Which faults strike when.

use rand::{Rng, RngExt};

/// A kind of fault. A correct cluster survives all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A process dies and is started again.
    Kill,
    /// A node loses power and is started again.
    PowerLoss,
    /// All nodes lose power at once and are started again.
    PowerLossAll,
    /// All processes die at once and are started again.
    KillAll,
    /// A process stops and goes on.
    Pause,
    /// One node is cut off from all others.
    Isolate,
    /// The nodes fall into two halves.
    Split,
    /// One directed link is cut.
    OneWay,
    /// A wall clock jumps, by up to an hour.
    ClockJump,
    /// The node that holds the first range of leases is cut off from all others; one drawn beforehand if none does.
    IsolateHolder,
    /// All processes but that of the holder die and are started again.
    KillOthers,
    /// What is said to the holder comes late, or what it says.
    LateHolder,
}

impl FaultKind {
    /// All kinds that strike a node drawn beforehand.
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

/// The faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultConfig {
    /// Kinds that may strike; none: a calm world.
    pub kinds: Vec<FaultKind>,
    /// Average time from one fault to the next.
    pub every_ns: u64,
    /// Longest duration of a fault.
    pub for_max_ns: u64,
}

/// One fault of a run. Nodes are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins.
    pub begin_ns: u64,
    /// When it heals.
    pub end_ns: u64,
    /// The node it strikes first.
    pub node: usize,
    /// For a split: who is on the first side, one bit a node. For a cut link: the other end. For a
    /// clock: chooses the jump.
    pub detail: u64,
}

impl Fault {
    /// The directed links that this fault cuts.
    #[must_use]
    pub fn cuts(&self, nodes: usize) -> Vec<(usize, usize)> {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && self.cuts_link(*from, *to, nodes)).collect()
    }

    /// The directed links on which everything is late, and by how much.
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

/// Draws the faults of a run. They may overlap.
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
