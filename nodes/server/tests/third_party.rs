//! A third-party client, written from the protocol's page alone: `docs/client.py` against a real cluster.

mod common;

use std::process::{Command, Output};

use common::{TempDir, TestClient, options_of_cluster, start_all};
use heckle_server::NodeHandle;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/client.py");

/// Runs the client and returns the line that it prints.
#[track_caller]
fn python(node: &NodeHandle, args: &[&str]) -> String {
    let out = run(&node.ready().client.to_string(), &[], args);
    let text = String::from_utf8_lossy(&out.stdout).trim_end().to_owned();
    assert!(out.status.success(), "client.py {args:?}: {text}\n{}", String::from_utf8_lossy(&out.stderr));
    text
}

fn run(addr: &str, options: &[&str], args: &[&str]) -> Output {
    Command::new("python3").arg(CLIENT).args(options).arg(addr).args(args).output().unwrap()
}

#[test]
fn a_client_written_from_the_page_is_understood() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3 here, so docs/client.py was not tried");
        return;
    }
    let dir = TempDir::new("third-party");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    assert_eq!(python(&nodes[0], &["read", "k"]), "value");
    assert_eq!(python(&nodes[0], &["cas", "k", "-", "one"]), "applied");
    assert_eq!(python(&nodes[1], &["cas", "k", "-", "two"]), "condition_not_met one");
    assert_eq!(python(&nodes[2], &["cas", "k", "one", "two"]), "applied");
    assert_eq!(python(&nodes[1], &["read", "k"]), "value two");
    assert_eq!(python(&nodes[0], &["put", "plain", "one"]), "applied");
    assert_eq!(python(&nodes[1], &["get", "plain"]), "value one");
    // The length takes more than one byte, and both sides agree on the bytes.
    let long = "x".repeat(300);
    assert_eq!(python(&nodes[0], &["write", "k", &long]), "applied");
    assert_eq!(TestClient::to(&nodes[2]).read("k"), Some(long));
    assert_eq!(python(&nodes[0], &["read", &"k".repeat(2_000)]), "invalid a key of 2000 bytes is over the limit of 1024");

    // The expected node must answer.
    let addr = nodes[0].ready().client.to_string();
    let right = run(&addr, &["--expect", "test/n1"], &["get", "plain"]);
    assert!(right.status.success() && right.stdout == b"value one\n", "{right:?}");
    for (expected, wanted) in [("test/n2", "n2 of cluster test"), ("other/n1", "n1 of cluster other")] {
        let wrong = run(&addr, &["--expect", expected], &["write", "k", "stray"]);
        let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(!wrong.status.success() && said.contains("this is n1 of cluster test") && said.contains(wanted), "{said}");
    }
    assert_eq!(python(&nodes[0], &["get", "plain"]), "value one");
}
