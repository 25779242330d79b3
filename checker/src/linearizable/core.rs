//! A key, or the few ops of a contradiction, as a question to a search.

use super::certificate::Contradiction;
use super::facts::{Fact, KeyOps, NEVER};
use crate::search::{ModelCall, ModelKind, SearchOp, SearchRequest};
use heckle_history::{Call, Current, Outcome, Seen, Value};

/// Every op of the key that says anything.
pub(crate) fn whole(ops: &KeyOps<'_>) -> SearchRequest {
    let ops = ops.places.iter().filter_map(|&p| asked(ops, p)).collect();
    SearchRequest { model: ModelKind::CasRegister, ops, shrink: false }
}

/// The ops of a contradiction, and for each value they saw and did not write its writer as a blind write.
///
/// Leaving ops out cannot make a contradiction of a history that had none, as long as the writer of every value seen
/// stays: in any order of the whole, each op that stays still finds its value. A CAS that stays only for what it wrote
/// may stand as a blind write, since that asks less.
pub(crate) fn request(ops: &KeyOps<'_>, contradiction: &Contradiction) -> SearchRequest {
    let places: Vec<u32> = ops.places.iter().copied().filter(|&p| contradiction.support.contains(&ops.op(p).op)).collect();
    let mut chosen: Vec<SearchOp> = places.iter().filter_map(|&p| asked(ops, p)).collect();
    for place in context(ops, &places) {
        let timed = ops.fact(place);
        let Some(new) = ops.op(place).call.writes() else { continue };
        let call = ModelCall::Write { new: new.0 };
        chosen.push(SearchOp { id: ops.op(place).op.0, invoked: timed.invoked, completed: (timed.by != NEVER).then_some(timed.by), call });
    }
    SearchRequest { model: ModelKind::CasRegister, ops: chosen, shrink: false }
}

/// The places of ops that may have written a value which the ops at `places` saw, and are not among them.
pub(crate) fn context(ops: &KeyOps<'_>, places: &[u32]) -> Vec<u32> {
    let saw = |p: &u32| match ops.fact(*p).fact {
        Fact::Saw(v) => v,
        Fact::Swapped { expected, .. } => expected,
        Fact::Wrote { .. } | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => None,
    };
    let seen: Vec<Value> = places.iter().filter_map(saw).collect();
    let wrote = |p: &u32| match ops.fact(*p).fact {
        Fact::Wrote { new, .. } | Fact::Swapped { new, .. } => Some(new),
        Fact::Saw(_) | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => None,
    };
    ops.places.iter().copied().filter(|p| !places.contains(p) && wrote(p).is_some_and(|v| seen.contains(&v))).collect()
}

fn asked(ops: &KeyOps<'_>, place: u32) -> Option<SearchOp> {
    let op = ops.op(place);
    let timed = ops.fact(place);
    let number = |v: Option<Value>| v.map(|v| v.0);
    let call = match (timed.fact, op.call, op.outcome) {
        (Fact::Never | Fact::Nothing, _, _) => return None,
        (_, Call::Cas { expected, .. }, Outcome::Ok(Seen::ConditionNotMet(Current::Known(v)))) => {
            ModelCall::Refused { expected: number(expected), current: Some(number(v)) }
        }
        (Fact::Refused { expected }, _, _) => ModelCall::Refused { expected: number(expected), current: None },
        (Fact::Saw(v), _, _) => ModelCall::Read { value: Some(number(v)) },
        (_, Call::Write { new }, _) => ModelCall::Write { new: new.0 },
        (_, Call::Cas { expected, new }, _) => ModelCall::Cas { expected: number(expected), new: new.0 },
        (_, Call::Read, _) => return None,
    };
    Some(SearchOp { id: op.op.0, invoked: timed.invoked, completed: (timed.by != NEVER).then_some(timed.by), call })
}
