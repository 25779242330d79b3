//! Fate queries: answers from the row, and the abort that makes "not applied" true.

mod rig;

use heckle_paxos::*;
use rig::*;
use std::sync::Arc;

/// The queried operation: client 1's fifth.
fn asked() -> OpId {
    op(1, 5)
}

fn question(born_us: u64) -> Call {
    Call::Fate { of: asked(), born: if born_us == 0 { Ballot::ZERO } else { b(born_us, 2) } }
}

fn table(entries: Vec<DedupeEntry>, watermark_us: u64) -> Row {
    let mut stored = (*data(3, "theirs")).clone();
    stored.dedupe = Dedupe { entries, watermark_us, ..Dedupe::default() };
    Row { learned: b(500, 2), data: Arc::new(stored) }
}

/// Returns a rig in which n1 and n2 hold `row`.
fn holding(row: &Row) -> Rig {
    Rig::recovered(config(), vec![Record::Learned { key: key(), row: row.clone() }])
}

fn promise_and_read(rig: &mut Rig, learned: Ballot) {
    rig.promise_with(2, None, learned);
    rig.row_read(2);
}

#[track_caller]
fn check_fate(entries: Vec<DedupeEntry>, watermark_us: u64, born_us: u64, expected: Option<Fate>) {
    let row = table(entries, watermark_us);
    let mut rig = holding(&row);
    rig.ask(op(8, 1), question(born_us));
    promise_and_read(&mut rig, row.learned);
    let answer = rig.replies.first().map(|reply| reply.1.clone());
    assert_eq!(answer, expected.map(|fate| Outcome::Fate { fate }));
}

#[test]
#[rustfmt::skip] // A table.
fn the_row_answers_what_it_knows() {
    let entry = |client, seq, fate| DedupeEntry { op: op(client, seq), request_hash: 9, proposed_us: 400, fate };
    let (applied, aborted) = (OpFate::Applied, OpFate::Aborted);
    //         table                                              watermark  born  answer (none: continues to an abort)
    check_fate(vec![],                                            0,         0,    None);
    check_fate(vec![entry(1, 5, applied)],                        0,         0,    Some(Fate::Applied));
    check_fate(vec![entry(1, 5, aborted)],                        0,         0,    Some(Fate::NotApplied));
    check_fate(vec![entry(1, 5, aborted), entry(1, 6, applied)],  0,         0,    Some(Fate::NotApplied));
    check_fate(vec![entry(1, 6, applied)],                        0,         0,    Some(Fate::Superseded));
    check_fate(vec![entry(1, 4, applied), entry(1, 6, aborted)],  0,         0,    None);
    check_fate(vec![entry(2, 5, applied)],                        450,       450,  Some(Fate::Evicted));
    check_fate(vec![entry(2, 5, applied)],                        450,       0,    Some(Fate::Evicted));
    check_fate(vec![entry(2, 5, applied)],                        450,       451,  None);
}

/// The abort is proposed, accepted and learned before the reply, and keeps the value.
#[test]
fn not_applied_is_said_once_the_abort_is_learned() {
    let row = table(vec![], 0);
    let mut rig = holding(&row);
    rig.ask(op(8, 1), question(0));
    promise_and_read(&mut rig, row.learned);
    let sent = rig.take_sent();
    let proposed = sent.iter().find_map(|(_, message)| match &message.body {
        Body::Propose { update: Update::Row(data), .. } => Some(data.clone()),
        _ => None,
    });
    let proposed = proposed.expect("an update is proposed");
    assert_eq!((&proposed.value, proposed.version), (&row.data.value, row.data.version + 1));
    let newest = proposed.dedupe.newest().map(|entry| (entry.op, entry.fate));
    assert_eq!(newest, Some((asked(), OpFate::Aborted)));
    assert!(rig.replies.is_empty());
    rig.accepted(2);
    assert!(rig.replies.is_empty(), "accepted is not learned");
    rig.learned(2);
    assert_eq!(rig.outcome(), &Outcome::Fate { fate: Fate::NotApplied });

    // The operation arrives after the abort: first at this node, then at one whose table has forgotten the abort.
    let stored = rig.replica.row(&key()).expect("it is learned").clone();
    rig.ask(asked(), Call::Write { new: val("late") });
    promise_and_read(&mut rig, stored.learned);
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::Aborted });
    assert_eq!(rig.replica.row(&key()).and_then(|row| row.data.value.clone()), Some(val("theirs")));
}

/// If the queried update is unfinished, it is finished rather than aborted.
#[test]
fn what_is_in_progress_is_finished_first() {
    let mut rig = Rig::new(config());
    rig.ask(op(8, 1), question(0));
    let theirs = data_by(asked(), 1, "in progress");
    rig.promise_with(2, Some(Accepted { ballot: b(10, 2), update: Update::Row(theirs.clone()) }), Ballot::ZERO);
    rig.kinds();
    rig.accepted(2);
    rig.learned(2);
    let learned = rig.replica.row(&key()).expect("it is learned").learned;
    promise_and_read(&mut rig, learned);
    assert_eq!(rig.outcome(), &Outcome::Fate { fate: Fate::Applied });
    assert_eq!(rig.replies[0].2.repaired_op, Some(asked()));
}

/// An operation that finds its own abort has not been applied.
#[test]
fn an_operation_that_repairs_its_own_abort_is_not_applied() {
    let mut rig = Rig::new(config());
    rig.ask(asked(), Call::Write { new: val("mine") });
    let mut aborted = (*data(1, "theirs")).clone();
    aborted.dedupe.entries = vec![DedupeEntry { op: asked(), request_hash: 0, proposed_us: 5, fate: OpFate::Aborted }];
    rig.promise_with(2, Some(Accepted { ballot: b(10, 2), update: Update::Row(Arc::new(aborted)) }), Ballot::ZERO);
    rig.accepted(2);
    rig.learned(2);
    let learned = rig.replica.row(&key()).expect("it is learned").learned;
    promise_and_read(&mut rig, learned);
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::Aborted });
}

#[test]
fn a_question_without_a_quorum_stays_open() {
    for proposed in [false, true] {
        let mut rig = Rig::new(config());
        rig.ask(op(8, 1), question(0));
        if proposed {
            rig.promise(2);
            rig.row_read(2);
        }
        rig.elapse(TIMEOUT_NS);
        assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::Timeout });
    }
    // A full queue does not answer "not applied" either, since that would be misread as the operation's fate.
    let mut config = config();
    config.queue_per_key = 0;
    let mut rig = Rig::new(config);
    rig.ask(op(2, 1), Call::Read);
    rig.ask(op(8, 1), question(0));
    assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::Busy });
}

/// The abort's ballot is above the operation's birth, so its watermark will be too.
#[test]
fn the_abort_is_made_above_the_birth_of_the_operation() {
    let mut rig = Rig::new(config());
    let hour_us = 3_600_000_000;
    let ahead_us = rig.wall.0 + hour_us;
    rig.ask(op(8, 1), question(ahead_us));
    assert!(rig.tag.expect("a prepare was sent").ballot.micros > ahead_us);
    let far_us = rig.wall.0 + 30 * hour_us;
    let mut rig = Rig::new(config());
    rig.ask(op(8, 1), question(far_us));
    assert_eq!(rig.outcome(), &Outcome::Invalid { why: InvalidWhy::BornAhead });
}

/// Checks the delayed request of an aborted operation, after the row has forgotten the abort.
#[track_caller]
fn check_late(provenance: Provenance, expected: Option<Outcome>) {
    let mut stored = (*data(3, "theirs")).clone();
    stored.dedupe.aborted_watermark_us = 450;
    let row = Row { learned: b(500, 2), data: Arc::new(stored) };
    let mut rig = holding(&row);
    let call = Call::Write { new: val("late") };
    rig.request(ClientRequest { op: asked(), key: key(), call, timeout_ns: TIMEOUT_NS, provenance });
    promise_and_read(&mut rig, row.learned);
    assert_eq!(rig.replies.first().map(|reply| reply.1.clone()), expected);
}

#[test]
fn a_request_born_before_forgotten_aborts_is_refused() {
    let too_old = Some(Outcome::NotApplied { why: NotAppliedWhy::TooOld });
    check_late(Provenance::FirstAfter { born: b(450, 2) }, too_old.clone());
    check_late(Provenance::First, too_old);
    check_late(Provenance::FirstAfter { born: b(451, 2) }, None);
    let elsewhere = Outcome::Unknown { why: UnknownWhy::ResentElsewhere };
    check_late(Provenance::Resent { born: b(450, 2) }, Some(elsewhere));
}

#[cfg(feature = "mutants")]
#[test]
fn without_the_fence_not_applied_is_said_and_nothing_recorded() {
    let row = table(vec![], 0);
    let mut config = config();
    config.mutants = Mutants::only(Mutant::FateWithoutFence);
    let mut rig = Rig::recovered(config, vec![Record::Learned { key: key(), row: row.clone() }]);
    rig.ask(op(8, 1), question(0));
    promise_and_read(&mut rig, row.learned);
    assert_eq!(rig.outcome(), &Outcome::Fate { fate: Fate::NotApplied });
    // With the bug, the delayed request is applied.
    rig.ask(asked(), Call::Write { new: val("late") });
    promise_and_read(&mut rig, row.learned);
    rig.accepted(2);
    rig.learned(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);
}
