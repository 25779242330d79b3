//! Figures of each stage of a load that changes over time. The header of the history lists the stages, so no other file is
//! needed to compute the figures.

use crate::charts::axis::digits;
use hdrhistogram::Histogram;
use heckle_history::{History, Nanos, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The field of a history's header that lists the stages.
pub const IN_HEADER: &str = "load_stages";

/// What a stage prescribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageUnit {
    /// A rate of operations (or intents) per second.
    #[default]
    Rate,
    /// A number of clients in the closed loop.
    Clients,
}

/// A stage as specified by the plan.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedStage {
    /// Its beginning, in nanoseconds since the start of the run.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// Whether the stage prescribes a rate or a number of clients.
    pub unit: StageUnit,
    /// The rate or the number of clients at its beginning.
    pub from: f64,
    /// The same at its end. Between the two the value changes linearly.
    pub to: f64,
}

/// The figures of one stage. Latency covers the ok operations that were due in the stage, measured from when they were due.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StageFigures {
    /// Number of the stage, from 1.
    pub stage: u32,
    /// Start of the stage, since the start of the run.
    pub start_s: f64,
    /// End of the stage, or the end of the load if that was stopped earlier.
    pub end_s: f64,
    /// Whether the stage prescribes a rate or a number of clients.
    pub unit: StageUnit,
    /// The rate per second or the number of clients at its beginning.
    pub from: f64,
    /// The same at the end of the stage. Between the two, the value changes linearly.
    pub to: f64,
    /// Operations or intents requested by the plan. Absent if the stage prescribes clients.
    pub asked: Option<f64>,
    /// Operations or intents sent for the first time in the stage.
    pub begun: u64,
    /// `begun` per second.
    pub begun_per_s: f64,
    /// `begun` divided by `asked`; absent if the stage prescribes clients or was cut short.
    pub achieved_ratio: Option<f64>,
    /// Share of `begun` that was sent over 5 ms late although the in-flight limit was not reached.
    pub late_ratio: f64,
    /// Operations due in the stage: `due = ok + failed + unknown`.
    pub due: u64,
    /// Operations of the stage that completed, including refused CASes.
    pub ok: u64,
    /// Operations of the stage proved not to have happened.
    pub failed: u64,
    /// Operations of the stage that may have happened.
    pub unknown: u64,
    /// Median latency.
    pub p50_ms: f64,
    /// 90th percentile of the same.
    pub p90_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
    /// 99.9th percentile of the same.
    pub p999_ms: f64,
    /// The slowest operation.
    pub max_ms: f64,
}

impl StageFigures {
    /// Formats the load requested by the stage: `200/s`, `200 to 2,000/s`, `4 to 32 clients`.
    pub fn asked_words(&self) -> String {
        let values = if self.from == self.to { digits(self.from) } else { format!("{} to {}", digits(self.from), digits(self.to)) };
        match self.unit {
            StageUnit::Rate => format!("{values}/s"),
            StageUnit::Clients if self.from == 1.0 && self.to == 1.0 => "1 client".into(),
            StageUnit::Clients => format!("{values} clients"),
        }
    }
}

/// Returns the planned stages in the header, or none if the load has no stages or the list cannot be read.
fn planned(history: &History) -> Vec<PlannedStage> {
    history.header.more.get(IN_HEADER).and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default()
}

/// Counts of one stage, updated as its operations are visited.
struct Stage {
    planned: PlannedStage,
    start: Nanos,
    end: Nanos,
    begun: u64,
    late: u64,
    ok: u64,
    failed: u64,
    unknown: u64,
    latency_ns: Histogram<u64>,
    /// Exact maximum, since the upper edge of a histogram bucket may exceed the slowest operation.
    slowest: Nanos,
}

impl Stage {
    /// Creates the counts of a stage of a load that ended at `load_end`.
    fn new(planned: PlannedStage, load_end: Nanos) -> Self {
        Stage {
            planned,
            start: Nanos(planned.start_ns),
            end: Nanos(planned.end_ns.min(load_end.0)),
            begun: 0,
            late: 0,
            ok: 0,
            failed: 0,
            unknown: 0,
            latency_ns: Histogram::new(3).expect("three digits are allowed"),
            slowest: Nanos(0),
        }
    }

    fn add(&mut self, outcome: Outcome, latency: Nanos) {
        match outcome {
            Outcome::Ok(_) => {
                self.ok += 1;
                self.slowest = self.slowest.max(latency);
                self.latency_ns.record(latency.0).expect("a growing histogram takes any value");
            }
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown | Outcome::Open => self.unknown += 1,
        }
    }
}

/// Computes the figures of each stage that began before the load ended, at `load_end`. `begins` and `late` state for each operation whether
/// the load generator began it, and whether it was sent late.
pub(crate) fn of(history: &History, load_end: Nanos, begins: &[bool], late: &[bool]) -> Vec<StageFigures> {
    let begun = planned(history).into_iter().filter(|p| p.start_ns < load_end.0);
    let mut stages: Vec<Stage> = begun.map(|p| Stage::new(p, load_end)).collect();
    for ((op, begins), late) in history.ops.iter().zip(begins).zip(late) {
        if let Some(stage) = find(&mut stages, op.invoked) {
            stage.begun += u64::from(*begins);
            stage.late += u64::from(*late);
        }
        if let Some(stage) = find(&mut stages, op.intended) {
            stage.add(op.outcome, op.completed.since(op.intended));
        }
    }
    (1u32..).zip(stages).map(|(number, stage)| figures(number, &stage)).collect()
}

/// Finds the stage that contains `t`. Stages are consecutive.
fn find(stages: &mut [Stage], t: Nanos) -> Option<&mut Stage> {
    let at = stages.partition_point(|s| s.end <= t);
    stages.get_mut(at).filter(|s| s.start <= t)
}

fn figures(number: u32, stage: &Stage) -> StageFigures {
    let PlannedStage { unit, from, to, .. } = stage.planned;
    let whole_s = Nanos(stage.planned.end_ns).since(Nanos(stage.planned.start_ns)).as_secs_f64();
    let asked = (unit == StageUnit::Rate).then_some((from + to) / 2.0 * whole_s);
    let (seconds, cut) = (stage.end.since(stage.start).as_secs_f64(), stage.end.0 < stage.planned.end_ns);
    let ms = |q: f64| round(stage.latency_ns.value_at_quantile(q).min(stage.slowest.0) as f64 / 1e6, 3);
    StageFigures {
        stage: number,
        start_s: round(stage.start.as_secs_f64(), 3),
        end_s: round(stage.end.as_secs_f64(), 3),
        unit,
        from: round(from, 3),
        to: round(to, 3),
        asked: asked.map(|n| round(n, 3)),
        begun: stage.begun,
        begun_per_s: if seconds > 0.0 { round(stage.begun as f64 / seconds, 1) } else { 0.0 },
        achieved_ratio: asked.filter(|n| *n > 0.0 && !cut).map(|n| round(stage.begun as f64 / n, 6)),
        late_ratio: if stage.begun > 0 { round(stage.late as f64 / stage.begun as f64, 6) } else { 0.0 },
        due: stage.ok + stage.failed + stage.unknown,
        ok: stage.ok,
        failed: stage.failed,
        unknown: stage.unknown,
        p50_ms: ms(0.5),
        p90_ms: ms(0.9),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        max_ms: ms(1.0),
    }
}

/// Rounds to `digits` decimal places, since these files are also read by people.
fn round(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests;
