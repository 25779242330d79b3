//! Operation and load counts. Every table and gate takes its totals from here, so that they add up.
//!
//! Two totals are never mixed. The *whole run* counts every operation of the history: warm-up, load window, quiet tail and final
//! reads. The *load window* counts the operations that were due in it; latency, rates and gates are based only on those.

use crate::results_json::OpCounts;
use heckle_history::{IntentId, Operation, Outcome, Seen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of the operations that were due in the load window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WindowCounts {
    /// Counts over all kinds of operations.
    pub ops: OpCounts,
    /// Counts by kind of operation. They add up to `ops`.
    pub by_kind: BTreeMap<String, OpCounts>,
}

impl OpCounts {
    /// Counts one operation.
    pub fn add(&mut self, op: &Operation) {
        self.invoked += 1;
        match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => {
                self.ok += 1;
                self.condition_not_met += 1;
            }
            Outcome::Ok(Seen::Applied | Seen::Written | Seen::Value(_)) => {
                self.ok += 1;
                self.applied += 1;
            }
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Open => {
                self.unknown += 1;
                self.open += 1;
            }
        }
    }
}

/// Counts `ops`, in total and by kind.
pub(crate) fn count<'o>(ops: impl Iterator<Item = &'o Operation>) -> WindowCounts {
    let mut counts = WindowCounts::default();
    for op in ops {
        counts.ops.add(op);
        counts.by_kind.entry(op.name().to_owned()).or_default().add(op);
    }
    counts
}

/// Returns for each operation whether the load generator began it (a single operation, or the first attempt of an intent),
/// as opposed to a retry.
pub(crate) fn are_first_attempts(intents: impl Iterator<Item = Option<IntentId>>) -> Vec<bool> {
    let mut known = std::collections::BTreeSet::new();
    intents.map(|intent| intent.is_none_or(|id| known.insert(id))).collect()
}
