//! The argument as lines of text, for a terminal and for `explain.txt`. Time runs downwards, and long pauses are
//! shortened.

use super::{Argument, Walk};
use heckle_history::Nanos;
use heckle_history::printable::printable;
use std::fmt::Write;

/// A pause is printed if it is at least this many times as long as the shortest one.
const PAUSE: u64 = 4;

/// Returns the argument as two paragraphs: the events in time order, and the states step by step.
pub fn text(argument: &Argument) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "In the order of time:");
    let events = events(argument);
    let shortest = events.windows(2).map(|w| w[1].0.since(w[0].0).0).filter(|ns| *ns > 0).min().unwrap_or(1);
    let wide = events.iter().map(|(t, ..)| argument.time(*t).len()).max().unwrap_or(0);
    let mut before: Option<Nanos> = None;
    for (t, _, who, words) in &events {
        let pause = before.map_or(0, |b| t.since(b).0);
        if pause >= PAUSE * shortest {
            let _ = writeln!(out, "  {:>wide$}  {}", "...", pause_words(pause));
        }
        let _ = writeln!(out, "  {:>wide$}  {who:<8}  {}", argument.time(*t), printable(words));
        before = Some(*t);
    }
    if argument.left_out > 0 {
        let _ = writeln!(out, "  ({} more ops of the proof are left out)", argument.left_out);
    }
    if argument.more_faults > 0 {
        let _ = writeln!(out, "  ({} more faults in this time are left out)", argument.more_faults);
    }
    out.push_str(&steps(argument, &argument.walk));
    out
}

/// An event: its time, its rank among simultaneous events, the client or node it belongs to, and what happened.
type Line = (Nanos, u8, String, String);

fn events(argument: &Argument) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![];
    for op in &argument.ops {
        let id = format!("op {}", op.op);
        let open = if op.ended.is_none() { ", never answered" } else { "" };
        lines.push((op.invoked, 1, id.clone(), format!("{}: {}{open}", op.who, op.call)));
        if let Some(t) = op.ended {
            let meaning = if op.meaning.is_empty() { String::new() } else { format!(": {}", op.meaning) };
            lines.push((t, 2, id, format!("{}{meaning}", op.answer)));
        }
    }
    for (t, words) in &argument.marks {
        lines.push((*t, 2, "crash".to_owned(), words.clone()));
    }
    for fault in &argument.faults {
        let id = format!("fault {}", fault.id);
        lines.push((fault.began, 0, id.clone(), fault.words.clone()));
        lines.push((fault.ended, 3, id, "lifted".to_owned()));
    }
    lines.sort_by_key(|(t, rank, ..)| (*t, *rank));
    lines
}

fn steps(argument: &Argument, walk: &Walk) -> String {
    if walk.start.is_empty() {
        return String::new();
    }
    let mut out = format!("\nThe value of {}, step by step:\n", printable(&argument.key));
    let _ = writeln!(out, "  0. {}", walk.start);
    for (i, step) in walk.steps.iter().enumerate() {
        let _ = writeln!(out, "  {}. {}: {}", i + 1, printable(&argument.step_words(step)), step.state);
    }
    let _ = writeln!(
        out,
        "  {}. no step is possible{}:",
        walk.steps.len() + 1,
        if walk.exhaustive { ", and no other order gets further" } else { "" }
    );
    for blocked in &walk.blocked {
        let words = argument.ops.iter().find(|o| o.op == blocked.op).map_or(String::new(), |o| format!(", {}", o.words));
        let _ = writeln!(out, "     op {}{}: {}", blocked.op, printable(&words), printable(&blocked.why));
    }
    out
}

impl Argument {
    /// Describes a step of the walk.
    pub fn step_words(&self, step: &super::Step) -> String {
        match self.ops.iter().find(|o| o.op == step.op) {
            Some(op) => format!("op {}, {}", step.op, op.words),
            None if step.drawn => format!("op {}", step.op),
            None => format!("updates before it, the last of them op {}", step.op),
        }
    }
}

/// Formats a pause with its unit: `358 ms`.
pub fn pause_words(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..10_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}
