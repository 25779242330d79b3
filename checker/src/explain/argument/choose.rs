//! Selects the ops to draw.

use super::{Loss, MAX_OPS};
use crate::linearizable::facts::KeyOps;
use crate::linearizable::search_request;
use crate::search::brute;
use heckle_history::{Call, OpId, Value};

/// Maximum number of CAS ops drawn between the old value and the lost update.
const MAX_LINKS: usize = 8;
/// Maximum number of steps for brute force to confirm that the selected ops have no order.
const STEPS: u64 = 200_000;

/// Returns the indices of the ops to draw, by invocation. If the lost update and the op that missed it contradict each other,
/// these are the two ops, plus the writer of the old value and the CAS ops in between where needed. Otherwise they are the ops of
/// the proof.
pub(super) fn ops(of_key: &KeyOps<'_>, loss: Option<&Loss>, proof: &[OpId]) -> Vec<u32> {
    let mut proof: Vec<u32> = of_key.places.iter().copied().filter(|&p| proof.contains(&of_key.op(p).op)).collect();
    let Some(loss) = loss else { return proof };
    let writer = of_key.places.iter().copied().filter(|&p| loss.seen.is_some() && of_key.op(p).call.writes() == loss.seen).take(1);
    let mut story: Vec<u32> = writer.chain([loss.lost, loss.observer]).collect();
    story.extend(if contradict(of_key, &story) { vec![] } else { links(of_key, loss) });
    let mut chosen = if contradict(of_key, &story) {
        story
    } else {
        // The sentence above the picture names these two ops.
        proof.extend([loss.lost, loss.observer]);
        proof
    };
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Returns the CAS ops that lead from the value found to the lost update, if there are few.
fn links(of_key: &KeyOps<'_>, loss: &Loss) -> Vec<u32> {
    let expected = |place: u32| match of_key.op(place).call {
        Call::Cas { expected, .. } => Some(expected),
        Call::Read | Call::Write { .. } => None,
    };
    let writer = |value: Value| of_key.places.iter().copied().find(|&p| of_key.op(p).call.writes() == Some(value));
    let (mut found, mut at) = (vec![], loss.lost);
    while found.len() < MAX_LINKS {
        match expected(at) {
            Some(Some(before)) if Some(before) != loss.seen => match writer(before) {
                Some(place) => {
                    found.push(place);
                    at = place;
                }
                None => return found,
            },
            _ => return found,
        }
    }
    vec![]
}

/// Returns whether brute force proves that these ops have no order.
fn contradict(of_key: &KeyOps<'_>, places: &[u32]) -> bool {
    matches!(brute::order(&search_request::of_places(of_key, places), STEPS), Some(None))
}

/// Omits ops from the middle if there are too many to draw, and returns how many were left out.
pub(super) fn cut(places: Vec<u32>, loss: Option<&Loss>) -> (Vec<u32>, usize) {
    let all = places.len();
    if all <= MAX_OPS {
        return (places, 0);
    }
    let needed = |p: &u32| loss.is_some_and(|l| l.lost == *p || l.observer == *p);
    let keep = |i: usize, p: &u32| i < MAX_OPS / 2 - 1 || i + MAX_OPS / 2 > all || needed(p);
    let kept: Vec<u32> = places.iter().enumerate().filter(|(i, p)| keep(*i, p)).map(|(_, p)| *p).collect();
    let left_out = all - kept.len();
    (kept, left_out)
}
