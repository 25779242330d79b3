//! Families of worlds. A seed draws one world from a family.
//!
//! The swarm is for finding unforeseen bugs. The other families are specialized: each exposes a known class of bugs
//! within a few seeds, while a correct core must still show no violations.

use crate::config::{BackoffKind, MS, Mix, US, WorldConfig};
use crate::fault::FaultKind;
use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_paxos::{AbsentReads, Prune, Queue, Rounds};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// A family of worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Each world has a subset of all kinds of trouble, at random rates. A run with all of them would make no
    /// progress, and many bugs appear only if some of them are absent (swarm testing, Groce et al. 2012).
    Swarm,
    /// No faults, only contention.
    Calm,
    /// One hot key, lost and late messages, and coordinators that give up early, so that replicas lag.
    Lossy,
    /// One hot key, with duplicated, lost and late messages.
    Doubling,
    /// One hot key, most learns lost, and coordinators that give up early: replicas lag, and few of them have the
    /// chosen rows.
    Lagging,
    /// The same, with brief power losses.
    LaggingPower,
    /// Repeated brief power losses, and late messages.
    PowerCycling,
    /// Wall clocks with a coarse resolution and different offsets.
    CoarseClocks,
    /// Many clients use one key in a slow cluster: operations exceed their time limits in the queues.
    Crowded,
    /// Nodes stop for longer than clients wait, and clients send fate queries to other nodes: requests waiting at a
    /// stopped node run after their fate has been determined.
    Uncertain,
    /// Leases for progress only: nodes hold ranges in turn, and operations wait or are forwarded, while processes die
    /// and stop, and links are cut, slow or lossy, or duplicate messages.
    Leases,
    /// Read leases under the same faults, with clocks that drift up to the bound.
    ReadLeases,
    /// Read leases whose holders are repeatedly cut off while other nodes restart: a holder that wrongly believes it
    /// still has a lease reads stale values.
    StaleHolders,
    /// Some messages are so late that decisions are pruned long before they arrive.
    Pruning,
    /// All processes or all nodes crash at the same time, soon after decisions have been pruned.
    PruningCrash,
    /// Message delays, pauses and clock jumps that can exceed the time to live of Paxos state.
    ShortTtl,
}

impl Profile {
    /// All families.
    pub const ALL: [Profile; 16] = [
        Profile::Swarm,
        Profile::Calm,
        Profile::Lossy,
        Profile::Doubling,
        Profile::Lagging,
        Profile::LaggingPower,
        Profile::PowerCycling,
        Profile::CoarseClocks,
        Profile::Crowded,
        Profile::Uncertain,
        Profile::Leases,
        Profile::ReadLeases,
        Profile::StaleHolders,
        Profile::Pruning,
        Profile::PruningCrash,
        Profile::ShortTtl,
    ];

    /// The world drawn from this family for a seed.
    #[must_use]
    pub fn world(self, seed: u64) -> WorldConfig {
        let mut rng = Pcg64::seed_from_u64(seed.wrapping_add((self as u64) << 56) ^ 0x5357_4152_4d00_0001);
        let mut world = WorldConfig::default();
        match self {
            Profile::Swarm => swarm(&mut world, &mut rng),
            Profile::Calm => calm(&mut world, &mut rng),
            Profile::Lossy => lossy(&mut world, &mut rng),
            Profile::Doubling => doubling(&mut world, &mut rng),
            Profile::Lagging => lagging(&mut world, &mut rng),
            Profile::LaggingPower => lagging_power(&mut world, &mut rng),
            Profile::PowerCycling => power_cycling(&mut world, &mut rng),
            Profile::CoarseClocks => coarse_clocks(&mut world, &mut rng),
            Profile::Crowded => crowded(&mut world, &mut rng),
            Profile::Uncertain => uncertain(&mut world, &mut rng),
            Profile::Leases => leases(&mut world, LeaseMode::Priority, &mut rng),
            Profile::ReadLeases => leases(&mut world, LeaseMode::Read, &mut rng),
            Profile::StaleHolders => stale_holders(&mut world, &mut rng),
            Profile::Pruning => pruning(&mut world, &mut rng),
            Profile::PruningCrash => pruning_crash(&mut world, &mut rng),
            Profile::ShortTtl => short_ttl(&mut world, &mut rng),
        }
        world
    }
}

fn swarm(world: &mut WorldConfig, rng: &mut impl Rng) {
    world.nodes = if rng.random_range(0..4) == 0 { 5 } else { 3 };
    world.core.rounds = Rounds::ALL[rng.random_range(0..Rounds::ALL.len())];
    world.core.backoff = if rng.random_range(0..3) == 0 { BackoffKind::Adaptive } else { BackoffKind::Uniform };
    world.core.queue = if one_in(4, rng) { Queue::Fifo } else { Queue::Fair };
    world.clients = rng.random_range(2..=9);
    world.keys = rng.random_range(1..=3);
    world.mix = Mix { cas: rng.random_range(1..=6), write: rng.random_range(0..=3), read: rng.random_range(1..=5) };
    world.think_ns = MS << rng.random_range(0..6);
    world.op_timeout_ns = (100 * MS) << rng.random_range(0..3);
    if one_in(3, rng) {
        world.links.slow_ppm = rng.random_range(10_000..200_000);
        world.links.slow_max_ns = rng.random_range(2 * MS..120 * MS);
    }
    if one_in(3, rng) {
        world.links.loss_ppm = rng.random_range(5_000..250_000);
    }
    if one_in(3, rng) {
        world.links.duplicate_ppm = rng.random_range(10_000..300_000);
    }
    if one_in(3, rng) {
        world.disks.slow_ppm = rng.random_range(10_000..300_000);
        world.disks.slow_max_ns = rng.random_range(MS..40 * MS);
    }
    if one_in(2, rng) {
        world.resend_ppm = 500_000;
        if one_in(3, rng) {
            world.patience_ns = world.op_timeout_ns / rng.random_range(1..=16);
        }
    }
    if one_in(3, rng) {
        world.core.dedupe_entries = rng.random_range(1..=8);
    }
    if one_in(2, rng) {
        world.fate_ppm = rng.random_range(200_000..=1_000_000);
        if one_in(2, rng) {
            world.core.aborted_entries = rng.random_range(1..=4);
        }
    }
    if one_in(3, rng) {
        world.core.resends_per_round = rng.random_range(0..=1);
        world.core.resend_after_ns = rng.random_range(2 * MS..20 * MS);
    }
    if one_in(3, rng) {
        world.clocks.offset_max_us = 10u64.pow(rng.random_range(3..8));
        world.clocks.drift_max_ppm = 100_000;
    }
    if one_in(4, rng) {
        world.clocks.resolution_us = 1_000;
    }
    if !one_in(3, rng) {
        world.faults.every_ns = rng.random_range(40 * MS..250 * MS);
        world.faults.for_max_ns = rng.random_range(20 * MS..250 * MS);
        world.faults.kinds = FaultKind::ALL.iter().copied().filter(|_| rng.random_range(0..2) == 0).collect();
    }
    world.disks.compact_records = rng.random_range(20..400);
    if one_in(3, rng) {
        world.core.prune = Prune::Off;
    }
    world.core.prune_after_ns = rng.random_range(MS..40 * MS);
    if one_in(6, rng) {
        world.core.prune_queue = 1;
    }
    if one_in(3, rng) {
        world.core.paxos_ttl_us = Some(rng.random_range(2_000..400_000));
    }
    if one_in(3, rng) {
        world.core.absent_reads = AbsentReads::Prepare;
    }
    if one_in(2, rng) {
        world.gone_ppm = 500_000;
    }
    if one_in(3, rng) {
        // Most keys are read before anything is written.
        world.keys = rng.random_range(20..=60);
    }
}

fn calm(world: &mut WorldConfig, rng: &mut impl Rng) {
    world.clients = rng.random_range(3..=9);
    world.keys = 1;
    world.think_ns = rng.random_range(MS..10 * MS);
}

fn lossy(world: &mut WorldConfig, rng: &mut impl Rng) {
    // Pruning would bring lagging replicas up to date, and these worlds need them to lag.
    world.core.prune = Prune::Off;
    world.nodes = if one_in(2, rng) { 5 } else { 3 };
    world.clients = rng.random_range(3..=8);
    world.keys = 1;
    world.mix = Mix { cas: 4, write: rng.random_range(1..=3), read: rng.random_range(1..=4) };
    world.think_ns = 3 * MS;
    world.op_timeout_ns = 200 * MS;
    world.links.loss_ppm = rng.random_range(50_000..400_000);
    world.links.slow_ppm = rng.random_range(50_000..400_000);
    world.links.slow_max_ns = rng.random_range(3 * MS..50 * MS);
    world.core.backoff_max_ns = rng.random_range(MS..10 * MS);
    world.core.resend_after_ns = rng.random_range(MS..6 * MS);
    world.core.resends_per_round = rng.random_range(0..=1);
}

fn doubling(world: &mut WorldConfig, rng: &mut impl Rng) {
    lossy(world, rng);
    world.nodes = if one_in(4, rng) { 5 } else { 3 };
    world.links.loss_ppm = rng.random_range(0..150_000);
    world.links.duplicate_ppm = rng.random_range(300_000..900_000);
    // With a fair queue, operations refused together with another one propose nothing, and these worlds need
    // proposals.
    world.core.queue = Queue::Fifo;
}

fn lagging(world: &mut WorldConfig, rng: &mut impl Rng) {
    // Pruning would bring lagging replicas up to date, and these worlds need them to lag.
    world.core.prune = Prune::Off;
    world.nodes = if one_in(2, rng) { 5 } else { 3 };
    world.clients = rng.random_range(3..=6);
    world.keys = 1;
    world.load_ns = 1_500 * MS;
    world.mix = Mix { cas: 2, write: 2, read: rng.random_range(2..=6) };
    world.think_ns = rng.random_range(2 * MS..20 * MS);
    world.op_timeout_ns = 300 * MS;
    world.links.slow_ppm = rng.random_range(100_000..500_000);
    world.links.slow_max_ns = rng.random_range(3 * MS..40 * MS);
    world.links.learn_loss_ppm = rng.random_range(300_000..900_000);
    world.core.backoff_max_ns = rng.random_range(MS..10 * MS);
    world.core.resend_after_ns = rng.random_range(5 * MS..30 * MS);
    world.core.resends_per_round = 0;
}

fn lagging_power(world: &mut WorldConfig, rng: &mut impl Rng) {
    lagging(world, rng);
    world.core.resend_after_ns = rng.random_range(2 * MS..10 * MS);
    power_faults(world, rng);
}

fn power_cycling(world: &mut WorldConfig, rng: &mut impl Rng) {
    world.nodes = if one_in(4, rng) { 5 } else { 3 };
    world.clients = rng.random_range(4..=9);
    world.keys = 1;
    world.load_ns = 1_500 * MS;
    world.think_ns = rng.random_range(MS..10 * MS);
    world.op_timeout_ns = 400 * MS;
    world.links.slow_ppm = rng.random_range(200_000..600_000);
    world.links.slow_max_ns = rng.random_range(5 * MS..40 * MS);
    world.core.backoff_max_ns = rng.random_range(MS..20 * MS);
    world.core.resend_after_ns = 60 * MS;
    power_faults(world, rng);
}

fn power_faults(world: &mut WorldConfig, rng: &mut impl Rng) {
    world.faults.every_ns = rng.random_range(5 * MS..40 * MS);
    world.faults.for_max_ns = rng.random_range(50 * US..1_500 * US);
    world.faults.kinds = vec![FaultKind::PowerLoss; 12];
    world.faults.kinds.extend([FaultKind::PowerLossAll, FaultKind::Kill]);
}

fn coarse_clocks(world: &mut WorldConfig, rng: &mut impl Rng) {
    calm(world, rng);
    world.clocks.resolution_us = 5_000;
    world.clocks.offset_max_us = rng.random_range(0..10_000);
    world.links.slow_ppm = 100_000;
    world.links.slow_max_ns = 5 * MS;
}

fn crowded(world: &mut WorldConfig, rng: &mut impl Rng) {
    calm(world, rng);
    world.clients = 24;
    world.think_ns = MS;
    world.op_timeout_ns = 40 * MS;
    world.disks.sync_min_ns = MS;
    world.disks.sync_max_ns = rng.random_range(2 * MS..4 * MS);
    world.core.queue_per_key = 6;
}

fn uncertain(world: &mut WorldConfig, rng: &mut impl Rng) {
    calm(world, rng);
    world.nodes = if one_in(3, rng) { 5 } else { 3 };
    world.load_ns = 1_200 * MS;
    world.mix = Mix { cas: rng.random_range(1..=3), write: 3, read: 3 };
    world.op_timeout_ns = rng.random_range(20 * MS..80 * MS);
    world.patience_ns = world.op_timeout_ns + 5 * MS;
    world.fate_ppm = 1_000_000;
    if one_in(2, rng) {
        // A fate query through a node whose clock is behind must still use a higher ballot.
        world.clocks.offset_max_us = rng.random_range(10_000..1_000_000);
    }
    world.core.aborted_entries = if one_in(2, rng) { rng.random_range(1..=3) } else { 64 };
    world.core.dedupe_entries = if one_in(3, rng) { rng.random_range(1..=8) } else { 64 };
    world.faults.every_ns = rng.random_range(60 * MS..200 * MS);
    world.faults.for_max_ns = rng.random_range(100 * MS..300 * MS);
    world.faults.kinds = vec![FaultKind::Pause, FaultKind::Pause, FaultKind::Isolate, FaultKind::Kill];
}

fn leases(world: &mut WorldConfig, mode: LeaseMode, rng: &mut impl Rng) {
    world.nodes = if one_in(4, rng) { 5 } else { 3 };
    world.clients = rng.random_range(3..=7);
    world.keys = rng.random_range(1..=2);
    world.load_ns = 2_500 * MS;
    world.mix = Mix { cas: 3, write: 2, read: rng.random_range(3..=8) };
    world.think_ns = rng.random_range(2 * MS..20 * MS);
    world.op_timeout_ns = 400 * MS;
    world.core.backoff_max_ns = rng.random_range(MS..20 * MS);
    let drift_ppm = [0, 1_000, 50_000, 200_000][rng.random_range(0..4)];
    world.clocks.drift_max_ppm = drift_ppm;
    world.core.lease = LeaseSettings {
        mode,
        time_ns: rng.random_range(80 * MS..400 * MS),
        drift_ppm,
        ranges: rng.random_range(1..=2),
        forward: if one_in(2, rng) { Forward::On } else { Forward::Off },
    };
    if one_in(2, rng) {
        world.links.slow_ppm = rng.random_range(20_000..200_000);
        world.links.slow_max_ns = rng.random_range(5 * MS..250 * MS);
    }
    if one_in(3, rng) {
        world.links.loss_ppm = rng.random_range(5_000..100_000);
    }
    if one_in(3, rng) {
        world.links.duplicate_ppm = rng.random_range(10_000..300_000);
    }
    if one_in(3, rng) {
        world.resend_ppm = 500_000;
    }
    if one_in(3, rng) {
        world.core.dedupe_entries = rng.random_range(2..=8);
    }
    if !one_in(4, rng) {
        world.faults.every_ns = rng.random_range(80 * MS..400 * MS);
        world.faults.for_max_ns = rng.random_range(20 * MS..500 * MS);
        world.faults.kinds = FaultKind::ALL.iter().copied().filter(|_| one_in(2, rng)).collect();
        // These worlds target the holders of ranges.
        world.faults.kinds.extend([FaultKind::Kill, FaultKind::Pause, FaultKind::Isolate]);
    }
}

fn stale_holders(world: &mut WorldConfig, rng: &mut impl Rng) {
    leases(world, LeaseMode::Read, rng);
    world.nodes = 3;
    world.keys = 1;
    world.load_ns = 4_000 * MS;
    world.mix = Mix { cas: 1, write: 3, read: 0 };
    world.clients = 9;
    // A client that writes through an isolated node just waits. Clients that only read see what the node believes.
    world.readers = 6;
    world.think_ns = rng.random_range(MS..6 * MS);
    world.core.lease.ranges = 1;
    world.core.lease.time_ns = rng.random_range(120 * MS..300 * MS);
    world.core.lease.forward = Forward::On;
    world.core.lease.drift_ppm = 1_000;
    world.links.slow_ppm = 0;
    world.links.loss_ppm = 0;
    world.links.learn_loss_ppm = rng.random_range(0..600_000);
    world.faults.every_ns = rng.random_range(100 * MS..300 * MS);
    world.faults.for_max_ns = rng.random_range(400 * MS..1_000 * MS);
    world.faults.kinds = vec![FaultKind::IsolateHolder];
    match rng.random_range(0..4) {
        0 => world.faults.kinds.push(FaultKind::KillOthers),
        1 => {
            world.faults.kinds.push(FaultKind::LateHolder);
            world.core.lease.time_ns = rng.random_range(400 * MS..700 * MS);
            world.faults.for_max_ns = 1_500 * MS;
        }
        2 => {
            // Leases are released often, and the releases are late.
            world.core.lease.forward = Forward::Off;
            world.core.lease.time_ns = rng.random_range(60 * MS..150 * MS);
            world.faults.kinds = vec![FaultKind::LateHolder];
        }
        _ => {
            world.core.lease.drift_ppm = 300_000;
            world.faults.every_ns = rng.random_range(300 * MS..600 * MS);
        }
    }
    world.clocks.drift_max_ppm = world.core.lease.drift_ppm;
}

fn pruning(world: &mut WorldConfig, rng: &mut impl Rng) {
    world.clients = rng.random_range(3..=8);
    world.keys = 1;
    world.load_ns = 1_500 * MS;
    world.think_ns = rng.random_range(2 * MS..30 * MS);
    world.op_timeout_ns = 400 * MS;
    world.links.slow_ppm = rng.random_range(20_000..150_000);
    world.links.slow_max_ns = rng.random_range(20 * MS..150 * MS);
    world.links.duplicate_ppm = rng.random_range(50_000..300_000);
    world.core.backoff_max_ns = rng.random_range(MS..10 * MS);
    world.core.resend_after_ns = rng.random_range(10 * MS..60 * MS);
    world.core.prune_after_ns = rng.random_range(200 * US..4 * MS);
}

fn pruning_crash(world: &mut WorldConfig, rng: &mut impl Rng) {
    calm(world, rng);
    world.load_ns = 1_500 * MS;
    world.think_ns = rng.random_range(5 * MS..40 * MS);
    world.core.prune_after_ns = rng.random_range(200 * US..4 * MS);
    world.faults.every_ns = rng.random_range(30 * MS..150 * MS);
    world.faults.for_max_ns = rng.random_range(50 * US..5 * MS);
    world.faults.kinds = vec![FaultKind::KillAll, FaultKind::PowerLossAll, FaultKind::Kill];
    world.disks.compact_records = rng.random_range(50..1_000);
}

fn short_ttl(world: &mut WorldConfig, rng: &mut impl Rng) {
    pruning(world, rng);
    world.core.prune = if one_in(2, rng) { Prune::Off } else { Prune::On };
    world.core.paxos_ttl_us = Some(rng.random_range(2_000..40_000));
    world.core.dedupe_entries = rng.random_range(4..=64);
    world.resend_ppm = 500_000;
    world.patience_ns = rng.random_range(50 * MS..500 * MS);
    world.faults.every_ns = rng.random_range(40 * MS..200 * MS);
    world.faults.for_max_ns = rng.random_range(5 * MS..100 * MS);
    world.faults.kinds = vec![FaultKind::Pause, FaultKind::ClockJump, FaultKind::Isolate, FaultKind::KillAll];
}

fn one_in(of: u32, rng: &mut impl Rng) -> bool {
    rng.random_range(0..of) == 0
}
