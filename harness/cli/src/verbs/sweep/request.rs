//! Turns flags, plan or preset into a validated sweep. Arms are read in the same way as for `heckle compare`.

use crate::cli::SweepArgs;
use crate::plan::file::did_you_mean;
use crate::plan::settings::{Settings, SweepSettings};
use crate::plan::units::Span;
use crate::plans;
use crate::sweep::axis::Axis;
use crate::sweep::budget;
use crate::sweep::design::{ArmSpec, REPEATS, SLO, Spec, limit, with_defaults};
use crate::verbs::compare::arms::{ArmPlan, Named, arm, arm_from_file, arms_to_run, parse_arm};
use crate::verbs::mutants::apply_to_exposing_plan;
use heckle_history::prng::Seed;
use heckle_results::sweep::sweep_json::Design;
use std::collections::BTreeMap;
use std::time::Duration;

/// A validated sweep, before its folder exists.
#[derive(Debug)]
pub(super) struct Request {
    /// Arms, axis and limits.
    pub(super) spec: Spec,
    /// Name of the preset or the plan.
    pub(super) name: String,
    /// The design in its stored form.
    pub(super) design: Design,
    /// Time limit.
    pub(super) budget: Option<Duration>,
}

/// Checks everything that can be checked before the first run.
///
/// # Errors
/// The mistake and what would be valid.
pub(super) fn request(args: &SweepArgs) -> Result<Request, String> {
    let file = match (&args.plan, &args.preset) {
        (Some(plan), _) => plans::read(plan)?,
        (None, Some(name)) => preset(name)?.settings(),
        (None, None) => Settings::default(),
    };
    let of_file = file.sweep.clone().unwrap_or_default();
    let flags = args.settings.settings();
    let over = args.over.as_ref().or(of_file.over.as_ref());
    let over = over.ok_or("say what varies: --over rate=100..8000, or --preset throughput")?;
    let axis: Axis = over.parse()?;
    if states(&flags, axis.key) {
        return Err(format!("--{} and --over {over}: the axis sets it, so leave out the flag", axis.key.replace('_', "-")));
    }
    let seed = match args.arms.seed.as_deref().or(file.seed.as_deref()) {
        None | Some("random") => Seed(rand::random()),
        Some(text) => text.parse()?,
    };
    let name = file.name.clone().unwrap_or_else(|| "sweep".to_owned());
    let from_flags = args.arms.arms.iter().map(|arm| parse_arm(arm)).collect::<Result<Vec<_>, String>>()?;
    let stated = if from_flags.is_empty() { file.arm.iter().map(arm_from_file).collect() } else { from_flags };
    let mut base = apply_to_exposing_plan(file.overlaid(&flags), !args.output.quiet)?;
    (base.arm, base.sweep, base.suite, base.canary) = (vec![], None, None, vec![]);
    let arms = arms(&with_defaults(base), stated)?;
    let slo = if args.slo.is_empty() { &of_file.slo } else { &args.slo };
    let slo = if slo.is_empty() { vec![limit(SLO)?] } else { slo.iter().map(|text| limit(text)).collect::<Result<_, _>>()? };
    let repeats = args.repeats.or(of_file.repeats).unwrap_or(REPEATS);
    let spec = Spec { axis, arms, repeats, find_max: args.find_max, slo, seed, systems: crate::systems::all() };
    plan_length(spec, name, args, &flags, &of_file)
}

/// Whether flags set the axis's own setting.
fn states(flags: &Settings, key: &str) -> bool {
    let load = toml::Table::try_from(&flags.load).unwrap_or_default();
    let cluster = toml::Table::try_from(&flags.cluster).unwrap_or_default();
    load.contains_key(key) || cluster.contains_key(key)
}

/// Leaves out arms that cannot run, and determines the length of the points.
fn plan_length(mut spec: Spec, name: String, args: &SweepArgs, flags: &Settings, of_file: &SweepSettings) -> Result<Request, String> {
    spec.leave_out_missing_systems()?;
    if let Some(why) = spec.arms.iter().find_map(|a| a.left_out.clone()).filter(|_| !args.arms.arms.is_empty() || spec.arms.len() == 1) {
        return Err(why);
    }
    let plan = spec.check()?;
    let outside_window = plan.warmup.0 + plan.quiet_tail.0;
    let budget = match (args.budget, flags.load.duration) {
        (Some(_), Some(_)) => {
            return Err("--budget and --duration: the length of a point follows from the budget, so use one of them".into());
        }
        (None, Some(_)) => None,
        (asked, None) => asked.or(of_file.budget),
    };
    let window = match budget {
        Some(budget) => budget::window(budget.0, spec.max_runs(), outside_window)?,
        None => plan.duration.0,
    };
    spec.arms.iter_mut().for_each(|arm| arm.settings.load.duration = Some(Span(window)));
    let plan = spec.check()?;
    let mut design = spec.describe(&plan, budget::run_time(window, outside_window).as_secs_f64());
    design.budget_s = budget.map(|b| b.0.as_secs_f64());
    design.subject.clone_from(&of_file.subject);
    Ok(Request { spec, name, design, budget: budget.map(|b| b.0) })
}

/// Applies the arms to the common settings. If there are none, the plan itself is the only arm.
fn arms(base: &Settings, stated: Vec<Named>) -> Result<Vec<ArmSpec>, String> {
    let stated = if stated.is_empty() { vec![("as-planned".to_owned(), BTreeMap::new())] } else { stated };
    let arms = stated.into_iter().map(|(name, stated)| arm(base, name, stated)).collect::<Result<Vec<ArmPlan>, String>>()?;
    let spec = |a: ArmPlan| ArmSpec { name: a.name, stated: a.stated, settings: a.settings, left_out: None };
    Ok(arms_to_run(arms, false)?.into_iter().map(spec).collect())
}

/// Finds the sweep named by `--preset`.
fn preset(name: &str) -> Result<&'static plans::Embedded, String> {
    let all: Vec<&str> = plans::sweep_presets().map(|(name, _)| name).collect();
    let found = plans::sweep_presets().find(|(preset, _)| *preset == name);
    found.map(|(_, plan)| plan).ok_or_else(|| format!("there is no sweep preset `{name}`; {}", did_you_mean(name, &all)))
}

#[cfg(test)]
mod tests;
