//! Loads that change over time, and loads that are aborted.

use crate::common::*;
use heckle_history::ClientId;
use serde_json::Value as Json;

fn results(out: &std::process::Output) -> Json {
    serde_json::from_slice(&out.stdout).expect("--json prints JSON")
}

/// Runs the plan from the guide. On a busy machine, ops are sent late, but none are skipped.
#[test]
fn the_plan_with_stages_has_figures_of_each() {
    let folder = Folder::new();
    let results = results(&expect_code(&folder, &["run", "stages", "--seed", "7", "--quiet", "--json"], 0));
    assert_eq!(results["load"]["target_per_s"], 256.25, "the mean of 2,050 ops in 8 s");
    let stages = results["stages"].as_array().expect("a list");
    let figure = |name: &str| stages.iter().map(|s| s[name].as_f64().unwrap_or_else(|| panic!("{name} of {s:#}"))).collect::<Vec<_>>();
    assert_eq!((figure("from"), figure("to")), (vec![100.0, 100.0, 900.0, 100.0], vec![100.0, 400.0, 900.0, 100.0]));
    assert_eq!((figure("start_s"), figure("asked")), (vec![1.0, 3.0, 6.0, 7.0], vec![200.0, 750.0, 900.0, 200.0]));
    // Each op belongs to the stage in which it was due, no matter how late it was sent.
    let due: Vec<f64> = stages.iter().map(|s| s["due"].as_f64().expect("a count")).collect();
    assert!(due.iter().zip(figure("asked")).all(|(due, asked)| (due - asked).abs() <= 1.0), "{due:?}");
    assert_eq!(due.iter().sum::<f64>(), results["window"]["ops"]["invoked"].as_f64().expect("a count"));
    // The stored history has the same stages.
    expect_code(&folder, &["check", "latest"], 0);
    let shown = said(&expect_code(&folder, &["show", "latest"], 0));
    assert!(shown.contains("100 to 400/s") && shown.contains("900/s"), "{shown}");
    let report = std::fs::read_to_string(&find(&folder, "report.html")[0]).expect("written");
    assert!(report.contains("Load stages") && report.contains("href=\"#stages\"") && report.contains("100 to 400/s"));
    let plan = std::fs::read_to_string(&find(&folder, "plan.resolved.toml")[0]).expect("written");
    assert!(plan.contains("[[load.stage]]") && !plan.contains("duration"), "{plan}");
}

#[test]
fn stages_by_clients_are_a_closed_loop_of_as_many_clients() {
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\n[load]\nthink = \"5ms\"\nwarmup = \"500ms\"\n[[load.stage]]\nfor = \"1500ms\"\nclients = 2\n\
                [[load.stage]]\nfor = \"1500ms\"\nclients = 8\n[faults]\nkinds = []\nquiet_tail = \"500ms\"\n";
    std::fs::write(folder.path().join("clients.toml"), plan).expect("writable");
    let results = results(&expect_code(&folder, &["run", "clients.toml", "--seed", "7", "--quiet", "--json"], 0));
    assert_eq!((&results["load"]["max_rate"], &results["load"]["think_ms"]), (&true.into(), &5.0.into()));
    let begun = |i: usize| results["stages"][i]["begun_per_s"].as_f64().expect("a rate");
    // Clients with a think time of 5 ms send at most 200 ops per second each.
    assert!(begun(0) > 0.0 && begun(0) <= 400.0 && begun(1) <= 1_600.0, "{} and {}", begun(0), begun(1));
    // The six additional clients do not appear before their stage.
    let history = heckle::run::report::read_history(&find(&folder, "history.jsonl.zst")[0]).expect("readable");
    let first = |client: u32| {
        let sent = history.ops.iter().zip(&history.details).find(|(_, detail)| detail.client == Some(ClientId(client)));
        sent.map(|(op, _)| op.invoked.0 / 1_000_000).unwrap_or_else(|| panic!("client {client} sent nothing"))
    };
    let first: Vec<u64> = (0..8).map(first).collect();
    assert!(first[2..].iter().all(|ms| *ms >= 2_000) && first[..2].iter().all(|ms| *ms < 2_000), "{first:?}");
}

#[test]
fn an_aborted_load_is_a_missed_gate_and_its_tail_is_as_planned() {
    let folder = Folder::new();
    let args =
        ["run", "--duration", "60s", "--warmup", "500ms", "--quiet-tail", "500ms", "--faults", "none", "--seed", "7", "--quiet", "--json"];
    let args = [&args[..], &["--abort-on", "max_ms>0 for 1s"]].concat();
    let results = results(&expect_code(&folder, &args, 3));
    assert_eq!(results["verdict"], "gate_missed");
    let why = results["reasons"][0].as_str().expect("a reason");
    assert!(why.contains("by --abort-on 'max_ms>0 for 1s'") && why.contains("in the last second"), "{why}");
    assert_eq!((&results["load"]["aborted"], &results["load"]["achieved_ratio"]), (&why.into(), &Json::Null));
    let window = results["load"]["window_s"].as_f64().expect("seconds");
    assert!((1.0..30.0).contains(&window), "the window ends with the load: {window} s");
    // There were final reads, but no figure of the window includes them.
    let durability = results["checks"].as_array().expect("a list").iter().find(|c| c["name"] == "durability").expect("a check");
    assert_eq!(durability["verdict"], "valid", "{durability:#}");
    assert!(results["ops"]["invoked"].as_u64() > results["window"]["ops"]["invoked"].as_u64());
    let again = expect_code(&folder, &["check", "latest"], 3);
    assert!(said(&again).contains("by --abort-on"), "{}", said(&again));
    // A limit that is never exceeded ends nothing. On a busy machine, such a short run may be inconclusive for other
    // reasons.
    let calm = ["run", "--duration", "2s", "--warmup", "500ms", "--quiet-tail", "500ms", "--faults", "none", "--quiet", "--json"];
    let out = output(&folder, &[&calm[..], &["--abort-on", "max_ms>60000 for 1s"]].concat());
    let results: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((&results["load"]["aborted"], &results["load"]["window_s"]), (&Json::Null, &2.0.into()), "{}", said(&out));
    assert_ne!(out.status.code(), Some(3));
}

#[test]
fn contradictions_are_named_with_their_place() {
    let folder = Folder::new();
    let stages = "[[load.stage]]\nfor = \"1s\"\nrate = 5\n";
    std::fs::write(folder.path().join("p.toml"), format!("schema = \"heckle.plan/1\"\n[load]\nduration = \"9s\"\n{stages}"))
        .expect("writable");
    let out = said(&expect_code(&folder, &["run", "p.toml"], 64));
    assert!(out.contains("p.toml, line 3, column 12") && out.contains("leave out duration"), "{out}");
    let out = said(&expect_code(&folder, &["run", "stages", "--rate", "5"], 64));
    assert!(out.contains("leave out rate (--rate)"), "{out}");
    let out = said(&expect_code(&folder, &["run", "--abort-on", "p99_ms>5"], 64));
    assert!(out.contains("for how long"), "{out}");
}
