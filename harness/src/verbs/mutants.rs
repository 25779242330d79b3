//! Planted bugs on the command line: names, what each breaks, and the plan that exposes it.

use crate::cli::MutantsArgs;
use crate::plan::file::did_you_mean;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use heckle_paxos::mutants::{self, MutantInfo};
use std::process::ExitCode;

/// A planted bug with the settings under which it shows.
struct Exposed {
    name: &'static str,
    /// TOML, laid under file and flags.
    plan: &'static str,
}

/// Coordinators outbid each other on few keys, without waiting after a loss, while links are slow by turns: the rounds of
/// different coordinators interleave in every way there is.
const DUELS: &str = "[cluster]\nbackoff = \"none\"\n[load]\nkeys = 8\nclients = 48\nrate = \"max\"\nduration = \"15s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"delay\"]\nevery = \"1s\"\nfor = \"950ms\"\nquiet_tail = \"1s\"\n";
/// The same with many reads and lost frames: proposals that reach a minority are seen before they are settled.
const HALF_DONE: &str = "[cluster]\nbackoff = \"none\"\n[load]\nmix = \"cas=30,read=40,write=30\"\nkeys = 8\nclients = 32\nrate = \"max\"\nduration = \"15s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"loss\"]\nevery = \"1s\"\nfor = \"950ms\"\nquiet_tail = \"1s\"\n";
/// Contention on few keys while links are slow by turns.
const SLOW_LINKS: &str = "[load]\nkeys = 8\nclients = 48\nrate = \"max\"\nduration = \"10s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"delay\"]\nevery = \"1s\"\nfor = \"950ms\"\nquiet_tail = \"1s\"\n";
/// Many keys, so that an op often finds another's update accepted and not yet learned. Long, since it needs luck.
const CROWD: &str = "[load]\nmix = \"cas=50,read=20,write=30\"\nkeys = 32\nclients = 96\nrate = \"max\"\nduration = \"45s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"delay\", \"loss\"]\nevery = \"1s\"\nfor = \"950ms\"\nquiet_tail = \"1s\"\n";
/// Coordinators contend on few keys, each with ballots promised ahead, with many reads.
const FAST_DUELS: &str = "[cluster]\nrounds = \"fast\"\nbackoff = \"none\"\n[load]\nmix = \"cas=30,read=40,write=30\"\nkeys = 8\nclients = 32\nrate = \"max\"\nduration = \"10s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"delay\"]\nevery = \"1s\"\nfor = \"950ms\"\nquiet_tail = \"1s\"\n";
/// Every node dies at once, again and again. No power is lost: what is gone was in the processes' memory.
const MASSACRE: &str = "[load]\nkeys = 2\nclients = 12\nrate = 600\nduration = \"12s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"kill-all\"]\nevery = \"2500ms\"\nfor = \"300ms\"\nquiet_tail = \"1s\"\n";

/// Nodes stop for longer than clients wait. The requests that lie in their sockets run when they go on, after other nodes
/// were asked what became of them.
const STOPPED: &str = "[load]\nmix = \"cas=20,read=40,write=40\"\nkeys = 4\nclients = 12\nrate = 300\nop_timeout = \"300ms\"\nduration = \"10s\"\nwarmup = \"500ms\"\n[faults]\nkinds = [\"pause\"]\nevery = \"2s\"\nfor = \"1s\"\nquiet_tail = \"1s\"\n";
/// A holder with a slow clock among fast ones is cut off again and again.
const SLOW_HOLDER: &str = "[cluster]\nlease = \"read\"\nlease_time = \"1s\"\nlease_drift = \"40%\"\nlease_ranges = 1\nforward = \"on\"\n[load]\nmix = \"cas=5,read=80,write=15\"\nkeys = 2\nrate = 600\nduration = \"45s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"clock-drift\", \"partition:holder\"]\nevery = \"3s\"\nfor = \"5500ms\"\nmax_at_once = 2\nquiet_tail = \"1s\"\n";
/// Short leases on slow links, and holders that are cut off: what is granted and what is believed end at different times.
const LATE_ANSWERS: &str = "[cluster]\nlease = \"read\"\nlease_time = \"200ms\"\nlease_ranges = 1\nforward = \"on\"\n[load]\nmix = \"cas=5,read=80,write=15\"\nkeys = 2\nrate = 800\nduration = \"40s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"delay\", \"partition:holder\"]\nevery = \"500ms\"\nfor = \"900ms\"\nmax_at_once = 2\nquiet_tail = \"1s\"\n";
/// The holder is cut off while the others restart, and forget what they granted.
const FORGETFUL_GRANTORS: &str = "[cluster]\nlease = \"read\"\nlease_time = \"6s\"\nlease_ranges = 1\nforward = \"on\"\n[load]\nmix = \"cas=5,read=80,write=15\"\nkeys = 2\nrate = 400\nduration = \"50s\"\nwarmup = \"1s\"\n[faults]\nmax_at_once = 3\nquiet_tail = \"1s\"\n[[strike]]\nat = \"2000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"2500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"3100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"10000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"10500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"11100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"18000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"18500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"19100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"26000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"26500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"27100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"34000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"34500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"35100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"42000ms\"\ndo = \"partition:holder\"\nfor = \"5s\"\n[[strike]]\nat = \"42500ms\"\ndo = \"kill\"\nfor = \"200ms\"\n[[strike]]\nat = \"43100ms\"\ndo = \"kill\"\nfor = \"200ms\"\n";

/// Keys that rest between ops, so that decisions are pruned, and every node dies at once, again and again.
const RESTING_MASSACRE: &str = "[load]\nmix = \"cas=30,read=30,write=40\"\nkeys = 24\nclients = 16\nrate = 250\nduration = \"15s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"kill-all\"]\nevery = \"2500ms\"\nfor = \"300ms\"\nquiet_tail = \"1s\"\n";
/// Keys that rest between ops; what is left to prune afterwards leaks.
const RESTING_CALM: &str =
    "[load]\nkeys = 64\nrate = 300\nduration = \"6s\"\nwarmup = \"500ms\"\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"1s\"\n";
/// One node's clock is behind, and it never learns by how much: whoever it coordinates for gets nothing.
const BEHIND: &str = "[cluster]\nslow_clock = \"n3:-60s\"\n[load]\nworkload = \"hot-key\"\nclients = 6\nduration = \"12s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"1s\"\n";
/// Coordinators of all nodes want one key and none of them waits after it was outbid.
const NO_REST: &str =
    "[load]\nworkload = \"duel\"\nclients = 9\nduration = \"12s\"\nwarmup = \"1s\"\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"1s\"\n";

/// The plans that expose what shows on real processes. A mutant without one runs under the default plan.
const EXPOSED: &[Exposed] = &[
    Exposed { name: "accept-ignores-promise", plan: DUELS },
    Exposed { name: "ignore-accepted", plan: CROWD },
    Exposed { name: "quorum-too-small", plan: SLOW_LINKS },
    Exposed { name: "blind-retry", plan: DUELS },
    Exposed { name: "apply-at-accept", plan: HALF_DONE },
    Exposed { name: "fate-without-fence", plan: STOPPED },
    Exposed { name: "answer-before-write", plan: MASSACRE },
    Exposed { name: "learn-not-synced", plan: RESTING_MASSACRE },
    Exposed { name: "prune-leak", plan: RESTING_CALM },
    Exposed { name: "lease-no-restart-wait", plan: FORGETFUL_GRANTORS },
    // Needs luck: one run in four, when it was tried.
    Exposed { name: "lease-timer-at-ack", plan: LATE_ANSWERS },
    Exposed { name: "lease-ignores-drift", plan: SLOW_HOLDER },
    Exposed { name: "fast-proposes-empty", plan: FAST_DUELS },
    Exposed { name: "fast-keeps-cache-after-failure", plan: FAST_DUELS },
    Exposed { name: "no-ballot-bump", plan: BEHIND },
    Exposed { name: "no-backoff", plan: NO_REST },
];

/// `heckle mutants`: the list.
pub fn main(args: &MutantsArgs) -> ExitCode {
    let class = |m: &MutantInfo| format!("{:?}", m.class).to_lowercase();
    if args.voice.json {
        let all: Vec<serde_json::Value> = mutants::REGISTRY
            .iter()
            .map(|m| serde_json::json!({"name": m.name, "class": class(m), "source": m.source, "breaks": m.breaks}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&all).expect("plain data has a JSON form"));
        return ExitCode::SUCCESS;
    }
    for m in mutants::REGISTRY {
        println!("{:<28} {:<9} {}", m.name, class(m), m.breaks);
    }
    println!("\nWith a plan of their own: {}", EXPOSED.iter().map(|e| e.name).collect::<Vec<_>>().join(", "));
    println!("Try one: heckle run --mutant {}", EXPOSED[0].name);
    ExitCode::SUCCESS
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
        eprintln!("mutant {name}: {}", info.breaks);
        eprintln!("the plan that exposes it, unless flags override:\n  {}", exposed.plan.trim_end().replace('\n', "\n  "));
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
    fn an_unknown_mutant_names_the_nearest() {
        assert!(find("quorum-to-small").unwrap_err().contains("did you mean `quorum-too-small`"));
    }
}
