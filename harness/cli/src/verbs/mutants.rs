//! Planted bugs on the command line: their names, what each breaks, and the plan that exposes it.

use crate::cli::MutantsArgs;
use crate::plan::file::did_you_mean;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use crate::plans::{self, WITHOUT_PLAN, without_plan};
use crate::suite::matrix::ExpansionContext;
use heckle_paxos::mutants::{self, MutantInfo};
use std::process::ExitCode;

/// `heckle mutants`: lists the planted bugs.
pub fn main(args: &MutantsArgs) -> ExitCode {
    let class = |m: &MutantInfo| format!("{:?}", m.class).to_lowercase();
    if args.output.json {
        let all: Vec<serde_json::Value> = mutants::REGISTRY
            .iter()
            .map(|m| {
                let (plan, why_not) = (plans::exposing_plan(m.name).is_some(), without_plan(m.name));
                serde_json::json!({
                    "name": m.name, "class": class(m), "source": m.source, "breaks": m.breaks, "plan": plan, "without_plan": why_not,
                })
            })
            .collect();
        outln!("{}", serde_json::to_string_pretty(&all).expect("plain data has a JSON form"));
        return ExitCode::SUCCESS;
    }
    for m in mutants::REGISTRY {
        outln!("{:<28} {:<9} {}", m.name, class(m), m.breaks);
    }
    outln!("\nWith a plan that exposes it: {}", plans::mutants().map(|(name, _)| name).collect::<Vec<_>>().join(", "));
    for (name, why) in WITHOUT_PLAN {
        outln!("Without a plan: {name}, {why}");
    }
    outln!("Try one: heckle run --mutant {}", mutants::REGISTRY[0].name);
    ExitCode::SUCCESS
}

/// Finds a planted bug.
///
/// # Errors
/// If there is no such bug. The message names the most similar one.
pub fn find(name: &str) -> Result<&'static MutantInfo, String> {
    let all: Vec<&str> = mutants::REGISTRY.iter().map(|m| m.name).collect();
    mutants::REGISTRY.iter().find(|m| m.name == name).ok_or_else(|| format!("there is no mutant `{name}`; {}", did_you_mean(name, &all)))
}

/// Applies settings that name a mutant to the plan that exposes it.
///
/// # Errors
/// If there is no such mutant.
pub fn apply_to_exposing_plan(settings: Settings, announce: bool) -> Result<Settings, String> {
    let Some(name) = settings.cluster.mutant.clone() else { return Ok(settings) };
    let info = find(&name)?;
    let Some(exposing) = plans::exposing_plan(&name) else { return Ok(settings) };
    if announce {
        errln!("mutant {name}: {}", info.breaks);
        errln!("the plan that exposes it, {}, unless flags override:\n  {}", exposing.name, exposing.terminal_text().replace('\n', "\n  "));
    }
    let mut laid = exposing.settings().overlaid(&settings);
    // `[[fault]]` entries and kinds are mutually exclusive, so the user's entries replace the kinds.
    if !settings.injections.is_empty() {
        laid.faults.kinds = settings.faults.kinds;
    }
    Ok(laid)
}

/// Returns the context for expanding the matrices of suites: all systems, and the plan that exposes each planted bug.
pub fn matrix_context() -> ExpansionContext<'static> {
    ExpansionContext { systems: crate::systems::all(), complete: &|settings| apply_to_exposing_plan(settings, false) }
}

/// The shortest load under which an exposing plan is useful, for tests that need to be fast.
pub const MIN_LOAD: Span = Span::ms(5_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn every_mutant_has_a_plan_or_a_reason_for_none() {
        for info in mutants::REGISTRY {
            match (plans::exposing_plan(info.name), without_plan(info.name)) {
                (Some(_), None) | (None, Some(_)) => {}
                (None, None) => panic!("{} has no plans/mutants/{}.toml: write one, or say in WITHOUT_PLAN why not", info.name, info.name),
                (Some(_), Some(why)) => panic!("{} has a plan, so it is wrong to say that it has none, {why}", info.name),
            }
        }
        for name in plans::mutants().map(|(name, _)| name).chain(WITHOUT_PLAN.iter().map(|(name, _)| *name)) {
            find(name).expect("in the registry");
        }
    }

    #[test]
    fn flag_loads_the_exposing_plan_of_its_mutant() {
        for (name, plan) in plans::mutants() {
            assert_eq!(plan.settings().cluster.mutant.as_deref(), Some(name));
            let mut settings = Settings::default();
            settings.cluster.mutant = Some(name.into());
            let laid = apply_to_exposing_plan(settings, false).expect("found");
            assert_eq!(laid, plan.settings());
            assert_eq!(apply_to_exposing_plan(laid.clone(), false), Ok(laid.clone()), "laid over itself it stays the same");
            let plan = Plan::resolve(&laid, crate::systems::all()).expect("makes sense");
            assert_eq!(plan.name, format!("mutant-{name}"));
            assert!(plan.duration >= MIN_LOAD);
        }
    }

    #[test]
    fn unknown_mutant_suggests_the_most_similar() {
        assert!(find("quorum-to-small").unwrap_err().contains("did you mean `quorum-too-small`"));
    }
}
