//! The fault schedule. It is drawn from the seed and the plan before the run, so it can be read, stored and repeated.
//!
//! Each listed kind occurs once before any kind occurs twice. Between faults there is a quiet period, in which recovery
//! is measured. The last fault ends before the load does.

use crate::draw::Draw;
use crate::fault::Fault;
use crate::kind::FaultKind;
use heckle_history::Nanos;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// One fault with its start time, counted from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// When the fault begins.
    pub at: Nanos,
    /// Duration of the fault.
    pub lasts: Nanos,
    /// The fault.
    pub fault: Fault,
}

impl Injection {
    /// Returns when the fault ends.
    pub fn end(&self) -> Nanos {
        Nanos(self.at.0 + self.lasts.0)
    }

    /// Returns the duration of the shortest step, until it is undone; the duration of the whole fault if that is not
    /// known.
    pub fn shortest_step(&self, nodes: u16) -> Nanos {
        let steps = self.fault.representative_steps(self.lasts, nodes).unwrap_or_default();
        steps.iter().map(|step| step.to.since(step.from)).min().unwrap_or(self.lasts)
    }
}

/// The order of the listed kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order of the plan, repeated.
    Listed,
    /// Reshuffled in each cycle.
    Shuffled,
}

/// The intervals between injections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// One injection every `every`.
    Even,
    /// Uniformly distributed between half and one and a half times `every`.
    Random,
}

/// The settings from which a schedule is drawn. Times count from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleSettings {
    /// The kinds to inject.
    pub kinds: Vec<FaultKind>,
    /// Time from the start of one injection to the start of the next.
    pub every: Nanos,
    /// Duration of an injection.
    pub lasts: Nanos,
    /// Start and end of the load. Injections stay within this interval.
    pub window: (Nanos, Nanos),
    /// Maximum number of simultaneous injections.
    pub max_at_once: u32,
    /// The order of the kinds.
    pub order: Order,
    /// The intervals between injections.
    pub spacing: Spacing,
    /// Number of nodes.
    pub nodes: u16,
    /// Maximum clock drift, in parts per million.
    pub drift_ppm: i64,
    /// The frequently reached points in the nodes' code.
    pub points: Vec<&'static str>,
}

/// Maximum number of injections in a schedule. It prevents a plan from requesting one every nanosecond.
pub const MAX_INJECTIONS: usize = 100_000;

/// Draws a schedule.
pub fn draw(settings: &ScheduleSettings, rng: &mut impl Rng) -> Vec<Injection> {
    let mut injections: Vec<Injection> = vec![];
    if settings.kinds.is_empty() || settings.every.0 == 0 {
        return injections;
    }
    let mut round: Vec<FaultKind> = vec![];
    let mut last_node = None;
    let mut ends = vec![];
    let mut at = settings.window.0;
    while injections.len() < MAX_INJECTIONS {
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
        let points = &settings.points;
        let draw = &mut Draw { nodes: settings.nodes, drift_ppm: settings.drift_ppm, points, last: &mut last_node, rng };
        let fault = kind.draw(draw);
        let injection = Injection { at, lasts: settings.lasts, fault };
        ends.push(injection.end());
        injections.push(injection);
    }
    injections
}

fn gap(settings: &ScheduleSettings, rng: &mut impl Rng) -> u64 {
    match settings.spacing {
        Spacing::Even => settings.every.0,
        Spacing::Random => settings.every.0 / 2 + rng.random_range(0..=settings.every.0),
    }
}

/// Returns the earliest time, not before `at`, at which fewer than `bound` injections are active. Times only increase,
/// so past ends are removed from `ends`, which never holds more than `bound` entries.
fn earliest_free(at: Nanos, ends: &mut Vec<Nanos>, bound: u32) -> Nanos {
    ends.retain(|e| *e > at);
    ends.sort_unstable();
    let over = (ends.len() + 1).saturating_sub(bound as usize);
    if over == 0 { at } else { ends[over - 1] }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::registry::{KINDS, find};
    use heckle_history::prng::Seed;
    use std::collections::BTreeSet;

    fn settings(kinds: &[&str]) -> ScheduleSettings {
        ScheduleSettings {
            kinds: kinds.iter().map(|k| find(k).expect("a kind")).collect(),
            every: Nanos::from_ms(5_000),
            lasts: Nanos::from_ms(2_000),
            window: (Nanos::from_ms(3_000), Nanos::from_ms(23_000)),
            max_at_once: 1,
            order: Order::Listed,
            spacing: Spacing::Even,
            nodes: 3,
            drift_ppm: 1_000,
            points: POINTS.to_vec(),
        }
    }

    #[test]
    fn the_default_shape_is_each_kind_once_inside_the_window() {
        let injections = draw(&settings(&["kill", "pause", "partition"]), &mut Seed(1).stream("schedule"));
        let kinds: Vec<String> = injections.iter().map(|s| s.fault.name()).collect();
        assert_eq!(kinds, ["kill", "pause", "partition"]);
        assert_eq!(injections[0].at, Nanos::from_ms(8_000));
        assert!(injections.iter().all(|s| s.end() <= Nanos::from_ms(23_000)));
    }

    #[test]
    fn every_kind_comes_once_before_any_repeats_and_the_bound_holds() {
        let all: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        for seed in 0..200 {
            let mut s = settings(&all);
            s.nodes = 5;
            // With several points, injections of one kind would have different names.
            s.points.truncate(1);
            s.window.1 = Nanos::from_ms(300_000);
            s.every = Nanos::from_ms(1_000);
            s.max_at_once = 1 + seed as u32 % 3;
            s.order = if seed % 2 == 0 { Order::Listed } else { Order::Shuffled };
            s.spacing = if seed % 3 == 0 { Spacing::Even } else { Spacing::Random };
            let injections = draw(&s, &mut Seed(seed).stream("schedule"));
            assert_eq!(injections, draw(&s, &mut Seed(seed).stream("schedule")), "the seed fixes it");
            assert!(injections.len() > all.len());
            for (i, injection) in injections.iter().enumerate() {
                let running = injections[..i].iter().filter(|x| x.end() > injection.at).count();
                assert!(running < s.max_at_once as usize, "seed {seed}: {running} others at {}", injection.at);
            }
            let first: BTreeSet<String> = injections[..all.len()].iter().map(|x| x.fault.name()).collect();
            let kinds: BTreeSet<String> = injections.iter().map(|x| x.fault.name()).collect();
            assert_eq!(first, kinds, "seed {seed}: all kinds in the first round");
        }
    }

    pub(crate) const POINTS: [&str; 2] = ["before-sync", "after-learn-all"];

    /// Draws one fault of `kind` among `nodes` nodes.
    pub(crate) fn drawn(kind: &str, nodes: u16, seed: u64) -> Fault {
        let rng = &mut Seed(seed).stream("fault");
        find(kind).expect("a kind").draw(&mut Draw { nodes, drift_ppm: 1_000, points: &POINTS, last: &mut None, rng })
    }
}
