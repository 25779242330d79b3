//! Comparisons on real processes: too few pairs claim nothing, a violation puts its arm out, an interrupt reports what is
//! there, and what makes no sense is refused before anything starts.

use crate::common::*;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const SHORT: &[&str] = &["compare", "--warmup", "300ms", "--quiet-tail", "300ms", "--noise-limit", "1", "--quiet", "--seed", "7"];

fn with<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().copied().chain(extra.iter().copied()).collect()
}

/// The folders of comparisons called `name`.
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
    let told: Json = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert!(told["verdict"][0].as_str().expect("words").contains("no claim is made"), "{}", told["verdict"]);
    let runs = told["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    assert_eq!((&runs[0]["seed"], &runs[0]["schedule"]), (&runs[1]["seed"], &runs[1]["schedule"]), "a pair has one seed and one schedule");
    assert_ne!(runs[0]["arm"], runs[1]["arm"]);
    let kept = comparisons(&folder, "compare");
    assert_eq!(kept.len(), 1);
    assert_eq!(stored(&kept[0]), told);
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
    let list = expect_code(&folder, &["list", "--json"], 0);
    assert_eq!(serde_json::from_slice::<Json>(&list.stdout).expect("JSON").as_array().expect("a list").len(), 2, "its runs are runs");
}

#[test]
fn an_arm_with_a_violation_is_out() {
    let folder = Folder::new();
    let arms = ["--arm", "sound", "--arm", "planted:mutant=answer-before-write"];
    let load =
        ["--keys", "2", "--clients", "12", "--rate", "600", "--faults", "kill-all", "--fault-every", "1200ms", "--fault-for", "300ms"];
    let args = with(&[&arms[..], &load, &["--pairs", "4", "--duration", "6s"]].concat());
    let out = expect_code(&folder, &args, 1);
    let text = said(&out);
    assert!(text.contains("DISQUALIFIED: arm planted violated correctness in planted/"), "{text}");
    assert!(text.contains("nothing is compared") || text.contains("heckle explain"), "{text}");
    let told = stored(&comparisons(&folder, "compare")[0]);
    assert_eq!(told["contrasts"][0]["figures"], serde_json::json!([]), "nothing is claimed of it");
    let made = told["runs"].as_array().expect("a list").iter().filter(|r| r["arm"] == "planted").count();
    let violated = told["runs"].as_array().expect("a list").iter().filter(|r| r["verdict"] == "invalid").count();
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
    let told = stored(&comparisons(&folder, "compare")[0]);
    assert_eq!((&told["status"], &told["exit_code"]), (&"interrupted".into(), &130.into()));
}

#[test]
fn another_program_for_the_nodes_is_another_arm() {
    let folder = Folder::new();
    // The same program under another name is another build as far as the command can tell.
    let other = folder.path().join("other-build");
    std::fs::copy(env!("CARGO_BIN_EXE_heckle"), &other).expect("a copy");
    // One key for all, so that both runs are evidence of something.
    let load = ["--pairs", "1", "--duration", "2s", "--keys", "1", "--clients", "8", "--rate", "400", "--faults", "none"];
    let args = with(&[&["--arm", "this", "--arm", "other:bin=other-build"][..], &load].concat());
    expect_code(&folder, &args, 2);
    let told = stored(&comparisons(&folder, "compare")[0]);
    assert!(told["runs"].as_array().expect("a list").iter().all(|r| r["verdict"] == "valid"), "{}", told["runs"]);
    // A program that is no node breaks its first run, and the comparison says so instead of trying on.
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
