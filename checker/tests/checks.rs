//! The checks other than linearizability, and the coverage rules. Each passes, fails and abstains when it should.

use heckle_checker::checks::{self, CheckResult, Limits};
use heckle_checker::coverage::{self, Rule};
use heckle_checker::{OnlineJudge, Verdict, bench};
use heckle_history::event::{FaultEvent, FaultState, NodeEvent};
use heckle_history::{History, Nanos, drawn};
use serde_json::json;

fn fault(history: &mut History, id: u64, kind: &str, target: &str, from_ms: u64, to_ms: u64, count: u64) {
    let mut event = |ms, state, count| {
        let evidence = [("count".to_owned(), json!(count))].into();
        history.faults.push(FaultEvent { id, t: Nanos::from_ms(ms), kind: kind.into(), targets: vec![target.into()], state, evidence });
        history.end = history.end.max(Nanos::from_ms(ms));
    };
    event(from_ms, FaultState::Began, 0);
    event(to_ms, FaultState::Ended, count);
}

fn node_event(history: &mut History, node: &str, ms: u64, what: &str) {
    let node = history.names.node(node);
    history.node_events.push(NodeEvent { t: Nanos::from_ms(ms), node, what: what.into(), detail: [].into() });
}

#[track_caller]
fn check(result: &CheckResult, verdict: Verdict, words: &str) {
    assert_eq!(result.verdict, verdict, "{result:#?}");
    assert!(result.words.contains(words), "{result:#?}");
}

#[test]
fn availability_separates_calm_from_faults() {
    let mut history = drawn::history("c1 |w 1-->n1  r 1-->n1 r 1----------------------?  r 1-->n2        r 1-->n1|");
    let calm = checks::availability::check(&history);
    check(&calm, Verdict::Valid, "during faults");
    let gap = calm.figure["longest_gap_calm_ms"].as_f64().unwrap();
    assert!(gap > 20.0, "{calm:#?}");
    // The same silence without any request is not an outage.
    let silent = checks::availability::check(&drawn::history("c1 |w 1-->n1  r 1-->n1                             r 1-->n2|"));
    assert_eq!(silent.figure["longest_gap_calm_ms"], json!(5.0), "{silent:#?}");
    fault(&mut history, 1, "pause", "n1", 20, 30, 1);
    let disturbed = checks::availability::check(&history);
    assert_eq!(disturbed.figure["longest_gap_faults_ms"].as_f64(), Some(gap), "{disturbed:#?}");
    assert!(disturbed.figure["longest_gap_calm_ms"].as_f64().unwrap() < gap, "{disturbed:#?}");
    check(&checks::availability::check(&drawn::history("c1 |w 1--?|")), Verdict::Unknown, "no op was answered");
}

#[test]
fn recovery_is_measured_from_the_end_of_each_fault() {
    let mut history = drawn::history("c1 |w 1-->              r 1---->        |\nc2@b|   w 2-->                r 2------> |");
    fault(&mut history, 1, "kill", "n1", 8, 16, 1);
    let result = checks::recovery::check(&history);
    check(&result, Verdict::Valid, "within 9.0 ms of being asked");
    assert_eq!(result.figure["recovery_max_ms"], json!(9.0), "the slower key counts: {result:#?}");
    fault(&mut history, 2, "kill", "n1", 39, 40, 1);
    check(&checks::recovery::check(&history), Verdict::Unknown, "kill (fault 2)");
}

#[test]
fn liveness_is_demanded_once_the_last_fault_is_over() {
    let bound = Nanos::from_ms(10);
    let mut good = drawn::history("c1 |w 1-->         r 1---->         |");
    fault(&mut good, 1, "kill", "n1", 2, 10, 1);
    check(&checks::liveness::check(&good, bound), Verdict::Valid, "within");
    let mut bad = drawn::history("c1 |w 1-->         r 1----?                |\nc2 |                       r 1--?            w 5--?|");
    fault(&mut bad, 1, "kill", "n1", 2, 10, 1);
    check(&checks::liveness::check(&bad, bound), Verdict::Invalid, "k1");
    let mut short = drawn::history("c1 |w 1-->       r 1--?|");
    fault(&mut short, 1, "kill", "n1", 2, 10, 1);
    check(&checks::liveness::check(&short, bound), Verdict::Unknown, "k1");
}

#[test]
fn a_lost_acknowledged_update_is_no_durable_one() {
    check(
        &checks::durability::check(&drawn::history("c1 |w 1-->  w 2-->  r 2-->|")),
        Verdict::Valid,
        "no final read (1) saw a value older",
    );
    check(&checks::durability::check(&drawn::history("c1 |w 1-->  w 2-->  r 1-->|")), Verdict::Invalid, "op 1 was acknowledged");
    check(&checks::durability::check(&drawn::history("c1 |w 1-->  r null-->|")), Verdict::Invalid, "afterwards read null");
    check(&checks::durability::check(&drawn::history("c1 |w 1-->  w 2-->|")), Verdict::Unknown, "not read after");
    check(&checks::durability::check(&drawn::history("c1 |r null-->|")), Verdict::Unknown, "no update");
    // The last update may have an unknown outcome.
    check(&checks::durability::check(&drawn::history("c1 |w 1--?  w 2-->  r 1-->|")), Verdict::Valid, "no final read");
}

#[test]
fn crashes_and_exits_without_a_fault_are_found() {
    let quiet = "c1 |w 1-->                                      r 1-->|";
    let crash = |history: &History, verdict, words| check(&checks::crash::check(history), verdict, words);
    let mut history = drawn::history(quiet);
    crash(&history, Verdict::Valid, "no node crashed");
    fault(&mut history, 1, "kill", "n2", 10, 20, 1);
    node_event(&mut history, "n2", 11, "exit");
    crash(&history, Verdict::Valid, "no node crashed");
    node_event(&mut history, "n1", 11, "exit");
    crash(&history, Verdict::Unknown, "n1 ended at");
    let mut history = drawn::history(quiet);
    fault(&mut history, 1, "partition", "n2", 10, 20, 1);
    node_event(&mut history, "n2", 11, "exit");
    crash(&history, Verdict::Unknown, "how it ended is not known");
    node_event(&mut history, "n3", 12, "panic");
    crash(&history, Verdict::Invalid, "n3 crashed at");
}

/// Adds the end of a process in the form recorded by the harness.
fn ended(history: &mut History, node: &str, t: u64, phase: &str, facts: &[(&str, serde_json::Value)]) {
    node_event(history, node, t, "exit");
    let detail = &mut history.node_events.last_mut().expect("just added").detail;
    detail.insert("phase".into(), phase.into());
    detail.insert("expected".into(), (phase == "asked").into());
    detail.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
}

#[test]
fn the_recorded_end_of_a_process_decides_whether_it_crashed() {
    let of = |phase: &str, facts: &[(&str, serde_json::Value)]| {
        let mut history = drawn::history("c1 |w 1-->                                      r 1-->|");
        fault(&mut history, 7, "loss", "n1", 10, 12, 1);
        ended(&mut history, "n2", 11, phase, facts);
        history
    };
    let said = "panicked at acceptor.rs:419: accepted 5 is above the promise 4";
    let history = of("serving", &[("signal", 6.into()), ("said", said.into()), ("log", serde_json::json!(["ready", "event=panic"]))]);
    check(&checks::crash::check(&history), Verdict::Invalid, said);
    let crash = &checks::crash::crashes(&history)[0];
    let text = checks::crash::text(1, crash);
    for part in ["Violation 1: crash of n2", "signal 6 (SIGABRT)", said, "event=panic", "loss n1"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    check(&checks::crash::check(&of("asked", &[("signal", 9.into())])), Verdict::Valid, "no node crashed");
    check(&checks::crash::check(&of("asked", &[("signal", 6.into())])), Verdict::Invalid, "crashed while it stopped");
    check(&checks::crash::check(&of("restart", &[("code", 65.into())])), Verdict::Invalid, "refused its own data");
    check(&checks::crash::check(&of("restart", &[("code", 64.into())])), Verdict::Unknown, "n2 could not start");
    check(&checks::crash::check(&of("serving", &[("signal", 9.into())])), Verdict::Unknown, "a signal from outside");
    // The record of an older harness.
    check(&checks::crash::check(&of("", &[("how", "signal 6".into())])), Verdict::Invalid, "n2 crashed");
    check(&checks::crash::check(&of("", &[("how", "exit code 101".into())])), Verdict::Invalid, "n2 crashed");
    let mut disk = of("serving", &[("code", 74.into())]);
    check(&checks::crash::check(&disk), Verdict::Unknown, "its disk failed");
    fault(&mut disk, 8, "disk:error", "n2", 10, 12, 1);
    check(&checks::crash::check(&disk), Verdict::Valid, "no node crashed");
    let mut away = drawn::history("c1 |w 1-->  r 1-->|");
    node_event(&mut away, "n1", 3, "start_failed");
    check(&checks::crash::check(&away), Verdict::Unknown, "n1 could not come back");
}

#[test]
fn decisions_left_to_prune_are_a_leak() {
    let quiet = drawn::history("c1 |w 1-->  r 1-->|");
    check(&checks::state::check(&quiet), Verdict::Valid, "no node reported its state in calm");
    let reported = |slots: u64, dropped: u64, calm: bool| {
        let mut history = quiet.clone();
        for (node, slots) in [("n1", 0), ("n2", slots)] {
            node_event(&mut history, node, 20, "state");
            let detail = &mut history.node_events.last_mut().expect("just pushed").detail;
            detail.extend([("prune_queue".to_owned(), json!(slots)), ("prune_dropped".to_owned(), json!(dropped))]);
            if calm {
                detail.insert("calm".to_owned(), json!(true));
            }
        }
        checks::state::check(&history)
    };
    check(&reported(0, 0, true), Verdict::Valid, "no decision was left to prune on 2 nodes");
    check(&reported(7, 0, true), Verdict::Invalid, "n2 still keeps 7 decisions to prune");
    // Under load, some ops always wait.
    check(&reported(7, 0, false), Verdict::Valid, "no node reported its state in calm");
    check(&reported(0, 9, true), Verdict::Valid, "18 decisions found the queue full");
}

#[test]
fn a_history_without_contention_is_vacuous() {
    let lonely = drawn::history("c1 |w 1-->  r 1-->|");
    check(&checks::vacuity::check(&lonely, true), Verdict::Unknown, "would mean little");
    check(&checks::vacuity::check(&lonely, false), Verdict::Valid, "warning");
    let busy = bench::history(bench::Shape::contended(300, 5, 0.05));
    check(&checks::vacuity::check(&busy, true), Verdict::Valid, "were contended");
    // A single process is never contended, no matter how many ops it runs.
    let alone = bench::history(bench::Shape::contended(300, 1, 0.0));
    check(&checks::vacuity::check(&alone, true), Verdict::Unknown, "0 ops overlapped");
}

/// A lease reported by its holder: node, event, range, from, until, time of the report, whether it allows reads.
type Report = (&'static str, &'static str, u64, u64, u64, u64, bool);

fn with_leases(reports: &[Report]) -> History {
    let mut history = drawn::history("c1 |w 1-->  r 1-->|");
    for (name, what, range, from, until, at, reads) in reports.iter().copied() {
        let node = history.names.node(name);
        let detail = [("range", range.into()), ("from_ns", from.into()), ("until_ns", until.into()), ("reads", reads.into())];
        let detail = detail.into_iter().map(|(k, v): (&str, serde_json::Value)| (k.to_owned(), v)).collect();
        history.node_events.push(NodeEvent { t: Nanos(at), node, what: what.into(), detail });
    }
    history
}

#[test]
fn two_holders_of_one_range_at_a_time_are_found() {
    let lease = |node, what, from, until, at| (node, what, 0, from, until, at, true);
    let one = lease("n1", "lease_acquired", 100, 200, 100);
    for (reports, verdict, words) in [
        (vec![], Verdict::Valid, "no node reported a lease"),
        (vec![one, lease("n2", "lease_acquired", 200, 300, 200)], Verdict::Valid, "never two"),
        (vec![one, lease("n2", "lease_acquired", 199, 300, 199)], Verdict::Invalid, "n1 and n2 both held the read lease on range 0"),
        // A different range, then the same node again.
        (vec![one, ("n2", "lease_acquired", 1, 150, 300, 150, true)], Verdict::Valid, "never two"),
        (vec![one, lease("n1", "lease_acquired", 150, 300, 150)], Verdict::Valid, "never two"),
        // An extension lengthens the lease; a release ends it.
        (
            vec![one, lease("n1", "lease_extended", 100, 400, 150), lease("n2", "lease_acquired", 300, 350, 300)],
            Verdict::Invalid,
            "both held the read lease",
        ),
        (vec![one, lease("n1", "lease_ended", 100, 150, 150), lease("n2", "lease_acquired", 160, 300, 160)], Verdict::Valid, "2 tenures"),
        // A process that has exited holds no lease.
        (vec![one, ("n1", "exit", 0, 0, 0, 120, true), lease("n2", "lease_acquired", 130, 300, 130)], Verdict::Valid, "2 tenures"),
        // A progress lease: an overlap breaks no safety property, but is still a bug.
        (
            vec![("n1", "lease_acquired", 0, 100, 200, 100, false), ("n2", "lease_acquired", 0, 150, 300, 150, false)],
            Verdict::Unknown,
            "both held the lease",
        ),
    ] {
        check(&checks::lease_overlap::check(&with_leases(&reports)), verdict, words);
    }
}

#[test]
fn every_check_has_a_name_and_words() {
    let mut history = bench::history(bench::Shape::contended(300, 5, 0.05));
    history.names.node("n1");
    let names: Vec<&str> = checks::all(&history, &Limits::default()).iter().map(|c| c.name).collect();
    assert_eq!(names, ["availability", "recovery", "liveness", "durability", "acknowledged", "crash", "lease_overlap", "state", "vacuity"]);
    assert!(checks::all(&history, &Limits::default()).iter().all(|c| !c.words.is_empty()));
}

#[test]
fn a_system_is_held_to_its_own_checks_alone() {
    let with = |named: &[&str]| {
        let mut history = drawn::history("c1 |w 1-->  |");
        history.header.system_checks = Some(named.iter().map(|n| (*n).to_owned()).collect());
        let all = checks::all(&history, &Limits::default());
        let of_system = |c: &CheckResult| ["lease_overlap", "system_checks"].contains(&c.name);
        all.into_iter().filter(of_system).map(|c| (c.name, c.verdict)).collect::<Vec<_>>()
    };
    assert_eq!(with(&[]), []);
    assert_eq!(with(&["lease_overlap"]), [("lease_overlap", Verdict::Valid)]);
    let newer = with(&["lease_overlap", "watch_order"]);
    assert_eq!(newer, [("lease_overlap", Verdict::Valid), ("system_checks", Verdict::Unknown)], "what was not checked is unknown");
}

#[test]
fn coverage_counts_what_the_rules_ask_for() {
    let mut history = drawn::history(
        "c1 |cas null 1-->   cas 1 2-->   cas 2 3-->        |
         c2 |                                       r 3-->  |",
    );
    fault(&mut history, 1, "partition", "n1|n2,n3", 14, 30, 9);
    fault(&mut history, 2, "kill", "n1", 32, 40, 0);
    let got = |id: &str, need: u64| {
        let coverage = coverage::evaluate(&history, &[Rule::new(id, need)]);
        (coverage.rules[0].got, coverage.passed)
    };
    assert_eq!(got("ok_cas", 3), (3, true));
    assert_eq!(got("ok_cas", 4), (3, false));
    assert_eq!(got("applied_cas", 3), (3, true));
    assert_eq!(got("ok_reads", 1), (1, true));
    assert_eq!(got("ok_writes", 1), (0, false));
    assert_eq!(got("ok_cas_during:partition", 1), (1, true));
    assert_eq!(got("ok_after_heal:kill", 1), (1, true));
    assert_eq!(got("fault_effective:partition", 1), (1, true));
    assert_eq!(got("fault_effective:kill", 1), (0, false), "a fault whose count is zero had no effect");
    assert_eq!(got("fault_effective:pause", 1), (0, false), "a fault that never came");
    assert_eq!(got("ok_cass", 1), (0, false), "an unknown rule is missed, not skipped");
    let coverage = coverage::evaluate(&history, &[Rule::new("ok_cas", 1), Rule::new("ok_cas", 9)]);
    assert_eq!((coverage.verdict(), coverage.missed()), (Verdict::Unknown, vec!["coverage `ok_cas`: 3 of 9 needed".to_owned()]));
    assert_eq!(coverage::evaluate(&history, &[]).verdict(), Verdict::Valid);
    // The harness states which figures show an effect.
    for event in history.faults.iter_mut().filter(|event| event.id == 1 && event.state == FaultState::Ended) {
        event.evidence.insert(coverage::EFFECTIVE.into(), json!(false));
    }
    let other_counts = coverage::evaluate(&history, &[Rule::new("fault_effective:partition", 1)]);
    assert_eq!((other_counts.rules[0].got, other_counts.verdict()), (0, Verdict::Unknown));
    // The only read comes after the load: even an idle run has final reads.
    history.header.load_window = Some((0, 30_000_000));
    assert_eq!(coverage::evaluate(&history, &[Rule::new("ok_reads", 1)]).rules[0].got, 0);
}

#[test]
fn generated_histories_are_valid_and_the_injected_read_is_stale() {
    use heckle_checker::{Options, ViolationKind, judge, search::NoSearch};
    for (unknown, processes) in [(0.0, 10), (0.05, 10), (0.3, 50)] {
        let mut shape = bench::Shape::contended(2_000, processes, unknown);
        let verdict = |history: &History| judge(history, &Options::new(&NoSearch)).linearizability;
        assert_eq!(verdict(&bench::history(shape)).verdict, Verdict::Valid);
        shape.stale_read = true;
        let history = bench::history(shape);
        let report = verdict(&history);
        assert_eq!((report.verdict, report.violations[0].kind), (Verdict::Invalid, ViolationKind::StaleRead), "{report:#?}");
        let mut online = OnlineJudge::new();
        let alarms = bench::events(&history).filter_map(|e| online.feed(&e, &history.names)).count();
        assert_eq!(alarms, 1, "the online judge finds it too");
    }
}
