//! Every verdict has an explanation, which is compared with a golden file.

use heckle_results::conclude::Ending;
use heckle_results::gates::Expression;
use heckle_results::results_json::{Check, Coverage, CoverageRule, Expect, Results, RunVerdict, Status, Verdict};
use heckle_results::sample::{self, Sample};
use heckle_results::{explain, sample_results, schemas, terminal, terminal_report};
use std::path::Path;

/// Compares the text for a valid run with a `change` with `golden/NAME.txt`.
#[track_caller]
fn check_text(name: &str, ending: &Ending, verdict: RunVerdict, change: impl FnOnce(&mut Results)) {
    let mut results = sample_results::valid(&sample::history(Sample::default()));
    let named = |name: &str, words: &str| Check { name: name.into(), verdict: Verdict::Valid, words: words.into(), ..Check::default() };
    results.checks.push(named("vacuity", "4,211 of 8,100 ops were contended, at most 14 at once on one key"));
    results.checks.push(named("panics", "no panic, no unexpected exit"));
    change(&mut results);
    results.conclude(ending);
    assert_eq!(results.verdict, verdict, "{:?}", results.reasons);
    let text = explain::text(&results);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/explain/{name}.txt"));
    let bless = std::env::var_os("HECKLE_BLESS").is_some();
    if let Err(e) = schemas::compare(&path, &text, bless) {
        panic!("{e}\n{text}");
    }
    for width in [40, 100] {
        let explanation = terminal_report::explanation(&text, terminal_report::Width { letters: width, colour: terminal::Colour::Never });
        assert!(explanation.lines().all(|l| l.chars().count() <= width), "{explanation}");
    }
}

fn set(results: &mut Results, name: &str, verdict: Verdict, words: &str) {
    results.checks.retain(|c| c.name != name);
    results.checks.push(Check { name: name.into(), verdict, words: words.into(), ..Check::default() });
}

#[test]
fn a_valid_run_says_what_was_shown_and_what_would_have_been_caught() {
    check_text("valid", &Ending::Done, RunVerdict::Valid, |_| {});
}

#[test]
fn an_unknown_run_names_the_rule_and_what_to_change() {
    check_text("too-thin", &Ending::Done, RunVerdict::Unknown, |r| {
        r.faults.clear();
        set(
            r,
            "vacuity",
            Verdict::Unknown,
            "a valid verdict would mean little: 4 ops overlapped an update of another process on their key, 20 would be evidence",
        );
        let rule = |id: &str, need, got| CoverageRule { id: id.into(), need, got, passed: got >= need };
        r.coverage = Coverage { passed: false, rules: vec![rule("ok_cas", 10, 8), rule("ok_cas_during:partition", 1, 0)] };
    });
    check_text("fault-without-effect", &Ending::Done, RunVerdict::Unknown, |r| {
        r.faults[1].effective = false;
        let rule = CoverageRule { id: format!("fault_effective:{}", r.faults[1].kind), need: 1, got: 0, passed: false };
        r.coverage = Coverage { passed: false, rules: vec![rule] };
    });
    check_text("cut", &Ending::Done, RunVerdict::Unknown, |r| {
        r.history.problem = heckle_history::Completeness::Cut.problem();
    });
    check_text("search-limit", &Ending::Done, RunVerdict::Unknown, |r| {
        r.linearizability.verdict = Verdict::Unknown;
        r.linearizability.keys[0].verdict = Verdict::Unknown;
        r.linearizability.keys[0].note = Some("the search took longer than 30 s".into());
    });
    check_text("expected-and-not-found", &Ending::Done, RunVerdict::Unknown, |r| r.plan.expect = Expect::Invalid);
    check_text("interrupted", &Ending::Interrupted, RunVerdict::Unknown, |_| {});
}

#[test]
fn starvation_names_who_and_how_long() {
    check_text("starvation", &Ending::Done, RunVerdict::Unknown, |r| {
        let words = "client c3 (node n2) on k1 waited 6.10 s in calm over 41 attempts and never succeeded; 5.00 s is the limit";
        set(r, "starvation", Verdict::Invalid, words);
    });
}

#[test]
fn gates_errors_and_proofs_of_other_checks_are_explained() {
    check_text("gate-missed", &Ending::Done, RunVerdict::GateMissed, |r| {
        let gate: Expression = "p50_ms<0.0001".parse().expect("a gate");
        let gate = gate.evaluate(r);
        r.gates.push(gate);
    });
    let why = "the load was aborted at 12.000000 s, by --abort-on 'p99_ms>500 for 5s': p99_ms was 812 in the last of 5 seconds in a row";
    check_text("aborted", &Ending::Aborted(why.into()), RunVerdict::GateMissed, |r| r.load.aborted = Some(why.into()));
    let why = "n2 died without a fault (signal 9); see nodes/n2/node.log".to_owned();
    check_text("error", &Ending::Failed(why), RunVerdict::Error, |_| {});
    check_text("undone", &Ending::Done, RunVerdict::Invalid, |r| {
        let words = "626 acknowledged updates were undone on one key: on k1, 626 from op 12 to op 1433, acknowledged from 3.100000 s to \
                     8.900000 s; op 1434, invoked at 9.200000 s, still read 12";
        set(r, "acknowledged", Verdict::Invalid, words);
    });
}

#[test]
fn a_run_that_is_not_over_has_no_verdict_to_explain() {
    let text = explain::text(&Results { status: Status::Running, ..Results::default() });
    assert!(text.starts_with("No verdict yet") && text.contains("heckle check"), "{text}");
}
