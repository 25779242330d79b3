//! Figures add up: for every history, parts sum to their totals, and every output shows the same totals.

use heckle_history::event::{Completion, Event, Header, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, ClientId, Current, History, IntentId, Names, Nanos, OpId, ProcessId, Seen, Value};
use heckle_results::results_json::{LoadUnit, OpCounts, Results};
use heckle_results::summary::{self, View};
use heckle_results::terminal::Colour;
use heckle_results::{analyze, junit, sample, sample_results, series};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};

/// Number of histories drawn by one run of the test.
const CASES: u64 = 300;

/// Draws a history with ops of every kind and outcome, with or without intents, in a run of 100 ms. It has a load
/// window somewhere in it, which may be empty.
fn drawn(rng: &mut Pcg64) -> History {
    let mut names = Names::default();
    let keys = [names.key("k1"), names.key("k2")];
    let node = names.node("n1");
    let from = rng.random_range(0..60_000_000u64);
    let header = Header { load_window: Some((from, from + rng.random_range(0..60_000_000))), ..Header::default() };
    let (with_intents, mut events) = (rng.random_bool(0.5), vec![]);
    for i in 0..rng.random_range(0..120u64) {
        let intended = rng.random_range(0..100_000_000u64);
        let t = intended + rng.random_range(0..10_000_000);
        let end = t + rng.random_range(0..20_000_000);
        let new = Value(i as i64 + 1);
        let (call, seen) = match rng.random_range(0..4) {
            0 => (Call::Read, Seen::Value(None)),
            1 => (Call::Write { new }, Seen::Written),
            2 => (Call::Cas { expected: None, new }, Seen::Applied),
            _ => (Call::Cas { expected: None, new }, Seen::ConditionNotMet(Current::Known(Some(Value(0))))),
        };
        let op = OpId(i);
        events.push(Event::Invoke(Invoke {
            client: Some(ClientId(0)),
            intended: Some(Nanos(intended)),
            node: Some(node),
            intent: with_intents.then_some(IntentId(i / 3)),
            attempt: with_intents.then_some((i % 3) as u32 + 1),
            ..Invoke::new(op, ProcessId(i as u32), Nanos(t), keys[rng.random_range(0..2)], call)
        }));
        let (node, reason, diagnostics) = (Some(node), None, None);
        match rng.random_range(0..10) {
            0 => events.push(Event::Fail(Completion { op, t: Nanos(end), seen: (), node, reason, diagnostics })),
            1 => events.push(Event::Unknown(Completion { op, t: Nanos(end), seen: (), node, reason, diagnostics })),
            2 => {} // Still open when the history ends.
            _ => events.push(Event::Ok(Completion { op, t: Nanos(end), seen, node, reason, diagnostics })),
        }
    }
    events.sort_by_key(|e| (e.t(), !matches!(e, Event::Invoke(_))));
    History::from_events(header, names, events).expect("drawn in order")
}

fn results_of(history: &History) -> Results {
    let mut results = Results::default();
    results.load.target_per_s = Some(500.0);
    results.set_measured(&analyze(history), history);
    // Check the contents of the file, as parsed by a reader.
    Results::from_json(&results.to_json()).expect("its own text")
}

#[track_caller]
fn counts_add_up(counts: &OpCounts) {
    assert_eq!(counts.invoked, counts.ok + counts.failed + counts.unknown, "{counts:?}");
    assert_eq!(counts.ok, counts.applied + counts.condition_not_met, "{counts:?}");
    assert!(counts.open <= counts.unknown, "{counts:?}");
}

#[track_caller]
fn kinds_add_up(total: &OpCounts, kinds: &BTreeMap<String, OpCounts>) {
    counts_add_up(total);
    kinds.values().for_each(counts_add_up);
    for of in [
        |c: &OpCounts| c.invoked,
        |c: &OpCounts| c.ok,
        |c: &OpCounts| c.applied,
        |c: &OpCounts| c.condition_not_met,
        |c: &OpCounts| c.failed,
        |c: &OpCounts| c.unknown,
        |c: &OpCounts| c.open,
    ] {
        assert_eq!(kinds.values().map(of).sum::<u64>(), of(total), "{kinds:#?} of {total:?}");
    }
}

/// Checks every identity that holds for all histories.
#[track_caller]
fn check_identities(history: &History, results: &Results) {
    let window = results.window.as_ref().expect("a new file has it");
    kinds_add_up(&results.ops, &results.ops_by_kind);
    kinds_add_up(&window.ops, &window.by_kind);
    assert_eq!(results.ops.invoked, history.ops.len() as u64);
    for (kind, part) in &window.by_kind {
        let whole = &results.ops_by_kind[kind];
        assert!(part.invoked <= whole.invoked && part.ok <= whole.ok && part.failed <= whole.failed && part.unknown <= whole.unknown);
        // The latency table covers the same ops.
        let latency = &results.latency_ms[kind];
        assert_eq!((latency.ok, latency.censored), (part.ok, part.unknown), "{kind}");
    }
    let all = &results.latency_ms["all"];
    assert_eq!((all.ok, all.censored), (window.ops.ok, window.ops.unknown));
    check_load(history, results);
    let slices = series::of(history).slices;
    let sum = |of: fn(&series::Slice) -> u64| slices.iter().map(of).sum::<u64>();
    let ops = &results.ops;
    assert_eq!(
        [sum(|s| s.invoked), sum(|s| s.answered), sum(|s| s.failed), sum(|s| s.unknown)],
        [ops.invoked, ops.ok, ops.failed, ops.unknown]
    );
    assert_eq!((sum(|s| s.applied), sum(|s| s.condition_not_met)), (ops.applied, ops.condition_not_met));
}

#[track_caller]
fn check_load(history: &History, results: &Results) {
    let load = &results.load;
    assert!(load.begun <= load.sent && load.sent <= results.ops.invoked, "{load:?}");
    assert!((0.0..=1.0).contains(&load.late_ratio), "{load:?}");
    if load.unit == LoadUnit::Op {
        assert_eq!(load.begun, load.sent);
    }
    if load.window_s > 0.0 {
        // The rate is rounded to a tenth, and the window to a millisecond.
        let rounding = 0.000_51 * load.achieved_per_s + 0.051 * load.window_s;
        assert!((load.achieved_per_s * load.window_s - load.sent as f64).abs() <= rounding, "{load:?}");
    }
    let cut = history.header.load_window.is_some_and(|(_, end)| history.end.0 < end);
    assert_eq!(load.achieved_ratio.is_some(), load.begun > 0 && !cut, "{load:?}");
    if let Some(fairness) = &results.fairness {
        assert_eq!(fairness.intents, fairness.won + fairness.unknown + fairness.still_waiting, "{fairness:?}");
        for groups in [&fairness.clients, &fairness.nodes, &fairness.keys] {
            assert_eq!(groups.iter().map(|g| g.intents).sum::<u64>(), fairness.intents, "{groups:#?}");
            assert_eq!(groups.iter().map(|g| g.won + g.won_late).sum::<u64>(), fairness.won, "{groups:#?}");
            assert_eq!(groups.iter().map(|g| g.won_late).sum::<u64>(), fairness.won_late, "{groups:#?}");
            for g in groups {
                assert_eq!(g.intents, g.won + g.won_late + g.unknown + g.waiting, "{g:?}");
            }
        }
        let intents: BTreeSet<_> = history.details.iter().filter_map(|d| d.intent).collect();
        assert!(fairness.won <= fairness.intents && fairness.intents <= intents.len() as u64);
    }
}

#[test]
fn sums_of_parts_are_their_totals_whatever_happened() {
    let mut empty_windows = 0;
    for case in 0..CASES {
        let history = drawn(&mut Seed(case).stream("figures"));
        let results = results_of(&history);
        empty_windows += u64::from(results.window.as_ref().is_some_and(|w| w.ops.invoked == 0));
        check_identities(&history, &results);
    }
    assert!(empty_windows > 0, "some windows had no op in them");
    let history = sample::history(sample::Sample::default());
    check_identities(&history, &sample_results::valid(&history));
}

/// Formats a count as shown to users.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let cut = |(i, c): (usize, char)| if i > 0 && (digits.len() - i).is_multiple_of(3) { format!(",{c}") } else { c.to_string() };
    digits.chars().enumerate().map(cut).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Checks that every output shows the totals of `results.json`.
#[track_caller]
fn check_places(results: &Results) {
    let view = View { folder: "results/runs/x", width: 80, colour: Colour::Never };
    let (terminal, markdown, junit) = (words(&summary::text(results, view)), summary::markdown(results, "x"), junit::xml(results));
    let window = results.window.as_ref().expect("a new file has it");
    let not_met = |c: &OpCounts| match c.condition_not_met {
        0 => String::new(),
        n => format!(", {} of them condition not met", grouped(n)),
    };
    for (what, c) in [("sent in the whole run", &results.ops), ("due in the load window", &window.ops)] {
        let (ok, failed, unknown) = (grouped(c.ok), grouped(c.failed), grouped(c.unknown));
        let want = format!("{} {what}: {ok} ok{}, {failed} failed, {unknown} unknown", grouped(c.invoked), not_met(c));
        assert!(terminal.contains(&want), "no `{want}` in {terminal}");
        assert!(markdown.contains(&want), "no `{want}` in {markdown}");
    }
    for (which, c) in [("whole_run", &results.ops), ("load_window", &window.ops)] {
        for (name, n) in [("ops", c.invoked), ("ok", c.ok), ("failed", c.failed), ("unknown", c.unknown)] {
            let want = format!("<property name=\"{which}_{name}\" value=\"{n}\"/>");
            assert!(junit.contains(&want), "no `{want}` in {junit}");
        }
    }
    for (kind, latency) in &results.latency_ms {
        let ok = grouped(latency.ok);
        assert!(terminal.contains(&format!("{kind} {ok} ")), "no row of {kind} with {ok} in {terminal}");
        let row = markdown.lines().find(|l| l.starts_with(&format!("| {kind} | {ok} |")));
        let row = row.unwrap_or_else(|| panic!("no row of {kind} with {ok} in {markdown}"));
        assert!(row.ends_with(&format!("| {} |", grouped(latency.censored))), "{row}");
        assert!(latency.ok > 0 || !row.contains(" ms"), "no sample has no latency: {row}");
    }
}

#[test]
fn the_terminal_the_step_summary_and_junit_show_what_results_json_says() {
    for case in 0..CASES {
        check_places(&results_of(&drawn(&mut Seed(case).stream("figures"))));
    }
    check_places(&sample_results::valid(&sample::history(sample::Sample::default())));
}

#[test]
fn the_page_has_the_same_totals() {
    let history = sample::history(sample::Sample::default());
    let results = sample_results::valid(&history);
    let measured = analyze(&history);
    let subject = heckle_results::report::PageInput {
        history: &history,
        measured: &measured,
        results: &results,
        nodes: &[],
        pictures: &[],
        rerun: "heckle rerun x",
    };
    let page = heckle_results::report::page(subject);
    let window = results.window.as_ref().expect("a new file has it");
    for (name, c) in [("all, whole run", &results.ops), ("all, load window", &window.ops)] {
        let row = page.split("<tr").find(|row| row.contains(name)).unwrap_or_else(|| panic!("no row `{name}`"));
        for n in [c.invoked, c.ok, c.applied, c.condition_not_met, c.failed, c.unknown, c.open] {
            assert!(row.contains(&format!(">{}<", grouped(n))), "no {n} in {row}");
        }
    }
}
