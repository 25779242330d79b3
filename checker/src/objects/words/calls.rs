//! Extracts elements and lock claims from a call.

use crate::search::{Claim, ModelCall};

/// Returns the element that an op adds.
pub(crate) fn added_element(call: &ModelCall) -> Option<i64> {
    match call {
        ModelCall::Add { member } => Some(*member),
        ModelCall::Push { item } | ModelCall::Enqueue { item } => Some(*item),
        _ => None,
    }
}

/// Returns the single element that an op saw.
pub(crate) fn observed_element(call: &ModelCall) -> Option<i64> {
    match call {
        ModelCall::Dequeue { item } => item.flatten(),
        _ => None,
    }
}

pub(crate) fn claim(call: &ModelCall) -> Option<Claim> {
    match call {
        ModelCall::Acquire(claim) | ModelCall::Release(claim) => Some(*claim),
        _ => None,
    }
}

pub(crate) fn items(call: &ModelCall) -> &[i64] {
    match call {
        ModelCall::Items { items: Some(items) } => items,
        _ => &[],
    }
}

/// Returns the first value that a list contains twice. The answer of a set does not identify the repeated element.
pub(crate) fn repeated(call: &ModelCall) -> Option<i64> {
    let mut seen = rustc_hash::FxHashSet::default();
    items(call).iter().copied().find(|item| !seen.insert(*item))
}
