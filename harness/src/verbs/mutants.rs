//! Planted bugs on the command line: names, what each breaks, and the plan that exposes it.

use super::exposing::{EXPOSED, OUT_OF_REACH};
use crate::cli::MutantsArgs;
use crate::plan::file::did_you_mean;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use heckle_paxos::mutants::{self, MutantInfo};
use std::process::ExitCode;

/// `heckle mutants`: the list.
pub fn main(args: &MutantsArgs) -> ExitCode {
    let class = |m: &MutantInfo| format!("{:?}", m.class).to_lowercase();
    if args.voice.json {
        let all: Vec<serde_json::Value> = mutants::REGISTRY
            .iter()
            .map(|m| {
                let (plan, why_not) = (EXPOSED.iter().any(|e| e.name == m.name), out_of_reach(m.name));
                serde_json::json!({
                    "name": m.name, "class": class(m), "source": m.source, "breaks": m.breaks, "plan": plan, "out_of_reach": why_not,
                })
            })
            .collect();
        outln!("{}", serde_json::to_string_pretty(&all).expect("plain data has a JSON form"));
        return ExitCode::SUCCESS;
    }
    for m in mutants::REGISTRY {
        outln!("{:<28} {:<9} {}", m.name, class(m), m.breaks);
    }
    outln!("\nWith a plan of their own: {}", EXPOSED.iter().map(|e| e.name).collect::<Vec<_>>().join(", "));
    for (name, why) in OUT_OF_REACH {
        outln!("Not on real processes: {name}, {why}");
    }
    outln!("Try one: heckle run --mutant {}", EXPOSED[0].name);
    ExitCode::SUCCESS
}

/// Why a planted bug does not show on real processes, if it is known not to.
fn out_of_reach(name: &str) -> Option<&'static str> {
    OUT_OF_REACH.iter().find(|(out, _)| *out == name).map(|(_, why)| *why)
}

/// Finds a planted bug.
///
/// # Errors
/// Names the nearest one.
pub fn find(name: &str) -> Result<&'static MutantInfo, String> {
    let all: Vec<&str> = mutants::REGISTRY.iter().map(|m| m.name).collect();
    mutants::REGISTRY.iter().find(|m| m.name == name).ok_or_else(|| format!("there is no mutant `{name}`; {}", did_you_mean(name, &all)))
}

/// Lays settings that name a mutant over the plan that exposes it.
///
/// # Errors
/// If there is no such mutant.
pub fn over_exposing_plan(settings: Settings, tell: bool) -> Result<Settings, String> {
    let Some(name) = settings.cluster.mutant.clone() else { return Ok(settings) };
    let info = find(&name)?;
    let Some(exposed) = EXPOSED.iter().find(|e| e.name == name) else { return Ok(settings) };
    let plan: Settings = toml::from_str(exposed.plan).expect("the exposing plans are tested");
    if tell {
        errln!("mutant {name}: {}", info.breaks);
        errln!("the plan that exposes it, unless flags override:\n  {}", exposed.plan.trim_end().replace('\n', "\n  "));
    }
    let mut laid = plan.overlaid(&settings);
    // Strikes and kinds exclude each other: a plan's own strikes win.
    if !settings.strike.is_empty() {
        laid.faults.kinds = settings.faults.kinds;
    }
    Ok(laid)
}

/// The shortest load under which an exposing plan makes sense, for tests that hurry.
pub const SHORTEST: Span = Span::ms(5_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn every_exposing_plan_resolves_and_names_a_mutant() {
        for exposed in EXPOSED {
            find(exposed.name).expect("in the registry");
            let mut settings = Settings::default();
            settings.cluster.mutant = Some(exposed.name.into());
            let laid = over_exposing_plan(settings, false).expect("found");
            let plan = Plan::resolve(&laid).expect("makes sense");
            assert_eq!(plan.name, format!("mutant-{}", exposed.name));
            assert!(plan.duration >= SHORTEST);
        }
    }

    #[test]
    fn what_is_out_of_reach_is_a_mutant_and_has_no_plan() {
        for (name, _) in OUT_OF_REACH {
            find(name).expect("in the registry");
            assert!(EXPOSED.iter().all(|exposed| exposed.name != *name), "{name} has a plan");
        }
    }

    #[test]
    fn an_unknown_mutant_names_the_nearest() {
        assert!(find("quorum-to-small").unwrap_err().contains("did you mean `quorum-too-small`"));
    }
}
