use super::*;
use crate::results_json::LoadUnit;

/// Returns a run on a quiet machine, with every figure just within its limit.
fn quiet() -> Results {
    let load = Load {
        target_per_s: Some(400.0),
        achieved_per_s: 400.0,
        sent: 8_000,
        begun: 8_000,
        begun_per_s: 400.0,
        achieved_ratio: Some(1.0),
        window_s: 20.0,
        late_ratio: LATE_RATIO_LIMIT,
        unsent: 80,
        ..Load::default()
    };
    let strain = Strain {
        window_s: 20.0,
        wakeups: 2_000,
        wakeup_late_p50_ms: 0.1,
        wakeup_late_p99_ms: WAKEUP_LATE_LIMIT_MS,
        wakeup_late_max_ms: 30.0,
        harness_cores: Some(0.7),
        load_thread_ratio: Some(THREAD_LIMIT),
        relay_thread_ratio: Some(THREAD_LIMIT),
        machine_busy_ratio: Some(BUSY_LIMIT),
        steal_ratio: Some(STEAL_LIMIT),
        throttled_ratio: Some(THROTTLED_LIMIT),
        pressure_ratio: Some(PRESSURE_LIMIT),
    };
    Results { load, strain: Some(strain), ..Results::default() }
}

/// Changes one figure of a quiet run. Exactly the rule `what` must fire (none if it is empty), with these words, and
/// must name the affected figures and the remedy.
#[track_caller]
fn check(change: impl FnOnce(&mut Load, &mut Strain), what: &str, words: &str) {
    let mut results = quiet();
    let mut strain = results.strain.take().expect("a quiet run has it");
    change(&mut results.load, &mut strain);
    results.strain = Some(strain);
    let found = find(&results);
    assert_eq!(found.iter().map(|b| b.what.as_str()).collect::<Vec<_>>().join(" "), what, "{found:#?}");
    for bottleneck in found {
        assert!(bottleneck.words.contains(words), "{bottleneck:#?}");
        assert!(!bottleneck.makes_worthless.is_empty() && !bottleneck.change.is_empty(), "{bottleneck:#?}");
        assert!(bottleneck.figure.is_finite() && bottleneck.limit > 0.0, "{bottleneck:#?}");
        check_page(&bottleneck);
    }
}

/// Checks that the guide has a row for this rule, with its limit.
#[track_caller]
fn check_page(bottleneck: &Bottleneck) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/noisy-machine.md");
    let page = std::fs::read_to_string(page).expect("the guide is there");
    let limit = if bottleneck.what == "scheduler_lag" { duration(bottleneck.limit) } else { percent(bottleneck.limit) };
    let (begins, limit) = (format!("| `{}` |", bottleneck.what), format!("| {limit} |"));
    assert!(page.lines().any(|l| l.starts_with(&begins) && l.contains(&limit)), "docs/noisy-machine.md has no row {begins} … {limit}");
}

#[test]
fn each_rule_fires_beyond_its_limit_and_not_at_it() {
    check(|_, _| {}, "", "");
    check(|l, _| l.late_ratio = 0.44, "late_share", "44 % of the ops were sent over 5 ms after they were due");
    check(|_, s| s.wakeup_late_p99_ms = 5.1, "scheduler_lag", "woke up 5.1 ms late at the 99th percentile (limit 5 ms), 30 ms at most");
    check(|_, s| s.steal_ratio = Some(0.03), "cpu_steal", "gave 3 % of the processor time to others");
    check(|_, s| s.throttled_ratio = Some(0.25), "cpu_throttled", "stopped threads for 25 % of the time");
    check(|_, s| s.machine_busy_ratio = Some(0.99), "machine_busy", "busy for 99 % of the time (limit 95 %); the harness took 0.7 cores");
    check(|_, s| s.pressure_ratio = Some(0.6), "cpu_pressure", "for 60 % of the time some thread waited for a core");
    check(|_, s| s.load_thread_ratio = Some(0.97), "load_generator", "the load generator's thread was busy for 97 % of a core");
    check(|_, s| s.relay_thread_ratio = Some(0.97), "relay", "the relay's thread was busy for 97 % of a core");
    check(|l, _| l.unsent = 2_000, "saturation", "2,000 of 10,000 ops that were due were never sent");
    check(|l, _| (l.begun, l.unsent, l.achieved_ratio) = (6_400, 0, Some(0.8)), "saturation", "400 ops/s were asked");
}

#[test]
fn a_figure_that_was_not_measured_blames_nothing() {
    check(|_, s| *s = Strain::default(), "", "");
    check(
        |_, s| {
            (s.wakeups, s.wakeup_late_p99_ms) = (0, 90.0);
            (s.steal_ratio, s.pressure_ratio, s.machine_busy_ratio) = (None, None, None);
        },
        "",
        "",
    );
    assert!(find(&Results { strain: None, ..quiet() }).is_empty());
}

#[test]
fn the_edges_of_a_short_window_and_closed_loops_are_not_taken_for_saturation() {
    // 16 ops are expected, and 12 were sent.
    check(|l, _| (l.target_per_s, l.window_s, l.begun, l.unsent, l.achieved_ratio) = (Some(8.0), 2.0, 12, 0, Some(0.75)), "", "");
    check(|l, _| (l.target_per_s, l.achieved_ratio, l.max_rate) = (None, None, true), "", "");
    // The load was stopped early by a violation, so there is no ratio.
    check(|l, _| (l.begun, l.unsent, l.achieved_ratio) = (1_000, 0, None), "", "");
    // Nothing was sent at all.
    check(|l, _| (l.begun, l.sent, l.unsent, l.achieved_ratio) = (0, 0, 0, None), "saturation", "(0 %,");
    check(|l, _| (l.window_s, l.begun, l.unsent, l.achieved_ratio) = (0.0, 0, 0, None), "", "");
}

#[test]
fn a_closed_loop_measures_the_bottleneck_and_intents_are_called_intents() {
    let mut results = quiet();
    results.load.max_rate = true;
    results.strain.as_mut().expect("there").load_thread_ratio = Some(1.0);
    assert!(find(&results)[0].sentence().contains(ACHIEVED_RATE));
    let mut results = quiet();
    (results.load.unit, results.load.late_ratio) = (LoadUnit::Intent, 0.5);
    assert!(find(&results)[0].words.contains("of the intents"));
}
