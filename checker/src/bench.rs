//! Histories by the million, for measuring the checkers: `heckle bench check` prints the table.
//!
//! A history is made by running a register: every process calls in a closed loop, each op takes effect at one
//! instant of its interval, and what it answers follows. So it is linearizable by construction, and as contended as
//! it has processes. A share of the ops is never answered; of these a part took effect, a part did not, and a part
//! takes effect long after its process gave up.

pub mod objects; // sets and lists

use heckle_history::event::{Completion, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Current, Event, History, KeyId, Nanos, OpId, Operation, Outcome, Path, ProcessId, Seen, Value};
use rand::RngExt;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// How many ops.
    pub ops: usize,
    /// How many processes call at once.
    pub processes: u32,
    /// Share of outcomes that stay unknown, 0 to 1.
    pub unknown: f64,
    /// Share of blind writes, 0 to 1.
    pub writes: f64,
    /// Share of reads, 0 to 1; the rest are CAS.
    pub reads: f64,
    /// Whether one late read is made stale.
    pub stale_read: bool,
    /// Where the choices come from.
    pub seed: u64,
}

impl Shape {
    /// The shape of the published table: 40 % reads, 20 % blind writes, 40 % CAS, on one key.
    pub fn contended(ops: usize, processes: u32, unknown: f64) -> Self {
        Shape { ops, processes, unknown, writes: 0.2, reads: 0.4, stale_read: false, seed: 1 }
    }
}

/// Mean time between two steps of one op.
const MEAN_NS: u64 = 100_000;

/// After this long a process gives up on an op that is not answered.
const TIMEOUT_NS: u64 = 10 * MEAN_NS;

/// What happens to an op next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Invoke { process: u32 },
    Effect { place: u32 },
    Complete { place: u32, process: u32 },
    GiveUp { place: u32, process: u32 },
}

struct Run {
    shape: Shape,
    rng: Pcg64,
    agenda: BinaryHeap<Reverse<(u64, Step)>>,
    ops: Vec<Operation>,
    /// Answers that are known and not yet told.
    answers: Vec<Option<Seen>>,
    now: Option<Value>,
    next_value: i64,
    next_process: u32,
}

/// A contended history of one key.
pub fn history(shape: Shape) -> History {
    let mut run = Run {
        shape,
        rng: Seed(shape.seed).stream("bench"),
        agenda: BinaryHeap::new(),
        ops: Vec::with_capacity(shape.ops),
        answers: Vec::with_capacity(shape.ops),
        now: None,
        next_value: 0,
        next_process: shape.processes,
    };
    for process in 0..shape.processes {
        let start = run.pause();
        run.agenda.push(Reverse((start, Step::Invoke { process })));
    }
    let mut end = 0;
    while let Some(Reverse((t, step))) = run.agenda.pop() {
        end = t;
        run.step(t, step);
    }
    let mut history = History { ops: run.ops, end: Nanos(end), ..History::default() };
    history.names.key("k1");
    if shape.stale_read {
        make_stale(&mut history);
    }
    history
}

impl Run {
    /// A time between nothing and twice the mean.
    fn pause(&mut self) -> u64 {
        self.rng.random_range(1..2 * MEAN_NS)
    }

    fn step(&mut self, t: u64, step: Step) {
        match step {
            Step::Invoke { process } => self.invoke(t, process),
            Step::Effect { place } => self.effect(place),
            Step::Complete { place, process } => {
                let op = &mut self.ops[place as usize];
                op.completed = Nanos(t);
                op.outcome = self.answers[place as usize].map_or(Outcome::Unknown, Outcome::Ok);
                self.after(t, process);
            }
            Step::GiveUp { place, process: _ } => {
                let op = &mut self.ops[place as usize];
                (op.completed, op.outcome) = (Nanos(t), Outcome::Unknown);
                let process = self.next_process;
                self.next_process += 1;
                self.after(t, process);
            }
        }
    }

    fn after(&mut self, t: u64, process: u32) {
        let pause = self.pause();
        self.agenda.push(Reverse((t + pause, Step::Invoke { process })));
    }

    fn invoke(&mut self, t: u64, process: u32) {
        if self.ops.len() == self.shape.ops {
            return;
        }
        let place = self.ops.len() as u32;
        let call = self.call();
        self.ops.push(Operation {
            op: OpId(u64::from(place)),
            invoked: Nanos(t),
            completed: Nanos::NEVER,
            intended: Nanos(t),
            call,
            outcome: Outcome::Open,
            process: ProcessId(process),
            key: KeyId(0),
            node: None,
            path: Path::Consensus,
        });
        self.answers.push(None);
        let (effect, done) = (t + self.pause(), self.pause());
        if !self.rng.random_bool(self.shape.unknown) {
            self.agenda.push(Reverse((effect, Step::Effect { place })));
            self.agenda.push(Reverse((effect + done, Step::Complete { place, process })));
            return;
        }
        // Half of the unanswered took effect at once, a quarter late, a quarter not at all.
        match self.rng.random_range(0..4u32) {
            0 | 1 => self.agenda.push(Reverse((effect, Step::Effect { place }))),
            2 => self.agenda.push(Reverse((effect + 5 * TIMEOUT_NS, Step::Effect { place }))),
            _ => {}
        }
        self.agenda.push(Reverse((t + TIMEOUT_NS, Step::GiveUp { place, process })));
    }

    fn call(&mut self) -> Call {
        let draw: f64 = self.rng.random();
        if draw < self.shape.reads {
            return Call::Read;
        }
        self.next_value += 1;
        let new = Value(self.next_value);
        if draw < self.shape.reads + self.shape.writes { Call::Write { new } } else { Call::Cas { expected: self.now, new } }
    }

    fn effect(&mut self, place: u32) {
        let seen = match self.ops[place as usize].call {
            Call::Read => Seen::Value(self.now),
            Call::Write { new } => {
                self.now = Some(new);
                Seen::Written
            }
            Call::Cas { expected, new } if expected == self.now => {
                self.now = Some(new);
                Seen::Applied
            }
            Call::Cas { .. } => Seen::ConditionNotMet(Current::Known(self.now)),
        };
        self.answers[place as usize] = Some(seen);
    }
}

/// Makes the last answered read tell what a read in the middle of the history told.
fn make_stale(history: &mut History) {
    let reads: Vec<usize> = (0..history.ops.len()).filter(|&i| matches!(history.ops[i].outcome, Outcome::Ok(Seen::Value(_)))).collect();
    let Some(&last) = reads.last() else { return };
    let now = history.ops[last].outcome;
    if let Some(&old) = reads[..reads.len() / 2 + 1].iter().rev().find(|&&i| history.ops[i].outcome != now) {
        history.ops[last].outcome = history.ops[old].outcome;
    }
}

/// The events of a history in time order, invokes before completions at one instant: what the online judge is fed.
pub fn events(history: &History) -> impl Iterator<Item = Event> + '_ {
    let mut order: Vec<(Nanos, bool, u32)> = Vec::with_capacity(2 * history.ops.len());
    for (place, op) in (0u32..).zip(&history.ops) {
        order.push((op.invoked, false, place));
        if op.outcome != Outcome::Open {
            order.push((op.completed, true, place));
        }
    }
    order.sort_unstable();
    order.into_iter().map(|(t, ends, place)| event(&history.ops[place as usize], t, ends))
}

fn event(op: &Operation, t: Nanos, ends: bool) -> Event {
    fn done<S>(op: &Operation, t: Nanos, seen: S) -> Completion<S> {
        Completion { op: op.op, t, seen, node: op.node, reason: None, diagnostics: None }
    }
    match (ends, op.outcome) {
        (true, Outcome::Ok(seen)) => Event::Ok(done(op, t, seen)),
        (true, Outcome::Failed) => Event::Fail(done(op, t, ())),
        (true, Outcome::Unknown | Outcome::Open) => Event::Unknown(done(op, t, ())),
        (false, _) => Event::Invoke(Invoke {
            op: op.op,
            process: op.process,
            client: None,
            t,
            intended: None,
            key: op.key,
            call: op.call,
            node: None,
            intent: None,
            attempt: None,
            payload: None,
            path: Path::Consensus,
        }),
    }
}
