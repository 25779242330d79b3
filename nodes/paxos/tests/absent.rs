//! Reads of keys that have never been written leave no state behind, and operations end when their client
//! disconnects.

mod rig;

use heckle_paxos::*;
use rig::*;

fn quorum_reads() -> Rig {
    let mut config = config();
    config.absent_reads = AbsentReads::Quorum;
    Rig::new(config)
}

fn nothing() -> Body {
    Body::RowRead { learned: Ballot::ZERO, newer: None }
}

#[track_caller]
fn check_no_trace(rig: &Rig) {
    assert_eq!(rig.replica.state_bytes(), StateBytes::default(), "the read leaves state behind");
    assert_eq!((rig.replica.in_flight(), rig.replica.snapshot().count()), (0, 1), "only the incarnation is left");
    assert!(matches!(rig.records[..], [Record::Incarnation { .. }]), "{:?}", rig.records);
}

#[test]
fn a_read_of_an_absent_key_takes_one_round_and_leaves_nothing_behind() {
    let mut rig = quorum_reads();
    rig.ask(op(1, 1), Call::Read);
    assert_eq!(rig.kinds(), ["read>n2", "read>n3"]);
    assert!(rig.replies.is_empty(), "this node alone is no quorum");
    rig.answer(2, nothing());
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (Outcome::Read { current: None }, Phase::Read, 1));
    rig.answer(3, nothing());
    assert!(rig.kinds().is_empty() && rig.replies.is_empty());
    check_no_trace(&rig);

    rig.ask_cheap(op(1, 2), PlainCall::Get, Level::Quorum);
    rig.answer(2, Body::Got { cell: None });
    assert_eq!(rig.outcome(), &Outcome::Read { current: None });
    check_no_trace(&rig);
    // Without the setting, the same read leaves a promise and a fence.
    let mut old = Rig::new(config());
    old.ask(op(1, 1), Call::Read);
    assert!(old.replica.state_bytes().keys == 1 && old.records.len() > 1);
}

#[test]
fn a_replica_without_the_key_says_so_and_keeps_nothing() {
    let mut rig = quorum_reads();
    let tag = Tag { op: op(9, 1), attempt: 1 << 31 | 1, incarnation: 4, ballot: Ballot::ZERO };
    rig.answer_to(tag, 2, Body::Read { have: Ballot::ZERO });
    rig.answer_to(tag, 2, Body::Get);
    rig.answer_to(tag, 2, Body::Prune { ballot: b(5, 2) });
    assert_eq!(rig.kinds(), ["row>n2", "got>n2", "pruned>n2"]);
    check_no_trace(&rig);
}

/// Checks the reply of a replica in a given state when asked whether it stores anything for the key.
#[track_caller]
fn check_answer(before: Option<Body>, expected: &str) {
    let mut rig = quorum_reads();
    if let Some(body) = before {
        rig.answer_to(Tag { op: op(8, 1), attempt: 1, incarnation: 1, ballot: b(10, 2) }, 2, body);
    }
    rig.kinds();
    let tag = Tag { op: op(9, 1), attempt: 1 << 31 | 1, incarnation: 4, ballot: Ballot::ZERO };
    rig.answer_to(tag, 3, Body::Read { have: Ballot::ZERO });
    assert_eq!(rig.kinds(), [expected]);
}

#[test]
fn a_replica_that_has_accepted_or_learned_anything_rejects() {
    check_answer(None, "row>n3");
    // A promise accepts nothing, and a later update is ordered after the read.
    check_answer(Some(Body::Prepare { have: None }), "row>n3");
    check_answer(Some(Body::Propose { update: Update::Empty, next: None }), "reject>n3");
    check_answer(Some(Body::Propose { update: Update::Row(data(1, "x")), next: None }), "reject>n3");
    check_answer(Some(Body::Learn { row: row(b(10, 2), 1, "x") }), "reject>n3");
}

#[test]
fn one_replica_that_has_the_key_makes_it_an_ordinary_read() {
    for body in [
        Body::Reject { request: RequestKind::Read, seen: b(20, 2) },
        Body::RowRead { learned: b(20, 2), newer: Some(row(b(20, 2), 1, "theirs")) },
    ] {
        let mut rig = quorum_reads();
        rig.ask(op(1, 1), Call::Read);
        rig.kinds();
        rig.answer(2, body);
        assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
        assert!(rig.replies.is_empty());
        rig.promise_with(2, None, b(20, 2));
        rig.answer(2, Body::RowRead { learned: b(20, 2), newer: Some(row(b(20, 2), 1, "theirs")) });
        assert_eq!(rig.replica.in_flight(), 1);
    }
}

#[test]
fn an_update_that_arrives_here_in_the_meantime_is_not_missed() {
    let mut rig = quorum_reads();
    rig.disk = DiskMode::Held;
    rig.ask(op(1, 1), Call::Read);
    let asked = rig.tag;
    // The update is accepted by n1 and n3, and so chosen. Then n2, which missed it, answers the read.
    rig.answer_to(
        Tag { op: op(8, 1), attempt: 1, incarnation: 1, ballot: b(10, 3) },
        3,
        Body::Propose { update: Update::Row(data(1, "x")), next: None },
    );
    rig.tag = asked;
    // This node answered before it accepted, so nothing was chosen when the read began: "never written" is correct.
    rig.answer(2, nothing());
    assert_eq!(rig.outcome(), &Outcome::Read { current: None });
    // A read that begins now uses the slot.
    rig.kinds();
    rig.ask(op(1, 2), Call::Read);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
}

#[test]
fn without_a_quorum_it_asks_again_and_ends_at_its_time_limit() {
    let mut rig = quorum_reads();
    rig.ask(op(1, 1), Call::Read);
    rig.kinds();
    rig.elapse(150 * MS);
    assert_eq!(rig.kinds(), ["read>n2", "read>n3"], "those that have not replied are asked again");
    rig.elapse(TIMEOUT_NS);
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose });
    check_no_trace(&rig);
    rig.elapse(TIMEOUT_NS);
    assert_eq!((rig.replies.len(), rig.armed()), (1, 0));
}

fn gone(rig: &mut Rig, tokens: &[ClientToken]) {
    let requests = tokens.iter().map(|token| (key(), *token)).collect();
    rig.step(Event::ClientGone { requests });
    rig.elapse(0);
}

fn write(new: &str) -> Call {
    Call::Write { new: val(new) }
}

#[test]
fn what_waits_or_has_proposed_nothing_ends_with_its_client() {
    let mut rig = quorum_reads();
    let running = rig.ask(op(1, 1), write("a"));
    let waiting: Vec<ClientToken> = (2..5).map(|client| rig.ask(op(client, 1), write("b"))).collect();
    let other = rig.ask(op(9, 1), write("c"));
    assert_eq!(rig.replica.in_flight(), 5);
    gone(&mut rig, &[waiting[0], waiting[1], waiting[2], running]);
    let ended: Vec<ClientToken> = rig.replies.iter().map(|(token, _, _)| *token).collect();
    assert_eq!((ended.len(), ended.contains(&other)), (4, false), "{ended:?}");
    assert!(rig.replies.iter().all(|(_, outcome, _)| matches!(outcome, Outcome::NotApplied { .. })), "{:?}", rig.replies);
    // The next operation in the queue continues.
    assert_eq!(rig.replica.in_flight(), 1);
    rig.promise(2);
    rig.row_read(2);
    rig.accepted(2);
    rig.learned(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);
    // Replies to ended operations are ignored.
    gone(&mut rig, &[running, other]);
    assert_eq!(rig.replies.len(), 5);
}

#[test]
fn what_has_proposed_goes_on_for_a_moment() {
    let mut rig = quorum_reads();
    let mut ask = |call: Call| {
        let request = ClientRequest { op: op(1, 1), key: key(), call, timeout_ns: 3_600_000 * MS, provenance: Provenance::First };
        rig.request(request)
    };
    let token = ask(write("a"));
    rig.promise(2);
    rig.row_read(2);
    gone(&mut rig, &[token]);
    assert_eq!(rig.replica.in_flight(), 1, "its update is out, and others would have to repair it");
    rig.elapse(2_000 * MS);
    assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::Timeout });
    assert_eq!(rig.replica.in_flight(), 0, "but not for an hour");
}

#[test]
fn absent_reads_end_with_their_client() {
    let mut rig = quorum_reads();
    let read = rig.ask(op(1, 1), Call::Read);
    let get = rig.ask_cheap(op(2, 1), PlainCall::Get, Level::Quorum);
    gone(&mut rig, &[read, get]);
    assert_eq!(rig.replies.len(), 2);
    check_no_trace(&rig);
}
