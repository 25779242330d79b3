//! What a comparison came to: the types of `compare.json`, schema `heckle.compare/1`. Pages and pictures are drawn from
//! this file alone. As in `results.json`, fields are only ever added and units sit in the names.

use super::decide::{self, Decision, Unit};
use super::figures::{self, Figure};
use super::paired::{Method, Reading, Scale};
use super::phases::Phase;
use super::state::StateSizes;
use crate::charts::axis::digits;
use crate::measure::round;
use crate::results_json::{BuildInfo, EnvInfo, RunVerdict, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format this crate writes and reads.
pub const SCHEMA: &str = "heckle.compare/1";

/// Everything a comparison came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Comparison {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// `<UTC>-<4 hex>`, the name of its folder.
    pub comparison_id: String,
    /// What was compared: the preset's or the plan's name.
    pub name: String,
    /// Whether it is over.
    pub status: Status,
    /// The exit code of `heckle compare`.
    pub exit_code: i32,
    /// What it came to, a sentence for each contrast, the gravest first.
    pub verdict: Vec<String>,
    /// When it began, `2026-01-31T12:00:00Z`.
    pub started_utc: String,
    /// How long it took.
    pub wall_s: f64,
    /// What fixed seeds and order of all runs, `0x…`.
    pub seed: String,
    /// The command that does it again.
    pub again: String,
    /// The tool.
    pub build: BuildInfo,
    /// `release` or `debug`.
    pub build_profile: String,
    /// The machine.
    pub env: EnvInfo,
    /// What was fixed before the first run.
    pub design: Design,
    /// What was compared; the first is the reference.
    pub arms: Vec<Arm>,
    /// Every run, in the order they were made.
    pub runs: Vec<Run>,
    /// Each arm against the reference.
    pub contrasts: Vec<Contrast>,
    /// What the figures rest on.
    pub validity: Vec<Validity>,
    /// Successes of each client over time, an arm each, of one pair.
    pub successes: Vec<SuccessMap>,
    /// Bytes of protocol state over time; absent where arms have the same remedies against it.
    pub state: Option<StateSizes>,
    /// Files by name, relative to the comparison's folder.
    pub artifacts: BTreeMap<String, String>,
}

/// What is fixed before the first run, so that nothing of it can be chosen by the result.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Design {
    /// Pairs of runs; with more than two arms, rounds in which each arm runs once.
    pub pairs: u32,
    /// Pairs that must remain for a claim.
    pub pairs_needed: u32,
    /// Both arms are the same: what shows is noise.
    pub aa: bool,
    /// How the load is offered.
    pub load: LoadMode,
    /// Arms differ in their remedies against state: prune, time to live.
    pub state_differs: bool,
    /// Ops a second asked for; absent in saturation.
    pub rate_per_s: Option<f64>,
    /// Figures that claims are made about.
    pub primary: Vec<String>,
    /// The chance of any false claim of change, at most.
    pub alpha: f64,
    /// A ratio of at most this, either way, counts as the same.
    pub same_ratio: f64,
    /// A difference of shares of at most this counts as the same.
    pub same_share: f64,
    /// How long after its lift a fault is held to be still felt.
    pub recovery_s: f64,
    /// Share of the machine that others may use during a run.
    pub noise_limit: f64,
    /// Share of ops that the harness may send late.
    pub late_limit: f64,
    /// When it ends.
    pub stop_rule: String,
}

/// How load is offered. A comparison has one of them, and they are never mixed: at equal offered load a slow arm shows in
/// waits, at saturation in goodput.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Ops are due by the clock, equally many in all arms.
    #[default]
    EqualOfferedLoad,
    /// Each client sends its next op when the last is answered.
    Saturation,
}

impl LoadMode {
    /// The words for it in reports.
    pub fn words(self) -> &'static str {
        match self {
            LoadMode::EqualOfferedLoad => "equal offered load",
            LoadMode::Saturation => "saturation",
        }
    }
}

/// One of the compared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// What it sets beyond what all arms share.
    pub settings: BTreeMap<String, String>,
    /// Why nothing is claimed of it: a run of it violated correctness.
    pub disqualified: Option<Disqualified>,
    /// Intents in its runs that count, and those of them that never finished.
    pub intents: u64,
    /// Intents that never finished.
    pub unfinished: u64,
    /// Shares of intents finished by a time, Kaplan and Meier's estimate over its runs that count: milliseconds and share.
    pub finished_by: Vec<[f64; 2]>,
}

/// A violation in an arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Disqualified {
    /// The run, relative to the comparison's folder.
    pub path: String,
    /// What was violated.
    pub why: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Run {
    /// Which pair, from 1.
    pub pair: u32,
    /// Which in the order of its pair, from 1.
    pub place: u32,
    /// The arm's name.
    pub arm: String,
    /// The seed it shares with its pair.
    pub seed: String,
    /// The hash of the fault schedule it shares with its pair.
    pub schedule: String,
    /// Its folder, relative to the comparison's.
    pub path: String,
    /// What it came to by itself.
    pub verdict: RunVerdict,
    /// The exit code it would have had.
    pub exit_code: i32,
    /// Intents that were due in the load window and begun, a second; ops where the workload has no intents.
    pub offered_per_s: f64,
    /// Ops a second that were sent.
    pub achieved_per_s: f64,
    /// Share of ops that the harness sent late.
    pub late_ratio: f64,
    /// Share of the machine that others used meanwhile; absent where that is not known.
    pub others_cpu: Option<f64>,
    /// Why it does not count.
    pub dropped: Option<Dropped>,
    /// Its figures by phase.
    pub figures: BTreeMap<Phase, BTreeMap<String, Number>>,
}

/// A figure of one run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Number {
    /// So much.
    pub value: f64,
    /// Or more: what it measures had not ended when the run did.
    pub at_least: bool,
}

impl From<Reading> for Number {
    fn from(reading: Reading) -> Self {
        // Six digits: more are no measurement, and they do not read back as they were written.
        Number { value: round(reading.number(), 6), at_least: reading.censored() }
    }
}

impl From<Number> for Reading {
    fn from(number: Number) -> Self {
        if number.at_least { Reading::AtLeast(number.value) } else { Reading::Exact(number.value) }
    }
}

/// Why a run does not count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dropped {
    /// The kind of reason.
    pub kind: DropKind,
    /// In words.
    pub why: String,
}

/// The kinds of reasons for which a run does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropKind {
    /// The harness sent too many ops late.
    Late,
    /// Others used too much of the machine.
    Noisy,
    /// It cannot be told what happened.
    #[default]
    Inconclusive,
    /// The harness or the machine failed.
    Broken,
    /// It was stopped.
    Interrupted,
    /// It was never made.
    Missing,
}

impl DropKind {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            DropKind::Late => "late",
            DropKind::Noisy => "noisy",
            DropKind::Inconclusive => "inconclusive",
            DropKind::Broken => "broken",
            DropKind::Interrupted => "interrupted",
            DropKind::Missing => "missing",
        }
    }
}

/// One arm against the reference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Contrast {
    /// The arm.
    pub arm: String,
    /// The reference.
    pub against: String,
    /// Pairs that remain, by number.
    pub pairs: Vec<u32>,
    /// Pairs that do not.
    pub dropped: Vec<DroppedPair>,
    /// What it says, in a sentence.
    pub sentence: String,
    /// Its figures, the primary ones first.
    pub figures: Vec<FigureResult>,
}

/// A pair that does not count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DroppedPair {
    /// Which.
    pub pair: u32,
    /// Whose run was the reason.
    pub arm: String,
    /// The kind of reason.
    pub kind: DropKind,
    /// In words.
    pub why: String,
}

/// What pairs say of one figure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FigureResult {
    /// `intent_p99_ms` …
    pub figure: String,
    /// Its name in reports.
    pub what: String,
    /// The part of the load window.
    pub phase: Option<Phase>,
    /// Named beforehand as one that claims are made about.
    pub primary: bool,
    /// Pairs that have it.
    pub n: u32,
    /// The median of the reference's runs.
    pub reference: Option<f64>,
    /// The median of the arm's runs.
    pub arm: Option<f64>,
    /// `log_ratio`, `sign_flip` or `sign`.
    pub method: String,
    /// What `effect`, `low` and `high` are.
    pub effect_is: EffectIs,
    /// Arm by reference, or arm minus reference.
    pub effect: Option<f64>,
    /// The effect is only a bound: the true one is at least as far off.
    pub bound: bool,
    /// The lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// The probability of such pairs without an effect.
    pub p: f64,
    /// The same, adjusted for all primary figures of the comparison; absent for exploratory ones.
    pub p_adjusted: Option<f64>,
    /// The probability of pairs so alike with an effect of the margin, adjusted likewise.
    pub p_same_adjusted: Option<f64>,
    /// What is said of it.
    pub decision: Decision,
    /// In words.
    pub words: String,
}

/// What an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectIs {
    /// Arm by reference; 1 is no effect.
    #[default]
    Ratio,
    /// Arm minus reference, in the figure's unit; 0 is no effect.
    Difference,
}

impl EffectIs {
    /// Of a figure on this scale, where no zero stands in the way.
    pub fn of(scale: Scale) -> Self {
        match scale {
            Scale::Ratio => EffectIs::Ratio,
            Scale::Difference => EffectIs::Difference,
        }
    }
}

/// Something that the figures rest on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Validity {
    /// What.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// In words.
    pub words: String,
}

/// Successes of each client over time in one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuccessMap {
    /// The arm.
    pub arm: String,
    /// The pair: the one whose effect is the median.
    pub pair: u32,
    /// Length of a slice.
    pub slice_s: f64,
    /// Clients, in the order of the rows.
    pub clients: Vec<String>,
    /// Successes, a row a client, a column a slice.
    pub successes: Vec<Vec<u32>>,
}

impl Default for Comparison {
    fn default() -> Self {
        Comparison {
            schema: SCHEMA.into(),
            comparison_id: String::new(),
            name: String::new(),
            status: Status::Running,
            // What a reader of a half-made comparison is to believe: inconclusive.
            exit_code: 2,
            verdict: vec![],
            started_utc: String::new(),
            wall_s: 0.0,
            seed: String::new(),
            again: String::new(),
            build: BuildInfo::default(),
            build_profile: String::new(),
            env: EnvInfo::default(),
            design: Design::default(),
            arms: vec![],
            runs: vec![],
            contrasts: vec![],
            validity: vec![],
            successes: vec![],
            state: None,
            artifacts: BTreeMap::new(),
        }
    }
}

impl FigureResult {
    /// A value of the figure as people read it; a dash where there is none.
    pub fn value_words(&self, value: Option<f64>) -> String {
        let words = |v: f64| figures::find(&self.figure).map_or_else(|| digits(v), |f| f.words(v));
        value.map_or_else(|| "–".into(), words)
    }

    /// An effect, or an end of its interval, as people read it.
    pub fn effect_words(&self, effect: f64) -> String {
        let unit = figures::find(&self.figure).map_or(Unit::Plain, Figure::unit);
        match self.effect_is {
            EffectIs::Ratio => decide::effect_words(effect.ln(), Method::LogRatio, Scale::Ratio, unit),
            EffectIs::Difference => decide::effect_words(effect, Method::SignFlip, Scale::Difference, unit),
        }
    }

    /// The effect for a table.
    pub fn effect_cell(&self) -> String {
        let bound = if self.bound { "at least " } else { "" };
        self.effect.map_or_else(|| "not known".into(), |e| format!("{bound}{}", self.effect_words(e)))
    }

    /// The interval for a table.
    pub fn interval_cell(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => decide::between(&self.effect_words(low), &self.effect_words(high)),
            (None, _) | (_, None) => "none".into(),
        }
    }
}

impl Comparison {
    /// The text of a `compare.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and maps with string keys serialize") + "\n"
    }

    /// Reads the text of a `compare.json`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let read: Comparison = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if read.schema == SCHEMA {
            Ok(read)
        } else {
            Err(format!("schema `{}` is not `{SCHEMA}`, the one this version reads", read.schema))
        }
    }
}
