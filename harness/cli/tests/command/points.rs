//! Faults that begin when a node reaches a point of its protocol, on real processes.

use crate::common::*;
use crate::disks::{evidence, figure, run};

fn fault(point: &str, kind: &str, lasts: &str, more: &str) -> String {
    format!("[[fault]]\nat_point = \"{point}\"\ndo = \"{kind}\"\nfor = \"{lasts}\"\n{more}\n")
}

/// A cut, a kill and a pause of the node that is held, at points of the protocol and of the storage, and a kill of another node.
#[test]
fn faults_strike_the_node_that_is_held_at_a_point() {
    let folder = Folder::new();
    let faults = [
        fault("after-propose-first", "partition:isolate", "500ms", "target = \"sender\""),
        fault("before-reply", "kill", "300ms", "target = \"sender\"\nafter = \"1500ms\"\nhit = 3"),
        fault("before-sync", "pause", "300ms", "target = \"sender\"\nafter = \"2800ms\""),
        fault("after-learn-first", "kill", "300ms", "target = \"n2\"\nafter = \"4s\""),
    ];
    let results = run(&folder, &faults, &[], 0);
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let names: Vec<&str> = results["faults"].as_array().expect("a list").iter().filter_map(|f| f["kind"].as_str()).collect();
    assert_eq!(names, ["partition@after-propose-first", "kill@before-reply", "pause@before-sync", "kill@after-learn-first"]);
    let all = evidence(&folder);
    for (seen, result) in all.iter().zip(results["faults"].as_array().expect("a list")) {
        assert_eq!(figure(seen, "hits"), 1, "{seen}");
        assert!(figure(seen, "struck_us") <= figure(seen, "placed_us") && figure(seen, "placed_us") < 100_000, "{seen}");
        assert_eq!((&result["effective"], &result["healed"]), (&true.into(), &true.into()), "{result:#}");
    }
    for at in 0..3 {
        assert_eq!(results["faults"][at]["targets"][0], all[at]["reached_by"], "the sender was hit");
    }
    assert!(figure(&all[0], "blocked_frames") > 0 && figure(&all[0], "struck_us") >= 5_000, "what was sent arrives first: {}", all[0]);
    assert!(all[0]["reached_in"].as_str().expect("an operation").contains(" at "), "{}", all[0]);
    assert_eq!((figure(&all[1], "killed"), figure(&all[1], "restarted")), (1, 1), "{}", all[1]);
    assert!(figure(&all[2], "seen_stopped") == 1 && all[2].get("reached_in").is_none(), "{}", all[2]);
    assert_eq!(results["faults"][3]["targets"][0], "n2");
}

/// A short run writes no snapshot.
#[test]
fn a_fault_whose_point_is_never_reached_makes_a_run_inconclusive_and_is_named() {
    let folder = Folder::new();
    let results = run(&folder, &[fault("before-snapshot", "kill", "1s", "target = \"sender\"")], &[], 2);
    let missed = results["reasons"].to_string();
    assert!(missed.contains("fault 1 (kill@before-snapshot sender) left no evidence"), "{missed}");
    assert_eq!(results["faults"][0]["effective"], false);
    let all = evidence(&folder);
    assert_eq!(all[0]["not_reached"], "before-snapshot", "{all:#?}");
    assert!(all[0].get("hits").is_none(), "{all:#?}");
}

/// One line says what is wrong, and nothing is started.
#[test]
fn a_mistake_about_points_is_refused_before_the_run() {
    let folder = Folder::new();
    let plan = folder.path().join("plan.toml");
    for (fault, says) in [
        (fault("after-propose-frist", "kill", "1s", "target = \"sender\""), "did you mean `after-propose-first`"),
        (fault("before-reply", "kill", "1s", "at = \"2s\""), "both at and at_point"),
        (fault("before-reply", "kill", "1s", "hit = 0"), "counted from 1"),
        (format!("[cluster]\nsystem = \"etcd\"\n{}", fault("before-reply", "kill", "1s", "")), "etcd has no named points"),
    ] {
        std::fs::write(&plan, format!("schema = \"heckle.plan/1\"\n{fault}")).expect("a writable folder");
        let out = expect_code(&folder, &["run", plan.to_str().expect("text")], 64);
        assert!(said(&out).contains(says), "{}", said(&out));
    }
}
