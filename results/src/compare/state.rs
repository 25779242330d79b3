//! Bytes of protocol state over time: of one run from its history, and of an arm over the runs of its pairs. Keys and values
//! are left out, since what arms do against state does not touch them. What nodes told each second stands in the history
//! as in `nodes/<n>/metrics.jsonl`, there by the clock of the run.

use crate::measure::{Measured, round};
use crate::median;
use heckle_history::event::{NodeEvent, STATE};
use heckle_history::{History, Nanos, NodeIx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Places in time at which a run's bytes are told, from its start to the end of its load.
const POINTS: usize = 100;
/// All kinds of state but `data`: what a plain copy of the store would not have.
const KINDS: [&str; 4] = ["promise", "accepted", "dedupe", "queue"];

/// Bytes over time in every arm, of the pairs that all arms have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateSizes {
    /// From one value to the next; the first is at the start of the run, the last at the end of the load.
    pub step_s: f64,
    /// When the load window began; before it the load warms up.
    pub load_from_s: f64,
    /// The pairs.
    pub pairs: Vec<u32>,
    /// When a fault was on in at least half of the runs: start and end.
    pub faults_s: Vec<[f64; 2]>,
    /// In the order of the arms; without those that have no run that counts.
    pub arms: Vec<StateCurve>,
}

/// Bytes over time in one arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateCurve {
    /// The arm.
    pub arm: String,
    /// Bytes on the fullest node: the median of its runs.
    pub median: Vec<f64>,
    /// The least of its runs.
    pub least: Vec<f64>,
    /// The most of its runs.
    pub most: Vec<f64>,
}

impl StateCurve {
    /// The median at the end of the load.
    pub fn at_end(&self) -> f64 {
        self.median.last().copied().unwrap_or(0.0)
    }
}

impl StateSizes {
    /// Whether arms hold less and less at the end of the load, in this order.
    ///
    /// # Errors
    /// Names the first arm that does not hold less than the one before it, with the bytes of both, or has no curve.
    pub fn falls(&self, arms: &[&str]) -> Result<(), String> {
        let curve = |arm: &str| self.arms.iter().find(|c| c.arm == arm).ok_or_else(|| format!("arm {arm} has no curve"));
        for two in arms.windows(2) {
            let (more, less) = (curve(two[0])?.at_end(), curve(two[1])?.at_end());
            if less >= more {
                return Err(format!("arm {} holds {less} bytes at the end, not less than the {more} of arm {}", two[1], two[0]));
            }
        }
        Ok(())
    }
}

/// Bytes over time in one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateOverTime {
    /// When the load window began.
    pub load_from_s: f64,
    /// From one value to the next.
    pub step_s: f64,
    /// Bytes on the fullest node.
    pub bytes: Vec<f64>,
    /// Whether a fault was on.
    pub struck: Vec<bool>,
    /// The most that a node told of.
    pub peak: f64,
}

/// Reads it from a run's history; nothing where no node told of its state.
pub fn of(history: &History, measured: &Measured) -> Option<StateOverTime> {
    let window = measured.window;
    let mut nodes: BTreeMap<NodeIx, Vec<(Nanos, f64)>> = BTreeMap::new();
    for event in history.node_events.iter().filter(|e| &*e.what == STATE && e.t < window.end) {
        // Every run has a cluster of its own, which begins with nothing.
        nodes.entry(event.node).or_insert_with(|| vec![(Nanos(0), 0.0)]).push((event.t, total(event)));
    }
    if nodes.is_empty() {
        return None;
    }
    let step = window.end.0 as f64 / (POINTS - 1) as f64;
    let times: Vec<Nanos> = (0..POINTS).map(|i| Nanos((i as f64 * step) as u64)).collect();
    let fullest = |t: &Nanos| nodes.values().map(|looks| between(looks, *t)).fold(0.0, f64::max);
    let struck = |t: &Nanos| measured.faults.iter().any(|f| f.began <= *t && *t < f.end(measured.end));
    Some(StateOverTime {
        load_from_s: window.start.as_secs_f64(),
        step_s: step / 1e9,
        bytes: times.iter().map(fullest).collect(),
        struck: times.iter().map(struck).collect(),
        peak: nodes.values().flatten().map(|(_, bytes)| *bytes).fold(0.0, f64::max),
    })
}

fn total(event: &NodeEvent) -> f64 {
    KINDS.iter().filter_map(|kind| event.detail.get(*kind)?.as_u64()).sum::<u64>() as f64
}

/// On the line between the looks before and after `t`; after the last look, what that one saw.
fn between(looks: &[(Nanos, f64)], t: Nanos) -> f64 {
    let at = looks.partition_point(|(seen, _)| *seen <= t);
    let before = looks[at.saturating_sub(1)];
    let Some(after) = looks.get(at) else { return before.1 };
    let span = after.0.since(before.0).0;
    if span == 0 { after.1 } else { before.1 + (after.1 - before.1) * (t.since(before.0).0 as f64 / span as f64) }
}

/// The arms, named in order, over the pairs in which every arm with a run has one; `runs` are those that count, each with
/// its pair and the name of its arm.
pub fn pool(arms: &[&str], runs: &[(u32, &str, &StateOverTime)]) -> Option<StateSizes> {
    let there: Vec<&str> = arms.iter().copied().filter(|arm| runs.iter().any(|r| r.1 == *arm)).collect();
    let run = |pair: u32, arm: &str| runs.iter().find(|r| r.0 == pair && r.1 == arm).map(|r| r.2);
    let mut pairs: Vec<u32> = runs.iter().map(|r| r.0).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.retain(|pair| there.iter().all(|arm| run(*pair, arm).is_some()));
    let one = run(*pairs.first()?, there.first()?)?;
    let all = |arm: &str| pairs.iter().filter_map(|pair| run(*pair, arm)).collect::<Vec<_>>();
    let curve = |arm: &&str| {
        // Runs of one plan have one window; one that was cut short does not count.
        let sorted = |i: usize| {
            let mut at: Vec<f64> = all(arm).iter().filter_map(|r| r.bytes.get(i).copied()).collect();
            at.sort_by(f64::total_cmp);
            at
        };
        let at: Vec<Vec<f64>> = (0..one.bytes.len()).map(sorted).collect();
        StateCurve {
            arm: (*arm).to_owned(),
            median: at.iter().map(|v| median(v).unwrap_or(0.0).round()).collect(),
            least: at.iter().map(|v| v[0].round()).collect(),
            most: at.iter().map(|v| v[v.len() - 1].round()).collect(),
        }
    };
    let used: Vec<&StateOverTime> = there.iter().flat_map(|arm| all(arm)).collect();
    let struck: Vec<bool> = (0..one.struck.len()).map(|i| 2 * used.iter().filter(|r| r.struck[i]).count() >= used.len()).collect();
    Some(StateSizes {
        step_s: round(one.step_s, 6),
        load_from_s: round(one.load_from_s, 6),
        faults_s: spans(&struck, one.step_s),
        arms: there.iter().map(curve).collect(),
        pairs,
    })
}

/// Where a row of places is on, in seconds.
fn spans(on: &[bool], step_s: f64) -> Vec<[f64; 2]> {
    let mut spans: Vec<[f64; 2]> = vec![];
    for (i, _) in on.iter().enumerate().filter(|(_, on)| **on) {
        let (from, to) = (round(i as f64 * step_s, 3), round((i + 1) as f64 * step_s, 3));
        match spans.last_mut() {
            Some(last) if i > 0 && on[i - 1] => last[1] = to,
            _ => spans.push([from, to]),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    fn history(looks: &[(u64, u16, u64)]) -> History {
        let mut history = sample::history(Sample::default());
        history.node_events.retain(|e| &*e.what != STATE);
        for (ms, node, accepted) in looks {
            let detail = [("data", 1_000_000), ("promise", 24), ("accepted", *accepted)];
            history.node_events.push(NodeEvent {
                t: Nanos::from_ms(*ms),
                node: NodeIx(*node),
                what: STATE.into(),
                detail: detail.into_iter().map(|(kind, bytes)| (kind.to_owned(), bytes.into())).collect(),
            });
        }
        history
    }

    #[test]
    fn a_run_shows_its_fullest_node_without_data_up_to_the_end_of_the_load() {
        let end_ms = measure::analyze(&history(&[])).window.end.0 / 1_000_000;
        let run = |looks: &[(u64, u16, u64)]| {
            let history = history(looks);
            of(&history, &measure::analyze(&history))
        };
        assert_eq!(run(&[]), None, "nobody told");
        let told = run(&[(1_000, 0, 76), (2_000, 0, 176), (1_000, 1, 26), (2_000, 1, 576), (end_ms + 500, 0, 9_000_000)]).expect("told");
        assert_eq!((told.bytes.len(), told.bytes[0], told.peak), (POINTS, 0.0, 600.0));
        assert_eq!(told.bytes[POINTS - 1], 600.0, "the last look holds");
        let at = |ms: u64| told.bytes[(ms as f64 / 1e3 / told.step_s).round() as usize];
        assert!((at(500) - 50.0).abs() < 20.0 && (at(1_000) - 100.0).abs() < 60.0, "{:?}", told.bytes);
        assert!(told.struck.iter().any(|s| *s) && told.struck.iter().any(|s| !s), "the sample has faults");
    }

    fn run(bytes: [f64; 3], struck: [bool; 3]) -> StateOverTime {
        StateOverTime { load_from_s: 1.0, step_s: 2.0, bytes: bytes.into(), struck: struck.into(), peak: bytes[2] }
    }

    #[test]
    fn arms_are_pooled_over_the_pairs_that_all_have() {
        let calm = [false; 3];
        let (a, b, c) =
            (run([0.0, 10.0, 20.0], [false, true, true]), run([0.0, 30.0, 40.0], [false, true, false]), run([0.0, 4.0, 5.0], calm));
        let runs = [(1, "a", &a), (2, "a", &b), (2, "b", &c), (1, "b", &c), (3, "a", &a)];
        let sizes = pool(&["a", "b", "never"], &runs).expect("pairs are there");
        assert_eq!(sizes.pairs, [1, 2], "pair 3 has one arm");
        assert_eq!((&sizes.arms[0].median, &sizes.arms[0].least, &sizes.arms[0].most), (&vec![0.0, 20.0, 30.0], &a.bytes, &b.bytes));
        assert_eq!(sizes.faults_s, [[2.0, 4.0]], "half of the runs were struck there");
        assert_eq!(sizes.falls(&["a", "b"]), Ok(()));
        assert_eq!(sizes.falls(&["b", "a"]), Err("arm a holds 30 bytes at the end, not less than the 5 of arm b".into()));
        assert_eq!(sizes.falls(&["a", "never"]), Err("arm never has no curve".into()));
        assert_eq!(pool(&["a", "b"], &runs[..2][..1]).map(|s| s.arms.len()), Some(1));
        assert_eq!(pool(&["a"], &[]), None);
    }
}
