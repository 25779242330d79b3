//! No program and no test in this workspace picks a port and binds it later: another program may have taken it in the
//! meantime, and the test would connect to the wrong one. Temporary addresses are claimed (`systems/loopback`), and
//! every other listener is kept open from the moment it gets its port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files that create listeners, the number of listeners, and why that is safe.
const LISTENERS: &[(&str, usize, &str)] = &[
    ("harness/cli/src/bench/load/null.rs", 1, "a claimed port, held until the process ends"),
    ("harness/cli/src/bench/relay.rs", 1, "held for the whole measurement"),
    ("harness/engine/src/relay/engine.rs", 1, "a door of the relay, held as long as the relay"),
    ("harness/engine/src/relay/raw/probe.rs", 1, "held for the whole probe"),
    ("harness/engine/src/relay/raw/sockets.rs", 3, "held for the whole test"),
    ("harness/engine/src/relay/raw/tests/faults.rs", 5, "held by the rig, one on a claimed port"),
    ("harness/engine/src/relay/raw/tests/mod.rs", 1, "held by the rig"),
    ("harness/engine/src/relay/tests/connections.rs", 1, "a claimed port, on which nothing listens before"),
    ("harness/engine/src/relay/tests/mod.rs", 1, "held by the rig"),
    ("harness/cli/src/bench/etcd/limit.rs", 1, "held for the whole measurement"),
    ("harness/cli/src/serve/mod.rs", 1, "the server's own, held until it ends"),
    ("harness/cli/tests/command/ctl.rs", 1, "a claimed port"),
    ("harness/cli/tests/command/strangers.rs", 1, "a killed node's port, taken on purpose"),
    ("nodes/server/src/node/lifecycle.rs", 1, "a node's own, held until it ends"),
    ("nodes/server/tests/links.rs", 1, "held as long as the test program"),
    ("nodes/server/tests/strangers.rs", 2, "a killed node's port, taken on purpose; a tap held for the whole test"),
    ("systems/external/src/check/fake.rs", 1, "held as long as the fake node"),
    ("systems/zookeeper/src/connection/tests.rs", 1, "held for the whole test"),
    ("systems/loopback/src/lib.rs", 4, "the claim itself"),
    ("systems/paxos/src/connection/tests.rs", 1, "a claimed port"),
    ("systems/paxos/src/strangers.rs", 1, "a test's program on a claimed port"),
    ("harness/cli/tests/toy/system.rs", 1, "a node's own, on a claimed port, held until it ends"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// Returns the workspace files with one of these extensions.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (vec![], vec![root()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("readable").map(|e| e.expect("readable").path()) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found
}

/// Counts the TCP listeners that a text creates. Unix sockets have no port.
fn listeners(text: &str) -> usize {
    // Written in two parts so that this file does not match itself.
    let makes = [concat!("TcpListener", "::bind("), concat!("UdpSocket", "::bind("), concat!(".bi", "nd(&SockAddr")];
    makes.iter().map(|make| text.matches(make).count()).sum()
}

#[test]
fn every_listener_is_held_or_claimed() {
    let mut found = BTreeMap::new();
    for path in files(&[".rs"]) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let count = listeners(&text);
        if count > 0 {
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.insert(name, count);
        }
    }
    let known: BTreeMap<String, usize> = LISTENERS.iter().map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(
        found, known,
        "a new listener: hold it from the moment it has its port, or claim an address for it, and say so in LISTENERS"
    );
    assert!(LISTENERS.iter().all(|(_, _, why)| !why.is_empty()));
}

/// Files that use a port of 127.0.0.1 as a syntax example. No code connects to it or listens on it.
const EXAMPLES: &[&str] = &[
    "docs/client.py",
    "harness/cli/src/cli/node.rs",
    "harness/cli/src/cli/serve.rs",
    "harness/cli/src/verbs/node.rs",
    "harness/cli/tests/command/bad_input.rs",
    "harness/cli/tests/command/ctl.rs",
    "systems/external/src/protocol.rs",
];

/// A fixed port of 127.0.0.1 would be shared by two checkouts on one machine.
#[test]
fn no_port_is_fixed() {
    let shared = concat!("127.0.0", ".1:");
    let mut found = vec![];
    for path in files(&[".rs", ".py", ".sh"]) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let fixed = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit() && c != '0');
        if text.split(shared).skip(1).any(fixed) {
            found.push(path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned());
        }
    }
    found.sort();
    assert_eq!(found, EXAMPLES, "claim an address (`LoopbackClaim`), or say here that it is an example");
}

#[test]
fn a_listener_is_seen_however_it_is_written() {
    for text in [
        concat!("let l = std::net::TcpListener", "::bind(addr)?;"),
        concat!("UdpSocket", "::bind(addr)"),
        concat!("socket.bi", "nd(&SockAddr::from(addr))"),
    ] {
        assert_eq!(listeners(text), 1, "{text}");
    }
}
