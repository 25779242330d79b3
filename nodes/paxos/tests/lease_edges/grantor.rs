//! The grantor: which nodes get a grant, and for how long.

use crate::rig::{MS, at, ballot, before};
use heckle_paxos::Mutants;
use heckle_paxos::lease::grantor::Grantor;
use heckle_paxos::lease::{LeaseBallot, LeaseBody, LeaseLimits, LeaseMode};

const LIMITS: LeaseLimits = LeaseLimits { longest_ns: 1_000 * MS, longest_read_ns: 600 * MS };

fn propose(grantor: &mut Grantor, now_ms: u64, ballot: LeaseBallot, time_ms: u64, mode: LeaseMode) -> bool {
    grantor.propose(at(now_ms), ballot, time_ms * MS, mode, LIMITS) == LeaseBody::Granted
}

/// Grants the range to n2 from 0 ms to 500 ms, and then handles a second propose. n3 must get the range at `free_ms`
/// and no earlier.
#[track_caller]
fn check_second_propose(now_ms: u64, second: LeaseBallot, time_ms: u64, granted: bool, free_ms: u64) {
    for (moment, free) in [(before(free_ms), false), (at(free_ms), true)] {
        let mut grantor = Grantor::default();
        assert!(propose(&mut grantor, 0, ballot(5, 2), 500, LeaseMode::Read));
        assert_eq!(propose(&mut grantor, now_ms, second, time_ms, LeaseMode::Read), granted, "{second} at {now_ms} ms");
        assert_eq!(grantor.running(moment).is_none(), free, "{second} at {now_ms} ms for {time_ms} ms: {:?}", grantor.running(moment));
        let taken = grantor.propose(moment, ballot(99, 3), MS, LeaseMode::Read, LIMITS) == LeaseBody::Granted;
        assert_eq!(taken, free, "{second} at {now_ms} ms for {time_ms} ms, then n3");
    }
}

#[test]
#[rustfmt::skip] // A table.
fn more_time_is_never_less() {
    //                    at   ballot         for  granted free for n3 at
    check_second_propose(100, ballot(6, 2),   600, true,   700); // An ordinary extension.
    check_second_propose(100, ballot(6, 2),   100, true,   500); // Requests less than the time left: the end does not move.
    check_second_propose(100, ballot(6, 2),   400, true,   500);
    check_second_propose(300, ballot(5, 2),   500, true,   500); // A second copy of the first propose: granted once.
    check_second_propose(300, ballot(4, 2),   500, false,  500); // A late propose.
    check_second_propose(600, ballot(6, 2),   100, true,   700); // The first grant has run out.
    check_second_propose(100, LeaseBallot { restarts: 2, ..ballot(6, 2) }, 600, true, 700); // A new process of the node.
    check_second_propose(100, ballot(6, 3),   600, false,  500); // A propose from another node.
}

/// An extension for a shorter time still replaces the grant: the holder releases the newest ballot.
#[test]
fn a_shorter_extension_replaces_the_grant() {
    let mut grantor = Grantor::default();
    assert!(propose(&mut grantor, 0, ballot(5, 2), 500, LeaseMode::Read));
    assert!(propose(&mut grantor, 100, ballot(6, 2), 100, LeaseMode::Priority));
    let grant = grantor.running(at(499)).expect("it runs");
    assert_eq!((grant.ballot, grant.mode, grant.until), (ballot(6, 2), LeaseMode::Priority, at(500)));
    grantor.release(ballot(5, 2), Mutants::NONE);
    assert!(grantor.running(at(499)).is_some(), "what is given back was replaced");
    grantor.release(ballot(6, 2), Mutants::NONE);
    assert_eq!(grantor.running(at(110)), None);
}

#[test]
#[rustfmt::skip] // A table.
fn a_grant_is_at_most_as_long_as_a_restart_waits() {
    for (mode, time_ms, granted) in [
        (LeaseMode::Read,     600, true),  (LeaseMode::Read,     601, false),
        (LeaseMode::Priority, 1_000, true), (LeaseMode::Priority, 1_001, false),
        (LeaseMode::Off,      1, false),
    ] {
        assert_eq!(propose(&mut Grantor::default(), 0, ballot(1, 2), time_ms, mode), granted, "{mode:?} for {time_ms} ms");
    }
}

#[test]
fn a_promise_is_kept_and_its_second_copy_is_answered_alike() {
    let promise = LeaseBody::Promise { granted: None };
    let refused = LeaseBody::Refused { seen: ballot(5, 2), granted: None };
    let mut grantor = Grantor::default();
    assert_eq!(grantor.prepare(at(0), ballot(5, 2)), promise);
    assert_eq!(grantor.prepare(at(0), ballot(5, 2)), promise, "a second copy");
    assert_eq!(grantor.prepare(at(0), ballot(4, 3)), refused);
    assert!(!propose(&mut grantor, 0, ballot(4, 3), 100, LeaseMode::Read), "below the promise");
    // A grant is also a promise, and every reply states its remaining time.
    assert!(propose(&mut grantor, 0, ballot(7, 2), 100, LeaseMode::Read));
    let granted = Some((ballot(7, 2), 40 * MS));
    assert_eq!(grantor.prepare(at(60), ballot(6, 3)), LeaseBody::Refused { seen: ballot(7, 2), granted });
    assert_eq!(grantor.prepare(at(60), ballot(8, 3)), LeaseBody::Promise { granted });
}

#[test]
fn a_holder_hears_once_a_turn_that_others_wait() {
    let mut grantor = Grantor::default();
    assert_eq!(grantor.note_refused(at(0), 25 * MS), None, "nothing is granted");
    propose(&mut grantor, 0, ballot(1, 2), 100, LeaseMode::Read);
    for (now, hears) in [(at(1), true), (at(2), false), (before(26), false), (at(26), true), (before(51), false)] {
        assert_eq!(grantor.note_refused(now, 25 * MS).is_some(), hears, "{now:?}");
    }
    // Another ballot is another grant, whose holder has not been notified yet.
    propose(&mut grantor, 51, ballot(2, 2), 100, LeaseMode::Read);
    assert_eq!(grantor.note_refused(at(51), 25 * MS), Some(ballot(2, 2)));
    assert_eq!(grantor.note_refused(at(151), 25 * MS), None, "it has run out");
}
