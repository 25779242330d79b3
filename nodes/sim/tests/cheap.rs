//! Worlds in which some reads and writes bypass Paxos on the same keys: Paxos keeps its guarantees for its own
//! operations, but the keys are no longer registers.

use heckle_paxos::{Call, Counters, Outcome, Rounds};
use heckle_sim::OpRecord;
use heckle_sim::config::{MS, Mix};
use heckle_sim::{FaultKind, Report, World, WorldConfig};

const ROUNDS: [Rounds; 4] = [Rounds::Classic, Rounds::Merged, Rounds::AsyncLearn, Rounds::Fast];

/// A world with crashes, power losses and partitions, snapshots every few records, and clocks that differ slightly.
fn rough(seed: u64, cheap_ppm: u32) -> WorldConfig {
    let mut world = WorldConfig { keys: 2, cheap_ppm, load_ns: 1_500 * MS, ..WorldConfig::default() };
    world.mix = Mix { cas: 3, write: 3, read: 3 };
    world.clocks.offset_max_us = 5_000;
    world.disks.compact_records = 40;
    world.faults.kinds = vec![FaultKind::Kill, FaultKind::PowerLoss, FaultKind::Isolate, FaultKind::Pause];
    world.core.rounds = ROUNDS[seed as usize % ROUNDS.len()];
    world
}

fn written(op: &OpRecord) -> Option<&heckle_paxos::Value> {
    match &op.call {
        Call::Write { new } | Call::Cas { new, .. } => Some(new),
        Call::Read | Call::Fate { .. } => None,
    }
}

/// Finds a lost update: an acknowledged one that began after the operation that wrote the final value had completed.
fn lost(report: &Report) -> Option<(&OpRecord, &OpRecord)> {
    let applied = |op: &&OpRecord| op.outcome == Some(Outcome::Applied);
    report.ops.iter().rev().take(6).find_map(|last| {
        let Some(Outcome::Read { current: Some(value) }) = &last.outcome else { return None };
        let writer = report.ops.iter().filter(applied).find(|op| op.key == last.key && written(op) == Some(value))?;
        let done = writer.completed_ns?;
        let later = report.ops.iter().filter(applied).find(|op| op.key == last.key && written(op).is_some() && op.invoked_ns > done);
        later.map(|later| (later, writer))
    })
}

#[test]
fn mixing_puts_loses_updates_but_not_paxos_guarantees() {
    let (mut sum, mut with_losses) = (Counters::default(), 0);
    for seed in 0..80 {
        let report = World::new(seed, rough(seed, 500_000)).run();
        assert!(report.violations.is_empty(), "seed {seed}: {}", report.violations[0]);
        report.counters.iter().for_each(|counters| sum.add(counters));
        with_losses += usize::from(lost(&report).is_some());
    }
    println!("{with_losses} of 80 worlds lost an acknowledged update; {sum:?}");
    assert!(sum.puts > 2_000 && sum.gets > 2_000 && sum.applied > 4_000, "{sum:?}");
    assert!(with_losses > 0, "the anomaly of the mix shows");
}

#[test]
fn without_puts_the_same_worlds_lose_nothing() {
    for seed in 0..40 {
        let report = World::new(seed, rough(seed, 0)).run();
        assert!(report.violations.is_empty(), "seed {seed}: {}", report.violations[0]);
        assert!(lost(&report).is_none(), "seed {seed}");
    }
}
