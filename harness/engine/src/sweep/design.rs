//! The design of a sweep: turns arms and values into plans. Every plan is resolved before the first run, so that a value that an arm
//! does not accept is reported immediately.

use super::axis::{Axis, RATE};
use crate::plan::settings::{Expect, Settings};
use crate::plan::units::{Rate, Span};
use crate::plan::{Plan, file, keys};
use crate::systems::Systems;
use heckle_history::prng::Seed;
use heckle_results::compare::runs::NOISE_LIMIT;
use heckle_results::gates::Expression;
use heckle_results::sweep::find_max::{RESOLUTION, Range};
use heckle_results::sweep::sweep_json::{Arm, AxisValue, Design};
use std::collections::BTreeMap;

/// Default number of runs per point.
pub const REPEATS: u32 = 3;
/// Maximum number of runs per point. More repeats belong in a comparison.
const MAX_REPEATS: u32 = 50;
/// Maximum number of runs of a sweep. More would take days.
const MAX_RUNS: u32 = 5_000;
/// The limit that a point must hold, unless the plan or `--slo` specifies others.
pub const SLO: &str = "p99_ms<50";
/// Minimum share of the offered rate that must be answered.
const ANSWERED_LIMIT: f64 = 0.98;
/// Default warm-up: time for connections to open and for the system to settle its roles.
const WARMUP: Span = Span::ms(1_000);
/// Quiet tail without faults: there is nothing to recover from.
const QUIET_TAIL: Span = Span::ms(500);
/// Length of the load window without a budget.
const WINDOW: Span = Span::ms(5_000);

/// An arm with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmSpec {
    /// Its name.
    pub name: String,
    /// The settings that it states, exactly as written.
    pub stated: BTreeMap<String, String>,
    /// The common settings, overridden by its own.
    pub settings: Settings,
    /// The reason why it has no runs, if it was left out.
    pub left_out: Option<String>,
}

/// A validated sweep.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The axis.
    pub axis: Axis,
    /// The arms; the first is the reference.
    pub arms: Vec<ArmSpec>,
    /// Number of runs per point.
    pub repeats: u32,
    /// Whether to find the highest sustainable rate by bisection.
    pub find_max: bool,
    /// The limits that a point must hold.
    pub slo: Vec<Expression>,
    /// The seed from which the order and the seeds of all runs are derived.
    pub seed: Seed,
    /// The systems that plans can name.
    pub systems: Systems,
}

/// Parses a limit: `p99_ms<50`, or `p99_ms=50` with the same meaning.
///
/// # Errors
/// If the text does not contain a figure and a number.
pub fn limit(text: &str) -> Result<Expression, String> {
    let text = if text.contains(['<', '>']) { text.to_owned() } else { text.replacen('=', "<", 1) };
    text.parse::<Expression>().map_err(|e| format!("--slo: {}", e.to_string().replacen("gate ", "limit ", 1)))
}

/// Fills in the defaults that differ from those of single runs: no faults unless specified, and a short warm-up and tail.
pub fn with_defaults(mut settings: Settings) -> Settings {
    settings.load.warmup.get_or_insert(WARMUP);
    if settings.faults.kinds.is_none() && settings.injections.is_empty() {
        settings.faults.kinds = Some(vec!["none".into()]);
    }
    let none = settings.faults.kinds.as_ref().is_some_and(|kinds| kinds.iter().all(|k| k == "none")) && settings.injections.is_empty();
    if none {
        settings.faults.quiet_tail.get_or_insert(QUIET_TAIL);
    }
    if settings.load.stages.is_empty() {
        settings.load.duration.get_or_insert(WINDOW);
    }
    settings
}

impl Spec {
    /// Returns the plan of a run.
    ///
    /// # Errors
    /// Names the invalid setting, the arm and the value.
    pub fn plan(&self, arm: usize, value: &AxisValue, repeat: u32) -> Result<Plan, String> {
        let arm = &self.arms[arm];
        let at = |e: String| format!("arm `{}` at {} = {}: {e}", arm.name, self.axis.key, value.text);
        let mut settings = arm.settings.overlaid_with(self.axis.key, &value.text, self.systems).map_err(at)?;
        settings.name = Some(format!("{}-{}", arm.name, value.text));
        settings.seed = Some(self.run_seed(value, repeat).to_string());
        Plan::resolve(&settings, self.systems).map_err(at)
    }

    /// Returns the seed of a run. Arms share it, so they face the same random choices at the same value and repeat.
    fn run_seed(&self, value: &AxisValue, repeat: u32) -> Seed {
        self.seed.part(&format!("{}/{repeat}", value.text))
    }

    /// Checks everything that can be checked before the first run. Returns the plan of the first run.
    ///
    /// # Errors
    /// The mistake and what would be valid.
    pub fn check(&self) -> Result<Plan, String> {
        if !(1..=MAX_REPEATS).contains(&self.repeats) {
            return Err(format!("--repeats {} is not between 1 and {MAX_REPEATS}", self.repeats));
        }
        if self.find_max && self.axis.key != RATE {
            return Err(format!("--find-max finds a rate, and the axis is {}: use --over rate=FROM..TO", self.axis.key));
        }
        if self.find_max && self.axis.values.len() < 2 {
            return Err("--find-max needs a range: --over rate=FROM..TO".into());
        }
        if let Some(arm) = self.arms.iter().find(|a| a.stated.contains_key(self.axis.key)) {
            return Err(format!("arm `{}` states {}, which is the axis: leave one of them out", arm.name, self.axis.key));
        }
        if self.arms.iter().any(|a| !a.settings.load.stages.is_empty()) {
            return Err("the plan has [[load.stage]] entries, and a point needs a steady load: sweep a plan without stages".into());
        }
        if self.max_runs() > MAX_RUNS {
            return Err(format!("{} runs are more than {MAX_RUNS}: fewer values, arms or --repeats", self.max_runs()));
        }
        let mut first: Option<(&ArmSpec, Plan)> = None;
        for (i, arm) in self.arms.iter().enumerate().filter(|(_, arm)| arm.left_out.is_none()) {
            for value in &self.axis.values {
                let plan = self.plan(i, value, 1)?;
                if plan.expect == Expect::Invalid {
                    return Err("the plan expects a violation, and a sweep ends an arm at its first: sweep a plan that expects none".into());
                }
                match &first {
                    None => first = Some((arm, plan)),
                    Some((other, known)) if known.window() != plan.window() => {
                        return Err(format!(
                            "arms `{}` and `{}` are loaded at different times: warmup and duration are shared by all arms",
                            other.name, arm.name
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        first.map(|(_, plan)| plan).ok_or_else(|| {
            let why = self.arms.iter().find_map(|a| a.left_out.clone()).unwrap_or_default();
            format!("every arm is left out: {why}")
        })
    }

    /// Marks arms whose program is not installed.
    ///
    /// # Errors
    /// If settings are invalid.
    pub fn leave_out_missing_systems(&mut self) -> Result<(), String> {
        for i in 0..self.arms.len() {
            let plan = self.plan(i, &self.axis.values[0], 1)?;
            if plan.bin.is_none() {
                self.arms[i].left_out = plan.system.program().err();
            }
        }
        Ok(())
    }

    /// Returns the number of runs of the sweep, or the maximum possible number for a bisection.
    pub fn max_runs(&self) -> u32 {
        let arms = self.arms.iter().filter(|a| a.left_out.is_none()).count() as u32;
        let values = if self.find_max { self.range().max_steps() } else { self.axis.values.len() as u32 };
        arms.saturating_mul(values).saturating_mul(self.repeats)
    }

    fn range(&self) -> Range {
        let ends = (self.axis.values.first(), self.axis.values.last());
        let number = |v: Option<&AxisValue>| v.map_or(1.0, |v| v.number);
        Range { from: number(ends.0), to: number(ends.1), resolution: RESOLUTION, repeats: self.repeats }
    }

    /// Describes the design for `sweep.json`. `plan` may be the plan of any run.
    pub fn describe(&self, plan: &Plan, run_s: f64) -> Design {
        let rate = match plan.rate {
            Rate::PerSecond(rate) if self.axis.key != RATE => Some(rate),
            Rate::PerSecond(_) | Rate::Max => None,
        };
        let ends = || vec![self.axis.values[0].clone(), self.axis.values[self.axis.values.len() - 1].clone()];
        Design {
            axis: self.axis.key.to_owned(),
            spacing: self.axis.spacing,
            values: if self.find_max { ends() } else { self.axis.values.clone() },
            repeats: self.repeats,
            find_max: self.find_max,
            resolution: self.find_max.then_some(RESOLUTION),
            slo: self.slo.iter().map(|e| e.text().to_owned()).collect(),
            answered_limit: ANSWERED_LIMIT,
            noise_limit: NOISE_LIMIT,
            rate_per_s: rate,
            intents: plan.workload.has_intents(),
            subject: None,
            warmup_s: plan.warmup.0.as_secs_f64(),
            window_s: plan.duration.0.as_secs_f64(),
            runs: self.max_runs(),
            run_s,
            budget_s: None,
        }
    }

    /// Describes the arms for `sweep.json`.
    ///
    /// # Errors
    /// If settings are invalid.
    pub fn describe_arms(&self) -> Result<Vec<Arm>, String> {
        let system = |i: usize| Ok::<_, String>(self.plan(i, &self.axis.values[0], 1)?.system.name().to_owned());
        let arm = |(i, arm): (usize, &ArmSpec)| {
            Ok(Arm {
                name: arm.name.clone(),
                settings: arm.stated.clone(),
                system: system(i)?,
                left_out: arm.left_out.clone(),
                disqualified: None,
            })
        };
        self.arms.iter().enumerate().map(arm).collect()
    }
}

/// Formats the settings of an arm as the text of a plan.
pub fn plan_text(settings: &Settings) -> String {
    let settings = Settings { schema: Some(file::SCHEMA.into()), ..settings.clone() };
    toml::to_string(&settings).expect("settings have a TOML form")
}

impl Settings {
    /// Merges one setting, identified by its key, into these settings.
    ///
    /// # Errors
    /// If there is no such setting, or the value does not fit.
    fn overlaid_with(&self, key: &str, value: &str, systems: Systems) -> Result<Settings, String> {
        let mut settings = self.clone();
        // The two ways of skewing keys are mutually exclusive, and the axis takes precedence.
        match key {
            "hot" => settings.load.zipf = None,
            "zipf" => settings.load.hot = None,
            _ => {}
        }
        Ok(settings.overlaid(&keys::one_of_text(key, value, systems)?))
    }
}

#[cfg(test)]
mod tests;
