//! Checks the conditions for the validity of a comparison. The report shows them before the effects.

use crate::charts::axis::digits;
use crate::compare::compare_json::{Comparison, DropKind, LoadMode, Run, Validity};
use crate::compare::decide::PAIRS_NEEDED;
use std::collections::{BTreeMap, BTreeSet};

/// Minimum share of the offered load that an arm must have begun. Intents are counted, not attempts, since retries increase
/// precisely when an arm cannot handle the load.
const MIN_OFFERED_SHARE: f64 = 0.98;

/// Returns all conditions, the most important first.
pub fn conditions(comparison: &Comparison) -> Vec<Validity> {
    [pairs, dropped, same_choices, order, load, machine, build].map(|part| part(comparison)).into()
}

fn condition(name: &str, passed: bool, words: String) -> Validity {
    Validity { name: name.into(), passed, words }
}

fn counted_runs(comparison: &Comparison) -> impl Iterator<Item = &Run> {
    comparison.runs.iter().filter(|r| r.dropped.is_none())
}

fn pairs(comparison: &Comparison) -> Validity {
    let remain: Vec<String> =
        comparison.contrasts.iter().map(|c| format!("{} of {} for {}", c.pairs.len(), comparison.design.pairs, c.arm)).collect();
    let enough = !comparison.contrasts.is_empty() && comparison.contrasts.iter().all(|c| c.pairs.len() >= PAIRS_NEEDED);
    condition(
        "pairs",
        enough,
        format!(
            "{} remain, {PAIRS_NEEDED} are needed; the number was fixed beforehand and dropped pairs are not made up for",
            remain.join(", ")
        ),
    )
}

/// Checks that dropped pairs are balanced. If one arm causes most drops, the remaining pairs are those in which it did well.
fn dropped(comparison: &Comparison) -> Validity {
    let all: BTreeMap<(u32, &str), DropKind> =
        comparison.contrasts.iter().flat_map(|c| &c.dropped).map(|d| ((d.pair, d.arm.as_str()), d.kind)).collect();
    if all.is_empty() {
        return condition("dropped", true, "no pair was dropped".into());
    }
    let mut by: BTreeMap<(&str, DropKind), u32> = BTreeMap::new();
    let mut by_arm: BTreeMap<&str, u32> = BTreeMap::new();
    for ((_, arm), kind) in &all {
        *by.entry((arm, *kind)).or_default() += 1;
        // Noise and lateness have external causes, so they are not evidence about the arm in which they occurred.
        *by_arm.entry(arm).or_default() += u32::from(matches!(kind, DropKind::Inconclusive | DropKind::Broken));
    }
    let words: Vec<String> = by.iter().map(|((arm, kind), n)| format!("{n} {} because of {arm}", kind.word())).collect();
    let most = by_arm.iter().max_by_key(|(_, n)| **n).filter(|(_, n)| **n >= 2);
    let rest: u32 = most.map_or(0, |(arm, _)| by_arm.iter().filter(|(a, _)| *a != arm).map(|(_, n)| n).sum());
    let lopsided = most.filter(|(_, n)| **n > 2 * rest);
    let warning =
        lopsided.map_or_else(String::new, |(arm, _)| format!("; most went because of {arm}, so that the pairs that remain may flatter it"));
    condition("dropped", lopsided.is_none(), format!("{}{warning}", words.join(", ")))
}

fn same_choices(comparison: &Comparison) -> Validity {
    let mut by_pair: BTreeMap<u32, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for run in counted_runs(comparison) {
        by_pair.entry(run.pair).or_default().insert((&run.seed, &run.schedule));
    }
    let differ: Vec<String> = by_pair.iter().filter(|(_, s)| s.len() > 1).map(|(p, _)| p.to_string()).collect();
    if differ.is_empty() {
        condition("same choices", true, "the runs of a pair share seed and fault schedule, and each has its own cluster".into())
    } else {
        condition("same choices", false, format!("seed or schedule differ within pair {}", differ.join(", ")))
    }
}

fn order(comparison: &Comparison) -> Validity {
    let first = |arm: &str| counted_runs(comparison).filter(|r| r.arm == arm && r.place == 1).count();
    let words: Vec<String> = comparison.arms.iter().map(|a| format!("{} {} times", a.name, first(&a.name))).collect();
    let made: BTreeSet<u32> = comparison.runs.iter().map(|r| r.pair).collect();
    // With a random order this happens once in 2^(n-1) comparisons. In that case, drift and effect cannot be distinguished.
    let one_sided = made.len() >= PAIRS_NEEDED
        && comparison.arms.iter().any(|a| comparison.runs.iter().filter(|r| r.place == 1).all(|r| r.arm == a.name));
    condition("order", !one_sided, format!("drawn within each pair; first of its pair: {}", words.join(", ")))
}

fn load(comparison: &Comparison) -> Validity {
    let offered = |arm: &str| {
        let rates: Vec<f64> = counted_runs(comparison).filter(|r| r.arm == arm).map(|r| r.offered_per_s).collect();
        rates.iter().copied().min_by(f64::total_cmp)
    };
    match (comparison.design.load, comparison.design.rate_per_s) {
        (LoadMode::EqualOfferedLoad, Some(asked)) => {
            let short: Vec<String> = comparison
                .arms
                .iter()
                .filter_map(|a| offered(&a.name).filter(|r| *r < asked * MIN_OFFERED_SHARE).map(|r| format!("{} began {} in its leanest run", a.name, digits(r))))
                .collect();
            if short.is_empty() {
                condition("load", true, format!("equal offered load: {} a second were asked and begun in all runs", digits(asked)))
            } else {
                condition("load", false, format!("{} a second were asked; {}: an arm that could not take the load shows in goodput, and its waits are too short", digits(asked), short.join(", ")))
            }
        }
        (LoadMode::EqualOfferedLoad, None) => condition("load", true, "equal offered load".into()),
        (LoadMode::Saturation, _) => {
            condition("load", true, "saturation: each client sends its next op when the last is answered, so that a slower arm is also asked less; read goodput first".into())
        }
    }
}

fn machine(comparison: &Comparison) -> Validity {
    let others: Vec<f64> = counted_runs(comparison).filter_map(|r| r.others_cpu).collect();
    let limit = format!("runs above {} % are dropped", digits(comparison.design.noise_limit * 100.0));
    let words = match others.iter().copied().max_by(f64::total_cmp) {
        Some(most) => format!("other processes used at most {} % of the machine in the runs that count; {limit}", digits(most * 100.0)),
        None if counted_runs(comparison).next().is_none() => "no run counts".into(),
        None => "what other processes used is not known".into(),
    };
    condition(
        "machine",
        comparison.design.noise_limit <= crate::compare::runs::NOISE_LIMIT,
        format!("{} cores; {words}", comparison.head.env.cores),
    )
}

fn build(comparison: &Comparison) -> Validity {
    let tree = if comparison.head.build.dirty { " with changes" } else { "" };
    let words = format!("{}{tree}, {} build", comparison.head.build.git, comparison.head.build_profile);
    condition("build", comparison.head.build_profile == "release", words)
}
