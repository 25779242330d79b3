//! The fair queue of a key: piggybacked replies, the order of turns, and reservations.

mod rig;

use heckle_paxos::*;
use rig::*;

const MS: u64 = 1_000_000;

fn cas(expected: Option<&str>, new: &str) -> Call {
    Call::Cas { expected: expected.map(val), new: val(new) }
}

fn shown(value: &str) -> Outcome {
    Outcome::ConditionNotMet { current: Some(val(value)) }
}

/// Client 1 writes "x". The requests in `meanwhile` arrive from other clients a millisecond later, before it
/// proposes.
fn lead(rig: &mut Rig, meanwhile: Vec<(OpId, Call)>) -> Vec<ClientToken> {
    rig.ask(op(1, 1), cas(None, "x"));
    rig.elapse(MS);
    let tokens = meanwhile.into_iter().map(|(op, call)| rig.ask(op, call)).collect();
    rig.elapse(MS);
    rig.promise(2);
    rig.row_read(2);
    tokens
}

fn finish(rig: &mut Rig) {
    rig.accepted(2);
    rig.learned(2);
}

fn answers(rig: &Rig) -> Vec<(ClientToken, Outcome)> {
    rig.replies.iter().map(|reply| (reply.0, reply.1.clone())).collect()
}

/// The operation proposed by the newest request.
fn coordinated(rig: &Rig) -> OpId {
    rig.tag.expect("a request was sent").op
}

#[test]
fn who_waited_before_the_deciding_round_is_shown_its_value_at_once() {
    let mut rig = Rig::new(config());
    let waiting = vec![
        (op(2, 1), Call::Read),
        (op(3, 1), cas(None, "y")),
        (op(4, 1), cas(Some("x"), "z")),
        (op(5, 1), Call::Write { new: val("w") }),
    ];
    let tokens = lead(&mut rig, waiting);
    rig.elapse(MS);
    // Too late for this reply: the read arrives after the proposal was sent, and another write may come in between.
    rig.ask(op(6, 1), Call::Read);
    finish(&mut rig);
    let replies = answers(&rig);
    assert_eq!(replies[0], (tokens[0], Outcome::Read { current: Some(val("x")) }));
    assert_eq!(replies[1], (tokens[1], shown("x")));
    assert_eq!((replies.len(), &replies[2].1), (3, &Outcome::Applied), "a CAS that is met, a write and a later read wait on");
    assert_eq!((rig.replica.counters().told_along, rig.replica.in_flight()), (2, 3));
}

#[test]
fn an_operation_with_open_proposals_is_not_piggybacked() {
    let mut rig = Rig::new(config());
    rig.ask(op(1, 1), cas(None, "x"));
    rig.elapse(MS);
    let resent = Provenance::Resent { born: b(1, 1) };
    rig.request(ClientRequest { op: op(2, 1), key: key(), call: cas(None, "y"), timeout_ns: 1_000 * MS, provenance: resent });
    rig.elapse(MS);
    rig.promise(2);
    rig.row_read(2);
    finish(&mut rig);
    assert_eq!((rig.replies.len(), rig.replica.counters().told_along, rig.replica.in_flight()), (1, 0, 1));
}

#[test]
fn in_order_of_arrival_no_reply_is_piggybacked() {
    let mut rig = Rig::new(Config { queue: Queue::Fifo, ..config() });
    lead(&mut rig, vec![(op(2, 1), Call::Read), (op(3, 1), cas(None, "y"))]);
    finish(&mut rig);
    assert_eq!((rig.replies.len(), rig.replica.in_flight(), coordinated(&rig)), (1, 2, op(2, 1)));
}

#[test]
fn a_key_is_reserved_for_refused_clients() {
    let mut rig = Rig::new(config());
    lead(&mut rig, vec![(op(3, 1), cas(None, "y"))]);
    finish(&mut rig);
    rig.ask(op(1, 2), cas(Some("x"), "again"));
    assert_eq!((coordinated(&rig), rig.replica.counters().held_open), (op(1, 1), 1), "the winner waits");
    rig.ask(op(3, 2), cas(Some("x"), "mine"));
    assert_eq!(coordinated(&rig), op(3, 2), "the loser goes first");
}

#[test]
fn a_key_is_reserved_for_half_a_round_only_and_more_rarely_without_requests() {
    let mut rig = Rig::new(config());
    let mut held = 0;
    let mut learned = Ballot::ZERO;
    let mut complete = |rig: &mut Rig| {
        rig.promise_with(2, None, learned);
        learned = rig.tag.expect("a request was sent").ballot;
        rig.row_read(2);
        finish(rig);
    };
    for round in 1..=8_u64 {
        let before = if round == 1 { None } else { Some("x") };
        rig.ask(op(1, 2 * round - 1), cas(before, "x"));
        rig.elapse(MS);
        rig.ask(op(10 + round, 1), cas(Some("else"), "y"));
        rig.elapse(MS);
        complete(&mut rig);
        rig.ask(op(1, 2 * round), Call::Write { new: val("x") });
        let waits = coordinated(&rig) != op(1, 2 * round);
        held += u32::from(waits);
        if waits {
            rig.elapse(MS - 1);
            assert_ne!(coordinated(&rig), op(1, 2 * round), "round {round}: not yet");
            rig.elapse(1);
        }
        assert_eq!(coordinated(&rig), op(1, 2 * round), "round {round}");
        complete(&mut rig);
    }
    // Taken at the first, third and seventh opportunity: one in one, two and four.
    assert_eq!((held, rig.replica.counters().held_open), (3, 3));
}

#[test]
fn with_a_ballot_at_hand_all_who_were_refused_are_waited_for_and_leave_together() {
    let mut rig = Rig::new(Config { rounds: Rounds::Fast, ..config() });
    rig.ask(op(1, 1), cas(None, "x"));
    rig.elapse(MS);
    rig.ask(op(3, 1), cas(None, "y"));
    rig.ask(op(4, 1), cas(None, "z"));
    rig.elapse(MS);
    rig.promise(2);
    rig.accepted(2);
    assert_eq!((rig.replies.len(), rig.replica.counters().told_along), (3, 2));
    rig.take_sent();
    rig.ask(op(3, 2), cas(Some("x"), "mine"));
    assert_eq!(rig.kinds(), Vec::<String>::new(), "4 is awaited");
    rig.ask(op(4, 2), cas(Some("x"), "its"));
    let kinds = rig.kinds();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind.contains("propose")), "at the ballot at hand: {kinds:?}");
    rig.accepted(2);
    let replies: Vec<Outcome> = rig.replies[3..].iter().map(|reply| reply.1.clone()).collect();
    assert_eq!(replies, vec![Outcome::Applied, shown("mine")]);
}
