//! The proof of a verdict, as data: an order for `valid`, a contradiction for `invalid`.
//!
//! The chain checker writes certificates, and [`verify`](super::verify()) checks them against the history alone.

use heckle_history::{OpId, Value};
use serde::Serialize;

/// A proof of a verdict on one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "proves", content = "by")]
pub enum Certificate {
    /// Indices into `History::ops`, in an order that explains every answer and respects real time.
    Valid(Vec<u32>),
    /// A contradiction.
    Invalid(Contradiction),
}

/// The reason why no order exists. Every rule names only a few ops; `support` also includes the ops that show that any
/// unknown updates among them took effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contradiction {
    /// The broken rule.
    pub rule: Rule,
    /// Every op the rule needs.
    pub support: Vec<OpId>,
}

/// A sequence of values in which a CAS produced each value from the previous one, so no other value can hold in
/// between. The first value may be `None`, "never written".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    /// The values, oldest first. Each value except the first is written by an effective CAS that expects the previous
    /// one.
    pub values: Vec<Option<Value>>,
    /// An op on one of the values that completed early. Absent if the block starts with "never written", which precedes
    /// everything.
    pub early: Option<OpId>,
    /// An op on one of the values that was invoked late.
    pub late: Option<OpId>,
}

/// The rules that a history can break.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Rule {
    /// `observer` saw `value`, and no op that may have happened writes it.
    NeverWritten {
        /// The op that saw it.
        observer: OpId,
        /// The value it saw.
        value: Value,
    },
    /// `a` and `b` both took effect and expected the same value, which only one of them could have replaced.
    TwoSuccessors {
        /// One CAS.
        a: OpId,
        /// The other.
        b: OpId,
    },
    /// `op` is a CAS that was refused although it found the value it expected.
    SawExpected {
        /// The refused CAS.
        op: OpId,
    },
    /// The CAS ops expect each other's values in a cycle.
    Circle {
        /// In order: each CAS expects the value that the previous one writes, and the first expects the value of the
        /// last.
        ops: Vec<OpId>,
    },
    /// Within one block, an op on a later value completed before an op on an earlier value was invoked.
    Backwards {
        /// The sequence of values; `early` is the op on the later value, `late` the op on the earlier value.
        block: Block,
    },
    /// An op of each block completed before an op of the other was invoked, but a block cannot be split.
    Interleaved {
        /// One block.
        one: Block,
        /// The other block.
        two: Block,
    },
}
