//! The theory of starvation, exactly: same seeds, same clocks, only what is named differs. Virtual time, so the figures
//! are the same on every machine.
//!
//! `cargo test -p heckle-sim --test fairness -- --nocapture` prints them.

#![cfg(feature = "mutants")]

use heckle_paxos::{Mutant, Outcome};
use heckle_sim::config::{MS, Mix};
use heckle_sim::{Report, World, WorldConfig};

const SEEDS: u64 = 10;
const NODES: usize = 3;

/// Nine clients of three nodes compare-and-set one key, nothing in the way but clocks that are up to a minute apart.
fn hot_key() -> WorldConfig {
    let mut world = WorldConfig { nodes: NODES as u16, clients: 9, keys: 1, think_ns: MS, load_ns: 3_000 * MS, ..WorldConfig::default() };
    world.mix = Mix { cas: 1, write: 0, read: 0 };
    world.clocks.offset_max_us = 60_000_000;
    world
}

/// What the clients of one world got.
struct Shares {
    /// Jain's index of successes over coordinators.
    jain: f64,
    /// From one success of a process (or its first try) to its next one, or to the end of the load if none came.
    waits_ns: Vec<u64>,
    won: usize,
}

fn shares(report: &Report, load_ns: u64) -> Shares {
    let mut won = [0.0; NODES];
    let mut since = std::collections::BTreeMap::new();
    let mut waits_ns = vec![];
    for op in report.ops.iter().filter(|op| op.invoked_ns < load_ns) {
        // An operation is handed over by its client's node at most; `node` is the one its client asked.
        let began = *since.entry(op.op.client).or_insert(op.invoked_ns);
        if let (Some(Outcome::Applied), Some(t)) = (&op.outcome, op.completed_ns) {
            won[op.node] += 1.0;
            waits_ns.push(t - began);
            since.insert(op.op.client, t);
        }
    }
    waits_ns.extend(since.values().map(|began| load_ns.saturating_sub(*began)));
    waits_ns.sort_unstable();
    let (sum, squares): (f64, f64) = (won.iter().sum(), won.iter().map(|w| w * w).sum());
    Shares { jain: if squares > 0.0 { sum * sum / (NODES as f64 * squares) } else { 0.0 }, waits_ns, won: sum as usize }
}

/// Mean Jain, 99th percentile of waits in milliseconds and successes over all seeds.
fn over_seeds(what: &str, world: &WorldConfig) -> (f64, f64, usize) {
    let all: Vec<Shares> = (0..SEEDS).map(|seed| shares(&World::new(seed, world.clone()).run(), world.load_ns)).collect();
    let mut waits: Vec<u64> = all.iter().flat_map(|s| s.waits_ns.iter().copied()).collect();
    waits.sort_unstable();
    let p99_ms = waits[waits.len() * 99 / 100] as f64 / 1e6;
    let jain = all.iter().map(|s| s.jain).sum::<f64>() / all.len() as f64;
    let won = all.iter().map(|s| s.won).sum();
    println!("{what:40} Jain {jain:.3}, wait p99 {p99_ms:8.1} ms, {won} successes");
    (jain, p99_ms, won)
}

#[test]
fn a_slow_clock_without_the_ballot_bump_starves_its_clients() {
    let healthy = over_seeds("no lease", &hot_key());
    let starving = over_seeds("no lease, no ballot bump", &hot_key().with_mutant(Mutant::NoBallotBump));
    // One clock of three is ahead, and its node takes all: the index is that of one winner among three.
    assert!(starving.0 < 0.45, "Jain {}", starving.0);
    assert!(healthy.0 > 0.7, "the bump alone makes up for the clocks: Jain {}", healthy.0);
    assert!(healthy.1 * 2.0 < starving.1, "p99 {} ms against {}", healthy.1, starving.1);
}
