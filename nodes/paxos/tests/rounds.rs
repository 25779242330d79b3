//! The modes that save rounds: which rounds remain, and what each of them still guards against.

mod rig;

use heckle_paxos::row::DedupeLimits;
use heckle_paxos::*;
use rig::*;

fn write(new: &str) -> Call {
    Call::Write { new: val(new) }
}

fn cas(expected: Option<&str>, new: &str) -> Call {
    Call::Cas { expected: expected.map(val), new: val(new) }
}

fn with(rounds: Rounds) -> Rig {
    let mut config = config();
    config.rounds = rounds;
    Rig::new(config)
}

/// Delivers a promise from a peer, with the requested row.
fn promise_row(rig: &mut Rig, from: u16, accepted: Option<Accepted>, row: &Row) {
    rig.answer(from, Body::Promise { old_promise: Ballot::ZERO, accepted, learned: row.learned, newer: Some(row.clone()) });
}

fn held(micros: u64, update: Update) -> Option<Accepted> {
    Some(Accepted { ballot: b(micros, 2), update })
}

/// The update of the newest propose.
fn proposed(rig: &Rig) -> Update {
    let update = rig.sent.iter().rev().find_map(|(_, message, _)| match &message.body {
        Body::Propose { update, .. } => Some(update.clone()),
        _ => None,
    });
    update.expect("something was proposed")
}

#[test]
fn merged_leaves_out_the_read_round() {
    let mut rig = with(Rounds::Merged);
    rig.ask(op(1, 1), write("x"));
    assert!(matches!(rig.sent[0].1.body, Body::Prepare { have: Some(Ballot::ZERO) }));
    rig.promise(2);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3", "propose>n2", "propose>n3"]);
    rig.accepted(2);
    assert_eq!(rig.kinds(), ["learn>n2", "learn>n3"]);
    assert!(rig.replies.is_empty());
    rig.learned(2);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (Outcome::Applied, Phase::Learn, 3));

    rig.ask(op(1, 2), Call::Read);
    let learned = diagnostics.ballot;
    rig.promise_with(2, None, learned);
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3", "fence>n2", "fence>n3"]);
    assert!(rig.replies.is_empty(), "no answer before the fence stands");
    rig.accepted(2);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (Outcome::Read { current: Some(val("x")) }, Phase::Fence, 2));
}

#[test]
fn merged_reads_from_promises_and_refreshes_lagging_replicas() {
    let newest = row(b(20, 2), 4, "theirs");
    let mut rig = with(Rounds::Merged);
    rig.disk = DiskMode::Held;
    rig.ask(op(1, 1), cas(Some("theirs"), "mine"));
    rig.kinds();
    promise_row(&mut rig, 2, None, &newest);
    promise_row(&mut rig, 3, None, &row(b(10, 2), 3, "older"));
    assert_eq!(rig.kinds(), ["learn>n3"]);
    rig.answer(3, Body::Learned { learned: newest.learned });
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"], "the promises must report the row");
    promise_row(&mut rig, 2, None, &newest);
    promise_row(&mut rig, 3, None, &newest);
    let Update::Row(data) = proposed(&rig) else { panic!("an own update") };
    assert_eq!((data.version, data.value.clone()), (5, Some(val("mine"))));
}

#[test]
fn async_learn_answers_when_the_update_is_chosen() {
    let mut rig = with(Rounds::AsyncLearn);
    rig.ask(op(1, 1), write("x"));
    rig.promise(2);
    rig.kinds();
    rig.accepted(2);
    assert_eq!(rig.kinds(), ["chosen>n2", "chosen>n3"]);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (Outcome::Applied, Phase::Propose, 2));
    assert_eq!(rig.replica.row(&key()).map(|row| row.learned), Some(diagnostics.ballot), "the own replica has learned it");
    assert_eq!(rig.records.last(), Some(&Record::Chosen { key: key(), ballot: diagnostics.ballot }));
}

#[test]
fn async_learn_answers_a_read_and_a_refusal_after_one_round() {
    for (call, expected) in [
        (Call::Read, Outcome::Read { current: Some(val("theirs")) }),
        (cas(Some("other"), "x"), Outcome::ConditionNotMet { current: Some(val("theirs")) }),
    ] {
        let mut rig = with(Rounds::AsyncLearn);
        rig.ask(op(1, 1), call);
        // n1 lags: whole rows hide nothing, so no node is refreshed.
        promise_row(&mut rig, 2, None, &row(b(20, 2), 4, "theirs"));
        assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
        let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
        assert_eq!((outcome, diagnostics.phase, diagnostics.round_trips), (expected, Phase::Done, 1));
    }
}

/// Checks what follows when a promise reports something above the row.
#[track_caller]
fn check_before_a_read(accepted: Option<Accepted>, next: &[&str]) -> Rig {
    let mut rig = with(Rounds::AsyncLearn);
    rig.ask(op(1, 1), Call::Read);
    rig.kinds();
    promise_row(&mut rig, 2, accepted, &row(b(20, 2), 4, "theirs"));
    let kinds: Vec<String> = rig.sent.iter().map(|(to, message, _)| format!("{}>{to}", kind(&message.body))).collect();
    assert_eq!(kinds, next);
    rig
}

#[test]
fn a_read_in_one_round_needs_promises_without_anything_above_the_row() {
    check_before_a_read(None, &[]);
    check_before_a_read(held(10, Update::Row(data(3, "below"))), &[]);
    check_before_a_read(held(10, Update::Empty), &[]);

    // A fence from a node in another mode: an update hidden by it may have been chosen.
    let mut rig = check_before_a_read(held(30, Update::Empty), &["propose>n2", "propose>n3"]);
    assert_eq!(proposed(&rig), Update::Row(data(4, "theirs")), "the whole row, never an empty update");
    assert!(rig.replies.is_empty());
    rig.accepted(2);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.phase), (Outcome::Read { current: Some(val("theirs")) }, Phase::Fence));

    // An unfinished update is finished, and the read returns it.
    let mut rig = check_before_a_read(held(30, Update::Row(data(5, "newer"))), &["propose>n2", "propose>n3"]);
    rig.kinds();
    rig.accepted(2);
    assert_eq!(rig.kinds(), ["chosen>n2", "chosen>n3"]);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.round_trips, diagnostics.repairs), (Outcome::Read { current: Some(val("newer")) }, 2, 1));
}

#[test]
fn a_refused_cas_that_has_proposed_before_keeps_its_fence() {
    let mut rig = with(Rounds::AsyncLearn);
    rig.ask(op(1, 1), cas(None, "mine"));
    rig.promise(2);
    rig.reject(2, RequestKind::Propose);
    rig.reject(3, RequestKind::Propose);
    rig.elapse(100 * MS);
    rig.kinds();
    // Its first proposal may have been accepted by a node that is not in this quorum.
    promise_row(&mut rig, 2, None, &row(b(2_000_000, 2), 1, "theirs"));
    promise_row(&mut rig, 3, None, &row(b(2_000_000, 2), 1, "theirs"));
    assert!(rig.replies.is_empty());
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    rig.accepted(2);
    rig.accepted(3);
    assert_eq!(rig.outcome(), &Outcome::ConditionNotMet { current: Some(val("theirs")) });
}

#[test]
fn after_a_repair_the_own_update_follows_at_the_ballot_promised_along() {
    let mut rig = with(Rounds::AsyncLearn);
    rig.ask(op(1, 1), write("mine"));
    rig.promise_with(2, held(30, Update::Row(data(1, "theirs"))), Ballot::ZERO);
    let first = rig.tag.expect("a propose was sent");
    let next = rig.sent.iter().find_map(|(_, message, _)| match &message.body {
        Body::Propose { next, .. } => Some(*next),
        _ => None,
    });
    let next = next.flatten().expect("the repair asks for the next promise");
    assert!(next > first.ballot);
    rig.kinds();
    rig.accepted(2);
    assert_eq!(rig.kinds(), ["chosen>n2", "chosen>n3", "propose>n2", "propose>n3"], "no second prepare");
    assert_eq!(rig.tag.expect("a propose was sent").ballot, next);
    rig.accepted(2);
    let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
    assert_eq!((outcome, diagnostics.rounds, diagnostics.round_trips, diagnostics.repairs), (Outcome::Applied, 2, 3, 1));
    let row = rig.replica.row(&key()).expect("the row is stored");
    assert_eq!((row.learned, row.data.version, row.data.value.clone()), (next, 2, Some(val("mine"))));
}

/// The update of an abandoned attempt turns up in the row of another node's later update.
#[test]
fn a_repair_that_contains_the_own_update_is_the_answer() {
    for rounds in Rounds::ALL {
        let mut rig = with(rounds);
        rig.ask(op(1, 1), write("mine"));
        rig.promise(2);
        if rounds == Rounds::Classic {
            rig.row_read(2);
        }
        let Update::Row(mine) = proposed(&rig) else { panic!("an own update") };
        rig.reject(2, RequestKind::Propose);
        rig.reject(3, RequestKind::Propose);
        rig.elapse(100 * MS);
        let entry = DedupeEntry { op: op(2, 1), request_hash: 5, proposed_us: 1_500_000, fate: OpFate::Applied };
        let later =
            RowData { version: 2, value: Some(val("later")), dedupe: mine.dedupe.with(entry, DedupeLimits { applied: 64, aborted: 64 }) };
        rig.promise_with(2, held(1_500_000, Update::Row(later.into())), Ballot::ZERO);
        rig.promise_with(3, None, Ballot::ZERO);
        rig.accepted(2);
        rig.accepted(3);
        rig.learned(2);
        rig.learned(3);
        assert_eq!(rig.outcome(), &Outcome::Applied, "{rounds:?}");
        assert_eq!(rig.replies.len(), 1);
    }
}

/// Lazily learned rows are synced before any reply claims that they are durable.
#[test]
fn an_answer_that_claims_a_lazily_learned_row_waits_for_a_sync_of_its_own() {
    let mut rig = with(Rounds::AsyncLearn);
    let ballot = b(2_000_000, 2);
    let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot };
    rig.answer_to(tag, 2, Body::Propose { update: Update::Row(data(1, "x")), next: None });
    rig.disk = DiskMode::Held;
    rig.answer_to(tag, 2, Body::Chosen);
    rig.sent.clear();
    let learned = rig.replica.row(&key()).cloned().expect("it is learned");
    assert_eq!(learned, Row { learned: ballot, data: data(1, "x") });
    let before = rig.records.len();
    rig.answer_to(tag, 2, Body::Learn { row: learned.clone() });
    let (_, message, after) = rig.sent.pop().expect("an answer");
    assert!(message.body == Body::Learned { learned: ballot } && after.is_some(), "{message:?} after {after:?}");
    assert_eq!(rig.records[before..], [Record::Learned { key: key(), row: learned.clone() }], "something to sync");
    // A second reply waits for the same sync.
    rig.answer_to(tag, 2, Body::Learn { row: learned });
    assert_eq!(rig.sent.pop().map(|(_, _, second)| second), Some(after));
    assert_eq!(rig.records.len(), before + 1);
    // A promise has its own record, later in the log.
    rig.answer_to(Tag { ballot: b(3_000_000, 2), ..tag }, 2, Body::Prepare { have: Some(Ballot::ZERO) });
    let (_, message, later) = rig.sent.pop().expect("an answer");
    assert!(matches!(message.body, Body::Promise { newer: Some(_), .. }) && later > after, "{message:?}");
}

/// `Chosen` refers only to the update accepted at its ballot.
#[test]
fn chosen_concerns_nodes_that_accepted_at_that_very_ballot() {
    let mut rig = with(Rounds::AsyncLearn);
    let tag = |micros| Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(micros, 2) };
    rig.answer_to(tag(10), 2, Body::Chosen);
    assert_eq!(rig.replica.state_bytes().keys, 0, "it makes no room for a key");
    rig.answer_to(tag(20), 2, Body::Propose { update: Update::Row(data(1, "x")), next: None });
    for other in [10, 30] {
        rig.answer_to(tag(other), 2, Body::Chosen);
        assert_eq!(rig.replica.row(&key()).map(|row| row.learned), Some(Ballot::ZERO));
    }
    rig.answer_to(tag(40), 2, Body::Propose { update: Update::Empty, next: None });
    rig.answer_to(tag(40), 2, Body::Chosen);
    assert_eq!(rig.replica.row(&key()).map(|row| row.learned), Some(Ballot::ZERO), "an empty update is no row");
}

/// Returns a fast coordinator after one write, and the ballot promised with that write.
fn prepared(config: Config) -> (Rig, Ballot) {
    let mut rig = Rig::new(Config { rounds: Rounds::Fast, ..config });
    rig.ask(op(1, 1), write("first"));
    rig.promise(2);
    let next = next_of(&rig).expect("every proposal asks for the next promise");
    rig.accepted(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);
    rig.kinds();
    rig.replies.clear();
    (rig, next)
}

/// The ballot that the latest `Propose` asks acceptors to promise next.
fn next_of(rig: &Rig) -> Option<Ballot> {
    rig.sent.iter().rev().find_map(|(_, message, _)| match &message.body {
        Body::Propose { next, .. } => Some(*next),
        _ => None,
    })?
}

#[test]
fn fast_proposes_at_the_promised_ballot_without_a_prepare() {
    let (mut rig, next) = prepared(config());
    for (seq, call, shown) in [
        (2, write("second"), Outcome::Applied),
        (3, Call::Read, Outcome::Read { current: Some(val("second")) }),
        (4, cas(Some("other"), "x"), Outcome::ConditionNotMet { current: Some(val("second")) }),
    ] {
        let before = rig.tag.expect("a request was sent").ballot;
        rig.ask(op(1, seq), call);
        let ballot = rig.tag.expect("a propose was sent").ballot;
        assert!(ballot > before && (seq > 2 || ballot == next), "{ballot}");
        let Update::Row(data) = proposed(&rig) else { panic!("never an empty update") };
        assert_eq!(data.value, Some(val("second")));
        assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
        rig.accepted(2);
        assert_eq!(rig.kinds(), ["chosen>n2", "chosen>n3"]);
        let (_, outcome, diagnostics) = rig.replies.pop().expect("an answer");
        assert_eq!((outcome, diagnostics.rounds, diagnostics.round_trips, diagnostics.accepts), (shown, 1, 1, 2));
    }
}

#[test]
fn what_waits_for_the_key_shares_one_proposal_and_each_is_judged_on_what_the_one_before_leaves() {
    share(Queue::Fifo, |rest: &mut Vec<Outcome>| rest.insert(2, refused("b")));
    // A client that is only refused is answered last, so that it gets the newest value.
    share(Queue::Fair, |rest| rest.push(refused("d")));
}

fn refused(value: &str) -> Outcome {
    Outcome::ConditionNotMet { current: Some(val(value)) }
}

fn share(queue: Queue, refusal: impl FnOnce(&mut Vec<Outcome>)) {
    let (mut rig, _) = prepared(Config { queue, ..config() });
    rig.ask(op(1, 2), write("a"));
    let calls = [cas(Some("a"), "b"), Call::Read, cas(Some("a"), "c"), write("d"), Call::Read];
    for (client, call) in (2..).zip(calls) {
        rig.ask(op(client, 1), call);
    }
    rig.kinds();
    rig.accepted(2);
    // The next proposal contains this one, so no message needs to announce that this one is chosen.
    let Update::Row(data) = proposed(&rig) else { panic!("a whole row") };
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    assert_eq!((data.version, data.value.clone()), (4, Some(val("d"))));
    let ops: Vec<u64> = data.dedupe.entries.iter().map(|entry| entry.op.client).collect();
    assert_eq!(ops, [1, 2, 5], "an entry for each update");
    assert_eq!(data.dedupe.entries[1].proposed_us, data.dedupe.entries[2].proposed_us);
    rig.replies.clear();
    let before = rig.replica.counters().round_trips;
    rig.accepted(3);
    let outcomes: Vec<Outcome> = rig.replies.iter().map(|(_, outcome, _)| outcome.clone()).collect();
    let read = |value| Outcome::Read { current: Some(val(value)) };
    let mut expected = vec![Outcome::Applied, read("b"), Outcome::Applied, read("d")];
    refusal(&mut expected);
    assert_eq!(outcomes, expected, "{queue:?}");
    assert!(
        rig.replies.iter().all(|(_, _, diagnostics)| (diagnostics.rounds, diagnostics.round_trips) == (1, 1)),
        "each has waited for one"
    );
    assert_eq!(rig.replica.counters().round_trips, before, "which was one and the same");
    assert_eq!(rig.kinds(), ["chosen>n2", "chosen>n3"]);
}

#[test]
fn after_a_failed_proposal_ballot_and_row_are_dropped_and_the_operations_go_on_one_by_one() {
    for silent in [false, true] {
        let (mut rig, next) = prepared(config());
        rig.disk = DiskMode::Held;
        rig.ask(op(2, 1), write("a"));
        rig.ask(op(3, 1), Call::Read);
        rig.kinds();
        if silent {
            rig.elapse(800 * MS);
        } else {
            rig.reject(2, RequestKind::Propose);
            rig.reject(3, RequestKind::Propose);
            rig.elapse(100 * MS);
        }
        let sent = rig.kinds();
        assert!(sent.ends_with(&["prepare>n2".to_owned(), "prepare>n3".to_owned()]), "{sent:?}");
        assert!(rig.tag.expect("a prepare was sent").ballot > next);
        // The coordinator finds another node's write, and evaluates its own condition again.
        let theirs = row(b(rig.tag.expect("a prepare was sent").ballot.micros - 1, 2), 7, "theirs");
        promise_row(&mut rig, 2, None, &theirs);
        promise_row(&mut rig, 3, None, &theirs);
        let Update::Row(data) = proposed(&rig) else { panic!("the own update") };
        assert_eq!((data.version, data.value.clone()), (8, Some(val("a"))), "not on the row that was at hand");
    }
}

#[test]
fn a_failed_proposal_leaves_its_updates_open_and_nothing_else() {
    let (mut rig, _) = prepared(config());
    rig.disk = DiskMode::Held;
    rig.ask(op(2, 1), write("a"));
    rig.kinds();
    rig.ask(op(3, 1), write("b"));
    rig.ask(op(4, 1), Call::Read);
    rig.accepted(2);
    rig.accepted(3);
    // The second proposal carries clients 3 and 4, and gets no reply.
    rig.replies.clear();
    rig.elapse(TIMEOUT_NS);
    let mut outcomes: Vec<(u64, Outcome)> =
        rig.replies.iter().map(|(_, outcome, diagnostics)| (diagnostics.op.client, outcome.clone())).collect();
    outcomes.sort_by_key(|(client, _)| *client);
    let unknown = Outcome::Unknown { why: UnknownWhy::Timeout };
    let not = Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose };
    assert_eq!(outcomes, [(3, unknown), (4, not)]);
    assert_eq!(rig.replica.in_flight(), 0);
}

#[test]
fn another_coordinators_ballot_ends_the_fast_path() {
    let (mut rig, next) = prepared(config());
    let theirs = Ballot { micros: next.micros + 5, ..b(0, 3) };
    let ours = rig.tag;
    rig.answer_to(Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: theirs }, 3, Body::Prepare { have: None });
    rig.tag = ours;
    rig.kinds();
    rig.ask(op(2, 1), write("x"));
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"]);
}

#[test]
fn a_read_in_one_round_leaves_its_ballot_to_the_next_operation() {
    let mut rig = with(Rounds::Fast);
    rig.ask(op(1, 1), Call::Read);
    let ballot = rig.tag.expect("a prepare was sent").ballot;
    promise_row(&mut rig, 2, None, &row(b(20, 2), 4, "theirs"));
    assert_eq!(rig.outcome(), &Outcome::Read { current: Some(val("theirs")) });
    rig.kinds();
    rig.ask(op(1, 2), write("x"));
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    assert_eq!(rig.tag.expect("a propose was sent").ballot, ballot, "promised by a quorum, and used for nothing yet");
}

#[test]
fn a_process_that_starts_has_no_promised_ballot_and_the_number_of_keys_that_have_is_bounded() {
    let (rig, _) = prepared(config());
    let mut again = Rig::recovered(Config { rounds: Rounds::Fast, ..config() }, rig.records.clone());
    again.ask(op(2, 1), write("x"));
    assert_eq!(again.kinds(), ["prepare>n2", "prepare>n3"]);

    let (mut rig, _) = prepared(Config { prepared_keys: 1, ..config() });
    let other =
        ClientRequest { op: op(5, 1), key: Key::from("k2"), call: Call::Read, timeout_ns: TIMEOUT_NS, provenance: Provenance::First };
    rig.request(other);
    let tag = rig.tag.expect("a prepare was sent");
    let body = Body::Promise { old_promise: Ballot::ZERO, accepted: None, learned: Ballot::ZERO, newer: None };
    rig.step(Event::Peer { from: n(2), message: Message { key: Key::from("k2"), tag, body } });
    assert_eq!(rig.outcome(), &Outcome::Read { current: None });
    rig.kinds();
    rig.ask(op(2, 1), write("x"));
    assert_eq!(rig.kinds(), ["prepare>n2", "prepare>n3"], "k2 has taken the place of k1");
}

/// A ballot promised in advance is older than the operation, but the operation's stamp must not be.
#[test]
fn entries_are_stamped_by_the_clock_and_not_by_a_ballot_promised_ahead() {
    let (mut rig, next) = prepared(config());
    let hour_us = 3_600_000_000;
    rig.wall = WallTime(rig.wall.0 + hour_us);
    // The process has since generated newer ballots for other keys, and a client has seen one of them.
    let other =
        ClientRequest { op: op(5, 1), key: Key::from("k2"), call: Call::Read, timeout_ns: TIMEOUT_NS, provenance: Provenance::First };
    rig.request(other);
    let born = rig.tag.expect("a prepare was sent").ballot;
    assert!(born > next);
    rig.ask(op(2, 1), write("x"));
    assert_eq!(rig.tag.expect("a propose was sent").ballot, next);
    let Update::Row(data) = proposed(&rig) else { panic!("the own update") };
    let own = data.dedupe.newest().expect("it is in the row");
    assert!(own.proposed_us >= born.micros, "a retry that says it was born at {born} finds it before the watermark can pass");
}

#[test]
fn batches_are_bounded() {
    let (mut rig, _) = prepared(Config { batch_ops: 3, dedupe_entries: 4, ..config() });
    rig.ask(op(2, 1), write("a"));
    for client in 3..=9 {
        rig.ask(op(client, 1), if client < 6 { write("b") } else { Call::Read });
    }
    let mut sizes = Vec::new();
    while rig.replica.in_flight() > 0 {
        let before = rig.replies.len();
        rig.accepted(2);
        sizes.push(rig.replies.len() - before);
        assert!(sizes.len() < 9, "{sizes:?}");
    }
    assert_eq!(sizes, [1, 2, 3, 2], "two updates at most, half of what the row remembers; three operations at most");
}
