//! Telling states apart, for tools that explore them: what later steps depend on, and nothing else.
//!
//! Two ways to one state have counted, measured and waited differently. So counters, latencies, diagnostics, the numbers
//! of batches and timers, and all times are left out. Each type is taken apart field by field: a new one does not compile
//! until it is decided whether it matters here.

use crate::config::{Links, Queue};
use crate::coordinator::{Coordination, InFlightBatch, Proposals, Shared, Waiting};
use crate::lease::LeaseMode;
use crate::mutants::Mutant;
use crate::replica::Replica;
use crate::slot::Slot;
use std::hash::{Hash, Hasher};

impl Replica {
    /// Hashes all that later steps depend on, but for time: equal states of replicas with the same settings hash alike,
    /// whatever led to them, for a caller in whose world
    /// - a timer goes off only when it has something to do, and late enough for all that it was set for,
    /// - backoff does not depend on measured latencies, nothing expires, and the wall clock stands.
    ///
    /// # Panics
    /// With leases, with a fair queue, and while puts and gets of the last-write-wins path run: they live by the clock.
    pub fn fingerprint<H: Hasher>(&self, state: &mut H) {
        let Replica { shared, keys, own_answers, started } = self;
        assert!(shared.config.queue == Queue::Fifo, "a fair queue goes by the clock, which is left out here");
        assert!(shared.config.lease.mode == LeaseMode::Off, "leases live by the clock, which is left out here");
        started.hash(state);
        fingerprint_shared(shared, state);
        for (_, message) in own_answers {
            message.hash(state);
        }
        for slot in &keys.slots {
            fingerprint_slot(slot, shared, state);
        }
    }
}

fn fingerprint_shared<H: Hasher>(shared: &Shared, state: &mut H) {
    let Shared {
        config: _,
        members: _,
        me: _,
        clock,
        counters: _,
        to_self,
        prepared_keys,
        latencies: _,
        next_io: _,
        durable,
        birth,
        state: _,
        prune,
        expiry,
        housekeeping_at: _,
        // Without leases there is nothing in these.
        leases: _,
        lease_out: _,
        forwards: _,
        windows: _,
        heard: _,
    } = shared;
    (clock.incarnation(), clock.last_micros(), birth > durable).hash(state);
    (to_self, prepared_keys, expiry.floor_us()).hash(state);
    prune.fingerprint(state);
}

fn fingerprint_slot<H: Hasher>(slot: &Slot, shared: &Shared, state: &mut H) {
    let Slot {
        key,
        acceptor,
        newest_io,
        lazy_io,
        active,
        batch,
        batch_timer_armed: _,
        again,
        queue,
        // Without leases there is nothing in these two.
        away: _,
        plain,
        // Nor in this without a fair queue.
        turns: _,
        fresh: _,
        prepared,
        listed,
        place: _,
        next_serial: _,
        written_us: _,
    } = slot;
    assert!(plain.is_empty(), "puts and gets live by the clock, which is left out here");
    // Only how they stand to each other is ever asked.
    let durable = shared.durable;
    (*newest_io > durable, *lazy_io > durable.max(*newest_io)).hash(state);
    (key, acceptor, prepared, listed).hash(state);
    for coordination in active.iter().chain(again) {
        fingerprint_coordination(coordination, shared, state);
    }
    (active.len(), again.len(), queue.len()).hash(state);
    for waiting in queue {
        let Waiting { origin, request, deadline: _, arrived: _, timer: _, armed: _, past } = waiting;
        (origin, request, past.open, past.born_us).hash(state);
    }
    batch.is_some().hash(state);
    if let Some(batch) = batch {
        let InFlightBatch { tag, next, before, after, update, members, answers, sent: _, wake: _, deadline: _ } = batch;
        (tag, next, before, after, update, answers).hash(state);
        for member in members {
            fingerprint_coordination(member, shared, state);
        }
    }
}

fn fingerprint_coordination<H: Hasher>(coordination: &Coordination, shared: &Shared, state: &mut H) {
    let Coordination {
        origin,
        request,
        request_hash: _,
        timer: _,
        deadline: _,
        armed: _,
        began: _,
        round_began: _,
        wake: _,
        patience_ns: _,
        have,
        cell,
        prepared,
        tag,
        state: at,
        answers,
        proposals,
        diagnostics: _,
        leased: _,
        // Only a fair queue tells others.
        basis: _,
    } = coordination;
    (origin, request, cell, prepared, tag, at, answers).hash(state);
    // Brought up to date with each answer and timer; only a shared proposal that fails uses it as it stands.
    if shared.config.rounds.keeps_ballots() {
        have.hash(state);
    }
    let Proposals { first_us, earlier_open, last } = proposals;
    (first_us, earlier_open).hash(state);
    // Who answered to the last proposal is asked only where rejects can prove something.
    let provable = shared.config.links == Links::NeverDuplicate || shared.config.mutants.has(Mutant::NackAllIsFail);
    if provable { last.hash(state) } else { last.is_some().hash(state) }
}
