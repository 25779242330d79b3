//! The table of unknown outcomes: the phase reached and the replies seen decide which outcome may be reported.

mod rig;

use heckle_paxos::*;
use rig::*;

fn write(new: &str) -> Call {
    Call::Write { new: val(new) }
}

/// How far an operation gets before all messages are lost.
#[derive(Debug, Clone, Copy)]
enum Reach {
    Prepare,
    Read,
    Repair,
    Fence,
    Propose,
    ProposeOneAccepts,
    ProposeAllReject,
    Learn,
}

fn reach(rig: &mut Rig, reach: Reach) {
    let theirs = Some(Accepted { ballot: b(10, 2), update: Update::Row(data(1, "theirs")) });
    match reach {
        Reach::Prepare => {}
        Reach::Read => rig.promise(2),
        Reach::Repair => rig.promise_with(2, theirs, Ballot::ZERO),
        Reach::Fence | Reach::Propose => {
            rig.promise(2);
            rig.row_read(2);
        }
        Reach::ProposeOneAccepts => {
            // n1's own disk hangs, so the only accept is n2's.
            rig.promise(2);
            rig.disk = DiskMode::Held;
            rig.row_read(2);
            rig.accepted(2);
        }
        Reach::ProposeAllReject => {
            rig.promise(2);
            // n1 itself promises a higher ballot before its own propose.
            let tag = Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot: b(9_000_000, 3) };
            let ours = rig.tag;
            rig.answer_to(tag, 3, Body::Prepare { have: None });
            rig.tag = ours;
            rig.row_read(2);
            rig.row_read(3);
            rig.reject(2, RequestKind::Propose);
            rig.reject(3, RequestKind::Propose);
        }
        Reach::Learn => {
            rig.promise(2);
            rig.row_read(2);
            rig.accepted(2);
        }
    }
}

#[track_caller]
fn check_outcome(call: Call, provenance: Provenance, links: Links, until: Reach, expected: Outcome) {
    let mut config = config();
    config.links = links;
    let mut rig = Rig::new(config);
    rig.request(ClientRequest { op: op(1, 1), key: key(), call, timeout_ns: TIMEOUT_NS, provenance });
    reach(&mut rig, until);
    // A chosen update is reported once the learns have been resent often enough.
    if !matches!(until, Reach::Learn) {
        assert!(rig.replies.is_empty(), "answered before time was up: {:?}", rig.replies);
    }
    rig.elapse(TIMEOUT_NS);
    assert_eq!(rig.replies.len(), 1, "exactly one answer");
    assert_eq!(rig.outcome(), &expected, "{until:?}");
    assert_eq!(rig.replica.in_flight(), 0);
}

#[test]
#[rustfmt::skip] // A table.
fn not_applied_requires_proof() {
    let not = || Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose };
    let unknown = || Outcome::Unknown { why: UnknownWhy::Timeout };
    let cas = || Call::Cas { expected: Some(val("other")), new: val("x") };
    let (first, may, never) = (Provenance::First, Links::MayDuplicate, Links::NeverDuplicate);
    //            call         sent    links  reached                    answer
    check_outcome(write("x"),  first,  may,   Reach::Prepare,            not());
    check_outcome(write("x"),  first,  may,   Reach::Read,               not());
    check_outcome(write("x"),  first,  may,   Reach::Repair,             not());
    check_outcome(cas(),       first,  may,   Reach::Fence,              not());
    check_outcome(Call::Read,  first,  may,   Reach::Fence,              not());
    check_outcome(write("x"),  first,  may,   Reach::Propose,            unknown());
    check_outcome(write("x"),  first,  may,   Reach::ProposeOneAccepts,  unknown());
    check_outcome(write("x"),  first,  may,   Reach::ProposeAllReject,   unknown());
    check_outcome(write("x"),  first,  never, Reach::Propose,            unknown());
    check_outcome(write("x"),  first,  never, Reach::ProposeOneAccepts,  unknown());
    check_outcome(write("x"),  first,  never, Reach::ProposeAllReject,   not());
    check_outcome(write("x"),  first,  may,   Reach::Learn,              Outcome::Applied);

    // Earlier copies may still be running elsewhere, whatever happens to this request.
    let resent = Provenance::Resent { born: Ballot::ZERO };
    let elsewhere = || Outcome::Unknown { why: UnknownWhy::ResentElsewhere };
    check_outcome(write("x"),  resent, may,   Reach::Prepare,            elsewhere());
    check_outcome(cas(),       resent, may,   Reach::Fence,              elsewhere());
    check_outcome(write("x"),  resent, never, Reach::ProposeAllReject,   elsewhere());
    check_outcome(Call::Read,  resent, may,   Reach::Prepare,            not());
    check_outcome(write("x"),  resent, may,   Reach::Learn,              Outcome::Applied);
}

/// Brings a write to its second attempt. At most n2 has accepted its first update.
fn second_attempt(config: Config) -> Rig {
    let mut rig = Rig::new(config);
    rig.ask(op(1, 1), Call::Cas { expected: None, new: val("mine") });
    reach(&mut rig, Reach::ProposeAllReject);
    rig.elapse(100 * MS);
    rig.kinds();
    rig
}

#[test]
fn a_retry_that_finds_its_id_answers_its_result() {
    let mut rig = second_attempt(config());
    // n2 did accept the first attempt and reports it, so the operation repairs itself.
    let entry = DedupeEntry { op: op(1, 1), request_hash: own_hash(), proposed_us: 1_000_000, fate: OpFate::Applied };
    let mut mine = (*data(1, "mine")).clone();
    mine.dedupe.entries = vec![entry];
    let mine = std::sync::Arc::new(mine);
    let held = Some(Accepted { ballot: b(1_000_000, 1), update: Update::Row(mine.clone()) });
    rig.promise_with(2, held, Ballot::ZERO);
    assert_eq!(rig.kinds(), ["propose>n2", "propose>n3"]);
    rig.accepted(2);
    rig.learned(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);

    // Or another node has repaired it, and others have written since, so its id is in the table.
    let mut rig = second_attempt(config());
    let mut later = (*data_by(op(2, 1), 2, "later")).clone();
    later.dedupe.entries.insert(0, entry);
    let later = Row { learned: b(1_000_500, 2), data: std::sync::Arc::new(later) };
    rig.promise_with(2, None, later.learned);
    rig.promise_with(3, None, later.learned);
    rig.answer(2, Body::RowRead { learned: later.learned, newer: Some(later.clone()) });
    rig.promise_with(2, None, later.learned);
    rig.row_read(2);
    assert_eq!(rig.outcome(), &Outcome::Applied);
}

/// The hash of the operation that `second_attempt` sends, taken from the update that a fresh replica proposes.
fn own_hash() -> u64 {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), Call::Cas { expected: None, new: val("mine") });
    reach(&mut rig, Reach::Propose);
    let sent = rig.take_sent();
    let update = sent.iter().find_map(|(_, message)| match &message.body {
        Body::Propose { update: Update::Row(data), .. } => Some(data.clone()),
        _ => None,
    });
    update.expect("an update was proposed").dedupe.entries[0].request_hash
}

#[test]
fn a_fence_resolves_the_earlier_attempts_of_the_same_coordinator() {
    let mut rig = second_attempt(config());
    let theirs = row(b(1_000_500, 2), 1, "theirs");
    // The second attempt finds another node's row. n1 lags and is refreshed, so a third attempt follows.
    rig.promise_with(2, None, theirs.learned);
    rig.answer(2, Body::RowRead { learned: theirs.learned, newer: Some(theirs.clone()) });
    rig.promise_with(2, None, theirs.learned);
    rig.row_read(2);
    let sent = rig.kinds();
    assert_eq!(sent[sent.len() - 2..], ["fence>n2", "fence>n3"]);
    assert!(rig.replies.is_empty());
    rig.accepted(2);
    assert_eq!(rig.outcome(), &Outcome::ConditionNotMet { current: Some(val("theirs")) });

    // Without the fence it remains unknown.
    let mut rig = second_attempt(config());
    rig.promise_with(2, None, theirs.learned);
    rig.answer(2, Body::RowRead { learned: theirs.learned, newer: Some(theirs) });
    rig.elapse(TIMEOUT_NS);
    assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::Timeout });
}

/// The first attempt finds a row with the given table.
#[track_caller]
fn check_table(entries: Vec<DedupeEntry>, watermark_us: u64, provenance: Provenance, expected: Option<Outcome>) {
    let mut theirs = (*data(1, "theirs")).clone();
    theirs.dedupe = Dedupe { entries, watermark_us, ..Dedupe::default() };
    let stored = Row { learned: b(500, 2), data: std::sync::Arc::new(theirs) };
    let record = Record::Learned { key: key(), row: stored.clone() };
    let mut rig = Rig::recovered(config(), vec![record]);
    let call = Call::Cas { expected: None, new: val("mine") };
    rig.request(ClientRequest { op: op(1, 5), key: key(), call, timeout_ns: TIMEOUT_NS, provenance });
    rig.promise_with(2, None, stored.learned);
    rig.row_read(2);
    assert_eq!(rig.replies.first().map(|reply| reply.1.clone()), expected);
}

#[test]
#[rustfmt::skip] // A table.
fn the_table_of_a_row_decides_before_the_condition() {
    let entry = |seq, request_hash, fate| DedupeEntry { op: op(1, seq), request_hash, proposed_us: 400, fate };
    let hash = own_hash();
    let (applied, first) = (OpFate::Applied, Provenance::First);
    let resent = |us| Provenance::Resent { born: b(us, 1) };
    let unknown = |why| Some(Outcome::Unknown { why });
    //          table                            watermark  sent         answer (none: continues to a fence)
    check_table(vec![],                          0,         first,       None);
    check_table(vec![entry(5, hash, applied)],   0,         first,       Some(Outcome::Applied));
    check_table(vec![entry(5, 99, applied)],     0,         first,       Some(Outcome::Invalid { why: InvalidWhy::IdReused }));
    check_table(vec![entry(5, hash, OpFate::Aborted)], 0,   first,       Some(Outcome::NotApplied { why: NotAppliedWhy::Aborted }));
    check_table(vec![entry(4, 99, applied)],     0,         first,       None);
    check_table(vec![entry(6, 99, applied)],     0,         first,       Some(Outcome::NotApplied { why: NotAppliedWhy::Superseded }));
    check_table(vec![entry(6, 99, applied)],     0,         resent(1),   unknown(UnknownWhy::ResentElsewhere));
    // A new operation is never refused because of its age. One sent before may be among the evicted ones.
    check_table(vec![],                          450,       first,       None);
    check_table(vec![],                          450,       resent(450), unknown(UnknownWhy::Evicted));
    check_table(vec![],                          450,       resent(451), None);
}

#[test]
fn one_operation_at_a_time_in_the_order_of_arrival_and_busy_when_full() {
    let mut config = config();
    config.queue_per_key = 2;
    let mut rig = Rig::new(config);
    let tokens: Vec<ClientToken> = (1..=4).map(|client| rig.ask(op(client, 1), Call::Read)).collect();
    assert_eq!(rig.replies.len(), 1);
    assert_eq!((rig.replies[0].0, rig.outcome()), (tokens[3], &Outcome::NotApplied { why: NotAppliedWhy::Busy }));
    for token in &tokens[..3] {
        rig.promise(2);
        rig.row_read(2);
        rig.accepted(2);
        assert_eq!(rig.replies.last().map(|reply| reply.0), Some(*token));
    }
    assert_eq!(rig.replica.counters().overlaps, 0);
    assert_eq!(rig.replica.counters().queue_full, 1);
}

#[test]
fn a_short_time_limit_ends_waiting_in_the_queue() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), write("x"));
    let request = ClientRequest { op: op(2, 1), key: key(), call: write("y"), timeout_ns: 50 * MS, provenance: Provenance::First };
    let token = rig.request(request);
    rig.elapse(50 * MS);
    assert_eq!(rig.replies[0].0, token);
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::TimeoutInQueue });
    assert_eq!(rig.replica.in_flight(), 1, "the first one is still running");
}

#[test]
fn wrong_requests_are_refused_before_they_start() {
    let mut config = config();
    (config.max_key_bytes, config.max_value_bytes) = (4, 2);
    let mut rig = Rig::new(config);
    let long = val("abc");
    for (name, call, why) in [
        ("", Call::Read, InvalidWhy::KeySize),
        ("abcde", Call::Read, InvalidWhy::KeySize),
        ("k", Call::Write { new: long.clone() }, InvalidWhy::ValueSize),
        ("k", Call::Cas { expected: Some(long), new: val("x") }, InvalidWhy::ValueSize),
    ] {
        let key = Key::from(name);
        rig.request(ClientRequest { op: op(1, 1), key, call, timeout_ns: MS, provenance: Provenance::First });
        assert_eq!(rig.outcome(), &Outcome::Invalid { why });
    }
    assert!(rig.sent.is_empty());
}

/// A process that was stopped handles its messages before its timers.
#[test]
fn after_the_time_limit_nothing_new_is_proposed() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), write("x"));
    rig.promise(2);
    rig.kinds();
    rig.now = rig.now.after_ns(TIMEOUT_NS);
    rig.row_read(2);
    assert_eq!(rig.kinds(), Vec::<String>::new());
    assert_eq!(rig.outcome(), &Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose });
}

#[test]
fn a_resent_operation_uses_ballots_above_the_one_it_was_born_at() {
    let resent = |rig: &mut Rig, micros, call| {
        let provenance = Provenance::Resent { born: b(micros, 2) };
        rig.request(ClientRequest { op: op(1, 1), key: key(), call, timeout_ns: TIMEOUT_NS, provenance })
    };
    let hour_us = 3_600_000_000;
    let mut rig = Rig::new(config());
    let wall_us = rig.wall.0;
    resent(&mut rig, wall_us + hour_us, write("x"));
    assert!(rig.tag.expect("a prepare was sent").ballot.micros > wall_us + hour_us);

    // But a client cannot push the clock to its maximum.
    let mut rig = Rig::new(config());
    resent(&mut rig, wall_us + 25 * hour_us, write("x"));
    assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::ResentElsewhere });
    rig.ask(op(2, 1), Call::Read);
    assert!(rig.tag.expect("a prepare was sent").ballot.micros < wall_us + hour_us);
}

/// Brings about a propose that n1 itself rejects, because it has promised another coordinator's ballot in between.
fn propose_rejected_at_home(rig: &mut Rig) {
    rig.promise(2);
    let ours = rig.tag;
    let ballot = Ballot { micros: ours.expect("a prepare was sent").ballot.micros + 1_000_000, ..b(0, 3) };
    rig.answer_to(Tag { op: op(9, 1), attempt: 1, incarnation: 1, ballot }, 3, Body::Prepare { have: None });
    rig.tag = ours;
    rig.row_read(2);
    rig.row_read(3);
}

#[test]
fn rejects_of_all_prove_nothing_about_an_earlier_copy_or_an_earlier_attempt() {
    let unknown = Outcome::Unknown { why: UnknownWhy::Timeout };
    let rig = |resends_per_round| {
        let mut config = config();
        (config.links, config.resends_per_round) = (Links::NeverDuplicate, resends_per_round);
        let mut rig = Rig::new(config);
        rig.ask(op(1, 1), write("x"));
        rig
    };
    // Sent twice by the coordinator itself: the first copy may have been accepted.
    let mut twice = rig(1);
    propose_rejected_at_home(&mut twice);
    twice.elapse(100 * MS);
    twice.reject(2, RequestKind::Propose);
    twice.reject(3, RequestKind::Propose);
    twice.elapse(TIMEOUT_NS);
    assert_eq!(twice.outcome(), &unknown);
    // The second attempt is disproved, but not the first.
    let mut earlier = rig(0);
    propose_rejected_at_home(&mut earlier);
    earlier.elapse(100 * MS);
    propose_rejected_at_home(&mut earlier);
    earlier.reject(2, RequestKind::Propose);
    earlier.reject(3, RequestKind::Propose);
    earlier.elapse(TIMEOUT_NS);
    assert_eq!(earlier.outcome(), &unknown);
    // A late accept of the last attempt counts although the coordinator has continued.
    let mut late = rig(0);
    propose_rejected_at_home(&mut late);
    let tag = late.tag.expect("a propose was sent");
    late.reject(2, RequestKind::Propose);
    late.elapse(50 * MS);
    late.answer_to(tag, 3, Body::Accepted);
    late.elapse(TIMEOUT_NS);
    assert_eq!(late.outcome(), &unknown);
}

#[test]
fn a_resent_cas_is_never_called_refused() {
    let mut rig = Rig::new(config());
    let call = Call::Cas { expected: Some(val("other")), new: val("x") };
    let provenance = Provenance::Resent { born: Ballot::ZERO };
    rig.request(ClientRequest { op: op(1, 1), key: key(), call, timeout_ns: TIMEOUT_NS, provenance });
    reach(&mut rig, Reach::Fence);
    assert_eq!(rig.kinds()[4..], ["fence>n2", "fence>n3"]);
    rig.accepted(2);
    // The other coordinator may evaluate the condition later, above this fence, and find it met.
    assert_eq!(rig.outcome(), &Outcome::Unknown { why: UnknownWhy::ResentElsewhere });
}
