//! Derives the result of a comparison from its runs: pairs that count, estimates, decisions, sentences and an exit code.
//!
//! | code | when, the first that applies |
//! |---|---|
//! | 1 | a run of an arm violated correctness |
//! | 130 | interrupted |
//! | 2 | too few pairs remain |
//! | 0 | none of these, whatever was found |

use crate::charts::axis::count;
use crate::compare::compare_json::{Comparison, Contrast, DropKind, Dropped, DroppedPair, EffectIs, FigureResult, Run, SuccessMap};
use crate::compare::decide::{self, Decision, Ending, FigureDecision, PAIRS_NEEDED, decide, margin};
use crate::compare::figures::{self, FIGURES, Figure, RunFigures};
use crate::compare::intents::Waits;
use crate::compare::paired::{Estimate, Method, Pair, Reading, estimate};
use crate::compare::phases::Phase;
use crate::compare::state::{self, StateSizes};
use crate::compare::{answer, validity};
use crate::measure::round;
use crate::median;
use crate::results_json::Status;
use std::collections::BTreeMap;

/// A run with the data extracted from its history.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeasuredRun {
    /// The record of the run, whose figures this module fills in.
    pub run: Run,
    /// Figures, waiting times and successes of the run.
    pub taken: RunFigures,
}

/// Number of points to keep of a curve.
const CURVE_STEPS: f64 = 150.0;

/// Completes a comparison, whose design and arms are set, from its runs.
pub fn conclude(mut comparison: Comparison, mut made: Vec<MeasuredRun>, ending: Ending) -> Comparison {
    for m in &mut made {
        let figures = m.taken.readings.iter().map(|(phase, of)| (*phase, of.iter().map(|(k, r)| (k.clone(), (*r).into())).collect()));
        m.run.figures = figures.collect();
    }
    comparison.head.status = if ending == Ending::Interrupted { Status::Interrupted } else { Status::Done };
    let reference = comparison.arms.first().map(|a| a.name.clone()).unwrap_or_default();
    let others: Vec<String> = comparison.arms.iter().skip(1).map(|a| a.name.clone()).collect();
    let mut contrasts: Vec<Contrast> = others.iter().map(|arm| collect_pairs(&comparison, &made, &reference, arm)).collect();
    measure(&comparison, &made, &mut contrasts, ending);
    for contrast in &mut contrasts {
        contrast.sentence = sentence(&comparison, &made, contrast, ending);
    }
    pool_waits(&mut comparison, &made, &contrasts);
    comparison.successes = success_maps(&comparison, &made, &contrasts);
    comparison.state = if comparison.design.state_differs { state_sizes(&comparison, &made) } else { None };
    comparison.contrasts = contrasts;
    comparison.runs = made.into_iter().map(|m| m.run).collect();
    comparison.validity = validity::conditions(&comparison);
    (comparison.head.exit_code, comparison.head.verdict) = verdict(&comparison, ending);
    comparison.head.answer = answer::sentences(&comparison);
    comparison
}

fn is_disqualified(comparison: &Comparison, arm: &str) -> bool {
    comparison.arms.iter().any(|a| a.name == arm && a.disqualified.is_some())
}

/// Collects the pairs of both arms that count, and the dropped pairs, each with the arm responsible.
fn collect_pairs(comparison: &Comparison, made: &[MeasuredRun], reference: &str, arm: &str) -> Contrast {
    let mut contrast = Contrast { arm: arm.to_owned(), against: reference.to_owned(), ..Contrast::default() };
    if is_disqualified(comparison, reference) || is_disqualified(comparison, arm) {
        return contrast;
    }
    for pair in 1..=comparison.design.pairs {
        let of = |name: &str| made.iter().find(|m| m.run.pair == pair && m.run.arm == name);
        let runs = [reference, arm].map(|name| (name, of(name)));
        if runs.iter().all(|(_, m)| m.is_none()) {
            continue;
        }
        // Both arms may be responsible: naming only one would make it look worse.
        let faults: Vec<DroppedPair> = runs
            .iter()
            .filter_map(|(name, m)| {
                let missing = || (DropKind::Missing, "its run was never made".to_owned());
                let (kind, why) = m.map_or_else(|| Some(missing()), |m| m.run.dropped.as_ref().map(|d| (d.kind, d.why.clone())))?;
                Some(DroppedPair { pair, arm: (*name).to_owned(), kind, why })
            })
            .collect();
        if faults.is_empty() {
            contrast.pairs.push(pair);
        }
        contrast.dropped.extend(faults);
    }
    contrast
}

/// Returns the readings of a figure in the pairs that count and have it in both runs.
fn readings(made: &[MeasuredRun], contrast: &Contrast, phase: Phase, name: &str) -> Vec<Pair> {
    let reading = |pair: u32, arm: &str| -> Option<Reading> {
        made.iter().find(|m| m.run.pair == pair && m.run.arm == arm)?.taken.readings.get(&phase)?.get(name).copied()
    };
    let pair = |p: &u32| Some(Pair { reference: reading(*p, &contrast.against)?, arm: reading(*p, &contrast.arm)? });
    contrast.pairs.iter().filter_map(pair).collect()
}

fn measure(comparison: &Comparison, made: &[MeasuredRun], contrasts: &mut [Contrast], ending: Ending) {
    let primary: Vec<&Figure> = comparison.design.primary.iter().filter_map(|name| figures::find(name)).collect();
    let of = |c: &Contrast, f: &Figure, phase| {
        let pairs = readings(made, c, phase, f.name);
        estimate(&pairs, f.scale, margin(f.scale)).map(|e| (pairs, e))
    };
    // One family of tests for all contrasts. A disqualified arm remains part of it, since the family was fixed beforehand.
    let found: Vec<_> = contrasts.iter().flat_map(|c| primary.iter().map(|f| of(c, f, Phase::Whole))).collect();
    let decided = decide(&found.iter().map(|f| f.as_ref().map(|(_, e)| *e)).collect::<Vec<_>>(), ending);
    let mut both = found.into_iter().zip(decided);
    for contrast in contrasts.iter_mut() {
        let mut figures = vec![];
        for figure in &primary {
            let (found, decided) = both.next().expect("one for each figure of each contrast");
            figures.push(figure_result(figure, Phase::Whole, found, Some(decided), ending));
        }
        if is_disqualified(comparison, &contrast.arm) || is_disqualified(comparison, &contrast.against) {
            continue;
        }
        for phase in Phase::ALL {
            for figure in FIGURES.iter().filter(|f| !(phase == Phase::Whole && primary.iter().any(|p| p.name == f.name))) {
                // Leave out figures that no pair has, such as the figures of a phase that never occurred.
                let Some(found) = of(contrast, figure, phase) else { continue };
                figures.push(figure_result(figure, phase, Some(found), None, ending));
            }
        }
        contrast.figures = figures;
    }
}

fn figure_result(
    figure: &Figure,
    phase: Phase,
    found: Option<(Vec<Pair>, Estimate)>,
    decided: Option<FigureDecision>,
    ending: Ending,
) -> FigureResult {
    let exploratory = FigureDecision { decision: Decision::Exploratory, p_adjusted: 1.0, p_same_adjusted: 1.0 };
    let mut result = FigureResult {
        figure: figure.name.into(),
        what: figure.what.into(),
        phase: Some(phase),
        primary: decided.is_some(),
        p: 1.0,
        p_adjusted: decided.map(|d| round(d.p_adjusted, 6)),
        p_same_adjusted: decided.map(|d| round(d.p_same_adjusted, 6)),
        decision: decided.unwrap_or(exploratory).decision,
        effect_is: EffectIs::of(figure.scale),
        words: decide::words(found.as_ref().map(|f| &f.1), &decided.unwrap_or(exploratory), figure.scale, figure.unit(), ending),
        ..FigureResult::default()
    };
    let Some((pairs, e)) = found else { return result };
    let log = e.method == Method::LogRatio || (e.method == Method::Sign && result.effect_is == EffectIs::Ratio);
    result.effect_is = if log { EffectIs::Ratio } else { EffectIs::Difference };
    let value = |x: f64| round(if log { x.exp() } else { x }, 6);
    result.method = match e.method {
        Method::LogRatio => "log_ratio",
        Method::MeanDifference => "mean_difference",
        Method::SignFlip => "sign_flip",
        Method::Sign => "sign",
    }
    .into();
    result.n = e.n as u32;
    result.reference = rounded_median(pairs.iter().map(|p| p.reference.number()));
    result.arm = rounded_median(pairs.iter().map(|p| p.arm.number()));
    (result.effect, result.bound) = (e.effect.map(value), e.bound);
    (result.low, result.high) = (e.interval.0.map(value), e.interval.1.map(value));
    result.p = round(e.p, 6);
    result
}

fn rounded_median(of: impl Iterator<Item = f64>) -> Option<f64> {
    median(&of.collect::<Vec<f64>>()).map(|x| round(x, 6))
}

/// Returns an arm with its settings, such as `fair (queue fair)`, or only its name if the name already contains the settings.
fn arm_with_settings(comparison: &Comparison, arm: &str) -> String {
    let settings = comparison.arms.iter().find(|a| a.name == arm).map(|a| &a.settings);
    let words: Vec<String> = settings.into_iter().flatten().filter(|(_, v)| *v != arm).map(|(k, v)| format!("{k} {v}")).collect();
    if words.is_empty() { arm.to_owned() } else { format!("{arm} ({})", words.join(", ")) }
}

fn sentence(comparison: &Comparison, made: &[MeasuredRun], contrast: &Contrast, ending: Ending) -> String {
    let (arm, against) = (arm_with_settings(comparison, &contrast.arm), arm_with_settings(comparison, &contrast.against));
    let disqualified = comparison.arms.iter().find(|a| [&contrast.against, &contrast.arm].contains(&&a.name) && a.disqualified.is_some());
    if let Some((name, d)) = disqualified.and_then(|a| Some((&a.name, a.disqualified.as_ref()?))) {
        return format!("{arm} against {against}: nothing is compared, because arm {name} violated correctness in {}: {}", d.path, d.why);
    }
    let n = contrast.pairs.len();
    let pairs = format!("{n} of {} pairs, {}", comparison.design.pairs, comparison.design.load.words());
    if n < PAIRS_NEEDED || ending == Ending::Interrupted {
        let why = match ending {
            Ending::Interrupted => "the comparison was interrupted, and a stop that is not planned may follow what was seen".to_owned(),
            Ending::AsPlanned => {
                let why = main_reason(
                    made.iter().filter(|m| [&contrast.arm, &contrast.against].contains(&&m.run.arm)).filter_map(|m| m.run.dropped.as_ref()),
                );
                format!("{n} of {} pairs count, and {PAIRS_NEEDED} are needed{why}", comparison.design.pairs)
            }
        };
        return format!("{arm} against {against}: no claim is made: {why}");
    }
    let primary: Vec<String> = contrast
        .figures
        .iter()
        .filter(|f| f.primary)
        .map(|f| match f.decision {
            Decision::Changed => format!("{} {}", f.what, f.words),
            Decision::NoDifferenceShown | Decision::PracticallyTheSame | Decision::NoClaim | Decision::Exploratory => {
                format!("{}, {}", f.what, f.words)
            }
        })
        .collect();
    let what = if comparison.design.aa { format!("the same arm twice ({arm})") } else { format!("{arm} against {against}") };
    format!("{what}: {} ({pairs})", primary.join("; "))
}

/// Returns the reason why most pairs were dropped, and how to fix it. Empty if no pair was dropped.
fn main_reason<'a>(dropped: impl Iterator<Item = &'a Dropped>) -> String {
    let mut by_kind: BTreeMap<DropKind, (usize, &Dropped)> = BTreeMap::new();
    for d in dropped {
        by_kind.entry(d.kind).or_insert((0, d)).0 += 1;
    }
    let Some((kind, (n, first))) = by_kind.into_iter().max_by_key(|(_, (n, _))| *n) else { return String::new() };
    let runs = if n == 1 { "1 run was".to_owned() } else { format!("{n} runs were") };
    let mend = if first.mend.is_empty() { String::new() } else { format!(" ({})", first.mend) };
    format!("; {runs} {}, the first because {}{mend}", kind.word(), first.why)
}

/// Computes the waiting times and intent counts of each arm over its runs in pairs that count.
fn pool_waits(comparison: &mut Comparison, made: &[MeasuredRun], contrasts: &[Contrast]) {
    for arm in &mut comparison.arms {
        let counts = |m: &&MeasuredRun| {
            m.run.arm == arm.name && contrasts.iter().any(|c| (c.arm == arm.name || c.against == arm.name) && c.pairs.contains(&m.run.pair))
        };
        let waits = made.iter().filter(counts).fold(Waits::default(), |all, m| all.merge(&m.taken.waits));
        (arm.intents, arm.unfinished) = (waits.len() as u64, waits.unfinished() as u64);
        arm.finished_by = thin_curve(&waits.curve());
    }
}

/// Reduces a curve to the points that a chart needs: steps of equal height, finer where few intents are still waiting.
fn thin_curve(curve: &[(f64, f64)]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = vec![];
    for (i, (time, share)) in curve.iter().enumerate() {
        let waiting = 1.0 - share;
        let step = if waiting < 0.05 { waiting / 20.0 } else { 1.0 / CURVE_STEPS };
        if kept.last().is_none_or(|last| share - last[1] >= step) || i + 1 == curve.len() {
            kept.push([round(*time, 4), round(*share, 6)]);
        }
    }
    kept
}

/// Returns the successes of the pair with the median effect on the first available primary figure, so that the choice of the
/// pair does not depend on the chart.
fn success_maps(comparison: &Comparison, made: &[MeasuredRun], contrasts: &[Contrast]) -> Vec<SuccessMap> {
    let Some(contrast) = contrasts.iter().find(|c| !c.pairs.is_empty()) else { return vec![] };
    let effect = |pair: &u32, figure: &str| {
        let one = Contrast { pairs: vec![*pair], ..contrast.clone() };
        readings(made, &one, Phase::Whole, figure).first().map(|p| p.arm.number() - p.reference.number())
    };
    let mut by_effect: Vec<(f64, u32)> =
        contrast.pairs.iter().map(|p| (effect(p, "intent_p99_ms").or_else(|| effect(p, "longest_wait_ms")).unwrap_or(0.0), *p)).collect();
    by_effect.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let pair = by_effect[(by_effect.len() - 1) / 2].1;
    let of = |arm: &str| {
        let taken = &made.iter().find(|m| m.run.pair == pair && m.run.arm == arm && m.run.dropped.is_none())?.taken;
        let (clients, successes) = taken.successes.clients.iter().map(|(c, s)| (format!("c{c}"), s.clone())).unzip();
        Some(SuccessMap { arm: arm.to_owned(), pair, slice_s: round(taken.successes.slice_s, 6), clients, successes })
    };
    comparison.arms.iter().filter_map(|a| of(&a.name)).collect()
}

/// Returns the bytes of protocol state over time in the runs that count.
fn state_sizes(comparison: &Comparison, made: &[MeasuredRun]) -> Option<StateSizes> {
    let counts = |m: &&MeasuredRun| m.run.dropped.is_none() && !is_disqualified(comparison, &m.run.arm);
    let arms: Vec<&str> = comparison.arms.iter().map(|a| a.name.as_str()).collect();
    let runs: Vec<_> = made.iter().filter(counts).filter_map(|m| Some((m.run.pair, m.run.arm.as_str(), m.taken.state.as_ref()?))).collect();
    state::pool(&arms, &runs)
}

fn verdict(comparison: &Comparison, ending: Ending) -> (i32, Vec<String>) {
    let violated = comparison.arms.iter().any(|a| a.disqualified.is_some());
    let few = comparison.contrasts.is_empty() || comparison.contrasts.iter().any(|c| c.pairs.len() < PAIRS_NEEDED);
    let code = match (violated, ending, few) {
        (true, _, _) => 1,
        (false, Ending::Interrupted, _) => 130,
        (false, Ending::AsPlanned, true) => 2,
        (false, Ending::AsPlanned, false) => 0,
    };
    let mut sentences: Vec<String> = vec![];
    for arm in &comparison.arms {
        if let Some(d) = &arm.disqualified {
            sentences.push(format!("DISQUALIFIED: arm {} violated correctness in {}: {}", arm.name, d.path, d.why));
        }
    }
    sentences.extend(
        comparison
            .contrasts
            .iter()
            .filter(|c| !(is_disqualified(comparison, &c.arm) || is_disqualified(comparison, &c.against)))
            .map(|c| c.sentence.clone()),
    );
    if comparison.design.aa && comparison.contrasts.iter().flat_map(|c| &c.figures).any(|f| f.decision == Decision::Changed) {
        sentences.push("a change was claimed between two arms that are the same: by chance at most 1 in 20 times, else the machine itself changes; do not trust other comparisons made on it today".into());
    }
    let (intents, unfinished) = comparison.arms.iter().fold((0, 0), |(n, u), a| (n + a.intents, u + a.unfinished));
    if unfinished > 0 {
        sentences.push(format!("{} of {} intents never finished: what they waited is a lower bound", count(unfinished), count(intents)));
    }
    (code, sentences)
}

#[cfg(test)]
mod tests;
