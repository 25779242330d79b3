//! A synthetic comparison for tests, golden files and example charts. It is drawn from a seed and makes no claim about a system.

use super::compare_json::{Arm, Comparison, Design, DropKind, Dropped, LoadMode, Run};
use super::conclude::{MeasuredRun, conclude};
use super::decide::{ALPHA, Ending, PAIRS_NEEDED, SAME_INDEX, SAME_RATIO, SAME_SHARE};
use super::figures::{self, Clients, RunFigures, Successes};
use super::intents::Waits;
use super::paired::Reading;
use super::phases::{Phase, RECOVERY};
use super::runs::NOISE_LIMIT;
use super::state::StateOverTime;
use crate::experiment::ExperimentHead;
use crate::measure::LATE_RATIO_LIMIT;
use crate::results_json::{BuildInfo, EnvInfo, RunVerdict};
use heckle_checker::fairness::survival::Sample;
use heckle_history::Nanos;
use heckle_history::prng::{Pcg64, Seed};
use rand::RngExt;

/// An arm of the synthetic comparison: its name, its setting, and how its waiting times compare with those of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleArm {
    /// Name of the arm.
    pub name: &'static str,
    /// Key and value of its setting.
    pub setting: (&'static str, &'static str),
    /// Its waiting times divided by those of the reference.
    pub ratio: f64,
    /// Share of its intents that never finish.
    pub starved: f64,
}

/// Three arms with different leases.
pub const LEASE_ARMS: [SampleArm; 3] = [
    SampleArm { name: "off", setting: ("lease", "off"), ratio: 1.0, starved: 0.0 },
    SampleArm { name: "priority", setting: ("lease", "priority"), ratio: 0.6, starved: 0.0 },
    SampleArm { name: "read", setting: ("lease", "read"), ratio: 1.03, starved: 0.0 },
];

/// Three arms with decreasing amounts of state.
pub const STATE_ARMS: [SampleArm; 3] = [
    SampleArm { name: "without", setting: ("prune", "off"), ratio: 1.0, starved: 0.0 },
    SampleArm { name: "prune", setting: ("prune", "on"), ratio: 1.02, starved: 0.0 },
    SampleArm { name: "ttl", setting: ("paxos_ttl", "4s"), ratio: 1.01, starved: 0.0 },
];

/// Returns a comparison before its first run.
pub fn planned_comparison(arms: &[SampleArm], pairs: u32) -> Comparison {
    Comparison {
        comparison_id: "20260131T120000Z-5a3e".into(),
        head: ExperimentHead {
            name: "lease".into(),
            started_utc: "2026-01-31T12:00:00Z".into(),
            wall_s: 612.5,
            seed: "0x7".into(),
            again: "heckle compare --preset lease --pairs 10 --seed 0x7".into(),
            build: BuildInfo { git: "0123abc".into(), dirty: false },
            build_profile: "release".into(),
            env: EnvInfo { fingerprint: "00112233".into(), cores: 2, fsync_p99_us: Some(410.0), system_version: None },
            ..ExperimentHead::default()
        },
        design: Design {
            pairs,
            pairs_needed: PAIRS_NEEDED as u32,
            aa: false,
            load: LoadMode::EqualOfferedLoad,
            state_differs: arms.iter().any(|a| STATE_ARMS[0].setting.0 == a.setting.0),
            rate_per_s: Some(400.0),
            primary: figures::primary(Clients::Contend).map(|f| f.name.to_owned()).collect(),
            faults: vec!["kill:holder".into()],
            alpha: ALPHA,
            same_ratio: SAME_RATIO,
            same_share: SAME_SHARE,
            same_index: SAME_INDEX,
            recovery_s: RECOVERY.as_secs_f64(),
            noise_limit: NOISE_LIMIT,
            late_limit: LATE_RATIO_LIMIT,
            stop_rule: format!("after {pairs} pairs, whatever they show"),
        },
        arms: arms
            .iter()
            .map(|a| Arm { name: a.name.into(), settings: [(a.setting.0.to_owned(), a.setting.1.to_owned())].into(), ..Arm::default() })
            .collect(),
        ..Comparison::default()
    }
}

/// Returns the comparison's runs in random order. The third pair is dropped because of its second arm.
pub fn measured_runs(arms: &[SampleArm], pairs: u32) -> Vec<MeasuredRun> {
    let mut rng = Seed(7).stream("sample comparison");
    let mut all = vec![];
    for pair in 1..=pairs {
        let luck = 0.3 * (rng.random::<f64>() - 0.5);
        let start = rng.random_range(0..arms.len());
        for place in 0..arms.len() {
            let arm = &arms[(start + place) % arms.len()];
            let dropped = (pair == 3 && std::ptr::eq(arm, &raw const arms[1])).then(|| Dropped {
                kind: DropKind::Noisy,
                why: "other processes used 41 % of the machine, over 25 %".into(),
                mend: "use --noise-limit 1".into(),
            });
            let run = Run {
                pair,
                place: place as u32 + 1,
                arm: arm.name.into(),
                seed: format!("{:#x}", 0x1000 + pair),
                schedule: "fedcba98".into(),
                path: format!("{}/20260131T12{pair:02}{place:02}Z-0000", arm.name),
                verdict: RunVerdict::Valid,
                offered_per_s: 400.0,
                achieved_per_s: 400.0,
                late_ratio: 0.0004,
                others_cpu: Some(if dropped.is_some() { 0.41 } else { 0.06 }),
                dropped,
                ..Run::default()
            };
            all.push(MeasuredRun { run, taken: run_figures(arm, luck, &mut rng) });
        }
    }
    all
}

fn run_figures(arm: &SampleArm, luck: f64, rng: &mut Pcg64) -> RunFigures {
    let scatter = arm.ratio * (luck + 0.25 * (rng.random::<f64>() - 0.5)).exp();
    let starved = arm.starved;
    let waits: Vec<Sample> = (0..2_000)
        .map(|_| {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            let (ms, ended) = if v < starved { (4_000.0 + 6_000.0 * u, false) } else { (scatter * 4.0 * (1.0 - u).powf(-0.6), true) };
            Sample { time: Nanos((ms * 1e6) as u64), ended }
        })
        .collect();
    let waits = Waits::new(waits);
    let p99 = waits.quantile(0.99).map(|q| q.map_or_else(Reading::AtLeast, Reading::Exact));
    let longest = waits.longest().map(|(ms, ended)| if ended { Reading::Exact(ms) } else { Reading::AtLeast(ms) });
    let mut taken = RunFigures { successes: successes(arm, rng), ..RunFigures::default() };
    for (phase, worse) in [(Phase::Whole, 1.0), (Phase::Calm, 0.5), (Phase::Faults, 3.0), (Phase::Recovery, 1.5)] {
        let figures = taken.readings.entry(phase).or_default();
        let mut add = |name: &str, reading: Option<Reading>| figures.extend(reading.map(|r| (name.to_owned(), r)));
        let times = |r: Reading| match r {
            Reading::Exact(x) => Reading::Exact(x * worse),
            Reading::AtLeast(x) => Reading::AtLeast(x),
        };
        add("intent_p99_ms", p99.map(times));
        add("longest_wait_ms", longest.map(times));
        add("unknown_ratio", Some(Reading::Exact(worse * f64::from(rng.random_range(0..4u32)) / 4_000.0)));
        add("goodput_per_s", Some(Reading::Exact(20.0 / worse * (0.04 * (rng.random::<f64>() - 0.5)).exp())));
        let restricted = waits.restricted_mean(Nanos::from_ms(10_000));
        add("restricted_wait_ms", restricted.map(|ms| Reading::Exact(ms * worse)));
        add("unfinished_ratio", Some(Reading::Exact(waits.unfinished() as f64 / waits.len() as f64)));
        if phase == Phase::Whole {
            add("starved_clients", Some(Reading::Exact(if starved > 0.0 { 1.0 } else { 0.0 })));
            add("longest_silence_ms", Some(Reading::Exact(90.0 / arm.ratio)));
            add("jain", Some(Reading::Exact(0.9 + 0.05 * rng.random::<f64>() - starved)));
            add("state_bytes_max", Some(Reading::Exact(5_480.0 / arm.ratio)));
        }
    }
    taken.waits = waits;
    taken.state = state(arm, luck);
    if let Some(state) = &taken.state {
        let whole = taken.readings.entry(Phase::Whole).or_default();
        whole.insert("paxos_bytes_max".into(), Reading::Exact(state.peak));
        whole.insert("paxos_bytes_end".into(), Reading::Exact(state.bytes[99]));
    }
    taken
}

/// Returns the state of an arm with or without pruning or expiry.
fn state(arm: &SampleArm, luck: f64) -> Option<StateOverTime> {
    // Bytes that a new key adds permanently, bytes that it adds temporarily, and for how long.
    let (stays, passes, lives_s) = match arm.setting {
        ("prune", "off") => (228.0, 0.0, 0.0),
        ("prune", _) => (64.0, 0.0, 0.0),
        ("paxos_ttl", _) => (32.0, 32.0, 4.0),
        _ => return None,
    };
    let step_s = 22.0 / 99.0;
    let keys = 100.0 * (1.0 + 0.1 * luck);
    let at = |i: usize| keys * (stays * step_s * i as f64 + passes * (step_s * i as f64).min(lives_s));
    let bytes: Vec<f64> = (0..100).map(at).collect();
    Some(StateOverTime { load_from_s: 2.0, step_s, peak: bytes[99], struck: vec![false; 100], bytes })
}

fn successes(arm: &SampleArm, rng: &mut Pcg64) -> Successes {
    let rate = |client: u32, slice: u32| {
        let struck = (30..42).contains(&slice);
        let base = if struck && client.is_multiple_of(3) { 0.4 } else { 4.0 };
        if client == 1 && arm.starved > 0.0 { 0.2 } else { base / arm.ratio }
    };
    let row = |client: u32, rng: &mut Pcg64| (0..80).map(|s| (rate(client, s) * 2.0 * rng.random::<f64>()) as u32).collect();
    Successes { slice_s: 0.25, clients: (0..12).map(|c| (c, row(c, rng))).collect() }
}

/// Returns a complete comparison with its conclusions.
pub fn comparison(arms: &[SampleArm], pairs: u32) -> Comparison {
    conclude(planned_comparison(arms, pairs), measured_runs(arms, pairs), Ending::AsPlanned)
}
