//! Search for a valid order, used for histories the chain checker does not judge and as its second opinion.
//!
//! porcupine-rs (Wing and Gong's search with Lowe's memo) may take exponential time and quadratic memory, so it runs in
//! a child process. The child receives a [`SearchRequest`] as JSON on stdin, runs [`child_main`] and prints a
//! [`SearchReply`]. The parent, which has the clock and the limits, implements [`SearchRunner`] and reports a child
//! that died or was killed as [`SearchReply::gave_up`]. Reaching a limit never results in `invalid`.

pub mod brute; // exhaustive search with a step budget: the test oracle, which also confirms small contradictions
pub mod child; // the child process
pub mod foreign; // foreign histories converted to search requests
pub mod model; // the sequential models: register, set, queue, counter, mutex, text
pub mod porcupine; // an adapter for porcupine-rs that avoids its pitfalls
mod small; // searches small keys in this process

pub use child::child_main;
pub use foreign::{ForeignJudgement, JudgeForeign, judge_foreign, judge_questions, questions};
pub use model::{Claim, ModelCall, ModelKind, State};

use serde::{Deserialize, Serialize};

/// One op as seen by a search. An op without `completed` may have happened at any time after `invoked`, or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchOp {
    /// Identifier chosen by the caller.
    pub id: u64,
    /// When the op was sent.
    pub invoked: u64,
    /// When the op was answered. Intervals are closed, so touching intervals overlap.
    pub completed: Option<u64>,
    /// The call and its answer.
    pub call: ModelCall,
}

/// A search request: is there a valid order of these ops?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The sequential model of the key.
    pub model: ModelKind,
    /// Ops of the key, in any order.
    pub ops: Vec<SearchOp>,
    /// Whether to find a small set of ops that contradict the model on their own. This is done in a second run, once
    /// the verdict is known, so reaching a limit here cannot lose the verdict.
    #[serde(default)]
    pub shrink: bool,
}

/// The conclusion of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchAnswer {
    /// An order exists.
    Valid,
    /// No order exists.
    Invalid,
    /// A limit was reached first.
    GaveUp,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchReply {
    /// The conclusion.
    pub answer: SearchAnswer,
    /// If valid: the op ids in an order that explains every answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<u64>>,
    /// If invalid: the ids of ops that contradict the model on their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub core: Vec<u64>,
    /// Whether a second engine confirmed that `core` has no valid order.
    #[serde(default)]
    pub certified: bool,
    /// The limit that was reached, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

impl SearchReply {
    /// Returns the reply of a search that reached a time or memory limit or produced no readable answer.
    pub fn gave_up(limit: impl Into<String>) -> Self {
        SearchReply { answer: SearchAnswer::GaveUp, order: None, core: vec![], certified: false, limit: Some(limit.into()) }
    }
}

/// Runs one search within limits. The harness spawns `heckle search-child` with an address-space limit and kills it
/// when its time is up.
pub trait SearchRunner {
    /// Answers `request`; any failure is reported as [`SearchReply::gave_up`].
    fn run(&self, request: &SearchRequest) -> SearchReply;
}

/// Runs the search in this process without time or memory limits, for tests and small histories.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcess;

impl SearchRunner for InProcess {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        child::answer(request)
    }
}

/// Always gives up, for callers that do not want a search.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSearch;

impl SearchRunner for NoSearch {
    fn run(&self, _: &SearchRequest) -> SearchReply {
        SearchReply::gave_up("search is switched off")
    }
}
