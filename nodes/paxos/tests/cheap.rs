//! The last-write-wins path: how many replicas must have a value, what survives a crash, and how Paxos sees the
//! values.

mod rig;

use heckle_paxos::*;
use rig::*;

fn cell(us: u64, node: u16, value: &str) -> Cell {
    Cell { us, node: n(node), value: val(value) }
}

fn put(value: &str) -> PlainCall {
    PlainCall::Put { new: val(value) }
}

/// Delivers a put from another node.
fn receive_put(rig: &mut Rig, cell: Cell) {
    let tag = Tag { op: op(50, cell.us), attempt: 1, incarnation: 1, ballot: Ballot::ZERO };
    rig.answer_to(tag, 2, Body::Put { cell });
}

/// Lets this node learn a row from another node.
fn learn(rig: &mut Rig, ballot: Ballot, version: u64, value: &str) {
    let tag = Tag { op: op(60, version), attempt: 1, incarnation: 1, ballot };
    rig.answer_to(tag, 2, Body::Learn { row: row(ballot, version, value) });
}

/// The value held by this replica alone, read at consistency level one.
fn here(rig: &mut Rig) -> Option<Value> {
    rig.ask_cheap(op(70, 1), PlainCall::Get, Level::One);
    match rig.outcome() {
        Outcome::Read { current } => current.clone(),
        other => panic!("{other:?}"),
    }
}

fn read_back(records: Vec<Record>) -> Option<Value> {
    here(&mut Rig::recovered(config(), records))
}

#[test]
fn the_newer_of_two_stays_whatever_the_order() {
    let (old, new, other_node) = (cell(10, 3, "old"), cell(20, 1, "new"), cell(20, 2, "other"));
    // By time first, then by node.
    for (first, second, stays) in [(&old, &new, "new"), (&new, &old, "new"), (&new, &other_node, "other"), (&other_node, &new, "other")] {
        let mut rig = Rig::new(config());
        receive_put(&mut rig, first.clone());
        receive_put(&mut rig, second.clone());
        receive_put(&mut rig, first.clone());
        assert_eq!(here(&mut rig), Some(val(stays)), "{first:?} {second:?}");
        assert_eq!(rig.kinds(), ["put-done>n2"; 3], "an older one is done with as well");
    }
    // A row has the time of its ballot. If the times are equal, the row wins.
    for (put_us, row_us, stays) in [(10, 20, "row"), (20, 10, "put"), (20, 20, "row")] {
        for row_first in [true, false] {
            let mut rig = Rig::new(config());
            if row_first {
                learn(&mut rig, b(row_us, 2), 1, "row");
            }
            receive_put(&mut rig, cell(put_us, 2, "put"));
            if !row_first {
                learn(&mut rig, b(row_us, 2), 1, "row");
            }
            assert_eq!(here(&mut rig), Some(val(stays)), "put {put_us} row {row_us} row first {row_first}");
            assert_eq!(rig.replica.cell(&key()).is_some(), stays == "put", "what is hidden is gone");
            assert_eq!(rig.replica.state_bytes(), rig.replica.count_state_bytes());
        }
    }
}

#[test]
fn a_put_is_answered_when_one_or_a_quorum_have_it_durably() {
    let mut rig = Rig::new(config());
    rig.disk = DiskMode::Held;
    rig.ask_cheap(op(1, 1), put("a"), Level::One);
    assert_eq!(rig.kinds(), ["put>n2", "put>n3"]);
    assert!(rig.replies.is_empty(), "no node has it on disk");
    rig.sync();
    assert_eq!(rig.outcome(), &Outcome::Applied, "its own replica is one");
    assert_eq!((rig.replies[0].2.phase, rig.replies[0].2.needed, rig.replies[0].2.accepts), (Phase::Cheap, 1, 1));

    rig.replies.clear();
    rig.ask_cheap(op(1, 2), put("b"), Level::Quorum);
    let tag = rig.tag.expect("sent");
    rig.sync();
    assert!(rig.replies.is_empty(), "one is no quorum");
    rig.answer_to(Tag { incarnation: 9, ..tag }, 2, Body::PutDone);
    assert!(rig.replies.is_empty(), "a reply to another process is ignored");
    rig.answer_to(tag, 3, Body::PutDone);
    assert_eq!((rig.outcome(), rig.replies[0].2.accepts), (&Outcome::Applied, 2));
    rig.answer_to(tag, 2, Body::PutDone);
    assert_eq!((rig.replies.len(), rig.replica.in_flight()), (1, 0), "the third comes too late for anything");
}

#[test]
fn a_get_at_one_is_local_and_one_at_quorum_takes_the_newest() {
    let mut rig = Rig::new(config());
    receive_put(&mut rig, cell(10, 2, "mine"));
    rig.sent.clear();
    assert_eq!(here(&mut rig), Some(val("mine")));
    assert!(rig.kinds().is_empty(), "no message");
    for (theirs, newest) in [(Some(cell(20, 3, "theirs")), "theirs"), (Some(cell(5, 3, "older")), "mine"), (None, "mine")] {
        rig.replies.clear();
        rig.ask_cheap(op(1, 1), PlainCall::Get, Level::Quorum);
        assert!(rig.replies.is_empty(), "one is no quorum");
        rig.answer(3, Body::Got { cell: theirs });
        assert_eq!(rig.outcome(), &Outcome::Read { current: Some(val(newest)) });
    }
}

#[test]
fn without_enough_answers_a_put_is_unknown_and_a_get_not_applied() {
    let mut rig = Rig::new(config());
    rig.ask_cheap(op(1, 1), put("a"), Level::Quorum);
    rig.ask_cheap(op(2, 1), PlainCall::Get, Level::Quorum);
    rig.elapse(TIMEOUT_NS - 1);
    assert!(rig.replies.is_empty());
    rig.elapse(1);
    let outcomes: Vec<&Outcome> = rig.replies.iter().map(|(_, outcome, _)| outcome).collect();
    let late = Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose };
    assert_eq!(outcomes, [&Outcome::Unknown { why: UnknownWhy::Timeout }, &late]);
}

#[test]
fn limits_are_kept() {
    let limits = Config { queue_per_key: 2, max_value_bytes: 3, ..config() };
    let mut rig = Rig::new(limits);
    for (client, value) in [(1, "a"), (2, "b"), (3, "c")] {
        rig.ask_cheap(op(client, 1), put(value), Level::Quorum);
    }
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::Busy });
    rig.ask_cheap(op(4, 1), put("long"), Level::One);
    assert_eq!(rig.outcome(), &Outcome::Invalid { why: InvalidWhy::ValueSize });
    assert_eq!(rig.replica.in_flight(), 2);
}

#[test]
fn a_cell_survives_a_crash_by_the_log_and_by_a_snapshot() {
    let mut rig = Rig::new(config());
    learn(&mut rig, b(5, 2), 1, "row");
    receive_put(&mut rig, cell(10, 2, "old"));
    receive_put(&mut rig, cell(20, 2, "put"));
    assert_eq!(read_back(rig.records.clone()), Some(val("put")), "the log");
    let snapshot: Vec<Record> = rig.replica.snapshot().collect();
    assert_eq!(read_back(snapshot.clone()), Some(val("put")), "a snapshot");
    // Recover from a log that overlaps the snapshot, with records that occur twice.
    assert_eq!(read_back([snapshot.clone(), rig.records.clone(), rig.records.clone()].concat()), Some(val("put")));
    // Add a newer row to the log, after either of them.
    learn(&mut rig, b(30, 2), 2, "newer");
    assert_eq!(read_back(rig.records.clone()), Some(val("newer")));
    assert_eq!(read_back([snapshot, rig.records.clone()].concat()), Some(val("newer")));
    assert!(!rig.replica.snapshot().any(|record| matches!(record, Record::Put { .. })), "what is hidden is not kept");
}

#[test]
fn an_unsynced_put_is_not_answered_for() {
    let mut rig = Rig::new(config());
    rig.disk = DiskMode::Held;
    receive_put(&mut rig, cell(20, 2, "put"));
    // A second copy changes nothing and gets the same reply.
    receive_put(&mut rig, cell(20, 2, "put"));
    let after: Vec<_> = rig.sent.iter().map(|(_, message, after)| (kind(&message.body), after.is_some())).collect();
    assert_eq!(after, [("put-done", true); 2]);
}

#[test]
fn pruning_and_expiry_leave_a_cell_alone() {
    let ttl_us = 1_000_000;
    let mut rig = Rig::new(Config { prune: Prune::On, prune_after_ns: 50 * MS, paxos_ttl_us: Some(ttl_us), ..config() });
    rig.ask(op(1, 1), Call::Write { new: val("row") });
    rig.promise(2);
    rig.row_read(2);
    rig.accepted(2);
    let tag = rig.tag.expect("sent");
    for node in [2, 3] {
        rig.answer_to(tag, node, Body::Learned { learned: tag.ballot });
    }
    rig.wall = WallTime(rig.wall.0 + 10);
    rig.ask_cheap(op(2, 1), put("put"), Level::One);
    // Pruning: the copy of the row is dropped, with everything else that Paxos no longer needs.
    rig.elapse(60 * MS);
    for node in [2, 3] {
        rig.answer_to(tag, node, Body::Pruned { pruned: tag.ballot });
    }
    assert_eq!((rig.replica.counters().pruned, rig.replica.prune_queue_len()), (1, 0));
    // Expiry: the newest ballot is far above all ballots of this key.
    let far = Ballot { micros: rig.wall.0 + 10 * ttl_us, ..b(0, 2) };
    let other = Message { key: Key::from("other"), tag: Tag { ballot: far, ..tag }, body: Body::Prepare { have: None } };
    rig.step(Event::Peer { from: n(2), message: other });
    rig.elapse(3_000 * MS);
    assert!(rig.replica.floor_us() > tag.ballot.micros && rig.replica.counters().expired > 0, "it did expire");
    assert_eq!(here(&mut rig), Some(val("put")));
    let snapshot: Vec<Record> = rig.replica.snapshot().collect();
    assert_eq!(read_back(snapshot), Some(val("put")));
    assert_eq!(rig.replica.row(&key()).map(|row| row.data.value.clone()), Some(Some(val("row"))), "the row below is kept too");
    assert_eq!(rig.replica.state_bytes(), rig.replica.count_state_bytes());
}

/// Carries a CAS through the rounds of each mode, with the replies that complete it.
fn complete_rounds(rig: &mut Rig, rounds: Rounds) {
    rig.promise(2);
    if rounds == Rounds::Classic {
        rig.row_read(2);
    }
    rig.accepted(2);
    if matches!(rounds, Rounds::Classic | Rounds::Merged) {
        rig.learned(2);
    }
}

#[test]
fn a_cas_is_judged_on_the_put_that_its_node_has_and_is_newer() {
    for rounds in [Rounds::Classic, Rounds::Merged, Rounds::AsyncLearn, Rounds::Fast] {
        let mut rig = Rig::new(Config { rounds, ..config() });
        // A put arrives from a node whose clock is ahead: ballots generated here afterwards are higher.
        let ahead_us = rig.wall.0 + 500_000;
        receive_put(&mut rig, cell(ahead_us, 3, "put"));
        rig.ask(op(1, 1), Call::Cas { expected: None, new: val("x") });
        rig.promise(2);
        if rounds == Rounds::Classic {
            rig.row_read(2);
        }
        rig.accepted(2);
        assert_eq!(rig.outcome(), &Outcome::ConditionNotMet { current: Some(val("put")) }, "{rounds:?}");
        rig.ask(op(2, 1), Call::Cas { expected: Some(val("put")), new: val("cas") });
        if rounds == Rounds::Fast && !rig.kinds().contains(&"prepare>n2".to_owned()) {
            rig.accepted(2);
        } else {
            complete_rounds(&mut rig, rounds);
        }
        assert_eq!(rig.outcome(), &Outcome::Applied, "{rounds:?}");
        assert_eq!(here(&mut rig), Some(val("cas")), "{rounds:?}: it is newer than what it has seen");
        assert_eq!(rig.replica.cell(&key()), None, "{rounds:?}");
    }
}

#[test]
fn a_put_invalidates_ballots_promised_before_it() {
    let mut rig = Rig::new(Config { rounds: Rounds::Fast, ..config() });
    rig.ask(op(1, 1), Call::Write { new: val("a") });
    complete_rounds(&mut rig, Rounds::Fast);
    rig.sent.clear();
    // If no put comes in between, the next operation needs no prepare.
    rig.ask(op(1, 2), Call::Write { new: val("b") });
    assert_eq!(rig.kinds()[..2], ["propose>n2", "propose>n3"]);
    rig.accepted(2);
    rig.sent.clear();
    rig.wall = WallTime(rig.wall.0 + 1_000_000);
    let newer = rig.wall.0;
    receive_put(&mut rig, cell(newer, 2, "put"));
    rig.sent.clear();
    rig.ask(op(1, 3), Call::Cas { expected: Some(val("put")), new: val("c") });
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"], "its row would be older than the put");
    let learned = rig.replica.row(&key()).expect("a row").learned;
    rig.promise_with(2, None, learned);
    rig.accepted(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);
    assert_eq!(here(&mut rig), Some(val("c")));
}

#[test]
fn repair_and_refresh_carry_the_row_as_it_was_proposed() {
    let mut rig = Rig::new(config());
    let newer = rig.wall.0 + 100;
    receive_put(&mut rig, cell(newer, 3, "put"));
    rig.sent.clear();
    rig.ask(op(1, 1), Call::Read);
    let pending = Accepted { ballot: b(100, 2), update: Update::Row(data(1, "pending")) };
    rig.promise_with(2, Some(pending), Ballot::ZERO);
    let proposed = rig.take_sent().into_iter().find_map(|(_, message)| match message.body {
        Body::Propose { update: Update::Row(data), .. } => Some(data.value.clone()),
        _ => None,
    });
    assert_eq!(proposed, Some(Some(val("pending"))));
    rig.accepted(2);
    rig.learned(2);
    // The repair got a ballot above the put and hides it, which can happen when both paths are mixed.
    assert_eq!(here(&mut rig), Some(val("pending")));
}

/// The anomaly in three steps, with nothing lost, late or duplicated, and equal clocks.
#[test]
fn an_acknowledged_put_is_hidden_by_a_cas_that_never_saw_it() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), Call::Cas { expected: None, new: val("cas") });
    rig.promise(2);
    rig.row_read(2);
    let cas = rig.tag.expect("proposed");
    // Now a put is acknowledged by a quorum, n2 and n3. Its time is just below the ballot.
    rig.answer_to(cas, 2, Body::Accepted);
    rig.answer_to(cas, 2, Body::Learned { learned: cas.ballot });
    assert_eq!(rig.outcome(), &Outcome::Applied, "it found the key never written");
    receive_put(&mut rig, cell(cas.ballot.micros - 1, 3, "put"));
    assert_eq!(rig.kinds().last().map(String::as_str), Some("put-done>n2"));
    assert_eq!(here(&mut rig), Some(val("cas")), "the put was acknowledged, and no read will ever return it");
}

#[test]
fn without_puts_the_paxos_path_is_what_it_was() {
    // A node that has served puts on another key emits the same actions, including batches and syncs, as one that has
    // not.
    let run = |with_put: bool| {
        let mut rig = Rig::new(config());
        if with_put {
            let tag = Tag { op: op(50, 1), attempt: 1, incarnation: 1, ballot: Ballot::ZERO };
            let body = Body::Put { cell: cell(5, 2, "put") };
            rig.step(Event::Peer { from: n(2), message: Message { key: Key::from("other"), tag, body } });
            rig.sent.clear();
            rig.records.clear();
        }
        let before = (rig.replica.counters().batches, rig.replica.counters().records);
        if !with_put {
            rig.records.clear();
        }
        for seq in 1..4 {
            rig.ask(op(1, seq), Call::Write { new: val("x") });
            let learned = rig.replica.row(&key()).map_or(Ballot::ZERO, |row| row.learned);
            rig.promise_with(2, None, learned);
            rig.answer(2, Body::RowRead { learned, newer: None });
            rig.accepted(2);
            rig.learned(2);
        }
        let counters = *rig.replica.counters();
        (rig.kinds(), rig.records.clone(), counters.batches - before.0, counters.records - before.1, rig.replies.clone())
    };
    assert_eq!(run(true), run(false));
}
