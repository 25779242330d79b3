//! The answer of a comparison, in at most three sentences for decision-makers who do not read statistics: who waits, how long, and
//! what a fault costs.
//!
//! A sentence makes a claim only if the decision on a primary figure is *changed* or *practically the same*. The figures next to a
//! claim are medians over the runs that count. Figures without a claim are marked as such.

use crate::charts::axis::digits;
use crate::compare::compare_json::{Comparison, Contrast, FigureResult};
use crate::compare::decide::{Decision, PAIRS_NEEDED};
use crate::compare::phases::Phase;

/// The figure that an answer requires. It is a primary figure only in comparisons of contending clients.
const NEEDED: &str = "restricted_wait_ms";

/// Returns the sentences. There are none if the comparison has no such figures, compares an arm with itself, or was interrupted.
pub fn sentences(comparison: &Comparison) -> Vec<String> {
    let design = &comparison.design;
    let asked = design.primary.iter().any(|name| name == NEEDED) && !design.aa && !comparison.contrasts.is_empty();
    if !asked || comparison.head.status != crate::results_json::Status::Done {
        return vec![];
    }
    if let Some(arm) = comparison.arms.first().filter(|a| a.disqualified.is_some()) {
        return vec![format!("No answer: {} violated correctness, and the other arms are compared with it.", arm.name)];
    }
    let answered: Vec<&Contrast> = comparison.contrasts.iter().filter(|c| c.pairs.len() >= PAIRS_NEEDED && !c.figures.is_empty()).collect();
    if answered.is_empty() {
        let most = comparison.contrasts.iter().map(|c| c.pairs.len()).max().unwrap_or(0);
        return vec![format!("No answer: {most} of {} pairs count, and {PAIRS_NEEDED} are needed.", design.pairs)];
    }
    vec![who_waits(comparison, &answered), how_long(&answered), what_a_fault_costs(comparison, &answered)]
}

fn figure<'a>(contrast: &'a Contrast, name: &str) -> Option<&'a FigureResult> {
    contrast.figures.iter().find(|f| f.figure == name && f.phase == Some(Phase::Whole))
}

/// Whether the figure is larger for the arm than for the reference, according to the mean over pairs.
fn is_more(f: &FigureResult) -> bool {
    match f.effect_is {
        crate::compare::compare_json::EffectIs::Ratio => f.effect.is_some_and(|e| e > 1.0),
        crate::compare::compare_json::EffectIs::Difference => f.effect.is_some_and(|e| e > 0.0),
    }
}

fn from_to(f: &FigureResult) -> String {
    format!("{} → {}", f.value_words(f.reference), f.value_words(f.arm))
}

/// Joins parts in the form `a, b and c`.
fn join(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => parts.concat(),
    }
}

fn who_waits(comparison: &Comparison, contrasts: &[&Contrast]) -> String {
    let of = |c: &&Contrast| {
        // Each figure, with the words for less and more of it.
        let shown = [
            ("jain", "shares success less equally (Jain’s index", "shares success more equally (Jain’s index"),
            ("starved_clients", "starves fewer clients (", "starves more clients ("),
            ("unfinished_ratio", "leaves fewer intents unfinished (", "leaves more intents unfinished ("),
        ];
        let found: Vec<(&FigureResult, &str, &str)> =
            shown.iter().filter_map(|(name, less, more)| Some((figure(c, name)?, *less, *more))).collect();
        let changed = found.iter().filter(|(f, ..)| f.decision == Decision::Changed).map(|(f, less, more)| {
            let words = if is_more(f) { more } else { less };
            format!("{words}{}{})", if words.ends_with('(') { "" } else { " " }, from_to(f))
        });
        let changed: Vec<String> = changed.collect();
        if !changed.is_empty() {
            return format!("{} {}", c.arm, join(&changed));
        }
        if found.iter().all(|(f, ..)| f.decision == Decision::PracticallyTheSame) {
            return format!("{} is as fair as {}", c.arm, c.against);
        }
        format!("for {} no difference is shown", c.arm)
    };
    let out = comparison.arms.iter().filter(|a| a.disqualified.is_some()).map(|a| format!("{} violated correctness and is out", a.name));
    let parts: Vec<String> = contrasts.iter().map(of).chain(out).collect();
    format!("Who waits: compared with {}, {}.", contrasts[0].against, parts.join("; "))
}

/// Formats a change by ratio: `61 % less (95 % interval −66 to −55 %)`.
fn change_words(f: &FigureResult) -> String {
    let interval = match f.interval_cell().as_str() {
        "none" => "no interval".to_owned(),
        interval => format!("95 % interval {interval}"),
    };
    let bound = if f.bound { "at least " } else { "" };
    let change = match f.effect {
        Some(e) if e < 1.0 => format!("{bound}{} % less", digits((1.0 - e) * 100.0)),
        Some(e) if e <= 3.0 => format!("{bound}{} % more", digits((e - 1.0) * 100.0)),
        Some(e) => format!("{bound}{} times as long", digits(e)),
        None => "different".into(),
    };
    format!("{change} ({interval})")
}

/// Formats the finding about an arm from a primary figure that is compared by ratio.
fn ratio_words(c: &Contrast, name: &str) -> String {
    let arm = &c.arm;
    let Some(f) = figure(c, name) else { return format!("not known with {arm}") };
    match f.decision {
        Decision::Changed => format!("{} with {arm}", change_words(f)),
        Decision::PracticallyTheSame => format!("practically the same with {arm}"),
        Decision::NoDifferenceShown => format!("no difference shown with {arm}"),
        Decision::NoClaim | Decision::Exploratory => format!("no claim with {arm}"),
    }
}

fn how_long(contrasts: &[&Contrast]) -> String {
    let reference = figure(contrasts[0], NEEDED).map_or_else(|| "–".to_owned(), |f| f.value_words(f.reference));
    let arms: Vec<String> = contrasts.iter().map(|c| ratio_words(c, NEEDED)).collect();
    format!("How long: a client waits {reference} on average with {}, {}.", contrasts[0].against, arms.join(", "))
}

fn what_a_fault_costs(comparison: &Comparison, contrasts: &[&Contrast]) -> String {
    let faults = &comparison.design.faults;
    // `kill:holder` is aimed at a node by its role.
    let role = faults.iter().find_map(|kind| kind.strip_prefix("kill:").or_else(|| kind.strip_prefix("pause:")));
    let subject = role.map_or_else(|| "a fault".to_owned(), |role| format!("a dead {role}"));
    if faults.is_empty() {
        return format!("What {subject} costs: not measured, since no fault was injected.");
    }
    let against = &contrasts[0].against;
    let longest: Vec<String> = contrasts.iter().map(|c| ratio_words(c, "longest_wait_ms")).collect();
    let reference = figure(contrasts[0], "longest_wait_ms").map_or_else(|| "–".to_owned(), |f| f.value_words(f.reference));
    let mut words = format!("What {subject} costs: the longest wait is {reference} with {against}, {}", longest.join(", "));
    let silence: Vec<(&str, &FigureResult)> =
        contrasts.iter().filter_map(|c| Some((c.arm.as_str(), figure(c, "longest_silence_ms")?))).collect();
    if let Some((_, first)) = silence.first() {
        let reference = format!("{} with {against}", first.value_words(first.reference));
        let arms = silence.iter().map(|(arm, f)| format!("{} with {arm}", f.value_words(f.arm)));
        let all: Vec<String> = std::iter::once(reference).chain(arms).collect();
        words += &format!("; no client succeeded for up to {} (medians, no claim)", join(&all));
    }
    words + "."
}

#[cfg(test)]
mod tests;
