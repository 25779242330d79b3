//! The differential comparison finds a wrong engine, no matter which engine it is.

use heckle_checker::Verdict;
use heckle_checker::differential::{Case, Engines, case, compare, file_events};
use heckle_history::operation::{History, Keep};
use heckle_history::prng::Seed;
use heckle_history::writer::write_plain;
use heckle_history::{Header, Outcome, Seen};

/// Returns the verdict of the replaced engine, but considers a history valid if a read saw nothing.
fn wrong(history: &History, fates: bool) -> Result<Verdict, String> {
    let nothing = history.ops.iter().any(|o| o.outcome == Outcome::Ok(Seen::Value(None)));
    if nothing { Ok(Verdict::Valid) } else { (Engines::default().brute)(history, fates) }
}

fn shrugs(_: &History, _: bool) -> Result<Verdict, String> {
    Err("no answer".to_owned())
}

#[track_caller]
fn found(engines: Engines, word: &str) {
    let wrong = (0..500).find_map(|n| compare(&case(Seed(7), n), &engines).err());
    let words = wrong.expect("the planted error is found");
    assert!(words.contains(word), "{words}");
}

#[test]
fn an_engine_that_is_wrong_is_found_whichever_it_is() {
    found(Engines { chain: wrong, ..Engines::default() }, "chain checker valid, brute force invalid");
    found(Engines { brute: wrong, ..Engines::default() }, "brute force valid");
    found(Engines { porcupine: wrong, ..Engines::default() }, "porcupine-rs valid");
    found(Engines { brute: shrugs, ..Engines::default() }, "brute force error: no answer");
}

#[test]
fn a_case_is_its_seed_and_number_and_its_file_asks_the_same() {
    let mut verdicts = vec![];
    for n in 0..400 {
        let drawn: Case = case(Seed(3), n);
        assert_eq!(drawn.history.ops, case(Seed(3), n).history.ops);
        let verdict = compare(&drawn, &Engines::default()).unwrap_or_else(|e| panic!("case {n}: {e}"));
        let mut file = vec![];
        write_plain(&mut file, &Header::default(), &drawn.history.names, &file_events(&drawn)).expect("memory");
        let history = History::read(&file[..], Keep::OpsOnly).unwrap_or_else(|e| panic!("case {n}: {e}"));
        assert_eq!(compare(&Case { history, ..drawn }, &Engines::default()), Ok(verdict), "case {n}");
        verdicts.push(verdict);
    }
    for verdict in [Verdict::Valid, Verdict::Invalid, Verdict::Unknown] {
        assert!(verdicts.contains(&verdict), "no case is {verdict}");
    }
}
