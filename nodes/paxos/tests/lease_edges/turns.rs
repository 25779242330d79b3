//! Releases: a holder keeps a range for one turn, and then releases it if other nodes are waiting.

use crate::rig::{LEASE_MS, MS, Node, RANGE, TURN_MS, at, ballot, before, settings};
use heckle_paxos::lease::{EndWhy, Forward, LeaseBallot, LeaseBody, LeaseChange};
use heckle_paxos::{MonoTime, NodeId};

fn wanted(node: &mut Node, now: MonoTime) {
    node.receive(2, ballot(1, 1), LeaseBody::Wanted, now);
}

/// Checks the messages of a node that releases a lease at `now`: it first ends the lease for itself, and then
/// notifies all others.
#[track_caller]
fn check_given_back(node: &mut Node, held: LeaseBallot, why: EndWhy, now: MonoTime) {
    let (sent, changes) = node.effects();
    assert_eq!(changes, [(LeaseChange::Ended(why), now)]);
    assert_eq!(sent, [(2, held, LeaseBody::Release), (3, held, LeaseBody::Release)]);
    assert!(!node.holds(now));
    assert_eq!(node.leases.other(RANGE, now), None, "its own grantor took it back as well");
}

#[test]
fn a_holder_gives_way_when_its_turn_is_over() {
    let mut node = Node::new(3, settings(Forward::Off));
    let held = node.acquire(at(0));
    wanted(&mut node, at(10));
    assert_eq!(node.timers(), [at(TURN_MS)], "it is woken at the end of its turn");
    assert_eq!(node.effects().0, [], "and keeps the range until then");
    node.timer(before(TURN_MS));
    assert!(node.holds(before(TURN_MS)) && node.effects().1.is_empty());
    node.timer(at(TURN_MS));
    check_given_back(&mut node, held, EndWhy::Yielded, at(TURN_MS));
    // Its own grant at this node is also gone: n2 can have the range immediately.
    let mut out = vec![];
    assert_eq!(node.leases.refuses(RANGE, NodeId(2), true, at(TURN_MS), &mut out), None);
    // Others have been waiting, so they go first.
    node.touch(before(3 * TURN_MS));
    assert_eq!(node.asked(), None);
    node.touch(at(3 * TURN_MS));
    assert!(node.asked().is_some());
}

#[test]
fn a_holder_whose_turn_is_over_gives_way_at_once() {
    for (now, at_once) in [(before(TURN_MS), false), (at(TURN_MS), true), (at(300), true)] {
        let mut node = Node::new(3, settings(Forward::Off));
        let held = node.acquire(at(0));
        wanted(&mut node, now);
        assert_eq!(node.holds(now), !at_once, "{now:?}");
        if at_once {
            check_given_back(&mut node, held, EndWhy::Yielded, now);
        }
    }
}

/// A turn counts from the acquisition of the range, not from its last extension. Otherwise a busy holder would never
/// release.
#[test]
fn an_extension_does_not_start_a_new_turn() {
    let mut node = Node::new(3, settings(Forward::Off));
    node.acquire(at(0));
    node.touch(at(300));
    let extended = node.asked().expect("extended");
    node.receive(2, extended, LeaseBody::Promise { granted: None }, at(300));
    node.receive(2, extended, LeaseBody::Granted, at(300));
    node.out.clear();
    wanted(&mut node, at(301));
    check_given_back(&mut node, extended, EndWhy::Yielded, at(301));
}

#[test]
fn a_lease_that_is_about_to_be_given_back_is_not_extended() {
    let mut node = Node::new(3, settings(Forward::Off));
    node.acquire(at(0));
    wanted(&mut node, at(10));
    node.out.clear();
    // The lease's timer fires late.
    node.touch(at(300));
    assert_eq!(node.asked(), None);
    // The next lease is not affected by the late timer.
    node.timer(at(LEASE_MS));
    node.acquire(at(LEASE_MS + 1));
    node.touch(at(LEASE_MS + 301));
    assert!(node.asked().is_some());
}

#[test]
fn who_holds_nothing_has_nothing_to_give_back() {
    let mut node = Node::new(3, settings(Forward::Off));
    wanted(&mut node, at(1));
    assert_eq!((node.effects(), node.timers()), ((vec![], vec![]), vec![]));
    node.acquire(at(1));
    wanted(&mut node, at(1 + LEASE_MS));
    assert_eq!(node.effects().0, [], "it has run out");
}

/// With forwarding, other nodes are refused only until they learn of the holder. A node that keeps being refused for
/// four turns, without a pause of more than three, cannot reach the holder.
#[test]
#[rustfmt::skip] // A table.
fn a_holder_yields_to_nodes_that_cannot_reach_it() {
    // A turn is 25 ms: four are 100, three are 75.
    for (times, gives_way) in [
        (&[at(100)][..], false),
        (&[at(100), before(200)], false),
        (&[at(100), at(150), before(200)], false),
        (&[at(100), at(150), at(200)], true),
        (&[at(100), at(175), at(200)], true),
        (&[at(100), MonoTime(175 * MS + 1), at(200)], false),
        (&[at(100), at(190), at(240), before(290)], false),
        (&[at(100), at(190), at(240), at(290)], true),
    ] {
        let mut node = Node::new(3, settings(Forward::On));
        let held = node.acquire(at(0));
        for now in times {
            assert!(node.holds(*now));
            wanted(&mut node, *now);
        }
        let last = *times.last().expect("a time");
        assert_eq!(node.holds(last), !gives_way, "{times:?}");
        if gives_way {
            check_given_back(&mut node, held, EndWhy::Yielded, last);
        }
    }
}

/// If the grantor is the holder itself, no message is sent.
#[test]
fn a_holder_that_turns_others_away_itself_gives_way_too() {
    let mut node = Node::new(3, settings(Forward::Off));
    let held = node.acquire(at(0));
    let refusal = node.leases.refuses(RANGE, NodeId(3), false, at(100), &mut node.out).expect("refused once more");
    assert_eq!((refusal.holder, refusal.remaining_ns), (Some(held), (LEASE_MS - 100) * MS));
    check_given_back(&mut node, held, EndWhy::Yielded, at(100));
}

/// A stopping node releases its leases, and also its pending requests, since a grant may be on its way.
#[test]
fn a_stop_also_releases_pending_requests() {
    let mut node = Node::new(3, settings(Forward::Off));
    let held = node.acquire(at(0));
    node.touch(at(300));
    let asked = node.asked().expect("extended");
    node.leases.stop(at(310), &mut node.out);
    let (sent, changes) = node.effects();
    assert_eq!(changes, [(LeaseChange::Ended(EndWhy::Stopped), at(310))]);
    let release = |to, ballot| (to, ballot, LeaseBody::Release);
    assert_eq!(sent, [release(2, held), release(3, held), release(2, asked), release(3, asked)]);
    for now in [311, 1_000, 10_000] {
        node.touch(at(now));
        assert_eq!(node.asked(), None, "it asks for nothing any more");
    }
    // A lease that has already run out counts as expired instead.
    let mut node = Node::new(3, settings(Forward::Off));
    node.acquire(at(0));
    node.leases.stop(at(LEASE_MS + 5), &mut node.out);
    assert_eq!(node.effects(), (vec![], vec![(LeaseChange::Ended(EndWhy::Expired), at(LEASE_MS))]));
}
