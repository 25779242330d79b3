//! What can go wrong, and whom it strikes. To add a fault: a variant of [`FaultKind`] and of [`Fault`], its line
//! in [`FaultKind::ALL`], its draw in `schedule.rs`; the compiler then leads to injector and evidence.

mod kind; // the kinds a plan can list

pub use kind::FaultKind;

use std::fmt;
use std::str::FromStr;

/// A node by its number, from 1: `n1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u16);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for Node {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        s.strip_prefix('n')
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .map(Node)
            .ok_or_else(|| format!("`{s}` is no node; nodes are called n1, n2 …"))
    }
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A node.
    Node(Node),
    /// All clients together.
    Clients,
}

/// A directed link: frames that travel this way. Written `n1>n2`, `clients>n1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Who sends.
    pub from: End,
    /// Who receives.
    pub to: End,
}

impl Link {
    /// The link between two nodes.
    pub fn between(from: Node, to: Node) -> Self {
        Link { from: End::Node(from), to: End::Node(to) }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Node(n) => n.fmt(f),
            End::Clients => f.write_str("clients"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from, self.to)
    }
}

impl FromStr for Link {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let end = |s: &str| if s == "clients" { Ok(End::Clients) } else { s.parse().map(End::Node) };
        let (from, to) = s.split_once('>').ok_or_else(|| format!("`{s}` is no link; links are written n1>n2"))?;
        let link = Link { from: end(from)?, to: end(to)? };
        if link.from == link.to {
            return Err(format!("link `{s}` leads nowhere"));
        }
        Ok(link)
    }
}

/// One disturbance with everything drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// See [`FaultKind::Kill`].
    Kill(Node),
    /// See [`FaultKind::KillAll`].
    KillAll,
    /// See [`FaultKind::Pause`].
    Pause(Node),
    /// Frames on these links do not pass.
    Partition(Cut),
    /// Frames on these links wait this long, plus up to `jitter_us`.
    Delay {
        /// Which links.
        on: Links,
        /// The least delay, microseconds.
        delay_us: u64,
        /// Up to this much more, uniformly.
        jitter_us: u64,
    },
    /// Each frame is dropped with this chance.
    Loss {
        /// Which links.
        on: Links,
        /// Chance in percent.
        percent: f64,
    },
    /// Each frame is sent twice with this chance.
    Duplicate {
        /// Which links.
        on: Links,
        /// Chance in percent.
        percent: f64,
    },
    /// Each frame is held back with this chance, so that later ones overtake it.
    Reorder {
        /// Which links.
        on: Links,
        /// Chance in percent.
        percent: f64,
    },
    /// Connections of these links are reset when it begins and whenever they come back, until it ends.
    Reset(Links),
    /// A blow at a node that is found out when it strikes.
    Aimed(Blow, Aim),
    /// Clocks are falsified.
    Clocks(Vec<ClockFault>),
}

/// What is done to a node that is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// As [`Fault::Kill`].
    Kill,
    /// As [`Fault::Pause`].
    Pause,
    /// It is cut off from all others.
    Isolate,
    /// What the others say to it arrives late, by this many microseconds.
    Late(u64),
}

/// Which node is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The holder of a lease; the busiest of several.
    Holder,
    /// The node that coordinates the most operations.
    Coordinator,
}

impl Aim {
    /// The name in schedules.
    pub fn name(self) -> &'static str {
        match self {
            Aim::Holder => "holder",
            Aim::Coordinator => "coordinator",
        }
    }
}

impl Blow {
    /// The fault, now that the node is known.
    pub fn at(self, node: Node, nodes: u16) -> Fault {
        match self {
            Blow::Kill => Fault::Kill(node),
            Blow::Pause => Fault::Pause(node),
            Blow::Isolate => {
                Fault::Partition(Cut::Groups(vec![vec![node], (1..=nodes).map(Node).filter(|other| *other != node).collect()]))
            }
            Blow::Late(delay_us) => Fault::Delay { on: Links::Exactly(links_to(node, nodes)), delay_us, jitter_us: 0 },
        }
    }
}

/// How one node's clocks are falsified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFault {
    /// Whose.
    pub node: Node,
    /// Added to the wall clock, microseconds.
    pub offset_us: i64,
    /// Both clocks run this many parts per million fast.
    pub drift_ppm: i64,
}

/// Which links a partition cuts.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// All links between different groups. Written `n1`, `n2|n3`.
    Groups(Vec<Vec<Node>>),
    /// Exactly these. Written `n1>n2`.
    Links(Vec<Link>),
}

/// Which links a disturbance of links strikes.
#[derive(Debug, Clone, PartialEq)]
pub enum Links {
    /// Every node link that begins or ends at one of these.
    Touching(Vec<Node>),
    /// Exactly these.
    Exactly(Vec<Link>),
}

/// All directed links between `nodes` nodes.
pub fn node_links(nodes: u16) -> Vec<Link> {
    let pairs = (1..=nodes).flat_map(|a| (1..=nodes).map(move |b| (a, b)));
    pairs.filter(|(a, b)| a != b).map(|(a, b)| Link::between(Node(a), Node(b))).collect()
}

/// What the others say to `node`.
pub fn links_to(node: Node, nodes: u16) -> Vec<Link> {
    node_links(nodes).into_iter().filter(|link| link.to == End::Node(node)).collect()
}

/// What `node` says to the others.
pub fn links_from(node: Node, nodes: u16) -> Vec<Link> {
    node_links(nodes).into_iter().filter(|link| link.from == End::Node(node)).collect()
}

impl Cut {
    /// The directed links it cuts.
    pub fn links(&self) -> Vec<Link> {
        match self {
            Cut::Links(links) => links.clone(),
            Cut::Groups(groups) => {
                let mut links = vec![];
                for (i, a) in groups.iter().enumerate() {
                    for b in groups.iter().skip(i + 1) {
                        for (&x, &y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
                            links.extend([Link::between(x, y), Link::between(y, x)]);
                        }
                    }
                }
                links
            }
        }
    }
}

impl Links {
    /// The directed links among `nodes` nodes.
    pub fn links(&self, nodes: u16) -> Vec<Link> {
        match self {
            Links::Exactly(links) => links.clone(),
            Links::Touching(struck) => {
                let touches = |e: End| matches!(e, End::Node(n) if struck.contains(&n));
                node_links(nodes).into_iter().filter(|l| touches(l.from) || touches(l.to)).collect()
            }
        }
    }

    fn targets(&self) -> Vec<String> {
        match self {
            Links::Touching(nodes) => nodes.iter().map(Node::to_string).collect(),
            Links::Exactly(links) => links.iter().map(Link::to_string).collect(),
        }
    }
}

impl Fault {
    /// The name by which history and reports speak of it.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill(_) => "kill",
            Fault::KillAll => "kill-all",
            Fault::Pause(_) => "pause",
            Fault::Partition(_) => "partition",
            Fault::Delay { .. } => "delay",
            Fault::Loss { .. } => "loss",
            Fault::Duplicate { .. } => "duplicate",
            Fault::Reorder { .. } => "reorder",
            Fault::Reset(_) => "reset",
            Fault::Aimed(Blow::Kill, Aim::Holder) => "kill:holder",
            Fault::Aimed(Blow::Pause, Aim::Holder) => "pause:holder",
            Fault::Aimed(Blow::Isolate, Aim::Holder) => "partition:holder",
            Fault::Aimed(Blow::Late(_), Aim::Holder) => "delay:holder",
            Fault::Aimed(Blow::Kill, Aim::Coordinator) => "kill:coordinator",
            Fault::Aimed(Blow::Pause, Aim::Coordinator) => "pause:coordinator",
            Fault::Aimed(Blow::Isolate, Aim::Coordinator) => "partition:coordinator",
            Fault::Aimed(Blow::Late(_), Aim::Coordinator) => "delay:coordinator",
            Fault::Clocks(clocks) if clocks.iter().all(|clock| clock.drift_ppm == 0) => "clock-jump",
            Fault::Clocks(_) => "clock-drift",
        }
    }

    /// Whom it strikes, as history and schedule files write it.
    pub fn targets(&self, nodes: u16) -> Vec<String> {
        match self {
            Fault::Kill(n) | Fault::Pause(n) => vec![n.to_string()],
            Fault::KillAll => (1..=nodes).map(|n| Node(n).to_string()).collect(),
            // As long as nobody knows better.
            Fault::Aimed(_, aim) => vec![aim.name().to_owned()],
            Fault::Clocks(clocks) => clocks.iter().map(|clock| clock.node.to_string()).collect(),
            Fault::Partition(Cut::Links(links)) => links.iter().map(Link::to_string).collect(),
            Fault::Partition(Cut::Groups(groups)) => {
                groups.iter().map(|g| g.iter().map(Node::to_string).collect::<Vec<_>>().join("|")).collect()
            }
            Fault::Delay { on, .. }
            | Fault::Loss { on, .. }
            | Fault::Duplicate { on, .. }
            | Fault::Reorder { on, .. }
            | Fault::Reset(on) => on.targets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cut_both_ways_and_only_between_groups() {
        let n = |i| Node(i);
        let cut = Cut::Groups(vec![vec![n(1)], vec![n(2), n(3)]]).links();
        let text: Vec<String> = cut.iter().map(Link::to_string).collect();
        assert_eq!(text, ["n1>n2", "n2>n1", "n1>n3", "n3>n1"]);
        assert_eq!(Links::Touching(vec![n(3)]).links(3).len(), 4);
        assert_eq!(node_links(5).len(), 20);
    }

    #[test]
    fn links_are_checked() {
        assert_eq!("clients>n2".parse(), Ok(Link { from: End::Clients, to: End::Node(Node(2)) }));
        for bad in ["n1", "n1>n1", "n0>n2", "x>n1", ""] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
        }
    }
}
