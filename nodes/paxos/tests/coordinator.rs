//! The coordinator: which replies lead to which rounds.

mod rig;

use heckle_paxos::*;
use rig::*;

fn cas(expected: Option<&str>, new: &str) -> Call {
    Call::Cas { expected: expected.map(val), new: val(new) }
}

fn write(new: &str) -> Call {
    Call::Write { new: val(new) }
}

#[test]
fn a_write_takes_four_rounds() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), write("x"));
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
    rig.promise(2);
    assert_eq!(rig.kinds(), ["read>n2", "read>n3"]);
    rig.row_read(2);
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    rig.accepted(2);
    assert_eq!(rig.kinds(), ["learn>n2", "learn>n3"]);
    assert!(rig.replies.is_empty());
    rig.learned(2);
    let (_, outcome, diagnostics) = &rig.replies[0];
    assert_eq!(outcome, &Outcome::Applied);
    assert_eq!((diagnostics.phase, diagnostics.rounds, diagnostics.round_trips, diagnostics.learned_by), (Phase::Learn, 1, 4, 2));
    assert_eq!((diagnostics.promises, diagnostics.accepts, diagnostics.rejects, diagnostics.needed), (2, 2, 0, 2));
    let row = rig.replica.row(&key()).expect("the row is stored");
    assert_eq!((row.data.version, row.data.value.clone(), row.learned), (1, Some(val("x")), diagnostics.ballot));
}

#[test]
fn a_read_and_a_refused_cas_take_three_rounds_and_leave_a_fence() {
    for (call, expected) in
        [(Call::Read, Outcome::Read { current: None }), (cas(Some("other"), "x"), Outcome::ConditionNotMet { current: None })]
    {
        let mut rig = Rig::new(config());
        rig.ask(op(1, 1), call);
        rig.promise(2);
        rig.row_read(2);
        rig.kinds();
        assert!(rig.replies.is_empty(), "no answer before the fence stands");
        rig.accepted(2);
        let (_, outcome, diagnostics) = &rig.replies[0];
        assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (&expected, Phase::Fence, 3));
        let accepted = rig.replica.accepted(&key()).expect("the fence is held");
        assert_eq!((accepted.ballot, &accepted.update), (diagnostics.ballot, &Update::Empty));
    }
}

/// Checks the next round, given the reports in the promises of n2 and n3. n1 has no state, and its disk hangs.
#[track_caller]
fn check_after_promises(second: (Option<Accepted>, Ballot), third: (Option<Accepted>, Ballot), next: &str) -> Rig {
    let mut rig = Rig::new(config());
    rig.disk = DiskMode::Held;
    rig.ask(op(1, 1), write("mine"));
    rig.kinds();
    rig.promise_with(2, second.0, second.1);
    rig.promise_with(3, third.0, third.1);
    assert_eq!(rig.kinds(), [format!("{next}>n2"), format!("{next}>n3")]);
    rig
}

fn held(micros: u64, value: &str) -> Option<Accepted> {
    Some(Accepted { ballot: b(micros, 2), update: Update::Row(data(4, value)) })
}

fn fence(micros: u64) -> Option<Accepted> {
    Some(Accepted { ballot: b(micros, 2), update: Update::Empty })
}

#[test]
#[rustfmt::skip] // A table.
fn only_the_highest_accepted_entry_is_repaired_and_an_empty_one_hides_those_below() {
    let at = |micros| b(micros, 3);
    let none = Ballot::ZERO;
    //                    n2: accepted, learned   n3: accepted, learned   next round
    check_after_promises((None, none),            (None, none),           "read");
    check_after_promises((held(10, "a"), none),   (None, none),           "propose");
    check_after_promises((held(10, "a"), none),   (fence(20), none),      "read");
    check_after_promises((fence(10), none),       (held(20, "b"), none),  "propose");
    check_after_promises((held(10, "a"), none),   (None, at(20)),         "read");
    check_after_promises((held(30, "a"), none),   (None, at(20)),         "propose");
    check_after_promises((held(10, "a"), at(20)), (None, at(20)),         "read");

    let mut rig = check_after_promises((held(10, "low"), none), (held(20, "high"), none), "propose");
    rig.accepted(2);
    rig.accepted(3);
    let sent = rig.take_sent();
    let Body::Learn { row } = &sent[0].1.body else { panic!("{sent:?}") };
    assert_eq!(row.data.value, Some(val("high")));
    assert_eq!(row.learned, sent[0].1.tag.ballot, "learned at the ballot at which it was chosen, not at the first one");
    rig.learned(2);
    rig.learned(3);
    // The repaired update was another node's, so this node's own operation starts over.
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
}

#[test]
fn a_lagging_replica_is_refreshed_and_then_everything_is_prepared_again() {
    let newest = row(b(20, 2), 4, "theirs");
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), cas(Some("theirs"), "mine"));
    rig.promise_with(2, None, newest.learned);
    rig.kinds();
    rig.answer(2, Body::RowRead { learned: newest.learned, newer: Some(newest.clone()) });
    // n1 itself promised without having the row. Since it is the lagging replica, no message is sent.
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
    assert_eq!(rig.replica.row(&key()), Some(&newest));
    rig.promise_with(2, None, newest.learned);
    rig.row_read(2);
    assert_eq!(rig.kinds(), ["read>n2", "read>n3", "propose>n2", "propose>n3"]);

    let mut rig = check_after_promises((None, newest.learned), (None, Ballot::ZERO), "read");
    rig.answer(3, Body::RowRead { learned: Ballot::ZERO, newer: None });
    rig.answer(2, Body::RowRead { learned: newest.learned, newer: Some(newest.clone()) });
    assert_eq!(rig.kinds(), ["learn>n3"], "only the replica that lags among those that promised");
    rig.answer(3, Body::Learned { learned: newest.learned });
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
}

/// A row older than the newest reported one is never used, even if a quorum has it.
#[test]
fn rows_older_than_a_promised_one_do_not_end_the_read() {
    let newest = b(20, 2);
    let mut rig = check_after_promises((None, newest), (None, newest), "read");
    rig.sync();
    rig.row_read(3);
    assert_eq!(rig.kinds(), Vec::<String>::new(), "n1 and n3 are a quorum, but n2 has reported a row");
    rig.answer(2, Body::RowRead { learned: newest, newer: Some(row(newest, 4, "theirs")) });
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
}

#[test]
fn answers_count_once_and_only_for_their_exact_tag() {
    let mut config = config();
    config.members = (1..=5).map(NodeId).collect();
    let mut rig = Rig::new(config);
    rig.ask(op(1, 1), write("x"));
    rig.kinds();
    let tag = rig.tag.expect("a prepare was sent");
    let promise = || Body::Promise { old_promise: Ballot::ZERO, accepted: None, learned: Ballot::ZERO, newer: None };
    rig.promise(2);
    rig.promise(2);
    for other in [
        Tag { op: op(1, 2), ..tag },
        Tag { attempt: tag.attempt + 1, ..tag },
        Tag { incarnation: tag.incarnation + 1, ..tag },
        Tag { ballot: b(9, 9), ..tag },
    ] {
        rig.answer_to(other, 3, promise());
    }
    rig.answer_to(tag, 9, promise());
    rig.answer_to(tag, 1, promise());
    assert_eq!(rig.kinds(), Vec::<String>::new(), "n1 and n2 are no quorum of five");
    assert_eq!(rig.replica.counters().messages_refused, 2, "from a stranger, and from itself by wire");
    rig.promise(3);
    assert_eq!(rig.kinds().len(), 4);
    // Late replies to a finished round, in any order, have no effect.
    rig.promise(4);
    rig.accepted(4);
    rig.learned(5);
    assert_eq!(rig.kinds(), Vec::<String>::new());
}

#[test]
fn an_outbid_coordinator_waits_and_comes_back_above_what_it_saw() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), write("x"));
    let first = rig.tag.expect("a prepare was sent");
    rig.kinds();
    let seen = Ballot { micros: first.ballot.micros + 5_000_000_000, ..b(0, 3) };
    rig.answer(2, Body::Reject { request: RequestKind::Prepare, seen });
    rig.answer(3, Body::Reject { request: RequestKind::Prepare, seen });
    assert_eq!(rig.kinds(), Vec::<String>::new(), "it waits");
    rig.elapse(100 * MS);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
    let second = rig.tag.expect("a prepare was sent");
    assert!(second.ballot > seen, "{} is above {seen}", second.ballot);
    assert_eq!(second.attempt, first.attempt + 1);
}

/// A duplicate prepare is rejected with exactly the ballot that was promised.
#[test]
fn a_reject_that_names_the_own_ballot_is_an_echo() {
    let mut rig = Rig::new(config());
    rig.disk = DiskMode::Held;
    rig.ask(op(1, 1), write("x"));
    let seen = rig.tag.expect("a prepare was sent").ballot;
    for from in [2, 3] {
        rig.answer(from, Body::Reject { request: RequestKind::Prepare, seen });
    }
    rig.kinds();
    rig.promise(2);
    rig.promise(3);
    assert_eq!(rig.kinds(), ["read>n2", "read>n3"]);
}

#[test]
fn a_round_without_answers_is_sent_again_and_then_the_ballot_is_given_up() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), write("x"));
    rig.promise(2);
    rig.row_read(2);
    let first = rig.tag.expect("a propose was sent");
    rig.kinds();
    rig.elapse(100 * MS);
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    rig.elapse(200 * MS);
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    assert_eq!(rig.tag, Some(first), "the same update at the same ballot");
    rig.elapse(400 * MS);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
    assert!(rig.tag.expect("a prepare was sent").ballot > first.ballot);
}

#[test]
fn nothing_leaves_before_it_is_durable() {
    let mut rig = Rig::new(config());
    rig.disk = DiskMode::Held;
    // As an acceptor: the promise names the batch on which it relies.
    let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(2_000_000, 2) };
    rig.answer_to(tag, 2, Body::Prepare { have: None });
    let (_, message, after) = rig.sent.pop().expect("an answer");
    assert!(matches!(message.body, Body::Promise { .. }) && after.is_some(), "{message:?} after {after:?}");
    // A second copy of a propose changes nothing, but its reply implies that the first is durable.
    for _ in 0..2 {
        rig.answer_to(tag, 2, Body::Propose { update: Update::Empty, next: None });
        let (_, message, after) = rig.sent.pop().expect("an answer");
        assert!(message.body == Body::Accepted && after.is_some(), "{message:?} after {after:?}");
    }
    rig.sync();
    rig.answer_to(tag, 2, Body::Propose { update: Update::Empty, next: None });
    let (_, _, after) = rig.sent.pop().expect("an answer");
    assert_eq!(after, None, "durable by now");
    // As a coordinator: its own promise does not count before it is durable.
    rig.ask(op(1, 1), write("x"));
    rig.promise(2);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
    rig.sync();
    assert_eq!(rig.kinds(), ["read>n2", "read>n3"]);
}

#[test]
fn no_ballot_leaves_before_the_incarnation_is_durable() {
    let mut replica = Replica::new(config()).expect("valid settings");
    let mut out = Actions::new();
    replica.start(&mut out);
    let birth = match out.as_slice() {
        [Action::Persist { io_id, records, sync: Sync::Required }] => {
            assert_eq!(records, &[Record::Incarnation { incarnation: 1 }]);
            *io_id
        }
        other => panic!("{other:?}"),
    };
    let request = ClientRequest { op: op(1, 1), key: key(), call: Call::Read, timeout_ns: MS, provenance: Provenance::First };
    let mut rng = <rand_pcg::Pcg64 as rand::SeedableRng>::seed_from_u64(1);
    let event = Event::Client { token: ClientToken(1), request };
    replica.step(MonoTime(0), WallTime(5), event, &mut rng, &mut out);
    let waits: Vec<_> = out.drain().filter_map(|action| if let Action::Send { after, .. } = action { Some(after) } else { None }).collect();
    assert_eq!(waits, [Some(birth), Some(birth)]);
}

#[test]
fn points_are_announced_where_they_are_reached() {
    let mut config = config();
    config.points = Points::Announced;
    let mut rig = Rig::new(config);
    rig.ask(op(1, 1), write("x"));
    rig.promise(2);
    rig.row_read(2);
    rig.accepted(2);
    rig.learned(2);
    use Point::*;
    assert_eq!(rig.points, [AfterPrepareAll, AfterProposeFirst, AfterProposeAll, AfterLearnFirst, AfterLearnAll, BeforeReply]);
}
