//! Converts a key, or the few ops of a contradiction, to a search request.

use super::certificate::Contradiction;
use super::facts::{Fact, KeyOps, NEVER};
use crate::search::{ModelCall, ModelKind, SearchOp, SearchRequest};
use heckle_history::{Call, Current, Outcome, Seen, Value};

/// Returns a request with every op of the key that gives information.
pub(crate) fn of_key(ops: &KeyOps<'_>) -> SearchRequest {
    let ops = ops.places.iter().filter_map(|&p| search_op(ops, p)).collect();
    SearchRequest { model: ModelKind::CasRegister, ops, shrink: false }
}

/// Returns a request with the ops of a contradiction, and with a blind write for each value that they saw but did not write.
///
/// Removing ops cannot create a contradiction as long as the writer of every value seen remains: in any order of the
/// whole history, each remaining op still finds its value. A CAS that is needed only for the value it wrote can be
/// replaced with a blind write, which has weaker requirements.
pub(crate) fn of_contradiction(ops: &KeyOps<'_>, contradiction: &Contradiction) -> SearchRequest {
    let places: Vec<u32> = ops.places.iter().copied().filter(|&p| contradiction.support.contains(&ops.op(p).op)).collect();
    of_places(ops, &places)
}

/// Returns a request with the ops at these indices and the same kind of blind writes.
pub(crate) fn of_places(ops: &KeyOps<'_>, places: &[u32]) -> SearchRequest {
    let mut chosen: Vec<SearchOp> = places.iter().filter_map(|&p| search_op(ops, p)).collect();
    for place in context(ops, places) {
        let timed = ops.fact(place);
        let Some(new) = ops.op(place).call.writes() else { continue };
        let call = ModelCall::Write { new: new.0 };
        chosen.push(SearchOp { id: ops.op(place).op.0, invoked: timed.invoked, completed: (timed.by != NEVER).then_some(timed.by), call });
    }
    SearchRequest { model: ModelKind::CasRegister, ops: chosen, shrink: false }
}

/// Returns the indices of other ops that may have written a value seen by the ops at `places`.
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

fn search_op(ops: &KeyOps<'_>, place: u32) -> Option<SearchOp> {
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
