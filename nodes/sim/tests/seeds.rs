//! Thousands of worlds, each drawn from its seed, break no invariant.

use heckle_paxos::{Outcome, Rounds};
use heckle_sim::{Profile, Report, World};

/// Seeds of the default test. `HECKLE_SIM_SEEDS=A..B` selects others, and `HECKLE_SIM_SEED=N` a single one.
const SEEDS: std::ops::Range<u64> = 0..2_000;

fn run(seed: u64) -> Report {
    World::new(seed, Profile::Swarm.world(seed)).run()
}

/// Prints everything known about one world.
fn print_all(report: &Report) {
    println!("{:#?}", Profile::Swarm.world(report.seed));
    for fault in &report.faults {
        println!("{fault:?}");
    }
    for op in &report.ops {
        println!("{op:?}");
    }
    println!("{:#?}", report.counters);
}

#[track_caller]
fn check_clean(report: &Report) {
    let seed = report.seed;
    for violation in &report.violations {
        eprintln!("seed {seed}: {violation}");
    }
    assert!(
        report.violations.is_empty(),
        "seed {seed} breaks an invariant; replay it with\n  HECKLE_SIM_SEED={seed} cargo test -p heckle-sim --test seeds -- --nocapture"
    );
}

fn seeds() -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("HECKLE_SIM_SEED") {
        let seed = seed.parse().expect("HECKLE_SIM_SEED is a number");
        return seed..seed + 1;
    }
    let Ok(range) = std::env::var("HECKLE_SIM_SEEDS") else {
        return SEEDS;
    };
    let ends = range.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to) = ends.expect("HECKLE_SIM_SEEDS is A..B");
    from..to
}

#[test]
fn every_world_of_the_swarm_keeps_every_invariant() {
    let seeds = seeds();
    let worlds = seeds.end - seeds.start;
    let (mut ops, mut applied, mut unknown, mut resent, mut events) = (0, 0, 0, 0, 0);
    let mut counted = heckle_paxos::Counters::default();
    for seed in seeds {
        let replay = format!("HECKLE_SIM_SEED={seed} cargo test -p heckle-sim --test seeds -- --nocapture");
        let report = std::panic::catch_unwind(|| run(seed))
            .unwrap_or_else(|_| panic!("seed {seed} broke an invariant of the core; replay it with\n  {replay}"));
        if worlds == 1 {
            print_all(&report);
        }
        check_clean(&report);
        ops += report.ops.len();
        applied += report.applied();
        unknown += report.unknown();
        resent += report.ops.iter().filter(|op| op.resends > 0).count();
        events += report.events;
        report.counters.iter().for_each(|counters| counted.add(counters));
    }
    println!("{worlds} worlds, {ops} ops, {applied} applied, {unknown} unknown, {resent} sent again, {events} events");
    println!("{counted:?}");
    assert_eq!((counted.messages_refused, counted.contradictions), (0, 0), "correct nodes send nothing impossible");
    assert_eq!(counted.overlaps, 0, "two operations on one key ran at a time in one node");
    if worlds >= 1_000 {
        // Worlds in which nothing happens would also be clean.
        for (what, count, least) in [
            ("applied operations", applied as u64, 50 * worlds / 10),
            ("unknown outcomes", unknown as u64, worlds),
            ("operations sent again", resent as u64, worlds / 4),
            ("repairs", counted.repairs, worlds),
            ("refreshes", counted.refreshes, worlds),
            ("outbid attempts", counted.preempted, worlds),
            ("refused conditions", counted.condition_not_met, worlds),
            ("ignored answers", counted.answers_ignored, worlds),
        ] {
            assert!(count >= least, "only {count} {what} in {worlds} worlds: they test too little");
        }
    }
}

#[test]
fn a_seed_fixes_a_run_bit_for_bit() {
    for seed in 0..50 {
        let (first, second) = (run(seed), run(seed));
        assert_eq!((first.digest, first.events, first.end_ns), (second.digest, second.events, second.end_ns));
        assert_eq!(format!("{:?}", first.ops), format!("{:?}", second.ops));
    }
    assert_ne!(run(1).digest, run(2).digest);
}

/// Fate queries are repeated, wait at stopped nodes, or are sent while the operation may still be running. No answer is ever contradicted,
/// and every kind of answer and refusal occurs.
#[test]
fn fates_never_contradict_what_happens() {
    let mut fates = std::collections::BTreeMap::new();
    let mut late = std::collections::BTreeMap::new();
    for seed in 0..300 {
        let report = World::new(seed, Profile::Uncertain.world(seed)).run();
        check_clean(&report);
        for op in &report.ops {
            match op.outcome {
                Some(Outcome::Fate { fate }) => *fates.entry(format!("{fate:?}")).or_insert(0) += 1,
                Some(Outcome::NotApplied { why }) => *late.entry(why.name()).or_insert(0) += 1,
                _ => {}
            }
        }
        *late.entry("refused_by_core").or_insert(0) += report.counters.iter().map(|counters| counters.not_applied).sum::<u64>();
    }
    println!("fates {fates:?}, not applied {late:?}");
    assert!(late.get("too_old").is_some_and(|n| *n >= 50), "{late:?}");
    for fate in ["Applied", "NotApplied", "Evicted"] {
        assert!(fates.get(fate).is_some_and(|n| *n >= 100), "{fate}: {fates:?}");
    }
}

/// The round trips without contention of a write, and of a read or a refused CAS.
#[test]
fn undisturbed_operations_take_the_round_trips_of_their_mode() {
    for (rounds, write, refused) in [(Rounds::Classic, 4, 3), (Rounds::Merged, 3, 2), (Rounds::AsyncLearn, 2, 1), (Rounds::Fast, 1, 1)] {
        let mut config = Profile::Calm.world(3);
        (config.clients, config.core.rounds) = (1, rounds);
        let report = World::new(3, config).run();
        assert!(report.violations.is_empty());
        // The first operation on a key through each node finds no promised ballot.
        let mut seen = std::collections::BTreeSet::new();
        for op in report.ops.iter().filter(|op| op.completed_ns.is_some()) {
            let first = rounds == Rounds::Fast && seen.insert((op.key.clone(), op.node));
            let fates = op.diagnostics.as_ref().expect("an answered operation has diagnostics");
            let expected = if matches!(op.outcome, Some(heckle_paxos::Outcome::Applied)) { write } else { refused };
            // A replica that was slow to learn the previous operation causes a refresh or a repair.
            if fates.rounds == 1 && fates.repairs == 0 && !first {
                assert_eq!(fates.round_trips, expected, "{rounds:?}: {op:?}");
            }
        }
        let alone = |fates: &heckle_paxos::Diagnostics| fates.rounds == 1 && fates.repairs == 0;
        let undisturbed = report.ops.iter().filter(|op| op.diagnostics.as_ref().is_some_and(alone)).count();
        assert!(undisturbed * 2 > report.ops.len(), "{rounds:?}: {undisturbed} of {} ops were undisturbed", report.ops.len());
    }
}
