//! Tests the theory of starvation precisely: seeds and clocks are the same, and only the named setting differs. Time is virtual, so
//! the figures are the same on every machine.
//!
//! `cargo test -p heckle-sim --test fairness -- --nocapture` prints them.

#![cfg(feature = "mutants")]

use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_paxos::{Mutant, Outcome, Queue, Rounds};
use heckle_sim::config::{MS, Mix};
use heckle_sim::{Report, World, WorldConfig};

const SEEDS: u64 = 10;
const NODES: usize = 3;

const CAS: Mix = Mix { cas: 1, write: 0, read: 0 };
const WRITE: Mix = Mix { cas: 0, write: 1, read: 0 };

/// Nine clients of three nodes update one key. The only disturbance is that clocks are up to a minute apart.
fn hot_key(mix: Mix) -> WorldConfig {
    let mut world = WorldConfig { nodes: NODES as u16, clients: 9, keys: 1, think_ns: MS, load_ns: 3_000 * MS, ..WorldConfig::default() };
    world.mix = mix;
    world.clocks.offset_max_us = 60_000_000;
    world
}

/// The same with a priority lease: other nodes forward operations to the holder.
fn forwarded(mix: Mix) -> WorldConfig {
    let mut world = hot_key(mix);
    world.core.lease = LeaseSettings { mode: LeaseMode::Priority, time_ns: 400 * MS, drift_ppm: 1_000, ranges: 1, forward: Forward::On };
    world
}

/// The results of the clients of one world.
struct Shares {
    /// Jain's index of successes over coordinators.
    jain: f64,
    /// Times from one success of a process (or its first attempt) to its next success, or to the end of the load.
    waits_ns: Vec<u64>,
    won: usize,
}

fn shares(report: &Report, load_ns: u64) -> Shares {
    let mut won = [0.0; NODES];
    let mut since = std::collections::BTreeMap::new();
    let mut waits_ns = vec![];
    for op in report.ops.iter().filter(|op| op.invoked_ns < load_ns) {
        // Operations are forwarded only by the client's own node, and `node` is the node that the client used.
        let began = *since.entry(op.op.client).or_insert(op.invoked_ns);
        if let (Some(Outcome::Applied), Some(t)) = (&op.outcome, op.completed_ns) {
            won[op.node] += 1.0;
            waits_ns.push(t - began);
            since.insert(op.op.client, t);
        }
    }
    waits_ns.extend(since.values().map(|began| load_ns.saturating_sub(*began)));
    let (sum, squares): (f64, f64) = (won.iter().sum(), won.iter().map(|w| w * w).sum());
    Shares { jain: if squares > 0.0 { sum * sum / (NODES as f64 * squares) } else { 0.0 }, waits_ns, won: sum as usize }
}

/// The results over all seeds.
struct Summary {
    /// Mean of Jain's index.
    jain: f64,
    /// 99th percentile of the waits. Clients that never win have few waits, so this figure alone hides them.
    p99_ms: f64,
    longest_ms: f64,
    won: usize,
}

fn over_seeds(what: &str, world: &WorldConfig) -> Summary {
    let all: Vec<Shares> = (0..SEEDS).map(|seed| shares(&World::new(seed, world.clone()).run(), world.load_ns)).collect();
    let mut waits: Vec<u64> = all.iter().flat_map(|s| s.waits_ns.iter().copied()).collect();
    waits.sort_unstable();
    let ms = |ns: u64| ns as f64 / 1e6;
    let summary = Summary {
        jain: all.iter().map(|s| s.jain).sum::<f64>() / all.len() as f64,
        p99_ms: ms(waits[waits.len() * 99 / 100]),
        longest_ms: ms(*waits.last().expect("some client waited")),
        won: all.iter().map(|s| s.won).sum(),
    };
    let Summary { jain, p99_ms, longest_ms, won } = summary;
    println!("{what:46} Jain {jain:.3}, wait p99 {p99_ms:7.1} ms, longest {longest_ms:7.1} ms, {won} successes");
    summary
}

#[test]
fn a_slow_clock_without_the_ballot_bump_starves_its_clients() {
    let healthy = over_seeds("compare-and-set, no lease", &hot_key(CAS));
    let starving = over_seeds("compare-and-set, no lease, no ballot bump", &hot_key(CAS).with_mutant(Mutant::NoBallotBump));
    // One of the three clocks is ahead, and its node always wins, so the index is that of one winner among three.
    assert!(starving.jain < 0.45, "Jain {}", starving.jain);
    assert!(healthy.jain > 0.7, "the bump alone makes up for the clocks: Jain {}", healthy.jain);
    assert!(healthy.p99_ms * 2.0 < starving.p99_ms, "p99 {} ms against {}", healthy.p99_ms, starving.p99_ms);
}

#[test]
fn forwarding_to_a_holder_gives_all_coordinators_the_same() {
    let starving = over_seeds("write, no lease, no ballot bump", &hot_key(WRITE).with_mutant(Mutant::NoBallotBump));
    let duelling = over_seeds("write, no lease", &hot_key(WRITE));
    let leased = over_seeds("write, forwarded to the holder", &forwarded(WRITE));
    assert!(starving.jain < 0.45, "Jain {}", starving.jain);
    assert!(leased.jain > 0.95, "Jain {}", leased.jain);
    assert!(leased.p99_ms * 3.0 < duelling.p99_ms, "p99 {} ms against {}", leased.p99_ms, duelling.p99_ms);
    assert!(leased.longest_ms * 3.0 < starving.longest_ms, "longest {} ms against {}", leased.longest_ms, starving.longest_ms);
}

/// A lease alone does not help with a queue in order of arrival. The last winner has the current value, and returns
/// behind losers that do not. Each loser gets the value when its turn comes, but by the time it returns, the winner
/// has changed the value again.
#[test]
fn a_fair_queue_ends_the_rule_of_the_last_winner() {
    for (what, mut world) in [("no lease", hot_key(CAS)), ("forwarded", forwarded(CAS))] {
        let fair = over_seeds(&format!("compare-and-set, {what}, fair queue"), &world);
        world.core.queue = Queue::Fifo;
        let fifo = over_seeds(&format!("compare-and-set, {what}, in order of arrival"), &world);
        assert!(fair.jain > 0.75, "{what}: Jain {}", fair.jain);
        assert!(fair.won > 2 * fifo.won, "{what}: {} successes and {}", fair.won, fifo.won);
        assert!(fair.p99_ms * 2.0 < fifo.p99_ms, "{what}: p99 {} ms and {}", fair.p99_ms, fifo.p99_ms);
        // Without a lease, competing coordinators break this pattern, and they determine who wins, with either queue.
        assert!(what == "no lease" || fifo.jain < 0.5, "{what}: Jain {} in order of arrival", fifo.jain);
    }
}

/// With a prepared ballot, one proposal decides all waiting CASes, and one of them wins. If all got their replies at the same time,
/// they would all return at the same time.
#[test]
fn with_a_prepared_ballot_few_are_answered_at_once_and_all_have_their_turn() {
    let mut world = forwarded(CAS);
    world.core.rounds = Rounds::Fast;
    // No pause: an answered client returns immediately.
    (world.clients, world.think_ns) = (24, 0);
    let fair = over_seeds("compare-and-set, forwarded, fast, fair queue", &world);
    let attempts = |world: &WorldConfig| {
        let reports: Vec<Report> = (0..SEEDS).map(|seed| World::new(seed, world.clone()).run()).collect();
        let answered = reports.iter().flat_map(|r| &r.ops).filter(|op| op.outcome.is_some()).count();
        let won = reports.iter().flat_map(|r| &r.ops).filter(|op| op.outcome == Some(Outcome::Applied)).count();
        answered as f64 / won as f64
    };
    let fair_attempts = attempts(&world);
    world.core.queue = Queue::Fifo;
    let fifo = over_seeds("compare-and-set, forwarded, fast, in order of arrival", &world);
    let fifo_attempts = attempts(&world);
    println!("answers for each success: fair {fair_attempts:.1}, in order of arrival {fifo_attempts:.1}");
    assert!(fair.jain > 0.95 && fifo.jain < 0.5, "Jain {} and {}", fair.jain, fifo.jain);
    assert!(3.0 * fair_attempts < fifo_attempts, "{fair_attempts} answers for a success and {fifo_attempts}");
    assert!(fair.p99_ms * 5.0 < fifo.p99_ms, "p99 {} ms and {}", fair.p99_ms, fifo.p99_ms);
}
