//! The text of an argument: calls with their answers, times, and the sentence above the picture.

use super::{Role, story};
use crate::coverage::Fault;
use crate::explain::label;
use crate::explain::story::Loss;
use crate::linearizable::reason::value;
use heckle_history::{Call, Fate, History, Nanos, Operation, Outcome, Seen};

/// Describes a fault: "all nodes killed (n1, n2, n3)".
pub(super) fn fault_words(fault: &Fault) -> String {
    let targets = fault.targets.join(", ");
    match fault.kind.split([':', '@']).next().unwrap_or_default() {
        "kill-all" => format!("all nodes killed ({targets})"),
        "kill" => format!("{targets} killed"),
        "pause" => format!("{targets} paused"),
        "partition" => format!("network partitioned ({targets})"),
        _ if targets.is_empty() => fault.kind.to_string(),
        _ => format!("{} on {targets}", fault.kind),
    }
}

/// Describes a call and its result: `cas 1 -> 2` and `refused, held 5`.
pub(super) fn call_and_answer(history: &History, place: u32) -> (String, String) {
    let op = &history.ops[place as usize];
    let call = match op.call {
        Call::Read => op.name().to_owned(),
        Call::Write { new } => format!("{} {new}", op.name()),
        Call::Cas { expected, new } => format!("cas {} -> {new}", value(expected)),
    };
    let answer = match (op.outcome, history.fates.get(&place)) {
        (Outcome::Ok(Seen::Value(v)), _) => value(v),
        (Outcome::Ok(Seen::Written | Seen::Applied), _) => "ok".to_owned(),
        (Outcome::Ok(Seen::ConditionNotMet(heckle_history::Current::Known(v))), _) => format!("refused, held {}", value(v)),
        (Outcome::Ok(Seen::ConditionNotMet(heckle_history::Current::NotReported)), _) => "refused".to_owned(),
        (Outcome::Failed, _) => "failed".to_owned(),
        (_, Some((Fate::Applied, _))) => "no answer, was applied".to_owned(),
        (_, Some((Fate::NotApplied, _))) => "no answer, was not applied".to_owned(),
        (Outcome::Unknown | Outcome::Open, _) => "no answer".to_owned(),
    };
    (call, answer)
}

/// Describes when an op was sent or answered.
pub(super) fn when(op: &Operation, role: Role, ended: Option<Nanos>, decimals: usize) -> String {
    let at = |t: Nanos| time(t, decimals);
    match (role, op.outcome, ended) {
        (Role::Observer, ..) | (_, _, None) => format!("sent at {}", at(op.invoked)),
        (_, Outcome::Ok(Seen::Written | Seen::Applied), Some(t)) => format!("acknowledged at {}", at(t)),
        (_, Outcome::Ok(_), Some(t)) => format!("sent at {}, answered at {}", at(op.invoked), at(t)),
        (_, Outcome::Failed, Some(t)) => format!("failed at {}", at(t)),
        (_, Outcome::Unknown | Outcome::Open, Some(t)) => format!("sent at {}, known to be applied at {}", at(op.invoked), at(t)),
    }
}

/// Describes what an op implies about the lost update.
pub(super) fn meaning(history: &History, op: &Operation, role: Role, loss: &Loss) -> String {
    match role {
        Role::Lost => {
            let key = history.names.key_name(op.key);
            format!("from then on {key} must hold {} or a newer value", value(op.call.writes()))
        }
        Role::Observer if loss.undone => format!("it found {}, so the update was lost", value(loss.seen)),
        Role::Observer => format!("it found {}, so it missed the update", value(loss.seen)),
        Role::Part => String::new(),
    }
}

/// Returns the sentence above the picture: "k1 was changed from 16 to 17, acknowledged by n2 at 4.200 s; n2 was killed at 4.500 s; a
/// read sent at 5.000 s still found 12: …"
pub(super) fn title(history: &History, loss: &Loss, decimals: usize) -> String {
    let (lost, observer) = (&history.ops[loss.lost as usize], &history.ops[loss.observer as usize]);
    let key = history.names.key_name(lost.key);
    let did = match lost.call {
        Call::Cas { expected, new } => format!("{key} was changed from {} to {new}", value(expected)),
        Call::Write { new } => format!("{new} was written to {key}"),
        Call::Read => label(lost),
    };
    let by = lost.node.map_or(String::new(), |n| format!(" by {}", history.names.node_name(n)));
    let at = |t: Nanos| time(t, decimals);
    let fault = match (&loss.between, &loss.around) {
        (Some(fault), _) => format!("{} at {}", story::strike(fault), at(fault.began)),
        (None, Some(fault)) => format!("fault {} ({}) was active", fault.id, fault_words(fault)),
        (None, None) => "no fault came in between".to_owned(),
    };
    let what = match observer.call {
        Call::Read => format!("a {}", observer.name()),
        Call::Write { .. } | Call::Cas { .. } => "a cas".to_owned(),
    };
    let end = if loss.undone { "the acknowledged update was lost" } else { "the acknowledged update was missed, and came back later" };
    let found = match loss.seen {
        Some(seen) => format!("still found {seen}"),
        None => format!("found null, as if {key} had never been written"),
    };
    format!("{did}, acknowledged{by} at {}; {fault}; {what} sent at {} {found}: {end}.", at(lost.completed), at(observer.invoked))
}

/// Formats a time in seconds.
pub(super) fn time(t: Nanos, decimals: usize) -> String {
    format!("{:.decimals$} s", t.as_secs_f64())
}

/// Returns three decimals if they distinguish all moments, otherwise six.
pub(super) fn decimals(moments: &[Nanos]) -> usize {
    let mut coarse: Vec<u64> = vec![];
    let mut sorted = moments.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    for t in &sorted {
        // Round in the same way as `time`.
        coarse.push((t.0 + 500_000) / 1_000_000);
    }
    let before = coarse.len();
    coarse.dedup();
    if coarse.len() == before { 3 } else { 6 }
}
