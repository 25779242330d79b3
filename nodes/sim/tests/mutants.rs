//! Planted bugs: each is found within a bounded number of worlds, the same worlds without it are
//! clean, and the controls stay clean.
//!
//! `HECKLE_SIM_MUTANT=name HECKLE_SIM_SEED=N cargo test -p heckle-sim --test mutants -- --nocapture` runs one mutant
//! in one world of its family and prints the findings.

#![cfg(feature = "mutants")]

use heckle_paxos::mutants::REGISTRY;
use heckle_paxos::{Counters, Mutant, MutantClass, Rounds};
use heckle_sim::{Profile, Report, ViolationKind, World};
use std::collections::BTreeSet;

/// The family of worlds that exposes each safety mutant, and the maximum number of worlds needed. Bounds are about
/// ten times the expected number, since any change to the core changes every world.
const SAFETY: &[(Mutant, Profile, u64)] = &[
    (Mutant::AcceptIgnoresPromise, Profile::Calm, 50),
    (Mutant::AcceptKeepsPromisedLow, Profile::PowerCycling, 3_000),
    (Mutant::NoReprepareAfterRefresh, Profile::LaggingPower, 3_000),
    (Mutant::NoRefresh, Profile::Lagging, 100),
    (Mutant::PromiseNotSynced, Profile::PowerCycling, 2_000),
    (Mutant::AcceptNotSynced, Profile::LaggingPower, 1_000),
    (Mutant::IgnoreAccepted, Profile::Calm, 50),
    (Mutant::QuorumTooSmall, Profile::Calm, 50),
    (Mutant::PartialAcceptIsFail, Profile::Lossy, 50),
    (Mutant::LearnErrorIsFail, Profile::Lossy, 50),
    (Mutant::NackAllIsFail, Profile::Doubling, 7_000),
    (Mutant::BlindRetry, Profile::Calm, 50),
    (Mutant::PromiseOnEqual, Profile::CoarseClocks, 100),
    (Mutant::TrustOneReplica, Profile::Lossy, 50),
    (Mutant::LwtReadsAtOne, Profile::Swarm, 100),
    (Mutant::ApplyAtAccept, Profile::Calm, 50),
    (Mutant::CountDuplicateAnswers, Profile::Doubling, 200),
    (Mutant::FateWithoutFence, Profile::Uncertain, 100),
    (Mutant::ToldAlongLate, Profile::Uncertain, 800),
    (Mutant::PruneDropsBallot, Profile::Pruning, 200),
    (Mutant::LearnNotSynced, Profile::PruningCrash, 200),
    (Mutant::TtlByLocalTime, Profile::ShortTtl, 200),
    (Mutant::AnswerBeforeWrite, Profile::PowerCycling, 50),
    (Mutant::LeaseNoRestartWait, Profile::StaleHolders, 500),
    (Mutant::LeaseTimerAtAck, Profile::StaleHolders, 3_000),
    (Mutant::LeaseReleaseAny, Profile::StaleHolders, 2_000),
    (Mutant::LeaseIgnoresDrift, Profile::StaleHolders, 1_000),
];

/// Mutants that show only in modes that save rounds, and one that also shows there: without the durable learn, an
/// un-synced accept is lost permanently.
const FEWER_ROUNDS: &[(Mutant, Rounds, Profile, u64)] = &[
    (Mutant::ReuseBallot, Rounds::Fast, Profile::Lossy, 500),
    (Mutant::FastProposesEmpty, Rounds::Fast, Profile::Lagging, 100),
    (Mutant::FastKeepsCacheAfterFailure, Rounds::Fast, Profile::Calm, 50),
    (Mutant::AcceptNotSynced, Rounds::AsyncLearn, Profile::LaggingPower, 1_000),
    (Mutant::AcceptNotSynced, Rounds::Fast, Profile::LaggingPower, 1_000),
];

/// The one bug outside the core: the shell decides whether a node may vote after a restart. That rule has a separate
/// simulator, `nodes/server/src/amnesia/tests.rs`.
const OUTSIDE_THE_CORE: Mutant = Mutant::AcceptsOwnAmnesia;

fn run(profile: Profile, seed: u64, mutant: Option<Mutant>) -> Report {
    run_with(None, profile, seed, mutant)
}

fn run_with(rounds: Option<Rounds>, profile: Profile, seed: u64, mutant: Option<Mutant>) -> Report {
    let mut config = profile.world(seed);
    config.core.rounds = rounds.unwrap_or(config.core.rounds);
    if let Some(mutant) = mutant {
        config = config.with_mutant(mutant);
    }
    World::new(seed, config).run()
}

fn counted(reports: &[Report]) -> Counters {
    let mut sum = Counters::default();
    reports.iter().flat_map(|report| &report.counters).for_each(|counters| sum.add(counters));
    sum
}

#[track_caller]
fn check_clean(profile: Profile, seed: u64, mutant: Option<Mutant>) -> Report {
    let report = run(profile, seed, mutant);
    let name = mutant.map_or("none", |mutant| mutant.info().name);
    assert!(report.violations.is_empty(), "{profile:?} seed {seed}, mutant {name}: {}", report.violations[0]);
    report
}

/// Finds the first world in which clients can notice the harm.
#[track_caller]
fn check_found(mutant: Mutant, rounds: Option<Rounds>, profile: Profile, within: u64) -> u64 {
    let name = mutant.info().name;
    for seed in 0..within {
        if let Some(violation) = run_with(rounds, profile, seed, Some(mutant)).client_visible_violation() {
            println!("{name:28} {profile:?} seed {seed}: {violation}");
            let sound = run_with(rounds, profile, seed, None);
            assert!(sound.violations.is_empty(), "{profile:?} seed {seed}: {}", sound.violations[0]);
            return seed;
        }
    }
    panic!("{name} was not found in {within} worlds of {profile:?}: the judge or the worlds have gone blind");
}

#[test]
fn every_safety_mutant_is_found_and_its_worlds_are_clean_without_it() {
    if let Ok(name) = std::env::var("HECKLE_SIM_MUTANT") {
        let mutant = Mutant::from_name(&name).expect("HECKLE_SIM_MUTANT names a mutant");
        let (_, profile, _) = SAFETY.iter().find(|(safety, ..)| *safety == mutant).expect("it is a safety mutant");
        let seed = std::env::var("HECKLE_SIM_SEED").expect("HECKLE_SIM_SEED is set").parse().expect("it is a number");
        println!("{:#?}", run(*profile, seed, Some(mutant)).violations);
        return;
    }
    for (mutant, profile, within) in SAFETY {
        check_found(*mutant, None, *profile, *within);
    }
}

#[test]
fn every_mutant_of_the_modes_that_save_rounds_is_found_and_its_worlds_are_clean_without_it() {
    for (mutant, rounds, profile, within) in FEWER_ROUNDS {
        check_found(*mutant, Some(*rounds), *profile, *within);
    }
}

#[test]
fn the_table_names_every_safety_mutant_of_the_registry() {
    let fewer_rounds = FEWER_ROUNDS.iter().map(|(mutant, ..)| *mutant);
    let listed: BTreeSet<Mutant> = SAFETY.iter().map(|(mutant, ..)| *mutant).chain(fewer_rounds).collect();
    let registered = REGISTRY.iter().filter(|info| info.class == MutantClass::Safety).map(|info| info.mutant);
    assert_eq!(listed, registered.filter(|mutant| *mutant != OUTSIDE_THE_CORE).collect::<BTreeSet<_>>());
}

#[test]
fn every_family_of_worlds_is_clean_without_mutants_whatever_the_rounds() {
    for profile in Profile::ALL {
        for rounds in Rounds::ALL {
            for seed in 0..60 {
                let mut config = profile.world(seed);
                config.core.rounds = rounds;
                let report = World::new(seed, config).run();
                assert!(report.violations.is_empty(), "{profile:?} seed {seed}, {rounds:?}: {}", report.violations[0]);
            }
        }
    }
}

#[test]
fn controls_stay_clean() {
    for mutant in [Mutant::NonUniqueNonce, Mutant::KeepAcceptedAtLearn] {
        for profile in Profile::ALL {
            for seed in 0..60 {
                check_clean(profile, seed, Some(mutant));
            }
        }
    }
}

/// Without the fence, an older update can be chosen after the reply. No client can notice, since the outcome of that
/// update is unknown, but the checker can.
#[test]
fn a_skipped_fence_is_seen_by_the_judge_and_by_no_client() {
    for mutant in [Mutant::SkipEmptyFenceCas, Mutant::SkipEmptyFenceRead] {
        let reports: Vec<Report> = (0..60).map(|seed| run(Profile::Calm, seed, Some(mutant))).collect();
        let fences = reports.iter().flat_map(|report| &report.violations);
        let broken = fences.filter(|violation| violation.kind == ViolationKind::FenceBroken).count();
        assert!(broken > 0, "{} broke no fence", mutant.info().name);
        for report in reports {
            assert!(report.client_visible_violation().is_none(), "seed {}: {:?}", report.seed, report.client_visible_violation());
        }
    }
}

/// The assertion ends the node, and with it the world. A real node would log the same message.
#[test]
fn a_crash_mutant_is_stopped_by_its_assertion() {
    let crash = REGISTRY.iter().filter(|info| info.class == MutantClass::Crash);
    for (info, says) in crash.zip(["is above the promise"]) {
        let fired = (0..50).find_map(|seed| std::panic::catch_unwind(|| run(Profile::Lossy, seed, Some(info.mutant))).err());
        let fired = fired.unwrap_or_else(|| panic!("{} fired no assertion in 50 worlds", info.name));
        let text = fired.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(text.contains(says), "{}: {text}", info.name);
    }
}

/// A node whose clock is behind makes no progress if it never learns how far behind it is.
#[test]
fn without_the_ballot_bump_a_slow_clock_starves() {
    let mut config = Profile::Calm.world(1);
    config.clocks.offset_max_us = 60_000_000;
    assert!(World::new(1, config.clone()).run().violations.is_empty());
    let starved = World::new(1, config.with_mutant(Mutant::NoBallotBump)).run();
    assert_eq!(starved.violations.first().map(|violation| violation.kind), Some(ViolationKind::NoProgress));
}

#[test]
fn without_backoff_contending_coordinators_outbid_each_other() {
    let worlds = |mutant| (0..20).map(|seed| run(Profile::Calm, seed, mutant)).collect::<Vec<Report>>();
    let (healthy, ill) = (counted(&worlds(None)), counted(&worlds(Some(Mutant::NoBackoff))));
    println!("applied {} against {} without backoff", healthy.applied, ill.applied);
    assert!(ill.applied * 2 < healthy.applied, "{} applied without backoff, {} with it", ill.applied, healthy.applied);
    let wasted = |counters: &Counters| counters.preempted as f64 / counters.attempts as f64;
    assert!(wasted(&ill) > wasted(&healthy), "{} against {}", wasted(&ill), wasted(&healthy));
}

/// The queue fills up, and nothing is pruned any longer.
#[test]
fn leaked_prune_slots_are_seen_and_state_grows() {
    let mut config = Profile::Pruning.world(1);
    config.core.prune_queue = 8;
    let sound = World::new(1, config.clone()).run();
    assert!(sound.violations.is_empty() && counted(std::slice::from_ref(&sound)).prune_dropped == 0, "{:?}", sound.violations);
    let leaky = World::new(1, config.with_mutant(Mutant::PruneLeak)).run();
    assert!(leaky.violations.iter().all(|violation| violation.kind == ViolationKind::PruneLeak));
    assert_eq!(leaky.violations.len(), 3, "each node is named");
    assert!(counted(std::slice::from_ref(&leaky)).prune_dropped > 0);
    let held = |report: &Report| report.state_bytes.iter().map(|bytes| bytes.queue + bytes.accepted).sum::<u64>();
    assert!(held(&leaky) > held(&sound) + 1_000, "{} against {}", held(&leaky), held(&sound));
}

#[test]
fn a_leaked_key_lock_shows_as_overlapping_operations() {
    let worlds = |mutant| (0..10).map(|seed| run(Profile::Crowded, seed, mutant)).collect::<Vec<Report>>();
    assert_eq!(counted(&worlds(None)).overlaps, 0);
    assert!(counted(&worlds(Some(Mutant::KeyLockLeak))).overlaps > 0);
}
