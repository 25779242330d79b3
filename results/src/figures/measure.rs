//! Figures from a history: the only place where latency, rate and outcomes of a run are counted.
//!
//! Latency counts from when an op was *due* (`intended`), so that a stalled cluster cannot hide behind the ops that
//! were never sent ("coordinated omission", Gil Tene, *How NOT to measure latency*), and beside it from when it was
//! sent. Only ok ops are in the percentiles: an unknown outcome's latency is censored, so it is counted apart.
//! Counts are given of the whole history and of the load window; latency, rate and the system's figures are of the load window,
//! without warm-up and final reads.

use crate::faults::{self, Disturbance};
use crate::results_json::{
    Fairness, FateCounts, HistoryInfo, LateEffects, Latency, Load, LoadUnit, Percentiles, Results, SystemFigures, WindowCounts,
};
use crate::{bottleneck, totals};
use hdrhistogram::Histogram;
use heckle_checker::fairness;
use heckle_history::{Call, Current, Fate, History, IntentId, KeyId, Measure, Nanos, Operation, Outcome, Seen, Value};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// An op sent this much after it was due is late.
pub const LATE_AFTER: Nanos = Nanos::from_ms(5);
/// Above this share of late ops the load was not what the plan asked for, and performance gates say nothing.
pub const LATE_RATIO_LIMIT: f64 = 0.01;
/// The key in [`Measured::latency_ms`] for every kind of op together.
pub const ALL: &str = "all";
/// And, where a run has both, for the ops that went through consensus, and for those that bypassed it.
pub const PATHS: [&str; 2] = ["paxos", "cheap"];

/// Where a key of [`Measured::latency_ms`] stands in a table: each path's kinds, their sum below them, [`ALL`] last.
pub fn rank(kind: &str) -> u8 {
    match kind {
        ALL => 4,
        "cheap" => 3,
        "get" | "put" => 2,
        "paxos" => 1,
        _ => 0,
    }
}

/// How a key of [`Measured::latency_ms`] is shown.
pub fn title(kind: &str) -> &str {
    match kind {
        "paxos" => "paxos path",
        "cheap" => "cheap path",
        kind => kind,
    }
}

/// What a history says in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Over the whole history.
    pub whole: WindowCounts,
    /// Of the ops due in the load window.
    pub in_window: WindowCounts,
    /// Over the whole history.
    pub fates: FateCounts,
    /// In the load window. What was asked for is the plan's to say.
    pub load: Load,
    /// In the load window, by kind of op and for [`ALL`]; where both paths were used, for each of [`PATHS`] too.
    pub latency_ms: BTreeMap<String, Latency>,
    /// Of the ops due in the load window.
    pub system: SystemFigures,
    /// In the load window, where the workload has intents.
    pub fairness: Option<fairness::Fairness>,
    /// In the order they began.
    pub faults: Vec<Disturbance>,
    /// The load window.
    pub window: Window,
    /// The end of the history.
    pub end: Nanos,
}

/// The time under load, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub start: Nanos,
    /// The first instant after it.
    pub end: Nanos,
}

impl Window {
    /// The window the header states, cut where the history ends (a run that was stopped early), else from the first invoke to just after the last.
    pub fn of(history: &History) -> Self {
        match (history.header.load_window, history.ops.first(), history.ops.last()) {
            (Some((start, end)), _, _) => Window { start: Nanos(start), end: Nanos(end.min(history.end.0).max(start)) },
            (None, Some(first), Some(last)) => Window { start: first.invoked.min(first.intended), end: Nanos(last.invoked.0 + 1) },
            (None, _, _) => Window { start: Nanos(0), end: Nanos(0) },
        }
    }

    /// Whether `t` is in it.
    pub fn holds(self, t: Nanos) -> bool {
        self.start <= t && t < self.end
    }

    /// Its length in seconds.
    pub fn seconds(self) -> f64 {
        self.end.since(self.start).as_secs_f64()
    }
}

/// Counts, latency, rate, the system's figures and faults of `history`. The system's figures need its details.
pub fn analyze(history: &History) -> Measured {
    let window = Window::of(history);
    Measured {
        whole: totals::count(history.ops.iter()),
        in_window: totals::count(history.ops.iter().filter(|op| window.holds(op.intended))),
        fates: count_fates(history),
        load: load(history, window),
        latency_ms: latency(history, window),
        system: of_system(history, window),
        fairness: fairness::measure(history),
        faults: faults::disturbances(history),
        window,
        end: history.end,
    }
}

impl Results {
    /// Takes over what the history says. What was asked for (`target_per_s`, `max_rate`, `unsent`), what was sampled beside it, and what the nodes report
    /// (syncs and state bytes) stay as they are. `history` is what was measured, for its names.
    pub fn take(&mut self, measured: &Measured, history: &History) {
        self.fairness = measured.fairness.as_ref().map(|f| Fairness::of(f, history));
        self.history = HistoryInfo::of(history);
        (self.ops, self.ops_by_kind) = (measured.whole.ops, measured.whole.by_kind.clone());
        self.window = Some(measured.in_window.clone());
        self.fates = measured.fates;
        let (target_per_s, max_rate, unsent) = (self.load.target_per_s, self.load.max_rate, self.load.unsent);
        // A load that was stopped early stopped sending before its history ended: it was not at the asked rate, nor below it.
        let cut = history.header.load_window.is_some_and(|(_, end)| measured.window.end.0 < end);
        let asked = target_per_s.filter(|t| *t > 0.0 && measured.load.begun > 0 && !cut);
        let achieved_ratio = asked.map(|t| round(measured.load.begun_per_s / t, 6));
        self.load = Load { target_per_s, max_rate, unsent, achieved_ratio, ..measured.load.clone() };
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

/// When the effects of unknown writes came to light. Values are unique, so who sees one sees its writer's effect.
fn late_effects(history: &History) -> LateEffects {
    let mut shown: FxHashMap<(KeyId, Value), Nanos> = FxHashMap::default();
    for op in &history.ops {
        let saw = match (op.outcome, op.call) {
            (Outcome::Ok(Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v))), _) => v,
            (Outcome::Ok(Seen::Applied), Call::Cas { expected, .. }) => expected,
            (Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown | Outcome::Open, _) => None,
        };
        if let Some(value) = saw {
            let first = shown.entry((op.key, value)).or_insert(op.completed);
            *first = op.completed.min(*first);
        }
    }
    let mut late = Latencies::new();
    for (place, op) in (0u32..).zip(&history.ops).filter(|(_, op)| op.outcome == Outcome::Unknown) {
        let Some(value) = op.call.writes() else { continue };
        let told = history.fates.get(&place).filter(|(fate, _)| *fate == Fate::Applied).map(|(_, t)| *t);
        let first = shown.get(&(op.key, value)).copied().into_iter().chain(told).min();
        if let Some(t) = first.filter(|t| *t > op.completed) {
            late.add(t.since(op.completed));
        }
    }
    let p = late.percentiles();
    LateEffects { count: late.histogram.len(), p50_ms: p.p50, p99_ms: p.p99, max_ms: p.max }
}

fn load(history: &History, window: Window) -> Load {
    let intents = || history.details.iter().map(|d| d.intent).chain(std::iter::repeat(None)).take(history.ops.len());
    let begins = totals::begins(intents());
    let sent = history.ops.iter().zip(&begins).filter(|(op, _)| window.holds(op.invoked));
    let (sent, begun) = sent.fold((0u64, 0u64), |(sent, begun), (_, first)| (sent + 1, begun + u64::from(*first)));
    let seconds = window.seconds();
    let per_s = |n: u64| if seconds > 0.0 { round(n as f64 / seconds, 1) } else { 0.0 };
    Load {
        achieved_per_s: per_s(sent),
        unit: if intents().any(|i| i.is_some()) { LoadUnit::Intent } else { LoadUnit::Op },
        sent,
        begun,
        begun_per_s: per_s(begun),
        late_ratio: if begun > 0 { round(late(history, window) as f64 / begun as f64, 6) } else { 0.0 },
        window_s: round(seconds, 3),
        ..Load::default()
    }
}

/// What the load asked for in the window and was sent late although there was room: ops, or first attempts of intents. While the in-flight limit holds ops back, their delay is
/// the cluster's doing and shows in their latency; only the rest is the harness's.
fn late(history: &History, window: Window) -> u64 {
    let limit = history.header.more.get("max_in_flight").and_then(serde_json::Value::as_u64).map_or(usize::MAX, |n| n as usize);
    let places = places_taken(history);
    let mut free_again: BinaryHeap<Reverse<Nanos>> = BinaryHeap::new();
    let mut full_last: Option<Nanos> = None;
    let mut late = 0;
    for (op, place) in history.ops.iter().zip(places) {
        while free_again.peek().is_some_and(|c| c.0 <= op.invoked) {
            // At the limit until this one ended: the first to end is the moment room came.
            if free_again.len() >= limit {
                full_last = free_again.peek().map(|c| c.0);
            }
            free_again.pop();
        }
        let held_back = free_again.len() >= limit || full_last.is_some_and(|t| t >= op.intended);
        // Only what takes a place was due by the clock: a further attempt is due when the answer to the last one came.
        let asked = place.is_some() && window.holds(op.invoked);
        late += u64::from(asked && op.invoked.since(op.intended) > LATE_AFTER && !held_back);
        free_again.extend(place.map(Reverse));
    }
    late
}

/// Until when each op takes one of the places that the in-flight limit gives. An intent keeps its place over all its
/// ops, pauses included, so only the first of them takes one.
fn places_taken(history: &History) -> Vec<Option<Nanos>> {
    let intent = |at: usize| history.details.get(at).and_then(|d| d.intent);
    let mut ends: BTreeMap<IntentId, Nanos> = BTreeMap::new();
    for (at, op) in history.ops.iter().enumerate() {
        if let Some(id) = intent(at) {
            ends.entry(id).and_modify(|e| *e = op.completed.max(*e)).or_insert(op.completed);
        }
    }
    let place = |(at, op): (usize, &Operation)| match intent(at) {
        Some(id) => ends.remove(&id),
        None => Some(op.completed),
    };
    history.ops.iter().enumerate().map(place).collect()
}

struct Pair {
    censored: u64,
    from_intended: Latencies,
    from_invoked: Latencies,
}

impl Pair {
    fn new() -> Self {
        Pair { censored: 0, from_intended: Latencies::new(), from_invoked: Latencies::new() }
    }

    fn add(&mut self, op: &Operation) {
        match op.outcome {
            Outcome::Ok(_) => {
                self.from_intended.add(op.completed.since(op.intended));
                self.from_invoked.add(op.completed.since(op.invoked));
            }
            Outcome::Unknown | Outcome::Open => self.censored += 1,
            // A proof that nothing happened is quick or slow for reasons of its own and is no service.
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

/// Many latencies: a histogram of three digits, so that at 1 ms a bucket is 1 us wide, and the exact maximum, since a
/// bucket's upper edge may lie above the slowest op there was.
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

    /// In milliseconds, to the microsecond.
    pub(crate) fn percentiles(&self) -> Percentiles {
        let ms = |q: f64| round(self.histogram.value_at_quantile(q).min(self.slowest.0) as f64 / 1e6, 3);
        Percentiles { p50: ms(0.5), p90: ms(0.9), p99: ms(0.99), p999: ms(0.999), max: ms(1.0) }
    }
}

fn latency(history: &History, window: Window) -> BTreeMap<String, Latency> {
    let mut by_kind: BTreeMap<&str, Pair> = BTreeMap::new();
    let (mut all, mut by_path) = (Pair::new(), [Pair::new(), Pair::new()]);
    let mut used = [false; 2];
    for op in history.ops.iter().filter(|op| window.holds(op.intended)) {
        by_kind.entry(op.name()).or_insert_with(Pair::new).add(op);
        let path = usize::from(op.path.is_last_write_wins());
        used[path] = true;
        by_path[path].add(op);
        all.add(op);
    }
    // Side by side only where there are two.
    for (name, pair) in PATHS.into_iter().zip(by_path).filter(|_| used == [true; 2]) {
        by_kind.insert(name, pair);
    }
    let mut latency: BTreeMap<String, Latency> = by_kind.into_iter().map(|(kind, pair)| (kind.to_owned(), pair.latency())).collect();
    latency.insert(ALL.to_owned(), all.latency());
    latency
}

fn of_system(history: &History, window: Window) -> SystemFigures {
    // An op that bypasses consensus has no attempts: it would only make those of the others look few.
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

/// To so many digits after the point: files are read by people too.
pub(crate) fn round(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests;
