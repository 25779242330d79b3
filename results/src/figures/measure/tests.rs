use super::*;
use crate::faults::Recovery;
use crate::results_json::OpCounts;
use heckle_history::drawn;
use heckle_history::event::{Completion, Event, FaultEvent, FaultState, Header, Invoke};
use heckle_history::{Call, Measure, Names, NodeIx, OpId, ProcessId, Value};

/// Returns a history of ops with one process each, which are due, sent and answered at these times, in milliseconds.
/// `None` is an unknown outcome at 1 s.
fn history(header: Header, ops: &[(u64, u64, Option<u64>)]) -> History {
    let mut names = Names::default();
    let (key, node) = (names.key("k1"), names.node("n1"));
    let mut events = vec![];
    for (i, (due, sent, answered)) in (0u64..).zip(ops) {
        let (op, call) = (OpId(i), Call::Write { new: Value(i as i64 + 1) });
        let (t, intended) = (Nanos::from_ms(*sent), Some(Nanos::from_ms(*due)));
        let process = ProcessId(i as u32);
        events.push(Event::Invoke(Invoke { intended, node: Some(node), ..Invoke::new(op, process, t, key, call) }));
        events.push(match answered {
            Some(ms) => {
                let t = Nanos::from_ms(*ms);
                Event::Ok(Completion { op, t, seen: Seen::Written, node: Some(node), reason: None, diagnostics: None })
            }
            None => {
                let t = Nanos::from_ms(sent + 1_000);
                Event::Unknown(Completion { op, t, seen: (), node: Some(node), reason: None, diagnostics: None })
            }
        });
    }
    events.sort_by_key(|e| (e.t(), !matches!(e, Event::Invoke(_))));
    // Ids follow the order of invokes, as a recorder assigns them.
    History::from_events(header, names, events).unwrap()
}

fn window(start_ms: u64, end_ms: u64) -> Header {
    Header { load_window: Some((start_ms * 1_000_000, end_ms * 1_000_000)), ..Header::default() }
}

#[test]
fn percentiles_of_a_known_history() {
    // Latencies of 1, 2, … 1000 ms: percentiles are exact to the width of a bucket, a thousandth.
    let ops: Vec<_> = (1..=1_000u64).map(|ms| (ms, ms, Some(2 * ms))).collect();
    let measured = analyze(&history(window(0, 2_000), &ops));
    let p = measured.latency_ms[ALL].from_intended;
    for (got, want) in [(p.p50, 500.0), (p.p90, 900.0), (p.p99, 990.0), (p.p999, 999.0), (p.max, 1_000.0)] {
        assert!((got / want - 1.0f64).abs() < 0.001, "{got} for {want}");
    }
    assert_eq!(p.max, 1_000.0, "never above the slowest op");
    assert_eq!(measured.latency_ms["write"], measured.latency_ms[ALL]);
}

#[test]
fn a_stall_counts_from_when_ops_were_due() {
    // The cluster stalls for a second. Ten ops that are due during the stall are sent afterwards, and answered within a millisecond.
    let ops: Vec<_> = (0..10u64).map(|i| (i * 100, 1_000, Some(1_001))).collect();
    let all = analyze(&history(window(0, 2_000), &ops)).latency_ms[ALL].clone();
    assert!(all.from_invoked.max <= 1.001, "{all:?}");
    assert!(all.from_intended.p50 > 500.0 && all.from_intended.max > 999.0, "{all:?}");
}

#[test]
fn unknown_outcomes_are_counted_and_not_mixed_in() {
    let all = analyze(&history(window(0, 100), &[(0, 0, Some(2)), (1, 1, None), (2, 2, None)])).latency_ms[ALL].clone();
    assert_eq!((all.ok, all.censored, all.from_intended.max), (1, 2, 2.0));
}

#[test]
fn warm_up_and_tail_are_counted_and_not_timed() {
    let measured =
        analyze(&history(window(100, 200), &[(0, 0, Some(90)), (100, 100, Some(101)), (199, 199, Some(201)), (200, 200, Some(290))]));
    assert_eq!((measured.whole.ops.invoked, measured.in_window.ops.invoked), (4, 2));
    assert_eq!(measured.latency_ms[ALL].ok, 2);
    assert_eq!(measured.load.achieved_per_s, 20.0, "two ops in a tenth of a second");
}

#[test]
fn outcomes_are_distinguished() {
    let measured = analyze(&drawn::history(
        "c1 |w 1--> cas 1 2--> cas 1 3 saw 2--> |
         c2 |   r 2--!   r 2--> cas 2 9---?     |
         c3 |        w 8------                  |",
    ));
    let want = OpCounts { invoked: 7, ok: 4, applied: 3, condition_not_met: 1, failed: 1, unknown: 2, open: 1 };
    assert_eq!(measured.whole.ops, want);
}

#[test]
fn late_is_what_the_harness_did_and_not_what_the_limit_did() {
    // Two of the four ops are sent 6 ms and 5 ms after they were due: more than 5 ms counts as late.
    let ops = [(0, 6, Some(7)), (10, 15, Some(16)), (20, 20, Some(21)), (30, 30, Some(31))];
    assert_eq!(analyze(&history(window(0, 40), &ops)).load.late_ratio, 0.25);
    // With at most one op in flight, the second op waits for the first, which is not the harness's fault.
    let ops = [(0, 0, Some(50)), (10, 50, Some(51)), (60, 70, Some(71))];
    let mut header = window(0, 100);
    assert!((analyze(&history(header.clone(), &ops)).load.late_ratio - 2.0 / 3.0).abs() < 1e-5);
    header.more.insert("max_in_flight".into(), 1.into());
    assert!((analyze(&history(header, &ops)).load.late_ratio - 1.0 / 3.0).abs() < 1e-5);
}

/// An intent counts once: its attempts count neither as due nor as late.
#[test]
fn a_rate_of_intents_is_compared_with_intents() {
    // Intent 1 needs three attempts, intent 2 one; a column is a millisecond.
    let mut history = drawn::history(
        "c1 |cas 1 2 i1-? cas 1 3 i1->  cas 1 4 i1-> |
         c2 |   cas 1 5 i2->                         |",
    );
    history.header.load_window = Some((0, 38_000_000));
    let load = analyze(&history).load;
    assert_eq!((load.unit, load.sent, load.begun), (LoadUnit::Intent, 4, 2), "{load:?}");
    assert_eq!((load.achieved_per_s, load.begun_per_s), (105.3, 52.6));
    let mut results = Results::default();
    results.load.target_per_s = Some(52.6);
    results.set_measured(&analyze(&history), &history);
    assert_eq!(results.load.achieved_ratio, Some(1.0));
}

#[test]
fn an_empty_history_has_figures_too() {
    let measured = analyze(&History::default());
    assert_eq!((measured.whole.ops.invoked, measured.load.achieved_per_s, measured.latency_ms[ALL].ok), (0, 0.0, 0));
    assert!(measured.faults.is_empty() && measured.system.rounds_p50.is_none());
}

#[test]
fn figures_of_the_system_are_of_what_it_reported_in_the_window() {
    let history = crate::sample::history(crate::sample::Sample::default());
    let (figures, window) = (analyze(&history).system, Window::of(&history));
    let due = history.details.iter().zip(&history.ops).filter(|(_, op)| window.holds(op.intended));
    let reported: Vec<_> = due.filter_map(|(d, _)| d.diagnostics.as_ref()).collect();
    let sum = |measure| reported.iter().copied().filter_map(history.names.reads(measure)).sum::<u64>();
    assert!(reported.len() < history.details.len(), "final reads and warm-up are left out");
    assert_eq!(figures.preempted, sum(Measure::Preemptions));
    assert_eq!(figures.rounds_p50, Some(1.0));
    let trips = sum(Measure::RoundTrips);
    assert!((figures.round_trips_per_op.unwrap() - trips as f64 / reported.len() as f64).abs() < 0.001);
}

/// Checks the recovery from a fault on `target` from 100 ms to 200 ms, with ops `(node, sent, answered)` in milliseconds.
#[track_caller]
fn check_recovery(target: &str, ops: &[(u16, u64, Option<u64>)], want: Recovery) {
    let timed: Vec<_> = ops.iter().map(|(_, sent, answered)| (*sent, *sent, *answered)).collect();
    let mut history = history(Header::default(), &timed);
    for name in ["n2", "n3"] {
        history.names.node(name);
    }
    for (op, (node, _, _)) in history.ops.iter_mut().zip(ops) {
        op.node = Some(NodeIx(node - 1));
    }
    for (ms, state) in [(100, FaultState::Began), (200, FaultState::Ended), (210, FaultState::Healed)] {
        let evidence = Default::default();
        history.faults.push(FaultEvent { id: 1, t: Nanos::from_ms(ms), kind: "x".into(), targets: vec![target.into()], state, evidence });
    }
    assert_eq!(analyze(&history).faults[0].recovery, want);
}

#[test]
fn recovery_is_until_every_struck_node_answers_what_was_sent_after_the_lift() {
    let after = |ms| Recovery::After(Nanos::from_ms(ms));
    check_recovery("n1", &[(1, 90, Some(91)), (1, 210, Some(240))], after(30));
    // The first op was sent before the fault ended and may have been decided by then, so it is no sign of recovery, but
    // its client waited until 201.
    check_recovery("n1", &[(1, 150, Some(201)), (1, 220, Some(280))], after(61));
    // The reply of another node is no evidence about this one.
    check_recovery("n1", &[(2, 201, Some(202)), (1, 220, Some(300))], after(80));
    // The slowest of the affected nodes counts. A node without requests is left out.
    check_recovery("n1|n2,n3", &[(1, 201, Some(205)), (2, 203, Some(260))], after(57));
    // A later op may be answered earlier.
    check_recovery("n1", &[(1, 201, Some(290)), (1, 230, Some(240))], after(39));
    check_recovery("n1", &[(1, 210, None), (1, 220, None)], Recovery::Never);
    check_recovery("n1", &[(1, 90, Some(91)), (2, 210, Some(220))], Recovery::NotSeen);
    // A target that names no node affects all nodes.
    check_recovery("clients", &[(1, 201, Some(205)), (3, 203, Some(270))], after(67));
    // The op timed out at 1,210, and nothing was requested before the final reads: the quiet tail is not an outage.
    check_recovery("n1", &[(1, 210, None), (1, 9_000, Some(9_004))], after(1_004));
}

#[test]
fn effect_is_judged_as_the_checker_judges_it() {
    let mut history = crate::sample::history(crate::sample::Sample { faults: 6, ..Default::default() });
    // Three events per fault: the evidence may be in any of them.
    let evidence = serde_json::json!([0, 0, 0, 0, true, 0, "words", "words", false, 0.5, 0, 0, null, [1], {"n": 1}, -1, 0, 7]);
    for (event, evidence) in history.faults.iter_mut().zip(evidence.as_array().unwrap()) {
        event.evidence = [("x".to_owned(), evidence.clone())].into();
    }
    // A figure above zero is marked as showing no effect.
    let denied = history.faults.iter_mut().filter(|event| event.id == 6).last().expect("six faults");
    denied.evidence = [("x".to_owned(), 1.into()), ("effective".to_owned(), false.into())].into();
    let ours: Vec<_> = analyze(&history).faults.iter().map(|f| (f.id, f.effective, f.began)).collect();
    let theirs: Vec<_> = heckle_checker::coverage::faults(&history).iter().map(|f| (f.id, f.effective, f.began)).collect();
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|f| f.1) && ours.iter().any(|f| !f.1), "{ours:?}");
}

#[test]
fn fates_are_counted_and_late_effects_timed() {
    // A column is a millisecond. Value 2 is observed 9 ms after its client gave up, value 3 through its fate 5 ms
    // after, and value 4 before.
    let measured = analyze(&drawn::history(
        "c1  |w 2-?                    |
         c2  |           r 2->         |
         c3  |w 3-?                    |
         c4  |w 4------?               |
         c5  |  r 4->                  |
         c6  |w 5-?                    |
         c7  |w 6-?                    |
         fate|         3=applied       |
         fate|            5=not_applied|
         fate|            6=evicted    |",
    ));
    let fates = measured.fates;
    assert_eq!((fates.applied, fates.not_applied, fates.unresolved, fates.evicted), (1, 1, 1, 1));
    let late = fates.late_effects;
    assert_eq!((late.count, late.max_ms), (2, 11.0), "{late:?}");
    let slices = crate::series::of(&drawn::history(
        "c1  |w 2-?    |\nc2  |w 3-?    |\nc3  |w 4-?    |\nfate|      2=applied|\nfate|      3=not_applied|",
    ))
    .slices;
    let sum = |of: fn(&crate::series::Slice) -> u64| slices.iter().map(of).sum::<u64>();
    assert_eq!((sum(|s| s.unknown), sum(|s| s.unknown_applied), sum(|s| s.unknown_not_applied)), (3, 1, 1));
}
