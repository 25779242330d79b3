//! Bytes of protocol state over time: of one run, from its history, and of an arm, over the runs of its pairs. Keys and values
//! are left out, since pruning and expiry do not affect them. The history contains the samples that nodes report each second, as
//! in `nodes/<n>/metrics.jsonl`, with times on the clock of the run.

use crate::measure::{Measured, round};
use crate::median;
use heckle_history::event::{NodeEvent, STATE};
use heckle_history::{History, Nanos, NodeIx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of points in time for which the bytes of a run are computed, from its start to the end of its load.
const POINTS: usize = 100;
/// All kinds of state except `data`: the overhead compared to a plain copy of the store.
const KINDS: [&str; 4] = ["promise", "accepted", "dedupe", "queue"];

/// Bytes over time in every arm, over the pairs that all arms have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateSizes {
    /// Time between values. The first value is at the start of the run, the last at the end of the load.
    pub step_s: f64,
    /// Start of the load window. Before it the load warms up.
    pub load_from_s: f64,
    /// Numbers of the pairs.
    pub pairs: Vec<u32>,
    /// Times at which a fault was active in at least half of the runs, as start and end.
    pub faults_s: Vec<[f64; 2]>,
    /// The curve of each arm, in order. Arms without a run that counts are left out.
    pub arms: Vec<StateCurve>,
}

/// Bytes over time in one arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateCurve {
    /// Name of the arm.
    pub arm: String,
    /// Bytes on the fullest node, median over its runs.
    pub median: Vec<f64>,
    /// Bytes on the fullest node, minimum over its runs.
    pub least: Vec<f64>,
    /// Bytes on the fullest node, maximum over its runs.
    pub most: Vec<f64>,
}

impl StateCurve {
    /// Returns the median at the end of the load.
    pub fn at_end(&self) -> f64 {
        self.median.last().copied().unwrap_or(0.0)
    }
}

impl StateSizes {
    /// Checks that each arm in this list has less state at the end of the load than the one before it.
    ///
    /// # Errors
    /// Names the first arm without a curve, or the first arm whose state is not smaller than that of the arm before it, with the
    /// bytes of both.
    pub fn check_decreasing(&self, arms: &[&str]) -> Result<(), String> {
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
    /// Start of the load window.
    pub load_from_s: f64,
    /// Time between values, in seconds.
    pub step_s: f64,
    /// Bytes on the fullest node.
    pub bytes: Vec<f64>,
    /// Whether a fault was active at each point in time.
    pub struck: Vec<bool>,
    /// The largest value that any node reported.
    pub peak: f64,
}

/// Computes the bytes from the history of a run. Returns `None` if no node reported its state.
pub fn of(history: &History, measured: &Measured) -> Option<StateOverTime> {
    let window = measured.window;
    let mut nodes: BTreeMap<NodeIx, Vec<(Nanos, f64)>> = BTreeMap::new();
    for event in history.node_events.iter().filter(|e| &*e.what == STATE && e.t < window.end) {
        // Every run has its own cluster, which begins without state.
        nodes.entry(event.node).or_insert_with(|| vec![(Nanos(0), 0.0)]).push((event.t, total(event)));
    }
    if nodes.is_empty() {
        return None;
    }
    let step = window.end.0 as f64 / (POINTS - 1) as f64;
    let times: Vec<Nanos> = (0..POINTS).map(|i| Nanos((i as f64 * step) as u64)).collect();
    let fullest = |t: &Nanos| nodes.values().map(|samples| interpolate(samples, *t)).fold(0.0, f64::max);
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

/// Interpolates linearly between the samples before and after `t`. After the last sample, uses its value.
fn interpolate(samples: &[(Nanos, f64)], t: Nanos) -> f64 {
    let at = samples.partition_point(|(seen, _)| *seen <= t);
    let before = samples[at.saturating_sub(1)];
    let Some(after) = samples.get(at) else { return before.1 };
    let span = after.0.since(before.0).0;
    if span == 0 { after.1 } else { before.1 + (after.1 - before.1) * (t.since(before.0).0 as f64 / span as f64) }
}

/// Combines the runs of all arms, in the given order, over the pairs in which every arm with any runs has one. `runs` are the
/// runs that count, each with its pair and the name of its arm.
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
        // All runs of a plan have the same window. A run that was cut short does not count.
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

/// Returns the spans in which `on` is true, in seconds.
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

    fn history(samples: &[(u64, u16, u64)]) -> History {
        let mut history = sample::history(Sample::default());
        history.node_events.retain(|e| &*e.what != STATE);
        for (ms, node, accepted) in samples {
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
    fn a_run_has_the_bytes_of_its_fullest_node_until_the_load_ends() {
        let end_ms = measure::analyze(&history(&[])).window.end.0 / 1_000_000;
        let run = |samples: &[(u64, u16, u64)]| {
            let history = history(samples);
            of(&history, &measure::analyze(&history))
        };
        assert_eq!(run(&[]), None, "no node reported its state");
        let sampled = run(&[(1_000, 0, 76), (2_000, 0, 176), (1_000, 1, 26), (2_000, 1, 576), (end_ms + 500, 0, 9_000_000)])
            .expect("nodes reported their state");
        assert_eq!((sampled.bytes.len(), sampled.bytes[0], sampled.peak), (POINTS, 0.0, 600.0));
        assert_eq!(sampled.bytes[POINTS - 1], 600.0, "the last sample is used");
        let at = |ms: u64| sampled.bytes[(ms as f64 / 1e3 / sampled.step_s).round() as usize];
        assert!((at(500) - 50.0).abs() < 20.0 && (at(1_000) - 100.0).abs() < 60.0, "{:?}", sampled.bytes);
        assert!(sampled.struck.iter().any(|s| *s) && sampled.struck.iter().any(|s| !s), "the sample has faults");
    }

    fn run(bytes: [f64; 3], struck: [bool; 3]) -> StateOverTime {
        StateOverTime { load_from_s: 1.0, step_s: 2.0, bytes: bytes.into(), struck: struck.into(), peak: bytes[2] }
    }

    #[test]
    fn arms_are_combined_over_common_pairs() {
        let calm = [false; 3];
        let (a, b, c) =
            (run([0.0, 10.0, 20.0], [false, true, true]), run([0.0, 30.0, 40.0], [false, true, false]), run([0.0, 4.0, 5.0], calm));
        let runs = [(1, "a", &a), (2, "a", &b), (2, "b", &c), (1, "b", &c), (3, "a", &a)];
        let sizes = pool(&["a", "b", "never"], &runs).expect("pairs are there");
        assert_eq!(sizes.pairs, [1, 2], "pair 3 has one arm");
        assert_eq!((&sizes.arms[0].median, &sizes.arms[0].least, &sizes.arms[0].most), (&vec![0.0, 20.0, 30.0], &a.bytes, &b.bytes));
        assert_eq!(sizes.faults_s, [[2.0, 4.0]], "half of the runs were struck there");
        assert_eq!(sizes.check_decreasing(&["a", "b"]), Ok(()));
        assert_eq!(sizes.check_decreasing(&["b", "a"]), Err("arm a holds 30 bytes at the end, not less than the 5 of arm b".into()));
        assert_eq!(sizes.check_decreasing(&["a", "never"]), Err("arm never has no curve".into()));
        assert_eq!(pool(&["a", "b"], &runs[..2][..1]).map(|s| s.arms.len()), Some(1));
        assert_eq!(pool(&["a"], &[]), None);
    }
}
