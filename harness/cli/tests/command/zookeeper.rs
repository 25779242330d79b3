//! `--system zookeeper`: ZooKeeper servers behind the raw relay, under the same load, faults and judge.

use crate::common::*;
use std::time::Duration;

/// Time within which three Java processes start, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn is_missing() -> bool {
    let found = heckle_system_zookeeper::find_program();
    if found.is_err() {
        eprintln!("SKIPPED: no ZooKeeper here; {}", heckle_system_zookeeper::INSTALL);
    }
    found.is_err()
}

#[test]
fn zookeeper_without_its_package_is_a_line_with_the_command() {
    if !is_missing() {
        return;
    }
    let out = expect_code(&Folder::new(), &["run", "--system", "zookeeper", "--duration", "1s"], 64);
    assert!(said(&out).contains("apt-get install zookeeper") && said(&out).trim().lines().count() == 1, "{}", said(&out));
}

#[test]
fn zookeeper_under_a_kill_and_a_cut_is_judged_valid() {
    if is_missing() {
        return;
    }
    let folder = Folder::new();
    let args = ["run", "systems/zookeeper", "--faults", "kill,partition:leader", "--fault-every", "8s", "--fault-for", "6s"];
    let out =
        expect_code(&folder, &[&args[..], &["--duration", "26s", "--warmup", "1s", "--quiet-tail", "2s", "--quiet", "--json"]].concat(), 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&results["verdict"], &results["plan"]["labels"]["system"]), (&"valid".into(), &"zookeeper".into()), "{results:#}");
    let faults = results["faults"].as_array().expect("a list");
    assert!(faults.len() == 2 && faults.iter().all(|f| f["effective"] == true && f["healed"] == true), "{faults:#?}");
    // Both directions to both other nodes are cut. It does not matter whether a follower sends anything into the cut.
    let evidence = &faults[1]["evidence"];
    let leader = faults[1]["targets"][0].as_str().expect("a node");
    let held = evidence["bytes_by_link"].as_object().expect("bytes by link");
    assert_eq!(evidence["links_carrying"], 4, "{evidence:#}");
    assert!(held.len() >= 2 && held.keys().all(|link| link.split('>').any(|node| node == leader)), "{evidence:#}");
    assert!(results["ops"]["condition_not_met"].as_u64() > Some(0), "refusals carry what they met: {results:#}");
    assert_eq!(results["env"]["system_version"].as_str().map(str::to_owned), heckle_system_zookeeper::version());
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

/// A server answers reads from its local data. Without `sync`, such a read is stale behind a cut, and the judge finds
/// it.
#[test]
fn reads_without_sync_are_found_stale() {
    if is_missing() {
        return;
    }
    let folder = Folder::new();
    let found = (1..=3).any(|seed: u32| {
        let out = output(&folder, &["run", "systems/zookeeper-no-sync", "--seed", &seed.to_string(), "--quiet", "--json"]);
        let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let invalid = results["linearizability"]["verdict"] == "invalid";
        assert!(!invalid || (results["verdict"] == "invalid" && out.status.code() == Some(1)), "{results:#}");
        invalid
    });
    assert!(found, "no stale read in three runs");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

/// A killed harness takes its servers with it, or `heckle clean` finds them, although their command lines do not name a
/// data folder.
#[test]
fn nothing_is_left_of_a_killed_run() {
    if is_missing() {
        return;
    }
    let folder = Folder::new();
    let args = ["run", "--system", "zookeeper", "--faults", "none", "--duration", "60s", "--quiet"];
    let mut harness = Running(heckle(&folder, &args).spawn().expect("the binary starts"));
    assert!(wait_for(PATIENCE, || nodes_alive(&folder).len() == 3), "the servers never started");
    harness.0.kill().expect("it runs");
    harness.0.wait().expect("it ended");
    expect_code(&folder, &["clean"], 0);
    assert!(wait_for(PATIENCE, || nodes_alive(&folder).is_empty()), "{:?} are left", nodes_alive(&folder));
}
