//! Three nodes in threads, with real sockets and disks.

mod common;

use common::{TempDir, TestClient, control, eventually, n, options_of_cluster, start, start_all, status};
use heckle_server::client_protocol::{Call, Fate, Level, Outcome, Phase, Provenance, Reason, Request};

#[test]
fn values_are_seen_through_every_node_and_survive_restarts() {
    let dir = TempDir::new("basic");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    let mut clients: Vec<TestClient> = nodes.iter().map(TestClient::to).collect();

    assert_eq!(clients[0].read("k"), None);
    assert_eq!(clients[0].cas("k", None, "1"), Outcome::Applied);
    assert_eq!(clients[1].read("k").as_deref(), Some("1"));
    assert_eq!(clients[1].cas("k", None, "2"), Outcome::ConditionNotMet { current: Some("1".into()) });
    assert_eq!(clients[2].cas("k", Some("1"), "2"), Outcome::Applied);
    assert_eq!(clients[2].write("other", "x"), Outcome::Applied);
    assert_eq!(clients[0].read("k").as_deref(), Some("2"));

    // Clean stops and crashes, each followed by a restart on the same data.
    for (index, clean) in [(0, true), (1, false), (2, false)] {
        let node = nodes.remove(index);
        let before = node.ready().incarnation;
        if clean {
            node.stop().unwrap()
        } else {
            node.kill()
        }
        nodes.insert(index, start(&options[index]));
        assert_eq!(nodes[index].ready().incarnation, before + 1);
        assert!(status(&nodes[index]).recovered_records > 0);
        clients[index] = TestClient::to(&nodes[index]);
        assert_eq!(clients[index].read("k").as_deref(), Some("2"));
    }
    // All at the same time.
    for node in nodes.drain(..) {
        node.kill();
    }
    nodes = start_all(&options);
    for node in &nodes {
        let mut client = TestClient::to(node);
        assert_eq!(client.read("k").as_deref(), Some("2"));
        assert_eq!(client.read("other").as_deref(), Some("x"));
        assert_eq!(client.welcome.identity.node, node.ready().node);
    }
    for node in nodes {
        node.stop().unwrap();
    }
}

#[test]
fn puts_and_gets_go_without_paxos_and_survive_a_crash_of_all() {
    let put = |new: &str, level| Call::Put { new: new.into(), level };
    let value = |text: &str| Outcome::Value { value: Some(text.into()) };
    let dir = TempDir::new("cheap");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    let mut clients: Vec<TestClient> = nodes.iter().map(TestClient::to).collect();
    assert_eq!(clients[0].call("k", Call::Get { level: Level::Quorum }), Outcome::Value { value: None });
    for (i, level) in [Level::One, Level::Quorum].into_iter().enumerate() {
        assert_eq!(clients[i].call("k", put(&i.to_string(), level)), Outcome::Applied);
    }
    let response = clients[2].try_call("k", Call::Get { level: Level::Quorum }).unwrap();
    assert_eq!((response.outcome, response.diagnostics.phase), (value("1"), Phase::Cheap));
    assert_eq!((response.diagnostics.promises, response.diagnostics.ballot), (2, None), "two answered, no ballot was made");
    // A put is not a Paxos operation: it cannot be resent under its id, and the reply says so.
    let op = clients[0].next_op();
    let resent = Request { provenance: Provenance::Resent { born: None }, ..common::request(op, "k", put("x", Level::One)) };
    clients[0].send(resent);
    let refused = clients[0].receive().unwrap().outcome;
    assert!(matches!(&refused, Outcome::Invalid { why } if why.contains("First")), "{refused:?}");
    // The Paxos path sees the put at a node that has it, and builds on it. The value reaches all nodes as part of the
    // row.
    assert_eq!(clients[1].cas("k", Some("1"), "2"), Outcome::Applied);
    assert_eq!(clients[0].read("k").as_deref(), Some("2"));
    assert_eq!(clients[1].call("k", put("3", Level::Quorum)), Outcome::Applied);
    for node in nodes.drain(..) {
        node.kill();
    }
    nodes = start_all(&options);
    for node in &nodes {
        let mut client = TestClient::to(node);
        assert_eq!(client.call("k", Call::Get { level: Level::Quorum }), value("3"));
    }
    for node in nodes {
        node.stop().unwrap();
    }
}

#[test]
fn a_minority_cannot_answer_and_a_majority_can() {
    let dir = TempDir::new("minority");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    nodes.pop().unwrap().kill();
    let mut client = TestClient::to(&nodes[0]);
    assert_eq!(client.write("k", "1"), Outcome::Applied);
    nodes.pop().unwrap().kill();
    let op = client.next_op();
    let mut request = common::request(op, "k", Call::Read);
    request.timeout_us = 300_000;
    client.send(request);
    let response = client.receive().unwrap();
    assert!(matches!(response.outcome, Outcome::NotApplied { .. }), "{response:?}");
    assert_eq!(response.diagnostics.needed, 2);
}

#[test]
fn figures_are_right() {
    let dir = TempDir::new("status");
    let options = options_of_cluster(dir.path(), 3);
    let nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[0]);
    for i in 0..10 {
        assert_eq!(client.write("k", &i.to_string()), Outcome::Applied);
    }
    client.read("k");
    client.cas("k", None, "never");
    let status = status(&nodes[0]);
    assert_eq!((status.ops.applied, status.ops.reads, status.ops.condition_not_met), (10, 1, 1));
    assert_eq!((status.ops.started, status.ops.answered(), status.open_ops), (12, 12, 0));
    assert_eq!((status.keys, status.rows, status.ready, status.node.as_str()), (1, 1, true, "n1"));
    assert!(status.syncs >= 10 && status.records >= status.syncs && status.log_bytes > 0);
    assert!(status.sync_latency.p50_us > 0 && status.sync_latency.p50_us <= status.sync_latency.max_us);
    assert!(status.round_trips >= 30, "four rounds a write: {}", status.round_trips);
    assert!(status.state_bytes.total() > 0 && status.client_connections == 1);
    let metrics = control(&nodes[0]).metrics().unwrap();
    assert!(metrics.contains("heckle_ops_total{node=\"n1\",outcome=\"applied\"} 10\n"), "{metrics}");
}

#[test]
fn the_log_is_replaced_by_snapshots_and_recovers_from_them() {
    let dir = TempDir::new("snapshot");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[0]);
    let large = "x".repeat(8 << 10);
    for i in 0..150 {
        assert_eq!(client.write(&format!("k{}", i % 5), &format!("{i}{large}")), Outcome::Applied);
    }
    eventually("snapshots are written and segments removed", || {
        nodes.iter().all(|node| {
            let status = status(node);
            status.snapshots > 0 && status.segments < 12
        })
    });
    for node in nodes.drain(..) {
        node.kill();
    }
    nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[2]);
    for i in 145..150 {
        assert_eq!(client.read(&format!("k{}", i % 5)), Some(format!("{i}{large}")));
    }
}

#[test]
fn an_operation_sent_twice_takes_effect_once() {
    let dir = TempDir::new("twice");
    let options = options_of_cluster(dir.path(), 3);
    let nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[0]);
    let op = client.next_op();
    let cas = Call::Cas { expected: None, new: "1".into() };
    client.send(common::request(op, "k", cas.clone()));
    assert_eq!(client.receive().unwrap().outcome, Outcome::Applied);
    client.send(common::request(op, "k", cas));
    assert_eq!(client.receive().unwrap().outcome, Outcome::Applied, "the same id is the same operation");
    client.send(common::request(op, "k", Call::Write { new: "2".into() }));
    assert!(matches!(client.receive().unwrap().outcome, Outcome::Invalid { .. }), "the same id, another request");
    assert_eq!(client.read("k").as_deref(), Some("1"));
    assert_eq!(nodes[0].ready().node, n(1).to_string());
}

#[test]
fn any_node_answers_a_fate_query_and_late_messages_cannot_contradict_it() {
    let dir = TempDir::new("fate");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    let mut clients: Vec<TestClient> = nodes.iter().map(TestClient::to).collect();
    let write = |new: &str| Call::Write { new: new.into() };
    let first = clients[0].try_call("k", write("1")).unwrap();
    assert_eq!(first.outcome, Outcome::Applied);
    let ask = |client: &mut TestClient, of, born| client.call("k", Call::Fate { of, born });
    assert_eq!(ask(&mut clients[1], first.op, None), Outcome::Fate { fate: Fate::Applied });

    // An operation whose frame is still in transit.
    let late = clients[0].next_op();
    let born = first.diagnostics.ballot.expect("it was proposed");
    assert_eq!(ask(&mut clients[2], late, Some(born)), Outcome::Fate { fate: Fate::NotApplied });
    for node in nodes.drain(..) {
        node.kill();
    }
    nodes = start_all(&options);
    let mut client = TestClient::to(&nodes[0]);
    client.send(Request { provenance: Provenance::FirstAfter { born }, ..common::request(late, "k", write("late")) });
    assert_eq!(client.receive().unwrap().outcome, Outcome::NotApplied { why: Reason::Aborted });
    assert_eq!(client.read("k").as_deref(), Some("1"));
    assert_eq!(ask(&mut client, late, Some(born)), Outcome::Fate { fate: Fate::NotApplied });
    assert_eq!(status(&nodes[0]).ops.fates, 1);

    // Without a quorum the fate remains open.
    nodes.pop().unwrap().kill();
    nodes.pop().unwrap().kill();
    let op = client.next_op();
    let question = Call::Fate { of: late, born: Some(born) };
    client.send(Request { timeout_us: 200_000, ..common::request(op, "k", question) });
    assert_eq!(client.receive().unwrap().outcome, Outcome::Unknown { why: Reason::Timeout });
}
