//! Tables of the acceptor's replies and state changes.

mod rig;

use heckle_paxos::acceptor::{Acceptor, Answer};
use heckle_paxos::*;
use rig::*;

const NONE: Mutants = Mutants::NONE;

/// Returns an acceptor brought into a given state by messages.
fn acceptor(promised: Ballot, accepted: Option<(Ballot, Update)>, learned: Option<Row>) -> Acceptor {
    let mut acceptor = Acceptor::default();
    if let Some(row) = learned {
        acceptor.learn(&key(), row, NONE);
    }
    if let Some((ballot, update)) = accepted {
        acceptor.propose(&key(), ballot, None, update, NONE);
    }
    if promised > acceptor.promised() {
        acceptor.prepare(&key(), promised, None, NONE);
    }
    acceptor
}

fn none() -> Ballot {
    Ballot::ZERO
}

fn update(value: &str) -> Update {
    Update::Row(data(1, value))
}

fn reject(request: RequestKind, seen: Ballot) -> Body {
    Body::Reject { request, seen }
}

#[track_caller]
fn check_prepare(promised: Ballot, ballot: Ballot, expected: Result<Ballot, Ballot>) {
    let mut acceptor = acceptor(promised, None, None);
    let Answer { body, record } = acceptor.prepare(&key(), ballot, None, NONE);
    match expected {
        Ok(old_promise) => {
            assert_eq!(body, Body::Promise { old_promise, accepted: None, learned: none(), newer: None });
            assert_eq!(record, Some(Record::Promised { key: key(), ballot }), "a promise is durable first");
            assert_eq!(acceptor.promised(), ballot);
        }
        Err(seen) => {
            assert_eq!(body, reject(RequestKind::Prepare, seen));
            assert_eq!(record, None);
            assert_eq!(acceptor.promised(), promised);
        }
    }
}

#[test]
#[rustfmt::skip] // A table.
fn prepare_promises_only_to_a_higher_ballot() {
    //            promised  ballot    answer
    check_prepare(none(),   b(1, 1),  Ok(none()));
    check_prepare(b(1, 1),  b(1, 2),  Ok(b(1, 1)));
    check_prepare(b(1, 2),  b(2, 1),  Ok(b(1, 2)));
    check_prepare(b(1, 1),  b(1, 1),  Err(b(1, 1)));
    check_prepare(b(1, 2),  b(1, 1),  Err(b(1, 2)));
    check_prepare(b(2, 1),  b(1, 2),  Err(b(2, 1)));
}

#[test]
fn a_promise_reports_what_is_accepted_and_learned() {
    let held = Some(Accepted { ballot: b(3, 1), update: update("x") });
    let mut acceptor = acceptor(none(), Some((b(3, 1), update("x"))), Some(row(b(2, 1), 1, "old")));
    let body = acceptor.prepare(&key(), b(4, 2), None, NONE).body;
    assert_eq!(body, Body::Promise { old_promise: b(3, 1), accepted: held, learned: b(2, 1), newer: None });
}

#[track_caller]
fn check_propose(promised: Ballot, held: Option<(Ballot, Update)>, ballot: Ballot, proposed: Update, expected: Result<(), Ballot>) {
    let mut acceptor = acceptor(promised, held.clone(), None);
    let Answer { body, record } = acceptor.propose(&key(), ballot, None, proposed.clone(), NONE);
    match expected {
        Ok(()) => {
            let accepted = Accepted { ballot, update: proposed };
            assert_eq!(body, Body::Accepted);
            assert_eq!(record, Some(Record::Accepted { key: key(), accepted: accepted.clone(), promised: ballot }));
            assert_eq!(acceptor.accepted(), Some(&accepted), "the new update overwrites the old one");
            assert_eq!(acceptor.promised(), ballot, "accepting is promising");
        }
        Err(seen) => {
            assert_eq!(body, reject(RequestKind::Propose, seen));
            assert_eq!(record, None);
            assert_eq!(acceptor.accepted().map(|held| held.ballot), held.map(|held| held.0));
        }
    }
}

#[test]
#[rustfmt::skip] // A table.
fn propose_is_accepted_at_the_promise_and_above() {
    let held = || Some((b(2, 1), update("old")));
    //            promised  held     ballot    update         answer
    check_propose(none(),   None,    b(1, 1),  update("x"),   Ok(()));
    check_propose(b(1, 1),  None,    b(1, 1),  update("x"),   Ok(()));
    check_propose(b(1, 1),  None,    b(1, 2),  update("x"),   Ok(()));
    check_propose(b(1, 2),  None,    b(1, 1),  update("x"),   Err(b(1, 2)));
    check_propose(b(3, 1),  held(),  b(3, 1),  update("x"),   Ok(()));
    check_propose(b(3, 1),  held(),  b(3, 1),  Update::Empty, Ok(()));
    check_propose(b(3, 1),  held(),  b(2, 9),  update("x"),   Err(b(3, 1)));
    check_propose(none(),   held(),  b(1, 9),  update("x"),   Err(b(2, 1)));
}

#[test]
fn a_second_copy_of_a_propose_changes_nothing() {
    let mut acceptor = acceptor(b(1, 1), Some((b(1, 1), update("x"))), None);
    let Answer { body, record } = acceptor.propose(&key(), b(1, 1), None, update("x"), NONE);
    assert_eq!((body, record), (Body::Accepted, None));
    // Nor does a propose that arrives after the update has been learned.
    acceptor.learn(&key(), Row { learned: b(1, 1), data: data(1, "x") }, NONE);
    let Answer { body, record } = acceptor.propose(&key(), b(1, 1), None, update("x"), NONE);
    assert_eq!((body, record), (Body::Accepted, None));
    assert_eq!(acceptor.accepted(), None);
}

/// The promise of the next ballot is in the same record as the accept, so no crash separates them.
#[test]
fn accepting_promises_the_next_ballot_in_the_same_record() {
    let (ballot, next) = (b(1, 1), b(5, 1));
    let mut acceptor = acceptor(ballot, None, None);
    let Answer { body, record } = acceptor.propose(&key(), ballot, Some(next), update("x"), NONE);
    let accepted = Accepted { ballot, update: update("x") };
    assert_eq!((body, record), (Body::Accepted, Some(Record::Accepted { key: key(), accepted, promised: next })));
    // Ballots between the two are no longer accepted or promised.
    for between in [b(1, 2), b(4, 9)] {
        assert_eq!(acceptor.propose(&key(), between, None, update("y"), NONE).body, reject(RequestKind::Propose, next));
        assert_eq!(acceptor.prepare(&key(), between, None, NONE).body, reject(RequestKind::Prepare, next));
    }
    // A second copy is also answered as accepted.
    let Answer { body, record } = acceptor.propose(&key(), ballot, Some(next), update("x"), NONE);
    assert_eq!((body, record), (Body::Accepted, None));
    acceptor.chosen(&key(), ballot, NONE);
    let Answer { body, record } = acceptor.propose(&key(), ballot, Some(next), update("x"), NONE);
    assert_eq!((body, record), (Body::Accepted, None));
    assert_eq!(acceptor.propose(&key(), next, None, update("y"), NONE).body, Body::Accepted);
    assert_eq!(acceptor.propose(&key(), ballot, Some(next), update("x"), NONE).body, reject(RequestKind::Propose, next));
}

/// The row was learned first, and the proposal arrives late.
#[test]
fn a_proposal_that_comes_after_its_learn_still_gets_its_next_promise() {
    let (ballot, next) = (b(3, 1), b(5, 1));
    let learned = || Some(Row { learned: ballot, data: data(1, "x") });
    let mut late = acceptor(none(), None, learned());
    let Answer { body, record } = late.propose(&key(), ballot, Some(next), update("x"), NONE);
    assert_eq!((body, record), (Body::Accepted, Some(Record::Promised { key: key(), ballot: next })));
    // Unless an update between them has been accepted, which the reply would deny.
    let mut between = acceptor(none(), Some((b(4, 2), update("y"))), learned());
    assert_eq!(between.propose(&key(), ballot, Some(next), update("x"), NONE).body, reject(RequestKind::Propose, b(4, 2)));
}

#[track_caller]
fn check_learn(learned: Option<Ballot>, held: Option<Ballot>, ballot: Ballot, row_after: Ballot, held_after: Option<Ballot>) {
    let before = learned.map(|ballot| row(ballot, 1, "old"));
    let mut acceptor = acceptor(none(), held.map(|ballot| (ballot, update("x"))), before);
    let Answer { body, record } = acceptor.learn(&key(), row(ballot, 2, "new"), NONE);
    assert_eq!(body, Body::Learned { learned: ballot });
    assert_eq!(record.is_some(), row_after == ballot && learned != Some(ballot), "one record iff it changes something");
    assert_eq!(acceptor.row().learned, row_after);
    let copy = acceptor.copy().map(|held| held.ballot);
    assert!(copy.is_none_or(|copy| copy == row_after), "what was overtaken is gone: {copy:?}");
    assert_eq!(acceptor.accepted().map(|held| held.ballot), held_after);
    assert!(acceptor.promised() >= acceptor.row().learned, "learning is promising");
}

#[test]
#[rustfmt::skip] // A table.
fn learn_takes_newer_rows_only_and_clears_what_they_contain() {
    //          learned        held           learn     row after  held after
    check_learn(None,          None,          b(1, 1),  b(1, 1),   None);
    check_learn(Some(b(1, 1)), None,          b(2, 1),  b(2, 1),   None);
    check_learn(Some(b(2, 1)), None,          b(1, 1),  b(2, 1),   None);
    check_learn(Some(b(2, 1)), None,          b(2, 1),  b(2, 1),   None);
    check_learn(None,          Some(b(1, 1)), b(1, 1),  b(1, 1),   None);
    check_learn(None,          Some(b(1, 1)), b(2, 1),  b(2, 1),   None);
    check_learn(None,          Some(b(3, 1)), b(2, 1),  b(2, 1),   Some(b(3, 1)));
}

#[track_caller]
fn check_prune(
    learned: Option<Ballot>,
    held: Option<(Ballot, Update)>,
    ballot: Ballot,
    copy_after: Option<Ballot>,
    pending_after: Option<Ballot>,
) {
    let mut acceptor = acceptor(none(), held.clone(), None);
    if let Some(learned) = learned {
        acceptor.learn(&key(), Row { learned, data: data(1, "x") }, NONE);
    }
    let had = acceptor.copy().is_some();
    let before = (acceptor.promised(), acceptor.row().clone());
    let Answer { body, record } = acceptor.prune(&key(), ballot, NONE);
    assert_eq!(body, Body::Pruned { pruned: ballot });
    assert_eq!(record.is_some(), had && copy_after.is_none(), "a record iff it changes something");
    assert_eq!(acceptor.copy().map(|held| held.ballot), copy_after);
    assert_eq!(acceptor.accepted().map(|held| held.ballot), pending_after);
    assert_eq!((acceptor.promised(), acceptor.row().clone()), before, "ballots and row stay");
}

#[test]
#[rustfmt::skip] // A table.
fn prune_drops_copies_of_what_is_learned_and_nothing_else() {
    let held = |us| Some((b(us, 1), update("x")));
    let empty = |us| Some((b(us, 1), Update::Empty));
    //          learned        held      prune     copy after     pending after
    check_prune(Some(b(2, 1)), held(2),  b(2, 1),  None,          None);
    check_prune(Some(b(2, 1)), held(2),  b(9, 1),  None,          None);
    check_prune(Some(b(2, 1)), held(2),  b(1, 1),  Some(b(2, 1)), None);
    check_prune(Some(b(2, 1)), held(3),  b(9, 1),  None,          Some(b(3, 1)));
    check_prune(Some(b(2, 1)), empty(3), b(9, 1),  None,          Some(b(3, 1)));
    check_prune(None,          held(2),  b(2, 1),  None,          Some(b(2, 1)));
    check_prune(Some(b(2, 1)), None,     b(2, 1),  None,          None);
}

#[test]
fn the_record_of_a_learn_names_the_accepted_update_if_it_is_the_row() {
    let mut same = acceptor(none(), Some((b(1, 1), update("x"))), None);
    let learned = same.learn(&key(), row(b(1, 1), 1, "x"), NONE).record;
    assert_eq!(learned, Some(Record::Chosen { key: key(), ballot: b(1, 1) }));
    // Chosen again at a higher ballot: the log does not contain this update.
    let mut repaired = acceptor(none(), Some((b(1, 1), update("x"))), None);
    let learned = repaired.learn(&key(), row(b(2, 1), 1, "x"), NONE).record;
    assert_eq!(learned, Some(Record::Learned { key: key(), row: row(b(2, 1), 1, "x") }));
}

#[test]
fn read_answers_newer_rows_unless_a_higher_ballot_was_promised() {
    let acceptor = acceptor(b(5, 1), None, Some(row(b(2, 1), 1, "x")));
    let answer = |ballot, have| acceptor.read(ballot, have).body;
    let newer = Some(row(b(2, 1), 1, "x"));
    assert_eq!(answer(b(5, 1), none()), Body::RowRead { learned: b(2, 1), newer });
    assert_eq!(answer(b(6, 1), b(2, 1)), Body::RowRead { learned: b(2, 1), newer: None });
    assert_eq!(answer(b(4, 1), none()), reject(RequestKind::Read, b(5, 1)));
}

/// Shows the purpose of each rule: the acceptor's mutants break exactly these lines.
#[cfg(feature = "mutants")]
#[test]
fn mutants_of_the_acceptor_break_its_rules() {
    let only = Mutants::only;
    let mut ignores = acceptor(b(5, 1), None, None);
    assert_eq!(ignores.propose(&key(), b(4, 1), None, update("x"), only(Mutant::AcceptIgnoresPromise)).body, Body::Accepted);

    let mut low = acceptor(b(1, 1), None, None);
    low.propose(&key(), b(5, 1), None, update("x"), only(Mutant::AcceptKeepsPromisedLow));
    assert_eq!(low.promised(), b(1, 1));

    let mut equal = acceptor(b(5, 2), None, None);
    let body = equal.prepare(&key(), b(5, 1), None, only(Mutant::PromiseOnEqual)).body;
    assert!(matches!(body, Body::Promise { .. }), "{body:?}");

    let mut early = acceptor(b(1, 1), None, None);
    early.propose(&key(), b(1, 1), None, update("x"), only(Mutant::ApplyAtAccept));
    assert_eq!(early.row().data.value, Some(val("x")));

    let mut keeps = acceptor(none(), Some((b(1, 1), update("x"))), None);
    keeps.learn(&key(), row(b(2, 1), 1, "y"), only(Mutant::KeepAcceptedAtLearn));
    assert!(keeps.copy().is_some_and(|held| held.ballot == b(1, 1)), "an overtaken update");
    assert!(keeps.accepted().is_none());

    let mut unsynced = acceptor(none(), Some((b(1, 1), update("x"))), None);
    let answer = unsynced.learn(&key(), row(b(1, 1), 1, "x"), only(Mutant::LearnNotSynced));
    assert_eq!((answer.body, answer.record), (Body::Learned { learned: b(1, 1) }, None));

    // What pruning must keep: otherwise an older learn would restore the older row.
    let mut forgets = acceptor(none(), Some((b(5, 1), update("new"))), None);
    forgets.learn(&key(), row(b(5, 1), 2, "new"), NONE);
    forgets.prune(&key(), b(5, 1), only(Mutant::PruneDropsBallot));
    forgets.learn(&key(), row(b(4, 1), 1, "old"), NONE);
    assert_eq!(forgets.row().data.value, Some(val("old")));
}
