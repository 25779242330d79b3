//! Planted bugs on the command line: names, what each breaks, and the plan that exposes it.

use crate::cli::MutantsArgs;
use crate::plan::file::did_you_mean;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use crate::plans;
use crate::suite::matrix::Known;
use heckle_paxos::mutants::{self, MutantInfo};
use std::process::ExitCode;

/// `heckle mutants`: the list.
pub fn main(args: &MutantsArgs) -> ExitCode {
    let class = |m: &MutantInfo| format!("{:?}", m.class).to_lowercase();
    if args.voice.json {
        let all: Vec<serde_json::Value> = mutants::REGISTRY
            .iter()
            .map(|m| {
                let (plan, why_not) = (plans::of_mutant(m.name).is_some(), without_plan(m.name));
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

/// Planted bugs that no plan exposes on real processes, and why. They run under the default plan.
const WITHOUT_PLAN: &[(&str, &str)] = &[
    ("promise-not-synced", UNSYNCED),
    ("accept-not-synced", UNSYNCED),
    ("skip-empty-fence-cas", UNFENCED),
    ("skip-empty-fence-read", UNFENCED),
    ("accept-keeps-promised-low", UNWRITTEN),
    ("no-reprepare-after-refresh", UNWRITTEN),
    ("no-refresh", UNWRITTEN),
    ("nack-all-is-fail", UNWRITTEN),
    ("promise-on-equal", UNWRITTEN),
    ("count-duplicate-answers", UNWRITTEN),
    ("key-lock-leak", UNWRITTEN),
    ("non-unique-nonce", HARMLESS),
    ("keep-accepted-at-learn", HARMLESS),
];

const UNSYNCED: &str = "since it takes the loss of power between an answer and its sync, and what a process has written outlives its death; \
                        the simulator finds it: cargo test -p heckle-sim --test mutants";
const UNFENCED: &str = "since no history can show it: the update that gets in late is one of unknown outcome, which may take effect at any time; \
                        the simulator's judge sees it: cargo test -p heckle-sim --test mutants";
const UNWRITTEN: &str = "since none has been written yet that shows it on real processes; \
                         the simulator finds it: cargo test -p heckle-sim --test mutants";
const HARMLESS: &str = "since it is harmless: a control, under which every run must stay valid";

/// Why a planted bug has no plan that exposes it, if it has none.
pub fn without_plan(name: &str) -> Option<&'static str> {
    WITHOUT_PLAN.iter().find(|(without, _)| *without == name).map(|(_, why)| *why)
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
    let Some(exposing) = plans::of_mutant(&name) else { return Ok(settings) };
    if tell {
        errln!("mutant {name}: {}", info.breaks);
        errln!("the plan that exposes it, {}, unless flags override:\n  {}", exposing.name, exposing.for_people().replace('\n', "\n  "));
    }
    let mut laid = exposing.settings().overlaid(&settings);
    // [[fault]] entries and kinds exclude each other: a plan's own entries win.
    if !settings.injections.is_empty() {
        laid.faults.kinds = settings.faults.kinds;
    }
    Ok(laid)
}

/// How the matrices of suites are read: with all systems, and each planted bug under the plan that exposes it.
pub fn of_matrix() -> Known<'static> {
    Known { systems: crate::systems::all(), complete: &|settings| over_exposing_plan(settings, false) }
}

/// The shortest load under which an exposing plan makes sense, for tests that hurry.
pub const SHORTEST: Span = Span::ms(5_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn every_mutant_has_a_plan_or_a_reason_why_not() {
        for info in mutants::REGISTRY {
            match (plans::of_mutant(info.name), without_plan(info.name)) {
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
    fn every_exposing_plan_names_its_mutant_and_is_what_the_flag_loads() {
        for (name, plan) in plans::mutants() {
            assert_eq!(plan.settings().cluster.mutant.as_deref(), Some(name));
            let mut settings = Settings::default();
            settings.cluster.mutant = Some(name.into());
            let laid = over_exposing_plan(settings, false).expect("found");
            assert_eq!(laid, plan.settings());
            assert_eq!(over_exposing_plan(laid.clone(), false), Ok(laid.clone()), "laid over itself it stays the same");
            let plan = Plan::resolve(&laid, crate::systems::all()).expect("makes sense");
            assert_eq!(plan.name, format!("mutant-{name}"));
            assert!(plan.duration >= SHORTEST);
        }
    }

    #[test]
    fn an_unknown_mutant_names_the_nearest() {
        assert!(find("quorum-to-small").unwrap_err().contains("did you mean `quorum-too-small`"));
    }
}
