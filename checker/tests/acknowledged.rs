//! Acknowledged updates that were undone, on random histories. The count matches the definition and is above zero only
//! if linearizability is also violated.

mod common;

use common::{DrawParams, cases, random, show, stream};
use heckle_checker::checks::{acknowledged, durability};
use heckle_checker::search::NoSearch;
use heckle_checker::{Checker, Options, Verdict, bench, judge};
use heckle_history::{Call, Current, Fate, History, Nanos, Operation, Outcome, Seen, Value};

/// Returns the time by which an op is known to have taken effect.
fn effect_by(history: &History, place: usize) -> Nanos {
    match (history.ops[place].outcome, history.fates.get(&(place as u32))) {
        (Outcome::Ok(_), _) => history.ops[place].completed,
        (Outcome::Unknown | Outcome::Open, Some((Fate::Applied, t))) => *t,
        _ => Nanos::NEVER,
    }
}

/// Returns the value that an op certainly found.
fn found(history: &History, place: usize) -> Option<Option<Value>> {
    let op = &history.ops[place];
    let applied = effect_by(history, place) != Nanos::NEVER;
    match (op.call, op.outcome) {
        (_, Outcome::Ok(Seen::Value(v))) => Some(v),
        (Call::Cas { expected, .. }, Outcome::Ok(Seen::ConditionNotMet(Current::Known(v)))) => (v != expected).then_some(v),
        (_, Outcome::Ok(Seen::ConditionNotMet(Current::NotReported))) => None,
        (Call::Cas { expected, .. }, _) if applied => Some(expected),
        _ => None,
    }
}

/// Returns the op that may have written a value.
fn writer(history: &History, value: Value) -> Option<usize> {
    let may = |p: &usize| {
        let refused = matches!(history.ops[*p].outcome, Outcome::Ok(Seen::ConditionNotMet(_)) | Outcome::Failed);
        !refused && !matches!(history.fates.get(&(*p as u32)), Some((Fate::NotApplied, _)))
    };
    (0..history.ops.len()).filter(may).find(|&p| history.ops[p].call.writes() == Some(value))
}

/// Returns the places of the ops from which the value of op `place` descends, starting with that op itself; `None` in a
/// cycle.
fn line(history: &History, place: usize) -> Option<(Vec<usize>, Option<Option<Value>>)> {
    let mut line = vec![place];
    loop {
        let Call::Cas { expected, .. } = history.ops[*line.last().expect("one at least")].call else { return Some((line, None)) };
        let Some(next) = expected.and_then(|v| writer(history, v)) else { return Some((line, Some(expected))) };
        if line.contains(&next) {
            return None;
        }
        line.push(next);
    }
}

/// Applies the definition: acknowledged updates for which an op invoked after the acknowledgement saw an earlier value.
fn missed(history: &History) -> Option<Vec<u64>> {
    let n = history.ops.len();
    let updates: Vec<usize> = (0..n).filter(|&p| history.ops[p].call.writes().is_some_and(|v| writer(history, v) == Some(p))).collect();
    let lines: Vec<_> = updates.iter().map(|&p| line(history, p)).collect::<Option<Vec<_>>>()?;
    // When the value of an update was known to hold: it was seen or acknowledged, or another known update builds on it.
    let known = |v: Value, own: usize| {
        let seen = (0..n).filter(|&p| found(history, p) == Some(Some(v))).map(|p| effect_by(history, p)).min();
        seen.unwrap_or(Nanos::NEVER).min(effect_by(history, own))
    };
    let begun = |at: usize| lines[at].0.iter().map(|&p| history.ops[p].invoked).max().expect("itself");
    let direct: Vec<Nanos> = updates.iter().map(|&p| known(history.ops[p].call.writes().expect("an update"), p)).collect();
    // A reply that arrived before its op could have begun is not evidence, neither for that op nor for the op it builds on.
    if (0..updates.len()).any(|i| (0..updates.len()).any(|j| lines[j].0.contains(&updates[i]) && direct[j] < begun(i))) {
        return None;
    }
    let held = |at: usize| {
        let built = (0..updates.len()).filter(|&i| lines[i].0.contains(&updates[at])).map(|i| direct[i]);
        built.min().expect("itself")
    };
    let before = |seen: Option<Value>, at: usize| match seen {
        None => true,
        Some(v) => match updates.iter().position(|&p| history.ops[p].call.writes() == Some(v)) {
            Some(old) => old != at && (lines[at].0[1..].contains(&updates[old]) || held(old) < begun(at)),
            None => {
                lines[at].1 == Some(Some(v))
                    || lines[at].0.iter().any(|&p| matches!(history.ops[p].call, Call::Cas { expected, .. } if expected == Some(v)))
            }
        },
    };
    let acknowledged = |o: &Operation| matches!(o.outcome, Outcome::Ok(Seen::Applied | Seen::Written));
    let mut ids = vec![];
    for (at, &update) in updates.iter().enumerate().filter(|(_, p)| acknowledged(&history.ops[**p])) {
        let missed = (0..n)
            .any(|o| history.ops[update].completed < history.ops[o].invoked && found(history, o).is_some_and(|seen| before(seen, at)));
        ids.extend(missed.then_some(history.ops[update].op.0));
    }
    ids.sort_unstable();
    Some(ids)
}

#[test]
fn a_finding_is_as_by_the_definition_and_implies_that_the_history_is_not_linearizable() {
    let options = Options { checker: Checker::Chain, ..Options::new(&NoSearch) };
    let (mut findings, mut calm, mut lost) = (0, 0, 0);
    for n in 0..cases(20_000) {
        let history = random(&mut stream("acknowledged", n), DrawParams { ops: 14, silent: n % 3 == 0, fates: n % 2 == 0 });
        let result = acknowledged::check(&history);
        let verdict = judge(&history, &options).linearizability.verdict;
        if result.verdict == Verdict::Invalid {
            findings += 1;
            assert_ne!(verdict, Verdict::Valid, "case {n}: {}\n{}", result.words, show(&history));
        } else {
            calm += 1;
        }
        if durability::check(&history).verdict == Verdict::Invalid && verdict == Verdict::Invalid {
            lost += u32::from(result.verdict == Verdict::Invalid);
        }
        let Some(want) = missed(&history) else { continue };
        let mut got: Vec<u64> = acknowledged::missed(&history)
            .iter()
            .flat_map(|m| m.undone.iter().chain(&m.hidden))
            .map(|u| history.ops[u.place as usize].op.0)
            .collect();
        got.sort_unstable();
        assert_eq!(got, want, "case {n}\n{}", show(&history));
        // The updates missed by one op are a subset of those missed by any op, and their union is the whole set.
        let mut by_op: Vec<u64> = (0..history.ops.len())
            .filter_map(|p| Some((p, found(&history, p)?)))
            .flat_map(|(p, seen)| acknowledged::missed_by(&history, history.ops[p].key, seen, history.ops[p].invoked))
            .map(|p| history.ops[p as usize].op.0)
            .collect();
        by_op.sort_unstable();
        by_op.dedup();
        assert_eq!(by_op, want, "case {n}\n{}", show(&history));
    }
    assert!(findings > 500 && calm > 500 && lost > 100, "{findings} findings, {calm} without, {lost} lost at the end");
}

#[test]
fn long_valid_histories_hold_nothing_undone() {
    for (unknown, processes) in [(0.0, 10), (0.05, 10), (0.3, 50)] {
        let history = bench::history(bench::Shape::contended(20_000, processes, unknown));
        let result = acknowledged::check(&history);
        assert_eq!((result.verdict, &result.figure["undone"]), (Verdict::Valid, &0.into()), "{}", result.words);
    }
}

/// The newest update is read at the end, so `durability` finds nothing. All updates before it are lost.
#[test]
fn what_was_undone_before_the_newest_update_is_counted() {
    let updates = 300;
    let mut drawing = String::from("c1 |w 1000--> ");
    for value in 1..=updates {
        drawing += &format!("w {value}--> ");
    }
    // The key falls back to its first value and continues from there.
    drawing += "cas 1000 2000-->  r 2000-->|";
    let history = heckle_history::drawn::history(&drawing);
    assert_eq!(durability::check(&history).verdict, Verdict::Valid, "which is all that it checks");
    let result = acknowledged::check(&history);
    assert_eq!((result.verdict, &result.figure["undone"]), (Verdict::Invalid, &updates.into()));
    assert!(
        result.words.starts_with(&format!(
            "{updates} acknowledged updates were undone on one key: on k1, {updates} from op 1 to op {updates}, acknowledged from "
        )),
        "{}",
        result.words
    );
    assert!(result.words.contains("still found 1000 and replaced it"), "{}", result.words);
    let listed = result.figure["keys"][0]["first_undone"].as_array().expect("a list");
    assert_eq!(listed.len(), acknowledged::MAX_LISTED, "the list is bounded, the count is not");
}
