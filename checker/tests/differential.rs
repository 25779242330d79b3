//! Compares the chain checker with brute force and porcupine-rs on small random histories.
//!
//! `cargo test` draws tens of thousands of cases; `HECKLE_DIFF_CASES=5000000 cargo test --release -p heckle-checker
//! --test differential` draws millions. A failure prints the case and the history.

mod common;

use common::{DrawParams, cases, question, random, show, stream};
use heckle_checker::linearizable::certificate::Certificate;
use heckle_checker::search::{NoSearch, SearchAnswer, brute, porcupine};
use heckle_checker::{Checker, Options, Verdict, judge};
use heckle_history::History;

const STEPS: u64 = 20_000_000;

/// How often each verdict occurred. If one of them never occurs, the test proves nothing.
#[derive(Debug, Default)]
struct Tally {
    valid: u64,
    invalid: u64,
    undecided: u64,
}

#[track_caller]
fn compare(test: &str, n: u64, history: &History, fates: bool, tally: &mut Tally) {
    let options = Options { checker: Checker::Chain, use_fates: fates, ..Options::new(&NoSearch) };
    let judgement = judge(history, &options);
    let question = question(history, fates);
    let truth = match brute::order(&question, STEPS).expect("small histories are decided") {
        Some(_) => Verdict::Valid,
        None => Verdict::Invalid,
    };
    let context = || format!("test {test}, case {n}, fates {fates}\n{}\n{judgement:#?}", show(history));
    let report = &judgement.linearizability;
    match report.verdict {
        Verdict::Unknown => {
            assert!(report.keys[0].outside.is_some(), "unknown, and not because the history is outside: {}", context());
            tally.undecided += 1;
            return;
        }
        Verdict::Valid => tally.valid += 1,
        Verdict::Invalid => {
            tally.invalid += 1;
            assert!(report.violations[0].certified, "brute force does not refute the ops of the contradiction: {}", context());
            assert!(!report.violations[0].explanation.summary.is_empty(), "no words: {}", context());
        }
    }
    assert_eq!(report.verdict, truth, "the chain checker and brute force differ: {}", context());
    let theirs = porcupine::search(&question).answer;
    assert_eq!(theirs == SearchAnswer::Valid, truth == Verdict::Valid, "porcupine-rs and brute force differ: {}", context());
    // `judge` returns only certificates that its verifier accepted. The order must also satisfy the model of brute
    // force.
    if !history.ops.is_empty() {
        assert_eq!(judgement.certificates.len(), 1, "{}", context());
        let valid = matches!(judgement.certificates[0].1, Certificate::Valid(_));
        assert_eq!(valid, truth == Verdict::Valid, "{}", context());
    }
}

fn run(test: &str, spice: DrawParams, default: u64) -> Tally {
    let mut tally = Tally::default();
    for n in 0..cases(default) {
        let history = random(&mut stream(test, n), spice);
        compare(test, n, &history, spice.fates, &mut tally);
    }
    println!("{test}: {tally:?}");
    assert!(tally.valid > 0 && tally.invalid > 0, "{test}: {tally:?}");
    tally
}

#[test]
fn agrees_on_histories_with_unknown_outcomes() {
    let tally = run("unknowns", DrawParams { ops: 10, silent: false, fates: false }, 40_000);
    assert_eq!(tally.undecided, 0, "every one of these is inside the fragment");
}

#[test]
fn agrees_on_histories_with_fates() {
    let tally = run("fates", DrawParams { ops: 10, silent: false, fates: true }, 30_000);
    assert_eq!(tally.undecided, 0, "every one of these is inside the fragment");
}

#[test]
fn agrees_on_longer_histories() {
    run("longer", DrawParams { ops: 16, silent: false, fates: true }, 10_000);
}

#[test]
fn never_guesses_where_refusals_are_silent() {
    let tally = run("silent", DrawParams { ops: 10, silent: true, fates: true }, 30_000);
    assert!(tally.undecided > 0, "some of these cannot be decided without search: {tally:?}");
}
