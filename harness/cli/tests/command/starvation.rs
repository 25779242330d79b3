//! A planted bug starves the clients of one node: the verdict names the client and the coordinator. Without the bug,
//! the verdict is valid.

use crate::common::{Folder, expect_code};
use serde_json::Value as Json;

/// Returns the `starvation` check of a run of the plan that exposes `no-ballot-bump`, slightly shortened.
fn starvation(mutant: &str, code: i32) -> Json {
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\nname = \"behind\"\n[cluster]\nclock_offset = \"n3:-60s\"\n[load]\nworkload = \"hot-key\"\nclients = 6\n\
                duration = \"9s\"\nwarmup = \"500ms\"\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"500ms\"\n";
    let path = folder.path().join("behind.toml");
    std::fs::write(&path, plan).expect("a plan is written");
    let path = path.to_string_lossy().into_owned();
    let mut args = vec!["run", path.as_str(), "--json", "--seed", "3"];
    if !mutant.is_empty() {
        args.extend(["--mutant", mutant]);
    }
    let out = expect_code(&folder, &args, code);
    let results: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let checks = results["checks"].as_array().expect("the checks");
    checks.iter().find(|check| check["name"] == "starvation").unwrap_or_else(|| panic!("no verdict: {results:#}")).clone()
}

#[test]
fn a_node_that_never_raises_its_ballots_is_named_with_the_clients_that_starve() {
    let check = starvation("no-ballot-bump", 2);
    assert_eq!(check["verdict"], "invalid", "{check:#}");
    let starved = check["figure"]["starved"].as_array().unwrap_or_else(|| panic!("no client is named: {check:#}"));
    assert!(!starved.is_empty(), "{check:#}");
    assert!(check["words"].as_str().is_some_and(|words| words.contains("(node n3)")), "{check:#}");
    for one in starved {
        assert_eq!(one["node"], "n3", "only clients of the node that is behind: {check:#}");
        assert!(one["client"].as_str().is_some_and(|c| c.starts_with('c')), "{check:#}");
    }
}

#[test]
fn a_node_that_is_as_far_behind_and_learns_it_starves_no_client() {
    let check = starvation("", 0);
    assert_eq!(check["verdict"], "valid", "{check:#}");
}
