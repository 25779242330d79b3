//! Explains a violation as text, as events, and as the argument drawn in pictures: the files of `violations/1/`. The caller
//! writes them to disk.

pub mod story; // the effect on a user of the system
pub mod argument; // the ops, faults and states of a violation, as drawn in the pictures
mod label; // short labels for ops

pub use label::label;

use crate::linearizable::facts::{Fates, KeyOps};
use crate::linearizable::search_request;
use crate::verdict::Violation;
use heckle_history::event::{Completion, Invoke};
use heckle_history::printable::printable;
use heckle_history::{Call, Event, Header, History, Nanos, Operation, Outcome, Seen};
use std::fmt::Write;

/// Returns `explain.txt`: the ops, why they contradict the model, and the context.
pub fn text(history: &History, violation: &Violation) -> String {
    let mut out = String::new();
    let explanation = &violation.explanation;
    let kind = violation.kind;
    let _ = writeln!(out, "Violation {}: {kind} on key {}: {}.\n", violation.id, printable(&violation.key), kind.meaning());
    if let Some(story) = &explanation.story {
        let _ = writeln!(out, "{}\n", printable(story));
        out.push_str("Why it cannot be:\n");
        let _ = writeln!(out, "  {}\n", printable(&explanation.summary));
    } else {
        let _ = writeln!(out, "{}\n", printable(&explanation.summary));
    }
    if let Some(argument) = argument::Argument::of(history, &violation.key, &violation.ops, &explanation.summary) {
        let _ = writeln!(out, "{}", argument::text(&argument));
    }
    if !explanation.steps.is_empty() {
        out.push_str("Step by step:\n");
        for (i, step) in explanation.steps.iter().enumerate() {
            let _ = writeln!(out, "  {}. {}", i + 1, printable(step));
        }
        out.push('\n');
    }
    out.push_str("The ops:\n");
    for op in &chosen(history, violation) {
        let _ = writeln!(out, "  {}", printable(&line(history, &history.ops[*op as usize])));
    }
    if !explanation.nearby.is_empty() {
        out.push_str("\nWhat was near it (context, not proof):\n");
        for line in &explanation.nearby {
            let _ = writeln!(out, "  {}", printable(line));
        }
    }
    if let Some(cause) = &explanation.cause {
        let _ = writeln!(out, "\nCause: {}", printable(cause));
    }
    let proof = if violation.certified {
        "A second engine refuted these ops again on their own."
    } else {
        "No second engine has refuted these ops on their own."
    };
    let _ = writeln!(out, "\nShown at {}. {proof}", violation.shown_at);
    out
}

/// Returns `certificate.json`: the proof as data, or `null` for a violation found by search, which has no proof.
pub fn certificate_json(violation: &Violation) -> String {
    // A contradiction contains only numbers and strings, so it always has a JSON form.
    serde_json::to_string_pretty(&violation.contradiction).expect("a contradiction is always writable as JSON")
}

/// Returns `minimal.jsonl`: the events of the ops that suffice, to be written by
/// [`heckle_history::writer::write_plain`].
///
/// The file is a history that is invalid on its own. An op that matters only for the value it wrote is therefore
/// included as a blind write, which has weaker requirements than a CAS; the header's `note` says so.
pub fn minimal_events(history: &History, violation: &Violation) -> (Header, Vec<Event>) {
    let places = chosen(history, violation);
    let mut timed: Vec<(Nanos, u8, Event)> = places.iter().flat_map(|&p| events_of(history, p, &history.ops[p as usize])).collect();
    let mut header = Header { keys: vec![violation.key.clone()], nodes: vec![], ..history.header.clone() };
    // The file no longer contains a whole run, so the requirements of the run do not apply to it.
    header.more.remove(heckle_history::event::TERMS);
    if let Some(key) = history.names.find_key(&violation.key) {
        let all: Vec<u32> = (0u32..).zip(&history.ops).filter(|(_, o)| o.key == key).map(|(p, _)| p).collect();
        let context = search_request::context(&KeyOps { history, key, places: all, fates: Fates::Used }, &places);
        for &place in &context {
            let mut op = history.ops[place as usize];
            if let Call::Cas { new, .. } = op.call {
                op.call = Call::Write { new };
                op.outcome = if matches!(op.outcome, Outcome::Ok(_)) { Outcome::Ok(Seen::Written) } else { op.outcome };
            }
            timed.extend(events_of(history, place, &op));
        }
        if !context.is_empty() {
            let ids: Vec<String> = context.iter().map(|&p| history.ops[p as usize].op.to_string()).collect();
            let note = format!("ops {} are here only for what they wrote, and stand as blind writes", ids.join(", "));
            header.more.insert("note".to_owned(), note.into());
        }
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    (header, timed.into_iter().map(|(_, _, e)| e).collect())
}

/// Returns the indices of the violation's ops, by invocation.
fn chosen(history: &History, violation: &Violation) -> Vec<u32> {
    (0u32..).zip(&history.ops).filter(|(_, o)| violation.ops.contains(&o.op)).map(|(p, _)| p).collect()
}

fn line(history: &History, op: &Operation) -> String {
    let (label, node) = (label(op), op.node.map_or(String::new(), |n| format!(" by {}", history.names.node_name(n))));
    match op.outcome {
        Outcome::Open => format!("op {:<6} process {:<4} {} .. open: {label}{node}", op.op, op.process, op.invoked),
        Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown => {
            format!("op {:<6} process {:<4} {} .. {}: {label}{node}", op.op, op.process, op.invoked, op.completed)
        }
    }
}

fn events_of(history: &History, place: u32, op: &Operation) -> Vec<(Nanos, u8, Event)> {
    let detail = history.details.get(place as usize);
    let (client, intent) = (detail.and_then(|d| d.client), detail.and_then(|d| d.intent));
    let (sent_to, attempt) = (detail.and_then(|d| d.sent_to), detail.and_then(|d| d.attempt));
    let payload = detail.and_then(|d| d.payload);
    let (id, t, call, key, path) = (op.op, op.invoked, op.call, op.key, op.path);
    let intended = Some(op.intended);
    let mut events = vec![(
        t,
        0,
        Event::Invoke(Invoke {
            op: id,
            process: op.process,
            client,
            t,
            intended,
            key,
            call,
            node: sent_to,
            intent,
            attempt,
            payload,
            path,
        }),
    )];
    let (reason, diagnostics) = (detail.and_then(|d| d.reason.clone()), detail.and_then(|d| d.diagnostics.clone()));
    let (t, node) = (op.completed, op.node);
    let bare = Completion { op: id, t, seen: (), node, reason, diagnostics };
    match op.outcome {
        Outcome::Ok(seen) => {
            events.push((t, 1, Event::Ok(Completion { op: id, t, seen, node, reason: bare.reason, diagnostics: bare.diagnostics })))
        }
        Outcome::Failed => events.push((t, 1, Event::Fail(bare))),
        Outcome::Unknown => events.push((t, 1, Event::Unknown(bare))),
        Outcome::Open => {}
    }
    if let Some((fate, t)) = history.fates.get(&place) {
        events.push((*t, 2, Event::Fate { op: id, t: *t, fate: *fate }));
    }
    events
}
