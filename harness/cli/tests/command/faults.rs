//! Faults on real processes: each kind does what it claims, with evidence.

use crate::common::*;
use serde_json::Value;

/// Runs a plan with the listed faults on 3 nodes and returns its results.
fn run(folder: &Folder, faults: &str, code: i32) -> Value {
    let plan = folder.path().join("plan.toml");
    let head =
        "schema = \"heckle.plan/1\"\nseed = \"7\"\n[load]\nduration = \"6s\"\nwarmup = \"500ms\"\n[faults]\nquiet_tail = \"500ms\"\n";
    std::fs::write(&plan, format!("{head}{faults}")).expect("a writable folder");
    let out = expect_code(folder, &["run", plan.to_str().expect("text"), "--quiet", "--json"], code);
    serde_json::from_slice(&out.stdout).expect("--json prints JSON")
}

/// Returns the matching events in the only history.
fn events(folder: &Folder, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    let file = find(folder, "history.jsonl.zst").remove(0);
    let text = zstd::decode_all(std::fs::File::open(file).expect("a history")).expect("zstd");
    let lines = String::from_utf8(text).expect("text").lines().map(|l| serde_json::from_str(l).expect("JSON")).collect::<Vec<Value>>();
    lines.into_iter().filter(is).collect()
}

#[test]
fn listed_faults_hit_their_targets() {
    let folder = Folder::new();
    let one =
        |name: &str, at: &str, kind: &str, target: &str| format!("[[{name}]]\nat = \"{at}\"\ndo = \"{kind}\"\nfor = \"1s\"\n{target}\n");
    let faults = [
        one("fault", "0s", "pause", "target = [\"n2\"]"),
        one("fault", "1500ms", "partition", "target = [\"n3\", \"n1|n2\"]"),
        one("fault", "3s", "clock-jump", "target = [\"n1\", \"n3\"]"),
        one("fault", "4500ms", "kill:coordinator", ""),
    ];
    let results = run(&folder, &faults.concat(), 0);
    let listed = results["faults"].as_array().expect("a list");
    assert!(listed.iter().all(|f| f["effective"] == true && f["healed"] == true), "{listed:#?}");
    let targets: Vec<String> = listed.iter().map(|f| format!("{} {}", f["kind"], f["targets"])).collect();
    assert_eq!(targets[..3], ["\"pause\" [\"n2\"]", "\"partition\" [\"n3\",\"n1|n2\"]", "\"clock-jump\" [\"n1\",\"n3\"]"]);
    assert!(targets[3].starts_with("\"kill:coordinator\" [\"n"), "{targets:?}");
}

/// A node that exits with 0 after our SIGTERM has not crashed, and a rolling restart continues with the next node only
/// once the previous one is up again.
#[test]
fn nodes_that_are_terminated_end_by_themselves_and_come_back_one_at_a_time() {
    let folder = Folder::new();
    let faults = "[[fault]]\nat = \"500ms\"\ndo = \"terminate\"\nfor = \"800ms\"\ntarget = [\"n2\"]\n\
        [[fault]]\nat = \"2s\"\ndo = \"rolling-restart\"\nfor = \"3s\"\n";
    let results = run(&folder, faults, 0);
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let listed = results["faults"].as_array().expect("a list");
    assert!(listed.len() == 2 && listed.iter().all(|f| f["effective"] == true && f["healed"] == true), "{listed:#?}");
    let (mut down, mut ends) = (vec![], 0);
    for event in events(&folder, |e| e["e"] == "node" && (e["what"] == "exit" || e["what"] == "start")) {
        if event["what"] == "start" {
            down.retain(|node| *node != event["node"]);
        } else if event["detail"]["by"] == "terminate" {
            assert_eq!((&event["detail"]["code"], &event["detail"]["expected"]), (&0.into(), &true.into()), "{event}");
            down.push(event["node"].clone());
            ends += 1;
        }
        assert!(down.len() <= 1, "down at once: {down:?}");
    }
    assert_eq!((ends, down.len()), (4, 0), "n2, then every node");
}

/// A client link is a TCP connection, whose frames cannot overtake each other, so such a fault tests nothing.
#[test]
fn a_fault_without_evidence_makes_a_run_inconclusive() {
    let folder = Folder::new();
    let results = run(&folder, "[[fault]]\nat = \"1s\"\ndo = \"reorder\"\nfor = \"1s\"\ntarget = [\"clients>n1\"]\n", 2);
    assert_eq!(results["faults"][0]["effective"], false, "{results:#}");
    let ended = events(&folder, |e| e["e"] == "fault" && e["state"] == "ended");
    assert_eq!(ended.len(), 1, "{ended:#?}");
}
