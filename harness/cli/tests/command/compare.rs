//! Comparisons on real processes: too few pairs support no claim, a violation excludes its arm, an interrupted comparison reports its
//! completed pairs, and invalid requests are rejected before anything starts.

use crate::common::*;
use heckle_results::compare::Comparison;
use heckle_results::compare::phases::Phase;
use heckle_results::results_json::RunVerdict;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const SHORT: &[&str] = &["compare", "--warmup", "300ms", "--quiet-tail", "300ms", "--noise-limit", "1", "--quiet", "--seed", "7"];

fn with<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().copied().chain(extra.iter().copied()).collect()
}

/// Returns the folders of comparisons named `name`.
fn comparisons(folder: &Folder, name: &str) -> Vec<PathBuf> {
    let children = std::fs::read_dir(folder.path().join("results/runs").join(name)).into_iter().flatten().flatten();
    children.map(|e| e.path()).filter(|p| p.join("compare.json").is_file()).collect()
}

fn stored(path: &std::path::Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path.join("compare.json")).expect("written")).expect("JSON")
}

#[test]
fn too_few_pairs_are_run_kept_and_claim_nothing() {
    let folder = Folder::new();
    let arms = ["--arm", "uniform:backoff=uniform", "--arm", "none:backoff=none"];
    let args = with(&[&arms[..], &["--pairs", "1", "--duration", "2s", "--rate", "60", "--faults", "none", "--json"]].concat());
    let out = expect_code(&folder, &args, 2);
    let printed: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert!(printed["verdict"][0].as_str().expect("words").contains("no claim is made"), "{}", printed["verdict"]);
    let runs = printed["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    assert_eq!((&runs[0]["seed"], &runs[0]["schedule"]), (&runs[1]["seed"], &runs[1]["schedule"]), "a pair has one seed and one schedule");
    assert_ne!(runs[0]["arm"], runs[1]["arm"]);
    let kept = comparisons(&folder, "compare");
    assert_eq!(kept.len(), 1);
    assert_eq!(stored(&kept[0]), printed);
    for file in ["compare.html", "plots/forest.png", "plots/pairs.png", "plots/waits.png", "plots/successes.png"] {
        assert!(kept[0].join(file).is_file(), "{file}");
    }
    for run in runs {
        let path = kept[0].join(run["path"].as_str().expect("a path"));
        let plan = std::fs::read_to_string(path.join("plan.resolved.toml")).expect("the run is below its comparison");
        assert!(plan.contains(&format!("backoff = {}", run["arm"])), "{plan}");
        assert!(run["figures"]["whole"]["intent_p99_ms"]["value"].as_f64().expect("a figure") > 0.0);
        assert!(heckle::cluster::pids::alive(&path).iter().all(|s| s.node == heckle::cluster::pids::HARNESS), "no node outlives its run");
    }
    let list = expect_code(&folder, &["list", "--json", "--all"], 0);
    assert_eq!(serde_json::from_slice::<Json>(&list.stdout).expect("JSON").as_array().expect("a list").len(), 2, "its runs are runs");
    found_again(&folder, &kept[0], &printed);
}

/// One intent per second leaves a lock idle, so no run counts. The first pair shows this and names the flag that helps.
#[test]
fn a_worthless_load_is_found_out_by_the_first_pair() {
    let folder = Folder::new();
    let load = ["--workload", "mutex", "--rate", "1", "--faults", "none", "--duration", "2s", "--warmup", "300ms", "--quiet-tail", "300ms"];
    let args = [&["compare", "--preset", "lease", "--pairs", "9", "--noise-limit", "1", "--seed", "7"][..], &load].concat();
    let out = expect_code(&folder, &args, 2);
    let said = said(&out).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "the first pair does not count: ",
        "to mend it: use --rate max",
        "it stops here; --finish runs them anyway",
        "No answer: 0 of 9 pairs count",
        "dropped pair 1, inconclusive because of",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let kept = stored(&comparisons(&folder, "compare-lease")[0]);
    assert_eq!(kept["runs"].as_array().map(Vec::len), Some(3), "a run of each arm, and no more");
    assert!(kept["design"]["stop_rule"].as_str().expect("words").contains("after the first pair, if none of its runs counts"));
    assert!(kept["runs"][0]["dropped"]["mend"].as_str().expect("words").starts_with("use --rate max"), "{:#}", kept["runs"][0]["dropped"]);
    let page = std::fs::read_to_string(comparisons(&folder, "compare-lease")[0].join("compare.html")).expect("written");
    assert!(page.contains("<div class=\"verdict doubt\">"), "a comparison without a claim is not green");
}

/// Real nodes with many different keys: each remedy shrinks their state, in the chart and in the text.
#[test]
fn each_remedy_against_state_shows_in_the_picture() {
    let folder = Folder::new();
    // The time to live is shorter than in the preset, so keys expire in a short run.
    let ttl = ["--arm", "without:prune=off", "--arm", "prune:prune=on", "--arm", "ttl:prune=on,paxos_ttl=1s"];
    let load = ["--keys", "200", "--zipf", "1.2", "--rate", "200", "--duration", "5s", "--faults", "none", "--late-limit", "1"];
    let args = with(&[&["--preset", "state", "--pairs", "1", "--json"][..], &load, &ttl].concat());
    // The comparison is in bytes, which late ops do not change. On a busy machine, a pair may be dropped or a run may
    // be inconclusive for other reasons that may not recur, so the test is repeated.
    let counted = (0..3).find_map(|_| {
        let out = expect_code(&folder, &args, 2);
        let printed = Comparison::from_json(&String::from_utf8_lossy(&out.stdout)).expect("--json prints a comparison");
        eprintln!("dropped: {:#?}", printed.contrasts.iter().flat_map(|c| &c.dropped).collect::<Vec<_>>());
        let verdicts: Vec<RunVerdict> = printed.runs.iter().map(|r| r.verdict).collect();
        eprintln!("verdicts: {verdicts:?}");
        assert!(verdicts.iter().all(|v| matches!(v, RunVerdict::Valid | RunVerdict::Unknown)), "{:#?}", printed.runs);
        (printed.runs.iter().all(|r| r.dropped.is_none()) && verdicts.iter().all(|v| *v == RunVerdict::Valid)).then_some(printed)
    });
    let printed = counted.expect("a pair of three counts");
    let state = printed.state.as_ref().expect("arms differ in prune");
    assert_eq!(state.check_decreasing(&["without", "prune", "ttl"]), Ok(()));
    let without = &state.arms[0].median;
    assert!(without.windows(2).all(|w| w[0] <= w[1]), "nothing goes where nothing is done: {without:?}");
    for curve in &state.arms {
        let bytes = &curve.median;
        assert!(bytes[0] == 0.0 && curve.at_end() > 0.0, "{} begins with nothing: {bytes:?}", curve.arm);
        let run = printed.runs.iter().find(|r| r.arm == curve.arm).expect("a run");
        assert_eq!(run.figures[&Phase::Whole]["paxos_bytes_end"].value.round(), curve.at_end(), "figure and picture agree");
    }
    // Compare with the values that the nodes themselves reported.
    let kept = folder.path().join("results/runs/compare-state").join(&printed.comparison_id);
    assert!(kept.join(&printed.head.artifacts["state_size"]).is_file());
    let mut swapped = printed.clone();
    swapped.state.as_mut().expect("there").arms.iter_mut().zip(["prune", "without", "ttl"]).for_each(|(c, arm)| c.arm = arm.into());
    let why = swapped.state.expect("there").check_decreasing(&["without", "prune", "ttl"]).expect_err("the arms are swapped");
    assert!(why.starts_with("arm prune holds "), "{why}");
    for run in &printed.runs {
        let peak = run.figures[&Phase::Whole]["paxos_bytes_max"].value;
        let said = nodes_said(&kept.join(&run.path));
        assert!(peak > 0.0 && said.contains(&(peak as u64)), "{}: no node reported {peak} bytes, only {said:?}", run.arm);
    }
}

/// Returns the bytes of protocol state, without keys and values, from the lines of `nodes/<n>/metrics.jsonl`.
fn nodes_said(run: &std::path::Path) -> Vec<u64> {
    let nodes = ["n1", "n2", "n3"].map(|n| std::fs::read_to_string(run.join("nodes").join(n).join("metrics.jsonl")).expect("kept"));
    let bytes = |line: &str| {
        let status: Json = serde_json::from_str(line).expect("JSON");
        ["promise", "accepted", "dedupe", "queue"].iter().map(|kind| status["state_bytes"][*kind].as_u64().expect("bytes")).sum()
    };
    nodes.iter().flat_map(|text| text.lines()).map(bytes).collect()
}

/// Checks that a comparison can be listed, shown and redrawn, by its folder and by its id.
fn found_again(folder: &Folder, kept: &std::path::Path, printed: &Json) {
    let id = printed["comparison_id"].as_str().expect("an id");
    let lists = expect_code(folder, &["list"], 0);
    assert!(said(&lists).contains(&format!("compare/{id}")) && said(&lists).contains("too few pairs"), "{}", said(&lists));
    let alone = expect_code(folder, &["list", "--comparisons", "--json"], 0);
    let alone: Json = serde_json::from_slice(&alone.stdout).expect("JSON");
    assert_eq!((&alone[0]["arms"], alone.as_array().map(Vec::len)), (&serde_json::json!(["uniform", "none"]), Some(1)));
    let shown = expect_code(folder, &["show", &format!("compare/{id}"), "--json"], 0);
    assert_eq!(serde_json::from_slice::<Json>(&shown.stdout).expect("JSON"), *printed);
    for asked in [id, kept.to_str().expect("a path")] {
        let page = kept.join("compare.html");
        std::fs::write(&page, "damaged").expect("writable");
        std::fs::remove_file(kept.join("plots/waits.png")).expect("it was drawn");
        let out = expect_code(folder, &["report", asked], 0);
        assert!(said(&out).contains("compare.html"), "{}", said(&out));
        assert!(std::fs::read_to_string(&page).expect("a page").contains("Who succeeded when") && kept.join("plots/waits.png").is_file());
        assert_eq!(stored(kept), *printed, "what it came to stays");
    }
    // A comparison that never ended has nothing to draw, and the command says so. A damaged one is named.
    let json = kept.join("compare.json");
    let text = std::fs::read_to_string(&json).expect("there");
    std::fs::write(&json, text.replacen("\"status\": \"done\"", "\"status\": \"running\"", 1)).expect("writable");
    let out = expect_code(folder, &["report", id], 64);
    assert!(said(&out).contains("has not ended") && said(&out).contains("heckle compare"), "{}", said(&out));
    std::fs::write(&json, "{").expect("writable");
    let out = expect_code(folder, &["report", id], 64);
    assert!(said(&out).contains("compare.json"), "{}", said(&out));
    assert!(said(&expect_code(folder, &["list"], 0)).contains("damaged"));
    std::fs::write(&json, text).expect("writable");
}

#[test]
fn an_arm_with_a_violation_is_out() {
    let folder = Folder::new();
    let arms = ["--arm", "sound", "--arm", "planted:mutant=answer-before-write"];
    let load =
        ["--keys", "2", "--clients", "12", "--rate", "600", "--faults", "kill-all", "--fault-every", "1200ms", "--fault-for", "300ms"];
    let args = with(&[&arms[..], &load, &["--pairs", "4", "--finish", "--duration", "6s"]].concat());
    let out = expect_code(&folder, &args, 1);
    let text = said(&out);
    assert!(text.contains("DISQUALIFIED: arm planted violated correctness in planted/"), "{text}");
    assert!(text.contains("nothing is compared") || text.contains("heckle explain"), "{text}");
    let printed = stored(&comparisons(&folder, "compare")[0]);
    assert_eq!(printed["contrasts"][0]["figures"], serde_json::json!([]), "nothing is claimed of it");
    let made = printed["runs"].as_array().expect("a list").iter().filter(|r| r["arm"] == "planted").count();
    let violated = printed["runs"].as_array().expect("a list").iter().filter(|r| r["verdict"] == "invalid").count();
    assert_eq!(violated, 1, "the arm ends with its first violation, {made} runs of it were made");
}

#[test]
fn an_interrupt_reports_what_is_there() {
    let folder = Folder::new();
    let args = with(&["--aa", "--pairs", "9", "--duration", "20s", "--rate", "60", "--faults", "none"]);
    let child = heckle(&folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let running =
        || comparisons(&folder, "compare").first().is_some_and(|c| std::fs::read_dir(c.join("a")).is_ok() || c.join("a-again").is_dir());
    assert!(wait_for(Duration::from_secs(60), running), "the first run gets going");
    // SAFETY: the child has not been reaped, so the pid is its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(said(&out).contains("no claim is made: the comparison was interrupted"), "{}", said(&out));
    let printed = stored(&comparisons(&folder, "compare")[0]);
    assert_eq!((&printed["status"], &printed["exit_code"]), (&"interrupted".into(), &130.into()));
}

#[test]
fn another_program_for_the_nodes_is_another_arm() {
    let folder = Folder::new();
    // For the command, the same program under a different name is a different build.
    let other = folder.path().join("other-build");
    std::fs::copy(env!("CARGO_BIN_EXE_heckle"), &other).expect("a copy");
    // Only one key, so that both runs have enough contention to count.
    let load = ["--pairs", "1", "--duration", "2s", "--keys", "1", "--clients", "8", "--rate", "400", "--faults", "none"];
    let args = with(&[&["--arm", "this", "--arm", "other:bin=other-build"][..], &load].concat());
    expect_code(&folder, &args, 2);
    let printed = stored(&comparisons(&folder, "compare")[0]);
    assert!(printed["runs"].as_array().expect("a list").iter().all(|r| r["verdict"] == "valid"), "{}", printed["runs"]);
    // A program that is not a node breaks its first run. The comparison reports this and stops.
    let args =
        with(&["--arm", "this", "--arm", "other:bin=/bin/false", "--pairs", "3", "--duration", "1s", "--rate", "40", "--faults", "none"]);
    let out = expect_code(&folder, &args, 4);
    assert!(said(&out).contains("the first run of arm `other` broke"), "{}", said(&out));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\n[[arm]]\nname = \"a\"\nbakcoff = \"none\"\n[[arm]]\nname = \"b\"\n";
    std::fs::write(folder.path().join("arms.toml"), plan).expect("a writable folder");
    for (args, parts) in [
        (vec!["compare"], vec!["nothing to compare", "--preset"]),
        (vec!["compare", "--preset", "backof"], vec!["did you mean `backoff`"]),
        (vec!["compare", "--arm", "a:bakcoff=none"], vec!["arm `a`", "did you mean `backoff`"]),
        (vec!["compare", "arms.toml"], vec!["arm `a`", "did you mean `backoff`"]),
        (vec!["run", "arms.toml"], vec!["[[arm]]", "heckle compare"]),
        (vec!["compare", "--aa", "--pairs", "0"], vec!["--pairs 0"]),
        (vec!["run", "--bin", "no-such-program"], vec!["no-such-program"]),
    ] {
        let out = expect_code(&folder, &args, 64);
        assert!(parts.iter().all(|p| said(&out).contains(p)), "heckle {} says\n{}", args.join(" "), said(&out));
    }
    assert!(!folder.path().join("results").exists(), "nothing was begun");
}
