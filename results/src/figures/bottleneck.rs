//! Bottlenecks outside the system under test: the load generator, the relay or the machine; and the figures that they invalidate.
//!
//! Each rule checks one figure of the load window against a limit, gives the reason for the limit, and states which figures are
//! invalid and what to change. No rule affects the verdict on linearizability, which depends only on when operations were
//! actually sent and answered: a late operation is judged by the time at which it was sent.

use crate::charts::axis::{count, digits, duration};
use crate::measure::{LATE_AFTER, LATE_RATIO_LIMIT};
use crate::results_json::{Load, Results};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A sleeping thread must wake up within the time after which an operation counts as late. Otherwise the operations that it
/// sends are late as well.
pub const WAKEUP_LATE_LIMIT_MS: f64 = LATE_AFTER.0 as f64 / 1e6;
/// Steal comes in bursts that last for many operations: if it takes 2 % of the time, it determines the 99th percentile.
pub const STEAL_LIMIT: f64 = 0.02;
/// The same limit applies to the quota of a control group, which stops all threads at the same time.
pub const THROTTLED_LIMIT: f64 = 0.02;
/// With less than 5 % of the processor time idle, a thread that becomes ready finds no free core.
pub const BUSY_LIMIT: f64 = 0.95;
/// If some thread was waiting for a core for more than half of the time, even the median includes that wait.
pub const PRESSURE_LIMIT: f64 = 0.5;
/// A thread that uses 90 % of a core has a queue in front of it: at that load, the mean length of an M/M/1 queue is nine.
pub const THREAD_LIMIT: f64 = 0.9;
/// If more than this share of arrivals was never sent, the upper percentiles are too low.
pub const UNSENT_LIMIT: f64 = 0.01;
/// Below this share of the target rate, the load differs from the one requested.
pub const ACHIEVED_LIMIT: f64 = 0.95;
/// Number of arrivals that may be missing without a warning. A few arrivals at the edges of the window may be counted outside
/// it, which would matter in a short window.
const EDGE_ALLOWANCE: f64 = 10.0;

/// Strain on the machine and the harness, sampled in the load window only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Strain {
    /// Duration of the sampling.
    pub window_s: f64,
    /// Number of sleeps of a fixed duration that were measured.
    pub wakeups: u64,
    /// Median delay of the wake-ups from these sleeps.
    pub wakeup_late_p50_ms: f64,
    /// 99th percentile of the delay of the wake-ups.
    pub wakeup_late_p99_ms: f64,
    /// Maximum delay of the wake-ups.
    pub wakeup_late_max_ms: f64,
    /// Average number of cores that the harness used.
    pub harness_cores: Option<f64>,
    /// Share of one core that the thread of the load generator used.
    pub load_thread_ratio: Option<f64>,
    /// Share of one core that the busiest thread of the relay used.
    pub relay_thread_ratio: Option<f64>,
    /// Share of the machine's processor time that was not idle.
    pub machine_busy_ratio: Option<f64>,
    /// Share of the machine's processor time that the hypervisor gave to other machines.
    pub steal_ratio: Option<f64>,
    /// Share of the time in which the quota of the control group kept threads from running.
    pub throttled_ratio: Option<f64>,
    /// Share of the time in which some thread was ready and waiting for a core (`/proc/pressure/cpu`).
    pub pressure_ratio: Option<f64>,
}

/// A bottleneck outside the system under test.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Bottleneck {
    /// Name of the rule: `late_share`, `scheduler_lag`, `cpu_steal`, `cpu_throttled`, `machine_busy`, `cpu_pressure`,
    /// `load_generator`, `relay` or `saturation`.
    pub what: String,
    /// The measured figure. Shares are between 0 and 1, times are in milliseconds.
    pub figure: f64,
    /// The limit on the figure.
    pub limit: f64,
    /// A description as text.
    pub words: String,
    /// Figures of this run that are invalid.
    pub makes_worthless: Vec<String>,
    /// What to change before running it again.
    pub change: String,
}

impl Bottleneck {
    /// Returns the description, the invalid figures and the advice as one sentence.
    pub fn sentence(&self) -> String {
        format!("{}; worthless: {}; change: {}", self.words, self.makes_worthless.join(", "), self.change)
    }
}

/// The conclusion that holds despite all bottlenecks.
pub const VERDICT_HOLDS: &str = "the verdict on linearizability stands all the same: it rests on when ops were really sent and answered";

const LATENCY_FIGURES: &str = "latency figures";
const SPEED_GATES: &str = "gates on speed (they are void)";
const ACHIEVED_RATE: &str = "the achieved rate as a figure of the system under test";
const QUIETER_MACHINE: &str = "a quieter machine or one with more cores, a lower --rate, fewer --clients";

/// Returns all bottlenecks of the run, the most severe first: effects on operations, then causes.
pub fn find(results: &Results) -> Vec<Bottleneck> {
    let of_load = [late_share(&results.load), saturation(&results.load)];
    let of_machine = results.strain.as_ref().map(|s| machine_bottlenecks(s, &results.load)).unwrap_or_default();
    of_load.into_iter().flatten().chain(of_machine).collect()
}

fn bottleneck(what: &str, figure: f64, limit: f64, words: String, makes_worthless: &[&str], change: &str) -> Bottleneck {
    let makes_worthless = makes_worthless.iter().map(|s| (*s).to_owned()).collect();
    Bottleneck { what: what.into(), figure, limit, words, makes_worthless, change: change.into() }
}

fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

fn late_share(load: &Load) -> Option<Bottleneck> {
    let words = format!(
        "{} of the {} were sent over {} after they were due although there was room (limit {}): the load generator did not keep up",
        percent(load.late_ratio),
        load.unit.word(),
        duration(WAKEUP_LATE_LIMIT_MS),
        percent(LATE_RATIO_LIMIT)
    );
    let change = "a lower --rate, fewer --clients, `--net direct` (no relay), or a quieter machine";
    let found = || bottleneck("late_share", load.late_ratio, LATE_RATIO_LIMIT, words, &[LATENCY_FIGURES, SPEED_GATES], change);
    (load.late_ratio > LATE_RATIO_LIMIT).then(found)
}

/// Checks whether the target rate was reached, regardless of the cause. Operations that were never sent do not appear in any other figure.
fn saturation(load: &Load) -> Option<Bottleneck> {
    let change = "a lower --rate, or a larger --max-in-flight; --rate max measures what can be reached";
    let worthless = [LATENCY_FIGURES, "the run as one at the asked rate"];
    let due = load.begun + load.unsent;
    let unsent = if due > 0 { load.unsent as f64 / due as f64 } else { 0.0 };
    if unsent > UNSENT_LIMIT {
        let words = format!(
            "{} of {} {} that were due were never sent, since the in-flight limit left no room ({}, limit {}): the rate was beyond what \
             system and machine can do",
            count(load.unsent),
            count(due),
            load.unit.word(),
            percent(unsent),
            percent(UNSENT_LIMIT)
        );
        return Some(bottleneck("saturation", unsent, UNSENT_LIMIT, words, &worthless, change));
    }
    let achieved = match (load.achieved_ratio, load.begun) {
        (Some(ratio), _) => ratio,
        (None, 0) => 0.0,
        // This is a closed loop or a load that was stopped early.
        (None, _) => return None,
    };
    let target = load.target_per_s?;
    let expected = target * load.window_s;
    let words = format!(
        "{} {}/s were asked and {} sent ({}, limit {})",
        digits(target),
        load.unit.word(),
        digits(load.begun_per_s),
        percent(achieved),
        percent(ACHIEVED_LIMIT)
    );
    let short = (load.begun as f64) < expected * ACHIEVED_LIMIT - EDGE_ALLOWANCE;
    (short && achieved < ACHIEVED_LIMIT).then(|| bottleneck("saturation", achieved, ACHIEVED_LIMIT, words, &worthless, change))
}

/// Returns a bottleneck if the figure exists and exceeds its limit.
fn over_limit(
    what: &str,
    figure: Option<f64>,
    limit: f64,
    words: impl FnOnce(f64) -> String,
    worthless: &[&str],
    change: &str,
) -> Option<Bottleneck> {
    figure.filter(|x| *x > limit).map(|x| bottleneck(what, x, limit, words(x), worthless, change))
}

fn machine_bottlenecks(strain: &Strain, load: &Load) -> Vec<Bottleneck> {
    // In a closed loop the rate is a result, so a bottleneck also distorts the rate.
    let worthless = if load.max_rate { &[ACHIEVED_RATE, LATENCY_FIGURES][..] } else { &[LATENCY_FIGURES][..] };
    let machine = [machine_busy(strain, worthless), pressure(strain)];
    saturated_threads(strain, worthless).into_iter().chain(lost_cpu_time(strain)).chain(machine).flatten().collect()
}

/// Checks whether a thread of the harness was saturated.
fn saturated_threads(strain: &Strain, worthless: &[&str]) -> [Option<Bottleneck>; 2] {
    let busy = |whose: &str, x| format!("the {whose}'s thread was busy for {} of a core (limit {})", percent(x), percent(THREAD_LIMIT));
    let (load, relay) = (|x| busy("load generator", x), |x| busy("relay", x));
    let direct = "`--net direct`, which has no relay and no faults on links, or a lower --rate";
    [
        over_limit("load_generator", strain.load_thread_ratio, THREAD_LIMIT, load, worthless, "a lower --rate, or fewer --clients"),
        over_limit("relay", strain.relay_thread_ratio, THREAD_LIMIT, relay, worthless, direct),
    ]
}

/// Checks for time in which threads were ready but did not run.
fn lost_cpu_time(strain: &Strain) -> [Option<Bottleneck>; 3] {
    let lag = (strain.wakeups > 0).then_some(strain.wakeup_late_p99_ms);
    let lag_words = |x| {
        let (late, limit, longest) = (duration(x), duration(WAKEUP_LATE_LIMIT_MS), duration(strain.wakeup_late_max_ms));
        format!("a thread that slept woke up {late} late at the 99th percentile (limit {limit}), {longest} at most")
    };
    let stolen = |x| format!("a hypervisor gave {} of the processor time to others (limit {})", percent(x), percent(STEAL_LIMIT));
    let stopped =
        |x| format!("the control group's quota stopped threads for {} of the time (limit {})", percent(x), percent(THROTTLED_LIMIT));
    let quota = "a larger processor quota for the container, or a lower --rate";
    [
        over_limit("scheduler_lag", lag, WAKEUP_LATE_LIMIT_MS, lag_words, &[LATENCY_FIGURES], QUIETER_MACHINE),
        over_limit(
            "cpu_steal",
            strain.steal_ratio,
            STEAL_LIMIT,
            stolen,
            &[LATENCY_FIGURES],
            "a machine without other tenants, or another time",
        ),
        over_limit("cpu_throttled", strain.throttled_ratio, THROTTLED_LIMIT, stopped, &[LATENCY_FIGURES], quota),
    ]
}

fn machine_busy(strain: &Strain, worthless: &[&str]) -> Option<Bottleneck> {
    let words = |x| {
        let harness = strain.harness_cores.map_or(String::new(), |n| format!("; the harness took {} cores of it", digits(n)));
        format!("the machine's processors were busy for {} of the time (limit {}){harness}", percent(x), percent(BUSY_LIMIT))
    };
    over_limit("machine_busy", strain.machine_busy_ratio, BUSY_LIMIT, words, worthless, QUIETER_MACHINE)
}

fn pressure(strain: &Strain) -> Option<Bottleneck> {
    let words = |x| format!("for {} of the time some thread waited for a core (limit {})", percent(x), percent(PRESSURE_LIMIT));
    over_limit("cpu_pressure", strain.pressure_ratio, PRESSURE_LIMIT, words, &[LATENCY_FIGURES], QUIETER_MACHINE)
}

#[cfg(test)]
mod tests;
