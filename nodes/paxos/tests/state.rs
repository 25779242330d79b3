//! Ballots, the table of operation ids, settings, and what survives a restart.

mod rig;

use heckle_paxos::ballot::BallotClock;
use heckle_paxos::mutants::REGISTRY;
use heckle_paxos::row::Lookup;
use heckle_paxos::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rig::*;

fn rng(seed: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed)
}

#[test]
fn ballots_rise_whatever_the_wall_clock_does() {
    let mut clock = BallotClock::new(n(2));
    clock.begin_incarnation();
    let mut rng = rng(1);
    let mut last = Ballot::ZERO;
    for wall_us in [1_000, 1_000, 5_000, 10, 0, 5_001, u64::MAX, 3] {
        let ballot = clock.next(WallTime(wall_us), &mut rng);
        assert!(ballot > last && ballot.micros <= Ballot::MAX_MICROS, "{ballot} after {last} at {wall_us} us");
        assert!(ballot.node == n(2) && ballot.nonce >> 32 == 1);
        last = ballot;
    }
    let seen = b(Ballot::MAX_MICROS - 5, 3);
    clock.observe(seen);
    assert!(clock.next(WallTime(1), &mut rng) > seen);
}

#[test]
fn two_processes_of_a_node_never_make_the_same_ballot() {
    // The wall clock and the random numbers are the same, and only the incarnation differs.
    let ballots = |recovered: &[Record]| {
        let mut rig = Rig::recovered(config(), recovered.to_vec());
        rig.ask(op(1, 1), Call::Read);
        (rig.tag.expect("a prepare was sent"), rig.records)
    };
    let (first, records) = ballots(&[]);
    // The node's promise to itself is lost, but its incarnation is not, because nothing was sent before it was
    // durable.
    let (second, _) = ballots(&records[..1]);
    assert_ne!(first.ballot, second.ballot);
    assert_eq!((first.incarnation, second.incarnation), (1, 2));
}

#[test]
fn a_ballot_reads_time_node_nonce() {
    assert_eq!(Ballot { micros: 1_795_400_000_088_000, node: n(2), nonce: 0x15f }.to_string(), "1795400000088000.n2.15f");
    assert_eq!(op(3, 41).to_string(), "c3.41");
}

fn entry(client: u64, seq: u64, proposed_us: u64) -> DedupeEntry {
    DedupeEntry { op: op(client, seq), request_hash: 1, proposed_us, fate: OpFate::Applied }
}

fn limits(applied: usize) -> DedupeLimits {
    DedupeLimits { applied, aborted: 2 }
}

#[test]
fn the_table_keeps_the_newest_of_each_client_and_evicts_the_oldest() {
    let mut table = Dedupe::default();
    for (at, client) in [1, 2, 1, 3].into_iter().enumerate() {
        let us = 10 * (at as u64 + 1);
        table = table.with(entry(client, us, us), limits(3));
    }
    let clients = |table: &Dedupe| table.entries.iter().map(|entry| entry.op.client).collect::<Vec<u64>>();
    assert_eq!((clients(&table), table.watermark_us), (vec![2, 1, 3], 0), "a newer operation replaces its client's older one");
    table = table.with(entry(4, 1, 50), limits(3));
    assert_eq!((clients(&table), table.watermark_us), (vec![1, 3, 4], 20), "the oldest goes, its time stays");
    assert_eq!(table.find(op(2, 20), 1, Some(20), 0), Lookup::Evicted);
    assert_eq!(table.find(op(2, 21), 1, Some(21), 0), Lookup::Absent, "it was first proposed after the newest evicted one");
    assert_eq!(table.find(op(2, 22), 1, None, 0), Lookup::Absent, "it was never proposed");
    assert_eq!(table.newest().map(|entry| entry.op.client), Some(4));
    // A smaller limit, set later, takes effect with the next update.
    let table = table.with(entry(5, 1, 60), limits(1));
    assert_eq!((clients(&table), table.watermark_us), (vec![5], 50));
}

#[test]
fn aborts_are_kept_apart_from_what_their_client_did_later() {
    let abort = |client, seq, us| DedupeEntry { request_hash: 0, fate: OpFate::Aborted, ..entry(client, seq, us) };
    let aborted = Lookup::Known(OpFate::Aborted);
    let mut table = Dedupe::default().with(abort(1, 5, 10), limits(1)).with(entry(1, 6, 20), limits(1));
    assert_eq!(table.find(op(1, 5), 1, None, 4), aborted, "the next operation does not take its place");
    assert_eq!((table.find(op(1, 6), 1, None, 4), table.find(op(1, 4), 1, None, 4)), (Lookup::Known(OpFate::Applied), Lookup::Superseded));
    // Nor does its eviction, or a repeated abort.
    table = table.with(entry(2, 1, 30), limits(1)).with(abort(1, 5, 40), limits(1)).with(abort(3, 1, 50), limits(1));
    assert_eq!((table.find(op(1, 5), 1, None, 4), table.watermark_us, table.aborted_watermark_us), (aborted, 20, 0));
    // Its own eviction does. After that, the time of its birth decides.
    table = table.with(abort(4, 1, 60), limits(1));
    assert_eq!(table.aborted_watermark_us, 40);
    assert_eq!(table.find(op(1, 5), 1, None, 4), Lookup::TooOld);
    assert_eq!(table.find(op(9, 1), 1, None, 0), Lookup::TooOld, "without a birth it may be any");
    assert_eq!(table.find(op(9, 1), 1, None, 41), Lookup::Absent);
    assert_eq!(table.find(op(9, 1), 1, Some(15), 4), Lookup::Evicted, "it may even have been applied");
}

/// The same rule for aborts: a request born before its abort is never considered new.
#[test]
fn no_aborted_operation_is_ever_called_absent() {
    for seed in 0..200 {
        let mut rng = rng(seed);
        let limits = DedupeLimits { applied: rng.random_range(1..4), aborted: rng.random_range(1..4) };
        let mut table = Dedupe::default();
        let mut aborted = Vec::new();
        for us in (10..300).step_by(10) {
            let client = rng.random_range(1..5);
            if rng.random() {
                table = table.with(entry(client, us, us), limits);
                continue;
            }
            let entry = DedupeEntry { fate: OpFate::Aborted, ..entry(client, us, us) };
            table = table.with(entry, limits);
            aborted.push((entry.op, us - rng.random_range(1..10)));
            for (op, born_us) in &aborted {
                let found = table.find(*op, 1, None, *born_us);
                assert_ne!(found, Lookup::Absent, "seed {seed}: {op}, born at {born_us}, was aborted, {table:?}");
            }
        }
    }
}

/// Compares the eviction rule with the facts: an applied operation is never called absent.
#[test]
fn no_applied_operation_is_ever_called_absent() {
    for seed in 0..200 {
        let mut rng = rng(seed);
        let limit = rng.random_range(1..6);
        let mut table = Dedupe::default();
        let mut applied = Vec::new();
        for us in (10..400).step_by(10) {
            let client = rng.random_range(1..12);
            // The first proposal of an operation is at or before the chosen one.
            let first_us = us - rng.random_range(0..10);
            table = table.with(entry(client, us, us), limits(limit));
            assert!(table.entries.len() <= limit);
            applied.push((op(client, us), first_us));
            for (op, first_us) in &applied {
                let found = table.find(*op, 1, Some(*first_us), 0);
                assert_ne!(found, Lookup::Absent, "seed {seed}: {op} was applied, first proposed at {first_us}, {table:?}");
            }
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_in_words() {
    let members = |nodes: &[u16]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
    let with = |change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        config
    };
    for (config, words) in [
        (Config::new(n(4), members(&[1, 2, 3])), "node n4 is not among the members"),
        (Config::new(n(1), members(&[1, 2, 2])), "member n2 is listed twice"),
        (Config::new(n(1), (1..=65).map(NodeId).collect()), "65 members: at most 64"),
        (with(|config| config.dedupe_entries = 0), "dedupe_entries is 0"),
        (with(|config| config.aborted_entries = 0), "aborted_entries is 0"),
        (with(|config| config.resend_after_ns = 0), "resend_after_ns is 0"),
    ] {
        let error = Replica::new(config).expect_err("it is refused").to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_registry_names_each_mutant_once() {
    for (at, info) in REGISTRY.iter().enumerate() {
        assert_eq!(Mutant::ALL[at], info.mutant);
        assert_eq!(Mutant::from_name(info.name), Some(info.mutant));
        assert_eq!(info.mutant.info().name, info.name);
        assert_eq!(Mutants::only(info.mutant).has(info.mutant), cfg!(feature = "mutants"));
        assert!(!Mutants::NONE.has(info.mutant));
    }
    assert_eq!(Mutant::from_name("no-such-bug"), None);
}

/// Draws a request from a simulated peer. Many of them are late, duplicated or absurd.
fn random_request(rng: &mut Pcg64) -> (u16, Message) {
    let ballot = b(rng.random_range(1..40), rng.random_range(2..4));
    let version = rng.random_range(1..9);
    let next = (rng.random_range(0..3) == 0).then(|| b(ballot.micros + rng.random_range(1..9), ballot.node.0));
    let body = match rng.random_range(0..6) {
        0 => Body::Prepare { have: None },
        1 => Body::Propose { update: Update::Empty, next },
        2 => Body::Propose { update: Update::Row(data(version, "x")), next },
        3 => Body::Chosen,
        4 => Body::Prune { ballot: b(rng.random_range(1..40), 2) },
        _ => Body::Learn { row: row(b(rng.random_range(1..40), 2), version, "y") },
    };
    let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot };
    let key = Key::from(["k1", "k2", "k3"][rng.random_range(0..3)]);
    (ballot.node.0, Message { key, tag, body })
}

/// The state of each key. A prune of an unknown key leaves no record, so the order of first use may differ.
fn states(replica: &Replica) -> Vec<Record> {
    let mut states: Vec<Record> = replica.snapshot().filter(|record| !matches!(record, Record::Incarnation { .. })).collect();
    let empty = |record: &Record| matches!(record, Record::State { promised, accepted: None, row, .. } if promised.is_zero() && row.learned.is_zero());
    states.retain(|record| !empty(record));
    states.sort_by_key(|record| match record {
        Record::State { key, .. } => Some(key.clone()),
        _ => None,
    });
    states
}

fn recovered(records: impl IntoIterator<Item = Record>) -> Replica {
    let mut replica = Replica::new(config()).expect("valid settings");
    records.into_iter().for_each(|record| replica.recover(record));
    replica
}

#[test]
fn log_snapshot_and_any_overlap_of_both_recover_the_same_state() {
    for seed in 0..300 {
        let mut rng = rng(seed);
        let mut rig = Rig::new(config());
        let mut snapshots = Vec::new();
        for _ in 0..rng.random_range(1..60) {
            let (from, message) = random_request(&mut rng);
            rig.step(Event::Peer { from: n(from), message });
            if rng.random_range(0..10) == 0 {
                snapshots.push((rig.records.len(), rig.replica.snapshot().collect::<Vec<_>>()));
            }
        }
        let live = states(&rig.replica);
        assert_eq!(states(&recovered(rig.records.clone())), live, "seed {seed}: from the log");
        for (at, snapshot) in snapshots {
            // The snapshot may overlap the log by any number of records.
            let from = rng.random_range(0..=at);
            let records = snapshot.into_iter().chain(rig.records[from..].iter().cloned());
            assert_eq!(states(&recovered(records)), live, "seed {seed}: snapshot at {at}, log from {from}");
        }
        let again = rig.records.iter().chain(&rig.records).cloned();
        assert_eq!(states(&recovered(again)), live, "seed {seed}: the log twice");
    }
}

#[test]
fn state_is_counted_by_kind() {
    let mut rig = Rig::new(config());
    assert_eq!(rig.replica.state_bytes(), StateBytes::default());
    let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(10, 2) };
    rig.answer_to(tag, 2, Body::Prepare { have: None });
    let promised = rig.replica.state_bytes();
    assert_eq!((promised.keys, promised.rows, promised.accepted, promised.data), (1, 0, 0, 2));
    rig.answer_to(tag, 2, Body::Propose { update: Update::Row(data(1, "xyz")), next: None });
    let accepted = rig.replica.state_bytes();
    assert_eq!((accepted.promise, accepted.rows), (0, 0), "what is accepted implies the promise");
    assert!(accepted.accepted > 0);
    rig.answer_to(tag, 2, Body::Learn { row: row(b(10, 2), 1, "xyz") });
    let learned = rig.replica.state_bytes();
    assert_eq!((learned.rows, learned.accepted, learned.data), (1, accepted.accepted, 5), "the copy stays");
    assert!(learned.dedupe > promised.dedupe);
    assert_eq!(learned.total(), learned.data + learned.promise + learned.accepted + learned.dedupe);
    rig.answer_to(tag, 2, Body::Prune { ballot: b(10, 2) });
    let pruned = rig.replica.state_bytes();
    assert_eq!((pruned.accepted, pruned.total()), (0, learned.total() - learned.accepted));
}

#[test]
fn bytes_kept_up_to_date_are_the_bytes_there_are() {
    for seed in 0..100 {
        let mut rng = rng(seed);
        let mut rig = Rig::new(config());
        for _ in 0..60 {
            let (from, message) = random_request(&mut rng);
            rig.step(Event::Peer { from: n(from), message });
            assert_eq!(rig.replica.state_bytes(), rig.replica.count_state_bytes(), "seed {seed}");
        }
        let again = recovered(rig.records.clone());
        assert_eq!(again.state_bytes(), again.count_state_bytes(), "seed {seed}: recovered");
    }
}

#[test]
fn messages_that_no_correct_node_sends_are_dropped() {
    let mut rig = Rig::new(config());
    let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(10, 2) };
    let absurd = b(Ballot::MAX_MICROS + 1, 2);
    rig.answer_to(Tag { ballot: absurd, ..tag }, 2, Body::Prepare { have: None });
    rig.answer_to(tag, 2, Body::Learn { row: row(absurd, 1, "x") });
    rig.answer_to(tag, 9, Body::Prepare { have: None });
    let message = Message { key: Key::from(""), tag, body: Body::Prepare { have: None } };
    rig.step(Event::Peer { from: n(2), message });
    assert_eq!(rig.replica.counters().messages_refused, 4);
    assert!(rig.sent.is_empty() && states(&rig.replica).is_empty());
}
