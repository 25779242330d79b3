//! Nightly automation: the plans are valid and fit their budgets. Everything that calls them (units, cron line,
//! workflow) or describes them (the guide) uses commands that this build understands.

use crate::common::*;
use clap::Parser;
use heckle::cli::{Cli, Verb};
use heckle::plan::file;
use heckle::suite::matrix::{Matrix, Shard};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("there")
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn plan(name: &str, profile: Option<&str>, shard: Option<Shard>) -> Matrix {
    let settings = file::parse(&read(name), name, heckle::systems::all()).expect("well-formed");
    Matrix::of(&settings, &heckle::verbs::mutants::matrix_context(), profile, shard).expect("makes sense")
}

/// Returns the number of seconds needed to run all cells once, and every canary as often as it may be tried.
fn longest(matrix: &Matrix) -> f64 {
    let cells: f64 = matrix.cells.iter().map(|c| c.estimate.0.as_secs_f64() * f64::from(matrix.repeat)).sum();
    let canaries = matrix.canaries.iter().map(|c| c.estimate.0.as_secs_f64() * f64::from(c.within_runs));
    cells + canaries.sum::<f64>()
}

#[test]
fn nightly_plans_fit_their_budgets() {
    for (name, profile) in [("plans/nightly.toml", None), ("plans/nightly.toml", Some("smoke")), ("plans/quick.toml", None)] {
        let matrix = plan(name, profile, None);
        let budget = matrix.budget.expect("a night has an end").0.as_secs_f64();
        let longest = longest(&matrix);
        assert!(longest < budget, "{name} {profile:?}: about {longest:.0} s of {budget:.0} s");
        assert!(!matrix.canaries.is_empty(), "{name}");
    }
}

#[test]
fn nightly_covers_rounds_leases_workloads_and_faults() {
    let matrix = plan("plans/nightly.toml", None, None);
    let values = |key: &str| matrix.cells.iter().map(|c| c.labels[key].clone()).collect::<BTreeSet<_>>();
    let named = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(values("rounds"), named(&["classic", "merged", "async-learn", "fast"]));
    assert_eq!(values("lease"), named(&["off", "priority", "read"]));
    assert_eq!(values("workload"), named(&["cas-register", "counter", "mutex"]));
    let kinds: BTreeSet<String> = values("kinds").iter().flat_map(|k| k.split('+').map(str::to_owned).collect::<Vec<_>>()).collect();
    for kind in [
        "kill",
        "pause",
        "partition",
        "terminate",
        "rolling-restart",
        "kill-all",
        "reset",
        "hang",
        "delay",
        "loss",
        "duplicate",
        "reorder",
        "corrupt",
        "clock-jump",
        "clock-drift",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }
    // No fault may target a holder that cannot exist.
    assert!(matrix.cells.iter().all(|c| c.labels["lease"] != "off" || !c.labels["kinds"].contains("holder")));
    assert!(matrix.cells.iter().all(|c| !c.settings.gates.is_empty() && !c.settings.coverage.is_empty()));
}

#[test]
fn nightly_and_other_plans_in_the_guide_are_plans() {
    for (page, least) in [("docs/writing-a-plan.md", 1), ("docs/suites.md", 1), ("docs/starvation.md", 1)] {
        let text = read(page);
        let fences: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(code, _)| code).collect();
        assert!(fences.len() >= least, "{page}");
        for fence in fences {
            let head = if fence.contains("schema =") { "" } else { "schema = \"heckle.plan/1\"\n" };
            // Fairness applies only to workloads whose clients retry.
            let load = if fence.contains("[fairness]") && !fence.contains("[load]") { "[load]\nworkload = \"counter\"\n" } else { "" };
            let settings = file::parse(&format!("{head}{load}{fence}"), page, heckle::systems::all()).unwrap_or_else(|e| panic!("{e}"));
            Matrix::of(&settings, &heckle::verbs::mutants::matrix_context(), None, None).unwrap_or_else(|e| panic!("{page}: {e}\n{fence}"));
        }
    }
}

// ---- command lines ----

/// Returns the words of each `heckle` command in `text`, split as by a shell, without comments, redirections and other
/// commands.
fn commands(text: &str) -> Vec<Vec<String>> {
    let is_command = |word: &str| word == "heckle" || (word.ends_with("/heckle") && !word.contains('='));
    let mut found = vec![];
    for line in text.replace("\\\n", " ").lines() {
        let mut words = words(line).into_iter().peekable();
        let mut at_start = true;
        while let Some(word) = words.next() {
            let begins = at_start && is_command(word.trim_start_matches("ExecStart=").trim_start_matches("ExecStopPost="));
            at_start = ENDS.contains(&word.as_str()) || word == "run:" || word == "-" || word == "{";
            if begins {
                let mut command = vec!["heckle".to_owned()];
                // An operand such as 'p99_ms>500' is not a redirection.
                let redirects = |w: &str| w.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&').starts_with('>');
                while let Some(word) = words.next_if(|w| !ENDS.contains(&w.as_str()) && !redirects(w) && !is_command(w)) {
                    command.push(word);
                }
                // A command list may contain two commands.
                at_start = true;
                found.push(command);
            }
        }
    }
    found
}

const ENDS: [&str; 5] = [";", "&&", "||", "|", "&"];

fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (vec![], String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, ' ' | ';') => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                words.extend((c == ';').then(|| ";".to_owned()));
            }
            (_, c) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Returns the text in the ```sh fences of a page.
fn fenced(page: &str) -> String {
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(code, _)| code).collect()
}

/// Parses a command line with this build. Shell variables are replaced with a valid value.
fn parse(command: &[String]) -> Result<Cli, String> {
    let filled = command.iter().map(|w| w.replace("$SHARD", "1/2"));
    Cli::try_parse_from(filled).map_err(|e| format!("{}\n{e}", command.join(" ")))
}

#[test]
fn nightly_files_and_the_guide_say_what_the_command_understands() {
    let mut texts: Vec<(String, String)> = ["docs/nightly/heckle-nightly.service", "docs/nightly/crontab", ".github/workflows/nightly.yml"]
        .map(|name| (name.to_owned(), read(name)))
        .into();
    let pages = std::fs::read_dir(repository().join("docs")).expect("docs").map(|e| e.expect("readable").path());
    let pages = pages.filter(|p| p.extension().is_some_and(|e| e == "md")).chain([repository().join("README.md")]);
    texts.extend(pages.map(|p| (p.display().to_string(), fenced(&std::fs::read_to_string(&p).expect("readable")))));
    let mut count = 0;
    for (name, text) in &texts {
        for command in commands(text) {
            count += 1;
            // A synopsis is not a command.
            if !command.iter().any(|w| w.contains('[')) {
                parse(&command).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
    }
    assert!(count > 40, "only {count} commands were found");
    for (name, text) in &texts[..3] {
        let suites = commands(text).into_iter().filter_map(|c| parse(&c).ok()).filter_map(|cli| match cli.verb {
            Verb::Suite(args) => Some(args),
            _ => None,
        });
        let suites: Vec<_> = suites.collect();
        assert_eq!(suites.len(), 1, "{name}");
        let (of, shard) = (&suites[0].plan, suites[0].shard.as_deref());
        assert!(suites[0].budget.is_some() && repository().join(of).is_file(), "{name}");
        assert_eq!(shard.is_some(), name.ends_with(".yml"), "{name}");
    }
}

#[test]
fn nightly_command_lines_are_found_and_refused_where_they_are_wrong() {
    let text = "x=1 && heckle show latest   heckle check latest # heckle nothing\ncd a && target/release/heckle run --gate 'p99_ms<50' > log 2>&1; heckle gc\n";
    let found = commands(text);
    assert_eq!(
        found.iter().map(|c| c.join(" ")).collect::<Vec<_>>(),
        ["heckle show latest", "heckle check latest", "heckle run --gate p99_ms<50", "heckle gc"]
    );
    assert!(found.iter().all(|c| parse(c).is_ok()));
    assert!(parse(&commands("heckle suit plan.toml")[0]).is_err());
}

// ---- the workflow's and the cron line's shell ----

/// Returns the script of a step of the workflow, in the form that the runner passes to bash.
fn step(name: &str) -> String {
    let workflow = read(".github/workflows/nightly.yml");
    let (_, rest) = workflow.split_once(&format!("- name: {name}\n")).unwrap_or_else(|| panic!("no step `{name}`"));
    let mut lines = rest.lines().take_while(|l| !l.trim_start().starts_with("- ")).skip_while(|l| !l.trim_start().starts_with("run:"));
    let first = lines.next().expect("a run").trim_start().trim_start_matches("run:").trim();
    if first != "|" {
        return first.to_owned();
    }
    let indent = " ".repeat(10);
    lines.map(|l| format!("{}\n", l.strip_prefix(&indent).unwrap_or(l))).collect()
}

fn shell(words: &[&str], folder: &Folder, script: &str, env: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["-c", script]).current_dir(folder.path()).stdin(Stdio::null());
    command.envs(env.iter().map(|(k, v)| (k, v.as_os_str())));
    command.output().expect("a shell starts")
}

/// Creates a separate repository with everything that a nightly run needs.
fn clone_of(folder: &Folder, plan: &str) {
    std::fs::create_dir_all(folder.path().join("target/release")).expect("writable");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_heckle"), folder.path().join("target/release/heckle")).expect("writable");
    std::fs::create_dir_all(folder.path().join("plans")).expect("writable");
    std::fs::write(folder.path().join("plans/nightly.toml"), plan).expect("writable");
}

const SHORT: &str = "schema = \"heckle.plan/1\"\nname = \"nightly\"\n[load]\nduration = \"2s\"\nwarmup = \"0s\"\nkeys = 1\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"0s\"\n[suite.axes]\nvalue_bytes = [8, 16]\n";

#[test]
fn nightly_workflow_steps_run_in_a_shell() {
    let folder = Folder::new();
    clone_of(&folder, SHORT);
    let (env, summary) = (folder.path().join("env"), folder.path().join("summary"));
    let vars = [("GITHUB_ENV", env.as_path()), ("GITHUB_STEP_SUMMARY", summary.as_path()), ("SHARD", Path::new("2/2"))];
    for (name, code) in [("Names that hold no slash", 0), ("Night", 0), ("Summary", 0)] {
        let out = shell(&["bash", "-e"], &folder, &step(name), &vars);
        assert_eq!(out.status.code(), Some(code), "{name}: {}", said(&out));
    }
    let set = std::fs::read_to_string(&env).expect("written");
    assert!(set.contains("PART=2-of-2\n"), "{set}");
    let night = set.lines().find_map(|l| l.strip_prefix("NIGHT=")).expect("set");
    for file in ["junit.xml", "summary.md", "trend.html", "suite.json"] {
        assert!(folder.path().join(format!("{night}{file}")).is_file(), "{night}{file}");
    }
    let summary = std::fs::read_to_string(&summary).expect("written");
    assert!(summary.starts_with("## ") && summary.contains("| 8 | 1/1 |"), "{summary}");
}

#[test]
fn nightly_cron_line_is_silent_when_green_and_speaks_when_red() {
    let crontab = read("docs/nightly/crontab");
    let line = crontab.lines().find(|l| !l.starts_with('#')).expect("a line");
    assert!(!line.contains('%'), "cron ends a command at a percent sign");
    let command = line.splitn(6, ' ').nth(5).expect("five fields of time, then a command");
    for (plan, red) in [(SHORT.to_owned(), false), (format!("{SHORT}[gates]\nmax_ms = \"<0.0001\"\n"), true)] {
        let home = Folder::new();
        let inside = Folder::new();
        clone_of(&inside, &plan);
        std::fs::create_dir_all(inside.path().join("results")).expect("writable");
        std::os::unix::fs::symlink(inside.path(), home.path().join("heckle")).expect("writable");
        let out = shell(&["sh"], &home, command, &[("HOME", home.path())]);
        let text = said(&out);
        assert_eq!(text.contains("the night ended with"), red, "{text}");
        assert!(red || text.trim().is_empty(), "{text}");
    }
}

// ---- other people's checkers, where they are ----

fn on_path(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|dir| dir.join(program).is_file()));
    if !found {
        eprintln!("SKIPPED: no {program} on the path, so what it would say was not asked");
    }
    found
}

#[test]
fn nightly_units_are_accepted_by_systemd() {
    if !on_path("systemd-analyze") {
        return;
    }
    let home = Folder::new();
    let at = home.path().join("heckle/target/release");
    std::fs::create_dir_all(&at).expect("writable");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_heckle"), at.join("heckle")).expect("writable");
    let verify = |service: &str| {
        std::fs::write(home.path().join("heckle-nightly.service"), service).expect("writable");
        std::fs::write(home.path().join("heckle-nightly.timer"), read("docs/nightly/heckle-nightly.timer")).expect("writable");
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--user", "heckle-nightly.service", "heckle-nightly.timer"]).current_dir(home.path());
        command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path()).output().expect("starts")
    };
    let service = read("docs/nightly/heckle-nightly.service");
    let out = verify(&service);
    assert!(out.status.success() && !said(&out).contains("nknown"), "{}", said(&out));
    let out = verify(&service.replace("ExecStart=", "ExecStrat="));
    assert!(!out.status.success(), "a broken unit is noticed: {}", said(&out));
}

#[test]
fn nightly_workflows_are_accepted_by_actionlint() {
    if !on_path("actionlint") {
        return;
    }
    for workflow in ["ci.yml", "nightly.yml"] {
        let out = Command::new("actionlint").arg(repository().join(".github/workflows").join(workflow)).output().expect("starts");
        assert!(out.status.success(), "{}", said(&out));
    }
}
