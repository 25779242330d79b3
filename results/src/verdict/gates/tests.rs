use super::*;
use crate::results_json::{Fault, Latency, WindowCounts};

fn results() -> Results {
    let mut r = Results::default();
    let from_intended = Percentiles { p50: 2.0, p90: 10.0, p95: 20.0, p99: 50.0, p999: 90.0, max: 100.0 };
    r.latency_ms.insert(ALL.into(), Latency { ok: 10, from_intended, ..Latency::default() });
    // The counts of the whole run include final reads, which gates ignore.
    r.ops = OpCounts { invoked: 9_000, ok: 8_980, unknown: 20, ..OpCounts::default() };
    let ops = OpCounts { invoked: 1_000, ok: 980, unknown: 20, ..OpCounts::default() };
    r.window = Some(WindowCounts { ops, ..WindowCounts::default() });
    r
}

#[track_caller]
fn check(text: &str, actual: Option<f64>, passed: bool) {
    let gate = text.parse::<Expression>().unwrap().evaluate(&results());
    assert_eq!((gate.expr.as_str(), gate.actual, gate.passed, gate.void), (text, actual, passed, false));
}

#[test]
fn limits_hold_or_do_not() {
    check("p99_ms<50", Some(50.0), false);
    check("p99_ms<=50", Some(50.0), true);
    check("p99_ms >= 50", Some(50.0), true);
    check("p99_ms>50.5", Some(50.0), false);
    check("unknown_ratio<0.05", Some(0.02), true);
    check("unknown_ratio<1e-2", Some(0.02), false);
    // A missing figure never meets a limit.
    check("jain>0.9", None, false);
    check("cas_p99_ms<50", None, false);
}

#[test]
fn a_figure_without_a_sample_in_the_load_window_meets_no_limit() {
    // Only final reads were answered: the window was empty.
    let mut idle = results();
    idle.window = Some(WindowCounts::default());
    idle.latency_ms.clear();
    idle.fairness = Some(Fairness::default());
    idle.system.fsyncs_per_op = Some(0.0);
    for metric in METRICS.iter().filter(|m| !m.name.starts_with("state_bytes")) {
        for relation in ["<", ">="] {
            let gate = Expression::from_plan(metric.name, &format!("{relation}0")).unwrap().evaluate(&idle);
            assert_eq!((gate.actual, gate.passed), (None, false), "{gate:?}");
        }
        let gate = Expression::from_plan(metric.name, "<1e9").unwrap().evaluate(&idle);
        assert_eq!((gate.actual, gate.passed), (None, false), "{gate:?}");
    }
}

#[test]
fn a_fault_that_was_never_seen_to_recover_is_within_no_limit() {
    let fault = |recovery_ms| Fault { recovery_ms, ..Fault::default() };
    let of = |faults: Vec<Fault>| "recovery_max_ms<500".parse::<Expression>().unwrap().evaluate(&Results { faults, ..results() });
    assert!(of(vec![fault(Some(20.0)), fault(Some(400.0))]).passed);
    let never = of(vec![fault(Some(20.0)), fault(None)]);
    assert_eq!((never.actual, never.passed), (None, false));
}

#[test]
fn a_late_load_voids_speed_and_nothing_else() {
    let late = Results { load: crate::results_json::Load { late_ratio: 0.02, ..Default::default() }, ..results() };
    let gate = |text: &str| text.parse::<Expression>().unwrap().evaluate(&late);
    assert!(gate("p99_ms<500").void && !gate("p99_ms<500").passed);
    assert!(!gate("unknown_ratio<0.5").void && gate("unknown_ratio<0.5").passed);
}

#[test]
fn what_is_no_limit_says_what_to_write() {
    for (text, want) in [
        ("p99<50", "gate `p99<50`: there is no figure `p99`; did you mean `p99_ms`?"),
        ("p99ms<50", "gate `p99ms<50`: there is no figure `p99ms`; did you mean `p99_ms`?"),
        (
            "latency of everything<50",
            "gate `latency of everything<50`: there is no figure `latency of everything`; there are p50_ms, p90_ms,",
        ),
        ("p99_ms", "gate `p99_ms` is not a limit; write a figure, one of < <= > >=, and a number: p99_ms<50"),
        ("p99_ms<50ms", "gate `p99_ms<50ms`: `50ms` is not a number; the unit stands in the figure's name: p99_ms<50"),
        ("p99_ms<", "gate `p99_ms<`: `` is not a number"),
        ("p99_ms<inf", "gate `p99_ms<inf`: `inf` is not a number"),
        ("p99_ms<<5", "gate `p99_ms<<5`: `<5` is not a number"),
        ("<5", "gate `<5`: there is no figure ``"),
        ("", "gate `` is not a limit"),
        ("p99_ms<é", "gate `p99_ms<é`: `é` is not a number"),
    ] {
        let error = text.parse::<Expression>().unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

#[test]
fn names_are_unique_and_say_what_they_are() {
    let mut names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METRICS.len());
    assert!(METRICS.iter().all(|m| !m.what.is_empty()));
    assert_eq!(Expression::from_plan("p99_ms", "<50").unwrap().text(), "p99_ms<50");
}
