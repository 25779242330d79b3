//! Draws correct histories of a lock: clients wait for each other's holds.

use super::{ObjectSpice, finish};
use crate::objects::Question;
use crate::search::{Claim, ModelCall, ModelKind, SearchOp};
use heckle_history::prng::Pcg64;
use rand::RngExt;

pub(super) fn correct_history(rng: &mut Pcg64, model: ModelKind, spice: ObjectSpice) -> Question {
    let processes = rng.random_range(1..=spice.processes);
    let (owners, tokens) = match model {
        ModelKind::OwnerMutex => (true, rng.random_bool(0.4)),
        ModelKind::FencedMutex => (rng.random_bool(0.3), true),
        _ => (rng.random_bool(0.5), rng.random_bool(0.3)),
    };
    let (mixed, any_releaser) = (spice.outside && rng.random_bool(0.5), spice.outside && rng.random_bool(0.3));
    let release_tokens = tokens && rng.random_bool(0.3);
    // When the last op of each process ends.
    let mut free = vec![0u64; processes as usize];
    let (mut t, mut token, mut ops) = (1u64, 0, vec![]);
    for _ in 0..rng.random_range(1..=spice.ops / 2) {
        let process = rng.random_range(0..processes);
        let fence = (tokens && !(mixed && rng.random_bool(0.3))).then(|| {
            token += rng.random_range(1..3i64);
            token
        });
        let releaser = if any_releaser { rng.random_range(0..processes) } else { process };
        for (process, acquires) in [(process, true), (releaser, false)] {
            let point = t.max(free[process as usize] + 1) + rng.random_range(0..4u64);
            let invoked = point - rng.random_range(0..=(point - free[process as usize] - 1).min(8));
            let completed = point + rng.random_range(0..6u64);
            free[process as usize] = completed;
            t = point;
            let owner = (owners && !(mixed && rng.random_bool(0.2)) && !any_releaser).then_some(100 + i64::from(process));
            let claim = Claim { owner, fence: fence.filter(|_| acquires || release_tokens) };
            let call = if acquires { ModelCall::Acquire(claim) } else { ModelCall::Release(claim) };
            ops.push((process, SearchOp { id: 0, invoked, completed: Some(completed), call }));
        }
    }
    if rng.random_bool(0.3) {
        ops.pop();
    }
    finish(model, ops)
}
