//! State fingerprints, for tools that explore the state space. A fingerprint covers exactly the state on which later
//! steps depend.
//!
//! Different paths to the same state differ in counts, measurements and waiting times. So counters, latencies,
//! diagnostics, the numbers of batches and timers, and all times are omitted. Each type is destructured field by
//! field, so that adding a field breaks compilation until its author has decided whether it matters here.

use crate::config::{Links, Queue};
use crate::coordinator::{Coordination, InFlightBatch, Proposals, Shared, Waiting};
use crate::lease::LeaseMode;
use crate::mutants::Mutant;
use crate::replica::Replica;
use crate::slot::Slot;
use std::hash::{Hash, Hasher};

impl Replica {
    /// Hashes all state on which later steps depend, except time. Replicas with the same settings and equal states
    /// have the same hash, whatever their history. This requires that
    /// - a timer fires only when it has work to do, and late enough for everything it was set for,
    /// - backoff does not depend on measured latencies, nothing expires, and the wall clock is stopped.
    ///
    /// # Panics
    /// Panics with leases, with a fair queue, or while last-write-wins puts and gets are running, since these depend
    /// on time.
    pub fn fingerprint<H: Hasher>(&self, state: &mut H) {
        let Replica { shared, keys, own_answers, started } = self;
        assert!(shared.config.queue == Queue::Fifo, "a fair queue goes by the clock, which is left out here");
        assert!(shared.config.lease.mode == LeaseMode::Off, "leases live by the clock, which is left out here");
        assert!(keys.absent.len() == 0, "reads of absent keys live by the clock, which is left out here");
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
        // Empty when leases are off.
        leases: _,
        lease_out: _,
        forwards: _,
        windows: _,
        reply_tracker: _,
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
        retries,
        queue,
        // Empty when leases are off.
        forwarded: _,
        plain_ops,
        // Empty without a fair queue.
        turns: _,
        fresh: _,
        prepared,
        listed,
        place: _,
        next_serial: _,
        written_us: _,
    } = slot;
    assert!(plain_ops.is_empty(), "puts and gets live by the clock, which is left out here");
    // Only the order of these numbers matters.
    let durable = shared.durable;
    (*newest_io > durable, *lazy_io > durable.max(*newest_io)).hash(state);
    (key, acceptor, prepared, listed).hash(state);
    for coordination in active.iter().chain(retries) {
        fingerprint_coordination(coordination, shared, state);
    }
    (active.len(), retries.len(), queue.len()).hash(state);
    for waiting in queue {
        let Waiting { origin, request, deadline: _, arrived: _, timer: _, armed: _, history } = waiting;
        (origin, request, history.open, history.born_us).hash(state);
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
        // Only a fair queue answers other operations from it.
        basis: _,
    } = coordination;
    (origin, request, cell, prepared, tag, at, answers).hash(state);
    // Updated with each reply and timer. Only a failed shared proposal uses the current value.
    if shared.config.rounds.prepares_next_ballot() {
        have.hash(state);
    }
    let Proposals { first_us, earlier_open, last } = proposals;
    (first_us, earlier_open).hash(state);
    // The replies to the last proposal matter only if rejects can prove something.
    let provable = shared.config.links == Links::NeverDuplicate || shared.config.mutants.has(Mutant::NackAllIsFail);
    if provable { last.hash(state) } else { last.is_some().hash(state) }
}
