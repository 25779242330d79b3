//! Compares the online judge with brute force on every prefix of small random histories, with and without forgetting.

mod common;

use common::{DrawParams, cases, events, paired, question, random, show, stream};
use heckle_checker::online::Clients;
use heckle_checker::search::brute;
use heckle_checker::{OnlineJudge, Verdict};
use heckle_history::{Event, Fate, Names};

const STEPS: u64 = 20_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Forget {
    Never,
    AfterEveryEvent,
}

/// Feeds `events`. Returns the number of events after which a violation was reported, if any.
fn alarm_after(events: &[Event], forget: Forget, clients: Clients) -> Option<usize> {
    let mut names = Names::default();
    names.key("k1");
    let mut judge = OnlineJudge::for_clients(clients);
    for (i, event) in events.iter().enumerate() {
        if judge.feed(event, &names).is_some() {
            assert_eq!(judge.verdict(), Verdict::Invalid);
            return Some(i + 1);
        }
        if forget == Forget::AfterEveryEvent {
            judge.forget_now();
        }
    }
    assert_eq!(judge.verdict(), Verdict::Valid);
    None
}

/// Returns the smallest number of events after which no order exists. A prefix of a valid prefix is valid, so bisection
/// finds it.
fn truth(events: &[Event]) -> Option<usize> {
    let invalid = |n: usize| brute::order(&question(&paired(&events[..n]), true), STEPS).expect("small histories are decided").is_none();
    if !invalid(events.len()) {
        return None;
    }
    let (mut valid, mut broken) = (0, events.len());
    while broken - valid > 1 {
        let middle = valid.midpoint(broken);
        if invalid(middle) { broken = middle } else { valid = middle }
    }
    Some(broken)
}

#[test]
fn tells_at_the_first_event_after_which_no_order_exists() {
    let (mut good, mut bad) = (0, 0);
    for n in 0..cases(25_000) {
        let history = random(&mut stream("online", n), DrawParams { ops: 14, silent: false, fates: false });
        let events = events(&history);
        let truth = truth(&events);
        for forget in [Forget::Never, Forget::AfterEveryEvent] {
            let alarm = alarm_after(&events, forget, Clients::MayGuess);
            assert_eq!(alarm, truth, "case {n}, forgetting: {}\n{}", forget == Forget::AfterEveryEvent, show(&history));
        }
        if truth.is_some() { bad += 1 } else { good += 1 }
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}

#[test]
fn uses_fates_and_never_cries_wolf_over_them() {
    let (mut exact, mut late) = (0, 0);
    for n in 0..cases(15_000) {
        let history = random(&mut stream("online fates", n), DrawParams { ops: 12, silent: false, fates: true });
        let events = events(&history);
        let truth = truth(&events);
        // A fate is not an observation. A fate that depends on forgotten ops is left to the batch judge. The online
        // judge is then late or silent, but never wrong.
        for forget in [Forget::Never, Forget::AfterEveryEvent] {
            match (alarm_after(&events, forget, Clients::MayGuess), truth) {
                (alarm, truth) if alarm == truth => exact += 1,
                (Some(alarm), Some(truth)) if alarm > truth => late += 1,
                (None, Some(_)) => late += 1,
                (alarm, truth) => panic!("case {n}: told after {alarm:?}, truth {truth:?}\n{}", show(&history)),
            }
        }
    }
    assert!(exact > 20 * late, "almost everything is reported at once: {exact} exact, {late} late");
    assert!(events_with_fates() > 0);
}

fn events_with_fates() -> usize {
    let is_decided = |e: &&Event| matches!(e, Event::Fate { fate: Fate::Applied | Fate::NotApplied, .. });
    (0..50)
        .map(|n| {
            events(&random(&mut stream("online fates", n), DrawParams { ops: 12, silent: false, fates: true }))
                .iter()
                .filter(is_decided)
                .count()
        })
        .sum()
}
