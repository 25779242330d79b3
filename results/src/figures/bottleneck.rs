//! What held a run back besides the system under test: the load generator, the relay or the machine; and what that makes
//! worthless.
//!
//! A rule looks at one figure of the load window, has a limit with a reason, and says what the figure spoils and what to
//! change. None of them touches the verdict on linearizability: that rests on when ops were really sent and answered, and
//! a late op is judged by the time at which it was sent.

use crate::charts::axis::{count, digits, duration};
use crate::measure::{LATE_AFTER, LATE_RATIO_LIMIT};
use crate::results_json::{Load, Results};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A thread that sleeps must wake within the time after which an op counts as late: else what it sends is late too.
pub const WAKEUP_LATE_LIMIT_MS: f64 = LATE_AFTER.0 as f64 / 1e6;
/// Steal comes in bursts that last for many ops: where it takes 2 % of the time, the 99th percentile is the hypervisor's.
pub const STEAL_LIMIT: f64 = 0.02;
/// The same holds for a quota of the control group, which stops all threads at once.
pub const THROTTLED_LIMIT: f64 = 0.02;
/// With under a twentieth of the processor time idle, a thread that becomes ready finds no free core.
pub const BUSY_LIMIT: f64 = 0.95;
/// Where some thread waited for a core more often than not, a median holds that wait.
pub const PRESSURE_LIMIT: f64 = 0.5;
/// A thread that is busy for nine tenths of a core has a queue before it: an M/M/1 queue is nine long then.
pub const THREAD_LIMIT: f64 = 0.9;
/// Above this share of arrivals that were never sent, the percentiles lack what would have been their upper end.
pub const UNSENT_LIMIT: f64 = 0.01;
/// Below this share of the asked rate it was another load.
pub const ACHIEVED_LIMIT: f64 = 0.95;
/// Arrivals are exact but for a few at the edges of the window, which must not count in a short one.
const AT_THE_EDGES: f64 = 10.0;

/// What the machine and the harness went through, sampled in the load window only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Strain {
    /// How long was sampled.
    pub window_s: f64,
    /// Sleeps of a fixed time whose end was looked at.
    pub wakeups: u64,
    /// How late they ended, median.
    pub wakeup_late_p50_ms: f64,
    /// 99th percentile of the same.
    pub wakeup_late_p99_ms: f64,
    /// The latest.
    pub wakeup_late_max_ms: f64,
    /// Processor time of the harness by the time: 1 is one core all the time.
    pub harness_cores: Option<f64>,
    /// The share of one core that the thread of the load generator took.
    pub load_thread_ratio: Option<f64>,
    /// The share of one core that the busiest thread of the relay took.
    pub relay_thread_ratio: Option<f64>,
    /// The share of the machine's processor time that was not idle.
    pub machine_busy_ratio: Option<f64>,
    /// The share of the machine's processor time that a hypervisor gave to others.
    pub steal_ratio: Option<f64>,
    /// The share of the time in which the quota of the control group kept threads from running.
    pub throttled_ratio: Option<f64>,
    /// The share of the time in which some thread was ready and waited for a core (`/proc/pressure/cpu`).
    pub pressure_ratio: Option<f64>,
}

/// Something besides the system under test that held the run back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Bottleneck {
    /// `late_share`, `scheduler_lag`, `cpu_steal`, `cpu_throttled`, `machine_busy`, `cpu_pressure`, `load_generator`, `relay`
    /// or `saturation`.
    pub what: String,
    /// What was measured; shares are between 0 and 1, times in milliseconds.
    pub figure: f64,
    /// The figure's limit.
    pub limit: f64,
    /// The same for a person.
    pub words: String,
    /// What must not be read from this run.
    pub makes_worthless: Vec<String>,
    /// What to change before it is run again.
    pub change: String,
}

impl Bottleneck {
    /// Everything in one sentence.
    pub fn sentence(&self) -> String {
        format!("{}; worthless: {}; change: {}", self.words, self.makes_worthless.join(", "), self.change)
    }
}

/// What stays true in spite of all bottlenecks.
pub const STANDS: &str = "the verdict on linearizability stands all the same: it rests on when ops were really sent and answered";

const LATENCY: &str = "latency figures";
const GATES: &str = "gates on speed (they are void)";
const THROUGHPUT: &str = "the achieved rate as a figure of the system under test";
const QUIETER: &str = "a quieter machine or one with more cores, a lower --rate, fewer --clients";

/// Everything that held the run back, the gravest first: what happened to ops, then why.
pub fn find(results: &Results) -> Vec<Bottleneck> {
    let of_load = [late(&results.load), saturation(&results.load)];
    let of_machine = results.strain.as_ref().map(|s| strained(s, &results.load)).unwrap_or_default();
    of_load.into_iter().flatten().chain(of_machine).collect()
}

fn bottleneck(what: &str, figure: f64, limit: f64, words: String, makes_worthless: &[&str], change: &str) -> Bottleneck {
    let makes_worthless = makes_worthless.iter().map(|s| (*s).to_owned()).collect();
    Bottleneck { what: what.into(), figure, limit, words, makes_worthless, change: change.into() }
}

fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

fn late(load: &Load) -> Option<Bottleneck> {
    let words = format!(
        "{} of the {} were sent over {} after they were due although there was room (limit {}): the load generator did not keep up",
        percent(load.late_ratio),
        load.unit.word(),
        duration(WAKEUP_LATE_LIMIT_MS),
        percent(LATE_RATIO_LIMIT)
    );
    let change = "a lower --rate, fewer --clients, `--net direct` (no relay), or a quieter machine";
    let found = || bottleneck("late_share", load.late_ratio, LATE_RATIO_LIMIT, words, &[LATENCY, GATES], change);
    (load.late_ratio > LATE_RATIO_LIMIT).then(found)
}

/// The asked rate was not reached, whoever is to blame: what was never sent is in no figure.
fn saturation(load: &Load) -> Option<Bottleneck> {
    let change = "a lower --rate, or a larger --max-in-flight; --rate max measures what can be reached";
    let worthless = [LATENCY, "the run as one at the asked rate"];
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
        // A closed loop, or a load that was stopped early.
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
    let short = (load.begun as f64) < expected * ACHIEVED_LIMIT - AT_THE_EDGES;
    (short && achieved < ACHIEVED_LIMIT).then(|| bottleneck("saturation", achieved, ACHIEVED_LIMIT, words, &worthless, change))
}

/// A bottleneck, if there is a figure and it is beyond its limit.
fn beyond(
    what: &str,
    figure: Option<f64>,
    limit: f64,
    words: impl FnOnce(f64) -> String,
    worthless: &[&str],
    change: &str,
) -> Option<Bottleneck> {
    figure.filter(|x| *x > limit).map(|x| bottleneck(what, x, limit, words(x), worthless, change))
}

fn strained(strain: &Strain, load: &Load) -> Vec<Bottleneck> {
    // In a closed loop the rate is what comes out, and it is the bottleneck's.
    let worthless = if load.max_rate { &[THROUGHPUT, LATENCY][..] } else { &[LATENCY][..] };
    let machine = [machine_busy(strain, worthless), pressure(strain)];
    threads(strain, worthless).into_iter().chain(taken_away(strain)).chain(machine).flatten().collect()
}

/// A thread of the harness that had no time left.
fn threads(strain: &Strain, worthless: &[&str]) -> [Option<Bottleneck>; 2] {
    let busy = |whose: &str, x| format!("the {whose}'s thread was busy for {} of a core (limit {})", percent(x), percent(THREAD_LIMIT));
    let (load, relay) = (|x| busy("load generator", x), |x| busy("relay", x));
    let direct = "`--net direct`, which has no relay and no faults on links, or a lower --rate";
    [
        beyond("load_generator", strain.load_thread_ratio, THREAD_LIMIT, load, worthless, "a lower --rate, or fewer --clients"),
        beyond("relay", strain.relay_thread_ratio, THREAD_LIMIT, relay, worthless, direct),
    ]
}

/// Time that threads did not get although they were ready.
fn taken_away(strain: &Strain) -> [Option<Bottleneck>; 3] {
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
        beyond("scheduler_lag", lag, WAKEUP_LATE_LIMIT_MS, lag_words, &[LATENCY], QUIETER),
        beyond("cpu_steal", strain.steal_ratio, STEAL_LIMIT, stolen, &[LATENCY], "a machine of its own, or another hour"),
        beyond("cpu_throttled", strain.throttled_ratio, THROTTLED_LIMIT, stopped, &[LATENCY], quota),
    ]
}

fn machine_busy(strain: &Strain, worthless: &[&str]) -> Option<Bottleneck> {
    let words = |x| {
        let harness = strain.harness_cores.map_or(String::new(), |n| format!("; the harness took {} cores of it", digits(n)));
        format!("the machine's processors were busy for {} of the time (limit {}){harness}", percent(x), percent(BUSY_LIMIT))
    };
    beyond("machine_busy", strain.machine_busy_ratio, BUSY_LIMIT, words, worthless, QUIETER)
}

fn pressure(strain: &Strain) -> Option<Bottleneck> {
    let words = |x| format!("for {} of the time some thread waited for a core (limit {})", percent(x), percent(PRESSURE_LIMIT));
    beyond("cpu_pressure", strain.pressure_ratio, PRESSURE_LIMIT, words, &[LATENCY], QUIETER)
}

#[cfg(test)]
mod tests;
