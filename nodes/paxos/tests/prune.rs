//! Pruning: which replicas receive a prune, and when a slot is free again.

mod rig;

use heckle_paxos::*;
use rig::*;

fn pruning() -> Config {
    Config { prune: Prune::On, prune_after_ns: 50 * MS, ..config() }
}

/// Runs a write that is chosen, and learned by n1 and by the replicas in `learned_by`.
fn decide(rig: &mut Rig, client: u64, learned_by: &[u16]) -> Tag {
    rig.ask(op(client, 1), Call::Write { new: val("x") });
    rig.promise(2);
    rig.row_read(2);
    rig.accepted(2);
    let tag = rig.tag.expect("a learn was sent");
    for node in learned_by {
        rig.answer_to(tag, *node, Body::Learned { learned: tag.ballot });
    }
    rig.sent.clear();
    tag
}

fn pruned(rig: &mut Rig, tag: Tag, from: u16) {
    rig.answer_to(tag, from, Body::Pruned { pruned: tag.ballot });
}

/// Number of accepted copies that this node holds.
fn copies(rig: &Rig) -> u64 {
    let copy = |record: Record| matches!(record, Record::State { accepted: Some(_), .. });
    rig.replica.snapshot().map(|record| u64::from(copy(record))).sum()
}

#[test]
fn once_all_have_learned_all_prune_and_the_slot_is_free() {
    let mut rig = Rig::new(pruning());
    // The third reply arrives after the operation has ended, and still counts.
    let tag = decide(&mut rig, 1, &[2, 3]);
    assert_eq!((rig.outcome(), rig.replica.prune_queue_len(), copies(&rig)), (&Outcome::Applied, 1, 1));
    rig.elapse(49 * MS);
    assert!(rig.kinds().is_empty(), "the key may be decided anew");
    rig.elapse(2 * MS);
    assert_eq!(rig.kinds(), ["prune>n2", "prune>n3"]);
    assert_eq!(copies(&rig), 0, "its own copy is gone");
    pruned(&mut rig, tag, 2);
    assert_eq!(rig.replica.prune_queue_len(), 1);
    pruned(&mut rig, tag, 3);
    assert_eq!((rig.replica.prune_queue_len(), rig.replica.state_bytes().queue), (0, 0));
    rig.elapse(10_000 * MS);
    assert!(rig.kinds().is_empty());
    assert_eq!(rig.replica.counters().pruned, 1);
}

#[test]
fn a_node_that_has_not_learned_gets_the_row_again_before_any_node_prunes() {
    let mut rig = Rig::new(pruning());
    let tag = decide(&mut rig, 1, &[2]);
    rig.elapse(51 * MS);
    assert_eq!(rig.kinds(), ["learn>n3"], "only n3 is asked again");
    rig.elapse(50 * MS);
    assert_eq!(rig.kinds(), ["learn>n3"], "and again");
    assert_eq!(copies(&rig), 1);
    // A reply about an older row, which n3 had before.
    rig.answer_to(tag, 3, Body::Learned { learned: b(1, 1) });
    rig.elapse(98 * MS);
    assert!(rig.kinds().is_empty(), "less and less often");
    rig.elapse(2 * MS);
    assert_eq!(rig.kinds(), ["learn>n3"]);
    rig.answer_to(tag, 3, Body::Learned { learned: tag.ballot });
    rig.elapse(200 * MS);
    assert_eq!(rig.kinds(), ["prune>n2", "prune>n3"]);
    pruned(&mut rig, tag, 3);
    rig.elapse(51 * MS);
    assert_eq!(rig.kinds(), ["prune>n2"], "a lost prune is sent again");
    pruned(&mut rig, tag, 2);
    assert_eq!(rig.replica.prune_queue_len(), 0);
    assert_eq!(rig.replica.counters().prune_resends, 4);
}

#[test]
fn what_is_not_durable_here_is_not_pruned() {
    let mut rig = Rig::new(pruning());
    rig.ask(op(1, 1), Call::Write { new: val("x") });
    rig.promise(2);
    rig.row_read(2);
    rig.disk = DiskMode::Held;
    // The node's own accept and learn are written but not synced.
    rig.accepted(2);
    rig.accepted(3);
    rig.learned(2);
    rig.learned(3);
    rig.elapse(60 * MS);
    assert!(!rig.kinds().iter().any(|kind| kind.starts_with("prune")), "this node's own learn is not durable");
    rig.sync();
    rig.elapse(45 * MS);
    assert_eq!(rig.kinds(), ["prune>n2", "prune>n3"]);
}

#[test]
fn a_hot_key_has_one_slot_and_its_newest_decision_counts() {
    let mut rig = Rig::new(pruning());
    for client in 1..=5 {
        decide_again(&mut rig, client);
        rig.elapse(20 * MS);
        assert_eq!(rig.replica.prune_queue_len(), 1);
        assert!(!rig.kinds().iter().any(|kind| kind.starts_with("prune")), "it is hot");
    }
    rig.elapse(40 * MS);
    assert_eq!(rig.kinds(), ["prune>n2", "prune>n3"]);
}

/// Runs a write on top of this node's own row, which all replicas have.
fn decide_again(rig: &mut Rig, client: u64) -> Tag {
    let learned = rig.replica.row(&key()).map_or(Ballot::ZERO, |row| row.learned);
    rig.ask(op(client, 1), Call::Write { new: val("x") });
    rig.promise_with(2, None, learned);
    rig.answer(2, Body::RowRead { learned, newer: None });
    rig.accepted(2);
    rig.learned(2);
    rig.learned(3);
    rig.sent.clear();
    rig.tag.expect("a learn was sent")
}

#[test]
fn another_coordinators_newer_decision_takes_the_work_over() {
    let mut rig = Rig::new(pruning());
    let tag = decide(&mut rig, 1, &[2, 3]);
    let newer = Ballot { micros: tag.ballot.micros + 10, ..b(0, 2) };
    let theirs = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: newer };
    rig.answer_to(theirs, 2, Body::Learn { row: row(newer, 2, "y") });
    rig.sent.clear();
    rig.elapse(100 * MS);
    assert_eq!((rig.kinds(), rig.replica.prune_queue_len()), (vec![], 0));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let mut rig = Rig::new(Config { prune_queue: 1, ..pruning() });
    decide(&mut rig, 1, &[2]);
    let other = ClientRequest {
        op: op(2, 1),
        key: Key::from("k2"),
        call: Call::Write { new: val("y") },
        timeout_ns: TIMEOUT_NS,
        provenance: Provenance::First,
    };
    rig.request(other);
    let tag = rig.tag.expect("a prepare was sent");
    for body in [
        Body::Promise { old_promise: Ballot::ZERO, accepted: None, learned: Ballot::ZERO, newer: None },
        Body::RowRead { learned: Ballot::ZERO, newer: None },
        Body::Accepted,
    ] {
        rig.step(Event::Peer { from: n(2), message: Message { key: Key::from("k2"), tag, body } });
    }
    assert_eq!((rig.replica.prune_queue_len(), rig.replica.counters().prune_dropped), (1, 1));
}

#[test]
fn without_pruning_the_copy_stays_and_nothing_waits() {
    let mut rig = Rig::new(config());
    decide(&mut rig, 1, &[2, 3]);
    rig.elapse(10_000 * MS);
    assert_eq!((rig.kinds(), rig.replica.prune_queue_len(), copies(&rig)), (vec![], 0, 1));
}

#[cfg(feature = "mutants")]
#[test]
fn a_leaked_slot_is_never_free_again() {
    let mut rig = Rig::new(Config { mutants: Mutants::only(Mutant::PruneLeak), ..pruning() });
    for client in 1..=3 {
        let tag = decide_again(&mut rig, client);
        rig.elapse(60 * MS);
        rig.sent.clear();
        pruned(&mut rig, tag, 2);
        pruned(&mut rig, tag, 3);
        assert_eq!(rig.replica.prune_queue_len() as u64, client);
    }
    assert_eq!(rig.replica.counters().pruned, 3, "the copies do go, while there are slots");
}

/// The learned row is lost with the process, and the copy was pruned, so nothing of the update remains.
#[cfg(feature = "mutants")]
#[test]
fn a_row_that_is_not_in_the_log_goes_with_the_copy() {
    for (mutants, left) in [(Mutants::NONE, true), (Mutants::only(Mutant::LearnNotSynced), false)] {
        let mut rig = Rig::new(Config { mutants, ..pruning() });
        let tag = decide(&mut rig, 1, &[2, 3]);
        let before = rig.records.clone();
        rig.elapse(60 * MS);
        assert_eq!(copies(&rig), 0);
        let again = |records: Vec<Record>| Rig::recovered(Config { mutants, ..pruning() }, records).replica;
        assert!(again(before).accepted(&key()).is_some() || left, "before the prune the copy repairs it");
        let replica = again(rig.records.clone());
        assert_eq!(replica.row(&key()).is_some_and(|row| row.learned == tag.ballot), left);
        assert!(replica.accepted(&key()).is_none());
    }
}
