//! The cost of an operation in each mode, counted by the nodes: round trips and syncs of one client without
//! contention, over real sockets and disks. `cargo test -p heckle-server --test rounds -- --nocapture` prints the
//! table.

mod common;

use common::{TempDir, TestClient, options_of_cluster, start_all, status};
use heckle_server::client_protocol::{Call, Diagnostics, Outcome};
use heckle_server::options::Rounds;
use heckle_server::{NodeHandle, NodeOptions};

/// Number of operations of each kind, small enough for a busy machine.
const OPS: u32 = 40;

/// The cost of one kind of operation.
struct Price {
    round_trips: u32,
    /// Number of records that a node must sync: the maximum number of syncs per operation.
    syncs: u32,
}

const fn price(round_trips: u32, syncs: u32) -> Price {
    Price { round_trips, syncs }
}

fn cluster(name: &str, rounds: Rounds) -> (TempDir, Vec<NodeHandle>) {
    let dir = TempDir::new(name);
    let with = |mut options: NodeOptions| {
        options.rounds = rounds;
        options
    };
    let options: Vec<NodeOptions> = options_of_cluster(dir.path(), 3).into_iter().map(with).collect();
    let nodes = start_all(&options);
    (dir, nodes)
}

fn syncs(nodes: &[NodeHandle]) -> u64 {
    nodes.iter().map(|node| status(node).syncs).sum()
}

/// Runs `OPS` operations of one kind, one at a time, and compares the cost of each with the expected cost.
#[track_caller]
fn check(name: &str, kind: &str, nodes: &[NodeHandle], client: &mut TestClient, call: impl Fn(u32) -> Call, price: &Price) {
    let before = (status(&nodes[0]).round_trips, syncs(nodes));
    let mut undisturbed = 0;
    let mut reported = 0;
    for at in 0..OPS {
        let response = client.try_call("k", call(at)).unwrap();
        let as_asked = match (&response.outcome, kind) {
            (Outcome::Applied, "write") | (Outcome::Value { .. }, "read") | (Outcome::ConditionNotMet { .. }, "refused") => true,
            (other, _) => panic!("{name} {kind}: {other:?}"),
        };
        let Diagnostics { rounds, repairs, round_trips, .. } = response.diagnostics;
        reported += u64::from(round_trips);
        // On a busy machine, a reply may come too late, and the operation then takes another ballot.
        if as_asked && rounds == 1 && repairs == 0 {
            undisturbed += 1;
            assert_eq!(round_trips, price.round_trips, "{name}: round trips of a {kind}");
        }
    }
    assert!(undisturbed * 10 >= OPS * 9, "{name}: {undisturbed} of {OPS} {kind}s were undisturbed");
    let counted = status(&nodes[0]).round_trips - before.0;
    assert_eq!(counted, reported, "{name}: the node counts what it reports to its clients");
    let synced = (syncs(nodes) - before.1) as f64 / f64::from(OPS) / nodes.len() as f64;
    println!("{name:12} {kind:8} {:.2} round trips, {synced:.2} syncs an op and node", counted as f64 / f64::from(OPS));
    // Another ballot also costs syncs, and lazily learned rows are written from time to time.
    let most = f64::from(price.syncs) * 1.1 + 0.3;
    assert!(synced <= most && synced >= 0.3, "{name}: a {kind} cost {synced:.2} syncs a node, at most {most:.2} expected");
}

#[track_caller]
fn check_mode(name: &str, rounds: Rounds, write: Price, refused: Price) {
    let (_dir, nodes) = cluster(name, rounds);
    let mut client = TestClient::to(&nodes[0]);
    // The first operation on a key finds no prepared ballot.
    assert_eq!(client.write("k", "first"), Outcome::Applied);
    let value = |at: u32| at.to_string().into_bytes();
    check(name, "write", &nodes, &mut client, |at| Call::Write { new: value(at) }, &write);
    check(name, "read", &nodes, &mut client, |_| Call::Read, &refused);
    check(name, "refused", &nodes, &mut client, |at| Call::Cas { expected: None, new: value(at) }, &refused);
    for node in nodes {
        node.stop().unwrap();
    }
}

#[test]
fn classic_costs_four_round_trips_and_three() {
    check_mode("classic", Rounds::Classic, price(4, 3), price(3, 2));
}

#[test]
fn merged_costs_three_and_two() {
    check_mode("merged", Rounds::Merged, price(3, 3), price(2, 2));
}

#[test]
fn fast_costs_one_and_one_from_the_second_op_on() {
    check_mode("fast", Rounds::Fast, price(1, 1), price(1, 1));
}

#[test]
fn async_learn_costs_two_and_one() {
    check_mode("async-learn", Rounds::AsyncLearn, price(2, 2), price(1, 1));
}
