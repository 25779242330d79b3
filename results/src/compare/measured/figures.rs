//! The figures by which arms are compared, and how each is computed from a run.

use crate::compare::decide::Unit;
use crate::compare::intents::{self, Intent, Waits};
use crate::compare::paired::{Reading, Scale};
use crate::compare::phases::{Phase, Phases};
use crate::compare::state::{self, StateOverTime};
use crate::measure::Measured;
use crate::results_json::Results;
use heckle_checker::fairness::shares;
use heckle_checker::fairness::starvation::Limits;
use heckle_history::{History, Measure, Outcome};
use std::collections::BTreeMap;

/// Minimum number of intents for a percentile. With fewer, the 99th percentile is essentially the maximum.
const MIN_INTENTS_FOR_PERCENTILE: usize = 50;

/// How a figure is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Milliseconds.
    Milliseconds,
    /// A fraction of 1, shown as a percentage.
    Share,
    /// A plain number.
    Number,
    /// Bytes.
    Bytes,
}

/// A figure of a comparison.
#[derive(Debug)]
pub struct Figure {
    /// Name in files, with the unit.
    pub name: &'static str,
    /// Name in reports.
    pub what: &'static str,
    /// A description.
    pub about: &'static str,
    /// Which comparisons make claims about it.
    pub kind: Kind,
    /// How two values are compared.
    pub scale: Scale,
    /// How values are formatted.
    pub show: Show,
}

/// All figures, the primary ones first.
pub static FIGURES: &[Figure] = &[
    figure(
        "intent_p99_ms",
        "p99 intent time",
        "99th percentile of the time from when an intent was due to its success",
        Kind::Primary,
        Scale::Ratio,
        Show::Milliseconds,
    ),
    figure("longest_wait_ms", "longest wait", "the longest such time", Kind::Primary, Scale::Ratio, Show::Milliseconds),
    figure("unknown_ratio", "unknown rate", "share of ops with an unknown outcome", Kind::Primary, Scale::Difference, Show::Share),
    figure(
        "restricted_wait_ms",
        "mean wait, restricted",
        "mean time from when an intent was due to its success, each counted up to the intent timeout or half of the load window, whichever is shorter; intents that never finished are included (Kaplan-Meier)",
        Kind::Contention,
        Scale::Ratio,
        Show::Milliseconds,
    ),
    figure(
        "unfinished_ratio",
        "intents never finished",
        "share of the intents due in the load window that did not succeed before the run ended",
        Kind::Contention,
        Scale::Difference,
        Show::Share,
    ),
    figure(
        "jain",
        "Jain's index",
        "equality of successes among clients: 1 is equal, 1/n means that one takes all",
        Kind::Contention,
        Scale::Index,
        Show::Number,
    ),
    figure(
        "starved_clients",
        "starved clients",
        "clients that succeeded less than a quarter as often as the mean, or had an intent that waited longer than [fairness] max_wait (5 s)",
        Kind::Contention,
        Scale::Count,
        Show::Number,
    ),
    figure(
        "intent_p50_ms",
        "median intent time",
        "median of the time from when an intent was due to its success",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Milliseconds,
    ),
    figure("goodput_per_s", "goodput", "intents finished per second", Kind::Exploratory, Scale::Ratio, Show::Number),
    figure(
        "attempts_per_intent",
        "attempts an intent",
        "attempts divided by finished intents",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Number,
    ),
    figure(
        "longest_silence_ms",
        "longest silence",
        "the longest time in which no intent finished",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Milliseconds,
    ),
    figure("rounds_per_op", "attempts an op", "mean of attempts per operation", Kind::Exploratory, Scale::Ratio, Show::Number),
    figure(
        "preempted_per_op",
        "preemptions an op",
        "mean number of times that an operation was outbid",
        Kind::Exploratory,
        Scale::Difference,
        Show::Number,
    ),
    figure(
        "backoff_ms_per_op",
        "backoff an op",
        "mean time that an operation spent backing off",
        Kind::Exploratory,
        Scale::Difference,
        Show::Milliseconds,
    ),
    figure("round_trips_per_op", "round trips an op", "between nodes", Kind::Exploratory, Scale::Ratio, Show::Number),
    figure("fsyncs_per_op", "syncs an op and node", "syncs per operation and node", Kind::Exploratory, Scale::Ratio, Show::Number),
    figure(
        "paxos_bytes_max",
        "protocol state, at most",
        "bytes on the fullest node at its peak under load, without keys and values",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Bytes,
    ),
    figure(
        "paxos_bytes_end",
        "protocol state, at the end",
        "the same at the end of the load",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Bytes,
    ),
    figure(
        "state_bytes_max",
        "all state, at most",
        "bytes on the fullest node, keys and values included",
        Kind::Exploratory,
        Scale::Ratio,
        Show::Bytes,
    ),
];

/// Which comparisons make claims about a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of them.
    Primary,
    /// Those of workloads whose clients contend: they retry an intent until it succeeds.
    Contention,
    /// None: the figure is shown without a claim.
    Exploratory,
}

/// Whether clients of a workload retry an intent until it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Clients retry and contend with each other.
    Contend,
    /// Each op is independent.
    Independent,
}

/// Returns the figures about which a comparison makes claims. They are fixed before the first run.
pub fn primary(clients: Clients) -> impl Iterator<Item = &'static Figure> {
    FIGURES.iter().filter(move |f| match f.kind {
        Kind::Primary => true,
        Kind::Contention => clients == Clients::Contend,
        Kind::Exploratory => false,
    })
}

const fn figure(name: &'static str, what: &'static str, about: &'static str, kind: Kind, scale: Scale, show: Show) -> Figure {
    Figure { name, what, about, kind, scale, show }
}

/// Returns the figure called `name`.
pub fn find(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|f| f.name == name)
}

impl Figure {
    /// Returns how effects on the figure are formatted.
    pub fn unit(&self) -> Unit {
        match self.show {
            Show::Share => Unit::Share,
            Show::Milliseconds => Unit::Milliseconds,
            Show::Number | Show::Bytes => Unit::Plain,
        }
    }

    /// Formats a value of the figure.
    pub fn words(&self, value: f64) -> String {
        use crate::charts::axis::{bytes, digits, duration};
        match self.show {
            Show::Milliseconds => duration(value),
            Show::Share => format!("{} %", digits(value * 100.0)),
            Show::Number => digits(value),
            Show::Bytes => bytes(value),
        }
    }
}

/// The figures of a run by phase. Figures that a phase does not have are absent.
pub type Readings = BTreeMap<Phase, BTreeMap<String, Reading>>;

/// The data of a run that a comparison uses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunFigures {
    /// Figures by phase.
    pub readings: Readings,
    /// Waiting times of intents.
    pub waits: Waits,
    /// Successes of each client over time.
    pub successes: Successes,
    /// Bytes of protocol state over time, if nodes report it.
    pub state: Option<StateOverTime>,
}

/// Successes of clients in slices of the load window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Successes {
    /// Length of a slice.
    pub slice_s: f64,
    /// Client numbers with their successes per slice.
    pub clients: Vec<(u32, Vec<u32>)>,
}

/// Number of slices of the load window in the map of successes.
const SLICES: usize = 80;

/// Computes the figures of a run from its history, and from its results where only nodes report them.
pub fn compute_figures(history: &History, measured: &Measured, results: &Results) -> RunFigures {
    let phases = Phases::of(measured.window, &measured.faults, measured.end);
    let intents = intents::of(history, measured.window);
    let mut readings: Readings = Phase::ALL.into_iter().map(|p| (p, phase_figures(history, &intents, &phases, p))).collect();
    if let Some(limit) = intents::wait_limit(history) {
        for (phase, figures) in &mut readings {
            let mean = Waits::of(intents.iter().filter(|i| phases.on(*phase, i.due))).restricted_mean(limit);
            figures.extend(mean.map(|ms| ("restricted_wait_ms".to_owned(), Reading::Exact(ms))));
        }
    }
    let whole = readings.get_mut(&Phase::Whole).expect("all phases are there");
    let mut exact = |name: &str, value: Option<f64>| {
        whole.extend(value.map(|v| (name.to_owned(), Reading::Exact(v))));
    };
    exact("longest_silence_ms", longest_silence(&intents, measured));
    exact("fsyncs_per_op", results.system.fsyncs_per_op);
    exact("state_bytes_max", results.system.state_bytes_max.map(|b| b as f64));
    let state = state::of(history, measured);
    exact("paxos_bytes_max", state.as_ref().map(|s| s.peak));
    exact("paxos_bytes_end", state.as_ref().and_then(|s| s.bytes.last().copied()));
    let successes = successes(&intents, measured);
    exact("jain", jain(&successes));
    exact("starved_clients", starved(&intents, &successes, Limits::of(&history.header)));
    readings.retain(|_, figures| !figures.is_empty());
    RunFigures { readings, waits: Waits::of(&intents), successes, state }
}

fn phase_figures(history: &History, intents: &[Intent], phases: &Phases, phase: Phase) -> BTreeMap<String, Reading> {
    let mut figures = BTreeMap::new();
    let mut add = |name: &str, reading: Option<Reading>| {
        figures.extend(reading.map(|r| (name.to_owned(), r)));
    };
    let due: Vec<&Intent> = intents.iter().filter(|i| phases.on(phase, i.due)).collect();
    let waits = Waits::of(due.iter().copied());
    let percentile = |q: f64| {
        let found = (waits.len() >= MIN_INTENTS_FOR_PERCENTILE).then(|| waits.quantile(q)).flatten()?;
        Some(found.map_or_else(Reading::AtLeast, Reading::Exact))
    };
    add("intent_p99_ms", percentile(0.99));
    add("intent_p50_ms", percentile(0.5));
    add("longest_wait_ms", waits.longest().map(|(ms, ended)| if ended { Reading::Exact(ms) } else { Reading::AtLeast(ms) }));
    add("unfinished_ratio", mean(waits.unfinished() as f64, waits.len() as u64));
    let seconds = phases.seconds(phase);
    if seconds > 0.0 {
        let finished = intents.iter().filter(|i| i.finished && phases.on(phase, i.until)).count();
        add("goodput_per_s", Some(Reading::Exact(finished as f64 / seconds)));
    }
    let (tries, finished) = due.iter().filter(|i| i.finished).fold((0u64, 0u64), |(t, n), i| (t + u64::from(i.attempts), n + 1));
    add("attempts_per_intent", mean(tries as f64, finished));
    let ops = || history.ops.iter().enumerate().filter(|(_, op)| phases.on(phase, op.intended));
    let (sent, unknown) = ops()
        .fold((0u64, 0u64), |(n, unknown), (_, op)| (n + 1, unknown + u64::from(matches!(op.outcome, Outcome::Unknown | Outcome::Open))));
    add("unknown_ratio", mean(unknown as f64, sent));
    let reported = || ops().filter_map(|(i, _)| history.details.get(i)?.diagnostics.as_ref());
    let mean_of = |measure, scale: f64| {
        let all = reported().filter_map(history.names.reads(measure));
        let (sum, n) = all.fold((0.0, 0u64), |(sum, n), x| (sum + x as f64 * scale, n + 1));
        mean(sum, n)
    };
    add("rounds_per_op", mean_of(Measure::Attempts, 1.0));
    add("preempted_per_op", mean_of(Measure::Preemptions, 1.0));
    add("backoff_ms_per_op", mean_of(Measure::Backoff, 1e-6));
    add("round_trips_per_op", mean_of(Measure::RoundTrips, 1.0));
    figures
}

fn mean(sum: f64, n: u64) -> Option<Reading> {
    (n > 0).then(|| Reading::Exact(sum / n as f64))
}

/// Returns the longest period of the window in which no intent finished. The start and end of the window count as boundaries.
fn longest_silence(intents: &[Intent], measured: &Measured) -> Option<f64> {
    let window = measured.window;
    let mut ends: Vec<_> = intents.iter().filter(|i| i.finished && window.holds(i.until)).map(|i| i.until).collect();
    ends.extend([window.start, window.end]);
    ends.sort_unstable();
    ends.windows(2).map(|e| e[1].since(e[0]).as_ms_f64()).max_by(f64::total_cmp)
}

fn successes(intents: &[Intent], measured: &Measured) -> Successes {
    let window = measured.window;
    let slice_s = window.seconds() / SLICES as f64;
    let mut clients: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for intent in intents {
        let slices = clients.entry(intent.client).or_insert_with(|| vec![0; SLICES]);
        if intent.finished && window.holds(intent.until) && slice_s > 0.0 {
            let at = (intent.until.since(window.start).as_secs_f64() / slice_s) as usize;
            slices[at.min(SLICES - 1)] += 1;
        }
    }
    Successes { slice_s, clients: clients.into_iter().collect() }
}

/// Share of the mean below which a client's successes make it count as starved. The check `starvation` uses the same share.
const STARVED_SHARE: f64 = 0.25;

/// Counts the clients that starved. Returns `None` if there are no clients.
fn starved(intents: &[Intent], successes: &Successes, limits: Limits) -> Option<f64> {
    let total = |row: &[u32]| row.iter().map(|n| f64::from(*n)).sum::<f64>();
    let n = successes.clients.len();
    let mean = successes.clients.iter().map(|(_, row)| total(row)).sum::<f64>() / n as f64;
    let waited = |client: u32| intents.iter().any(|i| i.client == client && i.wait_ms() > limits.max_wait_ms);
    // If no client succeeded, every client with an intent is starved.
    let poor = |row: &[u32]| total(row) < STARVED_SHARE * mean || mean == 0.0;
    (n > 0).then(|| successes.clients.iter().filter(|(client, row)| poor(row) || waited(*client)).count() as f64)
}

fn jain(successes: &Successes) -> Option<f64> {
    shares::jain(&successes.clients.iter().map(|(_, s)| s.iter().map(|n| f64::from(*n)).sum()).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};
    use crate::sample_results;
    use heckle_history::Nanos;

    #[test]
    fn figures_match_the_results_of_the_run() {
        let history = sample::history(Sample::default());
        let (measured, results) = (measure::analyze(&history), sample_results::valid(&history));
        let taken = compute_figures(&history, &measured, &results);
        let whole = &taken.readings[&Phase::Whole];
        let number = |name: &str| whole[name].number();
        // Each ok operation of the sample is its own intent.
        let due = results.latency_ms["all"].clone();
        assert_eq!(taken.waits.len() as u64, history.ops.iter().filter(|o| measured.window.holds(o.intended)).count() as u64);
        assert!(
            (number("intent_p50_ms") / due.from_intended.p50 - 1.0).abs() < 0.05,
            "{} {}",
            number("intent_p50_ms"),
            due.from_intended.p50
        );
        assert!((number("unknown_ratio") * taken.waits.len() as f64 - due.censored as f64).abs() < 0.5);
        assert_eq!(number("fsyncs_per_op"), 1.3);
        let unfinished = taken.waits.unfinished() as f64 / taken.waits.len() as f64;
        assert!((number("unfinished_ratio") - unfinished).abs() < 1e-9 && unfinished > 0.0);
        assert!(number("restricted_wait_ms") > number("intent_p50_ms") / 2.0 && number("restricted_wait_ms") < 15_000.0);
        assert!(number("jain") > 0.9 && number("jain") <= 1.0, "{}", number("jain"));
        let phases = [Phase::Calm, Phase::Faults, Phase::Recovery].map(|p| taken.readings[&p]["unknown_ratio"].number());
        assert!(phases[1] > phases[0], "faults are where unknown outcomes come from: {phases:?}");
        let counted: u32 = taken.successes.clients.iter().flat_map(|(_, s)| s).sum();
        assert!(counted as usize <= taken.waits.len() - taken.waits.unfinished() && counted > 0);
    }

    #[test]
    fn figure_names_are_unique_and_primary_ones_are_named() {
        let mut names: Vec<&str> = FIGURES.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len());
        let primary = |clients| super::primary(clients).map(|f| f.name).collect::<Vec<_>>();
        let three = ["intent_p99_ms", "longest_wait_ms", "unknown_ratio"];
        assert_eq!(primary(Clients::Independent), three);
        let four = ["restricted_wait_ms", "unfinished_ratio", "jain", "starved_clients"];
        assert_eq!(primary(Clients::Contend), [&three[..], &four[..]].concat());
    }

    #[test]
    fn starved_clients_are_poor_or_wait_too_long() {
        let successes = |rows: &[u32]| Successes { slice_s: 1.0, clients: (0..).zip(rows.iter().map(|n| vec![*n])).collect() };
        let intent = |client, ms| Intent { client, due: Nanos(0), until: Nanos::from_ms(ms), finished: true, attempts: 1 };
        let limits = Limits { max_wait_ms: 5_000.0, ..Limits::default() };
        for (rows, waits, starved) in [
            (&[10, 10, 10][..], &[(0, 4_000)][..], Some(0.0)),
            (&[10, 10, 10], &[(1, 5_001), (1, 6_000)], Some(1.0)),
            (&[20, 20, 2], &[], Some(1.0)),
            (&[20, 20, 2], &[(2, 9_000)], Some(1.0)), // The client counts only once.
            (&[0, 0], &[], Some(2.0)),
            (&[], &[], None),
        ] {
            let intents: Vec<Intent> = waits.iter().map(|(client, ms)| intent(*client, *ms)).collect();
            assert_eq!(super::starved(&intents, &successes(rows), limits), starved, "{rows:?} {waits:?}");
        }
    }

    #[test]
    fn jains_index_is_computed_from_totals() {
        let of = |clients: &[&[u32]]| jain(&Successes { slice_s: 1.0, clients: (0..).zip(clients.iter().map(|s| s.to_vec())).collect() });
        assert_eq!(of(&[&[5, 0], &[0, 5]]), Some(1.0), "taking turns is fair");
        assert_eq!(of(&[&[20, 4], &[0, 0], &[0, 0], &[0, 0]]), Some(0.25));
        assert_eq!(of(&[&[0, 0]]), None);
    }
}
