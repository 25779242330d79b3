//! Describes the effect of a violation: which acknowledged update is missing, when it was acknowledged, which fault
//! occurred in between, and which client saw the old value.
//!
//! The proof of a violation shows why no order exists. This text states what a user of the system lost, if a loss is
//! proved: see [`acknowledged`].

use crate::checks::acknowledged;
use crate::coverage::{self, Fault};
use crate::linearizable::reason::value;
use heckle_history::{Call, Current, History, KeyId, Nanos, OpId, Operation, Outcome, Seen, Value};

/// An acknowledged update that is proved to be missing, and the op that missed it. Ops are indices into the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The missing update. If there are several, the last one acknowledged before the fault.
    pub lost: u32,
    /// The op that found an older value.
    pub observer: u32,
    /// The value that it found.
    pub seen: Option<Value>,
    /// All updates that the observer missed, by acknowledgement.
    pub missing: Vec<u32>,
    /// The last effective fault that began between the update and the observation.
    pub between: Option<Fault>,
    /// An effective fault that was active when the observer was invoked, if none began between the update and the
    /// observation.
    pub around: Option<Fault>,
    /// Whether the update never reappeared.
    pub undone: bool,
}

impl Loss {
    /// Finds the loss in a violation of `key` with the given `ops`; `None` if no acknowledged update is proved to be missing.
    pub fn find(history: &History, key: KeyId, ops: &[OpId]) -> Option<Loss> {
        let (place, seen) = observer(history, ops)?;
        let observer = &history.ops[place as usize];
        let missing = acknowledged::missed_by(history, key, seen, observer.invoked);
        let first = &history.ops[*missing.first()? as usize];
        let faults = coverage::faults(history);
        let between = faults.iter().filter(|f| f.effective && first.completed <= f.began && f.began <= observer.completed);
        let between = between.max_by_key(|f| (f.began, f.id));
        // If several updates are missing, take the last one acknowledged before the fault.
        let before = between.map_or(observer.invoked, |f| f.began);
        let lost = *missing.iter().rev().find(|&&p| history.ops[p as usize].completed <= before)?;
        let active = |f: &&Fault| f.effective && f.began <= observer.invoked && observer.invoked <= f.ended;
        let around = if between.is_some() { None } else { faults.iter().find(active).cloned() };
        let undone = acknowledged::missed(history).iter().any(|m| m.undone.iter().any(|u| u.place == lost));
        Some(Loss { lost, observer: place, seen, between: between.cloned(), around, undone, missing })
    }
}

/// Describes a violation of `key` with the given `ops`; `None` if no acknowledged update is proved to be missing.
pub fn of(history: &History, key: KeyId, ops: &[OpId]) -> Option<String> {
    let loss = Loss::find(history, key, ops)?;
    let mut sentences = vec![update(history, loss.lost)];
    sentences.push(match (&loss.between, &loss.around) {
        (Some(fault), _) => describe_fault(fault),
        (None, Some(fault)) => describe_active(fault),
        (None, None) => "No fault came in between.".to_owned(),
    });
    sentences.push(observation(history, &loss));
    if let [first, .., last] = loss.missing[..] {
        let (first, last) = (&history.ops[first as usize], &history.ops[last as usize]);
        sentences.push(format!(
            "In all, {} acknowledged updates of key {} were missing, acknowledged from {} to {}.",
            loss.missing.len(),
            history.names.key_name(key),
            first.completed,
            last.completed
        ));
    }
    Some(sentences.join(" "))
}

/// Returns the op that completed last among the violation's ops that found a value, and that value.
fn observer(history: &History, ops: &[OpId]) -> Option<(u32, Option<Value>)> {
    let found = |op: &Operation| match (op.call, op.outcome) {
        (_, Outcome::Ok(Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v)))) => Some(v),
        (Call::Cas { expected, .. }, Outcome::Ok(Seen::Applied)) => Some(expected),
        _ => None,
    };
    let all = (0u32..).zip(&history.ops).filter(|(_, o)| ops.contains(&o.op));
    all.filter_map(|(p, o)| Some((p, found(o)?))).max_by_key(|(p, _)| (history.ops[*p as usize].completed, *p))
}

/// Describes the update: "Client c3 changed key k1 from 16 to 17 (op 812), and n2 acknowledged it at 3.801587 s."
fn update(history: &History, place: u32) -> String {
    let op = &history.ops[place as usize];
    let key = history.names.key_name(op.key);
    let did = match op.call {
        Call::Cas { expected, new } => format!("changed key {key} from {} to {new}", value(expected)),
        Call::Write { new } => format!("wrote {new} to key {key}"),
        Call::Read => format!("read key {key}"),
    };
    let by = op.node.map_or_else(|| "it was acknowledged".to_owned(), |n| format!("{} acknowledged it", history.names.node_name(n)));
    format!("{} {did} (op {}), and {by} at {}.", capital(&client_name(history, place)), op.op, op.completed)
}

/// Describes the observation: "At 4.410000 s client c7 read key k1 through n1 (op 2268) and still got 12, which op 701 had
/// written: the update was lost."
fn observation(history: &History, loss: &Loss) -> String {
    let (place, seen) = (loss.observer, loss.seen);
    let op = &history.ops[place as usize];
    let key = history.names.key_name(op.key);
    let through = op.node.map_or(String::new(), |n| format!(" through {}", history.names.node_name(n)));
    let (did, got) = match op.outcome {
        Outcome::Ok(Seen::Value(_)) => ("read", "still got"),
        Outcome::Ok(Seen::ConditionNotMet(_)) => ("tried a CAS on", "was refused because it still held"),
        Outcome::Ok(Seen::Applied | Seen::Written) | Outcome::Failed | Outcome::Unknown | Outcome::Open => {
            ("changed", "the CAS succeeded because it still held")
        }
    };
    let writer = history.ops.iter().find(|o| seen.is_some() && o.call.writes() == seen);
    let origin = match (writer, seen) {
        (Some(w), _) => format!("{}, the older value that op {} wrote", value(seen), w.op),
        (None, None) => "null, as if it had never been written".to_owned(),
        (None, Some(_)) => value(seen),
    };
    let end =
        if loss.undone { "the acknowledged update was lost" } else { "the acknowledged update was not seen there, and came back later" };
    format!("At {} {} {did} key {key}{through} (op {}) and {got} {origin}: {end}.", op.invoked, client_name(history, place), op.op)
}

/// Names the client, such as "client c3", or the process, such as "process 12".
fn client_name(history: &History, place: u32) -> String {
    match history.details.get(place as usize).and_then(|d| d.client) {
        Some(client) => format!("client {client}"),
        None => format!("process {}", history.ops[place as usize].process),
    }
}

/// Describes a fault: "Then n1 was killed at 3.900000 s (fault 2), until 4.300000 s."
fn describe_fault(fault: &Fault) -> String {
    let what = strike(fault);
    let until = if fault.ended == Nanos::NEVER { String::new() } else { format!(", lifted at {}", fault.ended) };
    format!("Then {what} at {} (fault {}{until}).", fault.began, fault.id)
}

/// Describes what a fault did: "n1 was killed".
pub(super) fn strike(fault: &Fault) -> String {
    let targets = fault.targets.join(", ");
    let kind = fault.kind.split([':', '@']).next().unwrap_or_default();
    let be = if fault.targets.len() == 1 { "was" } else { "were" };
    match kind {
        "kill-all" => format!("all nodes were killed ({targets})"),
        "kill" => format!("{targets} {be} killed"),
        "pause" => format!("{targets} {be} paused"),
        "partition" => format!("the network was partitioned ({targets})"),
        other => format!("a {other} fault struck {targets}"),
    }
}

/// Describes an active fault: "Fault 2 (partition on n1, n2|n3) was active from 0.002000 s to 0.030000 s."
fn describe_active(fault: &Fault) -> String {
    format!("Fault {} ({} on {}) was active from {} to {}.", fault.id, fault.kind, fault.targets.join(", "), fault.began, fault.ended)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
