use super::super::book::OpenOptions;
use super::*;
use crate::plan::file;
use heckle_results::results_json::{BuildInfo, Results, RunVerdict};
use heckle_results::utc::UnixSeconds;
use std::fs;
use std::path::PathBuf;

#[test]
fn cells_with_long_names_are_distinguished() {
    let long = "kinds=kill:holder+pause:holder+partition:holder,lease=priority,rounds=classic,workload=";
    let (a, b) = (run_name(&format!("{long}counter")), run_name(&format!("{long}cas-register")));
    assert_ne!(a, b);
    assert!(a.len() <= 64 && a.starts_with("kinds-kill-holder"), "{a}");
    assert_eq!(run_name("lease=off,rounds=fast"), "lease-off-rounds-fast");
    assert_eq!(slug(&a), a, "a folder's name as it stands");
}

#[test]
fn a_canary_that_is_caught_reads_as_good_news() {
    let line = |exit_code, verdict| RunLine { exit_code, verdict, reason: "stale read".into(), wall_s: 2.0, ..RunLine::default() };
    for (name, line, expected) in [
        ("canary-m", line(1, RunVerdict::Invalid), "canary-m: caught in 2.0 s: violation, as expected"),
        ("canary-m", line(0, RunVerdict::Valid), "canary-m: not caught in 2.0 s: valid"),
        ("canary-m", line(2, RunVerdict::Unknown), "canary-m: unknown in 2.0 s: stale read"),
        ("cell", line(1, RunVerdict::Invalid), "cell: invalid in 2.0 s: stale read"),
        ("cell", line(0, RunVerdict::Valid), "cell: valid in 2.0 s"),
    ] {
        assert_eq!(describe(name, &line, 1), expected);
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("heckle-drive-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("writable");
        Folder(path)
    }

    /// Creates a program that replaces `heckle run`: it records its turn, then runs `script`. `$name` is the cell's
    /// name, and `$nth` the number of its runs so far. `results CODE` ends like a run with that exit code.
    fn program(&self, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let here = self.0.display();
        for (code, verdict) in [(0, RunVerdict::Valid), (1, RunVerdict::Invalid), (2, RunVerdict::Unknown)] {
            let mut results = Results { run_id: "RUN-ID".into(), exit_code: code, verdict, ..Results::default() };
            results.plan.name = "PLAN-NAME".into();
            fs::write(self.0.join(format!("{code}.json")), results.to_json()).expect("writable");
        }
        let text = format!(
            "#!/bin/sh\nname=$(basename \"$2\" .toml) out=$6\necho \"$name\" >> {here}/turns\nnth=$(grep -c \"^$name$\" {here}/turns)\n\
             results() {{ mkdir -p \"$out/$name/$name-$nth\"; \
             sed \"s/PLAN-NAME/$name/; s/RUN-ID/$name-$nth/\" {here}/$1.json | tee \"$out/$name/$name-$nth/results.json\"; exit $1; }}\n{script}\n"
        );
        let path = self.0.join("program");
        fs::write(&path, text).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        path
    }

    /// Returns the turns since the last call, in order.
    fn turns(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.join("turns")).unwrap_or_default();
        let _ = fs::remove_file(self.0.join("turns"));
        text.lines().map(str::to_owned).collect()
    }
}

fn matrix(more: &str) -> Matrix {
    let text = format!(
        "schema = \"heckle.plan/1\"\nname = \"n\"\n[load]\nduration = \"2s\"\nwarmup = \"0s\"\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"0s\"\n\
         [suite.axes]\nnodes = [1, 3, 5]\n{more}"
    );
    Matrix::of(&file::parse(&text, "p", crate::testing::SYSTEMS).expect("well-formed"), &crate::testing::of_matrix(), None, None)
        .expect("makes sense")
}

fn night(folder: &Folder, exe: &Path, matrix: &Matrix, budget: Option<Span>) -> SuiteState {
    let out = folder.0.join("runs");
    let begin = OpenOptions {
        out: &out,
        matrix,
        profile: None,
        shard: None,
        seed: Some(Seed(7)),
        fresh: true,
        now: UnixSeconds(1_000),
        build: BuildInfo::default(),
    };
    let mut book = SuiteState::open(&begin).expect("a new folder");
    let interrupted = drive(&mut book, matrix, &SuiteOptions { exe, out: &out, budget, show_progress: false }).expect("driven");
    book.suite.conclude(interrupted);
    book
}

#[test]
fn only_what_broke_is_tried_again_and_the_first_try_is_shown() {
    let folder = Folder::new("again");
    let exe = folder.program(
        "case $name-$nth in nodes-1-1) echo \"no disk left\" >&2; exit 4;; nodes-3-*) results 1;; nodes-5-*) results 2;; *) results 0;; esac",
    );
    let suite = night(&folder, &exe, &matrix(""), None).suite;
    assert_eq!(folder.turns(), ["nodes-1", "nodes-1", "nodes-3", "nodes-5"], "one breaks and runs again; a violation and a doubt stand");
    let counted_runs = |at: usize| suite.cells[at].runs.iter().map(|r| (r.run.exit_code, r.attempt, r.counted)).collect::<Vec<_>>();
    assert_eq!(counted_runs(0), [(4, 1, false), (0, 2, true)]);
    assert_eq!((counted_runs(1), counted_runs(2)), (vec![(1, 1, true)], vec![(2, 1, true)]));
    assert!(suite.cells[0].runs[0].run.reason.contains("no disk left"), "{:?}", suite.cells[0].runs[0].run.reason);
    let seeds: Vec<&str> = suite.cells[0].runs.iter().map(|r| r.run.seed.as_str()).collect();
    assert_eq!(suite.exit_code, 1, "{seeds:?}");
    for shown in [
        heckle_results::suite::summary::markdown(&suite),
        heckle_results::suite::summary::text(&suite, "here", 160, heckle_results::terminal::Colour::Never),
    ] {
        assert!(shown.contains("1 tried again") && shown.contains("no disk left"), "{shown}");
    }
}

#[test]
fn what_breaks_twice_is_broken() {
    let folder = Folder::new("twice");
    let exe = folder.program("exit 4");
    let suite = night(&folder, &exe, &matrix("[[suite.exclude]]\nnodes = 3\n[[suite.exclude]]\nnodes = 5\n"), None).suite;
    assert_eq!(folder.turns(), ["nodes-1", "nodes-1"]);
    assert_eq!((suite.exit_code, suite.cells[0].counted().count()), (4, 1), "{:?}", suite.reasons);
}

#[test]
fn under_a_budget_what_failed_comes_first_and_every_cell_gets_its_turn() {
    let folder = Folder::new("budget");
    // A cell without previous runs is estimated at 7 s, which does not fit into 6. A cell with previous runs is
    // estimated from their shorter duration.
    let exe = folder.program("case $name in nodes-5) results 2;; *) results 0;; esac");
    let all = matrix("");
    let first = night(&folder, &exe, &all, Some(Span::ms(6_000)));
    assert_eq!(folder.turns(), Vec::<String>::new(), "nothing fits");
    assert!(first.suite.cells.iter().all(|c| c.not_run.as_deref().is_some_and(|why| why.contains("budget"))));
    assert_eq!(first.suite.exit_code, 2, "a night in which nothing ran is not green");
    night(&folder, &exe, &all, None);
    assert_eq!(folder.turns(), ["nodes-1", "nodes-3", "nodes-5"]);
    night(&folder, &exe, &all, Some(Span::ms(6_000)));
    assert_eq!(folder.turns(), ["nodes-5", "nodes-1", "nodes-3"], "what failed last time, then what ran longest ago");
}
