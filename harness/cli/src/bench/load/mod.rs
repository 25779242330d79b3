//! Measures the limit of the load generator: the highest open-loop rate that it sends on time, with recorder and online judge
//! running, against a null system in another process.

pub mod null; // a system that answers immediately
mod redis; // a well-known generator, for comparison
mod step; // one load at one rate

use super::temp::TempFolder;
use redis::RedisRow;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use step::{Step, StepLoad};

/// Maximum lateness of 99 % of the operations.
pub const LATE_P99: Duration = Duration::from_millis(1);
/// Target rate of the generator, in operations per second.
pub const TARGET_PER_S: f64 = 100_000.0;
/// The first rate of the search.
const FIRST_PER_S: f64 = 50_000.0;
/// The search ends when the ratio of the lowest missed rate to the highest sustained rate is at most this.
const PRECISION: f64 = 1.05;
/// Maximum number of steps of the search.
const MAX_STEPS: usize = 12;

/// Settings of the measurement.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The only rate to measure. If absent, the highest sustainable rate is searched.
    pub rate: Option<f64>,
    /// Length of each load.
    pub load_for: Duration,
    /// Number of connections.
    pub clients: u32,
    /// Folder for temporary histories.
    pub folder: PathBuf,
}

/// Results of the measurement.
#[derive(Debug, Serialize)]
pub struct LoadReport {
    /// All loads, in the order in which they were measured.
    pub steps: Vec<Step>,
    /// The highest requested rate that was sustained.
    pub highest_per_s: Option<f64>,
    /// Number of connections.
    pub clients: u32,
    /// The figures of `redis-benchmark`.
    pub redis_benchmark: Vec<RedisRow>,
    /// Why `redis_benchmark` is empty.
    pub redis_missing: Option<String>,
}

/// Measures the load generator. `say` reports progress.
///
/// # Errors
/// If the null system, the folder or the machine fails.
pub fn measure(setup: &Setup, say: &dyn Fn(&str)) -> Result<LoadReport, String> {
    let folder = TempFolder::below(&setup.folder, "bench-load")?;
    let run = |rate: f64| {
        say(&format!("{rate:.0} op/s for {} s", setup.load_for.as_secs_f64()));
        step::run(StepLoad { rate, lasts: setup.load_for, clients: setup.clients }, folder.path())
    };
    let steps = match setup.rate {
        Some(rate) => vec![run(rate)?],
        None => search(run)?,
    };
    let highest_per_s = highest(&steps);
    let (redis_benchmark, redis_missing) = match setup.rate {
        // A single rate is measured to see whether it can be sustained, not for a comparison.
        Some(_) => (vec![], None),
        None => {
            say("redis-benchmark");
            redis::measure(folder.path()).map_or_else(|why| (vec![], Some(why)), |rows| (rows, None))
        }
    };
    Ok(LoadReport { steps, highest_per_s, clients: setup.clients, redis_benchmark, redis_missing })
}

/// Doubles the rate until it is missed, then halves the gap.
fn search(mut run: impl FnMut(f64) -> Result<Step, String>) -> Result<Vec<Step>, String> {
    let (mut steps, mut held, mut missed): (Vec<Step>, f64, Option<f64>) = (vec![], 0.0, None);
    let mut rate = FIRST_PER_S;
    while steps.len() < MAX_STEPS {
        let step = run(rate)?;
        if step.holds(LATE_P99) {
            held = rate;
        } else {
            missed = Some(rate);
        }
        steps.push(step);
        rate = match missed {
            None => rate * 2.0,
            Some(missed) if missed <= held * PRECISION || missed < 1_000.0 => break,
            Some(missed) => ((held + missed) / 2.0 / 500.0).round() * 500.0,
        };
    }
    Ok(steps)
}

fn highest(steps: &[Step]) -> Option<f64> {
    steps.iter().filter(|step| step.holds(LATE_P99)).map(|step| step.asked_per_s).max_by(f64::total_cmp)
}

impl LoadReport {
    /// Whether the requested rate was sustained or, without one, the search reached the target.
    pub fn is_met(&self, rate: Option<f64>) -> bool {
        self.highest_per_s.is_some_and(|highest| highest >= rate.unwrap_or(TARGET_PER_S))
    }

    /// Formats the figures as text.
    pub fn text(&self) -> String {
        let mut out = format!(
            "the load generator against a null system in another process: open loop, {} connections, recorder and online judge on\n\n",
            self.clients
        );
        let columns =
            ["asked op/s", "issued op/s", "late p50 ms", "late p99 ms", "latency p99 ms", "client us/op", "record us/op", "null us/op"];
        let _ = writeln!(out, "{}", columns.map(|name| format!("{name:>15}")).concat());
        for step in &self.steps {
            let issued = format!("{:.0}", step.issued_per_s);
            let figures = [step.late_p50_ms, step.late_p99_ms, step.latency_p99_ms].map(|ms| format!("{ms:>15.3}")).concat();
            let costs = [step.client_us_per_op, step.record_us_per_op, step.null_us_per_op].map(|us| format!("{us:>15.2}")).concat();
            let _ = writeln!(out, "{:>15.0}{issued:>15}{figures}{costs}  {}", step.asked_per_s, verdict(step));
        }
        let met = if self.is_met(None) { "met" } else { "not met" };
        let _ = match (self.highest_per_s, self.steps.len()) {
            (_, 1) => Ok(()),
            (Some(highest), _) => writeln!(
                out,
                "\nhighest rate that holds: {highest:.0} op/s, p99 of lateness under {} ms (asked at least {TARGET_PER_S:.0}: {met})",
                LATE_P99.as_millis()
            ),
            (None, _) => writeln!(out, "\nno rate holds: see the table"),
        };
        if let Some(why) = &self.redis_missing {
            let _ = writeln!(out, "\nredis-benchmark: {why}");
        }
        if !self.redis_benchmark.is_empty() {
            let _ = writeln!(out, "\nredis-benchmark against redis-server: closed loop, 50 connections, nothing recorded or judged");
            for RedisRow { command, pipeline, per_s, p99_ms } in &self.redis_benchmark {
                let _ = writeln!(out, "{command:>14}  {pipeline:>2} in flight a connection  {per_s:>9.0} requests/s  p99 {p99_ms:.3} ms");
            }
        }
        out
    }
}

fn verdict(step: &Step) -> String {
    if step.holds(LATE_P99) {
        return "holds".to_owned();
    }
    let mut why = vec![];
    if step.unsent > 0 {
        why.push(format!("{} never sent", step.unsent));
    }
    if step.not_ok > 0 {
        why.push(format!("{} without an ok", step.not_ok));
    }
    if why.is_empty() { "late".to_owned() } else { why.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rate: f64, ceiling: f64) -> Step {
        let late_p99_ms = if rate <= ceiling { 0.3 } else { 40.0 };
        Step {
            asked_per_s: rate,
            issued_per_s: rate,
            late_p50_ms: 0.1,
            late_p99_ms,
            latency_p99_ms: 1.0,
            not_ok: 0,
            unsent: 0,
            client_us_per_op: 5.0,
            record_us_per_op: 4.0,
            null_us_per_op: 1.0,
        }
    }

    #[test]
    fn the_search_finds_the_highest_rate_that_holds() {
        for ceiling in [700.0, 12_000.0, 49_999.0, 104_000.0, 390_000.0] {
            let steps = search(|rate| Ok(step(rate, ceiling))).expect("no error");
            let found = highest(&steps).unwrap_or(0.0);
            let close = found * PRECISION + 500.0 >= ceiling || ceiling < 1_000.0;
            assert!(found <= ceiling && close && steps.len() <= MAX_STEPS, "{ceiling}: {found} after {} steps", steps.len());
        }
    }

    #[test]
    fn a_rate_holds_only_if_everything_was_sent_in_time_and_answered() {
        let good = step(1_000.0, 2_000.0);
        assert!(good.holds(LATE_P99));
        for bad in [
            Step { issued_per_s: 980.0, ..good.clone() },
            Step { late_p99_ms: 1.0, ..good.clone() },
            Step { not_ok: 1, ..good.clone() },
            Step { unsent: 1, ..good.clone() },
        ] {
            assert!(!bad.holds(LATE_P99), "{bad:?}");
        }
    }

    #[test]
    fn the_text_says_what_holds_and_what_is_missing() {
        let mut report = LoadReport {
            steps: vec![step(50_000.0, 70_000.0), step(100_000.0, 70_000.0)],
            highest_per_s: Some(50_000.0),
            clients: 4,
            redis_benchmark: vec![],
            redis_missing: Some("skipped: there is no program `redis-benchmark`".into()),
        };
        let text = report.text();
        assert!(text.contains("highest rate that holds: 50000 op/s") && text.contains("not met") && text.contains("skipped"), "{text}");
        report.highest_per_s = Some(120_000.0);
        assert!(report.text().contains("100000: met"), "{}", report.text());
    }
}
