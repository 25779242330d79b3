//! The child process: reads a request and searches for an order. On request, it also reduces an `invalid` answer to a
//! few ops and confirms it.

use super::model::ModelCall;
use super::{SearchAnswer, SearchOp, SearchReply, SearchRequest, brute, porcupine};

/// Maximum number of brute-force steps per sub-history.
const BRUTE_STEPS: u64 = 50_000;

/// Maximum number of attempts to remove an op that only observes.
const MAX_TRIES: u32 = 400;

/// Implements `heckle search-child`: maps the bytes on stdin to the bytes on stdout.
///
/// A request that cannot be read results in [`SearchReply::gave_up`], like every other failure of a search.
pub fn child_main(stdin: &[u8]) -> Vec<u8> {
    let reply = match serde_json::from_slice::<SearchRequest>(stdin) {
        Ok(request) => answer(&request),
        Err(e) => SearchReply::gave_up(format!("the search child could not read its request: {e}")),
    };
    // A reply contains only numbers and strings, and writing to a Vec cannot fail.
    serde_json::to_vec(&reply).expect("a reply is always writable as JSON")
}

/// Runs the search in this process.
pub fn answer(request: &SearchRequest) -> SearchReply {
    if request.shrink { shrink(request) } else { porcupine::search(request) }
}

/// Finds a few ops of an invalid history that contradict the model on their own. They are confirmed by brute force, not
/// by the engine that reported the violation.
///
/// Two reductions are sound: a contradiction that remains is also one of the whole history. The first is a prefix in
/// time: later invocations are removed, and ops still open may or may not have happened. The second removes ops that
/// only observe. Ops that may or may not have happened make the search space explode, so every attempt has a step
/// budget, and an attempt that exceeds it counts as not refuted.
fn shrink(request: &SearchRequest) -> SearchReply {
    let mut ends: Vec<u64> = request.ops.iter().filter_map(|o| o.completed).collect();
    ends.sort_unstable();
    ends.dedup();
    let refuted = |ops: &[SearchOp]| {
        matches!(brute::order(&SearchRequest { model: request.model, ops: ops.to_vec(), shrink: false }, BRUTE_STEPS), Some(None))
    };
    // A prefix of a valid prefix is valid, so binary search finds the first invalid one.
    let shortest = ends.partition_point(|&end| !refuted(&prefix(&request.ops, end)));
    let core = ends.get(shortest).map(|&end| prefix(&request.ops, end)).filter(|core| refuted(core));
    let Some(mut core) = core.or_else(|| refuted(&request.ops).then(|| request.ops.clone())) else {
        return SearchReply::gave_up(format!("no small contradiction was found in {BRUTE_STEPS} steps a try"));
    };
    let mut tries = MAX_TRIES;
    let mut at = 0;
    while at < core.len() && tries > 0 {
        let observer = is_read_only(&core[at].call);
        let kept = if observer { Some(core.remove(at)) } else { None };
        tries -= u32::from(observer);
        if let Some(op) = kept {
            if refuted(&core) {
                continue;
            }
            core.insert(at, op);
        }
        at += 1;
    }
    let ids = core.iter().map(|o| o.id).collect();
    SearchReply { answer: SearchAnswer::Invalid, order: None, core: ids, certified: true, limit: None }
}

fn prefix(ops: &[SearchOp], end: u64) -> Vec<SearchOp> {
    let mut kept: Vec<SearchOp> = ops.iter().filter(|o| o.invoked <= end).cloned().collect();
    for op in &mut kept {
        op.completed = op.completed.filter(|&t| t <= end);
    }
    kept.retain(|o| o.completed.is_some() || !is_read_only(&o.call));
    kept
}

pub(crate) fn is_read_only(call: &ModelCall) -> bool {
    match call {
        ModelCall::Read { .. }
        | ModelCall::Refused { .. }
        | ModelCall::Contains { .. }
        | ModelCall::Members { .. }
        | ModelCall::Count { .. }
        | ModelCall::Items { .. }
        | ModelCall::Get { .. } => true,
        ModelCall::Write { .. }
        | ModelCall::Cas { .. }
        | ModelCall::Add { .. }
        | ModelCall::Remove { .. }
        | ModelCall::Enqueue { .. }
        | ModelCall::Dequeue { .. }
        | ModelCall::Increment { .. }
        | ModelCall::Acquire(_)
        | ModelCall::Release(_)
        | ModelCall::Put { .. }
        | ModelCall::Push { .. }
        | ModelCall::Append { .. } => false,
    }
}
