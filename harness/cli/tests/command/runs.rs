//! Whole runs on real processes: healthy, interrupted and killed ones.

use crate::common::*;
use std::process::Stdio;
use std::time::Duration;

const SHORT: &[&str] = &["--duration", "4s", "--warmup", "500ms", "--quiet-tail", "500ms", "--quiet"];

fn run(extra: &[&str]) -> Vec<String> {
    ["run"].iter().chain(SHORT).chain(extra).map(|s| (*s).to_owned()).collect()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_healthy_run_under_faults_is_valid_and_leaves_everything_behind_but_processes() {
    let folder = Folder::new();
    let out = expect_code(&folder, &strs(&run(&["--faults", "kill,pause", "--seed", "7", "--json"])), 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((&results["verdict"], &results["exit_code"]), (&"valid".into(), &0.into()), "{results:#}");
    let faults = results["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().all(|f| f["effective"] == true && f["healed"] == true), "{faults:#?}");
    for file in [
        "results.json",
        "plan.resolved.toml",
        "env.json",
        "rerun.sh",
        "history.jsonl.zst",
        "schedule.jsonl",
        "report.html",
        "summary.md",
        "junit.xml",
        "latency.hlog",
        "timeseries.json",
        "plots/latency-raw.png",
        "plots/latency-quantiles.png",
        "plots/rate.png",
        "plots/outcomes.png",
        "nodes/n1/node.log",
        "nodes/n1/metrics.jsonl",
    ] {
        assert_eq!(find(&folder, file).len(), 1, "{file}");
    }
    assert!(find(&folder, "nodes/n1/data").is_empty(), "data is kept on failure only");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
    expect_code(&folder, &["check", "latest"], 0);
    expect_code(&folder, &["show", "latest"], 0);
    let list = expect_code(&folder, &["list", "--json"], 0);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&list.stdout).expect("JSON").as_array().expect("a list").len(), 1);
    let again = expect_code(&folder, &["rerun", "latest", "--json", "--quiet"], 0);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((&again["seed"], &again["plan"]["hash"]), (&results["seed"], &results["plan"]["hash"]));
}

#[test]
fn both_paths_on_the_same_keys_are_caught_and_the_mix_is_named_as_the_cause() {
    let folder = Folder::new();
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plans/mixed.toml");
    let out = expect_code(&folder, &["run", plan, "--duration", "4s", "--seed", "7", "--quiet", "--json"], 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((&results["verdict"], &results["plan"]["expect"]), (&"invalid".into(), &"invalid".into()), "{results:#}");
    let cause = results["linearizability"]["violations"][0]["cause"].as_str().expect("a cause");
    assert!(cause.contains("went through two paths") && cause.contains("(cas, read)") && cause.contains("(get, put)"), "{cause}");
    // Both paths in one run, which ends as planned.
    let ok = |kind: &str| results["latency_ms"][kind]["ok"].as_u64().unwrap_or_else(|| panic!("no {kind}: {results:#}"));
    assert_eq!((ok("cas") + ok("read"), ok("put") + ok("get")), (ok("paxos"), ok("cheap")));
    assert_eq!(ok("paxos") + ok("cheap"), ok("all"));
    assert!(ok("all") > 1_000, "it was not stopped at the first violation");
    let again = expect_code(&folder, &["check", "latest"], 0);
    assert!(said(&again).contains("verdict: invalid") && said(&again).contains("the plan expects a violation"), "{}", said(&again));
    let explained = expect_code(&folder, &["explain", "latest"], 0);
    assert!(said(&explained).replace('\n', " ").contains("Cause: ops of key"), "{}", said(&explained));
    let shown = expect_code(&folder, &["show", "latest"], 0);
    for part in ["paxos path", "cheap path", "cause: ops of key", "the plan expects a violation, and it was found"] {
        assert!(said(&shown).split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "no `{part}` in {}", said(&shown));
    }
    let report = std::fs::read_to_string(&find(&folder, "report.html")[0]).expect("written");
    assert!(report.contains("<b>Cause: </b>ops of key") && report.contains("cheap path, from when due"));
}

#[test]
fn one_path_alone_is_not_blamed_on_a_mix_and_an_expectation_that_is_not_met_fails() {
    let folder = Folder::new();
    // Paxos alone, under the same workload, is correct and judged valid.
    let alone = ["--workload", "mixed", "--mix", "cas=60,read=40", "--faults", "none", "--duration", "2s"];
    let out = expect_code(&folder, &strs(&run(&[&alone[..], &["--json"]].concat())), 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((&results["verdict"], &results["plan"]["expect"]), (&"valid".into(), &"valid".into()), "{results:#}");
    assert!(results["latency_ms"]["cheap"].is_null() && results["latency_ms"]["paxos"].is_null(), "there is nothing side by side");
    // A workload that has puts in its mix but sends none: the expected violation cannot occur, so the run does not
    // pass.
    let plan =
        "schema = \"heckle.plan/1\"\nname = \"idle\"\nexpect = \"invalid\"\n[load]\nworkload = \"mixed\"\nmix = \"cas=60,read=40\"\n";
    std::fs::write(folder.path().join("idle.toml"), plan).expect("a writable folder");
    let out = expect_code(&folder, &strs(&run(&["idle.toml", "--faults", "none", "--duration", "2s"])), 2);
    assert!(said(&out).contains("none was found"), "{}", said(&out));
    // The last-write-wins path alone: whatever the judge finds, the mix is not the cause.
    let past = ["--workload", "mixed", "--mix", "put=50,get=50", "--consistency", "one", "--faults", "none", "--duration", "2s", "--json"];
    let out = output(&folder, &strs(&run(&past)));
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert!([Some(0), Some(1)].contains(&out.status.code()), "{}", said(&out));
    assert!(!results.to_string().contains("two paths"), "{results:#}");
}

#[test]
fn a_harness_killed_in_the_middle_leaves_no_node_and_a_history_that_can_be_judged() {
    let folder = Folder::new();
    let args = run(&["--faults", "pause", "--fault-every", "1s", "--fault-for", "3s", "--duration", "20s"]);
    let mut harness = Running(heckle(&folder, &strs(&args)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"));
    let stopped = |pid: &u32| heckle::cluster::process::proc_state(*pid).is_some_and(|(s, _)| s == 'T');
    assert!(wait_for(Duration::from_secs(30), || nodes_alive(&folder).iter().any(stopped)), "a node gets paused");
    harness.0.kill().expect("alive until now");
    harness.0.wait().expect("reaped");
    assert!(wait_for(Duration::from_secs(2), || nodes_alive(&folder).is_empty()), "no node survives its harness, paused or not");
    let history = find(&folder, "history.jsonl.zst");
    // The events after the cut are unknown. The readable part has no violation, so the verdict is unknown.
    let out = expect_code(&folder, &["check", history[0].to_str().expect("UTF-8"), "--json"], 2);
    let checked: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(checked["linearizability"]["verdict"], "valid");
    assert!(checked["ops"]["invoked"].as_u64().expect("a count") > 100);
    assert_eq!((&checked["verdict"], &checked["end"]["whole"]), (&"unknown".into(), &false.into()));
    assert!(checked["reasons"][0].as_str().expect("a reason").contains("no end record"), "{checked:#}");
    assert!(!checked["warnings"].as_array().expect("a list").is_empty(), "the torn tail is named");
    expect_code(&folder, &["check", "cas-register"], 2);
    // The folder still says `running`, but readers detect that the process is gone.
    assert!(said(&expect_code(&folder, &["list"], 0)).contains("killed"));
    assert!(said(&expect_code(&folder, &["show", "--json", &run_of(&history[0])], 0)).contains("\"status\": \"killed\""));
    let gone = said(&expect_code(&folder, &["gc", "--keep", "0", "--keep-failed", "0", "--delete"], 0));
    assert!(gone.contains("1 of 1 runs") && !history[0].exists(), "{gone}");
    expect_code(&folder, &["clean"], 0);
}

fn run_of(history: &std::path::Path) -> String {
    history.parent().and_then(|run| run.file_name()).expect("a run folder").to_string_lossy().into_owned()
}

#[test]
fn an_interrupt_stops_heals_judges_and_reports() {
    let folder = Folder::new();
    let args = run(&["--faults", "pause", "--fault-every", "1s", "--fault-for", "3s", "--duration", "30s"]);
    let child = heckle(&folder, &strs(&args)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let stopped = |pid: &u32| heckle::cluster::process::proc_state(*pid).is_some_and(|(s, _)| s == 'T');
    assert!(wait_for(Duration::from_secs(30), || nodes_alive(&folder).iter().any(stopped)), "a node gets paused");
    // SAFETY: the child has not been reaped, so the pid is its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(said(&out).contains("interrupted"), "{}", said(&out));
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
    let results = std::fs::read_to_string(&find(&folder, "results.json")[0]).expect("written");
    assert!(results.contains("\"interrupted\""), "{results}");
    assert!(said(&expect_code(&folder, &["check", "latest"], 130)).contains("interrupted before its end"));
}

#[test]
fn the_closed_loop_and_a_missed_gate() {
    let folder = Folder::new();
    let args = run(&[
        "--rate",
        "max",
        "--clients",
        "8",
        "--faults",
        "none",
        "--gate",
        "p50_ms<0.0001",
        "--net",
        "direct",
        "--json",
        "--duration",
        "2s",
    ]);
    let out = expect_code(&folder, &strs(&args), 3);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(results["verdict"], "gate_missed");
    assert!(results["paxos"]["round_trips_per_op"].as_f64().expect("a figure") >= 1.0);
    assert!(results["paxos"]["fsyncs_per_op"].as_f64().expect("a figure") > 0.0);
}

/// A rate that no machine reaches: the run reports what limited it and which figures are affected, wherever its verdict
/// is shown. The ops that were sent are still judged.
#[test]
fn a_rate_beyond_the_machine_is_said_beside_the_verdict() {
    let folder = Folder::new();
    let args = ["--rate", "200000", "--clients", "8", "--faults", "none", "--duration", "1s", "--json", "--checker", "chain"];
    let out = output(&folder, &strs(&run(&args)));
    assert!([Some(0), Some(2)].contains(&out.status.code()), "{}", said(&out));
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let bottlenecks = results["bottlenecks"].as_array().expect("a list");
    let found = bottlenecks.iter().find(|b| b["what"] == "saturation").unwrap_or_else(|| panic!("no saturation: {results:#}"));
    assert!(!found["makes_worthless"].as_array().expect("a list").is_empty() && found["change"].as_str().is_some_and(|c| !c.is_empty()));
    assert_eq!(results["linearizability"]["verdict"], "valid", "late and missing ops do not touch the verdict");
    let (load, ops) = (&results["load"], &results["ops"]);
    let number = |v: &serde_json::Value| v.as_u64().unwrap_or_else(|| panic!("no number: {results:#}"));
    assert!(number(&load["unsent"]) > number(&ops["invoked"]), "{load:#}");
    assert_eq!(number(&ops["invoked"]), number(&ops["ok"]) + number(&ops["failed"]) + number(&ops["unknown"]));
    let strain = &results["strain"];
    assert!(strain["window_s"].as_f64().is_some_and(|s| s < 1.5), "sampled in the load window only: {strain:#}");
    assert!(strain["load_thread_ratio"].is_number() && strain["relay_thread_ratio"].is_number(), "{strain:#}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(&said(&expect_code(&folder, &["show", "latest"], 0)));
    let read = |file: &str| std::fs::read_to_string(&find(&folder, file)[0]).expect("written");
    for text in [shown, words(&read("summary.md")), words(&read("report.html")), words(&read("junit.xml"))] {
        assert!(text.contains("were never sent") && text.contains("--max-in-flight"), "{text:.3000}");
    }
}

/// Requests that waited at stopped nodes are executed after their fate was reported. With the fence, they are refused.
/// Without it, they are applied, and the report describes the contradiction.
#[test]
fn a_fate_without_its_fence_is_contradicted() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["run", "--mutant", "fate-without-fence", "--seed", "3", "--json", "--quiet"], 1);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let lin = &results["linearizability"];
    let kinds: Vec<_> = lin["violations"].as_array().expect("a list").iter().map(|v| &v["kind"]).collect();
    assert!(kinds.iter().any(|k| **k == "fate_contradicted"), "{kinds:?}");
    assert_eq!(lin["verdict_without_fates"], "valid", "the answers about fates are all that is wrong");
    assert!(results["fates"]["not_applied"].as_u64().expect("a count") > 0);

    // The same plan without the bug: fates are queried during and after faults, and nothing contradicts the reported
    // fates.
    let plan = ["--mix", "cas=20,read=40,write=40", "--rate", "300", "--op-timeout", "300ms", "--faults", "pause", "--fault-every", "2s"];
    let short = ["run", "--duration", "5s", "--warmup", "500ms", "--fault-for", "1s", "--quiet-tail", "1s", "--json", "--quiet"];
    let out = expect_code(&folder, &[&short[..], &plan[..]].concat(), 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let fates = &results["fates"];
    assert!(fates["not_applied"].as_u64().expect("a count") > 5, "{fates}");
    let rules = results["coverage"]["rules"].as_array().expect("a list");
    let asked = rules.iter().find(|r| r["id"] == "fates_asked").expect("it is always counted");
    assert!(asked["got"].as_u64().expect("a count") > 5, "{asked}");
}
