//! Worlds with leases: no two holders at the same true time, no stale local read, no operation applied twice because
//! it was forwarded, and progress even if the holder of a range dies.

use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_paxos::{Counters, Outcome, Phase};
use heckle_sim::config::{MS, Mix};
use heckle_sim::{FaultKind, Profile, Report, World, WorldConfig};

fn counted(reports: &[Report]) -> Counters {
    let mut sum = Counters::default();
    reports.iter().flat_map(|report| &report.counters).for_each(|counters| sum.add(counters));
    sum
}

#[track_caller]
fn run_clean(seed: u64, config: WorldConfig) -> Report {
    let report = World::new(seed, config).run();
    assert!(report.violations.is_empty(), "seed {seed}: {}", report.violations[0]);
    report
}

#[test]
fn worlds_with_leases_are_clean_and_lease_a_lot() {
    for profile in [Profile::Leases, Profile::ReadLeases, Profile::StaleHolders] {
        let reports: Vec<Report> = (0..100).map(|seed| run_clean(seed, profile.world(seed))).collect();
        let sum = counted(&reports);
        println!("{profile:?}: {sum:?}");
        // Worlds without any holder would also be clean.
        for (what, count, least) in [
            ("leases acquired", sum.leases_acquired, 1_000),
            ("leases extended", sum.leases_extended, 200),
            ("leases ended", sum.leases_ended, 900),
            ("requests turned away", sum.busy_given, 5_000),
            ("operations handed over", sum.forwards_taken, 1_000),
            ("operations that came back", sum.forwards_refused, 50),
            ("operations held off", sum.held_off, 1_000),
        ] {
            assert!(count >= least, "{profile:?}: only {count} {what}");
        }
        let reads = sum.local_reads > 1_000;
        assert_eq!(reads, profile != Profile::Leases, "{profile:?}: {} local reads", sum.local_reads);
    }
}

/// A world in which clients of all nodes use one key, without disturbances.
fn calm(mode: LeaseMode, forward: Forward) -> WorldConfig {
    let mut world = WorldConfig { clients: 9, keys: 1, think_ns: 2 * MS, load_ns: 3_000 * MS, ..WorldConfig::default() };
    world.mix = Mix { cas: 4, write: 2, read: 4 };
    world.core.lease = LeaseSettings { mode, time_ns: 400 * MS, drift_ppm: 1_000, ranges: 1, forward };
    world
}

fn answered_at(report: &Report, node: usize) -> usize {
    let ok = |outcome: &Outcome| matches!(outcome, Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. });
    report.ops.iter().filter(|op| op.node == node && op.outcome.as_ref().is_some_and(ok)).count()
}

#[test]
fn a_holder_that_others_forward_to_keeps_the_range_without_contention() {
    let off = counted(&[run_clean(1, calm(LeaseMode::Off, Forward::Off))]);
    let on = run_clean(1, calm(LeaseMode::Priority, Forward::On));
    let sum = counted(std::slice::from_ref(&on));
    println!("off {off:?}\non {sum:?}");
    assert!(sum.leases_acquired <= 4 && sum.leases_extended >= 8, "{sum:?}");
    assert!(sum.preempted * 20 < off.preempted, "{} preempted with the lease, {} without", sum.preempted, off.preempted);
    assert!(sum.requests > off.requests, "{} operations with the lease, {} without", sum.requests, off.requests);
    let handed = on.ops.iter().filter(|op| op.diagnostics.as_ref().is_some_and(|diagnostics| diagnostics.forwarded_to.is_some())).count();
    assert!(handed > on.ops.len() / 2, "two of three nodes hand over: {handed} of {}", on.ops.len());
}

#[test]
fn without_forwarding_every_node_has_its_turn() {
    for mode in [LeaseMode::Priority, LeaseMode::Read] {
        let report = run_clean(1, calm(mode, Forward::Off));
        let shares: Vec<usize> = (0..3).map(|node| answered_at(&report, node)).collect();
        println!("{mode:?} {shares:?}");
        let (least, most) = (shares.iter().min().copied().unwrap_or(0), shares.iter().max().copied().unwrap_or(0));
        assert!(least * 4 > most, "{mode:?}: {shares:?}");
        assert!(counted(&[report]).leases_acquired > 10);
    }
}

#[test]
fn a_read_lease_reads_without_a_message() {
    let mut world = calm(LeaseMode::Read, Forward::On);
    world.mix = Mix { cas: 0, write: 1, read: 20 };
    let report = run_clean(1, world);
    // A node that did not yet know the holder has made round trips of its own.
    let local = report
        .ops
        .iter()
        .filter(|op| op.diagnostics.as_ref().is_some_and(|diagnostics| diagnostics.phase == Phase::LocalRead && diagnostics.rounds == 0));
    let (count, trips) = local
        .fold((0, 0), |(count, trips), op| (count + 1, trips + op.diagnostics.as_ref().map_or(0, |diagnostics| diagnostics.round_trips)));
    assert!(count * 10 > report.ops.len() * 7 && trips == 0, "{count} local reads of {} ops, {trips} round trips", report.ops.len());
}

/// The holder is cut off, or dies: the others make no progress while its grants run, and take over when they expire.
#[test]
fn others_take_over_when_the_grants_of_a_dead_holder_run_out() {
    for mode in [LeaseMode::Priority, LeaseMode::Read] {
        for forward in [Forward::Off, Forward::On] {
            for seed in 0..10 {
                let mut world = calm(mode, forward);
                world.faults.kinds = vec![FaultKind::IsolateHolder];
                (world.faults.every_ns, world.faults.for_max_ns) = (1_200 * MS, 1_500 * MS);
                let report = run_clean(seed, world);
                for fault in report.faults.iter().filter(|fault| fault.end_ns - fault.begin_ns > 900 * MS) {
                    let deadline = fault.begin_ns + 700 * MS;
                    let elsewhere = report.ops.iter().find(|op| {
                        let during = op.completed_ns.is_some_and(|at| at > fault.begin_ns && at < deadline);
                        during && op.node != fault.node && op.outcome == Some(Outcome::Applied)
                    });
                    assert!(elsewhere.is_some(), "{mode:?} {forward:?} seed {seed}: no node took over within 700 ms of {fault:?}");
                }
            }
        }
    }
}
