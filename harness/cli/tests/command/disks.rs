//! Disk faults on real processes: lost data is counted, a fault without effect does not count, and a planted bug that
//! only a power loss reveals is found.

use crate::common::*;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Coverage during the faults is not tested here, because a busy machine may be slow.
const HEAD: &str = "schema = \"heckle.plan/1\"\nseed = \"7\"\n[load]\nduration = \"6s\"\nwarmup = \"500ms\"\n\
    [coverage]\nok_cas_during_fault = 0\nok_after_heal = 0\n[faults]\nquiet_tail = \"500ms\"\n";

fn fault(at: &str, kind: &str, lasts: &str, target: &str) -> String {
    format!("[[fault]]\nat = \"{at}\"\ndo = \"{kind}\"\nfor = \"{lasts}\"\n{target}\n")
}

/// Runs the listed faults on 3 nodes, and returns the results.
pub(crate) fn run(folder: &Folder, faults: &[String], flags: &[&str], code: i32) -> Value {
    let plan = folder.path().join("plan.toml");
    std::fs::write(&plan, format!("{HEAD}{}", faults.concat())).expect("a writable folder");
    let args: Vec<&str> = ["run", plan.to_str().expect("text"), "--quiet", "--json"].into_iter().chain(flags.iter().copied()).collect();
    let out = expect_code(folder, &args, code);
    serde_json::from_slice(&out.stdout).expect("--json prints JSON")
}

/// Returns the lines of the only history.
fn events(folder: &Folder) -> Vec<Value> {
    let file = find(folder, "history.jsonl.zst").remove(0);
    let text = zstd::decode_all(std::fs::File::open(file).expect("a history")).expect("zstd");
    String::from_utf8(text).expect("text").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The evidence of the faults in the only history, in order, with begin and end merged.
pub(crate) fn evidence(folder: &Folder) -> Vec<Value> {
    let mut all: std::collections::BTreeMap<u64, Value> = std::collections::BTreeMap::new();
    for event in events(folder) {
        if event["e"] == "fault" && event["state"] != "healed" {
            let known = all.entry(event["id"].as_u64().expect("a number")).or_insert_with(|| Value::Object(Default::default()));
            known.as_object_mut().expect("an object").extend(event["evidence"].as_object().cloned().unwrap_or_default());
        }
    }
    all.into_values().collect()
}

pub(crate) fn figure(evidence: &Value, name: &str) -> u64 {
    evidence[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {evidence}"))
}

#[test]
fn power_losses_and_failing_disks_take_effect_and_lose_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let faults = [
        fault("300ms", "slow-disk", "1s", "target = [\"n1\", \"n2\", \"n3\"]"),
        fault("800ms", "power-loss:all", "200ms", ""),
        fault("2s", "power-loss", "300ms", "target = [\"n2\"]"),
        fault("3s", "io-error", "500ms", "target = [\"n1\"]"),
        fault("4s", "disk-full", "500ms", "target = [\"n3\"]"),
        fault("5s", "crash-at:mid-write", "500ms", "target = [\"n2\"]"),
    ];
    let results = run(&folder, &faults, &[], 0);
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let all = evidence(&folder);
    assert!(figure(&all[0], "delayed_syncs") >= 3 && figure(&all[0], "measured_delay_us") >= figure(&all[0], "asked_delay_us"), "{all:#?}");
    assert_eq!((figure(&all[1], "power_lost"), figure(&all[1], "restarted")), (3, 3));
    assert!(figure(&all[1], "unsynced") > 0, "disks were slow: {}", all[1]);
    assert_eq!((figure(&all[2], "power_lost"), figure(&all[2], "restarted")), (1, 1));
    for at in [3, 4] {
        assert_eq!((figure(&all[at], "disk_failed"), figure(&all[at], "restarted")), (1, 1), "{}", all[at]);
    }
    assert_eq!((figure(&all[5], "ended_at_point"), figure(&all[5], "restarted")), (1, 1), "{}", all[5]);
}

/// Here a sync takes longer than the fault. The fault still lasts as long as requested, and the other nodes make progress in the
/// meantime.
#[test]
fn a_stalled_disk_lasts_as_long_as_it_was_asked_to() {
    let folder = Folder::new();
    let results = run(&folder, &[fault("1s", "stalled-disk", "900ms", "target = [\"n2\"]")], &[], 0);
    let stall = &results["faults"][0];
    let lasted = stall["end_s"].as_f64().expect("a number") - stall["start_s"].as_f64().expect("a number");
    assert!(stall["effective"] == true && lasted >= 0.5, "{stall:#}");
    assert!(figure(&stall["evidence"], "delayed_syncs") >= 1 && figure(&stall["evidence"], "measured_delay_us") > 300_000, "{stall:#}");
    let events = events(&folder);
    let line_of = |state: &str| events.iter().position(|event| event["e"] == "fault" && event["state"] == state).expect("one fault");
    let during = &events[line_of("began")..line_of("ended")];
    assert!(during.iter().any(|event| event["e"] == "ok" && event["applied"] == true), "no update in {} events", during.len());
}

/// Many kinds in one run. Kinds that do not fit are left out and named.
#[test]
fn all_faults_draws_many_kinds_and_names_what_does_not_fit() {
    let folder = Folder::new();
    let args = ["run", "--faults", "all", "--fault-every", "300ms", "--fault-for", "100ms", "--duration", "4s", "--warmup", "500ms"];
    let tail = ["--quiet-tail", "2s", "--json", "--seed", "4"];
    let out = output(&folder, &[&args[..], &tail].concat());
    assert!(matches!(out.status.code(), Some(0 | 2)), "short faults may show nothing, but break nothing: {}", said(&out));
    let results: Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let kinds: std::collections::BTreeSet<&str> =
        results["faults"].as_array().expect("a list").iter().filter_map(|f| f["kind"].as_str()).collect();
    assert!(kinds.len() >= 8, "{kinds:?}");
    let warnings = results["warnings"].to_string();
    assert!(warnings.contains("faults left out: partition:ring (needs 4 nodes or more"), "{warnings}");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

/// Creates a node program without the flag that keeps un-synced data separately.
fn without_overlay(folder: &Folder) -> PathBuf {
    let script = folder.path().join("node.sh");
    let text = format!(
        "#!/bin/sh\nfor arg; do shift; [ \"$arg\" = --overlay ] || set -- \"$@\" \"$arg\"; done\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_heckle")
    );
    std::fs::write(&script, text).expect("a writable folder");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    script
}

/// Without the overlay, a power loss is only a kill and must not count as a power loss.
#[test]
fn a_power_loss_that_can_lose_nothing_makes_a_run_inconclusive() {
    let folder = Folder::new();
    let script = without_overlay(&folder);
    let faults = [fault("1s", "power-loss", "300ms", "target = [\"n2\"]")];
    let results = run(&folder, &faults, &["--bin", script.to_str().expect("text")], 2);
    assert_eq!((&results["faults"][0]["effective"], &results["faults"][0]["healed"]), (&false.into(), &true.into()), "{results:#}");
    let all = evidence(&folder);
    assert!(all[0]["nothing_kept_apart_n2"] == "n2" && all[0].get("power_lost").is_none(), "{all:#?}");
    let missed = results["reasons"].to_string();
    assert!(missed.contains("fault 1 (power-loss n2) left no evidence") && missed.contains("unsynced:power-loss"), "{missed}");
}

/// A short run writes no snapshot.
#[test]
fn a_point_that_is_never_reached_makes_a_run_inconclusive_and_is_named() {
    let folder = Folder::new();
    let results = run(&folder, &[fault("1s", "crash-at:before-snapshot", "1s", "target = [\"n2\"]")], &[], 2);
    let missed = results["reasons"].to_string();
    assert!(missed.contains("crash-at:before-snapshot"), "{missed}");
    let all = evidence(&folder);
    assert_eq!(all[0]["not_ended_n2"], "before-snapshot was not reached", "{all:#?}");
    assert_eq!(results["faults"][0]["effective"], false);
}

#[test]
fn a_point_that_does_not_exist_is_refused_with_the_nearest_one() {
    let folder = Folder::new();
    for (kind, says) in [
        ("crash-at:before-snyc", "did you mean `before-sync`"),
        ("crash-at:after-recovery-read", "only while a node starts"),
        ("power-los", "did you mean `power-loss`"),
    ] {
        let out = expect_code(&folder, &["run", "--faults", kind], 64);
        assert!(said(&out).contains(says), "{}", said(&out));
    }
    let out = expect_code(&folder, &["run", "--system", "etcd", "--faults", "power-loss"], 64);
    assert!(said(&out).contains("cannot be kept apart"), "{}", said(&out));
    let listed = said(&expect_code(&folder, &["doctor", "--points"], 0));
    assert!(listed.contains("before-sync") && listed.contains("before-reply"), "{listed}");
}

/// The planted bug replies before the sync, which no kill reveals.
#[test]
fn an_accept_that_is_not_synced_is_found_by_a_power_loss() {
    let folder = Folder::new();
    expect_code(&folder, &["run", "mutants/accept-not-synced", "--quiet"], 1);
}

#[test]
fn nodes_that_lost_their_disks_refuse_to_serve_and_that_is_no_crash() {
    let folder = Folder::new();
    let faults = [
        fault("500ms", "old-disk", "1500ms", "target = [\"n1\"]"),
        fault("2500ms", "wiped-disk", "500ms", "target = [\"n2\", \"n3\"]"),
        fault("4s", "wiped-disk:log", "500ms", "target = [\"n1\", \"n2\"]"),
    ];
    let results = run(&folder, &faults, &[], 0);
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let all = evidence(&folder);
    for (seen, nodes) in all.iter().zip([1, 2, 2]) {
        assert_eq!((figure(seen, "refused"), figure(seen, "restarted")), (nodes, nodes), "{seen}");
    }
}

/// A node that reaches nobody finds no proof of its loss, so it neither refuses nor votes. It gets its data back without having had an
/// effect, and is not taken for one that crashed or served.
#[test]
fn a_node_cut_off_while_its_disk_is_wiped_gets_its_data_back() {
    let folder = Folder::new();
    let faults = [fault("500ms", "partition:isolate", "11s", "target = [\"n2\"]"), fault("1s", "wiped-disk", "1s", "target = [\"n2\"]")];
    let results = run(&folder, &faults, &["--duration", "14s"], 2);
    let wiped = &results["faults"][1];
    assert_eq!((&wiped["kind"], &wiped["effective"]), (&"wiped-disk".into(), &false.into()), "{results:#}");
    let all = evidence(&folder);
    assert!(all[1]["not_refused_n2"] == "n2" && all[1].get("served").is_none() && figure(&all[1], "restarted") == 1, "{all:#?}");
}

#[test]
fn a_node_that_votes_after_its_disk_was_lost_is_found() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["run", "mutants/accepts-own-amnesia", "--quiet", "--json"], 1);
    let results: Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!(results["verdict"], "invalid", "{results:#}");
}

#[test]
fn a_fault_that_leaves_no_witness_is_refused() {
    let folder = Folder::new();
    let plan = folder.path().join("plan.toml");
    let text = format!("{HEAD}{}", fault("1s", "wiped-disk", "300ms", "target = [\"n1\", \"n2\", \"n3\"]"));
    std::fs::write(&plan, text).expect("a writable folder");
    let out = expect_code(&folder, &["run", plan.to_str().expect("text")], 64);
    let says = String::from_utf8_lossy(&out.stderr);
    assert!(says.contains("leaves none that could notice it"), "{says}");
}
