//! Other programs on the ports of nodes: any program can take the ports of a killed node, and its replies must never be
//! mistaken for those of the node. Simultaneous runs, which may hit such ports by chance, must not affect each other.

use crate::common::*;
use heckle_server::{Node, NodeHandle, NodeOptions};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;

/// n2 is down from 0.5 s, for longer than the test takes.
const SCHEDULE: &str = "{\"t\":500000000,\"kind\":\"kill\",\"targets\":[\"n2\"],\"state\":\"begin\"}\n\
                        {\"t\":15000000000,\"kind\":\"kill\",\"targets\":[\"n2\"],\"state\":\"end\"}\n";

/// A program on the port of a dead node. It is stopped when dropped.
#[expect(dead_code, reason = "they are held, not read")]
enum PortSquatter {
    Node(Box<NodeHandle>),
    Program(TcpListener),
}

/// Returns the addresses of the run's n2 by role, once n2 is dead.
fn dead_node(f: &Folder) -> impl Fn(&str) -> SocketAddr {
    let log = || find(f, "nodes/n2/node.log").first().and_then(|log| std::fs::read_to_string(log).ok()).unwrap_or_default();
    let up = || log().contains(" event=ready ");
    assert!(wait_for(Duration::from_secs(30), up), "n2 is never ready");
    let down = || find(f, "history.jsonl.zst").len() == 1 && !nodes(f).iter().any(|node| node == "n2");
    assert!(wait_for(Duration::from_secs(30), down), "n2 is never killed");
    let ready = log().lines().find(|line| line.contains(" event=ready ")).expect("it was there").to_owned();
    move |role: &str| {
        let field = format!(" {role}=");
        let (_, rest) = ready.split_once(&field).unwrap_or_else(|| panic!("no {role} in {ready}"));
        rest.split_whitespace().next().expect("an address").parse().expect("an address")
    }
}

/// Returns the names of the run's live nodes.
fn nodes(f: &Folder) -> Vec<String> {
    let lists = find(f, "pids.jsonl");
    let alive = lists.iter().flat_map(|list| heckle::cluster::pids::alive(list.parent().expect("a run folder")));
    alive.map(|started| started.node).collect()
}

/// Checks a run in which n2 is killed and another program takes its port. The run ends with 4 and names the program.
#[track_caller]
fn check(extra: &[&str], who: &str, steal: impl FnOnce(&Folder, &dyn Fn(&str) -> SocketAddr) -> PortSquatter) {
    check_within(None, extra, who, steal);
}

/// Like [`check`], for a run with ports of this range.
#[track_caller]
fn check_within(ports: Option<&str>, extra: &[&str], who: &str, steal: impl FnOnce(&Folder, &dyn Fn(&str) -> SocketAddr) -> PortSquatter) {
    let f = Folder::new();
    std::fs::write(f.path().join("schedule.jsonl"), SCHEDULE).expect("a writable folder");
    let fixed = [
        "run",
        "--faults",
        "kill",
        "--schedule",
        "schedule.jsonl",
        "--duration",
        "20s",
        "--warmup",
        "100ms",
        "--quiet-tail",
        "500ms",
        "--quiet",
        "--json",
    ];
    let mut command = heckle(&f, &[&fixed, extra].concat());
    command.envs(ports.map(|ports| (heckle_loopback::PORTS_VARIABLE, ports)));
    let run = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
    let place = dead_node(&f);
    let thief = steal(&f, &place);
    let out = finish(run);
    drop(thief);
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("no results: {}", said(&out)));
    let reasons = results["reasons"].to_string();
    assert!(reasons.contains("where n2 should be, is answered by") && reasons.contains(who), "{reasons}");
    assert_ne!(results["linearizability"]["verdict"], "invalid");
    assert_eq!(nodes_alive(&f), Vec::<u32>::new());
}

fn finish(mut run: Running) -> std::process::Output {
    let none = || std::process::Command::new("true").stdin(Stdio::null()).spawn().expect("a child");
    let child: Child = std::mem::replace(&mut run.0, none());
    child.wait_with_output().expect("it ends")
}

/// Starts a node of another cluster with the expected name.
fn node(f: &Folder, change: impl FnOnce(&mut NodeOptions)) -> PortSquatter {
    let mut options = NodeOptions::new("n2".parse().expect("a name"), "thieves", f.path().join("thief"));
    options.remote = true;
    change(&mut options);
    // A claimed port is free once its node is dead. With a wildcard address, the same port number of another cluster
    // may conflict.
    let mut started = None;
    let free = || {
        started = Node::start(options.clone()).ok();
        started.is_some()
    };
    assert!(wait_for(Duration::from_secs(10), free), "the place is never free");
    PortSquatter::Node(Box::new(started.expect("it was just started")))
}

#[test]
fn another_clusters_node_at_a_dead_nodes_client_address_ends_the_run_by_name() {
    check(&["--net", "relay"], "n2 of cluster thieves", |f, place| node(f, |o| o.client_listen = place("client")));
}

#[test]
fn another_clusters_node_on_all_addresses_ends_the_run_by_name() {
    let everywhere = |addr: SocketAddr| SocketAddr::from(([0, 0, 0, 0], addr.port()));
    // The thief answers on the addresses of all other runs, too, so its port is outside their range.
    check_within(Some("9000-10999"), &["--net", "direct"], "n2 of cluster thieves", |f, place| {
        node(f, |o| o.client_listen = everywhere(place("client")))
    });
}

#[test]
fn another_clusters_node_at_a_dead_nodes_control_address_ends_the_run_by_name() {
    check(&["--lease", "priority"], "n2 of cluster thieves", |f, place| node(f, |o| o.control_listen = place("control")));
}

#[test]
fn another_clusters_node_at_a_dead_nodes_peer_address_ends_the_run_by_name() {
    check(&[], "n2 of cluster thieves", |f, place| node(f, |o| o.peer_listen = place("peer")));
}

#[test]
fn a_program_that_says_nothing_at_a_dead_nodes_address_ends_the_run() {
    check(&["--net", "direct"], "a program that says nothing", |_, place| {
        // The last connections of the node may hold the port for a moment.
        let mut listener = None;
        let free = || {
            listener = TcpListener::bind(place("client")).ok();
            listener.is_some()
        };
        assert!(wait_for(Duration::from_secs(10), free), "the place is never free");
        PortSquatter::Program(listener.expect("it was just bound"))
    });
}

/// Performs four simultaneous runs with kills, repeated HECKLE_SIDE_BY_SIDE times (default: once). Each run has its own
/// verdict; none is wrong, and none reaches a node of another run.
#[test]
fn runs_side_by_side_do_not_meet() {
    let times: u32 = std::env::var("HECKLE_SIDE_BY_SIDE").map_or(1, |times| times.parse().expect("a number"));
    for round in 0..times {
        let f = Folder::new();
        let start = |i: u32| {
            let seed = (round * 4 + i).to_string();
            let args = ["run", "--faults", "kill,kill-all", "--duration", "4s", "--warmup", "200ms", "--quiet-tail", "500ms"];
            let mut command = heckle(&f, &[&args[..], &["--rate", "60", "--clients", "6", "--seed", &seed, "--quiet"]].concat());
            Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
        };
        let runs: Vec<Running> = (0..4).map(start).collect();
        for run in runs {
            let out = finish(run);
            // On a busy machine, such a short run may be inconclusive, but never wrong.
            assert!(matches!(out.status.code(), Some(0 | 2)), "round {round}: {:?}\n{}", out.status, said(&out));
        }
        assert_eq!(nodes_alive(&f), Vec::<u32>::new());
    }
}
