use super::*;
use crate::results_json::Latency;

fn results() -> Results {
    let mut r = Results::default();
    let from_intended = Percentiles { p50: 2.0, p90: 10.0, p99: 50.0, p999: 90.0, max: 100.0 };
    r.latency_ms.insert(ALL.into(), Latency { ok: 10, from_intended, ..Latency::default() });
    r.ops.invoked = 1_000;
    r.ops.unknown = 20;
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
    // No figure is never within a limit.
    check("jain>0.9", None, false);
    check("cas_p99_ms<50", None, false);
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
        ("p99_ms", "gate `p99_ms` is no limit; write a figure, one of < <= > >=, and a number: p99_ms<50"),
        ("p99_ms<50ms", "gate `p99_ms<50ms`: `50ms` is no number; the unit stands in the figure's name: p99_ms<50"),
        ("p99_ms<", "gate `p99_ms<`: `` is no number"),
        ("p99_ms<inf", "gate `p99_ms<inf`: `inf` is no number"),
        ("p99_ms<<5", "gate `p99_ms<<5`: `<5` is no number"),
        ("<5", "gate `<5`: there is no figure ``"),
        ("", "gate `` is no limit"),
        ("p99_ms<é", "gate `p99_ms<é`: `é` is no number"),
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
    assert_eq!(Expression::of_plan("p99_ms", "<50").unwrap().text(), "p99_ms<50");
}
