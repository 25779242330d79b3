//! The control channel: clocks, failpoints, protocol points, stop.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{PATIENCE, TempDir, TestClient, control, eventually, options_of_cluster, start, start_all, status};
use heckle_server::client_protocol::{BallotTag, Call, Outcome};
use heckle_server::control::{ControlError, Failpoint, FailpointAction, Request};
use heckle_server::points::{self, Injection, PointKind};
use heckle_server::{NodeError, NodeHandle};

#[test]
fn clocks_are_falsified_and_healed_and_a_slow_clock_does_not_starve() {
    let dir = TempDir::new("clock");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    let hour_us = 3_600_000_000;
    control(&nodes[0]).set_clock(-hour_us, -1_000).unwrap();
    control(&nodes[1]).set_clock(hour_us, 0).unwrap();
    let seen = status(&nodes[0]);
    assert!((seen.clock_offset_us + hour_us).abs() < 1_000_000 && seen.clock_drift_ppm == -1_000, "{seen:?}");
    let mut clients: Vec<_> = nodes.iter().map(TestClient::to).collect();
    // Ballots are generated from the skewed clock. The node with the fast clock comes last, since nodes that have
    // seen its ballots generate higher ones.
    let mut ballot_us = |node: usize| {
        let write = Call::Write { new: b"x".to_vec() };
        clients[node].try_call(&format!("own{node}"), write).unwrap().diagnostics.ballot.unwrap().us as i64
    };
    let (slow, right, fast) = (ballot_us(0), ballot_us(2), ballot_us(1));
    assert!((right - slow - hour_us).abs() < 60_000_000 && (fast - right - hour_us).abs() < 60_000_000);
    for i in 0..6 {
        assert_eq!(clients[i % 3].write("k", &i.to_string()), Outcome::Applied);
    }
    assert_eq!(clients[0].read("k").as_deref(), Some("5"));
    for node in &nodes {
        control(node).set_clock(0, 0).unwrap();
        assert_eq!(status(node).clock_offset_us, 0);
    }
    let error = control(&nodes[0]).set_clock(0, 900_000).unwrap_err();
    assert!(matches!(&error, ControlError::Refused { message, .. } if message.contains("900000 ppm")), "{error}");
}

/// A wall clock is set back by an hour while the node is down. To the node, it looks as if the clock was an hour fast
/// until then.
#[test]
fn a_clock_set_back_an_hour_between_two_starts_loses_no_update_and_ballots_still_rise() {
    let dir = TempDir::new("clock-back");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    let hour_us = 3_600_000_000;
    let ballot_of = |node: &NodeHandle, new: &str| {
        let answer = TestClient::to(node).try_call("k", Call::Write { new: new.into() }).unwrap();
        assert_eq!(answer.outcome, Outcome::Applied);
        answer.diagnostics.ballot.unwrap()
    };
    control(&nodes[0]).set_clock(hour_us, 0).unwrap();
    let mut newest = ballot_of(&nodes[0], "ahead");
    // All ballots used so far are at or below it. The next one at every node must be higher, although the node's
    // clock is behind.
    let rise = |newest: &mut BallotTag, node: &NodeHandle, new: &str| {
        let ballot = ballot_of(node, new);
        assert!((ballot.us, ballot.node) > (newest.us, newest.node), "{ballot:?} after {newest:?}");
        *newest = ballot;
    };
    // One at a time, then all at the same time.
    for at in 0..3 {
        nodes[at].kill_keeping_handle();
        nodes[at] = start(&options[at]);
        let clock = status(&nodes[at]).clock_offset_us;
        assert!(clock.abs() < hour_us / 2, "it starts with the right clock, an hour behind its ballots: {clock}");
        rise(&mut newest, &nodes[at], &format!("after {at}"));
        assert_eq!(TestClient::to(&nodes[(at + 1) % 3]).read("k"), Some(format!("after {at}")));
    }
    nodes.into_iter().for_each(NodeHandle::kill);
    let nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[1]);
    assert_eq!(client.read("k").as_deref(), Some("after 2"), "nothing older came back");
    assert_eq!(client.cas("k", Some("after 2"), "last"), Outcome::Applied);
    rise(&mut newest, &nodes[2], "very last");
    assert_eq!(client.read("k").as_deref(), Some("very last"));
}

#[test]
fn a_failed_disk_ends_the_node_and_loses_nothing_acknowledged() {
    for (point, code) in [(Failpoint::FailWrite, 74), (Failpoint::FailSync, 74), (Failpoint::DiskFull, 74)] {
        let dir = TempDir::new("disk-fails");
        let options = options_of_cluster(dir.path(), 3);
        let mut nodes = start_all(&options);
        assert_eq!(TestClient::to(&nodes[0]).write("k", "before"), Outcome::Applied);
        let failing = nodes.remove(1);
        // Armed only after the first write is stored here: otherwise its late learn would reach the point and end the
        // node too soon.
        eventually("it stores the first write", || status(&failing).rows == 1);
        control(&failing).failpoint(point, FailpointAction::Arm { delay_us: 0 }).unwrap();
        // The other two form a quorum, and this write makes the third node use its disk.
        assert_eq!(TestClient::to(&nodes[0]).write("k", "after"), Outcome::Applied);
        eventually("it ends", || !failing.is_running());
        let error = failing.wait().unwrap_err();
        assert!(matches!(error, NodeError::Storage(_)), "{error}");
        assert_eq!(error.exit_code(), code);
        // After a restart with a working disk, the node recovers and works as part of a minimal quorum.
        let again = start(&options[1]);
        // The failed write may have left a torn end, in which case the node needs confirmation from both others.
        eventually("it votes again", || status(&again).voting);
        nodes.remove(1).kill();
        assert_eq!(TestClient::to(&again).read("k").as_deref(), Some("after"));
    }
}

#[test]
fn a_slow_sync_delays_answers_but_never_lets_one_out_early() {
    let dir = TempDir::new("slow-sync");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    let mut client = TestClient::to(&nodes[0]);
    let arm = FailpointAction::Arm { delay_us: 60_000 };
    for node in &nodes {
        control(node).failpoint(Failpoint::SlowSync, arm).unwrap();
        assert_eq!(status(node).failpoints, [Failpoint::SlowSync.as_str()]);
    }
    let begin = Instant::now();
    assert_eq!(client.write("k", "1"), Outcome::Applied);
    assert!(begin.elapsed() >= Duration::from_millis(120), "promise and accept are synced: {:?}", begin.elapsed());
    let slow = status(&nodes[0]);
    assert!(slow.sync_latency.max_us >= 60_000 && slow.failpoints_fired[0].1 >= 2, "{slow:?}");
    for node in &nodes {
        control(node).failpoint(Failpoint::SlowSync, FailpointAction::Disarm).unwrap();
        assert!(status(node).failpoints.is_empty());
    }
}

#[test]
fn points_are_announced_and_hold_the_node() {
    let dir = TempDir::new("points");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    let mut watcher = control(&nodes[0]);
    watcher.subscribe(&["after-propose-first", "before-reply"]).unwrap();
    let mut client = TestClient::to(&nodes[0]);
    assert_eq!(client.write("k", "1"), Outcome::Applied);
    let first = watcher.next_point(PATIENCE).unwrap().unwrap();
    let second = watcher.next_point(PATIENCE).unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.key.as_str(), first.held), ("after-propose-first", "k", false));
    assert_eq!((second.name.as_str(), &second.op), ("before-reply", &first.op));
    assert!(first.mono_ns <= second.mono_ns && first.ballot.contains(".n1."));
    assert_eq!(watcher.next_point(Duration::from_millis(20)).unwrap(), None);

    // An armed point holds the node until the time is up, only for the right key, and only once.
    watcher.arm("before-reply", Some("other"), 80).unwrap();
    assert_eq!(client.write("k", "2"), Outcome::Applied);
    let begin = Instant::now();
    assert_eq!(client.write("other", "3"), Outcome::Applied);
    assert!(begin.elapsed() >= Duration::from_millis(80));
    // Or until it is released.
    watcher.arm("after-propose-first", None, 100).unwrap();
    let mut releaser = control(&nodes[0]);
    let writer = std::thread::spawn(move || {
        let begin = Instant::now();
        (client.write("k", "4"), begin.elapsed())
    });
    loop {
        let point = watcher.next_point(PATIENCE).unwrap().unwrap();
        if point.held && point.name == "after-propose-first" {
            break;
        }
    }
    releaser.release().unwrap();
    assert_eq!(writer.join().unwrap().0, Outcome::Applied);
    let error = watcher.arm("no-such-point", None, 10).unwrap_err();
    assert!(error.to_string().contains("after-prepare-all"), "the answer lists the points: {error}");
    assert!(watcher.arm("before-reply", None, 101).unwrap_err().to_string().contains("over the limit of 100"));
}

/// A connection that holds a node hears of the hit, the node waits for that connection alone, and for 100 ms at most.
#[test]
fn a_node_is_held_at_a_point_until_the_connection_is_closed() {
    let dir = TempDir::new("points-hold");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    for point in ["after-propose-first", "before-sync"] {
        let mut holder = control(&nodes[0]);
        holder.hold_at(point, 1, 100).unwrap();
        assert_eq!(status(&nodes[0]).points_armed, [point]);
        let mut client = TestClient::to(&nodes[0]);
        let writer = std::thread::spawn(move || {
            // The first hit is ignored: that of this write, or of an earlier sync of it.
            assert_eq!(client.write("k", "1"), Outcome::Applied);
            client.write("k", "2")
        });
        let reached = holder.next_point(PATIENCE).unwrap().expect("a report");
        assert!(reached.held && reached.name == point && reached.node == "n1", "{reached:?}");
        assert_eq!(reached.key, if point == "before-sync" { "" } else { "k" });
        // Others can neither release nor disarm it.
        let mut other = control(&nodes[0]);
        other.release().unwrap();
        other.disarm(point).unwrap();
        drop(holder);
        assert_eq!(writer.join().unwrap(), Outcome::Applied);
        assert!(status(&nodes[0]).points_armed.is_empty(), "it happens once");
    }

    // Nobody lets go: the node goes on by itself.
    let mut client = TestClient::to(&nodes[0]);
    let mut forgotten = control(&nodes[0]);
    forgotten.hold_at("before-reply", 0, 100).unwrap();
    let begin = Instant::now();
    assert_eq!(client.write("k", "3"), Outcome::Applied);
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert!(forgotten.next_point(PATIENCE).unwrap().is_some_and(|point| point.held));

    // A connection that ends takes its hold back, and a second request replaces the first.
    let mut holder = control(&nodes[0]);
    holder.hold_at("after-refresh", 0, 100).unwrap();
    holder.hold_at("after-learn-all", 7, 100).unwrap();
    assert_eq!(status(&nodes[0]).points_armed, ["after-learn-all"]);
    drop(holder);
    eventually("it is disarmed", || status(&nodes[0]).points_armed.is_empty());
    for (point, ms, says) in
        [("no-such-point", 10, "after-prepare-all"), ("before-reply", 101, "over the limit"), ("mid-write", 101, "over the limit")]
    {
        let error = control(&nodes[0]).hold_at(point, 0, ms).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn every_point_takes_the_injections_of_its_kind_and_no_other() {
    let dir = TempDir::new("points-kinds");
    let node = start(&options_of_cluster(dir.path(), 1)[0]);
    let mut nemesis = control(&node);
    let points = points::list();
    assert!(points.len() > 20);
    for point in points {
        let (fits, refused) = match point.kind {
            PointKind::Storage => (Injection::Delay { us: 1 }, Injection::Hold { ms: 1 }),
            PointKind::Protocol => (Injection::Hold { ms: 1 }, Injection::DiskFull),
        };
        let error = nemesis.inject(point.name, refused, 0).unwrap_err();
        assert!(error.to_string().contains(point.name), "{error}");
        nemesis.inject(point.name, fits, 0).unwrap();
        assert_eq!(status(&node).points_armed, [point.name]);
        nemesis.disarm(point.name).unwrap();
    }
    assert!(status(&node).points_armed.is_empty());
    let key = |key| Request::Inject { point: "before-sync".into(), injection: Injection::Crash, skip: 0, key };
    assert!(nemesis.call(&key(Some("k".into()))).unwrap_err().to_string().contains("knows no keys"));
    let error = nemesis.inject("before-lunch", Injection::Crash, 0).unwrap_err();
    assert!(error.to_string().contains("mid-write") && error.to_string().contains("before-reply"), "{error}");
}

#[test]
fn a_coordinator_that_crashes_after_propose_leaves_the_update_to_the_others() {
    let dir = TempDir::new("point-crash");
    let mut nodes = start_all(&options_of_cluster(dir.path(), 3));
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
    let mut nemesis = control(&nodes[0]);
    nemesis.inject("before-sync", Injection::Delay { us: 100 }, 1).unwrap();
    nemesis.inject("after-propose-all", Injection::Crash, 1).unwrap();
    let mut client = TestClient::to(&nodes[0]);
    assert_eq!(client.write("k", "2"), Outcome::Applied, "the first hit passes");
    let seen = status(&nodes[0]);
    assert!(seen.points_hit.iter().any(|(name, hits)| name == "before-sync" && *hits > 0), "{:?}", seen.points_hit);
    assert!(client.try_call("k", Call::Write { new: b"3".to_vec() }).is_err(), "no answer after the crash");
    eventually("it ends", || !nodes[0].is_running());
    let error = nodes.remove(0).wait().unwrap_err();
    assert!(error.to_string().contains("after-propose-all"), "{error}");
    // The node had sent its propose to both others, so the update takes effect with the next operation.
    assert_eq!(TestClient::to(&nodes[0]).read("k").as_deref(), Some("3"));
}

#[test]
fn nonsense_on_the_control_port_gets_a_clear_answer() {
    let dir = TempDir::new("control-nonsense");
    let node = start(&options_of_cluster(dir.path(), 1)[0]);
    let control = node.ready().control;
    let answer_to = |sent: &str| {
        let mut stream = TcpStream::connect(control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        // The node closes the connection at the first bad line, whatever follows.
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.lines().count(), 1, "{answer}");
        answer
    };
    let long = format!("{}\n", "x".repeat(20_000));
    for (line, says) in [
        ("hello\n", "not a control request"),
        ("{\"do\":\"dance\"}\n", "unknown variant `dance`"),
        ("{\"do\":\"status\",\"loud\":true}\n", "unknown field `loud`"),
        ("{\"do\":\"failpoint\",\"name\":\"fail-sink\",\"action\":\"disarm\"}\n", "unknown variant `fail-sink`"),
        (long.as_str(), "at most 16384 bytes"),
    ] {
        let answer = answer_to(line);
        assert!(answer.contains(says), "{answer:?} lacks {says:?}");
    }
    // A browser can be made to send this. Its body looks like a request.
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"do\":\"stop\"}\n{\"do\":\"status\"}\n";
    assert!(answer_to(post).contains("This connection is closed"));
    assert!(node.is_running());
    assert_eq!(TestClient::to(&node).write("k", "1"), Outcome::Applied);
}

#[test]
fn stop_is_clean() {
    let dir = TempDir::new("control-stop");
    let options = options_of_cluster(dir.path(), 1);
    let node = start(&options[0]);
    assert_eq!(TestClient::to(&node).write("k", "1"), Outcome::Applied);
    control(&node).call(&Request::Stop {}).unwrap();
    eventually("it ends", || !node.is_running());
    node.wait().unwrap();
    let node = start(&options[0]);
    assert_eq!(TestClient::to(&node).read("k").as_deref(), Some("1"));
}

#[cfg(feature = "mutants")]
#[test]
fn the_planted_bug_answer_before_write_loses_acknowledged_writes_when_all_are_killed() {
    let loses = |mutants: Vec<String>| {
        let dir = TempDir::new("answer-before-write");
        let mut options = options_of_cluster(dir.path(), 3);
        for options in &mut options {
            options.mutants.clone_from(&mutants);
        }
        let nodes = start_all(&options);
        assert_eq!(status(&nodes[0]).mutants, mutants);
        let mut client = TestClient::to(&nodes[0]);
        let mut last = String::new();
        let begin = Instant::now();
        // Wait long enough that records are written in between, so that the node is killed between two writes.
        for i in 0.. {
            if begin.elapsed() > Duration::from_millis(500) {
                break;
            }
            last = i.to_string();
            assert_eq!(client.write("k", &last), Outcome::Applied);
        }
        nodes.into_iter().for_each(heckle_server::NodeHandle::kill);
        let nodes = start_all(&options);
        TestClient::to(&nodes[1]).read("k") != Some(last)
    };
    assert!(loses(vec!["answer-before-write".to_owned()]));
    assert!(!loses(Vec::new()));
}
