//! Synthetic sweeps, for tests and for viewing charts without a cluster. The figures come from an M/M/1 queue, with a little
//! noise that depends only on the seed.

use super::conclude::{Ending, conclude};
use super::figures as f;
use super::sweep_json::{Arm, AxisValue, Design, Run, Spacing, Sweep};
use crate::experiment::ExperimentHead;
use crate::measure::round;
use crate::results_json::{Gate, RunVerdict};
use rand::{Rng, RngExt};
use std::collections::BTreeMap;

/// Rates of [`sweep`].
const RATES: [f64; 5] = [100.0, 200.0, 400.0, 800.0, 1_600.0];
/// Clients of [`contention`].
const CLIENTS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// Returns a sweep over the rate. The first arm sustains 1,000 operations per second, and each further arm 25 % more
/// than the one before it.
pub fn sweep(arms: &[&str], repeats: u32) -> Sweep {
    let design = Design { axis: "rate".into(), slo: vec!["p99_ms<50".into()], ..design(&RATES, repeats) };
    let run = |arm: usize, value: f64, rng: &mut dyn Rng| {
        let capacity = 1_000.0 * 1.25f64.powi(arm as i32);
        let answered = value.min(capacity) * noise(rng, 0.003).min(1.0);
        // The latency of an overloaded system is bounded by the length of the window.
        let mean = (1_000.0 / (capacity - value).max(2.0)) * noise(rng, 0.1) + 2.0;
        vec![
            (f::ANSWERED_PER_S, answered),
            (f::ANSWERED_RATIO, answered / value),
            (f::P50_MS, 0.7 * mean),
            (f::P95_MS, 3.0 * mean),
            (f::P99_MS, 4.6 * mean),
            (f::UNKNOWN_RATIO, if value > capacity { 0.05 * noise(rng, 0.2) } else { 0.0 }),
        ]
    };
    made("sweep-sample", design, arms, run)
}

/// Returns a closed-loop sweep over the number of clients, in which the waits of the first arm grow faster than those of the others.
pub fn contention(arms: &[&str], repeats: u32) -> Sweep {
    let design = Design { axis: "clients".into(), intents: true, subject: Some("fair queueing".into()), ..design(&CLIENTS, repeats) };
    let run = |arm: usize, clients: f64, rng: &mut dyn Rng| {
        let unfair = if arm == 0 { clients.powf(1.5) } else { clients };
        let wait = 8.0 * unfair * noise(rng, 0.1);
        vec![
            (f::ANSWERED_PER_S, if arm == 0 { 90.0 } else { 180.0 } * noise(rng, 0.05)),
            (f::P50_MS, 4.0 * noise(rng, 0.1)),
            (f::P95_MS, 9.0 * noise(rng, 0.1)),
            (f::P99_MS, 12.0 * noise(rng, 0.1)),
            (f::UNKNOWN_RATIO, 0.0),
            (f::JAIN, 1.0 - if arm == 0 { 0.003 } else { 0.0004 } * clients),
            (f::WAIT_P99_MS, 2.0 * wait),
            (f::LONGEST_WAIT_MS, 4.0 * wait),
            (f::UNFINISHED_RATIO, if arm == 0 && clients > 20.0 { 0.004 } else { 0.0 }),
        ]
    };
    made("sweep-contention", design, arms, run)
}

fn design(values: &[f64], repeats: u32) -> Design {
    Design {
        spacing: Spacing::Geometric,
        values: values.iter().map(|x| AxisValue { text: x.to_string(), number: *x }).collect(),
        repeats,
        answered_limit: 0.98,
        noise_limit: 0.25,
        warmup_s: 1.0,
        window_s: 5.0,
        run_s: 9.0,
        ..Design::default()
    }
}

fn noise(rng: &mut dyn Rng, by: f64) -> f64 {
    1.0 + by * (2.0 * rng.random::<f64>() - 1.0)
}

type Figures = Vec<(&'static str, f64)>;

fn made(name: &str, mut design: Design, arms: &[&str], figures: impl Fn(usize, f64, &mut dyn Rng) -> Figures) -> Sweep {
    let mut rng = heckle_history::prng::Seed(7).stream("sweep sample");
    design.runs = (arms.len() * design.values.len()) as u32 * design.repeats;
    let mut runs = vec![];
    for repeat in 1..=design.repeats {
        for (i, arm) in arms.iter().enumerate() {
            for value in &design.values {
                let figures: BTreeMap<String, f64> =
                    figures(i, value.number, &mut rng).into_iter().map(|(name, x)| (name.to_owned(), round(x, 4))).collect();
                let p99 = figures[f::P99_MS];
                let gate = |expr: &String| Gate { expr: expr.clone(), actual: Some(p99), passed: p99 < 50.0, void: false };
                runs.push(Run {
                    arm: (*arm).into(),
                    value: value.clone(),
                    repeat,
                    seed: format!("0x{repeat:x}"),
                    path: format!("{arm}-{}/20260131T120000Z-{:04x}", value.text, runs.len()),
                    verdict: RunVerdict::Valid,
                    slo: design.slo.iter().map(gate).collect(),
                    figures,
                    wall_s: 8.5,
                    ..Run::default()
                });
            }
        }
    }
    let arms = arms.iter().map(|name| Arm { name: (*name).into(), system: "bundled".into(), ..Arm::default() });
    let sweep = Sweep {
        sweep_id: "20260131T120000Z-5a3e".into(),
        head: ExperimentHead {
            name: name.into(),
            started_utc: "2026-01-31T12:00:00Z".into(),
            seed: "0x7".into(),
            again: format!("heckle sweep --preset {name} --seed 0x7"),
            build_profile: "release".into(),
            wall_s: 8.5 * runs.len() as f64,
            ..ExperimentHead::default()
        },
        arms: arms.collect(),
        design,
        runs,
        ..Sweep::default()
    };
    conclude(sweep, &Ending::AsPlanned)
}
