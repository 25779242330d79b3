//! Measurements that gate: each is shown to miss its gate where it should, and refuses what makes no sense.

use crate::common::*;
use serde_json::Value as Json;

/// Memory grows while new keys come, whatever is pruned: a gate that passed this would pass everything.
#[test]
fn memory_that_grows_misses_the_gate() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["bench", "memory", "--keys", "1000000", "--load-for", "15s", "--json"], 3);
    assert!(said(&out).contains("memory is not seen to be flat"), "{}", said(&out));
    let told: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert!(told["ops"].as_u64().expect("a count") > 1_000, "{}", told["ops"]);
    let nodes = told["nodes"].as_array().expect("a list");
    assert!(nodes.len() == 3 && nodes.iter().any(|n| n["flat"] == false), "{told}");
    for node in nodes {
        let looks = node["samples"].as_array().expect("a list");
        let figure = |i: usize, name: &str| looks[i][name].as_f64().expect("a figure");
        let last = looks.len() - 1;
        assert!(figure(last, "state_bytes") > figure(0, "state_bytes") + 50e3, "every new key adds to what a node counts: {node}");
        assert!(figure(last, "rss_bytes") > figure(last, "state_bytes") && figure(last, "disk_bytes") > 0.0, "{node}");
    }
    assert!(find(&folder, "history.jsonl.zst").is_empty(), "what the cluster kept goes with it");
}

#[test]
fn a_load_too_short_to_tell_is_refused() {
    let folder = Folder::new();
    for args in [["bench", "memory", "--load-for", "1s"], ["bench", "memory", "--keys", "0"]] {
        let out = expect_code(&folder, &args, 64);
        assert!(said(&out).contains("--load-for 10m"), "{}", said(&out));
    }
}

#[test]
fn the_engines_agree_on_random_histories() {
    let folder = Folder::new();
    let soak = ["bench", "check", "--differential", "--seed", "3", "--cases", "300", "--for", "5m"];
    let out = expect_code(&folder, &[&soak[..], &["--json"]].concat(), 0);
    let found: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((&found["cases"], &found["seed"], found["mismatches"].as_array().map(Vec::len)), (&300.into(), &3.into(), Some(0)));
    assert!(said(&expect_code(&folder, &soak, 0)).contains("0 mismatches"));
    expect_code(&folder, &["bench", "check", "--differential", "--cases", "0"], 2);
    expect_code(&folder, &["bench", "check", "--seed", "3"], 64);
}

#[test]
fn sets_and_lists_are_measured() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["bench", "objects", "--max-ops", "10000", "--json"], 0);
    let rows: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    for (row, model) in rows.as_array().expect("rows").iter().zip(["list-append", "set"]) {
        assert_eq!((&row["model"], &row["ops"]), (&model.into(), &10_000.into()), "{row}");
        assert!(row["judge_ms"].as_f64() > Some(0.0) && row["read_ms"].as_f64() > Some(0.0), "{row}");
    }
    let table = said(&expect_code(&folder, &["bench", "objects", "--max-ops", "10000"], 0));
    assert!(table.contains("judge ms") && table.contains("list-append"), "{table}");
}

#[test]
fn hostile_clients_leave_nodes_alive_and_small() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["bench", "hostile", "--short", "--json"], 0);
    let report: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let most = report["max_node_bytes"].as_u64().expect("a limit");
    let items = report["items"].as_array().expect("a list");
    assert!(items.len() >= 11, "{report}");
    for item in items {
        assert_eq!((&item["alive"], &item["reads_wrong"], &item["reads_unanswered"]), (&3.into(), &0.into(), &0.into()), "{item}");
        let (peak, right) = (item["peak_bytes"].as_u64().expect("bytes"), item["reads_right"].as_u64().expect("a count"));
        assert!((1_000_000..=most).contains(&peak) && right >= 6, "{item}");
        assert!(said(&out).contains(item["item"].as_str().expect("a name")), "progress is printed: {}", said(&out));
    }
    assert!(find(&folder, "identity.json").is_empty(), "the nodes' data goes with them");
}
