//! Steps through the states of a key: the longest order of the ops that explains their answers, and why no other op can
//! follow.

use crate::linearizable::facts::KeyOps;
use crate::linearizable::reason::value;
use crate::linearizable::search_request;
use crate::search::model::step;
use crate::search::{ModelCall, SearchOp, SearchRequest, State};
use heckle_history::{OpId, Value};
use rustc_hash::FxHashSet;

/// Maximum number of states that are tried. A contradiction has few ops, so this limit is rarely reached.
const MAX_STATES: usize = 100_000;
/// Maximum number of ops in a walk. A longer walk would not be readable.
const MAX_OPS: usize = 40;

/// The states of the key, one op at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Walk {
    /// The initial state; empty if there is no walk.
    pub start: String,
    /// Ops that can take effect one after another, in the longest possible order.
    pub steps: Vec<Step>,
    /// The remaining ops, none of which can come next.
    pub blocked: Vec<Blocked>,
    /// Whether all orders were tried, which proves that none is longer.
    pub exhaustive: bool,
}

/// A step: an op, and the state after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The op.
    pub op: OpId,
    /// Whether the op is part of the argument. Other ops only wrote a value that the argument needs.
    pub drawn: bool,
    /// The state after the op.
    pub state: String,
}

/// An op that cannot come next.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// The op.
    pub op: OpId,
    /// Why the op cannot come next.
    pub why: String,
}

/// Steps through the ops at `places` and the writers of the values they need.
pub(super) fn of(of_key: &KeyOps<'_>, places: &[u32]) -> Walk {
    let drawn: Vec<OpId> = places.iter().map(|&p| of_key.op(p).op).collect();
    walk(&search_request::of_places(of_key, places), &drawn, of_key.history.names.key_name(of_key.key))
}

fn walk(request: &SearchRequest, drawn: &[OpId], key: &str) -> Walk {
    let mut ops: Vec<&SearchOp> = request.ops.iter().collect();
    ops.sort_by_key(|o| (o.invoked, o.id));
    if ops.is_empty() || ops.len() > MAX_OPS {
        return Walk::default();
    }
    let mut search = Longest { ops: &ops, seen: FxHashSet::default(), order: vec![], best: vec![], most: None, cut: false };
    search.explore(&request.model.init(), 0);
    let (best, exhaustive) = (search.best, !search.cut);
    let mut state = request.model.init();
    let start = state_words(&state);
    let mut steps = vec![];
    for &i in &best {
        state = step(&state, &ops[i].call).expect("the search made this step");
        let op = OpId(ops[i].id);
        steps.push(Step { op, drawn: drawn.contains(&op), state: state_words(&state) });
    }
    let left: Vec<usize> = (0..ops.len()).filter(|i| !best.contains(i)).collect();
    let blocked = left
        .iter()
        .filter(|&&i| ops[i].completed.is_some())
        .map(|&i| Blocked { op: OpId(ops[i].id), why: why(&ops, &left, i, &state, key) });
    Walk { start, steps, blocked: blocked.collect(), exhaustive }
}

/// Searches for the order with the most answered ops.
struct Longest<'a> {
    /// The ops, sorted by invocation.
    ops: &'a [&'a SearchOp],
    seen: FxHashSet<(u64, State)>,
    order: Vec<usize>,
    best: Vec<usize>,
    /// Number of answered ops in the best order so far.
    most: Option<usize>,
    cut: bool,
}

impl Longest<'_> {
    fn explore(&mut self, state: &State, done: u64) {
        let answered = self.order.iter().filter(|&&i| self.ops[i].completed.is_some()).count();
        if self.most.is_none_or(|most| answered > most) {
            (self.most, self.best) = (Some(answered), self.order.clone());
        }
        if self.seen.len() >= MAX_STATES {
            self.cut = true;
            return;
        }
        if !self.seen.insert((done, state.clone())) {
            return;
        }
        let open = |i: &usize| done & (1 << i) == 0;
        let Some(deadline) = (0..self.ops.len()).filter(open).filter_map(|i| self.ops[i].completed).min() else { return };
        for i in (0..self.ops.len()).filter(open) {
            if self.ops[i].invoked > deadline {
                break;
            }
            let Some(next) = step(state, &self.ops[i].call) else { continue };
            self.order.push(i);
            self.explore(&next, done | 1 << i);
            self.order.pop();
        }
    }
}

/// Explains why the op at `i` cannot come next when the ops at `left` remain.
fn why(ops: &[&SearchOp], left: &[usize], i: usize, state: &State, key: &str) -> String {
    let op = ops[i];
    let earlier = left.iter().filter(|&&j| ops[j].completed.is_some_and(|t| t < op.invoked)).min_by_key(|&&j| ops[j].completed);
    if let Some(&first) = earlier {
        return format!("it was sent after op {} was answered, so that op has to come first", ops[first].id);
    }
    let now = state_words(state);
    let null = |v: Option<i64>| value(v.map(Value));
    match &op.call {
        ModelCall::Read { value: Some(seen) } => format!("it found {}, but {key} holds {now}", null(*seen)),
        ModelCall::Cas { expected, .. } => format!("it found {}, but {key} holds {now}", null(*expected)),
        ModelCall::Refused { current: Some(seen), .. } if null(*seen) != now => format!("it found {}, but {key} holds {now}", null(*seen)),
        ModelCall::Refused { expected, .. } if null(*expected) == now => {
            format!("it was refused, although {key} holds {now} as it expected")
        }
        _ => format!("its answer does not fit {now}"),
    }
}

/// Describes a state in words.
fn state_words(state: &State) -> String {
    let list = |items: &mut dyn Iterator<Item = &i64>| items.map(i64::to_string).collect::<Vec<_>>().join(", ");
    match state {
        State::Register(v) => value(v.map(Value)),
        State::Set(members) => format!("{{{}}}", list(&mut members.iter())),
        State::Queue(items) => format!("[{}]", list(&mut items.iter())),
        State::Counter(n) => n.to_string(),
        State::Mutex(lock) => match lock.held {
            None => "free".to_owned(),
            Some(claim) => claim.owner.map_or("held".to_owned(), |owner| format!("held by {owner}")),
        },
        State::Text(text) => text.as_ref().map_or("null".to_owned(), |t| format!("\"{t}\"")),
        State::List(items) => format!("[{}]", list(&mut items.iter())),
    }
}
