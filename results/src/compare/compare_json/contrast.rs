//! The contrast of an arm with the reference, figure by figure.

use super::DropKind;
use crate::charts::axis::digits;
use crate::compare::decide::{self, Decision, Unit};
use crate::compare::figures::{self, Figure};
use crate::compare::paired::{Method, Scale};
use crate::compare::phases::Phase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One arm against the reference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Contrast {
    /// Name of the arm.
    pub arm: String,
    /// Name of the reference.
    pub against: String,
    /// Numbers of the pairs that count.
    pub pairs: Vec<u32>,
    /// Pairs that do not count.
    pub dropped: Vec<DroppedPair>,
    /// The conclusion in one sentence.
    pub sentence: String,
    /// The figures, the primary ones first.
    pub figures: Vec<FigureResult>,
}

/// A pair that does not count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DroppedPair {
    /// Number of the pair.
    pub pair: u32,
    /// The arm whose run was dropped.
    pub arm: String,
    /// The category of the reason.
    pub kind: DropKind,
    /// The reason as text.
    pub why: String,
}

/// The result for one figure over all pairs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FigureResult {
    /// Name of the figure in files, such as `intent_p99_ms`.
    pub figure: String,
    /// Name of the figure in reports.
    pub what: String,
    /// The phase of the load window.
    pub phase: Option<Phase>,
    /// Whether it was named beforehand as a figure for claims.
    pub primary: bool,
    /// Number of pairs that have the figure.
    pub n: u32,
    /// Median of the runs of the reference.
    pub reference: Option<f64>,
    /// Median of the runs of the arm.
    pub arm: Option<f64>,
    /// The statistical method: `log_ratio`, `mean_difference`, `sign_flip` or `sign`.
    pub method: String,
    /// Whether `effect`, `low` and `high` are ratios or differences.
    pub effect_is: EffectIs,
    /// Arm divided by reference, or arm minus reference.
    pub effect: Option<f64>,
    /// Whether the effect is only a bound: the true one is at least as large.
    pub bound: bool,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// Probability of such pairs if there were no effect.
    pub p: f64,
    /// The same probability, adjusted for all primary figures of the comparison; absent for exploratory figures.
    pub p_adjusted: Option<f64>,
    /// Probability of pairs this similar if the effect were as large as the margin, adjusted in the same way.
    pub p_same_adjusted: Option<f64>,
    /// The decision about the figure.
    pub decision: Decision,
    /// The result as text.
    pub words: String,
}

/// The form of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectIs {
    /// Arm divided by reference; 1 is no effect.
    #[default]
    Ratio,
    /// Arm minus reference, in the unit of the figure; 0 is no effect.
    Difference,
}

impl EffectIs {
    /// Returns the form for a figure on this scale, unless zeros rule out a ratio.
    pub fn of(scale: Scale) -> Self {
        match scale {
            Scale::Ratio => EffectIs::Ratio,
            Scale::Difference | Scale::Index | Scale::Count => EffectIs::Difference,
        }
    }
}

impl FigureResult {
    /// Formats a value of the figure, or a dash if it is absent.
    pub fn value_words(&self, value: Option<f64>) -> String {
        let words = |v: f64| figures::find(&self.figure).map_or_else(|| digits(v), |f| f.words(v));
        value.map_or_else(|| "–".into(), words)
    }

    /// Formats an effect, or an end of its interval.
    pub fn effect_words(&self, effect: f64) -> String {
        let unit = figures::find(&self.figure).map_or(Unit::Plain, Figure::unit);
        match self.effect_is {
            EffectIs::Ratio => decide::effect_words(effect.ln(), Method::LogRatio, Scale::Ratio, unit),
            EffectIs::Difference => decide::effect_words(effect, Method::SignFlip, Scale::Difference, unit),
        }
    }

    /// Formats the effect for a table.
    pub fn effect_cell(&self) -> String {
        let bound = if self.bound { "at least " } else { "" };
        self.effect.map_or_else(|| "not known".into(), |e| format!("{bound}{}", self.effect_words(e)))
    }

    /// Formats the interval for a table.
    pub fn interval_cell(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => decide::range_words(&self.effect_words(low), &self.effect_words(high)),
            (None, _) | (_, None) => "none".into(),
        }
    }
}
