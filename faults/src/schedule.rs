//! When faults strike: drawn before the run from seed and plan, so that a schedule can be read, kept and run again.
//!
//! Each listed kind comes once before any comes twice. Between strikes there is calm, in which recovery shows;
//! the last strike ends before the load does.

use crate::{Aim, Blow, ClockFault, Cut, End, Fault, FaultKind, Link, Links, Node, links_from, links_to, node_links};
use heckle_history::Nanos;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// One fault and its time, counted from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Strike {
    /// When it begins.
    pub at: Nanos,
    /// How long it lasts.
    pub lasts: Nanos,
    /// What it does.
    pub fault: Fault,
}

impl Strike {
    /// When it ends.
    pub fn end(&self) -> Nanos {
        Nanos(self.at.0 + self.lasts.0)
    }
}

/// The order in which the listed kinds come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the plan lists them, again and again.
    Listed,
    /// Shuffled anew each time round.
    Shuffled,
}

/// The distances between strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// One every `every`.
    Even,
    /// Uniform between half and one and a half times `every`.
    Random,
}

/// What a schedule is drawn from. Times count from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleSettings {
    /// What to inject.
    pub kinds: Vec<FaultKind>,
    /// From one strike's beginning to the next.
    pub every: Nanos,
    /// How long a strike lasts.
    pub lasts: Nanos,
    /// When load begins and ends: strikes stay inside.
    pub window: (Nanos, Nanos),
    /// Never more than this many at a time.
    pub max_at_once: u32,
    /// In which order.
    pub order: Order,
    /// How far apart.
    pub spacing: Spacing,
    /// How many nodes there are.
    pub nodes: u16,
    /// How far clocks may drift, parts per million.
    pub drift_ppm: i64,
}

/// How many strikes one schedule may have: a bound on a plan that asks for one every nanosecond.
pub const MAX_STRIKES: usize = 100_000;

/// Draws a schedule.
pub fn draw(settings: &ScheduleSettings, rng: &mut impl Rng) -> Vec<Strike> {
    let mut strikes: Vec<Strike> = vec![];
    if settings.kinds.is_empty() || settings.every.0 == 0 {
        return strikes;
    }
    let mut round: Vec<FaultKind> = vec![];
    let mut last_node = None;
    let mut ends = vec![];
    let mut at = settings.window.0;
    while strikes.len() < MAX_STRIKES {
        at = Nanos(at.0 + gap(settings, rng));
        at = earliest_free(at, &mut ends, settings.max_at_once.max(1));
        if at.0 + settings.lasts.0 > settings.window.1.0 {
            break;
        }
        if round.is_empty() {
            round = settings.kinds.clone();
            if settings.order == Order::Shuffled {
                round.shuffle(rng);
            }
            round.reverse();
        }
        let kind = round.pop().expect("just filled");
        let fault = draw_fault(kind, settings, &mut last_node, rng);
        let strike = Strike { at, lasts: settings.lasts, fault };
        ends.push(strike.end());
        strikes.push(strike);
    }
    strikes
}

fn gap(settings: &ScheduleSettings, rng: &mut impl Rng) -> u64 {
    match settings.spacing {
        Spacing::Even => settings.every.0,
        Spacing::Random => settings.every.0 / 2 + rng.random_range(0..=settings.every.0),
    }
}

/// The first time from `at` on at which fewer than `bound` strikes are under way. Times only grow, so ends that are past are
/// dropped from `ends`: no more than `bound` are left, however long the schedule is.
fn earliest_free(at: Nanos, ends: &mut Vec<Nanos>, bound: u32) -> Nanos {
    ends.retain(|e| *e > at);
    ends.sort_unstable();
    let over = (ends.len() + 1).saturating_sub(bound as usize);
    if over == 0 { at } else { ends[over - 1] }
}

fn draw_node(nodes: u16, last: &mut Option<Node>, rng: &mut impl Rng) -> Node {
    // Not the same node twice running, where there is a choice: a night should visit them all.
    let mut node = Node(rng.random_range(1..=nodes));
    if nodes > 1 && Some(node) == *last {
        node = Node(node.0 % nodes + 1);
    }
    *last = Some(node);
    node
}

/// Half the time the links of one node suffer, half the time all do.
fn some_links(nodes: u16, last: &mut Option<Node>, rng: &mut impl Rng) -> Links {
    let one = draw_node(nodes, last, rng);
    Links::Touching(if rng.random() { vec![one] } else { (1..=nodes).map(Node).collect() })
}

/// Late enough for others to finish what they do meanwhile: a few operations, and what follows once a key rests.
const VERY_LATE_US: std::ops::RangeInclusive<u64> = 100_000..=400_000;

fn very_late(links: Vec<Link>, rng: &mut impl Rng) -> Fault {
    Fault::Delay { on: Links::Exactly(links), delay_us: rng.random_range(VERY_LATE_US), jitter_us: rng.random_range(0..=20_000) }
}

fn draw_fault(kind: FaultKind, settings: &ScheduleSettings, last: &mut Option<Node>, rng: &mut impl Rng) -> Fault {
    let nodes = settings.nodes;
    match kind {
        FaultKind::Kill => Fault::Kill(draw_node(nodes, last, rng)),
        FaultKind::KillAll => Fault::KillAll,
        FaultKind::Pause => Fault::Pause(draw_node(nodes, last, rng)),
        FaultKind::Partition => {
            let shapes = [
                FaultKind::PartitionMajority,
                FaultKind::PartitionIsolate,
                FaultKind::PartitionOneWay,
                FaultKind::PartitionBridge,
                FaultKind::PartitionRing,
            ];
            let fitting: Vec<FaultKind> = shapes.into_iter().filter(|s| s.needs_nodes() <= nodes).collect();
            draw_fault(fitting[rng.random_range(0..fitting.len())], settings, last, rng)
        }
        FaultKind::PartitionMajority => Fault::Partition(majority(nodes, rng)),
        FaultKind::PartitionIsolate => Fault::Partition(isolate(draw_node(nodes, last, rng), nodes)),
        FaultKind::PartitionOneWay => Fault::Partition(one_way(draw_node(nodes, last, rng), nodes, rng.random())),
        FaultKind::PartitionBridge => Fault::Partition(bridge(nodes, rng)),
        FaultKind::PartitionRing => Fault::Partition(ring(nodes, rng)),
        FaultKind::PartitionClients => {
            let node = End::Node(draw_node(nodes, last, rng));
            Fault::Partition(Cut::Links(vec![Link { from: End::Clients, to: node }, Link { from: node, to: End::Clients }]))
        }
        FaultKind::Delay => {
            let on = some_links(nodes, last, rng);
            Fault::Delay { on, delay_us: rng.random_range(1_000..=40_000), jitter_us: rng.random_range(0..=20_000) }
        }
        FaultKind::DelayLink => {
            let links = node_links(nodes);
            very_late(vec![links[rng.random_range(0..links.len())]], rng)
        }
        FaultKind::DelayOneWay => {
            let node = draw_node(nodes, last, rng);
            very_late(if rng.random() { links_to(node, nodes) } else { links_from(node, nodes) }, rng)
        }
        FaultKind::Loss => Fault::Loss { on: some_links(nodes, last, rng), percent: f64::from(rng.random_range(5u32..=30)) },
        FaultKind::Duplicate => Fault::Duplicate { on: some_links(nodes, last, rng), percent: f64::from(rng.random_range(10u32..=50)) },
        FaultKind::Reorder => Fault::Reorder { on: some_links(nodes, last, rng), percent: f64::from(rng.random_range(10u32..=50)) },
        FaultKind::Reset => Fault::Reset(some_links(nodes, last, rng)),
        FaultKind::KillHolder => Fault::Aimed(Blow::Kill, Aim::Holder),
        FaultKind::PauseHolder => Fault::Aimed(Blow::Pause, Aim::Holder),
        FaultKind::PartitionHolder => Fault::Aimed(Blow::Isolate, Aim::Holder),
        FaultKind::DelayHolder => Fault::Aimed(Blow::Late(rng.random_range(VERY_LATE_US)), Aim::Holder),
        FaultKind::DelayCoordinator => Fault::Aimed(Blow::Late(rng.random_range(VERY_LATE_US)), Aim::Coordinator),
        FaultKind::KillCoordinator => Fault::Aimed(Blow::Kill, Aim::Coordinator),
        FaultKind::PauseCoordinator => Fault::Aimed(Blow::Pause, Aim::Coordinator),
        FaultKind::PartitionCoordinator => Fault::Aimed(Blow::Isolate, Aim::Coordinator),
        FaultKind::ClockJump => {
            // A second to an hour, either way, on one node or all.
            let struck = if rng.random() { vec![draw_node(nodes, last, rng)] } else { (1..=nodes).map(Node).collect() };
            let mut jump = || rng.random_range(1_000_000..=3_600_000_000_i64) * if rng.random() { 1 } else { -1 };
            Fault::Clocks(struck.into_iter().map(|node| ClockFault { node, offset_us: jump(), drift_ppm: 0 }).collect())
        }
        FaultKind::ClockDrift => {
            // As far as is allowed: what is safe at the bound is safe within it. One slow clock among fast ones is what a
            // holder has to fear most.
            let bound = settings.drift_ppm.max(1);
            let slow = rng.random_range(1..=nodes);
            let drift = |node| if node == slow { -bound } else { bound };
            Fault::Clocks((1..=nodes).map(|n| ClockFault { node: Node(n), offset_us: 0, drift_ppm: drift(n) }).collect())
        }
    }
}

fn shuffled(nodes: u16, rng: &mut impl Rng) -> Vec<Node> {
    let mut all: Vec<Node> = (1..=nodes).map(Node).collect();
    all.shuffle(rng);
    all
}

fn majority(nodes: u16, rng: &mut impl Rng) -> Cut {
    let mut all = shuffled(nodes, rng);
    let mut rest = all.split_off(usize::from((nodes - 1) / 2).max(1));
    all.sort_unstable();
    rest.sort_unstable();
    Cut::Groups(vec![all, rest])
}

fn isolate(node: Node, nodes: u16) -> Cut {
    Cut::Groups(vec![vec![node], (1..=nodes).map(Node).filter(|n| *n != node).collect()])
}

fn one_way(node: Node, nodes: u16, deaf: bool) -> Cut {
    let struck = End::Node(node);
    Cut::Links(node_links(nodes).into_iter().filter(|l| if deaf { l.to == struck } else { l.from == struck }).collect())
}

fn bridge(nodes: u16, rng: &mut impl Rng) -> Cut {
    let all = shuffled(nodes, rng);
    let (left, right) = all[1..].split_at(usize::from(nodes - 1) / 2);
    let across = Cut::Groups(vec![left.to_vec(), right.to_vec()]);
    Cut::Links(across.links())
}

fn ring(nodes: u16, rng: &mut impl Rng) -> Cut {
    let all = shuffled(nodes, rng);
    let place = |n: End| all.iter().position(|x| End::Node(*x) == n).expect("a node link joins nodes");
    let len = all.len();
    let neighbours = |l: &Link| {
        let (a, b) = (place(l.from), place(l.to));
        (a + 1) % len == b || (b + 1) % len == a
    };
    Cut::Links(node_links(nodes).into_iter().filter(|l| !neighbours(l)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;

    fn settings(kinds: &[&str]) -> ScheduleSettings {
        ScheduleSettings {
            kinds: kinds.iter().map(|k| k.parse().expect("a kind")).collect(),
            every: Nanos::from_ms(5_000),
            lasts: Nanos::from_ms(2_000),
            window: (Nanos::from_ms(3_000), Nanos::from_ms(23_000)),
            max_at_once: 1,
            order: Order::Listed,
            spacing: Spacing::Even,
            nodes: 3,
            drift_ppm: 1_000,
        }
    }

    #[test]
    fn the_default_shape_is_each_kind_once_inside_the_window() {
        let strikes = draw(&settings(&["kill", "pause", "partition"]), &mut Seed(1).stream("schedule"));
        let kinds: Vec<&str> = strikes.iter().map(|s| s.fault.kind()).collect();
        assert_eq!(kinds, ["kill", "pause", "partition"]);
        assert_eq!(strikes[0].at, Nanos::from_ms(8_000));
        assert!(strikes.iter().all(|s| s.end() <= Nanos::from_ms(23_000)));
    }

    #[test]
    fn every_kind_comes_once_before_any_repeats_and_the_bound_holds() {
        let all: Vec<&str> = FaultKind::ALL.iter().map(|(_, n, _)| *n).collect();
        for seed in 0..200 {
            let mut s = settings(&all);
            s.nodes = 5;
            s.window.1 = Nanos::from_ms(300_000);
            s.every = Nanos::from_ms(1_000);
            s.max_at_once = 1 + seed as u32 % 3;
            s.order = if seed % 2 == 0 { Order::Listed } else { Order::Shuffled };
            s.spacing = if seed % 3 == 0 { Spacing::Even } else { Spacing::Random };
            let strikes = draw(&s, &mut Seed(seed).stream("schedule"));
            assert_eq!(strikes, draw(&s, &mut Seed(seed).stream("schedule")), "the seed fixes it");
            assert!(strikes.len() > all.len());
            for (i, strike) in strikes.iter().enumerate() {
                let running = strikes[..i].iter().filter(|x| x.end() > strike.at).count();
                assert!(running < s.max_at_once as usize, "seed {seed}: {running} others at {}", strike.at);
            }
            let first: std::collections::BTreeSet<&str> = strikes[..all.len()].iter().map(|x| x.fault.kind()).collect();
            let kinds: std::collections::BTreeSet<&str> = strikes.iter().map(|x| x.fault.kind()).collect();
            assert_eq!(first, kinds, "seed {seed}: all kinds in the first round");
        }
    }

    #[test]
    fn every_partition_cuts_something_and_names_real_nodes() {
        for nodes in 2..=7u16 {
            for (kind, name, _) in FaultKind::ALL.iter().filter(|(k, n, _)| n.starts_with("partition") && k.needs_nodes() <= nodes) {
                for seed in 0..50 {
                    let mut last = None;
                    let mut s = settings(&[]);
                    s.nodes = nodes;
                    let drawn = draw_fault(*kind, &s, &mut last, &mut Seed(seed).stream("p"));
                    let cut = match drawn {
                        Fault::Partition(cut) => cut,
                        Fault::Aimed(blow, _) => match blow.at(Node(1), nodes) {
                            Fault::Partition(cut) => cut,
                            other => panic!("{name} is {other:?}"),
                        },
                        other => panic!("{name} is {other:?}"),
                    };
                    let links = cut.links();
                    assert!(!links.is_empty(), "{name} with {nodes} nodes cuts nothing");
                    assert!(*kind == FaultKind::PartitionClients || links.iter().all(|l| node_links(nodes).contains(l)));
                }
            }
        }
    }

    #[test]
    fn what_is_very_late_is_late_in_one_direction() {
        let (mut ins, mut outs) = (0, 0);
        for seed in 0..100 {
            let mut s = settings(&[]);
            s.nodes = 2 + seed as u16 % 4;
            let drawn = |kind: &str| {
                let fault = draw_fault(kind.parse().expect("a kind"), &s, &mut None, &mut Seed(seed).stream("late"));
                let fault = if let Fault::Aimed(blow, _) = fault { blow.at(Node(2), s.nodes) } else { fault };
                let Fault::Delay { on, delay_us, .. } = fault else { panic!("{kind} is {fault:?}") };
                assert!(VERY_LATE_US.contains(&delay_us), "{kind}: {delay_us}");
                on.links(s.nodes)
            };
            assert_eq!(drawn("delay:link").len(), 1);
            assert!(drawn("delay:holder") == links_to(Node(2), s.nodes) && drawn("delay:coordinator") == links_to(Node(2), s.nodes));
            let links = drawn("delay:one-way");
            assert_eq!(links.len(), usize::from(s.nodes) - 1);
            let (to, from) = (links.iter().all(|l| l.to == links[0].to), links.iter().all(|l| l.from == links[0].from));
            (ins, outs) = (ins + u32::from(to), outs + u32::from(from));
            assert!(to || from, "{links:?}");
        }
        assert!(ins > 20 && outs > 20, "both ways: {ins} in, {outs} out");
    }
}
