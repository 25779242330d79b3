//! Plans, run folders and suites of earlier releases remain readable. The files are in `harness/cli/tests/earlier`.

use crate::common::*;
use heckle::plan::settings::Settings;
use heckle::plan::{Plan, file};
use std::path::{Path, PathBuf};

fn earlier() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a writable folder");
    for entry in std::fs::read_dir(from).expect("kept").map(|entry| entry.expect("readable").path()) {
        std::fs::copy(&entry, to.join(entry.file_name().expect("a name"))).expect("a writable folder");
    }
}

#[test]
fn runs_of_an_earlier_release_are_judged_listed_and_drawn_as_then() {
    let folder = Folder::new();
    let runs = folder.path().join("results/runs");
    for (kind, code) in [("valid", 0), ("invalid", 1)] {
        let run = runs.join(kind).join(format!("20261130T113514Z-000{code}"));
        copy(&earlier().join(kind), &run);
        let words = run.to_str().expect("UTF-8");
        let output = said(&expect_code(&folder, &["check", words], code));
        assert!(output.contains(&format!("verdict: {kind}")), "{output}");
        expect_code(&folder, &["report", words], 0);
        for file in ["report.html", "plots/latency-raw.png"] {
            assert!(run.join(file).is_file(), "{kind}: {file}");
        }
        assert!(said(&expect_code(&folder, &["show", words], 0)).to_lowercase().contains(kind), "{kind}");
        expect_code(&folder, &["explain", words], 0);
    }
    let list = said(&expect_code(&folder, &["list"], 0));
    assert!(list.contains("earlier") && list.contains("invalid"), "{list}");
}

#[test]
fn suites_of_an_earlier_release_have_a_trend() {
    let folder = Folder::new();
    for (kept, id) in [("suite-1", "20261130T113551Z-40a4"), ("suite-2", "20261130T113559Z-32a6")] {
        copy(&earlier().join(kept), &folder.path().join("results/runs/earlier-suite").join(id));
    }
    let output = said(&expect_code(&folder, &["trend", "earlier-suite"], 0));
    assert!(output.contains("2026-11-30T11:35:51Z") && output.contains("2026-11-30T11:35:59Z"), "{output}");
}

/// Old plans keep their meaning: system settings in `[cluster]`, and faults in `[[strike]]`.
#[test]
fn plans_of_an_earlier_release_resolve_as_then() {
    let mut read = 0;
    for path in std::fs::read_dir(earlier().join("plans")).expect("kept").map(|entry| entry.expect("readable").path()) {
        let text = std::fs::read_to_string(&path).expect("readable");
        // The plans that exposed planted bugs had no `schema` key, because they were merged into other plans.
        let text = if text.contains("schema =") { text } else { format!("schema = \"{}\"\n{text}", file::SCHEMA) };
        let settings: Settings = file::parse(&text, &path.display().to_string(), heckle::systems::all()).unwrap_or_else(|e| panic!("{e}"));
        if settings.suite.is_none() {
            Plan::resolve(&settings, heckle::systems::all()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        read += 1;
    }
    assert!(read >= 7, "{read} plans");
    let resolved = std::fs::read_to_string(earlier().join("valid/plan.resolved.toml")).expect("kept");
    let plan = Plan::resolve(&file::parse(&resolved, "earlier", heckle::systems::all()).expect("well-formed"), heckle::systems::all())
        .expect("makes sense");
    let of_system = plan.system.settings();
    for (key, value) in [("rounds", "fast"), ("lease", "read"), ("lease_time", "500ms"), ("queue", "fifo")] {
        assert_eq!(of_system[key].as_str(), Some(value), "{key}");
    }
    assert_eq!(plan.injections.len(), 1);
    assert_eq!(plan.injections[0].fault.name(), "kill");
}

#[test]
fn a_plan_with_settings_in_the_old_place_says_where_they_belong() {
    let folder = Folder::new();
    let plan = folder.path().join("old.toml");
    std::fs::write(&plan, "schema = \"heckle.plan/1\"\n[cluster]\nrounds = \"fst\"\n").expect("a writable folder");
    let output = said(&expect_code(&folder, &["run", "old.toml"], 64));
    assert!(
        output.contains("rounds in [cluster]") && output.contains("[system.paxos]") && output.contains("did you mean `fast`"),
        "{output}"
    );
}

#[test]
fn flags_by_their_earlier_names_are_still_taken() {
    let folder = Folder::new();
    // The last flag does not fit this workload, and the error uses its new name, so all three were parsed.
    let output = said(&expect_code(&folder, &["run", "--slow-clock", "none", "--far", "0s", "--patience", "1s"], 64));
    assert!(output.contains("leave out intent_timeout"), "{output}");
}
