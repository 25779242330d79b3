//! Derives a decision from probabilities, and its text from the decision. Both follow rules that are fixed before the first run,
//! so that the wording does not depend on the results.
//!
//! | decision | when |
//! |---|---|
//! | no claim | fewer than [`PAIRS_NEEDED`] pairs remain, or the runs were interrupted |
//! | practically the same | under a change as large as the margin, pairs this similar have an adjusted probability of at most 5 % |
//! | changed | without a change, such pairs have an adjusted probability of at most 5 % |
//! | no difference shown | neither |
//!
//! Only primary figures, named beforehand, get a decision. All others are exploratory and support no claim.

use crate::charts::axis::{digits, duration};
use crate::compare::holm;
use crate::compare::paired::{Estimate, Method, Scale};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minimum number of pairs that must remain for a claim.
pub const PAIRS_NEEDED: usize = 8;
/// Upper bound on the probability of any false claim of change in a comparison.
pub const ALPHA: f64 = 0.05;
/// A ratio within 1/1.1 to 1.1 counts as the same.
pub const SAME_RATIO: f64 = 1.1;
/// A share within 0.2 percentage points counts as the same.
pub const SAME_SHARE: f64 = 0.002;
/// An index between 0 and 1 within 0.05 counts as the same.
pub const SAME_INDEX: f64 = 0.05;
/// A mean number within half of one counts as the same.
pub const SAME_COUNT: f64 = 0.5;

/// The decision about a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The figure differs between the arms.
    Changed,
    /// The figure may or may not differ.
    NoDifferenceShown,
    /// The figure differs by less than the margin.
    PracticallyTheSame,
    /// There are too few pairs.
    #[default]
    NoClaim,
    /// The figure was not named beforehand: it is shown without a claim.
    Exploratory,
}

impl Decision {
    /// Returns its name in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Changed => "changed",
            Decision::NoDifferenceShown => "no difference shown",
            Decision::PracticallyTheSame => "practically the same",
            Decision::NoClaim => "no claim",
            Decision::Exploratory => "exploratory",
        }
    }
}

/// The decision about a primary figure, with its probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureDecision {
    /// The decision.
    pub decision: Decision,
    /// Adjusted probability of such pairs if there were no change.
    pub p_adjusted: f64,
    /// Adjusted probability of pairs this similar if the change were as large as the margin.
    pub p_same_adjusted: f64,
}

/// How the runs ended, which determines whether claims are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The runs ended by the stop rule that was fixed beforehand.
    AsPlanned,
    /// The user stopped the runs, perhaps because of the results so far.
    Interrupted,
}

/// Decides about the primary figures of all contrasts together; an estimate is `None` for a figure without pairs.
pub fn decide(estimates: &[Option<Estimate>], ending: Ending) -> Vec<FigureDecision> {
    let of = |p: fn(&Estimate) -> f64| holm::adjust(&estimates.iter().map(|e| e.as_ref().map_or(1.0, p)).collect::<Vec<f64>>());
    let (p, same) = (of(|e| e.p), of(|e| e.p_same));
    let one = |((e, p_adjusted), p_same_adjusted): ((&Option<Estimate>, f64), f64)| {
        let enough = ending == Ending::AsPlanned && e.is_some_and(|e| e.n >= PAIRS_NEEDED);
        let decision = match (enough, p_same_adjusted <= ALPHA, p_adjusted <= ALPHA) {
            (false, _, _) => Decision::NoClaim,
            (true, true, _) => Decision::PracticallyTheSame,
            (true, false, true) => Decision::Changed,
            (true, false, false) => Decision::NoDifferenceShown,
        };
        FigureDecision { decision, p_adjusted, p_same_adjusted }
    };
    estimates.iter().zip(p).zip(same).map(one).collect()
}

/// How the effect on a figure is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A fraction of 1, in percent, with differences in percentage points.
    Share,
    /// Milliseconds, with differences in a unit of time.
    Milliseconds,
    /// Any other number, with differences without a unit.
    Plain,
}

/// Formats an effect: `-31 %`, `+0.31 points`.
pub fn effect_words(effect: f64, method: Method, scale: Scale, unit: Unit) -> String {
    let as_ratio = method == Method::LogRatio || (method == Method::Sign && scale == Scale::Ratio);
    match (as_ratio, unit) {
        (true, _) if effect > 10f64.ln() => format!("×{}", digits(effect.exp())),
        (true, _) => with_sign(effect.exp_m1() * 100.0) + " %",
        (false, Unit::Share) => with_sign(effect * 100.0) + " points",
        (false, Unit::Milliseconds) => with_sign_by(effect, duration),
        (false, Unit::Plain) => with_sign(effect),
    }
}

fn with_sign(x: f64) -> String {
    with_sign_by(x, digits)
}

fn with_sign_by(x: f64, words: fn(f64) -> String) -> String {
    let text = words(x.abs());
    match text.as_str() {
        "0" => "0".into(),
        _ if x < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

/// Formats an interval, such as `−42 % to −18 %`. Returns `None` if an end is missing.
pub fn interval_words(e: &Estimate, scale: Scale, unit: Unit) -> Option<String> {
    let (low, high) = e.interval;
    let words = |x: f64| effect_words(x, e.method, scale, unit);
    match (low, high) {
        (Some(low), Some(high)) => Some(range_words(&words(low), &words(high))),
        (None, _) | (_, None) => None,
    }
}

/// Formats a range as `low to high`, stating a common unit only once.
pub fn range_words(low: &str, high: &str) -> String {
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// Describes the result for a figure, in words that follow its name. `ending` determines the explanation if there are too few pairs.
pub fn words(e: Option<&Estimate>, decided: &FigureDecision, scale: Scale, unit: Unit, ending: Ending) -> String {
    let Some(e) = e else { return "no claim: no pair has this figure in both runs".into() };
    let interval = interval_words(e, scale, unit);
    let (effect, between) = (effect_or_bound(e, scale, unit), interval.as_deref().unwrap_or("anything"));
    let because = censoring_note(e);
    match decided.decision {
        Decision::Changed => match interval {
            Some(interval) => format!("changed by {effect} (95 % interval {interval})"),
            None => format!("changed by {effect} (no interval{because})"),
        },
        Decision::PracticallyTheSame => format!("practically the same: {effect} (95 % interval {between}), {}", margin_words(scale)),
        Decision::NoDifferenceShown if interval.is_none() => format!("no difference shown, and no interval{because}"),
        Decision::NoDifferenceShown if e.p <= ALPHA => format!(
            "no difference shown: {between} remains possible. Alone it would pass (p = {}); looked at together with the other primary figures it does not (p = {})",
            p_words(e.p),
            p_words(decided.p_adjusted)
        ),
        Decision::NoDifferenceShown => format!("no difference shown: {between} remains possible"),
        Decision::NoClaim if ending == Ending::Interrupted => {
            format!("no claim: interrupted after {} of its pairs, and a stop that is not planned may follow what was seen", e.n)
        }
        Decision::NoClaim => {
            format!("no claim: {} remain, {PAIRS_NEEDED} are needed", if e.n == 1 { "1 pair".into() } else { format!("{} pairs", e.n) })
        }
        Decision::Exploratory => match interval {
            Some(interval) => format!("{effect} (95 % interval {interval})"),
            None => format!("{effect}{because}"),
        },
    }
}

fn effect_or_bound(e: &Estimate, scale: Scale, unit: Unit) -> String {
    match e.effect {
        None => "an amount that is not known".into(),
        Some(effect) if e.bound => format!("at least {}", effect_words(effect, e.method, scale, unit)),
        Some(effect) => effect_words(effect, e.method, scale, unit),
    }
}

fn censoring_note(e: &Estimate) -> String {
    match (e.censored_reference, e.censored_arm) {
        (0, 0) if e.n < PAIRS_NEEDED => ": too few pairs".into(),
        (0, 0) => String::new(),
        (r, a) => format!(
            ": in {r} of {n} reference runs and {a} of {n} runs of the other arm the figure is only a lower bound, because intents had not finished",
            n = e.n
        ),
    }
}

fn margin_words(scale: Scale) -> String {
    match scale {
        Scale::Ratio => format!("and less than {} % either way counts as the same", digits((SAME_RATIO - 1.0) * 100.0)),
        Scale::Difference => format!("and less than {} points either way counts as the same", digits(SAME_SHARE * 100.0)),
        Scale::Index => format!("and less than {} either way counts as the same", digits(SAME_INDEX)),
        Scale::Count => format!("and less than {} either way counts as the same", digits(SAME_COUNT)),
    }
}

/// Formats a probability.
pub fn p_words(p: f64) -> String {
    if p < 0.001 { "<0.001".into() } else { format!("{p:.3}") }
}

/// Returns the margin that counts as the same on a scale, in the form that [`estimate`](crate::compare::paired::estimate) takes.
pub fn margin(scale: Scale) -> f64 {
    match scale {
        Scale::Ratio => SAME_RATIO.ln(),
        Scale::Difference => SAME_SHARE,
        Scale::Index => SAME_INDEX,
        Scale::Count => SAME_COUNT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::paired::{Pair, Reading, estimate};

    fn ratios(of: impl IntoIterator<Item = f64>) -> Option<Estimate> {
        let pairs: Vec<Pair> = of.into_iter().map(|r| Pair { reference: Reading::Exact(100.0), arm: Reading::Exact(100.0 * r) }).collect();
        estimate(&pairs, Scale::Ratio, margin(Scale::Ratio))
    }

    #[track_caller]
    fn check(e: &[Option<Estimate>], ending: Ending, decision: Decision, parts: &[&str]) {
        let decided = decide(e, ending);
        let words = words(e[0].as_ref(), &decided[0], Scale::Ratio, Unit::Plain, ending);
        assert_eq!(decided[0].decision, decision, "{words}");
        assert!(parts.iter().all(|p| words.contains(p)), "`{words}` lacks one of {parts:?}");
    }

    #[test]
    fn decisions_follow_the_rules() {
        let noisy = |centre: f64| ratios((0..10).map(move |i| centre * (0.15 * (f64::from(i) - 4.5) / 4.5).exp()));
        let wild = |centre: f64| ratios((0..10).map(move |i| centre * (1.0 * (f64::from(i) - 4.5) / 4.5).exp()));
        let planned = Ending::AsPlanned;
        check(&[noisy(0.69)], planned, Decision::Changed, &["changed by −31 % (95 % interval −", "%)"]);
        check(&[noisy(20.0)], planned, Decision::Changed, &["changed by ×20 (95 % interval ×1", "to ×2"]);
        check(&[wild(1.1)], planned, Decision::NoDifferenceShown, &["no difference shown: −", "to +", "remains possible"]);
        let still = ratios((0..10).map(|i| 1.0 + f64::from(i % 3) * 0.01));
        check(&[still], planned, Decision::PracticallyTheSame, &["practically the same: +0.9", "less than 10 % either way"]);
        check(&[ratios([0.5; 7])], planned, Decision::NoClaim, &["7 pairs remain, 8 are needed"]);
        check(&[ratios([0.5; 9])], Ending::Interrupted, Decision::NoClaim, &["interrupted after 9"]);
        check(&[None], planned, Decision::NoClaim, &["no pair"]);
    }

    #[test]
    fn a_figure_significant_only_alone_is_reported_as_such() {
        let slight = ratios([0.8, 0.85, 1.02, 0.7, 0.95, 0.75, 1.1, 0.9, 0.82, 1.05]);
        let p = slight.expect("ten").p;
        assert!((0.017..0.05).contains(&p), "{p}");
        let nothing = ratios((0..10).map(|i| (f64::from(i) - 4.5).exp()));
        check(&[slight, nothing, nothing], Ending::AsPlanned, Decision::NoDifferenceShown, &["Alone it would pass", "it does not"]);
    }

    #[test]
    fn censored_estimates_explain_the_missing_interval() {
        let pair = Pair { reference: Reading::AtLeast(10_000.0), arm: Reading::Exact(500.0) };
        let e = estimate(&[pair; 10], Scale::Ratio, margin(Scale::Ratio));
        check(&[e], Ending::AsPlanned, Decision::Changed, &["changed by at least −95 %", "10 of 10 reference runs", "had not finished"]);
    }

    #[test]
    fn differences_of_shares_are_in_percentage_points() {
        let pairs: Vec<Pair> =
            (0..10).map(|i| Pair { reference: Reading::Exact(0.0), arm: Reading::Exact(0.01 + f64::from(i) * 1e-4) }).collect();
        let e = [estimate(&pairs, Scale::Difference, margin(Scale::Difference))];
        let decided = decide(&e, Ending::AsPlanned);
        let words = words(e[0].as_ref(), &decided[0], Scale::Difference, Unit::Share, Ending::AsPlanned);
        assert!(words.starts_with("changed by +1.05 points (95 % interval +1.02 to +1.0"), "{words}");
    }
}
