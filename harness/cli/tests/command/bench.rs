//! Benchmarks with gates: each misses its gate when it should, and rejects invalid parameters.

use crate::common::*;
use serde_json::Value as Json;
use std::process::Stdio;
use std::time::Duration;

/// Memory grows while new keys are written, whatever is pruned. If the gate passed here, it would always pass.
#[test]
fn memory_that_grows_misses_the_gate() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["bench", "memory", "--keys", "1000000", "--load-for", "15s", "--json"], 3);
    assert!(said(&out).contains("memory is not seen to be flat"), "{}", said(&out));
    let report: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert!(report["ops"].as_u64().expect("a count") > 1_000, "{}", report["ops"]);
    let nodes = report["nodes"].as_array().expect("a list");
    assert!(nodes.len() == 3 && nodes.iter().any(|n| n["flat"] == false), "{report}");
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
fn a_load_too_short_to_measure_is_refused() {
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

/// A machine that is busy with other tests may send ops late, so both exit codes of a finished measurement are correct.
#[test]
fn the_load_generator_is_measured_against_a_null_system() {
    let folder = Folder::new();
    let out = output(&folder, &["bench", "load", "--rate", "500", "--load-for", "1s", "--json"]);
    let report: Json = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)));
    let holds = report["highest_per_s"].as_f64() == Some(500.0);
    assert_eq!(out.status.code(), Some(if holds { 0 } else { 3 }), "{}", said(&out));
    let step = &report["steps"][0];
    assert_eq!((&step["not_ok"], &step["unsent"], report["steps"].as_array().map(Vec::len)), (&0.into(), &0.into(), Some(1)), "{report}");
    assert!(step["issued_per_s"].as_f64().is_some_and(|rate| rate > 100.0) && step["late_p50_ms"].as_f64() > Some(0.0), "{step}");
    assert!(step["client_us_per_op"].as_f64() > Some(0.0), "{step}");
    assert_eq!(leftovers(&folder), Vec::<String>::new(), "temporary histories go");
    let text = output(&folder, &["bench", "load", "--rate", "500", "--load-for", "200ms"]);
    assert!(said(&text).contains("late p99 ms") && said(&text).contains("another process"), "{}", said(&text));
    expect_code(&folder, &["bench", "load", "--rate", "0"], 64);
    expect_code(&folder, &["bench", "load", "--clients", "0"], 64);
}

#[test]
fn a_null_system_that_dies_ends_the_measurement_with_one_error() {
    let folder = Folder::new();
    let mut command = heckle(&folder, &["bench", "load", "--rate", "200", "--load-for", "5m"]);
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts"));
    let parent = running.0.id();
    let mut found = None;
    assert!(
        wait_for(Duration::from_secs(60), || {
            found = null_node_of(parent);
            found.is_some()
        }),
        "no null system was started"
    );
    // Kill the null system in the middle of its load, not before it listens.
    let runs = folder.path().join("results/runs");
    let began = || leftovers(&folder).iter().any(|name| runs.join(name).join("history.jsonl.zst").exists());
    assert!(wait_for(Duration::from_secs(60), began), "the load did not begin");
    // SAFETY: sends a signal to the one process that was found.
    unsafe { libc::kill(found.expect("found") as i32, libc::SIGKILL) };
    let status = running.0.wait().expect("it ends");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut running.0.stderr.take().expect("piped"), &mut text).expect("text");
    assert_eq!(status.code(), Some(4), "{text}");
    assert_eq!(text.matches("the null system ended before its load did").count(), 1, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(leftovers(&folder), Vec::<String>::new(), "temporary histories go");
}

/// Returns the pid of the null system started by a process.
fn null_node_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut processes = processes.filter(|pid| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).to_owned();
        fields.split_whitespace().nth(1) == Some(&parent.to_string()) && String::from_utf8_lossy(&read("cmdline")).contains("null-node")
    });
    processes.next()
}

/// Returns the names of all entries that remain in the folder of all runs.
fn leftovers(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("results/runs")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_page_is_measured() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["bench", "report", "--max-ops", "10000", "--json"], 0);
    let rows: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let row = &rows[0];
    assert_eq!(row["ops"], 10_000, "{row}");
    assert!(row["page_bytes"].as_u64() > Some(100_000) && row["draw_ms"].as_f64() > Some(0.0), "{row}");
    assert_eq!(leftovers(&folder), Vec::<String>::new());
}

#[test]
fn a_check_of_a_file_is_measured() {
    let folder = Folder::new();
    let text = said(&expect_code(&folder, &["bench", "check", "--max-ops", "10000", "--search-for", "1s"], 0));
    let table = text.split_once("of a compressed file, 4 keys").expect("the table").1;
    let row = table.lines().find(|line| line.trim_start().starts_with("10000 ")).expect("its row");
    let figures: Vec<f64> = row.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    assert!(figures.len() == 5 && figures.iter().all(|figure| *figure > 0.0), "{row}");
    assert_eq!(leftovers(&folder), Vec::<String>::new());
}
