//! The engines that judge: the one selected with `--checker` is used, and no other is started.

use heckle_checker::search::{InProcess, JudgeForeign, ModelKind, SearchReply, SearchRequest, SearchRunner, judge_foreign};
use heckle_checker::{Checker, Engine, Options, Verdict, judge};
use heckle_history::drawn;
use heckle_history::foreign::{Format, read};
use std::cell::Cell;

/// Runs searches and counts them.
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
    /// A history that writes a value twice, which the chain checker does not judge.
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

#[track_caller]
fn check_object(checker: Checker, edn: &str, verdict: Verdict, engine: Engine, searches: (u32, u32)) {
    let foreign = read(Format::JepsenEdn, edn.as_bytes()).expect("it is EDN");
    let (search, second) = (Counted::default(), Counted::default());
    let options = Options { checker, second: &second, ..Options::new(&search) };
    let how = JudgeForeign { model: ModelKind::Set, initial: None, lenient: false, strict: false, options };
    let report = judge_foreign(foreign, &how).expect("its ops are the model's").linearizability;
    let got = (report.verdict, report.keys[0].engine, (search.0.get(), second.0.get()));
    assert_eq!(got, (verdict, engine, searches), "{checker:?}: {report:#?}");
}

#[test]
#[rustfmt::skip] // A table.
fn sets_are_scanned_and_searched_where_the_scan_leaves_them_open() {
    const VALID: &str = "{:process 0 :type :invoke :f :add :value 1} {:process 0 :type :ok :f :add :value 1}";
    const INVALID: &str = "{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value [1]}";
    /// A history with a remove, which is left to the search.
    const OUTSIDE: &str = "{:process 0 :type :invoke :f :remove :value 1} {:process 0 :type :ok :f :remove :value false}";
    //           checker             history  verdict           engine          searches, second opinions
    check_object(Checker::Chain,     VALID,   Verdict::Valid,   Engine::Scan,   (0, 0));
    check_object(Checker::Chain,     INVALID, Verdict::Invalid, Engine::Scan,   (0, 0));
    check_object(Checker::Chain,     OUTSIDE, Verdict::Unknown, Engine::Scan,   (0, 0));
    check_object(Checker::Auto,      VALID,   Verdict::Valid,   Engine::Both,   (0, 1));
    check_object(Checker::Auto,      INVALID, Verdict::Invalid, Engine::Scan,   (0, 0));
    check_object(Checker::Auto,      OUTSIDE, Verdict::Valid,   Engine::Search, (1, 0));
    check_object(Checker::Both,      VALID,   Verdict::Valid,   Engine::Both,   (0, 1));
    check_object(Checker::Both,      INVALID, Verdict::Invalid, Engine::Both,   (0, 1));
    check_object(Checker::Porcupine, VALID,   Verdict::Valid,   Engine::Search, (1, 0));
}
