//! Fate queries with saved rounds and with leases: outcomes become unknown through crashes, power losses, partitions,
//! stops and message loss, the fates of the operations are queried while faults are active, and no answer is ever
//! contradicted.

use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_paxos::{Call, Counters, Fate, Outcome, Rounds};
use heckle_sim::OpRecord;
use heckle_sim::config::MS;
use heckle_sim::{FaultKind, Profile, Report, World, WorldConfig};

const LEASES: [LeaseMode; 3] = [LeaseMode::Off, LeaseMode::Priority, LeaseMode::Read];
/// Number of worlds for each combination of rounds and leases.
const WORLDS: u64 = 40;

/// Nodes stop for longer than clients wait, die, and are cut off, preferably the holder. Every third world loses
/// messages. All operations, including fate queries, are forwarded to the holder of the range.
fn rough(seed: u64, rounds: Rounds, lease: LeaseMode) -> WorldConfig {
    let mut world = Profile::Uncertain.world(seed);
    world.core.rounds = rounds;
    world.core.lease = LeaseSettings { mode: lease, time_ns: 120 * MS, drift_ppm: 1_000, ranges: 1, forward: Forward::On };
    // Taking over from a holder that is cut off takes longer than the short time limits used in these worlds without
    // leases.
    world.op_timeout_ns *= if lease == LeaseMode::Off { 1 } else { 2 };
    world.patience_ns = world.op_timeout_ns + 5 * MS;
    world.faults.kinds.extend([FaultKind::PowerLoss, FaultKind::Split, FaultKind::OneWay]);
    if lease != LeaseMode::Off {
        world.faults.kinds.extend([FaultKind::IsolateHolder, FaultKind::LateHolder]);
    }
    world.links.loss_ppm = if seed.is_multiple_of(3) { 60_000 } else { 0 };
    world
}

/// Counts of the answers to fate queries, over several worlds.
#[derive(Debug, Default)]
struct FateCounts {
    applied: u64,
    not_applied: u64,
    evicted: u64,
    /// Answers during a fault.
    during_faults: u64,
    /// Answers that a holder determined for another node.
    through_holder: u64,
}

impl FateCounts {
    fn add(&mut self, report: &Report) {
        for op in &report.ops {
            let Some(Outcome::Fate { fate }) = op.outcome else { continue };
            match fate {
                Fate::Applied => self.applied += 1,
                Fate::NotApplied => self.not_applied += 1,
                Fate::Evicted => self.evicted += 1,
                Fate::Superseded => panic!("seed {}: a process ends with the operation that is asked about: {op:?}", report.seed),
            }
            self.during_faults += u64::from(during_fault(report, op));
            self.through_holder += u64::from(op.diagnostics.as_ref().is_some_and(|fates| fates.forwarded_to.is_some()));
        }
    }
}

fn during_fault(report: &Report, op: &OpRecord) -> bool {
    let within = |at: u64| report.faults.iter().any(|fault| fault.begin_ns <= at && at < fault.end_ns);
    matches!(op.call, Call::Fate { .. }) && op.completed_ns.is_some_and(within)
}

#[track_caller]
fn run_clean(seed: u64, rounds: Rounds, lease: LeaseMode) -> Report {
    let report = World::new(seed, rough(seed, rounds, lease)).run();
    assert!(report.violations.is_empty(), "{rounds:?}, lease {lease:?}, seed {seed}: {}", report.violations[0]);
    report
}

/// Worlds without queries, without stopped nodes or without holders would also be clean.
#[track_caller]
fn check_enough(rounds: Rounds, lease: LeaseMode, fates: &FateCounts, sum: &Counters) {
    let leased = if lease == LeaseMode::Off { 0 } else { 1 };
    let read = if lease == LeaseMode::Read { 1 } else { 0 };
    for (what, count, least) in [
        ("fates applied", fates.applied, 40),
        ("fates not applied", fates.not_applied, 250),
        ("fates evicted", fates.evicted, 80),
        ("fates answered during faults", fates.during_faults, 200),
        ("fates answered through a holder", fates.through_holder, 200 * leased),
        ("leases acquired", sum.leases_acquired, 150 * leased),
        ("leases ended", sum.leases_ended, 150 * leased),
        ("operations handed over", sum.forwards_taken, 4_000 * leased),
        ("local reads", sum.local_reads, 1_500 * read),
    ] {
        assert!(count >= least, "{rounds:?}, lease {lease:?}: only {count} {what}; {fates:?}");
    }
    assert!(leased == 1 || sum.leases_acquired + sum.forwards_taken == 0, "leases are off: {sum:?}");
}

#[test]
fn no_fate_is_contradicted_whatever_the_rounds_and_leases() {
    for rounds in Rounds::ALL {
        for lease in LEASES {
            let (mut fates, mut sum) = (FateCounts::default(), Counters::default());
            for seed in 0..WORLDS {
                let report = run_clean(seed, rounds, lease);
                fates.add(&report);
                report.counters.iter().for_each(|counters| sum.add(counters));
            }
            let (leases, handed, local) = (sum.leases_acquired, sum.forwards_taken, sum.local_reads);
            println!("{rounds:?}, lease {lease:?}: {fates:?}; {leases} leases, {handed} ops handed over, {local} local reads");
            check_enough(rounds, lease, &fates, &sum);
        }
    }
}

/// The checker can detect contradictions in all of these worlds: if the abort is not recorded, a late request takes
/// effect after its client was assured that it never would.
#[cfg(feature = "mutants")]
#[test]
fn an_abort_that_is_not_recorded_is_found_whatever_the_rounds_and_leases() {
    use heckle_paxos::Mutant;
    use heckle_sim::ViolationKind;
    // Roughly one world in every 5 to 10 shows it, so `WITHIN` is at least ten times what is needed on average.
    const WITHIN: u64 = 100;
    for rounds in Rounds::ALL {
        for lease in LEASES {
            let contradicted = |seed: &u64| {
                let ill = World::new(*seed, rough(*seed, rounds, lease).with_mutant(Mutant::FateWithoutFence)).run();
                ill.client_visible_violation().is_some_and(|harm| harm.kind == ViolationKind::RefusedTookEffect)
            };
            let Some(seed) = (0..WITHIN).find(contradicted) else {
                panic!("{rounds:?}, lease {lease:?}: not found in {WITHIN} worlds");
            };
            println!("{rounds:?}, lease {lease:?}: found in world {seed}");
            run_clean(seed, rounds, lease);
        }
    }
}
