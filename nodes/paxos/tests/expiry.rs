//! Expiry by ballots, and the floor below which ballots are refused.

mod rig;

use heckle_paxos::row::Lookup;
use heckle_paxos::*;
use rig::*;

const TTL_US: u64 = 1_000;

fn expiring() -> Config {
    Config { paxos_ttl_us: Some(TTL_US), ..config() }
}

fn tag(micros: u64) -> Tag {
    Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(micros, 2) }
}

/// Delivers a message about another key, which shows this node a later ballot, and then lets it sweep.
fn later(rig: &mut Rig, micros: u64) {
    let message = Message { key: Key::from("other"), tag: tag(micros), body: Body::Prepare { have: None } };
    rig.step(Event::Peer { from: n(2), message });
    rig.elapse(1_000 * MS);
    rig.sent.clear();
    assert_eq!(rig.replica.state_bytes(), rig.replica.count_state_bytes());
}

fn state(rig: &Rig) -> Record {
    let of_key = |record: &Record| matches!(record, Record::State { key: of, .. } if *of == key());
    rig.replica.snapshot().find(of_key).expect("the key is known")
}

#[test]
fn what_is_learned_expires_and_its_ballot_stays() {
    let mut rig = Rig::new(expiring());
    let row = row(b(5_000, 2), 1, "x");
    rig.answer_to(tag(5_000), 2, Body::Propose { update: Update::Row(row.data.clone()), next: None });
    rig.answer_to(tag(5_000), 2, Body::Learn { row: row.clone() });
    rig.answer_to(tag(5_100), 3, Body::Prepare { have: None });
    later(&mut rig, 5_999);
    let Record::State { promised, accepted, .. } = state(&rig) else { unreachable!() };
    assert!(promised == b(5_100, 2) && accepted.is_some(), "not yet");
    later(&mut rig, 6_100);
    let Record::State { promised, accepted, row: kept, .. } = state(&rig) else { unreachable!() };
    assert_eq!((promised, accepted), (Ballot::ZERO, None));
    assert_eq!((kept.learned, &kept.data.value), (row.learned, &Some(val("x"))));
    assert_eq!(kept.data.dedupe.entries, []);
    assert_eq!(kept.data.dedupe.find(op(90, 1), 1, Some(5), 0), Lookup::Evicted, "nothing is known of it any more");
    assert_eq!(kept.data.dedupe.find(op(91, 1), 1, Some(6), 0), Lookup::Absent, "first proposed after all that is forgotten");
}

#[test]
fn what_may_be_chosen_never_expires() {
    for update in [Update::Empty, Update::Row(data(1, "x"))] {
        let mut rig = Rig::new(expiring());
        rig.answer_to(tag(5_000), 2, Body::Propose { update: update.clone(), next: None });
        later(&mut rig, 1_000_000);
        let held = Accepted { ballot: b(5_000, 2), update };
        assert_eq!(rig.replica.accepted(&key()), Some(&held));
        // A later promise reports it.
        rig.answer_to(tag(1_000_001), 2, Body::Prepare { have: None });
        let (_, message, _) = rig.sent.last().expect("an answer");
        assert!(matches!(&message.body, Body::Promise { accepted: Some(reported), .. } if *reported == held), "{message:?}");
    }
}

#[test]
fn below_the_floor_everything_is_rejected_for_every_key() {
    let mut rig = Rig::new(expiring());
    rig.answer_to(tag(5_000), 2, Body::Prepare { have: None });
    later(&mut rig, 9_000);
    assert_eq!(rig.replica.floor_us(), 8_000);
    let fresh = Key::from("never seen");
    for (request, body) in [
        (RequestKind::Prepare, Body::Prepare { have: None }),
        (RequestKind::Read, Body::Read { have: Ballot::ZERO }),
        (RequestKind::Propose, Body::Propose { update: Update::Empty, next: None }),
    ] {
        let message = Message { key: fresh.clone(), tag: tag(8_000), body };
        rig.step(Event::Peer { from: n(2), message });
        let (_, answer, after) = rig.sent.pop().expect("an answer");
        let Body::Reject { request: rejected, seen } = answer.body else { panic!("{answer:?}") };
        assert_eq!((rejected, after), (request, None));
        assert!(seen > tag(8_000).ballot && seen < b(8_001, 1), "the sender's next ballot is above it: {seen}");
    }
    assert_eq!(rig.replica.counters().below_floor, 3);
    let message = Message { key: fresh, tag: tag(8_001), body: Body::Prepare { have: None } };
    rig.step(Event::Peer { from: n(2), message });
    assert!(matches!(rig.sent.last().expect("an answer").1.body, Body::Promise { .. }));
}

/// A promise keeps refusing lower ballots after it has expired, even after a crash.
#[test]
fn a_dropped_promise_is_kept_by_the_floor_through_any_restart() {
    let mut rig = Rig::new(expiring());
    rig.answer_to(tag(5_000), 2, Body::Prepare { have: None });
    later(&mut rig, 9_000);
    let Record::State { promised, .. } = state(&rig) else { unreachable!() };
    assert_eq!(promised, Ballot::ZERO, "it has expired");
    let snapshot: Vec<Record> = rig.replica.snapshot().collect();
    assert!(snapshot.contains(&Record::Floor { micros: 8_000 }), "{snapshot:?}");
    for (what, records) in [("log", rig.records.clone()), ("snapshot", snapshot)] {
        let mut rig = Rig::recovered(expiring(), records);
        rig.answer_to(tag(4_000), 3, Body::Propose { update: Update::Row(data(1, "late")), next: None });
        let (_, answer, _) = rig.sent.pop().expect("an answer");
        assert!(matches!(answer.body, Body::Reject { .. }), "from the {what}: {answer:?}");
    }
}

#[test]
fn a_quiet_node_sets_no_timers() {
    let mut rig = Rig::new(expiring());
    later(&mut rig, 9_000);
    let sweeps = rig.replica.counters().expired;
    rig.elapse(100_000 * MS);
    assert_eq!(rig.replica.counters().expired, sweeps);
    assert_eq!(rig.armed(), 0, "nothing is left to sweep");
}

/// An operation was declared aborted. A node that still coordinates it must find the abort, however the clocks jump.
#[test]
fn an_aborted_operation_is_not_forgotten() {
    let entry = |client, proposed_us, fate| DedupeEntry { op: op(client, 1), request_hash: 1, proposed_us, fate };
    let entries = vec![entry(1, 10, OpFate::Applied), entry(2, 20, OpFate::Aborted), entry(3, 30, OpFate::Applied)];
    let table = Dedupe { entries, ..Dedupe::default() };
    let expired = table.expired(1_000).expect("the first one");
    assert_eq!((expired.entries.len(), expired.watermark_us), (2, 10));
    assert_eq!(expired.find(op(2, 1), 1, None, 0), Lookup::Known(OpFate::Aborted));
    assert_eq!(expired.expired(1_000), None);
    assert_eq!(table.expired(9), None);
}

/// The next update of the key drops the entries expired as of its ballot, identically on all replicas.
#[test]
fn an_update_leaves_out_what_has_expired_at_its_ballot() {
    let mut rig = Rig::new(expiring());
    rig.wall = WallTime(2_000_000);
    let old = row(b(1_000, 2), 1, "x");
    rig.answer_to(tag(1_000), 2, Body::Learn { row: old.clone() });
    rig.ask(op(1, 1), Call::Write { new: val("y") });
    rig.promise_with(2, None, old.learned);
    rig.answer(2, Body::RowRead { learned: old.learned, newer: None });
    let sent = rig.take_sent();
    let update = sent.iter().rev().find_map(|(_, message)| match &message.body {
        Body::Propose { update: Update::Row(data), .. } => Some(data.clone()),
        _ => None,
    });
    let dedupe = &update.expect("a propose was sent").dedupe;
    assert_eq!((dedupe.entries.len(), dedupe.watermark_us), (1, 5));
}

/// The mutant uses its own clock, and so revokes a promise.
#[cfg(feature = "mutants")]
#[test]
fn by_local_time_a_promise_is_taken_back() {
    for (mutants, promised_again) in [(Mutants::NONE, false), (Mutants::only(Mutant::TtlByLocalTime), true)] {
        let mut rig = Rig::new(Config { mutants, ..expiring() });
        rig.answer_to(tag(5_000), 2, Body::Prepare { have: None });
        rig.wall = WallTime(rig.wall.0 + 2 * TTL_US);
        rig.answer_to(tag(4_500), 3, Body::Propose { update: Update::Row(data(1, "x")), next: None });
        let (_, answer, _) = rig.sent.pop().expect("an answer");
        assert_eq!(matches!(answer.body, Body::Accepted), promised_again, "{answer:?}");
    }
}
