//! Figures from a history. This is the only place that counts latency, rate and outcomes of a run.
//!
//! Latency is measured from the time an operation was *due* (`intended`), so that a stalled cluster cannot hide behind operations
//! that were never sent ("coordinated omission", Gil Tene, *How NOT to measure latency*), as well as from the time it was sent.
//! Percentiles cover only ok operations: the latency of an unknown outcome is censored, so those are counted separately. Counts
//! cover the whole history and the load window. Latency, rate and the system's figures cover the load window, without warm-up and
//! final reads.

use crate::faults::{self, FaultWindow};
use crate::results_json::{
    Fairness, FateCounts, HistoryInfo, LateEffects, Latency, Load, LoadUnit, Percentiles, Results, SystemFigures, WindowCounts,
};
use crate::stages::{self, StageFigures};
use crate::{bottleneck, totals};
use hdrhistogram::Histogram;
use heckle_checker::fairness;
use heckle_history::{Call, Current, Fate, History, IntentId, KeyId, Measure, Nanos, Operation, Outcome, Seen, Value};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// An operation sent this long after it was due is late.
pub const LATE_AFTER: Nanos = Nanos::from_ms(5);
/// Share of late operations above which the load was not the one requested by the plan, and performance gates are void.
pub const LATE_RATIO_LIMIT: f64 = 0.01;
/// The key in [`Measured::latency_ms`] for all kinds of operations together.
pub const ALL: &str = "all";
/// The keys for operations that used consensus and for those that bypassed it. They are present if a run has both.
pub const PATHS: [&str; 2] = ["paxos", "cheap"];

/// Position of a key of [`Measured::latency_ms`] in a table: the kinds of each path, then the sum for the path, with [`ALL`]
/// last.
pub fn sort_rank(kind: &str) -> u8 {
    match kind {
        ALL => 4,
        "cheap" => 3,
        "get" | "put" => 2,
        "paxos" => 1,
        _ => 0,
    }
}

/// Display name of a key of [`Measured::latency_ms`].
pub fn title(kind: &str) -> &str {
    match kind {
        "paxos" => "paxos path",
        "cheap" => "cheap path",
        kind => kind,
    }
}

/// The figures of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Counts over the whole history.
    pub whole: WindowCounts,
    /// Counts of the operations due in the load window.
    pub in_window: WindowCounts,
    /// Fates over the whole history.
    pub fates: FateCounts,
    /// Load in the load window. The target load comes from the plan.
    pub load: Load,
    /// Latency in the load window, by kind of operation and for [`ALL`]; if both paths were used, also for each of [`PATHS`].
    pub latency_ms: BTreeMap<String, Latency>,
    /// Figures of the system about the operations due in the load window.
    pub system: SystemFigures,
    /// Fairness in the load window, for workloads with intents.
    pub fairness: Option<fairness::Fairness>,
    /// Figures of each stage, if the load has stages.
    pub stages: Vec<StageFigures>,
    /// Faults, in the order in which they began.
    pub faults: Vec<FaultWindow>,
    /// The load window.
    pub window: Window,
    /// Time of the last event in the history.
    pub end: Nanos,
}

/// The time under load. The end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant of the window.
    pub start: Nanos,
    /// The first instant after the window.
    pub end: Nanos,
}

impl Window {
    /// Returns the load window of the header, truncated at the end of the history for a run that was stopped early. Without one,
    /// the window extends from the first invoke to just after the last.
    pub fn of(history: &History) -> Self {
        match (history.header.load_window, history.ops.first(), history.ops.last()) {
            (Some((start, end)), _, _) => Window { start: Nanos(start), end: Nanos(end.min(history.end.0).max(start)) },
            (None, Some(first), Some(last)) => Window { start: first.invoked.min(first.intended), end: Nanos(last.invoked.0 + 1) },
            (None, _, _) => Window { start: Nanos(0), end: Nanos(0) },
        }
    }

    /// Whether `t` is in the window.
    pub fn holds(self, t: Nanos) -> bool {
        self.start <= t && t < self.end
    }

    /// Returns its length in seconds.
    pub fn seconds(self) -> f64 {
        self.end.since(self.start).as_secs_f64()
    }
}

/// Computes counts, latency, rate, faults and the system's figures of `history`. The system's figures require the details of the history.
pub fn analyze(history: &History) -> Measured {
    let window = Window::of(history);
    let (begins, late) = (begins(history), late(history));
    Measured {
        whole: totals::count(history.ops.iter()),
        in_window: totals::count(history.ops.iter().filter(|op| window.holds(op.intended))),
        fates: count_fates(history),
        load: load(history, window, &begins, &late),
        stages: stages::of(history, window.end, &begins, &late),
        latency_ms: latency(history, window),
        system: system_figures(history, window),
        fairness: fairness::measure(history),
        faults: faults::fault_windows(history),
        window,
        end: history.end,
    }
}

impl Results {
    /// Copies the measured figures into the results. Preserves the target load (`target_per_s`, `max_rate`, `unsent`), the
    /// samples of the machine, and the figures reported by nodes (syncs and state bytes). `history` is the measured history,
    /// which supplies names.
    pub fn set_measured(&mut self, measured: &Measured, history: &History) {
        self.fairness = measured.fairness.as_ref().map(|f| Fairness::of(f, history));
        self.history = HistoryInfo::of(history);
        (self.ops, self.ops_by_kind) = (measured.whole.ops, measured.whole.by_kind.clone());
        self.window = Some(measured.in_window.clone());
        self.fates = measured.fates;
        let before = std::mem::take(&mut self.load);
        let (target_per_s, max_rate, unsent) = (before.target_per_s, before.max_rate, before.unsent);
        // If the load was stopped early, sending stopped before the history ended, so its rate cannot be compared with the target.
        let cut = before.aborted.is_some() || history.header.load_window.is_some_and(|(_, end)| measured.window.end.0 < end);
        let asked = target_per_s.filter(|t| *t > 0.0 && measured.load.begun > 0 && !cut);
        let achieved_ratio = asked.map(|t| round(measured.load.begun_per_s / t, 6));
        let (think_ms, aborted) = (before.think_ms, before.aborted);
        self.load = Load { target_per_s, max_rate, unsent, think_ms, aborted, achieved_ratio, ..measured.load.clone() };
        self.stages.clone_from(&measured.stages);
        self.latency_ms = measured.latency_ms.clone();
        let of_nodes = std::mem::take(&mut self.system);
        self.system = SystemFigures {
            fsyncs_per_op: of_nodes.fsyncs_per_op,
            state_bytes_max: of_nodes.state_bytes_max,
            state_bytes_end: of_nodes.state_bytes_end,
            pruned: of_nodes.pruned,
            prune_dropped: of_nodes.prune_dropped,
            expired: of_nodes.expired,
            ..measured.system.clone()
        };
        self.faults = measured.faults.iter().map(|f| f.record(measured.end)).collect();
        self.bottlenecks = bottleneck::find(self);
    }
}

fn count_fates(history: &History) -> FateCounts {
    let mut counts = FateCounts { late_effects: late_effects(history), ..FateCounts::default() };
    for (fate, _) in history.fates.values() {
        match fate {
            Fate::Applied => counts.applied += 1,
            Fate::NotApplied => counts.not_applied += 1,
            Fate::Evicted => (counts.unresolved, counts.evicted) = (counts.unresolved + 1, counts.evicted + 1),
            Fate::Unresolved => counts.unresolved += 1,
        }
    }
    counts
}

/// Finds when the effects of unknown writes were observed. Values are unique, so an operation that returns a value has observed
/// the effect of its writer.
fn late_effects(history: &History) -> LateEffects {
    let unknown = history.ops.iter().filter(|op| op.outcome == Outcome::Unknown);
    // Time at which each value of an unknown write was first observed.
    let mut shown: FxHashMap<(KeyId, Value), Nanos> = unknown.filter_map(|op| Some(((op.key, op.call.writes()?), Nanos::NEVER))).collect();
    for op in &history.ops {
        let saw = match (op.outcome, op.call) {
            (Outcome::Ok(Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v))), _) => v,
            (Outcome::Ok(Seen::Applied), Call::Cas { expected, .. }) => expected,
            (Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown | Outcome::Open, _) => None,
        };
        if let Some(first) = saw.and_then(|value| shown.get_mut(&(op.key, value))) {
            *first = op.completed.min(*first);
        }
    }
    let mut late = Latencies::new();
    for (place, op) in (0u32..).zip(&history.ops).filter(|(_, op)| op.outcome == Outcome::Unknown) {
        let Some(value) = op.call.writes() else { continue };
        let applied_at = history.fates.get(&place).filter(|(fate, _)| *fate == Fate::Applied).map(|(_, t)| *t);
        let seen = shown.get(&(op.key, value)).copied().filter(|t| *t != Nanos::NEVER);
        if let Some(t) = seen.into_iter().chain(applied_at).min().filter(|t| *t > op.completed) {
            late.add(t.since(op.completed));
        }
    }
    let p = late.percentiles();
    LateEffects { count: late.histogram.len(), p50_ms: p.p50, p99_ms: p.p99, max_ms: p.max }
}

fn intents(history: &History) -> impl Iterator<Item = Option<IntentId>> + '_ {
    history.details.iter().map(|d| d.intent).chain(std::iter::repeat(None)).take(history.ops.len())
}

/// Returns for each operation whether the load generator began it.
fn begins(history: &History) -> Vec<bool> {
    totals::are_first_attempts(intents(history))
}

fn load(history: &History, window: Window, begins: &[bool], late: &[bool]) -> Load {
    let sent = || (0..history.ops.len()).filter(|at| window.holds(history.ops[*at].invoked));
    let count = |of: &[bool]| sent().filter(|at| of[*at]).count() as u64;
    let (sent, begun, late) = (sent().count() as u64, count(begins), count(late));
    let seconds = window.seconds();
    let per_s = |n: u64| if seconds > 0.0 { round(n as f64 / seconds, 1) } else { 0.0 };
    Load {
        achieved_per_s: per_s(sent),
        unit: if intents(history).any(|i| i.is_some()) { LoadUnit::Intent } else { LoadUnit::Op },
        sent,
        begun,
        begun_per_s: per_s(begun),
        late_ratio: if begun > 0 { round(late as f64 / begun as f64, 6) } else { 0.0 },
        window_s: round(seconds, 3),
        ..Load::default()
    }
}

/// Returns for each operation whether it, or the intent that it begins, was sent late although the in-flight limit was not reached. While
/// the limit holds operations back, the delay is caused by the cluster and is included in their latency. Any other delay is caused by the
/// harness.
fn late(history: &History) -> Vec<bool> {
    let limit = history.header.more.get("max_in_flight").and_then(serde_json::Value::as_u64).map(|n| n as usize);
    let is_late = |op: &Operation, place: Option<Nanos>| place.is_some() && op.invoked.since(op.intended) > LATE_AFTER;
    let places = slot_ends(history);
    let Some(limit) = limit else { return history.ops.iter().zip(places).map(|(op, place)| is_late(op, place)).collect() };
    let mut free_again: BinaryHeap<Reverse<Nanos>> = BinaryHeap::new();
    let mut full_last: Option<Nanos> = None;
    let mut late = vec![false; history.ops.len()];
    for ((op, place), late) in history.ops.iter().zip(places).zip(&mut late) {
        while free_again.peek().is_some_and(|c| c.0 <= op.invoked) {
            // The limit was reached until this operation ended and freed a slot.
            if free_again.len() >= limit {
                full_last = free_again.peek().map(|c| c.0);
            }
            free_again.pop();
        }
        let held_back = free_again.len() >= limit || full_last.is_some_and(|t| t >= op.intended);
        // Only operations that take up a slot were due by the clock. A retry is due when the reply to the previous attempt arrives.
        *late = is_late(op, place) && !held_back;
        free_again.extend(place.map(Reverse));
    }
    late
}

/// Returns for each operation the time until which it occupies a slot of the in-flight limit. An intent keeps its slot
/// for all its operations, including pauses, so only its first operation occupies one.
fn slot_ends(history: &History) -> impl Iterator<Item = Option<Nanos>> + '_ {
    let intent = move |at: usize| history.details.get(at).and_then(|d| d.intent);
    let mut ends: BTreeMap<IntentId, Nanos> = BTreeMap::new();
    for (at, op) in history.ops.iter().enumerate() {
        if let Some(id) = intent(at) {
            ends.entry(id).and_modify(|e| *e = op.completed.max(*e)).or_insert(op.completed);
        }
    }
    history.ops.iter().enumerate().map(move |(at, op)| match intent(at) {
        Some(id) => ends.remove(&id),
        None => Some(op.completed),
    })
}

struct LatencyPair {
    censored: u64,
    from_intended: Latencies,
    from_invoked: Latencies,
}

impl LatencyPair {
    fn new() -> Self {
        LatencyPair { censored: 0, from_intended: Latencies::new(), from_invoked: Latencies::new() }
    }

    fn add(&mut self, op: &Operation) {
        match op.outcome {
            Outcome::Ok(_) => {
                self.from_intended.add(op.completed.since(op.intended));
                self.from_invoked.add(op.completed.since(op.invoked));
            }
            Outcome::Unknown | Outcome::Open => self.censored += 1,
            // The time taken to prove that an op did not happen is not a latency of the service.
            Outcome::Failed => {}
        }
    }

    fn latency(&self) -> Latency {
        Latency {
            ok: self.from_intended.histogram.len(),
            censored: self.censored,
            from_intended: self.from_intended.percentiles(),
            from_invoked: self.from_invoked.percentiles(),
        }
    }
}

/// A latency histogram with three significant digits, so that a bucket at 1 ms is 1 us wide. It also keeps the exact maximum,
/// since the upper edge of a bucket may exceed the slowest operation.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    pub(crate) histogram: Histogram<u64>,
    pub(crate) slowest: Nanos,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Latencies { histogram: Histogram::new(3).expect("three digits are allowed"), slowest: Nanos(0) }
    }

    pub(crate) fn add(&mut self, latency: Nanos) {
        self.slowest = self.slowest.max(latency);
        self.histogram.record(latency.0).expect("a growing histogram takes any value");
    }

    /// Returns percentiles in milliseconds, rounded to the microsecond.
    pub(crate) fn percentiles(&self) -> Percentiles {
        let ms = |q: f64| round(self.histogram.value_at_quantile(q).min(self.slowest.0) as f64 / 1e6, 3);
        Percentiles { p50: ms(0.5), p90: ms(0.9), p95: ms(0.95), p99: ms(0.99), p999: ms(0.999), max: ms(1.0) }
    }
}

fn latency(history: &History, window: Window) -> BTreeMap<String, Latency> {
    let mut by_kind: BTreeMap<&str, LatencyPair> = BTreeMap::new();
    let (mut all, mut by_path) = (LatencyPair::new(), [LatencyPair::new(), LatencyPair::new()]);
    let mut used = [false; 2];
    for op in history.ops.iter().filter(|op| window.holds(op.intended)) {
        by_kind.entry(op.name()).or_insert_with(LatencyPair::new).add(op);
        let path = usize::from(op.path.is_last_write_wins());
        used[path] = true;
        by_path[path].add(op);
        all.add(op);
    }
    // The paths are listed only if both were used.
    for (name, pair) in PATHS.into_iter().zip(by_path).filter(|_| used == [true; 2]) {
        by_kind.insert(name, pair);
    }
    let mut latency: BTreeMap<String, Latency> = by_kind.into_iter().map(|(kind, pair)| (kind.to_owned(), pair.latency())).collect();
    latency.insert(ALL.to_owned(), all.latency());
    latency
}

fn system_figures(history: &History, window: Window) -> SystemFigures {
    // An operation that bypasses consensus makes no attempts, and would distort the figures of the others.
    let counts = |op: &Operation| !op.path.is_last_write_wins() && window.holds(op.intended);
    let through = || history.details.iter().zip(&history.ops).filter(|(_, op)| counts(op)).map(|(d, _)| d);
    let reported = || through().filter_map(|d| d.diagnostics.as_ref());
    let all = |measure: Measure| reported().filter_map(history.names.reads(measure));
    let sum = |measure| all(measure).fold(0u64, u64::saturating_add);
    let mut attempts = Histogram::<u64>::new(3).expect("three digits are allowed");
    for n in all(Measure::Attempts) {
        attempts.record(n).expect("a growing histogram takes any value");
    }
    let quantile = |q: f64| (!attempts.is_empty()).then(|| attempts.value_at_quantile(q) as f64);
    let (trips, ops) = all(Measure::RoundTrips).fold((0u64, 0u64), |(sum, n), trips| (sum.saturating_add(trips), n + 1));
    SystemFigures {
        rounds_p50: quantile(0.5),
        rounds_p99: quantile(0.99),
        preempted: sum(Measure::Preemptions),
        repairs: sum(Measure::Repairs),
        round_trips_per_op: (ops > 0).then(|| round(trips as f64 / ops as f64, 3)),
        ..SystemFigures::default()
    }
}

/// Rounds to `digits` decimal places, since these files are also read by people.
pub(crate) fn round(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests;
