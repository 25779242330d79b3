//! Fairness and starvation on drawn histories: each figure and each finding appears when it should, and only then.

use heckle_checker::Verdict;
use heckle_checker::checks::{self, CheckResult, Limits};
use heckle_checker::fairness::intents::most_consecutive_losses;
use heckle_checker::fairness::{End, Fairness, measure, starvation};
use heckle_history::event::{FaultEvent, FaultState};
use heckle_history::{ClientId, History, Nanos, drawn};
use serde_json::json;

/// Draws a history with limits in milliseconds: the longest wait, the minimum share, and the longest drought.
fn drawn_with(drawing: &str, max_wait: u64, min_jain: f64, max_livelock: u64) -> History {
    let mut history = drawn::history(drawing);
    let limits = json!({"max_wait_ms": max_wait, "min_jain": min_jain, "max_livelock_ms": max_livelock});
    history.header.more.insert(starvation::IN_HEADER.into(), limits);
    history.header.load_window = Some((0, history.end.0 + 1));
    history
}

fn measured(drawing: &str) -> Fairness {
    measure(&drawn_with(drawing, 1_000, 0.0, 1_000)).expect("the drawing has intents")
}

#[track_caller]
fn starves(history: &History, verdict: Verdict, words: &[&str]) -> CheckResult {
    let found = starvation::check(history).expect("the history has intents");
    assert_eq!(found.verdict, verdict, "{found:#?}");
    for w in words {
        assert!(found.words.contains(w), "`{w}` is not in {found:#?}");
    }
    found
}

const LOSER: &str = "
    c1 |cas null 1 i0-->n1    cas 1 2 i1----->n1    cas 2 3 i2----->n1                                             |
    c2 |  cas null 9 i3 saw 1----->n2 cas 1 10 i3 saw 2----->n2  cas 2 11 i3 saw 3------>n2  cas 3 12 i3---->n2    |";

#[test]
fn attempts_losses_waits_and_bypasses_are_those_of_the_drawing() {
    let f = measured(LOSER);
    let loser = f.intents.iter().find(|i| i.id.0 == 3).expect("drawn");
    assert_eq!((loser.attempts, loser.lost, loser.end), (4, 3, End::Won), "{loser:?}");
    assert_eq!(loser.began, Nanos::from_ms(2));
    assert_eq!(most_consecutive_losses(&f.intents), Some((ClientId(2), 3)));
    let (bypassed, by) = f.most_bypassed().expect("intents");
    assert_eq!((bypassed.id.0, by), (3, 2), "two that began later were won before it");
    assert_eq!(f.longest_wait().map(|i| i.id.0), Some(3));
    assert_eq!((f.attempts.quantile(0.5), f.attempts.quantile(0.99)), (Some(Nanos(1)), Some(Nanos(4))));
    // Three successes versus one: (3 + 1)^2 / (2 * (9 + 1)).
    assert_eq!((f.jain, f.gini), (Some(0.8), Some(0.25)));
    let won: Vec<(&str, &str, u64)> = f.clients.iter().map(|g| (g.name.as_str(), g.node.as_str(), g.won)).collect();
    assert_eq!(won, [("c1", "n1", 3), ("c2", "n2", 1)]);
}

#[test]
fn unfinished_intents_are_censored_and_counted_separately() {
    let f = measured(
        "c1 |cas null 1 i0-->n1                                    |
         c2 | cas null 2 i1--?n2                                   |
         c3 |   cas null 3 i2 saw 1->n3 cas 1 4 i2 saw 1!n3        |
         c4 |    r 1 i3->n1  cas 1 5 i3-----                       |",
    );
    let ends: Vec<End> = (0..4).map(|id| f.intents.iter().find(|i| i.id.0 == id).expect("drawn").end).collect();
    assert_eq!(ends, [End::Won, End::Unknown, End::Waiting, End::Waiting]);
    let lost: Vec<u32> = (0..4).map(|id| f.intents.iter().find(|i| i.id.0 == id).expect("drawn").lost).collect();
    assert_eq!(lost, [0, 0, 2, 0], "an unknown outcome and an open op are not known to be lost");
    assert_eq!((f.waits.count, f.waits.censored.len()), (4, 3));
    assert_eq!(f.waits.quantile(0.25), f.intents.iter().find(|i| i.end == End::Won).map(|i| i.wait()), "one of the four at risk then");
    assert_eq!(f.waits.quantile(0.5), None, "unknown: the others were not seen to end");
}

#[test]
fn a_long_wait_in_calm_is_a_finding_that_names_client_and_coordinator() {
    starves(&drawn_with(LOSER, 1_000, 0.0, 1_000), Verdict::Valid, &["4 of 4 intents succeeded"]);
    let found = starves(&drawn_with(LOSER, 60, 0.0, 1_000), Verdict::Invalid, &["client c2 (node n2) on k1", "4 attempts"]);
    assert_eq!(found.figure["starved"][0]["client"], "c2");
    assert_eq!(found.figure["starved"][0]["node"], "n2");
    assert_eq!(found.figure["findings"], json!(["max_wait"]));
}

#[test]
fn what_a_fault_costs_is_no_starvation() {
    let mut history = drawn_with(LOSER, 60, 0.0, 40);
    starves(&history, Verdict::Invalid, &["c2"]);
    let mut event = |ms, state| {
        let evidence = [("count".to_owned(), json!(1))].into();
        history.faults.push(FaultEvent { id: 1, t: Nanos::from_ms(ms), kind: "pause".into(), targets: vec!["n2".into()], state, evidence });
    };
    event(10, FaultState::Began);
    event(80, FaultState::Ended);
    starves(&history, Verdict::Valid, &[]);
}

/// Draws a history in which the clients win `wins` times in turn, one success every `gap` milliseconds. Each client has
/// the same number as its node.
fn shares(wins: &[usize]) -> String {
    let mut value = 0;
    let mut rows = vec![String::new(); wins.len()];
    let (mut at, mut intent) = (0, 100);
    for (client, n) in wins.iter().enumerate() {
        for _ in 0..*n {
            let before = if value == 0 { "null".to_owned() } else { value.to_string() };
            value += 1;
            let pad = " ".repeat(at - rows[client].len());
            rows[client] += &format!("{pad}cas {before} {value} i{intent}->n{}", client + 1);
            at = rows[client].len() + 1;
            intent += 1;
        }
    }
    // Every client always has an intent, so a client that is never served has one open attempt.
    for (client, row) in rows.iter_mut().enumerate() {
        if row.is_empty() {
            *row = format!("cas null {} i{client} saw 1---->n{}", 9_000 + client, client + 1);
        }
        let pad = " ".repeat(at.saturating_sub(row.len()));
        *row += &pad;
    }
    rows.iter().enumerate().map(|(c, row)| format!("c{} |{row}|\n", c + 1)).collect()
}

#[test]
fn unequal_shares_are_a_finding_and_bad_luck_is_not() {
    let limits = |wins: &[usize]| drawn_with(&shares(wins), 100_000, 0.5, 100_000);
    starves(&limits(&[20, 20, 20]), Verdict::Valid, &["Jain 1.00"]);
    // Jain's index is 0.69, where chance alone gives 0.97.
    starves(&limits(&[36, 20, 4]), Verdict::Valid, &[]);
    let found = starves(
        &limits(&[60, 0, 0]),
        Verdict::Invalid,
        &["Jain 0.33", "c2 (n2, 0 won)", "c3 (n3, 0 won)", "node whose clients starve: n2"],
    );
    assert_eq!(found.figure["findings"], json!(["min_jain"]));
    // One success among three clients is just as unequal, but chance alone gives no better result.
    starves(&limits(&[1, 0, 0]), Verdict::Valid, &[]);
}

#[test]
fn livelock_is_a_long_time_without_success_while_a_client_waits() {
    let drawing = |refusals: usize| {
        let body: String = (0..refusals).map(|i| format!("cas 1 {} i1 saw 7----->n2 ", 100 + i)).collect();
        let pad = " ".repeat(body.len());
        format!("c1 |cas null 1 i0->n1{pad}         |\nc2 |                    {body}|\n")
    };
    starves(&drawn_with(&drawing(2), 10_000, 0.0, 100), Verdict::Valid, &[]);
    let found =
        starves(&drawn_with(&drawing(9), 10_000, 0.0, 100), Verdict::Invalid, &["no client succeeded on k1", "client c2 (node n2)"]);
    assert_eq!(found.figure["findings"], json!(["max_livelock"]));
    // No client waits in the gap, so it is idle time.
    let idle = format!("c1 |cas null 1 i0->n1{}cas 1 2 i1->n1|\n", " ".repeat(400));
    starves(&drawn_with(&idle, 10_000, 0.0, 100), Verdict::Valid, &[]);
}

#[test]
fn windows_name_their_active_clients() {
    let f = measured(&shares(&[120, 120]));
    let total: u64 = f.windows.iter().map(|w| w.won).sum();
    assert_eq!(total, 240);
    assert!(f.windows.len() > 4, "{:?}", f.windows);
    assert_eq!(f.windows[0].active, 1, "the other began later: {:?}", f.windows[0]);
    assert_eq!(f.windows[0].jain, Some(1.0), "alone among the active");
    assert!(f.windows.windows(2).all(|w| w[0].end == w[1].start));
}

#[test]
fn goodput_and_offered_load_count_the_window() {
    let f = measured(LOSER);
    assert!((f.won_per_s - f.offered_per_s).abs() < 1e-9 && f.won_per_s > 0.0, "all that began was won");
    let f = measured("c1 |cas null 1 i0-->n1|\nc2 |cas null 2 i1 saw 1-->n2|");
    assert!((f.won_per_s * 2.0 - f.offered_per_s).abs() < 1e-9);
}

#[test]
fn histories_without_intents_have_no_fairness() {
    let plain = drawn::history("c1 |w 1-->|");
    assert!(measure(&plain).is_none() && starvation::check(&plain).is_none());
    let names = |h: &History| checks::all(h, &Limits::default()).iter().map(|c| c.name).collect::<Vec<_>>();
    assert!(!names(&plain).contains(&"starvation"));
    assert!(names(&drawn::history(LOSER)).contains(&"starvation"));
}
