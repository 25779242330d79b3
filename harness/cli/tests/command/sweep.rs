//! Sweeps on real processes: points, picture and page; an interrupted sweep that is resumed; a violation; and requests
//! that are rejected before anything starts.

use crate::common::*;
use heckle_results::sweep::Sweep;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const SHORT: &[&str] = &["sweep", "--warmup", "300ms", "--quiet-tail", "300ms", "--keys", "1", "--seed", "7"];

fn with<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().copied().chain(extra.iter().copied()).collect()
}

/// Returns the folders of sweeps named `name`.
fn sweeps(folder: &Folder, name: &str) -> Vec<PathBuf> {
    let children = std::fs::read_dir(folder.path().join("results/runs").join(name)).into_iter().flatten().flatten();
    children.map(|e| e.path()).filter(|p| p.join("sweep.json").is_file()).collect()
}

fn stored(root: &Path) -> Sweep {
    Sweep::from_json(&std::fs::read_to_string(root.join("sweep.json")).expect("written")).expect("a sweep")
}

/// Returns the arm, value and repeat of every run.
fn cells(sweep: &Sweep) -> BTreeSet<(String, String, u32)> {
    sweep.runs.iter().map(|r| (r.arm.clone(), r.value.text.clone(), r.repeat)).collect()
}

#[test]
fn a_sweep_keeps_runs_points_page_and_picture() {
    let folder = Folder::new();
    let arms = ["--arm", "classic:rounds=classic", "--arm", "fast:rounds=fast"];
    let args =
        with(&[&arms[..], &["--over", "rate=60,120", "--repeats", "1", "--duration", "2s", "--slo", "p99_ms=60000", "--json"]].concat());
    let out = expect_code(&folder, &args, 0);
    let printed = Sweep::from_json(&String::from_utf8_lossy(&out.stdout)).expect("--json prints a sweep");
    let progress = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(progress.contains("4 runs of about") && progress.contains("[4/4]") && progress.contains(" left] "), "{progress}");
    assert_eq!((printed.runs.len(), printed.points.len(), printed.knees.len()), (4, 4, 2));
    let seeds = |value: &str| printed.runs.iter().filter(|r| r.value.text == value).map(|r| &r.seed).collect::<BTreeSet<_>>();
    assert_eq!((seeds("60").len(), seeds("120").len()), (1, 1), "arms share seeds");
    let root = &sweeps(&folder, "sweep")[0];
    assert_eq!(stored(root), printed);
    for point in &printed.points {
        let (asked, answered) = (point.value.number, point.figures["answered_per_s"].median);
        assert!(answered > 0.3 * asked && answered < 1.05 * asked, "{point:?}");
        let [p50, p95, p99] = ["p50_ms", "p95_ms", "p99_ms"].map(|name| point.figures[name].median);
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{point:?}");
    }
    for run in &printed.runs {
        let plan = std::fs::read_to_string(root.join(&run.path).join("plan.resolved.toml")).expect("the run is below its sweep");
        assert!(plan.contains(&format!("rounds = \"{}\"", run.arm)) && plan.contains(&format!("rate = {}", run.value.text)), "{plan}");
        assert!(heckle::cluster::pids::alive(&root.join(&run.path)).iter().all(|s| s.node == heckle::cluster::pids::HARNESS));
    }
    let page = std::fs::read_to_string(root.join("sweep.html")).expect("a page");
    assert!(page.contains("p99 latency") && page.contains("<svg") && !page.contains("<script"));
    assert!(std::fs::read(root.join("sweep.png")).expect("a picture").starts_with(b"\x89PNG"));
    found_again(&folder, root, &printed);

    // No runs remain, so resuming gives the same result.
    let again = expect_code(&folder, &["sweep", "--resume", root.to_str().expect("a path"), "--json"], 0);
    let again = Sweep::from_json(&String::from_utf8_lossy(&again.stdout)).expect("a sweep");
    assert_eq!((&again.runs, &again.points, again.sessions), (&printed.runs, &printed.points, 2));
    let out = expect_code(&folder, &["sweep", "--resume", root.to_str().expect("a path"), "--rate", "9"], 64);
    assert!(said(&out).contains("leave out the flags"), "{}", said(&out));
}

#[test]
fn an_interrupted_sweep_is_reported_and_resumed() {
    let folder = Folder::new();
    let args = with(&["--over", "clients=2,4", "--repeats", "2", "--rate", "80", "--duration", "2s", "--slo", "p99_ms=60000"]);
    let child = heckle(&folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let one_is_made = || sweeps(&folder, "sweep").first().is_some_and(|root| !stored(root).runs.is_empty());
    assert!(wait_for(Duration::from_secs(120), one_is_made), "the first run ends");
    let root = sweeps(&folder, "sweep").remove(0);
    let busy = expect_code(&folder, &["sweep", "--resume", root.to_str().expect("a path")], 64);
    assert!(said(&busy).contains("works on it already"), "{}", said(&busy));
    // SAFETY: the child has not been reaped, so the pid is its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(130), "{}", said(&out));
    assert!(said(&out).contains("interrupted after") && said(&out).contains("heckle sweep --resume"), "{}", said(&out));
    let before = stored(&root);
    assert!(!before.runs.is_empty() && before.runs.len() < 4 && root.join("sweep.html").is_file(), "what was made is kept and drawn");

    let out = expect_code(&folder, &["sweep", "--resume", root.to_str().expect("a path"), "--quiet"], 0);
    assert!(!said(&out).contains("--resume"), "{}", said(&out));
    let after = stored(&root);
    assert_eq!(&after.runs[..before.runs.len()], &before.runs[..], "no run is made twice");
    assert_eq!((after.runs.len(), cells(&after).len(), after.sessions), (4, 4, 2));
}

#[test]
fn a_violation_ends_its_arm_with_exit_code_1() {
    let folder = Folder::new();
    let load = ["--rate", "600", "--faults", "kill-all", "--fault-every", "1200ms", "--fault-for", "300ms", "--duration", "6s"];
    let args = with(&[&["--arm", "planted:mutant=answer-before-write", "--over", "clients=12", "--repeats", "4"][..], &load].concat());
    let out = expect_code(&folder, &args, 1);
    let sweep = stored(&sweeps(&folder, "sweep")[0]);
    assert!(said(&out).contains("DISQUALIFIED: arm planted violated correctness in planted-12/"), "{}", said(&out));
    assert!(said(&out).contains("heckle explain"), "{}", said(&out));
    assert_eq!(sweep.runs.iter().filter(|r| r.exit_code == 1).count(), 1, "the arm ends with its first violation");
    assert_eq!(sweep.runs.last().map(|r| r.exit_code), Some(1));
}

#[test]
fn an_arm_whose_system_is_not_installed_is_left_out_or_refused() {
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\nname = \"two\"\n[load]\nduration = \"1s\"\nwarmup = \"300ms\"\n\
        [sweep]\nover = \"rate=80\"\nrepeats = 1\n[[arm]]\nname = \"own\"\n[[arm]]\nname = \"other\"\nsystem = \"etcd\"\n";
    std::fs::write(folder.path().join("two.toml"), plan).expect("a writable folder");
    let without_programs = |args: &[&str]| heckle(&folder, args).env("PATH", "").output().expect("the binary starts");
    let out = without_programs(&["sweep", "two.toml", "--slo", "p99_ms=60000", "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let printed = Sweep::from_json(&String::from_utf8_lossy(&out.stdout)).expect("--json prints a sweep");
    assert!(
        printed.arms[0].left_out.is_none() && printed.arms[1].left_out.as_ref().is_some_and(|why| why.contains("etcd")),
        "{:?}",
        printed.arms
    );
    assert!(
        printed.runs.iter().all(|r| r.arm == "own") && printed.head.verdict.iter().any(|words| words.contains("arm other was left out"))
    );
    // An arm named on the command line is never silently left out.
    let out = without_programs(&["sweep", "--over", "rate=80", "--arm", "own", "--arm", "other:system=etcd"]);
    assert_eq!(out.status.code(), Some(64), "{}", said(&out));
    assert!(said(&out).contains("there is no program `etcd`"), "{}", said(&out));
}

/// Checks that a sweep can be listed, shown and redrawn, by its folder and by its id.
fn found_again(folder: &Folder, root: &Path, printed: &Sweep) {
    let id = printed.sweep_id.as_str();
    let lists = expect_code(folder, &["list"], 0);
    assert!(said(&lists).contains(&format!("sweep/{id}")), "{}", said(&lists));
    let shown = expect_code(folder, &["show", id, "--json"], 0);
    assert_eq!(Sweep::from_json(&String::from_utf8_lossy(&shown.stdout)).as_ref(), Ok(printed));
    let page = root.join("sweep.html");
    std::fs::write(&page, "damaged").expect("writable");
    std::fs::remove_file(root.join("sweep.png")).expect("it was drawn");
    let out = expect_code(folder, &["report", &format!("sweep/{id}")], 0);
    assert!(said(&out).contains("sweep.html"), "{}", said(&out));
    assert!(std::fs::read_to_string(&page).expect("a page").contains("p99 latency") && root.join("sweep.png").is_file());
    assert_eq!(stored(root), *printed, "what it came to stays");
    let text = printed.to_json();
    std::fs::write(root.join("sweep.json"), text.replacen("\"status\": \"done\"", "\"status\": \"running\"", 1)).expect("writable");
    let out = expect_code(folder, &["report", id], 64);
    assert!(said(&out).contains("has not ended") && said(&out).contains("heckle sweep --resume"), "{}", said(&out));
    std::fs::write(root.join("sweep.json"), "{").expect("writable");
    let out = expect_code(folder, &["show", id], 64);
    assert!(said(&out).contains("sweep.json"), "{}", said(&out));
    std::fs::write(root.join("sweep.json"), text).expect("writable");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\n[sweep]\nover = \"rate=1..2\"\nreapets = 3\n";
    std::fs::write(folder.path().join("sweep.toml"), plan).expect("a writable folder");
    std::fs::create_dir(folder.path().join("empty")).expect("a writable folder");
    for (args, parts) in [
        (vec!["sweep"], vec!["say what varies", "--preset throughput"]),
        (vec!["sweep", "sweep.toml"], vec!["line 4", "did you mean `repeats`"]),
        (vec!["sweep", "--over", "rate=8000..100"], vec!["a range rises"]),
        (vec!["sweep", "--over", "rate=100..800", "--budget", "5"], vec!["no unit"]),
        (vec!["sweep", "--over", "rate=100..800", "--budget", "5s"], vec!["--budget 5s", "are the least"]),
        (vec!["sweep", "--over", "rate=100..800", "--rate", "5"], vec!["leave out the flag"]),
        (vec!["sweep", "--preset", "throughptu"], vec!["did you mean `throughput`"]),
        (vec!["sweep", "--preset", "lease"], vec!["no sweep preset `lease`"]),
        (vec!["sweep", "--resume", "empty"], vec!["empty", "no folder of a sweep"]),
        (vec!["sweep", "--resume", "nowhere"], vec!["nowhere", "no folder of a sweep"]),
        (vec!["sweep", "--resume", "empty", "--over", "rate=1..2"], vec!["--over", "cannot be used with"]),
        (vec!["compare", "--preset", "throughput"], vec!["no preset `throughput`"]),
    ] {
        let out = expect_code(&folder, &args, 64);
        assert!(parts.iter().all(|p| said(&out).contains(p)), "heckle {} says\n{}", args.join(" "), said(&out));
    }
    assert!(!folder.path().join("results").exists(), "nothing was begun");
}
