//! `docs/tasks.md` gives one command per task. Each command is taken from that page and run on real runs, and its
//! output is compared with an answer computed independently.

use crate::common::*;
use heckle_history::operation::{History, Keep};
use heckle_history::{Nanos, Outcome};
use std::process::Output;

const PAGE: &str = include_str!("../../../../docs/tasks.md");

/// Returns the arguments of the command below this heading, split as by a shell.
fn command(task: &str) -> Vec<String> {
    let (_, rest) = PAGE.split_once(&format!("## {task}\n")).unwrap_or_else(|| panic!("docs/tasks.md has no task `{task}`"));
    let (_, rest) = rest.split_once("```sh\nheckle ").expect("a command");
    let line = rest.lines().next().expect("not empty");
    line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[track_caller]
fn answer(folder: &Folder, task: &str, more: &[&str], code: i32) -> String {
    let args = command(task);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let out: Output = expect_code(folder, &args, code);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn history(folder: &Folder) -> History {
    let file = std::fs::File::open(folder.path().join("results/runs/latest/history.jsonl.zst")).expect("recorded");
    History::read(file, Keep::Details).expect("well-formed")
}

#[test]
fn tasks_are_answered_by_their_commands() {
    let f = Folder::new();
    let args = ["run", "--duration", "6s", "--warmup", "500ms", "--quiet-tail", "1s", "--rate", "150", "--seed", "7", "--faults"];
    let out = output(&f, &[&args[..], &["partition:isolate", "--fault-for", "2s", "--quiet"]].concat());
    assert!(matches!(out.status.code(), Some(0 | 2)), "{}", said(&out));
    let again = answer(&f, "A stored run, judged again", &[], out.status.code().expect("not killed"));
    assert!(again.contains("verdict: "), "{again}");
    let history = history(&f);
    let (start, end) = history.header.load_window.expect("known");
    let under_load = || history.ops.iter().filter(|op| (start..end).contains(&op.intended.0));

    let slowest = answer(&f, "The slowest op, and why", &[], 0);
    let took = |op: &heckle_history::Operation| op.completed.min(history.end).since(op.intended);
    let most = under_load().map(took).max().expect("ops");
    let named: u64 = slowest.strip_prefix("op ").and_then(|s| s.split(':').next()).expect("an op first").parse().expect("a number");
    let op = history.ops.iter().find(|op| op.op.0 == named).expect("of this run");
    assert_eq!(took(op), most, "{slowest}");
    assert!(slowest.lines().nth(1).is_some_and(|l| l.starts_with("  - ")), "a reason follows: {slowest}");

    let during = answer(&f, "What a partition did to timeouts", &[], 0);
    let mut events = history.faults.iter().filter(|e| &*e.kind == "partition" || e.kind.starts_with("partition"));
    let (began, lifted) = (events.next().expect("began").t, events.next().expect("ended").t);
    let met = |op: &&heckle_history::Operation| op.intended <= lifted && op.completed >= began;
    let unknown = |op: &heckle_history::Operation| matches!(op.outcome, Outcome::Unknown | Outcome::Open);
    let want = under_load().filter(met).filter(|op| unknown(op)).count();
    assert_eq!(sum_of_column(&during, "partition", "unknown"), want, "{during}");

    let clients = answer(&f, "Who starved", &[], 0);
    let first = clients.lines().nth(1).expect("a client").split_whitespace().next().expect("its name").to_owned();
    let waits = |client: u32| -> Nanos {
        let mut done: Vec<Nanos> = (history.ops.iter().zip(&history.details))
            .filter(|(op, d)| d.client.map(|c| c.0) == Some(client) && (start..end).contains(&op.intended.0))
            .filter(|(op, _)| matches!(op.outcome, Outcome::Ok(s) if !matches!(s, heckle_history::Seen::ConditionNotMet(_))))
            .map(|(op, _)| op.completed)
            .collect();
        done.push(Nanos(end));
        done.sort_unstable();
        done.windows(2).map(|w| w[1].since(w[0])).max().unwrap_or_default()
    };
    let longest = (0..64).map(waits).max().expect("some");
    let named: u32 = first.trim_start_matches('c').parse().expect("c3 or the like");
    // The wait until a client's first success also counts, and only the command can compute it. No other wait may be
    // much longer.
    assert!(waits(named).0 + 500_000_000 >= longest.0, "{first} waited {}, another {longest}\n{clients}", waits(named));
}

/// Returns the sum of a column over the rows of a fault: its own row and the following rows that name no other fault.
fn sum_of_column(table: &str, fault: &str, column: &str) -> usize {
    let heading = table.lines().next().expect("a heading");
    let right = heading.find(column).expect("the column") + column.len();
    let rows = table.lines().skip_while(|l| !l.contains(fault));
    let rows = rows.enumerate().take_while(|(i, l)| *i == 0 || l.starts_with(' '));
    rows.map(|(_, l)| l[..right].split_whitespace().next_back().expect("a number").replace(',', "").parse::<usize>().expect("a number"))
        .sum()
}

#[test]
fn a_gate_on_p99_fails_the_build() {
    let f = Folder::new();
    // There is only one key, so ops overlap. With too little contention a run is inconclusive, which takes precedence
    // over a gate.
    let limits =
        ["--faults", "none", "--duration", "3s", "--warmup", "500ms", "--quiet-tail", "500ms", "--quiet", "--rate", "400", "--keys", "1"];
    let args = command("CI gated on p99");
    assert_eq!(args.last().map(String::as_str), Some("p99_ms<50"));
    // A busy machine may or may not meet the limit on the page, but a limit that no machine meets must be missed.
    let args: Vec<String> = args.iter().map(|a| a.replace("<50", "<0.0001")).collect();
    let out = output(&f, &args.iter().map(String::as_str).chain(limits).collect::<Vec<_>>());
    let text = said(&out);
    // On a machine too busy to send ops in time, the gate does not count, but the run must not pass either.
    let late = text.contains("void");
    assert_eq!(out.status.code(), Some(if late { 2 } else { 3 }), "{text}");
    assert!(text.contains("p99_ms<0.0001"), "{text}");
}

#[cfg(feature = "mutants")]
#[test]
fn a_counterexample_is_read() {
    let f = Folder::new();
    expect_code(&f, &["run", "--mutant", "quorum-too-small", "--quiet"], 1);
    let text = answer(&f, "A counterexample, read", &[], 0);
    let results = std::fs::read_to_string(f.path().join("results/runs/latest-failed/results.json")).expect("written");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    let violation = &results["linearizability"]["violations"][0];
    assert!(text.contains(violation["kind"].as_str().expect("a kind")), "{text}");
    for op in violation["ops"].as_array().expect("ops") {
        assert!(text.contains(&format!("op {op}")), "op {op}: {text}");
    }
    // If an acknowledged update is proved lost, its story comes first.
    if let Some(story) = violation["story"].as_str() {
        let words = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let explanation = words(&text);
        assert!(
            explanation.find(&words(story)).is_some_and(|at| at < explanation.find("Why it cannot be:").expect("the argument follows")),
            "{text}"
        );
    }
    assert!(!text.contains('\x1b'), "no colour where it is not a terminal");
    // The rest of the page is consistent with this.
    let page = std::fs::read_to_string(f.path().join("results/runs/latest-failed/report.html")).expect("written");
    assert!(page.contains("class=\"op hit\""));
}

#[test]
fn two_runs_side_by_side_and_completions() {
    let f = Folder::new();
    let args = ["run", "--faults", "none", "--duration", "1s", "--warmup", "200ms", "--quiet-tail", "200ms", "--quiet", "--seed", "7"];
    for rate in ["50", "100"] {
        output(&f, &[&args[..], &["--rate", rate]].concat());
    }
    let runs = expect_code(&f, &["list", "--json"], 0);
    let runs: serde_json::Value = serde_json::from_slice(&runs.stdout).expect("JSON");
    let first = runs[0]["run_id"].as_str().expect("a run");
    let text = said(&expect_code(&f, &["diff", first, "latest"], 0));
    let rate = text.lines().find(|l| l.starts_with("load.rate ")).unwrap_or_else(|| panic!("{text}"));
    assert!(rate.contains("50") && rate.contains("100"), "{text}");
    let json = expect_code(&f, &["diff", first, "latest", "--json"], 0);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["settings"].as_object().expect("a map").len(), 1, "{json:#}");
    let out = expect_code(&f, &["diff", "nothing", "latest"], 64);
    assert!(said(&out).contains("heckle list"), "{}", said(&out));
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&expect_code(&f, &["completions", shell], 0));
        assert!(script.contains("explain") && script.contains("gate"), "{shell}");
    }
}
