//! Every interleaving of a small world, explored with `stateright`: the same core as in the server, with three
//! acceptors, coordinators at two of them, late, lost, duplicated and reordered messages, power losses, timers and
//! time limits.
//!
//! The simulator takes long random samples, whereas this test explores exhaustively, in worlds small enough for that.
//! `docs/model.md` states what this proves and what it does not.
//!
//! `HECKLE_MODEL_STEPS=20000000 cargo test -p heckle-sim --release --test model -- --nocapture` explores further: the
//! given number of steps in each of the wide worlds.

mod scope;
mod watch;
mod world;

use heckle_paxos::{Mutants, Prune, Rounds};
use scope::{CALM, Order, Scope, freely, in_turn};
use world::Budget;

const CRASH: Budget = Budget { crashes: 1, ..CALM };
const CRASH_AND_TIMER: Budget = Budget { crashes: 1, timers: 1, ..CALM };
const BLACKOUT: Budget = Budget { blackouts: 1, ..CALM };
const TIMER: Budget = Budget { timers: 1, ..CALM };
const TIMEOUT: Budget = Budget { timeouts: 1, ..CALM };

/// Worlds explored exhaustively in every run.
const SMALL: &[Scope] = &[
    freely(Rounds::Classic, "w1", CRASH_AND_TIMER, 3),
    freely(Rounds::Classic, "c1 c2", CALM, 1),
    in_turn(Rounds::Classic, "w1 w2 r1 r2", CALM, 5),
    in_turn(Rounds::Classic, "w1 r2", BLACKOUT, 4),
    in_turn(Rounds::Classic, "w1 r2", TIMEOUT, 3),
    in_turn(Rounds::Classic, "w1 f2 r1", CALM, 4),
    in_turn(Rounds::Merged, "w1 w2 r1 r2", CALM, 5),
    in_turn(Rounds::Merged, "w1 r2", BLACKOUT, 4),
    in_turn(Rounds::Merged, "w1 w1 r2", CALM, 4),
    freely(Rounds::AsyncLearn, "w1 r2", CALM, 2),
    in_turn(Rounds::AsyncLearn, "w1 r2", BLACKOUT, 4),
    in_turn(Rounds::AsyncLearn, "w1 w1 r2", CALM, 4),
    freely(Rounds::Fast, "c1 c2", CALM, 2),
    freely(Rounds::Fast, "w1 r2", CALM, 2),
    in_turn(Rounds::Fast, "w1 r2", BLACKOUT, 4),
    in_turn(Rounds::Fast, "w1 w1 r2", CALM, 4),
];

/// Worlds explored up to a number of steps.
const WIDE: &[Scope] = &[
    freely(Rounds::Classic, "c1 c2", CALM, 2),
    freely(Rounds::Classic, "w1 r2", CALM, 2),
    freely(Rounds::Classic, "w1 w2", CRASH_AND_TIMER, 3),
    freely(Rounds::Merged, "c1 c2", CALM, 2),
    freely(Rounds::Merged, "w1 r2 r2", CALM, 3),
    freely(Rounds::Merged, "w1 w2", CRASH, 3),
    freely(Rounds::AsyncLearn, "c1 c2", CALM, 2),
    freely(Rounds::AsyncLearn, "w1 f2", TIMER, 3),
    freely(Rounds::AsyncLearn, "w1 w2", CRASH, 3),
    freely(Rounds::Fast, "w1 w1 r2", CALM, 5),
    freely(Rounds::Fast, "w1 w2", CRASH_AND_TIMER, 4),
    Scope { prune: Prune::On, ..freely(Rounds::Merged, "w1 w2", Budget { timers: 2, ..CALM }, 2) },
];

/// Number of steps in each of the wide worlds, which takes a few seconds in the test profile.
const STEPS: usize = 40_000;

fn steps() -> usize {
    let Ok(text) = std::env::var("HECKLE_MODEL_STEPS") else {
        return STEPS;
    };
    text.parse().unwrap_or_else(|_| panic!("HECKLE_MODEL_STEPS is `{text}`: give it the number of steps in each wide world"))
}

/// Far more than the number of steps in the small worlds.
const NO_LIMIT: usize = 5_000_000;

#[track_caller]
fn check_clean(scope: &Scope, order: Order, steps: usize) -> scope::Explored {
    let explored = scope.explore(Mutants::NONE, order, steps);
    println!("{}", explored.line);
    assert!(explored.broken.is_none(), "{}: {:?}", explored.line, explored.broken);
    explored
}

#[test]
fn small_worlds_are_clean_to_the_last_state() {
    let mut sum = 0;
    for scope in SMALL {
        let explored = check_clean(scope, Order::Depth, NO_LIMIT);
        assert!(explored.exhausted, "{}", explored.line);
        // A world in which nothing completes breaks no rule. Two operations that start simultaneously need more than
        // one ballot.
        assert!(explored.answered || scope.bound == 1, "not in one run was every operation answered: {}", explored.line);
        sum += explored.unique;
    }
    println!("{} worlds exhausted: {sum} states, nothing wrong", SMALL.len());
}

#[test]
fn wide_worlds_are_clean_as_far_as_explored() {
    let mut sum = 0;
    for scope in WIDE {
        // Explore both from the beginning, and to the ends of some runs.
        for order in [Order::Breadth, Order::Depth] {
            let explored = check_clean(scope, order, steps());
            sum += explored.unique;
            if explored.exhausted {
                break;
            }
        }
    }
    println!("{} worlds explored for {} steps each, breadth first and depth first: {sum} states, nothing wrong", WIDE.len(), steps());
}

/// Planted bugs: each is found within a bounded number of steps, and the same steps without the bug find nothing.
#[cfg(feature = "mutants")]
mod planted {
    use super::*;
    use heckle_paxos::{Mutant, MutantClass};
    use std::collections::{BTreeMap, BTreeSet};
    use watch::Rule;

    /// The world in which each bug is found, and the maximum number of exploration steps: about three times the
    /// number needed.
    const FOUND: &[(Mutant, Scope, Order, usize)] = &[
        (Mutant::AcceptIgnoresPromise, freely(Rounds::Classic, "c1 c2", CALM, 2), Order::Breadth, 200_000),
        (Mutant::AcceptKeepsPromisedLow, freely(Rounds::AsyncLearn, "w1 w2", CALM, 2), Order::Breadth, 250_000),
        (Mutant::NoRefresh, in_turn(Rounds::Merged, "w1 r1 r2", Budget { timers: 2, timeouts: 1, ..CALM }, 4), Order::Depth, 80_000),
        (Mutant::PromiseNotSynced, freely(Rounds::Merged, "w1 w2", CRASH, 1), Order::Breadth, 70_000),
        (Mutant::AcceptNotSynced, in_turn(Rounds::AsyncLearn, "w1 r2", BLACKOUT, 3), Order::Breadth, 15_000),
        (Mutant::IgnoreAccepted, freely(Rounds::Classic, "c1 c2", CALM, 2), Order::Breadth, 200_000),
        (Mutant::QuorumTooSmall, freely(Rounds::Classic, "c1 c2", CALM, 2), Order::Breadth, 1_000),
        (Mutant::PartialAcceptIsFail, freely(Rounds::Classic, "w1 r2", TIMEOUT, 2), Order::Breadth, 30_000),
        (Mutant::LearnErrorIsFail, freely(Rounds::Classic, "w1", TIMEOUT, 2), Order::Breadth, 2_000),
        (Mutant::NackAllIsFail, freely(Rounds::Merged, "w1 w2", CALM, 2), Order::Depth, 180_000),
        (Mutant::BlindRetry, freely(Rounds::AsyncLearn, "w1 r2", CALM, 3), Order::Breadth, 120_000),
        (Mutant::PromiseOnEqual, freely(Rounds::Merged, "w1 w2", CALM, 1), Order::Breadth, 40_000),
        (Mutant::TrustOneReplica, freely(Rounds::Classic, "w1 r2", CALM, 2), Order::Breadth, 160_000),
        (Mutant::LwtReadsAtOne, freely(Rounds::Classic, "w1 r2", CALM, 2), Order::Breadth, 2_000),
        (Mutant::ApplyAtAccept, freely(Rounds::Classic, "w1 r2", CALM, 2), Order::Breadth, 80_000),
        (Mutant::CountDuplicateAnswers, freely(Rounds::Classic, "w1 r2", CALM, 2), Order::Breadth, 80_000),
        (Mutant::FateWithoutFence, freely(Rounds::Classic, "w1 f2", CALM, 3), Order::Breadth, 140_000),
        (Mutant::ReuseBallot, in_turn(Rounds::Fast, "w1 w1 r2", Budget { timers: 3, ..CALM }, 6), Order::Breadth, 20_000),
        (Mutant::FastProposesEmpty, in_turn(Rounds::Fast, "w1 r1 r2", CALM, 6), Order::Breadth, 8_000),
        (Mutant::FastKeepsCacheAfterFailure, in_turn(Rounds::Fast, "w1 w2 w1", CALM, 6), Order::Breadth, 50_000),
        (
            Mutant::PruneDropsBallot,
            Scope { prune: Prune::On, ..freely(Rounds::Merged, "w1 w2", Budget { timers: 2, ..CALM }, 2) },
            Order::Depth,
            160_000,
        ),
        // The prune must have reached the disk: the first read's promise also syncs it.
        (
            Mutant::LearnNotSynced,
            Scope { prune: Prune::On, ..in_turn(Rounds::Merged, "w1 r1 r2", Budget { blackouts: 1, timers: 1, ..CALM }, 4) },
            Order::Depth,
            280_000,
        ),
        // Controls that no history can reveal. This exploration does see an update from before the fence that is
        // chosen after it.
        (Mutant::SkipEmptyFenceRead, freely(Rounds::Merged, "w1 r2 r2", CALM, 3), Order::Breadth, 160_000),
        (Mutant::SkipEmptyFenceCas, freely(Rounds::Merged, "w1 x2 r2", CALM, 3), Order::Breadth, 160_000),
    ];

    /// Bugs that these worlds cannot show. The simulator finds all of them except `accepts-own-amnesia`: see `tests/mutants.rs`.
    const OUTSIDE: &[(Mutant, &str)] = &[
        (Mutant::NoReprepareAfterRefresh, "needs three coordinators, and more steps than are explored here"),
        (Mutant::TtlByLocalTime, "there are no clocks here, and nothing expires"),
        (Mutant::AnswerBeforeWrite, "is in the shell: here nothing is answered before it is written"),
        (Mutant::AcceptsOwnAmnesia, "is in the shell: no disk loses here what was synced"),
        (Mutant::LeaseNoRestartWait, "there are no leases here: they live by the clock"),
        (Mutant::ToldAlongLate, "there is no fair queue here: it goes by the clock"),
        (Mutant::LeaseTimerAtAck, "there are no leases here: they live by the clock"),
        (Mutant::LeaseReleaseAny, "there are no leases here: they live by the clock"),
        (Mutant::LeaseIgnoresDrift, "there are no leases here: they live by the clock"),
    ];

    #[test]
    fn each_that_fits_is_found_and_its_world_is_clean_without_it() {
        // For each world, the maximum number of steps that a bug needed.
        let mut needed: BTreeMap<String, (&Scope, Order, usize)> = BTreeMap::new();
        for (mutant, scope, order, within) in FOUND {
            let (name, explored) = (mutant.info().name, scope.explore(Mutants::only(*mutant), *order, *within));
            let Some((rule, what, steps)) = explored.broken else {
                panic!("{name} was not found: {}", explored.line);
            };
            println!("{name}: {rule:?}, {what}: a trace of {steps} steps. {}", explored.line);
            // A bug that breaks only a fence is found before any client can notice. All others break guarantees on
            // which clients rely.
            assert_eq!(rule == Rule::Fence, mutant.info().class == MutantClass::Control, "{name}: {what}");
            let world = needed.entry(format!("{scope:?} {order:?}")).or_insert((scope, *order, 0));
            world.2 = world.2.max(explored.steps);
        }
        for (scope, order, steps) in needed.into_values() {
            check_clean(scope, order, steps);
        }
    }

    #[test]
    fn controls_stay_clean() {
        let turns = "w1 w2 r1 r2";
        for rounds in [Rounds::Classic, Rounds::Merged] {
            // Ballots that may repeat are whole milliseconds.
            for (mutant, bound) in [(Mutant::NonUniqueNonce, 5_000), (Mutant::KeepAcceptedAtLearn, 5)] {
                let explored = in_turn(rounds, turns, CALM, bound).explore(Mutants::only(mutant), Order::Depth, 40_000);
                println!("{}: {}", mutant.info().name, explored.line);
                assert!(explored.broken.is_none() && explored.answered, "{}: {:?}", mutant.info().name, explored.broken);
            }
        }
    }

    #[test]
    fn every_safety_mutant_is_found_or_listed_as_out_of_scope() {
        OUTSIDE.iter().for_each(|(mutant, why)| println!("{}: not here, {why}", mutant.info().name));
        let outside = OUTSIDE.iter().map(|(mutant, _)| *mutant);
        let placed: Vec<Mutant> = FOUND.iter().map(|(mutant, ..)| *mutant).chain(outside).collect();
        let set: BTreeSet<Mutant> = placed.iter().copied().collect();
        assert_eq!(placed.len(), set.len(), "one is named twice");
        let safety = Mutant::ALL.iter().copied().filter(|mutant| mutant.info().class == MutantClass::Safety);
        let fences = [Mutant::SkipEmptyFenceRead, Mutant::SkipEmptyFenceCas];
        assert_eq!(set, safety.chain(fences).collect::<BTreeSet<_>>());
    }
}
