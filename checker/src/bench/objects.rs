//! Generates histories of sets and lists with millions of ops to measure their scans: `heckle bench objects` prints the table.
//!
//! Every process calls in a closed loop; each op takes effect at one instant of its interval. Each key receives a fixed
//! number of elements, then the next key is used. A read is stored as the number of elements it saw: elements are only
//! added, so it saw the first elements of the key, in the order of their effects.

use crate::search::ModelKind;
use heckle_history::prng::{Pcg64, Seed};
use rand::RngExt;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;

/// The parameters of a generated history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectShape {
    /// Model of the history: `set` or `list-append`.
    pub model: ModelKind,
    /// Number of ops.
    pub ops: usize,
    /// Number of concurrent processes.
    pub processes: u32,
    /// Number of elements per key.
    pub per_key: usize,
    /// Share of reads, 0 to 1.
    pub reads: f64,
    /// Share of unanswered ops, 0 to 1; half of them take effect.
    pub unknown: f64,
    /// The seed of all random choices.
    pub seed: u64,
}

impl ObjectShape {
    /// Returns the shape for lists of 100 values, where half of the ops are reads.
    pub fn lists(ops: usize) -> Self {
        ObjectShape { model: ModelKind::ListAppend, ops, processes: 20, per_key: 100, reads: 0.5, unknown: 0.01, seed: 1 }
    }

    /// Returns the shape for sets of 1,000 elements, where 5 % of the ops are reads.
    pub fn sets(ops: usize) -> Self {
        ObjectShape { model: ModelKind::Set, per_key: 1_000, reads: 0.05, ..ObjectShape::lists(ops) }
    }
}

/// Mean time between two steps of one op.
const MEAN_NS: u64 = 100_000;

#[derive(Debug, Clone, Copy)]
struct Op {
    key: usize,
    /// The element that the op adds; `None` for a read.
    adds: Option<i64>,
    answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Invoke,
    Effect(usize),
    End(usize),
}

struct Run {
    shape: ObjectShape,
    rng: Pcg64,
    agenda: BinaryHeap<Reverse<(u64, Step, u32)>>,
    ops: Vec<Op>,
    /// Number of elements that each read saw.
    saw: Vec<usize>,
    /// The elements of each key in the order of their effects.
    keys: Vec<Vec<i64>>,
    /// Number of elements whose adds have been invoked on the newest key.
    asked: usize,
    next_process: u32,
    text: String,
    /// Total number of elements in all answers.
    elements: u64,
}

/// Generates a history as `knossos-json`, and returns it with the total number of elements in its answers.
pub fn text(shape: ObjectShape) -> (String, u64) {
    let mut run = Run {
        shape,
        rng: Seed(shape.seed).stream("bench objects"),
        agenda: BinaryHeap::new(),
        ops: Vec::with_capacity(shape.ops),
        saw: vec![],
        keys: vec![vec![]],
        asked: 0,
        next_process: shape.processes,
        text: String::new(),
        elements: 0,
    };
    for process in 0..shape.processes {
        let start = run.pause();
        run.agenda.push(Reverse((start, Step::Invoke, process)));
    }
    while let Some(Reverse((t, step, process))) = run.agenda.pop() {
        match step {
            Step::Invoke => run.invoke(t, process),
            Step::Effect(op) => run.effect(op),
            Step::End(op) => run.end(t, op, process),
        }
    }
    (run.text, run.elements)
}

impl Run {
    fn pause(&mut self) -> u64 {
        self.rng.random_range(1..2 * MEAN_NS)
    }

    fn invoke(&mut self, t: u64, process: u32) {
        if self.ops.len() == self.shape.ops {
            return;
        }
        let place = self.ops.len();
        let reads = self.rng.random_bool(self.shape.reads);
        if !reads && self.asked == self.shape.per_key {
            self.keys.push(vec![]);
            self.asked = 0;
        }
        self.asked += usize::from(!reads);
        let (answered, took_effect) = (!self.rng.random_bool(self.shape.unknown), self.rng.random_bool(0.5));
        let op = Op { key: self.keys.len() - 1, adds: (!reads).then_some(place as i64), answered };
        self.ops.push(op);
        self.saw.push(0);
        let (effect, end) = (t + self.pause(), self.pause());
        if answered || took_effect {
            self.agenda.push(Reverse((effect, Step::Effect(place), process)));
        }
        self.agenda.push(Reverse((effect + end, Step::End(place), process)));
        self.event(t, process, "invoke", place);
        let value = op.adds.map_or("null".to_owned(), |value| value.to_string());
        let _ = writeln!(self.text, "{value}}}");
    }

    fn effect(&mut self, place: usize) {
        let Op { key, adds, .. } = self.ops[place];
        match adds {
            Some(value) => self.keys[key].push(value),
            None => self.saw[place] = self.keys[key].len(),
        }
    }

    fn end(&mut self, t: u64, place: usize, process: u32) {
        let op = self.ops[place];
        self.event(t, process, if op.answered { "ok" } else { "info" }, place);
        match op.adds {
            Some(value) => {
                let _ = writeln!(self.text, "{value}}}");
            }
            None if op.answered => {
                self.elements += self.saw[place] as u64;
                let mut before = '[';
                for value in &self.keys[op.key][..self.saw[place]] {
                    let _ = write!(self.text, "{before}{value}");
                    before = ',';
                }
                self.text.push_str(if before == '[' { "[]}\n" } else { "]}\n" });
            }
            None => self.text.push_str("null}\n"),
        }
        // A process ends at an unknown outcome, and a new one replaces it.
        let process = if op.answered { process } else { self.next_process };
        self.next_process += u32::from(!op.answered);
        let pause = self.pause();
        self.agenda.push(Reverse((t + pause, Step::Invoke, process)));
    }

    /// Writes the start of an event, up to its value.
    fn event(&mut self, t: u64, process: u32, kind: &str, place: usize) {
        let Op { key, adds, .. } = self.ops[place];
        let f = match (adds, self.shape.model) {
            (None, _) => "read",
            (Some(_), ModelKind::Set) => "add",
            (Some(_), _) => "append",
        };
        let _ = write!(self.text, r#"{{"process":{process},"type":"{kind}","f":"{f}","key":{key},"time":{t},"value":"#);
    }
}
