//! Gates: limits on the figures of a run such as `p99_ms<50`, from `--gate` or the `[gates]` table of a plan.
//!
//! Figures of operations cover those due in the load window. A figure without samples is absent and misses its gate: an empty
//! window does not count as fast.

use crate::measure::{ALL, LATE_RATIO_LIMIT, round};
use crate::results_json::{Fairness, Gate, OpCounts, Percentiles, Results, SystemFigures};

/// A parsed gate.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    metric: &'static Metric,
    relation: Relation,
    limit: f64,
}

/// The required relation between figure and limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// A figure that a gate can limit.
#[derive(Debug)]
pub struct Metric {
    /// Its name, with the unit.
    pub name: &'static str,
    /// A description of the figure.
    pub what: &'static str,
    /// Whether the figure is void if operations were sent late.
    speed: IsSpeed,
    value: fn(&Results) -> Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsSpeed {
    Yes,
    No,
}

macro_rules! metrics {
    ($($name:literal $speed:ident $what:literal $value:expr;)*) => {
        /// Every figure that a gate can limit.
        pub static METRICS: &[Metric] = &[$(Metric { name: $name, what: $what, speed: IsSpeed::$speed, value: $value }),*];
    };
}

fn latency_from_due(r: &Results, kind: &str) -> Option<Percentiles> {
    r.latency_ms.get(kind).filter(|l| l.ok > 0).map(|l| l.from_intended)
}

fn latency_from_sent(r: &Results) -> Option<Percentiles> {
    r.latency_ms.get(ALL).filter(|l| l.ok > 0).map(|l| l.from_invoked)
}

/// Returns the counts of operations due in the load window, if there were any. Gates do not apply to warm-up and final reads.
fn ops(r: &Results) -> Option<OpCounts> {
    r.window.as_ref().map(|w| w.ops).filter(|ops| ops.invoked > 0)
}

fn share(part: fn(OpCounts) -> u64, r: &Results) -> Option<f64> {
    ops(r).map(|ops| part(ops) as f64 / ops.invoked as f64)
}

/// Returns the longest recovery time if every fault has one. A fault without recovery misses the gate.
fn slowest_recovery(r: &Results) -> Option<f64> {
    let all: Option<Vec<f64>> = r.faults.iter().map(|f| f.recovery_ms).collect();
    all?.into_iter().max_by(f64::total_cmp)
}

/// Returns the fairness figures if there were intents in the load window.
fn intents(r: &Results) -> Option<&Fairness> {
    r.fairness.as_ref().filter(|f| f.intents > 0)
}

/// Returns the fairness figures if any intent succeeded.
fn wins(r: &Results) -> Option<&Fairness> {
    r.fairness.as_ref().filter(|f| f.won > 0)
}

/// Returns the figures of the system if it reported any for operations of the load window.
fn reported(r: &Results) -> Option<&SystemFigures> {
    ops(r).and(Some(&r.system)).filter(|p| p.rounds_p50.is_some() || p.round_trips_per_op.is_some())
}

metrics! {
    "p50_ms" Yes "median latency of ok ops, from when they were due" |r| latency_from_due(r, ALL).map(|p| p.p50);
    "p90_ms" Yes "90th percentile of the same" |r| latency_from_due(r, ALL).map(|p| p.p90);
    "p95_ms" Yes "95th percentile of the same" |r| latency_from_due(r, ALL).map(|p| p.p95);
    "p99_ms" Yes "99th percentile of the same" |r| latency_from_due(r, ALL).map(|p| p.p99);
    "p999_ms" Yes "99.9th percentile of the same" |r| latency_from_due(r, ALL).map(|p| p.p999);
    "max_ms" Yes "the slowest ok op" |r| latency_from_due(r, ALL).map(|p| p.max);
    "cas_p50_ms" Yes "median latency of ok CAS" |r| latency_from_due(r, "cas").map(|p| p.p50);
    "cas_p99_ms" Yes "99th percentile of ok CAS" |r| latency_from_due(r, "cas").map(|p| p.p99);
    "read_p50_ms" Yes "median latency of ok reads" |r| latency_from_due(r, "read").map(|p| p.p50);
    "read_p99_ms" Yes "99th percentile of ok reads" |r| latency_from_due(r, "read").map(|p| p.p99);
    "write_p50_ms" Yes "median latency of ok writes" |r| latency_from_due(r, "write").map(|p| p.p50);
    "write_p99_ms" Yes "99th percentile of ok writes" |r| latency_from_due(r, "write").map(|p| p.p99);
    "service_p50_ms" Yes "median latency of ok ops, from when they were sent" |r| latency_from_sent(r).map(|p| p.p50);
    "service_p99_ms" Yes "99th percentile of the same" |r| latency_from_sent(r).map(|p| p.p99);
    "achieved_per_s" Yes "operations sent in the load window, per second" |r| (r.load.sent > 0).then_some(r.load.achieved_per_s);
    "achieved_ratio" Yes "begun operations or intents per second, divided by the target rate" |r| r.load.achieved_ratio;
    "late_ratio" No "share of operations or intents sent over 5 ms late" |r| (r.load.begun > 0).then_some(r.load.late_ratio);
    "ok_ratio" No "share of ok operations" |r| share(|ops| ops.ok, r);
    "unknown_ratio" No "share of ops with an unknown outcome" |r| share(|ops| ops.unknown, r);
    "failed_ratio" No "share of ops that failed" |r| share(|ops| ops.failed, r);
    "condition_not_met_ratio" No "share of operations that are refused CASes" |r| share(|ops| ops.condition_not_met, r);
    "recovery_max_ms" Yes "the longest recovery from a fault" |r| slowest_recovery(r);
    "rounds_p50" No "median of attempts per operation" |r| reported(r)?.rounds_p50;
    "rounds_p99" No "99th percentile of attempts per operation" |r| reported(r)?.rounds_p99;
    "preempted" No "number of times that operations were outbid" |r| reported(r).map(|p| p.preempted as f64);
    "repairs" No "unfinished updates of other operations that were completed first" |r| reported(r).map(|p| p.repairs as f64);
    "round_trips_per_op" No "round trips between nodes per operation" |r| reported(r)?.round_trips_per_op;
    "fsyncs_per_op" No "syncs per operation and node" |r| ops(r).and(r.system.fsyncs_per_op);
    "state_bytes_max" No "bytes of state on the fullest node" |r| r.system.state_bytes_max.map(|b| b as f64);
    "state_bytes_end" No "the same at the end" |r| r.system.state_bytes_end.map(|b| b as f64);
    "jain" No "Jain's index of successes per client" |r| wins(r).map(|f| f.jain);
    "gini" No "Gini coefficient of successes per client" |r| wins(r).map(|f| f.gini);
    "longest_wait_ms" Yes "the longest wait for a success" |r| intents(r).map(|f| f.longest_wait_ms);
    "wait_p50_ms" Yes "median wait until success; intents that never succeeded are censored" |r| r.fairness.as_ref().and_then(|f| f.wait_p50_ms);
    "wait_p99_ms" Yes "99th percentile of the same" |r| r.fairness.as_ref().and_then(|f| f.wait_p99_ms);
    "won_per_s" Yes "intents that succeeded in the load window, per second" |r| intents(r).map(|f| f.won_per_s);
    "still_waiting" No "intents that never succeeded" |r| intents(r).map(|f| f.still_waiting as f64);
}

/// An invalid gate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GateError {
    /// The text contains no relation.
    #[error("gate `{0}` is not a limit; write a figure, one of < <= > >=, and a number: p99_ms<50")]
    NoRelation(String),
    /// The right side is not a number.
    #[error("gate `{expr}`: `{number}` is not a number; the unit stands in the figure's name: p99_ms<50")]
    NotANumber {
        /// The gate as written.
        expr: String,
        /// The right side of the relation.
        number: String,
    },
    /// No figure has this name.
    #[error("gate `{expr}`: there is no figure `{metric}`; {hint}")]
    NoSuchMetric {
        /// The gate as written.
        expr: String,
        /// The left side of the relation.
        metric: String,
        /// A suggestion of the most similar name, or the list of all names.
        hint: String,
    },
}

impl std::str::FromStr for Expression {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let expr = text.trim().to_owned();
        let Some(at) = expr.find(['<', '>']) else { return Err(GateError::NoRelation(expr)) };
        let (name, rest) = (expr[..at].trim(), &expr[at..]);
        let relation = match (&rest[..1], rest[1..].starts_with('=')) {
            ("<", false) => Relation::Below,
            ("<", true) => Relation::AtMost,
            (_, false) => Relation::Above,
            (_, true) => Relation::AtLeast,
        };
        let number = rest[1..].strip_prefix('=').unwrap_or(&rest[1..]).trim();
        let limit = number.parse::<f64>().ok().filter(|n| n.is_finite());
        let Some(limit) = limit else { return Err(GateError::NotANumber { number: number.to_owned(), expr }) };
        match METRICS.iter().find(|m| m.name == name) {
            Some(metric) => Ok(Expression { metric, relation, limit, text: expr }),
            None => Err(GateError::NoSuchMetric { metric: name.to_owned(), hint: suggest_name(name), expr }),
        }
    }
}

fn suggest_name(name: &str) -> String {
    let close = METRICS.iter().map(|m| (strsim::damerau_levenshtein(name, m.name), m.name)).min();
    match close {
        Some((distance, close)) if distance <= 3.max(name.len() / 3) => format!("did you mean `{close}`?"),
        _ => format!("there are {}", METRICS.iter().map(|m| m.name).collect::<Vec<_>>().join(", ")),
    }
}

impl Expression {
    /// Parses a gate of a plan: `[gates] p99_ms = "<50"`.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn from_plan(metric: &str, limit: &str) -> Result<Self, GateError> {
        format!("{metric}{limit}").parse()
    }

    /// Returns the gate as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates the gate on `results`.
    pub fn evaluate(&self, results: &Results) -> Gate {
        let gate = self.compare(results);
        // If the load differed from the one requested, a good figure is as meaningless as a bad one.
        let void = self.metric.speed == IsSpeed::Yes && results.load.late_ratio > LATE_RATIO_LIMIT;
        Gate { passed: gate.passed && !void, void, ..gate }
    }

    /// Compares the figure with the limit, even if operations were sent late.
    pub fn compare(&self, results: &Results) -> Gate {
        let actual = (self.metric.value)(results);
        let passed = actual.is_some_and(|x| match self.relation {
            Relation::Below => x < self.limit,
            Relation::AtMost => x <= self.limit,
            Relation::Above => x > self.limit,
            Relation::AtLeast => x >= self.limit,
        });
        Gate { expr: self.text.clone(), actual: actual.map(|x| round(x, 6)), passed, void: false }
    }
}

#[cfg(test)]
mod tests;
