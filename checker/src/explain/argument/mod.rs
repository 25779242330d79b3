//! The argument of a violation as drawn: the few ops that contradict each other, the faults between them, and the states that
//! lead to the contradiction.
//!
//! If an acknowledged update is proved to be missing and brute force confirms that the ops involved have no order, the argument
//! is the story of that update: the update, the fault and the op that missed it. Otherwise it is the proof of the checker. The
//! pictures, the page and the text all present the same argument.

mod choose; // selects the ops to draw
mod crashed; // the argument of a crash
mod lines; // the argument as lines of text
mod words; // calls, times, and the sentence above the picture
mod walk; // the states step by step, up to the point where no op fits

pub use lines::{pause_words, text};
pub use walk::{Blocked, Step, Walk};

use super::story::{self, Loss};
use crate::coverage::{self, Fault};
use crate::linearizable::facts::{Fates, KeyOps};
use heckle_history::{Call, Fate, History, Nanos, OpId, Outcome, Seen};
use words::{call_and_answer, decimals, fault_words, meaning, time, title, when};

/// Maximum number of ops that are drawn. Longer proofs are cut in the middle.
pub const MAX_OPS: usize = 16;
/// Maximum number of faults that are drawn.
pub const MAX_FAULTS: usize = 6;

/// The argument of a violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Name of the key.
    pub key: String,
    /// The loss and its cause, in one sentence.
    pub title: String,
    /// The ops of the argument, ordered by invocation.
    pub ops: Vec<DrawnOp>,
    /// Number of ops of the proof that are left out because there are too many.
    pub left_out: usize,
    /// The faults between the ops, ordered by start time.
    pub faults: Vec<DrawnFault>,
    /// Other events, such as a crash, with their times.
    pub marks: Vec<(Nanos, String)>,
    /// Number of other faults in that time that are not drawn.
    pub more_faults: usize,
    /// The states step by step; no steps if the model of the ops is not known.
    pub walk: Walk,
    /// Number of decimals needed to distinguish the times of the argument, in seconds.
    pub decimals: usize,
}

/// One op of the argument.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnOp {
    /// Id of the op.
    pub op: OpId,
    /// Index of the op in the history.
    pub place: u32,
    /// Role of the op in the argument.
    pub role: Role,
    /// The call and its answer, such as `cas null -> 2 ok` or `read -> null`.
    pub words: String,
    /// The call alone.
    pub call: String,
    /// The answer alone.
    pub answer: String,
    /// The caller and the node it used: `c3 via n1`.
    pub who: String,
    /// When the op was sent or answered: `acknowledged at 4.200 s`.
    pub when: String,
    /// What follows from the op: `from then on k1 must hold 17 or a newer value`. Empty if nothing follows from this op
    /// alone.
    pub meaning: String,
    /// When the op was sent.
    pub invoked: Nanos,
    /// When the op ended; `None` if that is not known.
    pub ended: Option<Nanos>,
}

/// The role of an op in the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The update that is missing.
    Lost,
    /// The op that shows the contradiction.
    Observer,
    /// Any other op of the argument.
    Part,
}

/// A fault in the time span of the argument.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnFault {
    /// Id of the fault in the history.
    pub id: u64,
    /// What happened, such as `all nodes killed (n1, n2, n3)`.
    pub words: String,
    /// When it began.
    pub began: Nanos,
    /// When it ended.
    pub ended: Nanos,
}

impl Argument {
    /// Returns the argument of a violation of `key` with the given `ops`. `summary` is used as its sentence if no update was
    /// lost. `None` if the history contains none of the ops.
    pub fn of(history: &History, key: &str, ops: &[OpId], summary: &str) -> Option<Argument> {
        let id = history.names.find_key(key)?;
        let loss = Loss::find(history, id, ops);
        let of_key = KeyOps {
            history,
            key: id,
            places: (0u32..).zip(&history.ops).filter(|(_, o)| o.key == id).map(|(p, _)| p).collect(),
            fates: Fates::Used,
        };
        let chosen = choose::ops(&of_key, loss.as_ref(), ops);
        let walk = walk::of(&of_key, &chosen);
        let (places, left_out) = choose::cut(chosen, loss.as_ref());
        let first = places.first()?;
        let from = history.ops[*first as usize].invoked;
        let ends = places.iter().map(|&p| end(history, p).unwrap_or(history.ops[p as usize].invoked));
        let to = ends.max().unwrap_or(from);
        let (faults, more_faults) = faults(history, loss.as_ref(), from, to);
        let moments: Vec<Nanos> = places
            .iter()
            .flat_map(|&p| [Some(history.ops[p as usize].invoked), end(history, p)])
            .flatten()
            .chain(faults.iter().flat_map(|f| [f.began, f.ended]))
            .collect();
        let decimals = decimals(&moments);
        let observer = loss.as_ref().map(|l| l.observer).or_else(|| last_observer(history, &places));
        let ops = places.iter().map(|&p| drawn(history, p, loss.as_ref(), observer, decimals)).collect();
        let title = loss.as_ref().map_or_else(|| summary.to_owned(), |loss| title(history, loss, decimals));
        Some(Argument { key: key.to_owned(), title, ops, left_out, faults, marks: vec![], more_faults, walk, decimals })
    }

    /// Formats a time with as many decimals as the argument needs.
    pub fn time(&self, t: Nanos) -> String {
        time(t, self.decimals)
    }

    /// Returns the moments of the argument in order: starts and ends of ops and faults, without duplicates.
    pub fn moments(&self) -> Vec<Nanos> {
        let ops = self.ops.iter().flat_map(|o| [Some(o.invoked), o.ended]).flatten();
        let faults = self.faults.iter().flat_map(|f| [f.began, f.ended]);
        let mut all: Vec<Nanos> = ops.chain(faults).chain(self.marks.iter().map(|(t, _)| *t)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Returns the op invoked last among those of `places` that found a value.
fn last_observer(history: &History, places: &[u32]) -> Option<u32> {
    let found = |p: &&u32| {
        let op = &history.ops[**p as usize];
        matches!(op.outcome, Outcome::Ok(Seen::Value(_) | Seen::ConditionNotMet(_)))
            || matches!((op.call, op.outcome), (Call::Cas { .. }, Outcome::Ok(Seen::Applied)))
    };
    places.iter().filter(found).max_by_key(|&&p| (history.ops[p as usize].completed, p)).copied()
}

/// Returns when an op ended: when it was answered or found to have been applied.
fn end(history: &History, place: u32) -> Option<Nanos> {
    let op = &history.ops[place as usize];
    match (op.outcome, history.fates.get(&place)) {
        (Outcome::Ok(_) | Outcome::Failed, _) => Some(op.completed),
        (_, Some((Fate::Applied, t))) => Some(*t),
        (Outcome::Unknown | Outcome::Open, _) => None,
    }
}

/// Returns the faults to draw and the number of other faults. The fault that explains the loss is always drawn.
fn faults(history: &History, loss: Option<&Loss>, from: Nanos, to: Nanos) -> (Vec<DrawnFault>, usize) {
    let cause = loss.and_then(|l| l.between.as_ref().or(l.around.as_ref())).map(|f| f.id);
    let mut near: Vec<Fault> =
        coverage::faults(history).into_iter().filter(|f| f.effective && f.began <= to && from <= f.ended || Some(f.id) == cause).collect();
    let found = near.len();
    near.sort_by_key(|f| (Some(f.id) != cause, std::cmp::Reverse(f.began)));
    near.truncate(MAX_FAULTS);
    near.sort_by_key(|f| (f.began, f.id));
    let drawn = |f: Fault| DrawnFault { id: f.id, words: fault_words(&f), began: f.began, ended: f.ended.max(f.began) };
    let near: Vec<DrawnFault> = near.into_iter().map(drawn).collect();
    let more = found - near.len();
    (near, more)
}

fn drawn(history: &History, place: u32, loss: Option<&Loss>, observer: Option<u32>, decimals: usize) -> DrawnOp {
    let op = &history.ops[place as usize];
    let role = match loss {
        Some(loss) if loss.lost == place => Role::Lost,
        _ if observer == Some(place) => Role::Observer,
        _ => Role::Part,
    };
    let (call, answer) = call_and_answer(history, place);
    let client = history.details.get(place as usize).and_then(|d| d.client);
    let client = client.map_or_else(|| format!("process {}", op.process), |c| c.to_string());
    let node = op.node.map_or(String::new(), |n| format!(" via {}", history.names.node_name(n)));
    let ended = end(history, place);
    let words = match (op.call, op.outcome) {
        (Call::Read, Outcome::Ok(_)) => format!("{call} -> {answer}"),
        _ => format!("{call} {answer}"),
    };
    let (when, who) = (when(op, role, ended, decimals), format!("{client}{node}"));
    let meaning = loss.map_or_else(String::new, |loss| meaning(history, op, role, loss));
    DrawnOp { op: op.op, place, role, words, call, answer, who, when, meaning, invoked: op.invoked, ended }
}

impl DrawnOp {
    /// Describes who called, when, and what follows from the op.
    pub fn note(&self) -> String {
        let meaning = if self.meaning.is_empty() { String::new() } else { format!(": {}", self.meaning) };
        format!("{}, op {}, {}{meaning}", self.who, self.op, self.when)
    }
}
