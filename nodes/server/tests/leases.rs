//! Leases over real sockets: forwarding, local reads, takeover after a death, release at a clean stop.

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, TempDir, TestClient, control, eventually, options_of_cluster, start, start_all, status};
use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_server::NodeOptions;
use heckle_server::client_protocol::{Call, Outcome, Phase};

const LEASE: Duration = Duration::from_millis(1_500);

#[test]
fn nodes_with_other_lease_settings_refuse_each_other_and_say_how() {
    let dir = TempDir::new("lease-terms");
    let options = leased(&dir, LeaseMode::Read, Forward::Off);
    type Change = fn(&mut LeaseSettings);
    let changes: [(Change, bool); 6] = [
        (|lease| lease.time_ns *= 2, false),
        (|lease| lease.drift_ppm += 1, false),
        (|lease| lease.ranges = 2, false),
        (|lease| lease.mode = LeaseMode::Priority, false),
        // Nodes may differ in `forward`, which concerns only their own clients. A node without leases grants none.
        (|lease| lease.forward = Forward::On, true),
        (|lease| lease.mode = LeaseMode::Off, true),
    ];
    let first = start(&options[0]);
    for (change, fits) in changes {
        let mut other = options[1].clone();
        change(&mut other.lease);
        let second = start(&other);
        let linked = || status(&first).peers.iter().any(|peer| peer.node == "n2" && peer.outbound && peer.inbound);
        if fits {
            eventually("they connect", linked);
        } else {
            let refused = status(&first).bad_connections;
            eventually("it is refused", || status(&first).bad_connections > refused);
            assert!(!linked(), "{:?}", other.lease);
            let says = format!("n2 was started with leases {} of", other.lease.mode.name());
            assert!(first.log_lines().iter().any(|line| line.contains(&says)), "{says}: {:?}", first.log_lines());
        }
        second.stop().unwrap();
    }
    first.stop().unwrap();
}

fn leased(dir: &TempDir, mode: LeaseMode, forward: Forward) -> Vec<NodeOptions> {
    let mut all = options_of_cluster(dir.path(), 3);
    for options in &mut all {
        options.lease = LeaseSettings { mode, time_ns: LEASE.as_nanos() as u64, drift_ppm: 1_000, ranges: 1, forward };
    }
    all
}

fn write(value: &str) -> Call {
    Call::Write { new: value.as_bytes().to_vec() }
}

#[test]
fn operations_go_to_the_holder_and_reads_stay_at_it() {
    let dir = TempDir::new("lease-forward");
    let nodes = start_all(&leased(&dir, LeaseMode::Read, Forward::On));
    let mut watcher = control(&nodes[0]);
    watcher.watch_leases().unwrap();
    let mut holder = TestClient::to(&nodes[0]);
    assert_eq!(holder.write("k", "1"), Outcome::Applied);
    eventually("n1 holds the range", || status(&nodes[0]).leases_held == [0]);
    let event = watcher.next_lease(PATIENCE).unwrap().expect("it was acquired");
    assert_eq!((event.what.as_str(), event.range, event.reads), ("lease_acquired", 0, true));
    assert!(event.until_ns > event.from_ns && event.until_ns - event.from_ns < LEASE.as_nanos() as u64, "{event:?}");
    let mut other = TestClient::to(&nodes[1]);
    let before = status(&nodes[0]);
    let response = other.try_call("k", write("2")).unwrap();
    assert_eq!((&response.outcome, response.diagnostics.forwarded_to), (&Outcome::Applied, Some(1)), "{response:?}");
    assert_eq!(response.diagnostics.ballot.map(|ballot| ballot.node), Some(1), "the holder's rounds are reported");
    let response = other.try_call("k", Call::Read).unwrap();
    assert_eq!((response.diagnostics.phase, response.diagnostics.round_trips), (Phase::LocalRead, 0), "{response:?}");
    assert_eq!(response.outcome, Outcome::Value { value: Some(b"2".to_vec()) });
    let after = status(&nodes[0]);
    assert_eq!(after.forwards_taken - before.forwards_taken, 2);
    assert!(after.local_reads > before.local_reads);
    assert_eq!(status(&nodes[1]).forwards_sent, 2);
}

#[test]
fn others_take_over_when_a_dead_holders_grants_run_out() {
    for (mode, forward) in [(LeaseMode::Priority, Forward::Off), (LeaseMode::Read, Forward::On)] {
        let dir = TempDir::new("lease-takeover");
        let mut nodes = start_all(&leased(&dir, mode, forward));
        assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
        eventually("n1 holds the range", || !status(&nodes[0]).leases_held.is_empty());
        nodes.remove(0).kill();
        let killed = Instant::now();
        let mut client = TestClient::to(&nodes[0]);
        let mut number = 1;
        while !matches!(client.try_call("k", write(&format!("after{number}"))), Ok(event) if event.outcome == Outcome::Applied) {
            number += 1;
            assert!(killed.elapsed() < LEASE + PATIENCE, "{mode:?}: no node took over");
        }
        // Its grants were still running for a while, so no node took over immediately. (Part of the lease had already
        // elapsed when it died.)
        assert!(killed.elapsed() > LEASE / 4, "{mode:?}: the grants did not hold: {:?}", killed.elapsed());
        let seen = status(&nodes[0]);
        assert!(if forward == Forward::Off { seen.held_off > 0 } else { seen.forwards_sent > 0 }, "{mode:?}: {seen:?}");
        assert_eq!(client.read("k"), Some(format!("after{number}")));
    }
}

#[test]
fn a_clean_stop_gives_the_range_back_at_once() {
    let dir = TempDir::new("lease-stop");
    let mut nodes = start_all(&leased(&dir, LeaseMode::Priority, Forward::Off));
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
    eventually("n1 holds the range", || !status(&nodes[0]).leases_held.is_empty());
    let mut watcher = control(&nodes[0]);
    watcher.watch_leases().unwrap();
    assert_eq!(watcher.next_lease(PATIENCE).unwrap().expect("it is held").what, "lease_acquired");
    nodes.remove(0).stop().unwrap();
    let ended = loop {
        let lease = watcher.next_lease(PATIENCE).unwrap().expect("it ends");
        if lease.what == "lease_ended" {
            break lease;
        }
    };
    assert_eq!(ended.why.as_deref(), Some("stopped"));
    let stopped = Instant::now();
    assert_eq!(TestClient::to(&nodes[0]).write("k", "2"), Outcome::Applied);
    assert!(stopped.elapsed() < LEASE / 2, "the lease was not given back: {:?}", stopped.elapsed());
}

#[test]
fn a_restarted_grantor_refuses_for_the_time_of_a_lease() {
    let dir = TempDir::new("lease-restart");
    let options = leased(&dir, LeaseMode::Read, Forward::Off);
    let mut nodes = start_all(&options);
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
    nodes.remove(2).kill();
    nodes.remove(1).kill();
    let began = Instant::now();
    let again = [start(&options[1]), start(&options[2])];
    // The two form a quorum, and both have forgotten the holder.
    let mut client = TestClient::to(&again[0]);
    while !matches!(client.try_call("k", write("2")), Ok(event) if event.outcome == Outcome::Applied) {
        assert!(began.elapsed() < LEASE + PATIENCE, "they never answer again");
    }
    assert!(began.elapsed() > LEASE, "they answered after {:?}", began.elapsed());
    assert!(status(&again[0]).busy_given + status(&again[1]).busy_given > 0);
}
