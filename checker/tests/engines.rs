//! Which engines judge: what `--checker` asks for is used, and nothing else is started.

use heckle_checker::search::{InProcess, JudgeForeign, ModelKind, SearchReply, SearchRequest, SearchRunner, judge_foreign};
use heckle_checker::{Checker, Engine, Options, Verdict, judge};
use heckle_history::drawn;
use heckle_history::foreign::{Format, read};
use std::cell::Cell;

/// Searches, and counts how often.
#[derive(Default)]
struct Counted(Cell<u32>);

impl SearchRunner for Counted {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        self.0.set(self.0.get() + 1);
        InProcess.run(request)
    }
}

#[track_caller]
fn check_register(checker: Checker, drawing: &str, verdict: Verdict, engine: Engine, searches: u32) {
    let (search, second) = (Counted::default(), Counted::default());
    let options = Options { checker, second: &second, ..Options::new(&search) };
    let report = judge(&drawn::history(drawing), &options).linearizability;
    let started = search.0.get() + second.0.get();
    assert_eq!((report.verdict, report.keys[0].engine, started), (verdict, engine, searches), "{checker:?}: {report:#?}");
}

#[test]
#[rustfmt::skip] // A table.
fn each_checker_starts_the_searches_it_names_and_no_other() {
    const VALID: &str = "c1 |w 1--> r 1-->|";
    const INVALID: &str = "c1 |w 1--> r 2-->|";
    /// A value is written twice, which the chain checker does not judge.
    const OUTSIDE: &str = "c1 |w 1--> w 1--> r 1-->|";
    const FATE: &str = "c1  |w 1--->   cas 1 2---?                 |
                        c2  |                        r 2-->        |
                        fate|                              2=applied|";
    //             checker             history  verdict            engine          searches
    check_register(Checker::Chain,     VALID,   Verdict::Valid,    Engine::Chain,  0);
    check_register(Checker::Chain,     INVALID, Verdict::Invalid,  Engine::Chain,  0);
    check_register(Checker::Chain,     OUTSIDE, Verdict::Unknown,  Engine::Chain,  0);
    check_register(Checker::Chain,     FATE,    Verdict::Valid,    Engine::Chain,  0);
    check_register(Checker::Auto,      VALID,   Verdict::Valid,    Engine::Both,   1);
    check_register(Checker::Auto,      INVALID, Verdict::Invalid,  Engine::Chain,  0);
    check_register(Checker::Auto,      OUTSIDE, Verdict::Valid,    Engine::Search, 1);
    check_register(Checker::Both,      VALID,   Verdict::Valid,    Engine::Both,   1);
    check_register(Checker::Porcupine, VALID,   Verdict::Valid,    Engine::Search, 1);
}

#[test]
fn a_model_that_the_chain_checker_does_not_know_is_unknown_to_it() {
    let set = "{:process 0 :type :invoke :f :add :value 1} {:process 0 :type :ok :f :add :value 1}";
    let queue = "{:process 0 :type :invoke :f :enqueue :value 1} {:process 0 :type :ok :f :enqueue :value 1}";
    for (model, edn) in [(ModelKind::Set, set), (ModelKind::Queue, queue), (ModelKind::Counter, set)] {
        for (checker, verdict, searches) in [(Checker::Chain, Verdict::Unknown, 0), (Checker::Auto, Verdict::Valid, 1)] {
            let foreign = read(Format::JepsenEdn, edn.as_bytes()).expect("it is EDN");
            let search = Counted::default();
            let options = Options { checker, ..Options::new(&search) };
            let how = JudgeForeign { model, initial: None, lenient: false, strict: false, options };
            let report = judge_foreign(foreign, &how).expect("its ops are the model's").linearizability;
            assert_eq!((report.verdict, search.0.get()), (verdict, searches), "{model:?} by {checker:?}: {report:#?}");
        }
    }
}
