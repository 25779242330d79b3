//! A node that has lost part of its state never votes again, and no acknowledged write is lost because of it.

mod common;

use std::path::{Path, PathBuf};

use common::{PATIENCE, TempDir, TestClient, eventually, n, options_of_cluster, start, start_all, status};
use heckle_server::client_protocol::{Call, Outcome};
use heckle_server::node::EXIT_DATA;
use heckle_server::options::Rounds;
use heckle_server::{Node, NodeError, NodeHandle, NodeOptions};

const ROUNDS: [Rounds; 2] = [Rounds::Classic, Rounds::Fast];

/// The value that is lost.
const NEWEST: &str = "newest";

/// The ways in which one disk can lose state. "The end" begins with the batch that accepts the newest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateLoss {
    /// The last segment is cut off before its end.
    Truncated,
    /// The end is replaced with zeroes, as in a segment in use.
    TruncatedAndPadded,
    /// A bit is flipped in the first batch of the end, and nothing follows that batch.
    BatchDamaged,
    /// The first two batches of the end are overwritten, and nothing follows them.
    TwoBatchesDamaged,
    /// The whole folder is an older copy.
    OldCopy,
    /// The log is deleted, but the identity is kept.
    LogDeleted,
    /// The folder is empty.
    Wiped,
    /// The mark of a clean stop is missing.
    StopMarkGone,
}

const SHAPES: [StateLoss; 8] = [
    StateLoss::Truncated,
    StateLoss::TruncatedAndPadded,
    StateLoss::BatchDamaged,
    StateLoss::TwoBatchesDamaged,
    StateLoss::OldCopy,
    StateLoss::LogDeleted,
    StateLoss::Wiped,
    StateLoss::StopMarkGone,
];

fn copy_folder(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "wal")).collect();
    found.sort();
    found
}

/// The offsets at which the batches of a segment begin and end, according to their headers.
fn batches(segment: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // A file begins with a header of 256 bytes.
    let mut at = 256;
    while segment.get(at..at + 4) == Some(b"HKBT") {
        let len = u32::from_le_bytes(segment[at + 4..at + 8].try_into().unwrap()) as usize;
        let end = (at + 24 + len).next_multiple_of(8);
        found.push((at, end));
        at = end;
    }
    found
}

/// Changes the end of the last segment, given its batches.
fn change_end(folder: &Path, change: impl FnOnce(&mut Vec<u8>, &[(usize, usize)])) {
    let last = segments(folder).pop().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let batches = batches(&bytes);
    let holds_newest = |(begin, end): &(usize, usize)| bytes[*begin..*end].windows(NEWEST.len()).any(|part| part == NEWEST.as_bytes());
    let first = batches.iter().position(holds_newest).expect("n2 has accepted it");
    change(&mut bytes, &batches[first..]);
    std::fs::write(&last, bytes).unwrap();
}

fn lose(shape: StateLoss, data: &Path, copy: &Path) {
    match shape {
        StateLoss::Truncated => change_end(data, |bytes, end| bytes.truncate(end[0].0)),
        StateLoss::TruncatedAndPadded => change_end(data, |bytes, end| bytes[end[0].0..].fill(0)),
        StateLoss::BatchDamaged => change_end(data, |bytes, end| {
            bytes[end[0].0 + 30] ^= 1;
            bytes[end[0].1..].fill(0);
        }),
        StateLoss::TwoBatchesDamaged => change_end(data, |bytes, end| {
            bytes[end[0].0 + 8..end[1].1].fill(0x5a);
            bytes[end[1].1..].fill(0);
        }),
        StateLoss::OldCopy => copy_folder(copy, data),
        StateLoss::LogDeleted => segments(data).iter().for_each(|path| std::fs::remove_file(path).unwrap()),
        StateLoss::Wiped => std::fs::remove_dir_all(data).unwrap(),
        StateLoss::StopMarkGone => {
            let last = segments(data).pop().unwrap();
            let mut bytes = std::fs::read(&last).unwrap();
            let (begin, _) = *batches(&bytes).last().unwrap();
            bytes[begin..].fill(0);
            std::fs::write(&last, bytes).unwrap();
        }
    }
}

/// Three nodes: n1 and n2 have acknowledged `newest`, and n3 has only `old`. Then n2 loses state.
struct Lossy {
    _dir: TempDir,
    options: Vec<NodeOptions>,
    first: Option<NodeHandle>,
}

impl Lossy {
    fn after(shape: StateLoss, rounds: Rounds, mutant: Option<&str>) -> Lossy {
        let dir = TempDir::new("amnesia");
        let mut options = options_of_cluster(dir.path(), 3);
        for options in &mut options {
            options.rounds = rounds;
            options.mutants = mutant.into_iter().map(str::to_owned).collect();
            // No snapshots, since these shapes damage the log.
            options.storage.segment_bytes = 1 << 20;
        }
        let mut nodes = start_all(&options);
        let mut client = TestClient::to(&nodes[0]);
        for at in 0..20 {
            assert_eq!(client.write("other", &at.to_string()), Outcome::Applied);
        }
        assert_eq!(client.write("k", "old"), Outcome::Applied);
        for node in &nodes {
            assert_eq!(TestClient::to(node).read("k").as_deref(), Some("old"));
        }
        nodes.pop().unwrap().kill();
        let copy = dir.path().join("copy");
        // The log must be intact, as in a backup taken while the node was stopped.
        nodes.pop().unwrap().kill();
        copy_folder(&options[1].data_dir, &copy);
        let second = start(&options[1]);
        eventually("n2 is back", || status(&second).voting && status(&nodes[0]).peers[0].inbound);
        for at in 0..5 {
            assert_eq!(client.write("k", &format!("new{at}")), Outcome::Applied);
        }
        assert_eq!(client.write("k", NEWEST), Outcome::Applied);
        if shape == StateLoss::StopMarkGone {
            second.stop().unwrap();
        } else {
            // Only the positions that n1 has seen vouch for the last batch, and they reach its disk shortly.
            std::thread::sleep(std::time::Duration::from_millis(600));
            second.kill();
        }
        lose(shape, &options[1].data_dir, &copy);
        Lossy { _dir: dir, options, first: nodes.pop() }
    }

    /// The value that `node` reads within a short time, if it has a quorum.
    fn read(node: &NodeHandle) -> Option<String> {
        let mut client = TestClient::to(node);
        let op = client.next_op();
        let mut request = common::request(op, "k", Call::Read);
        request.timeout_us = 1_500_000;
        client.send(request);
        match client.receive().unwrap().outcome {
            Outcome::Value { value } => value.map(|bytes| String::from_utf8(bytes).unwrap()),
            _ => None,
        }
    }
}

#[track_caller]
fn says_what_to_do(error: &NodeError, context: &str) {
    let says = error.to_string();
    assert_eq!(error.exit_code(), EXIT_DATA, "{context}: {says}");
    let what_to_do = "It may have lost promises and accepted updates, so it must not vote: keep it stopped";
    assert!(says.contains(what_to_do), "{context}: {says}");
    assert!(!says.contains('\n'), "{context}: {says}");
}

/// Starts n2 and waits until it ends.
fn refused(options: &NodeOptions, context: &str) -> NodeError {
    let node = match Node::start(options.clone()) {
        Err(error) => return error,
        Ok(node) => node,
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while node.is_running() {
        assert!(std::time::Instant::now() < deadline, "{context}: it runs on:\n{}", node.log_lines().concat());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    node.wait().expect_err(context)
}

#[test]
fn a_node_that_lost_state_is_refused_by_one_that_knows_more() {
    for rounds in ROUNDS {
        for shape in SHAPES {
            let context = format!("{shape:?}, {rounds:?}");
            let lossy = Lossy::after(shape, rounds, None);
            says_what_to_do(&refused(&lossy.options[1], &context), &context);
            // The remaining nodes have not lost the newest value.
            let third = start(&lossy.options[2]);
            eventually(&format!("{context}: n3 is back"), || status(&third).voting);
            assert_eq!(TestClient::to(&third).read("k").as_deref(), Some(NEWEST), "{context}");
            assert_eq!(TestClient::to(lossy.first.as_ref().unwrap()).read("k").as_deref(), Some(NEWEST), "{context}");
            // The damaged node is refused again.
            says_what_to_do(&refused(&lossy.options[1], &context), &context);
        }
    }
}

/// The node with the newest value is down. A node with visible damage is refused or waits, and any other is refused
/// when n1 is back.
#[test]
fn a_damaged_node_does_not_vote_with_one_that_knows_less() {
    for rounds in ROUNDS {
        for shape in SHAPES {
            let context = format!("{shape:?}, {rounds:?}");
            let mut lossy = Lossy::after(shape, rounds, None);
            lossy.first.take().unwrap().kill();
            let third = start(&lossy.options[2]);
            let second = Node::start(lossy.options[1].clone());
            let leaves_no_trace = matches!(shape, StateLoss::TruncatedAndPadded | StateLoss::OldCopy);
            if !leaves_no_trace {
                assert_eq!(Lossy::read(&third), None, "{context}: n3 has no quorum");
            }
            let first = start(&lossy.options[0]);
            match second {
                Err(error) => says_what_to_do(&error, &context),
                Ok(second) => {
                    eventually(&format!("{context}: it ends"), || !second.is_running());
                    let lines = second.log_lines().concat();
                    says_what_to_do(&second.wait().unwrap_err(), &context);
                    assert!(leaves_no_trace || !lines.contains("event=voting"), "{context}: {lines}");
                }
            }
            eventually(&format!("{context}: n1 and n3 vote"), || status(&first).voting && status(&third).voting);
            if !leaves_no_trace {
                assert_eq!(TestClient::to(&third).read("k").as_deref(), Some(NEWEST), "{context}");
            }
        }
    }
}

#[test]
fn without_the_check_the_write_is_lost() {
    for rounds in ROUNDS {
        for shape in SHAPES {
            let context = format!("{shape:?}, {rounds:?}");
            let mut lossy = Lossy::after(shape, rounds, Some("accepts-own-amnesia"));
            lossy.first.take().unwrap().kill();
            let third = start(&lossy.options[2]);
            let second = Node::start(lossy.options[1].clone());
            if shape == StateLoss::TwoBatchesDamaged {
                // This damage is visible without the other nodes.
                says_what_to_do(&second.unwrap_err(), &context);
                continue;
            }
            let read = Lossy::read(&third).expect("two of three vote");
            // The mark of a stop contains no value.
            assert_eq!(read == NEWEST, shape == StateLoss::StopMarkGone, "{context}: {read}");
        }
    }
}

#[test]
fn sound_nodes_are_never_kept_waiting_for_long() {
    let dir = TempDir::new("amnesia-sound");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
    // All at the same time, both killed and stopped.
    for clean in [false, true, false] {
        for node in nodes.drain(..) {
            if clean { node.stop().unwrap() } else { node.kill() }
        }
        nodes = start_all(&options);
        assert_eq!(TestClient::to(&nodes[2]).read("k").as_deref(), Some("1"));
    }
    // One at a time, with one of the others down.
    nodes.pop().unwrap().kill();
    for _ in 0..3 {
        nodes.pop().unwrap().kill();
        nodes.push(start(&options[1]));
        eventually("one confirmation is enough", || status(&nodes[1]).voting);
        assert_eq!(TestClient::to(&nodes[1]).read("k").as_deref(), Some("1"));
    }
}

#[test]
fn a_new_cluster_waits_for_all_of_its_nodes() {
    let dir = TempDir::new("amnesia-new");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = vec![start(&options[0]), start(&options[1])];
    assert_eq!(Lossy::read(&nodes[0]), None);
    // Restarting a node that has never voted changes nothing: it still needs confirmation from all others.
    nodes.pop().unwrap().kill();
    nodes.push(start(&options[1]));
    eventually("they have met", || nodes.iter().all(|node| status(node).peers.iter().any(|peer| peer.inbound && peer.outbound)));
    assert!(nodes.iter().all(|node| !status(node).voting));
    nodes.push(start(&options[2]));
    eventually("all vote", || nodes.iter().all(|node| status(node).voting));
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
}

#[test]
fn a_copy_of_a_running_nodes_folder_is_refused() {
    let dir = TempDir::new("amnesia-copy");
    let options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    nodes.pop().unwrap().kill();
    let copy = dir.path().join("twin");
    copy_folder(&options[2].data_dir, &copy);
    let third = start(&options[2]);
    eventually("the node itself is back", || status(&third).voting);
    let mut twin = options[2].clone();
    twin.data_dir = copy;
    twin.peer_listen = (common::claim().ip(), 0).into();
    let error = refused(&twin, "twin");
    says_what_to_do(&error, "twin");
    assert!(error.to_string().contains("and this folder has no such process"), "{error}");
    assert!(third.is_running() && status(&third).voting);
    assert_eq!(TestClient::to(&third).write("k", "1"), Outcome::Applied);
}

#[test]
fn an_identity_of_another_folder_is_refused() {
    let dir = TempDir::new("amnesia-identity");
    let options = options_of_cluster(dir.path(), 1).remove(0);
    start(&options).stop().unwrap();
    let mut other = options.clone();
    other.data_dir = dir.path().join("other");
    start(&other).stop().unwrap();
    std::fs::copy(other.data_dir.join("identity.json"), options.data_dir.join("identity.json")).unwrap();
    let error = Node::start(options).unwrap_err();
    assert_eq!(error.exit_code(), 64);
    let says = error.to_string();
    assert!(says.contains("check --data-dir") && !says.contains("empty folder") && says.contains(&n(1).to_string()), "{says}");
}

#[test]
fn remains_of_an_identity_that_was_being_written_do_no_harm() {
    let dir = TempDir::new("amnesia-remains");
    let options = options_of_cluster(dir.path(), 1).remove(0);
    for _ in 0..2 {
        start(&options).kill();
        std::fs::write(options.data_dir.join("identity.tmp"), "{\"format\":").unwrap();
    }
    assert_eq!(TestClient::to(&start(&options)).write("k", "1"), Outcome::Applied);
    assert!(!options.data_dir.join("identity.tmp").exists());
}
