//! The holder: when it requests a lease, and for how long it considers itself the holder.

use crate::rig::{LEASE_MS, MS, Node, RANGE, TURN_MS, at, ballot, before, settings};
use heckle_paxos::lease::{EndWhy, Forward, LeaseBallot, LeaseBody, LeaseChange, LeaseMode, LeaseSettings};
use heckle_paxos::{MonoTime, NodeId};
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// When a lease is extended, with exact clocks and with drifting clocks.
#[test]
fn a_lease_is_extended_in_its_second_half() {
    for drift_ppm in [0, 200_000] {
        let settings = LeaseSettings { drift_ppm, ..settings(Forward::Off) };
        let believed = settings.usable_ns();
        let half = MonoTime(believed - believed / 2);
        for (now, asks) in [(MonoTime(half.0 / 2), false), (MonoTime(half.0 - 1), false), (half, true), (MonoTime(believed - 1), true)] {
            let mut node = Node::new(3, settings);
            let first = node.acquire(at(0));
            node.touch(now);
            let asked = node.asked();
            assert_eq!(asked.is_some(), asks, "{now:?} of {believed} ns");
            assert!(asked.is_none_or(|ballot| ballot > first));
        }
    }
}

#[test]
fn an_extension_goes_on_from_the_first_grant_and_ends_a_lease_time_after_it_was_asked_for() {
    let mut node = Node::new(3, settings(Forward::Off));
    node.acquire(at(0));
    node.touch(at(300));
    let asked = node.asked().expect("its second half has begun");
    node.receive(2, asked, LeaseBody::Promise { granted: Some((ballot(1, 1), 100 * MS)) }, at(310));
    node.out.clear();
    node.receive(2, asked, LeaseBody::Granted, at(330));
    assert_eq!(node.timers(), [at(710)], "it is woken when the lease ends");
    assert_eq!(node.effects().1, [(LeaseChange::Extended, at(710))], "counted from when the propose left");
    let held = node.leases.held(RANGE, before(710)).expect("held");
    assert_eq!((held.from, held.until, held.ballot), (at(0), at(710), asked));
    assert!(!node.holds(at(710)), "not a moment longer");
}

#[test]
fn a_lease_ends_when_its_time_is_over_even_if_its_timer_is_late() {
    for late_ms in [0, 300] {
        let mut node = Node::new(3, settings(Forward::Off));
        node.acquire(at(0));
        assert!(node.holds(before(LEASE_MS)) && !node.holds(at(LEASE_MS)));
        node.timer(before(LEASE_MS));
        assert_eq!(node.effects(), (vec![], vec![]), "it runs");
        // Other nodes wait for the lease, but it expires before it can be released.
        node.receive(2, ballot(1, 1), LeaseBody::Wanted, at(1));
        node.out.clear();
        node.timer(at(LEASE_MS + late_ms));
        assert_eq!(node.effects(), (vec![], vec![(LeaseChange::Ended(EndWhy::Expired), at(LEASE_MS))]), "{late_ms} ms late");
        node.timer(at(LEASE_MS + late_ms));
        assert_eq!(node.effects(), (vec![], vec![]), "it ended once");
    }
}

#[test]
fn answers_that_took_longer_than_the_lease_grant_nothing() {
    for (granted, holds) in [(before(10 + LEASE_MS), true), (at(10 + LEASE_MS), false)] {
        let mut node = Node::new(3, settings(Forward::Off));
        node.touch(at(0));
        let asked = node.asked().expect("asked");
        node.receive(2, asked, LeaseBody::Promise { granted: None }, at(10));
        node.out.clear();
        node.receive(2, asked, LeaseBody::Granted, granted);
        assert_eq!((node.holds(granted), node.effects().1.len()), (holds, usize::from(holds)), "{granted:?}");
    }
}

#[test]
fn an_attempt_without_answers_is_given_up_after_half_a_lease() {
    let mut node = Node::new(3, settings(Forward::Off));
    node.touch(at(0));
    let first = node.asked().expect("asked");
    for now in [at(1), at(LEASE_MS / 2)] {
        node.touch(now);
        assert_eq!(node.asked(), None, "answers may come yet: {now:?}");
    }
    node.touch(MonoTime(LEASE_MS / 2 * MS + 1));
    let second = node.asked().expect("asked again");
    assert!(second > first);
    // Late replies to the first attempt have no effect.
    node.receive(2, first, LeaseBody::Promise { granted: None }, at(210));
    node.receive(3, first, LeaseBody::Promise { granted: None }, at(210));
    assert_eq!(node.effects(), (vec![], vec![]));
}

#[test]
fn a_quorum_grants_and_no_node_counts_twice() {
    let mut node = Node::new(5, settings(Forward::Off));
    node.touch(at(0));
    let asked = node.asked().expect("asked");
    let promise = LeaseBody::Promise { granted: None };
    // A grant that arrives before the propose was sent does not count.
    node.receive(2, asked, LeaseBody::Granted, at(0));
    node.receive(3, asked, LeaseBody::Granted, at(0));
    node.receive(2, asked, promise, at(0));
    node.receive(2, asked, promise, at(0));
    assert_eq!(node.effects().0, [], "two of five have promised");
    node.receive(3, asked, promise, at(0));
    let proposes = node.effects().0.iter().filter(|(_, _, body)| matches!(body, LeaseBody::Propose { .. })).count();
    assert_eq!(proposes, 4);
    // A late promise is not a grant.
    node.receive(4, asked, promise, at(0));
    node.receive(5, asked, LeaseBody::Granted, at(0));
    node.receive(5, asked, LeaseBody::Granted, at(0));
    assert!(!node.holds(at(0)), "two of five have granted");
    node.receive(4, LeaseBallot { run: asked.run + 1, ..asked }, LeaseBody::Granted, at(0));
    node.receive(9, asked, LeaseBody::Granted, at(0));
    assert!(!node.holds(at(0)), "of another attempt, and of a stranger");
    node.receive(4, asked, LeaseBody::Granted, at(0));
    assert!(node.holds(at(0)));
}

/// Too many refusals: the next attempt comes after a wait, above every known ballot.
#[test]
fn a_refused_node_waits_and_then_outbids() {
    for (refusals, seed) in [1, 2].into_iter().flat_map(|refusals| (0..50).map(move |seed| (refusals, seed))) {
        let mut node = Node::new(3, settings(Forward::Off));
        node.rng = Pcg64::seed_from_u64(seed);
        node.touch(at(0));
        let first = node.asked().expect("asked");
        for from in (2..).take(refusals) {
            node.receive(from, first, LeaseBody::Refused { seen: ballot(40, 3), granted: None }, at(0));
        }
        node.touch(before(TURN_MS / 4));
        assert_eq!(node.asked(), None, "at least a quarter of a turn later");
        node.touch(at(TURN_MS + TURN_MS / 4 + 1));
        let again = node.asked();
        // One refusal of three leaves a quorum that may still answer.
        assert_eq!(again.map(|ballot| ballot.run), (refusals == 2).then_some(41));
    }
}

/// A node does not request a range while another node's lease on it runs. It learns about that lease from grantors and its holder.
#[test]
fn a_range_of_another_node_is_asked_for_when_it_is_free() {
    let held = ballot(7, 3);
    let effects = |body: LeaseBody| {
        let mut node = Node::new(3, settings(Forward::Off));
        node.touch(at(0));
        let asked = node.asked().expect("asked");
        node.receive(2, asked, body, at(0));
        assert_eq!(node.effects().0, [], "no request for a range that another node holds");
        node
    };
    for body in [LeaseBody::Promise { granted: Some((held, 300 * MS)) }, LeaseBody::Refused { seen: held, granted: Some((held, 300 * MS)) }]
    {
        let mut node = effects(body);
        assert_eq!(node.leases.other(RANGE, before(300)).map(|seen| seen.ballot), Some(held));
        node.touch(before(300));
        assert_eq!(node.asked(), None, "{body:?}");
        node.touch(at(300));
        assert_eq!(node.asked().map(|ballot| ballot.run), Some(8), "above the one that was heard of: {body:?}");
        // A release with another ballot frees nothing, nor does news of an older lease or from another node.
        let mut node = effects(body);
        node.receive(3, ballot(6, 3), LeaseBody::Release, at(1));
        node.leases.note_other(RANGE, ballot(6, 2), at(2));
        node.leases.forget_other(RANGE, NodeId(2));
        assert!(node.leases.other(RANGE, at(3)).is_some());
        node.receive(3, held, LeaseBody::Release, at(3));
        assert_eq!(node.leases.other(RANGE, at(3)), None);
        let mut node = effects(body);
        node.leases.forget_other(RANGE, NodeId(3));
        assert_eq!(node.leases.other(RANGE, at(3)), None);
    }
    // A node's grant to itself is not another node's lease.
    let mut node = Node::new(3, settings(Forward::Off));
    node.acquire(at(0));
    assert_eq!(node.leases.other(RANGE, at(1)), None);
    // The newer of its own grant and the reported lease counts.
    let mut node = Node::new(3, settings(Forward::Off));
    node.receive(2, ballot(9, 2), LeaseBody::Propose { time_ns: 100 * MS, mode: LeaseMode::Read }, at(1));
    node.leases.note_other(RANGE, ballot(11, 3), at(50));
    assert_eq!(node.leases.other(RANGE, at(2)).map(|seen| seen.ballot), Some(ballot(11, 3)));
    assert_eq!(node.leases.other(RANGE, at(60)).map(|seen| seen.ballot), Some(ballot(9, 2)));
}

/// An attempt must be above every reported ballot, or it is refused by the nodes that promised that ballot.
#[test]
fn an_attempt_outbids_every_ballot_seen() {
    for body in [LeaseBody::Prepare, LeaseBody::Release, LeaseBody::Promise { granted: None }, LeaseBody::Wanted] {
        let mut node = Node::new(3, settings(Forward::Off));
        node.receive(2, ballot(40, 2), body, at(0));
        node.out.clear();
        node.touch(at(1));
        assert_eq!(node.asked().map(|ballot| ballot.run), Some(41), "{body:?}");
    }
}

/// Only the node named in a ballot may use it, only messages from members count, and a run number near the maximum is
/// garbage.
#[test]
#[rustfmt::skip] // A table.
fn only_valid_senders_get_replies() {
    let propose = LeaseBody::Propose { time_ns: MS, mode: LeaseMode::Read };
    for (from, ballot, answered) in [
        (2, ballot(1, 2), true),
        (2, ballot(1, 3), false),
        (9, ballot(1, 9), false),
        (1, ballot(1, 1), false),
        (2, ballot(LeaseBallot::MAX_RUN, 2), true),
        (2, ballot(LeaseBallot::MAX_RUN + 1, 2), false),
    ] {
        for body in [LeaseBody::Prepare, propose] {
            let mut node = Node::new(3, settings(Forward::Off));
            node.receive(from, ballot, body, at(0));
            let answers: Vec<u16> = node.effects().0.iter().map(|(to, _, _)| *to).collect();
            assert_eq!(answers, vec![from; usize::from(answered)], "n{from} asks at {ballot}: {body:?}");
        }
    }
}
