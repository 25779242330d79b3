//! One operation to one node, and its reply. An adapter sends each operation once, never retries by itself, and tells apart what is
//! proved from what is not.

use heckle_history::{Call, Diagnostics, Fate, OpId, Path, ProcessId, Seen};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One operation to send.
#[derive(Debug, Clone)]
pub struct Op {
    /// Its id in the history.
    pub id: OpId,
    /// The process it belongs to, which never has two operations open.
    pub process: ProcessId,
    /// The key's name.
    pub key: Arc<str>,
    /// What to do.
    pub call: Call,
    /// Which way it takes, in a system that has two.
    pub path: Path,
    /// The payload of the value it writes.
    pub payload: Option<i64>,
    /// The payload of the value that a CAS expects.
    pub expected_payload: Option<i64>,
    /// When the client gives up.
    pub timeout: Duration,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What is known.
    pub outcome: Outcome,
    /// The payload of the value that was seen.
    pub payload: Option<i64>,
    /// Why, where it is not an ok.
    pub reason: Option<Box<str>>,
    /// Figures that the system reported about the operation, as [`System::figures`](crate::System::figures) lists them.
    pub diagnostics: Option<Diagnostics>,
}

impl Reply {
    /// A reply that says no more than an outcome and why.
    pub fn because(outcome: Outcome, reason: impl Into<Box<str>>) -> Self {
        Reply { outcome, payload: None, reason: Some(reason.into()), diagnostics: None }
    }
}

/// What an adapter may claim. When in doubt: unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It happened, and saw this.
    Ok(Seen),
    /// It is proved not to have happened, and never will.
    NotApplied,
    /// It may have happened, or may still.
    Unknown,
}

/// A question about an operation of unknown outcome, sent through any connection.
#[derive(Debug, Clone)]
pub struct FateQuery {
    /// The system's id of the operation: the figure [`OP_ID`](heckle_history::figures::OP_ID) of its reply.
    pub id: Box<str>,
    /// The key's name.
    pub key: Arc<str>,
    /// No other question or process of the run has this number.
    pub number: u64,
    /// When to give up.
    pub timeout: Duration,
}

/// The future that a connection returns. It is not `Send`: connections stay on one thread.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One client connection.
pub trait Connection {
    /// Sends one operation and waits for its reply or its timeout.
    fn call(&self, op: Op) -> Pending<'_, Reply>;

    /// Asks what became of an operation; `None` without an answer in time. A system that cannot tell gives its operations no id, and
    /// is not asked.
    fn fate(&self, query: FateQuery) -> Pending<'_, Option<Fate>> {
        let _ = query;
        Box::pin(std::future::ready(None))
    }
}
